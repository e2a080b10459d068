"""Workloads of our own: what the project runs itself under."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from supervisors.actor import Actor
from supervisors.errors import Exit, SupervisorsError
from supervisors.runtime.outcomes import ActorDeadError, AskTimeoutError, DeadlockError, MailboxFullError
from supervisors.runtime.signals import Down, Exited, MonitorRef
from supervisors.simulation.faults import ALL_WITHIN_CONTRACT, FAULT_KINDS, InjectedFaultError
from supervisors.simulation.options import SimulationOptions
from supervisors.simulation.runner import with_options
from supervisors.simulation.simulation import Client
from supervisors.supervision.backoff import Backoff
from supervisors.supervision.child_spec import ChildSpec
from supervisors.supervision.supervisor import Supervisor

if TYPE_CHECKING:
    from supervisors.runtime.ref import ActorRef
    from supervisors.simulation.simulation import Simulation

__all__ = ["Node", "SmallWorker", "Watcher", "Worker", "linked_actors", "supervised_workers"]

STEPS_MAX = 50_000
OFTEN = {kind: FAULT_KINDS[kind].chance * 5 for kind in ALL_WITHIN_CONTRACT}
VERBS = ("link", "link", "unlink", "monitor", "monitor", "demonitor", "trap", "exit")
STRATEGIES = ("one_for_one", "one_for_all", "rest_for_one")

# Without a wait between restarts, the children of a killed supervisor whose turns still
# run keep their names while its successor uses up all its restarts in one moment.
FLAGS: dict[str, Any] = {"max_restarts": 1000, "max_seconds": 3600, "backoff": Backoff(max_seconds=5.0)}


class Worker(Actor):
    """Counts, asks a neighbour, sets timers, and crashes when told to."""

    dispatch = "inline"
    crash_on_ask_error = True

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self._count = 0

    def on_start(self) -> None:
        """Take the name and remind oneself once."""
        self.system.register(self._name, self.actor_ref)
        self.send_after(1.0, ("count", None))

    def on_receive(self, message: Any) -> Any:
        """Do one of few things."""
        verb, argument = message
        if verb == "crash":
            raise ZeroDivisionError(argument)
        if verb == "relay":
            neighbour = self.system.whereis(argument)
            return None if neighbour is None else neighbour.ask(("count", None))
        self._count += 1
        return self._count


class SmallWorker(Worker):
    """One whose mailbox has a bound."""

    mailbox_capacity = 4


class Watcher(Actor):
    """Monitors whom it is told to, and notes how they end."""

    def __init__(self) -> None:
        super().__init__()
        self.downs: list[Down] = []

    def on_receive(self, message: Any) -> None:
        """Monitor an actor, or note a `Down`."""
        if isinstance(message, Down):
            self.downs.append(message)
        else:
            self.monitor(message)


@with_options(SimulationOptions(faults=OFTEN, steps_max=STEPS_MAX))
def supervised_workers(simulation: Simulation) -> None:
    """Let clients ask the workers of a small tree while workers and supervisors crash."""
    system, random = simulation.system, simulation.entropy.stream("workload")
    names = simulation.parts("workers", [f"worker-{number}" for number in range(6)])
    strategy = STRATEGIES[int(random.random() * 3)]

    def branch(some: list[str]) -> ChildSpec:
        specs = [ChildSpec(name, SmallWorker if name == names[0] else Worker, (name,)) for name in some]
        inner = {"strategy": strategy, **FLAGS}
        return ChildSpec(f"branch of {some[0]}", Supervisor, (specs,), inner, type="supervisor")

    watcher = system.start(Watcher)
    tree = [branch(names[:3]), branch(names[3:])]
    root = _start_root(simulation, tree)
    answers = [
        simulation.client(_use, simulation, watcher, names, number) for number in simulation.parts("users", range(3))
    ]
    for answer in answers:
        answer.get()
    simulation.eventually("every worker has its name again", lambda: all(system.whereis(name) for name in names))
    simulation.eventually("the root supervisor lives", root.is_alive)


def _start_root(simulation: Simulation, tree: list[ChildSpec]) -> ActorRef[Any]:
    # A fault may hit the very first start; then somebody tries again.
    for _ in range(50):
        try:
            return simulation.system.start(Supervisor, tree, **FLAGS)
        except SupervisorsError:
            simulation.sleep(1.0)
    return simulation.system.start(Supervisor, tree, **FLAGS)


def _use(simulation: Simulation, watcher: ActorRef[Any], names: list[str], number: int) -> None:
    """Do what one client does."""
    system, random = simulation.system, simulation.entropy.stream(f"client {number}")
    open_asks = []
    for _ in simulation.parts(f"rounds of client {number}", range(20)):
        name = names[int(random.random() * len(names))]
        other = names[int(random.random() * len(names))]
        worker = system.whereis(name)
        dice = random.random()
        if worker is None:
            simulation.sleep(0.5)
            continue
        if dice < 0.1:
            worker.send(("crash", number))
        elif dice < 0.2:
            watcher.send(worker)
        elif dice < 0.4:
            open_asks.append(worker.ask(("count", None), block=False))
        else:
            _ask(worker, ("relay", other) if dice < 0.6 else ("count", None))
        if dice > 0.8:
            simulation.sleep(random.random() * 3)
    for ask in open_asks:
        ask.settle(60.0)


def _ask(worker: ActorRef[Any], message: tuple[str, Any]) -> None:
    with suppress(ActorDeadError, AskTimeoutError, DeadlockError, InjectedFaultError, MailboxFullError):
        worker.ask(message)


class Node(Actor):
    """Links, monitors, and takes both back, as it is told to."""

    crash_on_ask_error = True

    def __init__(self) -> None:
        super().__init__()
        self._monitors: list[MonitorRef] = []

    def on_receive(self, message: Any) -> None:
        """Do one of few things; news of others is only taken in."""
        if isinstance(message, (Down, Exited)):
            return
        verb, other = message
        if verb == "link":
            self.link(other)
        elif verb == "unlink":
            self.unlink(other)
        elif verb == "monitor":
            self._monitors.append(self.monitor(other))
        elif verb == "demonitor" and self._monitors:
            self.demonitor(self._monitors.pop(), flush=True)
        elif verb == "trap":
            self.trap_exit()
        elif verb == "exit":
            raise Exit("told to")


@with_options(SimulationOptions(faults=OFTEN, steps_max=STEPS_MAX, spare=lambda ref: ref.actor_class is Client))
def linked_actors(simulation: Simulation) -> None:
    """Let clients link and monitor actors with each other while these end in every way."""
    nodes: list[ActorRef[Any]] = []
    for answer in [
        simulation.client(_tie, simulation, nodes, number) for number in simulation.parts("users", range(3))
    ]:
        answer.get()


def _tie(simulation: Simulation, nodes: list[ActorRef[Any]], number: int) -> None:
    random = simulation.entropy.stream(f"client {number}")
    for _ in simulation.parts(f"rounds of client {number}", range(40)):
        living = [node for node in nodes if node.is_alive()]
        if len(living) < 6:
            with suppress(SupervisorsError):
                nodes.append(simulation.system.start(Node))
            continue
        verb = VERBS[int(random.random() * len(VERBS))]
        living[int(random.random() * len(living))].send((verb, nodes[int(random.random() * len(nodes))]))
        if random.random() < 0.2:
            simulation.sleep(random.random())
