"""A machine whose processes, threads and event loops take virtual time and die by the seed.

It is behind the contract of `supervisors.runtime.machine`, so whoever keeps processes
runs here as ever: an actor with the dispatch `"process"`, the sandboxes of sessions, the pools.
What runs in a process is the same program as in a real one, over pipes that carry the same
bytes, and beside it nothing of the process it was started from: it has no system, actors or timers
but its own. It shares the memory of this Python all the same: who keeps something in a
global variable shares it with all simulated processes.
"""

from __future__ import annotations

import importlib
import logging
import signal
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast, final

from supervisors.runtime.fence import Fenced, refuse_fenced
from supervisors.runtime.futures import ScheduledFuture
from supervisors.runtime.machine import Usage
from supervisors.runtime.turn import thread_turn
from supervisors.simulation.loop import SimulatedLoop
from supervisors.simulation.pipes import Pipe, PipeReader, PipeWriter
from supervisors.simulation.pool_processes import SimulatedWorkerProcesses
from supervisors.simulation.threads import PartScheduler, SimulatedLock, SimulatedSignals, Thread, ThreadHandle

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisors.runtime.machine import Program
    from supervisors.simulation.scheduler import SimulatedScheduler
    from supervisors.timers.service import TimerService

__all__ = ["SimulatedMachine", "SimulatedProcess"]
logger = logging.getLogger("supervisors.simulation")

PID_FIRST: Final = 10_000_000
"""Numbers of simulated processes begin here, where no real one has its own."""

START_SECONDS: Final = (0.02, 0.2)
"""How long a process takes to come up, at least and at most, virtual seconds."""

RESIDENT: Final = 20 << 20
VIRTUAL: Final = 200 << 20


@final
class SimulatedMachine:
    """The machine of one simulation, or what one process in it sees of that.

    Args:
        scheduler: of the simulation.
        whole: the machine that this is a part of; None: it is the whole.

    Attributes:
        processes: all there have been, the living and the dead.
        timers: of the actor systems in its parts.
        process_here: whose part of the machine this is; None: it is the whole.
    """

    look_seconds: float = 1.0

    def __init__(self, scheduler: SimulatedScheduler, whole: SimulatedMachine | None = None) -> None:
        self._scheduler = scheduler
        self._whole = self if whole is None else whole
        self._parts = 1  # the whole is the first
        self._loops = 0
        self.kills = 0
        self.processes: list[SimulatedProcess] = []
        self.timers: list[TimerService] = []
        self.process_here: SimulatedProcess | None = None
        self.part = PartScheduler(scheduler, self._whole.new_part(), self)

    @property
    def scheduler(self) -> PartScheduler:
        """Who lets others run while somebody waits."""
        return self.part

    def first_timers(self, own: TimerService) -> TimerService:
        """Return those of which one is due first; the simulated system's own, if it is a tie."""
        if not self.timers:
            return own
        first, earliest = own, own.next_deadline()
        for timers in self.timers:
            due = timers.next_deadline()
            if due is not None and (earliest is None or due < earliest):
                first, earliest = timers, due
        return first

    def close(self) -> None:
        """Let nothing wait here any more: the run is over."""
        self.part.end.offer()
        for process in self.processes:
            process.inside.part.end.offer()

    def new_part(self) -> int:
        """Return the number of a new part of the world."""
        self._parts += 1
        return self._parts - 1

    def thread(self, work: Callable[[], object], name: str) -> ThreadHandle:
        """Start a thread, which is a unit for the schedule as others are."""
        return self.part.thread(work, name)

    def lock(self) -> SimulatedLock:
        """Return a lock."""
        return SimulatedLock(self.part)

    def signals(self) -> SimulatedSignals:
        """Return a condition variable."""
        return SimulatedSignals(self.part, self._scheduler.clock.monotonic)

    def event_loop(self) -> SimulatedLoop:
        """Return an event loop on virtual time."""
        whole = self._whole
        whole._loops += 1  # noqa: SLF001 - of the same class
        return SimulatedLoop(self._scheduler, self, self.part, whole._loops)  # noqa: SLF001 - one machine, seen from two parts

    def process(self, program: Program) -> SimulatedProcess:
        """Start a process, unless a fault says that there is none left.

        Raises:
            OSError: a fault has fired.
        """
        process = self.new_process(program)
        process.start()
        return process

    def new_process(self, program: Program | None = None) -> SimulatedProcess:
        """Return a process that has not been started."""
        return SimulatedProcess(self._whole, self._scheduler, self.part, program)

    def find(self, pid: int) -> SimulatedProcess | None:
        """Return the process that has, or had, a number."""
        place, processes = pid - PID_FIRST - 1, self._whole.processes
        return processes[place] if 0 <= place < len(processes) else None

    def memory_kills(self) -> int:
        """Return how many processes a fault has killed for want of memory."""
        return self._whole.kills

    def worker_processes(self) -> Any:
        """Return what starts the processes of a pool."""
        return SimulatedWorkerProcesses(self._whole, self._scheduler)

    def meets(self, module: str) -> None:
        """Watch what code of a module touches."""
        self._scheduler.meets(module)


