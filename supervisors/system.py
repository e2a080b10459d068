"""The actor system: clock, entropy, scheduler, timers, names, and all the actors.

Several systems can live in one process; importing starts nothing. A system with
a `VirtualClock` has no thread at all: everything runs on the threads that start,
tell, ask, settle and advance, in an order that only the program decides.

Source: decisions 1 and 4.
"""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar, final

from supervisors.clock import Clock, SystemClock, VirtualClock
from supervisors.entropy import Entropy
from supervisors.errors import (
    InvalidArgumentError,
    InvalidTypeError,
    SystemStoppedError,
    UsageError,
)
from supervisors.exits import SHUTDOWN, describe
from supervisors.registry import Registry, wait_for_name
from supervisors.runtime.cell import INLINE, SHARED, Cell
from supervisors.runtime.dead_letters import DeadLetters
from supervisors.runtime.dump import dump, dump_on_signal
from supervisors.runtime.fence import refuse_fenced
from supervisors.runtime.forks import poison_in_children
from supervisors.runtime.futures import ScheduledFuture
from supervisors.runtime.living import Living
from supervisors.runtime.machine import OwnMachine
from supervisors.runtime.manual_scheduler import ManualScheduler
from supervisors.runtime.pykka_adapter import show_to_registry
from supervisors.runtime.ref import ActorRef
from supervisors.runtime.scheduler import ThreadScheduler
from supervisors.runtime.turn import thread_turn
from supervisors.runtime.watchdog import SlowTurn, Watchdog
from supervisors.spawning import holder_of, starter_of
from supervisors.starter import ActorStarter
from supervisors.stopping import ActorStopper
from supervisors.timers.service import TimerService, checked_delay, checked_reading
from supervisors.via import Via

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from types import TracebackType

    from supervisors.actor import Actor
    from supervisors.runtime.contract import SteppedScheduler
    from supervisors.runtime.machine import Machine

__all__ = ["ActorSystem"]

logger = logging.getLogger("supervisors.system")

PROCESS: Final = "process"

A = TypeVar("A", bound="Actor")


