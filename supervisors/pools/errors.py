"""What a pool says when it cannot, or could not, do a task.

::

    SupervisorsError
    └── PoolError
        ├── PoolFullError           the backlog is at its bound
        ├── PoolStoppedError        (RuntimeError) the pool takes nothing (any more)
        ├── PoolFailedError         (BrokenExecutor) no worker comes up; the reason is attached
        ├── CheckoutTimeoutError    (TimeoutError) no worker became free in time
        ├── LeaseOverError          the checked-out worker is not yours (any more)
        └── TaskError               one task has not been done
            ├── TaskTimeoutError    (TimeoutError) its time was up, waiting or running
            ├── TaskShedError       it gave way to others in a full backlog
            ├── TaskReturnedError   the pool has ended before it was done
            ├── PoolCrashedError    the pool itself was killed or has crashed; it starts anew
            ├── WorkerDiedError     its worker died while it ran
            ├── PoisonTaskError     it has killed too many workers
            ├── RemoteTaskError     an exception in a worker process, told in words
            └── TransportError      it, or its result, cannot travel to or from a process

An exception that a task's own function raises is passed on as it is; a task that is
cancelled raises `concurrent.futures.CancelledError`.
"""

from __future__ import annotations

from concurrent.futures import BrokenExecutor

from supervisors.errors import SupervisorsError

__all__ = [
    "CheckoutTimeoutError",
    "LeaseOverError",
    "PoisonTaskError",
    "PoolCrashedError",
    "PoolError",
    "PoolFailedError",
    "PoolFullError",
    "PoolStoppedError",
    "RemoteTaskError",
    "TaskError",
    "TaskReturnedError",
    "TaskShedError",
    "TaskTimeoutError",
    "TransportError",
    "WorkerDiedError",
]


class PoolError(SupervisorsError):
    """Root of what goes wrong in a pool."""


class PoolFullError(PoolError):
    """The backlog is at its bound and the task, or checkout, was not taken in.

    Attributes:
        count: tasks that wait.
        size_bytes: what they hold, bytes.
    """

    def __init__(self, count: int, size_bytes: int) -> None:
        self.count = count
        self.size_bytes = size_bytes
        super().__init__(f"the backlog is full: {count} tasks with {size_bytes} bytes wait")


class PoolStoppedError(PoolError, RuntimeError):
    """The pool is stopping or has ended; it takes nothing in."""

    def __init__(self, message: str = "the pool has been stopped and takes nothing in") -> None:
        super().__init__(message)


class PoolFailedError(PoolError, BrokenExecutor):
    """Workers fail to start, again and again; the pool goes on trying, ever more rarely.

    Attributes:
        reason: what the last one failed with, an exception or an exit reason.
    """

    def __init__(self, reason: object) -> None:
        self.reason = reason
        super().__init__(f"no worker of the pool comes up; the last one: {reason!r}")


class CheckoutTimeoutError(PoolError, TimeoutError):
    """No worker became free in time; the request has been withdrawn (POOL-3)."""

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        super().__init__(f"no worker became free within {timeout:g} seconds")


class LeaseOverError(PoolError):
    """The worker was checked in, taken back, or has died."""


class TaskError(PoolError):
    """One task has not been done; the pool and its other tasks go on."""


class TaskTimeoutError(TaskError, TimeoutError):
    """The task's time was up.

    Attributes:
        limit: `"timeout"`, for one run, or `"deadline"`, since it was submitted.
        was_running: True if a worker was at it, which has been ended for it.
    """

    def __init__(self, limit: str, seconds: float, *, was_running: bool) -> None:
        self.limit = limit
        self.seconds = seconds
        self.was_running = was_running
        where = "running" if was_running else "waiting"
        super().__init__(f"the task's {limit} of {seconds:g} seconds passed while it was {where}")


class TaskShedError(TaskError):
    """The task was taken in, and gave way to others when the backlog was full.

    Attributes:
        policy: which policy it was.
    """

    def __init__(self, policy: str) -> None:
        self.policy = policy
        super().__init__(f"the backlog was full and its policy is {policy!r}")


class TaskReturnedError(TaskError):
    """The pool has ended before the task was done; it can be submitted elsewhere.

    Attributes:
        begun: True if it was running, so that part of it may have happened.
    """

    def __init__(self, *, begun: bool) -> None:
        self.begun = begun
        super().__init__("the pool has ended while the task was " + ("running" if begun else "waiting"))


class PoolCrashedError(TaskError):
    """The pool's own actor was killed or has crashed, and takes up its work anew; this was not done.

    Attributes:
        reason: how the actor has ended, an exit reason.
        begun: True if the task was running, so that part of it may have happened.
    """

    def __init__(self, reason: object, *, begun: bool = False) -> None:
        self.reason = reason
        self.begun = begun
        where = "running" if begun else "waiting"
        super().__init__(f"the pool's actor has ended while the task was {where}: {reason!r}; it is started anew")


class WorkerDiedError(TaskError):
    """The worker died while it ran the task.

    Attributes:
        reason: how, such as a `supervisors.process_actor.ProcessEnded`.
    """

    def __init__(self, reason: object) -> None:
        self.reason = reason
        super().__init__(f"the worker died while it ran the task: {reason!r}")


class PoisonTaskError(TaskError):
    """The task has killed so many workers that it gets no other one.

    Attributes:
        kills: how many.
        reason: how the last one died.
    """

    def __init__(self, kills: int, reason: object) -> None:
        self.kills = kills
        self.reason = reason
        super().__init__(f"the task has killed {kills} workers and is quarantined; the last one: {reason!r}")


class RemoteTaskError(TaskError):
    """An exception in a worker process that could not travel itself.

    Attributes:
        kind: the name of its type.
        trace: its traceback there.
    """

    def __init__(self, kind: str, message: str, trace: str) -> None:
        self.kind = kind
        self.trace = trace
        super().__init__(f"{kind}: {message}")


class TransportError(TaskError):
    """A task or a result cannot travel between processes; nothing else is affected.

    Attributes:
        what: `"task"` or `"result"`.
    """

    def __init__(self, what: str, why: str) -> None:
        self.what = what
        super().__init__(f"the {what} cannot travel between processes: {why}")
