"""A thread of which there is one at most, started when it is first needed.

A start can fail: the machine has no thread left for a moment, or a signal handler raises
within it, before or after the thread has come into being. So nobody notes that it
is there before it is, and the thread itself says so: should two have been started,
one of them finds the other and ends. No lock is held meanwhile, for a finalizer or
a signal handler may need the thread as well.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SoleThread"]


@final
class SoleThread:
    """Runs a function on one daemon thread, at most once.

    Args:
        work: what the thread does.
        name: of the thread.

    Attributes:
        is_started: without the lock a snapshot; once true it stays so.

    Thread: every method is safe anywhere.
    """

    __slots__ = ("_lock", "_name", "_thread", "_work", "is_started")

    def __init__(self, work: Callable[[], None], name: str) -> None:
        self._work = work
        self._name = name
        self._lock = threading.Lock()  # guards the two below; nothing is called while it is held
        self._thread: threading.Thread | None = None
        self.is_started = False

    def start(self) -> None:
        """Start the thread, unless it has been.

        Raises:
            RuntimeError: there is none to be had; the next call tries again.
        """
        if self.is_started:
            return
        thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        thread.start()
        self._is_the_one(thread)

    def join(self, timeout: float | None = None) -> None:
        """Wait for the thread's end, if it has been started and is not this one.

        Args:
            timeout: seconds to wait; None waits without end.
        """
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)

    def _run(self) -> None:
        if self._is_the_one(threading.current_thread()):
            self._work()

    def _is_the_one(self, thread: threading.Thread) -> bool:
        with self._lock:
            if self._thread is None:
                self._thread = thread
                self.is_started = True
            return self._thread is thread
