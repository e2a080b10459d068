"""Sessions that the rate limiter has to forget: a list that outlives it, in place of a message each.

The limiter reads the list before it does anything else, so nobody can see an entry
of a session that ended before. It is told to read at once while anybody waits in a line,
because who waits for the turn of an ended session is to hear of that, and while a timer of
its own runs for anybody; else when some have come together, so that ended sessions take no room.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, final

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisors.runtime.ref import ActorRef

__all__ = ["DEPARTED", "Departures"]

DEPARTED: Final = "departed"
"""Message to the limiter: read the list."""

_TOLD_EACH: Final = 64  # ids; two that come at the same time may miss one, and not the next


@final
class Departures:
    """Ids of sessions that have ended since the limiter has looked last.

    Args:
        find: returns the limiter of this moment, or None.

    Attributes:
        waiting: those ids, in order; only `take()` takes out.
        is_urgent: each is to be forgotten at once. Set by the limiter, which reads the list after that.

    Thread: `put()` is safe anywhere; one limiter at a time takes.
    """

    __slots__ = ("_find", "is_urgent", "waiting")

    def __init__(self, find: Callable[[], ActorRef[Any] | None]) -> None:
        self._find = find
        # What is done with it is atomic, as with a mailbox (see `runtime/cell.py`).
        self.waiting: list[str] = []
        self.is_urgent = False

    def put(self, session_id: str) -> None:
        """Enter a session that ends; it is in the directory still, so nobody else has its id."""
        waiting = self.waiting
        waiting.append(session_id)
        if self.is_urgent or len(waiting) % _TOLD_EACH == 0:
            limiter = self._find()
            if limiter is not None:
                limiter.send(DEPARTED)

    def take(self) -> list[str]:
        """Take all that wait, in order."""
        waiting = self.waiting
        count = len(waiting)
        taken = waiting[:count]
        del waiting[:count]
        return taken

    def __repr__(self) -> str:
        return f"<Departures: {len(self.waiting)} wait>"
