"""Records of schema 1, which earlier versions have written: they are read, and never written any more.

The content is a map with text keys, as `sessionactors.snapshots.snapshot` returns it, and
beside them what else was stored of the session; under `options` stands the map of
options, packed again. The checksum covers schema and id as well.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

import msgpack

__all__ = ["SCHEMA", "checksum", "unpacked"]

SCHEMA: Final = 1

_CHECKSUM_SIZE: Final = 16
_PREFIX: Final = SCHEMA.to_bytes(2, "big")
_SHARED_MAX: Final = 256


def checksum(session_id: bytes, packed: bytes) -> bytes:
    """Return the checksum that a record of this schema has."""
    # The id is at most 256 bytes and ends where its length says.
    content = b"".join((_PREFIX, len(session_id).to_bytes(2, "big"), session_id, packed))
    return hashlib.blake2b(content, digest_size=_CHECKSUM_SIZE).digest()


def unpacked(packed: bytes) -> dict[str, object]:
    """Return the snapshot and what was stored beside it.

    Raises:
        ValueError, KeyError, TypeError: it is no snapshot.
    """
    stored = _map(packed)
    stored["options"] = dict(_shared_options(stored["options"]))
    return stored


def _map(packed: bytes) -> dict[str, object]:
    value = msgpack.unpackb(packed)
    if not isinstance(value, dict):
        raise TypeError("no map")
    return value


@lru_cache(maxsize=_SHARED_MAX)
def _shared_options(packed: object) -> Mapping[str, object]:
    if not isinstance(packed, bytes):
        raise TypeError("no packed options")
    return _map(packed)
