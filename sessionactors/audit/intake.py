"""The queue in front of the audit actor, which outlives the actor.

Whoever has something for the audit log puts it here and goes on: one append. The
actor is poked once for many events, takes what is there, and writes it as one
batch. A mailbox dies with its actor; this queue does not, so a crash of the audit
actor loses no event: the next one finds it waiting.

Back-pressure: at the bound the sender asks the actor to write and waits for it.
Only if that fails (the actor is gone for good, the disk is full) is the event
lost, and then it is counted.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final, TypeAlias, final

from sessionactors.effects import Audit, Transition
from supervisors.errors import SupervisorsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisors.runtime.ref import ActorRef

__all__ = ["COMMIT", "FULL", "WAITING", "Intake", "Waiting"]

Waiting: TypeAlias = "tuple[float, str | None, Transition | Audit, str]"
"""Monotonic seconds, session, what happened, and who did it."""

WAITING: Final = "events_waiting"
"""Message to the audit actor: the queue is not empty any more."""
FULL: Final = "batch_full"
"""Message to the audit actor: there is enough for a batch."""
COMMIT: Final = "commit"
"""Ask of the audit actor: write everything that waits, and answer when it is durable."""


@final
class Intake:
    """Events on their way to the audit log.

    Args:
        find: returns the audit actor of this moment, or None.
        batch_max: events that make a batch without waiting for company.
        queue_max: events that may wait.

    Attributes:
        lost: events that could not be taken.

    Thread: `put()` is safe anywhere, `take()` is the audit actor's.
    """

    __slots__ = ("_batch_max", "_find", "_is_poked", "_queue", "_queue_max", "lost")

    def __init__(self, find: Callable[[], ActorRef[Any] | None], batch_max: int, queue_max: int) -> None:
        self._find = find
        self._queue: deque[Waiting] = deque()
        self._batch_max = batch_max
        self._queue_max = queue_max
        self._is_poked = False
        self.lost = 0

    def put(self, event: Waiting) -> None:
        """Add an event. Never fails; blocks only while the queue is at its bound."""
        queue = self._queue
        queue.append(event)
        # The actor clears the flag before it takes: an event that was appended
        # while the flag stood is among those it takes.
        if not self._is_poked:
            self._is_poked = True
            self._poke(WAITING)
        elif len(queue) >= self._batch_max:
            self._crowded()

    def take(self) -> list[Waiting]:
        """Take all events that wait, in order."""
        self._is_poked = False
        queue = self._queue
        taken = []
        while queue:
            taken.append(queue.popleft())
        return taken

    def put_back(self, events: list[Waiting]) -> None:
        """Return events that could not be written to the front of the queue."""
        self._queue.extendleft(reversed(events))

    def __len__(self) -> int:
        """Return how many events wait."""
        return len(self._queue)

    def _poke(self, message: str) -> None:
        actor = self._find()
        if actor is not None:
            actor.send(message)

    def _crowded(self) -> None:
        waiting = len(self._queue)
        if waiting <= self._queue_max:
            # One message at the bound of each batch, not one for each event behind it.
            if waiting % self._batch_max == 0:
                self._poke(FULL)
            return
        actor = self._find()
        try:
            if actor is not None:
                actor.ask(COMMIT)
        except (SupervisorsError, OSError):
            actor = None
        if actor is None and len(self._queue) > self._queue_max:
            self._queue.pop()
            self.lost += 1
