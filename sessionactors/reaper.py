"""The reaper: ends sessions that nobody uses any more.

It sweeps at fixed times, `start + k * interval`, however often it is restarted.
It never reads a session's record; it asks the session, which does not count as
activity. To ask a million sessions at each sweep would be a waste, so it keeps
for each the earliest time at which it *could* be due, and asks only then: a
session that was last active at time t cannot be idle for longer than the
threshold before t + threshold. A sweep that could not find anything needs not even
a timer; it counts as one that has found nothing.

A session that does not answer is left alone until the next sweep: who cannot be
asked cannot be judged either. One that is to go and does not is killed.

At one instant, timers of sessions fire before the sweep: a session whose idle
timer and whose sweep coincide is reaped in the state that the timer led to.
"""

from __future__ import annotations

import heapq
import logging
import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias, final

from sessionactors.effects import Audit
from sessionactors.errors import InvalidKind, InvalidOption, SessionTerminated, UnknownRequest
from sessionactors.expiry import ReapPolicy, SessionEntry
from sessionactors.session_messages import PEEK, Reaping
from sessionactors.settings import ReaperSettings
from sessionactors.states import TERMINATED
from sessionactors.surroundings import ISOLATION, RATE_LIMITER, REAPER
from supervisors.actor import Actor
from supervisors.errors import SupervisorsError
from supervisors.runtime.outcomes import ActorDeadError

if TYPE_CHECKING:
    from sessionactors.surroundings import Surroundings
    from supervisors.runtime.cell import Reply
    from supervisors.runtime.ref import ActorRef
    from supervisors.timers.service import Timer

__all__ = ["Reaper", "ReaperLedger", "ReaperStatistics"]

logger = logging.getLogger("sessionactors.reaper")

SWEEP_DUE: Final = "sweep_due"
SWEEP: Final = "sweep"
CONTINUE: Final = "continue"

_EARLY: Final = 0.001  # seconds
_LEFT_MAX: Final = 1000

_Possible: TypeAlias = "tuple[float, int, str, ActorRef[Any]]"
"""Earliest monotonic moment at which a session could be due, a number that makes it unique, the session."""


@dataclass(frozen=True, slots=True)
class ReaperStatistics:
    """What `get_stats` answers; times are monotonic seconds."""

    total_reaped: int
    last_reap_at: float | None
    last_reap_count: int
    interval: float
    paused: bool
    policy: str
    idle_threshold: float


@final
class ReaperLedger:
    """What must survive a crash of the reaper: its schedule, its settings, its counts.

    Attributes:
        settings: how it behaves; `policy` is the one in force.
        policy: which sessions go.
        epoch: monotonic seconds; it sweeps at `epoch + k * interval`.
        running_since: monotonic seconds; sweeps until then have been counted, or left out.
        paused: whether sweeps are left out.
        total_reaped: sessions that it has ended.
        last_reap_at: monotonic seconds of the last sweep, None before the first one.
        last_reap_count: sessions that it has ended then.
    """

    __slots__ = (
        "epoch",
        "last_reap_at",
        "last_reap_count",
        "paused",
        "policy",
        "running_since",
        "settings",
        "total_reaped",
    )

    def __init__(self, settings: ReaperSettings, epoch: float) -> None:
        self.settings = settings
        self.policy = ReapPolicy(settings.policy, settings.idle_threshold)
        self.epoch = epoch
        self.running_since = epoch
        self.paused = False
        self.total_reaped = 0
        self.last_reap_at: float | None = None
        self.last_reap_count = 0

    def next_sweep(self, moment: float, after: float) -> float:
        """Return the time of the first sweep at a moment or later, and after a time."""
        interval = self.settings.interval
        number = math.ceil((moment - self.epoch) / interval)
        due = self.epoch + number * interval
        return due if due > after else self.epoch + (number + 1) * interval

    def count_empty_sweeps(self, now: float) -> None:
        """Count the sweeps until now that were not run, because they could find nothing."""
        if not self.paused:
            interval = self.settings.interval
            at = self.epoch + math.floor((now - self.epoch) / interval) * interval
            if self.running_since < at <= now:
                self.running_since = self.last_reap_at = at
                self.last_reap_count = 0

    def begin_sweep(self, now: float) -> None:
        """Count a sweep that is run."""
        self.running_since = self.last_reap_at = now
        self.last_reap_count = 0

    def count_end(self) -> None:
        """Count a session that has ended in the last sweep."""
        self.total_reaped += 1
        self.last_reap_count += 1


