"""Look a few times before going to sleep: what is waited for is often nearly there.

The kernel takes 20 to 40 us to wake a thread that sleeps on another core, and an ask of a
shared actor needs two such wakes; everything else in it is a few microseconds. So a thread
that has to wait looks a few times first.

**Without the interpreter.** A thread that looks in a Python loop keeps the GIL from the one that
it waits for. Between two looks this one computes the checksum of some zeros, for
which CPython gives the GIL up, and which takes about as long as a short turn. Sleeping for so short a time
does not work: the kernel rounds it up to 50 us and more.

**Not for long.** All looks together take about as long as one sleep and its wake would, so
the worst case is twice the best. Source: A. Karlin, M. Manasse, L. McGeoch, S. Owicki,
"Competitive randomized algorithms for nonuniform problems" (1994), section 1.

**Not in vain.** Who has looked in vain sleeps at once the next time, and after each further
failure twice as many times: a thread that waits for slow things looks once in 64 waits.

**Not in the way.** Nobody looks while several threads that have been woken wait for the
interpreter. Never do more threads look than there are cores, and with one core nobody does.
"""

from __future__ import annotations

import os
import zlib
from typing import TYPE_CHECKING, Final, final

from supervisors.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SPIN", "Spinner", "roused"]

PAUSE: Final = 10e-6
"""Seconds between two looks, about: a look takes the interpreter, and delays a turn that is not through."""

LOOKS: Final = 12
"""Looks before a thread goes to sleep: together as long as the other side needs to be woken."""

SPIN: Final = PAUSE * LOOKS
"""Seconds that looking takes at most, about."""

CROWD: Final = 1
"""Woken threads that a thread may look beside: the one whose reply it has just given."""

SKIPS_MAX: Final = 63
"""Waits in a row, at most, in which a thread does not look because it has done so in vain."""

_BYTES: Final = (6 * 1024, 256 * 1024)
"""Least and most that a checksum is made of; CPython keeps the GIL for up to 5 KiB."""


roused: Final[set[object]] = set()
"""The gates of threads that have been woken and do not run yet (gates.py); of the whole process, as the GIL is."""


class _Machine:
    """How many threads may look, and what a pause is here; measured when first needed.

    Two threads that measure at the same time both keep a good result.
    """

    __slots__ = ("seats", "zeros")

    def __init__(self) -> None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        # A thread that looks takes one out, and puts it back: both are one step of the interpreter.
        self.seats: list[None] = [None] * cores if cores > 1 else []
        self.zeros = bytes(_size_of_pause())


@final
class Spinner:
    """Decides whether one thread looks before it sleeps, and looks.

    Thread: the one that waits.
    """

    __slots__ = ("_skip", "_skips")

    _machine: _Machine | None = None  # of the process

    def __init__(self) -> None:
        self._skips = 0  # waits to let pass after the next failure
        self._skip = 0  # of these, the ones still to come

    def spin(self, is_there: Callable[[], object]) -> bool:
        """Look for what is waited for, a few times at most; return whether it is there.

        Args:
            is_there: looks; quick, and must not block.
        """
        if is_there():
            return True
        if self._skip:
            self._skip -= 1
            return False
        machine = Spinner._machine
        if machine is None:
            machine = Spinner._machine = _Machine()
        if len(roused) > CROWD:
            return False
        seats = machine.seats
        zeros = machine.zeros
        crc32 = zlib.crc32
        try:
            del seats[0]
        except IndexError:
            return False
        # No call stands between the `del` and the `try`: a signal handler could raise there (cell.py).
        try:
            for _ in range(LOOKS):
                crc32(zeros)
                if is_there():
                    self._skips = 0
                    return True
                if len(roused) > CROWD:
                    return False
        finally:
            seats += _SEAT
        self._skip = self._skips = min(2 * self._skips + 1, SKIPS_MAX)
        return False

    @staticmethod
    def forget() -> None:
        """Start anew in a forked child, where the threads that looked do not exist."""
        Spinner._machine = None
        roused.clear()


_SEAT: Final = (None,)


def _size_of_pause() -> int:
    """Return how many zeros have their checksum computed in a pause."""
    least, most = _BYTES
    sample = bytes(32 * 1024)
    monotonic = SystemClock.monotonic
    best = 1.0
    # The best of many: behind most of them another thread has the interpreter, and this one waits for it.
    for _ in range(32):
        begun = monotonic()
        zlib.crc32(sample)
        best = min(best, monotonic() - begun)
    return min(max(int(len(sample) * PAUSE / max(best, 1e-9)), least), most)
