"""What an entry of the audit log is, and the one way to write it as bytes.

An entry is a msgpack array of nine::

    [1, type, severity, sequence, wall time, monotonic time, session, actor, data]

====  ==============  ==============================================================
0     version         1
1     type            position in `EVENT_TYPES`
2     severity        position in `SEVERITIES`
3     sequence        position in the log, from 0
4     wall time       float, seconds since 1970 UTC, as the clock gave it
5     monotonic time  float, seconds, as the clock gave it
6     session         text, or nil where no session is concerned
7     actor           text: who did it
8     data            mapping with sorted text keys, or nil; what is personal stands
                      in it as a commitment, see `sessionactors.audit.personal`
====  ==============  ==============================================================

Integers take the shortest form and floats always eight bytes, so an entry has
one encoding only. These bytes are the leaf of the Merkle tree: they are stored
as they are, never built again. A leaf has at most 65,535 bytes; data that would
not fit are replaced by their hash and size. Types and severities keep their
position for ever: new ones are added at the end.

Most entries of a busy log are plain state transitions. Their data are one of
fourteen edges, packed once (`transition_data()`); what is left to do for each
is the header, whose parts have a fixed width.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple, TypeAlias, cast, final, get_args
from zlib import crc32

import msgpack

from sessionactors.audit.plain_values import FORBIDDEN_KEYS, TEXT_SHOWN_MAX, Plain, is_forbidden, plain
from supervisors.errors import InvalidArgumentError, InvalidTypeError, SupervisorsError

__all__ = [
    "DATA_SIZE_MAX",
    "EVENT_TYPES",
    "FLOAT",
    "KINDS",
    "LEAF_SIZE_MAX",
    "NO_DATA",
    "PERSONAL",
    "SEVERITIES",
    "TEXT_HEADS",
    "AuditEvent",
    "AuditRecord",
    "EventType",
    "KeyedLeaves",
    "Opening",
    "PackedData",
    "PersonalData",
    "Severity",
    "actor_text_of",
    "as_mapping",
    "decode",
    "encode",
    "encode_keyed",
    "encode_many",
    "header_at",
    "kind_of",
    "kinds_of",
    "pack_data",
    "stored_name",
    "transition_data",
]

EventType: TypeAlias = Literal["state_transition", "auth", "resource", "error", "security", "compliance", "lifecycle"]
Severity: TypeAlias = Literal["debug", "info", "warning", "error", "critical"]

EVENT_TYPES: Final[tuple[EventType, ...]] = get_args(EventType)
SEVERITIES: Final[tuple[Severity, ...]] = get_args(Severity)

LEAF_SIZE_MAX: Final = 65_535
"""Bytes of the longest entry: what a two-byte length can say, as tiles of such logs do."""

NAME_SIZE_MAX: Final = 255
"""Bytes of the longest session or actor; a longer one is cut and told apart by its hash."""

_HEADER_SIZE_MAX: Final = 4 + 9 + 9 + 9
_NAMES_SIZE_MAX: Final = 2 * (2 + NAME_SIZE_MAX)

DATA_SIZE_MAX: Final = LEAF_SIZE_MAX - _HEADER_SIZE_MAX - _NAMES_SIZE_MAX
"""Bytes of packed data that fit beside the longest names."""

PERSONAL: Final = "$personal"
"""The name under which data have commitments; nobody else's data have it."""

_NIL: Final = b"\xc0"
_ARRAY_OF_9: Final = 0x99
FLOAT: Final = 0xCB
_VERSION: Final = 1
_FLAT_KINDS: Final = frozenset({bool, float, int, str, type(None)})
_FLAT_ITEMS_MAX: Final = 16
_FLAT_KEY_MAX: Final = 64


class AuditEvent(NamedTuple):
    """What happened, before the log gives it a place. A plain tuple in this order does as well.

    Attributes:
        wall_time: seconds since 1970 UTC.
        monotonic_time: seconds.
        session: the session's id, or None.
        kind: type and severity, from `kind_of()`.
        actor: who did it: "session", "reaper", "admin:alice".
        data: what there is to say: a mapping of anything, what `pack_data()`
            gave, or None.
    """

    wall_time: float
    monotonic_time: float
    session: str | None
    kind: int
    actor: str
    data: object


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """An entry of the log, decoded.

    Attributes:
        sequence: its position in the log, from 0.
        wall_time: seconds since 1970 UTC.
        monotonic_time: seconds.
        session: the session's id, or None.
        type: one of `EVENT_TYPES`.
        severity: one of `SEVERITIES`.
        actor: who did it.
        data: plain values only.
    """

    sequence: int
    wall_time: float
    monotonic_time: float
    session: str | None
    type: EventType
    severity: Severity
    actor: str
    data: dict[str, Plain]


