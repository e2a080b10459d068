"""Sessions in any state, and short names for what a decision returned."""

from __future__ import annotations

from sessionactors.effects import Audit, Effects, Notify, Refuse, Terminate, Transition, Wake
from sessionactors.lifecycle import (
    ACTIVATE,
    AUTHENTICATE,
    DEACTIVATE,
    SUSPEND,
    TERMINATE,
    accepts_flag,
    decide,
    start,
)
from sessionactors.session_data import FIELDS, SessionData
from sessionactors.settings import SessionOptions
from sessionactors.states import ACTIVE, AUTH, IDLE, NEW, SUSPENDED, State

GOOD = {"authenticated": True, "user_id": "ada"}
BAD = {"authenticated": False, "user_id": "eve"}

_WAYS = {
    NEW: (),
    AUTH: ((AUTHENTICATE, GOOD),),
    ACTIVE: ((AUTHENTICATE, GOOD), (ACTIVATE, accepts_flag)),
    IDLE: ((AUTHENTICATE, GOOD), (ACTIVATE, accepts_flag), (DEACTIVATE, None)),
    SUSPENDED: ((AUTHENTICATE, GOOD), (ACTIVATE, accepts_flag), (SUSPEND, None)),
}


def session_in(state: State, now: float = 100.0, **options: object) -> SessionData:
    """Return a session that has just come to a state by the usual way, all at one moment."""
    data = SessionData("s-1", SessionOptions.from_mapping(options), now, wall_offset=1_000_000.0)
    start(data)
    way = _WAYS.get(state)
    for operation, argument in _WAYS[ACTIVE] if way is None else way:
        decide(data, operation, now, argument)
    if way is None:
        decide(data, TERMINATE, now)
    assert data.state == state
    return data


def all_of(data: SessionData) -> dict[str, object]:
    """Return every field, to see that nothing has changed."""
    fields = {name: getattr(data, name) for name in FIELDS}
    fields["recorded"] = list(data.recorded) if data.recorded is not None else None
    return fields


def audits(effects: Effects) -> list[tuple[str, str]]:
    return [(effect.type, effect.name) for effect in effects if isinstance(effect, Audit)]


def events(effects: Effects) -> list[str]:
    return [effect.event for effect in effects if isinstance(effect, Notify)]


def transition(effects: Effects) -> tuple[str, str, str] | None:
    """Return from, to and the audit name of the transition; there is never more than one."""
    found = [effect for effect in effects if isinstance(effect, Transition)]
    assert len(found) <= 1
    return (found[0].from_state, found[0].to_state, found[0].name) if found else None


def wake(effects: Effects) -> float | None:
    found = [effect.at for effect in effects if isinstance(effect, Wake)]
    assert len(found) <= 1
    return found[0] if found else None


def refusal(effects: Effects) -> str | None:
    """Return the code of the refusal, which is always the last effect."""
    found = [index for index, effect in enumerate(effects) if isinstance(effect, Refuse)]
    assert found in ([], [len(effects) - 1])
    last = effects[-1] if found else None
    return last.error.code if isinstance(last, Refuse) else None


def ends(effects: Effects) -> str | None:
    """Return the reason with which the session ends."""
    found = [effect.reason for effect in effects if isinstance(effect, Terminate)]
    assert len(found) <= 1
    return found[0] if found else None
