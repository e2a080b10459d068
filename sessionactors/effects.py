"""What the lifecycle asks its session actor to do: one frozen class per kind.

A decision returns a tuple of effects. The actor performs them in order:

==============  ===================================================================
`Transition`    audit a `state_transition` (the history has it already)
`Audit`         audit something else
`Notify`        tell the subscribers
`Identify`      enter the session with another user
`Wake`          send the session's one timer message at a time, instead of any other
`Hibernate`     fall asleep in a turn of its own, if nothing comes between
`Verify`        ask the authenticator, and bring the answer back as a `Verdict`
`Persist`       store a snapshot, answer when it is durable
`Migrate`       hand the session over to a target
`Terminate`     cancel the timer, release everything in all services, stop
`Refuse`        answer the asker with an error; always the last one
==============  ===================================================================

Most decisions have nothing of their own in their effects, so the lifecycle makes
those tuples once and returns the same objects again and again. What of them goes
into the audit log has a number (`numbered()`), by which it waits there: the garbage
collector need not look at an entry of floats, texts and whole numbers, and with a
hundred thousand sessions alive every look of its is a long one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal, NamedTuple, TypeAlias, TypeVar

from sessionactors.errors import SessionRefusal
from sessionactors.states import State

__all__ = [
    "NOTHING",
    "Audit",
    "AuditType",
    "Effect",
    "Effects",
    "Hibernate",
    "Identify",
    "Migrate",
    "Notify",
    "Persist",
    "Refuse",
    "Severity",
    "Step",
    "Terminate",
    "Transition",
    "Verdict",
    "Verify",
    "Wake",
    "effect_of",
    "numbered",
]

AuditType: TypeAlias = Literal["state_transition", "auth", "resource", "error", "security", "compliance", "lifecycle"]
Severity: TypeAlias = Literal["debug", "info", "warning", "error", "critical"]


@dataclass(frozen=True, slots=True)
class Transition:
    """The session has gone along one edge of the state graph.

    Attributes:
        from_state: the state it left.
        to_state: the state it is in now.
        reason: why, for people and programs: "requested", "idle_timeout", ...
        name: the specification's audit name for it: "deactivated", "resumed", ...
        number: see `numbered()`; 0 for one that is made when it is needed.
    """

    from_state: State
    to_state: State
    reason: str
    name: str
    number: int = field(default=0, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Audit:
    """Something for the audit log that is not a change of state; None stands for no data.

    Attributes:
        number: see `numbered()`; 0 for one that is made when it is needed.
    """

    type: AuditType
    name: str
    severity: Severity = "info"
    data: Mapping[str, object] | None = None
    number: int = field(default=0, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Notify:
    """An event for the subscribers: its name and, for some, a detail."""

    event: str
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Identify:
    """The session belongs to another user than before; always the last one.

    Attributes:
        previous: whose it was.
    """

    previous: str


@dataclass(frozen=True, slots=True)
class Wake:
    """Set the session's only timer, in place of the one that may be set now.

    Attributes:
        at: monotonic seconds; the timer's message brings this very number back.
    """

    at: float


@dataclass(frozen=True, slots=True)
class Hibernate:
    """Let the session sleep until its next message, unless it has something in hand."""


@dataclass(slots=True, eq=False)
class Verify:
    """Ask the authenticator about these credentials.

    The instance itself stands for the question: a `Verdict` that brings back
    another one is too late. Credentials are never shown.

    Attributes:
        context: the credentials.
        is_asked: it has been asked and not been answered yet; the session's own turn says so.
    """

    context: object = field(repr=False)
    is_asked: bool = field(default=False, init=False)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the authenticator said.

    Attributes:
        question: the effect that asked.
        accepted: whether the credentials are good.
        user_id: who it is, if the authenticator says so; the credentials do not.
        failure: what went wrong when it could not answer; such a verdict never accepts.
        is_held_back: whether it accepts and may not count, because the audit log could
            not tell of it; the credentials can be judged again.
    """

    question: Verify
    accepted: bool
    user_id: str | None = None
    failure: str | None = None
    is_held_back: bool = False


@dataclass(frozen=True, slots=True)
class Persist:
    """Store a snapshot; the asker waits until it is durable."""


@dataclass(frozen=True, slots=True)
class Migrate:
    """Hand the session over; a failure comes back as the operation `migration_failed`."""

    target: str


@dataclass(frozen=True, slots=True)
class Terminate:
    """Clean up and stop; the session will never answer again."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """Everything before this has happened, and yet the answer is no."""

    error: SessionRefusal


Effect: TypeAlias = (
    Transition | Audit | Notify | Identify | Wake | Hibernate | Verify | Persist | Migrate | Terminate | Refuse
)
Effects: TypeAlias = tuple[Effect, ...]

NOTHING: Final[Effects] = ()


class Step(NamedTuple):
    """Two effects that say all about what was done, as nearly always: one for the log, one for the subscribers.

    A tuple like any other; its class tells whoever performs it that nothing else is in it.

    Attributes:
        logged: it has a number.
        notice: what the subscribers are told.
    """

    logged: Transition | Audit
    notice: Notify


_Logged = TypeVar("_Logged", Transition, Audit)
_NUMBERED: Final[list[Transition | Audit]] = []  # grows while modules are imported, and never later


def numbered(effect: _Logged) -> _Logged:
    """Return an effect with a number of its own, from 1; for constants of modules only, because it is kept for ever."""
    effect = replace(effect, number=len(_NUMBERED) + 1)
    _NUMBERED.append(effect)
    return effect


def effect_of(number: int) -> Transition | Audit:
    """Return the effect that has a number."""
    return _NUMBERED[number - 1]
