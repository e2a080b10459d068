"""Starts the processes of sandboxes, watches them, and kills those that go too far.

One thread does it for all: it starts processes (on Linux the kernel kills a process
when the *thread* that started it dies, so this one lives as long as they may), keeps
some in reserve, and looks at those in use: at their memory, their CPU time, and the
deadline of the request in hand. It sleeps until there is something to do; without a
sandbox in use it never wakes.

Requests are written and read by the thread that makes them. What ends a read that
nobody answers is the death of the process, and the keeper sees to that.

Processes, the thread and what waits come from the `machine` of the actor system; in a
simulation they are simulated.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
from collections import deque
from collections.abc import Callable
from math import inf
from typing import Any, Final, final

from sessionactors.errors import OperationFailed, ProcessDied
from sessionactors.sandbox.child import OUT_OF_MEMORY
from sessionactors.sandbox.duty_cycle import DutyCycle
from sessionactors.sandbox.limits import SandboxLimits
from supervisors.runtime.frames import Frames
from supervisors.runtime.futures import ScheduledFuture
from supervisors.runtime.machine import Machine, OwnMachine, Process, Program, Thread

__all__ = ["Sandbox", "SandboxKeeper"]

logger = logging.getLogger("sessionactors.sandbox")

LOOK_SECONDS: Final = 0.05
"""How often the keeper looks at the sandboxes in use."""

REPORT_SECONDS: Final = 0.5
"""How often it reports what they use."""

PIPE_SECONDS: Final = 1.0
"""How long a process may live after it has closed its pipe."""

START_SECONDS: Final = 30.0
"""How long a start may take, with the import of the handler's module."""

CPU_BURST: Final = 0.2
"""CPU seconds that a sandbox may have saved."""

RETRY_SECONDS: Final = 0.5
"""How soon another process is started where the machine had none left."""

_PROGRAM: Final = Program("sessionactors.sandbox.child", own_session=True)


