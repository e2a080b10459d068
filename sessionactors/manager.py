"""What a session system lets one do with many sessions, and with records rather than actors.

A *record* (`sessionactors.expiry.SessionEntry`) is what may be known about a session
without touching it. A session without activity for longer than its `ttl` is expired:
to everybody it is not there any more, whether the reaper has been round or not (`sessionactors.reaping`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, final

from sessionactors import bounds, identifiers
from sessionactors.errors import (
    InvalidKind,
    InvalidValue,
    NotFound,
    OperationFailed,
    PersistFailed,
    SessionRecovering,
    SessionRefusal,
    SessionTerminated,
    UpdateFailed,
)
from sessionactors.expiry import ReapPolicy
from sessionactors.glance import Glance
from sessionactors.lifecycle import TERMINATE, TOUCH
from sessionactors.metadata import check_metadata
from sessionactors.receipts import Receipts
from sessionactors.service_calls import ServiceCalls
from sessionactors.session_messages import PEEK, Reaping
from sessionactors.spilling import ASLEEP
from sessionactors.storage.codec import MOMENT, decode
from sessionactors.storage.errors import StoreError
from sessionactors.storage.service import COMMIT
from sessionactors.surroundings import STORE, UPDATES
from sessionactors.updates import DeleteStored, PersistFor, ReplaceMetadata, SetTtl, TellMetadata
from supervisors.errors import SupervisorsError
from supervisors.runtime.futures import ScheduledFuture
from supervisors.runtime.outcomes import ActorDeadError, AskTimeoutError
from supervisors.tasks.handle import TaskDone
from supervisors.tasks.task import shutdown, start_task, yield_

if TYPE_CHECKING:
    from sessionactors.expiry import SessionEntry
    from sessionactors.storage.intake import StoreIntake
    from sessionactors.users import Users
    from supervisors.runtime.ref import ActorRef
    from supervisors.tasks.handle import Task

__all__ = ["BatchResult", "ManagerCalls", "failed", "named", "several"]

logger = logging.getLogger("sessionactors.session")

_CONFLICTS_MAX: Final = 100
_REASON_MAX: Final = 200  # characters
_EXPIRED: Final = Reaping(ReapPolicy("expired"))


@final
@dataclass(frozen=True, slots=True)
class BatchResult:
    """What came of a batch.

    Attributes:
        done: the sessions it worked for, in the order in which they were named.
        refused: why it did not work for the others, by id.
    """

    done: tuple[str, ...]
    refused: Mapping[str, SessionRefusal]


class ManagerCalls(ServiceCalls):
    """The functions of a `SessionSystem` for records, users and batches.

    Attributes:
        users: the sessions of each user.

    Thread: every method is safe anywhere, but not inside the turn of one of its own actors.
    """

    users: Users
    _saves: StoreIntake

    # -- records -------------------------------------------------------------------

    def get_session(self, session_id: str) -> SessionEntry:
        """Return the record of a session; this is activity.

        Raises:
            NotFound: there is none, it has ended, or it is expired.
        """
        ref = self._present(session_id)
        self._tell(ref, session_id, (TOUCH, None))
        entry: SessionEntry = self._tell(ref, session_id, PEEK)
        return entry

    def list_sessions(self, predicate: Callable[[SessionEntry], object] | None = None) -> list[SessionEntry]:
        """Return the records of all sessions, or of those for which a function is true, oldest first.

        This touches nobody, and blocks nobody: others start and end meanwhile. Nor does it wait for
        anybody: of one that is busy it tells what its record says meanwhile. Left out, with a warning in the
        program's log, is who is spilled and cannot be read from the store now: `live_sessions()` names it,
        and `get_state()` answers.

        Raises:
            Exception: whatever the function raises.
        """
        return self._entries(self.directory.items(), predicate)

    def count_sessions(self, predicate: Callable[[SessionEntry], object] | None = None) -> int:
        """Return how many sessions there are, or how many for which a function is true; this touches nobody."""
        return len(self.list_sessions(predicate))

    def update_session(
        self, session_id: str, function: Callable[[dict[str, object]], object], *, timeout: float = 1.0
    ) -> SessionEntry:
        """Change the metadata of a session by a function; this is activity.

        The function gets a copy. It changes that, or returns other metadata. It runs
        on a thread of its own, apart from everything else, and again when somebody else
        has changed the metadata meanwhile, so it does nothing but make metadata.

        Args:
            session_id: which session.
            function: of a dict; returns a mapping, or None for the dict that it was given.
            timeout: seconds for each run of the function.

        Raises:
            NotFound: there is no such session.
            UpdateFailed: the function raised, took too long, or its result cannot be
                stored; nothing has changed.
        """
        timeout = bounds.seconds("timeout", timeout)
        if not callable(function):
            raise InvalidKind("function", function, "a function of a dict")
        ref = self._present(session_id)
        for _ in range(_CONFLICTS_MAX):
            old: Mapping[str, object] = self._tell(ref, session_id, TellMetadata())
            new = self._updated(function, old, timeout)
            if self._tell(ref, session_id, ReplaceMetadata(old, new)):
                entry: SessionEntry = self._tell(ref, session_id, PEEK)
                return entry
        raise UpdateFailed(f"others changed the metadata {_CONFLICTS_MAX} times meanwhile")

    def touch_session(self, session_id: str) -> None:
        """Count as activity.

        Raises:
            NotFound: there is none, it has ended, or it is expired.
        """
        self._tell(self._present(session_id), session_id, (TOUCH, None))

    def set_ttl(self, session_id: str, ttl: float | None) -> None:
        """Change after how many seconds without activity a session is expired; None is never. This is no activity.

        Raises:
            NotFound: there is none, it has ended, or it is expired.
        """
        self._tell(self._present(session_id), session_id, SetTtl(ttl))

    def delete_session(self, session_id: str) -> bool:
        """End a session, live or expired; return whether there was one. Doing so again is fine.

        Raises:
            OperationFailed: it has ended, but its stored copy is still there; deleting it is tried again.
                Or it has not answered in time, and ends when it comes to it.
            SessionRecovering: it has crashed, and is being started again.
            InvalidKind, InvalidSessionId: this is no id.
        """
        result = self.terminate_sessions([session_id], "deleted")
        for refusal in result.refused.values():
            if not isinstance(refusal, (NotFound, SessionTerminated)):
                raise refusal
        return bool(result.done)

    def cleanup_expired(self) -> int:
        """End all expired sessions now; return how many there were."""
        return self.reap("expired")

    def stored_session(self, session_id: str) -> Mapping[str, object] | None:
        """Return the stored copy of a session as plain data, or None; it may have ended, or be about to change.

        Raises:
            StoreError: the store cannot be read now.
            RecordError: the copy is spoiled, or of a newer program.
        """
        found = self._ask(STORE, ("read", identifiers.parse(session_id)))
        if isinstance(found, StoreError):
            raise found
        return None if found is None else {name: each for name, each in decode(found).items() if name not in _INWARD}

    def delete_stored(self, session_id: str) -> None:
        """Delete the stored copy of a session; a live one that is persistent is stored again with its next change.

        One that is spilled has no other copy: it is read first, and is awake then.

        Raises:
            WakeFailed: a spilled session cannot be read now; nothing is deleted.
            OperationFailed: it could not be deleted now, which is tried again; or the store refuses to,
                because a newer program or another owner has written it; or the session is busy, and
                does it when it comes to it.
        """
        known = identifiers.parse(session_id)
        try:
            self.directory.find(known).ask(DeleteStored())
        except (SessionRecovering, SessionTerminated, NotFound, ActorDeadError):
            self._saves.delete(known)
        except AskTimeoutError as late:
            raise OperationFailed("the session is busy, and deletes its stored copy when it comes to it") from late
        self._see_off([known])

    # -- users ---------------------------------------------------------------------

    def list_user(self, user_id: str) -> list[SessionEntry]:
        """Return the records of a user's sessions, oldest first; this touches nobody."""
        return self._entries(self.users.of(bounds.text("user_id", user_id)), None)

    def terminate_user(self, user_id: str, reason: str | None = None) -> BatchResult:
        """End all sessions of a user."""
        return self.terminate_sessions([each for each, _ in self.users.of(bounds.text("user_id", user_id))], reason)

    # -- batches -------------------------------------------------------------------

    def terminate_sessions(self, session_ids: Iterable[str], reason: str | None = None) -> BatchResult:
        """End several sessions; those that are stored are gone from the store when this returns.

        One that has not answered in time is among the refused (`OperationFailed`), and
        ends when it comes to it. So is one that has ended and whose stored copy the store
        refuses to delete.

        Raises:
            OperationFailed: all have ended, but stored copies are still there; deleting them is tried again.
        """
        result = self._each(several(session_ids), (TERMINATE, reason))
        kept = self._kept(result.done)
        if not kept:
            return result
        return BatchResult(tuple(each for each in result.done if each not in kept), {**result.refused, **kept})

    def persist_sessions(self, session_ids: Iterable[str], *, timeout: float = 30.0) -> BatchResult:
        """Store several sessions as they are now; those that are done are durable when this returns.

        They become durable together, so a thousand take little longer than one.

        Args:
            session_ids: which sessions.
            timeout: seconds after which those that have no answer yet count as failed.
        """
        timeout = bounds.seconds("timeout", timeout)
        receipts = Receipts(ScheduledFuture(self.actors.scheduler))
        refused: dict[str, SessionRefusal] = {}
        asked: list[str] = []
        for each in several(session_ids):
            try:
                session_id = each if type(each) is str else identifiers.parse(each)
            except SessionRefusal as refusal:
                refused[named(each)] = refusal
                continue
            try:
                ref = self.directory.find(session_id)
            except SessionRefusal as refusal:
                refused[session_id] = refusal
                continue
            asked.append(session_id)
            if not receipts.awaits(session_id):
                continue  # it was asked, and its answer is good for this one as well
            try:
                ref.ask(PersistFor(receipts))
            except SessionRefusal as refusal:
                receipts.settle(session_id, refusal)
            except ActorDeadError:
                receipts.settle(session_id, self.directory.gone(session_id))
            except SupervisorsError as error:
                receipts.settle(session_id, PersistFailed(str(error)[:_REASON_MAX]))
        refused.update(receipts.collect(timeout))
        return BatchResult(tuple(each for each in asked if each not in refused), refused)

    # -- finding and asking ----------------------------------------------------------

    def _present(self, session_id: str) -> ActorRef[Any]:
        """Return the ref of a session that is not expired; one that is has to end.

        Raises:
            NotFound: there is none, it has ended, or it is expired.
        """
        try:
            ref = self.directory.find(session_id)
        except SessionTerminated as ended:
            raise NotFound(ended.session_id) from ended
        if self._has_expired(ref, session_id):
            raise NotFound(identifiers.parse(session_id))
        return ref

    def _gives_way(self, ref: ActorRef[Any], session_id: str) -> bool:
        """Tell whether the id of a live session is free, because that one is expired."""
        try:
            return self._has_expired(ref, session_id)
        except NotFound:
            return True  # it has just ended

    def _has_expired(self, ref: ActorRef[Any], session_id: str) -> bool:
        """Tell whether a session is expired, and end it then, as the reaper would."""
        return self._tell(ref, session_id, _EXPIRED) is None

    def _tell(self, ref: ActorRef[Any], session_id: str, message: object) -> Any:
        """Ask a session, to which a record belongs only while it lives."""
        try:
            return ref.ask(message)
        except (ActorDeadError, SessionTerminated) as gone:
            raise NotFound(identifiers.parse(session_id)) from gone

    def _entries(
        self, sessions: Iterable[tuple[str, ActorRef[Any]]], predicate: Callable[[SessionEntry], object] | None
    ) -> list[SessionEntry]:
        if predicate is not None and not callable(predicate):
            raise InvalidKind("predicate", predicate, "a function of a SessionEntry")
        entries: list[SessionEntry] = []
        glance = Glance(self.actors.clock.monotonic, self.actors.ask_timeout)
        for session_id, ref in sessions:
            entry = glance.at(session_id, ref)
            if entry is not None and not _is_expired(entry) and (predicate is None or predicate(entry)):
                entries.append(entry)
        unread = glance.unread
        if unread:
            logger.warning("not listed, because they cannot be read: %d, the first is %r: %s", len(unread), *unread[0])
        return entries

    def _updated(
        self, function: Callable[[dict[str, object]], object], old: Mapping[str, object], timeout: float
    ) -> Mapping[str, object]:
        """Run an update function apart from everything else, and check what it made.

        Raises:
            UpdateFailed: nothing came of it.
        """
        # On a thread of its own: the bound holds also while all workers are busy.
        given = (function, deepcopy(dict(old)))
        task: Task[object] = start_task(self._service(UPDATES), _applied, given, is_linked=False, dispatch="pinned")
        outcome = yield_(task, timeout)
        if outcome is None:
            shutdown(task, "brutal_kill")
            raise UpdateFailed(f"the function took longer than {timeout:g} s")
        made = outcome.value if isinstance(outcome, TaskDone) else UpdateFailed("the function was killed")
        if isinstance(made, UpdateFailed):
            raise made
        try:
            return check_metadata("metadata", made)
        except (InvalidKind, InvalidValue) as error:
            raise UpdateFailed(str(error)) from error

    def _each(self, session_ids: Iterable[str], message: object) -> BatchResult:
        done: list[str] = []
        refused: dict[str, SessionRefusal] = {}
        for each in session_ids:
            try:
                session_id = each if type(each) is str else identifiers.parse(each)
            except SessionRefusal as refusal:
                refused[named(each)] = refusal
                continue
            try:
                self.directory.find(session_id).ask(message)
                done.append(session_id)
            except SessionRefusal as refusal:
                refused[session_id] = refusal
            except ActorDeadError:
                refused[session_id] = self.directory.gone(session_id)
            except SupervisorsError as error:  # it hangs, for example; that is no reason to leave out all others
                refused[session_id] = failed(error)
        return BatchResult(tuple(done), refused)

    def _see_off(self, session_ids: Iterable[str]) -> None:
        """Wait until the stored copies of sessions that have ended are deleted.

        Raises:
            OperationFailed: they could not be deleted by now, or may not be.
        """
        for failed in self._kept(session_ids).values():
            raise failed

    def _kept(self, session_ids: Iterable[str]) -> dict[str, OperationFailed]:
        """Wait until the stored copies of sessions that have ended are deleted; return which may not be, and why.

        Raises:
            OperationFailed: they could not be deleted by now; it is tried again.
        """
        saves = self._saves
        if not saves.has_ends():
            return {}
        ended = list(session_ids)
        if any(each in saves.leaving for each in ended):
            self._commit_ends()
        undeleted = saves.undeleted
        return {
            each: OperationFailed(f"it has ended, but its stored copy is still there ({undeleted[each]})")
            for each in ended
            if each in undeleted
        }

    def _commit_ends(self) -> None:
        try:
            failed = self._ask(STORE, COMMIT)
        except (NotFound, AskTimeoutError) as error:
            problem = "the store is being restarted" if isinstance(error, NotFound) else "the store has not answered"
            raise OperationFailed(f"it has ended, but its stored copy may still be there ({problem})") from error
        if isinstance(failed, StoreError):
            raise OperationFailed(f"it has ended, but its stored copy is still there ({failed.problem})")


