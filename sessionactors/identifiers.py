"""Session identifiers: names, not credentials.

An id is 1 to 256 bytes of UTF-8 text, chosen by the caller or generated. It is
never rewritten, so that it means the same to every service. Only printable
characters (in the sense of `str.isprintable`) are allowed: an id ends up in log
lines, CSV cells, metric labels and file names, and control characters, line
separators and direction overrides are ways to forge those.

Generated ids are 32 lower-case hexadecimal digits (128 bits). The generator is
handed in, so a replay makes the same ids again. Who must not be able to guess an
id passes bytes from the standard library's `secrets`.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final, TypeAlias

from sessionactors.errors import InvalidKind, InvalidSessionId

if TYPE_CHECKING:
    import random

__all__ = ["ID_MAX_BYTES", "SessionId", "from_token", "generate", "is_same", "parse", "redact"]

SessionId: TypeAlias = str

ID_MAX_BYTES: Final = 256
_ALLOWED: Final = f"1 to {ID_MAX_BYTES} bytes of UTF-8 text, printable characters only"
_TOKEN_BYTES: Final = 16
_SHOWN_END: Final = 4


def parse(value: str | bytes) -> SessionId:
    """Check a session id that a caller has chosen.

    Args:
        value: text, or its UTF-8 bytes.

    Returns:
        The same id as text.

    Raises:
        InvalidKind: it is neither text nor bytes.
        InvalidSessionId: empty, over 256 bytes, not UTF-8, or not printable.
    """
    if isinstance(value, (bytes, bytearray)):
        if len(value) > ID_MAX_BYTES:
            raise InvalidSessionId("session_id", value, _ALLOWED)
        try:
            text = value.decode()
        except UnicodeDecodeError:
            raise InvalidSessionId("session_id", value, _ALLOWED) from None
    elif isinstance(value, str):
        text = str.__str__(value)  # a class of its own may have its own idea of a hash
    else:
        raise InvalidKind("session_id", value, "text or bytes")
    # Length in characters bounds the work of the exact checks behind it. A lone
    # surrogate is not printable, so what passes can always be encoded.
    if not 0 < len(text) <= ID_MAX_BYTES or not text.isprintable():
        raise InvalidSessionId("session_id", value, _ALLOWED)
    if not text.isascii() and len(text.encode()) > ID_MAX_BYTES:
        raise InvalidSessionId("session_id", value, _ALLOWED)
    return text


def generate(source: random.Random) -> SessionId:
    """Draw a fresh id of 32 hexadecimal digits.

    Args:
        source: a stream of `supervisors.entropy.Entropy`, or `random.SystemRandom()`.
    """
    return f"{source.getrandbits(8 * _TOKEN_BYTES):032x}"


def from_token(token: bytes) -> SessionId:
    """Write 16 random bytes as an id of 32 hexadecimal digits.

    Raises:
        InvalidSessionId: there are fewer or more than 16 bytes.
    """
    if len(token) != _TOKEN_BYTES:
        raise InvalidSessionId("token", token, f"exactly {_TOKEN_BYTES} bytes")
    return token.hex()


def is_same(left: SessionId, right: SessionId) -> bool:
    """Compare two ids in a time that does not tell where they differ."""
    return hmac.compare_digest(left.encode(), right.encode())


def redact(session_id: SessionId) -> str:
    """Show the first and last four characters only; short ids are hidden entirely."""
    if len(session_id) <= 3 * _SHOWN_END:
        return "****"
    return f"{session_id[:_SHOWN_END]}...{session_id[-_SHOWN_END:]}"
