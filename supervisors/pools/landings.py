"""Where tasks of a `map()` land whose order does not matter, and where its reader waits for the next one."""

from __future__ import annotations

import queue
from collections import deque
from typing import Generic, Protocol, TypeVar, final

from supervisors.runtime.contract import Scheduler
from supervisors.runtime.futures import ScheduledFuture

__all__ = ["Landings", "SteppedLandings", "ThreadLandings"]

T = TypeVar("T")


class Landings(Protocol[T]):
    """A queue with many writers and one reader."""

    def add(self, item: T) -> None:
        """Put something in; any thread."""
        ...

    def take_nowait(self) -> T | None:
        """Return the first, or None."""
        ...

    def take(self) -> T:
        """Return the first, waiting for one if need be."""
        ...


@final
class ThreadLandings(Generic[T]):
    """Blocks the thread that reads."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[T] = queue.SimpleQueue()
        self.add = self._queue.put
        self.take = self._queue.get

    def take_nowait(self) -> T | None:
        """Return the first, or None."""
        try:
            return self._queue.get_nowait()
        except queue.Empty:
            return None


@final
class SteppedLandings(Generic[T]):
    """Lets virtual time go on while its reader waits.

    Args:
        scheduler: who runs everything; one thread at a time.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._items: deque[T] = deque()
        self._gate: ScheduledFuture[None] | None = None

    def add(self, item: T) -> None:
        """Put something in and wake the reader."""
        self._items.append(item)
        gate, self._gate = self._gate, None
        if gate is not None:
            gate.offer()

    def take_nowait(self) -> T | None:
        """Return the first, or None."""
        return self._items.popleft() if self._items else None

    def take(self) -> T:
        """Return the first, waiting for one if need be."""
        while not self._items:
            gate = self._gate = ScheduledFuture(self._scheduler)
            gate.settle(None)
        return self._items.popleft()
