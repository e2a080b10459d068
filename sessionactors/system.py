"""The session system: one object with everything that a program needs.

It owns an actor system, the tree of services in it, and the queue in front of
the audit log. Every public function here finds an actor by id or name, asks it,
and returns its answer; nothing is decided in this file.

Source: session system 1.7 and 2.3.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar, final

from sessionactors import bounds, identifiers
from sessionactors.audit.contract import AuditStore
from sessionactors.audit.intake import Intake
from sessionactors.audit.service import AuditLedger, open_log
from sessionactors.coroutines import LoopCoroutines, TurnCoroutines
from sessionactors.directory import Directory
from sessionactors.errors import (
    InvalidBackend,
    InvalidKind,
    InvalidValue,
    LoadFailed,
    NotFound,
    SessionExists,
    SessionRefusal,
)
from sessionactors.isolation_ledger import IsolationLedger
from sessionactors.limiter_memory import table_of
from sessionactors.log_calls import LogCalls
from sessionactors.manager import BatchResult, failed, named, several
from sessionactors.reaper import ReaperLedger
from sessionactors.recovery import DONE, RecoveryLedger
from sessionactors.sandbox.keeper import SandboxKeeper
from sessionactors.session import Session
from sessionactors.session_calls import SessionCalls
from sessionactors.settings import (
    AuditSettings,
    IsolationSettings,
    LimiterSettings,
    ReaperSettings,
    SessionOptions,
    Settings,
    StoreSettings,
    UserSettings,
)
from sessionactors.storage.contract import SessionStore
from sessionactors.storage.errors import StoreError
from sessionactors.storage.intake import StoreIntake
from sessionactors.storage.limits_file import LimitsFile
from sessionactors.storage.service import StoreLedger, open_store
from sessionactors.surroundings import AUDIT, RECOVERY, ROOT, SESSIONS, STORE, Surroundings
from sessionactors.templates import Templates
from sessionactors.tree import Parts, start_tree
from sessionactors.users import Users
from sessionactors.verification import TurnVerifier, Verifier
from supervisors.clock import VirtualClock, thread_seconds
from supervisors.errors import SupervisorsError, UsageError
from supervisors.exits import SHUTDOWN
from supervisors.runtime.outcomes import ActorDeadError
from supervisors.runtime.turn import current_ref
from supervisors.supervision.calls import start_child
from supervisors.supervision.flags import SupervisorFlags
from supervisors.supervision.requests import ChildStartFailed
from supervisors.system import ActorSystem
from supervisors.timers.service import checked_delay

if TYPE_CHECKING:
    from types import TracebackType

    from sessionactors.verification import Authenticator
    from supervisors.clock import Clock
    from supervisors.entropy import Entropy
    from supervisors.runtime.ref import ActorRef

__all__ = ["SessionSystem"]

_BATCH_MAX: Final = 10_000_000


@final
class SessionSystem(SessionCalls, LogCalls):
    """Sessions and the services around them, supervised.

    Args:
        audit_dir: directory of the durable audit log, made if it is missing; None
            keeps the log in memory.
        audit_log: a log that is open already, in place of `audit_dir`; the system closes it.
        path: file in which persistent sessions survive the process, made if it is
            missing; None keeps them in memory, where they survive their own crashes.
            All that are stored are live again when the system is there.
        store: a store that is open already, in place of `path`; the system closes it.
        storage: settings of the store.
        session_classes: classes that stored sessions may be of, each with a `stored_name()` of
            its own; `Session` always is.
        users: how many sessions one user may have at the same time.
        session: defaults of sessions; these and the next four are settings, or a
            mapping of option names to values.
        limiter: settings of the rate limiter.
        isolation: settings of isolation.
        reaper: settings of the reaper.
        audit: settings of the audit log.
        authenticator: decides about credentials: called with what was given to
            `authenticate`, on a thread of its own, and may be slow; True or a user
            id accepts, anything else and any exception denies. Only what it returns names
            the user, never a `user_id` among the credentials. None trusts the embedding
            program, which then passes `authenticated=True` and the `user_id`.
        clock: `SystemClock()` by default; a `VirtualClock` makes it deterministic.
        entropy: source of generated ids.
        workers: threads of the actor system.
        shutdown_timeout: seconds that `stop()` may take.
        max_restarts: restarts of services that are fine within `max_seconds`; one
            more and the whole system gives up.
        max_seconds: that window, seconds.
        actors: an actor system to live in, such as that of a simulation, in place of one
            of its own. It has the clock, the entropy and the workers, and is still there
            after `stop()`. One session system fits into it.

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
        path: str | Path | None = None,
        store: SessionStore | None = None,
        storage: StoreSettings | Mapping[str, object] | None = None,
        session_classes: Iterable[type[Session]] = (),
        users: UserSettings | Mapping[str, object] | None = None,
        session: SessionOptions | Mapping[str, object] | None = None,
        limiter: LimiterSettings | Mapping[str, object] | None = None,
        isolation: IsolationSettings | Mapping[str, object] | None = None,
        reaper: ReaperSettings | Mapping[str, object] | None = None,
        audit: AuditSettings | Mapping[str, object] | None = None,
        authenticator: Callable[[object], object] | None = None,
        clock: Clock | None = None,
        entropy: Entropy | None = None,
        workers: int | None = None,
        shutdown_timeout: float = 10.0,
        max_restarts: int = 10,
        max_seconds: float = 60.0,
        actors: ActorSystem | None = None,
        audit_log: AuditStore | None = None,
    ) -> None:
        if authenticator is not None and not callable(authenticator):
            raise InvalidKind("authenticator", authenticator, "something to call with the credentials")
        self.options = _settings("session", session, SessionOptions)
        audit_settings = _settings("audit", audit, AuditSettings)
        limiter_settings = _settings("limiter", limiter, LimiterSettings)
        isolation_settings = _settings("isolation", isolation, IsolationSettings)
        reaper_settings = _settings("reaper", reaper, ReaperSettings)
        _check_log(audit_dir, audit_log)
        _check_path("path", path, "a path, or None for a store in memory")
        SupervisorFlags(max_restarts=max_restarts, max_seconds=max_seconds)  # here it says which of them is wrong
        if not (store is None or isinstance(store, SessionStore)):
            raise InvalidKind("store", store, "a SessionStore, or None")
        if path is not None and store is not None:
            raise InvalidValue("path", path, "None, where there is a store already")
        store_settings = _settings("storage", storage, StoreSettings)
        self._templates = Templates(session_classes)
        self.directory = Directory()
        self.users = Users(_settings("users", users, UserSettings), self.directory.is_here)
        _check_actors(actors, clock=clock, entropy=entropy, workers=workers)
        self._has_own_actors = actors is None
        self.actors = actors or ActorSystem(
            clock=clock, entropy=entropy, workers=workers, shutdown_timeout=shutdown_timeout, name="sessionactors"
        )
        self._saves = StoreIntake(lambda: self.actors.whereis(STORE), store_settings.queue_max)
        with ExitStack() as undo:
            undo.callback(self._stop_actors)
            opened = undo.enter_context(closing(open_store(path, store_settings) if store is None else store))
            self._store = StoreLedger(
                opened,
                self._saves,
                store_settings,
                # Its owner is whoever owns the store beside it.
                None if path is None else LimitsFile(f"{path}.limits", synchronous=store_settings.durability != "os"),
            )
            log = open_log(audit_dir, audit_settings) if audit_log is None else audit_log
            undo.pop_all()
        now = self.actors.clock.monotonic()
        self.limiter_settings = limiter_settings
        self.isolation_settings = isolation_settings
        self.sandboxes = SandboxKeeper(
            self.actors.clock.monotonic, isolation_settings.spare_processes, self.actors.machine
        )
        self._verifier = None if authenticator is None else _verifier(authenticator, self.actors)
        self._intake = Intake(lambda: self.actors.whereis(AUDIT), audit_settings.batch_max, audit_settings.queue_max)
        self._coroutines = LoopCoroutines(self.actors.machine) if self.actors.has_processes else TurnCoroutines()
        self._around = Surroundings(
            now=self.actors.clock.monotonic,
            wall=self.actors.clock.time,
            audit=self._intake,
            directory=self.directory,
            timers=self.actors.timers,
            whereis=self.actors.registry.whereis,
            verifier=self._verifier,
            saves=self._saves,
            users=self.users,
            coroutines=self._coroutines,
        )
        self._ledger = AuditLedger(log, self._intake, audit_settings, self.actors.clock)
        self._reaper = ReaperLedger(reaper_settings, now)
        self._ids = self.actors.entropy.stream("session-ids")
        self._recovery = RecoveryLedger(
            self._templates, self.actors.clock, store_settings.max_restarts, store_settings.max_seconds
        )
        self._is_stopped = False
        self._stopping = threading.Lock()  # guards _is_stopped
        self.parts = parts = Parts(
            around=self._around,
            audit=self._ledger,
            store=self._store,
            recovery=self._recovery,
            limiter=table_of(limiter_settings, self._store.limits, now),
            isolation=IsolationLedger(isolation_settings, _cpu_reader(self.actors.clock)),
            reaper=self._reaper,
            max_restarts=max_restarts,
            max_seconds=max_seconds,
        )
        try:
            self._root = start_tree(self.actors, parts)
            if self._store.store.count():
                self._await_recovery()
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
            TooManySessions: the user has as many sessions as may be.
            LoadFailed: a stored session has it that could not come back.
            InvalidBackend: the system has another store than the options want.
            NotFound: the system stops, or has been stopped.
            AskTimeoutError: the starts of others have taken so long that this one has not
                begun, and never will; or it is its own that takes so long, and goes on.
            InvalidSessionId, InvalidOption, InvalidKind, InvalidValue: bad input.
        """
        checked = identifiers.generate(self._ids) if session_id is None else identifiers.parse(session_id)
        given = self.options if options is None else options
        if not isinstance(given, SessionOptions):
            given = self.options.updated(given)
        taken = self.directory.get(checked)
        if taken is not None and not self._gives_way(taken, checked):
            raise SessionExists(checked)
        if given.persistent:
            self._check_store(checked, given)
        if self._is_stopped:
            # Also while it stops: the supervisor of sessions is busy with their ends,
            # and who asks it from one of those would wait for itself.
            raise NotFound(SESSIONS, "running service")
        template = self._templates.of(session_class, is_stored=given.persistent)
        sessions = self._service(SESSIONS)
        try:
            start_child(sessions, template, args=(checked, given, self._around), timeout=self.actors.ask_timeout)
        except ActorDeadError as dead:
            raise NotFound(SESSIONS, "running service") from dead
        except ChildStartFailed as failed:
            # Somebody was faster with the same id, or the user has too many.
            raise (failed.reason if isinstance(failed.reason, SessionRefusal) else failed) from None
        return checked

    def start_sessions(
        self,
        session_ids: Iterable[str | bytes] | int,
        options: SessionOptions | Mapping[str, object] | None = None,
        *,
        session_class: type[Session] = Session,
    ) -> BatchResult:
        """Start several sessions with the same options.

        Args:
            session_ids: their ids, or how many to start under generated ones.
            options: as of `start_session`, checked once for all.
            session_class: likewise.

        Returns:
            Those that have started, and why others have not.
        """
        wanted: Iterable[str | bytes | None]
        if isinstance(session_ids, int):
            wanted = [None] * bounds.count("session_ids", session_ids, least=0, most=_BATCH_MAX)
        else:
            wanted = several(session_ids)
        given = self.options if options is None else options
        if not isinstance(given, SessionOptions):
            given = self.options.updated(given)
        done: list[str] = []
        refused: dict[str, SessionRefusal] = {}
        for session_id in wanted:
            try:
                done.append(self.start_session(session_id, given, session_class=session_class))
            except SessionRefusal as refusal:
                refused[named(session_id)] = refusal
            except SupervisorsError as error:  # its own code raised at the start, for example
                refused[named(session_id)] = failed(error)
        return BatchResult(tuple(done), refused)

    # -- the store ---------------------------------------------------------------------

    def _await_recovery(self) -> None:
        """Wait until everything that is stored has been looked at."""
        failed = self._ask(RECOVERY, DONE, None)
        if isinstance(failed, StoreError):
            raise failed

    def _check_store(self, session_id: str, options: SessionOptions) -> None:
        """See that a persistent session has the store that it wants, and its id no other stored session."""
        kind = self._store.store.kind
        if options.backend not in (None, "default", kind):
            raise InvalidBackend("backend", options.backend, f"'default' or {kind!r}, which this system has")
        recovery = self._recovery
        if session_id in recovery.left and self.stored_session(session_id) is None:
            recovery.left.pop(session_id, None)  # it was never stored, or somebody has deleted it
        reason = recovery.refused.get(session_id) or recovery.left.get(session_id)
        if reason is not None:
            raise LoadFailed(reason)

    # -- the end -------------------------------------------------------------------------

    def stop(self, timeout: float | None = None) -> list[ActorRef[Any]]:
        """Stop in reverse order of the start, so that every end is audited; close the log.

        Args:
            timeout: seconds for all together; by default `shutdown_timeout`.

        Returns:
            The actors that had to be killed; usually empty.

        Raises:
            AuditError: the last events could not be written; all else has been done.
            StoreError: the last snapshots could not be written; all else has been done.
            UsageError: an actor's own turn calls this.
        """
        budget = self.actors.shutdown_timeout if timeout is None else checked_delay("timeout", timeout)
        if current_ref() is not None:
            raise UsageError("an actor cannot wait for the end of its own system; stop it from outside")
        with self._stopping:
            if self._is_stopped:
                return []
            self._is_stopped = True
        monotonic = self.actors.clock.monotonic
        deadline = monotonic() + budget
        try:
            root = self.actors.whereis(ROOT)
            if root is not None:
                # The tree stops itself, in order; what is left after that has no order.
                root.exit(SHUTDOWN)
                root.when_ended().settle(budget)
            if self._verifier is not None:
                self._verifier.stop()
            self._coroutines.stop()
            return self._stop_actors(max(deadline - monotonic(), 0.0))
        finally:
            self.sandboxes.stop()
            self._intake.close()
            self._saves.close()
            self.directory.close()
            try:
                self._ledger.close()
            finally:
                self._store.close()

    def _stop_actors(self, timeout: float | None = None) -> list[ActorRef[Any]]:
        return self.actors.stop(timeout) if self._has_own_actors else []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        state = "stopped" if self._is_stopped else "running"
        return f"<SessionSystem {state}: {len(self.directory)} live sessions, {self.directory.started} started>"


S = TypeVar("S", bound=Settings)


def _check_actors(actors: object, **its: object) -> None:
    """Raise what is wrong with an actor system, or with what is given beside it."""
    if not (actors is None or isinstance(actors, ActorSystem)):
        raise InvalidKind("actors", actors, "an ActorSystem, or None")
    for field, given in its.items():
        if actors is not None and given is not None:
            raise InvalidValue(field, given, "None, where there is an actor system already")


def _check_path(field: str, given: object, allowed: str) -> None:
    if given is not None and not isinstance(given, (str, Path)):
        raise InvalidKind(field, given, allowed)
    text = "" if given is None else str(given)
    # The first would mean the directory that the program happens to be in.
    if given == "" or "\0" in text or not _can_be_named(text):
        raise InvalidValue(field, given, allowed)


def _check_log(audit_dir: object, audit_log: object) -> None:
    _check_path("audit_dir", audit_dir, "a path, or None for a log in memory")
    if not (audit_log is None or isinstance(audit_log, AuditStore)):
        raise InvalidKind("audit_log", audit_log, "an AuditStore, or None")
    if audit_dir is not None and audit_log is not None:
        raise InvalidValue("audit_dir", audit_dir, "None, where there is a log already")


def _can_be_named(path: str) -> bool:
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        return False
    return True


def _settings(field: str, given: object, kind: type[S]) -> S:
    if given is None:
        return kind()
    if isinstance(given, kind):
        return given
    if not isinstance(given, Mapping):
        raise InvalidKind(field, given, f"{kind.__name__}, or a mapping of its options")
    return kind.from_mapping(given)


def _cpu_reader(clock: Clock) -> Callable[[], float]:
    """Return what reads the CPU time of a turn; on a virtual clock a turn takes none."""
    return clock.monotonic if isinstance(clock, VirtualClock) else thread_seconds


def _verifier(authenticator: Authenticator, actors: ActorSystem) -> Verifier | TurnVerifier:
    is_virtual = isinstance(actors.clock, VirtualClock)
    return TurnVerifier(authenticator) if is_virtual else Verifier(authenticator, actors.clock.monotonic)
