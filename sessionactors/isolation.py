"""Isolation: one accounting record a session, limits, and what happens beyond them.

Usage is reported (`record_usage`, `try_acquire_connection`); this service adds it
up, compares it with the limits, tells subscribers, and ends a session that goes
over a hard limit while it is isolated. Exceeded means strictly above a limit.

==========  ===============================================================
soft limit  `soft_ratio` of the limit: a warning, once until usage falls below
hard limit  audited as `security`; an isolated session is ended, another is not
connections refused at the limit, never killed
==========  ===============================================================

The accounts live in an `IsolationLedger`, which outlives the actor: a crash of this
service must not set anybody free.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast, final

from sessionactors import bounds, identifiers
from sessionactors.effects import Audit
from sessionactors.errors import (
    InvalidKind,
    InvalidLimit,
    InvalidOption,
    LimitExceedsGlobal,
    NotFound,
    RecordExists,
    SessionTerminated,
    UnknownRequest,
)
from sessionactors.lifecycle import RESOURCE_VIOLATION, TERMINATE
from sessionactors.subscribers import check_subscriber
from sessionactors.surroundings import ISOLATION
from supervisors.actor import Actor
from supervisors.runtime.ref import ActorRef
from supervisors.runtime.signals import Down

if TYPE_CHECKING:
    from sessionactors.settings import IsolationSettings
    from sessionactors.surroundings import Surroundings
    from supervisors.runtime.signals import MonitorRef

__all__ = ["Isolation", "IsolationEvent", "IsolationInfo", "IsolationLedger", "LimitCheck", "Usage", "UsageReport"]

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
        self.subscribers: dict[object, MonitorRef | None] = {}
        self.warned: frozenset[str] = frozenset()  # "memory_soft", "memory_hard", ... that have been told


@final
class IsolationLedger:
    """All accounts; owned by the isolation actor of the moment, and handed to the next one."""

    __slots__ = ("records", "settings")

    def __init__(self, settings: IsolationSettings) -> None:
        self.settings = settings
        self.records: dict[str, _Record] = {}


class Isolation(Actor):
    """The singleton that keeps the accounts.

    Messages are `(verb, session id, ...)`; the verbs are the specification's names.

    Args:
        ledger: accounts that an earlier actor has left, and the settings.
        around: the system around it.
    """

    dispatch = "inline"
    crash_on_ask_error = True

    def __init__(self, ledger: IsolationLedger, around: Surroundings) -> None:
        super().__init__()
        self._settings = ledger.settings
        self._around = around
        self._records = ledger.records
        # Who is watched, for which session, and as a subscriber or (None) as the session itself.
        self._watched: dict[MonitorRef, tuple[str, ActorRef[Any] | None]] = {}

    def on_start(self) -> None:
        """Watch again whom an earlier actor watched; who has died meanwhile is told as dead."""
        for session_id, record in self._records.items():
            if record.ref is not None:
                record.monitor = self._watch(session_id, record.ref, None)
            for who in record.subscribers:
                if isinstance(who, ActorRef):
                    record.subscribers[who] = self._watch(session_id, who, who)

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
        session_id = identifiers.parse(session_id)
        if session_id in self._records:
            raise RecordExists(session_id)
        if options is not None and not isinstance(options, Mapping):
            raise InvalidKind("options", options, "a mapping of option names to values")
        given = dict(options or {})
        unknown = given.keys() - _OPTIONS
        if unknown:
            allowed = "one of " + ", ".join(sorted(_OPTIONS))
            raise InvalidOption("option of create_session", min(unknown, key=str), allowed)
        settings = self._settings
        ref = given.get("ref")
        if ref is None:
            ref = self._around.directory.get(session_id)
            if ref is None and self._around.directory.has_ended(session_id):
                raise SessionTerminated(session_id)
        elif not isinstance(ref, ActorRef):
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
            record.monitor = self._watch(session_id, ref, None)
        self._records[session_id] = record
        return ref

    def _destroy_session(self, session_id: str) -> None:
        self._remove(session_id, self._record(session_id))

    def _forget(self, session_id: str) -> None:
        """As destroy, for a session that may have no record."""
        record = self._records.get(session_id)
        if record is not None:
            self._remove(session_id, record)

    def _remove(self, session_id: str, record: _Record, event: str = "session_destroyed") -> None:
        """Close an account; the subscribers hear of it last."""
        del self._records[session_id]
        self._unwatch(record.monitor)
        self._tell(session_id, record, event, None)
        for monitor in record.subscribers.values():
            self._unwatch(monitor)

    def _watch(self, session_id: str, ref: ActorRef[Any], subscriber: ActorRef[Any] | None) -> MonitorRef:
        monitor = self.monitor(ref)
        self._watched[monitor] = (session_id, subscriber)
        return monitor

    def _unwatch(self, monitor: MonitorRef | None) -> None:
        if monitor is not None:
            self._watched.pop(monitor, None)
            self.demonitor(monitor, flush=True)

    def _died(self, monitor: MonitorRef) -> None:
        session_id, subscriber = self._watched.pop(monitor, (None, None))
        record = None if session_id is None else self._records.get(session_id)
        if record is None or session_id is None:
            return
        if subscriber is None:
            self._remove(session_id, record, "process_died")
        else:
            record.subscribers.pop(subscriber, None)

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
        checked = record.limits[RESOURCES.index(resource)] = self._checked(resource, limit)
        self._tell(session_id, record, f"{_SINGULAR[resource]}_limit_changed", checked)
        self._judge(session_id, record)

    def _checked(self, resource: str, limit: object) -> float | None:
        name = f"{_SINGULAR[resource]}_limit"
        if limit is None or (isinstance(limit, float) and limit == math.inf):
            return None
        checked: float
        if resource == "cpu":
            checked = bounds.number(name, limit, most=100.0, unit=" percent", refuse=InvalidLimit)
        else:
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
        if not isinstance(usage, Mapping):
            raise InvalidKind("usage", usage, "a mapping of resources to amounts")
        checked: list[tuple[int, float]] = []
        for resource, amount in usage.items():
            if resource not in RESOURCES:
                raise InvalidOption("resource", resource, "one of " + ", ".join(RESOURCES))
            place = RESOURCES.index(resource)
            if resource == "memory":
                checked.append((place, bounds.count(resource, amount, least=0)))
            elif resource == "cpu":
                is_nothing = type(amount) in (int, float) and amount == 0
                share = 0.0 if is_nothing else bounds.number(resource, amount, most=102_400.0, unit=" percent")
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
        check_subscriber(who)
        if who not in record.subscribers:
            record.subscribers[who] = self._watch(session_id, who, who) if isinstance(who, ActorRef) else None

    def _unsubscribe(self, session_id: str, who: object) -> None:
        record = self._record(session_id)
        check_subscriber(who)
        self._unwatch(record.subscribers.pop(who, None))

    def _tell(self, session_id: str, record: _Record, event: str, value: object) -> None:
        if not record.subscribers:
            return
        told = IsolationEvent(session_id, event, value)
        for who in list(record.subscribers):
            if isinstance(who, ActorRef):
                who.send(told)
                continue
            try:
                cast("Callable[[IsolationEvent], object]", who)(told)
            except Exception:  # noqa: BLE001 - a subscriber that raises is dropped, and audited
                record.subscribers.pop(who, None)
                self._audit(session_id, "error", "subscriber_dropped", "warning", {"message": event})

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
        session_id = identifiers.parse(session_id)
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
