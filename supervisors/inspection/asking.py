"""Asks an actor something from outside without ever running its code on the asking thread.

An ask of an idle inline actor runs it on the thread that asks. That is the right
thing for a program, and the wrong one for an inspection: it would hang with an
actor that hangs. So the question is put into the mailbox, and the mailbox is handed to
the workers; the asking thread does nothing but wait for its deadline.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final, final

from supervisors.errors import UsageError
from supervisors.inspection.errors import ActorEndedError, ActorHangsError, InspectionRefused
from supervisors.runtime.futures import ScheduledFuture
from supervisors.runtime.outcomes import ActorDeadError, AskTimeoutError
from supervisors.runtime.turn import hand_over, thread_turn

if TYPE_CHECKING:
    from supervisors.runtime.ref import ActorRef

__all__ = ["UNANSWERED_MAX", "Asking"]

UNANSWERED_MAX: Final = 1_000
"""Questions that wait in mailboxes of actors that do not answer; beyond that nobody is asked."""


@final
class Asking:
    """Asks actors, each one question at a time.

    Who has not answered the last question is not asked another one: the mailbox of an
    actor that hangs must not be filled by those who look why.

    Thread: every method is safe anywhere.
    """

    __slots__ = ("_lock", "_unanswered")

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards the next
        self._unanswered: dict[int, ScheduledFuture[Any]] = {}  # by the number of the actor

    def ask(self, ref: ActorRef[Any], message: object, timeout: float) -> Any:
        """Return an actor's answer.

        Args:
            ref: whom.
            message: what its class understands.
            timeout: seconds to wait at most.

        Raises:
            ActorEndedError: it is dead, or ends before it answers.
            ActorHangsError: it has not answered in time, or has not answered the last question yet.
            InspectionRefused: too many others have not answered.
            UsageError: an actor's turn calls this.
            Exception: what the actor answers with.
        """
        system = ref.system
        if thread_turn.turn.current is not None:
            raise UsageError("an actor's turn must not wait like this; an actor asks with ref.ask()")
        if not system.scheduler.is_threaded:
            return self._ask_here(ref, message, timeout)
        with self._lock:
            before = self._unanswered.get(ref.id)
            if before is not None and not before.is_done():
                raise ActorHangsError(f"{ref} has not answered the last question yet")
            if len(self._unanswered) >= UNANSWERED_MAX:
                self._unanswered = {who: each for who, each in self._unanswered.items() if not each.is_done()}
                if len(self._unanswered) >= UNANSWERED_MAX:
                    raise InspectionRefused(f"{UNANSWERED_MAX} actors have not answered yet; nobody else is asked")
            future = self._unanswered[ref.id] = _put(ref, message)
        if not future.wait_blocking(timeout):
            raise ActorHangsError(f"{ref} has not answered within {timeout:g} s")
        with self._lock:
            self._unanswered.pop(ref.id, None)
        try:
            return future.get()
        except ActorDeadError as dead:
            raise ActorEndedError(f"{ref} has ended") from dead

    @staticmethod
    def _ask_here(ref: ActorRef[Any], message: object, timeout: float) -> Any:
        """Ask where there are no workers, as in virtual time."""
        try:
            return ref.ask(message, timeout=timeout)
        except AskTimeoutError as late:
            raise ActorHangsError(f"{ref} has not answered within {timeout:g} s") from late
        except ActorDeadError as dead:
            raise ActorEndedError(f"{ref} has ended") from dead


def _put(ref: ActorRef[Any], message: object) -> ScheduledFuture[Any]:
    """Put a question into a mailbox and give the mailbox to the workers."""
    turn = thread_turn.turn
    turn.depth += 1  # as inside an inline turn: what becomes ready is noted and not run
    try:
        return ref.ask(message, block=False)
    finally:
        turn.depth -= 1
        hand_over(turn)
