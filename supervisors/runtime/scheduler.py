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
from typing import TYPE_CHECKING, Any, Final, final

from supervisors.errors import InvalidArgumentError, InvalidTypeError, UsageError
from supervisors.runtime.cell import hand_over
from supervisors.runtime.turn import thread_turn

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisors.clock import Clock
    from supervisors.runtime.cell import Cell
    from supervisors.runtime.futures import ScheduledFuture

__all__ = ["ManualScheduler", "ThreadScheduler"]

logger = logging.getLogger("supervisors.scheduler")

_STOP: Final = None


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
        "_clock",
        "_idle",
        "_live",
        "_lock",
        "_name",
        "_queue",
        "_stopping",
        "_threads",
        "_waiting",
        "workers",
        "workers_max",
    )

    def __init__(self, workers: int, clock: Clock, workers_max: int | None = None, name: str = "supervisors") -> None:
        if isinstance(workers, bool) or not isinstance(workers, int):
            raise InvalidTypeError("workers", workers, "a whole number from 1 to 256")
        if not 1 <= workers <= 256:
            raise InvalidArgumentError("workers", workers, "1 to 256")
        self.workers = workers
        self.workers_max = workers_max if workers_max is not None else workers + 256
        self._name = name
        self._clock = clock
        self._queue: queue.SimpleQueue[Cell | None] = queue.SimpleQueue()
        self._lock = threading.Lock()  # guards the four below; nothing is called while it is held
        self._live = 0  # worker threads that have not ended
        self._waiting = 0  # of these, the ones that wait for a reply
        self._idle = 0  # of these, the ones that wait for work
        self._stopping = False
        self._threads: set[threading.Thread] = set()

    def submit(self, ref: Cell) -> None:
        """Take over a mailbox together with its ownership, and run it soon."""
        self._queue.put(ref)
        if not self._idle and self._live - self._waiting < self.workers:
            self._grow()

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
            self._grow()
        try:
            return future.wait_blocking(timeout)
        finally:
            with self._lock:
                self._waiting -= 1

    def stop(self, timeout: float) -> list[str]:
        """End the workers once the queue is empty.

        Args:
            timeout: seconds to wait for all of them together.

        Returns:
            Names of the threads that were still busy when the time was up.
        """
        with self._lock:
            self._stopping = True
            threads = list(self._threads)
        for _ in threads:
            self._queue.put(_STOP)
        deadline = self._clock.monotonic() + timeout
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(max(deadline - self._clock.monotonic(), 0.0))
        return [thread.name for thread in threads if thread.is_alive() and thread is not threading.current_thread()]

    def statistics(self) -> dict[str, int]:
        """Return counts: threads alive, waiting for replies, idle; mailboxes queued."""
        with self._lock:
            return {
                "workers": self._live,
                "waiting": self._waiting,
                "idle": self._idle,
                "queued": self._queue.qsize(),
            }

    def _grow(self) -> None:
        with self._lock:
            if self._live - self._waiting >= self.workers or self._live >= self.workers_max:
                return
            self._live += 1
            thread = threading.Thread(target=self._work, name=f"{self._name}-worker-{self._live}", daemon=True)
            self._threads.add(thread)
        thread.start()

    def _work(self) -> None:
        turn = thread_turn.turn
        turn.worker = self
        get = self._queue.get
        while True:
            with self._lock:
                if self._live - self._waiting > self.workers and self._queue.qsize() == 0:
                    break  # compensated for somebody who is back
                self._idle += 1
            ref = get()
            with self._lock:
                self._idle -= 1
            if ref is _STOP:
                break
            try:
                ref.run_owned()
            except BaseException:
                logger.exception("a turn of %s ended in something that is no Exception", ref)
        with self._lock:
            self._live -= 1
            self._threads.discard(threading.current_thread())

    def __repr__(self) -> str:
        facts = self.statistics()
        return f"<ThreadScheduler {facts['workers']} workers, {facts['queued']} mailboxes queued>"


@final
class ManualScheduler:
    """Runs everything on the threads that settle or wait: no worker exists.

    Args:
        next_timer: lets virtual time jump to the next timer, at most to the given
            deadline (None: any), and fires it; False when there is none.
        now: reads the virtual clock, seconds.
        jump: moves the virtual clock to a reading, firing what is due.

    Thread: one at a time.
    """

    __slots__ = ("_jump", "_next_timer", "_now", "_ready")

    def __init__(
        self, next_timer: Callable[[float | None], bool], now: Callable[[], float], jump: Callable[[float], None]
    ) -> None:
        self._ready: deque[Cell] = deque()
        self._next_timer = next_timer
        self._now = now
        self._jump = jump

    def submit(self, ref: Cell) -> None:
        """Take over a mailbox together with its ownership."""
        self._ready.append(ref)

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
            ready.popleft().run_owned()

    def wait(self, future: ScheduledFuture[Any], timeout: float | None) -> bool:
        """Run what is ready until the future is done; then let time jump."""
        deadline = None if timeout is None else self._now() + timeout
        turn = thread_turn.turn
        target = future.target
        while not future.is_done():
            if target is not None:
                target.run_for(future)
                if future.is_done():
                    return True
            if turn.ready:
                hand_over(turn)
            if self._ready:
                self._ready.popleft().run_owned()
            elif not self._next_timer(deadline):
                if deadline is None:
                    raise UsageError(
                        "waiting without end in virtual time, with nothing to run and no timer: "
                        "the reply can never come"
                    )
                self._jump(deadline)
                return future.is_done()
        return True

    def __repr__(self) -> str:
        return f"<ManualScheduler {len(self._ready)} mailboxes ready>"
