"""A worker pool under the simulation: clients submit tasks while the pool's actor crashes and is killed.

``make simulate WORKLOAD=tests.simulation.pool_workload:pools`` runs it. What must hold: every
task that was taken in has one outcome in the end, and keeps it; none runs more often than its
retries allow; the books of the pool balance whenever somebody looks.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress

from supervisors import SupervisorsError
from supervisors.pools import Backlog, Retry, WorkerPool
from supervisors.simulation import ALL_WITHIN_CONTRACT, FAULT_KINDS, SimulationOptions, with_options
from supervisors.simulation.simulation import Client
from supervisors.supervision.backoff import Backoff

__all__ = ["World", "pools"]

CLIENTS = 4
ROUNDS = 15
RETRIES = 2
OFTEN = {kind: FAULT_KINDS[kind].chance * 3 for kind in ALL_WITHIN_CONTRACT}


class TaskRaisedError(Exception):
    """What a task of the workload raises."""


def spare(ref):
    return ref.parent is None or ref.actor_class is Client


@with_options(SimulationOptions(faults=OFTEN, steps_max=50_000, spare=spare))
def pools(simulation):
    """Let clients submit, cancel and wait for tasks, some of which raise, and close the pool."""
    pool = _open(simulation)
    world = World(simulation, pool)
    for answer in [simulation.client(world.use, number) for number in simulation.parts("users", range(CLIENTS))]:
        answer.get(timeout=None)
    simulation.recover()
    world.judge()


def _open(simulation):
    # A fault may hit the very first start; then somebody tries again.
    tries = 50
    while True:
        tries -= 1
        try:
            return WorkerPool(
                None,
                3,
                kind="inline",
                system=simulation.system,
                name="pool",
                backlog=Backlog(count_max=10),
                retry=Retry(times=RETRIES, on=("died", "error"), backoff=Backoff(min_seconds=0.1, max_seconds=1.0)),
            )
        except SupervisorsError:
            if not tries:
                raise
            simulation.sleep(1.0)


class World:
    """What clients know of what they were told."""

    def __init__(self, simulation, pool):
        self.simulation = simulation
        self.pool = pool
        self.tasks = {}
        self.outcomes = {}  # task -> its outcome as it was seen first
        self.runs = Counter()

    def look_at_books(self):
        with suppress(SupervisorsError):
            counted = self.pool.statistics()
            balance = counted.done + counted.failed + counted.returned + counted.pending
            assert counted.submitted == balance, f"books: {counted}"

    def use(self, number):
        random = self.simulation.entropy.stream(f"client {number}")
        for round_number in self.simulation.parts(f"rounds of client {number}", range(ROUNDS)):
            self.simulation.sleep(random.random() * 2.0)
            task = (number, round_number)
            try:
                future = self.tasks[task] = self.pool.submit(self.work, task, random.random() < 0.2)
            except SupervisorsError:
                continue  # it is full, has ended, or its actor has crashed over this
            dice = random.random()
            if dice < 0.1:
                with suppress(SupervisorsError):
                    future.cancel()
            elif dice < 0.5:
                self._wait(future, random.random() * 5.0)
                self.outcomes[task] = outcome_of(future)
            self.look_at_books()

    def _wait(self, future, seconds):
        # A future of a pool is one of the standard library's: its own wait takes real time.
        waited = 0.0
        while not future.done() and waited < seconds:
            self.simulation.sleep(0.25)
            waited += 0.25

    def work(self, task, raises):
        self.runs[task] += 1
        if raises:
            raise TaskRaisedError(task)
        return task

    def judge(self):
        for task, future in self.tasks.items():
            assert future.done(), f"task {task} has no outcome"
            outcome = outcome_of(future)
            before = self.outcomes.get(task)
            assert before in (None, outcome), f"task {task}: {before}, then {outcome}"
            if outcome[0] == "done":
                assert outcome[1] == task
                assert self.runs[task], f"task {task} is done and has never run"
            assert self.runs[task] <= 1 + RETRIES, f"task {task} has run {self.runs[task]} times"
        report = self.pool.close(drain_timeout=60.0)
        assert report.submitted == report.done + report.failed + len(report.returned), f"books: {report}"
        told = sum(1 for future in self.tasks.values() if outcome_of(future)[0] == "done")
        assert told == report.done, f"{told} futures have a value, the books say {report.done}"


def outcome_of(future):
    """Return what a future says: None while it is open."""
    if not future.done():
        return None
    try:
        return "done", future.result()
    except BaseException as error:  # noqa: BLE001 - cancelled ones raise what is no Exception
        return "failed", type(error).__name__
