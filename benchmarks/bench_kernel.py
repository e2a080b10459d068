"""How fast is the kernel, against stock Pykka and against Erlang, in one run?

Workload: echo actors. One caller asks one actor; eight threads ask a thousand
actors; one sender tells one actor; a hundred thousand actors are started and
stopped; one actor is flooded while another one is asked; timers are armed and
cancelled above a million pending ones.

It does not show what handlers cost, which is nearly everything in a real program,
nor memory under load. Erlang is measured with ``gen_server:call`` to an echo server
in a node of its own that runs beside; without ``erl`` its rows are empty.
"""

from __future__ import annotations

import asyncio
import gc
import shutil
import subprocess
import tempfile
import threading
import time
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pykka

from benchmarks.harness import Effort, Figure, benchmark, figure, rate
from supervisors import Actor, ActorSystem, VirtualClock

SESSION_SECONDS = 3600.0

ECHO_ERL = """
-module(echo).
-export([main/1, init/1, handle_call/3, handle_cast/2]).

init([]) -> {ok, []}.
handle_call(Message, _From, State) -> {reply, Message, State}.
handle_cast(_Message, State) -> {noreply, State}.

main([Count]) ->
    {ok, Pid} = gen_server:start_link(?MODULE, [], []),
    call(Pid, list_to_integer(atom_to_list(Count)) div 10),
    loop(Pid, list_to_integer(atom_to_list(Count))).

%% One line in, one measurement out, until the pipe is closed.
loop(Pid, Count) ->
    case io:get_line("") of
        eof -> halt(0);
        _ ->
            Start = erlang:monotonic_time(nanosecond),
            call(Pid, Count),
            Took = erlang:monotonic_time(nanosecond) - Start,
            io:format("~p~n", [Took]),
            loop(Pid, Count)
    end.

call(_Pid, 0) -> ok;
call(Pid, Count) -> Count = gen_server:call(Pid, Count), call(Pid, Count - 1).
"""


class Inline(Actor):
    """Replies with what it gets, on whichever thread has it."""

    dispatch = "inline"

    def on_receive(self, message: Any) -> Any:
        return message


class Shared(Inline):
    """The same on the worker pool."""

    dispatch = "shared"


class Stock(pykka.ThreadingActor):
    """The same in stock Pykka."""

    def on_receive(self, message: Any) -> Any:
        return message


class Slow(Inline):
    """Takes half a millisecond for a message, as ordinary code does."""

    dispatch = "shared"

    def on_receive(self, message: Any) -> Any:
        end = time.perf_counter() + 0.0005
        while time.perf_counter() < end:
            pass


