"""Decides whether another worker helps the one that works.

With a GIL, two workers that compute are slower than one: what one of them does the
other cannot do meanwhile, and each lock that both want is a switch between threads. Two workers
of which one waits for a disk are twice as quick. A worker does not know which it is. So, while mailboxes
wait behind one that works, another worker is on *standby*: it sleeps a little, and looks.

* Was it late, then it had to wait for the interpreter: somebody computes, and help would hurt.
* Has no mailbox been taken since it looked last, then whoever works may be stuck, and help is needed.
* Else the interpreter was free, and help is good.

Who helps does so for a spell, then goes back on standby if others make headway without it: only the next
look tells whether that is still so. A spell becomes twice as long each time that help was good
at the first look, so that workers that wait for disks lose little by it.

Without a GIL every worker that has something to do does it.
"""

from __future__ import annotations

import _thread
from typing import TYPE_CHECKING, Final, final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FREE", "LOOK", "LOOK_MAX", "SPELL", "SPELL_MAX", "Standby"]

LOOK: Final = 0.002
"""Seconds until a worker on standby looks for the first time."""

LOOK_MAX: Final = 4 * LOOK
"""Seconds between two looks at most; they become rarer while help would hurt."""

FREE: Final = 0.001
"""Seconds by which who sleeps may be late though the interpreter is free; who computes keeps it for five times that."""

SPELL: Final = 0.005
"""Seconds that a worker helps for; twice as long as before where the first look has said so."""

SPELL_MAX: Final = 0.16
"""Seconds that a worker helps for at most, unless it is needed longer."""


@final
class Standby:
    """One worker's part in this: where it waits, and until when it helps.

    Args:
        monotonic: reads the clock, seconds.

    Attributes:
        gate: closed; opened to have the worker look whether it has been called. Guards nothing.

    Thread: the worker's own, but for the gate.
    """

    __slots__ = ("_helps_until", "_look", "_looks", "_monotonic", "_seen", "_spell", "_took", "gate")

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self.gate = _thread.allocate_lock()
        self.gate.acquire()
        self._took = 0  # how many mailboxes had been taken by all when this worker took its last one
        self._seen = 0  # the same, when it looked last
        self._look = LOOK
        self._looks = 0
        self._spell = SPELL
        self._helps_until = float("-inf")

    def opening(self) -> Callable[[], None]:
        """Return what opens the gate; whoever does so holds the roster's lock, so it is not opened twice."""
        return self.gate.release if self.gate.locked() else _is_open

    def took(self, taken: int) -> None:
        """Note that the worker has taken a mailbox: so many have been taken by all now."""
        self._took = taken

    def goes_on(self, taken: int) -> bool:
        """Tell whether a worker that is not alone goes on; False: others make headway without it.

        Args:
            taken: mailboxes that all have taken so far.
        """
        return taken == self._took or self._monotonic() < self._helps_until

    def begin(self, taken: int) -> None:
        """Note that the worker goes on standby, when so many mailboxes have been taken by all."""
        self._seen = taken
        self._look = LOOK
        self._looks = 0

    def sleep(self) -> float | None:
        """Wait for the next look; return by how many seconds that was late, None if the gate has been opened."""
        begun = self._monotonic()
        return None if self.gate.acquire(True, self._look) else self._monotonic() - begun - self._look

    def helps(self, late: float, taken: int) -> bool:
        """Look, and tell whether help is good: if so, it lasts for a spell.

        Args:
            late: what `sleep()` has returned.
            taken: mailboxes that all have taken so far.
        """
        self._looks += 1
        if late < FREE:
            self._spell = min(2 * self._spell, SPELL_MAX) if self._looks == 1 else SPELL
        else:
            self._spell = SPELL
            if taken != self._seen:
                self._seen = taken
                self._look = min(2 * self._look, LOOK_MAX)
                return False
        self._helps_until = self._monotonic() + self._spell
        return True


def _is_open() -> None:
    """Do nothing: the worker is on its way already."""
