"""Runs an actor system one step at a time, in an order that a schedule chooses.

**One at a time, each turn on a stack of its own.** A turn that waits for a reply must
let others run, also those that finish before it and those that ask somebody who
waits further down on the same stack. So turns that wait keep their stack on a thread,
and the *baton* goes to another one. Whoever has the baton runs; nobody else does.
Between two turns that do not wait, no thread is switched.

**What is chosen.** A unit is a mailbox with something in it, a turn whose reply has
come or whose time is up, or time itself when a timer is due. Only when no unit is
left does time go on, straight to the next moment at which something is due.

The program outside the actors is a unit as well: it runs until it waits.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import threading
import traceback
from contextlib import suppress
from threading import get_ident
from typing import TYPE_CHECKING, Any, ClassVar, Final, final

from supervisors.clock import VirtualClock
from supervisors.errors import InvalidArgumentError, UsageError
from supervisors.runtime.fence import Fenced
from supervisors.runtime.futures import ScheduledFuture
from supervisors.runtime.turn import thread_turn
from supervisors.simulation.disturbances import Disturbances
from supervisors.simulation.loop import SimulatedLoop
from supervisors.simulation.machine import SimulatedMachine
from supervisors.simulation.process_faults import ProcessFaults
from supervisors.simulation.refs import SimulatedBoundedRef, SimulatedRef
from supervisors.simulation.transcript import label_of
from supervisors.simulation.units import Carrier, Time, Waiter
from supervisors.simulation.verdict import ViolationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisors.runtime.cell import Cell
    from supervisors.runtime.ref import ActorRef
    from supervisors.runtime.turn import Turn
    from supervisors.simulation.faults import FaultPlan
    from supervisors.simulation.schedules import Schedule
    from supervisors.simulation.transcript import Transcript
    from supervisors.system import ActorSystem

__all__ = ["ForeignThreadError", "NoProgressError", "SimulatedScheduler"]

logger = logging.getLogger("supervisors.simulation")


INTERRUPT_POLL: Final = 0.05
"""Seconds after which a thread that waits for the baton looks whether there was a Ctrl-C."""


class NoProgressError(UsageError):
    """The program waits for what can never come, or the run has gone over its steps."""


class ForeignThreadError(UsageError):
    """A thread that the simulator does not know has sent something: the run cannot be repeated."""


@final
class SimulatedScheduler:
    """The scheduler of a simulated system; `ActorSystem(scheduler=...)` takes a function that makes it.

    Args:
        system: whose actors run.
        schedule: chooses who runs next.
        faults: the dice of this run.
        transcript: gets a line for each event.
        steps_max: more steps than this are taken for a run that never ends.
        spare: tells whether an actor is to be left alone by faults.

    Attributes:
        choices: what has been chosen whenever there was a choice.
        steps: units run so far.
        fired: timers and other moments that came.
        transcript: as given.
        is_firing: a timer's message is being sent.
        disturbances: perform the faults.
        running: the thread that has the baton.
        meets: is told the module of each actor class.
        sent, handled, ended: who wants to know of each event, for checkers.
    """

    is_threaded: ClassVar[bool] = False

    def __init__(
        self,
        system: ActorSystem,
        schedule: Schedule,
        faults: FaultPlan,
        transcript: Transcript,
        *,
        steps_max: int,
        spare: Callable[[ActorRef[Any]], bool],
    ) -> None:
        clock = system.clock
        assert isinstance(clock, VirtualClock)
        self._system = system
        self.clock = self._clock = clock
        self.entropy = system.entropy
        self._choose_index = schedule.choose
        self.transcript = transcript
        self._steps_max = steps_max
        self._ready: list[Any] = []
        self.enqueue: Callable[[Cell], None] = self._ready.append
        self._time = Time()
        self._alarms: list[tuple[float, int, Any]] = []  # heap of waits that end and of messages held back
        self._alarm_count = 0
        self._idle: list[Carrier] = []
        self._carriers: list[Carrier] = []
        self._parked: dict[Waiter, None] = {}
        self._main: Waiter | None = None
        self.is_firing = False
        self._is_looking = False
        self._interrupted = False
        self._closed = False
        self.foreign: str | None = None
        self.faults = faults
        self.disturbances = Disturbances(self, system, faults, spare)
        self.process_faults = ProcessFaults(self, faults, spare)
        self.machine = SimulatedMachine(self)
        self.choices: list[int] = []
        self.steps = 0
        self.fired = 0
        self.running = get_ident()
        self.sent: tuple[Callable[[ActorRef[Any], Any], None], ...] = ()
        self.handled: tuple[Callable[[ActorRef[Any], Any], None], ...] = ()
        self.ended: tuple[Callable[[ActorRef[Any], object], None], ...] = ()
        self.meets: Callable[[str], None] = _ignore
        self._violation: Exception | None = None
        self.found: ViolationError | None = None  # the first that the workload was told of
        self.after_step: Callable[[], None] | None = None

    # -- the runtime's contract --------------------------------------------

    def submit(self, ref: Cell) -> None:
        """Take over a mailbox together with its ownership."""
        self._ready.append(ref)

    def kick(self) -> None:
        """Do nothing: whoever has the baton will look."""

    def abandon(self, turn: Turn) -> None:
        """Do nothing: a fenced turn waits, and finds out when it goes on."""

    def before_await(self) -> None:
        """Run what is ready, if asyncio waits in real time: nobody else will."""
        if not isinstance(asyncio.get_running_loop(), SimulatedLoop):
            self.settle()

    def ref_class(self, *, bounded: bool) -> type[ActorRef[Any]]:
        """Return the class of the refs."""
        return SimulatedBoundedRef if bounded else SimulatedRef

    def wait(self, future: ScheduledFuture[Any], timeout: float | None) -> bool:
        """Let others run until the future is done or the time is up."""
        if future.is_done():
            return True
        self._check_thread("a wait")
        if self._is_looking:
            raise UsageError("an invariant looks at state; it cannot wait")
        waiter = Waiter(thread_turn.turn.current)

        def rouse() -> None:
            self._rouse(waiter)

        try:
            future.when_done(rouse)
            if timeout is not None:
                self._alarm(self._clock.monotonic() + timeout, waiter)
            self._park(waiter)
        except BaseException:
            # After a Ctrl-C nobody waits here any more, so nobody may be woken here.
            waiter.over = True
            if waiter in self._ready:
                self._ready.remove(waiter)
            raise
        finally:
            future.forget(rouse)
        return future.is_done()

    def settle(self) -> int:
        """Run until nothing is ready, without letting time pass; return how many steps that took."""
        before = self.steps
        if self._ready:
            waiter = self._outside("settle")
            waiter.is_idle_enough = True
            self._park(waiter)
        return self.steps - before

    def advance_to(self, reading: float) -> int:
        """Let time pass up to a reading of the clock; return how many moments came."""
        if reading < self._clock.monotonic():
            raise InvalidArgumentError("reading", reading, f"at least {self._clock.monotonic()}")
        before = self.fired
        waiter = self._outside("advance_to")
        waiter.limit = reading
        self._park(waiter)
        return self.fired - before

    # -- for the simulation ------------------------------------------------

    def sleep(self, seconds: float) -> None:
        """Let others run for so many virtual seconds."""
        self.wait(ScheduledFuture(), seconds)

    def note(self, who: str, what: str) -> None:
        """Write a line of the transcript."""
        self.transcript.add(self.steps, self._clock.monotonic(), who, what)

    def waiting(self) -> list[str]:
        """Return the names of the actors whose turns wait now."""
        return [label_of(ref) for ref in self.waiting_refs()]

    def waiting_refs(self) -> list[Cell]:
        """Return the actors whose turns wait now."""
        return [waiter.ref for waiter in self._parked if waiter.ref is not None]

    def later(self, seconds: float, do: Callable[[], None]) -> None:
        """Call a function in so many virtual seconds, or when the run calms down."""
        self._alarm(self._clock.monotonic() + seconds, do)

    def calm(self) -> None:
        """Let nothing go wrong from now on; what has been held back is delivered."""
        self.disturbances.calm()
        for _, _, what in sorted(self._alarms, key=lambda each: each[:2]):
            if not isinstance(what, Waiter):
                what()
        self._alarms = [each for each in self._alarms if isinstance(each[2], Waiter)]
        heapq.heapify(self._alarms)

    def close(self) -> None:
        """End all threads; turns that still wait are given up."""
        self._closed = True
        self.machine.close()
        for carrier in self._carriers:
            with suppress(RuntimeError):  # it is awake already
                carrier.gate.release()
        for waiter in list(self._parked):
            waiter.error = Fenced()
            self.running = -1  # whatever such a turn still tries to send is refused
            waiter.gate.release()
        for carrier in self._carriers:
            with suppress(RuntimeError):  # Ctrl-C has come before it was started
                carrier.thread.join()
        self.running = get_ident()

    def report(self, violation: Exception) -> None:
        """End the run after this step; for checkers, which must not raise into the runtime's own code."""
        if self._violation is None:
            self._violation = violation

    def refuse_thread(self, label: str) -> None:
        """Note and refuse what comes from a thread that the simulator does not know."""
        name = threading.current_thread().name
        where = "".join(traceback.format_stack()[:-2]).rstrip()
        if not self._closed:
            self.foreign = f"thread {name!r} has sent something to {label}:\n{where}"
        raise ForeignThreadError(f"thread {name!r} is not the simulator's; what it sends cannot be repeated")

    # -- the baton ---------------------------------------------------------

    def _outside(self, verb: str) -> Waiter:
        if thread_turn.turn.current is not None:
            raise UsageError(f"{verb}() is for the program outside; inside a turn, wait for a reply or a timer")
        self._check_thread(f"{verb}()")
        return Waiter(None)

    def _check_thread(self, what: str) -> None:
        if get_ident() != self.running:
            self.refuse_thread(what)

    def _park(self, waiter: Waiter) -> None:
        """Give the baton on, and come back when the waiter is chosen."""
        turn = thread_turn.turn
        if waiter.ref is None:
            self._main = waiter
        self._parked[waiter] = None
        # What happens from here on is not this turn's doing: not a timer, not a fault.
        current, turn.current = turn.current, None
        try:
            unit = self._choose()
            if unit is not waiter:
                offer = [unit]
                try:
                    self._hand_over(offer)
                    # Not without end: a signal that comes just before this thread goes to sleep
                    # does not wake it, and Python's handler runs only when it is awake.
                    while not waiter.gate.acquire(timeout=INTERRUPT_POLL):
                        continue
                except KeyboardInterrupt:
                    self._regain(offer, waiter)
                    raise
                finally:
                    self.running = get_ident()
        finally:
            turn.current = current
            self._parked.pop(waiter, None)
            waiter.over = True
            if waiter.ref is None:
                self._main = None
        if waiter.error is not None:
            raise waiter.error

    def _regain(self, offer: list[Any], waiter: Waiter) -> None:
        """Get the baton back after a Ctrl-C in the middle of handing it over.

        It can come up after any call: before somebody has been chosen to get the baton, when
        the unit has been offered and nobody woken, or when an actor has long been running.
        So it is all done once more: who has taken the unit finds nothing, and sleeps on. If
        nobody had the baton, everybody would wait for ever; if two had it, nothing would be
        in order.
        """
        self._interrupted = True
        while True:
            try:
                self._hand_over(offer)
                while not waiter.has_baton:
                    if waiter.gate.acquire(timeout=INTERRUPT_POLL):
                        break
            except KeyboardInterrupt:
                continue  # somebody is impatient
            break
        self._interrupted = False

    def _hand_over(self, offer: list[Any]) -> None:
        """Wake who goes on with the unit in a list, unless it has been taken out; may be repeated."""
        for unit in offer:
            if isinstance(unit, Waiter):
                unit.has_baton = True
                with suppress(RuntimeError):  # it was woken before
                    unit.gate.release()
                return
        if not offer:
            return
        if self._idle:
            carrier = self._idle.pop()
        else:
            carrier = Carrier(self._carry, len(self._carriers) + 1)
            self._carriers.append(carrier)
            carrier.thread.start()
        carrier.offer = offer
        carrier.gate.release()

    def _carry(self, carrier: Carrier) -> None:
        thread_turn.turn.worker = self
        while True:
            carrier.gate.acquire()
            if self._closed:
                return
            try:
                unit: Any = carrier.offer.pop()
            except IndexError:
                continue
            self.running = get_ident()
            while not isinstance(unit, Waiter):
                try:
                    unit.run_owned()
                except Fenced:
                    pass  # it was killed, or the run is over
                except BaseException:
                    logger.exception("a turn of %s ended in something that is no Exception", unit)
                if self._closed:
                    return
                unit = self._choose()
            self._idle.append(carrier)
            self._hand_over([unit])

    # -- choosing ----------------------------------------------------------

    def _choose(self) -> Any:
        """Return the unit that is next: a mailbox to run, or somebody who goes on."""
        try:
            return self._next()
        except BaseException as error:
            main = self._main
            if main is None:
                raise
            return self._back_to(main, error)

    def _next(self) -> Any:
        ready = self._ready
        clock = self._clock
        if self.after_step is not None:
            self._is_looking = True
            try:
                self.after_step()
            finally:
                self._is_looking = False
        while True:
            main = self._main
            if self._interrupted and main is not None:
                return self._back_to(main, None)
            if self._violation is not None:
                violation, self._violation = self._violation, None
                return self._back_to(main, violation)
            due = self._next_moment()
            is_due = due is not None and due <= clock.monotonic()
            if not ready and not is_due:
                if main is not None and main.is_idle_enough:
                    return self._back_to(main, None)
                if main is not None and main.limit is not None and (due is None or due > main.limit):
                    clock.move_to(max(main.limit, clock.monotonic()))
                    return self._back_to(main, None)
                if due is None:
                    return self._back_to(main, NoProgressError(self._stuck()))
                self._let_happen()
                continue
            self.steps += 1
            if self.steps > self._steps_max:
                return self._back_to(main, NoProgressError(f"the run has taken {self._steps_max} steps and goes on"))
            units = [*ready, self._time] if is_due else ready
            index = 0
            if len(units) > 1:
                index = self._choose_index(units)
                self.choices.append(index)
            if is_due and index == len(ready):
                self._let_happen()
                continue
            unit = ready.pop(index)
            if self.faults.active:
                self.disturbances.between_steps()
            return unit

    def _back_to(self, main: Waiter | None, error: BaseException | None) -> Waiter:
        assert main is not None, "the program outside always waits while actors run"
        main.error = error
        if self.found is None and isinstance(error, ViolationError):
            self.found = error
        main.over = True
        if main in self._ready:
            self._ready.remove(main)
        return main

    def _stuck(self) -> str:
        waiting = ", ".join(self.waiting()) or "no actor"
        return f"nothing is ready and no timer is due: what is waited for can never come; {waiting} waits as well"

    # -- time --------------------------------------------------------------

    def _next_moment(self) -> float | None:
        timer = self._system.timers.next_deadline()
        if self.machine.timers:
            timer = self.machine.first_timers(self._system.timers).next_deadline()
        alarms = self._alarms
        if not alarms:
            return timer
        while alarms and isinstance(alarms[0][2], Waiter) and alarms[0][2].over:
            heapq.heappop(alarms)
        if not alarms:
            return timer
        alarm = alarms[0][0]
        return alarm if timer is None or alarm < timer else timer

    def _let_happen(self) -> None:
        """Let the next moment come: fire one timer, or end one wait or one delay."""
        timers = self.machine.first_timers(self._system.timers)
        timer = timers.next_deadline()
        self.fired += 1
        if timer is not None and (not self._alarms or timer <= self._alarms[0][0]):
            self.is_firing = True
            try:
                timers.fire_next(None)
            finally:
                self.is_firing = False
            return
        moment, _, what = heapq.heappop(self._alarms)
        self._clock.move_to(max(moment, self._clock.monotonic()))
        if isinstance(what, Waiter):
            self._rouse(what)
        else:
            what()

    def _alarm(self, moment: float, what: Any) -> None:
        self._alarm_count += 1
        heapq.heappush(self._alarms, (moment, self._alarm_count, what))

    def _rouse(self, waiter: Waiter) -> None:
        if not waiter.over:
            waiter.over = True
            self._ready.append(waiter)


def _ignore(module: str) -> None:
    """Do nothing."""
