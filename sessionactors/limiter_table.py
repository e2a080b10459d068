"""What the rate limiter knows: buckets, guards, counts. It outlives the limiter.

A crash of the limiter must not give everybody a full bucket, lift a throttle or
end a block, so all of that is here. Who waits is not: a crash answers them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from sys import getsizeof
from typing import TYPE_CHECKING, Final, final

from sessionactors.errors import CapacityExceeded, InvalidQuota
from sessionactors.limits.guard import Guard
from sessionactors.limits.sliding_window import WindowLimits
from sessionactors.limits.token_bucket import BucketLimits, Decision, TokenBucket, check_both
from sessionactors.limits.windowed_bucket import WindowedBucket
from sessionactors.settings import LimiterSettings
from sessionactors.subscribers import Subscriptions

if TYPE_CHECKING:
    from sessionactors.storage.limits_file import LimitsFile

__all__ = ["LimiterStatistics", "LimiterTable", "QuotaRecord"]

_ROOM_MAX: Final = 400
"""Bytes of the table for each entry in it, beyond which it is mostly empty; a full one has 30."""

_QUOTA_KEYS = frozenset({"capacity", "rate", "window", "window_limit"})


@dataclass(frozen=True, slots=True)
class QuotaRecord:
    """What `get_quota` answers; negative tokens are a debt, no window is None."""

    tokens: float
    last_update: float
    capacity: float
    rate: float
    window: float | None = None
    window_limit: int | None = None


@dataclass(frozen=True, slots=True)
class LimiterStatistics:
    """What `get_stats` answers.

    Attributes:
        total_sessions: sessions with at least one bucket.
        throttled_sessions: sessions for which `check_throttle` says True.
        admitted: checks that were admitted and waits that ended well, since the system's start.
        refused: those that did not.
        global_quota: whether the bucket for all is in force.
        dropped: refusals by the throttle `drop`, which count as refused as well.
        waiting: requests that wait for their turn now.
        window_start: monotonic seconds since when `admitted`, `refused` and `dropped` are
            counted, which is the start of the system.
    """

    total_sessions: int
    throttled_sessions: int
    admitted: int
    refused: int
    global_quota: bool
    dropped: int = 0
    waiting: int = 0
    window_start: float = 0.0


@final
class LimiterTable:
    """All that must survive a limiter; owned by the limiter of the moment.

    Args:
        settings: of the limiter.
        now: monotonic seconds.

    Attributes:
        buckets: by type, then by session.
        size: how many there are.
        debtors: sessions that owed something when they were last charged.
        everybody: the bucket that all requests share, when the settings say so.
        guards: sessions that are throttled, blocked, or near it.
        refused_until: by session, when the wait of its last refusal has passed.
        pressed: `(session, type)` of the lines that back-pressure was signalled for.
        subscriptions: who is told about which session.
        started_at: monotonic seconds.
        outdated: defaults of earlier settings, which some buckets may still have.
        file: where debts and guards are written down for another process, or None.
        admitted: checks and waits that ended well, since the start of the system.
        refused: those that did not.
        dropped: refusals because of the throttle `drop`; they are refused as well.
    """

    __slots__ = (
        "admitted",
        "buckets",
        "debtors",
        "default",
        "dropped",
        "everybody",
        "file",
        "guards",
        "outdated",
        "pressed",
        "refused",
        "refused_until",
        "settings",
        "size",
        "started_at",
        "subscriptions",
        "violations",
        "window",
    )

    def __init__(self, settings: LimiterSettings, now: float) -> None:
        self.settings = settings
        self.started_at = now
        self.default = BucketLimits(settings.capacity, settings.rate)
        self.window = WindowLimits(settings.window, settings.window_limit)
        self.violations = WindowLimits(settings.abuse_window, settings.abuse_violations)
        self.buckets: dict[str, dict[str, TokenBucket]] = {}
        self.size = 0
        self.debtors: set[str] = set()
        self.everybody = TokenBucket(BucketLimits(settings.global_capacity, settings.global_rate), now)
        self.guards: dict[str, Guard] = {}
        self.refused_until: dict[str, float] = {}
        self.pressed: set[tuple[str, str]] = set()
        self.subscriptions = Subscriptions()
        self.outdated: list[tuple[BucketLimits, WindowLimits]] = []
        self.file: LimitsFile | None = None
        self.admitted = 0
        self.refused = 0
        self.dropped = 0

    # -- buckets -------------------------------------------------------------

    def get(self, session_id: str, quota_type: str) -> TokenBucket | None:
        """Return a bucket if there is one."""
        buckets = self.buckets.get(quota_type)
        return None if buckets is None else buckets.get(session_id)

    def add(self, session_id: str, quota_type: str, now: float, *, is_live: bool) -> TokenBucket:
        """Make a bucket, full.

        Raises:
            CapacityExceeded: there are too many, and for an id that no session has
                earlier: the last tenth is for live sessions.
        """
        self.check_room(self.size, is_live=is_live)
        bucket = self.made(now)
        self.buckets.setdefault(quota_type, {})[session_id] = bucket
        self.size += 1
        return bucket

    def made(self, now: float) -> TokenBucket:
        """Return a bucket as new ones are; it is not in the table."""
        if self.window.limit is None:
            return TokenBucket(self.default, now)
        return WindowedBucket(self.default, self.window, now)

    def check_room(self, used: int, *, is_live: bool) -> None:
        """Refuse one more entry when a table is full."""
        most = self.settings.keys_max
        if used >= (most if is_live else most - most // 10):
            raise CapacityExceeded("the table of rate limits", most)

    def take(self, bucket: TokenBucket, quota_type: str, cost: float, now: float) -> Decision:
        """Take from a bucket, and from the one for all if it applies; or from none."""
        if quota_type == "requests" and self.settings.global_quota_enabled:
            return check_both(bucket, self.everybody, cost, now)
        return bucket.check(cost, now)

    def wait_for(self, bucket: TokenBucket, quota_type: str, cost: float, now: float) -> float:
        """Return the seconds until `take` would succeed, 0 when it would now."""
        wait = bucket.wait_for(cost, now)
        if quota_type == "requests" and self.settings.global_quota_enabled:
            return max(wait, self.everybody.wait_for(cost, now))
        return wait

    def charge(self, session_id: str, quota_type: str, cost: float, now: float) -> None:
        """Charge a bucket for what has happened already; debts are possible."""
        bucket = self.buckets[quota_type][session_id]
        bucket.charge(cost, now)
        if bucket.level(now) < 0:
            self.debtors.add(session_id)
        if quota_type == "requests" and self.settings.global_quota_enabled:
            self.everybody.charge(cost, now)

    def reconfigure(
        self, session_id: str, quota_type: str, limits: BucketLimits, window: WindowLimits | None, now: float
    ) -> None:
        """Give a bucket limits of its own; nothing is refilled, and no debt is forgiven."""
        bucket = self.buckets[quota_type][session_id]
        bucket.reconfigure(limits, now)
        if window is None:
            return
        if isinstance(bucket, WindowedBucket):
            bucket.window = bucket.window.changed(window, now)
            return
        kept = WindowedBucket(limits, window, now)
        kept.hold(bucket.units_missing, bucket.at)
        self.buckets[quota_type][session_id] = kept

    def limits(self, quota: object) -> tuple[BucketLimits, WindowLimits | None]:
        """Read a quota: a capacity, or a mapping of what is to differ from the defaults.

        Returns:
            The limits of the bucket, and those of its window if the quota names one.

        Raises:
            InvalidQuota, InvalidLimit: this is no quota.
        """
        default = self.default
        if isinstance(quota, Mapping):
            unknown = quota.keys() - _QUOTA_KEYS
            if unknown:
                allowed = (
                    "the keys capacity (tokens), rate (tokens per second), window (seconds), window_limit (tokens)"
                )
                raise InvalidQuota("quota", min(unknown, key=str), allowed)
            limits = BucketLimits(quota.get("capacity", default.capacity), quota.get("rate", default.rate))
            if not quota.keys() & {"window", "window_limit"}:
                return limits, None
            return limits, WindowLimits(
                quota.get("window", self.window.window), quota.get("window_limit", self.window.limit)
            )
        if isinstance(quota, (int, float)) and not isinstance(quota, bool):
            return BucketLimits(quota, default.rate), None
        raise InvalidQuota("quota", quota, "a capacity in tokens, or a mapping with capacity and rate")

    # -- settings --------------------------------------------------------------

    def configure(self, settings: LimiterSettings, now: float) -> None:
        """Take over other settings; buckets that are there have theirs renewed by `renew()`."""
        before, self.settings = self.settings, settings
        if _defaults(settings) != _defaults(before):
            self.outdated.append((self.default, self.window))
            self.default = BucketLimits(settings.capacity, settings.rate)
            self.window = WindowLimits(settings.window, settings.window_limit)
        self.everybody.reconfigure(BucketLimits(settings.global_capacity, settings.global_rate), now)
        self.violations = WindowLimits(settings.abuse_window, settings.abuse_violations)
        for guard in self.guards.values():
            guard.reconfigure(self.violations, now)

    def renew(self, quota_type: str, session_ids: list[str], now: float) -> list[str]:
        """Give those of the buckets that have earlier defaults the ones of now; return whose they are.

        A quota of its own stays; nothing is refilled, and no debt is forgiven.
        """
        buckets = self.buckets.get(quota_type, {})
        changed = []
        for session_id in session_ids:
            bucket = buckets.get(session_id)
            if bucket is None:
                continue
            limits = self.default if any(bucket.limits is each for each, _ in self.outdated) else bucket.limits
            window = None
            if isinstance(bucket, WindowedBucket):
                if any(bucket.window.limits is each for _, each in self.outdated):
                    window = self.window
            elif self.window.limit is not None:
                window = self.window
            if limits is not bucket.limits or window is not None:
                self.reconfigure(session_id, quota_type, limits, window, now)
                changed.append(session_id)
        return changed

    # -- guards --------------------------------------------------------------

    def guard(self, session_id: str) -> Guard:
        """Return the guard of a session; the first look at one makes it."""
        guard = self.guards.get(session_id)
        if guard is None:
            guard = self.guards[session_id] = Guard()
        return guard

    def is_throttled(self, session_id: str, now: float) -> bool:
        """Tell whether the session is restrained, owes something, or was refused and has not waited yet."""
        if self.refused_until.get(session_id, -inf) > now:
            return True
        guard = self.guards.get(session_id)
        if guard is not None and guard.is_in_force(now):
            return True
        return any(session_id in buckets and buckets[session_id].level(now) < 0 for buckets in self.buckets.values())

    def throttled(self, now: float) -> int:
        """Return for how many sessions `is_throttled` is true."""
        candidates = self.debtors.union(self.refused_until, self.guards)
        return sum(self.is_throttled(each, now) for each in candidates)

    def statistics(self, now: float, waiting: int) -> LimiterStatistics:
        """Return the counts.

        Args:
            now: monotonic seconds.
            waiting: requests that wait for their turn.
        """
        sessions: set[str] = set().union(*self.buckets.values())
        return LimiterStatistics(
            total_sessions=len(sessions),
            throttled_sessions=self.throttled(now),
            admitted=self.admitted,
            refused=self.refused,
            global_quota=self.settings.global_quota_enabled,
            dropped=self.dropped,
            waiting=waiting,
            window_start=self.started_at,
        )

    # -- forgetting ----------------------------------------------------------

    def forget(self, session_id: str) -> None:
        """Forget a session, all its types."""
        for buckets in self.buckets.values():
            if buckets.pop(session_id, None) is not None:
                self.size -= 1
        self.debtors.discard(session_id)
        self.guards.pop(session_id, None)
        self.refused_until.pop(session_id, None)
        self.subscriptions.forget(session_id)

    def forget_all(self, session_ids: Sequence[str]) -> None:
        """Forget several sessions that owe nothing."""
        for buckets in self.buckets.values():
            before = len(buckets)
            for session_id in session_ids:
                buckets.pop(session_id, None)
            self.size -= before - len(buckets)
        refused, guards = self.refused_until, self.guards
        for session_id in session_ids:
            if refused:
                refused.pop(session_id, None)
            if guards:
                guards.pop(session_id, None)
            self.subscriptions.forget(session_id)

    def tidy(self, quota_type: str, session_ids: list[str], now: float, idle_after: float) -> None:
        """Forget those of the buckets that nobody has used for long.

        Only full ones with the default limits: no debt is forgiven, no quota lost.
        Looking is not using.
        """
        buckets = self.buckets.get(quota_type, {})
        for session_id in session_ids:
            bucket = buckets.get(session_id)
            if bucket is None or bucket.limits is not self.default or not bucket.is_full(now):
                continue
            if isinstance(bucket, WindowedBucket) and bucket.window.limits is not self.window:
                continue
            if now - bucket.at / 1e9 >= idle_after:
                del buckets[session_id]
                self.size -= 1
        if not buckets:
            self.buckets.pop(quota_type, None)

    def rest(self, session_id: str, now: float) -> None:
        """Forget what is as good as new of a session that hibernates, and give the room back."""
        for quota_type in list(self.buckets):
            self.tidy(quota_type, [session_id], now, 0.0)
            buckets = self.buckets.get(quota_type)
            # A table that shrinks keeps its room; one that is that empty is made anew.
            if buckets is not None and getsizeof(buckets) > _ROOM_MAX * (len(buckets) + 1):
                self.buckets[quota_type] = dict(buckets)

    def tidy_rest(self, now: float) -> None:
        """Forget waits that are over, and guards that guard nothing."""
        waiting = self.refused_until
        for session_id in [each for each, until in waiting.items() if until <= now]:
            del waiting[session_id]
        for session_id in [each for each, guard in self.guards.items() if guard.is_idle(now)]:
            del self.guards[session_id]
        self.debtors = {each for each in self.debtors if self.is_throttled(each, now)}


def _defaults(settings: LimiterSettings) -> tuple[object, ...]:
    return settings.capacity, settings.rate, settings.window, settings.window_limit
