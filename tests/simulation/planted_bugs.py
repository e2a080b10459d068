"""Classic bugs, planted in the real classes one at a time, and workloads that have to find them.

``python -m tests.simulation.planted_bugs`` names them; with a name, it plants that one, shows the
first seed that fails, and the failure as small as it gets.
"""

from __future__ import annotations

import copy
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from sessionactors.audit.intake import Intake
from sessionactors.audit.recent import RecentLeaves
from sessionactors.directory import Directory
from sessionactors.expiry import ReapPolicy
from sessionactors.limits.token_bucket import TokenBucket
from supervisors import Actor, ActorDeadError, ChildSpec, Down, StateMachine, Supervisor
from supervisors.pools.door import Door
from supervisors.runtime.bounded import BoundedRef
from supervisors.runtime.life import LivingCell
from supervisors.runtime.signals import Monitored, MonitorRef
from supervisors.runtime.small_set import without_item
from supervisors.simulation import Simulation, SimulationFailedError, SimulationOptions, simulate
from supervisors.simulation.workloads import supervised_workers
from supervisors.statem.actions import postpone, reply
from supervisors.statem.engine import Engine
from supervisors.statem.events import CALL, INFO
from supervisors.statem.results import initial_state, keep_state, next_state
from supervisors.supervision import performer
from supervisors.supervision.calls import which_children
from supervisors.supervision.effects import SendExit
from supervisors.supervision.intensity import RestartWindow
from supervisors.supervision.performer import SupervisorActor
from supervisors.timers.service import TimerService
from tests.simulation.day_workload import day
from tests.simulation.pool_workload import pools
from tests.simulation.session_workload import sessions, spare

__all__ = ["BUGS", "PlantedBug"]


@dataclass(frozen=True)
class PlantedBug:
    """A bug that can be switched on.

    Attributes:
        plant: switches it on, with a `pytest.MonkeyPatch`.
        workload: finds it.
        said: what the failure says, in part.
        seeds: in how many it is found.
        lines: of the transcript, when it has been made small.
        options: that the workload is run with, instead of its own.
    """

    plant: Callable[[pytest.MonkeyPatch], None]
    workload: Callable[[Simulation], object]
    said: str
    seeds: int = 20
    lines: int = 50
    options: SimulationOptions | None = field(default=None, compare=False)


# -- workloads ---------------------------------------------------------------


class Unique(Actor):
    """Counts how many of its name live, from the beginning of a start to the end of a cleanup."""

    crash_on_ask_error = True

    def __init__(self, living, starts, name):
        super().__init__()
        self._living, self._name = living, name
        living[name] += 1
        starts[name] += 1

    def on_receive(self, message):
        raise ZeroDivisionError(message)

    def on_stop(self):
        self.trap_exit()
        self.system.scheduler.sleep(0.5)
        self._living[self._name] -= 1

    def on_failure(self, *error):
        self.on_stop()


def family(simulation, **flags):
    """Start a supervisor of three that are to be there once each; return it, and how often each has started."""
    living, starts = Counter(), Counter()
    simulation.invariant("one of each at a time", lambda: not living or max(living.values()) <= 1)
    specs = [ChildSpec(name, Unique, (living, starts, name)) for name in ("first", "second", "third")]
    return simulation.system.start(Supervisor, specs, strategy="one_for_all", **flags), starts


def crash(simulation, supervisor, number):
    random = simulation.entropy.stream(f"client {number}")
    for _ in simulation.parts(f"crashes by client {number}", range(3)):
        simulation.sleep(random.random() * 10.0)
        with suppress(ActorDeadError, ZeroDivisionError):
            children = [child.ref for child in which_children(supervisor) if child.ref is not None]
            children[int(random.random() * len(children))].ask("crash")


def unique_children(simulation):
    """Crash children that must never be there twice."""
    supervisor, _ = family(simulation, max_restarts=100)
    users = simulation.parts("users", range(2))
    for answer in [simulation.client(crash, simulation, supervisor, number) for number in users]:
        answer.get(timeout=None)


def few_restarts(simulation):
    """Crash children more often than their supervisor may bear."""
    supervisor, starts = family(simulation, max_restarts=2, max_seconds=3600.0)
    simulation.invariant("no more restarts than allowed", lambda: all(count <= 3 for count in starts.values()))
    for answer in [simulation.client(crash, simulation, supervisor, number) for number in range(2)]:
        with suppress(ActorDeadError):
            answer.get(timeout=None)


class Alarm(Actor):
    """Is wound up and switched off; once it is off, it must not ring."""

    def __init__(self):
        super().__init__()
        self._timer = None
        self.rang_after = False

    def on_receive(self, message):
        if message == "ring":
            self.rang_after |= self._timer is None
            self._timer = None
        elif message == "wind" and self._timer is None:
            self._timer = self.send_after(1.0, "ring")
        elif message == "off" and self._timer is not None:
            was_on = self._timer.cancel() is not None
            self._timer = None if was_on else self._timer


