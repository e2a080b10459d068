"""What an operator asks about a pool: counters and histograms, kept by the engine (pure)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

__all__ = ["BUCKETS", "BUCKET_SECONDS_MIN", "SETTLE_MAX", "Histogram", "LaneView", "PoolStatistics", "Tally"]

BUCKETS: Final = 32
"""How many buckets a histogram has; each is twice as wide as the one before."""

SETTLE_MAX: Final = 4096
"""Durations that are kept as they are before they are counted."""

BUCKET_SECONDS_MIN: Final = 1e-6
"""Upper bound of the first bucket, seconds; that of the last but one is some 18 minutes."""


@final
class Histogram:
    """Durations, counted in buckets that double."""

    __slots__ = ("_counts", "_new", "add", "count", "highest", "total")

    def __init__(self) -> None:
        self._counts = [0] * BUCKETS
        self._new: list[float] = []
        # Counting many at once costs a fraction of counting each, and two are added for each task.
        self.add: Callable[[float], None] = self._new.append
        """Count one duration, seconds; 0 or more."""
        self.count = 0
        self.total = 0.0
        self.highest = 0.0

    def add_all(self, durations: list[float]) -> None:
        """Count many durations, seconds; 0 or more."""
        self._new.extend(durations)
        self.settle()

    def settle(self) -> None:
        """Count what was added since the last time; called now and then, and before anything is read."""
        new = self._new
        if not new:
            return
        counts, last = self._counts, BUCKETS - 1
        for seconds in new:
            # Microseconds, rounded down; the number of bits is the bucket.
            bucket = int(seconds * 1e6).bit_length()
            counts[min(last, bucket)] += 1
        self.count += len(new)
        self.total += sum(new)
        self.highest = max(self.highest, *new)
        new.clear()

    @property
    def counts(self) -> tuple[int, ...]:
        """How many durations each bucket holds."""
        self.settle()
        return tuple(self._counts)

    def quantile(self, share: float) -> float:
        """Return an upper bound, seconds, for that share of the durations; 0.0 without any."""
        self.settle()
        wanted = share * self.count
        seen = 0
        for bucket, count in enumerate(self._counts):
            seen += count
            if count and seen >= wanted:
                return min(BUCKET_SECONDS_MIN * (1 << bucket), self.highest)
        return 0.0

    @property
    def mean(self) -> float:
        """Seconds on average; 0.0 without any."""
        self.settle()
        return self.total / self.count if self.count else 0.0


@final
@dataclass(frozen=True, slots=True)
class LaneView:
    """What there is in the lane at a moment.

    Attributes:
        queued: tasks in line.
        running: tasks in the hands of workers.
        idle: workers with nothing to do.
        oldest_at: when the first in line was submitted, a reading of the clock; None: there is none.
    """

    queued: int
    running: int
    idle: int
    oldest_at: float | None


@final
class Tally:
    """Counters of one pool since its start; `PoolStatistics` says what each means."""

    __slots__ = (
        "cancelled",
        "died",
        "done",
        "expired",
        "failed",
        "killed",
        "lent",
        "pending",
        "poisoned",
        "pool_restarts",
        "recycled",
        "refused",
        "restarts",
        "retried",
        "returned",
        "runs",
        "shed",
        "start_failures",
        "started",
        "submitted",
        "waits",
    )

    def __init__(self) -> None:
        self.submitted = 0
        self.pending = 0
        self.done = 0
        self.failed = 0
        self.returned = 0
        self.refused = 0
        self.cancelled = 0
        self.expired = 0
        self.shed = 0
        self.poisoned = 0
        self.retried = 0
        self.started = 0
        self.start_failures = 0
        self.restarts = 0
        self.recycled = 0
        self.killed = 0
        self.died = 0
        self.lent = 0
        self.pool_restarts = 0
        self.waits = Histogram()
        self.runs = Histogram()


@final
@dataclass(frozen=True, slots=True)
class PoolStatistics:
    """A snapshot of a pool.

    At any moment `submitted = done + failed + returned + pending`.

    Attributes:
        state: `"running"`, `"failed"` (no worker comes up), `"stopping"` or `"ended"`.
        size: workers wanted.
        workers: workers there are, from their start to their end.
        starting: of these, not up yet.
        idle: of these, free.
        busy: of these, with a task.
        lent: of these, checked out.
        overflow: of these, beyond the size.
        queued: tasks that wait, those that wait for another attempt included.
        queued_bytes: what they hold, as far as known.
        running: tasks in the hands of workers.
        oldest_age: seconds that the oldest of those that wait has waited; 0.0 without any.
        checkouts_waiting: requests for a worker that stand in line.
        submitted: tasks taken in.
        pending: of these, without an outcome so far.
        done: of these, returned a value.
        failed: of these, ended in an error.
        returned: of these, given back at the end of the pool.
        refused: tasks not taken in.
        cancelled: of the failed, cancelled.
        expired: of the failed, out of time.
        shed: of the failed, gave way to others.
        poisoned: of the failed, had killed too many workers.
        retried: further attempts.
        started: workers started.
        start_failures: of these, did not come up.
        restarts: workers started in place of one that died or was killed.
        recycled: workers replaced though nothing was wrong.
        killed: workers ended for the sake of a task: its time was up, or it was cancelled.
        died: workers that ended by themselves.
        abandoned: threads of killed workers that are still at what they did.
        pool_restarts: times that the pool's actor was started anew.
        spares: processes that are ready to take the place of a worker.
        checkouts: workers lent.
        wait_mean: seconds that tasks waited before each run, on average.
        wait_p50: half of them waited no longer, seconds; within a factor of two.
        wait_p99: 99 of 100 waited no longer.
        run_mean: seconds that runs took, on average.
        run_p50: half of them took no longer, seconds; within a factor of two.
        run_p99: 99 of 100 took no longer.
        wait_histogram: counts; bucket n holds durations under 2**n microseconds.
        run_histogram: the same for runs.
    """

    state: str
    size: int
    workers: int
    starting: int
    idle: int
    busy: int
    lent: int
    overflow: int
    queued: int
    queued_bytes: int
    running: int
    oldest_age: float
    checkouts_waiting: int
    submitted: int
    pending: int
    done: int
    failed: int
    returned: int
    refused: int
    cancelled: int
    expired: int
    shed: int
    poisoned: int
    retried: int
    started: int
    start_failures: int
    restarts: int
    recycled: int
    killed: int
    died: int
    abandoned: int
    pool_restarts: int
    spares: int
    checkouts: int
    wait_mean: float
    wait_p50: float
    wait_p99: float
    run_mean: float
    run_p50: float
    run_p99: float
    wait_histogram: tuple[int, ...]
    run_histogram: tuple[int, ...]
