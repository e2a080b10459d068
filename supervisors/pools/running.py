"""Tasks run, fail, are tried again, are not wanted any more, and are settled (pure)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from supervisors.pools.backlog import Line
from supervisors.pools.books import Books
from supervisors.pools.effects import Complete, Fail, GiveBack, Note, Revoke, Send
from supervisors.pools.errors import PoisonTaskError, PoolError, TaskTimeoutError, WorkerDiedError
from supervisors.pools.inputs import Cancel, Finished, HandedBack
from supervisors.pools.options import PoolOptions, RetryCause
from supervisors.pools.queueing import Queueing
from supervisors.pools.records import BACKING_OFF, QUEUED, RUNNING, SETTLED, UP, WAITING, Task, Worker
from supervisors.pools.tally import SETTLE_MAX

__all__ = ["AHEAD_SECONDS", "CREDIT_MAX", "GRACE_SECONDS", "PREFETCH_SECONDS", "Running"]


PREFETCH_SECONDS: Final = 0.002
"""How much work one worker may hold beyond the task in hand, seconds."""

AHEAD_SECONDS: Final = 0.02
"""How long tasks that were given ahead of time may wait behind one before they are taken back."""

GRACE_SECONDS: Final = 0.1
"""What a task may still take that was given to a worker ahead of time and is not wanted any more."""

QUARANTINE_MAX: Final = 100

CREDIT_MAX: Final = 16_384
"""Steps for `releasing` that are there at the start, and that are kept at most."""


class Running(Queueing):
    """The part of the engine that has tasks run, and settles them."""

    def __init__(self, options: PoolOptions, draw: Callable[[], float], books: Books) -> None:
        super().__init__(options, draw, books)
        self._expired: list[Task] = []  # found to be late when their turn came
        self._specials = 0  # tasks without an outcome that are not plain
        self.credit = CREDIT_MAX  # steps that may be spent on releasing, see `releasing`

    # -- tasks run -----------------------------------------------------------------

    def _feed(self, worker: Worker) -> None:
        if worker.state is not UP:
            return
        if worker.id in self.free:
            self._take_free(worker)
        if worker.lease is not None:
            self._next_call(worker, worker.lease)
            return
        if worker.leaving:
            if not worker.in_flight:
                self._leave(worker)
            return
        depth = self._depth(worker) if self._prefetches else 1
        while len(worker.in_flight) < depth:
            task = self._next(worker)
            if task is None:
                break
            self._send(worker, task)
        if not worker.in_flight and worker.lease is None and worker.state is UP and worker.id not in self.free:
            self._now_free(worker)

    def _depth(self, worker: Worker) -> int:
        """Return how many tasks a worker may hold: more where they are tiny, so that it never idles."""
        limit = self.options.prefetch_max
        mean = worker.mean_seconds
        if mean is None or self.tickets:
            return 1
        return limit if mean * limit <= PREFETCH_SECONDS else max(1, int(PREFETCH_SECONDS / mean))

    def _next(self, worker: Worker) -> Task | None:
        """Take what a worker is to do next out of its line; None: nothing, or it was lent."""
        while True:
            line: Line = self.shared
            task = line.head()
            if worker.place is not None:
                own = self.local[worker.place]
                mine = own.head() if own.count else None
                if mine is not None and (task is None or (-mine.priority, mine.order) < (-task.priority, task.order)):
                    line, task = own, mine
            if self.tickets and (task is None or self.tickets[0].order < task.order):
                if not worker.in_flight:
                    self._lend(self.tickets.popleft(), worker)
                return None
            if task is None:
                return None
            line.pop_head()
            self.room.leave(task)
            if task.due is None or task.due.deadline > self._now:
                return task
            self._expired.append(task)  # never served late, even before the tick

    def _send(self, worker: Worker, task: Task) -> None:
        task.state = RUNNING
        task.worker = worker
        self.tally.waits.add(self._now - task.queued_at)
        flight = worker.in_flight
        flight.append(task)
        if len(flight) == 1:
            self._begin_run(task)
        elif worker.ahead_due is None:
            worker.ahead_due = self._arm(AHEAD_SECONDS, self._ahead_late, worker)
        self._out.append(Send(worker.id, task))

    def _ahead_late(self, worker: Worker) -> None:
        """Take tasks back that were to be tiny and wait behind one that is not: others may be free for them."""
        worker.ahead_due = None
        if worker.state is not UP or len(worker.in_flight) < 2:
            return
        begun_at = worker.in_flight[0].begun_at
        if begun_at is None:
            begun_at = self._now
        late_at = begun_at + AHEAD_SECONDS
        # Moments are compared, not durations: what is left of one may be so little that it is over
        # at this very moment, again and again.
        if self._now < late_at:
            worker.ahead_due = self._arm_at(late_at, self._ahead_late, worker)
            return
        worker.mean_seconds = self._now - begun_at
        self._out.append(Revoke(worker.id))

    def _handed_back(self, event: HandedBack) -> None:
        worker = self.workers.get(event.worker)
        if worker is None:
            return
        mine = [task for task in event.tasks if task in worker.in_flight]
        for task in mine:
            worker.in_flight.remove(task)
        self._requeue_all([task for task in mine if task.state is RUNNING and task.worker is worker])
        if worker.state is UP:
            self._feed(worker)

    def _begin_run(self, task: Task) -> None:
        """Note that a worker is at a task now."""
        task.begun_at = self._now
        task.attempts += 1
        if task.timeout is not None:
            task.run_due = self._arm(task.timeout, self._run_late, task)

    def _finished(self, event: Finished) -> None:
        worker = self.workers.get(event.worker)
        task = event.task
        if worker is None:
            return
        flight = worker.in_flight
        if flight and flight[0] is task:
            flight.popleft()
        elif task in flight:
            flight.remove(task)
        else:
            return
        if flight:
            self._first_in_flight(worker, flight[0])
        seconds = event.seconds
        tally = self.tally
        tally.runs.add(seconds)
        if not tally.done % SETTLE_MAX:
            tally.runs.settle()
            tally.waits.settle()
        mean = worker.mean_seconds
        worker.mean_seconds = seconds if mean is None or seconds > mean else mean + (seconds - mean) * 0.125
        worker.tasks_done += 1
        self.faults = 0
        self.credit += 1
        if task.state is RUNNING and task.worker is worker:
            if task.run_due is not None:
                self._call_off(task.run_due)
                task.run_due = None
            if event.error is None:
                self.tally.done += 1
                self._out.append(Complete(task, event.value))
                self._settle(task)
            else:
                self._attempt_failed(task, "error", event.error)
        if worker.task_limit is not None and worker.tasks_done >= worker.task_limit:
            self._want_recycle(worker)
        if worker.state is UP:
            self._feed(worker)

    def _first_in_flight(self, worker: Worker, task: Task) -> None:
        if task.state is RUNNING and task.worker is worker:
            self._begin_run(task)
        elif worker.state is UP:
            # It was given ahead of time, and settled since. It may be over in no time, or hang.
            task.begun_at = self._now
            self._arm(GRACE_SECONDS, self._unwanted_late, (worker, task))

    def _unwanted_late(self, subject: tuple[Worker, Task]) -> None:
        worker, task = subject
        if worker.in_flight and worker.in_flight[0] is task:
            self._kill(worker, task)

    # -- attempts fail -------------------------------------------------------------

    def _run_late(self, task: Task) -> None:
        worker = task.worker
        assert worker is not None
        assert task.timeout is not None
        task.run_due = None
        self._kill(worker, task)
        self._attempt_failed(task, "timeout", TaskTimeoutError("timeout", task.timeout, was_running=True))

    def _lost(self, task: Task, reason: object) -> None:
        self._call_off(task.run_due)
        task.run_due = None
        if self._gives_up:
            self._give_back_task(task, begun=True)
        else:
            self._attempt_failed(task, "died", WorkerDiedError(reason))

    def _attempt_failed(self, task: Task, cause: RetryCause, error: BaseException) -> None:
        if cause != "error":
            task.kills += 1
            if task.kills >= self.options.poison_after > 1:
                self.tally.poisoned += 1
                self.books.quarantine.append(task)
                self._out.append(Note("task_poisoned", {"task": task, "kills": task.kills}))
                reason = error.reason if isinstance(error, WorkerDiedError) else error
                poison = PoisonTaskError(task.kills, reason)
                poison.__cause__ = error
                self._settle_failed(task, poison)
                return
        retry = task.retry
        if task.attempts > retry.times or cause not in retry.on or task.ticket is not None:
            if isinstance(error, TaskTimeoutError):
                self.tally.expired += 1
            self._settle_failed(task, error)
        elif self._gives_up:
            self._give_back_task(task, begun=True)
        else:
            self.tally.retried += 1
            task.state = BACKING_OFF
            task.worker = None
            task.begun_at = None
            task.queued_at = self._now
            self.room.enter(task)
            delay = retry.backoff.delay(task.attempts - 1, self._draw())
            task.run_due = self._arm(delay, self._retry_now, task)

    def _retry_now(self, task: Task) -> None:
        task.run_due = None
        self.room.leave(task)
        self._requeue(task)

    # -- tasks are not wanted any more -----------------------------------------------

    def _cancel(self, event: Cancel) -> None:
        task = event.task
        state = task.state
        if state is WAITING:
            self._call_off(task.due)
            self._refuse(task, PoolError("the task was cancelled while it waited for room"))
        elif state is QUEUED or state is BACKING_OFF or state is RUNNING:
            self.tally.cancelled += 1
            self._withdraw(task, None)

    def _deadline_passed(self, task: Task) -> None:
        task.due = None
        self._expire(task, was_running=task.state is RUNNING)

    def _expire(self, task: Task, *, was_running: bool) -> None:
        assert task.deadline is not None
        self.tally.expired += 1
        self._withdraw(task, TaskTimeoutError("deadline", task.deadline, was_running=was_running))

    def _withdraw(self, task: Task, error: BaseException | None) -> None:
        """End a task wherever it is."""
        if task.state is RUNNING:
            worker = task.worker
            assert worker is not None
            self._call_off(task.run_due)
            task.run_due = None
            # One that was given ahead of time is not worth a worker; see _first_in_flight().
            if worker.in_flight and worker.in_flight[0] is task:
                self._kill(worker, task)
        else:
            self._unqueue(task)
        self._settle_failed(task, error)

    def abandon(self, task: Task) -> list[GiveBack]:
        """Give back a task that is in the hands of a worker: the pool is ended from outside, at once."""
        if task.state is not RUNNING:
            return []
        self._out = []
        self._give_back_task(task, begun=True)
        return [effect for effect in self._out if isinstance(effect, GiveBack)]

    # -- tasks are settled -------------------------------------------------------------

    def _settle_failed(self, task: Task, error: BaseException | None) -> None:
        self.tally.failed += 1
        self._out.append(Fail(task, error))
        self._settle(task)

    def _give_back_task(self, task: Task, *, begun: bool) -> None:
        self.tally.returned += 1
        self._out.append(GiveBack(task, begun))
        self._settle(task)

    def _settle(self, task: Task) -> None:
        task.state = SETTLED
        self.tally.pending -= 1
        if not task.is_plain:
            self._specials -= 1
        if task.due is not None:
            self._call_off(task.due)
            task.due = None
        if task.key is not None and task.ticket is None:
            self._next_of_key(task.key)
        if self.state == "stopping":
            self._look_for_end()
