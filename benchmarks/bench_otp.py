"""How fast are supervisors and state machines?

Workload: children are idle inline actors. A restart is timed from the message that
crashes a child to the reply of its successor, one after the other; once with a
single child, once among 100,000 living ones. A call of a state machine is one that
changes the state and replies: an inline machine of six states in a ring, one caller.
Peer: Erlang's `supervisor` over `gen_server`, and `gen_statem`, in a node of its own;
without ``erl`` its rows are empty. All of it with the dispatch `inline`, where whoever
sends runs the receiver: `bench_otp_shared` has the same for `shared`, and `bench_otp_storm`
crashes both at once.

Does not show: children with work in their mailboxes, start functions that take long,
several supervisors at once. Reports are not logged on either side.
"""

from __future__ import annotations

import logging
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from benchmarks.harness import Effort, Figure, benchmark, rate
from supervisors import Actor, ActorRef, ActorSystem, Exit
from supervisors.statem.actions import reply
from supervisors.statem.machine import StateMachine
from supervisors.statem.results import InitialState, Result, initial_state, next_state
from supervisors.supervision.calls import count_children, start_child, terminate_child
from supervisors.supervision.child_spec import ChildSpec
from supervisors.supervision.dynamic import DynamicSupervisor
from supervisors.supervision.supervisor import Supervisor

NEVER_TOO_MANY: Final = 1_000_000_000

TREE_ERL: Final = """
-module(tree).
-behaviour(supervisor).
-export([main/0, start_worker/1, init/1, handle_call/3, handle_cast/2]).

%% One module for both behaviours: a supervisor and its workers.
init({supervisor, Strategy, Children}) ->
    {ok, {#{strategy => Strategy, intensity => 1000000000, period => 5}, Children}};
init({worker, Told}) -> Told ! {up, self()}, {ok, Told}.

handle_call(Message, _From, State) -> {reply, Message, State}.
handle_cast(crash, State) -> {stop, boom, State}.

start_worker(Told) -> gen_server:start_link(?MODULE, {worker, Told}, []).

spec(Restart) -> #{id => w, start => {?MODULE, start_worker, [self()]}, restart => Restart}.

main() ->
    logger:set_primary_config(level, none),
    loop().

%% One line in, one measurement out, until the pipe is closed.
loop() ->
    case io:fread("", "~a ~d") of
        {ok, [restart, Count]} ->
            {ok, One} = supervisor:start_link(?MODULE, {supervisor, one_for_one, [spec(permanent)]}),
            Times = restart(receive {up, Pid} -> Pid end, Count, []),
            stop(One),
            io:format("~p~n", [lists:nth(Count div 2 + 1, lists:sort(Times))]),
            loop();
        {ok, [start, Count]} ->
            {ok, Many} = supervisor:start_link(?MODULE, {supervisor, simple_one_for_one, [spec(temporary)]}),
            Start = erlang:monotonic_time(nanosecond),
            start(Many, Count),
            Took = erlang:monotonic_time(nanosecond) - Start,
            stop(Many),
            io:format("~p~n", [Took]),
            loop();
        {ok, [statem, Count]} ->
            io:format("~p~n", [ring:measure(Count)]),
            loop();
        _ -> halt(0)
    end.

stop(Supervisor) ->
    Monitor = monitor(process, Supervisor),
    unlink(Supervisor),
    exit(Supervisor, shutdown),
    receive {'DOWN', Monitor, _, _, _} -> ok end.

restart(_Worker, 0, Times) -> Times;
restart(Worker, Count, Times) ->
    Start = erlang:monotonic_time(nanosecond),
    gen_server:cast(Worker, crash),
    Next = receive {up, Pid} -> Pid end,
    ok = gen_server:call(Next, ok),
    restart(Next, Count - 1, [erlang:monotonic_time(nanosecond) - Start | Times]).

start(_Many, 0) -> ok;
start(Many, Count) ->
    {ok, _} = supervisor:start_child(Many, []),
    receive {up, _} -> ok end,
    start(Many, Count - 1).
"""

RING_ERL: Final = """
-module(ring).
-behaviour(gen_statem).
-export([measure/1, init/1, callback_mode/0, one/3, two/3, three/3, four/3, five/3, six/3]).

%% A machine of six states that every call moves on to the next one.
init([]) -> {ok, one, 0}.
callback_mode() -> state_functions.

one({call, From}, Message, Data) -> {next_state, two, Data, [{reply, From, Message}]}.
two({call, From}, Message, Data) -> {next_state, three, Data, [{reply, From, Message}]}.
three({call, From}, Message, Data) -> {next_state, four, Data, [{reply, From, Message}]}.
four({call, From}, Message, Data) -> {next_state, five, Data, [{reply, From, Message}]}.
five({call, From}, Message, Data) -> {next_state, six, Data, [{reply, From, Message}]}.
six({call, From}, Message, Data) -> {next_state, one, Data, [{reply, From, Message}]}.

measure(Count) ->
    {ok, Pid} = gen_statem:start_link(?MODULE, [], []),
    call(Pid, Count div 10),
    Start = erlang:monotonic_time(nanosecond),
    call(Pid, Count),
    Took = erlang:monotonic_time(nanosecond) - Start,
    gen_statem:stop(Pid),
    Took.

call(_Pid, 0) -> ok;
call(Pid, Count) -> Count = gen_statem:call(Pid, Count), call(Pid, Count - 1).
"""


