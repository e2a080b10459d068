"""The store actor: takes what waits, writes it as one batch, answers who waits for it.

The store and the queue in front of it outlive the actor (`StoreLedger`). What the
actor has taken is held there until it is in the store, so a crash loses nothing:
the next actor writes it, and answers.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, final

from sessionactors.effects import Audit, numbered
from sessionactors.errors import PersistFailed, UnknownRequest
from sessionactors.flusher import FLUSH, Flusher
from sessionactors.storage.errors import StoreError, StoreLockedError
from sessionactors.storage.intake import SOMEBODY_WAITS, WAITING, Saving, StoreIntake
from sessionactors.storage.limits_file import KEEP_LIMITS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sessionactors.settings import StoreSettings
    from sessionactors.storage.contract import Quarantined, SessionStore, StoredRecord
    from sessionactors.storage.limits_file import LimitsFile
    from sessionactors.surroundings import Surroundings

__all__ = ["COMMIT", "StoreLedger", "StoreService", "open_store"]

COMMIT: Final = "commit"
"""Ask of the store actor: write everything that waits, and answer None when it is
durable, or with the `StoreError` that kept it from that."""

_PERSISTED: Final = numbered(Audit("lifecycle", "session_persisted"))
_CLOSING_PATIENCE: Final = 10.0  # seconds; a hundred thousand last snapshots take one or two


def open_store(path: str | Path | None, settings: StoreSettings) -> SessionStore:
    """Open the store in a file, or one in memory for None.

    Raises:
        StoreError: the file cannot be used.
    """
    if path is None:
        from sessionactors.storage.memory import MemoryStore  # noqa: PLC0415 - only the one that is used is loaded

        return MemoryStore()
    from sessionactors.storage.sqlite import SqliteStore  # noqa: PLC0415 - only when called for

    return SqliteStore(path, synchronous=settings.durability != "os", busy_timeout=settings.busy_timeout)


@final
class StoreLedger:
    """What must survive a crash of the store actor: the store, the queue, and what was taken from it.

    Args:
        store: where sessions are kept.
        intake: the snapshots that wait.
        settings: how large batches are and how long they wait.
        limits: where the rate limiter writes what is to outlive the process, or None.

    Attributes:
        epoch: under which this system owns the store.
        saved: snapshots stored since the system's start.
        batches: writes that this took.

    Raises:
        StoreError: the store cannot be claimed.

    Thread: every method is safe anywhere.
    """

    __slots__ = ("_held", "_writing", "batches", "epoch", "intake", "limits", "saved", "settings", "store")

    def __init__(
        self, store: SessionStore, intake: StoreIntake, settings: StoreSettings, limits: LimitsFile | None = None
    ) -> None:
        self.store = store
        self.limits = limits
        self.intake = intake
        self.settings = settings
        self.epoch = intake.epoch = store.claim()
        self.saved = 0
        self.batches = 0
        # Guards all below, and the store: an actor that is killed in the middle of a
        # write leaves a thread behind that completes it, and its successor has to
        # wait for that.
        self._writing = threading.Lock()
        self._held: dict[str, Saving] = {}  # taken, and not in the store yet

    def write(self, tell: Callable[[str, Audit], None]) -> None:
        """Store everything that waits, durably, and answer who waits for it.

        Args:
            tell: takes what is to be audited of which session.

        Raises:
            StoreError: it cannot be done now. Who waited has been told so; the
                snapshots are kept, and the next write tries again.
        """
        with self._writing:
            self._take()
            size = 1 if self.settings.durability == "each" else self.settings.batch_max
            while self._held:
                try:
                    self._write_batch(dict(islice(self._held.items(), size)), tell)
                except StoreError as error:
                    for session_id, saving in self._held.items():
                        if saving.askers:
                            _refuse(session_id, saving, error.problem, tell)
                    raise

    def read(self, session_id: str) -> StoredRecord | None:
        """Return what is stored of a session, after `write()`."""
        with self._writing:
            return self.store.read(session_id)

    def page(self, after: int, limit: int) -> Sequence[StoredRecord]:
        """Return stored sessions in the order of their keys."""
        with self._writing:
            return self.store.page(after, limit)

    def quarantine(self, found: Sequence[tuple[StoredRecord, str]], at: float) -> None:
        """Move spoiled records aside."""
        with self._writing:
            self.store.quarantine(found, at)

    def quarantined(self) -> Sequence[Quarantined]:
        """Return what was moved aside."""
        with self._writing:
            return self.store.quarantined()

    def close(self) -> None:
        """Write what still waits and close the store; the actor is gone by now.

        Raises:
            StoreError: something could not be written, or a write does not end.
        """
        if self.limits is not None:
            self.limits.flush()
        if not self._writing.acquire(timeout=_CLOSING_PATIENCE):
            raise StoreLockedError("a write does not end", "the disk hangs; check it before using the file")
        try:
            self._take()
            if self._held:
                self._write_batch(self._held, _nobody)
        finally:
            try:
                self.store.close()
            finally:
                self._writing.release()

    def _take(self) -> None:
        held = self._held
        for session_id, saving in self.intake.take().items():
            older = held.get(session_id)
            held[session_id] = saving if older is None else older.replaced_by(saving)

    def _write_batch(self, batch: dict[str, Saving], tell: Callable[[str, Audit], None]) -> None:
        refused = self.store.write(self.epoch, [saving.record for saving in batch.values()])
        self.saved += len(batch) - len(refused)
        self.batches += 1
        self._settle(batch, refused, tell)

    def _settle(self, batch: dict[str, Saving], refused: Mapping[str, str], tell: Callable[[str, Audit], None]) -> None:
        """Answer who waited for a batch that has been written."""
        if self.intake.leaving:
            self.intake.settled({*batch})
        for session_id, why in refused.items():
            _refuse(session_id, batch[session_id], why, tell)
        for session_id, saving in batch.items():
            for asker, answer in saving.askers:
                tell(session_id, _PERSISTED)
                asker.set(answer)
        held = self._held
        if held is batch:
            held.clear()
        else:
            for session_id in batch:
                del held[session_id]


def _refuse(session_id: str, saving: Saving, why: str, tell: Callable[[str, Audit], None]) -> None:
    """Tell the log, and those who wait, that it did not work."""
    tell(session_id, Audit("error", "persist_failed", "error", {"reason": why}))
    askers, saving.askers = saving.askers, ()
    for asker, _ in askers:
        asker.refuse(PersistFailed(why))


def _nobody(_session_id: str, _event: Audit) -> None:
    """Audit nothing: the audit log is closed."""


class StoreService(Flusher):
    """The singleton that writes sessions into the store, and reads them.

    Messages: those of `sessionactors.storage.intake`; asks: `COMMIT`, `("read", id)`,
    `("page", after, limit)`, `("quarantine", found, at)`, `("quarantined",)`. Those
    that read see everything that was put into the queue before.

    Args:
        ledger: store and queue, which an earlier store actor may have left.
        around: the system around it.
    """

    target = "the store of sessions"
    failures = StoreError

    def __init__(self, ledger: StoreLedger, around: Surroundings) -> None:
        super().__init__(around.timers)
        self._ledger = ledger
        self._around = around

    def write(self) -> None:
        """Write what waits as one batch."""
        self._ledger.write(self._tell)

    def on_receive(self, message: Any) -> Any:
        """Note that snapshots wait, write them, or answer; see the class."""
        if message in (SOMEBODY_WAITS, FLUSH):
            self.flush()
            return None
        if message == WAITING:
            if not self.is_failing:
                self.flush_after(self._ledger.settings.batch_delay)
            return None
        if message == COMMIT:
            return self.flush()
        if message == KEEP_LIMITS:
            if self._ledger.limits is not None:
                self._ledger.limits.flush()
            return None
        if isinstance(message, tuple) and message and message[0] in _READS:
            failed = self.flush()
            try:
                # What could not be written is not there for a reader either.
                return failed if failed is not None else getattr(self._ledger, message[0])(*message[1:])
            except StoreError as error:
                return error
        raise UnknownRequest("message", message, "a message of the queue in front of the store, or a question")

    def _tell(self, session_id: str, event: Audit) -> None:
        around = self._around
        around.audit.put((around.now(), session_id, event.number or event, None, "store"))


_READS: Final = frozenset({"read", "page", "quarantine", "quarantined"})
