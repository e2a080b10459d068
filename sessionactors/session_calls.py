"""What a session system lets one do with one session: its life, looking at it, administrators' overrides."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, cast

from sessionactors import bounds, identifiers
from sessionactors.audit.errors import AuditError
from sessionactors.errors import InvalidQuota, NoBackend, NotFound, NotPersistent, SessionRefusal, SessionTerminated
from sessionactors.lifecycle import (
    ACTIVATE,
    AUTHENTICATE,
    DEACTIVATE,
    FORCE_RESUME,
    FORCE_SUSPEND,
    FORCE_TERMINATE,
    INIT_SESSION,
    LOCK,
    MIGRATION_FAILED,
    OVERRIDE_QUOTA,
    PERSIST,
    RESUME,
    SET_QUOTA,
    SUSPEND,
    TERMINATE,
    TOUCH,
    UNLOCK,
    UPDATE_RESOURCES,
    Override,
)
from sessionactors.moving import ChangeOptions, Leave, Load, MigrationData, TakeAlong, TellData
from sessionactors.session_followers import AddConnection, RemoveConnection, TellConnections
from sessionactors.session_messages import SUBSCRIBE, UNSUBSCRIBE
from sessionactors.settings import Quota
from sessionactors.sleeping import FallAsleep
from sessionactors.spilling import Spill
from sessionactors.states import TERMINATED
from sessionactors.user_calls import UserCalls
from sessionactors.verification import AuthenticatorStatistics
from supervisors.errors import InternalError, SupervisorsError
from supervisors.runtime.outcomes import ActorDeadError, AskTimeoutError

if TYPE_CHECKING:
    from sessionactors.audit.contract import AuditHead
    from sessionactors.audit.service import AuditLedger
    from sessionactors.hibernation_ledger import HibernationStatistics
    from sessionactors.session import Session
    from sessionactors.session_data import HistoryEntry, QuotaCheck, SessionInfo, SessionMetrics
    from sessionactors.settings import SessionOptions
    from sessionactors.verification import TurnVerifier, Verifier
    from supervisors.runtime.ref import ActorRef

__all__ = ["SessionCalls"]

_MOVES_MAX: Final = 3
_NEARBY: Final = "another session system of this process"
_REASON_MAX: Final = 200  # characters


class SessionCalls(UserCalls):
    """The functions of a `SessionSystem` that ask one session.

    Thread: every method is safe anywhere, but not inside the turn of one of its own actors.
    """

    _ledger: AuditLedger
    _verifier: Verifier | TurnVerifier | None
    commit_audit: Callable[[], AuditHead]

    # -- its life ------------------------------------------------------------------

    def init_session(self, session_id: str, metadata: Mapping[str, object] | None = None) -> str:
        """Add metadata to a new session; new keys win. Returns the state, `new`."""
        return self._do(session_id, INIT_SESSION, metadata)

    def authenticate(self, session_id: str, auth_context: object) -> str:
        """Hand credentials to a session; `activate` has them checked. Returns `auth`.

        Raises:
            MaxAttempts: there have been too many; the session has ended.
            AuthBlocked: an administrator has locked the session.
            AuditError: it was done, and is to be durable (`rights_are_durable`) and is not yet.
        """
        return self._on_record(self._do, session_id, AUTHENTICATE, auth_context)

    def activate(self, session_id: str) -> str:
        """Make a session active if its credentials are good. Returns `active`.

        Raises:
            NotAuthenticated: there are no credentials.
            AuthenticationFailed: they were rejected; `authenticate` again.
            SessionTerminated: the session has ended before the authenticator had an answer.
            SessionRecovering: it has crashed before that, and comes back.
            AuditError: it was done, and is to be durable (`rights_are_durable`) and is not yet.

        Blocks: as long as the authenticator takes, at most until `auth_timeout` ends the session.
        """
        if self._verifier is None:
            return self._on_record(self._do, session_id, ACTIVATE)
        return self._on_record(self._activate_verified, session_id)

    def _activate_verified(self, session_id: str) -> str:
        ref = self.directory.find(session_id)
        try:
            state: str = ref.ask((ACTIVATE, None), timeout=None)
        except ActorDeadError as dead:
            raise self.directory.gone(session_id) from dead
        return state

    def authenticator_statistics(self) -> AuthenticatorStatistics:
        """Return how many credentials are being judged, and how many calls of the authenticator hang."""
        return AuthenticatorStatistics() if self._verifier is None else self._verifier.statistics()

    def deactivate(self, session_id: str) -> str:
        """Make an active session idle. Returns `idle`."""
        return self._do(session_id, DEACTIVATE)

    def suspend(self, session_id: str, reason: str | None = None) -> str:
        """Suspend an active or idle session. Returns `suspended`."""
        return self._do(session_id, SUSPEND, reason)

    def resume(self, session_id: str) -> str:
        """Make an idle or suspended session active again. Returns `active`."""
        return self._do(session_id, RESUME)

    def terminate(self, session_id: str, reason: str | None = None) -> None:
        """End a session for good; all services forget it, the audit log does not.

        A persistent one is gone from the store when this returns.

        Raises:
            OperationFailed: it has ended, but its stored copy is still there; deleting it is tried
                again, unless the store refuses that, and then it says why.
        """
        self._do(session_id, TERMINATE, reason)
        if self._saves.has_ends():
            self._see_off([identifiers.parse(session_id)])

    def persist(self, session_id: str) -> None:
        """Store a session as it is now; it is durable when this returns.

        What changes the state or the settings of a persistent session is stored by
        itself, soon; what it uses (`update_resources`, `touch`) is stored along with
        that. This is for what must not be lost.

        Raises:
            NotPersistent: the session was started without persistence.
            NoBackend: it has no store.
            PersistFailed: it could not be done now; what was stored before is still there.
        """
        self._do(session_id, PERSIST)

    def touch(self, session_id: str) -> None:
        """Count as activity, without using anything."""
        self._do(session_id, TOUCH)

    def update_resources(
        self,
        session_id: str,
        *,
        requests: int = 0,
        bytes: int = 0,  # noqa: A002 - the specification's name
        connections: int = 0,
        message_size: int = 0,
    ) -> None:
        """Add to what an active session has used; this is activity.

        Raises:
            QuotaExceeded: over a quota; nothing was added.
        """
        self._do(session_id, UPDATE_RESOURCES, (requests, connections, bytes, message_size))

    def set_quota(self, session_id: str, quota: Quota | Mapping[str, object]) -> None:
        """Replace a session's quota."""
        self._do(session_id, SET_QUOTA, _quota(quota))

    def hibernate(self, session_id: str) -> bool:
        """Have a session sleep until its next message; it has the same ref, state and timers meanwhile.

        Returns:
            Whether it sleeps. A session that has something in hand goes on: credentials
            that are being checked, a request that is a coroutine.

        Raises:
            SessionTerminated: it has ended.
            NotFound: there is no such session.
        """
        slept: bool = self._query(session_id, FallAsleep())
        return slept

    def spill(self, session_id: str) -> bool:
        """Have a persistent session that hibernates leave memory for the store.

        Returns:
            Whether it is there. One that is awake or not persistent, or whose object has to
            stay, is as it was.

        Raises:
            PersistFailed: the store did not take it; it sleeps on, in memory.
            SessionTerminated: it has ended.
            NotFound: there is no such session.

        Blocks: until it is durable.
        """
        spilled: bool = self._query(session_id, Spill())
        return spilled

    def hibernate_idle_sessions(self, idle: float = 30.0) -> int:
        """Have all sessions sleep that have had no activity for so many seconds; return how many sleep now.

        Raises:
            InvalidValue: this is no number of seconds.

        Blocks: until each has had its turn, `ask_timeout` seconds at most for one that hangs.
        """
        errand = FallAsleep(bounds.seconds("idle", idle))
        asleep = 0
        for ref in self.directory.refs():
            try:
                asleep += ref.ask(errand)
            except (ActorDeadError, AskTimeoutError):
                continue  # it has ended meanwhile, or hangs
        return asleep

    def hibernation_statistics(self) -> HibernationStatistics:
        """Return how many sessions sleep, and what they weigh asleep and would weigh awake."""
        return self._around.hibernations.statistics()

    # -- connections, settings, moving ---------------------------------------

    def add_connection(self, session_id: str, connection_id: str, ref: ActorRef[Any] | None = None) -> None:
        """Open a connection of an active session; this is activity.

        Args:
            session_id: which session.
            connection_id: what it is called, unlike all others of the session.
            ref: the actor that holds it; when that ends, the connection is closed.

        Raises:
            ConnectionExists: this one is open already.
            QuotaExceeded: `max_connections` are open.
            InvalidState: the session is not active.
        """
        self._query(session_id, AddConnection(connection_id, ref))

    def remove_connection(self, session_id: str, connection_id: str) -> bool:
        """Close a connection, in any state; return whether it was open. This is no activity."""
        was_open: bool = self._query(session_id, RemoveConnection(connection_id))
        return was_open

    def get_connections(self, session_id: str) -> Mapping[str, ActorRef[Any] | None]:
        """Return who holds which connection, in order of their opening."""
        found: Mapping[str, ActorRef[Any] | None] = self._query(session_id, TellConnections())
        return found

    def update_config(self, session_id: str, options: Mapping[str, object]) -> None:
        """Change some options of a session from now on; timers that run are counted anew by them.

        Raises:
            InvalidOption: there is no such option, or another function changes it.
            InvalidKind, InvalidValue: it may not have this value.
        """
        self._query(session_id, ChangeOptions(options))

    def set_timeout(self, session_id: str, seconds: float | None) -> None:
        """Change the `idle_timeout` of a session, seconds; None turns it off."""
        self.update_config(session_id, {"idle_timeout": seconds})

    def get_session_data(self, session_id: str) -> Mapping[str, object]:
        """Return everything about a session as plain data, as it would be stored: without credentials."""
        found: Mapping[str, object] = self._query(session_id, TellData())
        return found

    def load(self, session_id: str, data: bytes) -> str:
        """Make a new session the one that the `state_data` of a `migrate()` describe; return its state.

        A session that was active is idle, one that was being authenticated is new. Whoever ends
        it where it comes from calls `persist()` before.

        Raises:
            LoadFailed: these are not such data, or of another session, class or a newer program.
            InvalidTransition: the session is not new any more.
            TooManySessions: its user has as many as may be.
        """
        state: str = self._query(session_id, Load(data))
        return state

    def migrate(self, session_id: str, target: str | SessionCalls) -> MigrationData:
        """Describe an active or suspended session for somewhere else, and move it there if that is at hand.

        Args:
            session_id: which session; it was started with `migration_allowed`.
            target: another session system, which has the session when this returns, a
                persistent one durably, while here it has ended with the reason `migrated`. Or the name of a place that
                the program knows: then the session goes on, until the program, which
                carries the data there for `load()`, terminates it.

        Raises:
            MigrationNotAllowed: the session may not move.
            MigrationFailed: the target did not take it, or a request is in hand; it goes on here.
            InvalidTransition: it is neither active nor suspended.
        """
        if not isinstance(target, SessionCalls):
            moved, _ = self._query(session_id, TakeAlong(target))
            return cast("MigrationData", moved)
        ref = self.directory.find(session_id)
        for _ in range(_MOVES_MAX):
            moved, mark = self._query(session_id, TakeAlong(_NEARBY, leaves=True))
            try:
                target.take_in(moved, ref.actor_class)
            except SupervisorsError as error:
                self._do(session_id, MIGRATION_FAILED, str(error)[:_REASON_MAX])
            if self._query(session_id, Leave(mark)):
                if self._saves.has_ends():
                    self._see_off([moved.session_id])
                return cast("MigrationData", moved)
            target.terminate(moved.session_id, "migration_failed")
        self._do(session_id, MIGRATION_FAILED, f"it was used {_MOVES_MAX} times while it moved")
        raise InternalError("a migration that has failed was not refused")

    def take_in(self, moved: MigrationData, session_class: type[Session]) -> None:
        """Start the session that comes from elsewhere, and store it if it is persistent.

        It is durable when this returns, because where it comes from its stored copy is
        deleted then. When this raises, there is none.

        Raises:
            SessionRefusal: what `start_session()`, `load()` and `persist()` refuse.
        """
        self.start_session(moved.session_id, session_class=session_class)
        try:
            self.load(moved.session_id, moved.state_data)
            with suppress(NotPersistent, NoBackend):
                self.persist(moved.session_id)
        except BaseException:
            with suppress(SupervisorsError):  # the first error is the one that tells why
                self.terminate(moved.session_id, "load_failed")
            raise

    @abstractmethod
    def start_session(
        self,
        session_id: str | bytes | None = None,
        options: SessionOptions | Mapping[str, object] | None = None,
        *,
        session_class: type[Session] = ...,
    ) -> str:
        """Start a session."""

    # -- looking at it ------------------------------------------------------

    def get_state(self, session_id: str) -> str:
        """Return a live session's state."""
        state: str = self._query(session_id, "get_state")
        return state

    def state_of(self, session_id: str) -> str | None:
        """Return the state, `terminated` after the end, None if there never was such a session.

        Raises:
            SessionRecovering: it has crashed and is being started again, so nobody knows its state yet.
        """
        try:
            return self.get_state(session_id)
        except SessionTerminated:
            return TERMINATED
        except NotFound:
            return None

    def get_info(self, session_id: str) -> SessionInfo:
        """Return the information record of a live session."""
        answer: SessionInfo = self._query(session_id, "get_info")
        return answer

    def get_metrics(self, session_id: str) -> SessionMetrics:
        """Return the metrics record of a live session."""
        answer: SessionMetrics = self._query(session_id, "get_metrics")
        return answer

    def get_history(self, session_id: str) -> list[HistoryEntry]:
        """Return the remembered transitions of a live session, oldest first."""
        answer: list[HistoryEntry] = self._query(session_id, "get_history")
        return answer

    def check_quota(self, session_id: str) -> QuotaCheck:
        """Tell whether a session has headroom; this is no activity."""
        answer: QuotaCheck = self._query(session_id, "check_quota")
        return answer

    def subscribe(self, session_id: str, subscriber: ActorRef[Any] | Callable[[Any], object]) -> None:
        """Send `SessionEvent`s to an actor or a function; subscribing again changes nothing.

        A function is called in the session's own turn, by whichever thread runs it: it
        is quick, and whoever wants to call the session back subscribes an actor. One
        that raises is dropped, as is an actor that has ended.
        """
        self._query(session_id, [SUBSCRIBE, subscriber])

    def unsubscribe(self, session_id: str, subscriber: ActorRef[Any] | Callable[[Any], object]) -> None:
        """Stop sending; nothing happens if it was not subscribed."""
        self._query(session_id, [UNSUBSCRIBE, subscriber])

    def live_sessions(self) -> list[str]:
        """Return the ids of the live sessions in order of their start."""
        return self.directory.ids()

    # -- administrators -----------------------------------------------------------

    def force_suspend(self, session_id: str, *, admin: str, reason: str = "") -> str:
        """Suspend a session whatever its guards say; audited as `security` under the name."""
        return self._on_record(self._do, session_id, FORCE_SUSPEND, Override(admin, reason))

    def force_resume(self, session_id: str, *, admin: str, reason: str = "") -> str:
        """Resume a session whatever its guards say; audited as `security`."""
        return self._on_record(self._do, session_id, FORCE_RESUME, Override(admin, reason))

    def force_terminate(self, session_id: str, *, admin: str, reason: str = "") -> None:
        """End a session; audited as `security`."""
        self._on_record(self._do, session_id, FORCE_TERMINATE, Override(admin, reason))
        if self._saves.has_ends():
            self._see_off([identifiers.parse(session_id)])

    def lock(self, session_id: str, *, admin: str, reason: str = "") -> None:
        """Block authentication until `unlock`; audited as `security`."""
        self._on_record(self._do, session_id, LOCK, Override(admin, reason))

    def unlock(self, session_id: str, *, admin: str, reason: str = "") -> None:
        """Allow authentication again, with a fresh count of attempts; audited as `security`."""
        self._on_record(self._do, session_id, UNLOCK, Override(admin, reason))

    def override_quota(
        self, session_id: str, quota: Quota | Mapping[str, object], *, admin: str, reason: str = ""
    ) -> None:
        """Replace a session's quota as an administrator; audited as `security`."""
        self._on_record(self._do, session_id, OVERRIDE_QUOTA, Override(admin, reason, _quota(quota)))

    # -- finding and asking ----------------------------------------------------------------

    def _on_record(self, do: Callable[..., str], session_id: str, *arguments: object) -> str:
        """Do what gives or takes rights; where the settings want that, return when the log has it for good."""
        if not self._ledger.settings.rights_are_durable:
            return do(session_id, *arguments)
        try:
            state = do(session_id, *arguments)
        except SessionRefusal:
            with suppress(AuditError):  # nothing was granted, and what was refused waits for the log
                self.commit_audit()
            raise
        self.commit_audit()
        return state

    def _do(self, session_id: str, operation: str, argument: object = None) -> str:
        ref = self.directory.live.get(session_id) if type(session_id) is str else None
        if ref is None:
            ref = self.directory.find(session_id)
        try:
            state: str = ref.ask((operation, argument))
        except ActorDeadError as dead:
            raise self.directory.gone(session_id) from dead
        return state

    def _query(self, session_id: str, message: object) -> Any:
        ref = self.directory.find(session_id)
        try:
            return ref.ask(message)
        except ActorDeadError as dead:
            raise self.directory.gone(session_id) from dead


def _quota(given: object) -> Quota:
    if isinstance(given, Quota):
        return given
    if not isinstance(given, Mapping):
        raise InvalidQuota("quota", given, "a Quota, or a mapping of its options")
    return Quota.from_mapping(given)
