"""A session that moves: described in bytes, and taken up by a session that is new.

What travels is what would be stored (`sessionactors.snapshots`): no credentials,
subscribers or connections, and an active session arrives as an idle one. Bytes from
elsewhere are checked as a stored record is; they are data and never run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast, final

import msgpack

from sessionactors.effects import Migrate
from sessionactors.errands import Errand
from sessionactors.errors import (
    InvalidKind,
    InvalidOption,
    LoadFailed,
    PersistFailed,
    SessionTerminated,
)
from sessionactors.lifecycle import LOAD, MIGRATE, MIGRATION_FAILED, TERMINATE, UPDATE_CONFIG, decide
from sessionactors.metadata import copy_of
from sessionactors.session_saving import PLAIN
from sessionactors.snapshots import restore
from sessionactors.states import NEW, TERMINATED
from sessionactors.storage.codec import SNAPSHOT_SIZE_MAX, decode
from sessionactors.storage.contract import Record, StoredRecord
from sessionactors.storage.errors import RecordError

if TYPE_CHECKING:
    from sessionactors.session import Session
    from sessionactors.session_data import SessionData

__all__ = ["MIGRATED", "ChangeOptions", "Leave", "Load", "MigrationData", "TakeAlong", "TellData"]

MIGRATED: Final = "migrated"
"""The reason with which a session ends that has moved."""

_FIXED: Final = {
    "quota": "set_quota() changes this one",
    "metadata": "update_session() changes this one",
    "user_id": "authenticate() changes this one",
    "persistent": "this one is chosen at the start",
    "backend": "this one is chosen at the start",
}
_ENVELOPE_MAX: Final = 1024  # bytes around a snapshot: the id has 256 of them at most


@final
class MigrationData(NamedTuple):
    """What of a session travels.

    Attributes:
        session_id: which session.
        state_data: all about it, for `load()`.
        timestamp: UTC seconds.
    """

    session_id: str
    state_data: bytes
    timestamp: float


@final
class TakeAlong(Errand):
    """Describe the session for a target, and tell log and subscribers.

    Args:
        target: what it is called.
        leaves: the session is about to end here, so it has no request in hand: the answer to
            that would tell of something that has not moved along.
    """

    __slots__ = ("_leaves", "_target")
    is_use = True

    def __init__(self, target: object, *, leaves: bool = False) -> None:
        self._target = target
        self._leaves = leaves

    def run(self, session: Session) -> tuple[MigrationData, object]:
        """Return the data, and what `Leave` compares to see whether it is still true.

        Raises:
            MigrationNotAllowed: the session may not move.
            MigrationFailed: it holds something that cannot travel, or leaves with a request in hand.
            InvalidTransition: it is neither active nor suspended.
            SessionTerminated: it has ended.
        """
        data, now = session.data, session.now()
        effects = decide(data, MIGRATE, now, self._target)
        session.apply(tuple(each for each in effects if each.__class__ is not Migrate))
        if self._leaves and session.requests is not None and session.requests.is_busy:
            session.apply(decide(data, MIGRATION_FAILED, now, "a request is in hand"))
        try:
            record = session.described()
        except PersistFailed as failed:
            session.apply(decide(data, MIGRATION_FAILED, now, failed.reason))
            raise
        return MigrationData(data.session_id, _packed(record), session.wall()), _mark(data)


@final
class Leave(Errand):
    """End the session here because it is somewhere else, unless it has been used meanwhile.

    Args:
        mark: from `TakeAlong`.
    """

    __slots__ = ("_mark",)

    def __init__(self, mark: object) -> None:
        self._mark = mark

    def run(self, session: Session) -> bool:
        """Return whether it ends."""
        if session.data.state == TERMINATED:
            raise SessionTerminated(session.data.session_id)
        if _mark(session.data) != self._mark:
            return False
        session.receive_ask((TERMINATE, MIGRATED))
        return True


@final
class Load(Errand):
    """Make a new session the one that bytes describe.

    Args:
        state_data: from `MigrationData`.

    Raises:
        InvalidKind: these are no bytes.
    """

    __slots__ = ("_stored",)
    is_use = True

    def __init__(self, state_data: object) -> None:
        if not isinstance(state_data, bytes):
            raise InvalidKind("data", state_data, "bytes, the state_data of a migration")
        # Here, because it takes its time, and the session has others who wait. What is wrong with the bytes
        # is said there: a session that may not be loaded says that, whatever they are.
        self._stored: Mapping[str, object] | LoadFailed
        try:
            self._stored = decode(_unpacked(state_data))
        except RecordError as error:
            self._stored = LoadFailed(error.reason)
        except LoadFailed as error:
            self._stored = error

    def run(self, session: Session) -> str:
        """Return the state that it is in afterwards.

        Raises:
            InvalidTransition: the session is not new.
            LoadFailed: the bytes are not what was written, of another session or class, or of one that has ended.
            TooManySessions: its user has as many as may be.
        """
        data, now, stored = session.data, session.now(), self._stored
        if data.state != NEW:
            decide(data, LOAD, now)  # it knows what to say
        if isinstance(stored, LoadFailed):
            raise stored
        name = stored.get("class", PLAIN)
        if name != session.stored_name():
            raise LoadFailed(f"it is of class {name!r}, and this one of {session.stored_name()!r}")
        restored = restore(stored, now, session.wall())
        if restored.session_id != data.session_id:
            raise LoadFailed(f"it belongs to session {restored.session_id!r}")
        session.become(restored, stored.get("user_state"))
        return session.data.state


@final
class TellData(Errand):
    """Answer with everything about the session, as plain data."""

    __slots__ = ()
    is_use = True

    def run(self, session: Session) -> Mapping[str, object]:
        """Return a copy; what is stored of options is shared by many."""
        if session.data.state == TERMINATED:
            raise SessionTerminated(session.data.session_id)
        return copy_of(session.plain())


@final
class ChangeOptions(Errand):
    """Change some of the session's options from now on.

    Args:
        changes: option names and values.
    """

    __slots__ = ("_changes",)
    is_use = True

    def __init__(self, changes: object) -> None:
        if not isinstance(changes, Mapping):
            raise InvalidKind("options", changes, "a mapping of option names to values")
        for name in changes:
            instead = _FIXED.get(name) if isinstance(name, str) else None
            if instead is not None:
                raise InvalidOption("option of update_config", name, f"another option; {instead}")
        self._changes = cast("Mapping[str, object]", changes)

    def run(self, session: Session) -> str:
        """Return the state of the session, which is as before."""
        if session.data.state == TERMINATED:
            raise SessionTerminated(session.data.session_id)
        state: str = session.receive_ask((UPDATE_CONFIG, session.data.options.updated(self._changes)))
        return state


def _mark(data: SessionData) -> object:
    """Return what changes with everything that is worth taking along; each request that is begun counts."""
    sums = (data.requests, data.bytes, data.connections, data.largest_message, data.auth_attempts)
    return data.transitions, data.last_activity, sums, data.locked, data.quota, data.options, dict(data.metadata)


def _packed(record: Record) -> bytes:
    packed: bytes = msgpack.packb(tuple(record))
    return packed


def _unpacked(packed: bytes) -> StoredRecord:
    """Return a record out of bytes from anywhere.

    Raises:
        LoadFailed: they are none.
    """
    if len(packed) > SNAPSHOT_SIZE_MAX + _ENVELOPE_MAX:
        raise LoadFailed(f"it has {len(packed)} bytes, and at most {SNAPSHOT_SIZE_MAX + _ENVELOPE_MAX} are allowed")
    try:
        found: Any = msgpack.unpackb(packed)
        session_id, schema, checksum, snapshot = found
        return StoredRecord(0, session_id.encode(), 0, schema, checksum, snapshot)
    except (ValueError, TypeError, AttributeError, msgpack.UnpackException) as error:
        raise LoadFailed(f"it is no session ({type(error).__name__})") from error
