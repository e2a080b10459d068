"""Waiting once for what becomes of many sessions, instead of with a future for each."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, final

from sessionactors.errors import PersistFailed

if TYPE_CHECKING:
    from sessionactors.errors import SessionRefusal
    from supervisors.runtime.futures import ScheduledFuture

__all__ = ["Receipts"]


@final
class Receipts:
    """Waits for all sessions of a batch: one wait instead of a future for each, and nothing that each has of its own.

    It is the asker of each of them; the answer is the session's id.

    Args:
        done: a future that nobody else has.

    Thread: `awaits()` and `collect()` are the caller's; what becomes of a session is told anywhere.
    """

    __slots__ = ("_done", "_is_complete", "_lock", "_open", "_refused")

    def __init__(self, done: ScheduledFuture[None]) -> None:
        self._done = done
        self._lock = threading.Lock()  # guards all below
        self._open: dict[str, None] = {}  # who has not been told of yet, in order
        self._refused: dict[str, SessionRefusal] = {}
        self._is_complete = False

    def awaits(self, session_id: str) -> bool:
        """Wait for one more session; False for one that is waited for already."""
        with self._lock:
            if session_id in self._open:
                return False
            self._open[session_id] = None
            return True

    def set(self, session_id: str) -> None:
        """Take note that a session is durable."""
        self.settle(session_id, None)

    def refuse(self, error: PersistFailed) -> None:
        """Take note that the session is not of which the error tells."""
        if error.session_id is not None:
            self.settle(error.session_id, error)

    def settle(self, session_id: str, refusal: SessionRefusal | None) -> None:
        """Note what came of a session; what comes later about the same one does not count."""
        with self._lock:
            if session_id not in self._open:
                return
            del self._open[session_id]
            if refusal is not None:
                self._refused[session_id] = refusal
            is_last = self._is_complete and not self._open
        if is_last:
            self._done.offer(None)

    def collect(self, timeout: float) -> dict[str, SessionRefusal]:
        """Wait for all that was awaited; return why some are not durable."""
        with self._lock:
            self._is_complete = True
            is_done = not self._open
        if not is_done:
            self._done.settle(timeout)
        with self._lock:
            late = PersistFailed(f"there was no answer within {timeout:g} s")
            self._refused.update(dict.fromkeys(self._open, late))
            self._open = {}
            return self._refused