def alarms(simulation):
    """Wind an alarm up and switch it off, now and then in time."""

    def use(number):
        random = simulation.entropy.stream(f"client {number}")
        for _ in simulation.parts(f"rounds of client {number}", range(5)):
            alarm.tell("wind")
            simulation.sleep(random.random() * 2.0)
            alarm.tell("off")

    alarm = simulation.system.start(Alarm)
    simulation.invariant("an alarm that is off does not ring", lambda: not alarm._actor_weakref().rang_after)
    for answer in [simulation.client(use, number) for number in simulation.parts("users", range(2))]:
        answer.get(timeout=None)


class Gate(StateMachine):
    """Lets people in once it is open; who comes before waits."""

    callback_mode = "state_functions"

    def init(self):
        return initial_state("shut")

    def shut(self, event_type, content, data):
        return next_state("open") if event_type is INFO else keep_state(postpone())

    def open(self, event_type, content, data):
        return keep_state(reply("in")) if event_type is CALL else keep_state()


def gates(simulation):
    """Let people come to a gate that opens and shuts; each gets in when it is open."""
    gate = simulation.system.start(Gate)
    people = [simulation.client(gate.ask, "let me in") for _ in range(4)]
    simulation.sleep(1.0)
    gate.tell("open")
    for person in people:
        person.get(timeout=None)


class Asker(Actor):
    """Asks whom it is told to."""

    def on_receive(self, message):
        if message is None:
            return None
        other, rest = message
        with suppress(Exception):
            return other.ask(rest, timeout=None)


def patiently(ref, message):
    ref.ask(message, timeout=None)


def askers(simulation):
    """Have two ask each other: one of them must be refused, or both wait for ever."""
    one, other = simulation.system.start(Asker), simulation.system.start(Asker)
    clients = [
        simulation.client(patiently, one, (other, (one, None))),
        simulation.client(patiently, other, (one, None)),
    ]
    for client in clients:
        client.get(timeout=None)


class Narrow(Actor):
    """Works slowly behind a mailbox with a bound."""

    mailbox_capacity = 3
    mailbox_policy = "drop_newest"

    def on_receive(self, message):
        self.system.scheduler.sleep(1.0)


def narrow(simulation):
    """Send more than a mailbox has room for."""

    def use(number):
        for _ in simulation.parts(f"messages of client {number}", range(6)):
            ref.tell(number)

    ref = simulation.system.start(Narrow)
    simulation.invariant("no more wait than may", lambda: ref.mailbox_length <= Narrow.mailbox_capacity)
    for answer in [simulation.client(use, number) for number in simulation.parts("users", range(2))]:
        answer.get(timeout=None)


class Watcher(Actor):
    """Monitors whom it is told to."""

    def on_receive(self, message):
        if not isinstance(message, Down):
            self.monitor(message)


class Mayfly(Actor):
    """Ends when it is told so."""

    def on_receive(self, message):
        self.stop()


def mayflies(simulation):
    """Monitor actors that end at about the same time."""
    watcher = simulation.system.start(Watcher)

    def watch(mayfly):
        watcher.tell(mayfly)

    mayflies = [simulation.system.start(Mayfly) for _ in simulation.parts("mayflies", range(4))]
    clients = [simulation.client(watch, mayfly) for mayfly in mayflies]
    for mayfly in mayflies:
        mayfly.send("end")
    for client in clients:
        client.get()


# -- bugs --------------------------------------------------------------------


def lost_wake_up(patch):
    patch.setattr(Door, "send_for_courier", lambda self: None)


def double_restart(patch):
    proper = SupervisorActor._start

    def start(self, effect):
        if self._is_up and effect.spec.id == "second":
            proper(self, effect)
        return proper(self, effect)

    patch.setattr(SupervisorActor, "_start", start)


def overlap(patch):
    proper = performer._PERFORM[SendExit]

    def send_exit(self, effect):
        proper(self, effect)
        if self._is_up:
            self._actor_ref.send(Down(MonitorRef(self._actor_ref, effect.ref), effect.ref, effect.reason))

    patch.setitem(performer._PERFORM, SendExit, send_exit)


def lost_down(patch):
    proper = LivingCell._announce

    def announce(self, reason):
        if self.links and self.watchers:
            for monitor in [each for each in self.watchers if isinstance(each, MonitorRef)]:
                self.watchers = without_item(self.watchers, monitor)
        proper(self, reason)

    patch.setattr(LivingCell, "_announce", announce)


def intensity_off_by_one(patch):
    proper = RestartWindow.admit
    patch.setattr(
        RestartWindow, "admit", lambda self, now: proper(self, now) or len(self._times) == self.max_restarts + 1
    )


