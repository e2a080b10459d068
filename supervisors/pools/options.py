"""What can be chosen about a pool: one frozen value for each concern, checked when it is made."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Final, Literal, final

from supervisors.errors import InvalidArgumentError, InvalidTypeError
from supervisors.supervision.backoff import Backoff

__all__ = [
    "PRIORITY_MAX",
    "Backlog",
    "Policy",
    "PoolOptions",
    "Recycle",
    "Retry",
    "RetryCause",
    "Sizing",
    "checked_number",
    "checked_seconds",
    "checked_whole",
]

Policy = Literal["reject", "block", "drop_oldest", "shed_low_priority"]
RetryCause = Literal["died", "timeout", "error"]

PRIORITY_MAX: Final = 100
"""Priorities go from minus this to this; higher goes first."""

POLICIES: Final = ("reject", "block", "drop_oldest", "shed_low_priority")
CAUSES: Final = ("died", "timeout", "error")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """How much may wait, and what happens to one task too many.

    Attributes:
        count_max: tasks that may wait, those that run not counted; 1 or more; None: any number.
        bytes_max: what they may hold together; None: any amount. A process pool knows
            the size of its tasks, others count what `size_bytes` says.
        policy: `"reject"`: the submitter gets `PoolFullError`. `"block"`: the submitter
            waits for room, then gets it. `"drop_oldest"`: who has waited longest fails with
            `TaskShedError`. `"shed_low_priority"`: the youngest of the lowest
            priority does; if nobody is lower than the newcomer, it is rejected.
        patience: seconds that `"block"` waits at most.
    """

    count_max: int | None = 10_000
    bytes_max: int | None = None
    policy: Policy = "reject"
    patience: float = 5.0

    def __post_init__(self) -> None:
        """Validate the fields."""
        if self.count_max is not None:
            checked_whole("count_max", self.count_max, 1, 1 << 40)
        if self.bytes_max is not None:
            checked_whole("bytes_max", self.bytes_max, 1, 1 << 50)
        _choice("policy", self.policy, POLICIES)
        object.__setattr__(self, "patience", checked_seconds("patience", self.patience))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Whether a task that failed is tried again.

    Attributes:
        times: further attempts after the first, 0 or more.
        on: causes that count: `"died"`, the worker died; `"timeout"`, a run took too
            long; `"error"`, the function raised.
        backoff: how long to wait before each attempt.
    """

    times: int = 0
    on: tuple[RetryCause, ...] = ("died",)
    backoff: Backoff = field(default_factory=lambda: Backoff(min_seconds=0.1, max_seconds=30.0, jitter=0.1))

    def __post_init__(self) -> None:
        """Validate the fields."""
        checked_whole("times", self.times, 0, 1_000_000)
        if not isinstance(self.on, tuple):
            raise InvalidTypeError("on", self.on, "a tuple of causes")
        for cause in self.on:
            _choice("on", cause, CAUSES)
        if not isinstance(self.backoff, Backoff):
            raise InvalidTypeError("backoff", self.backoff, "a Backoff")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Recycle:
    """When a worker is replaced though nothing is wrong: one at a time, after it has drained.

    Attributes:
        tasks: after so many tasks; None: never for this.
        age: after so many seconds; None: never for this.
        rss_bytes: above so much memory of its process; None: never for this.
        jitter: share by which each worker's limits are lowered at random, 0 to 1, so
            that workers that started together are not due together.
    """

    tasks: int | None = None
    age: float | None = None
    rss_bytes: int | None = None
    jitter: float = 0.1

    def __post_init__(self) -> None:
        """Validate the fields."""
        if self.tasks is not None:
            checked_whole("tasks", self.tasks, 1, 1 << 40)
        if self.age is not None:
            object.__setattr__(self, "age", checked_seconds("age", self.age, above_zero=True))
        if self.rss_bytes is not None:
            checked_whole("rss_bytes", self.rss_bytes, 1, 1 << 50)
        object.__setattr__(self, "jitter", checked_number("jitter", self.jitter, 0.0, 1.0))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Sizing:
    """When workers beyond the size come and go.

    Attributes:
        grow_after: seconds that somebody has to wait before an overflow worker starts;
            0: at once, as poolboy does (POOL-2).
        shrink_after: seconds that a worker too many stays idle before it ends; 0: it
            ends at once when nobody waits (POOL-4).
    """

    grow_after: float = 0.0
    shrink_after: float = 0.0

    def __post_init__(self) -> None:
        """Validate the fields."""
        object.__setattr__(self, "grow_after", checked_seconds("grow_after", self.grow_after))
        object.__setattr__(self, "shrink_after", checked_seconds("shrink_after", self.shrink_after))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PoolOptions:
    """Everything that the engine of a pool is told once.

    Attributes:
        size: workers to keep up, 1 to 4096.
        max_overflow: further ones under load, 0 to 4096.
        strategy: which free worker is next: `"lifo"`, the one that became free last;
            `"fifo"`, the one that has been free longest (POOL-1).
        router: who runs a task without a key. `"any"`: whoever is free first.
            `"round_robin"`: the workers in turn. `"least_loaded"`: who has least to do.
            Tasks with a key go by consistent hash whatever this says.
        backlog: how much may wait.
        retry: for tasks that do not say.
        timeout: seconds of one run, for tasks that do not say; None: no limit.
        deadline: seconds from submission to outcome, for tasks that do not say.
        poison_after: a task that has killed so many workers gets no other one.
        recycle: when workers are replaced in passing.
        sizing: when overflow workers come and go.
        restart: how long to wait before a worker that did not come up is tried again.
        start_failures_max: starts in a row without one that worked, before the pool
            says that it has failed.
        start_timeout: seconds that a worker has to come up.
        stop_timeout: seconds that a worker has to end in order before it is killed.
        prefetch_max: tasks that one worker may hold; the kind of worker decides.
        warm_spares: of a process pool: processes that are started ahead of need.
        result_bytes_max: of a process pool: what one result may hold; beyond, its
            task fails with `TransportError`.
        on_owner_death: what happens to a worker whose borrower has died:
            `"return"` (POOL-5) or `"replace"` (NPOOL-6).
    """

    size: int = 5
    max_overflow: int = 0
    strategy: Literal["lifo", "fifo"] = "lifo"
    router: Literal["any", "round_robin", "least_loaded"] = "any"
    backlog: Backlog = field(default_factory=Backlog)
    retry: Retry = field(default_factory=Retry)
    timeout: float | None = None
    deadline: float | None = None
    poison_after: int = 3
    recycle: Recycle = field(default_factory=Recycle)
    sizing: Sizing = field(default_factory=Sizing)
    restart: Backoff = field(default_factory=lambda: Backoff(min_seconds=0.1, max_seconds=30.0, jitter=0.1))
    start_failures_max: int = 5
    start_timeout: float = 60.0
    stop_timeout: float = 5.0
    prefetch_max: int = 1
    warm_spares: int = 1
    result_bytes_max: int = 256 * 1024 * 1024
    on_owner_death: Literal["return", "replace"] = "return"

    def __post_init__(self) -> None:
        """Validate the fields."""
        checked_whole("size", self.size, 1, 4096)
        checked_whole("max_overflow", self.max_overflow, 0, 4096)
        _choice("strategy", self.strategy, ("lifo", "fifo"))
        _choice("router", self.router, ("any", "round_robin", "least_loaded"))
        for name, kind in (
            ("backlog", Backlog),
            ("retry", Retry),
            ("recycle", Recycle),
            ("sizing", Sizing),
            ("restart", Backoff),
        ):
            if not isinstance(getattr(self, name), kind):
                raise InvalidTypeError(name, getattr(self, name), f"a {kind.__name__}")
        for name in ("timeout", "deadline"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, checked_seconds(name, getattr(self, name), above_zero=True))
        for name in ("start_timeout", "stop_timeout"):
            object.__setattr__(self, name, checked_seconds(name, getattr(self, name), above_zero=True))
        checked_whole("poison_after", self.poison_after, 1, 1_000_000)
        checked_whole("start_failures_max", self.start_failures_max, 1, 1_000_000)
        checked_whole("prefetch_max", self.prefetch_max, 1, 4096)
        checked_whole("warm_spares", self.warm_spares, 0, 64)
        checked_whole("result_bytes_max", self.result_bytes_max, 1, 1 << 31)
        _choice("on_owner_death", self.on_owner_death, ("return", "replace"))

    @property
    def has_plain_tasks(self) -> bool:
        """Tell whether a task without options of its own can be done without a decision."""
        return (
            self.router == "any"
            and self.timeout is None
            and self.deadline is None
            and self.recycle.tasks is None
            and not (self.retry.times and "error" in self.retry.on)
        )


def checked_whole(name: str, value: Any, lowest: int, highest: int) -> int:
    """Return a whole number in a range, or raise what names the field."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidTypeError(name, value, f"a whole number from {lowest} to {highest}")
    if not lowest <= value <= highest:
        raise InvalidArgumentError(name, value, f"{lowest} to {highest}")
    return value


def checked_number(name: str, value: Any, lowest: float, highest: float) -> float:
    """Return a finite number in a range as a float, or raise what names the field."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidTypeError(name, value, f"a number from {lowest:g} to {highest:g}")
    if not (math.isfinite(value) and lowest <= value <= highest):
        raise InvalidArgumentError(name, value, f"{lowest:g} to {highest:g}")
    return float(value)


SECONDS_MAX: Final = 100.0 * 366 * 86400


def checked_seconds(name: str, value: Any, *, above_zero: bool = False) -> float:
    """Return seconds, up to a hundred years, as a float, or raise what names the field."""
    seconds = checked_number(name, value, 0.0, SECONDS_MAX)
    if above_zero and not seconds:
        raise InvalidArgumentError(name, value, "seconds, more than 0")
    return seconds


def _choice(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InvalidArgumentError(name, value, ", ".join(repr(each) for each in allowed))
