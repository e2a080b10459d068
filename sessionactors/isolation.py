"""Isolation: one accounting record a session, limits, and what happens beyond them.

Usage is reported (`record_usage`, `try_acquire_connection`); this service adds it
up, compares it with the limits, tells subscribers, and ends a session that goes
over a hard limit while it is isolated. Exceeded means strictly above a limit.

==========  ===============================================================
soft limit  `soft_ratio` of the limit: a warning, once until usage falls below
hard limit  audited as `security`; an isolated session is ended, another is not
connections refused at the limit, never killed
==========  ===============================================================
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from sessionactors import bounds
from sessionactors.effects import Audit
from sessionactors.errors import (
    InvalidKind,
    InvalidLimit,
    InvalidOption,
    LimitExceedsGlobal,
    NotFound,
    RecordExists,
    UnknownRequest,
)
from sessionactors.lifecycle import RESOURCE_VIOLATION, TERMINATE
from sessionactors.settings import IsolationSettings
from sessionactors.surroundings import ISOLATION
from supervisors.actor import Actor
from supervisors.runtime.ref import ActorRef
from supervisors.runtime.signals import Down

if TYPE_CHECKING:
    from sessionactors.surroundings import Surroundings
    from supervisors.runtime.signals import MonitorRef

__all__ = ["Isolation", "IsolationEvent", "IsolationInfo", "LimitCheck", "Usage", "UsageReport"]

RESOURCES: Final = ("memory", "cpu", "messages", "connections")


class IsolationEvent(NamedTuple):
    """What a subscriber gets: session id, what happened, and the value it is about."""

    session_id: str
    event: str
    value: object


@dataclass(frozen=True, slots=True)
class Usage:
    """One resource: what is used, its limit (None: unlimited), and the share in percent."""

    used: float
    limit: float | None
    percentage: float


@dataclass(frozen=True, slots=True)
class UsageReport:
    """What `get_resource_usage` answers; times are monotonic seconds."""

    memory: Usage
    cpu: Usage
    messages: Usage
    connections: Usage
    last_activity: float
    session_age: float


@dataclass(frozen=True, slots=True)
class LimitCheck:
    """What `check_resource_limits` answers.

    Attributes:
        within: True when nothing is exceeded.
        violations: by `"memory_exceeded"` and so on; True where exceeded.
    """

    within: bool
    violations: Mapping[str, bool]


@dataclass(frozen=True, slots=True)
class IsolationInfo:
    """What `get_session_info` answers; memory in bytes, CPU in percent of one core."""

    session_id: str
    ref: ActorRef[Any] | None
    isolated: bool
    memory_limit: float | None
    memory_used: float
    cpu_limit: float | None
    cpu_used: float
    message_limit: float | None
    message_count: float
    connection_limit: float | None
    connection_count: float
    created_at: float
    last_activity: float
    age: float


class _Record:
    """The account of one session."""

    __slots__ = ("created_at", "isolated", "last_activity", "limits", "monitor", "ref", "subscribers", "used", "warned")

    def __init__(self, now: float, ref: ActorRef[Any] | None, limits: list[float | None], *, isolated: bool) -> None:
        self.created_at = self.last_activity = now
        self.ref = ref
        self.monitor: MonitorRef | None = None
        self.limits = limits  # in the order of RESOURCES
        self.used: list[float] = [0, 0.0, 0, 0]
        self.isolated = isolated
        self.subscribers: tuple[object, ...] = ()
        self.warned: frozenset[str] = frozenset()  # "memory_soft", "memory_hard", ... that have been told


class Isolation(Actor):
    """The singleton that keeps the accounts.

    Messages are `(verb, session id, ...)`; the verbs are the specification's names.

    Args:
        settings: ceilings, and defaults for each session.
        around: the system around it.
    """

    dispatch = "inline"
    crash_on_ask_error = True

    def __init__(self, settings: IsolationSettings, around: Surroundings) -> None:
        super().__init__()
        self._settings = settings
        self._around = around
        self._records: dict[str, _Record] = {}
        self._sessions: dict[MonitorRef, str] = {}

    def on_receive(self, message: Any) -> Any:
        """Do what is asked; see the class."""
        if isinstance(message, Down):
            self._died(message.monitor)
            return None
        if isinstance(message, tuple) and message:
            verb = _VERBS.get(message[0])
            if verb is not None:
                return verb(self, *message[1:])
        raise UnknownRequest("message", message, "a verb of isolation with its arguments")

    # -- records -----------------------------------------------------------------

    def _create_session(self, session_id: str, options: Mapping[str, object] | None = None) -> ActorRef[Any] | None:
        if session_id in self._records:
            raise RecordExists(session_id)
        given = dict(options or {})
        unknown = given.keys() - _OPTIONS
        if unknown:
            raise InvalidOption("option of create_session", min(unknown), "one of " + ", ".join(sorted(_OPTIONS)))
        settings = self._settings
        ref = given.get("ref", self._around.directory.get(session_id))
        if ref is not None and not isinstance(ref, ActorRef):
            raise InvalidKind("ref", ref, "the ref of the actor to account for")
        limits = [
            self._checked("memory", given.get("memory_limit", settings.memory_limit)),
            self._checked("cpu", given.get("cpu_limit", settings.cpu_limit)),
            self._checked("messages", given.get("message_limit", settings.message_limit)),
            self._checked("connections", given.get("connection_limit", settings.connection_limit)),
        ]
        isolated = bounds.flag("isolated", given.get("isolated", settings.isolated))
        record = _Record(self._around.now(), ref, limits, isolated=isolated)
        if ref is not None:
            record.monitor = self.monitor(ref)
            self._sessions[record.monitor] = session_id
        self._records[session_id] = record
        return ref

    def _destroy_session(self, session_id: str) -> None:
        self._remove(session_id, self._record(session_id))

    def _forget(self, session_id: str) -> None:
        """As destroy, for a session that may have no record."""
        record = self._records.get(session_id)
        if record is not None:
            self._remove(session_id, record)

    def _remove(self, session_id: str, record: _Record) -> None:
        if record.monitor is not None:
            self.demonitor(record.monitor, flush=True)
            self._sessions.pop(record.monitor, None)
        del self._records[session_id]
        self._tell(session_id, record, "session_destroyed", None)

    def _died(self, monitor: MonitorRef) -> None:
        session_id = self._sessions.pop(monitor, None)
        if session_id is not None:
            record = self._records.pop(session_id)
            self._tell(session_id, record, "process_died", None)
            return
        # A subscriber that is an actor: its monitor names it.
        for record in self._records.values():
            if monitor.target in record.subscribers:
                record.subscribers = tuple(each for each in record.subscribers if each is not monitor.target)

    def _cleanup_session(self, session_id: str) -> None:
        record = self._record(session_id)
        record.used[0], record.used[1], record.used[2] = 0, 0.0, 0
        record.warned = frozenset(each for each in record.warned if each.startswith("connections"))
        self._tell(session_id, record, "session_cleaned", None)

    def _list_sessions(self) -> list[str]:
        return list(self._records)

    # -- limits ------------------------------------------------------------------

    def _set_limit(self, resource: str, session_id: str, limit: float | None) -> None:
        record = self._record(session_id)
        record.limits[RESOURCES.index(resource)] = self._checked(resource, limit)
        self._tell(session_id, record, f"{_SINGULAR[resource]}_limit_changed", limit)
        self._judge(session_id, record)

    def _checked(self, resource: str, limit: object) -> float | None:
        name = f"{_SINGULAR[resource]}_limit"
        if limit is None or (isinstance(limit, float) and limit == math.inf):
            return None
        if resource == "cpu":
            return bounds.number(name, limit, most=100.0, unit=" percent", refuse=InvalidLimit)
        checked = bounds.count(name, limit, refuse=InvalidLimit)
        ceiling = getattr(self._settings, f"max_{resource}")
        if checked > ceiling:
            raise LimitExceedsGlobal(name, checked, f"at most {ceiling}, the ceiling of all sessions together")
        return checked

    def _isolate(self, session_id: str, isolated: bool) -> None:
        record = self._record(session_id)
        record.isolated = isolated
        self._tell(session_id, record, "session_isolated" if isolated else "session_unisolated", None)
        if isolated:
            record.warned = frozenset(each for each in record.warned if not each.endswith("_hard"))
            self._judge(session_id, record)

    # -- usage -------------------------------------------------------------------

    def _record_usage(self, session_id: str, usage: Mapping[str, float]) -> LimitCheck:
        """Report usage: memory and CPU as they are now, messages and connections as what is added."""
        record = self._record(session_id)
        checked: list[tuple[int, float]] = []
        for resource, amount in usage.items():
            if resource not in RESOURCES:
                raise InvalidOption("resource", resource, "one of " + ", ".join(RESOURCES))
            place = RESOURCES.index(resource)
            if resource == "memory":
                checked.append((place, bounds.count(resource, amount, least=0)))
            elif resource == "cpu":
                share = 0.0 if amount == 0 else bounds.number(resource, amount, most=102_400.0, unit=" percent")
                checked.append((place, share))
            else:
                added = bounds.count(resource, amount, least=-bounds.COUNT_MAX)
                checked.append((place, max(0, record.used[place] + added)))
        for place, value in checked:
            record.used[place] = value
        record.last_activity = self._around.now()
        self._judge(session_id, record)
        return self._check(record)

    def _try_acquire_connection(self, session_id: str) -> bool:
        """Admit one more connection; False at the limit of the session or of all."""
        record = self._record(session_id)
        limit = record.limits[3]
        total = sum(each.used[3] for each in self._records.values())
        if (limit is not None and record.used[3] >= limit) or total >= self._settings.max_connections:
            self._tell(session_id, record, "connection_refused", record.used[3])
            return False
        record.used[3] += 1
        record.last_activity = self._around.now()
        self._judge(session_id, record)
        return True

    def _release_connection(self, session_id: str) -> None:
        record = self._record(session_id)
        record.used[3] = max(0, record.used[3] - 1)

    def _get_resource_usage(self, session_id: str) -> UsageReport:
        record = self._record(session_id)
        memory, cpu, messages, connections = (
            Usage(used, limit, _percent(used, limit)) for used, limit in zip(record.used, record.limits, strict=True)
        )
        age = self._around.now() - record.created_at
        return UsageReport(memory, cpu, messages, connections, record.last_activity, age)

    def _check_resource_limits(self, session_id: str) -> LimitCheck:
        return self._check(self._record(session_id))

    def _get_session_info(self, session_id: str) -> IsolationInfo:
        record = self._record(session_id)
        return IsolationInfo(
            session_id=session_id,
            ref=record.ref,
            isolated=record.isolated,
            memory_limit=record.limits[0],
            memory_used=record.used[0],
            cpu_limit=record.limits[1],
            cpu_used=record.used[1],
            message_limit=record.limits[2],
            message_count=record.used[2],
            connection_limit=record.limits[3],
            connection_count=record.used[3],
            created_at=record.created_at,
            last_activity=record.last_activity,
            age=self._around.now() - record.created_at,
        )

    # -- subscribers -------------------------------------------------------------

    def _subscribe(self, session_id: str, who: object) -> None:
        record = self._record(session_id)
        if not isinstance(who, ActorRef) and not callable(who):
            raise InvalidKind("subscriber", who, "an actor's ref, or something to call with the event")
        if who not in record.subscribers:
            record.subscribers = (*record.subscribers, who)
            if isinstance(who, ActorRef):
                self.monitor(who)

    def _unsubscribe(self, session_id: str, who: object) -> None:
        record = self._record(session_id)
        record.subscribers = tuple(each for each in record.subscribers if each is not who)

    def _tell(self, session_id: str, record: _Record, event: str, value: object) -> None:
        told = IsolationEvent(session_id, event, value)
        for who in record.subscribers:
            if isinstance(who, ActorRef):
                who.send(told)
                continue
            try:
                cast("Callable[[IsolationEvent], object]", who)(told)
            except Exception:  # noqa: BLE001 - a subscriber that raises is dropped, and audited
                record.subscribers = tuple(each for each in record.subscribers if each is not who)
                self._audit(session_id, "error", "subscriber_dropped", "warning", {"event": event})

    # -- judging -----------------------------------------------------------------

    def _judge(self, session_id: str, record: _Record) -> None:
        """Tell of each threshold that has just been crossed, and enforce the hard ones."""
        for resource, used, limit in zip(RESOURCES, record.used, record.limits, strict=True):
            soft, hard = f"{resource}_soft", f"{resource}_hard"
            if limit is None or used <= limit * self._settings.soft_ratio:
                record.warned -= {soft, hard}
                continue
            facts = {"resource": resource, "used": used, "limit": limit}
            if soft not in record.warned:
                record.warned |= {soft}
                self._tell(session_id, record, "soft_limit_warning", facts)
                self._audit(session_id, "resource", "soft_limit_warning", "warning", facts)
            if used <= limit:
                record.warned -= {hard}
            elif hard not in record.warned:
                record.warned |= {hard}
                self._enforce(session_id, record, facts)

    def _enforce(self, session_id: str, record: _Record, facts: dict[str, object]) -> None:
        self._tell(session_id, record, "hard_limit_violation", facts)
        ends = record.isolated and record.ref is not None and facts["resource"] != "connections"
        self._audit(session_id, "security", "hard_limit_violation", "warning", {**facts, "enforced": ends})
        if ends and record.ref is not None:
            self._tell(session_id, record, "enforcement_taken", TERMINATE)
            record.ref.send((TERMINATE, RESOURCE_VIOLATION))

    def _check(self, record: _Record) -> LimitCheck:
        violations = {
            f"{resource}_exceeded": limit is not None and used > limit
            for resource, used, limit in zip(RESOURCES, record.used, record.limits, strict=True)
        }
        return LimitCheck(not any(violations.values()), violations)

    def _record(self, session_id: str) -> _Record:
        record = self._records.get(session_id)
        if record is None:
            raise NotFound(session_id, "isolation record of session")
        return record

    def _audit(self, session_id: str, kind: Any, name: str, severity: Any, facts: Mapping[str, object]) -> None:
        self._around.audit.put((self._around.now(), session_id, Audit(kind, name, severity, facts), ISOLATION))


_SINGULAR: Final = {"memory": "memory", "cpu": "cpu", "messages": "message", "connections": "connection"}

_OPTIONS: Final = frozenset({"memory_limit", "cpu_limit", "message_limit", "connection_limit", "isolated", "ref"})

_VERBS: Final[Mapping[str, Callable[..., object]]] = {
    "create_session": Isolation._create_session,  # noqa: SLF001 - our own methods
    "destroy_session": Isolation._destroy_session,  # noqa: SLF001
    "forget": Isolation._forget,  # noqa: SLF001
    "cleanup_session": Isolation._cleanup_session,  # noqa: SLF001
    "list_sessions": Isolation._list_sessions,  # noqa: SLF001
    "set_memory_limit": lambda self, *args: self._set_limit("memory", *args),
    "set_cpu_limit": lambda self, *args: self._set_limit("cpu", *args),
    "set_message_limit": lambda self, *args: self._set_limit("messages", *args),
    "set_connection_limit": lambda self, *args: self._set_limit("connections", *args),
    "isolate_session": lambda self, session_id: self._isolate(session_id, True),
    "unisolate_session": lambda self, session_id: self._isolate(session_id, False),
    "record_usage": Isolation._record_usage,  # noqa: SLF001
    "try_acquire_connection": Isolation._try_acquire_connection,  # noqa: SLF001
    "release_connection": Isolation._release_connection,  # noqa: SLF001
    "get_resource_usage": Isolation._get_resource_usage,  # noqa: SLF001
    "check_resource_limits": Isolation._check_resource_limits,  # noqa: SLF001
    "get_session_info": Isolation._get_session_info,  # noqa: SLF001
    "subscribe": Isolation._subscribe,  # noqa: SLF001
    "unsubscribe": Isolation._unsubscribe,  # noqa: SLF001
}


def _percent(used: float, limit: float | None) -> float:
    if limit is None:
        return math.inf
    return 100.0 * used / limit if limit > 0 else 0.0