@final
class Sandbox:
    """One process that answers the requests of one session.

    Attributes:
        pid: of the process.
        reason: why it has ended; None while it lives.
        is_owner: whether its end is the end of its session.
        hosts_session: whether the session's own code is in it, which only the session asks.

    Thread: `call` and `kill` are safe anywhere; requests are handled one by one.
    """

    __slots__ = (
        "_base_memory",
        "_duty",
        "_ended",
        "_frames",
        "_is_stopped",
        "_keeper",
        "_killed_before",
        "_lock",
        "_process",
        "_reported_at",
        "deadline",
        "hosts_session",
        "is_owner",
        "limits",
        "on_end",
        "on_use",
        "pid",
        "reason",
    )

    def __init__(self, keeper: SandboxKeeper, process: Process) -> None:
        self._keeper = keeper
        self._process = process
        self._frames = Frames(process.reader, process.writer)
        self._lock = keeper.machine.lock()  # guards the pipe: one request at a time
        self._killed_before = keeper.machine.memory_kills()
        self._base_memory = 0
        self._duty: DutyCycle | None = None
        self._is_stopped = False
        self._reported_at = -inf
        self._ended: ScheduledFuture[None] = ScheduledFuture(keeper.machine.scheduler)
        self.pid = process.pid
        self.limits = SandboxLimits()
        self.deadline = inf  # monotonic seconds, of the request in hand
        self.reason: str | None = None
        self.is_owner = True
        self.hosts_session = False
        self.on_end: Callable[[str], object] | None = None
        self.on_use: Callable[[int, float], object] | None = None

    def call(self, request: object, deadline: float | None = None) -> Any:
        """Have a request handled, and return the answer.

        Args:
            request: anything that msgpack can carry.
            deadline: seconds; None is the one of the limits. Beyond it the process is killed.

        Raises:
            ProcessDied: the process has ended, perhaps for this request.
            OperationFailed: the handler raised; it goes on.
            TypeError: the request cannot travel.
        """
        seconds = self.limits.deadline if deadline is None else deadline
        if not self._lock.acquire(timeout=seconds):
            raise OperationFailed("the requests before this one take too long")
        try:
            self.deadline = self._keeper.now() + seconds
            self._keeper.wake()
            kind, answer = self._exchange(request)
        finally:
            self.deadline = inf
            self._lock.release()
        if kind == "raised":
            raise OperationFailed(answer)
        return answer

    def kill(self, reason: str = "closed") -> None:
        """End the process and whatever it has started; the first reason counts."""
        if self.reason is None:
            self.reason = reason
        if not self._ended.is_done():  # afterwards the number may be somebody else's
            self._process.signal(signal.SIGKILL)
        self._keeper.wake()

    def is_gone(self) -> bool:
        """Tell whether it has ended in reserve; then it is seen to."""
        code = self._process.poll()
        if code is not None:
            self._end(code)
        return code is not None

    def set_up(self, limits: SandboxLimits, module: str, name: str, arguments: list[object]) -> None:
        """Limit the process, and have it make the handler; done once, by the keeper.

        Raises:
            OperationFailed: the handler cannot be imported or made.
            ProcessDied: the process has ended meanwhile.
        """
        self._read()  # it is up now, if it was not so already
        usage = self._process.usage()
        if usage is None:
            raise ProcessDied("it has ended before its start was over")
        self._base_memory = usage.resident
        try:
            self._process.limit(None if limits.memory is None else usage.virtual + limits.memory)
        except ProcessLookupError as gone:
            raise ProcessDied("it has ended before its start was over") from gone
        # Not before it is known what an empty process takes: it is looked at all the time.
        self.limits = limits
        if limits.cpu is not None:
            self._duty = DutyCycle(limits.cpu, CPU_BURST, self._keeper.now())
        kind, *told = self._exchange_frame(list(sys.path), module, name, arguments)
        if kind == "failed":
            raise OperationFailed(str(told[0]))

    def look(self, now: float) -> bool:
        """Judge the process: kill it, pause it, let it go on; False once it has ended."""
        code = self._process.poll()
        if code is not None:
            self._end(code)
            return False
        if now >= self.deadline:
            self.kill("deadline_exceeded")
            return True
        usage = self._process.usage()
        if usage is None:
            return True  # it is ending
        memory = max(0, usage.resident - self._base_memory)
        if self.limits.memory is not None and memory > self.limits.memory:
            self.kill("out_of_memory")
            return True
        if self._duty is not None and self._duty.step(now, usage.cpu) is self._is_stopped:
            self._is_stopped = not self._is_stopped
            self._process.signal(signal.SIGSTOP if self._is_stopped else signal.SIGCONT)
        if self.on_use is not None and now - self._reported_at >= REPORT_SECONDS:
            self._reported_at = now
            self.on_use(memory, usage.cpu)
        return True

    def _end(self, code: int) -> None:
        if self.reason is None:
            kills = self._keeper.machine.memory_kills()
            if code == OUT_OF_MEMORY or (code == -signal.SIGKILL and kills > self._killed_before):
                self.reason = "out_of_memory"
            elif code < 0:
                self.reason = f"killed by {signal.Signals(-code).name}"
            else:
                self.reason = f"exit code {code}"
        self._process.signal(signal.SIGKILL)  # what it has started does not outlive it
        self._process.close()
        self._ended.offer()
        if self.on_end is not None:
            self.on_end(self.reason)

    def reap(self) -> None:
        """Wait for the end of the process; for the keeper, when it stops."""
        code = self._process.wait(START_SECONDS)
        if code is not None:
            self._end(code)

    def _exchange(self, request: object) -> tuple[str, Any]:
        kind, answer = self._exchange_frame(request)
        return kind, answer

    def _exchange_frame(self, *frame: object) -> list[Any]:
        with contextlib.suppress(OSError, ValueError):  # the process is gone, or its pipe has been closed behind it
            self._frames.write(*frame)
        return self._read()

    def _read(self) -> list[Any]:
        answer = None
        with contextlib.suppress(OSError, ValueError):
            answer = self._frames.read()
        if answer is None:
            # The keeper finds out why, and says so.
            self._keeper.wake()
            if not self._ended.settle(PIPE_SECONDS):
                self.kill("closed its pipe")
                self._ended.settle(START_SECONDS)
            raise ProcessDied(self.reason or "its pipe was closed")
        return answer

    def __repr__(self) -> str:
        return f"<Sandbox in process {self.pid}: {self.reason or 'runs'}>"


