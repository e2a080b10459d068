"""No thread at all: mailboxes run on whichever thread settles or waits.

They run in the order in which they became ready, and a wait with nothing to run lets
virtual time jump to the next timer. It makes tests exact.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, final

from supervisors.errors import UsageError
from supervisors.runtime.fence import Fenced
from supervisors.runtime.nesting import refuse_held_up
from supervisors.runtime.turn import hand_over, thread_turn

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisors.runtime.cell import Cell
    from supervisors.runtime.futures import ScheduledFuture
    from supervisors.runtime.turn import Turn

__all__ = ["ManualScheduler"]


@final
class ManualScheduler:
    """Runs everything on the threads that settle or wait: no worker exists.

    A turn that waits lets others run on top of it, and goes on once those are through:
    it may be later than its outcome, or its deadline, by the time that they wait for
    something else. What could never come is refused at once (nesting.py).

    Args:
        next_timer: lets virtual time jump to the next timer, at most to the given
            deadline (None: any), and fires it; False when there is none.
        now: reads the virtual clock, seconds.
        jump: moves the virtual clock to a reading, firing what is due.

    Thread: one at a time.
    """

    is_threaded: ClassVar[bool] = False

    __slots__ = ("_jump", "_next_timer", "_now", "_ready", "enqueue")

    def __init__(
        self, next_timer: Callable[[float | None], bool], now: Callable[[], float], jump: Callable[[float], None]
    ) -> None:
        self._ready: deque[Cell] = deque()
        self.enqueue: Callable[[Cell], None] = self._ready.append
        self._next_timer = next_timer
        self._now = now
        self._jump = jump

    def submit(self, ref: Cell) -> None:
        """Take over a mailbox together with its ownership."""
        self._ready.append(ref)

    def kick(self) -> None:
        """Do nothing: who settles or waits will look."""

    def abandon(self, turn: Turn) -> None:
        """Do nothing: there is one thread, and whoever kills has it."""

    def before_await(self) -> None:
        """Run what is ready: nobody else will while asyncio waits."""
        self.settle()

    def settle(self) -> int:
        """Run until nothing is ready; return how many mailboxes were run."""
        count = 0
        turn = thread_turn.turn
        ready = self._ready
        while True:
            if turn.ready:
                hand_over(turn)
            if not ready:
                return count
            count += 1
            _run(ready.popleft())

    def wait(self, future: ScheduledFuture[Any], timeout: float | None) -> bool:
        """Run what is ready until the future is done; then let time jump."""
        deadline = None if timeout is None else self._now() + timeout
        turn = thread_turn.turn
        target = future.target
        if target is not None and turn.current is not None:
            # Whoever waits for it lies on this stack. Those before it in the queue may come
            # to wait for it as well, each on top of the one before.
            target.run_for(future)
            if not future.is_done() and self._withdraw(target):
                _run(target)
        while not future.is_done():
            if target is not None:
                target.run_for(future)
                if future.is_done():
                    return True
            if turn.ready:
                hand_over(turn)
            if self._ready:
                _run(self._ready.popleft())
                continue
            refuse_held_up(turn.current, future)
            if not self._next_timer(deadline):
                if deadline is None:
                    raise UsageError(
                        "waiting without end in virtual time, with nothing to run and no timer: "
                        "the reply can never come"
                    )
                self._jump(deadline)
                return future.is_done()
        return True

    def _withdraw(self, target: Cell) -> bool:
        """Take a mailbox out of those that are ready; return whether it was among them."""
        ready = self._ready
        if ready and ready[-1] is target:  # as nearly always: the ask itself has made it ready
            ready.pop()
            return True
        try:
            ready.remove(target)
        except ValueError:
            return False
        return True

    def __repr__(self) -> str:
        return f"<ManualScheduler {len(self._ready)} mailboxes ready>"


def _run(ref: Cell) -> None:
    """Run a mailbox on a thread that has other things to do as well."""
    with suppress(Fenced):  # it was killed; whoever lies below on this stack was not
        ref.run_owned()
