"""When plain tasks and workers are left to the lane, and how they come back (pure).

**When.** While nothing is left to decide: every task is plain, every worker that is up
takes part, nobody borrows, waits for room, leaves, or waits for a task of its own pool.

**What it may cost.** Releasing takes a step for each worker and each task in line, and
so does absorbing. If every single event that needs a decision could cost that, a
storm of cancels over a long line would take quadratic time. So it is paid for in
advance: each task that comes in or ends under the engine's eyes earns a step.
"""

from __future__ import annotations

from collections.abc import Callable

from supervisors.pools.books import Books
from supervisors.pools.effects import Release
from supervisors.pools.inputs import Absorb, LaneFigures
from supervisors.pools.options import PoolOptions
from supervisors.pools.records import QUEUED, UP, Task
from supervisors.pools.running import CREDIT_MAX, Running

__all__ = ["Releasing"]


class Releasing(Running):
    """The part of the engine that leaves to the lane what needs no decision."""

    def __init__(self, options: PoolOptions, draw: Callable[[], float], books: Books) -> None:
        super().__init__(options, draw, books)
        self.has_lane = False  # the performer says so, if its workers have one
        self.counted: LaneFigures | None = None  # the last ones of the lane

    def _release(self) -> None:
        """Release what there is, if nothing is left to decide."""
        if self._specials or self.state != "running" or self.max_overflow or self.tickets or self.lent:
            return
        if self.failure is not None or self._room_line or self.waiting_workers or self._recycle_line:
            return
        cost = self.shared.count + len(self.workers)
        if self.credit < cost or self._recycling is not None:
            return
        ups = [worker for worker in self.workers.values() if worker.state is UP]
        busy = [worker for worker in ups if worker.in_flight]
        if not ups or any(worker.leaving for worker in ups) or len(busy) + self.shared.count != self.tally.pending:
            return
        self.credit = min(self.credit - cost, CREDIT_MAX)
        free = tuple(self.free)
        for worker in list(self.free.values()):
            self._take_free(worker)
        running = tuple((worker.id, worker.in_flight.popleft()) for worker in busy)
        for _, task in running:
            task.worker = None
        self._out.append(Release(free, running, tuple(self._queued())))

    def _queued(self) -> list[Task]:
        """Take everything out of the shared line, in order."""
        tasks = []
        while (task := self.shared.head()) is not None:
            self.shared.pop_head()
            self.room.leave(task)
            tasks.append(task)
        return tasks

    def _absorb(self, event: Absorb) -> None:
        """Take back what was released, and what has come since."""
        self.count(event.figures)
        for number, done in event.tasks_done:
            self.workers[number].tasks_done += done
        for number, task in sorted(event.running, key=lambda each: each[1].submitted_at):
            worker = self.workers[number]
            self._number_task(task)
            task.worker = worker
            worker.in_flight.append(task)
            if task.begun_at is None:  # it lies in an inbox
                self.tally.waits.add(self._now - task.queued_at)
                self._begin_run(task)
        for task in event.queued:
            self._number_task(task)
            task.state = QUEUED
            self.room.enter(task)
            self.shared.push(task)
        for number in event.free:
            self._feed(self.workers[number])

    def _number_task(self, task: Task) -> None:
        if not task.order:
            self.books.orders += 1
            task.order = self.books.orders

    def count(self, figures: LaneFigures) -> None:
        """Take in what the lane has done since the last time."""
        tally = self.tally
        # No call until the last counter, so no signal handler either: it is all counted, or none of it.
        self.counted = figures
        tally.submitted += figures.submitted
        tally.pending += figures.submitted - figures.done - figures.failed
        tally.done += figures.done
        tally.failed += figures.failed
        tally.refused += figures.refused
        if figures.done:
            self.faults = 0
        tally.waits.add_all(figures.waits)
        tally.runs.add_all(figures.runs)
