"""Entries of a whole batch as bytes, column by column.

Nearly all events are of the ordinary kind: sessions and actors are plain text, the data
are packed already. Of a batch that has no others, each column is made by one function
over all of it, in half the time that the events take one after the other. Any other batch
goes to `encode_keyed()`, which says what is wrong with it, if anything is.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from itertools import count, islice, repeat
from math import isfinite
from typing import Any, Final
from zlib import crc32

from sessionactors.audit.record import (
    FLOAT,
    NAME_SIZE_MAX,
    TEXT_HEADS,
    KeyedLeaves,
    PackedData,
    PersonalData,
    actor_text_of,
    encode_keyed,
    header_at,
    pack_data,
)

__all__ = ["PIECE", "encode_batch"]

PIECE: Final = 512
"""Events that are encoded together: what that needs stays in a processor's cache."""


def encode_batch(
    first: int,
    events: Iterable[tuple[float, float, str | None, int, str, object]],
    pack: Callable[[object], PackedData | PersonalData] = pack_data,
    pseudonym: Callable[[str], str] | None = None,
) -> KeyedLeaves:
    """Return what `encode_keyed()` does, sooner.

    Args:
        first: the position of the first of them.
        events: `AuditEvent`s, or tuples of the same shape.
        pack: makes bytes of data that are none yet.
        pseudonym: what a session is called in the log; None for its own name.

    Raises:
        InvalidArgumentError: a time is no finite number, or a kind is unknown.
        InvalidTypeError: an event is no such tuple, or a name is no text.
    """
    source = iter(events)
    whole = KeyedLeaves([], [], [], [])
    while rows := list(islice(source, PIECE)):
        part = None if pseudonym is not None else _in_columns(first, rows)
        if part is None:
            part = encode_keyed(first, rows, pack, pseudonym)
        first += len(rows)
        whole.leaves.extend(part.leaves)
        whole.keys.extend(part.keys)
        whole.kinds.extend(part.kinds)
        whole.personal.extend(part.personal)
    return whole


def _in_columns(first: int, rows: list[Any]) -> KeyedLeaves | None:
    """Return the leaves of ordinary events, or None if some are not."""
    header = header_at(first)
    if first + len(rows) > header.limit:
        return None
    try:
        walls, moments, sessions, kinds, actors, data = zip(*rows, strict=True)
        are_plain = _are(str, sessions) and _are(str, actors) and _are(PackedData, data)
        if not are_plain or not isfinite(sum(walls) + sum(moments)):
            return None
        names = list(map(str.encode, sessions, repeat("utf-8"), repeat("backslashreplace")))
        sizes = list(map(len, names))
        if max(sizes) > NAME_SIZE_MAX:
            return None
        texts: dict[str, bytes] = {}
        for actor in set(actors):
            actor_text_of(actor, texts)
        prefixes = map(header.prefixes.__getitem__, kinds)
        headers = map(header.pack, prefixes, count(first), repeat(FLOAT), walls, repeat(FLOAT), moments)
        heads, told = map(TEXT_HEADS.__getitem__, sizes), map(texts.__getitem__, actors)
        leaves = list(map(b"".join, zip(headers, heads, names, told, data, strict=True)))
    except (KeyError, TypeError, ValueError, OverflowError, struct.error):
        return None
    return KeyedLeaves(leaves, list(map(crc32, names)), list(kinds), [])


def _are(kind: type, values: tuple[object, ...]) -> bool:
    return set(map(type, values)) == {kind}