@final
class SandboxKeeper:
    """All sandboxes of one system, and the processes in reserve.

    Args:
        now: reads the monotonic clock.
        spares: processes in reserve.
        machine: starts the processes; None: the one that this process runs on.

    Thread: every method is safe anywhere.
    """

    def __init__(self, now: Callable[[], float], spares: int, machine: Machine | None = None) -> None:
        self.now = now
        self.machine: Machine = OwnMachine() if machine is None else machine
        self._spares = spares
        self._look_seconds = max(LOOK_SECONDS, self.machine.look_seconds)
        self._changed = self.machine.signals()  # guards everything below
        self._warm: deque[Sandbox] = deque()
        self._in_use: list[Sandbox] = []
        self._wanted = 0
        self._is_awake = False
        self._is_stopped = False
        self._thread: Thread | None = None
        self._has_failed = False  # to start the last process; the keeper's own

    def start(self, limits: SandboxLimits, handler: type, arguments: list[object]) -> Sandbox:
        """Take a process, limit it, and make the handler in it.

        Args:
            limits: of this sandbox.
            handler: a class with `handle_request(request)`; importable by its module and name.
            arguments: for its constructor.

        Raises:
            OperationFailed: the handler cannot be imported or made, or no process came up.
            ProcessDied: the process has ended meanwhile.

        Blocks: some milliseconds with a process in reserve, and the import of the module.
        """
        self.machine.meets(handler.__module__)
        sandbox = self._take()
        sandbox.deadline = self.now() + START_SECONDS
        try:
            sandbox.set_up(limits, handler.__module__, handler.__qualname__, arguments)
        except BaseException:
            sandbox.kill("start_failed")
            raise
        sandbox.deadline = inf
        return sandbox

    def wake(self) -> None:
        """Have the keeper look now: something has changed."""
        with self._changed:
            self._is_awake = True
            self._changed.notify_all()

    def stop(self) -> None:
        """Kill all processes, and end the thread."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join(START_SECONDS)

    def _take(self) -> Sandbox:
        """Return a process that is warm, and see that there is another one soon."""
        with self._changed:
            if self._is_stopped:
                raise OperationFailed("the session system has been stopped")
            if self._thread is None:
                self._thread = self.machine.thread(self._run, "sessionactors-sandboxes")
            self._wanted += 1
            self._is_awake = True
            self._changed.notify_all()
            try:
                if not self._changed.wait_for(lambda: self._has_warm() or self._is_stopped, START_SECONDS):
                    raise OperationFailed(f"no process came up within {START_SECONDS:.0f} s")
                if not self._warm:
                    raise OperationFailed("the session system has been stopped")
                sandbox = self._warm.popleft()
                self._in_use.append(sandbox)
                return sandbox
            finally:
                self._wanted -= 1

    def _has_warm(self) -> bool:
        """Tell whether a process is in reserve; whoever has ended there is taken out."""
        while self._warm and self._warm[0].is_gone():
            self._warm.popleft()
            self._is_awake = True
            self._changed.notify_all()
        return bool(self._warm)

    def _run(self) -> None:
        """Be the keeper."""
        while True:
            with self._changed:
                in_use = list(self._in_use)
                if not self._is_awake and not self._is_stopped:
                    self._changed.wait(self._pause(in_use))
                self._is_awake = False
                if self._is_stopped:
                    break
                missing = self._spares + self._wanted - len(self._warm)
                in_use = list(self._in_use)
            now = self.now()
            ended = [each for each in in_use if not self._look(each, now)]
            if ended:
                with self._changed:
                    self._in_use = [each for each in self._in_use if each not in ended]
            if missing > 0:
                self._has_failed = not self._start_one()
                if missing > 1 and not self._has_failed:
                    self.wake()
        self._end_all()

    def _pause(self, in_use: list[Sandbox]) -> float | None:
        if not in_use:
            return RETRY_SECONDS if self._has_failed else None
        return max(0.0, min(self._look_seconds, min(each.deadline for each in in_use) - self.now()))

    def _look(self, sandbox: Sandbox, now: float) -> bool:
        try:
            return sandbox.look(now)
        except Exception:
            logger.exception("%s could not be looked at, and is killed", sandbox)
            sandbox.kill("internal_error")
            return True

    def _start_one(self) -> bool:
        try:
            sandbox = Sandbox(self, self.machine.process(_PROGRAM))
        except Exception:
            logger.exception("a process in reserve could not be started")
            return False
        with self._changed:
            self._warm.append(sandbox)
            self._changed.notify_all()
        return True

    def _end_all(self) -> None:
        with self._changed:
            everybody = [*self._warm, *self._in_use]
            self._warm.clear()
            self._in_use.clear()
            self._changed.notify_all()
        for each in everybody:
            each.on_end = None
            each.kill("system_stopped")
        for each in everybody:
            each.reap()

    def __repr__(self) -> str:
        return f"<SandboxKeeper: {len(self._in_use)} sandboxes, {len(self._warm)} processes in reserve>"
