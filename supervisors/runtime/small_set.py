"""A set that is a tuple while it is small, because most actors have one link.

A `set` of one element takes 216 bytes, a tuple of one 48. A million sessions
each have one link (their supervisor) and one or two watchers.
"""

from __future__ import annotations

from typing import Final, TypeAlias

__all__ = ["SmallSet", "with_item", "without_item"]

SmallSet: TypeAlias = tuple[object, ...] | dict[object, None] | None
"""None: empty; a tuple: a few items; a dict: many, in order of arrival."""

_TUPLE_MAX: Final = 4


def with_item(items: SmallSet, item: object) -> SmallSet:
    """Return the set with the item; a dict is changed in place."""
    if items is None:
        return (item,)
    if item in items:
        return items
    if isinstance(items, dict):
        items[item] = None
        return items
    if len(items) < _TUPLE_MAX:
        return (*items, item)
    grown = dict.fromkeys(items)
    grown[item] = None
    return grown


def without_item(items: SmallSet, item: object) -> SmallSet:
    """Return the set without the item, None when nothing is left."""
    if items is None:
        return None
    if isinstance(items, dict):
        items.pop(item, None)
        return items or None
    if item not in items:
        return items
    return tuple(each for each in items if each != item) or None
