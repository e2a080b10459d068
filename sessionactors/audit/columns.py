"""Entries of a whole batch as bytes, column by column.

Nearly all events are of the ordinary kind: sessions and actors are plain text, the data
are packed already. Of a batch that has no others, each column is made by one function
over all of it, in half the time that the events take one after the other. Any other batch
goes to `encode_keyed()`, which says what is wrong with it, if anything is.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count, islice, repeat
from math import isfinite
from typing import Any, Final, cast, final
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

__all__ = ["PIECE", "EventColumns", "encode_batch"]

PIECE: Final = 512
"""Events that are encoded together: what that needs stays in a processor's cache."""


@final
class EventColumns:
    """Events that follow each other, each of their fields as a column; whoever goes through them gets events.

    Args:
        columns: the six fields of `AuditEvent`, each for all events, as long as each other.

    Raises:
        ValueError: these are not six columns.

    Thread: any; nothing changes it.
    """

    __slots__ = ("actors", "data", "kinds", "moments", "sessions", "walls")

    def __init__(self, columns: Iterable[Sequence[Any]]) -> None:
        walls, moments, sessions, kinds, actors, data = columns
        self.walls: Sequence[float] = walls
        self.moments: Sequence[float] = moments
        self.sessions: Sequence[str | None] = sessions
        self.kinds: Sequence[int] = kinds
        self.actors: Sequence[str] = actors
        self.data: Sequence[object] = data

    def __iter__(self) -> Iterator[tuple[float, float, str | None, int, str, object]]:
        """Yield the events in order, each as a tuple."""
        return zip(self.walls, self.moments, self.sessions, self.kinds, self.actors, self.data, strict=True)

    def __len__(self) -> int:
        """Return how many events there are."""
        return len(self.moments)


def encode_batch(
    first: int,
    events: Iterable[tuple[float, float, str | None, int, str, object]],
    pack: Callable[[object], PackedData | PersonalData] = pack_data,
    pseudonym: Callable[[str], str] | None = None,
) -> KeyedLeaves:
    """Return what `encode_keyed()` does, sooner.

    Args:
        first: the position of the first of them.
        events: `AuditEvent`s, or tuples of the same shape; sooner still as `EventColumns`.
        pack: makes bytes of data that are none yet.
        pseudonym: what a session is called in the log; None for its own name.

    Raises:
        InvalidArgumentError: a time is no finite number, or a kind is unknown.
        InvalidTypeError: an event is no such tuple, or a name is no text.
    """
    if events.__class__ is EventColumns and pseudonym is None:
        part = _in_columns(first, events)
        if part is not None:
            return part
    source = iter(events)
    whole = KeyedLeaves([], [], [], [])
    while rows := list(islice(source, PIECE)):
        columns = None if pseudonym is not None else _columns_of(rows)
        part = None if columns is None else _in_columns(first, columns)
        if part is None:
            part = encode_keyed(first, rows, pack, pseudonym)
        first += len(rows)
        whole.leaves.extend(part.leaves)
        whole.keys.extend(part.keys)
        whole.kinds.extend(part.kinds)
        whole.personal.extend(part.personal)
    return whole


def _columns_of(rows: list[Any]) -> EventColumns | None:
    """Return the columns of events, or None if some are none."""
    try:
        return EventColumns(zip(*rows, strict=True))
    except (TypeError, ValueError):
        return None


def _in_columns(first: int, columns: EventColumns) -> KeyedLeaves | None:
    """Return the leaves of ordinary events, or None if some are not."""
    size = len(columns)
    header = header_at(first)
    if not size or first + size > header.limit:
        return None
    walls, moments, kinds = columns.walls, columns.moments, columns.kinds
    sessions, actors = cast("Sequence[str]", columns.sessions), columns.actors  # looked at below
    data = cast("Sequence[PackedData]", columns.data)  # likewise
    try:
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


def _are(kind: type, values: Sequence[object]) -> bool:
    return set(map(type, values)) == {kind}
