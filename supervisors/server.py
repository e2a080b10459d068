"""A generic server: requests one by one, with replies, time-outs and an orderly end.

::

    class Counter(Server):
        def init(self, start=0):
            self.count = start

        def handle_call(self, request):
            match request:
                case "count":
                    return Reply(self.count)

        def handle_cast(self, message):
            self.count += message

    ref = system.start(Counter, 5)
    cast(ref, 2)
    ref.ask("count")                # 7
    call("counter", "count")        # the same by its registered name

The state is the actor itself: where OTP hands a new state from callback to
callback, a callback here changes attributes. Everything else has OTP's meaning;
a callback returns

====================================  ==========================  ======================
`Reply(value, then)`                  the caller gets the value   `handle_call`
`NoReply(then)`, or None              nobody gets anything now    all, None not for a call
`Stop(reason)`, with `reply=`         the server ends             all, `reply` for a call
====================================  ==========================  ======================

and `then` is what comes next (SRV-12): None (the next message), seconds (a
`TIMEOUT` if there is none so long), `Continue(content)`, or `HIBERNATE`.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeAlias, final

from supervisors.alarm import Alarm, Rung
from supervisors.behaviour import (
    ABOUT_ITSELF,
    IGNORE,
    Behaviour,
    Cast,
    EndNow,
    Ignore,
    StopRequest,
    call,
    cast,
    reply,
    stop,
)
from supervisors.callbacks import BadReturnError, Throw, UnaskedRefusalError, UndefinedCallbackError
from supervisors.errors import Exit, IgnoreStart, Refusal
from supervisors.runtime.pykka_adapter import PYKKA_MESSAGES, perform
from supervisors.runtime.signals import ControlMessage, Exited
from supervisors.state import StateRequest, attributes_of, change_attributes, get_state, replace_state
from supervisors.timers.service import SECONDS_MAX

if TYPE_CHECKING:
    from supervisors.runtime.replies import Reply as OwedReply

__all__ = [
    "HIBERNATE",
    "IGNORE",
    "TIMEOUT",
    "Continue",
    "NoReply",
    "Reply",
    "Server",
    "Stop",
    "Then",
    "Throw",
    "call",
    "cast",
    "get_state",
    "replace_state",
    "reply",
    "stop",
]

logger = logging.getLogger("supervisors.server")


@final
class _Constant:
    """A value that is only ever itself."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name

    def __reduce__(self) -> str:
        return self._name


TIMEOUT: Final = _Constant("TIMEOUT")
"""What `handle_info` gets when no message came for the time asked for (SRV-13)."""

HIBERNATE: Final = _Constant("HIBERNATE")
"""In place of a time-out: nothing is expected for long; no effect that shows (SRV-16)."""

_NOTHING: Final = _Constant("_NOTHING")


@final
@dataclass(slots=True, unsafe_hash=True)
class Continue:
    """Have `handle_continue` called before the next message (SRV-15)."""

    content: Final[Any] = None


Then: TypeAlias = float | Continue | _Constant | None
"""What comes next (SRV-12): seconds, `Continue(...)`, `HIBERNATE` or None."""


@final
@dataclass(slots=True, unsafe_hash=True)
class Reply:
    """Answer the call (SRV-7)."""

    value: Final[Any] = None
    then: Final[Then] = None


@final
@dataclass(slots=True, unsafe_hash=True)
class NoReply:
    """Answer nobody now; whoever called waits for a deferred reply (SRV-8)."""

    then: Final[Then] = None


@final
@dataclass(slots=True, unsafe_hash=True)
class Stop:
    """End the server; from `init`: do not start (SRV-7, SRV-18, PROC-4)."""

    reason: Final[Any] = "normal"
    reply: Final[Any] = _NOTHING


CallResult: TypeAlias = Reply | NoReply | Stop
Result: TypeAlias = NoReply | Stop | None


@final
class _Idle(ControlMessage):
    """Comes round when everything that was in the mailbox has been handled (SRV-14)."""

    __slots__ = ()


@final
class _ContinueNow(ControlMessage):
    __slots__ = ("content",)

    def __init__(self, content: Any) -> None:
        self.content = content


