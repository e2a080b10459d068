"""What a session system lets one do with its services: rate limiter, isolation, reaper.

Each call finds its actor by name, so it reaches the one that is there after a
restart as well. While a service is being restarted, and when it ends before it has
answered, the caller is told that there is none (`NotFound`, code `not_found`).
"""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from sessionactors import bounds, identifiers
from sessionactors.errands import Collect, TellOptions
from sessionactors.errors import CollectionFailed, InvalidKind, InvalidOption, NotFound, SessionTerminated
from sessionactors.limited import Limited
from sessionactors.limits.waiting_line import Request
from sessionactors.sandbox.options import sandbox_options
from sessionactors.surroundings import ISOLATION, RATE_LIMITER, REAPER
from supervisors.clock import VirtualClock
from supervisors.runtime.outcomes import ActorDeadError, AskTimeoutError
from supervisors.runtime.ref import ASK_TIMEOUT

if TYPE_CHECKING:
    from sessionactors.directory import Directory
    from sessionactors.isolation_ledger import IsolationInfo, LimitCheck, UsageReport
    from sessionactors.limiter_table import LimiterStatistics, QuotaRecord
    from sessionactors.limits.token_bucket import BucketUsage, Decision
    from sessionactors.reaper import ReaperStatistics
    from sessionactors.sandbox.keeper import Sandbox, SandboxKeeper
    from sessionactors.settings import IsolationSettings, SessionOptions
    from supervisors.runtime.ref import ActorRef
    from supervisors.system import ActorSystem

__all__ = ["ServiceCalls"]


_GRACE: Final = 5.0
"""Seconds that the limiter may be late with its answer to somebody who waits."""


