"""Turn any Python value into one that every reader of the log understands.

What comes out is built from None, booleans, 64-bit integers, finite floats,
text that is valid UTF-8, lists, and mappings with text keys in sorted order. So
it has one encoding only, and JSON can show it.

Nothing that comes in can make it fail or grow without bound. Code of the value
runs only where that is how it is read: mappings, dataclasses, the message of an
exception. An object of an unknown class is named by its class; its ``__repr__``
is not called, because that could show a secret, an address that differs from run
to run, or anything else.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import hashlib
import ipaddress
import math
import pathlib
import uuid
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final, TypeAlias, cast

__all__ = [
    "FORBIDDEN_KEYS",
    "PERSONAL_FIELDS",
    "REDACTED",
    "TEXT_SHOWN_MAX",
    "Plain",
    "forbidden_names",
    "is_forbidden",
    "plain",
]

Plain: TypeAlias = "bool | int | float | str | list[Plain] | dict[str, Plain] | None"

REDACTED: Final = "[redacted]"
"""Stands where a secret was given."""

FORBIDDEN_KEYS: Final = frozenset(
    {
        "accesskey",
        "apikey",
        "authorization",
        "bearer",
        "cookie",
        "credential",
        "passphrase",
        "passwd",
        "password",
        "privatekey",
        "pwd",
        "secret",
        "signingkey",
        "token",
    }
)
"""Names of things that never enter the log. See `is_forbidden()` for what they match."""

PERSONAL_FIELDS: Final = (
    "address",
    "birth_date",
    "client_ip",
    "email",
    "first_name",
    "full_name",
    "ip",
    "ip_address",
    "last_name",
    "mail",
    "phone",
    "phone_number",
    "remote_addr",
    "remote_ip",
    "subject",
    "user",
    "user_agent",
    "user_id",
    "username",
)
"""What counts as personal if nothing else is said. Case and punctuation do not matter; the whole name has to match."""

DEPTH_MAX: Final = 12
"""How many containers may stand inside each other."""

ITEMS_MAX: Final = 4096
"""How many values one piece of data may hold, all levels together."""

TEXT_SHOWN_MAX: Final = 16_384
"""Characters; longer text is told by hash and size."""

BYTES_SHOWN_MAX: Final = 1024
"""Longer byte strings are told by hash and size."""

MESSAGE_MAX: Final = 2000
"""Characters that are kept of an exception's message."""

_INTEGER_MIN: Final = -(2**63)
_INTEGER_MAX: Final = 2**64 - 1
_BITS_SHOWN_MAX: Final = 4096
_KEY_MAX: Final = 256

# Their str() is code of the standard library and says all there is to say.
_TOLD_BY_TEXT: Final = (
    decimal.Decimal,
    fractions.Fraction,
    ipaddress.IPv4Address,
    ipaddress.IPv4Network,
    ipaddress.IPv6Address,
    ipaddress.IPv6Network,
    pathlib.PurePath,
    uuid.UUID,
)
_ATOMS: Final = frozenset({bool, float, int, str, type(None)})


def forbidden_names(names: Iterable[str]) -> frozenset[str]:
    """Return names of one's own as `is_forbidden()` wants them: lower case letters and digits only."""
    return frozenset(filter(None, map(_folded, names)))


@lru_cache(maxsize=4096)
def is_forbidden(key: str, names: frozenset[str] = FORBIDDEN_KEYS) -> bool:
    """Tell whether the value under a key is a secret by the key's name.

    Case and punctuation do not count, and a name matches anywhere in the key:
    ``X-Api-Key``, ``userPassword`` and ``Set-Cookie`` are all found. The plural
    ``tokens`` is not, because it counts what a rate limiter has left.

    Args:
        key: as the caller wrote it.
        names: lower case letters and digits only, as from `forbidden_names()`.
    """
    folded = _folded(key).replace("tokens", " ")
    return any(name in folded for name in names)


def plain(value: object, names: frozenset[str] = FORBIDDEN_KEYS) -> Plain:
    """Return the value as plain data, without the secrets in it.

    Args:
        value: anything at all.
        names: forbidden names, as `forbidden_names()` gives them.
    """
    return _Reading(names).read(value, 0)


