"""The record of one session, owned by exactly one actor, and what can be read from it.

The record is changed in place, by `sessionactors.lifecycle` only. It is small on
purpose, because a process may hold a million of them: options and quota are
shared by reference, counters are plain ints, the history is one flat list, and a
timer that is set is one float.

All times are monotonic seconds; `wall_offset` turns them into UTC for people. It
is taken once, when the session starts, so that what is reported about a session
stays in order when somebody moves the wall clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Final, NamedTuple, final

from sessionactors.effects import Transition, Verify
from sessionactors.metadata import copy_of
from sessionactors.settings import Quota, SessionOptions
from sessionactors.states import ACTIVE, AUTH, IDLE, NEW, SUSPENDED, TERMINATED, State

__all__ = [
    "FIELDS",
    "HistoryEntry",
    "QuotaCheck",
    "ResourcesUsed",
    "SessionData",
    "SessionInfo",
    "SessionMetrics",
    "check_quota",
    "deadline",
    "history",
    "info",
    "metrics",
    "resources_used",
    "state_deadline",
]


class _Moved:
    """What every transition reads or writes: first, and so side by side in memory."""

    __slots__ = (
        "last_activity",
        "options",
        "recorded",  # flat list Transition, time, Transition, time, ...; None before the first
        "session_id",
        "state",
        "state_entered_at",
        "transitions",  # how many there have been, also those that the history has dropped
    )


@final
class SessionData(_Moved):
    """Everything that one session knows about itself.

    Args:
        session_id: a checked id.
        options: checked options, shared between sessions.
        now: monotonic seconds.
        wall_offset: UTC seconds minus monotonic seconds. Pass the same float
            object to many sessions and they share its memory.

    Thread: the owning actor's turn only.
    """

    __slots__ = (
        "auth_attempts",  # calls of authenticate; never above options.max_auth_attempts
        "authenticated_at",  # when credentials were last accepted, or None
        "bytes",
        "connections",
        "created_at",
        "largest_message",  # bytes
        "locked",  # authentication is blocked until an administrator unlocks it
        "metadata",  # never changed in place; a merge replaces it
        "question",  # the credentials as a question to the authenticator, None when there are none
        "quota",
        "recovery_attempts",  # how often it came back from a snapshot
        "requests",
        "suspend_reason",  # why it is suspended, None in every other state
        "user_id",
        "wake_at",  # when the timer fires that is set; infinite when none is
        "wall_offset",
        "woken_at",  # when it last came out of hibernation, or was kept from it; else when it was made
    )

    authenticated_at: float | None
    question: Verify | None
    state: State
    metadata: Mapping[str, object]
    recorded: list[Transition | float] | None
    suspend_reason: str | None

    def __init__(self, session_id: str, options: SessionOptions, now: float, wall_offset: float = 0.0) -> None:
        self.session_id = session_id
        self.options = options
        self.quota = options.quota
        self.metadata = options.metadata
        self.user_id = options.user_id
        self.locked = options.locked_out
        self.state = NEW
        self.created_at = self.state_entered_at = self.last_activity = self.woken_at = now
        self.wall_offset = wall_offset
        self.wake_at = inf
        self.question = self.authenticated_at = self.recorded = self.suspend_reason = None
        self.requests = self.connections = self.bytes = self.largest_message = 0
        self.auth_attempts = self.transitions = self.recovery_attempts = 0

    @property
    def verifying(self) -> bool:
        """Whether the question has been asked and not been answered yet."""
        return self.question is not None and self.question.is_asked

    def __repr__(self) -> str:
        return f"<SessionData {self.session_id!r} {self.state}, {self.requests} requests>"


FIELDS: Final[tuple[str, ...]] = tuple(sorted((*_Moved.__slots__, *SessionData.__slots__)))
"""The names of everything in the record."""


class ResourcesUsed(NamedTuple):
    """What the session has used."""

    requests: int
    connections: int
    bytes: int


class QuotaCheck(NamedTuple):
    """Whether there is headroom in every dimension, and where there is none.

    Attributes:
        has_quota: False as soon as one dimension is *at* its limit.
        exceeded: `(used, limit)` of each dimension without headroom, by name.
    """

    has_quota: bool
    exceeded: Mapping[str, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One remembered transition; the timestamp is UTC seconds."""

    from_state: State
    to_state: State
    timestamp: float
    reason: str


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """What `get_info` answers. Times are UTC seconds."""

    session_id: str
    state: State
    created_at: float
    state_entered_at: float
    last_activity: float
    quota: Quota
    resources_used: ResourcesUsed
    user_id: str
    metadata: Mapping[str, object]
    suspend_reason: str | None


