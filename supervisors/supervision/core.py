"""The supervisor as a state machine: news in, effects out, nothing else.

A core decides; the actor around it performs (`supervisors.supervision.effects`).
Neither ever waits on a thread. Where OTP's supervisor blocks in a `receive` - while
a start function runs, while a child is being ended - the core is *busy*: it holds
back whatever comes in, takes only the news that it waits for, and deals with the
rest afterwards, in the order in which it came (SUP-42, SUP-71).

**Turns.** Handling one piece of news is a turn. A turn that has to wait is a
generator: it appends its effects, yields, and is sent the news that it waits for.
So the code reads in the order in which things happen, as it would if it blocked::

    outcome = yield from self._start(spec)      # StartChild out, Started in
    ended = yield from self._terminate(...)     # SendExit out, ChildDown in

**Order.** News that is held back was in the mailbox before anything the core sends
itself afterwards, so a retried restart still queues behind it (SUP-26, SUP-30).

**Exits held back.** A child that ends while the core is busy is remembered with its
reason. If it is to be ended in this same turn it counts as ended, with that reason
(SUP-45), and the message means nothing later: nobody is known by that reference.

`StaticCore` keeps children in order; `DynamicCore` keeps many without one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Generator, Hashable, Iterable, Mapping
from itertools import count
from typing import Any, Final, TypeVar

from supervisors.errors import InternalError, Refusal, UsageError
from supervisors.exits import SHUTDOWN
from supervisors.invariants import invariant
from supervisors.supervision.backoff import RestartDelays
from supervisors.supervision.child_spec import ChildSpec
from supervisors.supervision.effects import (
    Effect,
    ExitSelf,
    Reply,
    ReplyError,
    SendSelf,
    SendSelfLater,
    StartChild,
    TellGaveUp,
)
from supervisors.supervision.flags import DynamicFlags, SupervisorFlags
from supervisors.supervision.inputs import (
    ChildDown,
    ChildExited,
    Input,
    ParentExited,
    RetryRestart,
    ShutdownTimeout,
)
from supervisors.supervision.intensity import RestartWindow
from supervisors.supervision.outcomes import Outcome, Started, StartFailed, StartIgnored
from supervisors.supervision.reports import ChildSummary, ErrorContext, ErrorReport
from supervisors.supervision.requests import Request
from supervisors.supervision.shutdown import Ended, Termination, is_expected_end

__all__ = ["Liveness", "SupervisorCore", "Turn", "find"]

Turn = Generator[None, Any, None]
"""The rest of a turn that waits: it is sent outcomes, ends of children and timeouts."""

Liveness = Callable[[object], bool | None]
"""Tells whether a process is alive; None for something that is no process at all."""

T = TypeVar("T")


class SupervisorCore(ABC):
    """What static and dynamic supervisors have in common.

    Thread: used by one actor, in its own turns.
    """

    __slots__ = (
        "_deferred",
        "_delays",
        "_effects",
        "_is_ended",
        "_liveness",
        "_now",
        "_on_give_up",
        "_operations",
        "_starting",
        "_supervisor",
        "_termination",
        "_tokens",
        "_turn",
        "_unread",
        "_window",
    )

    def __init__(
        self,
        flags: SupervisorFlags | DynamicFlags,
        *,
        supervisor: object,
        liveness: Liveness,
        delays: RestartDelays | None,
    ) -> None:
        self._window: Final = RestartWindow(flags.max_restarts, flags.max_seconds)
        self._on_give_up: Final = flags.on_give_up
        # None: restart at once, as OTP does.
        self._delays: Final = delays
        self._supervisor: Final = supervisor
        self._liveness: Final = liveness
        self._tokens: Final = count(1)
        # What can be asked, by name. Each answers at once or returns the turn that
        # will; before that it may raise a refusal.
        self._operations: Final[dict[str, Callable[[Request], Turn | None]]] = {
            "start_child": self._start_child,
            "terminate_child": self._terminate_child,
            "restart_child": self._restart_child,
            "delete_child": self._delete_child,
            "which_children": self._which_children,
            "count_children": self._count_children,
            "get_childspec": self._get_childspec,
        }
        self._now = 0.0
        self._is_ended = False
        self._effects: list[Effect] = []
        # The turn that waits, and what for: the outcome of a start, or the ends of
        # the children of a termination. At most one of the two.
        self._turn: Turn | None = None
        self._starting = False
        self._termination: Termination | None = None
        # News that came while a turn was waiting, and the reasons of the exits in it.
        self._deferred: Final[deque[Input]] = deque()
        self._unread: Final[dict[Any, object]] = {}

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of children."""

    @abstractmethod
    def present(self) -> list[Any]:
        """Return the references of the children that have a process; any thread may, at any time."""

    @property
    def children(self) -> Mapping[Any, object] | None:
        """The children that have a process, by reference, as a table that changes with them; None: there is none."""
        return None

    @property
    def busy(self) -> bool:
        """Whether a turn waits for a start or an end; requests are held back meanwhile."""
        return self._turn is not None

    @property
    def ended(self) -> bool:
        """Whether the supervisor is done: it has told its actor to exit."""
        return self._is_ended

    def start(self, now: float) -> list[Effect]:
        """Begin the supervisor's life: start the children, and say `Ready` when all are up.

        Args:
            now: monotonic time, seconds.

        Returns:
            Effects to perform in this order.
        """
        self._now = now
        effects = self._effects = []
        self._resume(self._start_up(), None)
        self._catch_up()
        return effects

    def handle(self, news: Input, now: float) -> list[Effect]:
        """Take in one piece of news.

        Args:
            news: what has happened; news that means nothing any more is ignored.
            now: monotonic time, seconds, never before that of an earlier call.

        Returns:
            Effects to perform in this order. After an `ExitSelf` there are none.
        """
        if self._is_ended:
            return []
        self._now = now
        effects = self._effects = []
        if self._turn is None:
            self._begin(news)
        else:
            self._go_on(self._turn, news)
        if self._deferred:
            self._catch_up()
        return effects

    # Without a turn

    def admit(self, child: object) -> ChildSpec | None:
        """Check a child that can be started within one message, without a turn that waits.

        Whoever gets a specification calls its start function, and tells `took()` the
        outcome before any other news.

        Args:
            child: what is to be started, as in a `start_child` request.

        Returns:
            What to start; None: make a request of it.

        Raises:
            Refusal: it is not to be started; nothing has changed.
        """
        del child
        return None

    def took(self, spec: ChildSpec, args: tuple[Any, ...], outcome: Outcome) -> Outcome:
        """Take in the outcome of a start that `admit()` has asked for; return the answer to whoever wanted it.

        Args:
            spec: what `admit()` has returned.
            args: positional arguments that the start function got behind those of the specification.
            outcome: of its call.

        Raises:
            Refusal: the child did not start.
        """
        raise InternalError("nobody was admitted", spec=spec, args=args, outcome=outcome)

    def lets_go(self, ref: Any, reason: object) -> bool:
        """Take in an exit message if nothing follows from it; False: it is news like any other."""
        del ref, reason
        return False

    # Turns

    def _begin(self, news: Input) -> None:
        kind = type(news)
        turn: Turn | None = None
        if kind is ChildExited:
            turn = self._child_exited(news.ref, news.reason)  # type: ignore[union-attr]  # its kind was looked at
        elif kind is Request:
            turn = self._requested(news)  # type: ignore[arg-type]  # likewise
        elif kind is RetryRestart:
            turn = self._retry(news)  # type: ignore[arg-type]  # likewise
        elif kind is ParentExited:
            turn = self._end(news.reason)  # type: ignore[union-attr]  # likewise
        else:
            # A timer or monitor that was no longer wanted when it fired means nothing;
            # but nobody may start a child that was not asked for.
            invariant(
                kind is ChildDown or kind is ShutdownTimeout,
                "the outcome of a start comes only while a start is under way",
                news=news,
            )
        if turn is not None:
            self._resume(turn, None)

    def _go_on(self, turn: Turn, news: Input) -> None:
        kind = type(news)
        termination = self._termination
        if kind is Started or kind is StartFailed or kind is StartIgnored:
            invariant(self._starting, "the outcome of a start comes only while a start is under way", news=news)
            self._starting = False
            self._resume(turn, news)
        elif kind is ChildDown or kind is ShutdownTimeout:
            if termination is None:
                return
            if kind is ChildDown and len(termination.waiting) > 1:
                # Not the last one: nothing to go on with, and there may be 100,000.
                termination.down(news, self._effects)  # type: ignore[arg-type]  # its kind was looked at
            else:
                self._resume(turn, news)
        elif kind is ChildExited:
            if termination is not None and news.ref in termination.ended:  # type: ignore[union-attr]  # likewise
                return  # the monitor has told that already
            self._unread[news.ref] = news.reason  # type: ignore[union-attr]  # its kind was looked at
            if termination is None or news.ref not in termination.waiting:  # type: ignore[union-attr]  # likewise
                self._deferred.append(news)
        else:
            self._deferred.append(news)

    def _resume(self, turn: Turn, news: Input | None) -> None:
        try:
            turn.send(news)
        except StopIteration:
            self._turn = None
        else:
            self._turn = turn

    def _catch_up(self) -> None:
        """Deal with what was held back, until a turn has to wait again."""
        deferred = self._deferred
        while deferred and self._turn is None and not self._is_ended:
            news = deferred.popleft()
            if type(news) is ChildExited:
                self._unread.pop(news.ref, None)
            self._begin(news)

    # Steps of a turn

    def _start(self, spec: ChildSpec) -> Generator[None, Any, Outcome]:
        """Have a child started, and wait for the outcome."""
        self._effects.append(StartChild(spec))
        self._starting = True
        outcome: Outcome = yield
        return outcome

    def _terminate(self, children: Iterable[tuple[Any, ChildSpec]]) -> Generator[None, Any, list[Ended]]:
        """End children at the same time, and wait until all of them are gone."""
        termination = self._termination = Termination(self._unread, self._tokens)
        termination.begin(children, self._effects)
        while termination.waiting:
            news: ChildDown | ShutdownTimeout = yield
            if type(news) is ChildDown:
                termination.down(news, self._effects)
            else:
                termination.timeout(news, self._effects)
        self._termination = None
        return list(termination.ended.values())

    def _end(self, reason: object) -> Turn:
        """End all children, then the supervisor itself (SUP-47)."""
        yield from self._terminate_all()
        self._exit(reason)

    def _exit(self, reason: object) -> None:
        self._is_ended = True
        unanswered = tuple(news.reply_to for news in self._deferred if isinstance(news, Request))
        self._deferred.clear()
        self._effects.append(ExitSelf(reason, unanswered))

    def _give_up(self, spec: ChildSpec, ref: object) -> Turn:
        """One restart too many (SUP-24).

        The reason is an orderly one, so that the parent restarts a permanent supervisor
        only, and enters that into its own history (SUP-25).
        """
        report = ErrorReport(self._supervisor, "shutdown", "reached_max_restart_intensity", ChildSummary(spec, ref))
        self._effects.append(report)
        if self._on_give_up is not None:
            self._effects.append(TellGaveUp(self._on_give_up, report))
        return self._end(SHUTDOWN)

    def _retry_later(self, key: Hashable, attempt: int = 0) -> None:
        """Queue another attempt behind everything that is in the mailbox (SUP-26), or wait first."""
        if self._delays is None:
            self._effects.append(SendSelf(RetryRestart(key)))
        else:
            self._effects.append(SendSelfLater(self._delays.next(key, self._now), RetryRestart(key, attempt)))

    def _report(self, context: ErrorContext, reason: object, offender: ChildSummary) -> None:
        self._effects.append(ErrorReport(self._supervisor, context, reason, offender))

    def _report_unexpected(self, ended: Iterable[Ended]) -> None:
        """Report those that ended otherwise than they were told to (SUP-44, REP-5)."""
        for one in ended:
            if not is_expected_end(one.spec, one.reason):
                self._report("shutdown_error", one.reason, ChildSummary(one.spec, one.ref))

    def _reply(self, request: Request, value: object) -> None:
        self._effects.append(Reply(request.reply_to, value))

    def _refuse(self, request: Request, refusal: Refusal) -> None:
        self._effects.append(ReplyError(request.reply_to, refusal))

    def _requested(self, request: Request) -> Turn | None:
        answer = self._operations.get(request.operation)
        if answer is None:
            # As in OTP, a call that no supervisor knows is a crash (SUP-51).
            raise UsageError(f"a supervisor has no operation {request.operation!r}")
        try:
            return answer(request)
        except Refusal as refusal:
            self._refuse(request, refusal)
            return None

    # What differs

    @abstractmethod
    def _start_up(self) -> Turn:
        """Start the first children and say `Ready`, or fail to."""

    @abstractmethod
    def _child_exited(self, ref: Any, reason: object) -> Turn | None:
        """Deal with an exit message."""

    @abstractmethod
    def _retry(self, news: RetryRestart) -> Turn | None:
        """Try a failed restart again, if it is still wanted."""

    @abstractmethod
    def _terminate_all(self) -> Turn:
        """End all children, in the order that the kind of supervisor has."""

    @abstractmethod
    def _start_child(self, request: Request) -> Turn | None: ...

    @abstractmethod
    def _terminate_child(self, request: Request) -> Turn | None: ...

    @abstractmethod
    def _restart_child(self, request: Request) -> Turn | None: ...

    @abstractmethod
    def _delete_child(self, request: Request) -> Turn | None: ...

    @abstractmethod
    def _which_children(self, request: Request) -> Turn | None: ...

    @abstractmethod
    def _count_children(self, request: Request) -> Turn | None: ...

    @abstractmethod
    def _get_childspec(self, request: Request) -> Turn | None: ...


def find(table: dict[Any, T], key: object) -> T | None:
    """Look up what somebody asked for, which may be no key at all."""
    try:
        return table.get(key)
    except Exception:  # noqa: BLE001 - it cannot be hashed, or its own code raises when it is compared
        return None
