"""Settings of the session system: frozen, with units and bounds, checked on creation.

All durations are float seconds, all sizes are bytes. None means "never" for a
timer and "unlimited" for a quota or limit. Every class is built in two ways:
by its constructor, and by `from_mapping` for options that come from a user or a
file, where an unknown name is refused with the nearest known one.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Self, cast

from sessionactors import bounds
from sessionactors.errors import (
    InvalidAction,
    InvalidBackend,
    InvalidKind,
    InvalidLimit,
    InvalidOption,
    InvalidQuota,
    InvalidValue,
)
from sessionactors.metadata import NO_METADATA, check_metadata

__all__ = [
    "DURABILITIES",
    "MIB",
    "REAP_POLICIES",
    "AuditSettings",
    "IsolationSettings",
    "LimiterSettings",
    "Quota",
    "ReaperSettings",
    "SessionOptions",
    "Settings",
    "StoreSettings",
    "UserSettings",
]

MIB: Final = 1024 * 1024
BACKENDS: Final = ("default", "memory", "sqlite")
DURABILITIES: Final = ("each", "group", "os")
USER_ACTIONS: Final = ("reject", "end_oldest")
REAP_POLICIES: Final = ("idle_timeout", "expired", "orphaned", "all", "custom")
_MICRO_MAX: Final = 1e15  # the largest capacity and rate for which integer bucket arithmetic stays small


class Settings:
    """What all settings classes can do."""

    __slots__ = ()

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names of all options, in the order of their definition."""
        return _names(cast("Hashable", cls))

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, object]) -> Self:
        """Build settings from option names and values; what is missing has its default.

        Raises:
            InvalidOption: a name is unknown; the message tells the nearest known one.
            InvalidKind: this is not a mapping, or a value is of the wrong kind.
            InvalidValue: a value is out of bounds.
        """
        cls._check_names(mapping)
        return cls(**mapping)

    def updated(self, mapping: Mapping[str, object]) -> Self:
        """Return a copy with some options changed, checked as a new one is.

        Raises:
            InvalidOption, InvalidKind, InvalidValue: as in `from_mapping`.
        """
        self._check_names(mapping)
        return dataclasses.replace(self, **mapping)  # type: ignore[type-var]

    def as_dict(self) -> dict[str, object]:
        """Return option names and values."""
        return {name: getattr(self, name) for name in self.names()}

    @classmethod
    def _check_names(cls, mapping: object) -> None:
        if not isinstance(mapping, Mapping):
            raise InvalidKind(cls.__name__, mapping, "a mapping of option names to values")
        known = cls.names()
        for name in mapping:
            if name not in known:
                raise _unknown(cls.__name__, name, known)

    def _keep(self, name: str, value: object) -> None:
        """Replace a value by its checked form while the instance is being made."""
        object.__setattr__(self, name, value)


@cache
def _names(cls: Any) -> tuple[str, ...]:
    return tuple(option.name for option in dataclasses.fields(cls) if option.init)


def _unknown(owner: str, name: object, known: tuple[str, ...]) -> InvalidOption:
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.6) if isinstance(name, str) else []
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"one of {', '.join(known)}"
    if nearest and isinstance(name, str) and name.endswith("_ms"):
        hint += " (in seconds)"
    return InvalidOption(f"option of {owner}", name, hint)


@dataclass(frozen=True, slots=True)
class Quota(Settings):
    """How much one session may use; None is unlimited.

    Reaching a limit is legal, going over it is not.

    Attributes:
        max_requests: requests over the whole life of the session.
        max_connections: connections open at the same time.
        max_message_size: bytes of any single message (not a sum).
    """

    max_requests: int | None = 1000
    max_connections: int | None = 10
    max_message_size: int | None = 10 * MIB

    def __post_init__(self) -> None:
        for name in ("max_requests", "max_connections", "max_message_size"):
            self._keep(name, bounds.count_or_none(name, getattr(self, name), least=0, refuse=InvalidQuota))

    @classmethod
    def unlimited(cls) -> Quota:
        """Return the quota that never refuses."""
        return _UNLIMITED