@final
class _Job:
    """Sessions that are looked at, a batch a turn.

    Attributes:
        candidates: those that are left, the next one last.
        policy: which of them go; None is a sweep, by the policy in force.
        reply: who is told how many have ended, or None.
        ended: how many have so far.
    """

    __slots__ = ("candidates", "ended", "policy", "reply")

    def __init__(
        self, candidates: list[tuple[str, ActorRef[Any]]], policy: ReapPolicy | None, reply: Reply | None
    ) -> None:
        self.candidates = candidates
        self.policy = policy
        self.reply = reply
        self.ended = 0


class Reaper(Actor):
    """The singleton that sweeps.

    Messages (asks): `("reap", policy or None)`, `("set_policy", policy, options)`,
    `("set_interval", seconds)`, `("pause",)`, `("resume",)`, `("get_stats",)`,
    `("get_reaped_count",)`. From sessions: `("watch", id, ref, last activity)`, `("forget", id)`.

    Args:
        ledger: what an earlier reaper has left.
        around: the system around it.
    """

    dispatch = "inline"
    crash_on_ask_error = True

    def __init__(self, ledger: ReaperLedger, around: Surroundings) -> None:
        super().__init__()
        self._ledger = ledger
        self._around = around
        self._possible: list[_Possible] = []  # heap
        self._entered = 0
        self._left = 0  # entries above whose sessions have ended, more or less
        # What is being worked at, a batch a turn: sweeps and manual reaps, in order.
        self._jobs: deque[_Job] = deque()
        self._sweep: _Job | None = None
        self._has_reported = False
        # At most one timer for a sweep, or else the sweep itself is on its way.
        self._timer: Timer | None = None
        self._timer_number = 0
        self._armed_for = math.inf  # the moment that the timer was set for, or anything later
        self._is_due = False

    def on_start(self) -> None:
        """Take up the schedule, and the sessions that are live already."""
        self._enter_all()

    def ended(self) -> None:
        """Leave no timer behind."""
        if self._timer is not None:
            self._timer.cancel()

    def on_receive(self, message: Any) -> Any:
        """Do what is asked; see the class."""
        if message == SWEEP:
            self._is_due = False
            if not self._ledger.paused:
                self._begin()
            self._schedule()
            return None
        if message == CONTINUE:
            self._go_on()
            return None
        if isinstance(message, tuple) and message:
            if message[0] == SWEEP_DUE:
                self._come_due(message)
                return None
            verb = _VERBS.get(message[0])
            if verb is not None:
                return verb(self, *message[1:])
        raise UnknownRequest("message", message, "a verb of the reaper with its arguments")

    # -- verbs -----------------------------------------------------------------

    def _watch(self, session_id: str, ref: ActorRef[Any], last_activity: float) -> None:
        policy = self._ledger.policy
        moment = last_activity
        if policy.name == "idle_timeout":
            moment += policy.idle_threshold - _EARLY
        self._enter(moment, session_id, ref)
        if moment < self._armed_for:
            self._schedule()

    def _forget(self, session_id: str) -> None:
        """Note that a session has ended: its entry is of no use any more, and lasts until its time has come."""
        del session_id
        self._left += 1
        if self._left > _LEFT_MAX and self._left > len(self._possible) // 2:
            live = self._around.directory.get
            self._possible = [each for each in self._possible if live(each[2]) is each[3]]
            heapq.heapify(self._possible)
            self._left = 0

    def _reap(self, policy: str | None = None) -> int | None:
        """Sweep now, whole, also while paused; the answer is how many have ended."""
        ledger = self._ledger
        chosen = ledger.policy
        if policy is not None and policy != chosen.name:
            chosen = ReapPolicy(policy, ledger.settings.idle_threshold)
        ledger.begin_sweep(self._around.now())
        candidates = self._around.directory.items()
        if len(candidates) <= ledger.settings.batch_size and not self._jobs:
            return self._look_at(candidates, chosen, keep=False)
        candidates.reverse()  # the next ones are taken from the end
        self._take_on(_Job(candidates, chosen, self.defer_reply()))
        return None

    def _set_policy(self, policy: str, options: Mapping[str, object] | None = None) -> None:
        if options is not None and not isinstance(options, Mapping):
            raise InvalidKind("options", options, "a mapping of option names to values")
        given = dict(options or {})
        picked = given.pop("filter", None)
        unknown = given.keys() - {"idle_threshold"}
        if unknown:
            raise InvalidOption("option of set_policy", min(unknown, key=str), "idle_threshold (seconds) or filter")
        settings = self._ledger.settings.updated(given)
        self._ledger.policy = ReapPolicy(policy, settings.idle_threshold, picked)  # type: ignore[arg-type]  # it checks
        self._ledger.settings = settings
        self._has_reported = False
        self._enter_all()  # what could be due when has changed for everybody

    def _set_interval(self, interval: float) -> None:
        ledger = self._ledger
        settings = ledger.settings.updated({"interval": interval})
        now = self._around.now()
        ledger.count_empty_sweeps(now)
        ledger.settings = settings
        ledger.epoch = ledger.running_since = now
        self._schedule()

    def _pause(self) -> None:
        self._ledger.count_empty_sweeps(self._around.now())
        self._ledger.paused = True

    def _resume(self) -> None:
        if self._ledger.paused:
            self._ledger.paused = False
            self._ledger.running_since = self._around.now()

    def _get_stats(self) -> ReaperStatistics:
        ledger = self._ledger
        if not self._is_due:
            ledger.count_empty_sweeps(self._around.now())
        return ReaperStatistics(
            total_reaped=ledger.total_reaped,
            last_reap_at=ledger.last_reap_at,
            last_reap_count=ledger.last_reap_count,
            interval=ledger.settings.interval,
            paused=ledger.paused,
            policy=ledger.policy.name,
            idle_threshold=ledger.policy.idle_threshold,
        )

    def _get_reaped_count(self) -> int:
        return self._ledger.total_reaped

    # -- sweeping ----------------------------------------------------------------

    def _schedule(self) -> None:
        """Arm the one timer, for the next sweep that could find anything."""
        if self._is_due:
            return  # it is scheduled again after that sweep
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._armed_for = math.inf
        if self._possible:
            now = self._around.now()
            moment = max(now, self._possible[0][0])
            due = self._ledger.next_sweep(moment, now)
            # The number tells a timer that is in the mailbox already from the one that has replaced it.
            self._timer_number += 1
            self._timer = self._around.timers.send_at(due, self._actor_ref, (SWEEP_DUE, self._timer_number))
            self._armed_for = moment

    def _come_due(self, message: tuple[object, ...]) -> None:
        """Let the timers that sessions have set for this very moment fire first."""
        if self._timer is not None and message == (SWEEP_DUE, self._timer_number):
            self._timer = None
            self._is_due = True
            # Once more through the timers: those of the sessions are in there already.
            self._around.timers.send_at(self._around.now(), self._actor_ref, SWEEP)

    def _enter(self, moment: float, session_id: str, ref: ActorRef[Any]) -> None:
        self._entered += 1
        heapq.heappush(self._possible, (moment, self._entered, session_id, ref))

    def _enter_all(self) -> None:
        """Start over with the live sessions: each could be due now."""
        now = self._around.now()
        self._possible = []
        self._left = 0
        for session_id, ref in self._around.directory.items():
            self._enter(now, session_id, ref)
        self._schedule()

    def _begin(self) -> None:
        """Start a sweep of those that could be due; a sweep in progress takes them along."""
        now = self._around.now()
        self._ledger.begin_sweep(now)
        possible = self._possible
        found = []
        while possible and possible[0][0] <= now:
            _, _, session_id, ref = heapq.heappop(possible)
            found.append((session_id, ref))
        if self._sweep is not None:
            self._sweep.candidates[:0] = found[::-1]
            return
        found.reverse()
        self._sweep = _Job(found, None, None)
        self._take_on(self._sweep)

    def _take_on(self, job: _Job) -> None:
        self._jobs.append(job)
        if len(self._jobs) == 1:
            self._go_on()  # otherwise the message for it is on its way

    def _go_on(self) -> None:
        """Look at one batch, and leave the rest to another turn: others may ask meanwhile."""
        if not self._jobs:
            return
        job = self._jobs[0]
        size = self._ledger.settings.batch_size
        batch = job.candidates[-size:]
        del job.candidates[-size:]
        batch.reverse()
        is_sweep = job.policy is None
        job.ended += self._look_at(batch, job.policy or self._ledger.policy, keep=is_sweep)
        if not job.candidates:
            self._jobs.popleft()
            if is_sweep:
                self._sweep = None
                self._schedule()
            if job.reply is not None:
                job.reply.set(job.ended)
        if self._jobs:
            # Not a message to itself: this thread would go on at once and hold the
            # interpreter until it is taken away, five milliseconds at a time. The
            # timer comes from another thread, and whoever has waited goes first.
            self._around.timers.send_at(self._around.now(), self._actor_ref, CONTINUE)

    def _look_at(self, candidates: list[tuple[str, ActorRef[Any]]], policy: ReapPolicy, *, keep: bool) -> int:
        """End those of the candidates that have to go, and return how many have ended.

        `keep` makes the others wait for another sweep.
        """
        before = self._ledger.total_reaped
        now = self._around.now()
        entries: dict[str, tuple[SessionEntry, ActorRef[Any]]] = {}
        for session_id, ref in candidates:
            if self._around.directory.get(session_id) is not ref:
                continue  # it has ended
            try:
                entries[session_id] = (ref.ask(PEEK), ref)
            except ActorDeadError:
                if policy.name in ("orphaned", "all") and not ref.is_alive():
                    self._bury(session_id, ref, policy)
            except SessionTerminated:
                pass
            except SupervisorsError as error:
                logger.warning("%s does not answer the reaper, and is asked again at the next sweep: %s", ref, error)
                if keep:
                    self._enter(now, session_id, ref)
        selection = policy.select(entry for entry, _ in entries.values())
        for fault in selection.faults[: 0 if self._has_reported else 1]:
            self._has_reported = True
            logger.error("the reaper's filter raised, which keeps the session", exc_info=fault.error)
        for entry in selection.picked:
            ref = entries[entry.id][1]
            if self._end(entry, ref, policy):
                del entries[entry.id]
        if keep:
            for entry, ref in entries.values():
                self._enter(_possible_from(entry, policy, now), entry.id, ref)
        return self._ledger.total_reaped - before

    def _end(self, entry: SessionEntry, ref: ActorRef[Any], policy: ReapPolicy) -> bool:
        """End one session through itself, or by force; False when it goes on, because it was used meanwhile."""
        facts = {"policy": policy.name, "idle_age": entry.idle}
        seen = None if policy.name == "all" else entry.last_accessed
        try:
            if ref.ask(Reaping(facts, seen), timeout=self._ledger.settings.termination_timeout) != TERMINATED:
                return False
        except (ActorDeadError, SessionTerminated):
            return True  # somebody else was faster
        except SupervisorsError:
            self._audit(entry.id, {**facts, "forced": True})
            self._delete(entry.id)
            ref.kill()
        self._ledger.count_end()
        return True

    def _bury(self, session_id: str, ref: ActorRef[Any], policy: ReapPolicy) -> None:
        """Clear up after a session that died without doing so itself."""
        if self._around.directory.remove(session_id, ref):
            self._audit(session_id, {"policy": policy.name, "orphaned": True})
            self._delete(session_id)
            for name in (ISOLATION, RATE_LIMITER):
                service = self._around.whereis(name)
                if service is not None:
                    service.send(("forget", session_id))
            self._ledger.count_end()

    def _delete(self, session_id: str) -> None:
        """See that the session does not come back from the store; it cannot do that itself any more."""
        saves = self._around.saves
        if saves is not None:
            saves.delete(session_id)

    def _audit(self, session_id: str, facts: Mapping[str, object]) -> None:
        event = Audit("lifecycle", "session_reaped", "info", facts)
        self._around.audit.put((self._around.now(), session_id, event, REAPER))


def _possible_from(entry: SessionEntry, policy: ReapPolicy, now: float) -> float:
    """Return the earliest monotonic moment at which the session could have to go.

    A little early, because `now - idle` need not be the very float that the session
    remembers, and looking once too often is harmless.
    """
    if policy.name == "idle_timeout":
        return now - entry.idle + policy.idle_threshold - _EARLY
    if policy.name == "expired" and entry.ttl is not None:
        return now - entry.idle + entry.ttl - _EARLY
    return now


_VERBS: Final[Mapping[str, Callable[..., object]]] = {
    "watch": Reaper._watch,  # noqa: SLF001 - our own methods
    "forget": Reaper._forget,  # noqa: SLF001
    "reap": Reaper._reap,  # noqa: SLF001
    "set_policy": Reaper._set_policy,  # noqa: SLF001
    "set_interval": Reaper._set_interval,  # noqa: SLF001
    "pause": Reaper._pause,  # noqa: SLF001
    "resume": Reaper._resume,  # noqa: SLF001
    "get_stats": Reaper._get_stats,  # noqa: SLF001
    "get_reaped_count": Reaper._get_reaped_count,  # noqa: SLF001
}