_INWARD: Final = frozenset({ASLEEP, MOMENT})
"""What stands in a record for the process only that wrote it."""


def _is_expired(entry: SessionEntry) -> bool:
    return entry.ttl is not None and entry.idle > entry.ttl


def _applied(function: Callable[[dict[str, object]], object], copy: dict[str, object]) -> object:
    """Run an update function; an error is its result, because it is nobody's crash."""
    try:
        made = function(copy)
    except Exception as error:  # noqa: BLE001 - whatever a foreign function raises
        return UpdateFailed(f"the function raised {type(error).__name__}: {str(error)[:_REASON_MAX]}")
    return copy if made is None else made


def several(session_ids: Iterable[Any]) -> list[Any]:
    """Return the ids of a batch.

    Raises:
        InvalidKind: this is one id, or nothing of the kind.
    """
    if isinstance(session_ids, (str, bytes)) or not isinstance(session_ids, Iterable):
        raise InvalidKind("session_ids", session_ids, "several session ids")
    return list(session_ids)


def failed(error: SupervisorsError) -> OperationFailed:
    """Return what a batch says of a session that could not do its part, or has not answered."""
    return OperationFailed(str(error)[:_REASON_MAX])


def named(session_id: object) -> str:
    """Return what a batch calls something that was given as an id."""
    if isinstance(session_id, str):
        return str.__str__(session_id)  # a class of its own may have its own idea of a hash
    try:
        return repr(session_id)[:_REASON_MAX]
    except Exception:  # noqa: BLE001 - also a representation that raises is no reason to leave out all others
        return object.__repr__(session_id)
