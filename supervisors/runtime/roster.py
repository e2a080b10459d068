"""Keeps count of the workers, and decides who of them runs mailboxes and who rests.

**How many.** A number of workers is kept runnable. One that waits for a reply is compensated
for by another one, up to a limit; when it wakes again, a surplus worker ends at its
next idle moment. One whose turn takes too long is as good as one that waits, until it comes back from
its mailbox: whether it sleeps or computes, nobody knows when that will be.

**Who waits for work.** One worker at a time waits at the queue. The others that have nothing to
do are parked, each at its gate; whoever finds nobody who runs mailboxes calls the one that was parked
last. So a mailbox wakes one thread at most, and none if the one at the queue still looks (spinning.py). A
parked worker is as good as one that has not been started, but that it costs a wake and no new thread.

**Who helps.** While mailboxes wait behind a worker that runs one, another one is on standby, which
looks from time to time whether help is good (standby.py). Without a GIL it always is.

**Why nothing is left lying.** Who puts a mailbox into the queue looks at the counts
afterwards; who changes a count looks at the queue afterwards. Both looks
and both changes of the queue are ordered by the queue's own lock, so at
least one of the two sees the other.
"""

from __future__ import annotations

import threading
from enum import Enum
from typing import TYPE_CHECKING, Final, Literal, final

from supervisors.runtime.standby import Standby

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisors.clock import Clock
    from supervisors.runtime.turn import Turn

__all__ = ["LINGER", "Place", "Roster"]

LINGER: Final = 1.0
"""Seconds that a surplus worker stays idle before it ends."""

_ONE: Final = (None,)


class Place(Enum):
    """Where a worker is that runs no mailbox."""

    QUEUE = "it takes the next mailbox"
    STANDBY = "it looks from time to time whether it should"
    PARKED = "it waits until it is called"


