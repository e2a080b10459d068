"""The actor around a supervisor core: it tells the core what happens, and does what it says.

One actor class for static and dynamic supervisors; they differ in the core alone.
The actor traps exits from before its init callback on (SUP-1), never waits for a
child's end on its thread, and performs each list of effects in its order:
`StartChild` is the last of a list, and its outcome is told to the core before
anything else.

**The one wait.** A supervisor whose *first* start fails has to end the children that
are up before its starter hears of it (SUP-6), and whoever starts it waits anyhow. So
there, and only there, the ends are awaited on the starting thread.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Final, final

from supervisors.actor import Actor
from supervisors.errors import Exit, UsageError
from supervisors.exits import KILL, NORMAL, Crashed
from supervisors.monitors import monitor
from supervisors.runtime.cell import Doom
from supervisors.runtime.outcomes import StartError
from supervisors.runtime.pykka_adapter import PYKKA_MESSAGES, StopMessage
from supervisors.runtime.ref import ActorRef
from supervisors.runtime.signals import Down, Exited
from supervisors.runtime.small_set import SharedSet
from supervisors.supervision.backoff import Backoff, RestartDelays
from supervisors.supervision.calls import Call
from supervisors.supervision.child_spec import ChildSpec, check_child_spec
from supervisors.supervision.core import SupervisorCore
from supervisors.supervision.effects import (
    ArmShutdownTimer,
    CancelShutdownTimer,
    Effect,
    ExitSelf,
    MonitorChild,
    Ready,
    Reply,
    ReplyError,
    SendExit,
    SendSelf,
    SendSelfLater,
    StartChild,
    TellGaveUp,
)
from supervisors.supervision.inputs import (
    ChildDown,
    ChildExited,
    Input,
    ParentExited,
    RetryRestart,
    ShutdownTimeout,
)
from supervisors.supervision.outcomes import Outcome, Started, StartIgnored
from supervisors.supervision.reports import ErrorReport, ProgressReport, Report, log_report
from supervisors.supervision.requests import Request
from supervisors.supervision.starting import call_start

if TYPE_CHECKING:
    from supervisors.runtime.replies import Reply as OwedReply
    from supervisors.timers.service import Timer

__all__ = ["SupervisorActor"]

logger = logging.getLogger("supervisors.supervisor")


class SupervisorActor(Actor):
    """An actor that runs a supervisor core.

    It understands the calls of `supervisors.supervision.calls`; a stop message ends
    it after its children, as an exit signal from its parent does. Without a parent,
    signals from plain threads count as the parent's.

    One that is killed does nothing any more: its children get `killed` over their links,
    all at once (SUP-49). One that is suspended holds back what it hears and what it is
    asked for, but for its parent's exit and a stop message (SRV-27).
    """

    dispatch: ClassVar[str] = "inline"
    client_messages: ClassVar[frozenset[type]] = frozenset({Call})
    system_messages: ClassVar[frozenset[type]] = frozenset({Exited, ParentExited, StopMessage})
    crash_on_ask_error: ClassVar[bool] = True

    _is_up = False

    _core: SupervisorCore
    _monotonic: Callable[[], float]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        self._given: Final = (args, kwargs)
        self._timers: Final[dict[int, Timer]] = {}
        self._start_wait: _StartWait | None = None

    # -- for others --------------------------------------------------------

    def present_children(self) -> list[Any]:
        """Return the refs of the children that have a process now.

        Thread: any; a snapshot. For who cannot wait for an answer: everybody else asks.
        """
        core = getattr(self, "_core", None)
        return [] if core is None else core.present()

    # -- for subclasses ----------------------------------------------------

    @abstractmethod
    def make_core(self, supervisor: object, liveness: Callable[[object], bool | None]) -> SupervisorCore:
        """Make the core from what the supervisor was started with; nothing is started yet.

        Args:
            supervisor: how reports are to call the supervisor.
            liveness: for the core.

        Raises:
            StartError: the supervisor cannot start with that.
            IgnoreStart: it declines to.
        """

    def delays(self, backoff: Backoff | None) -> RestartDelays | None:
        """Return the waits before restarts, for the core; their chance is the system's."""
        if backoff is None:
            return None
        return RestartDelays(backoff, self.system.entropy.stream(f"restart-{self._actor_ref.id}").random)

    def on_report(self, report: Report) -> None:
        """Do something with a report; by default it is logged and handed out as an event."""
        log_report(report)
        self.system.reported(report)

    # -- what the runtime calls --------------------------------------------

    def starting(self) -> None:
        """Start the children, and come up when all of them are (SUP-1, SUP-3)."""
        self.trap_exit()
        self._monotonic = self.system.clock.monotonic
        super().starting()
        own = self._actor_ref
        self._core = self.make_core(own.name if own.name is not None else own, _liveness)
        children = self._core.children
        if children is not None:
            own.links = SharedSet(children, own.links or ())
        wait = self._start_wait = _StartWait()
        try:
            self._perform(self._core.start(self._monotonic()))
            while self._core.busy:
                self._await_end(wait)
        except Exit as failed:
            raise StartError(failed.reason, own) from None
        self._start_wait = None
        self._is_up = True

    def ending(self, reason: object, *, crash: bool, by_signal: bool) -> object:
        """Clean up, unless the supervisor did not come up: who has not begun has nothing to end (PROC-4)."""
        if not self._is_up and not crash:
            return reason
        return super().ending(reason, crash=crash, by_signal=by_signal)

    def receive_tell(self, message: Any) -> None:
        """Take in exits, ends, timers and retries. Called by the runtime."""
        kind = message.__class__
        if kind is Exited:
            source = message.source
            if source is self._actor_ref.parent or not self._core.lets_go(source, message.reason):
                self._tell(self._exit_news(message))
        elif kind is Down:
            self._tell(ChildDown(message.source, message.reason))
        elif kind is RetryRestart or kind is ShutdownTimeout:
            self._tell(message)
        elif kind is ParentExited:
            self._tell(self._end_has_come(message.reason))
        elif kind is StopMessage:
            self._tell(self._end_has_come(NORMAL))
        else:
            super().receive_tell(message)

    def receive_ask(self, message: Any) -> Any:
        """Answer a call, at once or later. Called by the runtime."""
        kind = message.__class__
        if kind is Call:
            if message.operation != "start_child":
                return self._request(message)
            # A child that nobody hears of would live on, and be in the way of whoever tries again.
            return StartIgnored() if self._actor_ref.is_given_up else self._start_now(message)
        if kind is StopMessage:
            self._stop_when_asked()
        elif kind in PYKKA_MESSAGES:
            return super().receive_ask(message)
        else:
            self._crash_orderly(UsageError(f"a supervisor has no answer to a {type(message).__name__}"))
        return None

    def on_receive(self, message: Any) -> None:
        """Drop a message that no supervisor knows (SUP-51)."""
        logger.error("%s drops a message that it does not know: a %s", self, type(message).__name__)

    # -- news --------------------------------------------------------------

    def _exit_news(self, message: Exited) -> Input:
        if message.source is self._actor_ref.parent:
            return self._end_has_come(message.reason)
        return ChildExited(message.source, message.reason)

    def _end_has_come(self, reason: object) -> ParentExited:
        # One that is suspended needs the news of its children's ends from now on.
        self._actor_ref.suspended = 0
        return ParentExited(reason)

    def _tell(self, news: Input) -> None:
        self._perform(self._core.handle(news, self._monotonic()))

    # -- calls -------------------------------------------------------------

    def _request(self, call: Call) -> Any:
        """Have the core answer a call, now or after what it is busy with."""
        answer = _Answer()
        self._tell(Request(call.operation, call.argument, answer))
        return answer.taken(self)

    def _start_now(self, call: Call) -> Any:
        """Start a child without the detour over a list of effects, where the core has nothing else in hand."""
        args = call.args
        spec = self._core.admit(call.argument)
        if spec is not None:
            return self._core.took(spec, args, self._start_child(spec, args))
        if args:
            call = Call(call.operation, check_child_spec(call.argument).with_more(args))
        return self._request(call)

    # -- effects -----------------------------------------------------------

    def _perform(self, effects: list[Effect]) -> None:
        """Do what the core says, until it has nothing more to say."""
        while effects:
            outcome: Outcome | None = None
            for effect in effects:
                kind = effect.__class__
                if kind is StartChild:
                    outcome = self._start(effect)  # type: ignore[arg-type]  # its kind was looked at
                elif kind is ErrorReport or kind is ProgressReport:
                    self._report(effect)  # type: ignore[arg-type]  # likewise
                else:
                    _PERFORM[kind](self, effect)
            if outcome is None:
                return
            effects = self._core.handle(outcome, self._monotonic())

    def _start(self, effect: StartChild) -> Outcome:
        return self._start_child(effect.spec)

    def _start_child(self, spec: ChildSpec, more: tuple[Any, ...] = ()) -> Outcome:
        outcome = call_start(spec, more)
        if outcome.__class__ is Started:
            ref = outcome.ref
            links = self._actor_ref.links
            if links is None or ref not in links:
                # SUP-7 asks start functions to link; one that forgot would leave a
                # child whose end nobody hears of. For a dead one this gives `noproc`.
                self.link(ref)
        return outcome

    def _monitor_child(self, effect: MonitorChild) -> None:
        monitor(self._actor_ref, effect.ref, _nobody)
        if self._start_wait is not None:
            self._start_wait.child = effect.ref

    def _send_exit(self, effect: SendExit) -> None:
        if effect.reason == KILL:
            # More than the signal: a turn that does not return ends with its actor (EXIT-7),
            # so that the wait for a killed child has an end.
            effect.ref.kill()
        else:
            effect.ref.exit(effect.reason)

    def _arm(self, effect: ArmShutdownTimer) -> None:
        news = ShutdownTimeout(effect.token)
        if self._start_wait is not None:
            self._start_wait.limit = (self._monotonic() + effect.seconds, news)
        else:
            self._timers[effect.token] = self.send_after(effect.seconds, news)

    def _cancel(self, effect: CancelShutdownTimer) -> None:
        timer = self._timers.pop(effect.token, None)
        if timer is not None:
            timer.cancel()

    def _reply(self, effect: Reply) -> None:
        effect.to.give(effect.value)

    def _reply_error(self, effect: ReplyError) -> None:
        effect.to.refuse(effect.error)

    def _send_self(self, effect: SendSelf) -> None:
        self._actor_ref.send(effect.message)

    def _send_self_later(self, effect: SendSelfLater) -> None:
        self.send_after(effect.seconds, effect.message)

    def _report(self, report: Report) -> None:
        try:
            self.on_report(report)
        except (Exception, SystemExit):
            # It is the user's, and the children are not to pay for it.
            logger.exception("%s: on_report() raised", self)

    def _tell_gave_up(self, effect: TellGaveUp) -> None:
        try:
            effect.listener(effect.report)
        except (Exception, SystemExit):
            # Whoever is told must not keep the supervisor from ending its children.
            logger.exception("%s: on_give_up raised", self)

    def _ready(self, effect: Ready) -> None:
        """Come up: `starting()` returns."""

    def _exit_self(self, effect: ExitSelf) -> None:
        # Requests that were held back have a reply that is still owed; the runtime
        # fails those with this reason (SUP-70).
        raise Exit(effect.reason)

    # -- the rest ----------------------------------------------------------

    def _await_end(self, wait: _StartWait) -> None:
        """Wait for the end of the child that is being ended, on this thread."""
        child, limit = wait.child, wait.limit
        assert child is not None, "a core that waits during its first start waits for a child's end"
        if not child.when_ended().settle(None if limit is None else max(limit[0] - self._monotonic(), 0.0)):
            assert limit is not None, "a wait without a limit does not end before the child"
            wait.limit = None
            self._tell(limit[1])
            return
        own = self._actor_ref
        own.take()
        if isinstance(own._doom, Doom):  # noqa: SLF001 - only a turn that waits meets its own end
            # Killed meanwhile, or told to end before it could trap that. It takes in nothing any
            # more, so the news of the child would never come; its end reaches the children over links.
            raise Exit(own._doom.reason)  # noqa: SLF001 - as above
        while wait.child is child and self._core.busy:
            news = own.withdraw(lambda item: isinstance(item, (Exited, Down)) and item.source is child)
            if news is None:
                return
            if isinstance(news, Down):
                wait.child, wait.limit = None, None
            self.receive_tell(news)

    def _stop_when_asked(self) -> None:
        """End after the messages that are there, and answer the stop message when dead."""
        owed = self.defer_reply()
        own = self._actor_ref
        # Not one of the replies that the actor owes: the runtime would fail it at the end.
        own.settle_reply(owed)

        def answer() -> None:
            owed.future.offer(None)

        own.when_ended().when_done(answer)
        own.send(ParentExited(NORMAL))

    def _crash_orderly(self, error: Exception) -> None:
        """Crash because of an unknown call, but after the children, as OTP's supervisor does (SUP-51)."""
        self.defer_reply()
        logger.error("%s crashes: %s", self, error)
        self._actor_ref.send(ParentExited(Crashed(error)))