class ServiceCalls:
    """The functions of a `SessionSystem` that need a service and no session.

    Attributes:
        actors: the actor system that the services live in.
        delay_max: seconds that the limiter lets a request wait that names no deadline.
        directory: the live sessions.
        isolation_settings: of isolation.
        sandboxes: the processes of sessions that have one.

    Thread: every method is safe anywhere.
    """

    actors: ActorSystem
    delay_max: float
    directory: Directory
    isolation_settings: IsolationSettings
    sandboxes: SandboxKeeper

    # -- the rate limiter -----------------------------------------------------------

    def check_rate_limit(self, session_id: str, type: str = "requests", cost: float = 1) -> Decision:  # noqa: A002
        """Take tokens if they are there: `(True, 0.0)`, or `(False, seconds to wait)`."""
        limiter = self.actors.registry.whereis(RATE_LIMITER)
        if limiter is None:
            raise NotFound(RATE_LIMITER, "running service")
        try:
            decision: Decision = limiter.ask(("check", session_id, type, cost))
        except ActorDeadError as dead:
            raise NotFound(RATE_LIMITER, "running service") from dead
        return decision

    def acquire(
        self,
        session_id: str,
        type: str = "requests",  # noqa: A002
        cost: float = 1,
        priority: str = "normal",
        deadline: float | None = None,
    ) -> float:
        """Take tokens, waiting for them in line if need be; return the seconds it took.

        Args:
            session_id: whose bucket.
            type: which of the session's buckets.
            cost: tokens, above zero.
            priority: `"critical"`, `"high"`, `"normal"` or `"low"`. Within a class it
                is first come, first served; waiting `age_after` seconds outweighs one
                class, so nobody waits for ever behind more urgent ones.
            deadline: seconds to wait at most; None is the limiter's `delay_max`.

        Raises:
            RateLimited: not admitted by the deadline; at once if it could not be.
            RequestDropped: the throttle `drop` is in force.
            CapacityExceeded: too many wait already (`queue_max`).
            SessionTerminated: the session has ended, perhaps meanwhile.
            NotFound: the limiter is being restarted, or was while this waited; nothing was taken.

        Blocks: until the deadline, at most. Never call it in an inline actor's turn.
        """
        return self.wait_turn(session_id, Request(type, cost, priority, deadline))

    async def acquire_async(
        self,
        session_id: str,
        type: str = "requests",  # noqa: A002
        cost: float = 1,
        priority: str = "normal",
        deadline: float | None = None,
    ) -> float:
        """As `acquire`, for asyncio: the loop goes on, and cancelling leaves the line."""
        return await self.wait_turn_async(session_id, Request(type, cost, priority, deadline))

    def wait_turn(self, session_id: str, request: Request) -> float:
        """As `acquire`, with the request as a value that can be used again."""
        limiter = self._service(RATE_LIMITER)
        own = replace(request)  # so that nobody else's is withdrawn
        try:
            waited: float = limiter.ask(("acquire", session_id, own), timeout=self._patience(request))
        except ActorDeadError as dead:
            raise NotFound(RATE_LIMITER, "running service") from dead
        except (KeyboardInterrupt, AskTimeoutError):
            limiter.send(("withdraw", session_id, own))
            raise
        return waited

    async def wait_turn_async(self, session_id: str, request: Request) -> float:
        """As `acquire_async`, with the request as a value that can be used again."""
        limiter = self._service(RATE_LIMITER)
        own = replace(request)
        try:
            waited: float = await limiter.ask_async(("acquire", session_id, own), timeout=self._patience(request))
        except ActorDeadError as dead:
            raise NotFound(RATE_LIMITER, "running service") from dead
        except (CancelledError, AskTimeoutError):
            limiter.send(("withdraw", session_id, own))
            raise
        return waited

    def limited(
        self,
        type: str = "requests",  # noqa: A002
        *,
        session_id: str | None = None,
        by: str = "session_id",
        cost: float = 1,
        priority: str = "normal",
        deadline: float | None = None,
    ) -> Limited:
        """Return a decorator and context manager, for threads and asyncio, that acquires first.

        Args:
            type: which of the session's buckets.
            session_id: whose bucket; a decorated function may name it by an argument instead.
            by: that argument's name.
            cost: tokens; this and the next two as for `acquire`.
            priority: class in the line.
            deadline: seconds to wait at most.
        """
        return Limited(self, Request(type, cost, priority, deadline), session_id, by)

    def record_request(self, session_id: str, type: str = "requests", cost: float = 1) -> None:  # noqa: A002
        """Charge for what has happened already; this may leave a debt."""
        self._ask(RATE_LIMITER, ("record", session_id, type, cost))

    def set_rate_limit(self, session_id: str, quota: float | Mapping[str, float], type: str = "requests") -> None:  # noqa: A002
        """Change a bucket: a capacity, or a mapping of what differs from the defaults; nothing is refilled.

        Args:
            session_id: whose bucket.
            quota: `capacity` (tokens) and `rate` (tokens per second); `window` (seconds)
                and `window_limit` (tokens in any window; None only counts).
            type: which of the session's buckets.
        """
        self._ask(RATE_LIMITER, ("set_quota", session_id, type, quota))

    def reset_rate_limit(self, session_id: str, type: str | None = None) -> None:  # noqa: A002
        """Fill the buckets of a session, of one type or of all."""
        self._ask(RATE_LIMITER, ("reset_quota", session_id, type))

    def get_rate_limit(self, session_id: str, type: str = "requests") -> QuotaRecord:  # noqa: A002
        """Return the tokens, the capacity and the rate of a bucket."""
        answer: QuotaRecord = self._ask(RATE_LIMITER, ("get_quota", session_id, type))
        return answer

    def get_rate_limit_usage(self, session_id: str, type: str = "requests") -> BucketUsage:  # noqa: A002
        """Return what has been used of a bucket."""
        answer: BucketUsage = self._ask(RATE_LIMITER, ("get_usage", session_id, type))
        return answer

    def check_throttle(self, session_id: str) -> bool:
        """Tell whether the session should slow down.

        True while a throttle or a block is in force, while it owes something, while
        it was refused last and has not waited yet, and while it is over a soft limit
        of isolation. An unknown session is not throttled.
        """
        answer: bool = self._ask(RATE_LIMITER, ("check_throttle", session_id))
        return answer

    def apply_throttle(self, session_id: str, action: str, duration: float | None = None) -> None:
        """Restrain a session; replaces the throttle that is on.

        Args:
            session_id: whom.
            action: `"reject"`, `"drop"`, `"delay"` or `"queue"`, see `sessionactors.limits.guard`.
            duration: seconds; None: until `clear_throttle`.

        Raises:
            InvalidAction: there is no such action.
        """
        self._ask(RATE_LIMITER, ("apply_throttle", session_id, action, duration))

    def clear_throttle(self, session_id: str) -> bool:
        """End a throttle or a block; False when there was none."""
        answer: bool = self._ask(RATE_LIMITER, ("clear_throttle", session_id))
        return answer

    def subscribe_limits(self, session_id: str, subscriber: ActorRef[Any] | Callable[[Any], object]) -> None:
        """Send the `LimiterEvent`s of a live session to an actor or a function, until the session ends.

        A function is called in the limiter's own turn: it is quick, and asks nobody.
        """
        self._ask(RATE_LIMITER, ("subscribe", session_id, subscriber))

    def unsubscribe_limits(self, session_id: str, subscriber: ActorRef[Any] | Callable[[Any], object]) -> None:
        """Stop sending; nothing happens if it was not subscribed."""
        self._ask(RATE_LIMITER, ("unsubscribe", session_id, subscriber))

    def limiter_statistics(self) -> LimiterStatistics:
        """Return the limiter's counts."""
        answer: LimiterStatistics = self._ask(RATE_LIMITER, ("get_stats",))
        return answer

    # -- isolation --------------------------------------------------------------------

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
        if isinstance(self.actors.clock, VirtualClock):
            raise InvalidOption("isolated", "process", "True or False: a process does not live in virtual time")
        handler, arguments, limits, rest = sandbox_options(options, self.isolation_settings)
        session_id = identifiers.parse(session_id)
        self.isolate(session_id, **rest, isolated=True, cpu_limit=None)
        try:
            sandbox = self.sandboxes.start(limits, handler, arguments)
        except BaseException:
            self.destroy_isolation(session_id)
            raise
        sandbox.on_use = lambda *used: self._tell_isolation(("sandbox_used", session_id, sandbox, *used))
        sandbox.on_end = lambda reason: self._tell_isolation(("sandbox_ended", session_id, sandbox, reason))
        try:
            self._ask(ISOLATION, ("attach_sandbox", session_id, sandbox))
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
        """Close an account; the session goes on without limits of isolation."""
        self._ask(ISOLATION, ("destroy_session", session_id))

    def isolate_session(self, session_id: str) -> None:
        """End the session at its next hard violation, and now if there is one."""
        self._ask(ISOLATION, ("isolate_session", session_id))

    def unisolate_session(self, session_id: str) -> None:
        """Only tell of hard violations from now on; everything else stays as it is."""
        self._ask(ISOLATION, ("unisolate_session", session_id))

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

    # -- the reaper -------------------------------------------------------------------

    def reap(self, policy: str | None = None) -> int:
        """Sweep now; return how many sessions have ended. None is the configured policy."""
        answer: int = self._ask(REAPER, ("reap", policy), 30.0)
        return answer

    def set_reap_policy(self, policy: str, **options: object) -> None:
        """Change which sessions are reaped; `custom` needs the option `filter`, others may take `idle_threshold`."""
        self._ask(REAPER, ("set_policy", policy, options))

    def set_reap_interval(self, seconds: float) -> None:
        """Sweep every so many seconds, counted from now."""
        self._ask(REAPER, ("set_interval", seconds))

    def pause_reaper(self) -> None:
        """Leave sweeps out until `resume_reaper`; `reap` works all the same."""
        self._ask(REAPER, ("pause",))

    def resume_reaper(self) -> None:
        """Sweep again, at the times at which it would have swept anyhow."""
        self._ask(REAPER, ("resume",))

    def reaper_statistics(self) -> ReaperStatistics:
        """Return the reaper's counts and settings."""
        answer: ReaperStatistics = self._ask(REAPER, ("get_stats",))
        return answer

    # -- finding and asking ----------------------------------------------------------------

    def _ask(self, name: str, message: object, timeout: Any = ASK_TIMEOUT) -> Any:
        service = self._service(name)
        try:
            return service.ask(message, timeout=timeout)
        except ActorDeadError as dead:
            raise NotFound(name, "running service") from dead

    def _service(self, name: str) -> ActorRef[Any]:
        ref = self.actors.whereis(name)
        if ref is None:
            raise NotFound(name, "running service")
        return ref

    def _patience(self, request: Request) -> float:
        """Return how long to wait for an answer about something that may wait itself."""
        return (self.delay_max if request.deadline is None else request.deadline) + _GRACE
