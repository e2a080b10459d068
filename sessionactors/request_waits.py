"""Who waits for whom among handlers that are coroutines, so that a wait that cannot end is an error at once.

A session handles one request at a time, and while its handler is a coroutine the runtime
sees nobody wait: the session's turn is over. So who is in hand and waits for the answer
of another session is written down here, and a request that would close a circle is refused.

What a handler hands to a task of its own is not counted: the handler may be over long
before that task waits.

Source: design, section 3, on call cycles.
"""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, final

from supervisors.runtime.outcomes import DeadlockError

if TYPE_CHECKING:
    from supervisors.runtime.ref import ActorRef

__all__ = ["RequestWaits", "begin_handling", "handling"]

_HANDLER: Final[ContextVar[tuple[object, ActorRef[Any]] | None]] = ContextVar("sessionactors.handler", default=None)


def begin_handling(ref: ActorRef[Any]) -> None:
    """Note that the task of this moment is the handler of a session's request."""
    _HANDLER.set((asyncio.current_task(), ref))


def handling() -> ActorRef[Any] | None:
    """Return the session whose handler, a coroutine, runs at this moment; None for all others, its tasks included."""
    found = _HANDLER.get()
    if found is None:
        return None
    task, ref = found
    try:
        return ref if asyncio.current_task() is task else None
    except RuntimeError:  # no loop runs here
        return None


@final
class RequestWaits:
    """The waits of one session system.

    Thread: every method is safe anywhere.
    """

    __slots__ = ("_lock", "_waits")

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards the next
        self._waits: dict[ActorRef[Any], ActorRef[Any]] = {}

    def check(self, asker: ActorRef[Any], asked: ActorRef[Any]) -> None:
        """Refuse a wait that could not end.

        Raises:
            DeadlockError: the one that is asked waits for the asker, directly or not.
        """
        with self._lock:
            self._check(asker, asked)

    def enter(self, asker: ActorRef[Any], asked: ActorRef[Any]) -> None:
        """Note that a handler waits for a session, until `leave()`.

        Raises:
            DeadlockError: see `check()`; nothing is noted.
        """
        with self._lock:
            self._check(asker, asked)
            self._waits[asker] = asked

    def leave(self, asker: ActorRef[Any]) -> None:
        """Note that it waits no more."""
        with self._lock:
            self._waits.pop(asker, None)

    def _check(self, asker: ActorRef[Any], asked: ActorRef[Any]) -> None:
        chain = [asker]
        following: ActorRef[Any] | None = asked
        while following is not None:  # there is no circle in it: none was let in
            chain.append(following)
            if following is asker:
                raise DeadlockError(chain)
            following = self._waits.get(following)
