"""Sessions on their way to the reaper: a list that outlives it, in place of a message each.

A session that starts cannot have to go before its time without activity is up, and
mostly the reaper looks around before that anyway. So whoever arrives is put into a list,
and the reaper reads it when it looks around next. It is told to read at once only if it
might look too late otherwise, or if very many wait.

**No arrival is missed**, because a session enters the list first and then reads
`calm_from`, while the reaper, before it goes by another time, first makes that infinite and then
reads the list. Who came before the reading is found by it, who came after it has seen the infinite
one and says so.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any, Final, final

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisors.runtime.ref import ActorRef

__all__ = ["ARRIVED", "Arrivals"]

ARRIVED: Final = "arrived"
"""Message to the reaper: read the list."""

_TOLD_EACH: Final = 3 * 1024  # entries; two sessions that come at the same time may miss one, and not the next
_GONE_MAX: Final = 1024


@final
class Arrivals:
    """Who has started, or has become another session, since the reaper has looked last.

    Args:
        find: returns the reaper of this moment, or None.

    Attributes:
        calm_from: monotonic seconds; who was last active then or later is looked at in time.
            Infinite while nobody is going to look. Set by the reaper.

    Thread: `put()` and `left()` are safe anywhere; one reaper at a time takes.
    """

    __slots__ = ("_find", "_gone", "_waiting", "calm_from")

    def __init__(self, find: Callable[[], ActorRef[Any] | None]) -> None:
        self._find = find
        # Flat, because an entry of its own for each would be one more thing for the garbage
        # collector. What is done with it is atomic, as with a mailbox (see `runtime/cell.py`).
        self._waiting: list[Any] = []
        self._gone = 0  # about; two at once may count as one
        self.calm_from = inf

    def put(self, session_id: str, ref: ActorRef[Any], last_activity: float) -> None:
        """Enter a session; it is in the directory already.

        Args:
            session_id: its id.
            ref: its actor.
            last_activity: monotonic seconds.
        """
        waiting = self._waiting
        waiting += (session_id, ref, last_activity)
        if last_activity < self.calm_from or len(waiting) % _TOLD_EACH == 0:
            self._poke()

    def left(self) -> None:
        """Count a session that has ended: the reaper's entry for it is of no use any more."""
        self._gone += 1
        if self._gone >= _GONE_MAX:
            self._gone = 0
            self._poke()

    def take(self) -> list[Any]:
        """Take all that wait, in order: id, ref, last activity, id, ref, ..."""
        waiting = self._waiting
        count = len(waiting)
        taken = waiting[:count]
        del waiting[:count]
        return taken

    def _poke(self) -> None:
        reaper = self._find()
        if reaper is not None:
            reaper.send(ARRIVED)

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._waiting) // 3

    def __repr__(self) -> str:
        return f"<Arrivals: {len(self)} wait, calm from {self.calm_from:g} s>"