@final
class _Answer:
    """Where the reply to one call goes: to the ask in hand, or to one that waits."""

    __slots__ = ("_error", "_is_given", "_owed", "_value")

    def __init__(self) -> None:
        self._is_given = False
        self._value: object = None
        self._error: Exception | None = None
        self._owed: OwedReply | None = None

    def give(self, value: object) -> None:
        if self._owed is not None:
            self._owed.set(value)
        else:
            self._is_given = True
            self._value = value

    def refuse(self, error: Exception) -> None:
        if self._owed is not None:
            self._owed.refuse(error)
        else:
            self._is_given = True
            self._error = error

    def taken(self, actor: Actor) -> object:
        """Return or raise the answer if it is there, else promise it."""
        if not self._is_given:
            self._owed = actor.defer_reply()
            return None
        if self._error is not None:
            raise self._error
        return self._value


@final
class _StartWait:
    """What a supervisor whose first start has failed waits for.

    Attributes:
        child: the child that is being ended.
        limit: deadline (monotonic, seconds) after which this is the news; None: no limit.
    """

    __slots__ = ("child", "limit")

    def __init__(self) -> None:
        self.child: ActorRef[Any] | None = None
        self.limit: tuple[float, ShutdownTimeout] | None = None


def _nobody(_name: object) -> None:
    """Look a name up where only refs are monitored."""


def _liveness(ref: object) -> bool | None:
    return ref.is_alive() if isinstance(ref, ActorRef) else None


_PERFORM: Final[dict[type, Callable[[SupervisorActor, Any], None]]] = {
    MonitorChild: SupervisorActor._monitor_child,  # noqa: SLF001 - the table of this class's own steps
    SendExit: SupervisorActor._send_exit,  # noqa: SLF001
    ArmShutdownTimer: SupervisorActor._arm,  # noqa: SLF001
    CancelShutdownTimer: SupervisorActor._cancel,  # noqa: SLF001
    Reply: SupervisorActor._reply,  # noqa: SLF001
    ReplyError: SupervisorActor._reply_error,  # noqa: SLF001
    SendSelf: SupervisorActor._send_self,  # noqa: SLF001
    SendSelfLater: SupervisorActor._send_self_later,  # noqa: SLF001
    TellGaveUp: SupervisorActor._tell_gave_up,  # noqa: SLF001
    Ready: SupervisorActor._ready,  # noqa: SLF001
    ExitSelf: SupervisorActor._exit_self,  # noqa: SLF001
}