class Ring(StateMachine):
    """A machine of six states that every call moves on to the next one; the same as Erlang's."""

    dispatch = "inline"
    callback_mode = "state_functions"

    def init(self) -> InitialState:
        return initial_state("one", data=0)

    def one(self, _kind: Any, message: Any, _data: Any) -> Result:
        return next_state("two", reply(message))

    def two(self, _kind: Any, message: Any, _data: Any) -> Result:
        return next_state("three", reply(message))

    def three(self, _kind: Any, message: Any, _data: Any) -> Result:
        return next_state("four", reply(message))

    def four(self, _kind: Any, message: Any, _data: Any) -> Result:
        return next_state("five", reply(message))

    def five(self, _kind: Any, message: Any, _data: Any) -> Result:
        return next_state("six", reply(message))

    def six(self, _kind: Any, message: Any, _data: Any) -> Result:
        return next_state("one", reply(message))


class Child(Actor):
    """Says who it is when it starts, crashes when told to, and replies otherwise."""

    dispatch = "inline"
    crash_on_ask_error = True

    def __init__(self, up: Callable[[ActorRef[Any]], None] | None = None) -> None:
        super().__init__()
        if up is not None:
            up(self.actor_ref)

    def on_receive(self, message: Any) -> Any:
        if message == "crash":
            raise Exit("boom")
        return message


class Latest:
    """Remembers which child came up last, and how many have."""

    def __init__(self) -> None:
        self.ref: ActorRef[Any] | None = None
        self.count = 0

    def up(self, ref: ActorRef[Any]) -> None:
        self.ref = ref
        self.count += 1


