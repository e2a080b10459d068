"""The last entries of a log in memory, compressed by the page while nothing else is to be done.

Entries resemble each other, so a page of them shrinks to a fifth or less. A busy log leaves
them as they are: they will be pushed out soon enough, and what packs them now would keep
somebody waiting.

Entries that came together lie one behind the other in one piece of memory. Each as an object
of its own would have to be looked at again, long after it has left the processor's cache, for
no more than to be forgotten.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final, NamedTuple, final

import msgpack

__all__ = ["RecentLeaves", "Run", "runs"]

_PAGE: Final = 256
"""Entries on a page, at least. A larger one is hardly smaller, and has to be unpacked whole."""

_RUN_MAX: Final = 512
"""Entries of a run, at most: so many more than are wanted may be kept."""

_PAGES_AT_ONCE: Final = 16
"""Pages that are packed in one go, which takes four milliseconds; other threads run meanwhile."""

_LEVEL: Final = 1


class Run(NamedTuple):
    """Entries that follow each other.

    Attributes:
        size: how many.
        raw: the entries, each in msgpack, one behind the other.
    """

    size: int
    raw: bytes


def runs(leaves: list[bytes]) -> list[Run]:
    """Return entries as runs of a length that can be kept."""
    pieces = [leaves[at : at + _RUN_MAX] for at in range(0, len(leaves), _RUN_MAX)]
    return [Run(len(piece), b"".join(piece)) for piece in pieces]


@final
class RecentLeaves:
    """So many entries, the last ones.

    Args:
        most: how many are kept.

    Thread: one at a time.
    """

    __slots__ = ("_held", "_loose", "_most", "_pages")

    def __init__(self, most: int) -> None:
        self._most = most
        self._pages: deque[Run] = deque()  # compressed
        self._loose: deque[Run] = deque()  # the newest ones, as they came
        self._held = 0  # entries of both; the first run may have more than is wanted

    def __len__(self) -> int:
        """Return how many entries are kept."""
        return min(self._most, self._held)

    def extend(self, added: Iterable[Run]) -> None:
        """Add entries; the oldest go for it."""
        for run in added:
            self._loose.append(run)
            self._held += run.size
        while self._held > self._most:
            oldest = self._pages or self._loose
            if self._held - oldest[0].size < self._most:
                break  # some of these are still wanted
            self._held -= oldest.popleft().size

    def pack(self) -> None:
        """Pack what there is, as far as it fills pages, or as much as can be done in a moment."""
        loose = self._loose
        for _ in range(_PAGES_AT_ONCE):
            count = taken = 0
            for run in loose:
                count += run.size
                taken += 1
                if count >= _PAGE:
                    break
            else:
                return
            # Packed first, so that nothing is missing if somebody interrupts this.
            page = Run(count, zlib.compress(b"".join([run.raw for run in islice(loose, taken)]), _LEVEL))
            for _ in range(taken):
                loose.popleft()
            self._pages.append(page)

    def between(self, start: int, stop: int | None) -> Iterator[bytes]:
        """Yield entries from a position among those that are kept up to, not including, another.

        They are those of this moment, whatever comes or goes meanwhile.
        """
        over = self._held - len(self)
        start = max(0, start) + over
        stop = self._held if stop is None else max(0, stop) + over
        return _between(list(self._pages), list(self._loose), start, stop)


def _between(pages: list[Run], loose: list[Run], start: int, stop: int) -> Iterator[bytes]:
    first = 0
    for number, (count, raw) in enumerate((*pages, *loose)):
        if first >= stop:
            return
        if first + count > start:
            leaves = _split(zlib.decompress(raw) if number < len(pages) else raw)
            yield from islice(leaves, max(0, start - first), stop - first)
        first += count


def _split(raw: bytes) -> Iterator[bytes]:
    """Yield the entries that lie in one piece of memory."""
    reader = msgpack.Unpacker(max_buffer_size=len(raw))
    reader.feed(raw)
    at = 0
    while at < len(raw):
        reader.skip()
        end = reader.tell()
        yield raw[at:end]
        at = end
