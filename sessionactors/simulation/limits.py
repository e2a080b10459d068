"""The limiter never admits more than it may, as its askers are told.

For each bucket, and for each moment at which somebody asked: what was asked for from then on and has
been admitted by now is at most the capacity and what has flowed in since. It is computed
in whole units of 10^-18 tokens and in nanoseconds, so there is no tolerance in it.
"""

from __future__ import annotations

from collections import deque
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final, final

from sessionactors.limits.waiting_line import Request
from sessionactors.rate_limiter import RateLimiter
from sessionactors.settings import LimiterSettings
from supervisors.errors import SupervisorsError
from supervisors.runtime.signals import Ask
from supervisors.simulation import ViolationError

if TYPE_CHECKING:
    from sessionactors.limits.token_bucket import BucketLimits
    from sessionactors.system import SessionSystem
    from supervisors.runtime.ref import ActorRef
    from supervisors.simulation.scheduler import SimulatedScheduler
    from supervisors.system import ActorSystem

__all__ = ["LimiterNeverOver"]

REMEMBERED: Final = 1000
"""So many admissions of a bucket are looked at together."""

_UNITS: Final = 10**18


@final
class _Watched:
    """What the askers of one bucket have been told.

    Attributes:
        limits: capacity and rate; None while they are not known.
        version: changes whenever what was before says nothing about what comes.
        admitted: when each was asked for, nanoseconds, and its cost, units.
    """

    __slots__ = ("admitted", "limits", "version")

    def __init__(self, limits: BucketLimits | None) -> None:
        self.limits = limits
        self.version = 0
        self.admitted: deque[tuple[int, Fraction]] = deque(maxlen=REMEMBERED)

    def begin_again(self, limits: BucketLimits | None) -> None:
        self.limits = limits
        self.version += 1
        self.admitted.clear()


@final
class LimiterNeverOver:
    """Checker: what each bucket admits in any time is at most its capacity and what flows in meanwhile.

    It looks at `check` and `acquire`, and at whatever changes a bucket: after `set_quota` the
    new limits count. After other settings of the whole limiter, or a change whose outcome
    nobody was told, a bucket is not looked at until its limits are set again.

    Args:
        system: whose limiter.

    Attributes:
        admitted: how many admissions it has looked at.

    Thread: the simulation's.
    """

    def __init__(self, system: SessionSystem) -> None:
        self.admitted = 0
        self._buckets: dict[tuple[str, str], _Watched] = {}
        self.follow(system)

    def follow(self, system: SessionSystem) -> None:
        """Go on with the session system of the next process, whose buckets are its own."""
        self._table = system.parts.limiter
        self._default: BucketLimits | None = self._table.default
        self._buckets = {}

    def attach(self, system: ActorSystem, scheduler: SimulatedScheduler) -> None:
        """Begin to watch."""
        self._clock = system.clock
        self._scheduler = scheduler
        scheduler.sent = (*scheduler.sent, self._sent)

    def at_rest(self) -> None:
        """Look at nothing: it has been said as soon as it happened."""

    def at_end(self) -> None:
        """Look at nothing."""

    def session_starts(self, session_id: str) -> None:
        """Begin again with the buckets of an id whose session has ended: the next one's are new."""
        for (whose, _), bucket in self._buckets.items():
            if whose == session_id:
                bucket.begin_again(bucket.limits if bucket.limits is None else self._default)

    def _sent(self, ref: ActorRef[Any], item: Any) -> None:
        if not issubclass(ref.actor_class, RateLimiter):
            return
        message = item.message if item.__class__ is Ask else item
        if isinstance(message, LimiterSettings):
            self._default = None
            for bucket in self._buckets.values():
                bucket.begin_again(None)
        elif item.__class__ is Ask and isinstance(message, tuple) and len(message) > 2:
            verb, session_id = message[0], message[1]
            if isinstance(session_id, bytes):
                session_id = session_id.decode(errors="replace")
            if verb == "check" and len(message) == 4:
                self._asked(item, session_id, message[2], message[3])
            elif verb == "acquire" and isinstance(message[2], Request):
                self._asked(item, session_id, message[2].quota_type, message[2].cost)
            elif verb == "set_quota" and len(message) == 4:
                self._changes(item, session_id, message[2], message[3])
            elif verb == "reset_quota":
                for (whose, quota_type), bucket in self._buckets.items():
                    if whose == session_id and message[2] in (None, quota_type):
                        self._refills(item, bucket)

    def _bucket(self, session_id: object, quota_type: object) -> _Watched | None:
        if not isinstance(session_id, str) or not isinstance(quota_type, str):
            return None  # nobody is admitted with that
        bucket = self._buckets.get((session_id, quota_type))
        if bucket is None:
            bucket = self._buckets[session_id, quota_type] = _Watched(self._default)
        return bucket

    def _now(self) -> int:
        return int(self._clock.monotonic() * 1e9 + 0.5)  # as the buckets count

    def _asked(self, ask: Ask, session_id: object, quota_type: object, cost: object) -> None:
        bucket = self._bucket(session_id, quota_type)
        if bucket is None or isinstance(cost, bool) or not isinstance(cost, (int, float)):
            return
        at, version, future = self._now(), bucket.version, ask.reply_to

        def over() -> None:
            value = future._value  # noqa: SLF001 - its outcome, not taken
            is_admitted = isinstance(value, float) or (isinstance(value, tuple) and bool(value) and value[0] is True)
            if future._error is None and is_admitted and bucket.version == version:  # noqa: SLF001 - as above
                bucket.admitted.append((at, Fraction(cost) * _UNITS))
                self.admitted += 1
                self._look(bucket, f"{quota_type} of {session_id!r}")

        future.when_done(over)

    def _look(self, bucket: _Watched, name: str) -> None:
        limits = bucket.limits
        if limits is None:
            return
        now, total = self._now(), Fraction(0)
        for at, cost in sorted(bucket.admitted, reverse=True):
            total += cost
            may = limits.full + max(now - at, 0) * limits.speed
            if total > may:
                what = (
                    f"{name}: {float(total / _UNITS):g} tokens admitted in {(now - at) / 1e9:g} s,"
                    f" where there may be {may / _UNITS:g}"
                )
                self._scheduler.report(ViolationError("limiter never over", what))
                return

    def _changes(self, ask: Ask, session_id: object, quota_type: object, quota: object) -> None:
        bucket = self._bucket(session_id, quota_type)
        if bucket is None:
            return
        bucket.begin_again(None)  # before or after: nobody knows who of those on their way
        version, future, table = bucket.version, ask.reply_to, self._table

        def over() -> None:
            if future._error is None and bucket.version == version:  # noqa: SLF001 - its outcome, not taken
                try:
                    bucket.begin_again(table.limits(quota)[0])
                except SupervisorsError:
                    bucket.begin_again(None)

        future.when_done(over)

    def _refills(self, ask: Ask, bucket: _Watched) -> None:
        limits = bucket.limits
        bucket.begin_again(None)
        version, future = bucket.version, ask.reply_to

        def over() -> None:
            if bucket.version == version:
                # Once it is over, it has been filled or it has not: either way nothing from before counts.
                bucket.begin_again(limits if future._error is None else None)  # noqa: SLF001 - as above

        future.when_done(over)
