"""Whether two messages are the same, found out without running any code of theirs.

A message may be anything, and its `__eq__`, `__hash__` and `__repr__` may raise,
take long, or say that two different messages are the same. None of them is called here.

* **Plain values** are the same when their types and contents are: None, bool, int,
  float, complex, str, bytes and bytearray; tuples, lists, dicts, sets and frozen sets;
  named tuples; frozen dataclasses. All fields count, also those that dataclasses do not
  show or compare. Subclasses of built-in types are not plain: their state is their own affair.
* **Everything else** is the same only as itself. An address says that only while the
  object lives, so whoever keeps a `Sameness` keeps, with `kept`, all objects and
  classes that went into it by their addresses.

Two kept ones with equal digests are the same message: equal plain parts, and for each
part that is not plain the very same object, as it has lived all the time. What is
nested too deep, or too large, counts as not plain, so the work has a bound.
"""

from __future__ import annotations

import dataclasses
import hashlib
import struct
from abc import ABCMeta
from collections.abc import Callable, Iterable
from typing import Any, Final, Generic, NamedTuple, final

__all__ = ["DEPTH_MAX", "PARTS_MAX", "Sameness", "is_changeable", "sameness"]

DEPTH_MAX: Final = 32
"""Levels of containers that are looked into."""

PARTS_MAX: Final = 10_000
"""Values, nested ones included, that are looked at in one message."""

# What a class is, told without its metaclass.
_namespace_of: Final[Callable[[type], Any]] = vars(type)["__dict__"].__get__
_ancestors_of: Final[Callable[[type], tuple[type, ...]]] = vars(type)["__mro__"].__get__
_bases_of: Final[Callable[[type], tuple[type, ...]]] = vars(type)["__bases__"].__get__
_flags_of: Final[Callable[[type], int]] = vars(type)["__flags__"].__get__

_MADE_BY_A_CLASS_STATEMENT: Final = 1 << 9  # Py_TPFLAGS_HEAPTYPE

_UNCHANGEABLE: Final = frozenset({type(None), bool, int, float, complex, str, bytes})
_CHANGEABLE: Final = frozenset({list, dict, set, bytearray})


class Sameness(NamedTuple):
    """What a message is, for comparing it with others.

    Attributes:
        digest: equal for messages that are the same, as long as `kept` is kept.
        kept: what went into the digest by its address.
    """

    digest: bytes
    kept: tuple[object, ...]


def sameness(message: object) -> Sameness:
    """Tell what a message is, as it is now.

    Args:
        message: anything.

    Thread: any. A message that another thread changes meanwhile may come out as not plain.
    """
    look = _Look()
    try:
        look.at(message, 0)
        parts, kept = look.parts, look.kept
    except (_TooMuch, RuntimeError):  # RuntimeError: it was changed while it was looked at
        parts, kept = [b"@", _number(id(message))], [message]
    return Sameness(hashlib.blake2b(b"".join(parts), digest_size=32).digest(), tuple(kept))


def is_changeable(message: object) -> bool:
    """Tell whether a handler could make another message of this one by changing it.

    What is the same only as itself cannot become another, whatever is done to it.
    Of what is large this says yes without looking at all of it.
    """
    left = PARTS_MAX
    waiting = [message]
    while waiting:
        value = waiting.pop()
        kind = type(value)
        if type(kind) is type:
            if kind in _UNCHANGEABLE:
                continue
            if kind in _CHANGEABLE:
                return True
        parts = _parts_of(value, kind)
        if parts:
            left -= len(parts)
            if left < 0:
                return True
            waiting += parts
    return False


class _TooMuch(Exception):  # noqa: N818 - a way out of the recursion, seen by nobody
    """The message is nested too deep, or too large."""