class Beam:
    """A running Erlang node with a supervisor and a state machine, compiled beforehand."""

    def __init__(self, erl: str, erlc: str) -> None:
        self._folder = tempfile.TemporaryDirectory()
        (Path(self._folder.name) / "tree.erl").write_text(TREE_ERL)
        (Path(self._folder.name) / "ring.erl").write_text(RING_ERL)
        compiler = [erlc, "+nowarn_conflicting_behaviours", "tree.erl", "ring.erl"]
        subprocess.run(compiler, cwd=self._folder.name, check=True)  # noqa: S603 - our own program
        self._node = subprocess.Popen(  # noqa: S603
            [erl, "-noshell", "-s", "tree", "main"],
            cwd=self._folder.name,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def measure(self, what: str, count: int) -> int:
        """Have it do something so many times; return nanoseconds."""
        assert self._node.stdin is not None
        assert self._node.stdout is not None
        self._node.stdin.write(f"{what} {count}\n")
        self._node.stdin.flush()
        return int(self._node.stdout.readline())

    def close(self) -> None:
        """End the node."""
        assert self._node.stdin is not None
        assert self._node.stdout is not None
        self._node.stdin.close()
        self._node.stdout.close()
        self._node.wait(timeout=30)
        self._folder.cleanup()


@contextmanager
def erlang() -> Iterator[Beam | None]:
    """Give a node, or None where there is no Erlang."""
    erl, erlc = shutil.which("erl"), shutil.which("erlc")
    beam = Beam(erl, erlc) if erl is not None and erlc is not None else None
    try:
        yield beam
    finally:
        if beam is not None:
            beam.close()


@contextmanager
def unlogged() -> Iterator[None]:
    """Keep crashes out of the log, as the peer does."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def terminate_each(supervisor: ActorRef[Any], children: list[ActorRef[Any] | None]) -> None:
    """End children one after the other."""
    for child in children:
        terminate_child(supervisor, child)


def restart_times(child: ActorRef[Any], latest: Latest, count: int) -> list[float]:
    """Crash a child and its successors; return seconds from each crash to the successor's reply."""
    times = []
    clock = time.perf_counter
    for _ in range(count):
        start = clock()
        child.tell("crash")
        successor = latest.ref
        if successor is None or successor is child:
            raise RuntimeError("the crashed child was not restarted")
        successor.ask("ready")
        times.append(clock() - start)
        child = successor
    return times


@benchmark("otp")
def restart(effort: Effort) -> Mapping[str, Figure]:
    """How long is a crashed child away?"""
    # Few for each supervisor: Erlang's walks through its restart history at each
    # restart, and that would be all that is measured.
    count = effort.size(200, smoke=20)
    with unlogged(), erlang() as beam, ActorSystem() as system:

        def ours() -> float:
            latest = Latest()
            spec = ChildSpec("child", Child, (latest.up,))
            supervisor = system.start(Supervisor, [spec], max_restarts=NEVER_TOO_MANY)
            assert latest.ref is not None
            times = restart_times(latest.ref, latest, count)
            supervisor.stop()
            return statistics.median(times) * 1e6

        found = effort.interleave(
            {"ours": ours, "beam": (lambda: beam.measure("restart", count) / 1e3) if beam is not None else None}
        )
    return {
        "restart_p50_us": found.figure("ours", "us"),
        "restart_p50_us_beam": found.figure("beam", "us"),
        "restart_vs_beam": found.ratio("ours", "beam"),
    }


@benchmark("otp")
def restart_among_many(effort: Effort) -> Mapping[str, Figure]:
    """How long is one of 100,000 children away, in one case out of a hundred?"""
    many = effort.size(100_000, smoke=200)
    count = effort.size(1_000, smoke=20)
    with unlogged(), ActorSystem(shutdown_timeout=60.0) as system:
        latest = Latest()
        supervisor = system.start(DynamicSupervisor, max_restarts=NEVER_TOO_MANY, max_seconds=0.001)
        spec = ChildSpec("child", Child, (latest.up,))
        children = [start_child(supervisor, spec).ref for _ in range(many)]

        def slowest() -> float:
            times = []
            for position in range(0, many, many // count):
                child = children[position]
                assert child is not None
                times += restart_times(child, latest, 1)
                children[position] = latest.ref
            return sorted(times)[len(times) * 99 // 100] * 1e3

        found = effort.interleave({"ours": slowest})
        if count_children(supervisor).active != many:
            raise RuntimeError(f"{many} children were there, {count_children(supervisor).active} are left")
    return {"restart_p99_ms_100k": found.figure("ours", "ms")}


def call_many(machine: ActorRef[Any], count: int) -> None:
    """Call a machine so many times."""
    ask = machine.ask
    for number in range(count):
        ask(number)


@benchmark("otp")
def statem_call(effort: Effort) -> Mapping[str, Figure]:
    """How long does a call of a state machine take that changes its state and replies?"""
    # A good quarter of a second on either side: a node needs some of it to get going.
    count = effort.size(200_000, smoke=100)
    with erlang() as beam, ActorSystem() as system:
        machine = system.start(Ring)
        found = effort.interleave(
            {
                "ours": lambda: rate(count, lambda: call_many(machine, count)),
                "beam": (lambda: count * 1e9 / beam.measure("statem", count)) if beam is not None else None,
            }
        )
        if machine.ask("end") != "end":
            raise RuntimeError("the machine does not reply with what it was asked")
    return {
        "statem_call_per_s": found.figure("ours", "calls/s"),
        "statem_call_per_s_beam": found.figure("beam", "calls/s"),
        "statem_call_vs_beam": found.ratio("ours", "beam"),
    }


@benchmark("otp")
def children(effort: Effort) -> Mapping[str, Figure]:
    """How many children a second does a dynamic supervisor start, and end?"""
    count = effort.size(20_000, smoke=50)
    spec = ChildSpec("child", Child, restart="temporary")
    with unlogged(), erlang() as beam, ActorSystem(shutdown_timeout=60.0) as system:

        def start_all() -> float:
            supervisor = system.start(DynamicSupervisor)
            found = rate(count, lambda: [start_child(supervisor, spec) for _ in range(count)])
            supervisor.stop()
            return found

        def terminate_all() -> float:
            supervisor = system.start(DynamicSupervisor)
            started = [start_child(supervisor, spec).ref for _ in range(count)]
            found = rate(count, lambda: terminate_each(supervisor, started))
            supervisor.stop()
            return found

        def stop_all() -> float:
            supervisor = system.start(DynamicSupervisor)
            for _ in range(count):
                start_child(supervisor, spec)
            return rate(count, supervisor.stop)

        found = effort.interleave(
            {
                "start": start_all,
                "beam": (lambda: count * 1e9 / beam.measure("start", count)) if beam is not None else None,
                "terminate": terminate_all,
                "stop": stop_all,
            }
        )
    return {
        "start_child_per_s": found.figure("start", "children/s"),
        "start_child_per_s_beam": found.figure("beam", "children/s"),
        "start_child_vs_beam": found.ratio("start", "beam"),
        "terminate_child_per_s": found.figure("terminate", "children/s"),
        "stop_children_per_s": found.figure("stop", "children/s"),
    }
