"""The reaper: ends sessions that nobody uses any more.

It sweeps at fixed times, `start + k * interval`, however often it is restarted; a
sweep that cannot find anything is not run.
It never reads a session's record; it asks the session, which does not count as
activity. To ask a million sessions at each sweep would be a waste, so it keeps
for each the earliest time at which it *could* be due, and asks only then: a
session that was last active at time t cannot be idle for longer than the
threshold before t + threshold.

At one instant, timers of sessions fire before the sweep: a session whose idle
timer and whose sweep coincide is reaped in the state that the timer led to.
"""

from __future__ import annotations

import heapq
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sessionactors.effects import Audit
from sessionactors.errors import SessionTerminated, UnknownRequest
from sessionactors.expiry import ReapPolicy, SessionEntry
from sessionactors.lifecycle import TERMINATE
from sessionactors.session import PEEK
from sessionactors.settings import ReaperSettings
from sessionactors.states import TERMINATED
from sessionactors.surroundings import REAPER
from supervisors.actor import Actor
from supervisors.errors import SupervisorsError
from supervisors.runtime.outcomes import ActorDeadError

if TYPE_CHECKING:
    from sessionactors.surroundings import Surroundings
    from supervisors.runtime.ref import ActorRef

__all__ = ["Reaper", "ReaperLedger", "ReaperStatistics"]

logger = logging.getLogger("sessionactors.reaper")

SWEEP_DUE: Final = "sweep_due"
SWEEP: Final = "sweep"
CONTINUE: Final = "continue"

_EARLY: Final = 0.001  # seconds


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


