"""The store actor: takes what waits, writes it as one batch, answers who waits for it.

The store and the queue in front of it outlive the actor (`StoreLedger`). What the
actor has taken is held there until it is in the store, so a crash loses nothing:
the next actor writes it, and answers.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias, final

from sessionactors.effects import Audit, numbered
from sessionactors.errors import PersistFailed, UnknownRequest
from sessionactors.flusher import FLUSH, Flusher
from sessionactors.storage.errors import StoreError, StoreLockedError
from sessionactors.storage.intake import SOMEBODY_WAITS, WAITING, Saving, StoreIntake
from sessionactors.storage.limits_file import KEEP_LIMITS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sessionactors.settings import StoreSettings
    from sessionactors.storage.contract import Quarantined, SessionStore, StoredRecord
    from sessionactors.storage.limits_file import LimitsFile
    from sessionactors.surroundings import Surroundings
    from supervisors.runtime.replies import Reply

__all__ = ["COMMIT", "StoreLedger", "StoreService", "open_store"]

COMMIT: Final = "commit"
"""Ask of the store actor: write everything that waits, and answer None when it is
durable, or with the `StoreError` that kept it from that."""

_PERSISTED: Final = numbered(Audit("lifecycle", "session_persisted"))
_MORE: Final = "more"
_EACH_MAX: Final = 16  # writes in one turn, where each session has one of its own
_CLOSING_PATIENCE: Final = 10.0  # seconds; a hundred thousand last snapshots take one or two


Tell: TypeAlias = Callable[[Iterable[str], Audit], None]


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

    __slots__ = ("_held", "_number", "_writing", "batches", "epoch", "intake", "limits", "saved", "settings", "store")

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
        self._held: dict[str, Saving] = {}  # taken, and not in the store yet; what waits longest comes first
        self._number = 0

    def write(self, tell: Tell) -> None:
        """Store a batch of what waits longest, durably, and answer who waits for it.

        Args:
            tell: takes what is to be audited of which sessions.

        Raises:
            StoreError: it cannot be done now. Who waited, for this batch or for a later
                one, has been told so; the snapshots are kept, and the next write tries again.
        """
        with self._writing:
            self._take()
            held = self._held
            is_each = self.settings.durability == "each"
            try:
                for _ in range(min(_EACH_MAX, len(held)) if is_each else min(1, len(held))):
                    self._write_batch(dict(islice(held.items(), 1 if is_each else self.settings.batch_max)), tell)
            except StoreError as error:
                for session_id, saving in held.items():
                    if saving.is_awaited():
                        _refuse(session_id, saving, error.problem, tell)
                raise

    def newest(self) -> int:
        """Return the number of the last thing that was taken and not written; 0 when there is none."""
        with self._writing:
            self._take()
            return self._number if self._held else 0

    def oldest(self) -> int:
        """Return the number of what is written next; 0 when nothing is held."""
        with self._writing:
            return next(iter(self._held.values())).number if self._held else 0

    def read(self, session_id: str, tell: Tell) -> StoredRecord | None:
        """Return what is stored of a session; what waits of it is written before, and nothing else.

        Raises:
            StoreError: it cannot be written or read now.
        """
        with self._writing:
            self._take()
            waiting = self._held.get(session_id)
            if waiting is not None:
                try:
                    self._write_batch({session_id: waiting}, tell)
                except StoreError as error:
                    if waiting.is_awaited():
                        _refuse(session_id, waiting, error.problem, tell)
                    raise
            return self.store.read(session_id)

    def page(self, after: int | None, limit: int) -> Sequence[StoredRecord]:
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
        # In the order of their numbers: what is newer of a session takes the place and
        # the number of the older one, so that nobody who waits is overtaken.
        held = self._held
        for session_id, saving in self.intake.take().items():
            older = held.get(session_id)
            if older is None:
                self._number += 1
                saving.number = self._number
                held[session_id] = saving
            else:
                held[session_id] = older.replaced_by(saving)

    def _write_batch(self, batch: dict[str, Saving], tell: Tell) -> None:
        refused = self.store.write(self.epoch, [saving.record for saving in batch.values()])
        self.saved += len(batch) - len(refused)
        self.batches += 1
        self._settle(batch, refused, tell)

    def _settle(self, batch: dict[str, Saving], refused: Mapping[str, str], tell: Tell) -> None:
        """Answer who waited for a batch that has been written."""
        if self.intake.has_ends():
            self.intake.settled(batch, refused)
        for session_id, why in refused.items():
            _refuse(session_id, batch[session_id], why, tell)
        # Who is answered finds the event in the log.
        awaited = [(session_id, saving) for session_id, saving in batch.items() if saving.is_awaited()]
        tell([session_id for session_id, saving in awaited for _ in saving.askers], _PERSISTED)
        for _, saving in awaited:
            # Kept by the saving until it is off the list: who is killed here has a successor that answers again.
            for asker, answer in saving.askers:
                asker.set(answer)
        held = self._held
        if held is batch:
            held.clear()
        else:
            for session_id in batch:
                del held[session_id]


def _refuse(session_id: str, saving: Saving, why: str, tell: Tell) -> None:
    """Tell the log, and those who wait, that it did not work."""
    tell((session_id,), Audit("error", "persist_failed", "error", {"reason": why}))
    for asker, _ in saving.let_go():
        failed = PersistFailed(why)
        failed.session_id = session_id
        asker.refuse(failed)


def _nobody(_session_ids: Iterable[str], _event: Audit) -> None:
    """Audit nothing: the audit log is closed."""


class StoreService(Flusher):
    """The singleton that writes sessions into the store, and reads them.

    Messages: those of `sessionactors.storage.intake`; asks: `COMMIT`, `("read", id)`,
    `("page", after, limit)`, `("quarantine", found, at)`, `("quarantined",)`. Those
    that read see everything that was put into the queue before.

    A turn writes one batch. When more waits, the rest is left to turns behind the
    messages that have come meanwhile, so that nobody waits for a hundred thousand
    others; a question about all of them is answered when all that was there before
    it is written.

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
        self._is_going_on = False
        # The number of what has to be written before each question, the question, and who asks.
        self._behind: deque[tuple[int, tuple[Any, ...], Reply]] = deque()

    def write(self) -> None:
        """Write a batch of what waits."""
        self._ledger.write(self._tell)

    def on_stop(self) -> None:
        """Write all that waits, before anybody closes the store."""
        self._is_going_on = True  # here, and in no further turn
        while self._go_on() is None and self._ledger.oldest():
            pass

    def on_receive(self, message: Any) -> Any:
        """Note that snapshots wait, write them, or answer; see the class."""
        if message in (SOMEBODY_WAITS, FLUSH):
            self._go_on()
            return None
        if message == _MORE:
            self._is_going_on = False
            self._go_on()
            return None
        if message == WAITING:
            if not self.is_failing:
                self.flush_after(self._ledger.settings.batch_delay)
            return None
        if message == KEEP_LIMITS:
            if self._ledger.limits is not None:
                self._ledger.limits.flush()
            return None
        if message == COMMIT:
            return self._answer_behind((COMMIT,))
        if isinstance(message, tuple) and message:
            if message[0] == "read" and len(message) == 2:
                try:
                    return self._ledger.read(message[1], self._tell)
                except StoreError as error:
                    return error
            if message[0] in _READS:
                return self._answer_behind(message)
        raise UnknownRequest("message", message, "a message of the queue in front of the store, or a question")

    def _go_on(self) -> object:
        """Write a batch, answer whose question that has been waiting for, and see to the rest.

        Returns:
            The failure, if it was one.
        """
        failed = self.flush()
        oldest = self._ledger.oldest()
        behind = self._behind
        while behind and (failed is not None or not oldest or oldest > behind[0][0]):
            _, question, reply = behind.popleft()
            # What could not be written is not there for a reader either.
            reply.set(failed if failed is not None else self._answer(question))
        if failed is None and oldest and not self._is_going_on:
            self._is_going_on = True
            self._actor_ref.send(_MORE)
        return failed

    def _answer_behind(self, question: tuple[Any, ...]) -> Any:
        """Answer a question when everything is written that was there before it."""
        newest = self._ledger.newest()
        failed = self._go_on()
        if failed is not None:
            return failed
        oldest = self._ledger.oldest()
        if not newest or not oldest or oldest > newest:
            return self._answer(question)
        self._behind.append((newest, question, self.defer_reply()))
        return None

    def _answer(self, question: tuple[Any, ...]) -> Any:
        name, *arguments = question
        if name == COMMIT:
            return None
        try:
            return getattr(self._ledger, name)(*arguments)
        except StoreError as error:
            return error

    def _tell(self, session_ids: Iterable[str], event: Audit) -> None:
        around = self._around
        now, put, what = around.now(), around.audit.put, event.number or event
        for session_id in session_ids:
            put((now, session_id, what, None, "store"))


_READS: Final = frozenset({"page", "quarantine", "quarantined"})