def timer_after_cancel(patch):
    patch.setattr(
        TimerService,
        "cancel_own",
        lambda self, timer: self.remaining(timer),  # says so, and does nothing
    )


def non_atomic_limiter(patch):
    proper = TokenBucket.check
    patch.setattr(TokenBucket, "check", lambda self, cost, now: proper(copy.copy(self), cost, now))


def forgotten_monitor(patch):
    patch.setattr(Monitored, "bounce", lambda self, ref: None)


def lying_disk(patch):
    """The disk of the store says that it has written what it has not: the option of the run does that."""
    patch.setattr("tests.simulation.session_workload.SimulatedAuditLog", lambda simulation: None)


def lying_log(patch):
    """The same of the audit log's disk."""
    patch.setattr("tests.simulation.session_workload.SimulatedStore", lambda simulation: None)


def altered_entry(patch):
    proper = RecentLeaves.extend

    def extend(self, added):
        proper(self, [run._replace(raw=run.raw.replace(b"resumed", b"RESUMED")) for run in added])

    patch.setattr(RecentLeaves, "extend", extend)


def stale_owner(patch):
    proper = Directory.add

    def add(self, session_id, ref, **how):
        self.live.pop(session_id, None)
        return proper(self, session_id, ref, **how)

    patch.setattr(Directory, "add", add)
    patch.setattr("tests.simulation.session_workload.World.begins", lambda *given: True)
    patch.setattr("sessionactors.system.SessionSystem._gives_way", lambda *given: True)


def postponed_event_lost(patch):
    proper = Engine._put_in_front
    patch.setattr(Engine, "_put_in_front", lambda self, events: proper(self, events[:2]))


def deadlock(patch):
    patch.setattr("supervisors.runtime.futures._walk", lambda caller, target: None)


def unbounded_queue(patch):
    patch.setattr(BoundedRef, "_has_room", lambda self, size: True)


def reaped_live_session(patch):
    patch.setattr(ReapPolicy, "limit", lambda self, ttl: 1200.0)


def audit_gap(patch):
    proper = Intake.take
    patch.setattr(Intake, "take", lambda self, most=None: proper(self, most)[:-1])


LOST_WRITES = SimulationOptions(faults={"lost_write": 0.2, "kill": 0.01}, arming=1.0, spare=spare)

# Where an owner may also die, that its session begins again is seen first.
UNDISTURBED = SimulationOptions(spare=spare)

# A session system has ten actors of its own, whose starts and ends are in every transcript.
SESSIONS = 220

BUGS = {
    "lost wake-up": PlantedBug(lost_wake_up, pools, "has no outcome", lines=100),
    "double restart": PlantedBug(double_restart, unique_children, "one of each at a time"),
    "overlap of old and new": PlantedBug(overlap, unique_children, "one of each at a time"),
    "lost Down": PlantedBug(lost_down, supervised_workers, "has never been told"),
    "intensity off by one": PlantedBug(intensity_off_by_one, few_restarts, "no more restarts than allowed"),
    "timer after cancel": PlantedBug(timer_after_cancel, alarms, "does not ring"),
    "non-atomic limiter": PlantedBug(non_atomic_limiter, sessions, "limiter never over", 5, SESSIONS),
    "forgotten monitor": PlantedBug(forgotten_monitor, mayflies, "has never been told"),
    "acknowledged before fsync": PlantedBug(lying_disk, sessions, "acknowledged persist", 20, 350, LOST_WRITES),
    "logged before fsync": PlantedBug(lying_log, sessions, "acknowledged transition", 20, 350, LOST_WRITES),
    "audit entry altered": PlantedBug(altered_entry, sessions, "does not verify", 5, SESSIONS),
    "stale owner": PlantedBug(stale_owner, sessions, "one owner", 20, SESSIONS, UNDISTURBED),
    "postponed event lost": PlantedBug(postponed_event_lost, gates, "AskTimeoutError"),
    "deadlock": PlantedBug(deadlock, askers, "can never come"),
    "unbounded queue": PlantedBug(unbounded_queue, narrow, "no more wait than may"),
    "reaped live session": PlantedBug(reaped_live_session, day, "was reaped", 3, SESSIONS * 2),
    "audit gap": PlantedBug(audit_gap, sessions, "transitions audited", 10, SESSIONS),
}


def main(arguments):
    if not arguments:
        sys.stdout.write("".join(f"{name}\n" for name in BUGS))
        return 0
    bug = BUGS[" ".join(arguments)]
    with pytest.MonkeyPatch.context() as patch:
        bug.plant(patch)
        try:
            simulate(bug.workload, range(bug.seeds), bug.options)
        except SimulationFailedError as failure:
            sys.stdout.write(f"{failure}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
