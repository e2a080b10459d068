"""Workers that are processes: killable, replaced from a warm spare, and never without an heir to their tasks.

One thread for a pool starts the processes, reads what they answer and waits for their
ends. Whoever performs the pool's decisions writes to them directly, without blocking;
what a full pipe does not take, the thread writes later.

The thread matters for the end too: on Linux the kernel kills a worker process when the
*thread* that started it dies, so also when this process is killed.
"""

from __future__ import annotations

import contextlib
import logging
import pickle
import selectors
import signal
import sys
from collections import deque
from collections.abc import Callable
from multiprocessing.process import current_process
from typing import Any, Final, final

from supervisors.clock import Clock
from supervisors.exits import NORMAL, Crashed
from supervisors.pools import child
from supervisors.pools.coming_up import PATIENCE_SECONDS, ComingUp
from supervisors.pools.door import Door
from supervisors.pools.effects import Release
from supervisors.pools.inputs import Down, Finished, HandedBack, Input, Measured, StartFailed, Up
from supervisors.pools.lane import Lane
from supervisors.pools.options import PoolOptions
from supervisors.pools.performer import Batch
from supervisors.pools.records import Task
from supervisors.pools.transport import error_of, outcome_of, pack_worker
from supervisors.pools.worker_process import OwnWorkerProcesses, WorkerProcess, WorkerProcesses, main_facts
from supervisors.process_actor import ProcessEnded
from supervisors.runtime.machine import Machine

__all__ = ["ProcessWorkers"]

logger = logging.getLogger("supervisors.pools")

READ_BYTES: Final = 1 << 18

RSS_SECONDS: Final = 0.5
"""How often the memory of the processes is looked at, where that decides anything."""

STOPPED_SECONDS: Final = 0.001
"""How often it is looked whether a process has stopped that is to be looked at."""

STOPPED_TRIES: Final = 1000

SPARE_DEATHS_MAX: Final = 3

MODULES_MAX: Final = 32
"""Modules that spares import ahead of need."""


