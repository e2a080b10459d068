"""A pool with the face of `concurrent.futures.Executor`, for everything that wants one.

`docs/explanation/pools.md` has a table of what differs from the standard library's.

Source: `concurrent.futures.Executor`.
"""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, Final, TypeVar

from supervisors.errors import InvalidTypeError
from supervisors.pools.child import Prepared
from supervisors.pools.errors import PoolStoppedError, TransportError
from supervisors.pools.inputs import Stop
from supervisors.pools.options import SECONDS_MAX, Backlog
from supervisors.pools.performer import Question
from supervisors.pools.pool import WorkerPool
from supervisors.pools.task_face import Kind
from supervisors.runtime.outcomes import ActorDeadError

__all__ = ["PoolExecutor"]

T = TypeVar("T")

_open: weakref.WeakSet[PoolExecutor] = weakref.WeakSet()
_open_lock = threading.Lock()  # guards the one above

WORKERS_MAX: Final = 32
"""Threads at most, unless it is told otherwise, as in the standard library."""


class PoolExecutor(Executor):
    """An executor on a `WorkerPool`.

    Args:
        max_workers: workers to keep up; None: as many as cores for processes, four more for threads.
        kind: as for `WorkerPool`.
        initializer: called in each worker when it comes up; what it raises fails the pool.
        initargs: its arguments.
        **options: as for `WorkerPool`. The backlog is unbounded unless said otherwise.

    Thread: any.

    Example:
        >>> from supervisors.pools import PoolExecutor
        >>> with PoolExecutor(2) as executor:
        ...     executor.submit(pow, 2, 5).result()
        32
    """

    def __init__(
        self,
        max_workers: int | None = None,
        *,
        kind: Kind = "thread",
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        **options: Any,
    ) -> None:
        if initializer is not None and not callable(initializer):
            raise InvalidTypeError("initializer", initializer, "a function, or None")
        if not isinstance(initargs, tuple):
            raise InvalidTypeError("initargs", initargs, "a tuple")
        cores = os.cpu_count() or 1
        if max_workers is None:
            max_workers = cores if kind == "process" else min(WORKERS_MAX, cores + 4)
        options.setdefault("backlog", Backlog(count_max=None))
        options.setdefault("start_failures_max", 1)
        worker: Any = None if initializer is None else Prepared(initializer, initargs)
        self.pool = WorkerPool(worker, max_workers, kind=kind, **options)
        with _open_lock:
            _open.add(self)
        # When nobody has it any more, what it has been given is still done.
        self._finalizer = weakref.finalize(self, _wind_down, self.pool)
        self._finalizer.atexit = False
        self._has_shut_down = False

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Have a function called.

        Raises:
            PoolStoppedError: it has been shut down (a `RuntimeError`).
            PoolFailedError: no worker comes up (a `BrokenExecutor`).
        """
        if self._has_shut_down:
            raise PoolStoppedError("cannot schedule new futures after shutdown")
        try:
            return self.pool.call(fn, *args, **kwargs)
        except TransportError as error:
            # Where the standard library says so.
            future: Future[T] = Future()
            future.set_exception(error.__cause__ or error)
            return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take nothing in any more; what was taken in is done.

        Args:
            wait: until it is, without limit. `pool.close()` has a limit.
            cancel_futures: cancel what waits.
        """
        self._has_shut_down = True
        self._finalizer.detach()
        if cancel_futures:
            self._cancel_waiting()
        if wait:
            self.pool.close(SECONDS_MAX)
            with _open_lock:
                _open.discard(self)
        else:
            _wind_down(self.pool)

    def _cancel_waiting(self) -> None:
        try:
            futures = self.pool.door.ask(Question(lambda engine: [task.client for task in engine.room.tasks]))
        except ActorDeadError:
            return
        for future in futures:
            future.cancel()

    def __repr__(self) -> str:
        return f"<PoolExecutor on {self.pool!r}>"


def _wind_down(pool: WorkerPool) -> None:
    """Have a pool end when it has done what it has, without waiting for that."""
    try:
        pool.door.ask(Stop(SECONDS_MAX))
    except ActorDeadError:
        return
    threading.Thread(target=pool.close, args=(SECONDS_MAX,), name=f"{pool.name}-closing", daemon=True).start()


@atexit.register
def _at_exit() -> None:
    """Do what was given to executors that nobody has shut down; the standard library does, too."""
    with _open_lock:
        executors = list(_open)
    for executor in executors:
        executor.shutdown()
