"""The signature of a witness under a head of somebody else's log: what it saw, and when.

The format is C2SP's tlog-cosignature, version 1. Signed is, with Ed25519::

    cosignature/v1
    time 1679315147                                 seconds since 1970 UTC
    example.com/log                                 the text of the head
    20852163
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

The signature line of the note has the time in front of the signature. A key for
cosignatures has another type than one for heads, so neither can be taken for the other.
"""

from __future__ import annotations

import base64
import hashlib
import struct
from typing import Final

from sessionactors.audit.checkpoint import Signer, Verifier, signatures_of
from supervisors.errors import InvalidArgumentError

__all__ = ["cosign", "cosigned_at", "key_line"]

_TYPE: Final = b"\x04"
_TIME: Final = struct.Struct(">Q")
_SIGNATURE_SIZE: Final = 64
_SIGNATURE_LINE: Final = "\u2014 "


def cosign(note: bytes, signer: Signer, time: int) -> bytes:
    """Return a note with the signature of a witness under it; an older one of the same witness is replaced.

    Args:
        note: a signed head, whose signature the witness has checked.
        signer: the witness.
        time: when it saw the head, whole seconds since 1970 UTC.

    Raises:
        InvalidArgumentError: it is no signed note.
    """
    body, signatures = signatures_of(note)
    name, key_id = signer.verifier.name, _key_id(signer.verifier)
    lines = [
        _line(signed_by, known_id + raw)
        for signed_by, known_id, raw in signatures
        if (signed_by, known_id) != (name, key_id)
    ]
    signature = signer.sign(_message(body, time))
    lines.append(_line(name, key_id + _TIME.pack(time) + signature))
    return f"{body}\n{''.join(lines)}".encode()


def cosigned_at(note: bytes, witness: Verifier) -> int:
    """Return when a witness saw a head, in seconds since 1970 UTC.

    Raises:
        InvalidArgumentError: it is no signed note, or the witness has not signed it.
    """
    body, signatures = signatures_of(note)
    wanted = witness.name, _key_id(witness)
    for name, key_id, raw in signatures:
        if (name, key_id) == wanted and len(raw) == _TIME.size + _SIGNATURE_SIZE:
            (time,) = _TIME.unpack_from(raw)
            if witness.is_valid(_message(body, time), raw[_TIME.size :]):
                return int(time)
    raise InvalidArgumentError("note", note, f"a head cosigned by {witness.name}")


def key_line(witness: Verifier) -> str:
    """Return the public key of a witness as others read it: name+keyid+key."""
    encoded = base64.b64encode(_TYPE + witness.public).decode()
    return f"{witness.name}+{_key_id(witness).hex()}+{encoded}"


def _key_id(witness: Verifier) -> bytes:
    return hashlib.sha256(witness.name.encode() + b"\n" + _TYPE + witness.public).digest()[:4]


def _message(body: str, time: int) -> bytes:
    return f"cosignature/v1\ntime {time}\n{body}".encode()


def _line(name: str, raw: bytes) -> str:
    return f"{_SIGNATURE_LINE}{name} {base64.b64encode(raw).decode()}\n"
