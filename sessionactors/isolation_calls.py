"""What a session system lets one do with isolation: accounts, limits, processes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from sessionactors import bounds, identifiers
from sessionactors.errands import Collect, TellOptions
from sessionactors.errors import (
    CollectionFailed,
    InvalidKind,
    InvalidOption,
    NoProcess,
    NotFound,
    RecordExists,
    SessionTerminated,
)
from sessionactors.sandbox.limits import SandboxLimits
from sessionactors.sandbox.options import sandbox_options
from sessionactors.sandbox.session_host import SessionHost
from sessionactors.service_access import ServiceAccess
from sessionactors.session import Session
from sessionactors.surroundings import ISOLATION
from sessionactors.tiers import MOVED, MoveBack, MoveOut, check_movable
from supervisors.runtime.outcomes import ActorDeadError, AskTimeoutError

if TYPE_CHECKING:
    from sessionactors.directory import Directory
    from sessionactors.isolation_ledger import IsolationInfo, LimitCheck, UsageReport
    from sessionactors.sandbox.keeper import Sandbox, SandboxKeeper
    from sessionactors.settings import IsolationSettings, SessionOptions
    from supervisors.runtime.ref import ActorRef

__all__ = ["IsolationCalls"]

_DEADLINE: Final = 5.0
_MOVE_TIMEOUT: Final = 30.0
"""Seconds that a move waits for the session's turn."""


