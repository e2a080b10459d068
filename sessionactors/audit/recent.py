"""The last entries of a log in memory, packed by the page while nothing else is to be done.

Entries resemble each other, so a page of them shrinks to a fifth or less. A busy log leaves
them as they are: they will be pushed out soon enough, and what packs them now would keep
somebody waiting.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Iterator
from itertools import chain, islice
from typing import Final, final

import msgpack

__all__ = ["RecentLeaves"]

_PAGE: Final = 256
"""Entries on a page. A larger one is hardly smaller, and has to be unpacked whole."""

_PAGES_AT_ONCE: Final = 128
"""Pages that are packed in one go, which takes ten milliseconds; other threads run meanwhile."""

_LEVEL: Final = 3


@final
class RecentLeaves:
    """So many entries, the last ones.

    Args:
        most: how many are kept.

    Thread: one at a time.
    """

    __slots__ = ("_loose", "_most", "_packed", "_pages")

    def __init__(self, most: int) -> None:
        self._most = most
        self._pages: deque[bytes] = deque()  # each of _PAGE entries; the first may have more than is wanted
        self._packed = 0  # entries on the pages
        self._loose: deque[bytes] = deque()  # the newest ones

    def __len__(self) -> int:
        """Return how many entries are kept."""
        return min(self._most, self._packed + len(self._loose))

    def extend(self, leaves: list[bytes]) -> None:
        """Add entries; the oldest go for it."""
        loose = self._loose
        loose.extend(leaves)
        over = self._packed + len(loose) - self._most
        while over >= _PAGE and self._pages:
            self._pages.popleft()
            self._packed -= _PAGE
            over -= _PAGE
        if not self._pages:
            for _ in range(over):
                loose.popleft()

    def pack(self) -> None:
        """Pack what there is, as far as it fills pages, or as much as can be done in a moment."""
        loose = self._loose
        for _ in range(min(_PAGES_AT_ONCE, len(loose) // _PAGE)):
            page = list(islice(loose, _PAGE))
            # Packed first, so that nothing is missing if somebody interrupts this.
            self._pages.append(zlib.compress(msgpack.packb(page), _LEVEL))
            self._packed += _PAGE
            for _ in page:
                loose.popleft()

    def between(self, start: int, stop: int | None) -> Iterator[bytes]:
        """Yield entries from a position among those that are kept up to, not including, another.

        They are those of this moment, whatever comes or goes meanwhile.
        """
        start = max(0, start) + self._packed + len(self._loose) - len(self)
        stop = None if stop is None else max(start, max(0, stop) + self._packed + len(self._loose) - len(self))
        first = min(start, self._packed) // _PAGE
        pages = list(islice(self._pages, first, None))
        loose = list(self._loose)
        before = first * _PAGE
        leaves = chain(chain.from_iterable(map(_unpacked, pages)), loose)
        return islice(leaves, start - before, None if stop is None else stop - before)


def _unpacked(page: bytes) -> list[bytes]:
    leaves: list[bytes] = msgpack.unpackb(zlib.decompress(page))
    return leaves