class Beam:
    """A running Erlang node with an echo server."""

    def __init__(self, erl: str, erlc: str, calls: int) -> None:
        self._folder = tempfile.TemporaryDirectory()
        (Path(self._folder.name) / "echo.erl").write_text(ECHO_ERL)
        self._calls = calls
        subprocess.run([erlc, "echo.erl"], cwd=self._folder.name, check=True)  # noqa: S603 - our own program
        self._node = subprocess.Popen(  # noqa: S603
            [erl, "-noshell", "-s", "echo", "main", str(calls)],
            cwd=self._folder.name,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def calls_per_second(self) -> float:
        """Measure once."""
        assert self._node.stdin is not None
        assert self._node.stdout is not None
        self._node.stdin.write("go\n")
        self._node.stdin.flush()
        return self._calls / (int(self._node.stdout.readline()) / 1e9)

    def close(self) -> None:
        """End the node."""
        assert self._node.stdin is not None
        assert self._node.stdout is not None
        self._node.stdin.close()
        self._node.stdout.close()
        self._node.wait(timeout=30)
        self._folder.cleanup()


def ask_many(ref: pykka.ActorRef[Any], count: int) -> None:
    """Ask one actor so many times."""
    ask = ref.ask
    for number in range(count):
        ask(number)


def tell_many(ref: pykka.ActorRef[Any], count: int) -> None:
    """Tell one actor so many times, and wait until it has handled all."""
    tell = ref.tell
    for number in range(count):
        tell(number)
    ref.ask("done")


def pass_many(count: int) -> None:
    """Pass the turn to another thread and back so many times, by two bare locks.

    Nothing that has a caller wait for another thread can be faster than this.
    """
    there, back = threading.Lock(), threading.Lock()
    there.acquire()
    back.acquire()

    def answer() -> None:
        for _ in range(count):
            there.acquire()
            back.release()

    thread = threading.Thread(target=answer)
    thread.start()
    for _ in range(count):
        there.release()
        back.acquire()
    thread.join()


def ask_from_threads(refs: Sequence[pykka.ActorRef[Any]], callers: int, count: int) -> None:
    """Have threads ask the actors in turn, each so many times."""

    def call(seed: int) -> None:
        many = len(refs)
        for number in range(count):
            refs[(seed * 127 + number) % many].ask(number)

    threads = [threading.Thread(target=call, args=(seed,)) for seed in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@benchmark("kernel")
def ask(effort: Effort) -> Mapping[str, Figure]:
    """How long does a call and its reply take, one caller and one actor?"""
    count = effort.size(100_000, smoke=200)
    few = effort.size(5_000, smoke=50)
    erl, erlc = shutil.which("erl"), shutil.which("erlc")
    beam = Beam(erl, erlc, count) if erl is not None and erlc is not None else None
    stock = Stock.start()
    try:
        with ActorSystem() as system:
            inline, shared = system.start(Inline), system.start(Shared)
            found = effort.interleave(
                {
                    "inline": lambda: rate(count, lambda: ask_many(inline, count)),
                    "shared": lambda: rate(few, lambda: ask_many(shared, few)),
                    "pykka": lambda: rate(few, lambda: ask_many(stock, few)),
                    "locks": lambda: rate(few, lambda: pass_many(few)),
                    "beam": beam.calls_per_second if beam is not None else None,
                }
            )
    finally:
        stock.stop()
        if beam is not None:
            beam.close()
    return {
        "ask_inline_per_s": found.figure("inline", "calls/s"),
        "ask_inline_vs_pykka": found.ratio("inline", "pykka"),
        "ask_inline_vs_beam": found.ratio("inline", "beam"),
        "ask_shared_vs_pykka": found.ratio("shared", "pykka"),
        "thread_round_trip_vs_pykka": found.ratio("locks", "pykka"),
    }


@benchmark("kernel")
def ask_concurrently(effort: Effort) -> Mapping[str, Figure]:
    """What do eight callers get out of a thousand actors?"""
    many = effort.size(1_000, smoke=10)
    count = effort.size(10_000, smoke=20)
    few = effort.size(500, smoke=5)
    stock = [Stock.start() for _ in range(many)]
    try:
        with ActorSystem() as system:
            ours = [system.start(Inline) for _ in range(many)]
            found = effort.interleave(
                {
                    "ours": lambda: rate(8 * count, lambda: ask_from_threads(ours, 8, count)),
                    "pykka": lambda: rate(8 * few, lambda: ask_from_threads(stock, 8, few)),
                }
            )
    finally:
        for future in [ref.stop(block=False) for ref in stock]:
            future.get()
    return {"ask_8_callers_1000_actors_vs_pykka": found.ratio("ours", "pykka")}


@benchmark("kernel")
def tell(effort: Effort) -> Mapping[str, Figure]:
    """How many one-way messages does one actor handle?"""
    count = effort.size(200_000, smoke=200)
    few = effort.size(40_000, smoke=100)
    stock = Stock.start()
    try:
        with ActorSystem() as system:
            inline, shared = system.start(Inline), system.start(Shared)
            found = effort.interleave(
                {
                    "inline": lambda: rate(count, lambda: tell_many(inline, count)),
                    "shared": lambda: rate(count, lambda: tell_many(shared, count)),
                    "pykka": lambda: rate(few, lambda: tell_many(stock, few)),
                }
            )
    finally:
        stock.stop()
    return {
        "tell_per_s": found.figure("inline", "messages/s"),
        "tell_shared_per_s": found.figure("shared", "messages/s"),
        "tell_vs_pykka": found.ratio("inline", "pykka"),
    }


@benchmark("kernel")
def start_and_stop(effort: Effort) -> Mapping[str, Figure]:
    """How fast do actors come and go, and does it matter how many there are?

    Whole runs of 10,000, 100,000 and 400,000 starts are compared: a full collection of garbage
    walks all actors, but the more there are the rarer it is. The last tenth of the
    100,000 shows what one of them costs when it comes. With `_uncollected` the collector is off
    during the starts: what is left then is our own.
    """
    few, many, most = (effort.size(full, smoke=full // 1_000) for full in (10_000, 100_000, 400_000))
    falling: list[float] = []

    def start_all(system: ActorSystem, refs: list[Any], count: int) -> list[float]:
        tenths = []
        for _ in range(10):
            begun = time.perf_counter()
            refs.extend(system.start(Inline) for _ in range(count // 10))
            tenths.append(time.perf_counter() - begun)
        return tenths

    def start(count: int, *, collected: bool = True) -> float:
        with ActorSystem() as system:
            if not collected:
                gc.disable()
            try:
                tenths = start_all(system, [], count)
            finally:
                gc.enable()
        if count == many:
            falling.append(tenths[0] / tenths[-1])
        return count / sum(tenths)

    def stop() -> float:
        with ActorSystem() as system:
            refs: list[Any] = []
            start_all(system, refs, many)
            return rate(many, lambda: [ref.stop() for ref in refs])

    found = effort.interleave({
        "10k": lambda: start(few),
        "100k": lambda: start(many),
        "400k": lambda: start(most),
        "10k uncollected": lambda: start(few, collected=False),
        "400k uncollected": lambda: start(most, collected=False),
        "stop": stop,
    })  # fmt: skip
    return {
        "start_per_s_10k": found.figure("10k", "actors/s"),
        "start_per_s_100k": found.figure("100k", "actors/s"),
        "start_per_s_400k": found.figure("400k", "actors/s"),
        "start_400k_vs_100k": found.ratio("400k", "100k"),
        "start_400k_vs_10k_uncollected": found.ratio("400k uncollected", "10k uncollected"),
        "start_last_tenth_vs_first": figure(falling, "x"),
        "stop_per_s_100k": found.figure("stop", "actors/s"),
    }


@benchmark("kernel")
def memory(effort: Effort) -> Mapping[str, Figure]:
    """How many bytes does an idle actor take that is linked and monitored?"""
    count = effort.size(20_000, smoke=100)

    class Parent(Shared):
        def on_receive(self, message: Any) -> Any:
            refs = []
            for _ in range(message):
                ref = Inline.start_link()
                self.monitor(ref)
                refs.append(ref)
            return refs

    def settle(refs: Sequence[pykka.ActorRef[Any]]) -> None:
        # Whoever replies has handled all that came before, such as being linked.
        for ref in refs:
            ref.ask("x")

    def bytes_each(start: Callable[[ActorSystem], Any]) -> float:
        with ActorSystem(slow_inline_turn=None) as system:
            settle(start(system))
            gc.collect()
            tracemalloc.start()
            try:
                before = tracemalloc.get_traced_memory()[0]
                kept = start(system)
                settle(kept)
                gc.collect()
                return (tracemalloc.get_traced_memory()[0] - before) / len(kept)
            finally:
                tracemalloc.stop()

    found = effort.interleave(
        {
            "plain": lambda: bytes_each(lambda system: [system.start(Inline) for _ in range(count)]),
            "linked": lambda: bytes_each(lambda system: system.start(Parent).ask(count, timeout=None)),
        }
    )
    return {
        "bytes_per_actor": found.figure("plain", "bytes"),
        "bytes_per_linked_actor": found.figure("linked", "bytes"),
    }


@benchmark("kernel")
def fairness(effort: Effort) -> Mapping[str, Figure]:
    """How long does a bystander's answer take while another actor is flooded?"""
    asks = effort.size(200, smoke=5)
    flood = effort.size(2_000, smoke=20)

    def p99() -> float:
        with ActorSystem() as system:
            flooded, bystander = system.start(Slow), system.start(Shared)
            for _ in range(flood):
                flooded.tell("x")
            waits = []
            for _ in range(asks):
                begun = time.perf_counter()
                bystander.ask("x")
                waits.append(time.perf_counter() - begun)
            flooded.kill()
            waits.sort()
            return waits[int(len(waits) * 0.99)]

    found = effort.interleave({"ours": p99})
    return {"bystander_p99_ms_under_flood": found.figure("ours", "ms", scale=1000.0)}


@benchmark("kernel")
def ask_from_asyncio(effort: Effort) -> Mapping[str, Figure]:
    """How long does ``await ref.ask_async(...)`` take?"""
    count = effort.size(50_000, smoke=100)
    few = effort.size(2_000, smoke=20)

    async def many(ref: Any, times: int) -> None:
        for number in range(times):
            await ref.ask_async(number)

    def seconds_each(ref: Any, times: int) -> float:
        return 1.0 / rate(times, lambda: asyncio.run(many(ref, times)))

    with ActorSystem() as system:
        inline, shared = system.start(Inline), system.start(Shared)
        found = effort.interleave(
            {"inline": lambda: seconds_each(inline, count), "shared": lambda: seconds_each(shared, few)}
        )
    return {
        "ask_async_us": found.figure("inline", "us", scale=1e6),
        "ask_async_shared_us": found.figure("shared", "us", scale=1e6),
    }


@benchmark("kernel")
def timers(effort: Effort) -> Mapping[str, Figure]:
    """How fast can timers be armed and cancelled while a million are pending?"""
    pending = effort.size(1_000_000, smoke=1_000)
    count = effort.size(100_000, smoke=100)
    with ActorSystem(clock=VirtualClock()) as system:
        ref = system.start(Inline)
        service = system.timers
        step = SESSION_SECONDS / pending
        for number in range(pending):
            service.send_after(number * step, ref, "x")

        def insert_and_cancel() -> None:
            for number in range(count):
                service.send_after((number * 7919 % pending) * step, ref, "x").cancel()

        gc.freeze()  # the million is the stage, not the play
        try:
            found = effort.interleave({"ours": lambda: rate(count, insert_and_cancel)})
        finally:
            gc.unfreeze()
    return {"timer_insert_cancel_per_s_1m": found.figure("ours", "timers/s")}
