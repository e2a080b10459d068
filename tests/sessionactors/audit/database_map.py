"""What each byte of a small SQLite database is for, by the published file format.

Knows what an audit log of a few entries has: a header, and pages that are leaves of
table trees. It is for naming the bytes that a flip may hit without any consequence.
"""

from __future__ import annotations

from typing import Final

__all__ = ["SAYS_NOTHING", "places_of"]

_HEADER: Final = (
    (16, "magic"),
    (2, "page size"),
    (2, "file format versions"),
    (1, "reserved bytes of a page"),
    (3, "payload fractions"),
    (4, "change counter"),
    (4, "pages of the file"),
    (8, "free pages"),
    (4, "schema cookie"),
    (4, "schema format"),
    (4, "suggested cache size"),
    (4, "largest root for vacuum"),
    (4, "text encoding"),
    (4, "user version"),
    (4, "incremental vacuum"),
    (4, "application id"),
    (20, "reserved for expansion"),
    (4, "change counter at the last look"),
    (4, "version of the library"),
)
_LEAF_OF_TABLE: Final = 13

SAYS_NOTHING: Final = frozenset(
    {
        "change counter",
        "change counter at the last look",
        "free block",
        "free space",
        "incremental vacuum",
        "reserved for expansion",
        "schema cookie",
        "suggested cache size",
        "version of the library",
    }
)
"""Places that no row of any table depends on."""


def places_of(database: bytes) -> list[str]:
    """Return of each byte what it is for.

    Raises:
        ValueError: it has pages of another kind than this knows.
    """
    places = [name for size, name in _HEADER for _ in range(size)]
    page_size = int.from_bytes(database[16:18], "big")
    for start in range(0, len(database), page_size):
        places += _page(database[start : start + page_size], len(places) - start)
    return places


def _page(page: bytes, at: int) -> list[str]:
    """Return what the bytes of a page are for, from the page's own header on."""
    if page[at] != _LEAF_OF_TABLE:
        raise ValueError(f"a page of kind {page[at]}")
    cells = int.from_bytes(page[at + 3 : at + 5], "big")
    places = ["free space"] * len(page)
    places[at : at + 8] = [
        "kind of page",
        "first free block",
        "first free block",
        "number of cells",
        "number of cells",
        "start of the cells",
        "start of the cells",
        "fragments",
    ]
    pointers = range(at + 8, at + 8 + 2 * cells, 2)
    places[at + 8 : at + 8 + 2 * cells] = ["cell pointer"] * (2 * cells)
    for pointer in pointers:
        start = int.from_bytes(page[pointer : pointer + 2], "big")
        payload, after = _varint(page, start)
        _, after = _varint(page, after)
        size = max(after + payload - start, 4)
        places[start : start + size] = ["row"] * size
    block = int.from_bytes(page[at + 1 : at + 3], "big")
    while block:
        following, size = (int.from_bytes(page[block + more : block + more + 2], "big") for more in (0, 2))
        places[block : block + size] = ["free block link"] * 4 + ["free block"] * (size - 4)
        block = following
    return places[at:]


def _varint(page: bytes, at: int) -> tuple[int, int]:
    """Return a number as SQLite packs it, and where it ends; nine bytes are more than anything here has."""
    value = 0
    while page[at] & 0x80:
        value = value << 7 | page[at] & 0x7F
        at += 1
    return value << 7 | page[at], at + 1
