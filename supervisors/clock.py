"""The only module that reads the time.

Durations and deadlines are float seconds on a monotonic clock (TIMER-5); the
wall clock (UTC seconds since 1970) only labels records that people read. CPU time
is a thread's own and runs only while that thread does.

Source: decision 4; TIMER-5 for what is monotonic.
"""

from __future__ import annotations

import math
import threading
import time
from typing import Protocol, final, runtime_checkable

from supervisors.errors import InvalidArgumentError

__all__ = ["Clock", "SettableClock", "SystemClock", "VirtualClock", "process_seconds", "thread_seconds"]

process_seconds = time.process_time
"""Return the CPU seconds that all threads of this process have used."""

thread_seconds = time.thread_time
"""Return the CPU seconds that the running thread has used; the function itself, as a wrapper would cost as much."""


@runtime_checkable
class Clock(Protocol):
    """What the runtime needs to know about time."""

    def monotonic(self) -> float:
        """Return seconds that never go back; the zero point means nothing."""
        ...

    def time(self) -> float:
        """Return seconds since 1970-01-01 UTC; may jump."""
        ...


@final
class SystemClock:
    """The clocks of the operating system."""

    __slots__ = ()

    # The functions themselves: a method around each would cost more than they do.
    monotonic = staticmethod(time.monotonic)
    time = staticmethod(time.time)

    def __repr__(self) -> str:
        return "<SystemClock>"


@final
class SettableClock:
    """The clocks of the operating system, with a wall reading that can be set for this program alone.

    For experiments: what does a program do when somebody sets the clock of the machine? See
    `supervisors.chaos`, whose `clock_jump` needs it.

    Thread: any.
    """

    __slots__ = ("_lock", "_offset")

    monotonic = staticmethod(time.monotonic)

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards the read-then-write of what sets it
        self._offset = 0.0

    def time(self) -> float:
        """Return the wall reading, seconds since 1970 UTC."""
        return time.time() + self._offset

    def jump_wall(self, seconds: float) -> None:
        """Move the wall clock, as somebody who sets it does; the monotonic one stays.

        Args:
            seconds: forward, or back if negative.
        """
        if not math.isfinite(seconds):
            raise InvalidArgumentError("seconds", seconds, "a finite number of seconds")
        with self._lock:
            self._offset += seconds

    def __repr__(self) -> str:
        return f"<SettableClock, {self._offset:+.6f} s>"


@final
class VirtualClock:
    """Time that passes only when told to; both clocks move together.

    `ActorSystem.advance()` moves it and fires what becomes due on the way. Use
    `move_to()` yourself only for a clock that no system has.

    Args:
        monotonic: the first reading, seconds.
        wall: the first wall reading, seconds since 1970 UTC.

    Thread: reading is safe anywhere; one thread moves it.
    """

    __slots__ = ("_lock", "_monotonic", "_offset")

    def __init__(self, monotonic: float = 0.0, wall: float = 0.0) -> None:
        self._lock = threading.Lock()  # guards the check-then-set of what moves it
        self._monotonic = float(monotonic)
        self._offset = float(wall) - float(monotonic)

    def monotonic(self) -> float:
        """Return the monotonic reading, seconds."""
        return self._monotonic

    def time(self) -> float:
        """Return the wall reading, seconds since 1970 UTC."""
        return self._monotonic + self._offset

    def move_to(self, monotonic: float) -> None:
        """Set the monotonic reading, seconds; going back is refused.

        Raises:
            InvalidArgumentError: the reading lies in the past or is no number.
        """
        with self._lock:
            if not monotonic >= self._monotonic:  # NaN compares false as well
                raise InvalidArgumentError("monotonic", monotonic, f"at least {self._monotonic}")
            self._monotonic = monotonic

    def jump_wall(self, seconds: float) -> None:
        """Move the wall clock alone, as somebody who sets it does.

        Args:
            seconds: forward, or back if negative.
        """
        if not math.isfinite(seconds):
            raise InvalidArgumentError("seconds", seconds, "a finite number of seconds")
        with self._lock:
            self._offset += seconds

    def __repr__(self) -> str:
        return f"<VirtualClock at {self._monotonic:.6f} s>"
