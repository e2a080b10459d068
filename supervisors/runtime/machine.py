"""What the library takes from the machine besides time and chance: threads, locks, event loops, processes.

`Machine` is the contract, `OwnMachine` the machine that this process runs on. Whoever
keeps a process or a thread of its own (an actor with the dispatch `"process"`, a pool, the
sandboxes of sessions) asks the machine of its actor system for it. The simulator brings
another machine, with virtual time and faults, so that keepers run there as they are.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Protocol, cast, final

from supervisors.runtime.pipe_ends import PipeReader, PipeWriter

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from io import FileIO

    from supervisors.runtime.contract import Scheduler

__all__ = ["Lock", "Machine", "OwnMachine", "Process", "Program", "Signals", "Thread", "Usage", "memory_kills"]


@final
@dataclass(frozen=True, slots=True)
class Program:
    """What a process runs: a module that has two functions.

    `main()` is the program of a real process, which talks over its standard input and
    output. ``serve(reader, writer, make_system)`` is what that does with two pipes, and
    what runs where a process is simulated; `make_system` makes an `ActorSystem` that belongs to
    the process. It returns the exit code.

    Attributes:
        module: its name.
        own_session: whatever the process starts gets the signals that it gets.
    """

    module: str
    own_session: bool = False


@final
@dataclass(frozen=True, slots=True)
class Usage:
    """What a process uses.

    Attributes:
        resident: bytes of memory.
        virtual: bytes of address space.
        cpu: seconds of the processor so far.
    """

    resident: int
    virtual: int
    cpu: float


class Process(Protocol):
    """A process, as whoever has started it holds it.

    Attributes:
        pid: its number; that of nobody else until its end has been seen by `poll()` or `wait()`.
        reader: what it writes; at its end there is nothing more, whoever else has the pipe by then.
        writer: what it reads; raises `OSError` when nobody reads any more.

    Thread: any, for all but the pipes, which one uses at a time.
    """

    pid: int
    reader: BinaryIO
    writer: BinaryIO

    def poll(self) -> int | None:
        """Return the exit code, or minus the number of the signal that has ended it; None: it lives."""
        ...

    def wait(self, timeout: float | None) -> int | None:
        """Return what `poll()` does, waiting so many seconds at most (None: no limit)."""
        ...

    def signal(self, number: int) -> None:
        """Send a signal; nothing happens if it has ended."""
        ...

    def when_ended(self, call: Callable[[], object]) -> None:
        """Call a function once it has ended; from any thread."""
        ...

    def usage(self) -> Usage | None:
        """Return what it uses; None: it is ending."""
        ...

    def limit(self, address_space: int | None) -> None:
        """Limit its address space, bytes (None: not), and have it leave no core dump; where the system can.

        Raises:
            ProcessLookupError: it has ended.
        """
        ...

    def close(self) -> None:
        """Close both pipes; any thread, also while another one waits at them for a process that has ended."""
        ...


class Thread(Protocol):
    """A thread that has been started."""

    def join(self, timeout: float | None) -> bool:
        """Wait until it has ended, so many seconds at most; tell whether it has."""
        ...

    def is_current(self) -> bool:
        """Tell whether this is it."""
        ...


class Lock(Protocol):
    """A lock that may be held while its owner waits."""

    def acquire(self, *, timeout: float = -1) -> bool:
        """Take it, waiting so many seconds at most (-1: no limit); tell whether it is ours."""
        ...

    def release(self) -> None:
        """Give it back."""
        ...


class Signals(Protocol):
    """A condition variable, with a lock that is only held between waits."""

    def __enter__(self) -> object: ...

    def __exit__(self, *error: object) -> object: ...

    def wait(self, timeout: float | None = None) -> bool:
        """Wait to be notified; False when the time is up."""
        ...

    def wait_for(self, predicate: Callable[[], Any], timeout: float | None = None) -> Any:
        """Wait until something is true; return what it was last."""
        ...

    def notify_all(self) -> None:
        """Wake all who wait."""
        ...


class Machine(Protocol):
    """Where an actor system lives.

    Attributes:
        look_seconds: how often at most somebody may look at what nobody tells of.
    """

    look_seconds: float

    @property
    def scheduler(self) -> Scheduler | None:
        """Who lets a thread wait; None: it simply blocks."""
        ...

    def thread(self, work: Callable[[], object], name: str) -> Thread:
        """Start a thread that does not keep the program from ending."""
        ...

    def lock(self) -> Lock:
        """Return a new lock."""
        ...

    def signals(self) -> Signals:
        """Return a new condition variable."""
        ...

    def event_loop(self) -> asyncio.AbstractEventLoop:
        """Return a new event loop."""
        ...

    def process(self, program: Program) -> Process:
        """Start a process.

        Raises:
            OSError: the machine has none left.
        """
        ...

    def memory_kills(self) -> int:
        """Return how often a process of this machine, or of this group, was killed for want of memory."""
        ...

    def worker_processes(self) -> Any:
        """Return what starts the processes of pools; None: these do it themselves, in a way that is quicker.

        It is a `supervisors.pools.worker_process.WorkerProcesses`, which lies further out than this.
        """
        ...

    def meets(self, module: str) -> None:
        """Note that code of a module is about to run, in whatever kind of place."""
        ...


@final
class OwnMachine:
    """The machine that this process runs on."""

    __slots__ = ()

    look_seconds: float = 0.0

    @property
    def scheduler(self) -> None:
        """Nobody: a thread that waits simply blocks."""
        return None

    def thread(self, work: Callable[[], object], name: str) -> Thread:
        """Start a thread."""
        thread = _OwnThread(target=work, name=name, daemon=True)
        thread.start()
        return thread

    def lock(self) -> Lock:
        """Return a lock of the standard library."""
        return cast("Lock", threading.Lock())

    def signals(self) -> Signals:
        """Return a condition variable of the standard library."""
        return cast("Signals", threading.Condition())

    def event_loop(self) -> asyncio.AbstractEventLoop:
        """Return an event loop of the standard library."""
        import asyncio  # noqa: PLC0415 - few programs need it, and it is not small

        return asyncio.new_event_loop()

    def process(self, program: Program) -> Process:
        """Start another Python with the path of this one."""
        return _OwnProcess(program)

    def memory_kills(self) -> int:
        """Ask the kernel."""
        return memory_kills()

    def worker_processes(self) -> None:
        """Return None."""

    def meets(self, module: str) -> None:
        """Do nothing."""


@final
class _OwnThread(threading.Thread):
    def join(self, timeout: float | None = None) -> bool:  # type: ignore[override]  # it also says what has come of it
        super().join(timeout)
        return not self.is_alive()

    def is_current(self) -> bool:
        return threading.current_thread() is self


@final
class _OwnProcess:
    def __init__(self, program: Program) -> None:
        self._own_session = program.own_session
        self._popen = popen = subprocess.Popen(  # noqa: S603 - our own interpreter, our own words
            [sys.executable, "-c", f"from {program.module} import main; raise SystemExit(main())"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            start_new_session=program.own_session,
        )
        self.pid = popen.pid
        self._watched: Any = None
        try:
            ended = self._end_to_read()
            try:
                self.reader = cast("BinaryIO", PipeReader(cast("FileIO", popen.stdout), ended))
                self.writer = cast("BinaryIO", PipeWriter(cast("FileIO", popen.stdin), ended))
            finally:
                os.close(ended)
        except BaseException:
            popen.kill()  # there is no descriptor left, and nobody would ever know of it
            popen.wait()
            raise

    def _end_to_read(self) -> int:
        """Return a descriptor that can be read once the process has ended."""
        if hasattr(os, "pidfd_open"):
            with contextlib.suppress(OSError):  # an old kernel, or one that is imitated
                return os.pidfd_open(self.pid)
        reader, writer = os.pipe()

        def tell() -> None:
            os.write(writer, b"x")  # closing it would not do: a child that is forked meanwhile has it too
            os.close(writer)

        self.when_ended(tell)
        return reader

    def poll(self) -> int | None:
        return self._popen.poll()

    def wait(self, timeout: float | None) -> int | None:
        try:
            return self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def signal(self, number: int) -> None:
        if self._own_session:
            try:
                os.killpg(self.pid, number)
            except (ProcessLookupError, PermissionError):
                return
        else:
            self._popen.send_signal(number)

    def when_ended(self, call: Callable[[], object]) -> None:
        def wait() -> None:
            self._popen.wait()
            call()

        threading.Thread(target=wait, name=f"supervisors-process-{self.pid}", daemon=True).start()

    def usage(self) -> Usage | None:
        import psutil  # noqa: PLC0415 - only those need it that look

        try:
            memory, times = self._looked_at().memory_info(), self._looked_at().cpu_times()
        except psutil.Error:
            return None
        return Usage(memory.rss, memory.vms, times.user + times.system)

    def limit(self, address_space: int | None) -> None:
        import psutil  # noqa: PLC0415 - as above

        watched = self._looked_at()
        if not hasattr(watched, "rlimit"):
            return
        try:
            if address_space is not None:
                watched.rlimit(psutil.RLIMIT_AS, (address_space, address_space))
            watched.rlimit(psutil.RLIMIT_CORE, (0, 0))
        except psutil.Error as gone:
            raise ProcessLookupError(self.pid) from gone

    def _looked_at(self) -> Any:
        import psutil  # noqa: PLC0415 - as above

        if self._watched is None:
            self._watched = psutil.Process(self.pid)
        return self._watched

    def close(self) -> None:
        self.writer.close()
        self.reader.close()


_MEMORY_COUNTS: Final = (Path("/proc/vmstat"), Path("/sys/fs/cgroup/memory.events"))

KILL: Final = int(getattr(signal, "SIGKILL", signal.SIGTERM))


def memory_kills() -> int:
    """Return how often the kernel has killed a process of this machine, or of this group, for want of memory."""
    for counts in _MEMORY_COUNTS:
        try:
            lines = counts.read_text(encoding="ascii").splitlines()
        except OSError:
            continue
        for line in lines:
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0  # another system: then nobody can tell
