"""What a session system lets one do with its services: rate limiter, isolation, reaper.

Each call finds its actor by name, so it reaches the one that is there after a
restart as well. While a service is being restarted, and when it ends before it has
answered, the caller is told that there is none (`NotFound`, code `not_found`).
"""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from sessionactors.errors import NotFound
from sessionactors.isolation_calls import IsolationCalls
from sessionactors.limited import Limited
from sessionactors.limits.waiting_line import Request
from sessionactors.surroundings import RATE_LIMITER, REAPER
from supervisors.runtime.outcomes import ActorDeadError, AskTimeoutError

if TYPE_CHECKING:
    from sessionactors.limiter_table import LimiterStatistics, QuotaRecord
    from sessionactors.limits.token_bucket import BucketUsage, Decision
    from sessionactors.reaper import ReaperStatistics
    from sessionactors.settings import LimiterSettings
    from supervisors.runtime.ref import ActorRef

__all__ = ["ServiceCalls"]


_GRACE: Final = 5.0
"""Seconds that the limiter may be late with its answer to somebody who waits."""


class ServiceCalls(IsolationCalls):
    """The functions of a `SessionSystem` that need a service and no session.

    Attributes:
        limiter_settings: of the rate limiter.

    Thread: every method is safe anywhere.
    """

    limiter_settings: LimiterSettings

    # -- the rate limiter -----------------------------------------------------------

    def check_rate_limit(self, session_id: str, type: str = "requests", cost: float = 1) -> Decision:  # noqa: A002
        """Take tokens if they are there: `(True, 0.0)`, or `(False, seconds to wait)`.

        Raises:
            NotFound: the limiter is being restarted.
            InvalidKind, InvalidLimit, InvalidValue: bad input.
        """
        limiter = self.actors.registry.whereis(RATE_LIMITER)
        if limiter is None:
            raise NotFound(RATE_LIMITER, "running service")
        try:
            decision: Decision = limiter.ask(("check", session_id, type, cost))
        except ActorDeadError as dead:
            raise NotFound(RATE_LIMITER, "running service") from dead
        return decision

    def acquire(
        self,
        session_id: str,
        type: str = "requests",  # noqa: A002
        cost: float = 1,
        priority: str = "normal",
        deadline: float | None = None,
    ) -> float:
        """Take tokens, waiting for them in line if need be; return the seconds it took.

        Args:
            session_id: whose bucket.
            type: which of the session's buckets.
            cost: tokens, above zero.
            priority: `"critical"`, `"high"`, `"normal"` or `"low"`. Within a class it
                is first come, first served; waiting `age_after` seconds outweighs one
                class, so nobody waits for ever behind more urgent ones.
            deadline: seconds to wait at most; None is the limiter's `delay_max`.

        Raises:
            RateLimited: not admitted by the deadline; at once if it could not be.
            RequestDropped: the throttle `drop` is in force.
            CapacityExceeded: too many wait already (`queue_max`).
            SessionTerminated: the session has ended, perhaps meanwhile.
            NotFound: the limiter is being restarted, or was while this waited; nothing was taken.

        Blocks: until the deadline, at most. Never call it in an inline actor's turn.
        """
        return self.wait_turn(session_id, Request(type, cost, priority, deadline))

    async def acquire_async(
        self,
        session_id: str,
        type: str = "requests",  # noqa: A002
        cost: float = 1,
        priority: str = "normal",
        deadline: float | None = None,
    ) -> float:
        """As `acquire`, for asyncio: the loop goes on, and cancelling leaves the line."""
        return await self.wait_turn_async(session_id, Request(type, cost, priority, deadline))

    def wait_turn(self, session_id: str, request: Request) -> float:
        """As `acquire`, with the request as a value that can be used again."""
        limiter = self._service(RATE_LIMITER)
        own = replace(request)  # so that nobody else's is withdrawn
        try:
            waited: float = limiter.ask(("acquire", session_id, own), timeout=self._patience(request))
        except ActorDeadError as dead:
            raise NotFound(RATE_LIMITER, "running service") from dead
        except (KeyboardInterrupt, AskTimeoutError):
            limiter.send(("withdraw", session_id, own))
            raise
        return waited

    async def wait_turn_async(self, session_id: str, request: Request) -> float:
        """As `acquire_async`, with the request as a value that can be used again."""
        limiter = self._service(RATE_LIMITER)
        own = replace(request)
        try:
            waited: float = await limiter.ask_async(("acquire", session_id, own), timeout=self._patience(request))
        except ActorDeadError as dead:
            raise NotFound(RATE_LIMITER, "running service") from dead
        except (CancelledError, AskTimeoutError):
            limiter.send(("withdraw", session_id, own))
            raise
        return waited

    def limited(
        self,
        type: str = "requests",  # noqa: A002
        *,
        session_id: str | None = None,
        by: str = "session_id",
        cost: float = 1,
        priority: str = "normal",
        deadline: float | None = None,
    ) -> Limited:
        """Return a decorator and context manager, for threads and asyncio, that acquires first.

        Args:
            type: which of the session's buckets.
            session_id: whose bucket; a decorated function may name it by an argument instead.
            by: that argument's name.
            cost: tokens; this and the next two as for `acquire`.
            priority: class in the line.
            deadline: seconds to wait at most.
        """
        return Limited(self, Request(type, cost, priority, deadline), session_id, by)

    def record_request(self, session_id: str, type: str = "requests", cost: float = 1) -> None:  # noqa: A002
        """Charge for what has happened already; this may leave a debt."""
        self._ask(RATE_LIMITER, ("record", session_id, type, cost))

    def set_rate_limit(self, session_id: str, quota: float | Mapping[str, float], type: str = "requests") -> None:  # noqa: A002
        """Change a bucket: a capacity, or a mapping of what differs from the defaults; nothing is refilled.

        Args:
            session_id: whose bucket.
            quota: `capacity` (tokens) and `rate` (tokens per second); `window` (seconds)
                and `window_limit` (tokens in any window; None only counts).
            type: which of the session's buckets.
        """
        self._ask(RATE_LIMITER, ("set_quota", session_id, type, quota))

    def reset_rate_limit(self, session_id: str, type: str | None = None) -> None:  # noqa: A002
        """Fill the buckets of a session, of one type or of all."""
        self._ask(RATE_LIMITER, ("reset_quota", session_id, type))

    def get_rate_limit(self, session_id: str, type: str = "requests") -> QuotaRecord:  # noqa: A002
        """Return the tokens, the capacity and the rate of a bucket."""
        answer: QuotaRecord = self._ask(RATE_LIMITER, ("get_quota", session_id, type))
        return answer

    def get_rate_limit_usage(self, session_id: str, type: str = "requests") -> BucketUsage:  # noqa: A002
        """Return what has been used of a bucket."""
        answer: BucketUsage = self._ask(RATE_LIMITER, ("get_usage", session_id, type))
        return answer

    def check_throttle(self, session_id: str) -> bool:
        """Tell whether the session should slow down.

        True while a throttle or a block is in force, while it owes something, while
        it was refused last and has not waited yet, and while it is over a soft limit
        of isolation. An unknown session is not throttled.
        """
        answer: bool = self._ask(RATE_LIMITER, ("check_throttle", session_id))
        return answer

    def apply_throttle(self, session_id: str, action: str, duration: float | None = None) -> None:
        """Restrain a session; replaces the throttle that is on.

        Args:
            session_id: whom.
            action: `"reject"`, `"drop"`, `"delay"` or `"queue"`, see `sessionactors.limits.guard`.
            duration: seconds; None: until `clear_throttle`.

        Raises:
            InvalidAction: there is no such action.
        """
        self._ask(RATE_LIMITER, ("apply_throttle", session_id, action, duration))

    def clear_throttle(self, session_id: str) -> bool:
        """End a throttle or a block; False when there was none."""
        answer: bool = self._ask(RATE_LIMITER, ("clear_throttle", session_id))
        return answer

    def subscribe_limits(self, session_id: str, subscriber: ActorRef[Any] | Callable[[Any], object]) -> None:
        """Send the `LimiterEvent`s of a live session to an actor or a function, until the session ends.

        A function is called in the limiter's own turn: it is quick, and asks nobody.
        """
        self._ask(RATE_LIMITER, ("subscribe", session_id, subscriber))

    def unsubscribe_limits(self, session_id: str, subscriber: ActorRef[Any] | Callable[[Any], object]) -> None:
        """Stop sending; nothing happens if it was not subscribed."""
        self._ask(RATE_LIMITER, ("unsubscribe", session_id, subscriber))

    def limiter_statistics(self) -> LimiterStatistics:
        """Return the limiter's counts."""
        answer: LimiterStatistics = self._ask(RATE_LIMITER, ("get_stats",))
        return answer

    def set_limiter_settings(self, settings: LimiterSettings | Mapping[str, object]) -> None:
        """Have the rate limiter work with other settings from now on.

        Buckets with the default limits of before get those of now, a few thousand in a
        turn; what a session was given by `set_rate_limit` stays. Nothing is refilled, no debt is
        forgiven, and what was counted stays counted.

        Args:
            settings: all of them, or a mapping of those that differ from what is in force.

        Raises:
            NotFound: the limiter is being restarted; nothing has changed.
            InvalidKind, InvalidOption, InvalidValue, InvalidLimit: they are not allowed.
        """
        wanted = self.limiter_settings.changed(settings)
        self._ask(RATE_LIMITER, wanted)
        self.limiter_settings = wanted

    # -- the reaper -------------------------------------------------------------------

    def reap(self, policy: str | None = None) -> int:
        """Sweep now; return how many sessions have ended. None is the configured policy."""
        answer: int = self._ask(REAPER, ("reap", policy), 30.0)
        return answer

    def set_reap_policy(self, policy: str, **options: object) -> None:
        """Change which sessions are reaped; `custom` needs the option `filter`, others may take `idle_threshold`."""
        self._ask(REAPER, ("set_policy", policy, options))

    def set_reap_interval(self, seconds: float) -> None:
        """Sweep every so many seconds, counted from now."""
        self._ask(REAPER, ("set_interval", seconds))

    def pause_reaper(self) -> None:
        """Leave sweeps out until `resume_reaper`; `reap` works all the same."""
        self._ask(REAPER, ("pause",))

    def resume_reaper(self) -> None:
        """Sweep again, at the times at which it would have swept anyhow."""
        self._ask(REAPER, ("resume",))

    def reaper_statistics(self) -> ReaperStatistics:
        """Return the reaper's counts and settings."""
        answer: ReaperStatistics = self._ask(REAPER, ("get_stats",))
        return answer

    def _patience(self, request: Request) -> float:
        """Return how long to wait for an answer about something that may wait itself."""
        return (self.limiter_settings.delay_max if request.deadline is None else request.deadline) + _GRACE