@final
class SimulatedProcess:
    """One process.

    Args:
        machine: that it runs on.
        scheduler: of the simulation.
        parent: the part of the world that its parent is in.
        program: what it runs.
    """

    def __init__(
        self, machine: SimulatedMachine, scheduler: SimulatedScheduler, parent: PartScheduler, program: Program | None
    ) -> None:
        self._machine = machine
        self._scheduler = scheduler
        self._parent = parent
        self._program = program
        self.number = len(machine.processes) + 1
        self.name = f"process-{self.number}"
        self.pid = PID_FIRST + self.number
        self.owner = thread_turn.turn.current
        self.inside = SimulatedMachine(scheduler, machine)
        self.inside.process_here = self
        self.to_it, self.from_it = Pipe(), Pipe()
        self._their_reader = PipeReader(self.to_it, self.inside.part)
        self._their_writer = PipeWriter(self.from_it, self.inside.part, self.strikes)
        self.reader = cast("BinaryIO", PipeReader(self.from_it, parent))
        self.writer = cast("BinaryIO", PipeWriter(self.to_it, parent, self.strikes))
        self._code: int | None = None
        self._end: ScheduledFuture[None] = ScheduledFuture(parent)

    # -- the contract ----------------------------------------------------------

    def poll(self) -> int | None:
        """Return how it has ended; None: it lives."""
        return self._code

    def wait(self, timeout: float | None) -> int | None:
        """Wait for its end in virtual time."""
        self._end.settle(timeout)
        return self._code

    def signal(self, number: int) -> None:
        """Stop it, let it go on, or end it."""
        if self._code is not None or not number:
            return
        self._scheduler.note(self.name, "gets " + signal.Signals(number).name)
        if number == signal.SIGSTOP:
            self.inside.part.stop()
        elif number == signal.SIGCONT:
            self.inside.part.go_on()
        else:
            self.die(-int(number))

    def when_ended(self, call: Callable[[], object]) -> None:
        """Call a function at its end."""
        self._end.when_done(lambda: _discard(call()))

    def usage(self) -> Usage | None:
        """Return what any process uses here: nobody counts."""
        return None if self._code is not None else Usage(RESIDENT, VIRTUAL, 0.0)

    def limit(self, address_space: int | None) -> None:
        """Do nothing: want of memory is a fault."""
        del address_space
        if self._code is not None:
            raise ProcessLookupError(self.pid)

    def close(self) -> None:
        """Close both pipes."""
        self.to_it.close_writing()
        self.from_it.close_reading()

    # -- its life ----------------------------------------------------------------

    @property
    def is_stopped(self) -> bool:
        """Whether a signal holds it still."""
        return self.inside.part.is_held

    def start(self, serve: Callable[[], int] | None = None) -> None:
        """Have it come up, after a while.

        Args:
            serve: what it runs; by default its program.

        Raises:
            OSError: a fault has fired.
        """
        scheduler = self._scheduler
        delay = scheduler.process_faults.of_start(self)
        low, high = START_SECONDS
        delay += low + scheduler.entropy.stream(f"start of {self.name}").random() * (high - low)
        work = self._serve if serve is None else serve

        def run() -> None:
            self.inside.part.wait(ScheduledFuture(), delay)
            scheduler.note(self.name, "is up")
            try:
                code = work()
            except SystemExit as left:
                code = left.code if isinstance(left.code, int) else int(left.code is not None)
            except Fenced:
                raise
            except BaseException:
                logger.exception("%s has raised", self.name)
                code = 1
            self.die(code)

        scheduler.note(self.name, "is started")
        self._machine.processes.append(self)
        self.inside.thread(run, "main")

    def _serve(self) -> int:
        program = self._program
        assert program is not None
        serve = importlib.import_module(program.module).serve
        code: int = serve(self._their_reader, self._their_writer, self.inside.part.system)
        return code

    def die(self, code: int) -> None:
        """End at once, with all there is in it; in its own turn this does not return."""
        if self._code is not None:
            return
        self._code = code
        turn = thread_turn.turn
        current, turn.current = turn.current, None  # who hears of it hears it from nobody's turn
        try:
            self._scheduler.note(self.name, "ends, " + _in_words(code))
            self.inside.part.kill()
            self.to_it.close_reading()
            self.from_it.close_writing()
            for each in self._machine.processes:
                if each._parent is self.inside.part:  # noqa: SLF001 - of the same class
                    each.close()  # its own processes find their pipes closed, and end by themselves
            self._end.offer()
        finally:
            turn.current = current
        refuse_fenced()

    def starve(self) -> None:
        """Be killed for want of memory."""
        self._machine.kills += 1
        self.die(-signal.SIGKILL)

    def is_spared(self, spare: Callable[[Any], bool]) -> bool:
        """Tell whether faults leave it alone: it belongs to an actor that they leave alone."""
        owner = self.owner
        return owner is not None and owner.actor_class is not Thread and spare(owner)

    def strikes(self) -> None:
        """Throw the dice of a write to or by it; in its own turn this may not return."""
        self._scheduler.process_faults.of_frame(self)

    def __repr__(self) -> str:
        state = "lives" if self._code is None else "has ended, " + _in_words(self._code)
        return f"<SimulatedProcess {self.number}: {state}>"


def _in_words(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _discard(_value: object) -> None:
    """Let a function that returns something be one that returns nothing."""
