"""What a simulated machine has for threads: turns of actors that nobody else sees, and locks they can wait for.

A thread of the library (one that keeps processes, or runs an event loop) becomes an actor
of a hidden actor system, whose start is its work. So it is a unit like any other: the
schedule chooses when it goes on, and its waits take virtual time.

`PartScheduler` stands between a part of the simulated world (the threads of the machine, or all
that is in one process) and the one scheduler there is. It can hold that part still, as a signal
that stops a process does, and end it, as one that kills it does.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, ClassVar, Final, final

from supervisors.actor import Actor
from supervisors.entropy import Entropy
from supervisors.errors import IgnoreStart
from supervisors.runtime.fence import Fence, Fenced
from supervisors.runtime.futures import ScheduledFuture
from supervisors.runtime.turn import thread_turn
from supervisors.simulation.transcript import label_of
from supervisors.system import ActorSystem

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisors.runtime.cell import Cell
    from supervisors.runtime.ref import ActorRef
    from supervisors.runtime.turn import Turn
    from supervisors.simulation.scheduler import SimulatedScheduler

__all__ = ["PartScheduler", "SimulatedLock", "SimulatedSignals", "Thread", "ThreadHandle"]

NUMBERS: Final = 1_000_000
"""Actors of the parts of a world have numbers of their own: the first from here on, the next from twice as much."""


class Thread(Actor):
    """Does one piece of work, and is gone."""

    dispatch = "shared"

    def __init__(self, work: Callable[[], object], name: str) -> None:
        super().__init__()
        self._work = work
        self._name = name

    def on_start(self) -> None:
        """Do it."""
        ref = self.actor_ref
        # The last part says what it is for; what comes before may differ from run to run.
        what = self._name.rpartition("-")[2]
        self.system.scheduler.note(label_of(ref), "is a thread: " + what)  # type: ignore[union-attr]  # a part's
        self._work()
        raise IgnoreStart


@final
class ThreadHandle:
    """A thread, as whoever has started it holds it.

    Args:
        ref: the actor that it is.
    """

    __slots__ = ("_ref",)

    def __init__(self, ref: ActorRef[Thread]) -> None:
        self._ref = ref

    def join(self, timeout: float | None) -> bool:
        """Wait for its end in virtual time."""
        return self._ref.when_ended().settle(timeout)

    def is_current(self) -> bool:
        """Tell whether its turn runs now."""
        return thread_turn.turn.current is self._ref


@final
class PartScheduler:
    """The scheduler of everything in one part of a simulated world.

    Args:
        whole: the scheduler of the simulation.
        number: of the part, for the numbers of its actors.
        machine: that its actor systems live on.

    Attributes:
        end: set when the part has been ended; what waits there is given up.
    """

    is_threaded: ClassVar[bool] = False

    def __init__(self, whole: SimulatedScheduler, number: int, machine: Any) -> None:
        self._whole = whole
        self.machine = machine
        self.end: ScheduledFuture[None] = ScheduledFuture(whole)
        self._held: list[Cell] = []
        self._continued: ScheduledFuture[None] | None = None
        self._systems: list[ActorSystem] = []
        self._threads: ActorSystem | None = None
        self._numbers = NUMBERS * number
        self._entropy = Entropy(f"part {number}")
        self.enqueue: Callable[[Cell], None] = self.submit

    def __getattr__(self, name: str) -> Any:
        """Return what the whole has: its transcript, faults, watchers, who has the baton."""
        return getattr(self._whole, name)

    # -- the runtime's contract --------------------------------------------

    def submit(self, ref: Cell) -> None:
        """Take over a mailbox together with its ownership."""
        if self._continued is None:
            self._whole.submit(ref)
        else:
            self._held.append(ref)

    def kick(self) -> None:
        """Do nothing: whoever has the baton will look."""

    def abandon(self, turn: Turn) -> None:
        """Do nothing: a fenced turn waits, and finds out when it goes on."""

    def before_await(self) -> None:
        """Do as the whole does."""
        self._whole.before_await()

    def settle(self) -> int:
        """Do as the whole does; in a turn there is nothing to wait for, as others run when it waits."""
        return self._whole.settle() if thread_turn.turn.current is None else 0

    def advance_to(self, reading: float) -> int:
        """Do as the whole does."""
        return self._whole.advance_to(reading)

    def ref_class(self, *, bounded: bool) -> type[ActorRef[Any]]:
        """Return the class of the refs."""
        return self._whole.ref_class(bounded=bounded)

    def wait(self, future: ScheduledFuture[Any], timeout: float | None) -> bool:
        """Let others run until the future is done or the time is up; not at all once the part has ended."""
        if self.end.is_done():
            raise Fenced
        either: ScheduledFuture[None] = ScheduledFuture(self._whole)

        def rouse() -> None:
            either.offer()

        future.when_done(rouse)
        self.end.when_done(rouse)
        try:
            self._whole.wait(either, timeout)
            while self._continued is not None and not self.end.is_done():
                self._whole.wait(self._continued, None)
        finally:
            future.forget(rouse)
            self.end.forget(rouse)
        if self.end.is_done():
            raise Fenced
        return future.is_done()

    # -- for the machine ----------------------------------------------------

    def thread(self, work: Callable[[], object], name: str) -> ThreadHandle:
        """Start a thread."""
        threads = self._threads
        if threads is None:
            threads = self._threads = self.system(name="threads")
        # No turn's child: a thread is nobody's.
        return ThreadHandle(threads.spawn(Thread, (work, name), link=False, report=False))

    def system(self, **options: Any) -> ActorSystem:
        """Return an actor system that lives in this part."""
        made = ActorSystem(
            clock=self._whole.clock,
            entropy=Entropy(f"{self._entropy.seed} {len(self._systems)}"),
            scheduler=lambda _: self,
            **options,
        )
        made._number = self._numbers + 1000 * len(self._systems)  # noqa: SLF001 - so that labels tell them apart
        self._systems.append(made)
        self._whole.machine.timers.append(made.timers)
        return made

    def stop(self) -> None:
        """Hold everything still."""
        if self._continued is None:
            self._continued = ScheduledFuture(self._whole)

    def go_on(self) -> None:
        """Undo that."""
        continued, self._continued = self._continued, None
        if continued is not None:
            continued.offer()
        held, self._held = self._held, []
        for ref in held:
            self._whole.submit(ref)

    @property
    def is_held(self) -> bool:
        """Whether everything is held still."""
        return self._continued is not None

    def kill(self) -> None:
        """End everything, without running any more of its code."""
        if self.end.is_done():
            return
        turn = thread_turn.turn
        current, turn.current = turn.current, None  # whoever does this is not a part of it
        try:
            self.end.offer()
            self.go_on()
            for system in self._systems:
                if system.timers in self._whole.machine.timers:
                    self._whole.machine.timers.remove(system.timers)
                system.timers.stop()
                for ref in reversed(system.actors()):
                    ref.exit("kill")
                    fence = ref._actor  # noqa: SLF001 - as ActorRef.kill() does, also with the turn that runs here
                    if isinstance(fence, Fence):
                        ref._take_over(fence)  # noqa: SLF001 - likewise
        finally:
            turn.current = current


@final
class SimulatedLock:
    """A lock that may be held while its owner waits.

    Args:
        scheduler: lets others run meanwhile.
    """

    __slots__ = ("_is_held", "_scheduler", "_waiting")

    def __init__(self, scheduler: Any) -> None:
        self._scheduler = scheduler
        self._is_held = False
        self._waiting: deque[ScheduledFuture[None]] = deque()

    def acquire(self, *, timeout: float = -1) -> bool:
        """Take it, waiting so many virtual seconds at most (-1: no limit)."""
        if self._is_held:
            mine: ScheduledFuture[None] = ScheduledFuture(self._scheduler)
            self._waiting.append(mine)
            try:
                self._scheduler.wait(mine, None if timeout < 0 else timeout)
            except BaseException:
                if mine.is_done():
                    self.release()  # it was given to who is no more
                raise
            finally:
                if mine in self._waiting:
                    self._waiting.remove(mine)
            if not mine.is_done():
                return False
        self._is_held = True
        return True

    def release(self) -> None:
        """Give it back, to who has waited longest."""
        if self._waiting:
            self._waiting.popleft().offer()  # it stays held: nobody comes in between
        else:
            self._is_held = False


@final
class SimulatedSignals:
    """A condition variable whose lock nobody has to take: nobody runs between two waits.

    Args:
        scheduler: lets others run meanwhile.
        now: reads the virtual clock.
    """

    __slots__ = ("_now", "_scheduler", "_waiting")

    def __init__(self, scheduler: Any, now: Callable[[], float]) -> None:
        self._scheduler = scheduler
        self._now = now
        self._waiting: list[ScheduledFuture[None]] = []

    def __enter__(self) -> bool:
        return True

    def __exit__(self, *_error: object) -> None:
        return None

    def wait(self, timeout: float | None = None) -> bool:
        """Wait to be notified."""
        mine: ScheduledFuture[None] = ScheduledFuture(self._scheduler)
        self._waiting.append(mine)
        try:
            self._scheduler.wait(mine, timeout)
        finally:
            if mine in self._waiting:
                self._waiting.remove(mine)
        return mine.is_done()

    def wait_for(self, predicate: Callable[[], Any], timeout: float | None = None) -> Any:
        """Wait until something is true."""
        deadline = None if timeout is None else self._now() + timeout
        answer = predicate()
        while not answer:
            left = None if deadline is None else deadline - self._now()
            if left is not None and left <= 0:
                break
            self.wait(left)
            answer = predicate()
        return answer

    def notify_all(self) -> None:
        """Wake all who wait."""
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.offer()
