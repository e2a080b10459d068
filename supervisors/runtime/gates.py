"""Where one thread waits for one thing that another one brings about.

A gate is in `roused` from the moment when it is opened until its thread runs, and never afterwards:
whoever looks at `roused` shall see who still waits for the interpreter, and nobody who has gone.
A thread may go at any moment: its time is up, or a signal handler raises in it. Then whoever opens the gate
later, or is just doing so, takes it out again. Why that misses none: the thread says that it has gone,
and then takes the gate out; who opens it puts it in, and then looks whether the thread has gone. Both uses of the
set are ordered by the set's own lock, so at least one of the two sees the other.
"""

from __future__ import annotations

import _thread
import threading
from functools import partial
from typing import TYPE_CHECKING, final

from supervisors.runtime.spinning import SPIN, roused

if TYPE_CHECKING:
    from supervisors.runtime.spinning import Spinner

__all__ = ["Gate"]


@final
class Gate:
    """Closed, until somebody opens it; for one thread, and once.

    Attributes:
        is_left: the thread is through or has given up; it sets this, and then takes the gate out of `roused`.
    """

    __slots__ = ("_lock", "is_left")

    def __init__(self) -> None:
        self._lock = _thread.allocate_lock()  # guards nothing: it is closed, and opened once
        self._lock.acquire()
        self.is_left = False

    def open(self) -> None:
        """Let the thread through; any thread."""
        roused.add(self)
        self._lock.release()
        if self.is_left:
            roused.discard(self)

    def wait(self, timeout: float | None, spinner: Spinner) -> bool:
        """Wait until it is open; False when so many seconds are over (None: no limit).

        Args:
            timeout: seconds.
            spinner: this thread's.
        """
        acquire = self._lock.acquire
        if (timeout is None or timeout >= SPIN) and spinner.spin(partial(acquire, False)):
            return True
        return acquire(True, -1 if timeout is None else min(max(timeout, 0.0), threading.TIMEOUT_MAX))
