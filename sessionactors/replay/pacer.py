"""Tie a log's time to the wall clock, so that a replay takes as long as the log did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from sessionactors import bounds

if TYPE_CHECKING:
    from supervisors.clock import Clock

__all__ = ["Pacer"]

WAIT_MAX: Final = 0.1
"""Seconds that a replay waits at a time: so exact are its timers, and so quick is its end."""


@final
class Pacer:
    """Says how long to wait for a moment of the log.

    Args:
        clock: real time.
        start: the log's first moment, seconds; it is now.
        speed: log seconds in one real second.
    """

    __slots__ = ("_begun", "_clock", "_speed", "_start")

    def __init__(self, clock: Clock, *, start: float, speed: float = 1.0) -> None:
        self._clock = clock
        self._start = start
        self._speed = bounds.number("speed", speed, most=1e9)
        self._begun = clock.monotonic()

    def now(self) -> float:
        """Return the log's time that it is by the wall clock."""
        return self._start + (self._clock.monotonic() - self._begun) * self._speed

    def wait_for(self, time: float) -> float:
        """Return real seconds to wait before asking again; 0 when `time` has come."""
        return min(max(0.0, (time - self.now()) / self._speed), WAIT_MAX)
