"""Requests to the user's own code in sessions: what a `SessionSystem` lets one do with it."""

from __future__ import annotations

import inspect
import math
from typing import TYPE_CHECKING, Any

from sessionactors import bounds
from sessionactors.effects import Audit
from sessionactors.errors import RateLimited
from sessionactors.manager import ManagerCalls
from sessionactors.request_waits import handling
from sessionactors.requests import UserRequest
from sessionactors.surroundings import RATE_LIMITER
from supervisors.runtime.futures import checked_timeout
from supervisors.runtime.outcomes import ActorDeadError, DeadlockError

if TYPE_CHECKING:
    from sessionactors.surroundings import Surroundings
    from supervisors.runtime.ref import ActorRef

__all__ = ["UserCalls"]

REQUEST_TIMEOUT = 5.0
"""Seconds that a request may take, unless it says otherwise (as a call in OTP)."""


class UserCalls(ManagerCalls):
    """The functions of a `SessionSystem` that reach the code of a class derived from `Session`.

    Thread: every method is safe anywhere.
    """

    _around: Surroundings

    def request(
        self,
        session_id: str,
        payload: object,
        *,
        size: int = 0,
        cost: float = 1,
        timeout: float | None = REQUEST_TIMEOUT,
    ) -> Any:
        """Have a session handle a request, and return its answer.

        In this order: the rate limit, the quota, the idle clock (a session that is
        idle is active again), the handler. What the quota counts is audited as
        often as the option `audit_requests_every` says; refusals always are.

        Args:
            session_id: an active or idle session of a class that has `handle_request()`.
            payload: for the handler.
            size: bytes of the request, for the quota and the session's totals.
            cost: tokens of the session's bucket `requests`.
            timeout: seconds to wait. A handler that is a coroutine function is cancelled
                then; an ordinary one goes on, and nobody gets its answer. None: no limit.

        Raises:
            RateLimited: not now; its `wait` says when.
            QuotaExceeded: the quota is used up.
            InvalidState: the session is in no state for requests.
            SessionTerminated: it has ended, or has ended meanwhile.
            SessionRecovering: it has crashed, perhaps meanwhile, and comes back.
            NotFound: there is no such session.
            UnknownRequest: its class has no `handle_request()`.
            CapacityExceeded: too many requests wait for the one in hand.
            AskTimeoutError: no answer in time.
            DeadlockError: the handler of the session that is asked waits for the one that asks, directly or not;
                or the one that asks is a coroutine and blocks the loop on which the other would run.
            Exception: what the handler raised. If that was no `Refusal`, the session has crashed.

        Blocks: as long as the handler takes, at most `timeout` seconds.
        """
        if handling() is not None:
            self._refuse_own_loop(session_id)
        ref, asked, seconds, handler = self._admitted(session_id, payload, size, cost, timeout)
        try:
            return ref.ask(asked, timeout=seconds)
        except ActorDeadError as dead:
            raise self.directory.gone(session_id) from dead
        finally:
            if handler is not None:
                self._around.waits.leave(handler)

    async def request_async(
        self,
        session_id: str,
        payload: object,
        *,
        size: int = 0,
        cost: float = 1,
        timeout: float | None = REQUEST_TIMEOUT,  # noqa: ASYNC109 - as in request()
    ) -> Any:
        """Do as `request()` without blocking the event loop; giving up forgets the answer."""
        ref, asked, seconds, handler = self._admitted(session_id, payload, size, cost, timeout)
        try:
            return await ref.ask_async(asked, timeout=seconds)
        except ActorDeadError as dead:
            raise self.directory.gone(session_id) from dead
        finally:
            if handler is not None:
                self._around.waits.leave(handler)

    def _refuse_own_loop(self, session_id: str) -> None:
        """Refuse to block the loop until a coroutine has ended that would have to run on it.

        Raises:
            DeadlockError: the session that is asked has such a handler.
        """
        asker, asked = handling(), self.directory.find(session_id)
        self._around.waits.check(asker, asked)  # type: ignore[arg-type]  # whoever calls this is one
        if inspect.iscoroutinefunction(asked.actor_class.handle_request):
            told = f"{asker} blocks the loop on which the handler of {asked} would run; await request_async() there"
            raise DeadlockError((asker, asked, asker), told)

    def _admitted(
        self, session_id: str, payload: object, size: int, cost: float, timeout: float | None
    ) -> tuple[ActorRef[Any], UserRequest, float | None, ActorRef[Any] | None]:
        """Check a request and take its tokens; return who gets it, and whose handler waits for that.

        Raises:
            DeadlockError: it could never be answered.
            RateLimited: they are not there.
        """
        seconds = checked_timeout(timeout)
        checked = bounds.count("size", size, least=0)
        ref = self.directory.find(session_id)
        handler = handling()
        if handler is not None:
            self._around.waits.check(handler, ref)
        is_allowed, wait = self.check_rate_limit(session_id, "requests", cost)
        if not is_allowed:
            facts = {"wait": wait if math.isfinite(wait) else None}
            around = self._around
            around.audit.put(
                (around.now(), session_id, Audit("security", "rate_limited", "warning", facts), None, RATE_LIMITER)
            )
            raise RateLimited(wait)
        if handler is not None:
            self._around.waits.enter(handler, ref)
        return ref, UserRequest(payload, checked, seconds), seconds, handler
