"""An authenticator for user names and passwords, kept as hashes that take long to guess.

::

    users = {"alice": hash_password("correct horse")}
    with SessionSystem(authenticator=PasswordAuthenticator(users)) as system:
        system.start_session("a")
        system.authenticate("a", {"user_id": "alice", "password": "correct horse"})
        system.activate("a")

Two kinds of hashes are understood, each a text that carries its own parameters:
Argon2 (RFC 9106; ``$argon2id$v=19$...``) by the library argon2-cffi, the extra
`passwords`; and scrypt (RFC 7914; ``$scrypt$ln=16,r=8,p=1$salt$hash``, as passlib
writes it) by the library cryptography, which is always there. A check takes some
ten milliseconds on purpose, and runs off the session's turn.
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Final, Literal, final

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from sessionactors import bounds
from sessionactors.errors import InvalidKind, InvalidValue

__all__ = ["PASSWORD_MAX_BYTES", "PasswordAuthenticator", "hash_password", "verify_password"]

PASSWORD_MAX_BYTES: Final = 1024
"""A longer password is refused: nobody types one, and hashing it is work for an attacker to give."""

_SCRYPT: Final = re.compile(
    r"\$scrypt\$ln=([0-9]{1,2}),r=([0-9]{1,2}),p=([0-9]{1,2})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)"
)
_SALT_BYTES: Final = 16
_KEY_BYTES: Final = 32
_LOG_COST: Final = 16  # 64 MiB and some ten milliseconds, with r = 8
_BLOCK: Final = 8
_LOG_COST_MAX: Final = 20  # 1 GiB: a hash from a file must not take all the memory there is
_BLOCK_MAX: Final = 32
_PARALLEL_MAX: Final = 16
_HASHES: Final = "a hash by Argon2 ($argon2id$...) or scrypt ($scrypt$ln=...,r=...,p=...$...$...)"


def hash_password(password: str | bytes, method: Literal["argon2", "scrypt"] | None = None) -> str:
    """Return a hash of a password, with a salt of its own.

    Args:
        password: 1 to 1,024 bytes.
        method: None is Argon2 where its library is installed, and scrypt elsewhere.

    Raises:
        InvalidKind, InvalidValue: this is no password, or there is no such method.
        ModuleNotFoundError: `argon2` was asked for, and argon2-cffi is not installed.

    Blocks: some ten milliseconds, and 64 MiB of memory.
    """
    raw = _bytes_of(password)
    if method is None:
        method = "argon2" if find_spec("argon2") is not None else "scrypt"
    bounds.choice("method", method, ("argon2", "scrypt"))
    if method == "argon2":
        from argon2 import PasswordHasher  # noqa: PLC0415 - an extra

        return PasswordHasher().hash(raw)
    salt = secrets.token_bytes(_SALT_BYTES)
    key = Scrypt(salt, _KEY_BYTES, n=1 << _LOG_COST, r=_BLOCK, p=1).derive(raw)
    return f"$scrypt$ln={_LOG_COST},r={_BLOCK},p=1${_text_of(salt)}${_text_of(key)}"


def verify_password(stored: str, password: str | bytes) -> bool:
    """Tell whether a password is the one that a hash was made of.

    Args:
        stored: what `hash_password()` returned, or another program of the same kind.
        password: what somebody says.

    Raises:
        InvalidKind, InvalidValue: one of the two is nothing of its kind.
        ModuleNotFoundError: it is an Argon2 hash, and argon2-cffi is not installed.

    Blocks: as long as the hash's own parameters say.
    """
    raw = _bytes_of(password)
    if _check_hash("stored", stored) == "argon2":
        return _is_argon2(stored, raw)
    match = _SCRYPT.fullmatch(stored)
    assert match is not None
    log_cost, block, parallel = (int(number) for number in match.groups()[:3])
    salt, key = _raw_of(match[4]), _raw_of(match[5])
    assert salt is not None
    assert key is not None
    try:
        Scrypt(salt, len(key), n=1 << log_cost, r=block, p=parallel).verify(raw, key)
    except InvalidKey:
        return False
    return True


@final
class PasswordAuthenticator:
    """Accepts who knows the password of a user; for `SessionSystem(authenticator=...)`.

    Credentials are a mapping with `user_id` and `password`. Who is not known takes as
    long to be turned away as who is, so that the time does not tell which names exist.

    Args:
        hashes: a hash by user id. It is looked up at each question, so a mapping that
            changes is obeyed at once.
        field: the credentials' key that has the user id.

    Raises:
        InvalidKind, InvalidValue: one of the hashes is none.

    Thread: any number at the same time, as long as the mapping allows that.
    """

    __slots__ = ("_decoy", "_field", "_hashes")

    def __init__(self, hashes: Mapping[str, str], *, field: str = "user_id") -> None:
        if not isinstance(hashes, Mapping):
            raise InvalidKind("hashes", hashes, "a mapping of user ids to hashes")
        kinds = {_check_hash(f"the hash of {user!r}", stored) for user, stored in hashes.items()}
        if "argon2" in kinds:
            import argon2  # noqa: F401, PLC0415 - an extra; better missed now than at the first question
        self._field = bounds.text("field", field)
        self._hashes = hashes
        # Of the kind that most users have or will have, so that it takes as long.
        self._decoy = hash_password(secrets.token_bytes(_SALT_BYTES), "scrypt" if kinds == {"scrypt"} else None)

    def __call__(self, context: object) -> str | bool:
        """Return the user id when the password is right, and False in every other case."""
        if not isinstance(context, Mapping):
            return False
        user, password = context.get(self._field), context.get("password")
        if not isinstance(user, str) or not isinstance(password, (str, bytes)):
            return False
        stored = self._hashes.get(user)
        try:
            is_right = verify_password(self._decoy if stored is None else stored, password)
        except (InvalidKind, InvalidValue):
            return False
        return user if is_right and stored is not None else False

    def __repr__(self) -> str:
        return f"<PasswordAuthenticator of {len(self._hashes)} users>"


def _check_hash(field: str, stored: object) -> Literal["argon2", "scrypt"]:
    """Return the method of a hash; what it says is never shown."""
    if not isinstance(stored, str):
        raise InvalidKind(field, stored, _HASHES)
    if stored.startswith(("$argon2id$", "$argon2i$", "$argon2d$")):
        return "argon2"
    match = _SCRYPT.fullmatch(stored)
    if match is None or _raw_of(match[4]) is None or not _raw_of(match[5]):
        raise InvalidValue(field, "text of another form", _HASHES)
    log_cost, block, parallel = (int(number) for number in match.groups()[:3])
    if not (1 <= log_cost <= _LOG_COST_MAX and 1 <= block <= _BLOCK_MAX and 1 <= parallel <= _PARALLEL_MAX):
        allowed = f"ln up to {_LOG_COST_MAX}, r up to {_BLOCK_MAX}, p up to {_PARALLEL_MAX}"
        raise InvalidValue(field, f"ln={log_cost},r={block},p={parallel}", allowed)
    return "scrypt"


def _is_argon2(stored: str, raw: bytes) -> bool:
    from argon2 import PasswordHasher  # noqa: PLC0415 - an extra
    from argon2.exceptions import InvalidHashError, VerificationError  # noqa: PLC0415 - only when called for

    try:
        return PasswordHasher().verify(stored, raw)
    except (VerificationError, InvalidHashError):
        return False


def _bytes_of(password: object) -> bytes:
    allowed = f"1 to {PASSWORD_MAX_BYTES} bytes"
    if not isinstance(password, (str, bytes)):
        raise InvalidKind("password", password, allowed)
    try:
        raw = password.encode() if isinstance(password, str) else password
    except UnicodeEncodeError:
        raise InvalidValue("password", "text that is no UTF-8", allowed) from None
    if not 1 <= len(raw) <= PASSWORD_MAX_BYTES:
        raise InvalidValue("password", f"{len(raw)} bytes", allowed)
    return raw


def _text_of(raw: bytes) -> str:
    return base64.b64encode(raw).decode().rstrip("=")


def _raw_of(text: str) -> bytes | None:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
