"""Every decision of a pool, as a state machine: `decide(event, now)` returns effects (pure).

No thread, no clock, no I/O, no user code: time comes in as an argument, chance as a
function, and what is to be done goes out as a list. So the whole of it can be tested
by the thousand, and the same engine serves every kind of worker.

**Accounting.** A task is taken in (`submitted`) or refused. Each task that was taken
in is settled exactly once, as done, failed or returned; `pending` counts those that are
not yet. Nothing but `_settle()` changes these counts.

**Who may speak for a task.** Only the worker that the task was given last. Word from
any other one, such as a killed worker's late result, is not heard.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from typing import Any, Final, final

from supervisors.pools.backlog import Line
from supervisors.pools.effects import Admit, Complete, Effect, Fail, GiveBack, KillWorker, Note, Refuse, Revoke, Send
from supervisors.pools.errors import (
    LeaseOverError,
    PoisonTaskError,
    PoolError,
    PoolFailedError,
    PoolFullError,
    PoolStoppedError,
    TaskShedError,
    TaskTimeoutError,
    WorkerDiedError,
)
from supervisors.pools.inputs import (
    Begin,
    Cancel,
    CheckIn,
    CheckOut,
    Down,
    Finished,
    HandedBack,
    Input,
    Measured,
    OwnerDown,
    Resize,
    Resumes,
    StartFailed,
    Stop,
    Submit,
    Tick,
    Up,
    Waits,
)
from supervisors.pools.lending import Lending
from supervisors.pools.options import PoolOptions, RetryCause
from supervisors.pools.records import (
    BACKING_OFF,
    DYING,
    NEW,
    QUEUED,
    REFUSED,
    RUNNING,
    SETTLED,
    STARTING,
    UP,
    WAITING,
    Task,
    Worker,
)
from supervisors.pools.routing import KeyLine, least_loaded, place_of
from supervisors.pools.tally import SETTLE_MAX, PoolStatistics

__all__ = ["AHEAD_SECONDS", "GRACE_SECONDS", "PREFETCH_SECONDS", "QUARANTINE_MAX", "PoolEngine"]

PREFETCH_SECONDS: Final = 0.002
"""How much work one worker may hold beyond the task in hand, seconds."""

AHEAD_SECONDS: Final = 0.02
"""How long tasks that were given ahead of time may wait behind one before they are taken back."""

GRACE_SECONDS: Final = 0.1
"""What a task may still take that was given to a worker ahead of time and is not wanted any more."""

QUARANTINE_MAX: Final = 100
"""Poisonous tasks that are remembered, the last ones."""


@final
class PoolEngine(Lending):
    """Decides what a pool does.

    Args:
        options: everything that can be chosen.
        draw: returns a random number, 0 to 1, for jitter.

    Thread: one at a time.
    """

    def __init__(self, options: PoolOptions, draw: Callable[[], float]) -> None:
        super().__init__(options, draw)
        self.quarantine: deque[Task] = deque(maxlen=QUARANTINE_MAX)
        self._keys: dict[Hashable, KeyLine] = {}
        self._room_line: deque[Task] = deque()
        self._round = 0
        self._is_shared = options.router == "any"
        self._prefetches = options.prefetch_max > 1
        self._expired: list[Task] = []  # found to be late when their turn came
        self._gives_up = False  # the time to drain is over
        self._acts: dict[type, Callable[[Any], None]] = {
            Begin: self._begin_all,
            Submit: self._submit,
            Cancel: self._cancel,
            Finished: self._finished,
            Up: self._up,
            StartFailed: self._start_failed,
            Down: self._down,
            HandedBack: self._handed_back,
            Waits: self._waits,
            Resumes: self._resumes,
            Measured: self._measured,
            CheckOut: self._check_out,
            CheckIn: self._check_in,
            OwnerDown: self._owner_down,
            Resize: self._resize,
            Stop: self._stop_all,
            Tick: self._tick,
        }

    def decide(self, event: Input, now: float) -> list[Effect]:
        """Take in what has happened; return what is to be done, in order.

        Args:
            event: one of `supervisors.pools.inputs`.
            now: a reading of the monotonic clock, seconds, not before the last one.
        """
        self._now = now
        out: list[Effect] = []
        self._out = out
        self._acts[event.__class__](event)
        while self._expired:
            late = self._expired.pop()
            if late.state is QUEUED:
                self._expire(late, was_running=False)
        if self._room_line:
            self._let_in()
        self._out = []  # what has been decided is the caller's now, values of tasks included
        return out

    def next_due(self) -> float | None:
        """Return when the engine wants a `Tick`, a reading of the clock; None: not by itself."""
        return self._dues.next_deadline() if self._dues else None

    # -- tasks come in -------------------------------------------------------------

    def _submit(self, event: Submit) -> None:
        task = event.task
        if task.state is not NEW:
            self._refuse(task, PoolError("the task has been submitted before"))
        elif self.state != "running":
            self._refuse(task, PoolStoppedError())
        elif task.ticket is not None:
            self._call(task)
        elif self.failure is not None:
            self._refuse(task, self.failure)
        elif not self._room_line and self._is_anybodys(task) and self.room.has_room_for(task):
            # The usual way, in as few steps as there are: submitters come by the ten thousand.
            self._accept(task)
            task.queued_at = self._now
            if self.free and not self.shared.count:
                self._send(self._pick_free(), task)
                return
            task.state = QUEUED
            self.room.enter(task)
            self.shared.push(task)
            if self.free:
                self._feed(self._pick_free())
            elif not self._prefetches or not self._feed_ahead():
                self._grow()
        elif (not self._room_line and self.room.has_room_for(task)) or self._make_room(task, event.patience):
            self._accept(task)
            self._enqueue(task)

    def _refuse(self, task: Task, error: BaseException) -> None:
        task.state = REFUSED
        self.tally.refused += 1
        self._out.append(Refuse(task, error))

    def _is_anybodys(self, task: Task) -> bool:
        return self._is_shared and task.key is None and task.place is None

    def _accept(self, task: Task) -> None:
        self._orders += 1
        task.order = self._orders
        task.submitted_at = self._now
        self.tally.submitted += 1
        self.tally.pending += 1
        if task.deadline is not None:
            task.due = self._arm(task.deadline, self._deadline_passed, task)

    def _make_room(self, task: Task, patience: float) -> bool:
        """See to a task that does not fit in; True: now it does."""
        full = PoolFullError(self.room.count, self.room.size_bytes)
        policy = self.room.backlog.policy
        if policy == "block" and patience > 0.0 and self.room.can_ever_hold(task):
            task.state = WAITING
            task.due = self._arm(patience, self._room_late, task)
            self._room_line.append(task)
            return False
        victims = self.room.victims(task)
        if victims is None:
            self._refuse(task, full)
            return False
        for victim in self._take_out(victims):
            self.tally.shed += 1
            self._settle_failed(victim, TaskShedError(policy))
        return True

    def _room_late(self, task: Task) -> None:
        self._refuse(task, PoolFullError(self.room.count, self.room.size_bytes))

    def _let_in(self) -> None:
        line = self._room_line
        while line:
            task = line[0]
            if task.state is WAITING:
                if not self.room.has_room_for(task):
                    return
                self._call_off(task.due)
                task.due = None
                self._out.append(Admit(task))
                self._accept(task)
                self._enqueue(task)
            line.popleft()

    # -- tasks wait ----------------------------------------------------------------

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
        self._put(task, self._line_of(task), first=False)

    def _count_in(self, task: Task) -> None:
        task.state = QUEUED
        task.worker = None
        task.queued_at = self._now
        self.room.enter(task)

    def _requeue(self, task: Task) -> None:
        """Queue a task again, before those that came after it."""
        if task.begun_at is not None:  # we thought so, and were wrong
            task.begun_at = None
            task.attempts -= 1
            self._call_off(task.run_due)
            task.run_due = None
        if task.ticket is not None:
            self._settle_failed(task, LeaseOverError("the worker has died before it began"))
            return
        if self._gives_up:
            self._give_back_task(task, begun=False)
            return
        self._count_in(task)
        self._put(task, self._line_of(task), first=True)

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

    def _put(self, task: Task, place: int | None, *, first: bool) -> None:
        line = self.shared if place is None else self.local[place]
        if first:
            line.push_first(task)
        else:
            line.push(task)
        if place is not None:
            worker = self.places[place]
            if worker is not None and worker.state is UP:
                if worker.waits:
                    self._hand_place_over(worker)
                else:
                    self._feed(worker)
        elif self.free:
            self._feed(self._pick_free())
        elif not self._prefetches or not self._feed_ahead():
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
        elapsed = 0.0 if begun_at is None else self._now - begun_at
        if elapsed < AHEAD_SECONDS:
            worker.ahead_due = self._arm(AHEAD_SECONDS - elapsed, self._ahead_late, worker)
            return
        worker.mean_seconds = elapsed
        self._out.append(Revoke(worker.id))

    def _handed_back(self, event: HandedBack) -> None:
        worker = self.workers.get(event.worker)
        if worker is None:
            return
        mine = [task for task in event.tasks if task in worker.in_flight]
        for task in mine:
            worker.in_flight.remove(task)
        for task in reversed(mine):
            if task.state is RUNNING and task.worker is worker:
                self._requeue(task)
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
                self.quarantine.append(task)
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
        if task.due is not None:
            self._call_off(task.due)
            task.due = None
        if task.key is not None and task.ticket is None:
            self._next_of_key(task.key)
        if self.state == "stopping":
            self._look_for_end()

    def _next_of_key(self, key: Hashable) -> None:
        line = self._keys.get(key)
        if line is None:
            return
        first = line.first_unsettled(lambda task: task.state is SETTLED)
        if first is None:
            del self._keys[key]
        elif first.state is QUEUED and first.line is None:
            self._put(first, self._line_of(first), first=False)

    def _clear_backlog(self) -> list[Task]:
        """Take out everything that waits; return it in order of submission."""
        return self._take_out(sorted(self.room.tasks, key=lambda task: task.order))

    def _take_out(self, tasks: list[Task]) -> list[Task]:
        """Take out several at once; who gets them must settle them."""
        for task in tasks:
            self._unqueue(task)
            task.state = SETTLED  # before the first is settled: its end must not bring up the next one of its key
        return tasks

    def _fail_all(self, error: PoolFailedError) -> None:
        for task in self._clear_backlog():
            self._settle_failed(task, error)
        self._turn_away(error)
        self._deny_all(error)

    def _turn_away(self, error: BaseException) -> None:
        """Refuse those that wait for room."""
        for task in self._room_line:
            if task.state is WAITING:
                self._call_off(task.due)
                self._refuse(task, error)
        self._room_line.clear()

    # -- the pool changes ----------------------------------------------------------------

    def _resize(self, event: Resize) -> None:
        if self.state != "running":
            return
        self.size, self.max_overflow = event.size, event.max_overflow
        moved = []
        for line in self.local:
            while (task := line.head()) is not None:
                line.pop_head()
                moved.append(task)
        surplus = [worker for worker in self.places[self.size :] if worker is not None]
        for place in [place for place in self._restart_dues if place >= self.size]:
            self._call_off(self._restart_dues.pop(place))
        if self._recycling is not None and (self._recycling.place or 0) >= self.size:
            self._recycling = None
        missing = self.size - len(self.places)
        self.places = self.places[: self.size] + [None] * missing
        self.local = self.local[: self.size] + [Line() for _ in range(missing)]
        for worker in surplus:
            worker.place = None
            if worker.state is STARTING:
                self._stop(worker)
                continue
            worker.leaving = True
            if not worker.in_flight and worker.lease is None:
                self._leave(worker)
        self._begin_all()
        for task in sorted(moved, key=lambda task: task.order):
            self._put(task, self._line_of(task), first=False)
        self._grow()
        self._recycle_next()

    def _stop_all(self, event: Stop) -> None:
        if self.state == "ended":
            return
        if self.state == "running":
            self.state = "stopping"
            self._turn_away(PoolStoppedError())
            self._deny_all(PoolStoppedError())
        if event.drain_seconds > 0.0:
            self._arm(event.drain_seconds, self._give_up, None)
        else:
            self._give_up(None)
        self._look_for_end()

    def _give_up(self, _subject: None) -> None:
        """Give back what waits and end what runs: the time to drain is over."""
        if self.state != "stopping" or self._gives_up:
            return
        self._gives_up = True
        for task in self._clear_backlog():
            self._give_back_task(task, begun=False)
        for worker in list(self.workers.values()):
            if worker.lease is not None:
                self._end_lease(worker)
            if worker.state is not DYING and worker.in_flight:
                self._vacate(worker)
                worker.state = DYING
                self._call_off(worker.due)
                self._stop_waiting(worker)
                self._out.append(KillWorker(worker.id, None))
        self._look_for_end()

    def _tick(self, _event: Tick) -> None:
        dues = self._dues
        while True:
            due = dues.pop_due(self._now)
            if due is None:
                return
            due.act(due.subject)

    # -- what one may ask ------------------------------------------------------------------

    def statistics(self, now: float) -> PoolStatistics:
        """Return a snapshot; `now` is a reading of the clock."""
        tally = self.tally
        workers = list(self.workers.values())
        oldest = next(iter(self.room.tasks), None)
        live = self._counted()[0]
        return PoolStatistics(
            state="failed" if self.state == "running" and self.failure is not None else self.state,
            size=self.size,
            workers=len(workers),
            starting=sum(1 for worker in workers if worker.state is STARTING),
            idle=len(self.free),
            busy=sum(1 for worker in workers if worker.in_flight),
            lent=self.lent,
            overflow=max(0, live - self.size),
            queued=self.room.count,
            queued_bytes=self.room.size_bytes,
            running=sum(len(worker.in_flight) for worker in workers),
            oldest_age=0.0 if oldest is None else max(0.0, now - oldest.submitted_at),
            checkouts_waiting=len(self.tickets),
            submitted=tally.submitted,
            pending=tally.pending,
            done=tally.done,
            failed=tally.failed,
            returned=tally.returned,
            refused=tally.refused,
            cancelled=tally.cancelled,
            expired=tally.expired,
            shed=tally.shed,
            poisoned=tally.poisoned,
            retried=tally.retried,
            started=tally.started,
            start_failures=tally.start_failures,
            restarts=tally.restarts,
            recycled=tally.recycled,
            killed=tally.killed,
            died=tally.died,
            abandoned=0,
            checkouts=tally.lent,
            wait_mean=tally.waits.mean,
            wait_p50=tally.waits.quantile(0.5),
            wait_p99=tally.waits.quantile(0.99),
            run_mean=tally.runs.mean,
            run_p50=tally.runs.quantile(0.5),
            run_p99=tally.runs.quantile(0.99),
            wait_histogram=tally.waits.counts,
            run_histogram=tally.runs.counts,
        )
