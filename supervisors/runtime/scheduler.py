"""Who runs the mailboxes that no sender runs: worker threads, or one loop.

`ThreadScheduler` keeps a number of worker threads runnable. A worker that waits
for a reply is compensated for by another one, up to a limit; when it wakes
again, a surplus worker ends at its next idle moment.

`ManualScheduler` has no thread at all. Mailboxes run on whichever thread
settles or waits, in the order in which they became ready, and a wait with nothing
to run lets virtual time jump to the next timer. It makes tests exact.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections import deque
from contextlib import suppress
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, final

from supervisors.errors import InvalidArgumentError, InvalidTypeError, UsageError
from supervisors.runtime.fence import Fenced
from supervisors.runtime.nesting import refuse_held_up
from supervisors.runtime.pace import Pace, roused
from supervisors.runtime.turn import hand_over, thread_turn

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisors.clock import Clock
    from supervisors.runtime.cell import Cell
    from supervisors.runtime.futures import ScheduledFuture
    from supervisors.runtime.turn import Turn

__all__ = ["ManualScheduler", "ThreadScheduler", "checked_count"]

logger = logging.getLogger("supervisors.scheduler")

_STOP: Final = None

LINGER: Final = 1.0
"""Seconds that a surplus worker stays idle before it ends."""


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
        "_awaiting",
        "_clock",
        "_compensated",
        "_idle",
        "_live",
        "_lock",
        "_name",
        "_peak",
        "_queue",
        "_retired",
        "_started",
        "_stopping",
        "_threads",
        "_waiting",
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
        self._lock = threading.Lock()  # guards all below; nothing is called while it is held
        self._live = 0  # worker threads that have not ended
        self._waiting = 0  # of these, the ones that wait for a reply
        self._awaiting: dict[Turn, int] = {}  # of these, the ones that do so in a loop, with how many replies
        self._idle = 0  # of these, the ones that wait for work
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
        if not self._idle and self._live - self._waiting < self.workers:
            self._grow()

    def abandon(self, turn: Turn) -> None:
        """Replace a worker whose turn has been fenced; it ends when that turn returns."""
        with self._lock:
            if turn.worker is not self or turn.abandoned:
                return
            turn.abandoned = True
            self._abandoned += 1
            self._live -= 1
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
        with self._lock:
            others = self._awaiting.get(turn, 0)
            self._awaiting[turn] = others + 1
            self._waiting += not others
        if not others and self._queue.qsize():
            self.kick()
        return partial(self._after_await, turn)

    def _after_await(self, turn: Turn) -> None:
        with self._lock:
            left = self._awaiting.pop(turn) - 1
            if left:
                self._awaiting[turn] = left
            self._waiting -= not left

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
        if turn.worker is not self:
            return future.wait_blocking(timeout)
        with self._lock:
            self._waiting += 1
        if self._queue.qsize():
            self.kick()
        try:
            return future.wait_blocking(timeout)
        finally:
            with self._lock:
                self._waiting -= 1

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
                "idle": self._idle,
                "queued": self._queue.qsize(),
                "peak": self._peak,
                "started": self._started,
                "compensated": self._compensated,
                "retired": self._retired,
                "at_limit": self._at_limit,
                "abandoned": self._abandoned,
            }

    def _grow(self) -> None:
        with self._lock:
            verdict = self._admit()
            number = self._started
        if verdict == "grow":
            self._start_thread(number)
        elif verdict == "stopped":
            self._run_here()
        elif verdict == "limit":
            logger.warning("all %d workers wait for replies; no more are started", self.workers_max)

    def _admit(self) -> Literal["enough", "grow", "limit", "stopped"]:
        """Decide whether another worker starts, and count it; the lock is held."""
        if self._stopping:
            return "stopped"
        if self._live - self._waiting >= self.workers:
            return "enough"
        if self._live >= self.workers_max:
            self._at_limit += 1
            return "limit" if self._at_limit == 1 else "enough"
        self._live += 1
        self._started += 1
        self._compensated += self._waiting > 0
        self._peak = max(self._peak, self._live)
        return "grow"

    def _start_thread(self, number: int) -> None:
        thread = threading.Thread(target=self._work, name=f"{self._name}-worker-{number}", daemon=True)
        try:
            thread.start()
        except BaseException as error:
            if thread.ident is None:
                with self._lock:
                    self._live -= 1
            if not isinstance(error, RuntimeError):
                raise
            # The machine has no thread left. What is queued waits for the
            # workers there are; only without any is there nobody to wait for.
            logger.exception("cannot start another worker")
            if not self._live:
                raise

    def _work(self) -> None:
        turn = thread_turn.turn
        turn.worker = self
        pace = turn.pace = Pace(self._queue.qsize, self._clock.monotonic)
        get = self._queue.get
        counted = True
        is_told = False
        with self._lock:
            self._threads.add(threading.current_thread())
        while True:
            with self._lock:
                if self._stopping and self._queue.qsize() == 0:
                    break
                surplus = self._live - self._waiting > self.workers
                self._idle += 1
            # It has compensated for somebody who is back. It lingers, because
            # whoever waits once often waits again, and a thread is not cheap.
            try:
                ref = get(timeout=LINGER) if surplus else get()
            except queue.Empty:
                with self._lock:
                    self._idle -= 1
                    if self._live - self._waiting > self.workers and self._queue.qsize() == 0:
                        self._retired += 1
                        self._live -= 1  # here and not below, or two would go for one too many
                        counted = False
                        break
                continue
            with self._lock:
                self._idle -= 1
                more = not self._idle and self._live - self._waiting < self.workers
            if ref is _STOP:
                is_told = True
                break
            if more and self._queue.qsize():
                # Who put that in may have counted on us.
                self._grow()
            try:
                ref.run_owned()
            except Fenced:
                pass  # it was killed; nobody waits for what it did
            except BaseException:
                logger.exception("a turn of %s ended in something that is no Exception", ref)
            if turn.abandoned:
                break
            if roused and self._queue.qsize():
                pace.step_back()
        self._leave(turn, counted=counted, is_told=is_told)

    def _leave(self, turn: Turn, *, counted: bool, is_told: bool) -> None:
        """Be no worker any more.

        Args:
            turn: this thread's.
            counted: whether it still counts as live.
            is_told: whether it was told to stop.
        """
        with self._lock:
            if counted and not turn.abandoned:
                self._live -= 1
            self._threads.discard(threading.current_thread())
            is_last = not self._live
        if is_told and not is_last:
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
                    _run(ref)
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


@final
class ManualScheduler:
    """Runs everything on the threads that settle or wait: no worker exists.

    A turn that waits lets others run on top of it, and goes on once those are through:
    it may be later than its outcome, or its deadline, by the time that they wait for
    something else. What could never come is refused at once (nesting.py).

    Args:
        next_timer: lets virtual time jump to the next timer, at most to the given
            deadline (None: any), and fires it; False when there is none.
        now: reads the virtual clock, seconds.
        jump: moves the virtual clock to a reading, firing what is due.

    Thread: one at a time.
    """

    is_threaded: ClassVar[bool] = False

    __slots__ = ("_jump", "_next_timer", "_now", "_ready", "enqueue")

    def __init__(
        self, next_timer: Callable[[float | None], bool], now: Callable[[], float], jump: Callable[[float], None]
    ) -> None:
        self._ready: deque[Cell] = deque()
        self.enqueue: Callable[[Cell], None] = self._ready.append
        self._next_timer = next_timer
        self._now = now
        self._jump = jump

    def submit(self, ref: Cell) -> None:
        """Take over a mailbox together with its ownership."""
        self._ready.append(ref)

    def kick(self) -> None:
        """Do nothing: who settles or waits will look."""

    def abandon(self, turn: Turn) -> None:
        """Do nothing: there is one thread, and whoever kills has it."""

    def before_await(self) -> None:
        """Run what is ready: nobody else will while asyncio waits."""
        self.settle()

    def settle(self) -> int:
        """Run until nothing is ready; return how many mailboxes were run."""
        count = 0
        turn = thread_turn.turn
        ready = self._ready
        while True:
            if turn.ready:
                hand_over(turn)
            if not ready:
                return count
            count += 1
            _run(ready.popleft())

    def wait(self, future: ScheduledFuture[Any], timeout: float | None) -> bool:
        """Run what is ready until the future is done; then let time jump."""
        deadline = None if timeout is None else self._now() + timeout
        turn = thread_turn.turn
        target = future.target
        if target is not None and turn.current is not None:
            # Whoever waits for it lies on this stack. Those before it in the queue may come
            # to wait for it as well, each on top of the one before.
            target.run_for(future)
            if not future.is_done() and self._withdraw(target):
                _run(target)
        while not future.is_done():
            if target is not None:
                target.run_for(future)
                if future.is_done():
                    return True
            if turn.ready:
                hand_over(turn)
            if self._ready:
                _run(self._ready.popleft())
                continue
            refuse_held_up(turn.current, future)
            if not self._next_timer(deadline):
                if deadline is None:
                    raise UsageError(
                        "waiting without end in virtual time, with nothing to run and no timer: "
                        "the reply can never come"
                    )
                self._jump(deadline)
                return future.is_done()
        return True

    def _withdraw(self, target: Cell) -> bool:
        """Take a mailbox out of those that are ready; return whether it was among them."""
        ready = self._ready
        if ready and ready[-1] is target:  # as nearly always: the ask itself has made it ready
            ready.pop()
            return True
        try:
            ready.remove(target)
        except ValueError:
            return False
        return True

    def __repr__(self) -> str:
        return f"<ManualScheduler {len(self._ready)} mailboxes ready>"


def _run(ref: Cell) -> None:
    """Run a mailbox on a thread that has other things to do as well."""
    with suppress(Fenced):  # it was killed; whoever lies below on this stack was not
        ref.run_owned()


def checked_count(field: str, value: object, highest: int) -> int:
    """Return a number of threads, or raise what names the field."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidTypeError(field, value, f"a whole number from 1 to {highest}")
    if not 1 <= value <= highest:
        raise InvalidArgumentError(field, value, f"1 to {highest}")
    return value
