"""The workers of a pool: starting, replacing, recycling, growing, shrinking, ending (pure).

A pool has `size` *places*. Each holds one worker at a time; when that one goes, the
place is filled again, so what belongs to a place (tasks with a key) finds somebody.
Workers without a place are overflow.

**Who is replaced when.** A worker that is killed for a task's sake, or dies while at
a task, is replaced at once: each such death has cost a task, so it cannot go in
circles. One that does not come up, or dies with nothing to do, is waited for ever
longer (`PoolOptions.restart`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any, Final

from supervisors.pools.backlog import Line, Room
from supervisors.pools.books import Books
from supervisors.pools.effects import Effect, Ended, KillWorker, Note, StartWorker, StopWorker
from supervisors.pools.errors import PoolFailedError
from supervisors.pools.inputs import Down, Measured, Resumes, StartFailed, Up, Waits
from supervisors.pools.options import PoolOptions
from supervisors.pools.records import DYING, RUNNING, STARTING, STOPPING, UP, Due, Task, Ticket, Worker
from supervisors.timers.deadlines import CountedDeadlines

__all__ = ["LINGER_SECONDS", "WAITS_MAX", "Staffing"]

LINGER_SECONDS: Final = 1.0
"""How long a worker that has stood in for a waiting one stays idle before it ends."""

WAITS_MAX: Final = 256
"""Workers that may wait for other tasks of their own pool at one time."""


class Staffing(ABC):
    """The part of the engine that looks after the workers.

    Args:
        options: everything that can be chosen.
        draw: returns a random number, 0 to 1, for jitter.
        books: figures to go on with.
    """

    def __init__(self, options: PoolOptions, draw: Callable[[], float], books: Books) -> None:
        self.options = options
        self.size = options.size
        self.max_overflow = options.max_overflow
        self.state = "running"  # or "stopping" or "ended"
        self.failure: PoolFailedError | None = None
        self.books = books
        self.tally = books.tally
        self.room = Room(options.backlog)
        self.shared = Line()
        self.local = [Line() for _ in range(options.size)]
        self.places: list[Worker | None] = [None] * options.size
        self.workers: dict[int, Worker] = {}
        self.free: OrderedDict[int, Worker] = OrderedDict()
        self.tickets: deque[Ticket] = deque()  # those that stand in line
        self.lent = 0
        self.waiting_workers = 0
        self.faults = 0  # starts and idle deaths in a row that came to nothing
        self._draw = draw
        self._now = 0.0
        self._out: list[Effect] = []
        self._dues: CountedDeadlines[Due] = CountedDeadlines()
        self._restart_dues: dict[int, Due] = {}
        self._grow_due: Due | None = None
        self._grow_not_before = 0.0
        self._recycling: Worker | None = None
        self._recycle_line: deque[Worker] = deque()

    # -- what the other parts of the engine do -------------------------------

    @abstractmethod
    def _feed(self, worker: Worker) -> None:
        """Give a worker what it can take, or note that it is free."""

    @abstractmethod
    def _requeue_all(self, tasks: list[Task]) -> None:
        """Queue tasks again that their worker never began, in their order."""

    @abstractmethod
    def _lost(self, task: Task, reason: object) -> None:
        """See to a task whose worker has died while it was at it."""

    @abstractmethod
    def _end_lease(self, worker: Worker) -> None:
        """Take a worker away from whoever has it."""

    @abstractmethod
    def _fail_all(self, error: PoolFailedError) -> None:
        """Fail everything that waits for a worker."""

    # -- time ------------------------------------------------------------------

    def _arm(self, seconds: float, act: Callable[[Any], None], subject: Any) -> Due:
        return self._arm_at(self._now + seconds, act, subject)

    def _arm_at(self, moment: float, act: Callable[[Any], None], subject: Any) -> Due:
        due = Due(moment, act, subject)
        self._dues.add(due)
        return due

    def _call_off(self, due: Due | None) -> None:
        if due is not None:
            self._dues.cancel(due)

    # -- coming up ---------------------------------------------------------------

    def _begin_all(self, _event: object = None) -> None:
        for place, worker in enumerate(self.places):
            if worker is None and place not in self._restart_dues:
                self._start(place)

    def _start(self, place: int | None) -> None:
        self.books.workers += 1
        worker = Worker(self.books.workers, place)
        self.workers[worker.id] = worker
        if place is not None:
            self.places[place] = worker
        worker.due = self._arm(self.options.start_timeout, self._start_late, worker)
        self.tally.started += 1
        self._out.append(StartWorker(worker.id, place))

    def _fill(self, place: int) -> None:
        """Start a successor at a place that has become vacant."""
        if place < self.size and self.places[place] is None and self._is_needed():
            self.tally.restarts += 1
            self._start(place)

    def _is_needed(self) -> bool:
        return self.state == "running" or (self.state == "stopping" and self.tally.pending > 0)

    def _up(self, event: Up) -> None:
        worker = self.workers.get(event.worker)
        if worker is None or worker.state is not STARTING:
            return
        self._call_off(worker.due)
        worker.due = None
        worker.state = UP
        worker.born_at = self._now
        self.failure = None
        self._set_limits(worker)
        if self._recycling is not None and self._recycling.place == worker.place:
            self._recycling = None
        self._feed(worker)
        self._recycle_next()

    def _start_failed(self, event: StartFailed) -> None:
        worker = self.workers.pop(event.worker, None)
        if worker is None:
            return
        self._call_off(worker.due)
        place = self._vacate(worker)
        if worker.state is STARTING:
            self._start_fault(place, event.error)
        self._look_for_end()

    def _start_late(self, worker: Worker) -> None:
        worker.state = DYING
        place = self._vacate(worker)
        self._out.append(KillWorker(worker.id, None))
        self._start_fault(place, TimeoutError(f"not up within {self.options.start_timeout:g} seconds"))

    def _start_fault(self, place: int | None, error: object) -> None:
        self.tally.start_failures += 1
        self._out.append(Note("worker_start_failed", {"error": error, "place": place}))
        self._fault(place)
        if self.faults >= self.options.start_failures_max and not any(w.state is UP for w in self.workers.values()):
            self.failure = PoolFailedError(error)
            self._out.append(Note("pool_failed", {"error": error}))
            self._fail_all(self.failure)

    def _fault(self, place: int | None) -> None:
        """Fill a place again, the later the more often it came to nothing."""
        delay = self.options.restart.delay(self.faults, self._draw())
        self.faults += 1
        if place is None:
            self._grow_not_before = self._now + delay
            self._grow()
        elif place < self.size:
            self._restart_dues[place] = self._arm(delay, self._restart, place)

    def _restart(self, place: int) -> None:
        del self._restart_dues[place]
        self._fill(place)

    # -- going -------------------------------------------------------------------

    def _vacate(self, worker: Worker) -> int | None:
        """Take a worker off the list of those to be given work; return the place it held."""
        self.free.pop(worker.id, None)
        place = worker.place
        if place is None or place >= len(self.places) or self.places[place] is not worker:
            return None
        self.places[place] = None
        return place

    def _kill(self, worker: Worker, task: Task | None) -> None:
        """End a worker for a task's sake, and fill its place at once."""
        self._out.append(KillWorker(worker.id, task))
        if worker.state is DYING:
            return
        place = self._vacate(worker)
        worker.state = DYING
        self.tally.killed += 1
        self._out.append(Note("worker_killed", {"worker": worker.id, "place": place}))
        self._call_off(worker.due)
        self._call_off(worker.age_due)
        self._stop_waiting(worker)
        self._end_lease(worker)
        if place is not None:
            self._fill(place)

    def _stop(self, worker: Worker) -> int | None:
        """Have a worker end in order; return the place it held."""
        place = self._vacate(worker)
        worker.state = STOPPING
        self._call_off(worker.due)
        self._call_off(worker.age_due)
        worker.due = self._arm(self.options.stop_timeout, self._stop_late, worker)
        self._out.append(StopWorker(worker.id))
        return place

    def _stop_late(self, worker: Worker) -> None:
        worker.state = DYING
        self._out.append(KillWorker(worker.id, None))

    def _down(self, event: Down) -> None:
        """Fill the place of a worker that has ended, and see to its tasks (POOL-7)."""
        worker = self.workers.pop(event.worker, None)
        if worker is None:
            return
        self._call_off(worker.due)
        self._call_off(worker.age_due)
        self._call_off(worker.ahead_due)
        place = self._vacate(worker)
        self._stop_waiting(worker)
        self._end_lease(worker)
        held = [task for task in worker.in_flight if task.state is RUNNING and task.worker is worker]
        was_alive = worker.state is UP or worker.state is STARTING
        if was_alive:
            self.tally.died += 1
            self._out.append(Note("worker_died", {"worker": worker.id, "place": place, "reason": event.reason}))
        if was_alive and worker.state is STARTING:
            self._start_fault(place, event.reason)
        elif was_alive and event.begun is None:
            if self._now - worker.born_at >= (self.options.restart.reset_after or 0.0):
                self.faults = 0
            if self.faults or place is None:
                self._fault(place)
            else:
                self.faults = 1
                self._fill(place)
        elif place is not None:
            self._fill(place)
        self._requeue_all([task for task in held if task is not event.begun])
        for task in held:
            if task is event.begun:
                self._lost(task, event.reason)
        self._grow()
        self._recycle_next()
        self._look_for_end()

    # -- more and fewer ------------------------------------------------------------

    def _now_free(self, worker: Worker) -> None:
        """Note that a worker has nothing to do; one too many ends (POOL-4)."""
        worker.idle_since = self._now
        if self.state != "running":
            self._look_for_end()
            if worker.state is not UP:
                return
        elif len(self.workers) > self.size + self.waiting_workers and self._surplus() > 0:
            wait = self.options.sizing.shrink_after
            if not wait:
                self._retire(worker)
                return
            worker.due = self._arm(wait, self._retire_idle, worker)
        self.free[worker.id] = worker

    def _pick_free(self) -> Worker:
        """Take a free worker by the pool's strategy (POOL-2)."""
        _, worker = self.free.popitem(last=self.options.strategy == "lifo")
        if worker.due is not None:
            self._call_off(worker.due)
            worker.due = None
        return worker

    def _take_free(self, worker: Worker) -> None:
        if self.free.pop(worker.id, None) is not None and worker.due is not None:
            self._call_off(worker.due)
            worker.due = None

    def _counted(self) -> tuple[int, int]:
        """Return how many workers there are to stay, and how many of these are not up yet."""
        live = starting = 0
        for worker in self.workers.values():
            if worker.state is STARTING:
                live += 1
                starting += 1
            elif worker.state is UP and not worker.leaving:
                live += 1
        return live, starting

    def _surplus(self) -> int:
        return self._counted()[0] - self.size - self.waiting_workers

    def _retire_idle(self, worker: Worker) -> None:
        worker.due = None
        if worker.id in self.free and self._surplus() > 0:
            self._retire(worker)

    def _retire(self, worker: Worker) -> None:
        """End a worker too many; if it has a place, an overflow worker takes that over."""
        place = self._stop(worker)
        if place is not None:
            heir = next(
                (w for w in self.workers.values() if w.place is None and w.state in (STARTING, UP) and not w.leaving),
                None,
            )
            if heir is None:
                self._fill(place)
                return
            heir.place = place
            self.places[place] = heir

    def _grow(self, _subject: object = None) -> None:
        """Start an overflow worker if somebody waits, and may have one."""
        if not self.max_overflow and not self.waiting_workers:
            return
        if _subject is not None:
            self._grow_due = None
        waiters = self.shared.count + len(self.tickets)
        if not waiters or self.free or not self._is_needed():
            return
        live, starting = self._counted()
        to_come = sum(1 for worker in self.places if worker is None)
        owed = self.size + self.waiting_workers - live - to_come
        allowed = owed + self.max_overflow
        if allowed <= 0 or starting + to_come >= waiters:
            return
        at = self._grow_not_before
        if owed <= 0:
            at = max(at, self._waiting_since() + self.options.sizing.grow_after)
        if self._now < at:
            self._grow_at(at)
            return
        self._start(None)
        if self.options.sizing.grow_after and waiters > starting + 1:
            self._grow_at(self._now + self.options.sizing.grow_after)

    def _grow_at(self, reading: float) -> None:
        if self._grow_due is None or reading < self._grow_due.deadline:
            self._call_off(self._grow_due)
            self._grow_due = self._arm(reading - self._now, self._grow, self)

    def _waiting_since(self) -> float:
        oldest = self.shared.oldest()
        since = self._now if oldest is None else oldest.queued_at
        return min(since, self.tickets[0].since) if self.tickets else since

    def _waits(self, event: Waits) -> None:
        worker = self.workers.get(event.worker)
        if worker is None or worker.waits or self.waiting_workers >= WAITS_MAX:
            return
        worker.waits = True
        self.waiting_workers += 1
        self._hand_place_over(worker)
        self._grow()

    def _hand_place_over(self, worker: Worker) -> None:
        """Have somebody else do what is queued at the place of a worker that waits."""
        place = worker.place
        if place is not None and self.places[place] is worker and self.local[place].count:
            self._vacate(worker)
            worker.place = None
            self._fill(place)

    def _resumes(self, event: Resumes) -> None:
        worker = self.workers.get(event.worker)
        if worker is None:
            return
        self._stop_waiting(worker)
        # Whoever stood in lingers a little: who waits once often waits again.
        surplus = self._surplus() if len(self.workers) > self.size + self.waiting_workers else 0
        for idle in list(self.free.values())[: max(surplus, 0)]:
            if idle.due is None:
                idle.due = self._arm(max(self.options.sizing.shrink_after, LINGER_SECONDS), self._retire_idle, idle)

    def _stop_waiting(self, worker: Worker) -> None:
        if worker.waits:
            worker.waits = False
            self.waiting_workers -= 1

    # -- recycling -------------------------------------------------------------------

    def _set_limits(self, worker: Worker) -> None:
        recycle = self.options.recycle
        if recycle.tasks is not None:
            worker.task_limit = max(1, round(recycle.tasks * self._share()))
        if recycle.rss_bytes is not None:
            worker.rss_limit = recycle.rss_bytes * self._share()
        if recycle.age is not None:
            worker.age_due = self._arm(recycle.age * self._share(), self._want_recycle, worker)

    def _share(self) -> float:
        return 1.0 - self.options.recycle.jitter * self._draw()

    def _measured(self, event: Measured) -> None:
        worker = self.workers.get(event.worker)
        if worker is not None and worker.rss_limit is not None and event.rss_bytes > worker.rss_limit:
            self._want_recycle(worker)

    def _want_recycle(self, worker: Worker) -> None:
        if not worker.recycle_wanted and worker.state is UP:
            worker.recycle_wanted = True
            self._recycle_line.append(worker)
            self._recycle_next()

    def _recycle_next(self) -> None:
        """Let the next worker drain that is due for it, unless another one is at it."""
        line = self._recycle_line
        while line and self._recycling is None and self.state == "running":
            worker = line[0]
            if worker.state is UP and not worker.leaving:
                if sum(1 for w in self.workers.values() if w.state is UP and not w.leaving) < self.size:
                    return  # somebody else is missing already
                worker.leaving = True
                if worker.place is not None:
                    self._recycling = worker
                if not worker.in_flight and worker.lease is None:
                    self._leave(worker)
            line.popleft()

    def _leave(self, worker: Worker) -> None:
        """End a worker that was leaving, now that it has nothing to do."""
        place = self._stop(worker)
        if worker.recycle_wanted:
            self.tally.recycled += 1
            self._out.append(Note("worker_recycled", {"worker": worker.id, "tasks": worker.tasks_done}))
        if place is None:
            if self._recycling is worker:
                self._recycling = None
        elif place < self.size and self._is_needed():
            self._start(place)

    # -- the end ---------------------------------------------------------------------

    def _look_for_end(self) -> None:
        """When the pool stops and nothing is left to do, end the workers; then the pool has ended."""
        if self.state != "stopping" or self.tally.pending or self.lent:
            return
        for due in self._restart_dues.values():
            self._call_off(due)
        self._restart_dues.clear()
        for worker in list(self.workers.values()):
            if worker.state is UP or worker.state is STARTING:
                self._stop(worker)
        if not self.workers:
            self.state = "ended"
            self._out.append(Ended())
