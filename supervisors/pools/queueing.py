"""Tasks wait: which line one stands in, and what brings it forward (pure)."""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Hashable

from supervisors.pools.books import Books
from supervisors.pools.effects import Refuse
from supervisors.pools.errors import LeaseOverError
from supervisors.pools.lending import Lending
from supervisors.pools.options import PoolOptions
from supervisors.pools.records import BACKING_OFF, QUEUED, REFUSED, SETTLED, UP, Task, Worker
from supervisors.pools.routing import KeyLine, least_loaded, place_of

__all__ = ["Queueing"]


class Queueing(Lending):
    """The part of the engine that has tasks wait for a worker."""

    def __init__(self, options: PoolOptions, draw: Callable[[], float], books: Books) -> None:
        super().__init__(options, draw, books)
        self._keys: dict[Hashable, KeyLine] = {}
        self._room_line: deque[Task] = deque()  # those that wait for room, and are not taken in yet
        self._round = 0
        self._prefetches = options.prefetch_max > 1
        self._gives_up = False  # the time to drain is over

    # -- what the other parts of the engine do -------------------------------

    @abstractmethod
    def _depth(self, worker: Worker) -> int:
        """Return how many tasks a worker may hold."""

    @abstractmethod
    def _give_back_task(self, task: Task, *, begun: bool) -> None:
        """End a task as returned."""

    # -- waiting -----------------------------------------------------------------

    def _refuse(self, task: Task, error: BaseException) -> None:
        task.state = REFUSED
        self.tally.refused += 1
        self._out.append(Refuse(task, error))

    def _enqueue(self, task: Task) -> None:
        """Queue a task for its first attempt."""
        self._count_in(task)
        if task.key is not None:
            line = self._keys.get(task.key)
            if line is None:
                line = self._keys[task.key] = KeyLine()
            line.tasks.append(task)
            if line.tasks[0] is not task:
                return  # its turn comes when those before it are settled
        self._put(task, self._line_of(task))

    def _count_in(self, task: Task) -> None:
        task.state = QUEUED
        task.worker = None
        task.queued_at = self._now
        self.room.enter(task)

    def _requeue(self, task: Task) -> None:
        self._requeue_all([task])

    def _requeue_all(self, tasks: list[Task]) -> None:
        """Queue tasks again, before those that came after them; all are in line before anybody takes one."""
        places: dict[int | None, None] = {}
        for task in reversed(tasks):
            if task.begun_at is not None:  # we thought so, and were wrong
                task.begun_at = None
                task.attempts -= 1
                self._call_off(task.run_due)
                task.run_due = None
            if task.ticket is not None:
                self._settle_failed(task, LeaseOverError("the worker has died before it began"))
                continue
            if self._gives_up:
                self._give_back_task(task, begun=False)
                continue
            self._count_in(task)
            place = self._line_of(task)
            line = self.shared if place is None else self.local[place]
            line.push_first(task)
            places[place] = None
        for place in places:
            self._serve(place)

    def _line_of(self, task: Task) -> int | None:
        """Return the place whose line a task belongs into; None: the shared one."""
        if task.place is not None:
            return task.place % self.size
        if task.key is not None:
            return place_of(task.key, self.size)
        router = self.options.router
        if router == "any":
            return None
        self._round += 1
        if router == "round_robin":
            ups = [place for place, worker in enumerate(self.places) if worker is not None and worker.state is UP]
            return ups[self._round % len(ups)] if ups else self._round % self.size
        loads = [
            line.count + (len(worker.in_flight) if worker is not None else 1)
            for line, worker in zip(self.local, self.places, strict=True)
        ]
        return least_loaded(loads, self._round % self.size)

    def _put(self, task: Task, place: int | None) -> None:
        line = self.shared if place is None else self.local[place]
        line.push(task)
        self._serve(place)

    def _serve(self, place: int | None) -> None:
        """Have whoever can take something from a line that has got longer."""
        if place is not None:
            worker = self.places[place]
            if worker is not None and worker.state is UP:
                if worker.waits:
                    self._hand_place_over(worker)
                else:
                    self._feed(worker)
            return
        while self.free and self.shared.count:
            self._feed(self._pick_free())
        while self._prefetches and self.shared.count and self._feed_ahead():
            pass
        if self.shared.count:
            self._grow()

    def _feed_ahead(self) -> bool:
        """Give the task to a busy worker that can take one more; False: none can."""
        best: Worker | None = None
        least = self.options.prefetch_max
        for worker in self.workers.values():
            held = len(worker.in_flight)
            if held < least and worker.state is UP and held < self._depth(worker) and worker.lease is None:
                best, least = worker, held
        if best is None or best.leaving:
            return False
        self._feed(best)
        return True

    def _unqueue(self, task: Task) -> None:
        """Take a task out of wherever it waits."""
        if task.state is BACKING_OFF:
            self._call_off(task.run_due)
            task.run_due = None
        if task.line is not None:
            task.line.taken_out()
            task.line = None
        if task.is_counted:
            self.room.leave(task)

    def _next_of_key(self, key: Hashable) -> None:
        line = self._keys.get(key)
        if line is None:
            return
        first = line.first_unsettled(lambda task: task.state is SETTLED)
        if first is None:
            del self._keys[key]
        elif first.state is QUEUED and first.line is None:
            self._put(first, self._line_of(first))

    def _clear_backlog(self) -> list[Task]:
        """Take out everything that waits; return it in order of submission."""
        return self._take_out(sorted(self.room.tasks, key=lambda task: task.order))

    def _take_out(self, tasks: list[Task]) -> list[Task]:
        """Take out several at once; who gets them must settle them."""
        for task in tasks:
            self._unqueue(task)
            task.state = SETTLED  # before the first is settled: its end must not bring up the next one of its key
        return tasks
