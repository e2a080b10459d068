"""Replays recorded supervision trees: who is started, ended and restarted, and in which order.

The tree is made of the real `Supervisor` and of workers that only wait. Start
functions take their outcomes from the plans of the recording. Everything else -
answers, ends, reports, who lives - is read back through the public API.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from supervisors import (
    Actor,
    ActorDeadError,
    ActorRef,
    ActorSystem,
    Entropy,
    Exit,
    Exited,
    IgnoreStart,
    Shutdown,
    StartError,
    VirtualClock,
)
from supervisors.runtime.turn import current_ref
from supervisors.supervision import calls
from supervisors.supervision.child_spec import ChildSpec
from supervisors.supervision.inspection import ChildCounts, ChildRecord
from supervisors.supervision.outcomes import FailedToStartChild, Started, StartIgnored
from supervisors.supervision.reports import ErrorReport, Report
from supervisors.supervision.requests import ChildStartFailed, SupervisorRefusal
from supervisors.supervision.supervisor import Supervisor
from tests.conformance.difference import Difference, same
from tests.conformance.terms import RaisedError, from_term, to_term

__all__ = ["matches", "replay"]

FLAGS: Final = {
    "strategy": "strategy",
    "intensity": "max_restarts",
    "period": "max_seconds",
    "auto_shutdown": "auto_shutdown",
}
"""Names of flags in a recording and here; periods are seconds in both."""

COUNTS: Final = ("specs", "active", "supervisors", "workers")


@dataclass(frozen=True, slots=True)
class Told:
    """Tells a worker to end with a reason, or the parent to send its child a signal."""

    reason: Any


@dataclass(slots=True)
class World:
    """One scenario.

    Attributes:
        system: everything runs in it, on virtual time.
        plans: outcomes of the next starts, by label.
        latest: the process that had a label most recently, dead or alive.
        labels: labels of all processes that came up.
        living: processes that live, in order of start.
        log: what happened since the last look, in one causal chain.
        detached: the same for each process whose supervisor died over it.
        chains: the chain of events that belongs to such a process and those below it.
        reports: supervisor reports since the last look.
        root: what became of the root supervisor.
        held: calls to make inside a start function that is told to hold.
        held_answers: their answers, as functions that return them.
    """

    system: ActorSystem
    plans: dict[str, deque[Any]] = field(default_factory=dict)
    latest: dict[str, ActorRef[Any]] = field(default_factory=dict)
    labels: dict[ActorRef[Any], str] = field(default_factory=dict)
    living: dict[ActorRef[Any], None] = field(default_factory=dict)
    log: list[Any] = field(default_factory=list)
    detached: list[list[Any]] = field(default_factory=list)
    chains: dict[ActorRef[Any], list[Any]] = field(default_factory=dict)
    reports: list[list[Any]] = field(default_factory=list)
    root: Any = "not_started"
    held: list[dict[str, Any]] = field(default_factory=list)
    held_answers: list[Callable[[], Any]] = field(default_factory=list)

    def forget(self) -> None:
        """Begin a new step."""
        self.log, self.detached, self.reports = [], [], []

    def settle(self) -> None:
        """Let everything happen that is going to, shutdown times included."""
        self.system.settle()
        while (deadline := self.system.timers.next_deadline()) is not None:
            self.system.advance_to(deadline)

    # -- plans -------------------------------------------------------------

    def learn(self, node: dict[str, Any]) -> None:
        """Fill the plans of a tree the first time its labels occur."""
        self.plans.setdefault(node["id"], deque(node.get("starts", ())))
        for child in node.get("children", ()):
            self.learn(child)

    def next_outcome(self, label: str) -> Any:
        """Take the next outcome of a start function."""
        plan = self.plans.setdefault(label, deque())
        return plan.popleft() if plan else "ok"

    # -- what happens ------------------------------------------------------

    def note(self, supervisor: ActorRef[Any] | None, event: list[Any]) -> None:
        """Log something that a supervisor did, in the chain that it belongs to."""
        ancestor = supervisor
        while ancestor is not None:
            if ancestor in self.chains:
                self.chains[ancestor].append(event)
                return
            ancestor = ancestor.parent
        self.log.append(event)

    def came_up(self, label: str, ref: ActorRef[Any]) -> None:
        """Note a process that was started, and watch for its end."""
        self.latest[label] = ref
        self.labels[ref] = label
        self.living[ref] = None
        ref.when_ended().when_done(lambda: self.ended(label, ref))

    def ended(self, label: str, ref: ActorRef[Any]) -> None:
        """Note the end of a process."""
        reason = self.recorded(ref.exit_reason)
        self.note(ref, ["exit", label, reason])
        del self.living[ref]
        if label == "root":
            self.root = {"exit": reason}
        for child in self.living:
            # A supervisor that ends by itself has ended its children before.
            if child.parent is ref:
                self.chains[child] = []
                self.detached.append(self.chains[child])

    # -- in the terms of a recording ---------------------------------------

    def recorded(self, value: Any) -> Any:
        """Return how a recording would write a value."""
        if isinstance(value, ActorRef):
            return {"pid": self.labels[value]}
        if isinstance(value, FailedToStartChild):
            return {"t": ["failed_to_start_child", value.id, self.recorded(value.why)]}
        if isinstance(value, Shutdown):
            return {"t": ["shutdown", self.recorded(value.detail)]}
        if isinstance(value, tuple):
            return {"t": [self.recorded(each) for each in value]}
        return to_term(value)

    def answer(self, value: Any) -> Any:
        """Return how a recording would write the answer to a call."""
        if value is None:
            return "ok"
        if isinstance(value, Started):
            return self.recorded(("ok", value.ref) if value.info is None else ("ok", value.ref, value.info))
        if isinstance(value, StartIgnored):
            return self.recorded(("ok", "undefined"))
        if isinstance(value, ChildCounts):
            return {name: getattr(value, name) for name in COUNTS}
        if isinstance(value, ChildSpec):
            shutdown = round(value.shutdown * 1000) if isinstance(value.shutdown, float) else value.shutdown
            fields = ("id", "type", "restart", "significant")
            return {"spec": {name: getattr(value, name) for name in fields} | {"shutdown": shutdown}}
        shown = [self.child(record) for record in value]
        return sorted(shown, key=str) if any(record.id is None for record in value) else shown

    def child(self, record: ChildRecord) -> list[Any]:
        """Return one line of `which_children`."""
        states = {"running": record.ref and self.recorded(record.ref), "stopped": "undefined"}
        return ["undefined" if record.id is None else record.id, states.get(record.state, record.state), record.type]

    def refusal(self, error: SupervisorRefusal) -> Any:
        """Return how a recording would write a refusal."""
        if isinstance(error, ChildStartFailed) and error.child is not None:
            return {"t": ["error", {"t": [self.recorded(error.reason), {"child": error.child.id}]}]}
        return self.recorded(("error", error.why))


class Worker(Actor):
    """Waits, and reacts to exit signals as it is told."""

    dispatch = "inline"

    def __init__(self, node: dict[str, Any]) -> None:
        super().__init__()
        self.node = node

    def on_start(self) -> None:
        self.trap_exit(self.node["trap"])

    def on_receive(self, message: Any) -> None:
        if isinstance(message, Told):
            raise Exit(message.reason)
        if isinstance(message, Exited) and message.source is self.actor_ref.parent:
            on_shutdown = self.node["on_shutdown"]
            if message.reason != "shutdown" or on_shutdown == "obey":
                raise Exit(message.reason)
            if on_shutdown != "ignore":
                raise Exit(from_term(on_shutdown[1]))


class Tree(Supervisor):
    """A supervisor of the recording."""

    def init(self, world: World, node: dict[str, Any], outcome: Any) -> Any:
        self.world, self.label = world, node["id"]
        if outcome == "ignore":
            return "ignore"
        flags = {ours: node[theirs] for theirs, ours in FLAGS.items() if theirs in node}
        children = [node["template"]] if "template" in node else node["children"]
        return flags, [specification(world, child) for child in children]

    def on_report(self, report: Report) -> None:
        if isinstance(report, ErrorReport):
            reason, child = self.world.recorded(report.reason), report.offender
            self.world.reports.append([report.error_context, self.label, reason, child.spec.id, child.count])
        else:
            self.world.reports.append(["progress", self.label, None, report.started.spec.id, None])


class Parent(Actor):
    """Starts the root supervisor, and is linked to it and to nobody else."""

    dispatch = "inline"

    def on_start(self) -> None:
        self.trap_exit()
        self.root: ActorRef[Any] | None = None

    def on_receive(self, message: Any) -> None:
        if isinstance(message, Told) and self.root is not None:
            self.root.exit(message.reason)
        elif callable(message):
            self.root = message()


def specification(world: World, node: dict[str, Any]) -> dict[str, Any]:
    """Return the child specification of a node; milliseconds become seconds."""
    given = {name: node[name] for name in ("id", "type", "restart", "shutdown", "significant") if name in node}
    if isinstance(given.get("shutdown"), int):
        given["shutdown"] /= 1000
    start = start_worker if node["type"] == "worker" else start_supervisor
    return given | {"start": start, "args": (world, node)}


def start_worker(world: World, node: dict[str, Any], label: str | None = None) -> Any:
    """Start a worker, or do what its plan says instead: its start function."""
    label = label or node["id"]
    outcome = world.next_outcome(label)
    world.note(running(), ["start", label, outcome])
    if outcome[0] == "hold":
        make_held_calls(world)
        outcome = outcome[1]
    if outcome == "ok" or outcome[0] == "ok_info":
        ref = Worker.start_link(node)
        world.came_up(label, ref)
        return ref if outcome == "ok" else (ref, from_term(outcome[1]))
    if outcome == "ignore":
        raise IgnoreStart
    how, value = outcome[0], from_term(outcome[1])
    if how == "error":
        raise StartError(value)
    if how == "exit":
        raise Exit(value)
    if how == "raise":
        raise RaisedError(value)
    return value


def start_supervisor(world: World, node: dict[str, Any]) -> ActorRef[Any]:
    """Start a supervisor with all that is below it: its start function."""
    label = node["id"]
    above = running()
    outcome = world.next_outcome(label)
    world.note(above, ["sup_init", label])
    try:
        if outcome not in ("ok", "ignore"):
            raise StartError(from_term(outcome[1]))
        ref = Tree.start_link(world, node, outcome)
    except IgnoreStart:
        world.note(above, ["sup_started", label, "ignore"])
        raise
    except StartError as error:
        world.note(above, ["sup_started", label, world.recorded(("error", error.reason))])
        raise
    world.came_up(label, ref)
    world.note(above, ["sup_started", label, "ok"])
    return ref


def running() -> ActorRef[Any] | None:
    """Return the supervisor in whose turn a start function runs; None for the parent."""
    ref: Any = current_ref()
    return None if issubclass(ref.actor_class, Parent) else ref


# -- operations ------------------------------------------------------------


def call_of(world: World, operation: dict[str, Any]) -> calls.Call:
    """Return the message of a call."""
    name = operation["op"]
    if name == "start_child":
        if "label" in operation:
            return calls.Call(name, (operation["label"],))
        world.learn(operation["spec"])
        return calls.Call(name, specification(world, operation["spec"]))
    if "by" not in operation:
        return calls.Call(name)
    if operation["by"] == "id":
        return calls.Call(name, operation["id"])
    return calls.Call(name, world.latest.get(operation["id"]) or some_dead_process(world))


def some_dead_process(world: World) -> ActorRef[Any]:
    """Return a process that never was anybody's child."""
    ref: ActorRef[Any] = world.system.start(Parent)
    ref.stop()
    return ref


