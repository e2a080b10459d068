"""The queue in front of the store actor, which outlives the actor.

A session puts its snapshot here, encoded, and goes on; the newest one of a session takes the
place of an older one, so a busy session costs one write for each batch. Whoever
waits for its snapshot to be durable is answered when that one or a later one is.

The queue holds one snapshot for each session, up to a bound. Beyond it nothing is
thrown away: who asks for `persist` is refused, and a session that would have
been saved by the way is saved with its next change. An end is always taken, because
it is small, and a session that came back from its own end would be a fault.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol, final

from sessionactors.storage.codec import deletion

if TYPE_CHECKING:
    from sessionactors.errors import PersistFailed
    from sessionactors.storage.contract import Record
    from supervisors.runtime.ref import ActorRef

__all__ = ["SOMEBODY_WAITS", "WAITING", "Asker", "Saving", "StoreIntake"]

WAITING: Final = "snapshots_waiting"
"""Message to the store actor: the queue is not empty any more."""
SOMEBODY_WAITS: Final = "somebody_waits"
"""Message to the store actor: write now, somebody waits for it."""


class Asker(Protocol):
    """Who waits for a session to be durable; a `Reply` that is owed is one."""

    def set(self, value: Any) -> object:
        """Take the answer."""
        ...

    def refuse(self, error: PersistFailed) -> object:
        """Take the reason why not."""
        ...


@final
class Saving:
    """What is to become of one session in the store.

    Hardly ever do several wait for the same, so the first of them has a place of its own:
    twenty thousand that wait are as many objects less for the garbage collector to look at.

    Args:
        record: what is to be written.
        asker: who waits for it, or None.
        answer: what that one is told.

    Attributes:
        record: see above.
        number: its place among all that was ever taken, from 1; 0 until it is taken.
    """

    __slots__ = ("_answer", "_asker", "_others", "number", "record")

    def __init__(self, record: Record, asker: Asker | None = None, answer: str = "") -> None:
        self.record = record
        self._asker = asker
        self._answer = answer
        self._others: tuple[tuple[Asker, str], ...] = ()
        self.number = 0

    @property
    def askers(self) -> tuple[tuple[Asker, str], ...]:
        """Who waits for it, each with the answer, first come first."""
        return () if self._asker is None else ((self._asker, self._answer), *self._others)

    def is_awaited(self) -> bool:
        """Tell whether anybody waits for it."""
        return self._asker is not None

    def let_go(self) -> tuple[tuple[Asker, str], ...]:
        """Return who has waited for it; from now on nobody does."""
        askers = self.askers
        self._asker, self._others = None, ()
        return askers

    def replaced_by(self, newer: Saving) -> Saving:
        """Hand those who wait, and the place, over to what comes instead."""
        if self._asker is not None:
            (newer._asker, newer._answer), *others = (*self.askers, *newer.askers)
            newer._others = tuple(others)
        newer.number = self.number
        return newer


@final
class StoreIntake:
    """Snapshots on their way to the store.

    Args:
        find: returns the store actor of this moment, or None.
        queue_max: sessions whose snapshots may wait.

    Attributes:
        leaving: sessions whose end is not in the store yet, each with what is to write it: the
            deletion, or a snapshot of the session that has the id next.
        undeleted: why the store has refused to delete what it has of a session, by its id;
            until something of it is written.
        epoch: under which all that waits is going to be written; set once, by who owns the store.

    Thread: every method is safe anywhere.
    """

    __slots__ = ("_find", "_is_poked", "_is_urgent", "_lock", "_queue", "epoch", "leaving", "queue_max", "undeleted")

    def __init__(self, find: Callable[[], ActorRef[Any] | None], queue_max: int) -> None:
        self._find = find
        self._lock = threading.Lock()  # guards all below; nothing else is called while it is held
        self._queue: dict[str, Saving] = {}
        self._is_poked = False
        self._is_urgent = False
        self.leaving: dict[str, Saving] = {}
        self.undeleted: dict[str, str] = {}
        self.queue_max = queue_max
        self.epoch = 0

    def save(self, record: Record) -> bool:
        """Have a snapshot stored soon; False when there is no room for it."""
        return self._put(record.session_id, Saving(record), needs_room=True)

    def persist(self, record: Record, asker: Asker, answer: str) -> None:
        """Have a snapshot stored at once and somebody answered when it is durable; ask `has_room()` before."""
        self._put(record.session_id, Saving(record, asker, answer), is_urgent=True)

    def keep(self, record: Record) -> None:
        """Have the last snapshot of a session stored that ends and is to come back; always taken."""
        self._put(record.session_id, Saving(record))

    def delete(self, session_id: str) -> None:
        """Have deleted what is stored of a session that has ended; always taken."""
        self._put(session_id, Saving(deletion(session_id)), is_leaving=True)

    def has_room(self) -> bool:
        """Tell whether one more snapshot can wait."""
        return len(self._queue) < self.queue_max

    def take(self) -> dict[str, Saving]:
        """Take everything that waits, in the order of its arrival."""
        with self._lock:
            taken, self._queue = self._queue, {}
            self._is_poked = self._is_urgent = False
        return taken

    def has_ends(self) -> bool:
        """Tell whether there may be something to say about a session that has ended."""
        return bool(self.leaving or self.undeleted)

    def settled(self, batch: Mapping[str, Saving], refused: Mapping[str, str]) -> None:
        """Note that a batch has been written, with the ends that are in it.

        A session may have ended while an older snapshot of it was being written: its end is still to come.

        Args:
            batch: what was to be written, by session id.
            refused: why some of it was not, likewise.
        """
        with self._lock:
            for session_id, saving in batch.items():
                why = refused.get(session_id)
                if why is None:
                    self.undeleted.pop(session_id, None)
                elif saving.record.snapshot is None or self.leaving.get(session_id) is saving:
                    self.undeleted[session_id] = why
                # In this order: who reads one after the other without the lock misses nothing.
                if self.leaving.get(session_id) is saving:
                    del self.leaving[session_id]

    def close(self) -> None:
        """Take nothing any more: nobody would write it."""
        self.queue_max = 0

    def __len__(self) -> int:
        """Return how many sessions wait."""
        return len(self._queue)

    def _put(
        self,
        session_id: str,
        saving: Saving,
        *,
        needs_room: bool = False,
        is_urgent: bool = False,
        is_leaving: bool = False,
    ) -> bool:
        message = None
        with self._lock:
            queue = self._queue
            waiting = queue.get(session_id)
            if waiting is not None:
                saving = waiting.replaced_by(saving)
            elif needs_room and len(queue) >= self.queue_max:
                return False
            queue[session_id] = saving
            if is_leaving:
                self.leaving[session_id] = saving
            elif session_id in self.leaving:
                self.leaving[session_id] = saving  # another session has its id, and its snapshot ends the old one
            # The actor clears the flags before it takes: what was put while one
            # stood is among what it takes.
            if is_urgent:
                if not self._is_urgent:
                    self._is_urgent = self._is_poked = True
                    message = SOMEBODY_WAITS
            elif not self._is_poked:
                self._is_poked = True
                message = WAITING
        if message is not None:
            actor = self._find()
            if actor is not None:
                actor.send(message)
        return True
