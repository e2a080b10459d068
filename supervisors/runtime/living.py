"""The living actors of one system, by number.

Numbers count up, so neighbours stand side by side on a page, at a third of what a dictionary
takes for each. Of a page that has nearly emptied, because most of its actors have ended, the
last ones go into a dictionary after all: long lives among many short ones cost no more than that.
"""

from __future__ import annotations

import threading
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, final

if TYPE_CHECKING:
    from supervisors.runtime.cell import Cell
    from supervisors.runtime.ref import ActorRef

__all__ = ["Living"]

_SHIFT: Final = 4
_PAGE: Final = 1 << _SHIFT
_MASK: Final = _PAGE - 1
_FEW: Final = 3
"""So many on a page take less in the dictionary."""

_EMPTY: Final[list[Any]] = []
_NO_PAGE: Final = (*(None,) * _PAGE, 0)
_PLACES: Final = range(_PAGE)

_number_of: Final = attrgetter("id")


@final
class Living:
    """Who lives, in order of start.

    Thread: every method is safe anywhere.
    """

    __slots__ = ("_last", "_lock", "_pages", "_scattered", "_size")

    def __init__(self) -> None:
        # Guards changes; who reads goes from the pages to the scattered ones. The thread that has it may get it
        # again: a finalizer or signal handler may start or end an actor at any call here, and finds all in order.
        self._lock = threading.RLock()
        # By number // 16: sixteen places, and behind them how many are taken.
        self._pages: dict[int, list[Any]] = {}
        self._scattered: dict[int, ActorRef[Any]] = {}
        self._last = 0  # the page that is being filled
        self._size = 0

    def add(self, ref: ActorRef[Any]) -> None:
        """Enter an actor."""
        number = ref.id
        key = number >> _SHIFT
        pages = self._pages
        # Made before: what is made with the lock held may have the collector run a finalizer, which starts an actor.
        fresh = None if key in pages else [*_NO_PAGE]
        with self._lock:
            is_new = key not in pages
            if is_new:
                pages[key] = [*_NO_PAGE] if fresh is None else fresh
            page = pages[key]
            page[number & _MASK] = ref
            page[_PAGE] += 1
            self._size += 1
            if is_new and key > self._last:
                filled, self._last = self._last, key
                self._scatter(filled)

    def discard(self, ref: Cell) -> None:
        """Forget an actor, if it is here."""
        number = ref.id
        key = number >> _SHIFT
        with self._lock:
            page = self._pages.get(key)
            if page is not None and page[number & _MASK] is ref:
                page[number & _MASK] = None
                page[_PAGE] -= 1
                self._size -= 1
                if key < self._last:
                    self._scatter(key)
            elif self._scattered.get(number) is ref:
                del self._scattered[number]
                self._size -= 1

    def _scatter(self, key: int) -> None:
        """Give up a page that is not filled any more, if it has nearly emptied."""
        page = self._pages.get(key)
        if page is not None and page[_PAGE] <= _FEW:
            # One by one, and first here, then not there: who reads meanwhile finds them once or twice.
            for place in _PLACES:
                each = page[place]
                if each is not None:
                    self._scattered[each.id] = each
                    page[place] = None
                    page[_PAGE] -= 1
            if not page[_PAGE]:
                self._pages.pop(key, None)

    def all(self) -> list[ActorRef[Any]]:
        """Return them in order of start; a snapshot."""
        found: list[ActorRef[Any]] = []
        keys = list(self._pages)  # at once, while others come and go
        keys.sort()  # whoever was entered first
        for key in keys:
            page = self._pages.get(key, _EMPTY)  # or else they are scattered by now
            found += [ref for ref in page[:_PAGE] if ref is not None]
        scattered = list(self._scattered.values())
        return sorted({*found, *scattered}, key=_number_of) if scattered else found

    def filled(self) -> list[ActorRef[Any]]:
        """Return those in whose mailbox something waits, in no order; a snapshot.

        In one walk: of a hundred thousand idle actors nothing is kept, and none is asked for its length.
        """
        found: list[ActorRef[Any]] = []
        for page in list(self._pages.values()):
            found += [ref for ref in page[:_PAGE] if ref is not None and (ref._outer or ref._inner)]  # noqa: SLF001 - see above
        scattered = list(self._scattered.values())
        if scattered:
            found += [ref for ref in scattered if ref.mailbox_length]
            return list(dict.fromkeys(found))  # one that was scattered meanwhile was found twice
        return found

    def get(self, number: int) -> ActorRef[Any] | None:
        """Return who has a number, or None."""
        page = self._pages.get(number >> _SHIFT)
        found: ActorRef[Any] | None = None if page is None else page[number & _MASK]
        return self._scattered.get(number) if found is None else found

    def __len__(self) -> int:
        """Return how many there are."""
        return self._size
