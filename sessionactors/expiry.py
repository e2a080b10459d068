"""Which sessions have been there for too long: the reaper's policies as pure functions.

Everywhere in the session system a session is too old when its age is *strictly
greater* than the limit: a limit of 60 s spares a session that is 60 s old. (A
timer differs: it fires when its time has come, not after it.)

===============  ==================================================================
policy           which sessions go
===============  ==================================================================
`idle_timeout`   no activity for longer than the policy's `idle_threshold`
`expired`        no activity for longer than the session's own `ttl`; None is never
`orphaned`       its actor is dead; no actor recorded is not orphaned
`all`            every one
`custom`         those that a filter function picks
===============  ==================================================================

Looking at a session for this is never activity.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from sessionactors import bounds
from sessionactors.errors import InvalidKind, InvalidValue
from sessionactors.metadata import copy_of
from sessionactors.session_data import SessionData
from sessionactors.settings import REAP_POLICIES
from sessionactors.states import State

__all__ = [
    "Filter",
    "FilterFault",
    "ReapPolicy",
    "Selection",
    "SessionEntry",
    "entry_of",
    "is_expired",
    "is_idle_longer",
    "is_older",
]


class SessionEntry(NamedTuple):
    """What a policy may know about a session.

    Attributes:
        id: the session's id.
        state: the state it is in.
        user_id: whose it is.
        created_at: UTC seconds.
        last_accessed: UTC seconds of the last activity.
        age: seconds since it was created.
        idle: seconds since the last activity.
        ttl: its own limit for `idle`, seconds; None is never.
        is_alive: whether its actor lives; None when none is recorded.
        metadata: what is remembered about it; a copy.
    """

    id: str
    state: State
    user_id: str
    created_at: float
    last_accessed: float
    age: float
    idle: float
    ttl: float | None
    is_alive: bool | None
    metadata: Mapping[str, object]


Filter: TypeAlias = Callable[[SessionEntry], object]
"""A true answer picks the session; one that raises keeps it."""


@dataclass(frozen=True, slots=True)
class FilterFault:
    """A custom filter that raised; the session was kept."""

    id: str
    error: Exception


@dataclass(frozen=True, slots=True)
class Selection:
    """What a policy says about a batch of sessions, in the batch's order."""

    picked: tuple[SessionEntry, ...]
    faults: tuple[FilterFault, ...]


def is_idle_longer(last_activity: float, limit: float | None, now: float) -> bool:
    """Tell whether the last activity lies further back than a limit; None is never."""
    return limit is not None and now - last_activity > limit


def is_expired(data: SessionData, now: float) -> bool:
    """Tell whether a session has not been used for longer than its own `ttl`."""
    return is_idle_longer(data.last_activity, data.options.ttl, now)


def is_older(created_at: float, limit: float | None, now: float) -> bool:
    """Tell whether something was created longer ago than a limit; None is never."""
    return limit is not None and now - created_at > limit


def entry_of(data: SessionData, now: float, is_alive: bool | None = None) -> SessionEntry:
    """Describe a session to a policy, without touching it."""
    return SessionEntry(
        id=data.session_id,
        state=data.state,
        user_id=data.user_id,
        created_at=data.created_at + data.wall_offset,
        last_accessed=data.last_activity + data.wall_offset,
        age=now - data.created_at,
        idle=now - data.last_activity,
        ttl=data.options.ttl,
        is_alive=is_alive,
        metadata=copy_of(data.metadata),
    )


@dataclass(frozen=True, slots=True)
class ReapPolicy:
    """Which sessions the reaper ends.

    Attributes:
        name: one of the five policies.
        idle_threshold: seconds, for `idle_timeout`.
        filter: for `custom`, and only there.
    """

    name: str = "idle_timeout"
    idle_threshold: float = 1800.0
    filter: Filter | None = None

    def __post_init__(self) -> None:
        bounds.choice("policy", self.name, REAP_POLICIES)
        object.__setattr__(self, "idle_threshold", bounds.seconds("idle_threshold", self.idle_threshold))
        if self.filter is not None and not callable(self.filter):
            raise InvalidKind("filter", self.filter, "a function of a SessionEntry")
        if (self.filter is None) == (self.name == "custom"):
            given = None if self.filter is None else self.name
            raise InvalidValue("filter", given, "a filter for the policy 'custom', and none for any other")

    def limit(self, ttl: float | None) -> float | None:
        """Return the seconds without activity beyond which a session goes; None is never, or not by that.

        Args:
            ttl: the session's own limit, seconds.
        """
        if self.name == "idle_timeout":
            return self.idle_threshold
        if self.name == "expired":
            return ttl
        return -math.inf if self.name == "all" else None

    def picks(self, entry: SessionEntry) -> bool:
        """Tell whether a session goes.

        Raises:
            Exception: whatever a custom filter raises; it means that the
                session is kept. `select` catches and reports it.
        """
        return _PICKS[self.name](self, entry)

    def select(self, entries: Iterable[SessionEntry]) -> Selection:
        """Judge a batch of sessions; a filter that raises keeps the session and is reported."""
        picked = []
        faults = []
        for entry in entries:
            try:
                if self.picks(entry):
                    picked.append(entry)
            except Exception as error:  # noqa: BLE001 - a broken filter must not end sessions, nor the reaper
                faults.append(FilterFault(entry.id, error))
        return Selection(tuple(picked), tuple(faults))


def _picks_custom(policy: ReapPolicy, entry: SessionEntry) -> bool:
    assert policy.filter is not None
    return bool(policy.filter(entry))


def _is_too_idle(policy: ReapPolicy, entry: SessionEntry) -> bool:
    limit = policy.limit(entry.ttl)
    return limit is not None and entry.idle > limit


_PICKS: Final[Mapping[str, Callable[[ReapPolicy, SessionEntry], bool]]] = {
    "idle_timeout": _is_too_idle,
    "expired": _is_too_idle,
    "orphaned": lambda _, entry: entry.is_alive is False,
    "all": _is_too_idle,
    "custom": _picks_custom,
}
