"""The outcome of a task: a `concurrent.futures.Future` that knows its pool.

Most of what a future of the standard library costs is its condition variable, and
most futures have their outcome before anybody asks. So here it is made when
somebody wants to wait, or to be called back, and `Door.futures_lock` guards the moment:
either the outcome is set first, and whoever comes then finds it, or the condition is
there first, and the outcome is set under it, as in the standard library.

Source: `concurrent.futures.Future`.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from concurrent.futures._base import CANCELLED, CANCELLED_AND_NOTIFIED, FINISHED, PENDING
from typing import Any, Generic, TypeVar

from supervisors.pools.door import Door, at_work, here
from supervisors.pools.errors import TaskReturnedError
from supervisors.pools.inputs import Cancel, Resumes, Waits
from supervisors.pools.records import RUNNING, SETTLED, Task
from supervisors.runtime.forks import FORKED
from supervisors.runtime.futures import ScheduledFuture
from supervisors.runtime.outcomes import ActorDeadError, DeadlockError, ForkedError

__all__ = ["PoolFuture"]

T = TypeVar("T")


class PoolFuture(Future[T], Generic[T]):
    """What became of a task, now or later.

    Works with `concurrent.futures.wait()` and `as_completed()`, and can be awaited.

    Attributes:
        task: the engine's record of the task; `task.state` and `task.attempts` may be read.

    Thread: every method is safe anywhere.
    """

    task: Task

    # What the standard library's constructor sets, as far as it is the same for all.
    _state: str = PENDING
    _result: T | None = None
    _exception: BaseException | None = None
    refusal: BaseException | None = None
    gate: ScheduledFuture[None] | None = None  # for a submitter that waits for room

    def __init__(self, door: Door) -> None:  # the standard library's own would make the condition
        self._door = door

    def __getattr__(self, name: str) -> Any:
        """Make the condition, and what is only used under it, when it is first wanted."""
        if name != "_condition":
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        self._refuse_forked()  # another thread of the parent may have had the lock
        with self._door.futures_lock:
            facts = self.__dict__
            condition = facts.get("_condition")
            if condition is None:
                facts["_waiters"] = []
                facts["_done_callbacks"] = []
                condition = facts["_condition"] = threading.Condition()
            return condition

    # -- what users call -------------------------------------------------------

    def cancel(self) -> bool:
        """Cancel the task, queued or running; a worker that is at it is ended.

        Returns:
            True if it is cancelled, False if it has another outcome.
        """
        if not self.done():
            with contextlib.suppress(ActorDeadError):  # then everything is settled
                self._door.ask(Cancel(self.task))
            # Its outcome is in the outbox, or in the hands of another thread.
            self._door.deliver(nested=True)
            if self.task.state is SETTLED:
                self._wait_settled(5.0)
        return self.cancelled()

    def running(self) -> bool:
        """Tell whether a worker has it now."""
        return self.task.state is RUNNING and not self.done()

    def result(self, timeout: float | None = None) -> T:
        """Return the value, waiting for it if need be.

        In a worker of the same pool this does not use up the worker: another one
        stands in meanwhile.

        Args:
            timeout: seconds to wait; None: without end.

        Raises:
            CancelledError: it was cancelled.
            TimeoutError: no outcome so far.
            ForkedError: the outcome can never come: this process was forked from the pool's.
            DeadlockError: it can never come: the task that waits is
                before it in the line of their common key, or too many wait.
            Exception: what the function raised, or a `TaskError`.
        """
        if self._state is FINISHED:
            if self._exception is None:
                return self._result  # type: ignore[return-value]  # what was set
            return super().result(timeout)  # it knows how to raise without keeping itself alive
        self._refuse_forked()
        if self._door.stepped is None and here.door is None and at_work.get() is None:
            return super().result(timeout)
        self._refuse_in_loop()
        if here.door is self._door and not self.done():
            value: T = self._as_worker(self._settled_in(super().result), timeout)
            return value
        value = self._settled_in(super().result)(timeout)
        return value

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Return the exception or None, waiting for the outcome if need be; otherwise as `result()`."""
        if self._state is FINISHED:
            return self._exception
        self._refuse_forked()
        self._refuse_in_loop()
        if here.door is self._door and not self.done():
            error: BaseException | None = self._as_worker(self._settled_in(super().exception), timeout)
            return error
        error = self._settled_in(super().exception)(timeout)
        return error

    def done(self) -> bool:
        """Tell whether there is an outcome."""
        state = self._state
        return state is FINISHED or state is CANCELLED or state is CANCELLED_AND_NOTIFIED

    def cancelled(self) -> bool:
        """Tell whether it was cancelled."""
        state = self._state
        return state is CANCELLED or state is CANCELLED_AND_NOTIFIED

    def add_done_callback(self, fn: Callable[[Future[T]], object]) -> None:
        """Call back when there is an outcome: at once, or from a thread that may be kept waiting."""
        if self.done():
            super().add_done_callback(fn)
        else:
            self._refuse_forked()
            super().add_done_callback(lambda future: self._door.call_elsewhere(functools.partial(fn, future)))

    def __await__(self) -> Generator[Any, None, T]:
        """Wait in asyncio; cancelling the awaiting task cancels this one.

        In a coroutine of the same pool another worker stands in meanwhile, as in `result()`.
        """
        with self.stood_in_for():
            value: T = yield from asyncio.wrap_future(self).__await__()
            return value

    # -- what those call who wait for several at once ------------------------------

    @contextlib.contextmanager
    def stood_in_for(self) -> Iterator[None]:
        """Have another worker stand in while a coroutine of the same pool awaits what this brings about."""
        mine = at_work.get()
        if mine is None or mine[0] is not self._door or self.done():
            yield
            return
        door, worker, task = mine
        self._refuse_own_key(task)
        if not door.ask(Waits(worker)):
            raise DeadlockError([f"worker {worker}", self.task])
        try:
            yield
        finally:
            door.tell(Resumes(worker))

    def wait_blocking(self, wait: Callable[[], Any]) -> Any:
        """Call what blocks until something is there that this brings about; refuse and stand in as `result()` does."""
        self._refuse_forked()
        if here.door is not None or at_work.get() is not None:
            self._refuse_in_loop()
            if here.door is self._door and not self.done():
                return self._as_worker(lambda _: wait(), None)
        return wait()

    # -- what the performer calls ------------------------------------------------

    def refused(self, error: BaseException) -> None:
        """Note that the task is not taken in."""
        self.refusal = error
        self.admitted()

    def admitted(self) -> None:
        """Let the submitter go on."""
        if self.gate is not None:
            self.gate.offer()

    def complete(self, value: Any) -> None:
        """Set the value."""
        task = self.task
        task.payload = None  # nobody needs its arguments any more
        task.client = None
        with self._door.futures_lock:
            if "_condition" not in self.__dict__:
                self._result = value
                self._state = FINISHED
                return
        self.set_result(value)

    def fail(self, error: BaseException | None) -> None:
        """Set the error; None: it was cancelled."""
        self.task.client = None
        if error is None:
            super().cancel()
            self.set_running_or_notify_cancel()
        else:
            self.set_exception(error)

    def give_back(self, *, begun: bool) -> None:
        """Say that the pool has ended before."""
        self.set_exception(TaskReturnedError(begun=begun))

    # -- inside --------------------------------------------------------------------

    def _refuse_forked(self) -> None:
        """Raise in a process forked from the pool's, where nobody is left to set an outcome."""
        if self._door.is_forked() and not self.done():
            raise ForkedError(FORKED)

    def _refuse_in_loop(self) -> None:
        mine = at_work.get()
        if mine is not None and mine[0] is self._door and not self.done():
            raise DeadlockError(["a coroutine of the pool, which must await this and not block its loop", self.task])

    def _wait_settled(self, timeout: float | None) -> bool:
        stepped = self._door.stepped
        waiting: ScheduledFuture[None] = ScheduledFuture(stepped)
        super().add_done_callback(lambda _: waiting.offer())
        return waiting.wait_blocking(timeout) if stepped is None else waiting.settle(timeout)

    def _settled_in(self, take: Callable[[float | None], Any]) -> Callable[[float | None], Any]:
        """Return what takes the outcome; in virtual time it lets the others run until there is one."""
        if self._door.stepped is None:
            return take

        def wait(timeout: float | None) -> Any:
            if not self.done() and not self._wait_settled(timeout):
                raise TimeoutError
            return take(0.0)

        return wait

    def _refuse_own_key(self, mine: Task) -> None:
        if mine.key is not None and mine.key == self.task.key:
            raise DeadlockError([mine, self.task, mine])

    def _as_worker(self, wait: Callable[[float | None], Any], timeout: float | None) -> Any:
        if here.task is not None:
            self._refuse_own_key(here.task)
        door, worker = self._door, here.worker
        if not door.ask(Waits(worker)):
            raise DeadlockError([f"worker {worker}", self.task])
        try:
            # Tasks of inline workers lie in the outbox; nobody else may be there to do them.
            door.deliver(nested=True)
            return wait(timeout)
        finally:
            door.tell(Resumes(worker))