class IsolationCalls(ServiceAccess):
    """The functions of a `SessionSystem` that are about isolation.

    Attributes:
        directory: the live sessions.
        isolation_settings: of isolation.
        sandboxes: the processes of sessions that have one.

    Thread: every method is safe anywhere, but not inside the turn of the session it is about.
    """

    directory: Directory
    isolation_settings: IsolationSettings
    sandboxes: SandboxKeeper

    def set_isolation_settings(self, settings: IsolationSettings | Mapping[str, object]) -> None:
        """Have isolation work with other settings from now on.

        Ceilings, sampling and sweeps are in force at once; whoever is over a lower ceiling
        is found at the next look. Limits and options of single sessions count for accounts that
        are opened from then on. `cpu_window` counts for those as well, and `spare_processes`
        stays what it was.

        Args:
            settings: all of them, or a mapping of those that differ from what is in force.

        Raises:
            NotFound: isolation is being restarted; nothing has changed.
            InvalidKind, InvalidOption, InvalidValue, InvalidLimit: they are not allowed.
        """
        wanted = self.isolation_settings.changed(settings)
        self._ask(ISOLATION, wanted)
        self.isolation_settings = wanted

    def isolate(self, session_id: str, **options: object) -> None:
        """Open an isolation account for a session.

        Args:
            session_id: whose.
            options: `memory_limit` (bytes), `cpu_limit` (percent of one core),
                `message_limit`, `connection_limit` (None or infinity: unlimited;
                what is missing is as the settings say, and memory also as the
                session's own options say); `isolated`: whether a hard violation ends
                it; `measure_cpu`: also without a CPU limit; `ref`: the actor to
                account for, if it is not the session. With `isolated="process"` also
                `handler`, a class with `handle_request(request)` of which one lives
                in a process of its own and is asked by `call_isolated`; `arguments`
                for it, as far as msgpack carries them; `deadline`, seconds that a
                request may take (5). There, memory is limited by the operating
                system, and a CPU limit slows down instead of ending.

        Raises:
            RecordExists: there is one already.
            LimitExceedsGlobal: a limit is above that of all together.
            InvalidLimit, InvalidOption, InvalidKind: wrong options.
            SessionTerminated: the session has ended.
            OperationFailed, ProcessDied: the process did not come up.
        """
        if options.get("isolated") == "process":
            self._isolate_in_process(session_id, options)
            return
        if "memory_limit" not in options:
            session = self.directory.get(session_id) if isinstance(session_id, str) else None
            if session is not None:
                options = self._own_memory_limit(session, options)
        self._ask(ISOLATION, ("create_session", session_id, options))

    def _isolate_in_process(self, session_id: str, options: dict[str, object]) -> None:
        if not self.actors.has_processes:
            raise InvalidOption("isolated", "process", "True or False: a process does not live in virtual time")
        handler, arguments, limits, rest = sandbox_options(options, self.isolation_settings)
        session_id = identifiers.parse(session_id)
        self.isolate(session_id, **rest, isolated=True, cpu_limit=None)
        try:
            sandbox = self.sandboxes.start(limits, handler, arguments)
        except BaseException:
            self.destroy_isolation(session_id)
            raise
        try:
            self._watch_sandbox(session_id, sandbox)
        except BaseException:
            sandbox.kill("session_ended")
            raise

    def _tell_isolation(self, message: tuple[object, ...]) -> None:
        service = self.actors.whereis(ISOLATION)
        if service is not None:  # the next one looks for itself
            # Not at once: this is the thread that keeps all deadlines, and a message to
            # an inline actor runs it, and perhaps a session behind it.
            self.actors.timers.send_at(self.actors.clock.monotonic(), service, message)

    def call_isolated(self, session_id: str, request: object, deadline: float | None = None) -> Any:
        """Have a session's handler, in its own process, handle a request; return the answer.

        Args:
            session_id: of a session that was isolated with `isolated="process"`.
            request: anything that msgpack can carry; so is the answer.
            deadline: seconds; None is the one given to `isolate`. Beyond it the
                process is killed, and the session ends.

        Raises:
            ProcessDied: the process has ended: its deadline, its memory, its own doing.
            OperationFailed: the handler raised, or is busy; it goes on.
            NoProcess: the session's code does not run in a process.
            NotFound: there is no such account.
            InvalidKind: the request cannot travel.

        Blocks: until the deadline, at most.
        """
        if deadline is not None:
            bounds.seconds("deadline", deadline)
        sandbox: Sandbox = self._ask(ISOLATION, ("find_sandbox", session_id))
        try:
            return sandbox.call(request, deadline)
        except TypeError as error:
            raise InvalidKind("request", request, "what msgpack can carry") from error

    def _own_memory_limit(self, session: ActorRef[Any], options: dict[str, object]) -> dict[str, object]:
        """Add the limit that the session itself was started with, where it is the lower one."""
        try:
            own: SessionOptions = session.ask(TellOptions())
        except (ActorDeadError, SessionTerminated):
            return options  # isolation will say so
        limits = [each for each in (own.memory_limit, self.isolation_settings.memory_limit) if each is not None]
        return {**options, "memory_limit": min(limits, default=None)}

    def destroy_isolation(self, session_id: str) -> None:
        """Close an account; the session goes on without limits of isolation.

        Its code moves back, if it is in a process of its own, as with `unisolate_session`.
        """
        self._move_back(session_id)
        self._ask(ISOLATION, ("destroy_session", session_id))

    def isolate_session(self, session_id: str, *, process: bool = False, deadline: float = _DEADLINE) -> None:
        """End the session at its next hard violation, and now if there is one; or move its code into a process.

        Args:
            session_id: of a session that has an account.
            process: move the code of a class derived from `Session`, which has `snapshot()`
                and `restore()`, into a process of its own: between two requests, with its
                state. Nothing changes when it is there already. Memory and CPU are limited
                by the operating system from then on, by the account's limits at this moment.
            deadline: seconds that a request may take in the process; then it is killed, and
                the session ends.

        Raises:
            NotFound: there is no such account.
            NoProcess: no session is accounted for.
            InvalidOption: this class cannot be moved, or time is virtual.
            OperationFailed, ProcessDied, InvalidKind, InvalidValue: it did not come about, and
                the session goes on as before.
            SessionTerminated: it has ended.
            SessionRecovering: it has crashed, and comes back.

        Blocks: with `process`, while the process makes ready and the request in hand is done.
        """
        bounds.flag("process", process)
        if process:
            self._move_out(session_id, bounds.seconds("deadline", deadline))
        self._ask(ISOLATION, ("isolate_session", session_id))

    def unisolate_session(self, session_id: str) -> None:
        """Only tell of hard violations from now on; move the session's code back, if it is in a process of its own.

        Raises:
            NotFound: there is no such account.
            OperationFailed, ProcessDied: the code has not come back; all is as before.
            SessionTerminated: the session has ended.
            SessionRecovering: it has crashed, and comes back.

        Blocks: until the request in hand is done.
        """
        self._move_back(session_id)
        self._ask(ISOLATION, ("unisolate_session", session_id))

    def _move_out(self, session_id: str, deadline: float) -> None:
        info = self.get_isolation_info(session_id)
        ref = info.ref
        if ref is None or self.directory.get(info.session_id) is not ref:
            raise NoProcess(session_id)
        if not self.actors.has_processes:
            raise InvalidOption("process", True, "False: a process does not live in virtual time")
        cls = ref.actor_class
        check_movable(cls)
        memory = None if info.memory_limit is None else int(info.memory_limit)
        limits = SandboxLimits(memory, info.cpu_limit, deadline)
        sandbox = self.sandboxes.start(limits, SessionHost, [cls.__module__, cls.__qualname__, info.session_id])
        sandbox.is_owner = False
        sandbox.hosts_session = True
        try:
            self._watch_sandbox(info.session_id, sandbox)
        except RecordExists:
            sandbox.kill(MOVED)
            return  # it is there already, or on its way
        except BaseException:
            sandbox.kill(MOVED)
            raise
        move = MoveOut(sandbox)
        try:
            has_moved = self._in_turn(info.session_id, ref, move)
        except BaseException:
            self._let_go(info.session_id, sandbox)
            raise
        if not has_moved:
            self._let_go(info.session_id, sandbox)
        elif info.cpu_limit is not None:
            self.set_cpu_limit(session_id, None)  # the process is slowed down, and not ended

    def _move_back(self, session_id: str) -> None:
        info = self.get_isolation_info(session_id)
        ref = info.ref
        if ref is None or self.directory.get(info.session_id) is not ref or not issubclass(ref.actor_class, Session):
            return
        sandbox: Sandbox | None = self._in_turn(info.session_id, ref, MoveBack())
        if sandbox is not None:
            self._let_go(info.session_id, sandbox)
            if sandbox.limits.cpu is not None:
                self.set_cpu_limit(session_id, sandbox.limits.cpu)

    def _in_turn(self, session_id: str, ref: ActorRef[Any], move: MoveOut | MoveBack) -> Any:
        """Have a session move in its own turn; a move that is not waited for does not happen."""
        try:
            return ref.ask(move, timeout=_MOVE_TIMEOUT)
        except ActorDeadError as dead:
            raise self.directory.gone(session_id) from dead
        except (AskTimeoutError, KeyboardInterrupt):
            if move.claim.take():
                raise
            self.actors.scheduler.wait(move.ended, _MOVE_TIMEOUT)  # it has come about at the last moment
            if move.error is not None:
                raise move.error from None
            return move.moved

    def _let_go(self, session_id: str, sandbox: Sandbox) -> None:
        """Have a process end that is not, or no longer, that of its session."""
        sandbox.is_owner = False
        with contextlib.suppress(NotFound):  # it is being restarted, and sees then that this was no owner
            self._ask(ISOLATION, ("detach_sandbox", session_id, sandbox))
        sandbox.kill(MOVED)

    def _watch_sandbox(self, session_id: str, sandbox: Sandbox) -> None:
        """Have isolation account for a process."""
        sandbox.on_use = lambda *used: self._tell_isolation(("sandbox_used", session_id, sandbox, *used))
        sandbox.on_end = lambda reason: self._tell_isolation(("sandbox_ended", session_id, sandbox, reason))
        self._ask(ISOLATION, ("attach_sandbox", session_id, sandbox))

    def set_memory_limit(self, session_id: str, limit: float | None) -> None:
        """Change the limit of memory, bytes; None or infinity is unlimited, here and in the next three."""
        self._ask(ISOLATION, ("set_memory_limit", session_id, limit))

    def set_cpu_limit(self, session_id: str, limit: float | None) -> None:
        """Change the limit of CPU use, percent of one core; the session's turns are metered from then on."""
        self._ask(ISOLATION, ("set_cpu_limit", session_id, limit))

    def set_message_limit(self, session_id: str, limit: float | None) -> None:
        """Change the limit of messages, a count since the account was opened or cleaned."""
        self._ask(ISOLATION, ("set_message_limit", session_id, limit))

    def set_connection_limit(self, session_id: str, limit: float | None) -> None:
        """Change the limit of connections that are open at the same time."""
        self._ask(ISOLATION, ("set_connection_limit", session_id, limit))

    def record_usage(self, session_id: str, **usage: float) -> LimitCheck:
        """Report memory (bytes) and cpu (percent) as they are, messages and connections as added."""
        answer: LimitCheck = self._ask(ISOLATION, ("record_usage", session_id, usage))
        return answer

    def try_acquire_connection(self, session_id: str) -> bool:
        """Count one more connection; False, and nothing counted, at the limit of the session or of all."""
        answer: bool = self._ask(ISOLATION, ("try_acquire_connection", session_id))
        return answer

    def release_connection(self, session_id: str) -> None:
        """Count one connection less; nothing happens at zero."""
        self._ask(ISOLATION, ("release_connection", session_id))

    def get_resource_usage(self, session_id: str) -> UsageReport:
        """Return what a session uses of its limits, and how that was measured."""
        answer: UsageReport = self._ask(ISOLATION, ("get_resource_usage", session_id))
        return answer

    def check_resource_limits(self, session_id: str) -> LimitCheck:
        """Tell which limits a session exceeds."""
        answer: LimitCheck = self._ask(ISOLATION, ("check_resource_limits", session_id))
        return answer

    def get_isolation_info(self, session_id: str) -> IsolationInfo:
        """Return limits and usage of an account."""
        answer: IsolationInfo = self._ask(ISOLATION, ("get_session_info", session_id))
        return answer

    def cleanup_isolation(self, session_id: str) -> None:
        """Set memory, CPU and messages of an account to zero; it stays open."""
        self._ask(ISOLATION, ("cleanup_session", session_id))

    def list_isolated(self) -> list[str]:
        """Return the ids of all accounts, in order of their opening."""
        answer: list[str] = self._ask(ISOLATION, ("list_sessions",))
        return answer

    def garbage_collect(self, session_id: str) -> int:
        """Have a session release what it can and collect young garbage; return how many objects were freed.

        Raises:
            NoProcess: the account has no actor yet.
            CollectionFailed: it is no session, its hook raised, or it has ended meanwhile.

        Blocks: until the session has its turn.
        """
        ref: ActorRef[Any] = self._ask(ISOLATION, ("find_for_collection", session_id))
        try:
            freed: int = ref.ask(Collect())
        except (ActorDeadError, AskTimeoutError) as failed:
            raise CollectionFailed("the session did not answer") from failed
        return freed

    def subscribe_isolation(self, session_id: str, subscriber: ActorRef[Any] | Callable[[Any], object]) -> None:
        """Send the `IsolationEvent`s of an account to an actor or a function, until the account is closed.

        A function is called in isolation's own turn: it is quick, and asks nobody.
        """
        self._ask(ISOLATION, ("subscribe", session_id, subscriber))

    def unsubscribe_isolation(self, session_id: str, subscriber: ActorRef[Any] | Callable[[Any], object]) -> None:
        """Stop sending; nothing happens if it was not subscribed."""
        self._ask(ISOLATION, ("unsubscribe", session_id, subscriber))
