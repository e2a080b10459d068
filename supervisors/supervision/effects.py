"""What a supervisor core wants done: one class per kind of effect.

The actor performs a list of effects in its order. `StartChild` is the last of its
list: its outcome is the next input, before anything else. Reports
(`supervisors.supervision.reports`) are effects as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

from supervisors.supervision.child_spec import ChildSpec
from supervisors.supervision.inputs import RetryRestart
from supervisors.supervision.reports import ErrorReport, Report

__all__ = [
    "ArmShutdownTimer",
    "CancelShutdownTimer",
    "Effect",
    "ExitSelf",
    "MonitorChild",
    "Ready",
    "Reply",
    "ReplyError",
    "SendExit",
    "SendSelf",
    "SendSelfLater",
    "StartChild",
    "TellGaveUp",
]


@final
@dataclass(frozen=True, slots=True)
class StartChild:
    """Call `spec.start(*spec.args, **spec.kwargs)` and tell the core the outcome."""

    spec: ChildSpec


@final
@dataclass(frozen=True, slots=True)
class MonitorChild:
    """Monitor the child; its end comes back as `ChildDown` with the same reference."""

    ref: Any


@final
@dataclass(frozen=True, slots=True)
class SendExit:
    """Send the child an exit signal: `shutdown` or `kill`."""

    ref: Any
    reason: str


@final
@dataclass(frozen=True, slots=True)
class ArmShutdownTimer:
    """Send the supervisor a `ShutdownTimeout` with this token after so many seconds."""

    seconds: float
    token: int


@final
@dataclass(frozen=True, slots=True)
class CancelShutdownTimer:
    """The timer is not needed any more; should it fire nevertheless, it is ignored."""

    token: int


@final
@dataclass(frozen=True, slots=True)
class Reply:
    """Answer a request with a value."""

    to: Any
    value: object


@final
@dataclass(frozen=True, slots=True)
class ReplyError:
    """Answer a request by raising the refusal at the asker."""

    to: Any
    error: Exception


@final
@dataclass(frozen=True, slots=True)
class SendSelf:
    """Put the message behind everything that is in the supervisor's mailbox (SUP-26)."""

    message: RetryRestart


@final
@dataclass(frozen=True, slots=True)
class SendSelfLater:
    """Send the supervisor the message after so many seconds."""

    seconds: float
    message: RetryRestart


@final
@dataclass(frozen=True, slots=True)
class TellGaveUp:
    """Call a function with the report of the child on which the supervisor gives up."""

    listener: Callable[[ErrorReport], None]
    report: ErrorReport


@final
@dataclass(frozen=True, slots=True)
class Ready:
    """All children of the first start are up: whoever started the supervisor may go on (SUP-3)."""


@final
@dataclass(frozen=True, slots=True)
class ExitSelf:
    """End with this reason; always the last effect. Without a `Ready` before it, the start has failed.

    Attributes:
        reason: the supervisor's exit reason.
        unanswered: `reply_to` of the requests that were held back meanwhile, oldest
            first; they fail with the reason (SUP-70).
    """

    reason: object
    unanswered: tuple[Any, ...] = ()


Effect = (
    StartChild
    | MonitorChild
    | SendExit
    | ArmShutdownTimer
    | CancelShutdownTimer
    | Reply
    | ReplyError
    | SendSelf
    | SendSelfLater
    | TellGaveUp
    | Ready
    | ExitSelf
    | Report
)