@final
class PackedData(bytes):
    """Data that need no more work: plain, without secrets, as canonical msgpack of at most `DATA_SIZE_MAX` bytes.

    They are the bytes themselves, with a class that tells them from bytes of a program's.
    """

    __slots__ = ()


class Opening(NamedTuple):
    """What opens a commitment: personal data that an entry has only the commitment of.

    Attributes:
        pointer: where in the data it was, as a JSON pointer (RFC 6901).
        subject: whose it is, or None where the data do not say.
        salt: 32 random bytes.
        value: what was there, packed.
    """

    pointer: str
    subject: str | None
    salt: bytes
    value: bytes


@final
class PersonalData(NamedTuple):
    """Data with commitments in the place of what is personal, and what opens them.

    Attributes:
        packed: what the entry has.
        openings: what is kept beside the log, until it is erased.
    """

    packed: PackedData
    openings: tuple[Opening, ...]


class KeyedLeaves(NamedTuple):
    """Entries as bytes, with what their index and the counters need: reading it back from the bytes takes longer.

    Attributes:
        leaves: the entries in order.
        keys: of each, the CRC-32 of its session as the log keeps it; 0 for none.
        kinds: of each, type and severity.
        personal: position, session and openings of those that have any.
    """

    leaves: list[bytes]
    keys: list[int]
    kinds: list[int]
    personal: list[tuple[int, str | None, tuple[Opening, ...]]]


NO_DATA: Final = PackedData(_NIL)
"""For events whose kind says all."""

KINDS: Final[dict[int, tuple[EventType, Severity]]] = {
    number * 8 + grade: (event_type, severity)
    for number, event_type in enumerate(EVENT_TYPES)
    for grade, severity in enumerate(SEVERITIES)
}
"""What each kind stands for: eight times the type's position plus the severity's."""

_KIND_NUMBERS: Final = {pair: kind for kind, pair in KINDS.items()}
# How msgpack announces a text of each length in bytes.
TEXT_HEADS: Final = [bytes((0xA0 | size,)) if size < 32 else bytes((0xD9, size)) for size in range(NAME_SIZE_MAX + 1)]


class _Header(NamedTuple):
    """How the first six fields of an entry are packed, for one width of the sequence number.

    Attributes:
        limit: the first sequence number that is too large for it.
        prefixes: for each kind, all that stands before the sequence number.
        pack: takes prefix, sequence, float tag, wall time, float tag, monotonic time.
    """

    limit: int
    prefixes: dict[int, bytes]
    pack: Callable[[bytes, int, int, float, int, float], bytes]


def _header(bits: int, tag: bytes, layout: str) -> _Header:
    prefixes = {kind: bytes((_ARRAY_OF_9, _VERSION, kind >> 3, kind & 7)) + tag for kind in KINDS}
    return _Header(1 << bits, prefixes, struct.Struct(layout).pack)


_HEADERS: Final = (
    _header(7, b"", ">4sBBdBd"),
    _header(8, b"\xcc", ">5sBBdBd"),
    _header(16, b"\xcd", ">5sHBdBd"),
    _header(32, b"\xce", ">5sIBdBd"),
    _header(64, b"\xcf", ">5sQBdBd"),
)

# Not one shared Packer: it has a buffer, and several threads may pack at once.
_pack: Callable[[object], bytes] = msgpack.packb
_unpack: Callable[..., Any] = msgpack.unpackb


def kind_of(event_type: str, severity: str = "info") -> int:
    """Return the number for a type and a severity.

    Raises:
        InvalidArgumentError: there is no such type or severity.
    """
    kind = _KIND_NUMBERS.get(cast("tuple[EventType, Severity]", (event_type, severity)))
    if kind is not None:
        return kind
    if event_type not in EVENT_TYPES:
        raise InvalidArgumentError("event_type", event_type, " | ".join(EVENT_TYPES))
    raise InvalidArgumentError("severity", severity, " | ".join(SEVERITIES))


def pack_data(data: object, names: frozenset[str] = FORBIDDEN_KEYS) -> PackedData:
    """Return data as plain values without secrets, packed; never fails on what it is given.

    Args:
        data: a mapping of anything, or None; anything else is kept under "value".
        names: forbidden names, from `plain_values.forbidden_names()`.
    """
    return NO_DATA if data is None else PackedData(_packed(data, names))


