"""The reaper: ends sessions that nobody uses any more.

It sweeps at fixed times, `start + k * interval`, however often it is restarted.
It never reads a session's record; it asks the session, which does not count as
activity (see `sessionactors.reap_jobs`). To ask a million sessions at each sweep would be a waste, so it keeps
for each the first sweep at which it *could* be due, and asks only then: a
session that was last active at time t cannot be idle for longer than the
threshold before t + threshold. A sweep that could not find anything needs not even
a timer; it counts as one that has found nothing.

At one instant, timers of sessions fire before the sweep: a session whose idle
timer and whose sweep coincide is reaped in the state that the timer led to.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from sessionactors.arrivals import ARRIVED
from sessionactors.errors import InvalidKind, InvalidOption, UnknownRequest
from sessionactors.expiry import ReapPolicy
from sessionactors.reap_agenda import ReapAgenda
from sessionactors.reap_jobs import ANSWERED, CONTINUE, LATE, Job, ReapJobs
from sessionactors.reaper_ledger import ReaperLedger, ReaperStatistics
from sessionactors.verbs import verb_of
from supervisors.actor import Actor

if TYPE_CHECKING:
    from sessionactors.surroundings import Surroundings
    from supervisors.runtime.ref import ActorRef
    from supervisors.timers.service import Timer

__all__ = ["Reaper", "ReaperLedger", "ReaperStatistics"]

SWEEP_DUE: Final = "sweep_due"
SWEEP: Final = "sweep"

_EARLY: Final = 0.001  # seconds
_DEAD_MAX: Final = 1000


class Reaper(Actor):
    """The singleton that sweeps.

    Messages (asks): `("reap", policy or None)`, `("set_policy", policy, options)`,
    `("set_interval", seconds)`, `("pause",)`, `("resume",)`, `("get_stats",)`,
    `("get_reaped_count",)`. Sessions come by `sessionactors.arrivals`.

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
        self._agenda = ReapAgenda()
        self._work = ReapJobs(ledger, around, self._actor_ref, self._spared, self._schedule)
        # At most one timer for a sweep, or else the sweep itself is on its way.
        self._timer: Timer | None = None
        self._timer_number = 0
        self._armed_for: float = math.inf  # the number of the sweep that the timer was set for, or anything later
        self._is_due = False
        self._arrivals = around.arrivals

    def on_start(self) -> None:
        """Take up the schedule, and the sessions that are live already."""
        self._enter_all()

    def ended(self) -> None:
        """Leave no timer behind."""
        if self._timer is not None:
            self._timer.cancel()
        self._arrivals.calm_from = math.inf  # nobody is going to look
        self._work.close()

    def on_receive(self, message: Any) -> Any:
        """Do what is asked; see the class."""
        if message == SWEEP:
            self._is_due = False
            if not self._ledger.paused:
                self._begin()
            self._schedule()
            return None
        if message == CONTINUE:
            self._work.go_on()
            return None
        if message == ARRIVED:
            if self._take_in() < self._armed_for:
                self._schedule()
            return None
        verb = verb_of(message, _VERBS)
        if verb is not None:
            return verb(self, *message[1:])
        raise UnknownRequest("message", message, "a verb of the reaper with its arguments")

    # -- verbs -----------------------------------------------------------------

    def _reap(self, policy: str | None = None) -> int | None:
        """Sweep now, whole, also while paused; the answer is how many have ended."""
        ledger = self._ledger
        chosen = ledger.policy
        if policy is not None and not (isinstance(policy, str) and policy == chosen.name):
            chosen = ReapPolicy(policy, ledger.settings.idle_threshold)
        ledger.begin_sweep(self._around.now())
        candidates = self._around.directory.items()
        candidates.reverse()  # the next ones are taken from the end
        job = Job(candidates, chosen, None)
        if self._work.take_on(job):
            return job.ended
        job.reply = self.defer_reply()
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
        self._work.has_reported = False
        self._enter_all()  # what could be due when has changed for everybody

    def _set_interval(self, interval: float) -> None:
        ledger = self._ledger
        settings = ledger.settings.updated({"interval": interval})
        self._take_in()
        now = self._around.now()
        ledger.count_empty_sweeps(now)
        # Who belongs to a sweep could be due as soon as the one before it was over.
        earliest = {number: ledger.sweep_at(number - 1) for number in self._agenda.numbers}
        ledger.settings = settings
        ledger.epoch = ledger.running_since = now
        self._agenda = self._agenda.renumbered(
            lambda number: max(0, ledger.sweep_number(earliest[number])), self._around.directory.get
        )
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

    def _answered(self, ref: ActorRef[Any]) -> None:
        self._work.heard(ref)

    def _time_is_up(self, number: int) -> None:
        self._work.time_is_up(number)

    def _get_reaped_count(self) -> int:
        return self._ledger.total_reaped

    # -- who there is ------------------------------------------------------------

    def _spare_time(self) -> float:
        """Return for how many seconds after its last activity nobody can have to go."""
        policy = self._ledger.policy
        return policy.idle_threshold - _EARLY if policy.name == "idle_timeout" else 0.0

    def _take_in(self) -> float:
        """Enter who has arrived; return the number of the first sweep that is to look at any of them."""
        arrived = iter(self._arrivals.take())
        sweep_number, live, enter = self._ledger.sweep_number, self._around.directory.get, self._agenda.enter
        spare_time = self._spare_time()
        first: float = math.inf
        for session_id, ref, last_activity in zip(arrived, arrived, arrived, strict=True):
            known = live(session_id)
            if known is None or known is not ref:
                continue  # it has ended
            number = sweep_number(last_activity + spare_time)
            enter(number, session_id, known)
            first = min(first, number)
        if len(self._agenda) > _DEAD_MAX + 2 * len(self._around.directory):
            # Most of them have ended; their entries would last until their time has come.
            self._agenda = self._agenda.renumbered(lambda number: number, self._around.directory.get)
        return first

    # -- sweeping ----------------------------------------------------------------

    def _schedule(self) -> None:
        """Arm the one timer, for the next sweep that could find anything."""
        if self._is_due:
            return  # it is scheduled again after that sweep
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._armed_for = math.inf
        self._arrivals.calm_from = math.inf  # before looking: who comes after it says so
        self._take_in()
        first = self._agenda.first
        if first is not None:
            number = max(first, self._ledger.last_sweep(self._around.now()) + 1)
            due = self._ledger.sweep_at(number)
            # The number tells a timer that is in the mailbox already from the one that has replaced it.
            self._timer_number += 1
            self._timer = self._around.timers.send_at(due, self._actor_ref, (SWEEP_DUE, self._timer_number))
            self._armed_for = number
            # Who could have to go at that sweep or later; the one before is over, or looks at nobody.
            self._arrivals.calm_from = self._ledger.sweep_at(number - 1) + _EARLY - self._spare_time()

    def _come_due(self, number: int) -> None:
        """Let the timers that sessions have set for this very moment fire first."""
        if self._timer is not None and number == self._timer_number:
            self._timer = None
            self._is_due = True
            # Once more through the timers: those of the sessions are in there already.
            self._around.timers.send_at(self._around.now(), self._actor_ref, SWEEP)

    def _enter_all(self) -> None:
        """Start over with the live sessions: each could be due now."""
        number = self._ledger.sweep_number(self._around.now())
        self._agenda = ReapAgenda()
        self._arrivals.take()  # they are in the directory
        for session_id, ref in self._around.directory.items():
            self._agenda.enter(number, session_id, ref)
        self._schedule()

    def _begin(self) -> None:
        """Start a sweep of those that could be due; a sweep in progress takes them along."""
        now = self._around.now()
        self._ledger.begin_sweep(now)
        self._take_in()
        found = self._agenda.take(self._ledger.last_sweep(now))
        found.reverse()
        sweep = self._work.sweep
        if sweep is not None:
            sweep.candidates[:0] = found
        else:
            self._work.take_on(Job(found, None, None))

    def _spared(self, moment: float, session_id: str, ref: ActorRef[Any]) -> None:
        """Wait for another sweep with a session that goes on.

        A little early, because the sum of two moments need not be the very float that
        makes the session old enough, and looking once too often is harmless.
        """
        self._agenda.enter(self._ledger.sweep_number(moment - _EARLY), session_id, ref)


_VERBS: Final[Mapping[str, Callable[..., object]]] = {
    SWEEP_DUE: Reaper._come_due,  # noqa: SLF001 - our own methods
    ANSWERED: Reaper._answered,  # noqa: SLF001 - our own methods
    LATE: Reaper._time_is_up,  # noqa: SLF001 - our own methods
    "reap": Reaper._reap,  # noqa: SLF001 - our own methods
    "set_policy": Reaper._set_policy,  # noqa: SLF001 - our own methods
    "set_interval": Reaper._set_interval,  # noqa: SLF001 - our own methods
    "pause": Reaper._pause,  # noqa: SLF001 - our own methods
    "resume": Reaper._resume,  # noqa: SLF001 - our own methods
    "get_stats": Reaper._get_stats,  # noqa: SLF001 - our own methods
    "get_reaped_count": Reaper._get_reaped_count,  # noqa: SLF001 - our own methods
}
