"""The life of a session: which operation does what in which state.

`decide` looks the operation up under the session's state, changes the record,
and returns the effects that the actor has to perform. It reads no clock, does no
I/O and knows no actors.

===================  ===================================  ==============================
operation            argument                             legal in
===================  ===================================  ==============================
`INIT_SESSION`       metadata                             new
`AUTHENTICATE`       credentials, anything but None       new, auth
`ACTIVATE`           None, or a quick check (see below)   new, auth
`VERDICT`            `Verdict`                            any; late ones are ignored
`DEACTIVATE`         None                                 active
`SUSPEND`            reason or None                       active, idle
`RESUME`             None                                 idle, suspended
`TERMINATE`          reason or None                       any live state
`CRASH`              what happened, text                  any live state
`UPDATE_RESOURCES`   `Deltas`                             active
`TOUCH`              None                                 any live state
`SET_QUOTA`          `Quota`                              any live state
`UPDATE_CONFIG`      `SessionOptions`                     any live state
`LOAD`               a restored `SessionData`             new
`PERSIST`            None                                 any live state
`MIGRATE`            target, text                         active, suspended
`MIGRATION_FAILED`   what happened, text                  active, suspended
`WAKE`               the time that the timer was set for  any; stale ones are ignored
`FORCE_SUSPEND`      `Override`                           active, idle
`FORCE_RESUME`       `Override`                           idle, suspended
`FORCE_TERMINATE`    `Override`                           any live state
`LOCK`, `UNLOCK`     `Override`                           any live state
`OVERRIDE_QUOTA`     `Override` with a quota              any live state
===================  ===================================  ==============================

**How it says no.** A refusal that leaves no trace is raised, before anything has
changed. A refusal with consequences (an audit entry, the end of the session) is
returned like any other decision, with `Refuse` as the last effect.

**Activity** is what moves the idle deadline: init_session, authenticate,
activate, deactivate, resume, update_resources and touch, when they succeed.
Questions are not, or monitoring would keep sessions alive.

**One timer.** A session needs an authentication, an idle, a suspend and an
absolute timer, but only the one that is due first matters. So there is one, and
it is lazy: `data.wake_at` says when it fires, and the rule is that it never fires
*later* than the earliest deadline. Activity moves the deadline and leaves the
timer alone. When it fires early, `WAKE` sets it again for the rest; when it
brings a time that is not `data.wake_at`, it was replaced meanwhile and is
ignored. Hence the usual way round active, idle and suspended touches no timer.

**Authentication.** `ACTIVATE` in auth returns a `Verify`, and whoever asked is
answered after the `VERDICT`. For a check that is quick and never blocks (such as
`accepts_flag`), pass it as the argument of `ACTIVATE`, and one decision does all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NoReturn

from sessionactors.decisions import activity, authentication, overrides, resources, upkeep
from sessionactors.decisions.authentication import accepts_flag
from sessionactors.decisions.moves import RATE_LIMIT_EXCEEDED, RESOURCE_VIOLATION, Handler, ignore, move, wake_by
from sessionactors.effects import Audit, Effects, Step, numbered
from sessionactors.errors import InvalidState, InvalidTransition, SessionTerminated, UnknownRequest
from sessionactors.operations import (
    ACTIVATE,
    AUTHENTICATE,
    CRASH,
    DEACTIVATE,
    FORCE_RESUME,
    FORCE_SUSPEND,
    FORCE_TERMINATE,
    INIT_SESSION,
    LOAD,
    LOCK,
    MIGRATE,
    MIGRATION_FAILED,
    OPERATIONS,
    OVERRIDE_QUOTA,
    PERSIST,
    RESUME,
    SET_QUOTA,
    SUSPEND,
    TERMINATE,
    TOUCH,
    UNLOCK,
    UPDATE_CONFIG,
    UPDATE_RESOURCES,
    VERDICT,
    WAKE,
    Deltas,
    Override,
)
from sessionactors.session_data import SessionData, deadline
from sessionactors.states import ACTIVE, AUTH, IDLE, NEW, SUSPENDED, TERMINATED, State

__all__ = [
    "ACTIVATE",
    "AUTHENTICATE",
    "CRASH",
    "DEACTIVATE",
    "FORCE_RESUME",
    "FORCE_SUSPEND",
    "FORCE_TERMINATE",
    "INIT_SESSION",
    "LOAD",
    "LOCK",
    "MIGRATE",
    "MIGRATION_FAILED",
    "OPERATIONS",
    "OVERRIDE_QUOTA",
    "PERSIST",
    "RATE_LIMIT_EXCEEDED",
    "RESOURCE_VIOLATION",
    "RESUME",
    "SET_QUOTA",
    "SUSPEND",
    "TERMINATE",
    "TOUCH",
    "UNLOCK",
    "UPDATE_CONFIG",
    "UPDATE_RESOURCES",
    "VERDICT",
    "WAKE",
    "Deltas",
    "Override",
    "accepts_flag",
    "decide",
    "is_legal",
    "start",
]

_STARTED: Final = (numbered(Audit("lifecycle", "session_started")),)

_IN_EVERY_LIVE_STATE: Final[Mapping[str, Handler]] = {
    VERDICT: ignore,
    WAKE: activity.wake,
    TERMINATE: upkeep.terminate,
    CRASH: upkeep.crash,
    TOUCH: activity.touch,
    SET_QUOTA: resources.set_quota,
    UPDATE_CONFIG: upkeep.update_config,
    PERSIST: upkeep.persist,
    FORCE_TERMINATE: overrides.force_terminate,
    LOCK: overrides.lock,
    UNLOCK: overrides.unlock,
    OVERRIDE_QUOTA: overrides.override_quota,
}

_TABLE: Final[Mapping[State, Mapping[str, Handler | Step]]] = {
    NEW: {
        **_IN_EVERY_LIVE_STATE,
        INIT_SESSION: authentication.init_session,
        AUTHENTICATE: authentication.authenticate,
        ACTIVATE: authentication.activate_new,
        LOAD: upkeep.load,
    },
    AUTH: {
        **_IN_EVERY_LIVE_STATE,
        AUTHENTICATE: authentication.authenticate,
        ACTIVATE: authentication.activate_auth,
        VERDICT: authentication.verdict,
    },
    ACTIVE: {
        **_IN_EVERY_LIVE_STATE,
        DEACTIVATE: activity.DEACTIVATED,
        SUSPEND: activity.suspend,
        UPDATE_RESOURCES: resources.update_resources,
        MIGRATE: upkeep.migrate,
        MIGRATION_FAILED: upkeep.migration_failed,
        FORCE_SUSPEND: overrides.force_suspend,
    },
    IDLE: {
        **_IN_EVERY_LIVE_STATE,
        RESUME: activity.RESUMED,
        SUSPEND: activity.suspend,
        FORCE_SUSPEND: overrides.force_suspend,
        FORCE_RESUME: overrides.force_resume,
    },
    SUSPENDED: {
        **_IN_EVERY_LIVE_STATE,
        RESUME: activity.resume_suspended,
        MIGRATE: upkeep.migrate,
        MIGRATION_FAILED: upkeep.migration_failed,
        FORCE_RESUME: overrides.force_resume,
    },
    TERMINATED: {
        VERDICT: ignore,
        WAKE: ignore,
    },
}


def decide(data: SessionData, operation: str, now: float, argument: object = None) -> Effects:
    """Apply one operation to a session and return what has to be done about it.

    Args:
        data: the record; changed completely or, when this raises, not at all.
        operation: one of the table above.
        now: monotonic seconds, never less than at the call before.
        argument: see the table above.

    Returns:
        The effects in the order in which they are to be performed.

    Raises:
        SessionTerminated: the session has ended.
        InvalidTransition, InvalidState: the operation does not fit the state.
        UnknownRequest: there is no such operation.
        SessionRefusal: any other refusal that leaves no trace.
    """
    try:
        handler = _TABLE[data.state].get(operation)
    except TypeError:  # something that cannot even be looked up
        handler = None
    if isinstance(handler, Step):  # an edge, and nothing that could be decided about it
        data.last_activity = now
        move(data, handler.logged, now)  # type: ignore[arg-type]  # those of the table are transitions
        return handler
    if handler is None:
        _refuse(data, operation)
    return handler(data, now, argument)


def start(data: SessionData) -> Effects:
    """Return what has to be done about a session that has just been made."""
    return wake_by(data, _STARTED, deadline(data))


def is_legal(state: State, operation: str) -> bool:
    """Tell whether an operation fits a state; its own guards may still refuse it."""
    return operation in _TABLE[state]


def _refuse(data: SessionData, operation: str) -> NoReturn:
    if operation not in OPERATIONS:
        raise UnknownRequest("operation", operation, f"one of {', '.join(OPERATIONS)}")
    if data.state == TERMINATED:
        raise SessionTerminated(data.session_id)
    if operation == UPDATE_RESOURCES:
        raise InvalidState(data.state, operation)
    raise InvalidTransition(data.state, operation)
