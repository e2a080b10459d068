"""Transition actions: what a callback wants done besides the change of state.

A callback hands actions over with its result, in the order in which they are
to be read::

    return next_state("open", reply("welcome"), state_timeout(10.0))

Actions are values: making one does nothing. Arguments are checked here, when
the action is made, so a wrong one shows up in the callback's own traceback
(STM-35); what only the engine can know (a pop of the last module, an action
that an enter call may not ask for) is refused by the engine.

Time is in seconds. The classes are exported for `isinstance` and for reading a
result in a test; make actions with the functions.

Actions are frozen for the type checker only (``Final``): they are made for
nearly every event, and a run-time guard would treble the price of making one.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, final

from supervisors.errors import InvalidArgumentError, InvalidTypeError, Refusal, SupervisorsError
from supervisors.statem.events import CALL, ENTER, STATE_TIMEOUT, TIMEOUT, AnyEventType, EventType, Named, TimeoutKind
from supervisors.timers.service import SECONDS_MAX

__all__ = [
    "Action",
    "BadActionError",
    "BadEnterActionError",
    "CancelTimeout",
    "ChangeCallbackModule",
    "Hibernate",
    "NextEvent",
    "PopCallbackModule",
    "Postpone",
    "PushCallbackModule",
    "Refuse",
    "Reply",
    "StartTimeout",
    "UpdateTimeout",
    "cancel_timeout",
    "change_callback_module",
    "event_timeout",
    "hibernate",
    "named_timeout",
    "next_event",
    "pop_callback_module",
    "postpone",
    "push_callback_module",
    "refuse",
    "reply",
    "state_timeout",
    "update_timeout",
]


class BadActionError(SupervisorsError, TypeError):
    """A callback asked for something that is no action, or not possible now (STM-41).

    Attributes:
        action: what stood in the action list.
    """

    def __init__(self, action: object, why: str) -> None:
        self.action = action
        super().__init__(f"{action!r} in an action list: {why}")


class BadEnterActionError(BadActionError):
    """An enter call asked for an action that only an event may ask for (STM-22)."""


@final
@dataclass(slots=True, unsafe_hash=True)
class Reply:
    """Answer a call, at once when the action is read (STM-37).

    Attributes:
        value: the answer.
        to: whom to answer; None is the call in hand.
    """

    value: Final[Any]
    to: Final[Any] = None


@final
@dataclass(slots=True, unsafe_hash=True)
class Refuse:
    """Answer a call with a refusal, raised where the caller waits.

    Attributes:
        refusal: what to raise there.
        to: whom to answer; None is the call in hand.
    """

    refusal: Final[Refusal]
    to: Final[Any] = None


@final
@dataclass(slots=True, unsafe_hash=True)
class Postpone:
    """Put the event aside until the state has changed (STM-12, STM-17).

    Attributes:
        flag: False undoes an earlier `postpone` of the same list. None and True
            mean the same, but an enter call is told apart by them (STM-22).
    """

    flag: Final[bool | None]


@final
@dataclass(slots=True, unsafe_hash=True)
class NextEvent:
    """Insert an event in front of everything that is queued (STM-10)."""

    event_type: Final[AnyEventType]
    content: Final[Any]
    caller: Final[Any]


@final
@dataclass(slots=True, unsafe_hash=True)
class StartTimeout:
    """Start or replace a time-out (STM-25, STM-26).

    Attributes:
        kind: which one.
        seconds: from now, or on the monotonic clock; infinity cancels (STM-27).
        content: goes to the callback when the time is out.
        absolute: whether `seconds` is a point on the monotonic clock (STM-34).
    """

    kind: Final[TimeoutKind]
    seconds: Final[float]
    content: Final[Any]
    absolute: Final[bool]


@final
@dataclass(slots=True, unsafe_hash=True)
class CancelTimeout:
    """Stop a time-out, if it runs (STM-27)."""

    kind: Final[TimeoutKind]


@final
@dataclass(slots=True, unsafe_hash=True)
class UpdateTimeout:
    """Give a running time-out new content and leave its time (STM-28)."""

    kind: Final[TimeoutKind]
    content: Final[Any]


@final
@dataclass(slots=True, unsafe_hash=True)
class Hibernate:
    """Say that the machine expects to be idle for long (STM-38)."""

    flag: Final[bool]


@final
@dataclass(slots=True, unsafe_hash=True)
class ChangeCallbackModule:
    """Replace the current callback module (STM-39)."""

    module: Final[Any]


@final
@dataclass(slots=True, unsafe_hash=True)
class PushCallbackModule:
    """Put a callback module on top of the current one (STM-39)."""

    module: Final[Any]


@final
@dataclass(slots=True, unsafe_hash=True)
class PopCallbackModule:
    """Go back to the callback module below (STM-39)."""


Action: TypeAlias = (
    Reply
    | Refuse
    | Postpone
    | NextEvent
    | StartTimeout
    | CancelTimeout
    | UpdateTimeout
    | Hibernate
    | ChangeCallbackModule
    | PushCallbackModule
    | PopCallbackModule
)

# Written here, because a union in an `isinstance` is built anew at every call.
_EVENT_TYPES: Final = (EventType, Named)
_NUMBERS: Final = (int, float)

_READING_MAX: Final = 1e15
"""The largest reading of the monotonic clock that means anything, seconds; so small that it can be added to."""
_POSTPONE: Final = {flag: Postpone(flag) for flag in (None, True, False)}
_HIBERNATE: Final = {flag: Hibernate(flag) for flag in (True, False)}
_POP: Final = PopCallbackModule()
_CANCEL_EVENT: Final = CancelTimeout(TIMEOUT)
_CANCEL_STATE: Final = CancelTimeout(STATE_TIMEOUT)

reply: Final = Reply
"""Answer a call: ``reply(value)`` the one in hand, ``reply(value, to=caller)`` an earlier one (STM-37)."""


def refuse(refusal: Refusal, to: object = None) -> Refuse:
    """Answer a call with a refusal instead of a value, without crashing.

    Args:
        refusal: raised where the caller waits.
        to: whom to answer; None is the call in hand.

    Raises:
        InvalidTypeError: it is no `Refusal`; anything else is a crash.
    """
    if not isinstance(refusal, Refusal):
        raise InvalidTypeError("refusal", refusal, "an instance of a Refusal subclass")
    return Refuse(refusal, to)


def postpone(flag: bool | None = None) -> Postpone:
    """Put the event aside until after the next change of state (STM-12).

    Args:
        flag: False undoes an earlier one in the same list; the last one counts
            (STM-17).
    """
    if flag is not None and not isinstance(flag, bool):
        raise InvalidTypeError("flag", flag, "True or False")
    return _POSTPONE[flag]


def next_event(event_type: AnyEventType, content: object = None, *, caller: object = None) -> NextEvent:
    """Insert an event that is handled before everything else (STM-10).

    Args:
        event_type: any type but `ENTER`; `INTERNAL` is the one for the machine's own
            use, a time-out type has nothing to do with a timer (STM-11).
        content: goes to the callback.
        caller: who is to be answered; for `CALL`, and only then.

    Raises:
        InvalidArgumentError: the type is `ENTER`, or caller and type do not match.
        InvalidTypeError: it is no event type.
    """
    if not isinstance(event_type, _EVENT_TYPES):
        raise InvalidTypeError("event_type", event_type, "an EventType or Named(name)")
    if event_type is ENTER:
        raise InvalidArgumentError("event_type", "ENTER", "any event type but ENTER")
    if (caller is not None) != (event_type is CALL):
        raise InvalidArgumentError("caller", caller, "given with type CALL, absent with any other")
    return NextEvent(event_type, content, caller)


def event_timeout(seconds: float, content: object = None, *, absolute: bool = False) -> StartTimeout:
    """Have a `TIMEOUT` event handled if no other event comes meanwhile (STM-15).

    Args:
        seconds: from now, at least 0; 0 is at once, before the mailbox (STM-31);
            infinity cancels (STM-27).
        content: goes to the callback.
        absolute: whether `seconds` is a reading of the monotonic clock (STM-34).
    """
    return StartTimeout(TIMEOUT, _checked_seconds(seconds, absolute), content, absolute)


def state_timeout(seconds: float, content: object = None, *, absolute: bool = False) -> StartTimeout:
    """Have a `STATE_TIMEOUT` event handled unless the state changes before (STM-16).

    Args:
        seconds: from now, at least 0; 0 is at once, before the mailbox (STM-31);
            infinity cancels (STM-27).
        content: goes to the callback.
        absolute: whether `seconds` is a reading of the monotonic clock (STM-34).
    """
    return StartTimeout(STATE_TIMEOUT, _checked_seconds(seconds, absolute), content, absolute)


def named_timeout(name: Hashable, seconds: float, content: object = None, *, absolute: bool = False) -> StartTimeout:
    """Have a `Named(name)` event handled whatever happens meanwhile (STM-33).

    Args:
        name: anything hashable; each name has a time-out of its own (STM-25).
        seconds: from now, at least 0; 0 is at once, before the mailbox (STM-31);
            infinity cancels (STM-27).
        content: goes to the callback.
        absolute: whether `seconds` is a reading of the monotonic clock (STM-34).
    """
    return StartTimeout(_checked_kind(Named(name)), _checked_seconds(seconds, absolute), content, absolute)


def cancel_timeout(kind: TimeoutKind) -> CancelTimeout:
    """Stop a time-out; nothing happens if it does not run (STM-27).

    Args:
        kind: `TIMEOUT`, `STATE_TIMEOUT` or `Named(name)`.
    """
    if kind is STATE_TIMEOUT:
        return _CANCEL_STATE
    if kind is TIMEOUT:
        return _CANCEL_EVENT
    return CancelTimeout(_checked_kind(kind))


def update_timeout(kind: TimeoutKind, content: object) -> UpdateTimeout:
    """Give a running time-out new content; one that does not run fires at once (STM-28).

    Args:
        kind: `TIMEOUT`, `STATE_TIMEOUT` or `Named(name)`.
        content: goes to the callback instead of the old one.
    """
    return UpdateTimeout(_checked_kind(kind), content)


def hibernate(flag: bool = True) -> Hibernate:
    """Say that nothing is expected for long (STM-38).

    There is nothing to see of it: an idle machine holds no more than its data
    anyway. It is accepted so that a design from OTP can be kept as it is.
    """
    if not isinstance(flag, bool):
        raise InvalidTypeError("flag", flag, "True or False")
    return _HIBERNATE[flag]


def change_callback_module(module: object) -> ChangeCallbackModule:
    """Let another object handle the events from now on (STM-39).

    Args:
        module: has `callback_mode`, may have `state_enter`, and has the
            callbacks: an object, a class, or a Python module.
    """
    return ChangeCallbackModule(module)


def push_callback_module(module: object) -> PushCallbackModule:
    """Let another object handle the events until it is popped (STM-39).

    Args:
        module: as for `change_callback_module()`.
    """
    return PushCallbackModule(module)


def pop_callback_module() -> PopCallbackModule:
    """Go back to the callback module before the last push (STM-39, STM-40)."""
    return _POP


def _checked_seconds(seconds: float, absolute: bool) -> float:
    """Return the time as given, or raise what is wrong with it (STM-35)."""
    if type(seconds) is float and 0.0 <= seconds <= SECONDS_MAX and absolute is False:  # what nearly everybody gives
        return seconds
    if not isinstance(absolute, bool):
        raise InvalidTypeError("absolute", absolute, "True or False")
    if isinstance(seconds, bool) or not isinstance(seconds, _NUMBERS):
        raise InvalidTypeError("seconds", seconds, "a number")
    # A reading of the monotonic clock may be negative: its zero means nothing.
    least, most = (-_READING_MAX, _READING_MAX) if absolute else (0.0, SECONDS_MAX)
    if not least <= seconds <= most and seconds != math.inf:
        allowed = "a reading of the clock, or infinity" if absolute else "0 to a hundred years, or infinity"
        raise InvalidArgumentError("seconds", seconds, allowed)
    return seconds


def _checked_kind(kind: TimeoutKind) -> TimeoutKind:
    """Return the kind of time-out as given, or raise what is wrong with it."""
    if kind is STATE_TIMEOUT or kind is TIMEOUT:
        return kind
    if not isinstance(kind, Named):
        raise InvalidTypeError("kind", kind, "TIMEOUT, STATE_TIMEOUT or Named(name)")
    if not isinstance(kind.name, Hashable):
        raise InvalidTypeError("name", kind.name, "something hashable")
    return kind
