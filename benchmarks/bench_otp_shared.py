"""What do restarts, starts and calls cost when the actors are `shared`, as they are by default?

Workload: as in `bench_otp`, with children and a state machine that the worker pool runs. Each
turn is one on another thread, and whoever waits for it is woken by the system: that is what
these figures are made of. Keys of the group without `shared` in them are of `inline` actors.

Does not show: more than one caller at a time, where turns overlap.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import ClassVar

from benchmarks.bench_otp import NEVER_TOO_MANY, Ring, call_many, unlogged
from benchmarks.bench_otp_storm import SharedChild, Slot
from benchmarks.harness import Effort, Figure, benchmark, rate
from supervisors import ActorSystem
from supervisors.supervision.calls import start_child
from supervisors.supervision.child_spec import ChildSpec
from supervisors.supervision.dynamic import DynamicSupervisor
from supervisors.supervision.supervisor import Supervisor


class SharedRing(Ring):
    """The same on the worker pool."""

    dispatch: ClassVar[str] = "shared"


@benchmark("otp")
def shared_actors(effort: Effort) -> Mapping[str, Figure]:
    """How long is a shared child away, how many start a second, and how fast is a shared machine called?"""
    crashes = effort.size(200, smoke=5)
    starts = effort.size(2_000, smoke=20)
    calls = effort.size(10_000, smoke=50)
    with unlogged(), ActorSystem(shutdown_timeout=60.0) as system:
        machine = system.start(SharedRing)

        def restart() -> float:
            slot = Slot(SharedChild)
            supervisor = system.start(
                Supervisor, [ChildSpec("child", SharedChild, (slot.up,))], max_restarts=NEVER_TOO_MANY
            )
            for _ in range(crashes):
                slot.crash()
                slot.await_restart()
            supervisor.stop()
            return statistics.median(slot.seconds) * 1e6

        def start_all() -> float:
            supervisor = system.start(DynamicSupervisor)
            spec = ChildSpec("child", SharedChild, restart="temporary")
            found = rate(starts, lambda: [start_child(supervisor, spec) for _ in range(starts)])
            supervisor.stop()
            return found

        found = effort.interleave(
            {"restart": restart, "start": start_all, "call": lambda: rate(calls, lambda: call_many(machine, calls))}
        )
    return {
        "restart_p50_us_shared": found.figure("restart", "us"),
        "start_child_per_s_shared": found.figure("start", "children/s"),
        "statem_call_per_s_shared": found.figure("call", "calls/s"),
    }
