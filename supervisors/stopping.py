"""The end of an actor system: the other verb beside those that start actors.

Every step of it may be taken again. So who calls `stop()` while somebody else does, or after
a Ctrl-C in the middle of it, takes all of them, and finds done what has been done.
"""

from __future__ import annotations

import logging
import threading
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from supervisors.clock import Clock
from supervisors.errors import SystemStoppedError, UsageError
from supervisors.exits import SHUTDOWN
from supervisors.runtime.cell import INLINE
from supervisors.runtime.futures import ScheduledFuture
from supervisors.runtime.living import Living
from supervisors.runtime.manual_scheduler import ManualScheduler
from supervisors.runtime.ref import ActorRef
from supervisors.runtime.scheduler import ThreadScheduler
from supervisors.runtime.signals import ExitSignal, Watched
from supervisors.runtime.turn import thread_turn
from supervisors.runtime.watchdog import Watchdog
from supervisors.timers.service import TimerService, checked_delay

if TYPE_CHECKING:
    from supervisors.runtime.contract import SteppedScheduler

__all__ = ["ActorStopper"]

logger = logging.getLogger("supervisors.system")


class ActorStopper:
    """What ends a system; `ActorSystem` is the rest of it, and sets what is named here."""

    clock: Clock
    forked: bool
    living: Living
    scheduler: ThreadScheduler | ManualScheduler | SteppedScheduler
    shutdown_timeout: float
    timers: TimerService
    _lock: AbstractContextManager[Any]  # guards _stopping and _name_waits
    _name_waits: set[ScheduledFuture[ActorRef[Any]]]
    _stopping = False
    _is_over = False  # a stop() has come to its end
    _teller: threading.Thread | None = None  # the one that tells inline actors, at last
    _told: set[ActorRef[Any]]  # who has got the exit signal of a stop() that is not over
    _watchdog: Watchdog | None

    def stop(self, timeout: float | None = None) -> list[ActorRef[Any]]:
        """Stop all actors, the last started first, then timers and workers.

        Each gets the exit signal `"shutdown"`: first those without a parent, because
        a supervisor ends its own children, in its own order, and would restart them
        if somebody else did; then what is left. What still lives when the time is
        up is killed. For killing, and for threads that do not end, there is as much time
        again, at most one second; then they are left alone. What is in the middle of an inline
        actor's turn cannot be killed, and ends after it.

        While somebody else stops the system, or after a stop that a Ctrl-C has cut short, this
        goes on with it, in its own time. Once it is stopped, this does nothing.

        Args:
            timeout: seconds for all together; by default `shutdown_timeout`.

        Returns:
            The actors that had to be killed or abandoned; usually empty.

        Raises:
            UsageError: the turn of one of its actors calls this.

        Thread: any. In real time another one ends the inline actors, so that none of them
            can hold this one up; listeners for dead letters and crashes may run on this one.
        """
        budget = self.shutdown_timeout if timeout is None else checked_delay("timeout", timeout)
        if self.forked:
            return []  # its threads and actors live in the parent
        current = thread_turn.turn.current
        if current is not None and current.system is self:  # type: ignore[comparison-overlap]  # the whole system is one
            raise UsageError("an actor cannot wait for the end of its own system; stop it from outside")
        with self._lock:
            self._stopping = True
            waits = list(self._name_waits)
        if self._is_over:
            return []
        for future in waits:
            future.offer(error=SystemStoppedError())  # nobody comes up any more who could take the name
        monotonic = self.clock.monotonic
        deadline = monotonic() + budget
        self._end([ref for ref in reversed(self.living.all()) if ref.parent is None], deadline)
        late = self._end(list(reversed(self.living.all())), deadline)
        grace = min(1.0, budget)
        last = monotonic() + grace
        for ref in late:
            logger.warning("%s did not stop within %g seconds and is killed", ref, budget)
            ref.kill()
        self._wait_for(late, last)
        self.timers.stop(max(last - monotonic(), 0.0))
        if self._watchdog is not None:
            self._watchdog.stop(max(last - monotonic(), 0.0))
        if isinstance(self.scheduler, ThreadScheduler):
            self.scheduler.stop(max(last - monotonic(), 0.0))
        else:
            self.scheduler.settle()
        self._is_over = True
        self._told.clear()
        return late

    def _end(self, refs: list[ActorRef[Any]], deadline: float) -> list[ActorRef[Any]]:
        """Tell actors to end, in this order, and wait until the deadline (monotonic); return all that live then."""
        if not self._has_told(deadline):
            return self.living.all()
        if not isinstance(self.scheduler, ThreadScheduler) or INLINE not in {ref.dispatch for ref in refs}:
            self._tell(refs)
            return self._wait_for(refs, deadline)
        # An inline actor ends on the thread that tells it to.
        self._teller = threading.Thread(target=self._tell_there, args=(refs,), name="supervisors-stop", daemon=True)
        try:
            self._teller.start()
        except RuntimeError:
            self._tell(refs)  # the machine has no thread left
        return self._wait_for(refs, deadline) if self._has_told(deadline) else self.living.all()

    def _has_told(self, deadline: float) -> bool:
        """Wait until the deadline (monotonic) for the thread that tells actors; False if it is still at it."""
        teller = self._teller
        if teller is None or not teller.is_alive():
            return True
        teller.join(max(deadline - self.clock.monotonic(), 0.0))
        return not teller.is_alive()

    def _tell(self, refs: list[ActorRef[Any]]) -> None:
        for ref in refs:
            if ref not in self._told:
                ref.signal(ExitSignal(None, SHUTDOWN))  # the system's, whoever has called stop()
                self._told.add(ref)

    def _tell_there(self, refs: list[ActorRef[Any]]) -> None:
        for ref in refs:
            try:
                self._tell([ref])
            except BaseException:
                logger.exception("the end of %s ended in something that is no Exception", ref)

    def _wait_for(self, refs: list[ActorRef[Any]], deadline: float) -> list[ActorRef[Any]]:
        for ref in refs:
            if ref.is_alive():
                # Nobody's: an actor of another system may stop this one, and some of ours may wait for it. They
                # are no cycle, because this wait ends.
                end: ScheduledFuture[object] = ScheduledFuture(self.scheduler)
                ref.signal(Watched(end))
                end.settle(max(deadline - self.clock.monotonic(), 0.0))
        return self.living.all()
