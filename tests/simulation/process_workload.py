"""Processes under the simulation: actors and pools whose processes die in every way, and coroutines in pools.

``make simulate WORKLOAD=tests.simulation.process_workload:processes`` runs actors, and
`...:pool_processes` pools. What must hold: every request gets an answer or an error in the
end, and never a wrong one; an actor whose process has died is started again by its
supervisor; every task of a pool has one outcome and keeps it; when all is over, no process is left.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from supervisors import Actor, ChildSpec, Supervisor, SupervisorsError
from supervisors.pools import Retry, WorkerPool
from supervisors.simulation import ALL_WITHIN_CONTRACT, FAULT_KINDS, SimulationOptions, with_options
from supervisors.simulation.simulation import Client
from supervisors.supervision.backoff import Backoff

__all__ = ["OFTEN", "PROCESS_KINDS", "Adder", "in_the_end", "pool_processes", "processes", "spare", "square"]

ROUNDS = 8
CLIENTS = 3
PROCESS_KINDS = tuple(kind for kind in FAULT_KINDS if FAULT_KINDS[kind].point.startswith("process"))
OFTEN = {kind: FAULT_KINDS[kind].chance * (3 if kind in PROCESS_KINDS else 1) for kind in ALL_WITHIN_CONTRACT}


class Adder(Actor):
    """Adds up, in a process of its own."""

    dispatch = "process"

    def __init__(self, name):
        super().__init__()
        self._name = name
        self._sum = 0

    def on_receive(self, message):
        kind, number = message
        if kind == "double":
            return 2 * number
        self._sum += number
        return self._sum


def square(number):
    return number * number


async def later(number):
    await asyncio.sleep(0.5)
    return number * number


def spare(ref):
    return ref.parent is None or ref.actor_class is Client


def in_the_end(simulation, make, *errors):
    """Try until it succeeds: a fault may hit the very first start."""
    for _ in range(50):
        with suppress(*errors):
            return make()
        simulation.sleep(1.0)
    return make()


@with_options(SimulationOptions(faults=OFTEN, steps_max=100_000, spare=spare))
def processes(simulation):
    """Ask supervised actors that live in processes, which die."""
    system = simulation.system
    children = [
        ChildSpec(name, lambda name=name: Adder.start_link(name), restart="permanent") for name in ("one", "two")
    ]

    def start():
        return system.start(
            Supervisor, children, max_restarts=10_000, max_seconds=3600, backoff=Backoff(max_seconds=5.0)
        )

    tree = in_the_end(simulation, start, SupervisorsError)
    answers = [simulation.client(_ask, simulation, number) for number in range(CLIENTS)]
    for answer in answers:
        answer.get(timeout=None)
    simulation.sleep(20.0)  # nobody asks: those that die now have to be missed all the same
    simulation.recover()
    assert tree.is_alive()
    alive = [ref for ref in system.actors() if ref.actor_class is Adder and ref.is_alive()]
    assert len(alive) == 2, f"{len(alive)} actors in processes"
    for ref in alive:
        assert ref.ask(("double", 21), timeout=60.0) == 42
    running = [process for process in system.machine.processes if process.poll() is None]
    assert len(running) == 2, f"{running} for two actors"


def _ask(simulation, number):
    random = simulation.entropy.stream(f"client {number}")
    for each in range(ROUNDS):
        simulation.sleep(random.random() * 3.0)
        adders = [ref for ref in simulation.system.actors() if ref.actor_class is Adder]
        for ref in adders:
            with suppress(SupervisorsError):
                assert ref.ask(("double", each), timeout=20.0) == 2 * each, "an answer to another question"


@with_options(SimulationOptions(faults=OFTEN, steps_max=100_000, spare=spare))
def pool_processes(simulation):
    """Give tasks to pools of processes and of coroutines."""
    system = simulation.system
    retry = Retry(times=3, on=("died",), backoff=Backoff(min_seconds=0.1, max_seconds=1.0))

    def make(kind, worker):
        return in_the_end(
            simulation,
            lambda: WorkerPool(worker, 2, kind=kind, system=system, retry=retry, start_timeout=15.0),
            SupervisorsError,
        )

    pools = [make("process", square), make("asyncio", later)]
    tasks = {}
    outcomes = {}

    def use(number):
        random = simulation.entropy.stream(f"client {number}")
        for each in range(ROUNDS):
            simulation.sleep(random.random() * 2.0)
            for place, pool in enumerate(pools):
                key = (number, each, place)
                with suppress(SupervisorsError):
                    tasks[key] = future = pool.submit(each, timeout=30.0)
                    if random.random() < 0.15:
                        future.cancel()
                    elif random.random() < 0.5:
                        outcomes[key] = _outcome(future, random.random() * 20.0)

    for answer in [simulation.client(use, number) for number in range(CLIENTS)]:
        answer.get(timeout=None)
    simulation.recover()
    for key, future in tasks.items():
        outcome = _outcome(future, 300.0)
        assert outcome is not None, f"task {key} has no outcome"
        assert outcomes.get(key) in (None, outcome), f"task {key}: {outcomes[key]}, then {outcome}"
        assert outcome[0] != "done" or outcome[1] == key[1] ** 2, f"task {key}: {outcome}"
    for pool in pools:
        report = pool.close(drain_timeout=60.0)
        assert report.submitted == report.done + report.failed + len(report.returned), f"books: {report}"
    simulation.sleep(1.0)
    running = [process for process in system.machine.processes if process.poll() is None]
    assert not running, f"left: {running}"


def _outcome(future, seconds):
    try:
        return "done", future.result(timeout=seconds)
    except TimeoutError:
        return ("failed", "TimeoutError") if future.done() else None
    except BaseException as error:  # noqa: BLE001 - cancelled ones raise what is no Exception
        return "failed", type(error).__name__
