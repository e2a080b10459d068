"""How much memory an actor's state holds: an estimate that costs microseconds.

Counted are the actor's attributes, the built-in containers in them, and one level of
attributes of other objects. Of a long container a few elements are looked at, and
the rest is taken to be like them. So the figure is right for data that is alike, and
rough for one huge element among thousands of small ones. What several actors share
counts for each, as far as it is reached. No code of the program's runs.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable
from itertools import islice
from types import BuiltinFunctionType, FunctionType, MemberDescriptorType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any, Final

from supervisors.inspection.insides import inside_of
from supervisors.runtime.cell import Cell

if TYPE_CHECKING:
    from supervisors.runtime.ref import ActorRef

__all__ = ["weight_of"]

_LOOKED_AT: Final = 16  # elements of one container
_DEPTH_MAX: Final = 4  # containers inside each other
_LEAVES: Final = (str, bytes, bytearray, int, float, complex, type(None))
_NOT_ITS_OWN: Final = (type, ModuleType, FunctionType, BuiltinFunctionType, MethodType, Cell)
_CONTAINERS: Final = (list, tuple, set, frozenset, deque)


def weight_of(ref: ActorRef[Any]) -> int:
    """Return about how many bytes the state of an actor and its mailbox hold; 0 for the dead.

    Thread: any; the actor goes on meanwhile.
    """
    actor = inside_of(ref)
    if actor is None:
        return 0
    own = object.__sizeof__(ref) + sys.getsizeof(ref._outer)  # noqa: SLF001 - the mailbox, likewise
    return own + object.__sizeof__(actor) + _of_attributes(actor, 1)


def _of_attributes(value: object, objects: int) -> int:
    size = 0
    attributes = getattr(type(value), "__dictoffset__", 0) and object.__getattribute__(value, "__dict__")
    if attributes:
        size += dict.__sizeof__(attributes) + _of_many(dict.values(attributes), len(attributes), _DEPTH_MAX, objects)
    for kind in type(value).__mro__:
        for slot in vars(kind).values():
            if isinstance(slot, MemberDescriptorType):
                try:
                    size += _of(slot.__get__(value), _DEPTH_MAX, objects)
                except AttributeError:
                    continue  # nothing is in it
    return size


def _of(value: object, depth: int, objects: int) -> int:
    if isinstance(value, _NOT_ITS_OWN):
        return 0
    size = object.__sizeof__(value)
    if isinstance(value, _LEAVES):
        return value.__sizeof__() if type(value) in _LEAVES else size
    if isinstance(value, dict):
        size = dict.__sizeof__(value)
        if depth:
            length = dict.__len__(value)
            size += _of_many(dict.keys(value), length, depth - 1, objects)
            size += _of_many(dict.values(value), length, depth - 1, objects)
        return size
    for base in _CONTAINERS:
        if isinstance(value, base):
            size = base.__sizeof__(value)
            if depth:
                size += _of_many(base.__iter__(value), base.__len__(value), depth - 1, objects)  # type: ignore[arg-type]  # as above
            return size
    return size + (_of_attributes(value, objects - 1) if objects else 0)


def _of_many(items: Iterable[Any], length: int, depth: int, objects: int) -> int:
    looked_at = total = 0
    try:
        for item in islice(items, _LOOKED_AT):
            total += _of(item, depth, objects)
            looked_at += 1
    except RuntimeError:
        pass  # its owner has changed it meanwhile
    return total * length // looked_at if looked_at else 0
