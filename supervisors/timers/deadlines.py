"""Which timers are due: buckets by the tick, and a heap for the nearest one (pure).

A timer falls into the bucket of its tick. Inserting appends to a list, so that
it costs the same with a million timers pending; only a new tick enters a heap.
When a bucket comes first it is made a heap of its own, *the front*, which also
takes timers that are armed for earlier. Who cancels a timer marks it and nothing more:
it is dropped when it is come upon, or by a sweep.

A signal handler may raise in the middle of anything here (cell.py says where). What changes in more than
one place changes without a call in between, so at worst a timer is here twice, and never lost.

Order: timers fire by deadline, those with equal deadlines in the order in which
they were armed.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Final, Generic, TypeVar, final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["SWEEP_MIN", "TICK", "CountedDeadlines", "Deadlines", "Entry"]

TICK: Final = 1 / 64
"""Width of a bucket, seconds: timers of one tick share a bucket, not a moment."""

SWEEP_MIN: Final = 1024
"""Fewer cancelled timers than this are not worth a sweep."""

E = TypeVar("E", bound="Entry")


class Entry:
    """One timer: when it is due, and whether it is pending. Subclasses say what for.

    It is its own entry in the queue, because a second object for each of a million
    timers would be felt.

    Args:
        deadline: when it is due, seconds.
    """

    __slots__ = ("deadline", "is_pending")

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.is_pending = False


class Deadlines(Generic[E]):
    """Timers by deadline, of which some may have been cancelled. Not safe for several threads: the owner locks.

    Args:
        tick: width of a bucket, seconds, above 0.

    Attributes:
        dropped: how many timers have been taken out, or were dropped because they were not pending any more;
            the owner counts from there.
    """

    __slots__ = ("_buckets", "_front", "_front_tick", "_order", "_ticks", "_ticks_per_second", "dropped")

    def __init__(self, tick: float = TICK) -> None:
        self._ticks_per_second = 1.0 / tick
        self._buckets: dict[int, list[E]] = {}
        self._ticks: list[int] = []  # heap; one entry a bucket
        self._front: list[tuple[float, int, E]] = []  # heap; all ticks up to _front_tick
        self._front_tick = -(1 << 62)
        self._order = 0
        self.dropped = 0

    def add(self, entry: E) -> None:
        """Add a timer that is pending."""
        deadline = entry.deadline
        tick = int(deadline * self._ticks_per_second)
        if tick <= self._front_tick:
            self._order = order = self._order + 1
            heapq.heappush(self._front, (deadline, order, entry))
        else:
            bucket = self._buckets.get(tick)
            if bucket is None:
                self._buckets[tick] = [entry]
                heapq.heappush(self._ticks, tick)
            else:
                bucket.append(entry)

    def next_deadline(self) -> float | None:
        """Return the earliest deadline, None when nothing is pending."""
        while True:
            front = self._front
            while front:
                deadline, _, entry = front[0]
                if entry.is_pending and entry.deadline == deadline:
                    return deadline
                self.drop_first()
            if not self._ticks:
                return None
            self._open()

    def due(self, now: float) -> E | None:
        """Return the first timer that is due at or before now, and leave it there; None if none is."""
        while True:
            front = self._front
            while front:
                deadline, _, entry = front[0]
                if entry.is_pending and entry.deadline == deadline:  # else it was here twice, and was armed again
                    return entry if deadline <= now else None
                self.drop_first()
            if not self._ticks or self._ticks[0] >= now * self._ticks_per_second + 1:
                return None  # not before its time: as the front a bucket takes three times the room
            self._open()

    def drop_first(self) -> None:
        """Take out what `due()` has returned."""
        heapq.heappop(self._front)
        self.dropped += 1

    def _open(self) -> None:
        """Make the first bucket the front, which is empty."""
        tick = self._ticks[0]
        bucket = self._buckets[tick]
        # A bucket is in the order in which its timers were armed, and all that is
        # armed for its tick from now on goes into the front: a number is needed there only.
        order = self._order
        front = [(e.deadline, number, e) for number, e in enumerate(bucket, order + 1) if e.is_pending]
        heapq.heapify(front)
        held, left = len(bucket), len(front)
        self._order = order + held
        self.dropped += held - left
        self._front = front
        self._front_tick = tick
        del self._buckets[tick]
        heapq.heappop(self._ticks)

    def pending(self) -> Iterator[E]:
        """Go through all pending timers, in no order; nothing may change meanwhile."""
        for _, _, entry in self._front:
            if entry.is_pending:
                yield entry
        for bucket in self._buckets.values():
            yield from (entry for entry in bucket if entry.is_pending)

    def sweep(self) -> None:
        """Drop all timers that are not pending any more, and the buckets that held nothing else."""
        front = [each for each in self._front if each[2].is_pending]
        heapq.heapify(front)
        dropped = len(self._front) - len(front)
        buckets = {}
        for tick, bucket in self._buckets.items():
            pending = [each for each in bucket if each.is_pending]
            if pending:
                buckets[tick] = pending
            dropped += len(bucket) - len(pending)
        ticks = list(buckets)
        heapq.heapify(ticks)
        self._front, self._buckets, self._ticks = front, buckets, ticks
        self.dropped += dropped


@final
class CountedDeadlines(Deadlines[E]):
    """Timers by deadline, for an owner that counts and sweeps nothing itself. Not safe for several threads."""

    __slots__ = ("_added", "_count")

    def __init__(self, tick: float = TICK) -> None:
        super().__init__(tick)
        self._added = 0
        self._count = 0

    def __len__(self) -> int:
        """Return how many timers are pending."""
        return self._count

    def add(self, entry: E) -> None:
        """Add a timer that is not pending."""
        entry.is_pending = True
        self._added += 1
        self._count += 1
        super().add(entry)

    def cancel(self, entry: E) -> bool:
        """Take a timer out; False when it has fired or was cancelled before."""
        if not entry.is_pending:
            return False
        entry.is_pending = False
        self._count -= 1
        if self._added - self.dropped - self._count > self._count + SWEEP_MIN:
            self.sweep()
        return True

    def pop_due(self, now: float) -> E | None:
        """Take out the first timer that is due at or before now; None if none is."""
        entry = self.due(now)
        if entry is not None:
            entry.is_pending = False
            self._count -= 1
            self.drop_first()
        return entry