@lru_cache(maxsize=256)
def transition_data(from_state: str, to_state: str) -> PackedData:
    """Return the data of a state transition about which there is nothing more to say."""
    return pack_data({"from_state": from_state, "to_state": to_state})


def kinds_of(leaves: Iterable[bytes]) -> list[int]:
    """Return type and severity of each entry.

    Raises:
        IndexError: something is too short to be an entry.
    """
    return [leaf[2] << 3 | leaf[3] for leaf in leaves]


def stored_name(name: str) -> str:
    """Return a session or actor as the log keeps it: valid UTF-8 and not too long."""
    if len(name) <= NAME_SIZE_MAX and name.isascii():  # nearly all are
        return name
    raw = name.encode("utf-8", "backslashreplace")
    if len(raw) <= NAME_SIZE_MAX:
        return raw.decode()
    digest = hashlib.sha256(raw).hexdigest()
    return f"{raw[: NAME_SIZE_MAX - len(digest) - 1].decode('utf-8', 'ignore')}~{digest}"


def encode(sequence: int, event: AuditEvent) -> bytes:
    """Return the leaf of one event at a position."""
    (leaf,) = encode_many(sequence, (event,))
    return leaf


def encode_many(
    first: int,
    events: Iterable[tuple[float, float, str | None, int, str, object]],
    forbidden: frozenset[str] = FORBIDDEN_KEYS,
) -> list[bytes]:
    """Return the leaves of events that follow each other; see `encode_keyed()`."""
    return encode_keyed(first, events, lambda data: pack_data(data, forbidden)).leaves


def encode_keyed(
    first: int,
    events: Iterable[tuple[float, float, str | None, int, str, object]],
    pack: Callable[[object], PackedData | PersonalData] = pack_data,
    pseudonym: Callable[[str], str] | None = None,
) -> KeyedLeaves:
    """Return the leaves of events that follow each other, and what their index is made of.

    Args:
        first: the position of the first of them.
        events: `AuditEvent`s, or tuples of the same shape.
        pack: makes bytes of data that are none yet.
        pseudonym: what a session is called in the log; None for its own name.

    Raises:
        InvalidArgumentError: a time is no finite number, or a kind is unknown.
        InvalidTypeError: an event is no such tuple, or a name is no text.
    """
    leaves: list[bytes] = []
    keys: list[int] = []
    kinds: list[int] = []
    personal: list[tuple[int, str | None, tuple[Opening, ...]]] = []
    append, append_key, append_kind = leaves.append, keys.append, kinds.append
    join, heads = b"".join, TEXT_HEADS
    pseudonyms: dict[str, bytes] = {}
    actors: dict[str, bytes] = {}  # there are few
    limit, prefixes, pack_header = header_at(first)
    for sequence, event in enumerate(events, first):
        if sequence == limit:
            limit, prefixes, pack_header = header_at(sequence)
        try:
            wall, monotonic, session, kind, actor, data = event
            # Zero times anything is zero, unless that is infinite or no number.
            is_timeless = (wall + monotonic) * 0.0
            header = pack_header(prefixes[kind], sequence, FLOAT, wall, FLOAT, monotonic)
        except (KeyError, TypeError, ValueError, struct.error) as error:
            raise _fault(event) from error
        if is_timeless:
            raise _fault(event)
        if session.__class__ is str and pseudonym is None:
            # Not looked up: a batch has nearly as many sessions as events.
            name = session.encode("utf-8", "backslashreplace")
            if len(name) > NAME_SIZE_MAX:
                name = stored_name(session).encode()
        else:
            name = _session_name(session, pseudonym, pseudonyms)
        head = _NIL if session is None else heads[len(name)]
        found = actors.get(actor) if actor.__class__ is str else None
        actor_text = actor_text_of(actor, actors) if found is None else found
        raw: Any = data
        if raw.__class__ is not PackedData:
            if raw.__class__ is not PersonalData:
                raw = pack(raw)
            if raw.__class__ is PersonalData:
                raw, openings = raw
                personal.append((sequence, _unpack(head + name), openings))
        append(join((header, head, name, actor_text, raw)))
        append_key(crc32(name))  # of nothing it is 0
        append_kind(kind)
    return KeyedLeaves(leaves, keys, kinds, personal)


