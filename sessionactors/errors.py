"""Every refusal of the session system, each with the specification's code.

::

    SessionActorsError                          (Exception)
    └── SessionRefusal                          (supervisors.errors.Refusal)
        ├── InvalidTransition                   invalid_transition
        ├── InvalidState                        invalid_state
        │   └── AuthenticationPending           authentication_pending
        ├── SessionTerminated                   session_terminated
        ├── SessionRecovering                   session_recovering
        ├── NotAuthenticated                    not_authenticated
        ├── AuthenticationFailed                authentication_failed
        ├── AuthBlocked                         auth_blocked
        ├── MaxAttempts                         max_attempts
        ├── ResumeBlocked                       resume_blocked
        ├── QuotaExceeded                       quota_exceeded
        ├── RateLimited                         rate_limited
        │   └── RequestDropped                  request_dropped
        ├── AuditUnavailable                    audit_unavailable
        ├── CapacityExceeded                    capacity_exceeded
        │   └── TooManySessions                 too_many_sessions
        ├── SessionExists                       already_exists
        │   └── RecordExists                    session_exists
        ├── ConnectionExists                    connection_exists
        ├── NotFound                            not_found
        ├── NoProcess                           no_pid
        ├── NotPersistent                       not_persistent
        ├── NoBackend                           no_backend
        ├── MigrationNotAllowed                 migration_not_allowed
        ├── ManagerNotRunning                   session_manager_not_running
        ├── OperationFailed                     operation_failed
        │   ├── PersistFailed                   persist_failed
        │   ├── WakeFailed                      wake_failed
        │   ├── LoadFailed                      load_failed
        │   ├── MigrationFailed                 migration_failed
        │   ├── ProcessDied                     process_died
        │   ├── UpdateFailed                    update_failed
        │   └── CollectionFailed                collection_failed
        ├── InvalidKind                         invalid_type      (TypeError)
        └── InvalidValue                        invalid_value     (ValueError)
            ├── InvalidSessionId                invalid_session_id
            ├── InvalidOption                   invalid_option
            ├── InvalidQuota                    invalid_quota
            ├── InvalidLimit                    invalid_limit
            │   └── LimitExceedsGlobal          limit_exceeds_global
            ├── InvalidAction                   invalid_action
            ├── InvalidBackend                  invalid_backend
            ├── UnknownRequest                  unknown_request
            └── UnsupportedFormat               unsupported_format

They are all refusals, bad input included: an actor that raises one lives on.
They can be pickled and copied, because they travel between processes. The
names follow the specification's codes, so none of them ends in "Error".

Source: session system, chapters 1 to 3, for the codes that stand there; the others are ours.
"""

from __future__ import annotations

from sessionactors.bad_input import (
    InvalidAction,
    InvalidBackend,
    InvalidKind,
    InvalidLimit,
    InvalidOption,
    InvalidQuota,
    InvalidSessionId,
    InvalidValue,
    LimitExceedsGlobal,
    UnknownRequest,
    UnsupportedFormat,
)
from sessionactors.failures import (
    CollectionFailed,
    LoadFailed,
    MigrationFailed,
    OperationFailed,
    PersistFailed,
    ProcessDied,
    UpdateFailed,
    WakeFailed,
)
from sessionactors.refusal import SessionActorsError, SessionRefusal

__all__ = [
    "AuditUnavailable",
    "AuthBlocked",
    "AuthenticationFailed",
    "AuthenticationPending",
    "CapacityExceeded",
    "CollectionFailed",
    "ConnectionExists",
    "InvalidAction",
    "InvalidBackend",
    "InvalidKind",
    "InvalidLimit",
    "InvalidOption",
    "InvalidQuota",
    "InvalidSessionId",
    "InvalidState",
    "InvalidTransition",
    "InvalidValue",
    "LimitExceedsGlobal",
    "LoadFailed",
    "ManagerNotRunning",
    "MaxAttempts",
    "MigrationFailed",
    "MigrationNotAllowed",
    "NoBackend",
    "NoProcess",
    "NotAuthenticated",
    "NotFound",
    "NotPersistent",
    "OperationFailed",
    "PersistFailed",
    "ProcessDied",
    "QuotaExceeded",
    "RateLimited",
    "RecordExists",
    "RequestDropped",
    "ResumeBlocked",
    "SessionActorsError",
    "SessionExists",
    "SessionRecovering",
    "SessionRefusal",
    "SessionTerminated",
    "TooManySessions",
    "UnknownRequest",
    "UnsupportedFormat",
    "UpdateFailed",
    "WakeFailed",
]


