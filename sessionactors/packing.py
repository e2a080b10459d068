"""A session's record as a few bytes, for the time that nobody looks at it, and back.

This is a form for this process only: times stay readings of its monotonic clock, and
transitions are numbers of a table in it. What is stored for another process is a
snapshot (`sessionactors.snapshots`).

What most sessions share or do not have (their user, their metadata, the quota of
their options) takes one byte. Credentials have no packed form: a session that
waits for its authenticator does not sleep.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from math import inf
from typing import Final, cast

import msgpack

from sessionactors.effects import Transition
from sessionactors.metadata import NO_METADATA
from sessionactors.session_data import SessionData
from sessionactors.settings import Quota, SessionOptions
from sessionactors.states import STATES, State

__all__ = ["pack", "unpack"]

_NUMBERED_MAX: Final = 4096
"""Transitions that have a number; one with another reason in free words is packed as text."""

_numbers: Final[dict[Transition, int]] = {}
_numbered: Final[list[Transition]] = []
_numbering = threading.Lock()  # guards additions to both; who has a number may read the list without it

_STATE_NUMBERS: Final[Mapping[State, int]] = {state: number for number, state in enumerate(STATES)}


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
    packed: bytes = msgpack.packb(
        (
            _STATE_NUMBERS[data.state],
            created,
            None if entered == created else entered,
            None if active == entered else active,
            None if data.wake_at == inf else data.wake_at == timer_at or data.wake_at,
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
            None if data.recorded is None else _packed_history(data.recorded),
            *carried,
        )
    )
    return packed


def unpack(
    packed: bytes, session_id: str, options: SessionOptions, wall_offset: float, *, timer_at: float = inf
) -> tuple[SessionData, list[object]]:
    """Return the record that was packed, and what was carried; see `pack()`."""
    found = msgpack.unpackb(packed)
    (state, created, entered, active, wake_at, authenticated_at, offset) = found[:7]
    data = SessionData(session_id, options, created, wall_offset if offset is None else offset)
    data.state = STATES[state]
    if entered is not None:
        data.state_entered_at = entered
    data.last_activity = data.state_entered_at if active is None else active
    data.wake_at = inf if wake_at is None else timer_at if wake_at is True else wake_at
    data.authenticated_at = authenticated_at
    (data.requests, data.connections, data.bytes, data.largest_message) = found[7:11]
    (data.auth_attempts, data.transitions, data.recovery_attempts, data.locked, data.suspend_reason) = found[11:16]
    (user_id, metadata, quota, history) = found[16:20]
    if user_id is not None:
        data.user_id = user_id
    if metadata is not None:
        data.metadata = metadata or NO_METADATA
    if quota is not None:
        data.quota = Quota(*quota)
    if history is not None:
        data.recorded = _unpacked_history(history)
    return data, found[20:]


def _packed_history(recorded: list[Transition | float]) -> list[object]:
    packed: list[object] = []
    for entry in recorded:
        if not isinstance(entry, Transition):
            packed.append(entry)
            continue
        number = _number_of(entry)
        packed.append((entry.from_state, entry.to_state, entry.reason, entry.name) if number is None else number)
    return packed


def _unpacked_history(packed: list[object]) -> list[Transition | float]:
    recorded: list[Transition | float] = []
    for entry in packed:
        if isinstance(entry, float):
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
