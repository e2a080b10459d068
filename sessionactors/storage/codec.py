"""Snapshots as bytes, and back: MessagePack, a schema version, a checksum.

A record is worth nothing when one of its parts belongs to another session, so the
checksum covers id and version as well as the snapshot. It finds what disks and
people spoil by accident; who can write the file can also write the checksum.

MessagePack has no types that run code. The options of a session are packed on
their own, because very many sessions share them, and packing them takes longer
than all the rest.

=======  =======================================================================
schema   what it means
=======  =======================================================================
1        a map with text keys as `sessionactors.snapshots.snapshot` returns it;
         under `options` the map of options, packed again
=======  =======================================================================
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

import msgpack

from sessionactors import identifiers
from sessionactors.errors import InvalidKind, InvalidValue
from sessionactors.snapshots import Snapshot
from sessionactors.storage.contract import Record, StoredRecord
from sessionactors.storage.errors import DamagedRecordError, NewerRecordError

__all__ = ["SCHEMA", "SNAPSHOT_SIZE_MAX", "decode", "deletion", "encode", "id_of"]

SCHEMA: Final = 1

SNAPSHOT_SIZE_MAX: Final = 16 * 1024 * 1024
"""Bytes of one encoded snapshot: a session with the longest history that can be asked for has less."""

_CHECKSUM_SIZE: Final = 16
_SHARED_MAX: Final = 256
_PREFIX: Final = SCHEMA.to_bytes(2, "big")


def encode(snapshot: Snapshot) -> Record:
    """Return the record of a snapshot.

    Args:
        snapshot: plain data; changed here, so it must not be used afterwards.

    Raises:
        InvalidValue: it has more bytes than a record may have.
        InvalidKind: something in it cannot be stored.

    Thread: any.
    """
    session_id = snapshot["session_id"]
    assert isinstance(session_id, str)
    options = snapshot["options"]
    known = _packed_options.get(id(options))
    if known is None or known[0] is not options:
        if len(_packed_options) >= _SHARED_MAX:
            _packed_options.clear()
        known = _packed_options[id(options)] = (options, _packed(options))
    snapshot["options"] = known[1]
    packed = _packed(snapshot)
    if len(packed) > SNAPSHOT_SIZE_MAX:
        raise InvalidValue("snapshot", len(packed), f"at most {SNAPSHOT_SIZE_MAX} bytes")
    return Record(session_id, SCHEMA, _checksum(session_id.encode(), _PREFIX, packed), packed)


_packed_options: Final[dict[int, tuple[object, bytes]]] = {}
"""Packed options by the identity of the mapping, which is kept, so that it cannot pass
to another one. One key is read or written at a time, so threads that do so at once at
worst do the same work twice."""


def _packed(value: object) -> bytes:
    try:
        packed: bytes = msgpack.packb(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidKind("snapshot", value, f"plain data ({error})") from error
    return packed


def deletion(session_id: str) -> Record:
    """Return the record that deletes what is stored of a session."""
    return Record(session_id, SCHEMA, b"", None)


def decode(found: StoredRecord) -> Mapping[str, object]:
    """Return the snapshot of a record; nothing about it is taken for granted.

    Raises:
        NewerRecordError: a newer program has written it.
        DamagedRecordError: it is not what was written.
    """
    _, session_id, epoch, schema, checksum, snapshot = found
    if type(schema) is not int or type(epoch) is not int or not 0 < schema < 2**16 or epoch < 0:
        raise DamagedRecordError("its schema version or its owner's epoch is no number that was ever written")
    if type(session_id) is not bytes or type(snapshot) is not bytes:
        raise DamagedRecordError("its id or its content is of the wrong kind")
    if schema > SCHEMA:
        # Its checksum may be another one: nothing more can be said about it.
        raise NewerRecordError(
            f"it has schema {schema}, and this program knows up to {SCHEMA}; use the program that wrote it"
        )
    if checksum != _checksum(session_id, schema.to_bytes(2, "big"), snapshot):
        raise DamagedRecordError("its checksum is not that of its content")
    try:
        stored = _unpacked(snapshot)
        stored["options"] = dict(_shared_options(stored["options"]))
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


def _checksum(session_id: bytes, schema: bytes, snapshot: bytes) -> bytes:
    # The id is at most 256 bytes and ends where its length says.
    content = b"".join((schema, len(session_id).to_bytes(2, "big"), session_id, snapshot))
    return hashlib.blake2b(content, digest_size=_CHECKSUM_SIZE).digest()


def _unpacked(packed: bytes) -> dict[str, object]:
    value = msgpack.unpackb(packed)
    if not isinstance(value, dict):
        raise TypeError("no map")
    return value


@lru_cache(maxsize=_SHARED_MAX)
def _shared_options(packed: object) -> Mapping[str, object]:
    if not isinstance(packed, bytes):
        raise TypeError("no packed options")
    return _unpacked(packed)
