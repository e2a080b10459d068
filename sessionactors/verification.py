"""Asking the authenticator, which may be slow, outside of every turn.

A session must go on answering while somebody's directory server thinks about its
credentials, and so must everybody else. So the authenticator never runs on the
threads of the actor system: a few that wait for a dead server would stop all
shared actors, the audit log among them. It gets threads of its own, few enough
that credentials cannot be used to make threads; what waits longer than its
session's authentication timer finds the session gone.

In virtual time there are no threads. There the question is an actor of its own,
which runs when the system settles.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import queue
import threading
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias, final

from sessionactors.effects import Verdict, Verify
from sessionactors.lifecycle import VERDICT
from supervisors.actor import Actor
from supervisors.runtime.pykka_adapter import StopMessage

if TYPE_CHECKING:
    from supervisors.runtime.ref import ActorRef

__all__ = ["THREADS_MAX", "Authenticator", "TurnVerifier", "Verifier"]

logger = logging.getLogger("sessionactors.verification")

Authenticator: TypeAlias = Callable[[object], object]

THREADS_MAX: Final = 32
"""Authenticators that run at the same time; further questions wait in order."""


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
class Verifier:
    """Runs an authenticator on threads of its own, started when they are needed.

    Args:
        authenticator: called with what was given to `authenticate`; may be a coroutine function.
        threads_max: how many at the same time.

    Thread: every method is safe anywhere.
    """

    __slots__ = ("_authenticator", "_busy", "_is_stopped", "_lock", "_questions", "_threads", "_threads_max")

    def __init__(self, authenticator: Authenticator, threads_max: int = THREADS_MAX) -> None:
        self._authenticator = authenticator
        self._threads_max = threads_max
        self._questions: queue.SimpleQueue[tuple[Verify, ActorRef[Any], float] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()  # guards all below
        self._threads = 0
        self._busy = 0  # questions asked and not yet answered
        self._is_stopped = False

    def ask(self, question: Verify, session: ActorRef[Any], seconds: float) -> None:
        """Have a question answered; the session gets a verdict, unless the system stops before.

        Args:
            question: the credentials.
            session: who asks.
            seconds: after which a coroutine is cancelled; nobody can cancel an ordinary function.
        """
        with self._lock:
            if self._is_stopped:
                return
            self._busy += 1
            grows = self._busy > self._threads and self._threads < self._threads_max
            self._threads += grows
            number = self._threads
        self._questions.put((question, session, seconds))
        if grows:
            threading.Thread(target=self._work, name=f"authenticator-{number}", daemon=True).start()

    def stop(self) -> None:
        """End the threads, each after the answer that it waits for; nobody waits for them."""
        with self._lock:
            self._is_stopped = True
            threads = self._threads
        for _ in range(threads):
            self._questions.put(None)

    def _work(self) -> None:
        while True:
            asked = self._questions.get()
            if asked is None or self._is_stopped:
                return
            try:
                _ask(self._authenticator, *asked)
            except BaseException:
                # sys.exit() in an authenticator is no reason to have one thread less.
                logger.exception("an authenticator tried to end its thread")
            finally:
                with self._lock:
                    self._busy -= 1


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