def call(world: World, operation: dict[str, Any]) -> Callable[[], Any]:
    """Put a call into a supervisor's mailbox; return a function that gets the answer."""
    supervisor = world.latest.get(operation["sup"])
    if supervisor is None or not supervisor.is_alive():
        return lambda: {"exit": "noproc"}
    asked = supervisor.ask(call_of(world, operation), block=False)

    def answer() -> Any:
        try:
            return world.answer(asked.get(timeout=None))
        except SupervisorRefusal as error:
            return world.refusal(error)
        except ActorDeadError as error:
            return {"exit": world.recorded(error.reason)}

    return answer


def make_held_calls(world: World) -> None:
    """Fill the mailbox of a supervisor that is in the middle of a start function."""
    for operation in world.held:
        if operation["op"] == "signal":
            target = world.latest[operation["id"]]
            target.exit(from_term(operation["reason"]))
            target.join()
            world.held_answers.append(lambda: None)
        else:
            world.held_answers.append(call(world, operation))
    world.held = []


def perform(world: World, parent: ActorRef[Any], operation: dict[str, Any]) -> dict[str, Any]:
    """Do one operation and let it settle; return the answers."""
    for label, plan in operation.get("plan", {}).items():
        world.plans[label] = deque(plan)
    world.held, world.held_answers = list(operation.get("held", ())), []
    name = operation["op"]
    answers: dict[str, Any] = {}
    if name == "sleep":
        world.system.advance(operation["ms"] / 1000)
    elif name == "parent_signal":
        parent.tell(Told(from_term(operation["reason"])))
    elif name == "tell":
        world.latest[operation["id"]].send(Told(from_term(operation["reason"])))
    elif name == "signal":
        world.latest[operation["id"]].exit(from_term(operation["reason"]))
    else:
        answers["result"] = call(world, operation)()
    world.settle()
    if "held" in operation:
        answers["held_results"] = [answer() for answer in world.held_answers]
    return answers


