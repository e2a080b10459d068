"""A figure that is dear to read is read only so often that reading it takes a hundredth of the time.

What takes a few milliseconds is read each time; a walk over a hundred thousand takes more.
Whoever scrapes once in fifteen seconds gets what is so now. Whoever scrapes each second,
or with a million actors alive, gets what was so a moment ago, and the system has its time
for its work.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, Generic, TypeVar, final

__all__ = ["AGE_MAX", "Rested"]

T = TypeVar("T")

_SHARE: Final = 0.01
_QUICK: Final = 0.01

AGE_MAX: Final = 10.0
"""Seconds after which a figure is read again, however long that takes."""


@final
class Rested(Generic[T]):
    """Remembers what was read, for a hundred times as long as reading it took if that was over ten milliseconds.

    Args:
        read: reads it now.
        now: the clock, monotonic seconds. On a virtual one reading takes no time, so it is always read;
            when one goes back, it is read again.

    Thread: `get()` is safe anywhere; of several at once one reads.
    """

    __slots__ = ("_ended", "_lock", "_now", "_read", "_until", "_value")

    def __init__(self, read: Callable[[], T], now: Callable[[], float]) -> None:
        self._read = read
        self._now = now
        self._lock = threading.Lock()  # guards the three below, and is held while it is read
        self._value: tuple[T] | None = None
        self._ended = self._until = 0.0

    def get(self) -> T:
        """Return it as it is, or was a moment ago; what `read` raises is raised, and read again next time."""
        with self._lock:
            began = self._now()
            if self._value is not None and self._ended <= began < self._until:
                return self._value[0]
            self._value = None
            value = self._read()
            ended = self._ended = self._now()
            self._value = (value,)
            took = ended - began
            self._until = ended + (min(took / _SHARE, AGE_MAX) if took > _QUICK else 0.0)
            return value
