"""What may be stored with a session: plain data, bounded in size and depth.

Metadata goes into snapshots, so it must survive a trip through msgpack and come
back equal: None, bool, 64-bit integers, finite floats, text, bytes, lists, and
mappings with text keys. Anything else is refused when it is given, not when the
session is stored an hour later.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Final, NoReturn, final

from sessionactors.errors import InvalidKind, InvalidValue

__all__ = ["DEPTH_MAX", "NO_METADATA", "SIZE_MAX_BYTES", "check_metadata", "copy_of", "merge_metadata"]

SIZE_MAX_BYTES: Final = 65_536
"""Upper bound of the encoded size, the specification's limit for one record."""

DEPTH_MAX: Final = 16


@final
class _Nothing(Mapping[str, object]):
    """An empty mapping that stays empty and, unlike a mapping proxy, can be hashed and pickled."""

    __slots__ = ()

    def __getitem__(self, key: str) -> NoReturn:
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __hash__(self) -> int:
        return 0

    def __reduce__(self) -> str:
        return "NO_METADATA"

    def __repr__(self) -> str:
        return "{}"


NO_METADATA: Final[Mapping[str, object]] = _Nothing()
"""One empty mapping for every session that has nothing to remember."""

_ALLOWED: Final = "None, bool, int, float, str, bytes, list or a mapping with text keys"
_INT_MIN: Final = -(2**63)
_INT_MAX: Final = 2**64 - 1
_ITEM_OVERHEAD_BYTES: Final = 5  # the longest msgpack header of text, bytes, lists and maps


def check_metadata(field: str, value: object) -> Mapping[str, object]:
    """Check metadata and return a copy, which its owner treats as unchangeable.

    Raises:
        InvalidKind: not a mapping with text keys, or something in it cannot be stored.
        InvalidValue: too large, too deep, or a number that cannot be stored.
    """
    try:
        copied = _copy_all(field, value)
    except (InvalidKind, InvalidValue):
        raise
    except Exception:  # noqa: BLE001 - this may run in the turn of a session, which must not crash of what others' values raise
        raise InvalidKind(field, value, "a mapping with text keys that can be read, like all that is in it") from None
    return copied or NO_METADATA


def copy_of(metadata: Mapping[str, object]) -> Mapping[str, object]:
    """Return checked metadata for somebody who may do anything with them: sessions share what they have.

    A copy is made when somebody looks, and not a frozen mapping kept, because of its weight, and because what is in
    it would have to be frozen as well.
    """
    return {key: _copy_plain(value) for key, value in metadata.items()} if metadata else NO_METADATA


def _copy_plain(value: object) -> object:
    if isinstance(value, dict):
        return {key: _copy_plain(each) for key, each in value.items()}
    return [_copy_plain(each) for each in value] if isinstance(value, list) else value


def merge_metadata(old: Mapping[str, object], new: Mapping[str, object]) -> Mapping[str, object]:
    """Put checked metadata over checked metadata; new keys win.

    Raises:
        InvalidValue: both together are too large.
    """
    if not old or not new:
        return new or old
    return check_metadata("metadata", {**old, **new})


def _copy_all(field: str, value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise InvalidKind(field, value, "a mapping with text keys")
    copied, _ = _copy(field, value, 1)
    assert isinstance(copied, dict)
    return copied


def _copy(field: str, value: object, depth: int) -> tuple[object, int]:
    """Return a deep copy and an upper bound of its encoded size, bytes."""
    if value is None or isinstance(value, bool):
        return value, 1
    if isinstance(value, int):
        if not _INT_MIN <= value <= _INT_MAX:
            raise InvalidValue(field, value.bit_length(), "integers of 64 bits (the number is the bits needed)")
        return value, 9
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidValue(field, value, "a finite number")
        return value, 9
    if isinstance(value, str):
        return value, _text_size(field, value)
    if isinstance(value, bytes):
        return value, len(value) + _ITEM_OVERHEAD_BYTES
    if depth > DEPTH_MAX:
        raise InvalidValue(field, depth, f"at most {DEPTH_MAX} levels deep")
    if isinstance(value, Mapping):
        return _copy_mapping(field, value, depth)
    if isinstance(value, (list, tuple)):
        copies = []
        size = _ITEM_OVERHEAD_BYTES
        for index, item in enumerate(value):
            copied, item_size = _copy(f"{field}[{index}]", item, depth + 1)
            copies.append(copied)
            size = _grown(field, size + item_size)
        return copies, size
    raise InvalidKind(field, value, _ALLOWED)


def _copy_mapping(field: str, value: Mapping[object, object], depth: int) -> tuple[object, int]:
    copies: dict[str, object] = {}
    size = _ITEM_OVERHEAD_BYTES
    try:
        # All at once: somebody else may be changing it meanwhile, and this may run in the turn of
        # a session, which must not crash of what a mapping of somebody else's raises.
        items = list(value.items())
    except Exception:  # noqa: BLE001 - as just said
        raise InvalidKind(field, value, "a mapping that can be read, and that nobody changes meanwhile") from None
    for key, item in items:
        if not isinstance(key, str):
            raise InvalidKind(f"a key of {field}", key, "text")
        size += _text_size(f"a key of {field}", key)
        copies[key], item_size = _copy(f"{field}.{key[:40]}", item, depth + 1)
        size = _grown(field, size + item_size)
    return copies, size


def _text_size(field: str, value: str) -> int:
    if value.isascii():
        return len(value) + _ITEM_OVERHEAD_BYTES
    try:
        return len(value.encode()) + _ITEM_OVERHEAD_BYTES
    except UnicodeEncodeError:
        raise InvalidValue(field, value, "text that can be written as UTF-8") from None


def _grown(field: str, size: int) -> int:
    """Stop early, so that a huge value costs no more than the largest allowed one."""
    if size > SIZE_MAX_BYTES:
        raise InvalidValue(field, size, f"at most {SIZE_MAX_BYTES} bytes when stored")
    return size
