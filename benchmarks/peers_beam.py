"""How many one-way messages does an actor take, and how much memory when idle, beside Erlang's and Pykka's?

Workload: one sender sends to one actor that counts; the clock stops when it has counted
all. And a thousand actors are started that do nothing: Erlang says itself what they take,
for Pykka it is what the process has grown by, and for ours what Python has allocated.

Run it where Erlang is installed (`erl`): `python -m benchmarks.peers_beam`. In the group
`kernel` are the same figures of ours alone.
"""

from __future__ import annotations

import gc
import shutil
import subprocess
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, Final

import psutil
import pykka

from supervisors import Actor, ActorSystem

RUNS: Final = 8
MESSAGES: Final = 200_000
IDLE: Final = 1_000

# Prints messages a second, and bytes of a process.
_ERLANG: Final = """
-module(idle_and_told).
-export([main/0]).
count(0, From) -> From ! done;
count(Left, From) -> receive _ -> count(Left - 1, From) end.
send(_, 0) -> ok;
send(Pid, Left) -> Pid ! tell, send(Pid, Left - 1).
main() ->
    Self = self(),
    Pid = spawn(fun() -> count(MESSAGES, Self) end),
    Begun = erlang:monotonic_time(microsecond),
    send(Pid, MESSAGES),
    receive done -> ok end,
    Took = erlang:monotonic_time(microsecond) - Begun,
    Before = erlang:memory(processes),
    [spawn(fun() -> receive stop -> ok end end) || _ <- lists:seq(1, IDLE)],
    Grown = erlang:memory(processes) - Before,
    io:format("~w ~w", [MESSAGES * 1000000 div Took, Grown div IDLE]),
    halt().
"""


def erlang() -> tuple[float, float]:
    """Measure processes of a node with two schedulers."""
    program = _ERLANG.replace("MESSAGES", str(MESSAGES * 10)).replace("IDLE", str(IDLE))
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "idle_and_told.erl").write_text(program)
        command = "erlc idle_and_told.erl && erl -noshell +S 2 -s idle_and_told main"
        done = subprocess.run(command, shell=True, cwd=folder, capture_output=True, text=True, check=True)  # noqa: S602 - our own program, and the Erlang of this machine
    rate, size = map(float, done.stdout.split())
    return rate, size


def ours() -> tuple[float, float]:
    """Measure inline actors."""

    class Counting(Actor):
        dispatch = "inline"
        count = 0

        def on_receive(self, _: Any) -> int:
            self.count += 1
            return self.count

    with ActorSystem() as system:
        rate = _rate(system.start(Counting))
        gc.collect()
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        kept = [system.start(Counting) for _ in range(IDLE)]
        size = (tracemalloc.get_traced_memory()[0] - before) / len(kept)
        tracemalloc.stop()
    return rate, size


def stock_pykka() -> tuple[float, float]:
    """Measure `ThreadingActor`s."""

    class Counting(pykka.ThreadingActor):
        count = 0

        def on_receive(self, _: Any) -> int:
            self.count += 1
            return self.count

    counting = Counting.start()
    rate = _rate(counting)
    memory: Callable[[], int] = lambda: psutil.Process().memory_info().rss  # noqa: E731 - as short as what it stands for
    before = memory()
    kept = [Counting.start() for _ in range(IDLE)]
    size = (memory() - before) / len(kept)
    for actor in (counting, *kept):
        actor.stop(block=False)
    return rate, size


def _rate(actor: Any) -> float:
    begun = time.perf_counter()
    for _ in range(MESSAGES):
        actor.tell("tell")
    assert actor.ask("how many") == MESSAGES + 1
    return MESSAGES / (time.perf_counter() - begun)


CONTENDERS: Final = (("supervisors", ours), ("Pykka", stock_pykka), ("Erlang", erlang))


def main() -> None:
    """Measure whoever is installed, in turns."""
    print("one-way messages a second, and bytes of an idle actor: median, lowest and highest of", RUNS)
    found: dict[str, list[tuple[float, float]]] = {}
    for _ in range(RUNS):
        for name, measure in CONTENDERS:
            if name != "Erlang" or shutil.which("erl") is not None:
                found.setdefault(name, []).append(measure())
    for name, runs in found.items():
        for values in zip(*runs, strict=True):
            print(f"{name:16} {median(values):12,.0f} {min(values):12,.0f} {max(values):12,.0f}")


if __name__ == "__main__":
    main()
