"""How much memory a session holds: an estimate that costs microseconds.

Counted are the session's record with its history and metadata, and the attributes
that a derived class has given it: strings, bytes, numbers and the containers of these
are followed, of any other object its own size counts and nothing behind it. Of a long
container some elements are looked at, spread over its length, and the rest is taken to
be like them. What is shared between sessions (options, quota, services) is left out.

So the figure is right for data that is alike, and rough for a container with one
huge element among thousands of small ones. Whoever knows better reports it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from itertools import islice
from sys import getsizeof
from typing import Final

from sessionactors.session_data import SessionData

__all__ = ["data_size", "size_of"]

_LOOKED_AT: Final = 16
_DEPTH_MAX: Final = 4

_LEAVES: Final = frozenset({str, bytes, bytearray, int, float, bool, complex, type(None)})
_SEQUENCES: Final = frozenset({list, tuple, set, frozenset})


def size_of(value: object, depth: int = _DEPTH_MAX) -> int:
    """Return about how many bytes a value holds.

    Args:
        value: anything.
        depth: how many containers inside each other are opened.
    """
    kind = type(value)
    size = getsizeof(value, 64)
    if kind in _LEAVES or depth <= 0:
        return size
    if kind is dict:
        assert isinstance(value, dict)
        return size + _of_many(value, len(value), depth) + _of_many(value.values(), len(value), depth)
    if kind in _SEQUENCES:
        assert isinstance(value, Collection)
        return size + _of_many(value, len(value), depth)
    return size


def data_size(data: SessionData) -> int:
    """Return about how many bytes a session's record holds, without what it shares with others."""
    size = getsizeof(data, 64) + getsizeof(data.session_id)
    if data.recorded is not None:
        # Of each remembered transition the moment is the session's own; the rest is shared.
        size += getsizeof(data.recorded) + getsizeof(0.0) * (len(data.recorded) // 2)
    if data.metadata is not data.options.metadata:
        size += _of_mapping(data.metadata)
    if data.question is not None:
        size += getsizeof(data.question, 64) + size_of(data.question.context)
    return size


def _of_mapping(values: Mapping[str, object]) -> int:
    return getsizeof(values, 64) + sum(getsizeof(name) + size_of(value) for name, value in values.items())


def _of_many(values: Iterable[object], count: int, depth: int) -> int:
    if count <= _LOOKED_AT:
        return sum(size_of(each, depth - 1) for each in values)
    step = count // _LOOKED_AT
    looked_at = [size_of(each, depth - 1) for each in islice(values, 0, step * _LOOKED_AT, step)]
    return sum(looked_at) * count // len(looked_at)
