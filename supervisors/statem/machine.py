"""The state machine as an actor: feeds the engine, and does what it says.

::

    class Door(StateMachine):
        callback_mode = "state_functions"

        def init(self, code):
            return initial_state("locked", data=code)

        def locked(self, event_type, content, code):
            if event_type is CALL and content == code:
                return next_state("open", reply("welcome"), state_timeout(10.0))
            return keep_state(reply("locked")) if event_type is CALL else keep_state()

        def open(self, event_type, content, code):
            if event_type is STATE_TIMEOUT:
                return next_state("locked")
            return keep_state(postpone())

`ref.ask(...)` is a `CALL` event, `cast(ref, ...)` a `CAST`, everything else that
arrives an `INFO`: `Down`, `Exited`, what somebody told (STM-2, STM-50).

One message of the mailbox is one turn: the event, and then everything that the
machine has to do by itself before it looks at the mailbox again (STM-8). The order
of effects is the engine's. Replies go out when their turn comes; only the reply to
the call in hand, if it is in the last step, goes out by returning from the turn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn, final

from supervisors.alarm import Alarm, Rung
from supervisors.behaviour import ABOUT_ITSELF, IGNORE, Behaviour, Cast, EndNow, Ignore, StopRequest, cast, stop
from supervisors.callbacks import BadReturnError, Throw, UndefinedCallbackError
from supervisors.errors import Exit, IgnoreStart, InvalidTypeError, UsageError
from supervisors.exits import Crashed
from supervisors.runtime.pykka_adapter import PYKKA_MESSAGES, perform
from supervisors.runtime.signals import ControlMessage, Exited
from supervisors.statem.actions import Refuse, Reply
from supervisors.statem.calls import ANSWERED, Caller, call, get_state, replace_state
from supervisors.statem.effects import CancelTimer, Effect, StartTimer, Terminate
from supervisors.statem.engine import Engine
from supervisors.statem.events import CALL, CAST, INFO, AnyEventType, TimeoutKind
from supervisors.statem.results import InitialState, Result, Stop

if TYPE_CHECKING:
    from supervisors.runtime.replies import Reply as OwedReply
    from supervisors.statem.transition import Event

__all__ = ["IGNORE", "StateMachine", "call", "cast", "get_state", "replace_state", "stop"]


@final
class _Proceed(ControlMessage):
    """Starts what the machine does by itself after its `init` (STM-42)."""

    __slots__ = ()


class StateMachine(Behaviour):
    """Subclass this; the class is its own first callback module.

    Attributes:
        callback_mode: `"state_functions"`: one method per state, named like it,
            called with event type, content and data. `"handle_event_function"`:
            one method `handle_event`, called with event type, content, state and
            data (STM-1).
        state_enter: whether enter calls are made (STM-18).
    """

    system_messages: ClassVar[frozenset[type]] = Behaviour.system_messages | {_Proceed}
    callback_mode: ClassVar[Literal["state_functions", "handle_event_function"]]
    state_enter: ClassVar[bool] = False

    _engine: Engine
    _alarms: dict[TimeoutKind, Alarm] | None = None

    # -- callbacks -----------------------------------------------------------

    def init(self, *args: Any, **kwargs: Any) -> InitialState | Stop | Ignore:
        """Come up; the starter waits for this (PROC-1).

        Returns:
            `initial_state(...)`; `IGNORE`, or `stop(reason)`, not to start.
        """
        raise UndefinedCallbackError(self, "init")

    def handle_event(self, event_type: AnyEventType, content: Any, state: Any, data: Any) -> Result:
        """Handle an event, in callback mode `"handle_event_function"`."""
        raise UndefinedCallbackError(self, "handle_event")

    def terminate(self, reason: Any, state: Any, data: Any) -> None:
        """Clean up (STM-44); what it raises becomes the exit reason (SRV-21)."""

    # -- in a callback ---------------------------------------------------------

    def defer_reply(self) -> OwedReply:
        """Return the reply that is owed to the call in hand (STM-37).

        Give it later, once: with the action ``reply(value, to=owed)``, or with
        ``owed.set(value)`` from anywhere. A call that is neither answered nor
        deferred can only be postponed: nobody else knows its caller.

        Raises:
            UsageError: the event in hand is no call.
        """
        caller = self._engine.caller
        if caller is None:
            raise UsageError("the event in hand is no call: nobody waits for a reply")
        if caller.__class__ is Caller:
            if not hasattr(caller, "owed"):
                caller.owed = super().defer_reply()
            # The engine has the owed reply from now on: receive_ask() sees the difference.
            caller = self._engine.caller = caller.owed
        owed: OwedReply = caller
        return owed

    # -- what the runtime calls ------------------------------------------------

    def receive_ask(self, message: Any) -> Any:
        if message.__class__ in ABOUT_ITSELF:
            return self._answer_about_itself(message)
        caller = Caller()
        engine = self._engine
        effects: Sequence[Any] = engine.handle(CALL, message, caller)
        if effects and effects.__class__ is tuple and engine.caller is caller:
            # The engine's fast path: nothing but one reply. Usually to this call.
            (effect,) = effects
            if effect.to is None:
                return effect.value
        return self._answer_otherwise(effects, caller)

    def receive_tell(self, message: Any) -> None:
        special = self._special.get(message.__class__)
        if special is not None:
            special(self, message)
        elif message.__class__ in PYKKA_MESSAGES:
            perform(self, message)
        else:
            effects = self._engine.handle(INFO, message)
            if effects or self._engine.is_ready:
                self._carry_out(effects)

    def event_taken_up(self) -> Event | None:
        """Return the postponed or inserted event that this turn has come to, or None: the message itself.

        Thread: the actor's own turn only.
        """
        return self._engine.taken_up

    def ended(self) -> None:
        for alarm in (self._alarms or {}).values():
            alarm.cancel()

    # -- inside ------------------------------------------------------------------

    def _begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        try:
            result: Any = self.init(*args, **kwargs)
        except Throw as thrown:
            result = thrown.result
        if result is IGNORE:  # PROC-3
            raise IgnoreStart
        if result.__class__ is Stop:  # PROC-4
            raise Exit(result.reason)
        if result.__class__ is not InitialState:  # PROC-6
            raise BadReturnError(result, "initial_state(...), IGNORE, stop(reason)")
        self._engine = Engine(self)
        for effect in self._engine.start(result):
            if isinstance(effect, Terminate):
                self._end_after_this(effect.reason)
            else:
                self._perform(effect)
        if self._engine.is_ready:
            # STM-42: the starter has its answer before any callback runs.
            self._actor_ref.put_first(_Proceed())

    def _call_terminate(self, reason: object) -> None:
        # The current callback module's, which need not be this class (STM-39).
        terminate = getattr(self._engine.module, "terminate", None)
        if terminate is not None:
            terminate(reason, self._engine.state, self._engine.data)

    def _answer_otherwise(self, effects: Sequence[Any], caller: Caller) -> Any:
        """Do everything that a call wants done beside a plain reply."""
        engine = self._engine
        answers = 0
        answer: Reply | Refuse | None = None
        for effect in effects:
            if effect.__class__ is Reply or effect.__class__ is Refuse:
                answers += 1
                if effect.to is None:
                    answer = effect
        if engine.is_ready or engine.caller is not caller or answers > 1:
            # More follows, or the reply has been deferred already: answers go out
            # through the owed reply, each when its turn comes (STM-20, STM-37).
            self.defer_reply()
            end = self._run(effects)
            if end is not None:
                self._end_after_this(end.reason)
            return None
        end = None
        for effect in effects:
            if effect.__class__ is Terminate:
                end = effect
            elif effect is not answer:
                self._perform(effect)
        if answer is None:
            if end is not None:
                _leave(end.reason)
            self.defer_reply()
            return None
        caller.owed = ANSWERED
        if end is not None:
            self._end_after_this(end.reason)  # STM-46: the reply goes out before
        if isinstance(answer, Refuse):
            raise answer.refusal
        return answer.value

    def _look(self) -> tuple[Any, Any]:
        return self._engine.state, self._engine.data

    def _change(self, change: Callable[..., Any]) -> None:
        engine = self._engine
        changed = change(engine.state, engine.data)
        if changed.__class__ is not tuple or len(changed) != 2:
            raise InvalidTypeError("change", changed, "a function that returns a tuple of state and data")
        engine.state, engine.data = changed

    def _carry_out(self, effects: Sequence[Effect]) -> None:
        """Do everything that a message wants done that nobody waits for."""
        end = self._run(effects)
        if end is not None:
            _leave(end.reason)

    def _run(self, effects: Sequence[Effect]) -> Terminate | None:
        """Perform effects, and all steps that follow before the mailbox (STM-8)."""
        engine = self._engine
        while True:
            for effect in effects:
                if isinstance(effect, Terminate):
                    return effect
                self._perform(effect)
            if not engine.is_ready:
                return None
            effects = engine.proceed()

    def _perform(self, effect: Any) -> None:
        kind = effect.__class__
        if kind is StartTimer:
            self._start_timer(effect)
        elif kind is CancelTimer:
            assert self._alarms is not None, "the engine cancels only what it has started"
            self._alarms.pop(effect.kind).cancel()
        else:
            to = self._engine.caller if effect.to is None else effect.to
            owed = to.owed if to.__class__ is Caller else to
            if kind is Reply:
                owed.set(effect.value)
            else:
                owed.refuse(effect.refusal)

    def _start_timer(self, timer: StartTimer) -> None:
        alarms = self._alarms
        if alarms is None:
            alarms = self._alarms = {}
        alarm = alarms.get(timer.kind)
        if alarm is None:
            alarm = alarms[timer.kind] = Alarm(self)
        alarm.about = timer
        deadline = timer.seconds
        if not timer.absolute:  # STM-34
            deadline += self._actor_ref.system.clock.monotonic()
        alarm.set(deadline)

    # -- messages with a meaning of their own --------------------------------------

    def _on_cast(self, message: Cast) -> None:
        effects = self._engine.handle(CAST, message.message)
        if effects or self._engine.is_ready:
            self._carry_out(effects)

    def _on_proceed(self, message: _Proceed) -> None:
        del message
        self._carry_out(self._engine.proceed())

    def _on_rung(self, message: Rung) -> None:
        alarm = message.alarm
        if alarm.is_due(message):
            timer: StartTimer = alarm.about
            if self._alarms is not None and self._alarms.get(timer.kind) is alarm:
                del self._alarms[timer.kind]  # a machine may use up any number of names
            self._carry_out(self._engine.timed_out(timer.kind, timer.generation))

    def _on_exited(self, message: Exited) -> None:
        if self._is_parents_exit(message):  # STM-49
            raise Exit(message.reason)
        self._carry_out(self._engine.handle(INFO, message))  # STM-50

    def _on_end(self, message: EndNow) -> None:
        _leave(message.reason)

    def _on_stop(self, message: StopRequest) -> None:
        raise Exit(message.reason)  # STM-49

    # What is not simply information.
    _special: ClassVar[dict[type, Callable[[Any, Any], None]]] = {
        Cast: _on_cast,
        _Proceed: _on_proceed,
        Rung: _on_rung,
        Exited: _on_exited,
        EndNow: _on_end,
        StopRequest: _on_stop,
    }


def _leave(reason: object) -> NoReturn:
    """End the running actor; a crash is raised as what it was (STM-47)."""
    if isinstance(reason, Crashed):
        raise reason.error
    raise Exit(reason)
