"""Replays recorded graphs of processes: links, monitors, exit signals, names, aliases.

Each process is an actor that runs a list of acts in its own turn when it is told
to, and keeps every other message. Nothing else knows what the acts mean: what
results, arrives, dies and lives afterwards is read back through the public API and
compared with the recording.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from supervisors import (
    Actor,
    ActorDeadError,
    ActorRef,
    ActorSystem,
    AliasRef,
    Down,
    Entropy,
    Exit,
    Exited,
    NameTakenError,
    VirtualClock,
)
from supervisors.links import links_of
from tests.conformance.difference import Difference, same
from tests.conformance.terms import RaisedError, from_term, to_term

__all__ = ["matches", "replay"]

OUTSIDE: Final = "ext"
"""The label of a sender that is no actor."""

NOBODY: Final = "noproc"
"""The label of the sender of a `Down` about a name that nobody has."""

BADARG: Final = {"error": "badarg"}

ENDINGS: Final = ("exit", "error", "exit_signal")
"""Acts that have no recorded result at the end of a run: the process may be gone."""


@dataclass(frozen=True, slots=True)
class Letter:
    """The message of a `send` act."""

    sender: str
    value: Any


@dataclass(frozen=True, slots=True)
class Run:
    """Tells a process to run acts, and where to put their results."""

    acts: list[list[Any]]
    results: list[Any]


@dataclass(slots=True)
class World:
    """One scenario: who is who.

    Attributes:
        system: everything runs in it, on virtual time.
        processes: by label; the dead too.
        references: monitors and aliases by label.
        mourned: labels of the dead that have been compared.
        seen: (receiver, sender, message) in the order taken, since it was last emptied.
    """

    system: ActorSystem
    processes: dict[str, ActorRef[Process]] = field(default_factory=dict)
    references: dict[str, AliasRef] = field(default_factory=dict)
    mourned: set[str] = field(default_factory=set)
    seen: list[tuple[str, str, list[Any]]] = field(default_factory=list)

    def label_of(self, ref: Any) -> str:
        """Return the label of a process; `OUTSIDE` for what is none."""
        for label, each in self.processes.items():
            if each is ref:
                return label
        return OUTSIDE

    def label_of_reference(self, reference: AliasRef) -> str:
        """Return the label of a monitor or an alias."""
        return next(label for label, each in self.references.items() if each is reference)

    def alive(self) -> list[str]:
        """Return the labels of the living, sorted."""
        return sorted(label for label, ref in self.processes.items() if ref.is_alive())


class Process(Actor):
    """Runs acts in its own turn, and keeps every other message."""

    dispatch = "inline"

    def __init__(self, world: World, label: str, trap: bool) -> None:
        super().__init__()
        self.world = world
        self.label = label
        self.trap = trap
        # Known before its first step, so that a monitor on it has a name.
        world.processes[label] = self.actor_ref

    def on_start(self) -> None:
        self.trap_exit(self.trap)

    def on_receive(self, message: Any) -> None:
        if isinstance(message, Run):
            for name, *arguments in message.acts:
                message.results.append(ACTS[name](self, *arguments))
        else:
            self.world.seen.append((self.label, *self._recorded(message)))

    def _recorded(self, message: Any) -> tuple[str, list[Any]]:
        """Return the sender of a message, and the message as a recording writes it."""
        world = self.world
        if isinstance(message, Letter):
            return message.sender, ["msg", message.value]
        if isinstance(message, Exited):
            source = world.label_of(message.source)
            return source, ["EXIT", source, to_term(message.reason)]
        if isinstance(message, Down):
            target = message.monitor.target
            by_name = isinstance(message.source, str)
            source = NOBODY if target is None else world.label_of(target)
            about = {"name": message.source} if by_name else world.label_of(message.source)
            return source, ["DOWN", world.label_of_reference(message.monitor), about, to_term(message.reason)]
        return OUTSIDE, [repr(message)]

    # -- acts --------------------------------------------------------------

    def act_link(self, other: str) -> Any:
        try:
            self.link(self.world.processes[other])
        except ActorDeadError as error:
            return {"error": to_term(error.reason)}
        return True

    def act_unlink(self, other: str) -> Any:
        self.unlink(self.world.processes[other])
        return True

    def act_monitor(self, other: str, label: str) -> Any:
        return self._keep(label, self.monitor(self.world.processes[other]))

    def act_monitor_name(self, name: str, label: str) -> Any:
        return self._keep(label, self.monitor(name))

    def act_monitor_alias(self, other: str, label: str, mode: Any) -> Any:
        return self._keep(label, self.monitor(self.world.processes[other], alias=mode))

    def act_demonitor(self, label: str, options: list[str]) -> Any:
        found = self.demonitor(self.world.references[label], flush="flush" in options)
        return found if "info" in options else True

    def act_trap(self, trap: bool) -> Any:
        return self.trap_exit(trap)

    def act_exit_signal(self, other: str, reason: Any) -> Any:
        self.world.processes[other].exit(from_term(reason))
        return True

    def act_exit(self, reason: Any) -> Any:
        raise Exit(from_term(reason))

    def act_error(self, reason: Any) -> Any:
        raise RaisedError(from_term(reason))

    def act_send(self, other: str, value: Any) -> Any:
        self.world.processes[other].send(Letter(self.label, value))
        return "ok"

    def act_register(self, name: str) -> Any:
        try:
            self.system.register(name, self.actor_ref)
        except NameTakenError:
            return BADARG
        return True

    def act_unregister(self, name: str) -> Any:
        try:
            self.system.unregister(name)
        except ValueError:
            return BADARG
        return True

    def act_whereis(self, name: str) -> Any:
        ref = self.system.whereis(name)
        return "undefined" if ref is None else {"pid": self.world.label_of(ref)}

    def act_send_name(self, name: str, value: Any) -> Any:
        try:
            self.system.send(name, Letter(self.label, value))
        except ValueError:
            return BADARG
        return "ok"

    def act_alias(self, label: str, options: list[str]) -> Any:
        return self._keep(label, self.alias(reply="reply" in options))

    def act_unalias(self, label: str) -> Any:
        return self.unalias(self.world.references[label])

    def act_send_ref(self, label: str, value: Any) -> Any:
        self.world.references[label].send(Letter(self.label, value))
        return "ok"

    def act_spawn(self, label: str, how: str, trap: bool, monitor: str | None = None) -> Any:
        arguments = (self.world, label, trap)
        if how == "link":
            Process.start_link(*arguments)
        elif how == "monitor":
            assert monitor is not None
            self._keep(monitor, Process.start_monitor(*arguments)[1])
        else:
            self.system.start(Process, *arguments)
        return "ok"

    def act_is_alive(self, other: str) -> Any:
        if other != self.label:
            # It asks the other one, and what is on its way arrives while it waits.
            self.system.settle()
        return self.world.processes[other].is_alive()

    def act_settle(self) -> Any:
        self.system.settle()
        return "ok"

    def _keep(self, label: str, reference: AliasRef) -> str:
        self.world.references[label] = reference
        return label


ACTS: Final[dict[str, Callable[..., Any]]] = {
    name.removeprefix("act_"): method for name, method in vars(Process).items() if name.startswith("act_")
}


def matches(record: dict[str, Any]) -> bool:
    """Tell whether a record is a graph of processes: only these list who there is at first."""
    return "procs" in record and "ops" in record


def replay(record: dict[str, Any]) -> Difference | None:
    """Replay a scenario; return where it first differs, or None."""
    with ActorSystem(clock=VirtualClock(), entropy=Entropy(0)) as system:
        world = World(system)
        try:
            return _replay(record, world)
        finally:
            for ref in world.processes.values():
                ref.kill()


def _replay(record: dict[str, Any], world: World) -> Difference | None:
    for process in record["procs"]:
        world.system.start(Process, world, process["id"], process["trap"])
    for number, operation in enumerate(record["ops"]):
        got = _perform(operation, world)
        for part, value in got.items():
            expected = _in_order(operation[part]) if part == "received" else operation.get(part)
            if not same(expected, value):
                return Difference(f"op {number} ({operation['op']}), {part}", expected, value)
    final = {
        "alive": world.alive(),
        "links": {
            label: sorted(world.label_of(other) for other in links_of(world.processes[label]))
            for label in world.alive()
        },
        "names": {name: _holder(world, name) for name in record["final"]["names"]},
    }
    for part, value in final.items():
        if not same(record["final"][part], value):
            return Difference(f"final, {part}", record["final"][part], value)
    return None


def _perform(operation: dict[str, Any], world: World) -> dict[str, Any]:
    """Do one operation, let everything settle, and return what is compared."""
    world.seen.clear()
    got: dict[str, Any] = {}
    if operation["op"] == "run":
        acts = operation["acts"]
        results: list[Any] = []
        world.processes[operation["proc"]].send(Run(acts, results))
        world.system.settle()
        if acts and acts[-1][0] in ENDINGS:
            results[len(acts) - 1 :] = [None]
        got["results"] = results
    elif operation["op"] == "external_exit":
        world.processes[operation["target"]].exit(from_term(operation["reason"]))
        world.system.settle()
    else:
        raise ValueError(f"unknown op {operation['op']!r}")
    alive = world.alive()
    dead = sorted(set(world.processes) - set(alive) - world.mourned)
    world.mourned.update(dead)
    got["deaths"] = [[label, to_term(world.processes[label].exit_reason)] for label in dead]
    received: dict[str, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for receiver, sender, message in world.seen:
        if receiver in alive:
            received[receiver][sender].append(message)
    got["received"] = _in_order(received)
    got["alive"] = alive
    return got


def _in_order(received: dict[str, dict[str, list[Any]]]) -> dict[str, dict[str, list[Any]]]:
    """Sort neighbouring `EXIT` and `DOWN` messages of one sender: their order is not defined (SIG-7)."""
    return {
        receiver: {sender: _sorted_runs(messages) for sender, messages in senders.items()}
        for receiver, senders in received.items()
    }


def _sorted_runs(messages: list[Any]) -> list[Any]:
    done: list[Any] = []
    run: list[Any] = []
    for message in messages:
        if message[0] == "msg":
            done += [*sorted(run, key=json.dumps), message]
            run = []
        else:
            run.append(message)
    return done + sorted(run, key=json.dumps)


def _holder(world: World, name: str) -> str | None:
    ref = world.system.whereis(name)
    return None if ref is None else world.label_of(ref)
