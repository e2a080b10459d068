"""Waiting once for what becomes of many sessions, instead of with a future for each."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, final

from sessionactors.errors import PersistFailed

if TYPE_CHECKING:
    from sessionactors.errors import SessionRefusal
    from supervisors.runtime.futures import ScheduledFuture

__all__ = ["Receipt", "Receipts"]


@final
class Receipt:
    """Waits for one session of a batch to be durable."""

    __slots__ = ("_batch", "is_open", "session_id")

    def __init__(self, batch: Receipts, session_id: str) -> None:
        self._batch = batch
        self.session_id = session_id
        self.is_open = True  # guarded by the lock of the batch

    def set(self, value: object) -> None:
        """Take note that it is."""
        del value
        self._batch.settle(self, None)

    def refuse(self, error: SessionRefusal) -> None:
        """Take note that it is not."""
        self._batch.settle(self, error)


@final
class Receipts:
    """Waits for all sessions of a batch: one wait instead of a future for each.

    Args:
        done: a future that nobody else has.

    Thread: `awaited()` and `collect()` are the caller's; receipts are settled anywhere.
    """

    __slots__ = ("_all", "_done", "_is_complete", "_lock", "_refused", "_settled")

    def __init__(self, done: ScheduledFuture[None]) -> None:
        self._done = done
        self._all: list[Receipt] = []  # the caller's, until the batch is complete
        self._lock = threading.Lock()  # guards all below
        self._settled = 0
        self._refused: dict[str, SessionRefusal] = {}
        self._is_complete = False

    def awaited(self, session_id: str) -> Receipt:
        """Return the receipt of one more session."""
        receipt = Receipt(self, session_id)
        self._all.append(receipt)
        return receipt

    def settle(self, receipt: Receipt, refusal: SessionRefusal | None) -> None:
        """Note what came of a session; what comes later about the same one does not count."""
        with self._lock:
            if not receipt.is_open:
                return
            receipt.is_open = False
            self._settled += 1
            if refusal is not None:
                self._refused[receipt.session_id] = refusal
            is_last = self._is_complete and self._settled == len(self._all)
        if is_last:
            self._done.offer(None)

    def collect(self, timeout: float) -> dict[str, SessionRefusal]:
        """Wait for all that was awaited; return why some are not durable."""
        with self._lock:
            self._is_complete = True
            is_done = self._settled == len(self._all)
        if not is_done:
            self._done.settle(timeout)
        with self._lock:
            late = PersistFailed(f"there was no answer within {timeout:g} s")
            for receipt in self._all:
                if receipt.is_open:
                    receipt.is_open = False
                    self._refused[receipt.session_id] = late
            return self._refused
