"""Worker threads run the mailboxes that no sender runs.

How many of them there are, which of them wait at the queue and which rest is decided in roster.py.
"""

from __future__ import annotations

import logging
import queue
import threading
from contextlib import suppress
from enum import Enum
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any, ClassVar, Final, final

from supervisors.errors import InvalidArgumentError, InvalidTypeError
from supervisors.runtime.fence import Fenced
from supervisors.runtime.pace import Pace
from supervisors.runtime.roster import Place, Roster
from supervisors.runtime.spinning import Spinner, roused
from supervisors.runtime.standby import Standby
from supervisors.runtime.turn import HAS_GIL, hand_over, thread_turn

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisors.clock import Clock
    from supervisors.runtime.cell import Cell
    from supervisors.runtime.futures import ScheduledFuture
    from supervisors.runtime.turn import Turn

__all__ = ["ThreadScheduler", "checked_count"]

logger = logging.getLogger("supervisors.scheduler")

_STOP: Final = None


class _End(Enum):
    """Why a worker ends."""

    TOLD = "it has taken the word to stop, which the next one shall have as well"
    OVER = "the others were told and nothing is left, or it is not needed any more"


@final
class ThreadScheduler:
    """Runs mailboxes on worker threads that are started when first needed.

    Args:
        workers: threads to keep runnable, 1 to 256.
        clock: measures how long `stop()` may take, and how long workers rest.
        workers_max: threads at most, those that wait included.
        name: prefix of the thread names.
        has_gil: whether two threads that compute hold each other up.

    Thread: every method is safe anywhere.
    """

    __slots__ = ("_clock", "_lock", "_name", "_queue", "_roster", "_threads", "enqueue", "workers", "workers_max")

    is_threaded: ClassVar[bool] = True

    def __init__(
        self,
        workers: int,
        clock: Clock,
        workers_max: int | None = None,
        name: str = "supervisors",
        *,
        has_gil: bool = HAS_GIL,
    ) -> None:
        self.workers = checked_count("workers", workers, 256)
        self.workers_max = workers + 256 if workers_max is None else checked_count("workers_max", workers_max, 4096)
        if self.workers_max < workers:
            raise InvalidArgumentError("workers_max", workers_max, f"at least workers, {workers}")
        self._name = name
        self._clock = clock
        self._queue: queue.SimpleQueue[Cell | None] = queue.SimpleQueue()
        # Not a method: nothing may come between taking a mailbox and being rid of it (cell.py).
        self.enqueue: Callable[[Cell], None] = self._queue.put
        self._roster = Roster(workers, self.workers_max, self._queue.qsize, clock, has_gil=has_gil)
        self._lock = threading.Lock()  # guards _threads
        self._threads: set[threading.Thread] = set()

    def submit(self, ref: Cell) -> None:
        """Take over a mailbox together with its ownership, and run it soon."""
        try:
            self.enqueue(ref)
            self.kick()
        except BaseException:
            self.kick()  # a signal handler has raised before it was done, and nobody else would see to it
            raise

    def kick(self) -> None:
        """See that somebody runs what has been put into the queue."""
        roster = self._roster
        if not roster.idle and roster.is_short():
            self._grow()

    def abandon(self, turn: Turn) -> None:
        """Replace a worker whose turn has been fenced; it ends when that turn returns."""
        if self._roster.abandon(turn) and self._queue.qsize():
            self.kick()

    def relieve(self, turn: Turn) -> None:
        """See that somebody works for a worker whose turn takes too long, until it comes back."""
        if self._roster.is_late(turn) and self._queue.qsize():
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
        return partial(self._roster.has_waited, turn) if self._begins_to_wait(turn) else None

    def _begins_to_wait(self, turn: Turn) -> bool:
        """Compensate for a worker, once for all that it waits for; False if it has been abandoned."""
        is_first = self._roster.begins_to_wait(turn)
        if is_first and self._queue.qsize():
            self.kick()
        return is_first is not None

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
            self._roster.has_waited(turn)

    def stop(self, timeout: float) -> list[str]:
        """End the workers once the queue is empty.

        What is sent afterwards runs on the sending thread: dead actors still
        have to answer.

        Args:
            timeout: seconds to wait for all of them together.

        Returns:
            Names of the threads that were still busy when the time was up.
        """
        is_any = self._roster.stop()
        with self._lock:
            threads = list(self._threads)
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

        `workers` live now, of which `waiting` wait for replies, or are in a turn that
        takes too long, and `idle` for work; `queued` mailboxes; `peak` workers at one time; ever `started`;
        `compensated`: of these, started because another one waits; `retired`:
        ended as surplus; `at_limit`: not started because `workers_max` was reached;
        `abandoned`: left alone with a turn that was killed.
        """
        return self._roster.statistics()

    def _grow(self) -> None:
        counted: list[None] = []
        try:
            verdict, number = self._roster.admit(counted)
            if verdict == "grow":
                name = f"{self._name}-worker-{number}"
                self._start_thread(threading.Thread(target=self._work, args=(counted,), name=name, daemon=True))
        except BaseException as error:
            if not _taken(counted):
                raise  # none was counted, or it has begun
            is_any = self._roster.cannot_begin()
            if not isinstance(error, RuntimeError):
                raise
            # The machine has no thread left. What is queued waits for the
            # workers there are; only without any is there nobody to wait for.
            logger.exception("cannot start another worker")
            if not is_any:
                raise
            return
        if verdict == "stopped":
            self._run_here()
        elif verdict == "limit":
            logger.warning(
                "all %d workers wait for replies, or are in turns that take too long; no more are started, and other "
                "actors are late: have fewer asks wait for each other, or raise workers_max",
                self.workers_max,
            )

    def _start_thread(self, thread: threading.Thread) -> None:
        thread.start()

    def _work(self, counted: list[None]) -> None:
        """Be a worker, unless whoever has counted it has given up on it, and taken that back."""
        if not _taken(counted):
            return
        turn = thread_turn.turn
        turn.worker = self
        pace = turn.pace = Pace(self._queue.qsize, self._clock.monotonic, has_gil=self._roster.has_gil)
        spinner = Spinner()
        standby = Standby(self._clock.monotonic)
        with self._lock:
            self._threads.add(threading.current_thread())
        self._roster.begin(turn)
        end: _End | None = None
        while not turn.abandoned:
            ref = self._next(turn, spinner, standby)
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

    def _next(self, turn: Turn, spinner: Spinner, standby: Standby) -> Cell | _End:
        """Return the next mailbox for this worker, or why it ends.

        Args:
            turn: this thread's.
            spinner: this worker's.
            standby: this worker's.
        """
        roster, qsize = self._roster, self._queue.qsize
        while True:
            found = roster.place(turn, standby)
            if found is None:
                return _End.OVER
            place, linger = found
            if place is not Place.QUEUE:
                rests = roster.stands_by if place is Place.STANDBY else roster.is_called
                if not rests(turn, standby, linger):
                    return _End.OVER
                continue
            spinner.spin(qsize)
            try:
                ref = self._queue.get(timeout=linger)
            except queue.Empty:
                if not roster.waited_in_vain(turn):
                    return _End.OVER
                continue
            more = roster.took(turn, standby)
            if ref is _STOP:
                return _End.TOLD
            if more and qsize():
                # Who put that in may have counted on us.
                self._grow()
            return ref

    def _leave(self, turn: Turn, end: _End | None) -> None:
        """Be no worker any more.

        Args:
            turn: this thread's.
            end: why; None: its turn was killed.
        """
        with self._lock:
            self._threads.discard(threading.current_thread())
        is_any = self._roster.leave(turn)
        if end is _End.TOLD and is_any:
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
                elif self._roster.live:
                    self._queue.put(_STOP)  # at once: a worker may have nothing but that to wait for
                    left = min(left, self._queue.qsize())  # once around
        finally:
            turn.worker = before

    @property
    def is_stopped(self) -> bool:
        """Tell whether `stop()` has been called."""
        return self._roster.is_stopping

    def __repr__(self) -> str:
        facts = self.statistics()
        return f"<ThreadScheduler {facts['workers']} workers, {facts['queued']} mailboxes queued>"


def _taken(counted: list[None]) -> bool:
    """Take the element out, which one thread can; tell whether this one has."""
    try:
        del counted[0]
    except IndexError:
        return False
    return True


def checked_count(field: str, value: object, highest: int) -> int:
    """Return a number of threads, or raise what names the field."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidTypeError(field, value, f"a whole number from 1 to {highest}")
    if not 1 <= value <= highest:
        raise InvalidArgumentError(field, value, f"1 to {highest}")
    return value