@dataclass(frozen=True, slots=True)
class SessionMetrics:
    """What `get_metrics` answers. Durations are seconds, utilisation is percent by quota name."""

    session_age: float
    state_duration: float
    idle_time: float
    auth_attempts: int
    quota_utilization: Mapping[str, float]
    state: State
    connections: int
    uptime: float
    state_transitions: int
    recovery_attempts: int
    last_activity: float


def deadline(data: SessionData) -> float:
    """Return when something is to be done next without a message: by the state's timers, or to hibernate.

    Returns:
        Monotonic seconds; infinite when nothing is going to happen by itself.
    """
    due = state_deadline(data)
    after = data.options.hibernate_after
    if after is None or data.state == TERMINATED:
        return due
    return min(due, max(data.last_activity, data.woken_at) + after)


def state_deadline(data: SessionData) -> float:
    """Return when the state's timer or the absolute timeout is due, whichever comes first.

    Returns:
        Monotonic seconds; infinite when nothing is going to happen by itself.
    """
    options = data.options
    state = data.state
    if state == TERMINATED:
        return inf
    due = inf if options.absolute_timeout is None else data.created_at + options.absolute_timeout
    if state in (ACTIVE, IDLE):
        if options.idle_timeout is not None:
            # Activity may fall into either state: an explicit touch keeps an idle session idle.
            due = min(due, max(data.state_entered_at, data.last_activity) + options.idle_timeout)
    elif state == AUTH:
        due = min(due, data.state_entered_at + options.auth_timeout)
    elif state == SUSPENDED and options.suspend_timeout is not None:
        due = min(due, data.state_entered_at + options.suspend_timeout)
    return due


def resources_used(data: SessionData) -> ResourcesUsed:
    """Return what the session has used so far."""
    return ResourcesUsed(data.requests, data.connections, data.bytes)


def check_quota(data: SessionData) -> QuotaCheck:
    """Tell whether the session has headroom; this is not activity."""
    quota = data.quota
    exceeded = {}
    if quota.max_requests is not None and data.requests >= quota.max_requests:
        exceeded["requests"] = (data.requests, quota.max_requests)
    if quota.max_connections is not None and data.connections >= quota.max_connections:
        exceeded["connections"] = (data.connections, quota.max_connections)
    return QuotaCheck(not exceeded, exceeded)


def history(data: SessionData) -> list[HistoryEntry]:
    """Return the remembered transitions, oldest first."""
    recorded = data.recorded or []
    entries = []
    for transition, at in zip(recorded[::2], recorded[1::2], strict=True):
        assert isinstance(transition, Transition)
        assert isinstance(at, float)
        moment = at + data.wall_offset
        entries.append(HistoryEntry(transition.from_state, transition.to_state, moment, transition.reason))
    return entries


def info(data: SessionData) -> SessionInfo:
    """Return the session's information record."""
    offset = data.wall_offset
    return SessionInfo(
        session_id=data.session_id,
        state=data.state,
        created_at=data.created_at + offset,
        state_entered_at=data.state_entered_at + offset,
        last_activity=data.last_activity + offset,
        quota=data.quota,
        resources_used=resources_used(data),
        user_id=data.user_id,
        metadata=dict(copy_of(data.metadata)),
        suspend_reason=data.suspend_reason,
    )


def metrics(data: SessionData, now: float) -> SessionMetrics:
    """Return the session's metrics record as of a monotonic time."""
    age = now - data.created_at
    quota = data.quota
    return SessionMetrics(
        session_age=age,
        state_duration=now - data.state_entered_at,
        idle_time=now - data.last_activity,
        auth_attempts=data.auth_attempts,
        quota_utilization={
            "max_requests": _percent(data.requests, quota.max_requests),
            "max_connections": _percent(data.connections, quota.max_connections),
            "max_message_size": _percent(data.largest_message, quota.max_message_size),
        },
        state=data.state,
        connections=data.connections,
        uptime=age,
        state_transitions=data.transitions,
        recovery_attempts=data.recovery_attempts,
        last_activity=data.last_activity + data.wall_offset,
    )


def _percent(used: int, limit: int | None) -> float:
    """Return how much of a limit is used; nothing of an unlimited one, all of a limit of zero."""
    if limit is None:
        return 0.0
    return 100.0 * used / limit if limit else 100.0
