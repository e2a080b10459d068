"""Workers that are threads. They cannot be killed; what is done instead is told in `kill()`."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, Final, final

from supervisors.clock import Clock
from supervisors.exits import NORMAL, Crashed
from supervisors.pools.child import Handler
from supervisors.pools.door import Door, here
from supervisors.pools.effects import Release
from supervisors.pools.inputs import Down, Finished, StartFailed, Up
from supervisors.pools.lane import KILLED, OTHERS, Lane, Member
from supervisors.pools.options import PoolOptions
from supervisors.pools.records import Task

__all__ = ["ThreadWorkers"]

logger = logging.getLogger("supervisors.pools")

_STOP: Final = "stop"
_RESET: Final = "reset"


@final
class ThreadWorkers:
    """Runs tasks in threads of this process.

    Args:
        worker: what the pool was given; None: each task brings its function along.
        door: of the pool.
        clock: measures runs.
        options: what the lane has to know: backlog, strategy.
        name: prefix of the threads' names.
    """

    prefetch_max = 1

    def __init__(
        self, worker: Callable[..., Any] | type | None, door: Door, clock: Clock, options: PoolOptions, name: str
    ) -> None:
        self._worker = worker
        self._door = door
        self._now = clock.monotonic
        self._name = name
        self._members: dict[int, Member] = {}
        backlog = options.backlog
        self._seats = Lane(backlog.count_max, rejects=backlog.policy == "reject", is_lifo=options.strategy == "lifo")
        self.lane = self._seats if options.has_plain_tasks else None

    @property
    def left_alone(self) -> int:
        """Threads of killed workers that are still at what they did."""
        return self._seats.left_alone

    def start(self, worker: int) -> None:
        member = self._members[worker] = Member(worker)
        thread = threading.Thread(target=self._run, args=(worker, member), name=f"{self._name}-{worker}", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # the machine has no thread left
            del self._members[worker]
            self._door.send(StartFailed(worker, error))

    def send(self, worker: int, task: Task) -> None:
        self._put(worker, task)

    def flush(self) -> None:
        """Do nothing: what was put into an inbox is there."""

    def reset(self, worker: int) -> None:
        self._put(worker, _RESET)

    def stop(self, worker: int) -> None:
        self._put(worker, _STOP)

    def kill(self, worker: int, task: Task | None) -> None:
        """Fence a worker: its outcome counts no more, and its thread ends when its function returns."""
        del task
        member = self._members.pop(worker, None)
        if member is None:
            return
        begun = self._seats.abandon(member)
        member.inbox.put(_STOP)
        self._door.send(Down(worker, "killed", begun))

    def revoke(self, worker: int) -> None:
        """Do nothing: no worker of this kind is given tasks ahead of time."""

    def release(self, release: Release) -> None:
        self._seats.open(release, self._members)

    def close(self) -> None:
        for worker in list(self._members):
            member = self._members.pop(worker)
            self._seats.abandon(member)
            member.inbox.put(_STOP)

    def join(self, timeout: float) -> bool:
        """Return whether all threads are done; one that is left alone is not waited for."""
        return not self.left_alone

    def _put(self, worker: int, what: Task | str) -> None:
        member = self._members.get(worker)
        if member is not None:  # else it has just ended, and the pool will hear of it
            member.inbox.put(what)

    def _run(self, worker: int, member: Member) -> None:
        here.door, here.worker = self._door, worker
        try:
            handler = Handler(self._worker)
            handler.setup()
        except BaseException as error:  # noqa: BLE001 - whatever it is, the pool is told
            self._members.pop(worker, None)
            self._door.tell(StartFailed(worker, error))
            return
        self._door.tell(Up(worker))
        reason = self._serve(member, handler)
        try:
            handler.teardown()
        except Exception:
            logger.exception("the teardown of worker %d raised", worker)
        if not member.is_abandoned:
            self._members.pop(worker, None)
            self._door.tell(Down(worker, reason, None))

    def _serve(self, member: Member, handler: Handler) -> object:
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
            item = None  # a thread that waits must not keep alive what it has done
            if not self._seats.begin(member, task, self._now()):
                return "killed"
            while task is not None:
                task = self._do(member, task, handler)
                if task is KILLED:
                    return "killed"
                if task.__class__ is Crashed:
                    return task

    def _do(self, member: Member, task: Task, handler: Handler) -> Any:
        """Do one task; return the next one, None, `KILLED`, or `Crashed` where the worker is of no use any more."""
        now, seats = self._now, self._seats
        if task.key is not None:
            here.task = task
        begun = now()
        value = error = None
        try:
            value = handler.run(task.payload)
        except BaseException as raised:  # noqa: BLE001 - its submitter gets it
            error = raised
        ended = now()
        here.task = None
        resets = error is not None and handler.has_reset
        following = seats.through(member, task, begun, ended, failed=error is not None, goes_on=not resets)
        if following is KILLED:
            return KILLED
        if following is OTHERS:
            self._door.tell(Finished(member.worker, task, value, error, ended - begun))
            following = None
            if not seats.release(member):
                return KILLED
        elif error is None:
            task.client.complete(value)
        else:
            task.client.fail(error)
        if resets:
            try:
                handler.reset()
            except BaseException as raised:  # noqa: BLE001 - whatever it is, the worker ends with it
                return Crashed(raised)
            return seats.take(member, now())
        return following
