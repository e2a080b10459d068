"""Which timers are due: buckets by the tick, and a heap for the nearest one (pure).

A timer falls into the bucket of its tick. Inserting appends to a list, so that
it costs the same with a million timers pending; only a new tick enters a heap.
When a bucket comes first it is made a heap of its own, *the front*, which also
takes timers that are armed for earlier. Cancelling marks the timer and lets go of
what it holds; once more timers are cancelled than pending, all cancelled ones are
swept out, so they do not pile up, and each has paid for its own broom.

Order: timers fire by deadline, those with equal deadlines in the order in which
they were armed.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Final, Generic, TypeVar, final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["TICK", "Deadlines", "Entry"]

TICK: Final = 1 / 64
"""Width of a bucket, seconds: timers of one tick share a bucket, not a moment."""

_SWEEP_MIN: Final = 1024
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


@final
class Deadlines(Generic[E]):
    """Pending timers by deadline. Not safe for several threads: the owner locks.

    Args:
        tick: width of a bucket, seconds, above 0.
    """

    __slots__ = ("_buckets", "_count", "_front", "_front_tick", "_order", "_stale", "_ticks", "_ticks_per_second")

    def __init__(self, tick: float = TICK) -> None:
        self._ticks_per_second = 1.0 / tick
        self._buckets: dict[int, list[E]] = {}
        self._ticks: list[int] = []  # heap; one entry a bucket
        self._front: list[tuple[float, int, E]] = []  # heap; all ticks up to _front_tick
        self._front_tick = -(1 << 62)
        self._stale = 0  # cancelled entries still in a bucket or in the front
        self._order = 0
        self._count = 0

    def __len__(self) -> int:
        """Return how many timers are pending."""
        return self._count

    def add(self, entry: E) -> None:
        """Add a timer that is not pending."""
        deadline = entry.deadline
        entry.is_pending = True
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
        self._count += 1

    def cancel(self, entry: E) -> bool:
        """Take a timer out; False when it has fired or was cancelled before."""
        if not entry.is_pending:
            return False
        entry.is_pending = False
        self._count -= 1
        self._stale += 1
        if self._stale > self._count + _SWEEP_MIN:
            self._sweep()
        return True

    def next_deadline(self) -> float | None:
        """Return the earliest deadline, None when nothing is pending."""
        front = self._front
        while True:
            while front:
                if front[0][2].is_pending:
                    return front[0][0]
                heapq.heappop(front)
                self._stale -= 1
            if not self._ticks:
                return None
            self._open()

    def pop_due(self, now: float) -> E | None:
        """Take out the first timer that is due at or before now; None if none is."""
        front = self._front
        while not front or not front[0][2].is_pending:
            if front:
                heapq.heappop(front)
                self._stale -= 1
            elif not self._ticks or self._ticks[0] >= now * self._ticks_per_second + 1:
                return None  # not before its time: as the front a bucket takes three times the room
            else:
                self._open()
        if front[0][0] > now:
            return None
        entry = heapq.heappop(front)[2]
        entry.is_pending = False
        self._count -= 1
        return entry

    def _open(self) -> None:
        """Make the first bucket the front, which is empty."""
        front = self._front
        self._front_tick = tick = heapq.heappop(self._ticks)
        bucket = self._buckets.pop(tick)
        # A bucket is in the order in which its timers were armed, and all that is
        # armed for its tick from now on goes into the front: a number is needed there only.
        order = self._order
        front.extend((e.deadline, number, e) for number, e in enumerate(bucket, order + 1) if e.is_pending)
        self._order = order + len(bucket)
        self._stale -= len(bucket) - len(front)
        heapq.heapify(front)

    def pending(self) -> Iterator[E]:
        """Go through all pending timers, in no order; nothing may change meanwhile."""
        for _, _, entry in self._front:
            if entry.is_pending:
                yield entry
        for bucket in self._buckets.values():
            yield from (entry for entry in bucket if entry.is_pending)

    def _sweep(self) -> None:
        """Drop all cancelled timers, and the buckets that held nothing else."""
        self._front[:] = [each for each in self._front if each[2].is_pending]
        heapq.heapify(self._front)
        kept = {}
        for tick, bucket in self._buckets.items():
            pending = [each for each in bucket if each.is_pending]
            if pending:
                kept[tick] = pending
        self._buckets = kept
        self._ticks = list(kept)
        heapq.heapify(self._ticks)
        self._stale = 0
