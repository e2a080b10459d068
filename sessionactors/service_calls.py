"""What a session system lets one do with its services: rate limiter, isolation, reaper.

Each call finds its actor by name, so it reaches the one that is there after a
restart as well. While a service is being restarted, and when it ends before it has
answered, the caller is told that there is none (`NotFound`, code `not_found`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sessionactors.errors import NotFound
from sessionactors.surroundings import ISOLATION, RATE_LIMITER, REAPER
from supervisors.runtime.outcomes import ActorDeadError
from supervisors.runtime.ref import ASK_TIMEOUT

if TYPE_CHECKING:
    from sessionactors.isolation import LimitCheck, UsageReport
    from sessionactors.limits.token_bucket import BucketUsage, Decision
    from sessionactors.rate_limiter import LimiterStatistics, QuotaRecord
    from sessionactors.reaper import ReaperStatistics
    from supervisors.runtime.ref import ActorRef
    from supervisors.system import ActorSystem

__all__ = ["ServiceCalls"]


class ServiceCalls:
    """The functions of a `SessionSystem` that need a service and no session.

    Attributes:
        actors: the actor system that the services live in.

    Thread: every method is safe anywhere.
    """

    actors: ActorSystem

    # -- the rate limiter -----------------------------------------------------------

    def check_rate_limit(self, session_id: str, type: str = "requests", cost: float = 1) -> Decision:  # noqa: A002
        """Take tokens if they are there: `(True, 0.0)`, or `(False, seconds to wait)`."""
        limiter = self.actors.whereis(RATE_LIMITER)
        if limiter is None:
            raise NotFound(RATE_LIMITER, "running service")
        try:
            decision: Decision = limiter.ask(("check", session_id, type, cost))
        except ActorDeadError as dead:
            raise NotFound(RATE_LIMITER, "running service") from dead
        return decision

    def record_request(self, session_id: str, type: str = "requests", cost: float = 1) -> None:  # noqa: A002
        """Charge for what has happened already; this may leave a debt."""
        self._ask(RATE_LIMITER, ("record", session_id, type, cost))

    def set_rate_limit(self, session_id: str, quota: float | Mapping[str, float], type: str = "requests") -> None:  # noqa: A002
        """Change a bucket: a capacity, or a mapping with capacity and rate; nothing is refilled."""
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
        """Tell whether the session owes something, or was refused last and has not waited yet."""
        answer: bool = self._ask(RATE_LIMITER, ("check_throttle", session_id))
        return answer

    def limiter_statistics(self) -> LimiterStatistics:
        """Return the limiter's counts."""
        answer: LimiterStatistics = self._ask(RATE_LIMITER, ("get_stats",))
        return answer

    # -- isolation --------------------------------------------------------------------

    def isolate(self, session_id: str, **options: object) -> None:
        """Open an isolation record for a session; options as of `create_session`."""
        self._ask(ISOLATION, ("create_session", session_id, options))

    def record_usage(self, session_id: str, **usage: float) -> LimitCheck:
        """Report memory (bytes) and cpu (percent) as they are, messages and connections as added."""
        answer: LimitCheck = self._ask(ISOLATION, ("record_usage", session_id, usage))
        return answer

    def get_resource_usage(self, session_id: str) -> UsageReport:
        """Return what a session uses of its limits."""
        answer: UsageReport = self._ask(ISOLATION, ("get_resource_usage", session_id))
        return answer

    def check_resource_limits(self, session_id: str) -> LimitCheck:
        """Tell which limits a session exceeds."""
        answer: LimitCheck = self._ask(ISOLATION, ("check_resource_limits", session_id))
        return answer

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

    # -- finding and asking ----------------------------------------------------------------

    def _ask(self, name: str, message: object, timeout: Any = ASK_TIMEOUT) -> Any:
        service = self._service(name)
        try:
            return service.ask(message, timeout=timeout)
        except ActorDeadError as dead:
            raise NotFound(name, "running service") from dead

    def _service(self, name: str) -> ActorRef[Any]:
        ref = self.actors.whereis(name)
        if ref is None:
            raise NotFound(name, "running service")
        return ref
