"""A session's record as a few bytes, for the time that nobody looks at it, and back.

This is a form for this process only: times stay readings of its monotonic clock, and
transitions are numbers of a table in it. What is stored for another process is a
snapshot (`sessionactors.snapshots`).

What is as it is in most sessions (their user, their metadata, the quota of
their options, what they have not used) takes no room. Credentials have no packed form: a session that
waits for its authenticator does not sleep.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from math import inf
from typing import Any, Final, cast

import msgpack

from sessionactors.effects import Transition
from sessionactors.metadata import NO_METADATA
from sessionactors.session_data import SessionData
from sessionactors.settings import Quota, SessionOptions
from sessionactors.states import ACTIVE, STATES, State

__all__ = ["pack", "unpack"]

_NUMBERED_MAX: Final = 4096
"""Transitions that have a number; one with another reason in free words is packed as text."""

_numbers: Final[dict[Transition, int]] = {}
_numbered: Final[list[Transition]] = []
_numbering = threading.Lock()  # guards additions to both; who has a number may read the list without it

_STATE_NUMBERS: Final[Mapping[State, int]] = {state: number for number, state in enumerate(STATES)}

_USUAL: Final = (
    None,  # the history, which nearly all have, is first: small numbers are short
    _STATE_NUMBERS[ACTIVE],
    *(None, None, None, None, None),  # other moments than the one before, another offset
    *(0, 0, 0, 0),  # what it has used
    *(0, 1, 0, False, None),  # attempts, transitions, recoveries, whether it is locked, why it is suspended
    *(None, None, None),  # what is not as in the options
)
_BITS: Final = tuple(1 << place for place in range(len(_USUAL)))


def pack(data: SessionData, wall_offset: float, *carried: object, timer_at: float = inf) -> bytes:
    """Return a record as bytes, without its id and its options.

    Args:
        data: the record; there is no question in it.
        wall_offset: what most records have as theirs.
        carried: plain data that comes back with it.
        timer_at: when the timer is due that the record keeps company, monotonic seconds.

    Raises:
        TypeError, ValueError, OverflowError: what is to be carried is no plain data.
    """
    options = data.options
    created, entered, active = data.created_at, data.state_entered_at, data.last_activity
    fields = (
        None if data.recorded is None else _packed_history(data.recorded, entered),
        _STATE_NUMBERS[data.state],
        None if entered == created else entered,
        None if active == entered else active,
        None if data.wake_at == timer_at else data.wake_at,
        data.authenticated_at,
        None if data.wall_offset == wall_offset else data.wall_offset,
        data.requests,
        data.connections,
        data.bytes,
        data.largest_message,
        data.auth_attempts,
        data.transitions,
        data.recovery_attempts,
        data.locked,
        data.suspend_reason,
        None if data.user_id == options.user_id else data.user_id,
        None if data.metadata is options.metadata else dict(data.metadata),
        None if data.quota is options.quota else tuple(data.quota.as_dict().values()),
    )
    # Only what differs from what most have is there, and a number that says which that is.
    present, values = 0, []
    for bit, value, usual in zip(_BITS, fields, _USUAL, strict=True):
        if value is not usual:
            present |= bit
            values.append(value)
    packed: bytes = msgpack.packb((present, created, *values, *carried))
    return packed


def unpack(
    packed: bytes, session_id: str, options: SessionOptions, wall_offset: float, *, timer_at: float = inf
) -> tuple[SessionData, list[object]]:
    """Return the record that was packed, and what was carried; see `pack()`."""
    present, created, *found = msgpack.unpackb(packed)
    rest = iter(found)
    fields: list[Any] = [next(rest) if present & bit else usual for bit, usual in zip(_BITS, _USUAL, strict=True)]
    (history, state, entered, active, wake_at, authenticated_at, offset) = fields[:7]
    data = SessionData(session_id, options, created, wall_offset if offset is None else offset)
    data.state = STATES[state]
    if entered is not None:
        data.state_entered_at = entered
    data.last_activity = data.state_entered_at if active is None else active
    data.wake_at = timer_at if wake_at is None else wake_at
    data.authenticated_at = authenticated_at
    (data.requests, data.connections, data.bytes, data.largest_message) = fields[7:11]
    (data.auth_attempts, data.transitions, data.recovery_attempts, data.locked, data.suspend_reason) = fields[11:16]
    (user_id, metadata, quota) = fields[16:]
    if user_id is not None:
        data.user_id = user_id
    if metadata is not None:
        data.metadata = metadata or NO_METADATA
    if quota is not None:
        data.quota = Quota(*quota)
    if history is not None:
        data.recorded = _unpacked_history(history, data.state_entered_at)
    return data, list(rest)


def _packed_history(recorded: list[Transition | float], entered: float) -> list[object]:
    packed: list[object] = []
    for entry in recorded:
        if not isinstance(entry, Transition):
            packed.append(None if entry == entered else entry)
            continue
        number = _number_of(entry)
        packed.append((entry.from_state, entry.to_state, entry.reason, entry.name) if number is None else number)
    return packed


def _unpacked_history(packed: list[object], entered: float) -> list[Transition | float]:
    recorded: list[Transition | float] = []
    for entry in packed:
        if entry is None:
            recorded.append(entered)
        elif isinstance(entry, float):
            recorded.append(entry)
        elif isinstance(entry, int):
            recorded.append(_numbered[entry])
        else:
            recorded.append(Transition(*cast("tuple[State, State, str, str]", entry)))
    return recorded


def _number_of(transition: Transition) -> int | None:
    number = _numbers.get(transition)
    if number is None and len(_numbered) < _NUMBERED_MAX:
        with _numbering:
            number = _numbers.get(transition)
            if number is None:
                number = len(_numbered)
                _numbered.append(transition)
                _numbers[transition] = number
    return number
