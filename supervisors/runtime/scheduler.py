"""Worker threads run the mailboxes that no sender runs.

**How many.** A number of workers is kept runnable. One that waits for a reply is compensated
for by another one, up to a limit; when it wakes again, a surplus worker ends at its
next idle moment.

**Who waits for work.** One worker at a time waits at the queue. The others that have nothing to
do are parked; whoever finds nobody at the queue calls the one that was parked last. So a
mailbox wakes one thread at most, and none if the one at the queue still looks (spinning.py). A
parked worker is as good as one that has not been started, but that it costs a wake and no new thread.
"""

from __future__ import annotations

import _thread
import logging
import queue
import threading
from contextlib import suppress
from enum import Enum
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, final

from supervisors.errors import InvalidArgumentError, InvalidTypeError
from supervisors.runtime.fence import Fenced
from supervisors.runtime.pace import Pace
from supervisors.runtime.spinning import Spinner, roused
from supervisors.runtime.turn import hand_over, thread_turn

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisors.clock import Clock
    from supervisors.runtime.cell import Cell
    from supervisors.runtime.futures import ScheduledFuture
    from supervisors.runtime.turn import Turn

__all__ = ["ThreadScheduler", "checked_count"]

logger = logging.getLogger("supervisors.scheduler")

_STOP: Final = None

LINGER: Final = 1.0
"""Seconds that a surplus worker stays idle before it ends."""


class _End(Enum):
    """Why a worker ends."""

    TOLD = "it has taken the word to stop, which the next one shall have as well"
    OVER = "the others were told and nothing is left, or it is not needed any more"


