"""How many sessions sleep, and what that saves."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import final

__all__ = ["HibernationLedger", "HibernationStatistics"]


@final
@dataclass(frozen=True, slots=True)
class HibernationStatistics:
    """What hibernation has come to.

    Attributes:
        asleep: sessions that sleep now.
        hibernated: how often one has fallen asleep.
        woken: how often one has been woken, for its end too.
        bytes_before: estimated bytes of those that sleep now, as they were awake, without
            what stays: refs, timers, and their entries in all tables.
        bytes_after: likewise, as they are.
        spilled: how many of them have most of it in the store.
    """

    asleep: int
    hibernated: int
    woken: int
    bytes_before: int
    bytes_after: int
    spilled: int = 0


@final
class HibernationLedger:
    """Counts who sleeps, and what that saves; one for all sessions.

    Thread: every method is safe anywhere.
    """

    __slots__ = ("_after", "_before", "_hibernated", "_lock", "_spilled", "_woken")

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards all below
        self._hibernated = self._woken = self._before = self._after = self._spilled = 0

    def fell_asleep(self, before: int, after: int) -> None:
        """Count one that sleeps, with its bytes awake and asleep."""
        with self._lock:
            self._hibernated += 1
            self._before += before
            self._after += after

    def spilled(self, count: int, size: int) -> None:
        """Count so many that have left memory, fewer than 0 for those that are back, with their bytes."""
        with self._lock:
            self._spilled += count
            self._after -= count * size

    def woke(self, before: int, after: int) -> None:
        """Count one that is awake again, with the same bytes."""
        with self._lock:
            self._woken += 1
            self._before -= before
            self._after -= after

    def statistics(self) -> HibernationStatistics:
        """Return the figures of one moment."""
        with self._lock:
            asleep = self._hibernated - self._woken
            return HibernationStatistics(
                asleep, self._hibernated, self._woken, self._before, self._after, self._spilled
            )
