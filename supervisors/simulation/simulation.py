"""Runs a program of actors under one seed, and judges it."""

from __future__ import annotations

import asyncio
import inspect
import logging
from threading import get_ident
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar, final

from supervisors.actor import Actor
from supervisors.clock import VirtualClock
from supervisors.entropy import Entropy
from supervisors.errors import InvalidArgumentError, InvalidTypeError, UsageError
from supervisors.exits import SHUTDOWN
from supervisors.runtime.futures import ScheduledFuture
from supervisors.runtime.turn import thread_turn
from supervisors.simulation.checkers import STOCK_CHECKERS
from supervisors.simulation.faults import FAULT_KINDS, FaultPlan
from supervisors.simulation.options import SimulationOptions
from supervisors.simulation.outside import OutsideWatch
from supervisors.simulation.scheduler import NoProgressError, SimulatedScheduler
from supervisors.simulation.schedules import Replay
from supervisors.simulation.standins import StandIns
from supervisors.simulation.threads import Thread
from supervisors.simulation.transcript import Transcript
from supervisors.simulation.verdict import Outcome, Recipe, Verdict, ViolationError
from supervisors.system import ActorSystem
from supervisors.timers.service import checked_delay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

    from supervisors.simulation.checkers import Checker
    from supervisors.simulation.schedules import Schedule
    from supervisors.simulation.verdict import Part

__all__ = ["CLIENT", "OUTSIDE", "Client", "Simulation"]

T = TypeVar("T")

CLIENT: Final = "clients"
"""The name of the parts that `Simulation.client()` makes."""

OUTSIDE: Final = "outside"
"""Who finds that a program has touched a real clock, `random` or a thread."""

SHUTDOWN_SECONDS = 600.0
"""Virtual seconds that actors have to end in when they are asked to."""


class Client(Actor):
    """Runs functions as somebody who uses the system: beside others, waiting as it likes.

    A coroutine function runs in an event loop of its own.
    """

    def on_receive(self, message: Any) -> Any:
        """Call the function with its arguments; its answer is the reply."""
        function, arguments = message
        return _awaited(function(*arguments))


