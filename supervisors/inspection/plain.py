"""Turns anything into plain data of a bounded size, without running anybody's code.

What is shown belongs to actors that work meanwhile, and may be anything. So nothing
of it is called: no `__repr__`, no property, no `__iter__` of a class of the program's.
Built-in containers are read by the methods of their built-in class, dataclasses by
their fields; of all else the class is named. A container that changes while it
is read is shown as far as it was read.

Values whose name says that they are secret are left out.
"""

from __future__ import annotations

import dataclasses
import math
from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any, Final, TypeAlias, final

__all__ = ["REDACTED", "SECRETS", "Plain", "on_one_line", "plain", "summary"]

Plain: TypeAlias = "bool | int | float | str | list[Plain] | dict[str, Plain] | None"

REDACTED: Final = "[redacted]"

SECRETS: Final = (
    "apikey",
    "auth_context",
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
    "token",
)
"""What is in a name, without its underscores and hyphens, whose value is not shown."""

_DEPTH_MAX: Final = 8
_ITEMS_MAX: Final = 100  # of one container
_NODES_MAX: Final = 5_000  # of one answer
_TEXT_MAX: Final = 1_000  # characters
_DIGITS_MAX: Final = 64  # bits of an integer; Python refuses to write very long ones
_NAME_MAX: Final = 120  # characters of a line's part
_WORD_MAX: Final = 32  # characters of the word that a message begins with
_FOLDED: Final = str.maketrans("", "", "_-. ")
_SECRETS: Final = tuple(each.translate(_FOLDED) for each in SECRETS)


def plain(value: object) -> Any:
    """Return a value as plain data; what is too much or too deep is marked with dots.

    >>> plain({"name": "alice", "password": "x", "tags": ("a", "b")})
    {'name': 'alice', 'password': '[redacted]', 'tags': ['a', 'b']}
    """
    return _Reading().read(value, 0)


def on_one_line(name: object) -> str:
    """Write a name on one line, without running its code and without what a terminal would obey."""
    text = name if isinstance(name, str) else _label(name)
    text = str.__str__(text[:_NAME_MAX])
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def summary(message: object) -> str:
    """Return what kind a message is, and nothing of its content.

    Of a tuple that begins with a word, the word is shown: that is how operations are named.

    >>> summary(("authenticate", {"password": "x"}))
    'authenticate(dict)'
    >>> summary("hunter2")
    'str'
    """
    if message.__class__ is tuple:
        assert isinstance(message, tuple)
        kinds = [type(each).__name__ for each in message[:5]]
        first = message[0] if message else None
        if first.__class__ is str and len(first) <= _WORD_MAX and first.isidentifier():
            return f"{first}({', '.join(kinds[1:])})"
        return f"({', '.join(kinds)}{', ...' if len(message) > 5 else ''})"
    return type(message).__name__[:_NAME_MAX]


@final
class _Reading:
    """One walk over a value, which ends when it has seen enough."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = _NODES_MAX

    def read(self, value: object, depth: int) -> Plain:
        self._left -= 1
        kind = type(value)
        if value is None or kind is bool:
            return value  # type: ignore[return-value]  # it is one of the two
        if isinstance(value, (str, bytes, bytearray, int, float)):
            return _scalar(value)
        if depth >= _DEPTH_MAX or self._left <= 0:
            return "..."
        if isinstance(value, dict):
            return self._mapping(dict.items(value), dict.__len__(value), depth)
        for base in (tuple, list, set, frozenset, deque):
            if isinstance(value, base):
                # A tuple with names is shown with them.
                names = getattr(kind, "_fields", None) if base is tuple else None
                if isinstance(names, tuple) and all(isinstance(each, str) for each in names):
                    return self._mapping(zip(names, tuple.__iter__(value), strict=False), len(names), depth)  # type: ignore[arg-type]  # it is a tuple
                return self._sequence(base.__iter__(value), base.__len__(value), depth)  # type: ignore[arg-type]  # by its own class
        if dataclasses.is_dataclass(kind):
            fields = dataclasses.fields(kind)
            return self._mapping(_attributes(value, [each.name for each in fields]), len(fields), depth)
        return _label(value)

    def _mapping(self, items: Iterable[tuple[Any, Any]], length: int, depth: int) -> dict[str, Plain]:
        shown: dict[str, Plain] = {}

        def add(item: tuple[Any, Any]) -> None:
            key = item[0] if isinstance(item[0], str) else self._key(item[0])
            name = str.__str__(key)[:_TEXT_MAX]
            shown[name] = REDACTED if _is_secret(name) else self.read(item[1], depth + 1)

        if self._each(items, add) < length:
            shown["..."] = f"{length} items"
        return shown

    def _sequence(self, items: Iterable[Any], length: int, depth: int) -> list[Plain]:
        shown: list[Plain] = []
        if self._each(items, lambda item: shown.append(self.read(item, depth + 1))) < length:
            shown.append(f"... {length} items")
        return shown

    def _each(self, items: Iterable[Any], do: Callable[[Any], None]) -> int:
        count = 0
        try:
            for item in islice(items, _ITEMS_MAX):
                if self._left <= 0:
                    break
                do(item)
                count += 1
        except RuntimeError:
            pass  # its owner has changed it meanwhile
        return count

    def _key(self, key: object) -> str:
        return str(_scalar(key)) if isinstance(key, (bytes, int, float)) else _label(key)


def _attributes(value: object, names: list[str]) -> list[tuple[str, object]]:
    found = []
    for name in names:
        try:
            found.append((name, object.__getattribute__(value, name)))
        except Exception:  # noqa: BLE001 - a field may have been deleted, or be computed by code that raises
            found.append((name, "..."))
    return found


def _scalar(value: str | bytes | bytearray | float) -> Plain:
    # By the methods of the built-in class: a subclass may have its own.
    if isinstance(value, str):
        return (
            str.__str__(value) if str.__len__(value) <= _TEXT_MAX else str.__getitem__(value, slice(_TEXT_MAX)) + "..."
        )
    if isinstance(value, (bytes, bytearray)):
        return f"{len(value)} bytes"
    if isinstance(value, int):
        whole = int.__int__(value)
        return whole if whole.bit_length() <= _DIGITS_MAX else f"an integer of {whole.bit_length()} bits"
    number = float.__float__(value)
    return number if math.isfinite(number) else float.__repr__(number)


def _is_secret(name: str) -> bool:
    folded = name.lower().translate(_FOLDED).replace("tokens", "")  # a count of what a limiter has left
    return any(each in folded for each in _SECRETS)


def _label(value: object) -> str:
    if value is None or value.__class__ is bool:
        return str(value)
    if isinstance(value, (int, float)):
        return str(_scalar(value))
    kind = value if isinstance(value, type) else type(value)
    return f"<{kind.__module__}.{kind.__qualname__}>"[:_NAME_MAX]