def decode(leaf: bytes) -> AuditRecord:
    """Return an entry from its bytes.

    Raises:
        InvalidArgumentError: these bytes are no entry of the log.
    """
    try:
        version, event_type, severity, sequence, wall, monotonic, session, actor, data = _unpack(leaf)
        kind = KINDS[event_type * 8 + severity]
    except (ValueError, TypeError, KeyError) as error:
        raise InvalidArgumentError("leaf", leaf, "an entry of the audit log") from error
    if version != _VERSION:
        raise InvalidArgumentError("leaf", leaf, f"an entry of version {_VERSION}")
    return AuditRecord(sequence, wall, monotonic, session, *kind, actor, data or {})


def _packed(data: object, forbidden: frozenset[str]) -> bytes:
    """Return canonical msgpack of data as plain values, or of their hash and size if that is too long."""
    if data is None:
        return _NIL
    raw = _packed_as_it_is(data, forbidden) if data.__class__ is dict else None
    if raw is None:
        raw = _pack(as_mapping(plain(data, forbidden)))
    if len(raw) > DATA_SIZE_MAX:
        raw = _pack({"$sha256": hashlib.sha256(raw).hexdigest(), "$size": len(raw)})
    return raw


def as_mapping(value: Plain) -> dict[str, Plain]:
    """Return plain data as a mapping, in which nothing passes for a commitment."""
    if not isinstance(value, dict):
        return {"value": value}
    if PERSONAL in value:
        free = f"${PERSONAL}"
        while free in value:
            free = f"${free}"
        value = dict(sorted({free if key == PERSONAL else key: item for key, item in value.items()}.items()))
    return value


def _packed_as_it_is(data: object, forbidden: frozenset[str]) -> bytes | None:
    """Return the msgpack of a small flat mapping that `plain()` would not change, or None.

    That is what most data are, and it takes a fifth of the time.
    """
    assert isinstance(data, dict)
    if len(data) > _FLAT_ITEMS_MAX or PERSONAL in data:
        return None
    for key, value in data.items():
        if key.__class__ is not str or value.__class__ not in _FLAT_KINDS or len(key) > _FLAT_KEY_MAX:
            return None
        if is_forbidden(key, forbidden):
            return None
        if value.__class__ is float and not math.isfinite(value):
            return None
        if value.__class__ is str and len(value) > TEXT_SHOWN_MAX:
            return None
    try:
        return _pack(dict(sorted(data.items())))
    except (OverflowError, UnicodeEncodeError):  # a huge integer, a lone surrogate
        return None


def header_at(sequence: int) -> _Header:
    """Return how the first fields of an entry at a position are packed."""
    for header in _HEADERS:
        if sequence < header.limit:
            return header
    raise InvalidArgumentError("first", sequence, "below 2 ** 64")


def _session_name(given: object, pseudonym: Callable[[str], str] | None, known: dict[str, bytes]) -> bytes:
    """Return a session as the log keeps it, in UTF-8; nothing for None.

    Args:
        given: the session.
        pseudonym: what it is called in the log.
        known: what was found before.
    """
    if given is None:
        return b""
    if not isinstance(given, str):
        raise InvalidTypeError("session", given, "text or None")
    given = str.__str__(given)  # a class of its own may have its own idea of equality
    name = known.get(given)
    if name is None:
        name = known[given] = stored_name(given if pseudonym is None else pseudonym(given)).encode()
    return name


def actor_text_of(given: object, known: dict[str, bytes]) -> bytes:
    """Return an actor as msgpack text.

    Args:
        given: the actor.
        known: what was found before.
    """
    if not isinstance(given, str):
        raise InvalidTypeError("actor", given, "text")
    given = str.__str__(given)  # a class of its own may have its own idea of equality
    text = known.get(given)
    if text is None:
        raw = stored_name(given).encode()
        text = known[given] = TEXT_HEADS[len(raw)] + raw
    return text


def _fault(event: object) -> SupervisorsError:
    """Return the error for an event that has no encoding; it comes from a program, never from data."""
    if not isinstance(event, tuple) or len(event) != len(AuditEvent._fields):
        return InvalidTypeError("event", event, f"a tuple ({', '.join(AuditEvent._fields)})")
    for field, value in zip(AuditEvent._fields[:2], event, strict=False):
        if not isinstance(value, (int, float)):
            return InvalidTypeError(field, value, "seconds as a float")
        if not math.isfinite(value):
            return InvalidArgumentError(field, value, "finite seconds")
    return InvalidArgumentError("kind", event[3], "what kind_of() returns")