_UNLIMITED: Final = Quota(None, None, None)
_DEFAULT_QUOTA: Final = Quota()


@dataclass(frozen=True, slots=True)
class SessionOptions(Settings):
    """How one session behaves. Sessions with equal options share one instance.

    Attributes:
        idle_timeout: seconds without activity after which an active session
            becomes idle, and an idle one suspended; None turns both off.
        auth_timeout: seconds that authentication may take in all; a retry does
            not start it again.
        suspend_timeout: seconds after which a suspended session ends.
        absolute_timeout: seconds after which any session ends, active or not.
        ttl: seconds without activity after which the session counts as expired
            for the manager and for the reaper's policy `expired`.
        hibernate_after: seconds without messages after which the session is
            passivated; its state stays as it is.
        max_auth_attempts: how many calls of `authenticate` there may be.
        strict_authentication: the first rejected credentials end the session.
        auth_required: credentials or a pre-authenticated mark are needed.
        locked_out: start with authentication blocked until `unlock`.
        resume_allowed: whether a suspended session can be resumed.
        migration_allowed: whether the session may move to another node.
        persistent: whether the session is stored and survives a crash.
        backend: "default", which is the store that the system has, or its name, to
            be sure that it is that one: "memory" or "sqlite". None: there is none.
        keep_persistent: leave the stored copy when the session ends.
        quota: what the session may use.
        memory_limit: bytes the session may hold, watched by isolation; None is unlimited.
        metadata: plain data, see `sessionactors.metadata`; `pre_authenticated:
            True` lets `activate` succeed without credentials.
        user_id: whose session it is; falls back to `metadata["user_id"]`, then "anonymous".
        protocol_version: carried along for the embedding program.
        capabilities: carried along for the embedding program.
        max_history_size: transitions that are remembered; 0 remembers none.
        audit_requests_every: accepted updates are audited once for that many
            requests, with totals; 0 never audits them. Refusals are always audited.
    """

    idle_timeout: float | None = 300.0
    auth_timeout: float = 30.0
    suspend_timeout: float | None = None
    absolute_timeout: float | None = None
    ttl: float | None = 3600.0
    hibernate_after: float | None = 30.0
    max_auth_attempts: int = 3
    strict_authentication: bool = False
    auth_required: bool = True
    locked_out: bool = False
    resume_allowed: bool = True
    migration_allowed: bool = False
    persistent: bool = False
    backend: str | None = "default"
    keep_persistent: bool = False
    quota: Quota = _DEFAULT_QUOTA
    memory_limit: int | None = 100 * MIB
    metadata: Mapping[str, object] = NO_METADATA
    user_id: str = ""
    protocol_version: str = "2025-11-25"
    capabilities: Mapping[str, object] = NO_METADATA
    max_history_size: int = 100
    audit_requests_every: int = 100

    def __post_init__(self) -> None:
        for name in ("idle_timeout", "suspend_timeout", "absolute_timeout", "ttl", "hibernate_after"):
            self._keep(name, bounds.seconds_or_none(name, getattr(self, name)))
        self._keep("auth_timeout", bounds.seconds("auth_timeout", self.auth_timeout))
        self._keep("max_auth_attempts", bounds.count("max_auth_attempts", self.max_auth_attempts, most=1000))
        for name in (
            "strict_authentication",
            "auth_required",
            "locked_out",
            "resume_allowed",
            "migration_allowed",
            "persistent",
            "keep_persistent",
        ):
            bounds.flag(name, getattr(self, name))
        if bounds.text_or_none("backend", self.backend) is not None:
            bounds.choice("backend", self.backend, BACKENDS, refuse=InvalidBackend)
        if not isinstance(self.quota, Quota):
            self._keep("quota", _quota(self.quota))
        self._keep("memory_limit", bounds.count_or_none("memory_limit", self.memory_limit, refuse=InvalidLimit))
        self._keep("metadata", check_metadata("metadata", self.metadata))
        self._keep("user_id", self._whose())
        bounds.text("protocol_version", self.protocol_version)
        self._keep("capabilities", check_metadata("capabilities", self.capabilities))
        bounds.count("max_history_size", self.max_history_size, least=0, most=100_000)
        bounds.count("audit_requests_every", self.audit_requests_every, least=0)

    def updated(self, mapping: Mapping[str, object]) -> Self:
        """Return a copy with some options changed; metadata may name the user if nobody did so before."""
        if isinstance(mapping, Mapping) and "metadata" in mapping and self.user_id == "anonymous":
            mapping = {"user_id": "", **mapping}
        return Settings.updated(self, mapping)

    def _whose(self) -> str:
        if self.user_id != "":
            return bounds.text("user_id", self.user_id)
        return bounds.text("metadata.user_id", self.metadata.get("user_id", "anonymous"))