@final
class ActorSystem(ActorStarter, ActorStopper):
    """Everything that a set of actors shares.

    Args:
        clock: `SystemClock()` by default; a `VirtualClock` makes the system
            deterministic and single-threaded.
        entropy: the source of identifiers and jitter; unseeded by default.
        workers: threads that run shared actors, 1 to 256; by default the number
            of cores plus two, at least four. They are started when first needed.
        workers_max: threads that run shared actors at most, those included whose actors
            wait for replies or take long, `workers` to 4,096; by default 256 more than
            `workers`. When all of them do, what is queued waits: the log says so once, and
            `scheduler.statistics()` counts it as `at_limit`.
        slow_inline_turn: seconds that a turn of an inline actor may take before
            the log gets a warning with its stack, and another worker is started if it
            keeps one from its work; None: no turn is watched. One that has
            taken ten times as long three times runs on the pool from then on: until then
            an ask of it is not over before its turn is, whatever the timeout.
        slow_shared_turn: the same for shared actors.
        stop_all_on_base_exception: Pykka's rule, off by default: an exception
            that is no `Exception`, such as `SystemExit`, in one actor's handler
            stops all actors of the system. Ours: it ends that actor.
        ask_timeout: seconds that an ask waits by default; None: without end.
        scheduler: makes what runs the actors of a system on a virtual clock, and
            their refs (`supervisors.simulation` does); by default ready mailboxes
            run in the order in which they became ready.
        shutdown_timeout: seconds that leaving the ``with`` block may take.
        name: prefix of thread names.

    Example:
        >>> from supervisors import Actor, ActorSystem
        >>> class Greeter(Actor):
        ...     def on_receive(self, message):
        ...         return f"hello {message}"
        >>> with ActorSystem() as system:
        ...     system.start(Greeter).ask("world")
        'hello world'
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        entropy: Entropy | None = None,
        workers: int | None = None,
        workers_max: int | None = None,
        ask_timeout: float | None = 5.0,
        shutdown_timeout: float = 10.0,
        name: str = "supervisors",
        stop_all_on_base_exception: bool = False,
        slow_inline_turn: float | None = 0.1,
        slow_shared_turn: float = 5.0,
        scheduler: Callable[[ActorSystem], SteppedScheduler] | None = None,
    ) -> None:
        if clock is not None and not (
            callable(getattr(clock, "monotonic", None)) and callable(getattr(clock, "time", None))
        ):
            raise InvalidTypeError("clock", clock, "a Clock, with monotonic() and time(), or None")
        if entropy is not None and not isinstance(entropy, Entropy):
            raise InvalidTypeError("entropy", entropy, "an Entropy, or None")
        self.clock: Clock = clock if clock is not None else SystemClock()
        self.entropy = entropy if entropy is not None else Entropy()
        self.identity = self.entropy.token("actor-system", 8)
        self.ask_timeout = None if ask_timeout is None else checked_delay("ask_timeout", ask_timeout)
        self.shutdown_timeout = checked_delay("shutdown_timeout", shutdown_timeout)
        self.registry = Registry()
        # See runtime.contract.Runtime for both.
        self.unlinks: dict[tuple[Cell, Cell], int] = {}
        self.last_links: tuple[Cell] | None = None
        self._dead_letters = DeadLetters(self.clock)
        self.crashes = 0
        self._crash_listeners: list[Callable[[ActorRef[Any], object], None]] = []
        self._report_listeners: tuple[Callable[[Any], None], ...] = ()
        # Guards _number, _stopping, _name_waits and adding to living. The thread that has it may get it again:
        # a finalizer may start an actor there.
        self._lock = threading.RLock()
        self._number = 0
        self.living = Living()
        self._name_waits: set[ScheduledFuture[ActorRef[Any]]] = set()
        self._orphans: dict[Cell, float] = {}  # see spawning.holder_of()
        self._told: set[ActorRef[Any]] = set()
        self._stop_all_on_base_exception = stop_all_on_base_exception
        self._stepped: SteppedScheduler | None = None
        self.scheduler: ThreadScheduler | ManualScheduler | SteppedScheduler
        if isinstance(self.clock, VirtualClock):
            if workers is not None or workers_max is not None:
                raise InvalidArgumentError(
                    "workers" if workers is not None else "workers_max",
                    workers if workers is not None else workers_max,
                    "nothing: a system on a virtual clock has no threads",
                )
            if scheduler is not None:
                self.scheduler = self._stepped = scheduler(self)
                self.timers = TimerService(self.clock, self.registry.whereis, lambda: 0)
            else:
                manual = ManualScheduler(self._jump, self.clock.monotonic, self._advance_clock)
                self.scheduler = manual
                self.timers = TimerService(self.clock, self.registry.whereis, manual.settle)
        else:
            if scheduler is not None:
                raise InvalidArgumentError("scheduler", scheduler, "nothing, unless clock is a VirtualClock")
            count = workers if workers is not None else max(4, (os.cpu_count() or 2) + 2)
            self.scheduler = ThreadScheduler(count, self.clock, workers_max, name=name)
            self.timers = TimerService(self.clock, self.registry.whereis, lambda: 0)
        self.machine: Machine = OwnMachine() if self._stepped is None else self._stepped.machine
        self.forked = False
        self._watchdog: Watchdog | None = None
        if slow_inline_turn is not None and isinstance(self.scheduler, ThreadScheduler):
            limits = {
                INLINE: max(checked_delay("slow_inline_turn", slow_inline_turn), 0.001),
                SHARED: max(checked_delay("slow_shared_turn", slow_shared_turn), 0.001),
            }
            self._watchdog = Watchdog(
                self.clock, lambda ref: ref.system is self, limits, self._slow, self.scheduler.relieve
            )
        self._slow_listeners: tuple[Callable[[SlowTurn], None], ...] = ()
        show_to_registry(self)
        poison_in_children(self)

    # -- names -------------------------------------------------------------

    def whereis(self, name: Hashable) -> ActorRef[Any] | None:
        """Return the actor that has the name, or None (NAME-3)."""
        return self.registry.whereis(name)

    def wait_for_name(self, name: Hashable, timeout: float | None = 5.0) -> ActorRef[Any]:
        """Wait until somebody has the name, and return who (REG-15).

        Args:
            name: a name, or a `Via` in a registry that tells of new names, as `Names` does.
            timeout: seconds to wait, 0 or more; None waits without end.

        Raises:
            AskTimeoutError: nobody has it when the time is up.
            SystemStoppedError: nobody has it, and the system is being stopped.

        Thread: any. In virtual time everything else goes on meanwhile.
        """
        limit = None if timeout is None else checked_delay("timeout", timeout)
        registry, key = (name.registry, name.name) if isinstance(name, Via) else (self.registry, name)
        future: ScheduledFuture[ActorRef[Any]] = ScheduledFuture(self.scheduler)
        with self._lock:
            # Whoever comes before stop() has set this is among those it tells.
            stopping = self._stopping
            self._name_waits.add(future)
        try:
            if stopping and registry.whereis(key) is None:
                raise SystemStoppedError
            return wait_for_name(registry, key, limit, future=future)
        finally:
            with self._lock:
                self._name_waits.discard(future)

    def register(self, name: Hashable, ref: ActorRef[Any]) -> None:
        """Give an actor a name (NAME-1).

        Raises:
            NameTakenError: somebody has it, or the actor has another name.
            ActorDeadError: the actor is dead.

        Blocks: only where the actor is being started, in its own start or in its parent's turn,
            and an orphan has the name; as `start(name=...)` does (SUP-49).
        """
        refuse_fenced()
        if isinstance(ref, ActorRef):
            starter = starter_of(ref)
            if starter is not None:
                holder_of(name, self.registry.whereis, starter, self.clock.monotonic, self._orphans)
        self.registry.register(name, ref)

    def unregister(self, name: Hashable) -> None:
        """Free a name (NAME-2)."""
        refuse_fenced()
        self.registry.unregister(name)

    def send(self, name: Hashable, message: Any) -> None:
        """Send a message to who has a name now; like `ActorRef.send()` otherwise (NAME-4).

        Raises:
            InvalidArgumentError: nobody has it.
        """
        self.registry.send(name, message)

    # -- virtual time ------------------------------------------------------

    def settle(self) -> None:
        """In virtual time: run everything that is ready, until nothing is.

        In an actor's turn: everything but the actor itself, whose messages have to
        wait; signals to it arrive.
        """
        self._manual("settle").settle()
        current = thread_turn.turn.current
        if current is not None:
            current.take()

    def advance(self, seconds: float) -> int:
        """In virtual time: let so many seconds pass; return how many timers fired."""
        return self.advance_to(self.clock.monotonic() + checked_delay("seconds", seconds))

    def advance_to(self, reading: float) -> int:
        """In virtual time: move the monotonic clock to a reading; timers due by then fire."""
        self._manual("advance")
        if self._stepped is not None:
            return self._stepped.advance_to(checked_reading("reading", reading))
        return self.timers.advance_to(reading)

    # -- watching ----------------------------------------------------------

    def actors(self) -> list[ActorRef[Any]]:
        """Return the living actors in order of start; a snapshot."""
        return self.living.all()

    @property
    def has_processes(self) -> bool:
        """Whether processes, threads and event loops can be had here: in real time, and in a simulation."""
        return self._stepped is not None or isinstance(self.scheduler, ThreadScheduler)

    @property
    def is_stopped(self) -> bool:
        """Whether `stop()` has been called: nothing can be started any more."""
        return self._stopping

    @property
    def dead_letters(self) -> int:
        """How many messages nobody has handled or will handle."""
        return self._dead_letters.count

    def on_dead_letter(self, listener: Callable[[ActorRef[Any], object], None]) -> Callable[[], None]:
        """Call a function with each message that nobody will handle, and its receiver.

        It runs on the thread that finds the dead letter, and must not block.

        Returns:
            A function that ends the subscription.
        """
        return self._dead_letters.subscribe(listener)

    def on_crash(self, listener: Callable[[ActorRef[Any], object], None]) -> None:
        """Call a function with each actor that its own code has crashed, and the reason."""
        self._crash_listeners.append(listener)

    def on_report(self, listener: Callable[[Any], None]) -> Callable[[], None]:
        """Call a function with each supervisor report, as an event (REP-1 to REP-8).

        Reports are values with fixed keys, see `supervisors.supervision.reports`. The
        function runs in the supervisor's turn and must not block.

        Returns:
            A function that ends the subscription.
        """
        with self._lock:
            self._report_listeners = (*self._report_listeners, listener)

        def end() -> None:
            with self._lock:
                self._report_listeners = tuple(each for each in self._report_listeners if each is not listener)

        return end

    def reported(self, report: object) -> None:
        """Hand a supervisor's report to those that have subscribed. Called by supervisors."""
        for listener in self._report_listeners:
            try:
                listener(report)
            except Exception:
                logger.exception("a listener raised; it stays subscribed")

    def on_slow_turn(self, listener: Callable[[SlowTurn], None]) -> None:
        """Call a function, on the watching thread, with each turn that takes too long."""
        self._slow_listeners = (*self._slow_listeners, listener)

    def dump(self, longest: int = 20) -> str:
        """Describe what goes on: busy actors with their stacks, who waits for whom, full mailboxes.

        How long a message has been in hand, and how long the oldest one in a mailbox has
        waited, are lower bounds, from what the watchdog has seen: what waits behind a
        running turn, and what an earlier dump has shown.

        A snapshot of a moving thing, for people; its form may change.

        Args:
            longest: mailboxes to show, the longest first.
        """
        return dump(self, longest, self._watchdog)

    def dump_on_signal(
        self, number: int | None = None, write: Callable[[str], object] | None = None
    ) -> Callable[[], None]:
        """Write a dump whenever the process gets a signal, for the operator of a daemon.

        Args:
            number: of the signal; None is `SIGUSR1`.
            write: gets the text, on a thread of its own, because the thread that was
                interrupted may hold any lock; by default it goes to standard error.

        Returns:
            A function that puts back what the signal did before.

        Raises:
            UsageError: this is not the main thread, where alone Python handles signals.
            InvalidArgumentError, InvalidTypeError: there is no such signal, or nothing can be done about it.
        """
        return dump_on_signal(self, self._watchdog, number, write)

    def statistics(self) -> dict[str, int]:
        """Return counts of the system, by name; a snapshot."""
        return {
            "actors": len(self.living),
            "names": len(self.registry),
            "timers": self.timers.pending(),
            "dead_letters": self.dead_letters,
            "crashes": self.crashes,
            "slow_turns": self._watchdog.slow_turns if self._watchdog is not None else 0,
        }

    # -- the end -----------------------------------------------------------

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        if self.forked:
            return "<ActorSystem of the parent process>"
        state = "stopped" if self._stopping else "running"
        return f"<ActorSystem {state}: {len(self.living)} actors, {self.timers.pending()} timers>"

    # -- what the runtime calls --------------------------------------------

    def ended(self, ref: Cell, reason: object) -> None:
        """Forget a dead actor. Called by the runtime."""
        del reason
        self.registry.forget(ref)
        self.living.discard(ref)

    def dead_letter(self, ref: Cell, message: object) -> None:
        """Count and publish a message that nobody will handle. Called by the runtime."""
        self._dead_letters.add(ref, message)

    def interrupted(self, ref: Cell, error: BaseException) -> None:
        """Note that a handler has raised what is no `Exception`; its actor will end. Called by the runtime."""
        if not self._stop_all_on_base_exception:
            return
        logger.debug("%r in %s. Stopping all actors.", error, ref)
        for each in reversed(self.actors()):
            if each is not ref:
                each.exit(SHUTDOWN)
        logger.debug("Unregistered %s", ref)

    def crashed(self, ref: Cell, reason: object) -> None:
        """Report an actor that its own code has crashed. Called by the runtime."""
        with self._lock:
            self.crashes += 1
        logger.debug("%s crashed: %s", ref, describe(reason))
        for listener in self._crash_listeners:
            _call(listener, ref, reason)

    def _slow(self, slow: SlowTurn) -> None:
        for listener in self._slow_listeners:
            try:
                listener(slow)
            except Exception:
                logger.exception("a listener raised; it stays subscribed")

    def _manual(self, verb: str) -> ManualScheduler | SteppedScheduler:
        if isinstance(self.scheduler, ThreadScheduler):
            raise UsageError(f"{verb}() needs a system on a VirtualClock; in real time everything runs by itself")
        return self.scheduler

    def _jump(self, limit: float | None) -> bool:
        return self.timers.fire_next(limit)

    def _advance_clock(self, reading: float) -> None:
        clock = self.clock
        assert isinstance(clock, VirtualClock)
        clock.move_to(max(reading, clock.monotonic()))


def _call(listener: Callable[[Any, object], None], ref: Cell, what: object) -> None:
    try:
        listener(ref, what)
    except Exception:
        logger.exception("a listener raised; it stays subscribed")
