"""Which place a task belongs to: consistent hash for keys, in turn, or where least is to do (pure)."""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from typing import final

from supervisors.pools.records import Task

__all__ = ["KeyLine", "key_code", "least_loaded", "place_of"]


def key_code(key: Hashable) -> int:
    """Return 32 bits of a key: the same in every run for texts, bytes and numbers.

    Equal numbers of different types meet, as they do in a dict.
    """
    if isinstance(key, str):
        return zlib.crc32(key.encode("utf-8", "surrogatepass"))
    if isinstance(key, bytes):
        return zlib.crc32(key)
    return hash(key) & 0xFFFFFFFF


def place_of(key: Hashable, places: int) -> int:
    """Return the place of a key: jump consistent hash, so one place more moves 1 in n keys.

    Source: Lamping and Veach, "A Fast, Minimal Memory, Consistent Hash Algorithm".
    """
    state = key_code(key)
    # Keys that are small numbers differ in few bits; spread them first.
    state = (state * 0x9E3779B97F4A7C15 + 0x632BE59BD9B4E019) & 0xFFFFFFFFFFFFFFFF
    place, candidate = -1, 0
    while candidate < places:
        place = candidate
        state = (state * 2862933555777941757 + 1) & 0xFFFFFFFFFFFFFFFF
        candidate = int((place + 1) * (1 << 31) / ((state >> 33) + 1))
    return place


def least_loaded(loads: Sequence[int], first: int) -> int:
    """Return the place with the least to do; of equals the next one from `first` on."""
    count = len(loads)
    return min(range(count), key=lambda place: (loads[place], (place - first) % count))


@final
class KeyLine:
    """The unfinished tasks of one key. Only the first is in a worker's line or hands.

    So they are run one after the other, whatever happens to the first: it may have
    to be tried again on another worker.
    """

    __slots__ = ("tasks",)

    def __init__(self) -> None:
        self.tasks: deque[Task] = deque()

    def first_unsettled(self, is_settled: Callable[[Task], bool]) -> Task | None:
        """Drop what is settled from the front; return who is first now."""
        while self.tasks and is_settled(self.tasks[0]):
            self.tasks.popleft()
        return self.tasks[0] if self.tasks else None
