"""Chaos: one experiment on a live system, embedded in a program or run by the command."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, final

from supervisors.chaos.agenda import Agenda
from supervisors.chaos.injector import Injector
from supervisors.chaos.kinds import NEXT_STRIKE
from supervisors.chaos.plan import Plan
from supervisors.chaos.probes import called, loaded
from supervisors.chaos.reading import load_plan, plan_of
from supervisors.chaos.record import ChaosEvent, EventKind
from supervisors.chaos.report import ChaosFailedError, ChaosReport, ChaosVerdict, counted
from supervisors.chaos.steadiness import Steadiness
from supervisors.chaos.timetable import Occasion, timetable
from supervisors.clock import SettableClock, SystemClock
from supervisors.entropy import Entropy
from supervisors.errors import InvalidArgumentError, InvalidTypeError, UsageError
from supervisors.runtime.turn import hand_over, thread_turn
from supervisors.system import ActorSystem

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Chaos"]

logger = logging.getLogger("supervisors.chaos")

JOIN_SECONDS: Final = 10.0
"""Seconds that our threads get to end in: a probe that looks just then has a deadline of its own."""

TICK_SECONDS: Final = 0.2

EVENTS_MAX: Final = 100_000
"""Records kept of one experiment; later ones are only counted for progress."""


@final
class Chaos:
    """Lets faults loose on a live system, and judges how it takes them.

    As a context manager, entering looks at the steady state and lets the method begin; leaving
    ends the faults, undoes what they left, waits for the system to recover, and raises if
    it did not stand the experiment. `run()` does all of it and returns the report.

    Args:
        system: an `ActorSystem` in real time, or something that has one in its attribute `actors`.
        plan: a `Plan`, the path of a TOML file, or what such a file holds.
        seed: moments, victims and lengths are drawn from it; by default the plan's, or another
            one each time, which the report tells.
        on_event: gets each record as it is made, on the thread that made it; must not block.

    Attributes:
        seed: what is drawn from.
        report: about the experiment, once it is over.

    Example:
        >>> from supervisors import Actor, ActorSystem, ChildSpec, Supervisor
        >>> plan = {
        ...     "method": [{"kind": "kill", "at": [0.0]}],
        ...     "steady": [{"kind": "alive", "name": "an actor lives", "target": "Actor"}],
        ... }
        >>> with ActorSystem() as system:
        ...     _ = system.start(Supervisor, [ChildSpec("actor", Actor)])
        ...     with Chaos(system, plan, seed=7) as chaos:
        ...         over = chaos.wait()
        >>> chaos.report.verdict
        'ok'

    Raises:
        InvalidArgumentError, InvalidTypeError: the plan makes no sense, or names what is not there.
        UsageError: the system lives in virtual time (use `Simulation`).

    Thread: the one that enters it; no turn of an actor may.
    """

    def __init__(
        self,
        system: Any,
        plan: Plan | Mapping[str, Any] | str | Path,
        *,
        seed: int | None = None,
        on_event: Callable[[ChaosEvent], object] | None = None,
    ) -> None:
        actors = system if isinstance(system, ActorSystem) else getattr(system, "actors", None)
        if not isinstance(actors, ActorSystem):
            raise InvalidTypeError("system", system, "an ActorSystem, or something with one in its attribute actors")
        if not actors.scheduler.is_threaded:
            raise UsageError("a system on a virtual clock is for supervisors.simulation; chaos needs real time")
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int)):
            raise InvalidTypeError("seed", seed, "a whole number, or None")
        if on_event is not None and not callable(on_event):
            raise InvalidTypeError("on_event", on_event, "a function of a ChaosEvent, or None")
        self.plan = _checked_plan(plan)
        if any(fault.kind == "clock_jump" for fault in self.plan.faults) and not isinstance(
            actors.clock, SettableClock
        ):
            allowed = "other kinds, unless the system has a clock that can be set: ActorSystem(clock=SettableClock())"
            raise InvalidArgumentError("plan.faults", "clock_jump", allowed)
        self._given = system
        self._system = actors
        self._clock = SystemClock()
        chosen = seed if seed is not None else self.plan.seed
        self.seed: int = chosen if chosen is not None else Entropy().stream("chaos seed").getrandbits(32)
        self.report: ChaosReport
        self._on_event = on_event
        self._state = "new"
        self._lock = threading.Lock()  # guards the next three; nothing is called while it is held
        self._events: list[ChaosEvent] = []
        self._left_out = 0
        self._error: str = ""
        self._over = threading.Event()  # the method is done or given up
        self._ending = threading.Event()
        self._violation = ""
        self._threads: list[threading.Thread] = []
        self._rollback = [(step.name, loaded("rollback.call", step.call)) for step in self.plan.rollback]
        self._occasions = timetable(self.plan, Entropy(self.seed))

    # -- as a context manager ------------------------------------------------

    def __enter__(self) -> Self:
        if not self._begin():
            raise ChaosFailedError(self.report)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()
        if self.report.failed and error is None:
            raise ChaosFailedError(self.report)

    def run(self, tick: Callable[[], object] | None = None) -> ChaosReport:
        """Carry the experiment out and return the report; what it finds is not raised.

        Args:
            tick: called about five times a second while faults happen, to show how far it is.

        Blocks: as long as the budget says, and then until the system has recovered.
        """
        if self._begin():
            try:
                limit = self._clock.monotonic() + self.plan.budget.seconds + JOIN_SECONDS
                while not self._over.wait(TICK_SECONDS) and self._clock.monotonic() < limit:
                    if tick is not None:
                        tick()
            finally:
                self._end()
        return self.report

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the method is done, or given up; False when the time is up before.

        Args:
            timeout: seconds; None: as long as the budget of the plan.
        """
        return self._over.wait(timeout if timeout is not None else self.plan.budget.seconds + JOIN_SECONDS)

    def strikes(self, kind: str) -> float | None:
        """Ask at a point of the program's own, such as a disk, whether a fault happens now.

        Args:
            kind: of those at the points `store` and `fsync`.

        Returns:
            None: it does not. Otherwise a number from 0 to below 1 that belongs to this fault.
        """
        if kind not in NEXT_STRIKE:
            raise InvalidArgumentError("kind", kind, ", ".join(sorted(NEXT_STRIKE)))
        return self._injector.strikes(kind) if self._state == "running" else None

    def progress(self) -> tuple[float, int, int]:
        """Return seconds since the beginning, faults that have happened, and how many suffer now."""
        if self._state == "new":
            return 0.0, 0, 0
        with self._lock:
            struck = sum(1 for each in self._events if each.event == "struck")
        suffering = self._injector.suffering() if self._state == "running" else 0
        return self._clock.monotonic() - self._begun, struck, suffering

    # -- phases ----------------------------------------------------------------

    def _begin(self) -> bool:
        """Look at the steady state and let the method begin; False when it does not hold."""
        if self._state != "new":
            raise UsageError("an experiment is carried out once; make another one for another run")
        if thread_turn.turn.current is not None:
            raise UsageError("an experiment is for the program outside, not for the turn of an actor")
        if self._system.has_wrapped_refs:
            raise UsageError("another experiment is under way in this system; one at a time")
        self._begun = self._clock.monotonic()
        self._tell("phase", "before")
        self._steadiness = Steadiness(self.plan.steady, self._system, self._clock)
        wrong = self._look()
        if wrong:
            self._state = "over"
            self._make_report("unsteady", _told(wrong), None)
            return False
        self._agenda = Agenda(self._clock)
        self._injector = Injector(self._system, self.plan, self._agenda, self._take, self._begun)
        self._injector.begin()
        self._state = "running"
        self._tell("phase", "method", "", f"{len(self._occasions)} faults, seed {self.seed}")
        began = self._clock.monotonic()
        for occasion in self._occasions:
            self._agenda.at(began + occasion.at, self._striking(occasion))
        self._agenda.at(began + self.plan.budget.seconds, self._over.set)
        for work, name in ((self._strike, "supervisors-chaos"), (self._watch, "supervisors-chaos-probes")):
            thread = threading.Thread(target=work, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()
        return True

    def _striking(self, occasion: Occasion) -> Callable[[], None]:
        last = occasion is self._occasions[-1]

        def strike() -> None:
            self._injector.strike(occasion)
            if last and occasion.fault.rate is None:
                # Fixed moments, and this was the last one: nothing more can come.
                self._agenda.at(self._clock.monotonic() + occasion.seconds, self._over.set)

        return strike

    def _strike(self) -> None:
        thread_turn.turn.depth = 1  # as on the timers' thread: actors run elsewhere
        try:
            self._agenda.run(lambda: hand_over(thread_turn.turn))  # whom a deed has sent something
        except Exception as error:
            logger.exception("the experiment went wrong")
            with self._lock:
                self._error = f"{type(error).__name__}: {error}"
            self._over.set()

    def _watch(self) -> None:
        stop = self.plan.stop
        while not self._over.is_set() and not self._ending.wait(stop.every):
            wrong = self._look()
            if wrong and self._steadiness.broken_for() >= stop.patience:
                self._violation = _told(wrong)
                self._tell("phase", "given up", "", self._violation)
                self._injector.heal()
                self._over.set()
                return

    def _end(self) -> None:
        """End the faults, undo what they left, wait for recovery, and judge."""
        if self._state != "running":
            return
        self._ending.set()
        self._over.set()
        self._tell("phase", "rollback")
        self._injector.heal()
        self._agenda.close()
        for thread in self._threads:
            thread.join(JOIN_SECONDS)
        self._injector.restore()
        self._state = "over"
        failed_step = self._roll_back()
        self._tell("phase", "recovery")
        recovery = self.plan.recovery
        seconds = self._steadiness.wait(recovery.within, recovery.every, threading.Event())
        wrong = [f"{each.name}: {each.failure}" for each in self._steadiness.results() if each.failure]
        for each in self._steadiness.results():
            self._tell("probe", each.name, "", each.failure or "passes")
        if self._error:
            self._make_report("error", self._error, seconds)
        elif self._violation:
            self._make_report("violated", self._violation, seconds)
        elif seconds is None:
            self._make_report("not recovered", f"not within {recovery.within:g} s: {'; '.join(wrong)}", None)
        elif failed_step:
            self._make_report("not recovered", failed_step, seconds)
        else:
            self._make_report("ok", "", seconds)

    def _roll_back(self) -> str:
        failed = ""
        for name, function in self._rollback:
            try:
                called(function, self._given)
            except Exception as error:  # noqa: BLE001 - the other steps are for the system's good as well
                what = f"{type(error).__name__}: {error}"[:300]
                failed = failed or f"rollback {name!r} has failed: {what}"
                self._tell("rollback", name, "", what)
            else:
                self._tell("rollback", name, "", "done")
        return failed

    def _look(self) -> dict[str, str]:
        wrong = self._steadiness.look()
        for name, failure in wrong.items():
            self._tell("probe", name, "", failure)
        return wrong

    # -- records -----------------------------------------------------------------

    def _tell(self, event: EventKind, kind: str, target: str = "", what: str = "") -> None:
        self._take(ChaosEvent(self._clock.monotonic() - self._begun, event, kind, target, what))

    def _take(self, event: ChaosEvent) -> None:
        with self._lock:
            if len(self._events) < EVENTS_MAX:
                self._events.append(event)
            else:
                self._left_out += 1
        if self._on_event is not None:
            try:
                self._on_event(event)
            except Exception:
                logger.exception("on_event raised; the experiment goes on")

    def _make_report(self, verdict: ChaosVerdict, what: str, recovery_seconds: float | None) -> None:
        with self._lock:
            events = tuple(sorted(self._events, key=lambda each: each.at))
        self.report = ChaosReport(
            title=self.plan.title,
            seed=self.seed,
            verdict=verdict,
            what=what,
            seconds=self._clock.monotonic() - self._begun,
            recovery_seconds=recovery_seconds,
            struck=counted(events),
            missed=sum(1 for each in events if each.event == "missed"),
            spared=sum(1 for each in events if each.event == "spared"),
            probes=self._steadiness.results(),
            events=events,
        )

    def __repr__(self) -> str:
        return f"<Chaos {self.plan.title!r}: {self._state}, seed {self.seed}>"


def _checked_plan(plan: object) -> Plan:
    if isinstance(plan, Plan):
        return plan
    if isinstance(plan, (str, Path)):
        return load_plan(plan)
    if isinstance(plan, Mapping):
        return plan_of(plan)
    raise InvalidTypeError("plan", plan, "a Plan, the path of a TOML file, or what such a file holds")


def _told(wrong: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {failure}" for name, failure in wrong.items())
