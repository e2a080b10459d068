"""The mailbox of an actor that sleeps, folded away: two empty lists less for each of a million.

An idle mailbox is two lists, the messages and the gate (see `cell.py`). While it is folded,
something that the sleeper has anyway stands in the place of the first, its `Crease`, and
one gate that is shut for good in the place of all seconds. Senders see nothing of this. Who
appends, appends to the crease, which makes both lists anew and puts the message there; who
tries for the token before that does not get it, and so goes the long way, which appends.

**Why no message is lost.** A sender may have read either list out of the ref just before they
went, and may append to the one or take the token of the other after that. It would then
hold a reference to the list meanwhile. So the lists go only if, after they have been
taken out of the ref, nobody else refers to them, and nothing is in the mailbox: from then on nobody can
get at them any more. Else they are put back as they were. Whoever folds has the token all the while.

The count of references says so exactly where there is a GIL. Where there is none,
no mailbox is ever folded, and sleeping saves a little less.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from sys import getrefcount
from typing import TYPE_CHECKING, Any, Final, final

from supervisors.runtime.cell import TOKEN
from supervisors.runtime.ref import ActorRef
from supervisors.runtime.turn import HAS_GIL

if TYPE_CHECKING:
    from supervisors.runtime.cell import Cell

__all__ = ["Crease", "Folding", "fold", "is_folded"]

_WAITING_MAX: Final = 1024

SHUT: Final[list[None]] = []
"""The gate of every folded mailbox; there never is a token in it."""

# Guards the exchange of both lists, either way. A signal handler may send to the very
# mailbox that the code below it folds, so it must not wait for that.
_folding = threading.RLock()
_being_folded: Final[list[Cell]] = []  # at most one; guarded by the lock, as is:
_late: Final[list[tuple[Cell, Any]]] = []  # what signal handlers have sent meanwhile


class Crease:
    """What stands in the place of a folded mailbox's messages: none, until the first comes.

    Thread: any.
    """

    __slots__ = ()

    _ref: ActorRef[Any]

    def append(self, item: Any) -> None:
        """Take in a message or a signal: the mailbox is unfolded by it."""
        ref = self._ref
        with _folding:
            if _being_folded and _being_folded[0] is ref:
                _late.append((ref, item))
                return
            if ref._outer is self:  # type: ignore[comparison-overlap]  # noqa: SLF001 - see the module
                # In this order: half of it done, and interrupted, is something to go on from.
                if ref._gate is SHUT:  # noqa: SLF001 - likewise
                    ref._gate = [None]  # noqa: SLF001 - likewise
                ref._outer = []  # noqa: SLF001 - likewise
        ref._outer.append(item)  # noqa: SLF001 - it may have been folded again: then it is unfolded again

    def __len__(self) -> int:
        """Return 0: nothing waits."""
        return 0

    def __iter__(self) -> Iterator[Any]:
        """Yield nothing, for those who only look."""
        return iter(())


def is_folded(ref: Cell) -> bool:
    """Tell whether a mailbox is folded; a snapshot."""
    return ref._gate is SHUT  # noqa: SLF001 - see the module


def fold(ref: Cell, crease: Crease) -> bool:
    """Fold the mailbox of an actor that sleeps, unless somebody has to do with it just now.

    Args:
        ref: the actor, outside its turn.
        crease: what stands for it while it sleeps; if something else does by now, nothing happens.

    Returns:
        Whether it is folded.

    Thread: any. Never blocks for longer than another mailbox takes to be folded.
    """
    if not HAS_GIL or type(ref) is not ActorRef or ref._actor is not crease:  # noqa: SLF001 - see the module
        return False
    gate = ref._gate  # noqa: SLF001 - likewise
    try:
        del gate[0]
    except IndexError:
        return gate is SHUT
    try:
        with _folding:
            _fold(ref, crease, gate)
        while _late:
            cell, item = _late.pop(0)
            cell._outer.append(item)  # noqa: SLF001 - likewise
            cell.look_again()
    finally:
        if ref._gate is gate:  # noqa: SLF001 - likewise
            gate += TOKEN
            ref.look_again()
    return ref._gate is SHUT  # noqa: SLF001 - likewise


def _fold(ref: ActorRef[Any], crease: Crease, gate: list[None]) -> None:
    # The token is ours, and so is the lock.
    outer = ref._outer  # noqa: SLF001 - likewise
    if outer or ref._inner is not None or ref._actor is not crease:  # noqa: SLF001 - likewise
        return
    is_alone = False
    _being_folded.append(ref)
    try:
        ref._outer = crease  # noqa: SLF001 - it takes messages like a list
        ref._gate = SHUT  # noqa: SLF001 - see the module
        # Whoever still has one of the two could use it. Who had, and has let go, has left what it did.
        is_alone = getrefcount(outer) == _OUTER_ALONE and getrefcount(gate) == _GATE_ALONE and not outer
    finally:
        if not is_alone:
            ref._outer = outer  # noqa: SLF001 - likewise
            ref._gate = gate  # noqa: SLF001 - likewise
        _being_folded.clear()


def _references_of_one() -> int:
    """Return how many references are counted to a list that one function has."""
    fresh: list[None] = []
    return getrefcount(fresh)


def _references_of_two() -> int:
    """Return how many are counted to one that two functions have, the one having called the other."""
    fresh: list[None] = []
    return _references(fresh)


def _references(item: list[None]) -> int:
    return getrefcount(item)


# What the count adds to them differs between versions of Python, so it is asked here.
_OUTER_ALONE: Final = _references_of_one()
_GATE_ALONE: Final = _references_of_two()


@final
class Folding:
    """Sleepers whose mailboxes are to be folded, once the turns are over in which they fell asleep.

    Nobody comes round for that: whoever falls asleep folds those who did before.

    Thread: any.
    """

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: deque[Crease] = deque(maxlen=_WAITING_MAX)

    def add(self, crease: Crease) -> None:
        """Fold two of those that wait, and have this one folded later."""
        waiting = self._waiting
        for _ in range(2):
            try:
                before = waiting.popleft()
            except IndexError:
                break
            ref = before._ref  # noqa: SLF001 - the two are one thing
            if not fold(ref, before) and ref._actor is before:  # noqa: SLF001 - see the module
                waiting.append(before)  # somebody had to do with it just now
        waiting.append(crease)
