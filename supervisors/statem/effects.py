"""What the engine wants done outside of it, in the order of doing.

An effect is one of: `Reply` and `Refuse` (the actions themselves, see
`actions.py`; without `to` they are for the caller of the event in hand),
`StartTimer`, `CancelTimer` and, always as the last one, `Terminate`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeAlias, final

from supervisors.statem.actions import Refuse, Reply
from supervisors.statem.events import TimeoutKind

__all__ = ["CancelTimer", "Effect", "StartTimer", "Terminate"]


@final
@dataclass(slots=True, unsafe_hash=True)
class StartTimer:
    """Start a timer; it replaces a timer of the same kind.

    Attributes:
        kind: `TIMEOUT`, `STATE_TIMEOUT` or `Named(name)`.
        seconds: from now, or on the monotonic clock.
        absolute: which of the two (STM-34).
        generation: to be handed back when the timer fires.
    """

    kind: Final[TimeoutKind]
    seconds: Final[float]
    absolute: Final[bool]
    generation: Final[int]


@final
@dataclass(slots=True, unsafe_hash=True)
class CancelTimer:
    """Stop the timer of this kind; nobody waits for it any more.

    Attributes:
        kind: `TIMEOUT`, `STATE_TIMEOUT` or `Named(name)`.
        generation: what it was started with.
    """

    kind: Final[TimeoutKind]
    generation: Final[int]


@final
@dataclass(slots=True, unsafe_hash=True)
class Terminate:
    """Call `terminate` of the current callback module and end the actor (STM-44).

    Attributes:
        reason: the exit reason; `Crashed` holds what was raised, also one of the
            `Bad...` errors (STM-47).
        state: what `terminate` is to see.
        data: what `terminate` is to see.
    """

    reason: Final[Any]
    state: Final[Any]
    data: Final[Any]


Effect: TypeAlias = Reply | Refuse | StartTimer | CancelTimer | Terminate
