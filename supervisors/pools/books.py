"""What one actor of a pool takes over from the one before it, which was killed or has crashed."""

from __future__ import annotations

from collections import deque
from typing import Final, final

from supervisors.pools.records import Task
from supervisors.pools.tally import Tally

__all__ = ["QUARANTINE_MAX", "Books"]

QUARANTINE_MAX: Final = 100
"""Poisonous tasks that are remembered, the last ones."""


@final
class Books:
    """The figures of a pool, and what else outlives its actor.

    Attributes:
        tally: the counters; so `submitted = done + failed + returned + pending` over all of them.
        quarantine: tasks that have killed too many workers.
        workers: the number of the last worker. No number is given twice, so word from
            a worker of a former actor is not taken for that of another one.
        orders: the number of the last task.
        size: workers wanted since the last resize; None: as the options say.
        max_overflow: further ones, likewise.
        is_stopping: the pool has been told to end, so no other actor takes over.
    """

    __slots__ = ("is_stopping", "max_overflow", "orders", "quarantine", "size", "tally", "workers")

    def __init__(self) -> None:
        self.tally = Tally()
        self.quarantine: deque[Task] = deque(maxlen=QUARANTINE_MAX)
        self.workers = 0
        self.orders = 0
        self.size: int | None = None
        self.max_overflow: int | None = None
        self.is_stopping = False
