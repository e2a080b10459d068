"""How much of a core somebody has used on average over the last so many seconds."""

from __future__ import annotations

from collections import deque
from typing import final

__all__ = ["CpuAverage"]


@final
class CpuAverage:
    """The share of one core over a window, from readings of a counter of CPU seconds.

    What was used is divided by the whole window, also when the first reading is
    younger than that: a start that is busy for a moment is not 100 percent.

    Args:
        window: seconds.
        now: monotonic seconds.
        seconds: what the counter shows now.
    """

    __slots__ = ("_readings", "_window")

    def __init__(self, window: float, now: float, seconds: float = 0.0) -> None:
        self._window = window
        self._readings: deque[tuple[float, float]] = deque(((now, seconds),))

    def add(self, now: float, seconds: float) -> float:
        """Take a reading of the counter; return the average in percent of one core."""
        readings = self._readings
        readings.append((now, seconds))
        oldest = now - self._window
        # The last reading before the window stays: what was used since then counts in part.
        while len(readings) > 2 and readings[1][0] <= oldest:
            readings.popleft()
        at, before = readings[0]
        if at < oldest:
            after_at, after = readings[1]
            before += (after - before) * (oldest - at) / (after_at - at)
        return max(0.0, 100.0 * (seconds - before) / self._window)

    def is_quiet(self) -> bool:
        """Tell whether all readings show the same, so that the average is zero until there is use again."""
        return self._readings[0][1] == self._readings[-1][1]

    def __repr__(self) -> str:
        return f"<CpuAverage over {self._window:g} s, {len(self._readings)} readings>"
