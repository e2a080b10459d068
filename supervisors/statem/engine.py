"""The state machine without a process: events in, effects out.

An `Engine` holds what a gen_statem holds (state, data, own queue, postponed
events, time-outs, callback modules) and knows every rule of it, but no actor,
thread, clock or timer. One call of `handle()`, `proceed()` or `timed_out()`
makes exactly **one callback** and returns what has to be done because of it, in
order::

    effects = engine.handle(CALL, "push", caller)
    while True:
        for effect in effects: ...          # Reply, Refuse, StartTimer, CancelTimer, Terminate
        if not engine.is_ready:
            break                           # now it is the mailbox's turn (STM-8)
        effects = engine.proceed()

So a reply is out before the next callback runs, the enter call of the same
transition included (STM-9, STM-20), and whoever drives the engine may look at
the effects of each step by itself.

A transition: state callback -> its actions -> enter call, if there is one, and
its actions -> what was noted takes effect. Replies and callback modules take
effect when they are read; events, postponing and time-outs are noted and take
effect together at the end (STM-20). An action list is thus checked whole before
anything of it that stays inside the machine has happened; only the replies in
front of a bad action are out by then, as in OTP (STM-41).

The fast path. Most events of most machines change no more than state and data,
and want at most one reply. For those no object is made here at all: two flags,
brought up to date at the end of every transition that is not of this kind, say
whether a plain result can matter to a queue, a time-out or an enter call. If
not, `handle()` finishes by itself and returns the tuple of actions as it came.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, final

from supervisors.callbacks import BadReturnError, Throw, UnaskedRefusalError
from supervisors.errors import Exit, Refusal, SupervisorsError
from supervisors.exits import Crashed
from supervisors.statem.actions import (
    Action,
    BadActionError,
    BadEnterActionError,
    ChangeCallbackModule,
    PopCallbackModule,
    PushCallbackModule,
    Refuse,
    Reply,
    refuse,
)
from supervisors.statem.effects import Effect, Terminate
from supervisors.statem.events import CALL, CAST, ENTER, INFO, STATE_TIMEOUT, TIMEOUT, AnyEventType, TimeoutKind
from supervisors.statem.results import (
    SAME,
    BadEnterReturnError,
    InitialState,
    KeepState,
    NextState,
    RepeatState,
    Stop,
    StopAndReply,
    keep_state,
)
from supervisors.statem.timeouts import Timeouts
from supervisors.statem.transition import Event, Transition

__all__ = ["BadCallbackModeError", "Engine"]

_ALLOWED: Final = "next_state(), keep_state(), repeat_state(), stop(), stop_and_reply()"
_CHANGES_MODULE: Final = frozenset({ChangeCallbackModule, PushCallbackModule, PopCallbackModule})


class BadCallbackModeError(SupervisorsError, TypeError):
    """A callback module does not say how it wants to be called (STM-1).

    Attributes:
        module: the callback module.
    """

    def __init__(self, module: object, mode: object) -> None:
        self.module = module
        super().__init__(
            f"callback_mode of {module!r} is {mode!r}; allowed: 'state_functions', 'handle_event_function'"
        )


@final
class Engine:
    """One state machine; see the head of this file for how to drive it.

    Args:
        module: the first callback module: any object with `callback_mode`
            (``"state_functions"``: one function per state, named like it, called
            with event type, content and data; ``"handle_event_function"``: one
            function `handle_event`, called with event type, content, state and
            data), perhaps `state_enter` (default False), and the callbacks.

    Attributes:
        state: the current state; in an enter call the new one already (STM-21).
        data: the current data.
        caller: who is to be answered if the event in hand is a call, else None.
        module: the current callback module (STM-39).
        is_ready: whether `proceed()` has something to do before the mailbox.
        taken_up: the call, cast or information of its own queue that `proceed()` took
            last, until it is the mailbox's turn again; then None. Who looks for what
            has crashed the machine finds it here.

    Thread: one at a time; the engine has no lock.
    """

    __slots__ = (
        "_by_state",
        "_changes_plainly",
        "_keeps_plainly",
        "_modules_below",
        "_postponed",
        "_queue",
        "_state_enter",
        "_timeouts",
        "_transition",
        "caller",
        "data",
        "is_ready",
        "module",
        "state",
        "taken_up",
    )

    def __init__(self, module: object) -> None:
        self.state: Any = None
        self.data: Any = None
        self.caller: Any = None
        self.is_ready = False
        self.taken_up: Event | None = None
        self._modules_below: tuple[Any, ...] = ()
        # The next event stands at the *end*, so that taking it and putting some
        # in front of it, the only things done with this queue, are cheap.
        self._queue: list[Event] | None = None
        self._postponed: list[Event] | None = None
        self._timeouts: Timeouts | None = None
        self._transition: Transition | None = None
        # Whether a plain `keep_state`, and a plain `next_state`, touch no more
        # than state and data.
        self._keeps_plainly = False
        self._changes_plainly = False
        self._use(module)

    def start(self, initial: InitialState) -> Sequence[Effect]:
        """Take the result of `init`: its actions, then perhaps an enter call (STM-19, STM-42)."""
        self.state = initial.state
        self.data = initial.data
        # The initial state is its own "previous" state in the enter call (STM-18).
        transition = Transition(None, initial.state, initial.data)
        return self._carry_on(transition, initial.actions, wants_enter=True)

    def handle(self, event_type: AnyEventType, content: object, caller: object = None) -> Sequence[Effect]:
        """Handle an event from outside; only while `is_ready` is false (STM-8).

        Args:
            event_type: what kind of event.
            content: what it says.
            caller: whom a reply is for; not None if, and only if, it is a call.

        Returns:
            What to do now, in order. A `Reply` without `to` is for `caller`.
        """
        assert not self.is_ready, "the machine's own events come first"
        self.caller = caller
        result: Any
        try:
            if self._by_state:  # STM-1
                result = getattr(self.module, self.state)(event_type, content, self.data)
            else:
                result = self.module.handle_event(event_type, content, self.state, self.data)
        except BaseException as error:  # noqa: BLE001 - it becomes the exit reason; the actor raises it again
            result = self._result_of(error)
        # The fast path, see the head of the file. Spelled out: a call costs more than the rest of it.
        if self._keeps_plainly:
            kind = type(result)
            if kind is KeepState or (kind is NextState and self._changes_plainly):
                actions: tuple[Action, ...] = result.actions
                if not actions or (
                    len(actions) == 1
                    and type(actions[0]) is Reply
                    and (caller is not None or actions[0].to is not None)
                ):
                    if kind is NextState:
                        self.state = result.state
                    if result.data is not SAME:
                        self.data = result.data
                    return actions  # type: ignore[return-value]  # at most one, and that a Reply
        return self._transit((event_type, content, caller), result)

    def timed_out(self, kind: TimeoutKind, generation: int) -> Sequence[Effect]:
        """Handle the time-out whose timer has fired, unless it is stale (STM-30, STM-36).

        Args:
            kind: of the `StartTimer` that started it.
            generation: of the `StartTimer` that started it.
        """
        if self._timeouts is None:
            return ()
        event = self._timeouts.fired(kind, generation)
        return () if event is None else self.handle(*event)

    def proceed(self) -> Sequence[Effect]:
        """Make the next callback that is due by itself; only while `is_ready` is true.

        Order: the enter call of the transition that is under way, then the own
        queue, then the time-outs of time 0 (STM-8, STM-31).
        """
        if self._transition is not None:
            return self._enter(self._transition)
        self.is_ready = False  # handle() finds out anew
        if self._queue:
            event = self._queue.pop()
            event_type = event[0]
            if event_type is CALL or event_type is CAST or event_type is INFO:
                self.taken_up = event
            return self.handle(*event)
        assert self._timeouts is not None, "proceed() while the machine is not ready"
        return self.handle(*self._timeouts.take_due())

    def terminate(self, reason: object) -> Sequence[Effect]:
        """End the machine for a reason from outside: `stop`, its parent's exit (STM-49)."""
        return self._terminate(reason, [])

    def timers(self) -> list[tuple[TimeoutKind, int]]:
        """Return kind and generation of each timer that is still wanted."""
        return [] if self._timeouts is None else self._timeouts.timers()

    # One event -----------------------------------------------------------------

    def _result_of(self, error: BaseException) -> object:
        """Tell what a callback that raised has returned by it."""
        if isinstance(error, Throw):  # STM-6
            return error.result
        if isinstance(error, Refusal):
            # A refusal is an answer; where nobody has asked it is an error like any other.
            if self.caller is not None:
                return keep_state(refuse(error))
            unasked = UnaskedRefusalError(error)
            unasked.__cause__ = error
            return Stop(_reason_of(unasked))
        return Stop(_reason_of(error))

    def _transit(self, event: Event, result: Any) -> Sequence[Effect]:
        """Do everything that the fast path leaves alone."""
        transition = Transition(event, self.state, self.data)
        kind = type(result)
        if kind is NextState:
            transition.is_change = not _is_same(result.state, self.state)  # STM-4
            self.state = result.state
        elif kind is Stop or kind is StopAndReply:
            return self._stop(result)
        elif kind is not KeepState and kind is not RepeatState:
            return self._terminate(Crashed(BadReturnError(result, _ALLOWED)), [])  # STM-7
        if result.data is not SAME:
            self.data = result.data
        wants_enter = transition.is_change or kind is RepeatState  # STM-18
        return self._carry_on(transition, result.actions, wants_enter=wants_enter)

    def _carry_on(self, transition: Transition, actions: Sequence[Any], *, wants_enter: bool) -> Sequence[Effect]:
        """Read the actions of a callback, then leave the enter call to `proceed()` or finish."""
        effects: list[Effect] = []
        try:
            self._read(actions, transition, effects)
        except (BadActionError, BadCallbackModeError) as error:
            return self._terminate(Crashed(error), effects)  # with the new state and data: STM-48
        if wants_enter and self._state_enter:
            self._transition = transition
            self.is_ready = True
            return effects
        return self._finish(transition, effects)

    # The enter call ------------------------------------------------------------

    def _enter(self, transition: Transition) -> Sequence[Effect]:
        """Make the enter call of a transition (STM-18, STM-20, STM-21)."""
        self.caller = None
        result: Any
        try:
            if self._by_state:
                result = getattr(self.module, self.state)(ENTER, transition.old_state, self.data)
            else:
                result = self.module.handle_event(ENTER, transition.old_state, self.state, self.data)
        except Throw as thrown:  # STM-6
            result = thrown.result
        except BaseException as error:  # noqa: BLE001 - as in handle(); a refusal too, for nobody asked
            self.state, self.data = transition.old_state, transition.old_data  # STM-48
            return self._terminate(_reason_of(error), [])
        kind = type(result)
        if kind is Stop or kind is StopAndReply:
            return self._stop(result)
        if kind is NextState and not _is_same(result.state, self.state):  # STM-22
            return self._terminate(Crashed(BadEnterReturnError(result, "the state that the enter call is for")), [])
        if kind is not NextState and kind is not KeepState and kind is not RepeatState:
            return self._terminate(Crashed(BadReturnError(result, _ALLOWED)), [])  # STM-7
        if result.data is not SAME:
            self.data = result.data
        # Repeating makes the same enter call once more, previous state included (STM-23).
        return self._carry_on(transition, result.actions, wants_enter=kind is RepeatState)

    # Actions -------------------------------------------------------------------

    def _read(self, actions: Sequence[Any], transition: Transition, effects: list[Effect]) -> None:
        """Do what takes effect at once and note the rest, in list order (STM-9).

        Raises:
            BadActionError: the machine has to end; what stands in front of the
                bad action has been done (STM-41).
            BadCallbackModeError: likewise.
        """
        is_enter = self._transition is not None
        for action in actions:
            kind = type(action)
            if kind is Reply or kind is Refuse:  # STM-37
                self._check_reply(action)
                effects.append(action)
            elif kind in _CHANGES_MODULE:  # STM-39
                self._change_module(action, is_enter=is_enter)
            else:
                transition.note(action, is_enter=is_enter)

    def _check_reply(self, action: object) -> None:
        if type(action) is not Reply and type(action) is not Refuse:
            raise BadActionError(action, "stop_and_reply() takes replies only")
        if action.to is None and self.caller is None:
            raise BadActionError(action, "no call is in hand; name the caller with to=")

    def _change_module(
        self, action: ChangeCallbackModule | PushCallbackModule | PopCallbackModule, *, is_enter: bool
    ) -> None:
        """Change the callback module, for the enter call already (STM-39)."""
        if type(action) is PopCallbackModule and not self._modules_below:  # STM-40, in an enter call as well
            raise BadActionError(action, "there is no callback module below this one")
        if is_enter:  # STM-22
            raise BadEnterActionError(action, "an enter call cannot change the callback module")
        if type(action) is PopCallbackModule:
            below, module = self._modules_below[:-1], self._modules_below[-1]
        elif type(action) is PushCallbackModule:
            below, module = (*self._modules_below, self.module), action.module
        else:
            below, module = self._modules_below, action.module
        self._use(module)
        self._modules_below = below

    def _use(self, module: Any) -> None:
        mode = getattr(module, "callback_mode", None)
        if mode not in ("state_functions", "handle_event_function"):
            raise BadCallbackModeError(module, mode)
        self.module = module
        self._by_state = mode == "state_functions"
        self._state_enter = bool(getattr(module, "state_enter", False))

    # The end of a transition ---------------------------------------------------

    def _finish(self, transition: Transition, effects: list[Effect]) -> Sequence[Effect]:
        """Let everything that was noted take effect (STM-9, STM-20)."""
        self._transition = None
        event, noted = transition.event, transition.timeouts
        if self._timeouts is not None or noted is not None:
            if self._timeouts is None:
                self._timeouts = Timeouts()
            self._timeouts.settle(noted or {}, effects, is_change=transition.is_change)
        if transition.is_postponed and event is not None:
            # STM-12, STM-14: a replayed event is like any other. From init it means nothing: STM-42.
            if self._postponed is None:
                self._postponed = []
            self._postponed.append(event)
        if transition.is_change and self._postponed is not None:
            # STM-13: oldest first, in front of the rest, that in hand included.
            self._put_in_front(self._postponed)
            self._postponed = None
        if transition.inserted is not None:
            self._put_in_front(transition.inserted)  # STM-10: in front of the replayed ones too
        self._look_ahead()
        return effects

    def _put_in_front(self, events: list[Event]) -> None:
        if self._queue is None:
            self._queue = []
        self._queue.extend(reversed(events))

    def _look_ahead(self) -> None:
        """Bring `is_ready` and the flags of the fast path up to date."""
        if not self._queue:
            self._queue = None
        timeouts = self._timeouts
        ready = self._queue is not None or (timeouts is not None and timeouts.due_count > 0)
        keeps = not ready and (timeouts is None or TIMEOUT not in timeouts.known)
        self.is_ready = ready
        if not ready:
            self.taken_up = None
        self._keeps_plainly = keeps
        self._changes_plainly = (
            keeps
            and not self._state_enter
            and self._postponed is None
            and (timeouts is None or STATE_TIMEOUT not in timeouts.known)
        )

    def _stop(self, result: Stop | StopAndReply) -> Sequence[Effect]:
        """End by a result: the replies first, in order (STM-45, STM-46)."""
        if result.data is not SAME:
            self.data = result.data
        effects: list[Effect] = []
        try:
            for action in result.replies if type(result) is StopAndReply else ():
                self._check_reply(action)
                effects.append(action)
        except BadActionError as error:
            return self._terminate(Crashed(error), effects)
        return self._terminate(result.reason, effects)

    def _terminate(self, reason: object, effects: list[Effect]) -> Sequence[Effect]:
        """End the machine: what is queued or postponed is never handled (STM-44)."""
        self.is_ready = self._keeps_plainly = self._changes_plainly = False
        effects.append(Terminate(reason, self.state, self.data))
        return effects


def _is_same(one: object, other: object) -> bool:
    """Tell whether two states are one (STM-4)."""
    return one is other or bool(one == other)


def _reason_of(error: BaseException) -> object:
    """Tell what an exception is as an exit reason (STM-47, EXIT-3, EXIT-4)."""
    return error.reason if isinstance(error, Exit) else Crashed(error)