class ReaperLedger:
    """What must survive a crash of the reaper: its schedule, its settings, its counts."""

    __slots__ = ("epoch", "last_reap_at", "last_reap_count", "paused", "policy", "settings", "total_reaped")

    def __init__(self, settings: ReaperSettings, epoch: float) -> None:
        self.settings = settings
        self.policy = ReapPolicy(settings.policy, settings.idle_threshold)
        self.epoch = epoch
        self.paused = False
        self.total_reaped = 0
        self.last_reap_at: float | None = None
        self.last_reap_count = 0


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
        self._possible: list[tuple[float, int, str, ActorRef[Any]]] = []  # heap: earliest moment it could be due
        self._entered = 0
        self._batch: list[tuple[str, ActorRef[Any]]] = []
        self._has_reported = False
        self._timer: Any = None

    def on_start(self) -> None:
        """Take up the schedule, and the sessions that are live already."""
        now = self._around.now()
        for session_id, ref in self._around.directory.items():
            self._enter(now, session_id, ref)
        self._schedule()

    def on_receive(self, message: Any) -> Any:
        """Do what is asked; see the class."""
        if message == SWEEP_DUE:
            # Once more through the timers: those of sessions for this very
            # moment are armed already, so they fire first.
            self._timer = self._around.timers.send_at(self._around.now(), self._actor_ref, SWEEP)
            return None
        if message == SWEEP:
            self._timer = None
            if not self._ledger.paused:
                self._begin()
            self._schedule()
            return None
        if message == CONTINUE:
            self._go_on()
            return None
        if isinstance(message, tuple) and message:
            verb = _VERBS.get(message[0])
            if verb is not None:
                return verb(self, *message[1:])
        raise UnknownRequest("message", message, "a verb of the reaper with its arguments")

    # -- verbs -----------------------------------------------------------------

    def _watch(self, session_id: str, ref: ActorRef[Any], last_activity: float) -> None:
        policy = self._ledger.policy
        is_by_idleness = policy.name == "idle_timeout"
        self._enter(
            last_activity + policy.idle_threshold - _EARLY if is_by_idleness else last_activity, session_id, ref
        )
        if self._timer is None:
            self._schedule()

    def _forget(self, session_id: str) -> None:
        """Nothing to do: an entry whose session is not live is dropped when its time comes."""

    def _reap(self, policy: str | None = None) -> int:
        """Sweep now, whole, also while paused; return how many have ended."""
        chosen = self._ledger.policy
        if policy is not None and policy != chosen.name:
            chosen = ReapPolicy(policy, self._ledger.settings.idle_threshold)
        ended = self._look_at(self._around.directory.items(), chosen, keep=False)
        self._ledger.total_reaped += ended
        self._ledger.last_reap_at = self._around.now()
        self._ledger.last_reap_count = ended
        return ended

    def _set_policy(self, policy: str, options: Mapping[str, object] | None = None) -> None:
        given = dict(options or {})
        picked = given.pop("filter", None)
        settings = self._ledger.settings.updated(given)
        self._ledger.policy = ReapPolicy(policy, settings.idle_threshold, picked)  # type: ignore[arg-type]  # it checks
        self._ledger.settings = settings
        self._has_reported = False
        # What could be due when has changed for everybody.
        self._possible.clear()
        now = self._around.now()
        for session_id, ref in self._around.directory.items():
            self._enter(now, session_id, ref)
        self._schedule()

    def _set_interval(self, interval: float) -> None:
        self._ledger.settings = self._ledger.settings.updated({"interval": interval})
        self._ledger.epoch = self._around.now()
        self._schedule()

    def _pause(self) -> None:
        self._ledger.paused = True

    def _resume(self) -> None:
        self._ledger.paused = False

    def _get_stats(self) -> ReaperStatistics:
        ledger = self._ledger
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
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._possible:
            now = self._around.now()
            number = self._sweeps_until(max(now, self._possible[0][0]))
            due = self._ledger.epoch + number * self._ledger.settings.interval
            if due <= now:
                due = self._ledger.epoch + (number + 1) * self._ledger.settings.interval
            self._timer = self._around.timers.send_at(due, self._actor_ref, SWEEP_DUE)

    def _sweeps_until(self, moment: float) -> int:
        """Return the number of the first sweep at a moment or after it."""
        return math.ceil((moment - self._ledger.epoch) / self._ledger.settings.interval)

    def _enter(self, moment: float, session_id: str, ref: ActorRef[Any]) -> None:
        self._entered += 1
        heapq.heappush(self._possible, (moment, self._entered, session_id, ref))

    def _begin(self) -> None:
        """Start a sweep of those that could be due; a sweep in progress takes them along."""
        now = self._around.now()
        self._ledger.last_reap_at = now
        self._ledger.last_reap_count = 0
        possible = self._possible
        while possible and possible[0][0] <= now:
            _, _, session_id, ref = heapq.heappop(possible)
            self._batch.append((session_id, ref))
        self._go_on()

    def _go_on(self) -> None:
        """Look at one batch, and leave the rest to another turn: others may ask meanwhile."""
        size = self._ledger.settings.batch_size
        batch, self._batch = self._batch[:size], self._batch[size:]
        ended = self._look_at(batch, self._ledger.policy, keep=True)
        self._ledger.total_reaped += ended
        self._ledger.last_reap_count += ended
        if self._batch:
            self._actor_ref.send(CONTINUE)

    def _look_at(self, candidates: list[tuple[str, ActorRef[Any]]], policy: ReapPolicy, *, keep: bool) -> int:
        entries: dict[str, tuple[SessionEntry, ActorRef[Any]]] = {}
        for session_id, ref in candidates:
            entry = self._entry(session_id, ref)
            if entry is not None:
                entries[session_id] = (entry, ref)
        selection = policy.select(entry for entry, _ in entries.values())
        for fault in selection.faults[: 0 if self._has_reported else 1]:
            self._has_reported = True
            logger.error("the reaper's filter raised, which keeps the session", exc_info=fault.error)
        ended = 0
        for entry in selection.picked:
            ended += self._end(entry, entries.pop(entry.id)[1], policy)
        if keep:
            now = self._around.now()
            for entry, ref in entries.values():
                self._enter(_possible_from(entry, policy, now), entry.id, ref)
        return ended

    def _entry(self, session_id: str, ref: ActorRef[Any]) -> SessionEntry | None:
        if self._around.directory.get(session_id) is not ref:
            return None
        try:
            entry: SessionEntry = ref.ask(PEEK)
        except (ActorDeadError, SessionTerminated):
            return None
        return None if entry.state == TERMINATED else entry

    def _end(self, entry: SessionEntry, ref: ActorRef[Any], policy: ReapPolicy) -> int:
        """End one session through itself, or by force when it does not; return 1 if it has ended."""
        facts = {"policy": policy.name, "idle_age": entry.idle}
        reaped = Audit("lifecycle", "session_reaped", "info", facts)
        self._around.audit.put((self._around.now(), entry.id, reaped, REAPER))
        try:
            ref.ask((TERMINATE, "reaped"), timeout=self._ledger.settings.termination_timeout)
        except (ActorDeadError, SessionTerminated):
            return 0
        except SupervisorsError:
            ref.kill()
        return 1


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
