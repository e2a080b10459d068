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
interpreter. Never do more threads look than there are cores, and with one core nobody does. If other programs
keep the other cores busy, the kernel puts both threads on one: who looks is pushed off it
by whom it waits for, which sleeping would have been quicker for. A thread that finds this looks once in
64 waits as well. And who has to wait for the interpreter after a pause, because somebody
computes, stops: its deadline is not to be missed by twelve such waits.
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
"""Seconds that looking takes, about, if nothing comes of it."""

LONGEST: Final = 2 * SPIN
"""Seconds after which a thread does not look again: another one computes, and each look waits for the interpreter."""

CROWD: Final = 1
"""Woken threads that a thread may look beside: the one whose reply it has just given."""

SKIPS_MAX: Final = 63
"""Waits in a row, at most, in which a thread does not look because it has done so in vain, or was in the way."""

UNWATCHED: Final = 7
"""Waits that end well between two in which a thread finds out, in a microsecond, whether it is in the way."""

PUSHED_MAX: Final = 3
"""Of those that it finds this out in, so many in a row in which it was are not by chance."""

_KEPT: Final = 5 * 1024
"""Bytes for whose checksum CPython keeps the GIL; for more it gives it up, and may have to wait for it afterwards."""

_BYTES: Final = (_KEPT + 1024, 256 * 1024)
"""Least and most that a checksum is made of."""


monotonic = SystemClock.monotonic

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

    __slots__ = ("_pushed", "_skip", "_skips", "_unwatched")

    _machine: _Machine | None = None  # of the process

    def __init__(self) -> None:
        self._skips = 0  # waits to let pass after the next failure
        self._skip = 0  # of these, the ones still to come
        self._unwatched = 0  # waits that end well before the next one that is watched
        self._pushed = 0  # watched ones in a row in which the thread was pushed off its core

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
            pushed = -1 if self._unwatched > 0 else _times_pushed()
            over = monotonic() + LONGEST
            for _ in range(LOOKS):
                crc32(zeros)
                if is_there():
                    self._skips = 0
                    if pushed < 0:
                        self._unwatched -= 1
                    else:
                        self._watched(_times_pushed() > pushed)
                    return True
                if len(roused) > CROWD:
                    return False
                if monotonic() > over:
                    break
        finally:
            seats += _SEAT
        self._skip = self._skips = min(2 * self._skips + 1, SKIPS_MAX)
        return False

    def _watched(self, was_pushed: bool) -> None:
        """Pause for a while if the thread it waited for has had to push this one off its core, and not only once."""
        if not was_pushed:
            self._pushed = 0
            self._unwatched = UNWATCHED
            return
        self._pushed += 1
        if self._pushed >= PUSHED_MAX:
            self._skip = self._skips = SKIPS_MAX

    @staticmethod
    def forget() -> None:
        """Start anew in a forked child, where the threads that looked do not exist."""
        Spinner._machine = None
        roused.clear()


_SEAT: Final = (None,)


try:
    from resource import RUSAGE_THREAD, getrusage
except ImportError:  # this system does not count it for each thread

    def _times_pushed() -> int:
        return 0
else:

    def _times_pushed() -> int:
        """Return how often this thread has had to leave its core because another one was to run there."""
        return getrusage(RUSAGE_THREAD).ru_nivcsw


def _size_of_pause() -> int:
    """Return how many zeros have their checksum computed in a pause."""
    least, most = _BYTES
    sample = bytes(_KEPT)
    best = 1.0
    for _ in range(32):  # the core may be taken away in some of them
        begun = monotonic()
        zlib.crc32(sample)
        best = min(best, monotonic() - begun)
    return min(max(int(len(sample) * PAUSE / max(best, 1e-9)), least), most)
