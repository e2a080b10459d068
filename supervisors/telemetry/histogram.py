"""Counts of durations in buckets, for threads that must not wait for each other."""

from __future__ import annotations

import threading
import weakref
from bisect import bisect_left
from typing import Any, Final, final

__all__ = ["BOUNDS", "Durations", "ThreadRow", "count"]

BOUNDS: Final = (1e-5, 2.5e-5, 1e-4, 2.5e-4, 1e-3, 2.5e-3, 1e-2, 2.5e-2, 0.1, 0.25, 1.0, 2.5, 10.0)
"""Upper bounds of the buckets, seconds; one more has what took longer."""


@final
class Durations:
    """Counts: a row for each thread, into which only that thread writes, so nothing is lost.

    The last place of a row has the seconds of all.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards the next two
        self._rows: list[tuple[weakref.ref[threading.Thread], list[Any]]] = []
        self._ended = _row()

    def add_row(self) -> list[Any]:
        """Return a new row for the running thread."""
        row = _row()
        with self._lock:
            self._rows.append((weakref.ref(threading.current_thread()), row))
        return row

    def sums(self) -> list[Any]:
        """Return the sums over all threads; what threads that have ended counted is kept in one row."""
        with self._lock:
            living = []
            for thread, row in self._rows:
                found = thread()
                if found is not None and found.is_alive():
                    living.append((thread, row))
                else:
                    self._ended = [one + other for one, other in zip(self._ended, row, strict=True)]
            self._rows = living
            return [sum(each) for each in zip(self._ended, *(row for _, row in living), strict=True)]

    def total(self) -> int:
        """Return how many durations were counted."""
        return int(sum(self.sums()[:-1]))

    def buckets(self) -> tuple[list[tuple[str, float]], float]:
        """Return, for Prometheus, how many were at most as long as each bound, and the seconds of all."""
        *counts, seconds = self.sums()
        so_far = 0
        found: list[tuple[str, float]] = []
        for bound, number in zip((*map(str, BOUNDS), "+Inf"), counts, strict=True):
            so_far += number
            found.append((bound, so_far))
        return found, seconds


class ThreadRow(threading.local):
    """The row of the thread that looks; made at its first look, with the same argument each time."""

    def __init__(self, durations: Durations) -> None:
        self.row = durations.add_row()


def count(here: ThreadRow, seconds: float) -> None:
    """Count one duration."""
    row = here.row
    row[bisect_left(BOUNDS, seconds)] += 1
    row[-1] += seconds


def _row() -> list[Any]:
    return [*([0] * (len(BOUNDS) + 1)), 0.0]