@final
class ThreadScheduler:
    """Runs mailboxes on worker threads that are started when first needed.

    Args:
        workers: threads to keep runnable, 1 to 256.
        clock: measures how long `stop()` may take.
        workers_max: threads at most, those that wait included.
        name: prefix of the thread names.

    Thread: every method is safe anywhere.
    """

    __slots__ = (
        "_abandoned",
        "_at_limit",
        "_clock",
        "_compensated",
        "_idle",
        "_live",
        "_lock",
        "_name",
        "_parked",
        "_peak",
        "_queue",
        "_retired",
        "_started",
        "_stopping",
        "_threads",
        "_waiting",
        "_workers",
        "enqueue",
        "workers",
        "workers_max",
    )

    is_threaded: ClassVar[bool] = True

    def __init__(self, workers: int, clock: Clock, workers_max: int | None = None, name: str = "supervisors") -> None:
        self.workers = checked_count("workers", workers, 256)
        self.workers_max = workers + 256 if workers_max is None else checked_count("workers_max", workers_max, 4096)
        if self.workers_max < workers:
            raise InvalidArgumentError("workers_max", workers_max, f"at least workers, {workers}")
        self._name = name
        self._clock = clock
        self._queue: queue.SimpleQueue[Cell | None] = queue.SimpleQueue()
        # Not a method: nothing may come between taking a mailbox and being rid of it (cell.py).
        self.enqueue: Callable[[Cell], None] = self._queue.put
        self._lock = threading.Lock()  # guards all below; nothing that could wait is called while it is held
        self._live = 0  # worker threads that have neither ended nor been abandoned
        self._workers: dict[Turn, int] = {}  # of these, the ones that have begun, with how many replies they wait for
        self._waiting = 0  # of these, the ones that wait for any
        self._idle = 0  # of these, the ones at the queue, with nothing to do
        self._parked: list[_thread.LockType] = []  # of these, the other ones with nothing to do; each waits at its gate
        self._peak = 0
        self._started = 0
        self._compensated = 0
        self._retired = 0
        self._at_limit = 0
        self._abandoned = 0
        self._stopping = False
        self._threads: set[threading.Thread] = set()

    def submit(self, ref: Cell) -> None:
        """Take over a mailbox together with its ownership, and run it soon."""
        self.enqueue(ref)
        self.kick()

    def kick(self) -> None:
        """See that somebody runs what has been put into the queue.

        Why nothing is left lying: who puts something in looks at the counts
        afterwards; who changes a count looks at the queue afterwards. Both looks
        and both changes of the queue are ordered by the queue's own lock, so at
        least one of the two sees the other.
        """
        if not self._idle and self._live - self._waiting - len(self._parked) < self.workers:
            self._grow()

    def abandon(self, turn: Turn) -> None:
        """Replace a worker whose turn has been fenced; it ends when that turn returns."""
        with self._lock:
            if not self._count_out(turn):
                return
            turn.abandoned = True
            self._abandoned += 1
        if self._queue.qsize():
            self.kick()

    def before_await(self) -> Callable[[], None] | None:
        """See that somebody works while a loop waits that may run inside a turn.

        What this thread would run after the turn goes to the workers. A worker is compensated
        for, once for all that it awaits at a time.

        Returns:
            What is to be called when it has waited; None: nothing.
        """
        turn = thread_turn.turn
        if turn.ready:
            hand_over(turn)
        if turn.worker is not self:
            return None
        return partial(self._has_waited, turn) if self._begins_to_wait(turn) else None

    def _begins_to_wait(self, turn: Turn) -> bool:
        """Compensate for a worker, once for all that it waits for; False if it has been abandoned."""
        with self._lock:
            others = self._workers.get(turn)
            if others is None:
                return False
            self._workers[turn] = others + 1
            self._waiting += not others
        if not others and self._queue.qsize():
            self.kick()
        return True

    def _has_waited(self, turn: Turn) -> None:
        with self._lock:
            replies = self._workers.get(turn)
            if replies is not None:  # else it has been abandoned meanwhile
                self._workers[turn] = replies - 1
                self._waiting -= replies == 1

    def wait(self, future: ScheduledFuture[Any], timeout: float | None) -> bool:
        """Wait for a future; a worker that waits is compensated for."""
        target = future.target
        if target is not None:
            target.run_for(future)
            if future.is_done():
                return True
        turn = thread_turn.turn
        if turn.ready:
            hand_over(turn)
        if turn.worker is not self or not self._begins_to_wait(turn):
            return future.wait_blocking(timeout)
        try:
            return future.wait_blocking(timeout)
        finally:
            self._has_waited(turn)

    def stop(self, timeout: float) -> list[str]:
        """End the workers once the queue is empty.

        What is sent afterwards runs on the sending thread: dead actors still
        have to answer.

        Args:
            timeout: seconds to wait for all of them together.

        Returns:
            Names of the threads that were still busy when the time was up.
        """
        with self._lock:
            self._stopping = True
            threads = list(self._threads)
            is_any = self._live > 0
            while self._parked:
                self._call()
        if is_any:
            self._queue.put(_STOP)
        deadline = self._clock.monotonic() + timeout
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(max(deadline - self._clock.monotonic(), 0.0))
        self._run_here()
        return [thread.name for thread in threads if thread.is_alive() and thread is not threading.current_thread()]

    def statistics(self) -> dict[str, int]:
        """Return counts by name; a snapshot.

        `workers` live now, of which `waiting` wait for replies and `idle` for
        work; `queued` mailboxes; `peak` workers at one time; ever `started`;
        `compensated`: of these, started because another one waits; `retired`:
        ended as surplus; `at_limit`: not started because `workers_max` was reached;
        `abandoned`: left alone with a turn that was killed.
        """
        with self._lock:
            return {
                "workers": self._live,
                "waiting": self._waiting,
                "idle": self._idle + len(self._parked),
                "queued": self._queue.qsize(),
                "peak": self._peak,
                "started": self._started,
                "compensated": self._compensated,
                "retired": self._retired,
                "at_limit": self._at_limit,
                "abandoned": self._abandoned,
            }

    def _grow(self) -> None:
        thread: threading.Thread | None = None
        is_counted = False
        try:
            with self._lock:
                verdict = self._admit()
                if verdict == "grow":
                    self._started += 1
                    self._compensated += self._waiting > 0
                    self._live += 1
                    is_counted = True  # no call stands between the two: a signal handler could raise there (cell.py)
                    self._peak = max(self._peak, self._live)
                name = f"{self._name}-worker-{self._started}"
            if is_counted:
                thread = threading.Thread(target=self._work, name=name, daemon=True)
                self._start_thread(thread)
        except BaseException as error:
            if is_counted and (thread is None or thread.ident is None):
                with self._lock:
                    self._live -= 1
            if not is_counted or not isinstance(error, RuntimeError):
                raise
            # The machine has no thread left. What is queued waits for the
            # workers there are; only without any is there nobody to wait for.
            logger.exception("cannot start another worker")
            if not self._live:
                raise
            return
        if verdict == "stopped":
            self._run_here()
        elif verdict == "limit":
            logger.warning("all %d workers wait for replies; no more are started", self.workers_max)

    def _admit(self) -> Literal["enough", "grow", "limit", "stopped"]:
        """Call another worker, or decide whether one starts; the lock is held."""
        if self._stopping:
            return "stopped"
        if self._live - self._waiting - len(self._parked) >= self.workers:
            return "enough"
        if self._parked:
            self._call()
            return "enough"
        if self._live >= self.workers_max:
            self._at_limit += 1
            return "limit" if self._at_limit == 1 else "enough"
        return "grow"

    def _call(self) -> None:
        """Send the worker that was parked last to the queue; the lock is held."""
        # No call stands between the two, or a signal handler could raise there (cell.py), and nobody
        # would ever open the gate.
        release = self._parked[-1].release
        del self._parked[-1]
        release()

    def _start_thread(self, thread: threading.Thread) -> None:
        thread.start()

    def _work(self) -> None:
        turn = thread_turn.turn
        turn.worker = self
        pace = turn.pace = Pace(self._queue.qsize, self._clock.monotonic)
        spinner = Spinner()
        gate = _thread.allocate_lock()  # guards nothing: it is closed, and opened to call this worker
        gate.acquire()
        with self._lock:
            self._workers[turn] = 0
            self._threads.add(threading.current_thread())
        end: _End | None = None
        while not turn.abandoned:
            ref = self._next(turn, spinner, gate)
            if isinstance(ref, _End):
                end = ref
                break
            try:
                ref.run_owned()
            except Fenced:
                # It was killed, and nobody waits for what it did. The killer may not have got as far as
                # to abandon this thread, which must not be found parked or at the queue then.
                self.abandon(turn)
            except BaseException:
                logger.exception("a turn of %s ended in something that is no Exception", ref)
            if roused and self._queue.qsize() and not turn.abandoned:
                pace.step_back()
        self._leave(turn, end)

    def _next(self, turn: Turn, spinner: Spinner, gate: _thread.LockType) -> Cell | _End:
        """Return the next mailbox for this worker, or why it ends.

        Args:
            turn: this thread's.
            spinner: this worker's.
            gate: this worker's; it is opened to call it.
        """
        qsize = self._queue.qsize
        while True:
            with self._lock:
                if self._stopping and qsize() == 0:
                    return _End.OVER
                # A surplus worker has compensated for somebody who is back. It lingers, because
                # whoever waits once often waits again, and a thread is not cheap.
                linger = LINGER if self._live - self._waiting > self.workers else None
                is_parked = self._idle > 0 and qsize() == 0 and not self._stopping
                if is_parked:
                    self._parked.append(gate)
                else:
                    self._idle += 1
            if is_parked:
                if self._is_called(turn, gate, linger):
                    continue
                return _End.OVER
            spinner.spin(qsize)
            try:
                ref = self._queue.get(timeout=linger)
            except queue.Empty:
                with self._lock:
                    self._idle -= 1
                    if qsize() == 0 and self._retires(turn):
                        return _End.OVER
                continue
            with self._lock:
                self._idle -= 1
                more = not self._idle and self._live - self._waiting - len(self._parked) < self.workers
            if ref is _STOP:
                return _End.TOLD
            if more and qsize():
                # Who put that in may have counted on us.
                self._grow()
            return ref

    def _is_called(self, turn: Turn, gate: _thread.LockType, linger: float | None) -> bool:
        """Be parked until called.

        Args:
            turn: this thread's.
            gate: this worker's.
            linger: seconds after which it is retired if it is surplus; None: no limit.

        Returns:
            False: it has been retired.
        """
        while not gate.acquire(True, -1 if linger is None else linger):
            with self._lock:
                # Who is not among them is being called at this moment.
                if gate in self._parked and self._retires(turn):
                    self._parked.remove(gate)
                    return False
                linger = None
        return True

    def _retires(self, turn: Turn) -> bool:
        """Count this worker out if it is surplus; tell whether it was; the lock is held."""
        if self._live - self._waiting <= self.workers:
            return False
        self._retired += 1
        return self._count_out(turn)  # here and not when it ends, or two would go for one too many

    def _count_out(self, turn: Turn) -> bool:
        """Count a worker out, once: it ends, or has been abandoned; tell whether it still counted; the lock is held."""
        replies = self._workers.pop(turn, None)
        if replies is None:
            return False
        self._live -= 1
        self._waiting -= replies > 0
        return True

    def _leave(self, turn: Turn, end: _End | None) -> None:
        """Be no worker any more.

        Args:
            turn: this thread's.
            end: why; None: its turn was killed.
        """
        with self._lock:
            self._count_out(turn)
            self._threads.discard(threading.current_thread())
            is_last = not self._live
        if end is _End.TOLD and not is_last:
            # From one to the next: how many there are was not known when the first was told,
            # for a thread that has just been started may not have begun.
            self._queue.put(_STOP)
        turn.worker = None  # once it has stopped, what is left runs here, and as on any other thread
        if self._queue.qsize():
            self.kick()

    def _run_here(self) -> None:
        """Run what is queued on this thread, now that there are no workers."""
        turn = thread_turn.turn
        if turn.worker is self:
            return  # we are at it, further down on this stack
        before, turn.worker = turn.worker, self
        left = inf
        try:
            while left > 0:
                left -= 1
                try:
                    ref = self._queue.get_nowait()
                except queue.Empty:
                    return
                if ref is not _STOP:
                    with suppress(Fenced):  # it was killed; whoever lies below on this stack was not
                        ref.run_owned()
                elif self._live:
                    self._queue.put(_STOP)  # at once: a worker may have nothing but that to wait for
                    left = min(left, self._queue.qsize())  # once around
        finally:
            turn.worker = before

    @property
    def is_stopped(self) -> bool:
        """Tell whether `stop()` has been called."""
        return self._stopping

    def __repr__(self) -> str:
        facts = self.statistics()
        return f"<ThreadScheduler {facts['workers']} workers, {facts['queued']} mailboxes queued>"


def checked_count(field: str, value: object, highest: int) -> int:
    """Return a number of threads, or raise what names the field."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidTypeError(field, value, f"a whole number from 1 to {highest}")
    if not 1 <= value <= highest:
        raise InvalidArgumentError(field, value, f"1 to {highest}")
    return value
