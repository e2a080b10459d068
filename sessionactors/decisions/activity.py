"""The daily round: active, idle, suspended and back, by request or by the timer.

These are the decisions that a session makes most, so what has nothing of its own
in it is made once, when the module is imported. Going between active and idle
leaves the timer alone: it was set for no later than the end of the idle time of
the state that is left, and the one that is entered ends later still.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Final

from sessionactors import bounds
from sessionactors.decisions.moves import (
    ABSOLUTE_TIMEOUT,
    ADMIN_ACTION,
    ADMIN_OVERRIDE,
    AUTH_TIMEOUT,
    IDLE_TIMEOUT,
    RATE_LIMIT_EXCEEDED,
    REQUESTED,
    RESOURCE_VIOLATION,
    SUSPEND_TIMEOUT,
    end,
    move,
    wake_by,
)
from sessionactors.effects import NOTHING, Audit, Effects, Hibernate, Notify, Refuse, Step, Transition, numbered
from sessionactors.errors import ResumeBlocked
from sessionactors.session_data import SessionData, deadline, state_deadline
from sessionactors.states import ACTIVE, AUTH, IDLE, SUSPENDED, State

__all__ = [
    "DEACTIVATED",
    "RESUMED",
    "become_active",
    "resume_suspended",
    "suspend",
    "touch",
    "wake",
]

_DEACTIVATION: Final = numbered(Transition(ACTIVE, IDLE, REQUESTED, "deactivated"))
DEACTIVATED: Final = Step(_DEACTIVATION, Notify("session_deactivated"))
"""Go from active to idle on request."""

_INACTIVITY: Final = numbered(Transition(ACTIVE, IDLE, IDLE_TIMEOUT, "deactivated"))
_WENT_IDLE: Final = Step(_INACTIVITY, Notify("session_deactivated", IDLE_TIMEOUT))
_RESUMPTION: Final = numbered(Transition(IDLE, ACTIVE, REQUESTED, "resumed"))
RESUMED: Final = Step(_RESUMPTION, Notify("session_resumed"))
"""Go from idle back to active."""

_UNSUSPENSION: Final = numbered(Transition(SUSPENDED, ACTIVE, REQUESTED, "resumed"))
_UNSUSPENDED: Final = Step(_UNSUSPENSION, Notify("session_resumed"))
_RESUME_BLOCKED: Final = numbered(Audit("security", "resume_blocked", "warning"))
_IDLING_OUT: Final = numbered(Transition(IDLE, SUSPENDED, IDLE_TIMEOUT, "idle_timeout"))
_IDLED_OUT: Final = (
    _IDLING_OUT,
    Notify("session_idle_timeout"),
    Notify("session_suspended", IDLE_TIMEOUT),
)
_REST: Final = Hibernate()
_AUTH_TIMED_OUT: Final = (numbered(Audit("auth", "auth_timeout", "warning")), Notify("session_auth_timeout"))


def become_active(data: SessionData, now: float, effects: Effects, transition: Transition) -> Effects:
    """Enter active from a state whose timer may have been set for later, or not at all."""
    data.last_activity = now
    move(data, transition, now)
    timeout = data.options.idle_timeout
    return effects if timeout is None else wake_by(data, effects, now + timeout)


def resume_suspended(data: SessionData, now: float, _argument: object) -> Effects:
    """Go from suspended back to active, where that is allowed."""
    if not data.options.resume_allowed:
        return (_RESUME_BLOCKED, Refuse(ResumeBlocked()))
    data.suspend_reason = None
    return become_active(data, now, _UNSUSPENDED, _UNSUSPENSION)


def suspend(data: SessionData, now: float, reason: str | None) -> Effects:
    """Go from active or idle to suspended, for a reason."""
    reason = ADMIN_ACTION if reason is None else reason
    effects = _SUSPENSIONS[data.state].get(reason) if isinstance(reason, str) else None
    if effects is None:
        effects = _suspension(data.state, bounds.text("reason", reason))
    transition = effects[0]
    assert isinstance(transition, Transition)
    data.suspend_reason = reason
    move(data, transition, now)
    timeout = data.options.suspend_timeout
    return effects if timeout is None else wake_by(data, effects, now + timeout)


def touch(data: SessionData, now: float, _argument: object) -> Effects:
    """Count as activity, and nothing else."""
    data.last_activity = now
    return NOTHING


def wake(data: SessionData, now: float, set_for: float) -> Effects:
    """Act on the timer: do what is due, or set it again for the rest."""
    if set_for != data.wake_at:
        return NOTHING  # it was set again after this one had been sent
    data.wake_at = inf
    due = state_deadline(data)
    if due > now:
        if deadline(data) > now:
            return wake_by(data, NOTHING, deadline(data))
        return (*wake_by(data, NOTHING, due), _REST)
    options = data.options
    if options.absolute_timeout is not None and data.created_at + options.absolute_timeout <= now:
        return end(data, now, ABSOLUTE_TIMEOUT)
    if data.state == AUTH:
        return end(data, now, AUTH_TIMEOUT, _AUTH_TIMED_OUT)
    if data.state == SUSPENDED:
        return end(data, now, SUSPEND_TIMEOUT)
    if data.state == ACTIVE:
        move(data, _INACTIVITY, now)  # this is no activity: last_activity stays as it is
        effects: Effects = _WENT_IDLE
    else:
        data.suspend_reason = IDLE_TIMEOUT
        move(data, _IDLING_OUT, now)
        effects = _IDLED_OUT
    return wake_by(data, effects, deadline(data))


def _suspension(state: State, reason: str) -> Effects:
    """Describe a suspension by request, without performing it."""
    name = "suspended" if state == ACTIVE else "suspended_from_idle"
    return (Transition(state, SUSPENDED, reason, name), Notify("session_suspended", reason))


def _known_suspension(state: State, reason: str) -> Effects:
    transition, notice = _suspension(state, reason)
    assert isinstance(transition, Transition)
    assert isinstance(notice, Notify)
    return Step(numbered(transition), notice)


_SUSPENSIONS: Final[Mapping[State, Mapping[str, Effects]]] = {
    state: {
        reason: _known_suspension(state, reason)
        for reason in (ADMIN_ACTION, ADMIN_OVERRIDE, RATE_LIMIT_EXCEEDED, RESOURCE_VIOLATION)
    }
    for state in (ACTIVE, IDLE)
}
