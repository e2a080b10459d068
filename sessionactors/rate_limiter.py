"""The rate limiter: token buckets by session and quota type, behind one actor.

`check` takes what it admits, and never waits. `acquire` takes as well, and waits its
turn. `record` charges for what is only known afterwards (the bytes of an answer) and
may leave a debt: calling both for the same request charges it twice.

**Ids.** A limit is often asked for before there is a session, for an address or a
name that wants to log in. So an id that no session has is legal: its first use makes
a bucket like any other's. Only an id whose session has *ended* is refused
(`session_terminated`), because its entries would never go away. The table is bounded;
its last tenth is kept for ids of live sessions, and full buckets that nobody uses are
swept out.

**Events** go to the session, and to whoever has subscribed to its limits
(`LimiterEvent`), and into the audit log as named:

==========================  ===============================================  ==========
`rate_limited`              a refusal, the first since the last wait passed  resource
`throttle_started`          an action is in force, with how long             security
`throttle_cleared`          it is over                                       security
`abuse_blocked`             too many refusals; blocked for how long          security
`abuse_unblocked`           the block is over                                security
`queue_overflow`            no room to wait, the first since it was empty    resource
`back_pressure`             the line is filled to `warn_at_percent`          resource
`back_pressure_cleared`     nobody waits any more                            resource
==========================  ===============================================  ==========

The buckets live in a `LimiterTable`, which outlives the actor.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, NoReturn

from sessionactors import bounds, identifiers
from sessionactors.departures import DEPARTED
from sessionactors.effects import Audit
from sessionactors.errors import CapacityExceeded, InvalidKind, NotFound, SessionTerminated, UnknownRequest
from sessionactors.limiter_memory import remember
from sessionactors.limiter_table import LimiterStatistics, LimiterTable, QuotaRecord
from sessionactors.limiter_upkeep import CONTINUE, LimiterUpkeep
from sessionactors.limits.guard import DELAY, DROP, QUEUE
from sessionactors.limits.token_bucket import BucketUsage, Decision, TokenBucket
from sessionactors.limits.waiting_line import Request
from sessionactors.limits.windowed_bucket import WindowedBucket
from sessionactors.restraints import Restraints
from sessionactors.settings import LimiterSettings
from sessionactors.storage.limits_file import KEEP_LIMITS
from sessionactors.subscribers import LimiterEvent
from sessionactors.surroundings import RATE_LIMITER, REST, STORE
from sessionactors.verbs import verb_of
from sessionactors.waiting_room import WaitingRoom, refused
from supervisors.actor import Actor
from supervisors.runtime.signals import Down

if TYPE_CHECKING:
    from sessionactors.effects import AuditType, Severity
    from sessionactors.surroundings import Surroundings
    from supervisors.timers.service import Timer

__all__ = ["QUOTA_TYPES", "RateLimiter"]

QUOTA_TYPES: Final = ("requests", "messages", "bytes", "connections")
"""The types with a meaning of their own; any other printable name is a type as well."""

CLEANUP: Final = "cleanup"
REMEMBER: Final = "remember"


class RateLimiter(Actor):
    """The singleton that says yes or no.

    Messages are `(verb, session id, ...)`; the hot one is `("check", id, type, cost)`. Settings,
    as they are, are a message as well: they are in force from then on.

    Args:
        table: what an earlier limiter has left.
        around: the system around it.
    """

    dispatch = "inline"
    crash_on_ask_error = True

    def __init__(self, table: LimiterTable, around: Surroundings) -> None:
        super().__init__()
        self._table = table
        self._around = around
        self._timer: Timer | None = None
        self._file_timer: Timer | None = None
        self._room = WaitingRoom(table, around, self._actor_ref, self._announce)
        self._restraints = Restraints(table, around, self._actor_ref, self._room, self._announce)
        self._upkeep = LimiterUpkeep(table, around, self._actor_ref, self._serve)
        self._heeds_refusals = _heeds_refusals(table.settings)
        # Anything besides the buckets that a check has to look at; kept by _look_closer().
        self._is_special = False
        self._departed = around.departures.waiting  # looked at with every message

    def on_start(self) -> None:
        """Take up what an earlier limiter has left, and forget who has ended meanwhile."""
        table, around = self._table, self._around
        has_ended = around.directory.has_ended
        known: list[Mapping[str, object]] = [*table.buckets.values(), table.guards]
        for session_id in {each for ids in known for each in ids if has_ended(each)}:
            table.forget(session_id)
        table.subscriptions.hand_to(self)
        for session_id in list(table.guards):
            self._restraints.watch(session_id)
        self._room.clear_old_pressure()
        self._timer = around.timers.send_interval(table.settings.cleanup_interval, self._actor_ref, CLEANUP)
        self._look_closer()
        self._upkeep.renew()  # what an earlier limiter may not have come to

    def on_stop(self) -> None:
        """Write down what another process is to know."""
        self._forget_departed()
        self._remember()

    def ended(self) -> None:
        """Leave no timer behind; who waits is answered by the runtime."""
        for timer in (self._timer, self._file_timer):
            if timer is not None:
                timer.cancel()
        self._restraints.close()
        self._room.close()

    def receive_ask(self, message: Any) -> Any:
        """Decide; everything but a check goes the longer way."""
        if self._departed:
            self._forget_departed()
        if message.__class__ is tuple and len(message) == 4 and message[0] == "check":
            _, session_id, quota_type, cost = message
            return self._check(session_id, quota_type, cost)
        return super().receive_ask(message)

    def receive_tell(self, message: Any) -> None:
        """Forget who has ended, then do what is asked."""
        if self._departed:
            self._forget_departed()
        if message != DEPARTED:
            super().receive_tell(message)

    def on_receive(self, message: Any) -> Any:
        """Do what is asked; see the class."""
        if message == CLEANUP:
            self._upkeep.sweep(self._table.settings.idle_after)
            self._look_closer()
            return None
        if message == CONTINUE:
            self._upkeep.go_on()
            return None
        if message == REMEMBER:
            self._remember()
            return None
        if isinstance(message, Down):
            self._table.subscriptions.died(message.monitor)
            return None
        if isinstance(message, LimiterSettings):
            self._configure(message)
            return None
        verb = verb_of(message, _VERBS)
        if verb is not None:
            if len(message) > 1 and type(message[1]) is not str:
                message = (message[0], identifiers.parse(message[1]), *message[2:])
            return verb(self, *message[1:])
        raise UnknownRequest("message", message, "a verb of the rate limiter with its arguments")

    # -- admission -------------------------------------------------------------

    def _check(self, session_id: str, quota_type: str, cost: float) -> Decision:
        table = self._table
        now = self._around.now()
        try:
            bucket = table.buckets[quota_type][session_id]
        except (KeyError, TypeError):  # TypeError: something that can be no key
            session_id = identifiers.parse(session_id)
            bucket = self._bucket(session_id, quota_type, now)
        decision = (
            self._check_closer(session_id, quota_type, cost, now) if self._is_special else bucket.check(cost, now)
        )
        if decision[0]:
            table.admitted += 1
            refused_until = table.refused_until
            if refused_until:
                refused_until.pop(session_id, None)
        elif self._heeds_refusals or decision[1] == math.inf:
            self._count_refusal(session_id, quota_type, decision[1], now)
        else:
            table.refused += 1
            table.refused_until[session_id] = now + decision[1]
        return decision

    def _check_closer(self, session_id: str, quota_type: str, cost: float, now: float) -> Decision:
        """Check where guards, lines or the bucket for all may have a say."""
        table = self._table
        if self._room.has_line(session_id, quota_type):
            self._room.serve(session_id, quota_type)  # their turn may have come just now
        bucket = table.buckets[quota_type][session_id]
        guard = table.guards.get(session_id)
        if guard is not None:
            least = table.wait_for(bucket, quota_type, cost, now)  # a bad cost is refused in any case
            refusal = guard.refusal(now)
            if refusal is not None:
                if guard.action(now) == DROP and guard.blocked_until <= now:
                    table.dropped += 1
                return refusal
            if guard.action(now) == QUEUE and guard.throttle is not None:
                return (False, max(least, self._room.wait_of_line(session_id, quota_type), guard.throttle.until - now))
        if self._room.has_line(session_id, quota_type):
            # Nobody overtakes who waits. At least this long: how long the others will wait is not known.
            least = table.wait_for(bucket, quota_type, cost, now)
            return (False, max(least, self._room.wait_of_line(session_id, quota_type)))
        return table.take(bucket, quota_type, cost, now)

    def _count_refusal(self, session_id: str, quota_type: str, wait: float, now: float) -> None:
        table = self._table
        settings = table.settings
        table.refused += 1
        if wait < math.inf:  # nothing is to be waited for when it can never be admitted
            earlier = table.refused_until.get(session_id)
            table.refused_until[session_id] = now + wait
            if (earlier is None or earlier <= now) and settings.signal_refusals:
                facts = {"type": quota_type, "wait": wait}
                self._announce(session_id, "rate_limited", facts, "resource", "warning")
        if settings.abuse_violations is None:
            return
        self._restraints.count_violation(session_id, now)
        self._restraints_changed()

    def _acquire(self, session_id: str, request: Request) -> float | None:
        """Take tokens, or wait for them; the answer is how long it took, in seconds."""
        if not isinstance(request, Request):
            raise InvalidKind("request", request, "a Request")
        table, room, quota_type = self._table, self._room, request.quota_type
        now = self._around.now()
        session_id = identifiers.parse(session_id)
        bucket = self._bucket(session_id, quota_type, now)
        least = table.wait_for(bucket, quota_type, request.cost, now)
        guard = table.guards.get(session_id)
        action = None if guard is None else guard.action(now)
        refusal = None if guard is None else guard.refusal(now)
        if guard is not None and refusal is not None:
            is_dropped = action == DROP and guard.blocked_until <= now
            table.dropped += is_dropped
            self._count_refusal(session_id, quota_type, refusal[1], now)
            raise refused(refusal[1], is_dropped=is_dropped)
        if room.has_line(session_id, quota_type):
            room.serve(session_id, quota_type)  # their turn may have come just now
            least = table.wait_for(bucket, quota_type, request.cost, now)
        if least == 0 and not room.has_line(session_id, quota_type):
            table.take(bucket, quota_type, request.cost, now)
            table.admitted += 1
            table.refused_until.pop(session_id, None)
            return 0.0
        patience = table.settings.delay_max if request.deadline is None else request.deadline
        if action == DELAY:
            patience = min(patience, table.settings.delay_max)
        if least > patience:  # it would wait in vain
            self._count_refusal(session_id, quota_type, least, now)
            raise refused(least)
        if room.is_full(session_id, quota_type):
            self._turn_away(session_id, quota_type, now, is_queueing=action == QUEUE)
        room.enter(session_id, request, now + patience, self.defer_reply())
        self._look_closer()
        return None

    def _turn_away(self, session_id: str, quota_type: str, now: float, *, is_queueing: bool) -> NoReturn:
        """Refuse somebody for whom there is no room to wait."""
        self._room.overflow(session_id, quota_type)
        wait = self._room.wait_of_line(session_id, quota_type)
        self._count_refusal(session_id, quota_type, wait, now)
        if is_queueing:
            raise refused(wait)
        raise CapacityExceeded(f"the line of {session_id!r} for {quota_type}", self._table.settings.queue_max)

    def _withdraw(self, session_id: str, request: Request) -> None:
        if not isinstance(request, Request):
            raise InvalidKind("request", request, "a Request")
        self._room.withdraw(session_id, request)
        self._look_closer()

    def _serve(self, session_id: str, quota_type: str) -> None:
        self._room.serve(session_id, quota_type)
        self._look_closer()

    def _record_request(self, session_id: str, quota_type: str, cost: float) -> None:
        now = self._around.now()
        session_id = identifiers.parse(session_id)
        self._bucket(session_id, quota_type, now)
        self._table.charge(session_id, quota_type, cost, now)
        if session_id in self._table.debtors or self._table.settings.global_quota_enabled:
            self._remember_soon()

    # -- quotas ----------------------------------------------------------------

    def _set_quota(self, session_id: str, quota_type: str, quota: object) -> None:
        now = self._around.now()
        session_id = identifiers.parse(session_id)
        limits, window = self._table.limits(quota)
        self._bucket(session_id, quota_type, now)
        self._table.reconfigure(session_id, quota_type, limits, window, now)
        self._serve(session_id, quota_type)

    def _get_quota(self, session_id: str, quota_type: str) -> QuotaRecord:
        bucket = self._known(session_id, quota_type)
        now = self._around.now()
        usage = bucket.usage(now)
        limit = bucket.window.limits.limit if isinstance(bucket, WindowedBucket) else None
        return QuotaRecord(bucket.level(now), usage.last_update, usage.capacity, usage.rate, usage.window, limit)

    def _reset_quota(self, session_id: str, quota_type: str | None = None) -> None:
        session_id = identifiers.parse(session_id)
        if quota_type is not None:
            bounds.text("type", quota_type)
        now = self._around.now()
        self._table.refused_until.pop(session_id, None)
        for known, buckets in list(self._table.buckets.items()):
            if quota_type in (None, known) and session_id in buckets:
                buckets[session_id].reset(now)
                self._serve(session_id, known)
        self._remember_soon()

    def _get_usage(self, session_id: str, quota_type: str) -> BucketUsage:
        return self._known(session_id, quota_type).usage(self._around.now())

    # -- restraints ------------------------------------------------------------

    def _apply_throttle(self, session_id: str, action: str, duration: float | None = None) -> None:
        self._restraints.apply(self._usable(session_id), action, duration)
        self._restraints_changed()

    def _clear_throttle(self, session_id: str) -> bool:
        was_restrained = self._restraints.clear(session_id)
        self._restraints_changed()
        return was_restrained

    def _set_pressure(self, session_id: str, is_pressed: bool) -> None:
        self._restraints.press(session_id, is_pressed)
        self._look_closer()

    def _guard_due(self, session_id: str) -> None:
        self._restraints.due(session_id)
        self._restraints_changed()

    def _restraints_changed(self) -> None:
        self._look_closer()
        self._remember_soon()

    def _check_throttle(self, session_id: str) -> bool:
        return self._table.is_throttled(identifiers.parse(session_id), self._around.now())

    def _get_stats(self) -> LimiterStatistics:
        return self._table.statistics(self._around.now(), self._room.waiting())

    # -- subscribers -----------------------------------------------------------

    def _subscribe(self, session_id: str, who: object) -> None:
        """Tell somebody about the limits of a live session, until that ends."""
        session_id = identifiers.parse(session_id)
        self._around.directory.find(session_id)
        self._table.subscriptions.add(session_id, who)

    def _unsubscribe(self, session_id: str, who: object) -> None:
        self._table.subscriptions.discard(identifiers.parse(session_id), who)

    def _announce(
        self, session_id: str, event: str, facts: Mapping[str, object], kind: AuditType, severity: Severity
    ) -> None:
        """Audit an event, and tell the session and its subscribers."""
        around = self._around
        around.audit.put((around.now(), session_id, Audit(kind, event, severity, facts), None, RATE_LIMITER))
        told = LimiterEvent(session_id, event, facts)
        session = around.directory.get(session_id)
        if session is not None:
            session.send(told)
        for _ in range(self._table.subscriptions.tell(session_id, told)):
            dropped = Audit("error", "subscriber_dropped", "warning", {"message": event})
            around.audit.put((around.now(), session_id, dropped, None, RATE_LIMITER))

    # -- entries ---------------------------------------------------------------

    def _look_closer(self) -> None:
        """Note whether a check has to look at more than one bucket."""
        table = self._table
        has_timers = bool(table.guards) or self._room.waiting() > 0
        self._is_special = has_timers or table.settings.global_quota_enabled
        self._around.departures.is_urgent = has_timers
        if has_timers and self._departed:  # before they could know
            self._forget_departed()

    def _usable(self, session_id: str) -> str:
        session_id = identifiers.parse(session_id)
        if self._around.directory.has_ended(session_id):
            raise SessionTerminated(session_id)
        return session_id

    def _bucket(self, session_id: str, quota_type: str, now: float) -> TokenBucket:
        """Return a bucket; the first look at one makes it, full, unless its session has ended."""
        session_id = identifiers.parse(session_id)
        bucket = self._table.get(session_id, bounds.text("type", quota_type))
        if bucket is None:
            self._usable(session_id)
            is_live = self._around.directory.get(session_id) is not None
            try:
                bucket = self._table.add(session_id, quota_type, now, is_live=is_live)
            except CapacityExceeded:
                self._upkeep.make_room(now)
                raise
        return bucket

    def _known(self, session_id: str, quota_type: str) -> TokenBucket:
        session_id = identifiers.parse(session_id)
        bucket = self._table.get(session_id, bounds.text("type", quota_type))
        if bucket is None and self._around.directory.get(session_id) is not None:
            # Full ones of live sessions come and go (see `LimiterTable.rest()`), and nobody can tell.
            bucket = self._table.made(self._around.now())
        if bucket is None:
            raise NotFound(session_id, f"{quota_type} quota of session")
        return bucket

    def _forget_departed(self) -> None:
        """Forget the sessions that have ended since the last message."""
        departed = self._around.departures.take()
        table = self._table
        if self._is_special or not table.debtors.isdisjoint(departed):
            for session_id in departed:
                self._forget(session_id)
        else:
            table.forget_all(departed)

    def _forget(self, session_id: str) -> None:
        if session_id in self._table.debtors:
            self._remember_soon()
        if not self._is_special:  # no lines, no guards, and so no timers
            self._table.forget(session_id)
            return
        self._room.close_lines(session_id)
        self._table.forget(session_id)
        self._restraints.forget(session_id)
        self._look_closer()

    # -- another process ---------------------------------------------------------

    def _remember_soon(self) -> None:
        """Have debts and guards written down, once for all that changes meanwhile."""
        table = self._table
        if table.file is not None and self._file_timer is None:
            delay = table.settings.remember_delay
            self._file_timer = self._around.timers.send_after(delay, self._actor_ref, REMEMBER)

    def _remember(self) -> None:
        """Hand over what is to be written; somebody who may wait for a disk does it."""
        table, around = self._table, self._around
        self._file_timer = None
        if table.file is not None:
            table.file.put(remember(table, around.now(), table.settings.remembered_max))
            around.send(STORE, KEEP_LIMITS)

    # -- settings ----------------------------------------------------------------

    def _configure(self, settings: LimiterSettings) -> None:
        """Take over other settings; buckets with the defaults of before get those of now, some in each turn."""
        table, around = self._table, self._around
        interval = table.settings.cleanup_interval
        table.configure(settings, around.now())
        self._heeds_refusals = _heeds_refusals(settings)
        if settings.cleanup_interval != interval:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = around.timers.send_interval(settings.cleanup_interval, self._actor_ref, CLEANUP)
        self._look_closer()
        self._upkeep.renew()


def _heeds_refusals(settings: LimiterSettings) -> bool:
    return settings.signal_refusals or settings.abuse_violations is not None


_VERBS: Final[Mapping[str, Callable[..., object]]] = {
    "check": RateLimiter._check,  # noqa: SLF001 - our own methods
    "acquire": RateLimiter._acquire,  # noqa: SLF001 - our own methods
    "withdraw": RateLimiter._withdraw,  # noqa: SLF001 - our own methods
    "serve": RateLimiter._serve,  # noqa: SLF001 - our own methods
    "record": RateLimiter._record_request,  # noqa: SLF001 - our own methods
    "set_quota": RateLimiter._set_quota,  # noqa: SLF001 - our own methods
    "get_quota": RateLimiter._get_quota,  # noqa: SLF001 - our own methods
    "reset_quota": RateLimiter._reset_quota,  # noqa: SLF001 - our own methods
    "get_usage": RateLimiter._get_usage,  # noqa: SLF001 - our own methods
    "apply_throttle": RateLimiter._apply_throttle,  # noqa: SLF001 - our own methods
    "clear_throttle": RateLimiter._clear_throttle,  # noqa: SLF001 - our own methods
    "set_pressure": RateLimiter._set_pressure,  # noqa: SLF001 - our own methods
    "guard_due": RateLimiter._guard_due,  # noqa: SLF001 - our own methods
    "check_throttle": RateLimiter._check_throttle,  # noqa: SLF001 - our own methods
    "get_stats": RateLimiter._get_stats,  # noqa: SLF001 - our own methods
    "subscribe": RateLimiter._subscribe,  # noqa: SLF001 - our own methods
    "unsubscribe": RateLimiter._unsubscribe,  # noqa: SLF001 - our own methods
    "forget": RateLimiter._forget,  # noqa: SLF001 - our own methods
    REST: lambda limiter, session_id: limiter._table.rest(session_id, limiter._around.now()),  # noqa: SLF001 - our own methods
}
