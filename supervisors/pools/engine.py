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

from collections.abc import Callable
from typing import Any, Final, final

from supervisors.pools.backlog import Line
from supervisors.pools.books import Books
from supervisors.pools.effects import Admit, Effect, KillWorker
from supervisors.pools.errors import PoolError, PoolFailedError, PoolFullError, PoolStoppedError, TaskShedError
from supervisors.pools.inputs import (
    Absorb,
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
from supervisors.pools.options import PoolOptions
from supervisors.pools.records import DYING, NEW, QUEUED, STARTING, WAITING, Task
from supervisors.pools.releasing import Releasing
from supervisors.pools.tally import LaneView, PoolStatistics

__all__ = ["PoolEngine"]

_NO_LANE: Final = LaneView(0, 0, 0, None)


@final
class PoolEngine(Releasing):
    """Decides what a pool does.

    Args:
        options: everything that can be chosen.
        draw: returns a random number, 0 to 1, for jitter.
        books: figures of the engine before this one; None: this is the first.

    Thread: one at a time.
    """

    def __init__(self, options: PoolOptions, draw: Callable[[], float], books: Books | None = None) -> None:
        super().__init__(options, draw, Books() if books is None else books)
        self._is_shared = options.router == "any"
        self._acts: dict[type, Callable[[Any], None]] = {
            Absorb: self._absorb,
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
        if self.has_lane and event.__class__ is not Absorb:  # what follows it is to find everything
            self._release()
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

    def _is_anybodys(self, task: Task) -> bool:
        return self._is_shared and task.key is None and task.place is None

    def _accept(self, task: Task) -> None:
        self.books.orders += 1
        task.order = self.books.orders
        task.submitted_at = self._now
        self.tally.submitted += 1
        self.tally.pending += 1
        self.credit += 1
        if not task.is_plain:
            self._specials += 1
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
        self.books.size, self.books.max_overflow = event.size, event.max_overflow
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
            self._put(task, self._line_of(task))
        self._grow()
        self._recycle_next()

    def _stop_all(self, event: Stop) -> None:
        if self.state == "ended":
            return
        self.books.is_stopping = True
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

    def waiting_for_room(self) -> list[Task]:
        """Return the tasks that are not taken in yet, in order."""
        return list(self._room_line)

    def undone(self) -> list[Effect]:
        """Return what was decided when a decision was cut short by an error, and nobody has done."""
        return self._out

    # -- what one may ask ------------------------------------------------------------------

    def statistics(self, now: float, lane: LaneView | None = None) -> PoolStatistics:
        """Return a snapshot; `now` is a reading of the clock, `lane` what the lane has, if it is open."""
        lane = _NO_LANE if lane is None else lane
        tally = self.tally
        workers = list(self.workers.values())
        oldest = next(iter(self.room.tasks), None)
        oldest_at = lane.oldest_at if oldest is None else oldest.submitted_at
        live = self._counted()[0]
        return PoolStatistics(
            state="failed" if self.state == "running" and self.failure is not None else self.state,
            size=self.size,
            workers=len(workers),
            starting=sum(1 for worker in workers if worker.state is STARTING),
            idle=len(self.free) + lane.idle,
            busy=sum(1 for worker in workers if worker.in_flight) + lane.running,
            lent=self.lent,
            overflow=max(0, live - self.size),
            queued=self.room.count + lane.queued,
            queued_bytes=self.room.size_bytes,
            running=sum(len(worker.in_flight) for worker in workers) + lane.running,
            oldest_age=0.0 if oldest_at is None else max(0.0, now - oldest_at),
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
            pool_restarts=tally.pool_restarts,
            spares=0,
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