def _quota(value: object) -> Quota:
    if not isinstance(value, Mapping):
        raise InvalidQuota("quota", value, "a Quota or a mapping of its options")
    return Quota.from_mapping(value)


@dataclass(frozen=True, slots=True)
class LimiterSettings(Settings):
    """How the rate limiter behaves.

    Attributes:
        capacity: tokens of a fresh bucket.
        rate: tokens per second that come back.
        window: seconds of the sliding window, for buckets that have one.
        window_limit: cost admitted in any window, by every bucket; None gives a window
            only to those whose own quota names one.
        global_quota_enabled: every check of requests must also pass one bucket for all.
        global_capacity: tokens of that bucket.
        global_rate: tokens per second of that bucket.
        cleanup_interval: seconds between sweeps.
        idle_after: seconds after which an untouched, full bucket is forgotten.
        keys_max: buckets kept at the same time, against id spraying; the last tenth
            is for ids of live sessions. Full ones go early when there is no room.
        queue_max: requests that may wait, per session and type.
        delay_max: seconds that a request waits at most when it names no deadline, and
            under the throttle `delay`.
        age_after: seconds of waiting that outweigh one class of priority.
        warn_at_percent: how full a line of waiting requests is when back-pressure is signalled.
        signal_refusals: whether a refusal is audited and told, the first one since
            the last wait has passed.
        abuse_violations: refusals within `abuse_window` that block the session; None never blocks.
        abuse_window: seconds.
        abuse_block: seconds that a block lasts.
    """

    capacity: float = 1000.0
    rate: float = 10.0
    window: float = 60.0
    window_limit: int | None = None
    global_quota_enabled: bool = False
    global_capacity: float = 1000.0
    global_rate: float = 10.0
    cleanup_interval: float = 300.0
    idle_after: float = 600.0
    keys_max: int = 10_000_000
    queue_max: int = 1000
    delay_max: float = 30.0
    age_after: float = 5.0
    warn_at_percent: float = 80.0
    signal_refusals: bool = True
    abuse_violations: int | None = None
    abuse_window: float = 60.0
    abuse_block: float = 300.0

    def __post_init__(self) -> None:
        for name in ("capacity", "rate", "global_capacity", "global_rate"):
            self._keep(name, bounds.number(name, getattr(self, name), most=_MICRO_MAX, refuse=InvalidLimit))
        for name in (
            "window",
            "cleanup_interval",
            "idle_after",
            "delay_max",
            "age_after",
            "abuse_window",
            "abuse_block",
        ):
            self._keep(name, bounds.seconds(name, getattr(self, name)))
        for name in ("window_limit", "abuse_violations"):
            self._keep(name, bounds.count_or_none(name, getattr(self, name), refuse=InvalidLimit))
        for name in ("keys_max", "queue_max"):
            bounds.count(name, getattr(self, name))
        bounds.flag("global_quota_enabled", self.global_quota_enabled)
        bounds.flag("signal_refusals", self.signal_refusals)
        self._keep("warn_at_percent", bounds.number("warn_at_percent", self.warn_at_percent, most=100.0))