class _Reading:
    """One walk through one value.

    Attributes:
        left: how many more values may be taken in.
        inside: the containers that the walk stands in, by identity; meeting
            one of them again is a cycle.
        told: what long texts and bytes have become, by identity: one that
            stands in a hundred places is hashed once. The value itself is
            kept, so that its identity cannot pass to another one.
    """

    __slots__ = ("inside", "left", "names", "told")

    def __init__(self, names: frozenset[str]) -> None:
        self.names = names
        self.left = ITEMS_MAX
        self.inside: set[int] = set()
        self.told: dict[int, tuple[object, Plain]] = {}

    def read(self, value: object, depth: int) -> Plain:
        self.left -= 1
        kind = type(value)
        if kind in _ATOMS:
            is_long = isinstance(value, str) and len(value) > TEXT_SHOWN_MAX
            return self._long(cast("str", value)) if is_long else _atom(value)
        try:
            return self._structure(value, depth)
        except Exception:  # noqa: BLE001 - hostile objects may raise anything from anywhere
            return f"<{_name_of(kind)} that cannot be read>"

    def _long(self, value: str | bytes | bytearray | memoryview) -> Plain:
        """Return hash and size of a long text or bytes."""
        known = self.told.get(id(value))
        if known is None:
            raw = str.encode(value, "utf-8", "backslashreplace") if isinstance(value, str) else bytes(value)
            known = self.told[id(value)] = value, {"sha256": hashlib.sha256(raw).hexdigest(), "size": len(raw)}
        return known[1]

    def _structure(self, value: object, depth: int) -> Plain:
        if not isinstance(value, (Mapping, list, tuple, set, frozenset)) and not dataclasses.is_dataclass(value):
            return self._single(value, depth)
        if depth >= DEPTH_MAX:
            return "<too deep>"
        if id(value) in self.inside:
            return "<cycle>"
        self.inside.add(id(value))
        try:
            if isinstance(value, Mapping):
                return self._mapping(value, depth + 1)
            if isinstance(value, (list, tuple)):
                return self._sequence(value, depth + 1)
            if isinstance(value, (set, frozenset)):
                return self._set(value, depth + 1)
            return self._record(value, depth + 1)
        finally:
            self.inside.discard(id(value))

    def _mapping(self, value: Mapping[object, object], depth: int) -> Plain:
        read: dict[str, Plain] = {}
        count = len(value)
        for done, (given, item) in enumerate(value.items()):
            if self.left <= 0:
                read["..."] = f"<{count - done} more>"
                break
            key = _free_key(self._key(given), read)
            if is_forbidden(key, self.names):
                self.left -= 1
                read[key] = REDACTED
            else:
                read[key] = self.read(item, depth)
        return dict(sorted(read.items()))

    def _key(self, given: object) -> str:
        key = given if type(given) is str else self.read(given, DEPTH_MAX)
        text = key if isinstance(key, str) else repr(key)
        text = _text(text)
        if len(text) <= _KEY_MAX:
            return text
        return f"{text[:_KEY_MAX]}~{hashlib.sha256(text.encode()).hexdigest()}"

    def _sequence(self, value: list[object] | tuple[object, ...], depth: int) -> Plain:
        if len(value) == 2 and type(value[0]) is str and is_forbidden(value[0], self.names):
            # Headers and items of mappings often come as pairs.
            return [_text(value[0]), REDACTED]
        read: list[Plain] = []
        for done, item in enumerate(value):
            if self.left <= 0:
                read.append(f"<{len(value) - done} more>")
                break
            read.append(self.read(item, depth))
        return read

    def _set(self, value: set[object] | frozenset[object], depth: int) -> Plain:
        if len(value) > self.left:
            # Which of them would fit depends on the run, so none is shown.
            return f"<set of {len(value)} items>"
        return sorted((self.read(item, depth) for item in value), key=lambda item: (type(item).__name__, repr(item)))

    def _record(self, value: object, depth: int) -> Plain:
        if isinstance(value, type):
            return f"<class {_name_of(value)}>"
        read: dict[str, Plain] = {}
        for field in dataclasses.fields(value):  # type: ignore[arg-type]  # is_dataclass() has looked
            # The author of the class keeps such a field out of its repr, and so do we.
            is_secret = not field.repr or is_forbidden(field.name, self.names)
            read[field.name] = REDACTED if is_secret else self.read(getattr(value, field.name), depth)
        return dict(sorted(read.items()))

    def _single(self, value: object, depth: int) -> Plain:
        if isinstance(value, enum.Enum):
            return self.read(value.value, depth + 1) if depth < DEPTH_MAX else "<too deep>"
        if isinstance(value, str):
            return self._long(value) if len(value) > TEXT_SHOWN_MAX else _text(str.__str__(value))
        if isinstance(value, int):
            return _atom(int.__index__(value))
        if isinstance(value, float):
            return _atom(float.__float__(value))
        if isinstance(value, (bytes, bytearray, memoryview)):
            return self._long(value) if len(value) > BYTES_SHOWN_MAX else f"hex:{bytes(value).hex()}"
        if isinstance(value, BaseException):
            return {"error": _name_of(type(value)), "message": _text(str(value))[:MESSAGE_MAX]}
        if isinstance(value, (dt.datetime, dt.date, dt.time)):
            return value.isoformat()
        if isinstance(value, dt.timedelta):
            return value.total_seconds()
        if isinstance(value, _TOLD_BY_TEXT):
            return _text(str(value))
        if isinstance(value, type):
            return f"<class {_name_of(value)}>"
        return f"<{_name_of(type(value))}>"


def _atom(value: object) -> Plain:
    """Return a value of one of the plain kinds within its bounds."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return value if _INTEGER_MIN <= value <= _INTEGER_MAX else _large(value)
    assert isinstance(value, float)
    return value if math.isfinite(value) else str(value)


def _large(value: int) -> str:
    # Hexadecimal, because the decimal text of a huge number takes quadratic time.
    if value.bit_length() > _BITS_SHOWN_MAX:
        return f"<integer of {value.bit_length()} bits>"
    return hex(value)


def _text(value: str) -> str:
    """Return text that UTF-8 can carry: lone surrogates become visible escapes."""
    if value.isascii():
        return value
    return value.encode("utf-8", "backslashreplace").decode()


def _name_of(kind: type) -> str:
    try:
        module, name = kind.__module__, kind.__qualname__
        return _text(name if module == "builtins" else f"{module}.{name}")
    except Exception:  # noqa: BLE001 - a metaclass can make even this fail
        return "object"


def _free_key(key: str, taken: Mapping[str, object]) -> str:
    """Return the key, or a numbered one where two different keys read alike."""
    if key not in taken:
        return key
    number = 2
    while f"{key}#{number}" in taken:
        number += 1
    return f"{key}#{number}"


def _folded(key: str) -> str:
    return "".join(filter(str.isalnum, key[:_KEY_MAX].casefold()))
