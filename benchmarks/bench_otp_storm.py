"""Does a storm of crashes upset a tree of supervisors: is one missed, is the tree afterwards as it should be?

Workload: 104 children of one supervisor, half of them `inline`, half `shared`. Ten times
a second four threads crash all of them at the same moment, each thread a quarter: a
good thousand crashes a second, for ten seconds. So crashes overlap with each other, with
the restarts of others, and, for the shared half, on the threads of the pool. A crash that is
not answered by exactly one restart, a message that finds a dead child, or a tree that is
not as it should be afterwards, fails the benchmark. A rate is of one second, kept up
through all of them. The same storm against children of one kind is measured besides.

Does not show: how many crashes a second there could be; the storm is paced, and a rate
below a thousand means that restarts did not keep up.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, ClassVar, Final, final

from benchmarks.bench_otp import NEVER_TOO_MANY, Child, unlogged
from benchmarks.harness import Effort, Figure, benchmark, figure
from supervisors import ActorRef, ActorSystem
from supervisors.supervision.calls import count_children, which_children
from supervisors.supervision.child_spec import ChildSpec
from supervisors.supervision.supervisor import Supervisor

CHILDREN: Final = 104
THREADS: Final = 4
BURSTS_PER_SECOND: Final = 10
RESTART_SECONDS_MAX: Final = 10.0


class SharedChild(Child):
    """The same on the worker pool."""

    dispatch: ClassVar[str] = "shared"


@final
class Slot:
    """One child of the tree: who it is now, how often it has come up, and how long its restarts took."""

    def __init__(self, kind: type[Child]) -> None:
        self.kind = kind
        self.ref: ActorRef[Any] | None = None
        self.starts = 0
        self.crashes = 0
        self.seconds: list[float] = []
        self._told = 0.0
        self._is_up = threading.Semaphore(0)

    def up(self, ref: ActorRef[Any]) -> None:
        """Take a new child in; called in its constructor, so by its supervisor's turn."""
        self.ref = ref
        self.starts += 1
        if self.crashes:
            self.seconds.append(time.perf_counter() - self._told)
            self._is_up.release()

    def crash(self) -> None:
        """Have the child crash; the restart is awaited by `await_restart()`."""
        assert self.ref is not None
        self.crashes += 1
        self._told = time.perf_counter()
        self.ref.send("crash")

    def await_restart(self) -> None:
        """Wait until the crash is answered."""
        if not self._is_up.acquire(timeout=RESTART_SECONDS_MAX):
            raise RuntimeError(f"a crash was not answered by a restart within {RESTART_SECONDS_MAX:g} seconds")


@final
class Storm:
    """The threads that crash all children at the same moments.

    Args:
        slots: the children.
        bursts: how often each is crashed.
    """

    def __init__(self, slots: list[Slot], bursts: int) -> None:
        self._slots = slots
        self._bursts = bursts
        self._together = threading.Barrier(THREADS)
        self._failures: list[BaseException] = []
        self.moments: list[float] = []

    def blow(self) -> None:
        """Run the storm to its end."""
        threads = [threading.Thread(target=self._crash, args=(number,)) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._failures:
            raise self._failures[0]

    def _crash(self, number: int) -> None:
        own = self._slots[number::THREADS]
        begun = time.perf_counter()
        try:
            for burst in range(self._bursts):
                ahead = begun + burst / BURSTS_PER_SECOND - time.perf_counter()
                if ahead > 0:
                    time.sleep(ahead)
                self._together.wait(RESTART_SECONDS_MAX * 2)
                if not number:
                    self.moments.append(time.perf_counter())
                for slot in own:
                    slot.crash()
                for slot in own:
                    slot.await_restart()
        except BaseException as error:  # noqa: BLE001 - it is raised where the storm was asked for
            self._failures.append(error)
            self._together.abort()


def run_storm(effort: Effort, kinds: tuple[type[Child], ...]) -> tuple[list[float], list[float]]:
    """Run one storm over a tree of its own; return crashes a second, second by second, and all restart times."""
    seconds = effort.size(10, smoke=1)
    count = effort.size(CHILDREN, smoke=8)
    slots = [Slot(kinds[number % len(kinds)]) for number in range(count)]
    with unlogged(), ActorSystem() as system:
        specs = [ChildSpec(number, slot.kind, (slot.up,)) for number, slot in enumerate(slots)]
        supervisor = system.start(Supervisor, specs, max_restarts=NEVER_TOO_MANY, max_seconds=0.001)
        storm = Storm(slots, seconds * BURSTS_PER_SECOND + 1)
        storm.blow()
        _check(system, supervisor, slots)
        moments = storm.moments[::BURSTS_PER_SECOND]
    rates = [count * BURSTS_PER_SECOND / (end - start) for start, end in pairwise(moments)]
    return rates, [each for slot in slots for each in slot.seconds]


def _check(system: ActorSystem, supervisor: ActorRef[Any], slots: list[Slot]) -> None:
    """Compare the tree with its specification, and restarts with crashes."""
    crashes = sum(slot.crashes for slot in slots)
    restarts = sum(slot.starts - 1 for slot in slots)
    if restarts != crashes or any(slot.starts != slot.crashes + 1 for slot in slots):
        raise RuntimeError(f"{crashes} crashes, {restarts} restarts")
    if system.dead_letters:
        raise RuntimeError(f"{system.dead_letters} crashes have found a dead child")
    counted = count_children(supervisor)
    if counted.active != len(slots) or counted.specs != len(slots):
        raise RuntimeError(f"{len(slots)} children are specified, {counted.active} live")
    found = {record.id: record.ref for record in which_children(supervisor)}
    if any(found[number] is not slot.ref for number, slot in enumerate(slots)):
        raise RuntimeError("the supervisor does not have the children that came up last")
    if any(slot.ref is None or slot.ref.ask("ready") != "ready" for slot in slots):
        raise RuntimeError("a child does not reply after the storm")


@benchmark("otp")
def crash_storm(effort: Effort) -> Mapping[str, Figure]:
    """Is every crash of a storm answered by one restart?"""
    both, times = run_storm(effort, (Child, SharedChild))
    inline, _ = run_storm(effort, (Child,))
    shared, _ = run_storm(effort, (SharedChild,))
    slowest = sorted(times)[len(times) * 99 // 100] * 1e3
    return {
        "crash_storm_per_s": figure(both, "restarts/s"),
        "crash_storm_per_s_inline": figure(inline, "restarts/s"),
        "crash_storm_per_s_shared": figure(shared, "restarts/s"),
        "crash_storm_restart_p99_ms": figure([slowest], "ms"),
    }