@dataclass(frozen=True, slots=True)
class IsolationSettings(Settings):
    """How the isolation service behaves: ceilings for all, defaults for each session.

    Attributes:
        max_memory: bytes of all isolated and accounted sessions together, as for the next three.
        max_cpu: percent of one core of all sessions together.
        max_messages: messages of all sessions together.
        max_connections: connections of all sessions together.
        memory_limit: bytes per session; None is unlimited, as for the next three.
        cpu_limit: percent of one core per session.
        message_limit: messages per session.
        connection_limit: connections per session.
        isolated: whether a hard violation ends the session.
        soft_ratio: share of a limit at which a warning is given.
        cpu_window: seconds over which CPU use is averaged.
        cleanup_interval: seconds between sweeps for records of dead sessions.
        sample_interval: seconds after which some sessions are looked at again.
        sample_batch: how many these are at most; the rest has its turn later.
        records_max: sessions that can be accounted for at the same time.
        spare_processes: processes in reserve, once the first session is isolated in one.
    """

    max_memory: int = 1024 * MIB
    max_cpu: float = 80.0
    max_messages: int = 100_000
    max_connections: int = 1000
    memory_limit: int | None = 100 * MIB
    cpu_limit: float | None = None
    message_limit: int | None = 10_000
    connection_limit: int | None = 10
    isolated: bool = True
    soft_ratio: float = 0.8
    cpu_window: float = 10.0
    cleanup_interval: float = 60.0
    sample_interval: float = 1.0
    sample_batch: int = 1000
    records_max: int = 1_000_000
    spare_processes: int = 2

    def __post_init__(self) -> None:
        for name in ("max_memory", "max_messages", "max_connections"):
            bounds.count(name, getattr(self, name), refuse=InvalidLimit)
        for name in ("memory_limit", "message_limit", "connection_limit"):
            bounds.count_or_none(name, getattr(self, name), refuse=InvalidLimit)
        ceiling = bounds.number("max_cpu", self.max_cpu, most=102_400.0, unit=" percent", refuse=InvalidLimit)
        self._keep("max_cpu", ceiling)
        if self.cpu_limit is not None:
            limit = bounds.number("cpu_limit", self.cpu_limit, most=100.0, unit=" percent", refuse=InvalidLimit)
            self._keep("cpu_limit", limit)
        bounds.flag("isolated", self.isolated)
        self._keep("soft_ratio", bounds.number("soft_ratio", self.soft_ratio, most=1.0))
        for name in ("cpu_window", "cleanup_interval", "sample_interval"):
            self._keep(name, bounds.seconds(name, getattr(self, name)))
        for name in ("sample_batch", "records_max"):
            bounds.count(name, getattr(self, name))
        bounds.count("spare_processes", self.spare_processes, least=0, most=1000)


@dataclass(frozen=True, slots=True)
class ReaperSettings(Settings):
    """How the reaper behaves.

    Attributes:
        interval: seconds between sweeps.
        policy: which sessions go, one of `REAP_POLICIES` but `custom`, which
            needs a filter function and is set with `set_policy`.
        idle_threshold: seconds without activity for the policy `idle_timeout`.
        batch_size: sessions looked at in one turn.
        termination_timeout: seconds a session has to end before it is forced.
    """

    interval: float = 60.0
    policy: str = "idle_timeout"
    idle_threshold: float = 1800.0
    batch_size: int = 25
    termination_timeout: float = 5.0

    def __post_init__(self) -> None:
        for name in ("interval", "idle_threshold", "termination_timeout"):
            self._keep(name, bounds.seconds(name, getattr(self, name)))
        bounds.choice("policy", self.policy, REAP_POLICIES[:-1])
        bounds.count("batch_size", self.batch_size, most=1_000_000)


