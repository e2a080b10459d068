"""Links and monitors against a model: a graph, and what a signal does to it at once.

Actors do random things in their own turns; after each act everything else settles.
The model has no mailboxes of signals and no turns, only the rules: who is linked to
whom, who watches whom, and what each one has been told. Whatever the order in
which the runtime delivers, both must agree on who lives, why the others ended,
every link, and every message (as a multiset: senders have no order among each
other, SIG-2).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from hypothesis import given, settings
from hypothesis import strategies as st

from supervisors import Actor, ActorDeadError, ActorRef, ActorSystem, Down, Exit, Exited, MonitorRef, VirtualClock
from supervisors.links import links_of

Act: TypeAlias = tuple[Any, ...]

OUTSIDE = -1
"""The sender of a signal that comes from no actor."""

# ----------------------------------------------------------------------
# The model
# ----------------------------------------------------------------------


@dataclass
class Node:
    """One actor of the model; `told` is what it has been told during this step."""

    traps: bool
    reason: Any = "alive"
    links: set[int] = field(default_factory=set)
    told: list[tuple[Any, ...]] = field(default_factory=list)

    @property
    def lives(self) -> bool:
        return self.reason == "alive"


@dataclass
class Graph:
    """Who is linked to whom and who watches whom; every act has its whole effect at once."""

    nodes: list[Node] = field(default_factory=list)
    monitors: dict[int, tuple[int, int]] = field(default_factory=dict)  # number -> (watcher, watched)
    numbers: int = 0

    def living(self) -> int:
        """Return how many live."""
        return sum(node.lives for node in self.nodes)

    def act(self, who: int, act: Act) -> Any:
        """Let a living actor do something; return what it gets back."""
        return getattr(self, act[0])(who, *act[1:])

    def start(self, who: int, how: str, traps: bool) -> None:
        self.nodes.append(Node(traps))
        new = len(self.nodes) - 1
        if how == "link":
            self.link(who, new)
        elif how == "monitor":
            self.monitor(who, new)

    def link(self, who: int, other: int) -> str:
        if who == other:
            return "ok"
        if self.nodes[other].lives:
            self.nodes[who].links.add(other)
            self.nodes[other].links.add(who)
        elif self.nodes[who].traps:
            self.nodes[who].told.append(("exited", other, "noproc"))
        else:
            return "noproc"
        return "ok"

    def unlink(self, who: int, other: int, flush: bool) -> None:
        self.nodes[who].links.discard(other)
        self.nodes[other].links.discard(who)
        if flush:
            self._flush(who, "exited", other)

    def monitor(self, who: int, other: int) -> int:
        self.numbers += 1
        if who != other:
            if self.nodes[other].lives:
                self.monitors[self.numbers] = (who, other)
            else:
                self.nodes[who].told.append(("down", self.numbers, other, "noproc"))
        return self.numbers

    def demonitor(self, who: int, number: int, flush: bool) -> bool:
        found = self.monitors.get(number, (OUTSIDE, OUTSIDE))[0] == who
        if found:
            del self.monitors[number]
        elif flush:
            self._flush(who, "down", number)
        return found

    def trap(self, who: int, traps: bool) -> bool:
        old, self.nodes[who].traps = self.nodes[who].traps, traps
        return old

    def signal(self, who: int, other: int, reason: str) -> None:
        node = self.nodes[other]
        if not node.lives:
            return
        if reason == "kill":
            self._end(other, "killed")
        elif node.traps:
            node.told.append(("exited", who, reason))
        elif reason != "normal" or who == other:
            self._end(other, reason)

    def exit(self, who: int, reason: str) -> None:
        self._end(who, reason)

    def _end(self, who: int, reason: str) -> None:
        node = self.nodes[who]
        node.reason = reason
        for number, (watcher, watched) in list(self.monitors.items()):
            if who in (watcher, watched):
                del self.monitors[number]
            if who == watched:
                self.nodes[watcher].told.append(("down", number, who, reason))
        links, node.links = node.links, set()
        for other in links:
            linked = self.nodes[other]
            if who not in linked.links:
                continue
            linked.links.discard(who)
            if linked.traps:
                linked.told.append(("exited", who, reason))
            elif reason != "normal":
                self._end(other, reason)

    def _flush(self, who: int, kind: str, key: int) -> None:
        told = self.nodes[who].told
        for position, message in enumerate(told):
            if message[:2] == (kind, key):
                del told[position]
                return


# ----------------------------------------------------------------------
# The same acts on real actors
# ----------------------------------------------------------------------


class World:
    """The actors by number, the monitors by number, and a system on virtual time."""

    def __init__(self, system: ActorSystem) -> None:
        self.system = system
        self.refs: list[ActorRef[Doer]] = []
        self.monitors: dict[int, MonitorRef] = {}
        self.numbers = 0
        self.told: dict[int, list[tuple[Any, ...]]] = {}

    def number_of(self, ref: Any) -> int:
        return OUTSIDE if ref is None else self.refs.index(ref)

    def keep(self, monitor: MonitorRef) -> int:
        self.numbers += 1
        self.monitors[self.numbers] = monitor
        return self.numbers


@dataclass
class Todo:
    """What an actor does in one turn, and where it puts (act, expected, got)."""

    who: int
    acts: list[Act]
    graph: Graph
    outcomes: list[tuple[Act, Any, Any]]


class Doer(Actor):
    """Does acts in its own turn; notes what it is told, as the model writes it."""

    dispatch = "inline"

    def __init__(self, world: World, traps: bool) -> None:
        super().__init__()
        self.world = world
        self.traps = traps
        world.refs.append(self.actor_ref)

    def on_start(self) -> None:
        self.trap_exit(self.traps)

    def on_receive(self, message: Any) -> None:
        world = self.world
        if isinstance(message, Exited):
            self._note(("exited", world.number_of(message.source), message.reason))
        elif isinstance(message, Down):
            number = next(number for number, each in world.monitors.items() if each is message.monitor)
            self._note(("down", number, world.number_of(message.source), message.reason))
        else:
            self._do(message)

    def _do(self, todo: Todo) -> None:
        for drawn in todo.acts:
            act = resolve(drawn, todo.who, todo.graph)
            if act is None:
                continue
            expected = todo.graph.act(todo.who, act)
            todo.outcomes.append((act, expected, getattr(self, f"do_{act[0]}")(*act[1:])))
            self.system.settle()
            if not todo.graph.nodes[todo.who].lives:
                return  # a process would be gone by now; ours ends after its turn

    def _note(self, message: tuple[Any, ...]) -> None:
        self.world.told.setdefault(self.world.number_of(self.actor_ref), []).append(message)

    def do_start(self, how: str, traps: bool) -> None:
        if how == "link":
            Doer.start_link(self.world, traps)
        elif how == "monitor":
            self.world.keep(Doer.start_monitor(self.world, traps)[1])
        else:
            Doer.start(self.world, traps)

    def do_link(self, other: int) -> str:
        try:
            self.link(self.world.refs[other])
        except ActorDeadError as error:
            return str(error.reason)
        return "ok"

    def do_unlink(self, other: int, flush: bool) -> None:
        self.unlink(self.world.refs[other], flush=flush)

    def do_monitor(self, other: int) -> int:
        return self.world.keep(self.monitor(self.world.refs[other]))

    def do_demonitor(self, number: int, flush: bool) -> bool:
        return self.demonitor(self.world.monitors[number], flush=flush)

    def do_trap(self, traps: bool) -> bool:
        return self.trap_exit(traps)

    def do_signal(self, other: int, reason: str) -> None:
        self.world.refs[other].exit(reason)

    def do_exit(self, reason: str) -> None:
        raise Exit(reason)


# ----------------------------------------------------------------------
# Both at once
# ----------------------------------------------------------------------

# Few actors and the latest monitors, so that acts have to do with each other; None: oneself.
OTHERS = st.one_of(st.integers(0, 3), st.none())
NUMBERS = st.integers(0, 3)
REASONS = st.sampled_from(["boom", "normal", "shutdown", "kill", "killed"])

ACTS: st.SearchStrategy[list[Act]] = st.one_of(
    st.tuples(st.just("start"), st.sampled_from(["plain", "link", "monitor"]), st.booleans()),
    st.tuples(st.just("link"), OTHERS),
    st.tuples(st.just("unlink"), OTHERS, st.booleans()),
    st.tuples(st.just("monitor"), OTHERS),
    st.tuples(st.just("demonitor"), NUMBERS, st.booleans()),
    st.tuples(st.just("trap"), st.booleans()),
    st.tuples(st.just("signal"), OTHERS, REASONS),
    st.tuples(st.just("exit"), REASONS),
).map(lambda act: [act])

# What chance alone would seldom put together, such as a message that is there
# when the act comes that may take it out.
LATE_DEMONITOR = st.builds(
    lambda other, reason, flush: [("monitor", other), ("signal", other, reason), ("demonitor", 0, flush)],
    NUMBERS,
    REASONS,
    st.booleans(),
)
LATE_UNLINK = st.builds(
    lambda other, reason, flush: [("trap", True), ("link", other), ("signal", other, reason), ("unlink", other, flush)],
    NUMBERS,
    REASONS,
    st.booleans(),
)
LATE_TRAP = st.builds(
    lambda other, reason, traps: [("link", other), ("signal", other, reason), ("trap", traps)],
    NUMBERS,
    REASONS,
    st.booleans(),
)
LINKED_END = st.builds(
    lambda others, reason: [*(("link", other) for other in others), ("exit", reason)],
    st.lists(NUMBERS, min_size=1, max_size=2),
    REASONS,
)

TURNS = st.tuples(
    NUMBERS,
    st.lists(st.one_of(ACTS, ACTS, LATE_DEMONITOR, LATE_UNLINK, LATE_TRAP, LINKED_END), min_size=1, max_size=6).map(
        lambda phrases: [act for phrase in phrases for act in phrase]
    ),
)
STEPS = st.lists(
    st.one_of(TURNS, TURNS, st.tuples(st.just("outside"), NUMBERS, REASONS)),
    min_size=3,
    max_size=20,
)


def resolve(act: Act, who: int, graph: Graph) -> Act | None:
    """Turn the numbers that were drawn into actors and monitors that there are; None: there is none."""
    if act[0] in ("link", "unlink", "monitor", "signal"):
        # The latest ones: the first of all are soon dead.
        return (act[0], who if act[1] is None else max(len(graph.nodes) - 1 - act[1], 0), *act[2:])
    if act[0] == "demonitor":
        return ("demonitor", max(graph.numbers - act[1], 1), act[2]) if graph.numbers else None
    return act


@settings(max_examples=4 * settings().max_examples)  # each takes a few milliseconds
@given(traps=st.lists(st.booleans(), min_size=3, max_size=5), steps=STEPS)
def test_links_and_monitors_do_what_the_graph_says(traps, steps):
    with ActorSystem(clock=VirtualClock()) as system:
        world, graph = World(system), Graph()
        for step in steps:
            for trap in traps[graph.living() :]:  # most acts need somebody to be done to
                system.start(Doer, world, trap)
                graph.nodes.append(Node(trap))
            do_step(step, world, graph)
            compare(world, graph)
        for ref in world.refs:
            ref.kill()
        system.settle()
        assert system.unlinks == {}
        assert all(ref.links is ref.watchers is ref.monitors is None for ref in world.refs)


def do_step(step: tuple[Any, ...], world: World, graph: Graph) -> None:
    world.told.clear()
    for node in graph.nodes:
        node.told.clear()
    living = [number for number, node in enumerate(graph.nodes) if node.lives]
    if step[0] == "outside":
        other = max(len(graph.nodes) - 1 - step[1], 0)
        graph.signal(OUTSIDE, other, step[2])
        world.refs[other].exit(step[2])
        world.system.settle()
    else:
        who = living[step[0] % len(living)]
        outcomes: list[tuple[Act, Any, Any]] = []
        world.refs[who].send(Todo(who, step[1], graph, outcomes))
        world.system.settle()
        for act, expected, got in outcomes:
            assert got == expected, act


def compare(world: World, graph: Graph) -> None:
    assert len(world.refs) == len(graph.nodes)
    for number, (ref, node) in enumerate(zip(world.refs, graph.nodes, strict=True)):
        assert ref.is_alive() == node.lives
        assert {world.number_of(other) for other in links_of(ref)} == node.links
        assert len(ref.watchers or ()) == sum(watched == number for _, watched in graph.monitors.values())
        if node.lives:
            assert Counter(world.told.get(number, ())) == Counter(node.told)
        else:
            assert ref.exit_reason == node.reason
