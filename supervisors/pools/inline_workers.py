"""Workers without a thread: tasks run on whichever thread brings them about. For tests and virtual time."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, final

from supervisors.clock import Clock
from supervisors.exits import NORMAL, Crashed
from supervisors.pools.child import Handler
from supervisors.pools.door import Door, here
from supervisors.pools.effects import Release
from supervisors.pools.inputs import Down, Finished, StartFailed, Up
from supervisors.pools.lane import Lane
from supervisors.pools.records import Task

__all__ = ["InlineWorkers"]


@final
class InlineWorkers:
    """Runs tasks on the thread that submits them, after the pool's turn.

    A task that runs is not interrupted: one that is cancelled, or whose time is up,
    runs to its end, and nobody hears of it.

    Args:
        worker: what the pool was given; None: each task brings its function along.
        door: of the pool.
        clock: measures runs.
    """

    prefetch_max = 1
    lane: Lane | None = None

    def __init__(self, worker: Callable[..., Any] | type | None, door: Door, clock: Clock) -> None:
        self._worker = worker
        self._door = door
        self._now = clock.monotonic
        self._handlers: dict[int, Handler] = {}
        self._at: dict[int, Task] = {}

    def start(self, worker: int) -> None:
        self._later(self._set_up, worker)

    def send(self, worker: int, task: Task) -> None:
        self._later(self._run, worker, task)

    def flush(self) -> None:
        """Do nothing: the thread in the door runs what is to be run."""

    def reset(self, worker: int) -> None:
        self._later(self._reset, worker)

    def stop(self, worker: int) -> None:
        self._later(self._tear_down, worker)

    def kill(self, worker: int, task: Task | None) -> None:
        del task
        self._handlers.pop(worker, None)
        self._door.send(Down(worker, "killed", self._at.pop(worker, None)))

    def revoke(self, worker: int) -> None:
        """Do nothing: no worker of this kind is given tasks ahead of time."""

    def release(self, release: Release) -> None:
        """Do nothing: this kind has no lane."""

    def close(self) -> None:
        self._handlers.clear()

    def join(self, timeout: float) -> bool:
        """Return True: there is nothing to wait for."""
        return True

    def _later(self, act: Callable[..., None], *args: Any) -> None:
        self._door.outbox.append(functools.partial(act, *args))

    def _set_up(self, worker: int) -> None:
        try:
            handler = Handler(self._worker)
            handler.setup()
        except BaseException as error:  # noqa: BLE001 - whatever it is, the pool is told
            self._door.tell(StartFailed(worker, error))
            _pass_on(error)
            return
        self._handlers[worker] = handler
        self._door.tell(Up(worker))

    def _run(self, worker: int, task: Task) -> None:
        handler = self._handlers.get(worker)
        if handler is None:
            return  # it was killed, and the pool knows that this was not begun
        self._at[worker] = task
        before = here.door, here.worker, here.task
        here.door, here.worker, here.task = self._door, worker, task
        value, error = None, None
        begun = self._now()
        try:
            value = handler.run(task.payload)
        except BaseException as raised:  # noqa: BLE001 - its submitter gets it
            error = raised
        finally:
            here.door, here.worker, here.task = before
            self._at.pop(worker, None)
        self._door.tell(Finished(worker, task, value, error, self._now() - begun))
        if error is not None:
            if handler.has_reset:
                self._reset(worker)
            _pass_on(error)

    def _reset(self, worker: int) -> None:
        handler = self._handlers.get(worker)
        if handler is None:
            return
        try:
            handler.reset()
        except BaseException as error:  # noqa: BLE001 - whatever it is, the worker ends with it
            self._handlers.pop(worker, None)
            self._door.tell(Down(worker, Crashed(error), None))
            _pass_on(error)

    def _tear_down(self, worker: int) -> None:
        handler = self._handlers.pop(worker, None)
        if handler is None:
            return
        try:
            handler.teardown()
        finally:
            self._door.tell(Down(worker, NORMAL, None))


def _pass_on(error: BaseException) -> None:
    """Raise a Ctrl-C again: the books balance without it, but it is meant for the thread that it has hit."""
    if isinstance(error, KeyboardInterrupt):
        raise error
