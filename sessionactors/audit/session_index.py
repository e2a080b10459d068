"""Which entries belong to a session: an index that is written in order.

A database index on the session would touch as many scattered pages as there are
live sessions, for every batch, and more of them the longer the log gets. So the
log is cut into *segments* of 16,384 entries, and when a segment is full its
index is made once, sorted, and stored as a few blocks that never change. To
find a session is one look-up for each segment, and a look through the unfinished
last one.

A session's *key* is the CRC-32 of its id: no table of names to keep, to look
things up in, or to verify. Two sessions may share a key, so whoever reads by
key compares the session in the entry. Rare types of event are found in the same
way, under keys of 33 bits; state transitions, the bulk of every log, are not:
those who want them all read the log from end to end.

Everything here is a function of the entries alone, so a verifier makes the same
blocks again and compares.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias, final
from zlib import crc32

from sessionactors.audit.record import EVENT_TYPES, kind_of

__all__ = [
    "KEY_BITS",
    "SEGMENT_BITS",
    "SEGMENT_SIZE",
    "Block",
    "OpenSegment",
    "block_id",
    "blocks_of",
    "find_in_block",
    "index_entries",
    "key_of_kind",
    "key_of_session",
    "keys_of",
]

SEGMENT_BITS: Final = 14
SEGMENT_SIZE: Final = 1 << SEGMENT_BITS
"""Entries of one segment."""

KEY_BITS: Final = 33
"""Bits of a key; above them a block's id has the number of the segment."""

Block: TypeAlias = tuple[int, bytes]
"""A block's id and its packed index entries."""

_KEY_OF_KINDS: Final = 1 << 32
_PLACE_MASK: Final = SEGMENT_SIZE - 1
_BLOCK_ENTRIES: Final = 480  # of 8 bytes each: two such blocks fill a page of the database
_TRANSITION_MOST: Final = 7  # kinds above it are of other types than the state transition
_SEQUENCE_AT: Final = 4
_TIMES_SIZE: Final = 18
_NIL: Final = 0xC0


@final
class OpenSegment:
    """The index entries of the last segment of a log, until it is full.

    Thread: one at a time; the owner's.
    """

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries = array("Q")

    def extend(self, first: int, keys: Sequence[int], kinds: Sequence[int]) -> list[Block]:
        """Take in entries that follow the ones before; return the blocks of the segments that they fill.

        Args:
            first: the position in the log of the first entry.
            keys: of each entry, as from `keys_of()`; in order, as many as you like.
            kinds: of each entry, as from `kinds_of()`.
        """
        blocks: list[Block] = []
        start = 0
        while start < len(keys):
            position = first + start
            stop = start + SEGMENT_SIZE - (position & _PLACE_MASK)
            self._entries.extend(index_entries(position, keys[start:stop], kinds[start:stop]))
            if stop <= len(keys):
                blocks += blocks_of(position >> SEGMENT_BITS, self._entries)
                self._entries = array("Q")
            start = stop
        return blocks

    def copy(self) -> OpenSegment:
        """Return an independent segment with the same entries."""
        twin = OpenSegment()
        twin._entries = self._entries[:]
        return twin


def key_of_session(session: str | None) -> int:
    """Return the key under which a session's entries are found."""
    return 0 if session is None else crc32(session.encode())


def key_of_kind(event_type: str, severity: str) -> int | None:
    """Return the key under which a kind of event is found, or None for those that are not indexed."""
    kind = kind_of(event_type, severity)
    return None if event_type == EVENT_TYPES[0] else _KEY_OF_KINDS | kind


def keys_of(first: int, leaves: Sequence[bytes]) -> list[int]:
    """Return the key of the session in each entry.

    Args:
        first: the position in the log of the first entry.
        leaves: in order.

    Raises:
        IndexError: something is too short to be an entry.
    """
    keys: list[int] = []
    while len(keys) < len(leaves):
        # Where the session stands depends on the width of the sequence number alone.
        start = len(keys)
        width, widens_at = _width_at(first + start)
        at = _SEQUENCE_AT + width + _TIMES_SIZE
        keys += [
            # A head below nil is that of a short text: its length is in the head.
            crc32(leaf[at + 1 : at + 1 + (head & 31)]) if (head := leaf[at]) < _NIL else _key_at(leaf, at)
            for leaf in leaves[start : widens_at - first]
        ]
    return keys


def index_entries(first: int, keys: Sequence[int], kinds: Sequence[int]) -> list[int]:
    """Return the index entries of entries of the log: each a key, and below it the place in the segment.

    Args:
        first: the position in the log of the first entry.
        keys: of each entry, as from `keys_of()`; all are of the same segment.
        kinds: of each entry, as from `kinds_of()`.
    """
    place = first & _PLACE_MASK
    entries = [key << SEGMENT_BITS | number for number, key in enumerate(keys, place)]
    entries += [
        (_KEY_OF_KINDS | kind) << SEGMENT_BITS | number
        for number, kind in enumerate(kinds, place)
        if kind > _TRANSITION_MOST
    ]
    return entries


def blocks_of(segment: int, entries: Iterable[int]) -> list[Block]:
    """Return the blocks of a full segment, in the order of their ids.

    A key never spans two blocks, so the block of a key is the last one whose id
    is not above it.

    Args:
        segment: which segment, from 0.
        entries: from `index_entries()`, in any order.
    """
    ordered = sorted(entries)
    blocks: list[Block] = []
    start = 0
    while start < len(ordered):
        stop = start + _BLOCK_ENTRIES
        if stop < len(ordered):
            stop = bisect_left(ordered, (ordered[stop - 1] >> SEGMENT_BITS) + 1 << SEGMENT_BITS, stop)
        blocks.append((block_id(segment, ordered[start] >> SEGMENT_BITS), _to_bytes(ordered[start:stop])))
        start = stop
    return blocks


def block_id(segment: int, key: int) -> int:
    """Return the id that a block beginning with a key has."""
    return segment << KEY_BITS | key


def find_in_block(block: bytes, key: int) -> list[int]:
    """Return the place in the segment of each entry with a key, in the order of the log."""
    entries = _from_bytes(block)
    start = bisect_left(entries, key << SEGMENT_BITS)
    stop = bisect_left(entries, key + 1 << SEGMENT_BITS, start)
    return [entry & _PLACE_MASK for entry in entries[start:stop]]


def _key_at(leaf: bytes, at: int) -> int:
    """Return the key of a session that is absent or has a long id."""
    if leaf[at] == _NIL:
        return 0
    return crc32(leaf[at + 2 : at + 2 + leaf[at + 1]])


def _to_bytes(entries: list[int]) -> bytes:
    packed = array("Q", entries)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def _from_bytes(block: bytes) -> array[int]:
    packed = array("Q")
    packed.frombytes(block)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed


def _width_at(sequence: int) -> tuple[int, int]:
    """Return how many bytes a sequence number takes in an entry, and the first one that takes more."""
    for bits, width in ((7, 1), (8, 2), (16, 3), (32, 5)):
        if sequence < 1 << bits:
            return width, 1 << bits
    return 9, 1 << 64