@final
class Simulation:
    """One run of a program on virtual time, everything in it drawn from a seed.

    While it runs, the log of `supervisors` keeps silent below critical: crashes are
    what a simulation is for.

    Args:
        seed: any whole number.
        options: everything that the seed does not decide.
        schedule: chooses who runs next, instead of what the options draw.
        repeat: repeats what an outcome has recorded instead of drawing.
        without: parts of the workload that are left out, see `parts()`; those of `repeat` as well.
        luck: another number draws another order and other faults for the same workload.
        checkers: what judges the run, besides the invariants and conditions given later.

    Attributes:
        seed: as given.
        options: as given.
        system: the actor system, alive inside the ``with`` block.
        entropy: the run's source of randomness, for the workload as well.

    Example:
        >>> from supervisors.actor import Actor
        >>> class Counter(Actor):
        ...     count = 0
        ...     def on_receive(self, message):
        ...         self.count += message
        ...         return self.count
        >>> def count_to_three(simulation):
        ...     counter = simulation.system.start(Counter)
        ...     answers = [simulation.client(counter.ask, 1) for _ in range(3)]
        ...     assert sorted(answer.get() for answer in answers) == [1, 2, 3]
        >>> with Simulation(7) as simulation:
        ...     simulation.run(count_to_three).verdict
        'ok'

    Thread: the one that enters it; see `supervisors.simulation.scheduler`.
    """

    def __init__(
        self,
        seed: int,
        options: SimulationOptions | None = None,
        *,
        schedule: Schedule | None = None,
        repeat: Recipe | None = None,
        without: Iterable[Part] = (),
        luck: int = 0,
        checkers: Iterable[Callable[[], Checker]] = STOCK_CHECKERS,
    ) -> None:
        if isinstance(seed, bool) or not isinstance(seed, int):
            raise InvalidTypeError("seed", seed, "a whole number")
        self.seed = seed
        self.options = options = options if options is not None else SimulationOptions()
        self.entropy = entropy = Entropy(seed)
        self._transcript = Transcript(keep=options.keep_transcript)
        self._schedule = schedule
        if repeat is not None:
            self._schedule = Replay(dict(repeat.deviations))
        elif schedule is None:
            self._schedule = options.make_schedule(entropy, luck)
        chances = options.faults
        assert isinstance(chances, dict)
        self._faults = FaultPlan(entropy, chances, options.arming, None if repeat is None else repeat.faults, luck)
        self._without = frozenset(without) | frozenset(() if repeat is None else repeat.left_out())
        self._parts: dict[Part, None] = {}
        self._client_count = 0
        self._checkers = [make() for make in checkers]
        self._invariants: list[tuple[str, Callable[[], object]]] = []
        self._eventually: list[tuple[str, Callable[[], object], float]] = []
        self._state = "new"
        self._scheduler: SimulatedScheduler
        self.system: ActorSystem

    def __enter__(self) -> Self:
        if self._state != "new":
            raise UsageError("a simulation is entered once; make another one for another run")
        self._state = "entered"
        self._log = logging.getLogger("supervisors")
        self._log_level = self._log.level
        self._log.setLevel(logging.CRITICAL)
        self.system = ActorSystem(
            clock=VirtualClock(),
            entropy=self.entropy,
            ask_timeout=self.options.ask_timeout,
            shutdown_timeout=SHUTDOWN_SECONDS,
            scheduler=self._make_scheduler,
        )
        for checker in self._checkers:
            checker.attach(self.system, self._scheduler)
        self._watch = OutsideWatch(
            lambda: self._state == "running" and get_ident() == self._scheduler.running,
            lambda what: self._scheduler.note("outside", what),
        )
        if self.options.watch_outside:
            self._watch.begin()
            self._scheduler.meets = self._watch.look_at
        self._stand_ins = StandIns(
            lambda: self._state != "entered" and get_ident() == self._scheduler.running,
            self._scheduler,
            self.system,
            self._watch.saw,
        )
        self._stand_ins.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._state = "over"
        self._scheduler.running = get_ident()  # a Ctrl-C may have come just before it was noted
        try:
            self._scheduler.after_step = None
            self._scheduler.calm()
            self.system.stop()
        except (NoProgressError, ViolationError):
            pass  # the outcome has said so
        finally:
            self._scheduler.close()
            self._stand_ins.end()
            self._watch.end()
            self._log.setLevel(self._log_level)

    # -- for the workload --------------------------------------------------

    def client(self, function: Callable[..., Any], *arguments: Any) -> ScheduledFuture[Any]:
        """Call a function beside everything else, as a user of the system would.

        It may ask, wait and start actors; a coroutine function may await. Faults leave it alone.
        A failure is shown without the clients that it does not need, where the workload is
        well without them: their futures are of None.

        Returns:
            A future of what it returns or raises.
        """
        self._scheduler.meets(getattr(function, "__module__", None) or "")
        # By the program outside, they are called in an order that no schedule changes.
        if thread_turn.turn.current is None:
            self._client_count = number = self._client_count + 1
            if not self._takes_part((CLIENT, number - 1)):
                absent: ScheduledFuture[Any] = ScheduledFuture(self._scheduler)
                absent.set(None)
                return absent
        future: ScheduledFuture[Any] = self.system.start(Client).ask((function, arguments), block=False)
        return future

    def parts(self, name: str, items: Iterable[T]) -> list[T]:
        """Return the items, but for those that a smaller run of a failure leaves out.

        Whatever the workload can do without, as long as it demands nothing that needs all
        of them: actors that it starts, rounds that a client makes.

        Args:
            name: what they are, once in a run; in the plural, as in "workers".
            items: as many as in every run of this seed.
        """
        if not isinstance(name, str):
            raise InvalidTypeError("name", name, "text")
        if name == CLIENT or (name, 0) in self._parts:
            raise InvalidArgumentError("name", name, "a name that no parts of this run have")
        return [item for place, item in enumerate(items) if self._takes_part((name, place))]

    def sleep(self, seconds: float) -> None:
        """Let so many virtual seconds pass, for the workload or the client that calls this."""
        self._scheduler.sleep(checked_delay("seconds", seconds))

    def note(self, what: str) -> None:
        """Write a line of the workload's own into the transcript."""
        self._scheduler.note("workload", what)

    def recover(self) -> None:
        """Let nothing go wrong from here on, and give everything the time of `SimulationOptions.calm` to recover.

        For a workload that looks at its result itself; otherwise it is done after it.
        """
        self._scheduler.note("simulation", "recovers")
        self._scheduler.calm()
        self.system.advance(self.options.calm)

    def strikes(self, kind: str) -> float | None:
        """Throw the die of a fault kind at a point of the workload's own, such as a simulated disk.

        Args:
            kind: of `FAULT_KINDS`; those at the points `store` and `fsync` fire only here.

        Returns:
            None: it does not fire. Otherwise a number from 0 to below 1 that belongs to
            this fault, for how long, how much or whom.
        """
        if kind not in FAULT_KINDS:
            raise InvalidArgumentError("kind", kind, ", ".join(FAULT_KINDS))
        if not self._faults.fires(kind):
            return None
        self._scheduler.note("workload", f"FAULT {kind}")
        return self._faults.draw(kind)

    def invariant(self, name: str, holds: Callable[[], object]) -> None:
        """Demand that something holds after every step.

        Args:
            name: of the condition, for the verdict.
            holds: returns something true, or raises `AssertionError`. It looks at
                state; it cannot wait.
        """
        self._invariants.append((name, holds))
        self._scheduler.after_step = self._check_invariants

    def check(self, checker: Checker) -> None:
        """Have a checker watch from here on, and look at rest and at the end, after the stock ones.

        Raises:
            UsageError: the simulation has not been entered, or is over.
            InvalidTypeError: this is no checker.
        """
        for name in ("attach", "at_rest", "at_end"):
            if not callable(getattr(checker, name, None)):
                raise InvalidTypeError("checker", checker, "an object with attach(), at_rest() and at_end()")
        if self._state not in ("entered", "running"):
            raise UsageError("a checker is added inside the with block of its simulation")
        checker.attach(self.system, self._scheduler)
        self._checkers.append(checker)

    def eventually(self, name: str, holds: Callable[[], object], *, within: float = 60.0) -> None:
        """Demand that something comes true once faults are over.

        Args:
            name: of the condition, for the verdict.
            holds: returns something true in the end.
            within: virtual seconds after the workload and the calm.
        """
        self._eventually.append((name, holds, checked_delay("within", within)))

    def _takes_part(self, part: Part) -> bool:
        self._parts[part] = None
        return part not in self._without

    # -- running -----------------------------------------------------------

    def run(self, workload: Callable[[Simulation], object]) -> Outcome:
        """Run a workload, let the system calm down, judge it, stop it, and judge what is left.

        Args:
            workload: gets this simulation, a function or a coroutine function; what it raises is a failure: *wrong
                result* for an `AssertionError`, *crash* for anything else.

        Raises:
            UsageError: it has run before, or outside of its `with` block.
        """
        if self._state != "entered":
            raise UsageError("run() works once, inside the with block of its simulation")
        self._state = "running"
        self._scheduler.meets(getattr(workload, "__module__", ""))
        verdict: Verdict = "ok"
        by = what = ""
        try:
            _awaited(workload(self))
            self._judge()
        except ViolationError as error:
            verdict, by, what = error.verdict, error.by, str(error)
        except NoProgressError as error:
            verdict, by, what = "no progress", type(error).__name__, str(error)
        except AssertionError as error:
            verdict, by, what = "wrong result", "assertion", f"assertion: {error}"
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the verdict
            verdict, by, what = "crash", type(error).__name__, f"{type(error).__name__}: {error}"
        found = self._scheduler.found
        if verdict == "ok" and found is not None:  # the workload has suppressed it
            verdict, by, what = found.verdict, found.by, str(found)
        if self._scheduler.foreign is not None:
            verdict, by, what = "crash", "ForeignThreadError", self._scheduler.foreign
        elif self._watch.touched is not None:
            verdict, by, what = "crash", OUTSIDE, f"this run cannot be repeated: {self._watch.touched}"
        self._scheduler.note("simulation", f"verdict {verdict}" + (f" by {by}" if by else ""))
        choices = self._scheduler.choices
        return Outcome(
            seed=self.seed,
            verdict=verdict,
            by=by,
            what=what,
            steps=self._scheduler.steps,
            virtual_seconds=self.system.clock.monotonic(),
            transcript_hash=self._transcript.hash(),
            transcript=self._transcript.text(),
            recipe=Recipe.of(
                ((number, choice) for number, choice in enumerate(choices) if choice),
                self._faults.fired,
                (part for part in self._parts if part in self._without),
            ),
            parts=tuple(part for part in self._parts if part not in self._without),
        )

    def _make_scheduler(self, system: ActorSystem) -> SimulatedScheduler:
        assert self._schedule is not None
        self._scheduler = SimulatedScheduler(
            system,
            self._schedule,
            self._faults,
            self._transcript,
            steps_max=self.options.steps_max,
            spare=lambda ref: ref.actor_class is Thread or self.options.spare(ref),
        )
        return self._scheduler

    def _check_invariants(self) -> None:
        for name, holds in self._invariants:
            try:
                held = holds()
            except AssertionError as error:
                raise ViolationError(name, str(error) or "does not hold") from error
            if held is False or held is None:
                raise ViolationError(name, "does not hold")

    def _judge(self) -> None:
        scheduler, system = self._scheduler, self.system
        scheduler.note("simulation", "calm")
        scheduler.calm()
        system.advance(self.options.calm)
        # The checkers first: they name the cause, a condition the consequence.
        for checker in self._checkers:
            checker.at_rest()
        for name, holds, within in self._eventually:
            self._wait_for(name, holds, within)
        scheduler.note("simulation", "end")
        scheduler.after_step = None
        for ref in [ref for ref in reversed(system.actors()) if ref.parent is None]:
            ref.exit(SHUTDOWN)
        system.settle()
        for ref in reversed(system.actors()):
            # One that traps exits may choose to live; a stop is an order.
            if ref.parent is None:
                ref.stop(block=False)
        system.advance(SHUTDOWN_SECONDS)
        for checker in self._checkers:
            checker.at_end()

    def _wait_for(self, name: str, holds: Callable[[], object], within: float) -> None:
        clock, timers = self.system.clock, self.system.timers
        limit = clock.monotonic() + within
        self.system.settle()
        while not holds():
            if clock.monotonic() >= limit:
                raise ViolationError(name, f"has not come true within {within:g} virtual seconds", "no progress")
            moment = timers.next_deadline()
            self.system.advance_to(limit if moment is None else min(max(moment, clock.monotonic()), limit))


def _awaited(value: Any) -> Any:
    """Return what was given, or what it gives if it is a coroutine."""
    return asyncio.run(value) if inspect.iscoroutine(value) else value
