"""Settings of the session system: frozen, with units and bounds, checked on creation.

All durations are float seconds, all sizes are bytes. None means "never" for a
timer and "unlimited" for a quota or limit. Every class is built in two ways:
by its constructor, and by `from_mapping` for options that come from a user or a
file, where an unknown name is refused with the nearest known one.

Source: session system 1.2 to 1.5 and 1.8; what it does not have is ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sessionactors import bounds
from sessionactors.audit.plain_values import PERSONAL_FIELDS
from sessionactors.errors import InvalidAction, InvalidLimit, InvalidValue
from sessionactors.option_table import Settings
from sessionactors.session_options import MIB, Quota, SessionOptions

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

DURABILITIES: Final = ("each", "group", "os")
USER_ACTIONS: Final = ("reject", "end_oldest")
REAP_POLICIES: Final = ("idle_timeout", "expired", "orphaned", "all", "custom")
_MICRO_MAX: Final = 1e15  # the largest capacity and rate for which integer bucket arithmetic stays small


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
        remembered_max: debts, throttles and blocks that outlive the process, where sessions are stored in a file.
        remember_delay: seconds after which a change of these is written; what is
            younger when the process is killed is lost.
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
    remembered_max: int = 10_000
    remember_delay: float = 0.25

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
            "remember_delay",
        ):
            self._keep(name, bounds.seconds(name, getattr(self, name)))
        for name in ("window_limit", "abuse_violations"):
            self._keep(name, bounds.count_or_none(name, getattr(self, name), refuse=InvalidLimit))
        for name in ("keys_max", "queue_max"):
            bounds.count(name, getattr(self, name))
        bounds.count("remembered_max", self.remembered_max, most=1_000_000)
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
    batch_size: int = 50
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
        rights_are_durable: whether `authenticate`, `activate` and the administrator's
            operations return, or refuse, only when what they logged is on the disk under
            a signed head. That costs a synchronisation of the disk for each, which those
            at the same time share. If not, they return at once, and what they logged
            is on the disk after `batch_delay`, so a power cut can take it.
        retention_days: days after which the log is sealed, counted from its first
            entry; None never seals for its age.
        max_events: entries with which the log is sealed; None never seals for that.
        sweep_interval: seconds between looks at the age of the log.
        verify_interval: seconds between two times that all entries on the disk are
            read again and compared with what was written; None never reads them.
        idle_head_interval: seconds after which a head is signed although nothing
            happened, over an entry that says so; None signs no silence.
        redact_ids: whether sessions appear under a keyed hash (HMAC) of their ids. Once
            on, it stays on for that log.
        ids_key_file: the key of that hash; None for `ids.key` in the log's directory,
            made with the first log.
        personal_fields: names of data that are personal, so that they stand in a log on
            disk as commitments and can be erased; case and punctuation do not matter.
        forbidden_keys: parts of names of data that never enter the log, beside those
            that never do.
        queue_max: events that may wait to become durable.
        batch_max: events that become durable together; in memory, where nothing does, it is 512 at most.
        batch_delay: seconds that an event may wait for company.
    """

    durability: str = "group"
    fail_closed: bool = True
    rights_are_durable: bool = False
    retention_days: int | None = 30
    max_events: int | None = 1_000_000
    sweep_interval: float = 3600.0
    verify_interval: float | None = 300.0
    idle_head_interval: float | None = 300.0
    redact_ids: bool = False
    ids_key_file: str | None = None
    personal_fields: tuple[str, ...] = PERSONAL_FIELDS
    forbidden_keys: tuple[str, ...] = ()
    queue_max: int = 100_000
    batch_max: int = 10_000
    batch_delay: float = 0.05

    def __post_init__(self) -> None:
        bounds.choice("durability", self.durability, DURABILITIES)
        for name in ("fail_closed", "redact_ids", "rights_are_durable"):
            bounds.flag(name, getattr(self, name))
        if self.ids_key_file is not None:
            self._keep("ids_key_file", bounds.text("ids_key_file", self.ids_key_file))
        for name in ("personal_fields", "forbidden_keys"):
            self._keep(name, bounds.names(name, getattr(self, name)))
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
        max_sessions: live sessions of one user; None is unlimited. A stored session that
            has crashed counts while it may come back.
        action: what happens when there would be one more: `reject`, which refuses the
            new one (code `too_many_sessions`), or `end_oldest`, which does so only when
            all others are about to come back, because nobody can end those.
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
        batch_max: sessions that become durable together; the store answers others between two batches.
        batch_delay: seconds that a snapshot may wait for company when nobody waits for it.
        busy_timeout: seconds to wait for another program that has the file.
        max_restarts: crashes of one session within `max_seconds` after which it is
            still started again; one more, and it is given up.
        max_seconds: that window, seconds.
    """

    durability: str = "group"
    queue_max: int = 100_000
    batch_max: int = 4_096
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
