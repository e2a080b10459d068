"""A session as plain data, and back: what survives a restart and what does not.

=======================  ====================================================
kept                     id, user, metadata, options, quota, use, attempts,
                         lock-out, history, ages of all timers
never stored             credentials, and whether they are being checked
not stored               subscribers, open connections (they start again at 0)
comes back as something  auth as new; active as idle, since its last activity
else
refused                  terminated
=======================  ====================================================

Times are stored as ages, because the monotonic clock starts anew with each
process. How long the session lay in the store is told by the wall clock; if that
went back meanwhile, the time counts as nothing, so no clock jump lets a timer
fire early, and `saved_at` keeps reported times in order. Timers that ran out in
the store are due at once. To the process that has stored it, its monotonic clock tells
better how long that was ago (`sessionactors.recovery`).

The encoding (bytes, schema version, checksum) is the storage codec's business.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from functools import lru_cache
from math import inf
from typing import Final, TypeAlias, TypeVar, cast

from sessionactors import bounds
from sessionactors.effects import Transition
from sessionactors.errors import InvalidKind, InvalidValue, LoadFailed
from sessionactors.identifiers import parse
from sessionactors.metadata import check_metadata
from sessionactors.session_data import SessionData
from sessionactors.settings import Quota, SessionOptions, Settings
from sessionactors.states import ACTIVE, AUTH, EDGES, IDLE, NEW, STATES, SUSPENDED, TERMINATED, State

__all__ = ["Snapshot", "plain_edge", "plain_options", "restore", "snapshot"]

Snapshot: TypeAlias = dict[str, object]

_S = TypeVar("_S", bound=Settings)

_AGE_MAX: Final = 100 * bounds.SECONDS_MAX

_SHARED_MAX: Final = 256
_shared_plain: dict[int, tuple[SessionOptions | Quota, Mapping[str, object]]] = {}
"""Settings as plain data by the identity of the settings. One key is read or written
at a time, so threads that do so at once at worst do the same work twice."""


def snapshot(data: SessionData, now: float, wall: float) -> Snapshot:
    """Describe a session in plain data: text, numbers, bools, None, lists and dicts.

    Args:
        data: the session; credentials are left out.
        now: monotonic seconds.
        wall: UTC seconds at the same moment.

    Returns:
        A new dict; what stands under "options" and "quota" is shared and must not be changed.
    """
    authenticated_at = data.authenticated_at
    return {
        "session_id": data.session_id,
        "state": data.state,
        "saved_at": wall,
        "age": now - data.created_at,
        "state_age": now - data.state_entered_at,
        "idle": now - data.last_activity,
        "authenticated_age": None if authenticated_at is None else now - authenticated_at,
        "user_id": data.user_id,
        "metadata": dict(data.metadata) if data.metadata else {},
        "options": _plain(data.options),
        "quota": _plain(data.quota),
        "requests": data.requests,
        "bytes": data.bytes,
        "largest_message": data.largest_message,
        "auth_attempts": data.auth_attempts,
        "locked": data.locked,
        "suspend_reason": data.suspend_reason,
        "transitions": data.transitions,
        "recovery_attempts": data.recovery_attempts,
        "history": [] if data.recorded is None else _plain_history(data.recorded, now),
    }


def restore(stored: Mapping[str, object], now: float, wall: float) -> SessionData:
    """Build a session from what `snapshot` returned, perhaps in another process.

    Args:
        stored: the snapshot; nothing about it is taken for granted.
        now: monotonic seconds.
        wall: UTC seconds at the same moment.

    Raises:
        LoadFailed: something is missing, of the wrong kind, or contradicts
            itself, or the session has ended.
    """
    try:
        return _restore(stored, now, wall)
    except (InvalidKind, InvalidValue) as error:
        raise LoadFailed(str(error)) from error


def _plain(settings: SessionOptions | Quota) -> Mapping[str, object]:
    """Return settings as plain data, the same object for all sessions that share them.

    Looked up by identity, because to hash them takes longer than all the rest. The
    settings themselves are kept, so that their identity cannot pass to others.
    """
    known = _shared_plain.get(id(settings))
    if known is None or known[0] is not settings:
        if len(_shared_plain) >= _SHARED_MAX:
            _shared_plain.clear()
        known = (settings, plain_options(settings) if isinstance(settings, SessionOptions) else settings.as_dict())
        _shared_plain[id(settings)] = known
    return known[1]


def plain_options(options: SessionOptions) -> Mapping[str, object]:
    """Return options as plain data; what the session has of its own by now is not among them."""
    plain = options.as_dict()
    for name in ("quota", "metadata", "user_id"):
        del plain[name]  # the session's own have taken their place
    if options.capabilities:
        plain["capabilities"] = dict(options.capabilities)
    else:
        del plain["capabilities"]
    return plain


def _plain_history(recorded: list[Transition | float], now: float) -> list[list[object]]:
    history: list[list[object]] = []
    for edge, at in zip(recorded[::2], recorded[1::2], strict=True):
        assert isinstance(edge, Transition)
        history.append([*plain_edge(edge), now - cast("float", at)])
    return history


def plain_edge(edge: Transition) -> tuple[str, str, str, str]:
    """Return a transition as plain data; `restore()` expects its age behind it."""
    return edge.from_state, edge.to_state, edge.reason, edge.name


def _restore(stored: Mapping[str, object], now: float, wall: float) -> SessionData:
    if not isinstance(stored, Mapping):
        raise InvalidKind("snapshot", stored, "a mapping")
    state = cast("State", bounds.choice("state", stored.get("state"), STATES))
    if state == TERMINATED:
        raise LoadFailed("it has ended")
    saved_at = _number("saved_at", stored.get("saved_at"))
    then = now - max(0.0, wall - saved_at)  # the moment of saving, on this process's monotonic clock

    options = _settings(stored, "options", SessionOptions)
    data = SessionData(parse(cast("str", stored.get("session_id"))), options, then, saved_at - then)
    data.quota = _settings(stored, "quota", Quota)
    data.metadata = check_metadata("metadata", stored.get("metadata"))
    data.user_id = bounds.text("user_id", stored.get("user_id"))
    data.created_at = then - _age(stored, "age")
    data.state_entered_at = then - _age(stored, "state_age")
    data.last_activity = then - _age(stored, "idle")
    if stored.get("authenticated_age") is not None:
        data.authenticated_at = then - _age(stored, "authenticated_age")
    data.requests = _count(stored, "requests")
    data.bytes = _count(stored, "bytes")
    data.largest_message = _count(stored, "largest_message")
    data.auth_attempts = min(_count(stored, "auth_attempts"), data.options.max_auth_attempts)
    data.transitions = _count(stored, "transitions")
    data.recovery_attempts = _count(stored, "recovery_attempts") + 1
    data.locked = bounds.flag("locked", stored.get("locked"))
    data.suspend_reason = bounds.text_or_none("suspend_reason", stored.get("suspend_reason"))
    data.recorded = _recorded(stored, state, then, data.options.max_history_size)
    data.state = state
    _come_back(data)
    return data


def _come_back(data: SessionData) -> None:
    """Put the session into the state in which it comes back."""
    if data.state == AUTH:
        # Its only transition was the one to auth, which now has not happened.
        data.state = NEW
        data.recorded = None
    elif data.state == ACTIVE:
        # Nobody is there who was served. Its idle time has been running since
        # its last activity, so that a restart is no way to stay alive.
        data.state = IDLE
        data.state_entered_at = data.last_activity
        data.transitions += 1
        if data.options.max_history_size:
            recorded = data.recorded or []
            data.recorded = [*recorded, _edge(ACTIVE, IDLE, "restored", "deactivated"), data.last_activity]
            del data.recorded[: max(0, len(data.recorded) - 2 * data.options.max_history_size)]
    if data.state != SUSPENDED:
        data.suspend_reason = None


def _settings(stored: Mapping[str, object], name: str, cls: type[_S]) -> _S:
    """Read settings; sessions with equal ones share them, as sessions that were never stored do."""
    mapping = stored.get(name)
    if not isinstance(mapping, Mapping):
        raise InvalidKind(name, mapping, "a mapping")
    try:
        return cast("_S", _shared(cast("Hashable", cls), tuple(mapping), *mapping.values()))
    except InvalidKind:
        raise
    except TypeError:  # an option that is a list or a mapping cannot be looked up, so it is not shared
        return cls.from_mapping(mapping)


@lru_cache(maxsize=64, typed=True)  # typed: 1 is not True, and would not be accepted in its place
def _shared(cls: type[Settings], names: tuple[str, ...], *values: object) -> Settings:
    return cls.from_mapping(dict(zip(names, values, strict=True)))


def _recorded(
    stored: Mapping[str, object], state: State, then: float, size_max: int
) -> list[Transition | float] | None:
    """Check that the stored history is a chain that leads to the stored state."""
    entries = stored.get("history")
    if not isinstance(entries, (list, tuple)):
        raise InvalidKind("history", entries, "a list")
    if len(entries) > size_max:
        raise InvalidValue("history", len(entries), f"at most {size_max} entries")
    recorded: list[Transition | float] = []
    previous: State | None = None
    previous_age = inf
    for entry in entries:
        if not isinstance(entry, (list, tuple)) or len(entry) != 5:
            raise InvalidKind("history entry", entry, "a list of from, to, reason, name, age")
        try:
            edge = _edge(entry[0], entry[1], entry[2], entry[3])
        except TypeError:  # what cannot be looked up is of the wrong kind, and this says so
            edge = _edge.__wrapped__(entry[0], entry[1], entry[2], entry[3])
        age = _number("history age", entry[4])
        if previous not in (None, edge.from_state) or not 0 <= age <= previous_age:
            raise InvalidValue("history", len(recorded) // 2, "a chain of transitions in the order of time")
        recorded += (edge, then - age)
        previous, previous_age = edge.to_state, age
    if previous not in (None, state):
        raise InvalidValue("state", state, f"{previous!r}, where the history ends")
    return recorded or None


@lru_cache(maxsize=256, typed=True)  # typed: what is equal to a text without being one would not be refused
def _edge(from_state: object, to_state: object, reason: object, name: object) -> Transition:
    """Check a transition, once, and share equal ones, as sessions that were never stored do."""
    checked = Transition(
        cast("State", bounds.choice("history from_state", from_state, STATES)),
        cast("State", bounds.choice("history to_state", to_state, STATES)),
        bounds.text("history reason", reason),
        bounds.text("history name", name),
    )
    if checked.to_state not in EDGES[checked.from_state]:
        raise InvalidValue("history", f"{checked.from_state} to {checked.to_state}", "transitions that there are")
    return checked


def _age(stored: Mapping[str, object], name: str) -> float:
    age = _number(name, stored.get(name))
    if age < 0:
        raise InvalidValue(name, age, "0 or more seconds")
    return age


def _number(field: str, value: object) -> float:
    if type(value) is float and -_AGE_MAX < value < _AGE_MAX:
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidKind(field, value, "a number")
    if not -_AGE_MAX < value < _AGE_MAX:
        raise InvalidValue(field, value, f"a number of seconds within {_AGE_MAX:.0f}")
    return float(value)


def _count(stored: Mapping[str, object], name: str) -> int:
    value = stored.get(name)
    if type(value) is int and 0 <= value <= bounds.COUNT_MAX:  # as nearly always; the rest is told what is wrong
        return value
    return bounds.count(name, value, least=0)
