"""What every change of state has in common: the edge, the timer, the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from math import inf
from typing import Any, Final, TypeAlias

from sessionactors.effects import NOTHING, Effects, Notify, Terminate, Transition, Wake, numbered
from sessionactors.session_data import SessionData
from sessionactors.states import ACTIVE, AUTH, IDLE, NEW, SUSPENDED, TERMINATED, State
from supervisors.exits import NORMAL, Crashed, describe

__all__ = [
    "ABSOLUTE_TIMEOUT",
    "ADMIN_ACTION",
    "ADMIN_OVERRIDE",
    "AUTH_TIMEOUT",
    "CRASHED",
    "IDLE_TIMEOUT",
    "MAX_ATTEMPTS",
    "RATE_LIMIT_EXCEEDED",
    "REAPED",
    "REQUESTED",
    "RESOURCE_VIOLATION",
    "SHUTDOWN",
    "SUSPEND_TIMEOUT",
    "Handler",
    "crash_reason",
    "end",
    "end_reason",
    "ignore",
    "move",
    "wake_by",
]

Handler: TypeAlias = Callable[[SessionData, float, Any], Effects]

_REASON_MAX: Final = 200  # characters, which are at most 800 bytes

# Reasons of a transition. Callers of suspend and terminate may give others.
REQUESTED: Final = "requested"
IDLE_TIMEOUT: Final = "idle_timeout"
AUTH_TIMEOUT: Final = "auth_timeout"
SUSPEND_TIMEOUT: Final = "suspend_timeout"
ABSOLUTE_TIMEOUT: Final = "absolute_timeout"
ADMIN_ACTION: Final = "admin_action"
ADMIN_OVERRIDE: Final = "admin_override"
RATE_LIMIT_EXCEEDED: Final = "rate_limit_exceeded"
RESOURCE_VIOLATION: Final = "resource_violation"
MAX_ATTEMPTS: Final = "max_attempts"
CRASHED: Final = "crashed"
SHUTDOWN: Final = "shutdown"
REAPED: Final = "reaped"


def move(data: SessionData, transition: Transition, now: float) -> None:
    """Go along an edge and remember it."""
    data.state = transition.to_state
    data.state_entered_at = now
    data.transitions += 1
    recorded = data.recorded
    if recorded is None:
        if data.options.max_history_size:
            data.recorded = [transition, now]
        return
    recorded.append(transition)
    recorded.append(now)
    if len(recorded) > 2 * data.options.max_history_size:
        del recorded[:2]


def wake_by(data: SessionData, effects: Effects, due: float) -> Effects:
    """Make sure that the timer does not fire later than a deadline."""
    if due < data.wake_at:
        data.wake_at = due
        return (*effects, Wake(due))
    return effects


def end(data: SessionData, now: float, reason: str, before: Effects = NOTHING, after: Effects = NOTHING) -> Effects:
    """End the session: the one way that leads to the last state."""
    try:
        ending = _ENDINGS[data.state][reason]
    except KeyError:
        ending = _ending(data.state, reason)
    transition = ending[0]
    assert isinstance(transition, Transition)
    data.wake_at = inf
    data.question = None  # credentials do not outlive the session
    data.suspend_reason = None
    move(data, transition, now)
    return (*before, *ending, *after)


def ignore(_data: SessionData, _now: float, _argument: object) -> Effects:
    """Do nothing about an answer or a timer that comes too late."""
    return NOTHING


def end_reason(reason: object) -> str:
    """Return an exit reason as the reason of a transition, which is one printable line."""
    if isinstance(reason, str) and reason == NORMAL:
        return "stopped"
    line = "".join(each if each.isprintable() else " " for each in describe(reason)[:_REASON_MAX])
    return line or "stopped"


def crash_reason(reason: object) -> str:
    """Return the exit reason of a session that crashed as the reason of its last transition."""
    return type(reason.error).__name__ if isinstance(reason, Crashed) else describe(reason)[:_REASON_MAX]


# What is the same object again and again is packed for the log once. Reasons in free words
# come and go, so the oldest of them are dropped.
@lru_cache(maxsize=256)
def _ending(state: State, reason: str) -> Effects:
    return _ending_by(Transition(state, TERMINATED, reason, "session_terminated"))


def _ending_by(transition: Transition) -> Effects:
    reason = transition.reason
    return (transition, Notify("session_terminated", reason), Terminate(reason))


_ENDINGS: Final[Mapping[State, Mapping[str, Effects]]] = {
    state: {
        reason: _ending_by(numbered(Transition(state, TERMINATED, reason, "session_terminated")))
        for reason in (
            ABSOLUTE_TIMEOUT,
            AUTH_TIMEOUT,
            CRASHED,
            MAX_ATTEMPTS,
            REAPED,
            REQUESTED,
            SHUTDOWN,
            SUSPEND_TIMEOUT,
        )
    }
    for state in (NEW, AUTH, ACTIVE, IDLE, SUSPENDED)
}
