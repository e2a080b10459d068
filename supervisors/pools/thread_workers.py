"""Workers that are threads. They cannot be killed; what is done instead is told in `kill()`."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from typing import Any, Final, final

from supervisors.clock import Clock
from supervisors.exits import NORMAL, Crashed
from supervisors.pools.child import Handler
from supervisors.pools.door import Door, here
from supervisors.pools.inputs import Down, Finished, StartFailed, Up
from supervisors.pools.records import Task

__all__ = ["ThreadWorkers"]

logger = logging.getLogger("supervisors.pools")

_STOP: Final = "stop"
_RESET: Final = "reset"


@final
class _Member:
    """One thread, as the others see it."""

    __slots__ = ("abandoned", "inbox", "lock", "task")

    def __init__(self) -> None:
        self.inbox: queue.SimpleQueue[Task | str] = queue.SimpleQueue()
        self.lock = threading.Lock()  # guards the two below; see _claim()
        self.task: Task | None = None
        self.abandoned = False


@final
class ThreadWorkers:
    """Runs tasks in threads of this process.

    Args:
        worker: what the pool was given; None: each task brings its function along.
        door: of the pool.
        clock: measures runs.
        name: prefix of the threads' names.
    """

    prefetch_max = 1

    def __init__(self, worker: Callable[..., Any] | type | None, door: Door, clock: Clock, name: str) -> None:
        self._worker = worker
        self._door = door
        self._now = clock.monotonic
        self._name = name
        self._members: dict[int, _Member] = {}
        self._lock = threading.Lock()  # guards `left_alone`
        self.left_alone = 0  # threads of killed workers that are still at what they did

    def start(self, worker: int) -> None:
        member = self._members[worker] = _Member()
        thread = threading.Thread(target=self._run, args=(worker, member), name=f"{self._name}-{worker}", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # the machine has no thread left
            del self._members[worker]
            self._door.send(StartFailed(worker, error))

    def send(self, worker: int, task: Task) -> None:
        self._members[worker].inbox.put(task)

    def flush(self) -> None:
        """Do nothing: what was put into an inbox is there."""

    def reset(self, worker: int) -> None:
        self._members[worker].inbox.put(_RESET)

    def stop(self, worker: int) -> None:
        self._members[worker].inbox.put(_STOP)

    def kill(self, worker: int, task: Task | None) -> None:
        """Fence a worker: its outcome counts no more, and its thread ends when its function returns."""
        del task
        member = self._members.pop(worker, None)
        if member is None:
            return
        with member.lock:
            member.abandoned = True
            begun = member.task
        if begun is not None:
            with self._lock:
                self.left_alone += 1
        member.inbox.put(_STOP)
        self._door.send(Down(worker, "killed", begun))

    def revoke(self, worker: int) -> None:
        """Do nothing: no worker of this kind is given tasks ahead of time."""

    def close(self) -> None:
        for worker in list(self._members):
            member = self._members.pop(worker)
            with member.lock:
                member.abandoned = True
            member.inbox.put(_STOP)

    def join(self, timeout: float) -> bool:
        """Return whether all threads are done; one that is left alone is not waited for."""
        return not self.left_alone

    def _claim(self, member: _Member, task: Task | None) -> bool:
        """Note what the thread is at; False: it was killed, so it must not begin.

        Whoever kills looks at the same note under the same lock: either the thread
        has begun, and the killer knows, or it never will.
        """
        with member.lock:
            if member.abandoned:
                return False
            member.task = task
            return True

    def _run(self, worker: int, member: _Member) -> None:
        here.door, here.worker = self._door, worker
        try:
            handler = Handler(self._worker)
            handler.setup()
        except BaseException as error:  # noqa: BLE001 - whatever it is, the pool is told
            self._members.pop(worker, None)
            self._door.tell(StartFailed(worker, error))
            return
        self._door.tell(Up(worker))
        reason = self._serve(worker, member, handler)
        try:
            handler.teardown()
        except Exception:
            logger.exception("the teardown of worker %d raised", worker)
        if not member.abandoned:
            self._members.pop(worker, None)
            self._door.tell(Down(worker, reason, None))

    def _serve(self, worker: int, member: _Member, handler: Handler) -> object:
        """Do tasks until there are no more; return why."""
        inbox = member.inbox
        while True:
            item: Task | str | None = inbox.get()
            if item.__class__ is str:
                if item is _STOP:
                    return NORMAL
                try:
                    handler.reset()
                except BaseException as error:  # noqa: BLE001 - whatever it is, the worker ends with it
                    return Crashed(error)
                continue
            task: Any = item
            if not self._claim(member, task):
                return "killed"
            here.task = task
            failed = self._do(worker, task, handler)
            here.task = None
            item = task = None  # a thread that waits must not keep alive what it has done
            if not self._claim(member, None):
                with self._lock:
                    self.left_alone -= 1
                return "killed"
            if failed and handler.has_reset:
                try:
                    handler.reset()
                except BaseException as raised:  # noqa: BLE001 - whatever it is, the worker ends with it
                    return Crashed(raised)

    def _do(self, worker: int, task: Task, handler: Handler) -> bool:
        """Do one task; return whether it failed."""
        now = self._now
        begun = now()
        try:
            value = handler.run(task.payload)
        except BaseException as error:  # noqa: BLE001 - its submitter gets it
            self._door.tell(Finished(worker, task, None, error, now() - begun))
            return True
        self._door.tell(Finished(worker, task, value, None, now() - begun))
        return False
