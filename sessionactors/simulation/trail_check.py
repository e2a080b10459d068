"""Whether what the audit log tells of each session can have happened, in that order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sessionactors.states import EDGES, NEW

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sessionactors.audit.record import AuditRecord

__all__ = ["fault_of_trail"]

_SESSION: Final = "session"
"""The actor under which sessions log; what others log about transitions is their own word."""


def fault_of_trail(entries: Iterable[AuditRecord]) -> str | None:
    """Say which entry cannot have followed the one before it, or return None.

    Each session goes along edges only, each from where the one before it has led. It begins anew where
    it is started, and where it is loaded from the store. Where the beginning of the log is
    missing, a session is wherever its first entry says.

    Args:
        entries: all of a log, or all of two types: `state_transition` and `lifecycle`.
    """
    states: dict[str, str] = {}
    for entry in entries:
        session_id, data = entry.session, entry.data
        if session_id is None or entry.actor != _SESSION:
            continue
        if entry.type == "lifecycle":
            if data.get("event") == "session_started":
                states[session_id] = NEW
            elif data.get("event") == "session_loaded":
                states[session_id] = str(data.get("state"))
        elif entry.type == "state_transition":
            source, target = str(data.get("from_state")), str(data.get("to_state"))
            known = states.get(session_id, source)
            if source != known:
                return f"entry {entry.sequence}: {session_id} leaves {source}, where it is {known}"
            if target not in EDGES.get(source, ()):  # type: ignore[call-overload]  # it may be anything
                return f"entry {entry.sequence}: {session_id} goes from {source} to {target}, where no edge leads"
            states[session_id] = target
    return None
