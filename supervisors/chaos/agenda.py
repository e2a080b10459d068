"""What is to be done at its time, by one thread: the next fault, a message held back, a process that goes on."""

from __future__ import annotations

import heapq
import threading
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisors.clock import Clock

__all__ = ["Agenda"]


@final
class Agenda:
    """Deeds with their moments.

    Args:
        clock: real time.

    Thread: any adds and closes; one runs.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._wake = threading.Condition()  # guards all below; no deed is done while it is held
        self._deeds: list[tuple[float, int, Callable[[], None], bool]] = []
        self._count = 0
        self._closed = False

    def at(self, moment: float, deed: Callable[[], None], *, undoes: bool = False) -> None:
        """Add a deed.

        Args:
            moment: clock seconds.
            deed: must not block.
            undoes: it is done in any case, at the latest when the agenda is closed.
        """
        with self._wake:
            self._count += 1
            heapq.heappush(self._deeds, (moment, self._count, deed, undoes))
            self._wake.notify()

    def close(self) -> None:
        """Have `run()` do what undoes something, leave out the rest, and return."""
        with self._wake:
            self._closed = True
            self._wake.notify()

    def run(self, after: Callable[[], None]) -> None:
        """Do deeds at their time until the agenda is closed, and something after each.

        Thread: the one that is for this.
        """
        while True:
            deed = self._next()
            if deed is None:
                return
            deed()
            after()

    def _next(self) -> Callable[[], None] | None:
        with self._wake:
            while True:
                if self._closed:
                    self._deeds = [each for each in self._deeds if each[3]]
                    heapq.heapify(self._deeds)
                    return heapq.heappop(self._deeds)[2] if self._deeds else None
                wait = None
                if self._deeds:
                    wait = self._deeds[0][0] - self._clock.monotonic()
                    if wait <= 0:
                        return heapq.heappop(self._deeds)[2]
                self._wake.wait(wait)
