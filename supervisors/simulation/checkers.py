"""What must hold in every run, whatever the workload does.

A checker watches events on the way and looks at the system twice: at rest, when
faults are over and time has passed, and at the end, when everything has been
stopped. It raises `ViolationError` there; on the way it reports one to the scheduler.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final, NoReturn, Protocol, final

from supervisors.runtime.outcomes import ActorDeadError, AskTimeoutError
from supervisors.runtime.signals import Ask, Demonitored, Down, DownSignal, Monitored, MonitorRef
from supervisors.simulation.transcript import label_of
from supervisors.simulation.verdict import ViolationError
from supervisors.supervision.calls import which_children
from supervisors.supervision.performer import SupervisorActor

if TYPE_CHECKING:
    from supervisors.runtime.futures import ScheduledFuture
    from supervisors.runtime.ref import ActorRef
    from supervisors.simulation.scheduler import SimulatedScheduler
    from supervisors.system import ActorSystem

__all__ = ["STOCK_CHECKERS", "Checker", "EveryAskEndsOnce", "LinksExact", "MonitorsExact", "NothingLeft", "TreeToSpec"]

REMEMBERED_ASKS: Final = 1000
PATIENCE: Final = 60.0
"""A supervisor that does not answer in this time, virtual seconds, will never do so."""

MOMENTS_MAX: Final = 10_000
"""A system without actors whose timers go on for longer than this has one that never ends."""


class Checker(Protocol):
    """One property."""

    def attach(self, system: ActorSystem, scheduler: SimulatedScheduler) -> None:
        """Begin to watch a system in which nothing has been started yet."""
        ...

    def at_rest(self) -> None:
        """Look at the living system: no fault is active and nothing is ready."""
        ...

    def at_end(self) -> None:
        """Look at the system whose actors have all been asked to stop."""
        ...


class _Silent:
    """A checker that looks at neither moment."""

    def attach(self, system: ActorSystem, scheduler: SimulatedScheduler) -> None:
        self._system = system
        self._scheduler = scheduler

    def at_rest(self) -> None:
        """Look at nothing."""

    def at_end(self) -> None:
        """Look at nothing."""


@final
class EveryAskEndsOnce(_Silent):
    """Each ask gets an outcome by the time its actor has ended, and keeps it."""

    def attach(self, system: ActorSystem, scheduler: SimulatedScheduler) -> None:
        super().attach(system, scheduler)
        self._open: dict[ScheduledFuture[Any], str] = {}
        self._twice: str | None = None
        self._over: deque[tuple[ScheduledFuture[Any], str, Any, Any]] = deque(maxlen=REMEMBERED_ASKS)
        scheduler.sent = (*scheduler.sent, self._sent)

    def _sent(self, ref: ActorRef[Any], item: Any) -> None:
        if item.__class__ is not Ask:
            return
        future = item.reply_to
        self._open[future] = label = label_of(ref)

        def over() -> None:
            if self._open.pop(future, None) is None:
                self._twice = label
            self._over.append((future, label, future._value, future._error))  # noqa: SLF001 - its outcome, not taken

        future.when_done(over)

    def at_end(self) -> None:
        for label in self._open.values():
            raise ViolationError(type(self).__name__, f"an ask of {label} has never ended", "no progress")
        for future, label, value, error in self._over:
            if future._value is not value or future._error is not error:  # noqa: SLF001 - as above
                self._twice = label
        if self._twice is not None:
            raise ViolationError(type(self).__name__, f"an ask of {self._twice} has ended a second time")


@final
class MonitorsExact(_Silent):
    """Each monitor fires exactly once when its target ends, unless it has been removed."""

    def attach(self, system: ActorSystem, scheduler: SimulatedScheduler) -> None:
        super().attach(system, scheduler)
        self._open: dict[MonitorRef, ActorRef[Any]] = {}
        self._fired: set[MonitorRef] = set()
        self._arrived: set[MonitorRef] = set()
        scheduler.sent = (*scheduler.sent, self._sent)
        scheduler.handled = (*scheduler.handled, self._handled)

    def _sent(self, ref: ActorRef[Any], item: Any) -> None:
        kind = item.__class__
        if kind is Monitored:
            self._open[item.monitor] = ref
        elif kind is Demonitored:
            self._open.pop(item.monitor, None)
        elif kind is DownSignal:
            if item.monitor in self._fired:
                self._fail(f"a monitor of {label_of(ref)} has fired twice")
            self._fired.add(item.monitor)
            self._open.pop(item.monitor, None)

    def _handled(self, ref: ActorRef[Any], item: Any) -> None:
        if item.__class__ is Down:
            if item.monitor in self._arrived:
                self._fail(f"{label_of(ref)} got a second Down of one monitor")
            self._arrived.add(item.monitor)

    def at_rest(self) -> None:
        for monitor, target in self._open.items():
            owner = monitor.owner
            if owner is not None and owner.is_alive() and not target.is_alive():
                what = f"{label_of(owner)} has never been told that {label_of(target)} has ended"
                raise ViolationError(type(self).__name__, what)

    def _fail(self, what: str) -> None:
        self._scheduler.report(ViolationError(type(self).__name__, what))


@final
class LinksExact(_Silent):
    """Links go both ways, and no living actor is linked to one that has ended."""

    def at_rest(self) -> None:
        for ref in self._system.actors():
            for other in ref.links or ():
                if not other.is_alive():  # type: ignore[attr-defined]  # links hold refs
                    what = f"{label_of(ref)} is still linked to {label_of(other)}, which has ended"  # type: ignore[arg-type]
                    raise ViolationError(type(self).__name__, what)
                if ref not in (other.links or ()):  # type: ignore[attr-defined]
                    what = f"{label_of(ref)} is linked to {label_of(other)}, but not the other way round"  # type: ignore[arg-type]
                    raise ViolationError(type(self).__name__, what)


@final
class TreeToSpec(_Silent):
    """Each supervisor that lives answers, and the children that it counts as running do run."""

    def at_rest(self) -> None:
        for ref in self._system.actors():
            if issubclass(ref.actor_class, SupervisorActor) and ref.is_alive():
                self._look_at(ref)

    def _look_at(self, supervisor: ActorRef[Any]) -> None:
        try:
            children = which_children(supervisor, timeout=PATIENCE)
        except AskTimeoutError:
            self._fail(supervisor, "does not answer")
        except ActorDeadError:
            return
        for child in children:
            # One without a process has been stopped on request, or may be missing.
            if child.state != "stopped" and (child.ref is None or not child.ref.is_alive()):
                self._fail(supervisor, f"child {child.id!r} is {child.state} and does not live")

    def _fail(self, supervisor: ActorRef[Any], what: str) -> NoReturn:
        raise ViolationError(type(self).__name__, f"{label_of(supervisor)}: {what}", "no progress")


@final
class NothingLeft(_Silent):
    """After the end there are no actors, names, processes, waiting turns and endless timers."""

    def at_end(self) -> None:
        left = [label_of(ref) for ref in self._system.actors()]
        if left:
            self._fail(f"{len(left)} actors still live: {', '.join(left[:5])}")
        running = [process.name for process in self._scheduler.machine.processes if process.poll() is None]
        if running:
            self._fail(f"{len(running)} processes still run: {', '.join(running[:5])}")
        waiting = self._scheduler.waiting()
        if waiting:
            self._fail(f"{len(waiting)} turns still wait: {', '.join(waiting[:5])}")
        if len(self._system.registry):
            self._fail(f"{len(self._system.registry)} names are still taken")
        timers = self._system.timers
        before = self._scheduler.fired
        while (moment := timers.next_deadline()) is not None:
            self._scheduler.advance_to(max(moment, self._system.clock.monotonic()))
            if self._scheduler.fired - before > MOMENTS_MAX:
                self._fail(f"{timers.pending()} timers go on without end")

    def _fail(self, what: str) -> None:
        raise ViolationError(type(self).__name__, what, "leak")


STOCK_CHECKERS: Final = (EveryAskEndsOnce, MonitorsExact, LinksExact, TreeToSpec, NothingLeft)
"""Those that every simulation has."""
