"""One thread for one actor: for loops that block and libraries that want their own thread.

The thread starts with the actor and ends after it. What is sent to the dead actor
is answered by the worker pool.
"""

from __future__ import annotations

import logging
import queue
import threading
from typing import TYPE_CHECKING, final

from supervisors.runtime.fence import Fenced
from supervisors.runtime.spinning import Spinner

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisors.runtime.cell import Cell
    from supervisors.runtime.contract import Runner
    from supervisors.runtime.life import LivingCell

__all__ = ["PinnedThread"]

logger = logging.getLogger("supervisors.pinned")


@final
class PinnedThread:
    """Runs the mailbox of one actor; stands in for the scheduler in `Cell.runner`.

    Args:
        ref: the actor.
        name: of the thread.
        elsewhere: runs the mailbox once the thread has ended.
    """

    __slots__ = ("_elsewhere", "_lock", "_name", "_queue", "_ref", "_state", "enqueue")

    def __init__(self, ref: LivingCell, name: str, elsewhere: Runner) -> None:
        self._ref = ref
        self._name = name
        self._elsewhere = elsewhere
        self._queue: queue.SimpleQueue[Cell] = queue.SimpleQueue()
        self.enqueue: Callable[[Cell], None] = self._queue.put
        self._lock = threading.Lock()  # guards _state; nothing is called while it is held
        self._state = "new"

    def kick(self) -> None:
        """See that somebody runs what has been put into the queue."""
        with self._lock:
            state = self._state
        if state == "new":
            self._begin()
        elif state == "ended":
            self._hand_on()

    def _begin(self) -> None:
        """Start the thread; without it the actor ends before its start."""
        try:
            threading.Thread(target=self._work, name=self._name, daemon=True).start()
        except BaseException as error:
            # It may be there all the same: a signal handler can raise at any time. Whoever sets the state decides.
            with self._lock:
                is_new = self._state == "new"
                if is_new:
                    self._state = "ended"
            if is_new:
                self._queue.get_nowait()
                self._ref.never_began(error)
            if not isinstance(error, RuntimeError):
                raise
            logger.exception("cannot start the thread of %s", self._ref)

    def _work(self) -> None:
        with self._lock:
            if self._state != "new":
                return
            self._state = "running"
        spinner = Spinner()
        while True:
            spinner.spin(self._queue.qsize)
            ref = self._queue.get()
            try:
                ref.run_owned()
            except Fenced:
                break
            except BaseException:
                logger.exception("a turn of %s ended in something that is no Exception", ref)
            if not ref.is_alive():
                break
        self.close()

    def close(self) -> None:
        """Have the pool run the mailbox from now on; the thread ends or has been abandoned."""
        with self._lock:
            self._state = "ended"
        self._hand_on()

    def _hand_on(self) -> None:
        # Whoever puts something in looks at the state afterwards, and whoever
        # sets the state looks at the queue afterwards: nothing stays behind.
        enqueue = self._elsewhere.enqueue
        try:
            # Not a call of get_nowait() here: nothing may come between taking a mailbox and being rid of it (cell.py).
            for ref in iter(self._queue.get_nowait, None):
                enqueue(ref)
        except queue.Empty:
            pass
        finally:
            self._elsewhere.kick()