class Server(Behaviour):
    """Subclass this and define what you need of the callbacks.

    Requests are handled one by one in mailbox order; calls, casts and plain
    messages share one order (SRV-5).
    """

    # What follows a callback at once is done also if the server has been suspended meanwhile.
    system_messages: ClassVar[frozenset[type]] = Behaviour.system_messages | {_ContinueNow}
    # None unless a time-out has been asked for; the alarm stays once it is made.
    _alarm: Alarm | None = None
    _idle: _Idle | None = None
    _idle_seconds = 0.0
    _waits_for_idle = False
    _owed: OwedReply | None = None

    # -- callbacks -----------------------------------------------------------

    def init(self, *args: Any, **kwargs: Any) -> Then | Stop | Ignore:
        """Come up; the starter waits for this (PROC-1).

        Returns:
            What comes next, as `then`; `IGNORE`, or `Stop(reason)`, not to start.
        """

    def handle_call(self, request: Any) -> CallResult:
        """Handle a call: `ref.ask(request)`, or with ``block=False`` a request whose answer comes later (SRV-6).

        To answer later, take ``owed = self.defer_reply()`` and return `NoReply()`;
        ``owed.set(value)`` answers, once, from anywhere (SRV-8).
        """
        raise UndefinedCallbackError(self, "handle_call")  # SRV-17

    def handle_cast(self, message: Any) -> Result:
        """Handle a cast: `cast(ref, message)`."""
        raise UndefinedCallbackError(self, "handle_cast")  # SRV-17

    def handle_info(self, message: Any) -> Result:
        """Handle any other message: `Down`, `Exited`, `TIMEOUT`, or what somebody told."""
        logger.warning("%s has no handle_info() and drops a message of type %s", self, type(message).__name__)
        return None  # SRV-17

    def handle_continue(self, content: Any) -> Result:
        """Go on, before any message is looked at (SRV-15)."""
        raise UndefinedCallbackError(self, "handle_continue")  # SRV-17

    def terminate(self, reason: Any) -> None:
        """Clean up (SRV-19); what it raises becomes the exit reason (SRV-21)."""

    # -- in a call -----------------------------------------------------------

    def defer_reply(self) -> OwedReply:
        self._owed = super().defer_reply()
        return self._owed

    # -- what the runtime calls ----------------------------------------------

    def receive_ask(self, message: Any) -> Any:
        if message.__class__ in ABOUT_ITSELF:
            if self._waits_for_idle and self._idle is None and message.__class__ is StateRequest:
                self._wait(self._idle_seconds)  # SRV-27: it is no message for SRV-13, but the time starts anew
            return self._answer_about_itself(message)
        if self._waits_for_idle:
            self._wait_no_more()
        if self._owed is not None:
            self._owed = None
        try:
            result: Any = self.handle_call(message)
        except Throw as thrown:  # SRV-9
            result = thrown.result
        if result.__class__ is Reply and self._owed is None:
            if result.then is not None:
                self._next(result.then, result)
            return result.value
        return self._answer_otherwise(result)

    def receive_tell(self, message: Any) -> None:
        special = self._special.get(message.__class__)
        if special is not None:
            special(self, message)
        elif message.__class__ in PYKKA_MESSAGES:
            perform(self, message)
        else:
            self._handle(self.handle_info, message)

    def ended(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()

    # -- inside ----------------------------------------------------------------

    def _begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        try:
            result: Any = self.init(*args, **kwargs)
        except Throw as thrown:
            result = thrown.result
        if result is IGNORE:  # PROC-3
            raise IgnoreStart
        if result.__class__ is Stop:  # PROC-4
            raise Exit(result.reason)
        if result is not None:
            self._next(result, result)  # PROC-6

    def _call_terminate(self, reason: object) -> None:
        self.terminate(reason)

    def _look(self) -> dict[str, Any]:
        return attributes_of(self)

    def _change(self, change: Callable[..., Any]) -> None:
        change_attributes(self, change)

    def _answer_otherwise(self, result: Any) -> Any:
        """Do what a call's result says if it is not simply a reply."""
        owed = self._owed
        if result.__class__ is Reply:
            # It has been deferred too; one answer is enough.
            if result.then is not None:
                self._next(result.then, result)
            assert owed is not None
            owed.set(result.value)
        elif result.__class__ is NoReply:
            if owed is None:
                self.defer_reply()  # the caller waits, and is told if the server ends (SRV-26)
            if result.then is not None:
                self._next(result.then, result)
        elif result.__class__ is Stop:
            if result.reply is _NOTHING:
                raise Exit(result.reason)
            # SRV-18: terminate, then the reply, then the end.
            self._end_after_this(self._terminated(result.reason))
            if owed is None:
                return result.reply
            owed.set(result.reply)
        else:  # SRV-10
            raise BadReturnError(result, "Reply(value), NoReply(), Stop(reason)")
        return None

    def _handle(self, callback: Callable[[Any], Any], content: Any) -> None:
        """Call back about a message and do what the result says."""
        if self._waits_for_idle:
            self._wait_no_more()
        try:
            result = callback(content)
        except Throw as thrown:  # SRV-9
            result = thrown.result
        except Refusal as refusal:  # SRV-11: nobody has asked, so nobody can be refused
            raise UnaskedRefusalError(refusal) from refusal
        if result is None:
            return
        if result.__class__ is NoReply:
            if result.then is not None:
                self._next(result.then, result)
        elif result.__class__ is Stop and result.reply is _NOTHING:
            raise Exit(result.reason)
        else:  # SRV-10
            raise BadReturnError(result, "NoReply(), Stop(reason) or None")

    def _next(self, then: Any, result: object) -> None:
        """Arrange what comes next (SRV-12)."""
        if then.__class__ is Continue:
            self._actor_ref.put_first(_ContinueNow(then.content))
        elif _is_wait(then):
            self._wait(then)
        elif then is not HIBERNATE:
            raise BadReturnError(result, "then: seconds, Continue(content), HIBERNATE or None")

    def _wait(self, seconds: float) -> None:
        if seconds == math.inf:
            return
        self._waits_for_idle = True
        self._idle_seconds = seconds
        if seconds == 0:
            # SRV-14: behind what is in the mailbox now. Any of that cancels it.
            self._idle = _Idle()
            self._actor_ref.send(self._idle)
            return
        if self._alarm is None:
            self._alarm = Alarm(self)
        self._alarm.set(self.system.clock.monotonic() + seconds)

    def _wait_no_more(self) -> None:
        """A message has come: whatever it is, it cancels the time-out (SRV-13)."""
        self._waits_for_idle = False
        self._idle = None
        if self._alarm is not None:
            self._alarm.put_off()

    # -- messages with a meaning of their own ----------------------------------

    def _on_cast(self, message: Cast) -> None:
        self._handle(self.handle_cast, message.message)

    def _on_continue(self, message: _ContinueNow) -> None:
        self._handle(self.handle_continue, message.content)

    def _on_idle(self, message: _Idle) -> None:
        if message is self._idle:
            self._handle(self.handle_info, TIMEOUT)

    def _on_rung(self, message: Rung) -> None:
        if message.alarm is self._alarm and message.alarm.is_due(message):
            self._handle(self.handle_info, TIMEOUT)

    def _on_exited(self, message: Exited) -> None:
        if self._is_parents_exit(message):  # SRV-24, whatever the reason
            raise Exit(message.reason)
        self._handle(self.handle_info, message)  # SRV-23

    def _on_end(self, message: EndNow | StopRequest) -> None:
        raise Exit(message.reason)  # SRV-25

    # What is not simply information.
    _special: ClassVar[dict[type, Callable[[Any, Any], None]]] = {
        Cast: _on_cast,
        _ContinueNow: _on_continue,
        _Idle: _on_idle,
        Rung: _on_rung,
        Exited: _on_exited,
        EndNow: _on_end,
        StopRequest: _on_end,
    }


def _is_wait(then: object) -> bool:
    """Tell whether this is a time-out: seconds that a timer can wait, or infinity."""
    if isinstance(then, bool) or not isinstance(then, (int, float)):
        return False
    return 0 <= then <= SECONDS_MAX or then == math.inf