@final
class ProcessWorkers:
    """Runs tasks in processes.

    Args:
        worker: what the pool was given; importable by its module and name.
        door: of the pool.
        clock: decides when memory is looked at.
        options: `warm_spares`, `result_bytes_max`, `prefetch_max`, `recycle`.
        name: of the thread.
        machine: that the processes and the thread are on.

    Raises:
        TransportError: the worker cannot travel to another process.
    """

    lane: Lane | None = None

    def __init__(  # noqa: PLR0917 - made by WorkerPool only
        self,
        worker: Callable[..., Any] | None,
        door: Door,
        clock: Clock,
        options: PoolOptions,
        name: str,
        machine: Machine,
    ) -> None:
        self.prefetch_max = options.prefetch_max
        self._door = door
        self._now = clock.monotonic
        self._spares_wanted = options.warm_spares
        self._measures = options.recycle.rss_bytes is not None
        self._facts = {
            "path": list(sys.path),
            "argv": list(sys.argv),
            "main": main_facts(),
            "authkey": bytes(current_process().authkey),
            "worker": pack_worker(worker),
            "result_bytes_max": options.result_bytes_max,
        }
        self._modules: dict[str, None] = {}  # what tasks have come from, in order
        self._by_worker: dict[int, WorkerProcess] = {}
        self._dirty: list[WorkerProcess] = []
        self._number = 0
        self._commands: deque[Callable[[], None]] = deque()
        self._machine = machine
        self._port: WorkerProcesses = machine.worker_processes() or OwnWorkerProcesses()
        self._processes: dict[WorkerProcess, None] = {}  # this and all below: the thread's own
        self._spares: deque[WorkerProcess] = deque()
        self._spare_deaths = 0  # in a row, without a worker that came up
        self._coming = ComingUp()
        self._judged: list[WorkerProcess] = []  # stopped, to see what they are at
        self._events: list[Input] = []
        self._memory_kills = machine.memory_kills()
        self._measure_at = 0.0
        self._is_closed = False
        self._selector = self._port.selector()
        self._waker = self._port.waker()
        self._selector.register(self._waker.descriptor, selectors.EVENT_READ, self._waker.clear)
        self._thread = machine.thread(self._loop, f"{name}-processes")

    @property
    def spares_up(self) -> int:
        """Spares that are ready. Any thread."""
        return sum(1 for spare in tuple(self._spares) if spare.is_warm)

    # -- what the performer calls ------------------------------------------------

    def note_module(self, module: str) -> None:
        """Have spares import what tasks come from, ahead of need. Any thread."""
        if module not in self._modules and len(self._modules) < MODULES_MAX:
            self._modules[module] = None
            self._command(self._warm_spares)

    def start(self, worker: int) -> None:
        self._command(lambda: self._start(worker, PATIENCE_SECONDS))

    def send(self, worker: int, task: Task) -> None:
        process = self._by_worker.get(worker)
        if process is None:
            return  # it has ended, and the pool will hear of it
        self._number = number = self._number + 1
        process.in_flight[number] = task
        self._put(process, child.FRAME.pack(child.RUN, number, len(task.payload)) + task.payload)

    def flush(self) -> None:
        dirty = self._dirty
        if dirty:
            self._dirty = []
            for process in dirty:
                self._write(process)

    def reset(self, worker: int) -> None:
        process = self._by_worker.get(worker)
        if process is not None:
            self._put(process, child.FRAME.pack(child.RESET, 0, 0))

    def stop(self, worker: int) -> None:
        # A worker that is not there yet is stopped by the thread, in order.
        self._command(lambda: self._stop(worker))

    def kill(self, worker: int, task: Task | None) -> None:
        self._command(lambda: self._kill(worker, task))

    def revoke(self, worker: int) -> None:
        self._command(lambda: self._revoke(worker))

    def release(self, release: Release) -> None:
        """Do nothing: this kind has no lane."""

    def close(self) -> None:
        self._command(self._close)

    def join(self, timeout: float) -> bool:
        """Wait for the end of the thread; False when the time is up."""
        return self._thread.join(timeout)

    def _put(self, process: WorkerProcess, frame: bytes) -> None:
        if not process.batch:
            self._dirty.append(process)
        process.batch.append(frame)

    def _write(self, process: WorkerProcess) -> None:
        data = process.batch[0] if len(process.batch) == 1 else b"".join(process.batch)
        process.batch = []
        if not process.put(data):
            self._command(lambda: self._watch(process))

    def _command(self, act: Callable[[], None]) -> None:
        self._commands.append(act)
        self._waker.wake()

    # -- the thread -----------------------------------------------------------------

    def _loop(self) -> None:
        try:
            while not (self._is_closed and not self._processes):
                for key, mask in self._selector.select(self._timeout()):
                    if mask:
                        key.data()
                while self._commands:
                    self._commands.popleft()()
                if self._judged:
                    self._judge()
                for process in self._coming.given_up(self._now()):
                    self._start_another(process)
                if self._measures:
                    self._measure()
                self._tell()
                if self._wants_spare() and not self._commands:
                    self._add_spare()
        except BaseException:
            logger.exception("the thread of a process pool has failed; its pool is ended")
            for process in list(self._processes):
                process.popen.kill()
            if self._door.ref is not None:
                self._door.ref.exit("processes_lost")
        finally:
            self._selector.close()
            self._waker.close()

    def _timeout(self) -> float | None:
        if self._judged:
            return STOPPED_SECONDS
        if self._wants_spare():
            return 0.0
        timeout = self._coming.timeout(self._now())
        return timeout if not self._measures else RSS_SECONDS if timeout is None else min(RSS_SECONDS, timeout)

    def _wants_spare(self) -> bool:
        # Where spares die by themselves, starting one after the other helps nobody.
        return not self._is_closed and len(self._spares) < self._spares_wanted and self._spare_deaths < SPARE_DEATHS_MAX

    def _tell(self) -> None:
        events = self._events
        if events:
            self._events = []
            self._door.tell(Batch(events))

    # -- starting --------------------------------------------------------------------

    def _start(self, worker: int, patience: float) -> None:
        if self._is_closed:
            return
        try:
            process = self._pick_spare() or self._spawn()
        except OSError as error:
            self._events.append(StartFailed(worker, error))
            return
        process.worker = worker
        self._by_worker[worker] = process
        self._coming.watch(process, self._now(), patience)
        self._send_setup(process, warm_up=False)

    def _pick_spare(self) -> WorkerProcess | None:
        """Take a spare, one that is ready if there is one, and none that was stopped from outside."""
        for spare in sorted(self._spares, key=lambda spare: not spare.is_warm):
            self._spares.remove(spare)
            if not spare.is_stopped():
                return spare
            spare.popen.kill()
        return None

    def _start_another(self, process: WorkerProcess) -> None:
        """Have another process be the worker that this one does not become."""
        worker = process.worker
        process.popen.kill()
        if worker is not None and not process.is_asked_to_stop:
            self._forget(process)
            logger.warning("process %d does not come up; another one takes its turn", process.popen.pid)
            self._start(worker, 2.0 * process.patience)

    def _add_spare(self) -> None:
        try:
            spare = self._spawn()
        except OSError:
            self._spares_wanted = 0  # whoever is needed is started without one
            return
        self._spares.append(spare)
        self._send_setup(spare, warm_up=True)

    def _send_setup(self, process: WorkerProcess, *, warm_up: bool) -> None:
        facts = {**self._facts, "warm_up": warm_up, "modules": list(self._modules)}
        body = pickle.dumps(facts, pickle.HIGHEST_PROTOCOL)
        if not process.put(child.FRAME.pack(child.SETUP, 0, len(body)) + body):
            self._watch(process)

    def _warm_spares(self) -> None:
        for spare in self._spares:
            spare.is_warm = False
            self._send_setup(spare, warm_up=True)

    def _spawn(self) -> WorkerProcess:
        process = self._port.spawn()
        self._processes[process] = None
        self._selector.register(process.answers, selectors.EVENT_READ, lambda: self._read(process))
        if process.pidfd >= 0:
            self._selector.register(process.pidfd, selectors.EVENT_READ, lambda: self._ended(process))
        return process

    # -- talking ------------------------------------------------------------------------

    def _watch(self, process: WorkerProcess) -> None:
        """Have the selector say when the pipe to a process takes more."""
        if process not in self._processes:
            return
        with contextlib.suppress(KeyError):  # it is watched already
            self._selector.get_key(process.tasks)
            return
        self._selector.register(process.tasks, selectors.EVENT_WRITE, lambda: self._write_more(process))

    def _write_more(self, process: WorkerProcess) -> None:
        if process.put_more():
            self._selector.unregister(process.tasks)

    def _read(self, process: WorkerProcess) -> bool:
        """Take in what a process has answered; False when there was nothing."""
        try:
            data = process.take(READ_BYTES)
        except BlockingIOError:
            return False
        if not data:
            with contextlib.suppress(KeyError):
                self._selector.unregister(process.answers)
            if process.pidfd < 0 and process in self._processes:
                self._ended(process)
            return False
        buffer = process.buffer
        buffer += data
        position, end, head = 0, len(buffer), child.ANSWER.size
        while end - position >= head:
            kind, number, seconds, length = child.ANSWER.unpack_from(buffer, position)
            if end - position - head < length:
                break
            position += head
            body = bytes(buffer[position : position + length])
            position += length
            self._answered(process, kind, number, seconds, body)
        del buffer[:position]
        return True

    def _answered(self, process: WorkerProcess, kind: int, number: int, seconds: float, body: bytes) -> None:
        worker = process.worker
        if kind == child.HEARD:
            process.has_heard = True
        elif kind == child.UP:
            process.is_up = True
            self._coming.forget(process)
            self._spare_deaths = 0
            if worker is not None:
                self._events.append(Up(worker))
        elif kind == child.WARM:
            process.is_warm = True
        elif kind == child.SETUP_FAILED:
            if worker is not None:
                self._forget(process)
                self._events.append(StartFailed(worker, error_of(body)))
        elif kind == child.RESET_FAILED:
            process.reason = Crashed(error_of(body))
        else:
            task = process.in_flight.pop(number, None)
            if task is not None and worker is not None:
                value, error = outcome_of(kind, body)
                self._events.append(Finished(worker, task, value, error, seconds))

    # -- ending --------------------------------------------------------------------------

    def _stop(self, worker: int) -> None:
        process = self._by_worker.get(worker)
        if process is not None:
            self._ask_to_stop(process)

    def _ask_to_stop(self, process: WorkerProcess) -> None:
        process.is_asked_to_stop = True
        if not process.put(child.FRAME.pack(child.STOP, 0, 0)):
            self._watch(process)

    def _kill(self, worker: int, task: Task | None) -> None:
        process = self._by_worker.get(worker)
        if process is None:
            return
        if task is None or len(process.in_flight) <= 1 or not process.can_be_judged:
            process.popen.kill()
        elif process.doom is None:
            # It has been given tasks ahead of time. It may be at another one by now, which
            # must not die for this one; so it is stopped before it is looked at.
            process.doom = task
            self._have_judged(process)

    def _revoke(self, worker: int) -> None:
        process = self._by_worker.get(worker)
        if process is not None and len(process.in_flight) > 1 and process.can_be_judged:
            process.is_revoked = True
            self._have_judged(process)

    def _have_judged(self, process: WorkerProcess) -> None:
        if process not in self._judged:
            process.tries = 0
            process.popen.send_signal(signal.SIGSTOP)
            self._judged.append(process)

    def _judge(self) -> None:
        judged, self._judged = self._judged, []
        for process in judged:
            if process not in self._processes:
                continue
            stands = process.stands_still()
            if stands is None:
                process.tries = STOPPED_TRIES
            process.tries += 1
            if not stands and process.tries < STOPPED_TRIES:
                self._judged.append(process)
                continue
            task, process.doom = process.doom, None
            while self._read(process):
                pass
            if process.is_revoked:
                process.is_revoked = False
                if stands and process.worker is not None and (tasks := process.take_back()):
                    self._events.append(HandedBack(process.worker, tasks))
                if task is None:
                    process.popen.send_signal(signal.SIGCONT)
                    continue
            at = process.in_flight.get(process.mark[0])
            if at is None or at is task or not stands:
                process.popen.kill()
            else:
                process.popen.send_signal(signal.SIGCONT)
                self._ask_to_stop(process)  # after what it has

    def _ended(self, process: WorkerProcess) -> None:
        """See to a process that is no more."""
        self._processes.pop(process, None)
        while self._read(process):
            pass
        code = process.popen.wait()
        begun = process.in_flight.get(process.mark[0])
        worker = process.worker
        self._forget(process)
        for descriptor in (process.tasks, process.answers, process.pidfd):
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(descriptor)
        process.close()
        if worker is None:
            with contextlib.suppress(ValueError):
                self._spares.remove(process)
                self._spare_deaths += 1
            return
        reason = self._reason(process, code)
        if process.is_up:
            self._events.append(Down(worker, reason, begun))
        else:
            self._events.append(StartFailed(worker, reason))

    def _forget(self, process: WorkerProcess) -> None:
        self._coming.forget(process)
        if process.worker is not None:
            self._by_worker.pop(process.worker, None)
            process.worker = None

    def _reason(self, process: WorkerProcess, code: int) -> object:
        if process.reason is not None:
            return process.reason
        if code == 0 and process.is_asked_to_stop:
            return NORMAL
        if code >= 0:
            return ProcessEnded(code, None)
        kills = self._machine.memory_kills()
        out_of_memory = -code == signal.SIGKILL and kills > self._memory_kills
        self._memory_kills = kills
        return ProcessEnded(None, signal.Signals(-code).name, out_of_memory)

    def _close(self) -> None:
        self._is_closed = True
        for process in self._processes:
            process.popen.kill()

    # -- memory ----------------------------------------------------------------------------

    def _measure(self) -> None:
        now = self._now()
        if now < self._measure_at:
            return
        self._measure_at = now + RSS_SECONDS
        for worker, process in list(self._by_worker.items()):
            resident = process.resident_bytes()
            if resident is not None:
                self._events.append(Measured(worker, resident))
