"""The queue in front of the audit actor, which outlives the actor.

Whoever has something for the audit log puts it here and goes on: one append. The
actor is poked once for many events, takes what is there, and writes it as one
batch. A mailbox dies with its actor; this queue does not, so a crash of the audit
actor loses no event: the next one finds it waiting.

Back-pressure: at the bound the sender asks the actor to write and waits for it.
Only if that fails (the actor is gone, the disk is full) is the new event lost, and
then it is counted; what is in the queue already stays.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from itertools import repeat, starmap
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, final

from sessionactors.effects import Audit, Transition
from supervisors.errors import SupervisorsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sessionactors.audit.contract import AuditStore
    from sessionactors.audit.record import PersonalData
    from supervisors.runtime.ref import ActorRef

__all__ = ["COMMIT", "FULL", "WAITING", "Erase", "Intake", "Look", "Waiting"]


Waiting: TypeAlias = "tuple[float, str | None, int | Transition | Audit, bytes | PersonalData | None, str]"
"""Monotonic seconds, session, what happened, its data, and who did it.

Where data are given, the event was packed where it came from, and what happened is a
kind: a number for type and severity. Where they are None it is an effect, or the
number of one. Most are floats, texts, bytes and whole numbers only: in such a tuple the
garbage collector has nothing to look at, however many wait.
"""

WAITING: Final = "events_waiting"
"""Message to the audit actor: the queue is not empty any more."""
FULL: Final = "batch_full"
"""Message to the audit actor, and ask: there is enough for a batch. It is not tried
again and again when the log cannot be written; the answer is whether it can."""
COMMIT: Final = "commit"
"""Ask of the audit actor: write everything that waits, and answer when it is durable,
with the head of the log, or with the `AuditError` that kept it from that."""

_TRIES_MAX: Final = 100  # so often others may take the room that somebody waits for


class Erase(NamedTuple):
    """Ask of the audit actor: erase the personal data of somebody.

    The answer is an `Erasure`, None where there was nothing, or an `AuditError`.

    Attributes:
        subject: a person or a session.
        actor: who wants it.
        reason: why.
    """

    subject: str
    actor: str
    reason: str


class Look(NamedTuple):
    """Ask of the audit actor: answer with what a function says of the log, which nobody else writes meanwhile.

    Attributes:
        at: called with the store; quick, and changes nothing.
    """

    at: Callable[[AuditStore], object]


@final
class Intake:
    """Events on their way to the audit log.

    Args:
        find: returns the audit actor of this moment, or None.
        batch_max: events that make a batch without waiting for company.
        queue_max: events that may wait.

    Attributes:
        batch_max, queue_max: see above.
        writer: the thread that writes them in place of the actor at this moment, by its number.
        held: events that were taken and are not known to be in the log.
        lost: events that could not be taken.
        is_failing: whether the log cannot be written at this moment, so that what
            would give somebody rights is to be refused; set by the audit actor.

    Thread: `put()` is safe anywhere; one thread at a time takes and puts back.
    """

    __slots__ = (
        "_find",
        "_is_poked",
        "_lock",
        "_look_at",
        "_queue",
        "_write",
        "batch_max",
        "held",
        "is_failing",
        "lost",
        "queue_max",
        "writer",
    )

    def __init__(self, find: Callable[[], ActorRef[Any] | None], batch_max: int, queue_max: int) -> None:
        self._find = find
        self._queue: deque[Waiting] = deque()
        self.held: list[Waiting] = []
        self.writer: int | None = None
        self.batch_max = batch_max
        self.queue_max = queue_max
        self._look_at = min(batch_max - 1, queue_max)  # from so many that wait on there is more to do than to append
        self._is_poked = False
        self.is_failing = False
        self._write: Callable[[], None] | None = None
        self._lock = threading.Lock()  # guards `lost`
        self.lost = 0

    @property
    def oldest_at(self) -> float | None:
        """When the oldest event that waits came, in monotonic seconds; None where none waits. Safe anywhere."""
        try:
            return self._queue[0][0]
        except IndexError:
            return None

    def put(self, event: Waiting) -> bool:
        """Add an event; return whether it was taken. Blocks only while the queue is at its bound."""
        queue = self._queue
        if len(queue) >= self._look_at:
            return self._put_with_care(event)
        queue.append(event)
        # The actor clears the flag before it writes: an event that was appended
        # while the flag stood is among those it takes.
        if not self._is_poked:
            try:
                self._is_poked = True
                self._poke(WAITING)
            except BaseException:
                self._is_poked = False  # the next one tells of this one as well
                raise
        return True

    def _put_with_care(self, event: Waiting) -> bool:
        """Add the event that makes a batch full, or comes to the bound."""
        queue = self._queue
        # The bound comes first: what is in the queue is never thrown away again.
        if len(queue) >= self.queue_max and not self._has_room():
            return False
        queue.append(event)
        write = self._write
        if write is not None:
            try:
                write()
            except BaseException:
                self._is_poked = False
                self._poke(FULL)  # it was interrupted: the actor goes on with it
                raise
            if len(queue) < self.batch_max:
                return True
            # Somebody else writes at this moment, or it failed.
        self._is_poked = True
        # One message at the bound of each batch, not one for each event behind it.
        self._look_from(len(queue))
        self._poke(FULL)
        return True

    def be_written_by(self, write: Callable[[], None], batch_max: int) -> None:
        """Have whoever makes a batch full write it, in place of the audit actor.

        Args:
            write: writes what waits if that can be done at once; raises nothing, unless it is interrupted.
            batch_max: events that make a batch, at most.
        """
        self._write = write
        self.batch_max = min(self.batch_max, batch_max)
        self._look_from(0)

    def close(self) -> None:
        """Take nothing any more: nobody would write it."""
        self.queue_max = self._look_at = 0

    def heard(self) -> None:
        """Note that the audit actor is about to write what waits: whoever comes from here on pokes it again."""
        self._is_poked = False

    def take(self, most: int | None = None) -> list[Waiting]:
        """Take events that wait, in order, and hold them until `written()`: so many at most, or all.

        What is still held comes first, alone.
        """
        self._look_from(0)
        held, queue = self.held, self._queue
        if not held:
            count = len(queue) if most is None else min(most, len(queue))
            # One call: a signal, which only the main thread handles, comes before all of it or behind all.
            held.extend(starmap(queue.popleft, repeat((), count)))
        return held

    def written(self) -> None:
        """Let go of what is held: the log has it."""
        self.held.clear()

    def put_back(self) -> None:
        """Return what is held, and could not be written, to the front of the queue."""
        self._queue.extendleft(reversed(self.held))
        self.held.clear()

    def __len__(self) -> int:
        """Return how many events wait."""
        return len(self._queue)

    def _look_from(self, count: int) -> None:
        """Let so many be followed by the rest of a batch before anybody looks again."""
        self._look_at = min(count + self.batch_max - 1, self.queue_max)
        if not self.queue_max:
            self._look_at = 0  # it was closed meanwhile

    def _poke(self, message: str) -> None:
        actor = self._find()
        if actor is not None:
            actor.send(message)

    def _has_room(self) -> bool:
        """Have the actor write, and wait for it; count the event as lost if that does not help."""
        if self.writer == threading.get_ident():
            # Something that is freed or packed in the middle of a write has something to say. Room is
            # being made on this very stack, and the actor could not make any before that is done.
            return True
        for _ in range(_TRIES_MAX):
            actor = self._find()
            if actor is None:
                break
            is_written = False
            # If it is gone, or does not answer: what counts is whether there is room.
            with suppress(SupervisorsError):
                is_written = actor.ask(FULL)
            if len(self._queue) < self.queue_max:
                return True
            if not is_written:
                break
            # Others, who had waited as well, were quicker.
        if len(self._queue) < self.queue_max:
            return True
        self._lose()
        return False

    def _lose(self) -> None:
        with self._lock:
            self.lost += 1