@final
class Roster:
    """The workers of one scheduler.

    Args:
        workers: threads to keep runnable.
        workers_max: threads at most, those that wait included.
        queued: how many mailboxes wait for a worker.
        clock: measures how long a worker rests.
        has_gil: whether two threads that compute hold each other up.

    Attributes:
        has_gil: see above.
        idle: workers at the queue, with nothing to do; without the lock a snapshot.
        is_stopping: no worker rests any more.

    Thread: every method is safe anywhere; each is one step for the others.
    """

    __slots__ = (
        "_abandoned",
        "_at_limit",
        "_beginning",
        "_clock",
        "_compensated",
        "_live",
        "_lock",
        "_members",
        "_parked",
        "_peak",
        "_queued",
        "_retired",
        "_standby",
        "_started",
        "_taken",
        "_waiting",
        "_workers",
        "_workers_max",
        "has_gil",
        "idle",
        "is_stopping",
    )

    def __init__(
        self, workers: int, workers_max: int, queued: Callable[[], int], clock: Clock, *, has_gil: bool
    ) -> None:
        self._workers = workers
        self._workers_max = workers_max
        self._queued = queued
        self._clock = clock
        self.has_gil = has_gil
        self._lock = threading.Lock()  # guards all below; nothing that could wait is called while it is held
        self._live = 0  # worker threads that have neither ended nor been abandoned
        # Of these, the ones that have begun, each with how many replies it waits for, one more while it is late.
        self._members: dict[Turn, int] = {}
        self._waiting = 0  # of these, the ones that wait for any
        self.idle = 0  # of these, the ones at the queue
        self._parked: list[Standby] = []  # of these, the ones that wait at their gates until they are called
        self._standby: Standby | None = None  # of these, the one that may help soon
        self._beginning = 0  # threads that have been started, and have not begun
        self._taken = 0  # mailboxes that workers have taken out of the queue
        self._peak = 0
        self._started = 0
        self._compensated = 0
        self._retired = 0
        self._at_limit = 0
        self._abandoned = 0
        self.is_stopping = False

    # -- for whoever has put something into the queue -----------------------------

    def is_short(self) -> bool:
        """Tell whether there is a worker too few for what waits, given that nobody is at the queue."""
        running = self._running()
        if running and self.has_gil:
            # Whoever runs gets to it. Somebody is to look whether that takes too long.
            return running < self._workers and self._standby is None and not self._beginning
        return running < self._workers

    def admit(self, counted: list[None]) -> tuple[Literal["enough", "grow", "limit", "stopped"], int]:
        """Call another worker, or decide whether one starts, and count it.

        Args:
            counted: gets an element when one has been counted, also if a signal handler raises then.
                The thread takes it out when it begins; whoever cannot start it takes it out and says so.

        Returns:
            What to do, and the number of the worker: "grow", start a thread; "stopped", run
            what waits on this one; "limit", say that there are as many as there may be.
        """
        with self._lock:
            if self.is_stopping:
                return "stopped", 0
            if not self.is_short():
                return "enough", 0
            if self._running() and self.has_gil:
                if self._parked:
                    self._put_on_standby()
                    return "enough", 0
                if self._live >= self._workers_max:
                    return "enough", 0
            elif self._parked or self._standby is not None:
                self._call()
                return "enough", 0
            elif self._live >= self._workers_max:
                self._at_limit += 1
                return ("limit" if self._at_limit == 1 else "enough"), 0
            self._started += 1
            self._compensated += self._waiting > 0
            self._live += 1
            self._beginning += 1
            counted += _ONE  # no call stands between the three: a signal handler could raise there (cell.py)
            self._peak = max(self._peak, self._live)
            return "grow", self._started

    def cannot_begin(self) -> bool:
        """Count out a thread that could not be started; tell whether there is any other."""
        with self._lock:
            self._live -= 1
            self._beginning -= 1
            if self._queued() and not self.idle and self.is_short() and self._parked:
                # Who put that in has counted on this thread.
                if self.has_gil and self._running():
                    self._put_on_standby()
                else:
                    self._call()
            return self._live > 0

    # -- for a worker -------------------------------------------------------------

    def begin(self, turn: Turn) -> None:
        """Note that a thread that was counted has begun."""
        with self._lock:
            self._beginning -= 1
            self._members[turn] = 0

    def place(self, turn: Turn, standby: Standby) -> tuple[Place, float | None] | None:
        """Put a worker that runs no mailbox where it belongs.

        Args:
            turn: this thread's.
            standby: this worker's.

        Returns:
            Where that is, and after how many seconds there it is retired if it is surplus by
            then; None: it ends, for all are told to stop and nothing is left.
        """
        with self._lock:
            if turn.is_late:
                self._is_back(turn)
            turn.is_late = None
            is_empty = self._queued() == 0
            if self.is_stopping:
                if is_empty:
                    return None
                self.idle += 1
                return Place.QUEUE, None
            # A surplus worker has compensated for somebody who is back. It lingers, because
            # whoever waits once often waits again, and a thread is not cheap.
            linger = LINGER if self._live - self._waiting > self._workers else None
            if standby is self._standby:
                return Place.STANDBY, linger
            while True:
                if self.has_gil and self._running() > 1 and not standby.goes_on(self._taken):
                    if not is_empty and self._standby is None:
                        self._standby = standby
                        return Place.STANDBY, linger
                elif not is_empty or not self.idle:
                    self.idle += 1
                    return Place.QUEUE, linger
                self._parked.append(standby)
                if self.idle or not self._queued() or not self.is_short():
                    return Place.PARKED, linger
                # Who has just put that in saw this worker running, and left it to it.
                del self._parked[-1]
                is_empty = False

    def took(self, turn: Turn, standby: Standby) -> bool:
        """Note that a worker leaves the queue with something; tell whether others are wanted there."""
        with self._lock:
            turn.is_late = False
            self.idle -= 1
            self._taken += 1
            standby.took(self._taken)
            return not self.idle and self.is_short()

    def waited_in_vain(self, turn: Turn) -> bool:
        """Note that a worker has lingered at the queue; False: it has been retired."""
        with self._lock:
            self.idle -= 1
            return self._queued() > 0 or not self._retires(turn)

    def is_called(self, turn: Turn, standby: Standby, linger: float | None) -> bool:
        """Be parked until called, or put on standby.

        Args:
            turn: this thread's.
            standby: this worker's.
            linger: seconds after which it is retired if it is surplus; None: no limit.

        Returns:
            False: it has been retired.
        """
        while True:
            is_open = standby.gate.acquire(True, -1 if linger is None else linger)
            with self._lock:
                if standby not in self._parked:
                    return True
                if not is_open:
                    if self._retires(turn):
                        self._parked.remove(standby)
                        return False
                    linger = None

    def stands_by(self, turn: Turn, standby: Standby, linger: float | None) -> bool:
        """Be on standby until called, or until help is good, or nothing waits any more.

        Args:
            turn: this thread's.
            standby: this worker's.
            linger: seconds after which it is retired if it is surplus; None: no limit.

        Returns:
            False: it has been retired.
        """
        begun = self._clock.monotonic()
        standby.begin(self._taken)
        while True:
            late = standby.sleep()
            with self._lock:
                if self._standby is not standby:
                    return True
                if late is None:
                    continue  # it was called at the end of an earlier rest, which it had noticed already
                if self._queued() == 0 or standby.helps(late, self._taken):
                    self._standby = None
                    return True
                if linger is not None and self._clock.monotonic() - begun >= linger and self._retires(turn):
                    self._standby = None
                    return False

    def begins_to_wait(self, turn: Turn) -> bool | None:
        """Note that a worker waits for a reply, or for another one.

        Returns:
            Whether it is the first one, so that it is to be compensated for; None: it has been abandoned.
        """
        with self._lock:
            others = self._members.get(turn)
            if others is None:
                return None
            self._members[turn] = others + 1
            self._waiting += not others
            return not others

    def has_waited(self, turn: Turn) -> None:
        """Note that a worker has one reply less to wait for."""
        with self._lock:
            self._is_back(turn)

    def is_late(self, turn: Turn) -> bool:
        """Note that a worker's turn takes too long: until it is back it counts as one that waits.

        Returns:
            False: it is back already, or is none of these workers. Whoever looks on from outside cannot know.
        """
        with self._lock:
            replies = self._members.get(turn)
            if replies is None or turn.is_late is not False or self.is_stopping:
                return False
            turn.is_late = True
            self._members[turn] = replies + 1
            self._waiting += not replies
            return True

    def leave(self, turn: Turn) -> bool:
        """Note that a worker ends; tell whether others are left."""
        with self._lock:
            self._count_out(turn)
            return self._live > 0

    # -- for the system -----------------------------------------------------------

    def abandon(self, turn: Turn) -> bool:
        """Count a worker out whose turn has been fenced; False: it does not count any more."""
        with self._lock:
            if turn not in self._members:
                return False
            turn.abandoned = True
            self._count_out(turn)
            self._abandoned += 1
            return True

    def stop(self) -> bool:
        """Let nobody rest any more; tell whether there is a worker."""
        with self._lock:
            self.is_stopping = True
            is_any = self._live > 0
            while self._parked or self._standby is not None:
                self._call()
            return is_any

    @property
    def live(self) -> int:
        """Worker threads that have neither ended nor been abandoned; a snapshot."""
        return self._live

    def statistics(self) -> dict[str, int]:
        """Return counts by name, as `ThreadScheduler.statistics()` has them."""
        with self._lock:
            return {
                "workers": self._live,
                "waiting": self._waiting,
                "idle": self.idle + len(self._parked) + (self._standby is not None),
                "queued": self._queued(),
                "peak": self._peak,
                "started": self._started,
                "compensated": self._compensated,
                "retired": self._retired,
                "at_limit": self._at_limit,
                "abandoned": self._abandoned,
            }

    # -- with the lock held -------------------------------------------------------

    def _running(self) -> int:
        """Count the workers that run mailboxes, or are about to look for one; without the lock a snapshot."""
        return self._live - self._waiting - len(self._parked) - (self._standby is not None)

    def _call(self) -> None:
        """Have the worker on standby, or else the one that was parked last, look for a mailbox."""
        # No call stands between taking it out and the one that opens its gate, or a signal handler could
        # raise there (cell.py), and nobody would ever open the gate.
        standby = self._standby
        if standby is not None:
            opens = standby.opening()
            self._standby = None
        else:
            opens = self._parked[-1].opening()
            del self._parked[-1]
        opens()

    def _put_on_standby(self) -> None:
        """Put the worker that was parked last on standby."""
        last = self._parked[-1]
        opens = last.opening()
        self._standby = last
        del self._parked[-1]
        opens()

    def _is_back(self, turn: Turn) -> None:
        """Count a worker as one that waits for one thing less."""
        replies = self._members.get(turn)
        if replies is not None:  # else it has been abandoned meanwhile
            self._members[turn] = replies - 1
            self._waiting -= replies == 1

    def _retires(self, turn: Turn) -> bool:
        """Count a worker out if it is surplus; tell whether it was."""
        if self._live - self._waiting <= self._workers:
            return False
        self._retired += 1
        return self._count_out(turn)  # here and not when it ends, or two would go for one too many

    def _count_out(self, turn: Turn) -> bool:
        """Count a worker out, once: it ends, or has been abandoned; tell whether it still counted."""
        replies = self._members.get(turn)
        if replies is None:
            return False
        # No call stands between these: a signal handler could raise there (cell.py).
        del self._members[turn]
        self._live -= 1
        self._waiting -= replies > 0
        return True
