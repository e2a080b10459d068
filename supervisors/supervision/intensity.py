"""Restart intensity: how many restarts in how short a time are too many.

Time comes in as an argument. Cost per restart is O(1) amortised, whatever the
number of children; at most `max_restarts` + 1 entries are kept.
"""

from __future__ import annotations

from collections import deque
from typing import final

__all__ = ["RestartWindow"]


@final
class RestartWindow:
    """The restart history of one supervisor (SUP-21 to SUP-23)."""

    __slots__ = ("_times", "max_restarts", "max_seconds")

    def __init__(self, max_restarts: int, max_seconds: float) -> None:
        self.max_restarts = max_restarts
        self.max_seconds = max_seconds
        self._times: deque[float] = deque()

    def __len__(self) -> int:
        """Return the number of entries, of which some may have become too old."""
        return len(self._times)

    def __repr__(self) -> str:
        return f"<RestartWindow {len(self._times)} of {self.max_restarts} in {self.max_seconds} s>"

    def admit(self, now: float) -> bool:
        """Enter a restart attempt; False when it is one too many, and the supervisor gives up.

        OTP counts in whole seconds, so it may drop an entry up to a second earlier
        or later than the period; here the period is exact, which is within what
        SUP-22 allows: an entry counts while it is at most `max_seconds` old.

        Args:
            now: monotonic time, seconds, not before that of an earlier call.
        """
        times = self._times
        times.append(now)
        oldest = now - self.max_seconds
        while times[0] < oldest:
            times.popleft()
        return len(times) <= self.max_restarts
