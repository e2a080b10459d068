"""The session system: one object with everything that a program needs.

It owns an actor system, the tree of services in it, and the queue in front of
the audit log. Every public function here finds an actor by id or name, asks it,
and returns its answer; nothing is decided in this file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast, final

from sessionactors import identifiers
from sessionactors.audit.intake import COMMIT, Intake
from sessionactors.audit.record import kind_of
from sessionactors.audit.service import AuditCounts, AuditLedger, open_log
from sessionactors.directory import Directory
from sessionactors.effects import Audit
from sessionactors.errors import InvalidKind, NotFound, SessionExists, SessionTerminated
from sessionactors.lifecycle import (
    ACTIVATE,
    AUTHENTICATE,
    DEACTIVATE,
    FORCE_RESUME,
    FORCE_SUSPEND,
    FORCE_TERMINATE,
    INIT_SESSION,
    LOCK,
    OVERRIDE_QUOTA,
    RESUME,
    SET_QUOTA,
    SUSPEND,
    TERMINATE,
    TOUCH,
    UNLOCK,
    UPDATE_RESOURCES,
    Override,
)
from sessionactors.rate_limiter import LimiterTable
from sessionactors.reaper import ReaperLedger
from sessionactors.session import SUBSCRIBE, UNSUBSCRIBE, Session
from sessionactors.settings import (
    AuditSettings,
    IsolationSettings,
    LimiterSettings,
    Quota,
    ReaperSettings,
    SessionOptions,
)
from sessionactors.states import TERMINATED
from sessionactors.surroundings import AUDIT, ISOLATION, RATE_LIMITER, REAPER, ROOT, SESSIONS, Surroundings
from sessionactors.tree import Parts, start_tree
from supervisors.exits import SHUTDOWN
from supervisors.runtime.outcomes import ActorDeadError
from supervisors.supervision.calls import start_child
from supervisors.supervision.child_spec import ChildSpec
from supervisors.supervision.requests import ChildStartFailed
from supervisors.system import ActorSystem

if TYPE_CHECKING:
    from types import TracebackType

    from sessionactors.effects import AuditType, Severity
    from sessionactors.isolation import LimitCheck, UsageReport
    from sessionactors.limits.token_bucket import Decision
    from sessionactors.rate_limiter import LimiterStatistics
    from sessionactors.reaper import ReaperStatistics
    from sessionactors.session_data import HistoryEntry, QuotaCheck, SessionInfo, SessionMetrics
    from supervisors.clock import Clock
    from supervisors.entropy import Entropy
    from supervisors.runtime.ref import ActorRef

__all__ = ["SessionSystem"]


@final
class SessionSystem:
    """Sessions and the services around them, supervised.

    Args:
        audit_dir: directory of the durable audit log, made if it is missing; None
            keeps the log in memory.
        session: defaults of sessions.
        limiter: settings of the rate limiter.
        isolation: settings of isolation.
        reaper: settings of the reaper.
        audit: settings of the audit log.
        authenticator: decides about credentials: called with what was given to
            `authenticate`, on a thread of its own; True or a user id accepts,
            anything else and any exception denies. None trusts the embedding
            program, which then passes `authenticated=True`.
        clock: `SystemClock()` by default; a `VirtualClock` makes it deterministic.
        entropy: source of generated ids.
        workers: threads of the actor system.
        shutdown_timeout: seconds that `stop()` may take.
        max_restarts: restarts of services that are fine within `max_seconds`; one
            more and the whole system gives up.
        max_seconds: that window, seconds.

    Example:
        >>> from sessionactors import SessionSystem
        >>> with SessionSystem() as system:
        ...     system.start_session("alice")
        ...     system.authenticate("alice", {"authenticated": True})
        ...     system.activate("alice")
        'alice'
        'auth'
        'active'

    Thread: every method is safe anywhere, but not inside the turn of one of its own actors.
    """

    def __init__(
        self,
        *,
        audit_dir: str | Path | None = None,
        session: SessionOptions | None = None,
        limiter: LimiterSettings | None = None,
        isolation: IsolationSettings | None = None,
        reaper: ReaperSettings | None = None,
        audit: AuditSettings | None = None,
        authenticator: Callable[[object], object] | None = None,
        clock: Clock | None = None,
        entropy: Entropy | None = None,
        workers: int | None = None,
        shutdown_timeout: float = 10.0,
        max_restarts: int = 10,
        max_seconds: float = 60.0,
    ) -> None:
        if authenticator is not None and not callable(authenticator):
            raise InvalidKind("authenticator", authenticator, "something to call with the credentials")
        self.options = session if session is not None else SessionOptions()
        audit_settings = audit if audit is not None else AuditSettings()
        self.actors = ActorSystem(
            clock=clock, entropy=entropy, workers=workers, shutdown_timeout=shutdown_timeout, name="sessionactors"
        )
        now = self.actors.clock.monotonic()
        self.directory = Directory()
        self._intake = Intake(lambda: self.actors.whereis(AUDIT), audit_settings.batch_max, audit_settings.queue_max)
        self._around = Surroundings(
            now=self.actors.clock.monotonic,
            wall_offset=self.actors.clock.time() - now,
            audit=self._intake,
            directory=self.directory,
            timers=self.actors.timers,
            whereis=self.actors.whereis,
            authenticator=authenticator,
        )
        self._ledger = AuditLedger(open_log(audit_dir), self._intake, audit_settings, self.actors.clock)
        self._reaper = ReaperLedger(reaper if reaper is not None else ReaperSettings(), now)
        self._ids = self.actors.entropy.stream("session-ids")
        self._templates: dict[type[Session], ChildSpec] = {}
        self._is_stopped = False
        parts = Parts(
            around=self._around,
            audit=self._ledger,
            limiter=LimiterTable(limiter if limiter is not None else LimiterSettings(), now),
            isolation=isolation if isolation is not None else IsolationSettings(),
            reaper=self._reaper,
            max_restarts=max_restarts,
            max_seconds=max_seconds,
        )
        try:
            self._root = start_tree(self.actors, parts)
        except BaseException:
            self.stop()
            raise

    # -- sessions: the life ----------------------------------------------------

    def start_session(
        self,
        session_id: str | bytes | None = None,
        options: SessionOptions | Mapping[str, object] | None = None,
        *,
        session_class: type[Session] = Session,
    ) -> str:
        """Start a session; it is `new`.

        Args:
            session_id: chosen by the caller, see `sessionactors.identifiers`; None
                generates 32 hexadecimal digits.
            options: what differs from the system's defaults.
            session_class: `Session`, or a class derived from it.

        Returns:
            The session's id.

        Raises:
            SessionExists: a live session has this id.
            InvalidSessionId, InvalidOption, InvalidKind, InvalidValue: bad input.
        """
        checked = identifiers.generate(self._ids) if session_id is None else identifiers.parse(session_id)
        given = self.options if options is None else options
        if not isinstance(given, SessionOptions):
            given = self.options.updated(given)
        sessions = self.actors.whereis(SESSIONS)
        if sessions is None:
            raise NotFound(SESSIONS, "running service")
        if self.directory.get(checked) is not None:
            raise SessionExists(checked)
        template = self._templates.get(session_class)
        if template is None:
            template = self._templates[session_class] = _template(session_class)
        try:
            start_child(sessions, template.with_args((checked, given, self._around)))
        except ChildStartFailed as failed:
            # Somebody was faster with the same id.
            raise (failed.reason if isinstance(failed.reason, SessionExists) else failed) from None
        return checked

    def init_session(self, session_id: str, metadata: Mapping[str, object] | None = None) -> str:
        """Add metadata to a new session; new keys win. Returns the state, `new`."""
        return self._do(session_id, INIT_SESSION, metadata)

    def authenticate(self, session_id: str, auth_context: object) -> str:
        """Hand credentials to a session; `activate` has them checked. Returns `auth`.

        Raises:
            MaxAttempts: there have been too many; the session has ended.
            AuthBlocked: an administrator has locked the session.
        """
        return self._do(session_id, AUTHENTICATE, auth_context)

    def activate(self, session_id: str) -> str:
        """Make a session active if its credentials are good. Returns `active`.

        Raises:
            NotAuthenticated: there are no credentials.
            AuthenticationFailed: they were rejected; `authenticate` again.
        """
        return self._do(session_id, ACTIVATE)

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
        """End a session for good; all services forget it, the audit log does not."""
        self._do(session_id, TERMINATE, reason)

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
        self._do(session_id, SET_QUOTA, quota if isinstance(quota, Quota) else Quota.from_mapping(quota))

    # -- sessions: looking ------------------------------------------------------

    def get_state(self, session_id: str) -> str:
        """Return a live session's state."""
        state: str = self._query(session_id, "get_state")
        return state

    def state_of(self, session_id: str) -> str | None:
        """Return the state, `terminated` after the end, None if there never was one; never raises."""
        ref = self.directory.get(session_id)
        if ref is not None:
            try:
                state: str = ref.ask("get_state")
            except (ActorDeadError, SessionTerminated):
                return TERMINATED
            return state
        return TERMINATED if self.directory.has_ended(session_id) else None

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
        """Send `SessionEvent`s to an actor or a function; subscribing again changes nothing."""
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
        return self._do(session_id, FORCE_SUSPEND, Override(admin, reason))

    def force_resume(self, session_id: str, *, admin: str, reason: str = "") -> str:
        """Resume a session whatever its guards say; audited as `security`."""
        return self._do(session_id, FORCE_RESUME, Override(admin, reason))

    def force_terminate(self, session_id: str, *, admin: str, reason: str = "") -> None:
        """End a session; audited as `security`."""
        self._do(session_id, FORCE_TERMINATE, Override(admin, reason))

    def lock(self, session_id: str, *, admin: str, reason: str = "") -> None:
        """Block authentication until `unlock`; audited as `security`."""
        self._do(session_id, LOCK, Override(admin, reason))

    def unlock(self, session_id: str, *, admin: str, reason: str = "") -> None:
        """Allow authentication again, with a fresh count of attempts; audited as `security`."""
        self._do(session_id, UNLOCK, Override(admin, reason))

    def override_quota(self, session_id: str, quota: Quota, *, admin: str, reason: str = "") -> None:
        """Replace a session's quota as an administrator; audited as `security`."""
        self._do(session_id, OVERRIDE_QUOTA, Override(admin, reason, quota))

    # -- the rate limiter -----------------------------------------------------------

    def check_rate_limit(self, session_id: str, type: str = "requests", cost: float = 1) -> Decision:  # noqa: A002
        """Take tokens if they are there: `(True, 0.0)`, or `(False, seconds to wait)`."""
        decision: Decision = self._service(RATE_LIMITER).ask(("check", session_id, type, cost))
        return decision

    def record_request(self, session_id: str, type: str = "requests", cost: float = 1) -> None:  # noqa: A002
        """Charge for what has happened already; this may leave a debt."""
        self._service(RATE_LIMITER).ask(("record", session_id, type, cost))

    def set_rate_limit(self, session_id: str, quota: float | Mapping[str, float], type: str = "requests") -> None:  # noqa: A002
        """Change a bucket: a capacity, or a mapping with capacity and rate; nothing is refilled."""
        self._service(RATE_LIMITER).ask(("set_quota", session_id, type, quota))

    def reset_rate_limit(self, session_id: str, type: str | None = None) -> None:  # noqa: A002
        """Fill the buckets of a session, of one type or of all."""
        self._service(RATE_LIMITER).ask(("reset_quota", session_id, type))

    def get_rate_limit_usage(self, session_id: str, type: str = "requests") -> Any:  # noqa: A002
        """Return the `BucketUsage` of a bucket."""
        return self._service(RATE_LIMITER).ask(("get_usage", session_id, type))

    def check_throttle(self, session_id: str) -> bool:
        """Tell whether the session owes something, or was refused and has not waited yet."""
        answer: bool = self._service(RATE_LIMITER).ask(("check_throttle", session_id))
        return answer

    def limiter_statistics(self) -> LimiterStatistics:
        """Return the limiter's counts."""
        answer: LimiterStatistics = self._service(RATE_LIMITER).ask(("get_stats",))
        return answer

    # -- isolation --------------------------------------------------------------------

    def isolate(self, session_id: str, **options: object) -> None:
        """Open an isolation record for a session; options as of `create_session`."""
        self._service(ISOLATION).ask(("create_session", session_id, options))

    def record_usage(self, session_id: str, **usage: float) -> LimitCheck:
        """Report memory (bytes) and cpu (percent) as they are, messages and connections as added."""
        answer: LimitCheck = self._service(ISOLATION).ask(("record_usage", session_id, usage))
        return answer

    def get_resource_usage(self, session_id: str) -> UsageReport:
        """Return what a session uses of its limits."""
        answer: UsageReport = self._service(ISOLATION).ask(("get_resource_usage", session_id))
        return answer

    # -- reaper and audit log ----------------------------------------------------------

    def reap(self, policy: str | None = None) -> int:
        """Sweep now; return how many sessions have ended. None is the configured policy."""
        answer: int = self._service(REAPER).ask(("reap", policy), timeout=30.0)
        return answer

    def reaper_statistics(self) -> ReaperStatistics:
        """Return the reaper's counts and settings."""
        answer: ReaperStatistics = self._service(REAPER).ask(("get_stats",))
        return answer

    def log_event(
        self, session_id: str | None, event_type: str, data: Mapping[str, object] | None = None, severity: str = "info"
    ) -> None:
        """Add an entry to the audit log; returns before it is durable."""
        kind_of(event_type, severity)  # raises what explains a wrong one
        if data is not None and not isinstance(data, Mapping):
            raise InvalidKind("data", data, "a mapping")
        event = Audit(cast("AuditType", event_type), "log_event", cast("Severity", severity), data)
        self._intake.put((self._around.now(), session_id, event, "program"))

    def commit_audit(self) -> Any:
        """Make everything that was logged so far durable, sign the head, and return it."""
        return self._service(AUDIT).ask(COMMIT, timeout=30.0)

    def audit_counts(self) -> AuditCounts:
        """Return how many events and transitions have been written since the start."""
        return AuditCounts(dict(self._ledger.by_type), dict(self._ledger.by_edge))

    # -- the end -------------------------------------------------------------------------

    def stop(self, timeout: float | None = None) -> list[ActorRef[Any]]:
        """Stop in reverse order of the start, so that every end is audited; close the log.

        Returns:
            The actors that had to be killed; usually empty.
        """
        if self._is_stopped:
            return []
        self._is_stopped = True
        try:
            root = self.actors.whereis(ROOT)
            if root is not None:
                # The tree stops itself, in order; what is left after that has no order.
                root.exit(SHUTDOWN)
                root.when_ended().settle(self.actors.shutdown_timeout if timeout is None else timeout)
            return self.actors.stop(timeout)
        finally:
            self._ledger.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        state = "stopped" if self._is_stopped else "running"
        return f"<SessionSystem {state}: {len(self.directory)} live sessions, {self.directory.started} started>"

    # -- finding and asking ----------------------------------------------------------------

    def _do(self, session_id: str, operation: str, argument: object = None) -> str:
        ref = self.directory.find(session_id)
        try:
            state: str = ref.ask((operation, argument))
        except ActorDeadError as dead:
            raise SessionTerminated(session_id) from dead
        return state

    def _query(self, session_id: str, message: object) -> Any:
        ref = self.directory.find(session_id)
        try:
            return ref.ask(message)
        except ActorDeadError as dead:
            raise SessionTerminated(session_id) from dead

    def _service(self, name: str) -> ActorRef[Any]:
        ref = self.actors.whereis(name)
        if ref is None:
            raise NotFound(name, "running service")
        return ref


def _template(session_class: type[Session]) -> ChildSpec:
    if not (isinstance(session_class, type) and issubclass(session_class, Session)):
        raise InvalidKind("session_class", session_class, "Session, or a class derived from it")
    # A crash ends a session; it is never silently restarted.
    return ChildSpec("session", session_class, restart="temporary", shutdown=5.0)
