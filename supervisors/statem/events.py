"""Event types: what kind of thing a state machine is being told (STM-2).

An event is a *type* and a *content*; both go to the state callback. The types
are the constants below and, for a generic time-out, `Named(name)`::

    def locked(self, event_type, content, data):
        match event_type:
            case EventType.CALL: ...
            case EventType.STATE_TIMEOUT: ...
            case Named("blink"): ...

OTP packs the caller into the type of a call, `{call, From}`. Here the type of
every call is the same constant, so that no object has to be made for it; who
called is the machine's `caller` for as long as the call is in hand.
"""

from __future__ import annotations

from collections.abc import Hashable
from enum import Enum, unique
from typing import Final, NamedTuple, TypeAlias

__all__ = [
    "CALL",
    "CAST",
    "ENTER",
    "INFO",
    "INTERNAL",
    "STATE_TIMEOUT",
    "TIMEOUT",
    "AnyEventType",
    "EventType",
    "Named",
    "TimeoutKind",
]


@unique
class EventType(Enum):
    """The event types that need no name of their own."""

    CALL = "call"
    """Somebody waits for a reply."""
    CAST = "cast"
    """Sent through `cast`; nobody waits."""
    INFO = "info"
    """Any other message, such as `Down`, `Exited` or a plain `tell`."""
    INTERNAL = "internal"
    """Inserted by the machine itself; cannot come from outside (STM-11)."""
    TIMEOUT = "timeout"
    """The event time-out has run out: no event came for that long."""
    STATE_TIMEOUT = "state_timeout"
    """The state time-out has run out: the state lasted that long."""
    ENTER = "enter"
    """A state enter call; the content is the previous state (STM-18)."""

    # Members are dictionary keys in the time-out book-keeping, where the hash
    # that Enum computes in Python would cost more than the look-up itself.
    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return self.name


CALL: Final = EventType.CALL
CAST: Final = EventType.CAST
INFO: Final = EventType.INFO
INTERNAL: Final = EventType.INTERNAL
TIMEOUT: Final = EventType.TIMEOUT
STATE_TIMEOUT: Final = EventType.STATE_TIMEOUT
ENTER: Final = EventType.ENTER


class Named(NamedTuple):
    """The event type of a generic time-out: as many as there are names (STM-25)."""

    name: Hashable


AnyEventType: TypeAlias = EventType | Named
"""What stands as event type in a callback."""

TimeoutKind: TypeAlias = EventType | Named
"""`TIMEOUT`, `STATE_TIMEOUT` or `Named(name)`: which time-out is meant (STM-25)."""
