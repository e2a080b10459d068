"""How fast does the simulator choose and run?

Workload: twenty actors in a ring pass numbers on, under random order, with the stock
checkers and the transcript's hash; and twenty clients ask one actor that asks another,
so that every ask waits on a stack of its own. For the ratio, a hundred sessions that
are touched every ten minutes for a day, with the stock checkers as well.

Does not show: what a program's own handlers cost, shrinking, or faults.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from benchmarks.harness import Effort, Figure, benchmark
from sessionactors import SessionSystem
from supervisors import Actor, ActorRef
from supervisors.simulation import Outcome, Simulation, SimulationOptions, run_seed

OPTIONS = SimulationOptions(schedule="random", keep_transcript=False)
RING = 20
SESSIONS = 100


class Link(Actor):
    """Passes a number on, one less."""

    dispatch = "inline"
    following: ActorRef[Any]

    def on_receive(self, message: Any) -> None:
        if message.__class__ is not int:
            self.following = message
        elif message:
            self.following.tell(message - 1)


class Relay(Actor):
    """Asks an actor for the reply."""

    def on_receive(self, message: Any) -> Any:
        ref, inner = message
        return ref.ask(inner)


class Echo(Actor):
    """Replies with what it gets."""

    dispatch = "inline"

    def on_receive(self, message: Any) -> Any:
        return message


@benchmark("simulation")
def simulated_steps(effort: Effort) -> Mapping[str, Figure]:
    """Run messages between actors, and asks that wait."""
    hops, asks = effort.size(1_000, smoke=20), effort.size(20, smoke=2)

    def ring(simulation: Simulation) -> None:
        refs = [simulation.system.start(Link) for _ in range(RING)]
        for ref, following in zip(refs, refs[1:] + refs[:1], strict=True):
            ref.tell(following)
        for ref in refs:
            ref.tell(hops)
        simulation.system.settle()

    def waiting(simulation: Simulation) -> None:
        echo, relay = simulation.system.start(Echo), simulation.system.start(Relay)

        def client() -> None:
            for number in range(asks):
                relay.ask((echo, number), timeout=None)

        for answer in [simulation.client(client) for _ in range(RING)]:
            answer.get()

    compared = effort.interleave(
        {
            "steps": lambda: _rate(ring),
            "waiting": lambda: _rate(waiting),
        }
    )
    return {
        "sim_steps_per_s": compared.figure("steps", "steps/s"),
        "sim_waiting_steps_per_s": compared.figure("waiting", "steps/s"),
    }


@benchmark("simulation")
def simulated_time(effort: Effort) -> Mapping[str, Figure]:
    """Let a day pass for sessions that are idle nearly all of it."""
    hours = effort.size(24, smoke=1)

    def idle_sessions(simulation: Simulation) -> None:
        with SessionSystem(actors=simulation.system, session={"idle_timeout": None}) as system:
            for number in range(SESSIONS):
                system.start_session(f"session-{number}")
                system.authenticate(f"session-{number}", {"authenticated": True})
                system.activate(f"session-{number}")
            for _ in range(hours * 6):
                simulation.sleep(600.0)
                for number in range(SESSIONS):
                    system.touch(f"session-{number}")

    def ratio() -> float:
        begun = time.perf_counter()
        outcome = run_seed(idle_sessions, 1, OPTIONS)
        assert not outcome.failed, outcome
        return hours * 3600.0 / (time.perf_counter() - begun)

    compared = effort.interleave({"ratio": ratio})
    return {"sim_to_real_time_ratio": compared.figure("ratio", "x")}


def _rate(workload: Any) -> float:
    """Return steps a second of one whole run, its start and its judgement included."""
    begun = time.perf_counter()
    outcome: Outcome = run_seed(workload, 1, OPTIONS)
    assert not outcome.failed, outcome
    return outcome.steps / (time.perf_counter() - begun)
