"""The six states of a session and the edges between them.

::

    new        -> auth, active, terminated
    auth       -> active, terminated
    active     -> idle, suspended, terminated
    idle       -> active, suspended, terminated
    suspended  -> active, terminated
    terminated -> (nothing)

States are plain interned strings, so that handlers may compare them by identity
and records, logs and users all see the same word.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

__all__ = [
    "ACTIVE",
    "AUTH",
    "EDGES",
    "IDLE",
    "LIVE_STATES",
    "NEW",
    "STATES",
    "SUSPENDED",
    "TERMINATED",
    "State",
]

State: TypeAlias = Literal["new", "auth", "active", "idle", "suspended", "terminated"]

NEW: Final = "new"
AUTH: Final = "auth"
ACTIVE: Final = "active"
IDLE: Final = "idle"
SUSPENDED: Final = "suspended"
TERMINATED: Final = "terminated"

STATES: Final[tuple[State, ...]] = (NEW, AUTH, ACTIVE, IDLE, SUSPENDED, TERMINATED)
LIVE_STATES: Final[tuple[State, ...]] = STATES[:-1]

EDGES: Final[dict[State, frozenset[State]]] = {
    NEW: frozenset({AUTH, ACTIVE, TERMINATED}),
    AUTH: frozenset({ACTIVE, TERMINATED}),
    ACTIVE: frozenset({IDLE, SUSPENDED, TERMINATED}),
    IDLE: frozenset({ACTIVE, SUSPENDED, TERMINATED}),
    SUSPENDED: frozenset({ACTIVE, TERMINATED}),
    TERMINATED: frozenset(),
}
