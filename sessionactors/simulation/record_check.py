"""Whether the record of a session is one that there can be, looked at whenever somebody has been answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sessionactors.session_data import history
from sessionactors.states import EDGES, STATES

if TYPE_CHECKING:
    from sessionactors.session_data import SessionData

__all__ = ["fault_of_record"]


def fault_of_record(data: SessionData) -> str | None:
    """Say which invariant of a session does not hold, or return None.

    The state is one of the six. No more attempts were made than may be. Nothing that is used
    is less than nothing. The history is no longer than wanted, follows itself edge by edge,
    ends where the session is, and never goes back in time.
    """
    options = data.options
    if data.state not in STATES:
        return f"its state is {data.state!r}"
    if not 0 <= data.auth_attempts <= options.max_auth_attempts:
        return f"{data.auth_attempts} attempts, where there may be {options.max_auth_attempts}"
    for name in ("requests", "bytes", "connections", "largest_message", "transitions"):
        if getattr(data, name) < 0:
            return f"{name} is {getattr(data, name)}"
    return _fault_of_history(data)


def _fault_of_history(data: SessionData) -> str | None:
    entries = history(data)
    if len(entries) > data.options.max_history_size:
        return f"{len(entries)} transitions are remembered, where there may be {data.options.max_history_size}"
    for number, entry in enumerate(entries):
        if entry.to_state not in EDGES.get(entry.from_state, ()):
            return f"it went from {entry.from_state} to {entry.to_state}, where no edge leads"
        after = entries[number + 1 : number + 2]
        if after and after[0].from_state != entry.to_state:
            return f"it came to {entry.to_state} and left {after[0].from_state}"
        if after and after[0].timestamp < entry.timestamp:
            return f"it left {entry.to_state} before it came there"
    if entries and entries[-1].to_state != data.state:
        return f"it is {data.state}, and its history ends in {entries[-1].to_state}"
    return None