@final
class _Look:
    """One look at a message: collects what goes into its digest."""

    __slots__ = ("kept", "left", "parts")

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.kept: list[object] = []
        self.left = PARTS_MAX

    def at(self, value: Any, depth: int) -> None:
        """Add a value, so that what is added tells where it begins and ends."""
        self.left -= 1
        if self.left < 0 or depth > DEPTH_MAX:
            raise _TooMuch
        kind = type(value)
        plain = _PLAIN.get(kind) if type(kind) is type else None
        if plain is not None:
            tag, shown = plain
            data = shown(value)
            self.parts += (tag, _number(len(data)), data)
        elif kind is list or kind is dict or kind is set or kind is frozenset:
            if len(value) > self.left:
                raise _TooMuch
            if kind is list:
                self._in_order(b"l", value.copy(), depth)
            elif kind is dict:
                self._in_any_order(b"d", value.copy().items(), depth)
            else:
                self._in_any_order(b"S" if kind is set else b"F", value.copy(), depth)
        else:
            parts = _parts_of(value, kind)
            if parts is None:
                self._itself(b"@", value)
            else:
                if kind is not tuple:
                    self._itself(b"c", kind)
                self._in_order(b"t", parts, depth)

    def _itself(self, tag: bytes, thing: object) -> None:
        self.parts += (tag, _number(id(thing)))
        self.kept.append(thing)

    def _in_order(self, tag: bytes, parts: Any, depth: int) -> None:
        self.parts += (tag, _number(len(parts)))
        for part in parts:
            self.at(part, depth + 1)

    def _in_any_order(self, tag: bytes, parts: Iterable[object], depth: int) -> None:
        outer, shown = self.parts, []
        for part in parts:
            self.parts = []
            self.at(part, depth + 1)
            shown.append(b"".join(self.parts))
        self.parts = outer
        self.parts += (tag, _number(len(shown)))
        for each in sorted(shown):
            self.parts += (_number(len(each)), each)


def _parts_of(value: Any, kind: type) -> tuple[object, ...] | None:
    """Return what a plain container that cannot be changed consists of; None for anything else."""
    if kind is tuple:
        return value  # type: ignore[no-any-return]  # its type has just been looked at
    if kind is frozenset:
        return tuple(value)
    if type(kind) is not type and type(kind) is not ABCMeta:
        return None  # what such a class says about itself may be anything
    namespace = _namespace_of(kind)
    parameters = namespace.get("__dataclass_params__")
    if parameters is not None:
        return _fields_of(value, kind) if parameters.frozen else None
    if "_fields" in namespace:
        bases = _bases_of(kind)
        if bases[0] is tuple and (len(bases) == 1 or bases[1] is Generic):
            return tuple(tuple.__iter__(value))
    return None


def _fields_of(value: Any, kind: type) -> tuple[object, ...] | None:
    """Return the fields of a frozen dataclass, or None if it has state beside them."""
    for ancestor in _ancestors_of(kind):
        if ancestor is not object and not _flags_of(ancestor) & _MADE_BY_A_CLASS_STATEMENT:
            return None  # a built-in type, such as a dict or an exception
    try:
        return tuple(object.__getattribute__(value, field.name) for field in dataclasses.fields(kind))
    except AttributeError:
        return None  # not even made completely


def _number(number: int) -> bytes:
    return b"%d:" % number


def _of_int(value: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)


def _of_str(value: str) -> bytes:
    return value.encode("utf-8", "surrogatepass")


def _of_complex(value: complex) -> bytes:
    return struct.pack(">dd", value.real, value.imag)


_PLAIN: Final[dict[type, tuple[bytes, Callable[[Any], bytes]]]] = {
    type(None): (b"n", lambda _: b""),
    bool: (b"b", lambda value: b"1" if value else b"0"),
    int: (b"i", _of_int),
    float: (b"f", struct.Struct(">d").pack),
    complex: (b"j", _of_complex),
    str: (b"s", _of_str),
    bytes: (b"y", bytes),
    bytearray: (b"Y", bytes),
}
