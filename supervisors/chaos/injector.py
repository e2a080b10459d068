"""Lets faults happen to a live system: chooses whom, and strikes or lays.

Nothing here decides when; see `timetable.py`. Everything that is done can be undone, and
`heal()` does so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast, final

from supervisors.chaos.hooks import Hooks
from supervisors.chaos.kinds import NEXT_START, NEXT_STRIKE, ON_MESSAGE, ON_PROCESS, ON_SYSTEM, ON_TURN
from supervisors.chaos.laid import Laid, LaidFaults
from supervisors.chaos.radius import Radius, matches
from supervisors.chaos.record import ChaosEvent
from supervisors.chaos.refs import DisturbedRef, disturbed_class
from supervisors.clock import SettableClock
from supervisors.runtime.ref import ActorRef
from supervisors.simulation.disturbances import STORM_MAX, Poison
from supervisors.simulation.faults import DELAY_MAX
from supervisors.simulation.wrapping import nothing
from supervisors.supervision.performer import SupervisorActor

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisors.chaos.agenda import Agenda
    from supervisors.chaos.plan import Plan
    from supervisors.chaos.processes import ProcessVictim
    from supervisors.chaos.timetable import Occasion
    from supervisors.system import ActorSystem

__all__ = ["Injector"]

_HOOKED: Final = (ON_TURN | ON_MESSAGE | NEXT_START | ON_SYSTEM | {"restart_storm"}) - {"clock_jump"}


@final
class Injector:
    """Strikes one system.

    Args:
        system: a live one.
        plan: whom faults may hit.
        agenda: undoes what is undone at a time.
        tell: gets each record.
        begun: clock seconds of the beginning.

    Thread: that of the agenda strikes; hooks are called on all threads.
    """

    def __init__(
        self, system: ActorSystem, plan: Plan, agenda: Agenda, tell: Callable[[ChaosEvent], None], begun: float
    ) -> None:
        self._system = system
        self._plan = plan
        self._agenda = agenda
        self._tell = tell
        self._begun = begun
        self._laid = LaidFaults()
        self.hooks = Hooks(self._laid, agenda, system.clock, self._struck)
        self._radius: Radius[Any] = Radius(plan.blast_radius, self._has_recovered)
        self._names: dict[ActorRef[Any], Any] = {}
        self._classes: dict[type[ActorRef[Any]], type[DisturbedRef[Any]]] = {}
        self._is_hooked = any(fault.kind in _HOOKED for fault in plan.faults)
        self._lost_names: list[tuple[Any, ActorRef[Any]]] = []
        self._jumped = 0.0
        self._unwrap: Callable[[], None] = nothing

    # -- beginning and end -------------------------------------------------

    def begin(self) -> None:
        """Have all refs ask the hooks, if any fault needs that."""
        if not self._is_hooked:
            return
        self._unwrap = self._system.wrap_refs(self._disturbed)

    def heal(self) -> None:
        """End what waits for its moment or stands still; what is held back and stopped, the agenda lets go on."""
        for laid in self._laid.clear():
            self._note("missed", laid.kind, laid.target)
        self.hooks.heal()

    def restore(self) -> None:
        """Give names and refs back what they were; after the agenda has ended."""
        for name, ref in self._lost_names:
            if ref.is_alive() and self._system.whereis(name) is None:
                self._system.register(name, ref)
                self._note("healed", "registry_loss", str(name))
        if self._jumped:
            self._settable().jump_wall(-self._jumped)
            self._note("healed", "clock_jump", "", f"{-self._jumped:+.3f} s")
        self._unwrap()

    def _disturbed(self, plain: type[ActorRef[Any]]) -> type[DisturbedRef[Any]]:
        if issubclass(plain, DisturbedRef):
            return plain
        known = self._classes.get(plain)
        if known is None:
            known = self._classes[plain] = disturbed_class(plain, self.hooks)
        return known

    # -- striking ----------------------------------------------------------

    def strike(self, occasion: Occasion) -> None:
        """Let a fault happen, or lay it, unless nobody may be hit now."""
        kind = occasion.fault.kind
        if kind in NEXT_STRIKE:
            self._laid.lay(kind, Laid(occasion, "the disk"))
            self._note("laid", kind, "the disk")
        elif kind in NEXT_START:
            target = ", ".join(occasion.fault.targets)
            self._laid.lay_on_start(lambda ref: self._may_hit(ref, occasion), Laid(occasion, target))
            self._note("laid", kind, target)
        elif kind == "clock_jump":
            self._jump(occasion)
        elif kind == "pause":
            self._pause(occasion)
        elif kind in ON_SYSTEM:
            self._split(occasion)
        elif kind in ON_PROCESS:
            self._strike_process(occasion)
        else:
            self._strike_actor(occasion)

    def strikes(self, kind: str) -> float | None:
        """Take a fault of the disk that waits; its number from 0 to below 1, or None."""
        laid = self._laid.take(kind, (kind,))
        if laid is None:
            return None
        self._struck(laid)
        return laid.occasion.whom

    def suffering(self) -> int:
        """Return how many suffer from a fault now."""
        return self._radius.suffering(self._system.clock.monotonic())

    def _strike_actor(self, occasion: Occasion) -> None:
        kind = occasion.fault.kind
        now = self._system.clock.monotonic()
        inside = [ref for ref in self._system.actors() if self._is_inside(ref)]
        among = [ref for ref in inside if self._is_target(ref, occasion) and self._suits(ref, kind)]
        victim = self._radius.choose(among, len(inside), occasion.whom, now)
        if victim is None:
            self._note("spared", kind, "", "nobody matches" if not among else "enough suffer already")
            return
        target = _label(victim)
        if kind == "timer_early":
            early = self._system.timers.hurry(lambda to: to is victim or to == victim.name, DELAY_MAX)
            if early is None:
                self._note("spared", kind, target, f"no timer of it is due within {DELAY_MAX:g} s")
            else:
                self._note("struck", kind, target, f"{early:.3f} s")
            return
        self._names[victim] = victim.name
        self._radius.hit(victim, now, occasion.seconds)
        if kind in ON_TURN or kind in ON_MESSAGE:
            self._laid.lay(victim, Laid(occasion, target))
            self._note("laid", kind, target)
            return
        self._note("struck", kind, target)
        if kind == "exit_signal":
            victim.exit("exit_signal")
        elif kind == "poison_message":
            victim.send(Poison())
        elif kind == "registry_loss":
            self._lost_names.append((victim.name, victim))
            self._system.unregister(victim.name)
        else:
            if kind == "restart_storm":
                starts = 1 + int(occasion.whom * STORM_MAX)
                self.hooks.raise_storm(cast("ActorRef[Any]", victim.parent), starts, Laid(occasion, target))
            victim.kill()

    def _strike_process(self, occasion: Occasion) -> None:
        # Only who hurts processes needs to find them.
        from supervisors.chaos.processes import do_to_process  # noqa: PLC0415

        fault = occasion.fault
        now = self._system.clock.monotonic()
        among = self._processes(occasion)
        victim = self._radius.choose(among, len(among), occasion.whom, now)
        if victim is None:
            self._note("spared", fault.kind, "", "no process matches" if not among else "enough suffer already")
            return

        def undo_later(undo: Callable[[], None]) -> None:
            def healed() -> None:
                undo()
                self._note("healed", fault.kind, victim.label)

            self._agenda.at(now + occasion.seconds, healed, undoes=True)

        done = do_to_process(victim, fault.kind, fault.size, undo_later)
        if done is None:
            self._note("spared", fault.kind, victim.label, "it has ended, or is not ours to touch")
            return
        self._radius.hit(victim, now, 0.0 if fault.kind == "process_kill" else occasion.seconds)
        self._note("struck", fault.kind, victim.label, done)

    def _processes(self, occasion: Occasion) -> list[ProcessVictim]:
        from supervisors.chaos.processes import named_process, pool_processes, process_of  # noqa: PLC0415 - as above

        named = dict(self._plan.processes)
        found: list[ProcessVictim | None] = []
        for target in occasion.fault.targets:
            kind, _, name = target.partition(":")
            if target == "pool":
                found += pool_processes()
            elif kind == "process":
                found.append(named_process(name, named[name]))
        refs = [ref for ref in self._system.actors() if self._may_hit(ref, occasion)]
        found += [process_of(ref) for ref in refs]
        return [each for each in dict.fromkeys(found) if each is not None]

    def _jump(self, occasion: Occasion) -> None:
        seconds = occasion.seconds if occasion.whom < 0.5 else -occasion.seconds
        self._settable().jump_wall(seconds)
        self._jumped += seconds
        self._note("struck", "clock_jump", "the wall clock", f"{seconds:+.3f} s")

    def _settable(self) -> SettableClock:
        clock = self._system.clock
        assert isinstance(clock, SettableClock), "Chaos has looked"
        return clock

    def _pause(self, occasion: Occasion) -> None:
        self.hooks.pause(self._system.clock.monotonic() + occasion.seconds)
        self._struck(Laid(occasion, "everybody"))

    def _split(self, occasion: Occasion) -> None:
        until = self._system.clock.monotonic() + occasion.seconds
        laid = Laid(occasion, "everybody")
        if not self.hooks.split(laid, until):
            self._note("spared", laid.kind, "", "the actors are parted already")
            return
        self._struck(laid)

        def heal() -> None:
            self.hooks.join()
            self._note("healed", laid.kind)

        self._agenda.at(until, heal, undoes=True)

    # -- whom --------------------------------------------------------------

    def _is_inside(self, ref: ActorRef[Any]) -> bool:
        radius = self._plan.blast_radius
        if not ref.is_alive() or (ref.parent is None and not radius.roots):
            return False
        return _matches(radius.only, ref) and not _matches(radius.never, ref)

    def _is_target(self, ref: ActorRef[Any], occasion: Occasion) -> bool:
        return _matches(occasion.fault.targets, ref)

    def _may_hit(self, ref: ActorRef[Any], occasion: Occasion) -> bool:
        return self._is_inside(ref) and self._is_target(ref, occasion)

    def _suits(self, ref: ActorRef[Any], kind: str) -> bool:
        if kind == "kill_supervisor":
            return issubclass(ref.actor_class, SupervisorActor)
        if kind == "kill_waiting":
            return ref.waits_for is not None
        if kind == "registry_loss":
            return ref.name is not None
        if kind == "mailbox_full":
            return bool(getattr(ref, "mailbox_capacity", None) or getattr(ref, "mailbox_capacity_bytes", None))
        return kind != "restart_storm" or ref.parent is not None

    def _has_recovered(self, victim: Any) -> bool:
        if not isinstance(victim, ActorRef):
            return False
        name = self._names.get(victim)
        if name is None or victim.is_alive():
            return False
        successor = self._system.whereis(name)
        return successor is not None and successor is not victim and successor.is_alive()

    # -- telling -----------------------------------------------------------

    def _struck(self, laid: Laid) -> None:
        fault = laid.occasion.fault
        takes = laid.kind.startswith(("slow_", "delay_", "timer_late", "partition", "netsplit", "pause"))
        self._note("struck", fault.kind, laid.target, f"{laid.seconds:.3f} s" if takes else "")

    def _note(self, event: Any, kind: str, target: str = "", what: str = "") -> None:
        self._tell(ChaosEvent(self._system.clock.monotonic() - self._begun, event, kind, target, what))


def _matches(patterns: tuple[str, ...], ref: ActorRef[Any]) -> bool:
    cls = ref.actor_class
    return matches(patterns, name=ref.name, class_name=cls.__name__, module=cls.__module__)


def _label(ref: ActorRef[Any]) -> str:
    plain = f"{ref.actor_class.__name__}#{ref.id}"
    return plain if ref.name is None else f"{plain} {ref.name!r}"