# -- comparing -------------------------------------------------------------


def agrees(expected: list[Any], got: list[Any]) -> bool:
    """Compare logs; ends that happened in parallel are in no order."""
    position = 0
    for event in expected:
        if event[0] == "par":
            several = got[position : position + len(event[1])]
            if not same(sorted(event[1], key=str), sorted(several, key=str)):
                return False
            position += len(several)
        elif not same([event], got[position : position + 1]):
            return False
        else:
            position += 1
    return position == len(got)


def match_all(expected: list[list[Any]], got: list[list[Any]]) -> bool:
    """Compare two multisets of logs."""
    left = list(got)
    for log in expected:
        found = next((each for each in left if agrees(log, each)), None)
        if found is None:
            return False
        left.remove(found)
    return not left


def compare(step: str, expected: dict[str, Any], world: World, answers: dict[str, Any]) -> Difference | None:
    """Compare what was recorded of a step with what happened."""
    for name, got in answers.items():
        if not same(expected[name], got):
            return Difference(f"{step}, {name}", expected[name], got)
    if not agrees(expected["log"], world.log):
        return Difference(f"{step}, log", expected["log"], world.log)
    detached = [log for log in world.detached if log]
    if not match_all(expected["detached"], detached):
        return Difference(f"{step}, detached", expected["detached"], detached)
    states = {
        "reports": sorted(world.reports, key=str),
        "alive": sorted(world.labels[ref] for ref in world.living),
        "root": world.root,
    }
    for name, got in states.items():
        recorded = sorted(expected[name], key=str) if name == "reports" else expected[name]
        if not same(recorded, got):
            return Difference(f"{step}, {name}", recorded, got)
    return None