@dataclass(frozen=True, slots=True)
class AuditSettings(Settings):
    """How the audit log behaves.

    A log that is too old or too large is *sealed*: it is archived, compressed and
    still verifiable on its own, and another goes on in its place. Nothing is ever
    deleted. Retention, checks and idle heads are for a log on disk only.

    Attributes:
        durability: `group`: what waits becomes durable together, under one head;
            `each`: every event has a write and a head of its own; `os`: as `group`,
            but the operating system decides when it is on the disk, so that it
            survives the death of the process and not a power cut.
        fail_closed: while the log cannot be written, sessions refuse what would give
            somebody rights: `authenticate`, `activate`, `resume`, and the
            administrator's `force_resume`, `unlock` and `override_quota`.
        retention_days: days after which the log is sealed, counted from its first
            entry; None never seals for its age.
        max_events: entries with which the log is sealed; None never seals for that.
        sweep_interval: seconds between looks at the age of the log.
        verify_interval: seconds between two times that all entries on the disk are
            read again and compared with what was written; None never reads them.
        idle_head_interval: seconds after which a head is signed although nothing
            happened, over an entry that says so; None signs no silence.
        queue_max: events that may wait to become durable.
        batch_max: events that become durable together.
        batch_delay: seconds that an event may wait for company.
    """

    durability: str = "group"
    fail_closed: bool = True
    retention_days: int | None = 30
    max_events: int | None = 1_000_000
    sweep_interval: float = 3600.0
    verify_interval: float | None = 300.0
    idle_head_interval: float | None = 300.0
    queue_max: int = 100_000
    batch_max: int = 10_000
    batch_delay: float = 0.05

    def __post_init__(self) -> None:
        bounds.choice("durability", self.durability, DURABILITIES)
        bounds.flag("fail_closed", self.fail_closed)
        if self.retention_days is not None:
            bounds.count("retention_days", self.retention_days, most=36_500)
        if self.max_events is not None:
            bounds.count("max_events", self.max_events, least=2)
        for name in ("queue_max", "batch_max"):
            bounds.count(name, getattr(self, name))
        for name in ("sweep_interval", "batch_delay"):
            self._keep(name, bounds.seconds(name, getattr(self, name)))
        for name in ("verify_interval", "idle_head_interval"):
            self._keep(name, bounds.seconds_or_none(name, getattr(self, name)))
        if self.batch_max > self.queue_max:
            raise InvalidValue("batch_max", self.batch_max, f"at most queue_max ({self.queue_max})")


@dataclass(frozen=True, slots=True)
class UserSettings(Settings):
    """How many sessions one user may have at the same time; "anonymous" is nobody, and has no limit.

    Attributes:
        max_sessions: live sessions of one user; None is unlimited.
        action: what happens when there would be one more: `reject`, which refuses the
            new one (code `too_many_sessions`), or `end_oldest`.
    """

    max_sessions: int | None = None
    action: str = "reject"

    def __post_init__(self) -> None:
        bounds.count_or_none("max_sessions", self.max_sessions, refuse=InvalidLimit)
        bounds.choice("action", self.action, USER_ACTIONS, refuse=InvalidAction)


@dataclass(frozen=True, slots=True)
class StoreSettings(Settings):
    """How sessions are stored.

    Attributes:
        durability: `group`: what waits becomes durable together, and each `persist()`
            is answered after that; `each`: every session has a write of its own;
            `os`: as `group`, but the operating system decides when it is on the disk,
            so that it survives the death of the process and not a power cut.
        queue_max: sessions whose snapshots may wait.
        batch_max: sessions that become durable together.
        batch_delay: seconds that a snapshot may wait for company when nobody waits for it.
        busy_timeout: seconds to wait for another program that has the file.
        max_restarts: crashes of one session within `max_seconds` after which it is
            still started again; one more, and it is given up.
        max_seconds: that window, seconds.
    """

    durability: str = "group"
    queue_max: int = 100_000
    batch_max: int = 10_000
    batch_delay: float = 0.05
    busy_timeout: float = 1.0
    max_restarts: int = 3
    max_seconds: float = 60.0

    def __post_init__(self) -> None:
        bounds.choice("durability", self.durability, DURABILITIES)
        for name in ("queue_max", "batch_max"):
            bounds.count(name, getattr(self, name))
        for name in ("batch_delay", "busy_timeout", "max_seconds"):
            self._keep(name, bounds.seconds(name, getattr(self, name)))
        bounds.count("max_restarts", self.max_restarts, least=0, most=1000)