# --- The lifecycle says no -------------------------------------------------------------------------------------------


class InvalidTransition(SessionRefusal):
    """The operation leads nowhere from the state that the session is in.

    Attributes:
        state: the state the session is in.
        operation: what was asked for.
    """

    code = "invalid_transition"

    def __init__(self, state: str, operation: str) -> None:
        self.state = state
        self.operation = operation
        super().__init__(f"{operation} is not possible in state {state!r}; ask get_state() what is possible")


class InvalidState(SessionRefusal):
    """The operation does not change the state, but needs another one.

    Attributes:
        state: the state the session is in.
        operation: what was asked for.
        needed: the state in which it would work.
    """

    code = "invalid_state"

    def __init__(self, state: str, operation: str, needed: str = "active") -> None:
        self.state = state
        self.operation = operation
        self.needed = needed
        super().__init__(f"{operation} needs a session that is {needed!r}, but it is {state!r}; resume or activate it")


class AuthenticationPending(InvalidState):
    """The authenticator has not answered yet, so nothing else may try meanwhile."""

    code = "authentication_pending"

    def __init__(self, operation: str) -> None:
        self.state = "auth"
        self.operation = operation
        self.needed = "auth"
        SessionRefusal.__init__(
            self, f"{operation}: the authenticator is still checking the last credentials; ask again when it answered"
        )


class SessionTerminated(SessionRefusal):
    """The session has ended for good.

    Attributes:
        session_id: which session.
    """

    code = "session_terminated"

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        super().__init__(f"session {session_id!r} has ended; start another one under a new id")


class SessionRecovering(SessionRefusal):
    """The session has crashed and is being started again from the store.

    Attributes:
        session_id: which session.
    """

    code = "session_recovering"

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        super().__init__(f"session {session_id!r} is being started again from the store; ask again in a moment")


class NotAuthenticated(SessionRefusal):
    """The session has neither credentials nor a pre-authenticated mark."""

    code = "not_authenticated"

    def __init__(self) -> None:
        super().__init__(
            "activate needs credentials first: call authenticate(context), "
            "or start the session with metadata pre_authenticated=True or auth_required=False"
        )


class AuthenticationFailed(SessionRefusal):
    """The authenticator did not accept the credentials, or could not be asked.

    Why exactly stands in the audit log only: an answer that tells helps to guess.

    Attributes:
        attempts_left: how many calls of authenticate are left before the session ends.
    """

    code = "authentication_failed"

    def __init__(self, attempts_left: int) -> None:
        self.attempts_left = attempts_left
        step = f"call authenticate again ({attempts_left} left)" if attempts_left else "the session has ended"
        super().__init__(f"the credentials were not accepted; {step}")


class AuthBlocked(SessionRefusal):
    """The session is locked out."""

    code = "auth_blocked"

    def __init__(self) -> None:
        super().__init__("the session is locked out; an administrator can call unlock()")


class MaxAttempts(SessionRefusal):
    """All attempts to authenticate are used up; the session has ended.

    Attributes:
        attempts: how many there were.
    """

    code = "max_attempts"

    def __init__(self, attempts: int) -> None:
        self.attempts = attempts
        super().__init__(f"{attempts} attempts to authenticate are used up and the session has ended; start a new one")


class ResumeBlocked(SessionRefusal):
    """A suspended session may not be resumed by its user."""

    code = "resume_blocked"

    def __init__(self) -> None:
        super().__init__("this session was started with resume_allowed=False; an administrator can call force_resume()")


# --- There is not enough of something --------------------------------------------------------------------------------


class QuotaExceeded(SessionRefusal):
    """The update would use more than the session's quota; nothing was applied.

    Attributes:
        dimension: "requests", "connections" or "message_size".
        used: what is used already (0 for a message's size, which is not summed up).
        limit: the quota.
        wanted: what was asked for on top.
    """

    code = "quota_exceeded"

    def __init__(self, dimension: str, used: int, limit: int, wanted: int) -> None:
        self.dimension = dimension
        self.used = used
        self.limit = limit
        self.wanted = wanted
        super().__init__(f"{dimension}: {used} used, {wanted} wanted, but the quota is {limit}; set_quota() raises it")


