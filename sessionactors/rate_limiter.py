"""The rate limiter: token buckets by session and quota type, behind one actor.

`check_rate_limit` takes what it admits. `record_request` charges for what is only
known afterwards (the bytes of an answer) and may leave a debt: calling both for
the same request charges it twice.

The buckets themselves live in a `LimiterTable`, which outlives the actor: a crash
of the limiter must not give everybody a full bucket.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, final

from sessionactors import bounds, identifiers
from sessionactors.errors import CapacityExceeded, InvalidQuota, NotFound, SessionTerminated, UnknownRequest
from sessionactors.limits.token_bucket import BucketLimits, BucketUsage, Decision, TokenBucket, check_both
from sessionactors.settings import LimiterSettings
from supervisors.actor import Actor

if TYPE_CHECKING:
    from sessionactors.surroundings import Surroundings
    from supervisors.timers.service import Timer

__all__ = ["QUOTA_TYPES", "LimiterStatistics", "LimiterTable", "QuotaRecord", "RateLimiter"]

QUOTA_TYPES: Final = ("requests", "messages", "bytes", "connections")
"""The types with a meaning of their own; any other printable name is a type as well."""

CLEANUP: Final = "cleanup"


@dataclass(frozen=True, slots=True)
class QuotaRecord:
    """What `get_quota` answers; negative tokens are a debt."""

    tokens: float
    last_update: float
    capacity: float
    rate: float


@dataclass(frozen=True, slots=True)
class LimiterStatistics:
    """What `get_stats` answers.

    Attributes:
        total_sessions: sessions with at least one bucket.
        throttled_sessions: of these, the ones for which `check_throttle` says True.
        admitted: checks that were admitted, since the system's start.
        refused: checks that were not.
        global_quota: whether the bucket for all is in force.
    """

    total_sessions: int
    throttled_sessions: int
    admitted: int
    refused: int
    global_quota: bool


@final
class LimiterTable:
    """All buckets; owned by the limiter of the moment, and handed to the next one."""

    __slots__ = ("admitted", "buckets", "default", "everybody", "refused", "refused_until", "settings")

    def __init__(self, settings: LimiterSettings, now: float) -> None:
        self.settings = settings
        self.default = BucketLimits(settings.capacity, settings.rate)
        self.buckets: dict[str, dict[str, TokenBucket]] = {}  # by type, then by session
        self.everybody = TokenBucket(BucketLimits(settings.global_capacity, settings.global_rate), now)
        self.refused_until: dict[str, float] = {}  # session: when its last refusal's wait has passed
        self.admitted = 0
        self.refused = 0


class RateLimiter(Actor):
    """The singleton that says yes or no.

    Messages are `(verb, session id, ...)`; the hot one is `("check", id, type, cost)`.

    Args:
        table: buckets that an earlier limiter has left.
        around: the system around it.
    """

    dispatch = "inline"
    crash_on_ask_error = True

    def __init__(self, table: LimiterTable, around: Surroundings) -> None:
        super().__init__()
        self._table = table
        self._around = around
        self._timer: Timer | None = None

    def on_start(self) -> None:
        """Arm the sweep, and forget the sessions that have ended while there was no limiter."""
        directory = self._around.directory
        for buckets in self._table.buckets.values():
            for session_id in [each for each in buckets if directory.has_ended(each)]:
                self._forget(session_id)
        interval = self._table.settings.cleanup_interval
        self._timer = self._around.timers.send_interval(interval, self._actor_ref, CLEANUP)

    def ended(self) -> None:
        """Leave no timer behind."""
        if self._timer is not None:
            self._timer.cancel()

    def receive_ask(self, message: Any) -> Any:
        """Decide; everything but a check goes the longer way."""
        if message.__class__ is tuple and len(message) == 4 and message[0] == "check":
            _, session_id, quota_type, cost = message
            return self._check(session_id, quota_type, cost)
        return super().receive_ask(message)

    def on_receive(self, message: Any) -> Any:
        """Do what is asked; see the class."""
        if message == CLEANUP:
            self._cleanup()
            return None
        if isinstance(message, tuple) and message:
            verb = _VERBS.get(message[0])
            if verb is not None:
                return verb(self, *message[1:])
        raise UnknownRequest("message", message, "a verb of the rate limiter with its arguments")

    # -- verbs -----------------------------------------------------------------

    def _check(self, session_id: str, quota_type: str, cost: float) -> Decision:
        table = self._table
        now = self._around.now()
        try:
            bucket = table.buckets[quota_type][session_id]
        except (KeyError, TypeError):  # TypeError: something that can be no key
            bucket = self._bucket(session_id, quota_type, now)
        if quota_type == "requests" and table.settings.global_quota_enabled:
            decision = check_both(bucket, table.everybody, cost, now)
        else:
            decision = bucket.check(cost, now)
        refused_until = table.refused_until
        if decision[0]:
            table.admitted += 1
            if refused_until:
                refused_until.pop(session_id, None)
        else:
            table.refused += 1
            if decision[1] < math.inf:  # nothing is to be waited for when it can never be admitted
                refused_until[session_id] = now + decision[1]
        return decision

    def _record_request(self, session_id: str, quota_type: str, cost: float) -> None:
        now = self._around.now()
        self._bucket(session_id, quota_type, now).charge(cost, now)

    def _set_quota(self, session_id: str, quota_type: str, quota: object) -> None:
        limits = _limits(quota, self._table.default)
        now = self._around.now()
        self._bucket(session_id, quota_type, now).reconfigure(limits, now)

    def _get_quota(self, session_id: str, quota_type: str) -> QuotaRecord:
        bucket = self._known(session_id, quota_type)
        now = self._around.now()
        usage = bucket.usage(now)
        return QuotaRecord(bucket.level(now), usage.last_update, usage.capacity, usage.rate)

    def _reset_quota(self, session_id: str, quota_type: str | None = None) -> None:
        session_id = identifiers.parse(session_id)
        if quota_type is not None:
            bounds.text("type", quota_type)
        now = self._around.now()
        for known, buckets in self._table.buckets.items():
            if quota_type in (None, known) and session_id in buckets:
                buckets[session_id].reset(now)
        self._table.refused_until.pop(session_id, None)

    def _get_usage(self, session_id: str, quota_type: str) -> BucketUsage:
        return self._known(session_id, quota_type).usage(self._around.now())

    def _check_throttle(self, session_id: str) -> bool:
        """Tell whether the session owes something, or was refused and has not waited yet."""
        session_id = identifiers.parse(session_id)
        now = self._around.now()
        if self._table.refused_until.get(session_id, -math.inf) > now:
            return True
        return any(
            session_id in buckets and buckets[session_id].level(now) < 0 for buckets in self._table.buckets.values()
        )

    def _get_stats(self) -> LimiterStatistics:
        table = self._table
        sessions = {session_id for buckets in table.buckets.values() for session_id in buckets}
        return LimiterStatistics(
            total_sessions=len(sessions),
            throttled_sessions=sum(self._check_throttle(session_id) for session_id in sessions),
            admitted=table.admitted,
            refused=table.refused,
            global_quota=table.settings.global_quota_enabled,
        )

    def _forget(self, session_id: str) -> None:
        for buckets in self._table.buckets.values():
            buckets.pop(session_id, None)
        self._table.refused_until.pop(session_id, None)

    # -- buckets ---------------------------------------------------------------

    def _bucket(self, session_id: str, quota_type: str, now: float) -> TokenBucket:
        """Return a bucket; the first look at one makes it, full, unless its session has ended."""
        session_id = identifiers.parse(session_id)
        table = self._table
        buckets = table.buckets.get(bounds.text("type", quota_type))
        bucket = None if buckets is None else buckets.get(session_id)
        if bucket is None:
            if self._around.directory.has_ended(session_id):
                raise SessionTerminated(session_id)
            if sum(map(len, table.buckets.values())) >= table.settings.keys_max:
                raise CapacityExceeded("the table of rate limits", table.settings.keys_max)
            bucket = TokenBucket(table.default, now)
            table.buckets.setdefault(quota_type, {})[session_id] = bucket
        return bucket

    def _known(self, session_id: str, quota_type: str) -> TokenBucket:
        session_id = identifiers.parse(session_id)
        bucket = self._table.buckets.get(bounds.text("type", quota_type), {}).get(session_id)
        if bucket is None:
            raise NotFound(session_id, f"{quota_type} quota of session")
        return bucket

    def _cleanup(self) -> None:
        """Forget buckets that nobody has used for long.

        Only full ones with the default limits: no debt is forgiven, and no quota lost.
        """
        now = self._around.now()
        idle_after = self._table.settings.idle_after
        for buckets in self._table.buckets.values():
            stale = [
                session_id
                for session_id, bucket in buckets.items()
                if bucket.limits is self._table.default
                and bucket.is_full(now)
                and now - bucket.usage(now).last_update > idle_after
            ]
            for session_id in stale:
                del buckets[session_id]
        for quota_type in [each for each, buckets in self._table.buckets.items() if not buckets]:
            del self._table.buckets[quota_type]
        waiting = self._table.refused_until
        for session_id in [each for each, until in waiting.items() if until <= now]:
            del waiting[session_id]


_VERBS: Final[Mapping[str, Callable[..., object]]] = {
    "check": RateLimiter._check,  # noqa: SLF001 - our own methods
    "record": RateLimiter._record_request,  # noqa: SLF001
    "set_quota": RateLimiter._set_quota,  # noqa: SLF001
    "get_quota": RateLimiter._get_quota,  # noqa: SLF001
    "reset_quota": RateLimiter._reset_quota,  # noqa: SLF001
    "get_usage": RateLimiter._get_usage,  # noqa: SLF001
    "check_throttle": RateLimiter._check_throttle,  # noqa: SLF001
    "get_stats": RateLimiter._get_stats,  # noqa: SLF001
    "forget": RateLimiter._forget,  # noqa: SLF001
}


def _limits(quota: object, default: BucketLimits) -> BucketLimits:
    """Read a quota: a capacity, or a mapping with capacity and rate."""
    if isinstance(quota, Mapping):
        unknown = quota.keys() - {"capacity", "rate"}
        if unknown:
            raise InvalidQuota(
                "quota", min(unknown, key=str), "the keys capacity (tokens) and rate (tokens per second)"
            )
        return BucketLimits(quota.get("capacity", default.capacity), quota.get("rate", default.rate))
    if isinstance(quota, (int, float)) and not isinstance(quota, bool):
        return BucketLimits(quota, default.rate)
    raise InvalidQuota("quota", quota, "a capacity in tokens, or a mapping with capacity and rate")