def finally_seen(world: World) -> dict[str, Any]:
    """Return what every living supervisor says of its children."""
    seen = {}
    for ref in list(world.living):
        if issubclass(ref.actor_class, Supervisor):
            seen[world.labels[ref]] = {
                "which_children": world.answer(calls.which_children(ref)),
                "count_children": world.answer(calls.count_children(ref)),
            }
    return seen


def begin(world: World, parent: ActorRef[Any], node: dict[str, Any]) -> Any:
    """Start the root supervisor; return the result of that start."""
    result: list[Any] = []

    def start() -> ActorRef[Any] | None:
        try:
            ref = start_supervisor(world, node)
        except IgnoreStart:
            result.append("ignore")
            return None
        except StartError as error:
            result.append(world.recorded(("error", error.reason)))
            return None
        world.root = "alive"
        result.append(world.recorded(("ok", ref)))
        return ref

    parent.tell(start)
    world.settle()
    return result[0]


def matches(record: dict[str, Any]) -> bool:
    """Tell whether a record is one of a supervision tree."""
    return "root" in record and "ops" in record and "init" in record


def replay(record: dict[str, Any]) -> Difference | None:
    """Replay one tree; return where it first differs from the recording, or None."""
    with ActorSystem(clock=VirtualClock(), entropy=Entropy(1)) as system:
        world = World(system)
        world.learn(record["root"])
        parent = system.start(Parent)
        result = begin(world, parent, record["root"])
        difference = compare("init", record["init"], world, {"result": result})
        for number, operation in enumerate(record["ops"]):
            if difference is not None:
                return difference
            world.forget()
            answers = perform(world, parent, operation)
            difference = compare(f"op {number} ({operation['op']})", operation, world, answers)
        if difference is not None:
            return difference
        seen = finally_seen(world)
        return None if same(record["final"], seen) else Difference("final", record["final"], seen)
