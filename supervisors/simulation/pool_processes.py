"""The processes of a simulated pool, as their keeper sees them: descriptors, a selector, a process that dies.

`supervisors.pools.process_workers` runs as it is, and so does the program of a worker
(`supervisors.pools.child`); between them are simulated pipes.
"""

from __future__ import annotations

import selectors
import signal
from itertools import count
from typing import TYPE_CHECKING, Final, NamedTuple, final

from supervisors.pools.child import Child
from supervisors.pools.worker_process import WorkerProcess
from supervisors.runtime.fence import refuse_fenced
from supervisors.runtime.futures import ScheduledFuture

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisors.simulation.machine import SimulatedMachine, SimulatedProcess
    from supervisors.simulation.pipes import Pipe
    from supervisors.simulation.scheduler import SimulatedScheduler

__all__ = ["SimulatedWorkerProcesses"]

MARK_BYTES: Final = 4096


@final
class SimulatedWorkerProcesses:
    """Starts simulated worker processes for one pool.

    Args:
        machine: that they run on.
        scheduler: of the simulation.
    """

    def __init__(self, machine: SimulatedMachine, scheduler: SimulatedScheduler) -> None:
        self._machine = machine
        self._scheduler = scheduler
        self._descriptors = count(1)
        self._is_ready: dict[int, Callable[[], bool]] = {}
        self._change: ScheduledFuture[None] | None = None

    def spawn(self) -> WorkerProcess:
        """Start a process."""
        process = self._machine.new_process()
        mark = bytearray(MARK_BYTES)
        tasks, answers = process.to_it, process.from_it
        child = _SimulatedChild(process, memoryview(mark).cast("Q"), self._scheduler.clock.monotonic)

        def serve() -> int:
            child.serve()
            return 0

        process.start(serve)
        tasks.on_change = answers.on_change = self._changed
        process.when_ended(self._changed)
        made = _SimulatedWorkerProcess(process, mark, self._describe(lambda: _has_room(tasks)), self)
        made.answers = self._describe(lambda: bool(answers.data) or not answers.is_written)
        made.pidfd = self._describe(lambda: process.poll() is not None)
        return made

    def selector(self) -> _SimulatedSelector:
        """Return what waits in virtual time until one of them is ready."""
        return _SimulatedSelector(self)

    def waker(self) -> _SimulatedWaker:
        """Return what can be made ready."""
        return _SimulatedWaker(self)

    # -- for those below ---------------------------------------------------------

    def _describe(self, is_ready: Callable[[], bool]) -> int:
        number = next(self._descriptors)
        self._is_ready[number] = is_ready
        return number

    def _changed(self) -> None:
        change, self._change = self._change, None
        if change is not None:
            change.offer()

    def is_ready(self, descriptor: int) -> bool:
        """Tell whether a descriptor is ready for what it is there for."""
        return self._is_ready[descriptor]()

    def wait(self, timeout: float | None) -> None:
        """Wait for a change."""
        part = self._machine.part
        change = self._change = ScheduledFuture(part)
        part.wait(change, timeout)

    def forget(self, *descriptors: int) -> None:
        """Take descriptors back."""
        for each in descriptors:
            self._is_ready.pop(each, None)


def _has_room(pipe: Pipe) -> bool:
    return pipe.has_room or not pipe.is_read


class _Key(NamedTuple):
    data: Callable[[], object]


@final
class _SimulatedSelector:
    def __init__(self, processes: SimulatedWorkerProcesses) -> None:
        self._processes = processes
        self._keys: dict[int, _Key] = {}

    def register(self, fileobj: int, events: int, data: Callable[[], object]) -> _Key:
        del events  # each descriptor here is for one of them
        key = self._keys[fileobj] = _Key(data)
        return key

    def unregister(self, fileobj: int) -> _Key:
        return self._keys.pop(fileobj)

    def get_key(self, fileobj: int) -> _Key:
        return self._keys[fileobj]

    def select(self, timeout: float | None = None) -> list[tuple[_Key, int]]:
        ready = self._ready()
        if not ready and timeout != 0.0:
            self._processes.wait(timeout)
            ready = self._ready()
        return ready

    def close(self) -> None:
        self._keys.clear()

    def _ready(self) -> list[tuple[_Key, int]]:
        return [(key, selectors.EVENT_READ) for number, key in self._keys.items() if self._processes.is_ready(number)]


@final
class _SimulatedWaker:
    def __init__(self, processes: SimulatedWorkerProcesses) -> None:
        self._processes = processes
        self._is_awake = False
        self.descriptor = processes._describe(lambda: self._is_awake)  # noqa: SLF001 - of the same machine

    def wake(self) -> None:
        self._is_awake = True
        self._processes._changed()  # noqa: SLF001 - as above

    def clear(self) -> None:
        self._is_awake = False

    def close(self) -> None:
        self._processes.forget(self.descriptor)


@final
class _Popen:
    """What looks like a `subprocess.Popen` to the keeper."""

    def __init__(self, process: SimulatedProcess) -> None:
        self._process = process
        self.pid = process.pid

    def kill(self) -> None:
        self._process.signal(signal.SIGKILL)

    def send_signal(self, number: int) -> None:
        self._process.signal(number)

    def wait(self) -> int | None:
        return self._process.wait(None)


@final
class _SimulatedWorkerProcess(WorkerProcess):
    can_be_judged = True

    __slots__ = ("_keeper", "_process")

    def __init__(
        self, process: SimulatedProcess, memory: bytearray, tasks: int, keeper: SimulatedWorkerProcesses
    ) -> None:
        super().__init__(_Popen(process), tasks, -1, memory)
        self._process = process
        self._keeper = keeper

    def stands_still(self) -> bool:
        return self._process.is_stopped or self._process.poll() is not None

    def cpu_seconds(self) -> float:
        return 0.0

    def resident_bytes(self) -> int | None:
        usage = self._process.usage()
        return None if usage is None else usage.resident

    def take(self, count: int) -> bytes:
        pipe = self._process.from_it
        if not pipe.data and pipe.is_written:
            raise BlockingIOError
        return pipe.take(count)

    def write_some(self, data: bytes | memoryview) -> int:
        self._process.strikes()
        try:
            return self._process.to_it.put(data)
        except BrokenPipeError:
            return len(data)

    def release(self) -> None:
        self._keeper.forget(self.tasks, self.answers, self.pidfd)
        self._process.close()


@final
class _SimulatedChild(Child):
    """The program of a worker process, between two simulated pipes."""

    def __init__(self, process: SimulatedProcess, mark: memoryview[int], now: Callable[[], float]) -> None:
        super().__init__(-1, -1, mark, now)
        self._process = process

    def _read_some(self, count: int) -> bytes:
        refuse_fenced()  # it has died, and somebody has caught what was to end its program
        pipe = self._process.to_it
        while not pipe.data and pipe.is_written:
            pipe.wait(self._process.inside.part)
        return pipe.take(count)

    def _write_some(self, data: memoryview) -> int:
        self._process.strikes()
        refuse_fenced()
        pipe = self._process.from_it
        while not _has_room(pipe):
            pipe.wait(self._process.inside.part)
        return pipe.put(data)

    def _prepare_main(self) -> None:
        """Do nothing: this is the main program's own process."""
