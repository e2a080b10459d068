"""Tasks that wait: lines by priority, and the bound over all of them (pure).

A line is a queue for each priority that occurs. Taking a task out of the middle
only marks it (it is settled, for good); the mark is found when the task comes first.
Each task is skipped at most once, so all of this is O(1) amortised.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import final

from supervisors.pools.options import Backlog
from supervisors.pools.records import QUEUED, Task

__all__ = ["Line", "Room"]


@final
class Line:
    """Tasks in the order in which they are to run: by priority, then by age."""

    __slots__ = ("_buckets", "_highest", "count")

    def __init__(self) -> None:
        self._buckets: dict[int, deque[Task]] = {}
        self._highest: list[int] = []  # priorities in use, the highest last
        self.count = 0  # tasks that really wait here

    def push(self, task: Task) -> None:
        """Add a task behind those of its priority."""
        self._bucket(task.priority).append(task)
        task.line = self
        self.count += 1

    def push_first(self, task: Task) -> None:
        """Add a task in front of those of its priority: it has waited before."""
        self._bucket(task.priority).appendleft(task)
        task.line = self
        self.count += 1

    def taken_out(self) -> None:
        """Note that one of the tasks here is no longer queued."""
        self.count -= 1

    def head(self) -> Task | None:
        """Return the task whose turn it is, without taking it."""
        while self._highest:
            bucket = self._buckets[self._highest[-1]]
            while bucket:
                task = bucket[0]
                if task.state is QUEUED:
                    return task
                bucket.popleft()
            del self._buckets[self._highest.pop()]
        return None

    def pop_head(self) -> None:
        """Take what `head()` has just returned."""
        self._buckets[self._highest[-1]].popleft().line = None
        self.count -= 1

    def oldest(self) -> Task | None:
        """Return who has waited longest, of the first ones of each priority."""
        oldest: Task | None = None
        for bucket in self._buckets.values():
            for task in bucket:
                if task.state is QUEUED:
                    if oldest is None or task.queued_at < oldest.queued_at:
                        oldest = task
                    break
        return oldest

    def _bucket(self, priority: int) -> deque[Task]:
        bucket = self._buckets.get(priority)
        if bucket is None:
            bucket = self._buckets[priority] = deque()
            self._highest.append(priority)
            self._highest.sort()
        return bucket

    def __len__(self) -> int:
        return self.count


@final
class Room:
    """The bound over everything that waits, and who gives way when it is reached.

    Args:
        backlog: the settings.
    """

    __slots__ = ("_by_priority", "backlog", "size_bytes", "tasks")

    def __init__(self, backlog: Backlog) -> None:
        self.backlog = backlog
        self.size_bytes = 0
        self.tasks: OrderedDict[Task, None] = OrderedDict()  # the one that came in first is first
        # Only the policy that needs this index pays for it.
        self._by_priority: dict[int, OrderedDict[Task, None]] | None = (
            {} if backlog.policy == "shed_low_priority" else None
        )

    @property
    def count(self) -> int:
        """How many tasks wait."""
        return len(self.tasks)

    def has_room_for(self, task: Task) -> bool:
        """Tell whether one more fits in."""
        backlog = self.backlog
        return (backlog.count_max is None or len(self.tasks) < backlog.count_max) and (
            backlog.bytes_max is None or self.size_bytes + task.size_bytes <= backlog.bytes_max
        )

    def can_ever_hold(self, task: Task) -> bool:
        """Tell whether it fits into an empty backlog."""
        return self.backlog.bytes_max is None or task.size_bytes <= self.backlog.bytes_max

    def enter(self, task: Task) -> None:
        """Count a task in; one that has been taken in before is never refused."""
        task.is_counted = True
        self.tasks[task] = None
        self.size_bytes += task.size_bytes
        if self._by_priority is not None:
            self._by_priority.setdefault(task.priority, OrderedDict())[task] = None

    def leave(self, task: Task) -> None:
        """Count a task out."""
        task.is_counted = False
        del self.tasks[task]
        self.size_bytes -= task.size_bytes
        if self._by_priority is not None:
            group = self._by_priority[task.priority]
            del group[task]
            if not group:
                del self._by_priority[task.priority]

    def victims(self, newcomer: Task) -> list[Task] | None:
        """Return who has to give way so that the newcomer fits in; None: it cannot be made to fit."""
        if not self.can_ever_hold(newcomer):
            return None
        candidates: Iterator[Task]
        if self._by_priority is not None:
            candidates = self._lower_than(newcomer.priority)
        elif self.backlog.policy == "drop_oldest":
            candidates = iter(self.tasks)
        else:
            return None
        count, size_bytes = len(self.tasks), self.size_bytes
        chosen: list[Task] = []
        backlog = self.backlog
        while (backlog.count_max is not None and count >= backlog.count_max) or (
            backlog.bytes_max is not None and size_bytes + newcomer.size_bytes > backlog.bytes_max
        ):
            task = next(candidates, None)
            if task is None:
                return None
            chosen.append(task)
            count -= 1
            size_bytes -= task.size_bytes
        return chosen

    def _lower_than(self, priority: int) -> Iterator[Task]:
        groups = self._by_priority or {}
        for lower in sorted(groups):
            if lower < priority:
                yield from reversed(groups[lower])
