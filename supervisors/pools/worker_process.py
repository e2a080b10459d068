"""One worker process as its parent holds it: its pipes, what it has been given, and how it is started.

`WorkerProcesses` is what the keeper of a pool's processes needs of the machine: starting them, and a
selector that says what has happened to which. `OwnWorkerProcesses` has those of this machine,
`supervisors.simulation.pool_processes` simulated ones; the keeper is the same.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import selectors
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol, Self, final

from supervisors.pools import child
from supervisors.pools.records import Task

__all__ = ["OwnWorkerProcesses", "Selector", "Waker", "WorkerProcess", "WorkerProcesses", "main_facts"]


class Selector(Protocol):
    """What the keeper uses of a `selectors.BaseSelector`; what is registered is a function to call."""

    def register(self, fileobj: int, events: int, data: Callable[[], object]) -> object:
        """Watch a descriptor."""
        ...

    def unregister(self, fileobj: int) -> object:
        """Stop watching it; `KeyError` if it was not watched."""
        ...

    def get_key(self, fileobj: int) -> object:
        """Raise `KeyError` if a descriptor is not watched."""
        ...

    def select(self, timeout: float | None = None) -> list[tuple[Any, int]]:
        """Return what is ready, as pairs of a key, whose `data` is the function, and a mask."""
        ...

    def close(self) -> None:
        """Watch nothing any more."""
        ...


class Waker(Protocol):
    """Something to register that becomes ready when somebody says so.

    Attributes:
        descriptor: what a selector watches.
    """

    descriptor: int

    def wake(self) -> None:
        """Make it ready; any thread, also when it has been closed."""
        ...

    def clear(self) -> None:
        """Make it wait for the next time."""
        ...

    def close(self) -> None:
        """Give back what it holds."""
        ...


class WorkerProcesses(Protocol):
    """Starts worker processes, and makes what watches them."""

    def spawn(self) -> WorkerProcess:
        """Start a process.

        Raises:
            OSError: the machine has none left.
        """
        ...

    def selector(self) -> Selector:
        """Return a new selector."""
        ...

    def waker(self) -> Waker:
        """Return a new waker."""
        ...


class WorkerProcess:
    """A worker process, or a spare.

    Args:
        popen: the process, a `subprocess.Popen`, or what looks like one.
        tasks: descriptor of the pipe to it, which does not block.
        answers: descriptor of the pipe from it, which does not block.
        memory: a page that it shares with us, see `supervisors.pools.child`.
    """

    can_be_judged = hasattr(os, "waitid")
    """Whether it can be told that it has stopped."""

    __slots__ = (
        "answers",
        "batch",
        "buffer",
        "doom",
        "has_heard",
        "in_flight",
        "is_asked_to_stop",
        "is_gone",
        "is_revoked",
        "is_up",
        "is_warm",
        "lock",
        "mark",
        "memory",
        "outgoing",
        "patience",
        "pidfd",
        "popen",
        "reason",
        "tasks",
        "tries",
        "worker",
    )

    def __init__(self, popen: Any, tasks: int, answers: int, memory: mmap.mmap | bytearray) -> None:
        self.popen = popen
        self.tasks = tasks
        self.answers = answers
        self.memory = memory
        self.mark = memoryview(memory).cast("Q")
        self.pidfd = -1
        self.worker: int | None = None  # None: it is a spare, or nobody wants to hear of it any more
        self.has_heard = False  # that it is to come up
        self.patience = 0.0  # seconds to wait for that
        self.is_up = False
        self.is_warm = False  # of a spare: it has imported what it was told to last
        self.is_asked_to_stop = False
        self.reason: object = None  # said before it ended
        self.in_flight: dict[int, Task] = {}
        self.batch: list[bytes] = []  # frames of this turn of the pool
        self.lock = threading.Lock()  # guards the two below, and the order of writes
        self.outgoing: deque[memoryview] = deque()  # what the pipe has not taken yet
        self.is_gone = False  # its descriptors are closed, and may be somebody else's by now
        self.buffer = bytearray()  # what was read and is not a whole frame yet
        self.doom: Task | None = None  # for whose sake it is to be killed, while it is looked at
        self.is_revoked = False  # what it has not begun is to be taken back
        self.tries = 0

    @classmethod
    def spawn(cls) -> Self:
        """Start a process, by a thread that lives as long as it does: see `process_workers`.

        Raises:
            OSError: the machine has none left; nothing is left open.
        """
        with contextlib.ExitStack() as theirs, contextlib.ExitStack() as ours:
            tasks_reader, tasks_writer = os.pipe()
            theirs.callback(os.close, tasks_reader)
            ours.callback(os.close, tasks_writer)
            answers_reader, answers_writer = os.pipe()
            ours.callback(os.close, answers_reader)
            theirs.callback(os.close, answers_writer)
            mark = _memory_file()
            theirs.callback(os.close, mark)
            memory = mmap.mmap(mark, mmap.PAGESIZE)
            descriptors = (tasks_reader, answers_writer, mark)
            popen = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-P", "-c", child.BOOT, child.__file__, *map(str, descriptors), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                pass_fds=descriptors,
            )
            ours.pop_all()  # it has come up, so they stay open
        os.set_blocking(tasks_writer, False)
        os.set_blocking(answers_reader, False)
        process = cls(popen, tasks_writer, answers_reader, memory)
        if hasattr(os, "pidfd_open"):
            # The pipe alone would not do: what a worker has started may keep it open.
            with contextlib.suppress(OSError):
                process.pidfd = os.pidfd_open(popen.pid)
        return process

    def is_stopped(self) -> bool:
        """Tell whether it was stopped from outside, or has ended and nobody has seen to it yet."""
        return self.can_be_judged and bool(self.stands_still())

    def stands_still(self) -> bool | None:
        """Tell whether it has stopped or ended; None: nobody can tell, and nobody ever will."""
        try:
            how = os.WSTOPPED | os.WEXITED | os.WNOHANG | os.WNOWAIT
            return os.waitid(os.P_PID, self.popen.pid, how) is not None
        except ChildProcessError:  # somebody else in this program has waited for it
            return None

    def cpu_seconds(self) -> float:
        """Return what it has used of the processor, seconds; 0.0 if nobody can tell."""
        import psutil  # noqa: PLC0415 - only for the rare one that does not come up

        try:
            times = psutil.Process(self.popen.pid).cpu_times()
        except psutil.Error:
            return 0.0
        return float(times.user + times.system)

    def resident_bytes(self) -> int | None:
        """Return what it holds of the memory; None: it is ending."""
        import psutil  # noqa: PLC0415 - only where memory decides anything

        try:
            return int(psutil.Process(self.popen.pid).memory_info().rss)
        except psutil.Error:
            return None

    def take(self, count: int) -> bytes:
        """Return what it has answered, so many bytes at most; none when it answers no more.

        Raises:
            BlockingIOError: there is nothing.
        """
        try:
            return os.read(self.answers, count)
        except BlockingIOError:
            raise
        except OSError:
            return b""

    def write_some(self, data: bytes | memoryview) -> int:
        """Write what the pipe takes; what the dead do not read counts as written."""
        return _write_some(self.tasks, data)

    def take_back(self) -> tuple[Task, ...]:
        """Take out the tasks that it has not begun; it is stopped, so it cannot begin one meanwhile.

        Before each task it notes which one it is at, then looks whether that one was taken back.
        So those behind the one it is at will find the note that is written here.
        """
        at = self.mark[0]
        numbers = sorted(number for number in self.in_flight if number > at)
        if numbers:
            if self.mark[2] <= at:
                self.mark[1] = at + 1  # else it has not come past those of the last time
            self.mark[2] = numbers[-1]
        return tuple(self.in_flight.pop(number) for number in numbers)

    def put(self, data: bytes) -> bool:
        """Write what the pipe takes, and keep the rest; False: nobody looks after that yet. Any thread."""
        with self.lock:
            if self.is_gone:
                return True
            if self.outgoing:
                self.outgoing.append(memoryview(data))
                return True
            written = self.write_some(data)
            if written == len(data):
                return True
            self.outgoing.append(memoryview(data)[written:])
            return False

    def put_more(self) -> bool:
        """Write what was kept, as far as the pipe takes it; True: nothing is left."""
        with self.lock:
            outgoing = self.outgoing
            while outgoing:
                written = self.write_some(outgoing[0])
                if written < len(outgoing[0]):
                    outgoing[0] = outgoing[0][written:]
                    return False
                outgoing.popleft()
        return True

    def close(self) -> None:
        """Give back what a process that has ended held here."""
        with self.lock:
            self.is_gone = True
            self.outgoing.clear()
        self.mark.release()
        self.release()

    def release(self) -> None:
        """Give back descriptors and memory."""
        for descriptor in (self.tasks, self.answers, self.pidfd):
            if descriptor >= 0:
                os.close(descriptor)
        if isinstance(self.memory, mmap.mmap):
            self.memory.close()


@final
class OwnWorkerProcesses:
    """Processes of this machine."""

    def spawn(self) -> WorkerProcess:
        """Start a process."""
        return WorkerProcess.spawn()

    def selector(self) -> Selector:
        """Return the selector that is best here."""
        return selectors.DefaultSelector()

    def waker(self) -> Waker:
        """Return a pipe to oneself."""
        return _PipeToOneself()


@final
class _PipeToOneself:
    def __init__(self) -> None:
        self.descriptor, self._writer = os.pipe()
        os.set_blocking(self.descriptor, False)
        os.set_blocking(self._writer, False)

    def wake(self) -> None:
        with contextlib.suppress(BlockingIOError, OSError):  # full: it will wake; closed: it has ended
            os.write(self._writer, b"\0")

    def clear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while os.read(self.descriptor, 4096):
                pass

    def close(self) -> None:
        os.close(self.descriptor)
        os.close(self._writer)


def main_facts() -> dict[str, Any]:
    """Return how a worker process finds our main program, for `multiprocessing.spawn.prepare()`."""
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return {"init_main_from_name": spec.name}
    path = getattr(main, "__file__", None)
    return {} if path is None else {"init_main_from_path": os.path.abspath(path)}  # noqa: PTH100 - as multiprocessing


def _write_some(descriptor: int, data: bytes | memoryview) -> int:
    """Write what a pipe takes; what the dead do not read counts as written."""
    try:
        return os.write(descriptor, data)
    except BlockingIOError:
        return 0
    except OSError:
        return len(data)


def _memory_file() -> int:
    """Return a descriptor of a page of memory that two processes can share."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("supervisors-pool")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, mmap.PAGESIZE)
    return descriptor
