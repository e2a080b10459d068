"""The recovery actor: brings stored sessions back, at the start and after a crash.

It has no state of its own but what `RecoveryLedger` keeps. When it starts, at the
start of the system or because something before it in the tree was restarted, it
goes through the store and starts every session that is stored and not live.
After that, a stored session that crashes asks it to be started again from its
last durable snapshot. One that crashes too often is given up: it stays stored, and
is not started again before the system is.

Whatever cannot come back is told: spoiled records go into quarantine, those of a
newer program or of an unknown class stay where they are, and the audit log and
`RecoveryReport` name them all.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any, Final, final

from sessionactors.effects import Audit
from sessionactors.errors import LoadFailed, SessionExists, SessionTerminated, UnknownRequest
from sessionactors.session_saving import PLAIN
from sessionactors.snapshots import restore
from sessionactors.states import TERMINATED
from sessionactors.storage.codec import MOMENT, decode, id_of
from sessionactors.storage.errors import DamagedRecordError, NewerRecordError, RecordError, StoreError
from sessionactors.surroundings import RATE_LIMITER, RECOVERY, RESTART, SESSIONS, STORE
from supervisors.actor import Actor
from supervisors.errors import SupervisorsError
from supervisors.exits import describe
from supervisors.supervision.calls import start_child
from supervisors.supervision.intensity import RestartWindow
from supervisors.supervision.requests import ChildStartFailed

if TYPE_CHECKING:
    from sessionactors.storage.contract import StoredRecord
    from sessionactors.surroundings import Surroundings
    from sessionactors.templates import Templates
    from supervisors.clock import Clock
    from supervisors.runtime.replies import Reply

__all__ = ["DONE", "Recovery", "RecoveryLedger", "RecoveryReport", "RefusedSession"]

logger = logging.getLogger("sessionactors.recovery")

DONE: Final = "done"
"""Ask of the recovery actor: answer with the report when everything that is stored has
been looked at, or with the `StoreError` that keeps it from that for now."""

_AGAIN: Final = "again"
_GO_ON: Final = "go_on"
_REASON_MAX: Final = 500  # characters
_PAGE: Final = 500
_PATIENCE: Final = 60.0  # seconds that the store may take for a page
_RETRY_AFTER: Final = 1.0  # seconds
_WINDOWS_MAX: Final = 10_000


@final
@dataclass(frozen=True, slots=True)
class RefusedSession:
    """A stored session that did not come back.

    Attributes:
        session_id: whose, as far as it can be read.
        reason: why, in words.
    """

    session_id: str
    reason: str


@final
@dataclass(frozen=True, slots=True)
class RecoveryReport:
    """What came back from the store, and what did not.

    Attributes:
        recovered: sessions that are live again.
        ended: stored copies of sessions that have ended; they are kept and not started.
        quarantined: spoiled records, which were moved aside in the store.
        refused: records that were left where they are, and why.
        seconds: how long it took.
    """

    recovered: int = 0
    ended: int = 0
    quarantined: tuple[RefusedSession, ...] = ()
    refused: tuple[RefusedSession, ...] = ()
    seconds: float = 0.0


@final
class RecoveryLedger:
    """What must survive a crash of the recovery actor.

    Args:
        templates: the classes that sessions may come back as.
        clock: tells when spoiled records were found, and how long it took.
        max_restarts: crashes of one session within `max_seconds` after which it still comes back.
        max_seconds: that window, seconds.

    Attributes:
        report: about the last time that the store was gone through.
        refused: why a stored session was left where it is, by id.
        left: the same of those that were given up later; their ids are not free while they are stored.
        restarted: sessions that came back after a crash.
        given_up: sessions that crashed too often.
    """

    __slots__ = (
        "_windows",
        "clock",
        "given_up",
        "left",
        "max_restarts",
        "max_seconds",
        "refused",
        "report",
        "restarted",
        "templates",
    )

    def __init__(self, templates: Templates, clock: Clock, max_restarts: int, max_seconds: float) -> None:
        self.templates = templates
        self.clock = clock
        self.max_restarts = max_restarts
        self.max_seconds = max_seconds
        self.report = RecoveryReport()
        self.refused: Mapping[str, str] = {}
        self.left: dict[str, str] = {}
        self.restarted = 0
        self.given_up = 0
        self._windows: dict[str, RestartWindow] = {}

    def admits(self, session_id: str, now: float) -> bool:
        """Enter a crash; False when it is one too many."""
        window = self._windows.pop(session_id, None) or RestartWindow(self.max_restarts, self.max_seconds)
        self._windows[session_id] = window  # the one that crashed last stands last
        if len(self._windows) > _WINDOWS_MAX:
            del self._windows[next(iter(self._windows))]
        return window.admit(now)


class Recovery(Actor):
    """The singleton that starts sessions from what is stored of them.

    Messages: `("restart", id)` from a session that crashed; ask: `DONE`.

    It has a thread of its own: it waits for the disk and runs what users have written
    for a start, and a session comes back also while the handlers of others block all workers.

    Args:
        ledger: report and crashes, which an earlier recovery actor may have left.
        around: the system around it.
    """

    dispatch = "pinned"
    crash_on_ask_error = True

    def __init__(self, ledger: RecoveryLedger, around: Surroundings) -> None:
        super().__init__()
        self._ledger = ledger
        self._around = around
        self._after: int | None = None  # the key of the last record that was looked at
        self._is_done = False
        self._failed: StoreError | None = None
        self._waiting: list[Reply] = []
        self._began = ledger.clock.monotonic()
        self._recovered = 0
        self._ended = 0
        self._quarantined: list[RefusedSession] = []
        self._left: list[RefusedSession] = []

    def on_start(self) -> None:
        """Go through the store, in turns of its own: a start keeps the supervisor waiting."""
        self.actor_ref.send(_GO_ON)

    def on_receive(self, message: Any) -> Any:
        """Go on, start one session again, or report; see the class."""
        if message == _GO_ON:
            self._go_on()
            return None
        if message == DONE:
            if self._is_done:
                return self._ledger.report
            if self._failed is not None:
                return self._failed
            self._waiting.append(self.defer_reply())
            return None
        if isinstance(message, tuple) and len(message) == 2 and message[0] in (RESTART, _AGAIN):
            self._restart(message[1], counts=message[0] == RESTART)
            return None
        raise UnknownRequest("message", message, "('restart', id), or the question whether it is done")

    # -- at the start ------------------------------------------------------------

    def _go_on(self) -> None:
        """Start the sessions of one page, and leave the rest to another turn."""
        spoiled: list[tuple[StoredRecord, str]] = []
        try:
            page: Sequence[StoredRecord] = self._ask_store(("page", self._after, _PAGE))
            try:
                for found in page:
                    self._bring_back(found, spoiled)
            finally:
                self._move_aside(spoiled)
        except _NotNowError as error:
            logger.warning("stored sessions cannot come back now, which is tried again: %s", error)
            self.send_after(_RETRY_AFTER, _GO_ON)
            if isinstance(error.__cause__, StoreError):
                self._failed = error.__cause__
                self._answer(self._failed)
            return
        if len(page) == _PAGE:
            self._actor_ref.send(_GO_ON)
        else:
            self._finish()

    def _bring_back(self, found: StoredRecord, spoiled: list[tuple[StoredRecord, str]]) -> None:
        """Start one stored session, or note why not."""
        session_id = id_of(found)
        if self._around.directory.get(session_id) is None:  # else the tree was restarted, and the session lived on
            try:
                if self._start(found):
                    self._recovered += 1
                else:
                    self._ended += 1
            except (DamagedRecordError, LoadFailed) as error:
                spoiled.append((found, error.reason))
                self._quarantined.append(RefusedSession(session_id, error.reason))
                self._refuse(session_id, "session_quarantined", error.reason)
            except (NewerRecordError, _UnusableError) as error:
                self._left.append(RefusedSession(session_id, error.reason))
                self._refuse(session_id, "session_not_recovered", error.reason)
        self._after = found.key

    def _finish(self) -> None:
        """Tell what came of it."""
        ledger = self._ledger
        ledger.report = report = RecoveryReport(
            recovered=self._recovered,
            ended=self._ended,
            quarantined=tuple(self._quarantined),
            refused=tuple(self._left),
            seconds=ledger.clock.monotonic() - self._began,
        )
        ledger.refused = {each.session_id: each.reason for each in self._left}
        directory = self._around.directory
        for session_id in directory.returning():
            if session_id in ledger.refused:
                self._around.give_up(session_id)
            else:
                # It crashed after its page was read, and its message is on its way; or that
                # was lost with an earlier recovery actor, and it was never stored.
                self._actor_ref.send((_AGAIN, session_id))
        self._is_done = True
        if report.recovered or report.ended or report.quarantined or report.refused:
            facts = {
                "recovered": report.recovered,
                "ended": report.ended,
                "quarantined": len(report.quarantined),
                "refused": len(report.refused),
            }
            self._audit(None, Audit("lifecycle", "sessions_recovered", "info", facts))
        self._answer(report)

    def _answer(self, answer: RecoveryReport | StoreError) -> None:
        waiting, self._waiting = self._waiting, []
        for reply in waiting:
            reply.set(answer)

    # -- after a crash -------------------------------------------------------------

    def _restart(self, session_id: str, *, counts: bool) -> None:
        """Start a session again that crashed; a try again is no further crash."""
        around, ledger = self._around, self._ledger
        if around.directory.get(session_id) is not None:
            return
        if counts and not ledger.admits(session_id, around.now()):
            ledger.given_up += 1
            self._leave_stored(session_id, f"more than {ledger.max_restarts} crashes in {ledger.max_seconds:g} s")
            return
        try:
            self._start_again(session_id)
        except _NotNowError as error:
            logger.warning("session %r cannot come back now, which is tried again: %s", session_id, error)
            self.send_after(_RETRY_AFTER, (_AGAIN, session_id))

    def _start_again(self, session_id: str) -> None:
        """Start a session from its last durable snapshot."""
        found: StoredRecord | None = self._ask_store(("read", session_id))
        if found is None:
            self._leave(session_id)  # it was never stored, or has ended meanwhile
            return
        try:
            if self._start(found):
                self._ledger.restarted += 1
                self._audit(session_id, Audit("lifecycle", "session_restarted", "warning"))
            else:
                self._leave(session_id)
        except (DamagedRecordError, LoadFailed) as error:
            self._move_aside([(found, error.reason)])
            self._give_up(session_id, error.reason)
        except (NewerRecordError, _UnusableError) as error:
            self._leave_stored(session_id, error.reason)

    def _leave_stored(self, session_id: str, reason: str) -> None:
        """Give a session up whose stored copy waits for people; nobody is to be stored over it."""
        self._ledger.left[session_id] = reason
        self._give_up(session_id, reason)

    def _give_up(self, session_id: str, reason: str) -> None:
        self._leave(session_id)
        self._refuse(session_id, "session_given_up", reason)

    def _leave(self, session_id: str) -> None:
        """Note that a session does not come back: nobody has to remember what it owes."""
        self._around.give_up(session_id)
        self._around.send(RATE_LIMITER, ("forget", session_id))

    # -- both ------------------------------------------------------------------------

    def _start(self, found: StoredRecord) -> bool:
        """Start a session from its record; False when it has ended.

        Raises:
            RecordError: the record is spoiled, or of a newer program.
            LoadFailed: the snapshot contradicts itself.
            _UnusableError: the program has not shown this class, or it does not start.
            _NotNowError: there is nobody to start it.
        """
        stored = decode(found)
        if stored.get("state") == TERMINATED:
            return False
        name = stored.get("class", PLAIN)
        template = self._ledger.templates.named(name)
        if template is None:
            raise _UnusableError(f"its class {name!r} is none that the program names; pass it in session_classes")
        around = self._around
        now = around.now()
        data = restore(stored, now, self._wall(found, stored, now))
        sessions = around.whereis(SESSIONS)
        if sessions is None:
            raise _NotNowError("the supervisor of sessions is gone")
        try:
            start_child(
                sessions, template.with_args((data.session_id, data.options, around, data, stored.get("user_state")))
            )
        except ChildStartFailed as failed:
            if isinstance(failed.reason, SessionTerminated):
                return False
            if not isinstance(failed.reason, SessionExists):  # else somebody was faster, and it is live
                raise _UnusableError(f"it does not start: {describe(failed.reason)[:_REASON_MAX]}") from failed
        except SupervisorsError as error:
            raise _NotNowError(str(error)) from error
        return True

    def _wall(self, found: StoredRecord, stored: Mapping[str, object], now: float) -> float:
        """Return what the wall clock says, or would if nobody had set it since this process wrote the record."""
        around = self._around
        saved_at, moment = stored.get("saved_at"), stored.get(MOMENT)
        is_own = around.saves is not None and found.epoch == around.saves.epoch
        if is_own and isinstance(saved_at, float) and isinstance(moment, float) and -inf < moment <= now:
            return saved_at + (now - moment)
        return around.wall()

    def _move_aside(self, spoiled: list[tuple[StoredRecord, str]]) -> None:
        if spoiled:
            self._ask_store(("quarantine", spoiled, self._ledger.clock.time()))

    def _ask_store(self, question: tuple[object, ...]) -> Any:
        """Ask the store actor.

        Raises:
            _NotNowError: it cannot answer.
        """
        store = self._around.whereis(STORE)
        if store is None:
            raise _NotNowError("the store actor is gone")
        try:
            answer = store.ask(question, timeout=_PATIENCE)
        except SupervisorsError as error:
            raise _NotNowError(str(error)) from error
        if isinstance(answer, StoreError):
            raise _NotNowError(str(answer)) from answer
        return answer

    def _refuse(self, session_id: str, name: str, reason: str) -> None:
        logger.warning("stored session %r did not come back: %s", session_id, reason)
        self._audit(session_id, Audit("error", name, "error", {"reason": reason}))

    def _audit(self, session_id: str | None, event: Audit) -> None:
        around = self._around
        around.audit.put((around.now(), session_id, event, None, RECOVERY))


class _NotNowError(Exception):
    """Somebody is missing who will be back."""


class _UnusableError(RecordError):
    """A stored session is whole, and this program cannot run it."""
