"""Sessions as bytes, and back: MessagePack, a schema version, a checksum.

A record is worth nothing when one of its parts belongs to another session, so the
content names its session, and the checksum is over all of the content. It finds what
disks and people spoil by accident; who can write the file can also write the checksum.

MessagePack has no types that run code. What very many sessions have in common, their
options, their quota and the edges of their histories, is packed on its own: packing it
takes longer than all the rest, and so it is done once.

=======  =======================================================================
schema   what it means
=======  =======================================================================
1        a map with text keys, see `sessionactors.storage.first_schema`; read,
         and never written any more
2        a list: the values of what `sessionactors.snapshots.snapshot` returns,
         without their names, in the order of `_FIELDS`. `options` and `quota`
         are maps, packed again, of what differs from `_OPTIONS` and `_QUOTA`.
         `history` alternates an edge, packed again, with its age. Last comes a
         map of what else is stored of this session, or nil; `MOMENT` is there
=======  =======================================================================
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final, TypeVar

import msgpack

from sessionactors import identifiers
from sessionactors.effects import Transition
from sessionactors.errors import InvalidKind, InvalidValue
from sessionactors.session_data import SessionData
from sessionactors.settings import MIB, Quota, SessionOptions
from sessionactors.snapshots import plain_edge, plain_options
from sessionactors.storage import first_schema
from sessionactors.storage.contract import Record, StoredRecord
from sessionactors.storage.errors import DamagedRecordError, NewerRecordError

__all__ = ["MOMENT", "SCHEMA", "SNAPSHOT_SIZE_MAX", "decode", "deletion", "encode", "id_of"]

SCHEMA: Final = 2

SNAPSHOT_SIZE_MAX: Final = 16 * MIB
"""Bytes of one encoded snapshot: a session with the longest history that can be asked for has less."""

MOMENT: Final = "moment"
"""Under which a record says when it was written, in monotonic seconds of the process that did: to it alone, and
so while the owner is the same, they tell better than `saved_at` how long that was ago, for nobody can set them."""

_FIELDS: Final = (
    "session_id",
    "state",
    "saved_at",
    "age",
    "state_age",
    "idle",
    "authenticated_age",
    "user_id",
    "metadata",
    "options",
    "quota",
    "requests",
    "bytes",
    "largest_message",
    "auth_attempts",
    "locked",
    "suspend_reason",
    "transitions",
    "recovery_attempts",
    "history",
)

# These two are what schema 2 means, and not the defaults of today: those may change,
# and what is stored may not change with them. An option that is new and not among these
# is always written. They are only ever changed together with the number of the schema.
_OPTIONS: Final[Mapping[str, object]] = {
    "idle_timeout": 300.0,
    "auth_timeout": 30.0,
    "suspend_timeout": None,
    "absolute_timeout": None,
    "ttl": 3600.0,
    "hibernate_after": None,
    "spill_after": None,
    "max_auth_attempts": 3,
    "strict_authentication": False,
    "auth_required": True,
    "locked_out": False,
    "resume_allowed": True,
    "migration_allowed": False,
    "persistent": True,
    "backend": "default",
    "keep_persistent": False,
    "memory_limit": 104857600,
    "protocol_version": "2025-11-25",
    "max_history_size": 100,
    "audit_requests_every": 100,
}
_QUOTA: Final[Mapping[str, object]] = {"max_requests": 1000, "max_connections": 10, "max_message_size": 10485760}

_CHECKSUM_SIZE: Final = 16
_SHARED_MAX: Final = 256
_PLACE_MAX: Final = 200  # characters that tell where in a snapshot something stands
_KEPT_MAX: Final = MIB  # bytes; what a packer has room for from the start

_T = TypeVar("_T", SessionOptions, Quota, Transition)


def encode(data: SessionData, now: float, wall: float, more: Mapping[str, object] | None = None) -> Record:
    """Return the record of a session as it is at this moment; credentials are left out.

    Args:
        data: the session.
        now: monotonic seconds.
        wall: UTC seconds at the same moment.
        more: what is stored beside the snapshot, by names that it does not have itself.

    Raises:
        InvalidValue: it has more bytes than a record may have.
        InvalidKind: something in it cannot be stored, or would not come back from there.

    Thread: any that may read the session.
    """
    # One list, written out: this is done for every change of every stored session.
    authenticated_at, recorded = data.authenticated_at, data.recorded
    history: list[object] = []
    if recorded is not None:
        edges, add = _edges, history.append
        following: Iterator[Any] = iter(recorded)
        for edge in following:
            known = edges.get(id(edge))
            add(known[1] if known is not None and known[0] is edge else _packed_once(edge, edges))
            add(now - next(following))
    packed = _packed((
        data.session_id,
        data.state,
        wall,
        now - data.created_at,
        now - data.state_entered_at,
        now - data.last_activity,
        None if authenticated_at is None else now - authenticated_at,
        data.user_id,
        dict(data.metadata) if data.metadata else {},
        _packed_once(data.options, _options),
        _packed_once(data.quota, _quotas),
        data.requests,
        data.bytes,
        data.largest_message,
        data.auth_attempts,
        data.locked,
        data.suspend_reason,
        data.transitions,
        data.recovery_attempts,
        history,
        {MOMENT: now} if more is None else {**more, MOMENT: now},
    ))  # fmt: skip
    if len(packed) > SNAPSHOT_SIZE_MAX:
        raise InvalidValue("snapshot", len(packed), f"at most {SNAPSHOT_SIZE_MAX} bytes")
    if more is not None or data.metadata:
        _check_readable(packed)
    return Record(data.session_id, SCHEMA, _checksum(packed), packed)


# Packed values by the identity of what they were made of, because to hash that takes
# longer than all the rest. It is kept beside them, so that its identity cannot pass to
# something else. One key is read or written at a time, so threads that do so at once at
# worst do the same work twice.
_options: Final[dict[int, tuple[SessionOptions, bytes]]] = {}
_quotas: Final[dict[int, tuple[Quota, bytes]]] = {}
_edges: Final[dict[int, tuple[Transition, bytes]]] = {}


def _packed_once(value: _T, known: dict[int, tuple[_T, bytes]]) -> bytes:
    found = known.get(id(value))
    if found is not None and found[0] is value:
        return found[1]
    if isinstance(value, Transition):
        packed = _packed(plain_edge(value))
    elif isinstance(value, Quota):
        packed = _packed(_differing(value.as_dict(), _QUOTA))
    else:
        packed = _packed(_differing(plain_options(value), _OPTIONS))
    if len(known) >= _SHARED_MAX:
        known.clear()
    known[id(value)] = (value, packed)
    return packed


def _differing(settings: Mapping[str, object], known: Mapping[str, object]) -> dict[str, object]:
    """Return what is not as the schema says, in value or in kind: 1 is not True."""
    return {
        name: value
        for name, value in settings.items()
        if not (name in known and type(value) is type(known[name]) and value == known[name])
    }


class _OwnPacker(threading.local):
    """A packer for each thread: it has a buffer, and making one for every record takes a fifth of the time."""

    def __init__(self) -> None:
        self.pack: Callable[[object], bytes] = msgpack.Packer().pack


_own: Final = _OwnPacker()


def _packed(value: object) -> bytes:
    own = _own
    # A mapping of a user's may run code while it is packed, which may have something packed
    # itself: that goes into another buffer, or both would be spoiled.
    pack, own.pack = own.pack, msgpack.packb
    packed = b""
    try:
        packed = pack(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidKind("snapshot", value, f"plain data ({error})") from error
    finally:
        # Nor is the buffer of a huge one kept for as long as the thread lives, or that of a failure.
        own.pack = pack if 0 < len(packed) <= _KEPT_MAX else msgpack.Packer().pack
    return packed


def _check_readable(packed: bytes) -> None:
    """Refuse what can be packed and not be read again; only what users have put in can be such.

    It is read, because that is what `decode()` will do, and faster than to look at each value.
    """
    try:
        msgpack.unpackb(packed)
    except (ValueError, TypeError, OverflowError) as error:
        _refuse_keys(packed)
        raise InvalidKind("snapshot", packed, f"data that can be read again ({error})") from error


def _refuse_keys(packed: bytes) -> None:
    """Raise where a key stands that is neither text nor bytes, if that is what is wrong."""
    try:
        values: list[object] = msgpack.unpackb(packed, strict_map_key=False, use_list=False)
    except (ValueError, TypeError, OverflowError):
        return
    own = {**values[-1]} if isinstance(values[-1], dict) else {}
    waiting: list[tuple[str, object]] = [("metadata", values[_FIELDS.index("metadata")]), *own.items()]
    while waiting:
        where, value = waiting.pop()
        if isinstance(value, dict):
            for key, item in value.items():
                if not isinstance(key, (str, bytes)):
                    raise InvalidKind(f"a key of {where[:_PLACE_MAX]}", key, "text or bytes")
                waiting.append((f"{where[:_PLACE_MAX]}.{key!s:.40}", item))
        elif isinstance(value, tuple):
            waiting += ((f"{where[:_PLACE_MAX]}[{index}]", item) for index, item in enumerate(value))


def deletion(session_id: str) -> Record:
    """Return the record that deletes what is stored of a session."""
    return Record(session_id, SCHEMA, b"", None)


def decode(found: StoredRecord) -> Mapping[str, object]:
    """Return the snapshot of a record; nothing about it is taken for granted.

    Returns:
        What `snapshot()` has returned of the session, and what was stored beside it.

    Raises:
        NewerRecordError: a newer program has written it.
        DamagedRecordError: it is not what was written.
    """
    _, session_id, epoch, schema, checksum, packed = found
    if type(schema) is not int or type(epoch) is not int or not 0 < schema < 2**16 or epoch < 0:
        raise DamagedRecordError("its schema version or its owner's epoch is no number that was ever written")
    if type(session_id) is not bytes or type(packed) is not bytes:
        raise DamagedRecordError("its id or its content is of the wrong kind")
    if schema > SCHEMA:
        # Its checksum may be another one: nothing more can be said about it.
        raise NewerRecordError(
            f"it has schema {schema}, and this program knows up to {SCHEMA}; use the program that wrote it"
        )
    is_first = schema == first_schema.SCHEMA
    if checksum != (first_schema.checksum(session_id, packed) if is_first else _checksum(packed)):
        raise DamagedRecordError("its checksum is not that of its content")
    try:
        stored = first_schema.unpacked(packed) if is_first else _unpacked(packed)
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedRecordError(f"its content is no snapshot ({type(error).__name__})") from error
    if stored.get("session_id") != session_id.decode(errors="replace"):
        raise DamagedRecordError("it belongs to another session")
    return stored


def id_of(found: StoredRecord) -> str:
    """Return the id of a record as far as it can be read, for messages."""
    raw = found.session_id
    text = raw.decode(errors="replace") if isinstance(raw, bytes) else repr(raw)
    if text.isprintable():
        return text[: identifiers.ID_MAX_BYTES]
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)[
        : identifiers.ID_MAX_BYTES
    ]


def _checksum(packed: bytes) -> bytes:
    # Cut and not made shorter: to ask for another size takes longer than the hash.
    return blake2b(packed).digest()[:_CHECKSUM_SIZE]


def _unpacked(packed: bytes) -> dict[str, object]:
    *values, more = _list(msgpack.unpackb(packed))
    stored: dict[str, object] = dict(zip(_FIELDS, values, strict=True))
    stored["options"] = {**_OPTIONS, **_shared(stored["options"])}
    stored["quota"] = {**_QUOTA, **_shared(stored["quota"])}
    history = _list(stored["history"])
    stored["history"] = [[*_shared_edge(edge), age] for edge, age in zip(history[::2], history[1::2], strict=True)]
    if more is not None:
        if not isinstance(more, dict) or not stored.keys().isdisjoint(more):
            raise TypeError("no map of something else")
        stored.update(more)
    return stored


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise TypeError("no list")
    return value


@lru_cache(maxsize=_SHARED_MAX)
def _shared(packed: object) -> Mapping[str, object]:
    if not isinstance(packed, bytes):
        raise TypeError("no packed settings")
    value = msgpack.unpackb(packed)
    if not isinstance(value, dict):
        raise TypeError("no map")
    return value


@lru_cache(maxsize=_SHARED_MAX)
def _shared_edge(packed: object) -> tuple[object, ...]:
    if not isinstance(packed, bytes):
        raise TypeError("no packed edge")
    return tuple(_list(msgpack.unpackb(packed)))
