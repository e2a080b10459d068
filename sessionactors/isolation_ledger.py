"""What isolation knows: one account a session, and the sums. It outlives the service.

A crash of isolation must not set anybody free, so all of this is here.

Source: session system 1.2 and 3.2.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, final

from sessionactors import bounds
from sessionactors.errors import InvalidKind, InvalidLimit, InvalidOption, LimitExceedsGlobal
from sessionactors.limits.cpu_average import CpuAverage
from sessionactors.subscribers import Subscriptions
from supervisors.runtime.ref import ActorRef

if TYPE_CHECKING:
    from sessionactors.errands import Meter
    from sessionactors.sandbox.keeper import Sandbox
    from sessionactors.settings import IsolationSettings
    from supervisors.runtime.signals import MonitorRef

__all__ = [
    "CONNECTIONS",
    "CPU",
    "LIMIT_KINDS",
    "MEMORY",
    "MESSAGES",
    "RESOURCES",
    "Account",
    "CreateOptions",
    "IsolationEvent",
    "IsolationInfo",
    "IsolationLedger",
    "LimitCheck",
    "Usage",
    "UsageReport",
]

RESOURCES: Final = ("memory", "cpu", "messages", "connections")
LIMIT_KINDS: Final = ("session_soft", "session_hard", "all_soft", "all_hard")
"""Whose limit it is that was passed, and which of the two."""
MEMORY, CPU, MESSAGES, CONNECTIONS = range(4)
"""Places of the resources in lists of four."""

SINGULAR: Final = {"memory": "memory", "cpu": "cpu", "messages": "message", "connections": "connection"}

MEMORY_METHOD: Final = "state + mailbox + reported"
"""How memory is measured; see `UsageReport`."""

MESSAGE_BYTES: Final = 256
"""What a message that waits is taken to hold, with its place in the mailbox."""

_OPTIONS: Final = frozenset(
    {"memory_limit", "cpu_limit", "message_limit", "connection_limit", "isolated", "ref", "measure_cpu"}
)


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

    @property
    def count(self) -> float:
        """The same as `used`, which of messages and connections is a number of them."""
        return self.used


@dataclass(frozen=True, slots=True)
class UsageReport:
    """What `get_resource_usage` answers; times are monotonic seconds.

    Attributes:
        memory: bytes: the session's own state as it was measured last, an estimate
            for each message that waits, and what was reported.
        cpu: percent of one core: the measured average over `cpu_window`, and what was reported.
        messages: handled since the account was opened or cleaned, and those reported.
        connections: open now.
        last_activity: when usage was last reported.
        session_age: seconds since the account was opened.
        memory_method: how memory was measured.
        cpu_measured: whether the session's turns are metered.
    """

    memory: Usage
    cpu: Usage
    messages: Usage
    connections: Usage
    last_activity: float
    session_age: float
    memory_method: str
    cpu_measured: bool


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


@dataclass(frozen=True, slots=True)
class CreateOptions:
    """The options of `create_session`, checked."""

    limits: list[float | None]
    isolated: bool
    ref: ActorRef[Any] | None
    measure_cpu: bool


@final
class Account:
    """What is known of one session; lists of four are in the order of `RESOURCES`.

    Attributes:
        ref: the accounted actor, or None as long as there is none.
        monitor: what tells of its death.
        limits: None is unlimited; change them with `set_limit`.
        soft: where the soft limits lie, infinite for unlimited ones.
        used: as judged, see `UsageReport`.
        reported: the part of `used` that was reported.
        measured: the part of it that was measured, of memory and CPU.
        handled_before: messages that the actor had handled when the count began.
        errands: messages of ours to the actor, which do not count.
        warned: `"memory_soft"`, `"memory_hard"`, ... that have been told.
        meter: of the CPU seconds of its turns, or None.
        sandbox: the process that its code runs in, or None.
        outside: memory and CPU of that process.
        outside_average: over the CPU seconds of that process.
        average: over that meter's readings.
    """

    __slots__ = (
        "average",
        "created_at",
        "errands",
        "handled_before",
        "isolated",
        "last_activity",
        "limits",
        "measured",
        "meter",
        "monitor",
        "outside",
        "outside_average",
        "ref",
        "reported",
        "sandbox",
        "soft",
        "used",
        "warned",
    )

    def __init__(self, now: float, limits: list[float | None], soft_ratio: float, *, isolated: bool) -> None:
        self.created_at = self.last_activity = now
        self.soft = [math.inf if limit is None else limit * soft_ratio for limit in limits]
        self.ref: ActorRef[Any] | None = None
        self.monitor: MonitorRef | None = None
        self.limits = limits
        self.used: list[float] = [0, 0.0, 0, 0]
        self.reported: list[float] = [0, 0.0, 0, 0]
        self.measured: list[float] = [0, 0.0]
        self.handled_before = 0
        self.errands = 0
        self.isolated = isolated
        self.warned: frozenset[str] = frozenset()
        self.meter: Meter | None = None
        self.average: CpuAverage | None = None
        self.sandbox: Sandbox | None = None
        self.outside: list[float] = [0, 0.0]
        self.outside_average: CpuAverage | None = None

    @property
    def is_over_soft(self) -> bool:
        """Whether any soft limit has been crossed and not been left since."""
        return bool(self.warned)

    @property
    def is_calm(self) -> bool:
        """Whether all use lies within the soft limits and nothing has been told."""
        used, soft = self.used, self.soft
        return not (self.warned or used[0] > soft[0] or used[1] > soft[1] or used[2] > soft[2] or used[3] > soft[3])

    def set_limit(self, place: int, limit: float | None, soft_ratio: float) -> None:
        """Change one limit."""
        self.limits[place] = limit
        self.soft[place] = math.inf if limit is None else limit * soft_ratio


@final
class IsolationLedger:
    """All accounts; owned by the isolation actor of the moment, and handed to the next one.

    Args:
        settings: of isolation.
        read_cpu: reads the CPU seconds of the running thread.

    Attributes:
        records: accounts by session id.
        ceilings: what all may use together, in the order of `RESOURCES`.
        soft: where the warnings before these lie.
        totals: what all use together.
        warned: thresholds of the ceilings that have been told.
        ending: sessions that were told to end and have not done so.
        subscriptions: who is told about which session.
        violations: how often something was too much, by resource and whose limit it was: `session_soft`,
            `session_hard`, `all_soft` or `all_hard`; since the start of the system.
        noted: meters that have run since they were read.
        hot: sessions whose CPU average is not zero, the one read longest ago first.
    """

    __slots__ = (
        "ceilings",
        "ending",
        "hot",
        "noted",
        "read_cpu",
        "records",
        "settings",
        "soft",
        "subscriptions",
        "totals",
        "violations",
        "warned",
    )

    def __init__(self, settings: IsolationSettings, read_cpu: Callable[[], float]) -> None:
        self.configure(settings)
        self.read_cpu = read_cpu
        self.records: dict[str, Account] = {}
        self.totals: list[float] = [0, 0.0, 0, 0]
        self.violations: Counter[tuple[str, str]] = Counter()
        self.warned: set[str] = set()
        self.ending: set[str] = set()
        self.subscriptions = Subscriptions()
        self.noted: list[Meter] = []
        self.hot: dict[str, None] = {}

    def configure(self, settings: IsolationSettings) -> None:
        """Take over settings; limits of single accounts that are open stay as they are."""
        self.settings = settings
        self.ceilings: tuple[float, ...] = (
            settings.max_memory,
            settings.max_cpu,
            settings.max_messages,
            settings.max_connections,
        )
        self.soft = tuple(ceiling * settings.soft_ratio for ceiling in self.ceilings)

    def refresh(self, account: Account) -> None:
        """Add up what was reported and measured, with what can be read off the actor at once."""
        ref, reported, measured, used = account.ref, account.reported, account.measured, account.used
        memory = reported[MEMORY] + measured[MEMORY] + account.outside[MEMORY]
        messages = reported[MESSAGES]
        if ref is not None:
            memory += ref.mailbox_length * MESSAGE_BYTES
            messages += max(0, ref.messages_handled - account.handled_before - account.errands)
        totals = self.totals
        totals[MEMORY] += memory - used[MEMORY]
        used[MEMORY] = memory
        totals[MESSAGES] += messages - used[MESSAGES]
        used[MESSAGES] = messages
        cpu, connections = reported[CPU] + measured[CPU] + account.outside[CPU], reported[CONNECTIONS]
        if cpu != used[CPU]:
            totals[CPU] += cpu - used[CPU]
            used[CPU] = cpu
        if connections != used[CONNECTIONS]:
            totals[CONNECTIONS] += connections - used[CONNECTIONS]
            used[CONNECTIONS] = connections

    def release(self, session_id: str, account: Account) -> None:
        """Close an account; what it used is used no more."""
        del self.records[session_id]
        for place, used in enumerate(account.used):
            self.totals[place] -= used
        if not self.records:
            self.totals = [0, 0.0, 0, 0]  # sums of floats need not come back to zero by themselves
        self.ending.discard(session_id)
        self.hot.pop(session_id, None)

    def total(self, place: int) -> float:
        """Return what all use together, without those who are ending already."""
        gone = sum(self.records[each].used[place] for each in self.ending if each in self.records)
        return self.totals[place] - gone

    def largest(self, place: int) -> str | None:
        """Return the isolated session that uses most of something, the oldest of equals; None: there is none."""
        found, most = None, 0.0
        for session_id, account in self.records.items():
            if account.isolated and account.ref is not None and session_id not in self.ending:
                self.refresh(account)
                if account.used[place] > most:
                    found, most = session_id, account.used[place]
        return found

    def options(self, given: object) -> CreateOptions:
        """Check the options of `create_session`; what is missing is as the settings say.

        Raises:
            InvalidKind, InvalidOption, InvalidLimit, LimitExceedsGlobal: something is wrong with them.
        """
        if given is None:
            given = {}
        if not isinstance(given, Mapping):
            raise InvalidKind("options", given, "a mapping of option names to values")
        unknown = given.keys() - _OPTIONS
        if unknown:
            allowed = "one of " + ", ".join(sorted(_OPTIONS))
            raise InvalidOption("option of create_session", min(unknown, key=str), allowed)
        settings = self.settings
        ref = given.get("ref")
        if ref is not None and not isinstance(ref, ActorRef):
            raise InvalidKind("ref", ref, "the ref of the actor to account for")
        limits: list[float | None] = []
        for resource in RESOURCES:
            name = f"{SINGULAR[resource]}_limit"
            limits.append(self.checked_limit(resource, given.get(name, getattr(settings, name))))
        return CreateOptions(
            limits=limits,
            isolated=bounds.flag("isolated", given.get("isolated", settings.isolated)),
            ref=ref,
            measure_cpu=bounds.flag("measure_cpu", given.get("measure_cpu", limits[CPU] is not None)),
        )

    def checked_limit(self, resource: str, limit: object) -> float | None:
        """Check a limit; infinity and None are unlimited.

        Raises:
            InvalidLimit: it is no number above zero, or not of that kind.
            LimitExceedsGlobal: all sessions together have less.
        """
        name = f"{SINGULAR[resource]}_limit"
        if limit is None or (isinstance(limit, float) and limit == math.inf):
            return None
        checked: float
        if resource == "cpu":
            checked = bounds.number(name, limit, most=100.0, unit=" percent", refuse=InvalidLimit)
        else:
            checked = bounds.count(name, limit, refuse=InvalidLimit)
        ceiling = self.ceilings[RESOURCES.index(resource)]
        if checked > ceiling:
            raise LimitExceedsGlobal(name, checked, f"at most {ceiling}, the ceiling of all sessions together")
        return checked
