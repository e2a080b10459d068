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

_PAGES_AT_ONCE: Final = 256
"""Pages that are packed in one go, which takes sixty milliseconds; other threads run meanwhile."""

_LEVEL: Final = 1


class Run(NamedTuple):
    """Entries that follow each other.

    Attributes:
        first: the position of the first of them in the log.
        size: how many.
        raw: the entries, each in msgpack, one behind the other.
    """

    first: int
    size: int
    raw: bytes

    @property
    def end(self) -> int:
        """The position behind the last one."""
        return self.first + self.size


def runs(first: int, leaves: list[bytes]) -> list[Run]:
    """Return entries, the first of which has this position, as runs of a length that can be kept."""
    pieces = [(at, leaves[at : at + _RUN_MAX]) for at in range(0, len(leaves), _RUN_MAX)]
    return [Run(first + at, len(piece), b"".join(piece)) for at, piece in pieces]


@final
class RecentLeaves:
    """So many entries, the last ones.

    Args:
        most: how many are kept.

    Thread: one at a time.
    """

    __slots__ = ("_loose", "_most", "_pages")

    # Each run knows its place, so whoever is interrupted in between leaves nothing that is
    # missing, and nothing that would be taken for something else.

    def __init__(self, most: int) -> None:
        self._most = most
        self._pages: deque[Run] = deque()  # compressed
        self._loose: deque[Run] = deque()  # the newest ones, as they came

    @property
    def end(self) -> int:
        """The position behind the last entry; 0 while nothing is kept."""
        newest = self._loose or self._pages
        return newest[-1].end if newest else 0

    def __len__(self) -> int:
        """Return how many entries are kept."""
        oldest = self._pages or self._loose  # the first run may have more than is wanted
        return min(self._most, self.end - oldest[0].first) if oldest else 0

    def extend(self, added: Iterable[Run]) -> None:
        """Add entries that it does not have yet; the oldest go for it."""
        pages, loose = self._pages, self._loose
        end = self.end
        for run in added:
            if run.first >= end:
                loose.append(run)
                end = run.end
        while (oldest := pages or loose) and end - oldest[0].end >= self._most:
            oldest.popleft()

    def pack(self) -> None:
        """Pack what there is, as far as it fills pages, or as much as can be done in a moment."""
        pages, loose = self._pages, self._loose
        for _ in range(_PAGES_AT_ONCE):
            while pages and loose and loose[0].first < pages[-1].end:
                loose.popleft()
            if not loose or loose[-1].end - loose[0].first < _PAGE:
                return
            count = taken = 0
            for run in loose:
                count += run.size
                taken += 1
                if count >= _PAGE:
                    break
            # Packed first, so that nothing is missing if somebody interrupts this.
            raw = zlib.compress(b"".join([run.raw for run in islice(loose, taken)]), _LEVEL)
            pages.append(Run(loose[0].first, count, raw))
            for _ in range(taken):
                loose.popleft()

    def between(self, start: int, stop: int | None) -> Iterator[bytes]:
        """Yield entries from a position among those that are kept up to, not including, another.

        They are those of this moment, whatever comes or goes meanwhile.
        """
        end = self.end
        first = end - len(self)
        stop = end if stop is None else first + max(0, stop)
        return _between(list(self._pages), list(self._loose), first + max(0, start), stop)


def _between(pages: list[Run], loose: list[Run], at: int, stop: int) -> Iterator[bytes]:
    for number, run in enumerate((*pages, *loose)):
        if at >= stop:
            return
        if run.end > at:
            leaves = _split(zlib.decompress(run.raw) if number < len(pages) else run.raw)
            yield from islice(leaves, at - run.first, stop - run.first)
            at = run.end


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
