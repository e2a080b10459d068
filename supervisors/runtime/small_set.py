"""A set that is a tuple while it is small, because most actors have one link.

A `set` of one element takes 216 bytes, a tuple of one 48. A million sessions
each have one link (their supervisor) and one or two watchers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias, final

__all__ = ["SharedSet", "SmallSet", "with_item", "without_item"]

_TUPLE_MAX: Final = 4

_MORE_MAX: Final = 32
_GONE_MAX: Final = 4


@final
class SharedSet:
    """A set of which most are keys of a table that somebody has anyway.

    A supervisor of 100,000 children knows each of them twice, as a child and as linked;
    a second table for that is 50 bytes for each. So what is in the table is in the set,
    but for those that were taken out of the set since; what is not in the table (yet) is
    kept here. The table changes as its owner likes, and only in the turns in which the set does.

    Args:
        table: by what else is to be in the set; never by what is not, but was taken out before.
        items: what is in it at first.
    """

    __slots__ = ("_gone", "_gone_max", "_more", "_more_max", "_table")

    def __init__(self, table: Mapping[Any, object], items: Iterable[object]) -> None:
        self._table = table
        self._more = dict.fromkeys(items)  # some may have come into the table meanwhile
        self._gone: set[object] = set()  # some may have left the table meanwhile
        self._more_max = _MORE_MAX
        self._gone_max = _GONE_MAX

    def __contains__(self, item: object) -> bool:
        """Tell whether something is in the set."""
        return item in self._more or (item in self._table and item not in self._gone)

    def __iter__(self) -> Iterator[object]:
        """Yield what is not in the table, then the rest in the table's order."""
        more, table, gone = list(self._more), list(self._table), self._gone
        shared = set(table)
        yield from (each for each in more if each not in shared)
        yield from (each for each in table if each not in gone)

    def __len__(self) -> int:
        """Return how many there are."""
        table = self._table
        more = sum(each not in table for each in self._more)
        return more + len(table) - sum(each in table for each in self._gone)

    def __bool__(self) -> bool:
        """Tell whether there are any."""
        return bool(self._more) or len(self._table) > len(self._gone) or len(self) > 0

    def add(self, item: object) -> None:
        """Put something into the set."""
        self._gone.discard(item)
        if item not in self._table:
            more = self._more
            more[item] = None
            if len(more) > self._more_max:
                table = self._table
                self._more = more = {each: None for each in more if each not in table}
                self._more_max = 2 * len(more) + _MORE_MAX

    def discard(self, item: object) -> None:
        """Take something out of the set."""
        self._more.pop(item, None)
        if item in self._table:
            gone = self._gone
            gone.add(item)
            if len(gone) > self._gone_max:
                # Whoever has left the table as well need not be known here, and must not be kept alive.
                table = self._table
                self._gone = gone = {each for each in gone if each in table}
                self._gone_max = 2 * len(gone) + _GONE_MAX


SmallSet: TypeAlias = tuple[object, ...] | dict[object, None] | SharedSet | None
"""None: empty; a tuple: a few items; a dict: many, in order of arrival; shared: see there."""


def with_item(items: SmallSet, item: object) -> SmallSet:
    """Return the set with the item; a dict and a shared one are changed in place."""
    if items is None:
        return (item,)
    if isinstance(items, SharedSet):
        items.add(item)
        return items
    if item in items:
        return items
    if isinstance(items, dict):
        items[item] = None
        return items
    assert isinstance(items, tuple)
    if len(items) < _TUPLE_MAX:
        return (*items, item)
    grown = dict.fromkeys(items)
    grown[item] = None
    return grown


def without_item(items: SmallSet, item: object) -> SmallSet:
    """Return the set without the item, None when nothing is left, unless it is a shared one."""
    if items is None:
        return None
    if isinstance(items, SharedSet):
        items.discard(item)
        return items
    if isinstance(items, dict):
        items.pop(item, None)
        return items or None
    if item not in items:
        return items
    return tuple(each for each in items if each != item) or None
