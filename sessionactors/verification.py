"""Asking the authenticator, which may be slow, outside of every turn.

A session must go on answering while somebody's directory server thinks about its
credentials, and so must everybody else. So the authenticator never runs on the
threads of the actor system: a few that wait for a dead server would stop all
shared actors, the audit log among them. It gets threads of its own, few enough
that credentials cannot be used to make threads. What waits longer than its
session's authentication timer is not asked any more, because the session is gone.

In virtual time there are no threads. There the question is an actor of its own,
which runs when the system settles.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias, final

from sessionactors.effects import Verdict, Verify
from sessionactors.lifecycle import VERDICT
from supervisors.actor import Actor
from supervisors.runtime.pykka_adapter import StopMessage

if TYPE_CHECKING:
    from supervisors.runtime.ref import ActorRef

__all__ = ["OVERDUE_MAX", "THREADS_MAX", "Authenticator", "AuthenticatorStatistics", "TurnVerifier", "Verifier"]

logger = logging.getLogger("sessionactors.verification")

Authenticator: TypeAlias = Callable[[object], object]

THREADS_MAX: Final = 32
"""Authenticators that run at the same time; further questions wait in order."""

OVERDUE_MAX: Final = 256
"""Threads at most whose calls have not returned while somebody waited for them."""


def _ask(authenticator: Authenticator, question: Verify, session: ActorRef[Any], seconds: float) -> None:
    """Ask and send the verdict; whatever goes wrong denies, and every question gets one.

    A coroutine gets a loop of its own, and is cancelled when nobody waits for it any more.
    """
    verdict = Verdict(question, accepted=False, failure="interrupted")
    try:
        answer = authenticator(question.context)
        if inspect.isawaitable(answer):
            answer = asyncio.run(_awaited(answer, seconds))
    except Exception as error:  # noqa: BLE001 - fails closed, audited by the session
        verdict = Verdict(question, accepted=False, failure=type(error).__name__)
    else:
        user_id = answer if isinstance(answer, str) else None
        verdict = Verdict(question, accepted=answer is True or user_id is not None, user_id=user_id)
    finally:
        session.send((VERDICT, verdict))


async def _awaited(answer: Awaitable[object], seconds: float) -> object:
    async with asyncio.timeout(seconds):
        return await answer


@final
@dataclass(frozen=True, slots=True)
class AuthenticatorStatistics:
    """What the authenticator is doing, and what it did not get to.

    Attributes:
        waiting: questions that are to be asked.
        calls: calls that somebody waits for.
        overdue: calls that have not returned in time; nobody waits for them, but their threads live on.
        overdue_ever: calls that have been replaced because they were overdue.
        dropped: questions that were never asked, because it was too late for an answer.
    """

    waiting: int = 0
    calls: int = 0
    overdue: int = 0
    overdue_ever: int = 0
    dropped: int = 0


@final
@dataclass(eq=False, slots=True)
class _Asked:
    """A question, and until when its answer matters."""

    question: Verify
    session: ActorRef[Any]
    deadline: float


@final
class Verifier:
    """Runs an authenticator on threads of its own, started when they are needed.

    Nobody can end a call that does not return. Once nobody waits for its answer it
    is *overdue*: if others are to be asked, its thread counts no more and another one
    takes its place. So calls that hang deny those who asked, and nobody else, until
    `overdue_max` of them do.

    Args:
        authenticator: called with what was given to `authenticate`; may be a coroutine function.
        monotonic: reads the clock, seconds.
        threads_max: how many at the same time, without those that are overdue.
        overdue_max: how many of those there may be besides.

    Thread: every method is safe anywhere.
    """

    __slots__ = (
        "_authenticator",
        "_calls",
        "_dropped",
        "_is_kept",
        "_is_stopped",
        "_lock",
        "_monotonic",
        "_overdue",
        "_overdue_ever",
        "_overdue_max",
        "_questions",
        "_room",
        "_started",
        "_threads",
        "_threads_max",
        "_waiting",
    )

    def __init__(
        self,
        authenticator: Authenticator,
        monotonic: Callable[[], float],
        threads_max: int = THREADS_MAX,
        overdue_max: int = OVERDUE_MAX,
    ) -> None:
        self._authenticator = authenticator
        self._monotonic = monotonic
        self._threads_max = threads_max
        self._overdue_max = overdue_max
        self._lock = threading.Lock()  # guards all below; nothing is called while it is held that could wait
        self._questions = threading.Condition(self._lock)  # threads wait here for questions
        self._room = threading.Condition(self._lock)  # the keeper waits here until a thread can be replaced
        self._waiting: deque[_Asked] = deque()
        self._calls: dict[_Asked, None] = {}
        self._overdue: set[_Asked] = set()
        self._threads = 0  # those of the calls, and those that wait for questions
        self._started = 0
        self._overdue_ever = 0
        self._dropped = 0
        self._is_kept = False
        self._is_stopped = False

    def ask(self, question: Verify, session: ActorRef[Any], seconds: float) -> None:
        """Have a question answered; the session gets a verdict, unless the system stops before.

        Args:
            question: the credentials.
            session: who asks.
            seconds: after which a coroutine is cancelled, and an ordinary function is left alone, for
                nobody can cancel it; what has not been asked by then is denied.
        """
        with self._lock:
            if self._is_stopped:
                return
            self._waiting.append(_Asked(question, session, self._monotonic() + seconds))
            grows = self._grows()
            keeps = not self._is_kept and self._is_short()
            self._is_kept = self._is_kept or keeps
            self._questions.notify()
        self._start(self._work, grows)
        if keeps:
            self._start(self._keep, 1)

    def stop(self) -> None:
        """End the threads, each after the answer that it waits for; nobody waits for them."""
        with self._lock:
            self._is_stopped = True
            self._questions.notify_all()
            self._room.notify_all()

    def statistics(self) -> AuthenticatorStatistics:
        """Return what is being asked now, and what was too late."""
        with self._lock:
            late = sum(call.deadline <= self._monotonic() for call in self._calls)
            return AuthenticatorStatistics(
                waiting=len(self._waiting),
                calls=len(self._calls) - late,
                overdue=len(self._overdue) + late,
                overdue_ever=self._overdue_ever,
                dropped=self._dropped,
            )

    # -- on the threads -------------------------------------------------------------

    def _work(self) -> None:
        """Ask, one question after the other, until told to stop or replaced."""
        while (asked := self._next()) is not None:
            seconds = asked.deadline - self._monotonic()
            try:
                if seconds > 0:
                    _ask(self._authenticator, asked.question, asked.session, seconds)
                else:
                    self._drop(asked)
            except BaseException:
                # sys.exit() in an authenticator is no reason to have one thread less.
                logger.exception("an authenticator tried to end its thread")
            with self._lock:
                if asked in self._overdue:  # somebody else has taken this thread's place
                    self._overdue.remove(asked)
                    self._room.notify()
                    return
                del self._calls[asked]

    def _next(self) -> _Asked | None:
        with self._lock:
            while not self._waiting and not self._is_stopped:
                self._questions.wait()
            if self._is_stopped:
                return None
            asked = self._waiting.popleft()
            self._calls[asked] = None
            return asked

    def _drop(self, asked: _Asked) -> None:
        """Deny what was to be asked too late; as a rule its session has ended."""
        with self._lock:
            self._dropped += 1
        asked.session.send((VERDICT, Verdict(asked.question, accepted=False, failure="TimeoutError")))

    def _keep(self) -> None:
        """Replace threads whose calls are overdue, as long as questions wait for a thread."""
        while True:
            with self._lock:
                if self._is_stopped:
                    return
                now = self._monotonic()
                late = [call for call in self._calls if call.deadline <= now]
                late = late[: max(self._overdue_max - len(self._overdue), 0)]
                is_first = not self._overdue
                for call in late:
                    del self._calls[call]
                    self._overdue.add(call)
                    self._overdue_ever += 1
                    self._threads -= 1
                passed: list[_Asked] = []
                while self._waiting and self._waiting[0].deadline <= now:
                    passed.append(self._waiting.popleft())
                grows = self._grows()
                if not passed and not grows:
                    if not self._is_short():
                        self._is_kept = False
                        return
                    ends = [each.deadline for each in (*self._calls, self._waiting[0])]
                    self._room.wait(min(each for each in ends if each > now) - now)
            for asked in passed:
                self._drop(asked)
            if late and is_first:
                logger.warning(
                    "the authenticator has not answered in time, in %d calls; they hang or are slow", len(late)
                )
            self._start(self._work, grows)

    def _start(self, target: Callable[[], None], count: int) -> None:
        for _ in range(count):
            with self._lock:
                self._started += 1
                name = f"authenticator-{self._started}"
            try:
                threading.Thread(target=target, name=name, daemon=True).start()
            except RuntimeError:
                # The machine has no thread left. The questions wait for those there are, and not for ever.
                logger.exception("cannot start another thread for the authenticator")
                with self._lock:
                    if target == self._work:
                        self._threads -= 1
                    else:
                        self._is_kept = False

    # -- with the lock held ---------------------------------------------------------

    def _is_short(self) -> bool:
        """Tell whether a question waits for a thread."""
        return len(self._calls) + len(self._waiting) > self._threads

    def _grows(self) -> int:
        """Count the threads that are missing and may be started; return how many."""
        wanted = min(len(self._calls) + len(self._waiting), self._threads_max)
        grows = max(wanted - self._threads, 0)
        self._threads += grows
        return grows


@final
class TurnVerifier:
    """Runs an authenticator in virtual time, as an actor of its own.

    Args:
        authenticator: as above; it is quick, because time stands still meanwhile.
    """

    __slots__ = ("_authenticator",)

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator

    def ask(self, question: Verify, session: ActorRef[Any], seconds: float) -> None:
        """Have a question answered when the system settles; what a coroutine awaits takes real time."""
        _Question.start(self._authenticator, question, session, seconds)

    def stop(self) -> None:
        """Do nothing: the actors end with their system."""

    def statistics(self) -> AuthenticatorStatistics:
        """Return nothing but zeros: whoever could look finds everything answered."""
        return AuthenticatorStatistics()


class _Question(Actor):
    """Asks once; then it is gone."""

    dispatch = "shared"

    def __init__(self, authenticator: Authenticator, question: Verify, session: ActorRef[Any], seconds: float) -> None:
        super().__init__()
        self._asked = (authenticator, question, session, seconds)

    def on_start(self) -> None:
        """Ask."""
        self.actor_ref.send(StopMessage())
        _ask(*self._asked)