class RateLimited(SessionRefusal):
    """The rate limit does not admit this now.

    Attributes:
        wait: seconds after which the same request would be admitted if nothing
            else comes between; infinite when it never can be.
    """

    code = "rate_limited"

    def __init__(self, wait: float) -> None:
        self.wait = wait
        step = "ask for less at once" if wait == float("inf") else f"retry after {wait:.3f} s"
        super().__init__(f"the rate limit is reached; {step}")

    @property
    def retry_after_ms(self) -> float:
        """The same wait in milliseconds, for protocols that want it so."""
        return self.wait * 1000.0


class RequestDropped(RateLimited):
    """The throttle `drop` is in force: requests are discarded, without a hint when to retry."""

    code = "request_dropped"

    def __init__(self) -> None:
        self.wait = float("inf")
        SessionRefusal.__init__(self, "requests of this session are being dropped; clear_throttle() ends that")


class AuditUnavailable(SessionRefusal):
    """The audit log cannot be written, so nothing is granted that it would have to tell about.

    Attributes:
        operation: what was refused.
    """

    code = "audit_unavailable"

    def __init__(self, operation: str) -> None:
        self.operation = operation
        super().__init__(f"{operation} is refused while the audit log cannot be written; see the program's own log")


class CapacityExceeded(SessionRefusal):
    """A queue or a table is full.

    Attributes:
        what: what is full.
        limit: how much it holds.
    """

    code = "capacity_exceeded"

    def __init__(self, what: str, limit: int) -> None:
        self.what = what
        self.limit = limit
        super().__init__(f"{what} is full ({limit}); try again later or raise the limit")


class TooManySessions(CapacityExceeded):
    """The user has as many parallel sessions as are allowed.

    Attributes:
        user_id: which user.
    """

    code = "too_many_sessions"

    def __init__(self, user_id: str, limit: int) -> None:
        self.user_id = user_id
        super().__init__(f"the set of parallel sessions of user {user_id!r}", limit)


# --- Somebody is there already, or nobody is -------------------------------------------------------------------------


class SessionExists(SessionRefusal):
    """A live session has this id.

    Attributes:
        session_id: the id that was asked for.
    """

    code = "already_exists"

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        super().__init__(f"{session_id!r} is taken by a live session; terminate it first or choose another id")


class ConnectionExists(SessionRefusal):
    """The session has a connection of this id.

    Attributes:
        connection_id: the id that was given.
    """

    code = "connection_exists"

    def __init__(self, connection_id: str) -> None:
        self.connection_id = connection_id
        super().__init__(
            f"the session has a connection {connection_id!r} already; remove it first or choose another id"
        )


class RecordExists(SessionExists):
    """A service keeps a record for this session already."""

    code = "session_exists"


class NotFound(SessionRefusal):
    """Nobody knows this id.

    Attributes:
        what: the kind of thing that was looked for.
        key: its id.
    """

    code = "not_found"

    def __init__(self, key: str, what: str = "session") -> None:
        self.what = what
        self.key = key
        super().__init__(f"there is no {what} {key!r}; it has ended, was removed, or never existed")


class NoProcess(SessionRefusal):
    """The record has no actor to work on."""

    code = "no_pid"

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        super().__init__(f"no actor is recorded for session {session_id!r}; name one when creating the record")


class ManagerNotRunning(SessionRefusal):
    """The session manager is not there at the moment."""

    code = "session_manager_not_running"

    def __init__(self) -> None:
        super().__init__("the session manager is not running; start the session system, or retry while it restarts")


# --- A feature is off ------------------------------------------------------------------------------------------------


class NotPersistent(SessionRefusal):
    """The session was started without persistence."""

    code = "not_persistent"

    def __init__(self) -> None:
        super().__init__("this session is not persistent; start it with persistent=True")


class NoBackend(SessionRefusal):
    """The session is persistent but has no backend to go to."""

    code = "no_backend"

    def __init__(self) -> None:
        super().__init__("this session has no backend; start it with backend='memory' or backend='sqlite'")


class MigrationNotAllowed(SessionRefusal):
    """The session was started without permission to move."""

    code = "migration_not_allowed"

    def __init__(self) -> None:
        super().__init__("this session may not move; start it with migration_allowed=True")
