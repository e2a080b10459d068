"""How long a worker stays with one actor while others wait, for a worker or for the interpreter.

**For a worker.** A bounded number of messages a turn is no bound on time: sixty-four messages of
half a millisecond are 32 ms, and whoever is behind them in the queue waits as long. So a worker
takes messages in small helpings, looks at the clock between them, and leaves an actor after
`SLICE` seconds if another mailbox waits. The first helping is one message, and one that
was quick is followed by one four times as large, which may then take a slice: of quick messages a
whole quantum costs five looks, and a mailbox with one message in it costs none.

**For the interpreter.** A thread that has been woken because its reply is there needs the GIL, and a
worker that goes on with the next message keeps it for the 5 ms of the switch interval,
or twice that if two workers are at it. Threads in that state are in `roused`, and a
worker with more to do steps back for `STEP_BACK` seconds, once in a slice at most. Nobody steps back
for nobody, and a worker with nothing to do blocks anyway. Without a GIL nobody has to.
"""

from __future__ import annotations

import _thread
from typing import TYPE_CHECKING, Final, final

from supervisors.runtime.spinning import roused
from supervisors.runtime.turn import QUANTUM_MESSAGES

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SLICE", "Pace"]

SLICE: Final = 0.001
"""Seconds that an actor has a worker to itself while others wait; the message in hand is always finished."""

QUICK: Final = SLICE / 4
"""Seconds that a helping may take if the next one is to be larger, by as much as this is shorter than a slice."""

STEP_BACK: Final = 50e-6
"""Seconds that a worker is off the interpreter at least: a sleeping thread on another core needs so long to come up."""


@final
class Pace:
    """Decides between messages, and between mailboxes, whether a worker goes on.

    Args:
        others: how many mailboxes wait for a worker.
        monotonic: reads the clock, seconds.
        has_gil: whether a thread that has been woken has to wait for the interpreter.

    Thread: one worker's own; it runs one mailbox at a time.
    """

    __slots__ = (
        "_begun",
        "_handled",
        "_has_gil",
        "_helping",
        "_last",
        "_monotonic",
        "_never",
        "_others",
        "_seen",
        "_stepped_back",
    )

    def __init__(self, others: Callable[[], int], monotonic: Callable[[], float], *, has_gil: bool) -> None:
        self._others = others
        self._monotonic = monotonic
        self._helping = 1
        self._handled = 0
        self._begun = 0.0
        self._last = 0.0
        self._stepped_back = monotonic()
        self._seen: object = None  # whom it has stepped back for last
        self._has_gil = has_gil
        self._never = _thread.allocate_lock()  # guards nothing: to be waited for in vain
        self._never.acquire()

    def begin(self) -> int:
        """Return the first helping of a mailbox, messages."""
        self._helping = 1
        self._handled = 0
        return 1

    def more(self) -> int:
        """Return the next helping, messages; 0: it is another mailbox's turn.

        The first message is not timed: most mailboxes hold no other.
        """
        handled = self._handled = self._handled + self._helping
        now = self._monotonic()
        if handled == 1:
            self._begun = self._last = now
            return 1
        if (handled >= QUANTUM_MESSAGES or now - self._begun >= SLICE) and self._others():
            return 0
        if handled >= QUANTUM_MESSAGES:
            handled = self._handled = 1  # the next quantum: to queue up behind nobody would only change the thread
        if now - self._last < QUICK:
            self._helping *= 4
        self._helping = min(self._helping, QUANTUM_MESSAGES - handled)
        if roused:
            self.step_back()
        self._last = now
        return self._helping

    def step_back(self) -> None:
        """Let a thread that has its reply run, if this worker has not done so just before."""
        if not self._has_gil or self._monotonic() - self._stepped_back < SLICE:
            return
        try:
            one = next(iter(roused))
        except (StopIteration, RuntimeError):
            return  # it runs already
        if one is self._seen:
            roused.discard(one)  # it has had its chances
        self._seen = one
        self._never.acquire(timeout=STEP_BACK)
        self._stepped_back = self._monotonic()
