"""Workers that are coroutines, all in one event loop on a thread of its own.

A worker is a slot: at most one task at a time. A task that is cancelled, or whose time is up,
gets asyncio's `CancelledError` where it awaits; one that never awaits cannot be stopped, and
holds up all others.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Coroutine
from typing import Any, final

from supervisors.clock import Clock
from supervisors.exits import NORMAL, Crashed
from supervisors.pools.child import Handler
from supervisors.pools.door import Door, at_work
from supervisors.pools.effects import Release
from supervisors.pools.inputs import Down, Finished, StartFailed, Up
from supervisors.pools.lane import Lane
from supervisors.pools.records import Task
from supervisors.runtime.machine import Machine

__all__ = ["AsyncioWorkers"]

logger = logging.getLogger("supervisors.pools")


@final
class _Slot:
    """One worker."""

    __slots__ = ("doing", "handler", "is_killed", "line", "task")

    def __init__(self) -> None:
        self.handler: Handler | None = None
        self.line: asyncio.Queue[Task | str] = asyncio.Queue()
        self.task: Task | None = None  # what it is at
        self.doing: asyncio.Task[None] | None = None
        self.is_killed = False


@final
class AsyncioWorkers:
    """Runs tasks in an event loop.

    Args:
        worker: a coroutine function, a class whose `handle` is one, or None: each task
            brings its function along. Plain functions work too, and block the loop.
        door: of the pool.
        clock: measures runs.
        name: of the thread.
        machine: whose event loop and thread it is.
    """

    prefetch_max = 1
    lane: Lane | None = None

    def __init__(
        self, worker: Callable[..., Any] | type | None, door: Door, clock: Clock, name: str, machine: Machine
    ) -> None:
        self._worker = worker
        self._door = door
        self._now = clock.monotonic
        self._slots: dict[int, _Slot] = {}  # the loop's own
        self._loop = machine.event_loop()
        self._is_closed = False
        self._thread = machine.thread(self._run, f"{name}-loop")

    def start(self, worker: int) -> None:
        self._soon(self._start, worker)

    def send(self, worker: int, task: Task) -> None:
        self._soon(self._put, worker, task)

    def flush(self) -> None:
        """Do nothing: what was sent is in the loop."""

    def reset(self, worker: int) -> None:
        self._soon(self._put, worker, "reset")

    def stop(self, worker: int) -> None:
        self._soon(self._put, worker, "stop")

    def kill(self, worker: int, task: Task | None) -> None:
        self._soon(self._kill, worker, task)

    def revoke(self, worker: int) -> None:
        """Do nothing: no worker of this kind is given tasks ahead of time."""

    def release(self, release: Release) -> None:
        """Do nothing: this kind has no lane."""

    def close(self) -> None:
        self._soon(self._close)

    def join(self, timeout: float) -> bool:
        """Wait for the end of the loop; False if a task does not let it end."""
        return self._thread.join(timeout)

    # -- in the loop ---------------------------------------------------------------

    def _soon(self, act: Callable[..., None], *args: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(act, *args)
        except RuntimeError:
            return  # the loop is closed: nothing is left that could be meant

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            while not self._is_closed:
                # A KeyboardInterrupt or SystemExit that is raised in a callback, or a task of the user's own,
                # comes out here, and anybody may stop the loop. It is not theirs: others wait for it.
                try:
                    self._loop.run_forever()
                except BaseException:
                    logger.exception("something in the event loop of a pool raised; the loop goes on")
            left = asyncio.all_tasks(self._loop)
            for each in left:
                each.cancel()
            if left:
                self._loop.run_until_complete(asyncio.wait(left, timeout=1.0))
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        finally:
            self._loop.close()

    def _start(self, worker: int) -> None:
        slot = self._slots[worker] = _Slot()
        slot.doing = self._loop.create_task(self._serve(worker, slot))

    def _put(self, worker: int, what: Task | str) -> None:
        slot = self._slots.get(worker)
        if slot is not None:
            slot.line.put_nowait(what)

    def _kill(self, worker: int, task: Task | None) -> None:
        del task
        slot = self._slots.pop(worker, None)
        if slot is None:
            return
        slot.is_killed = True
        if slot.doing is not None:
            slot.doing.cancel()
        self._door.tell(Down(worker, "killed", slot.task))

    def _close(self) -> None:
        self._is_closed = True
        for slot in self._slots.values():
            slot.is_killed = True
        self._loop.stop()

    async def _serve(self, worker: int, slot: _Slot) -> None:
        try:
            handler = slot.handler = Handler(self._worker)
            await _awaited(handler.setup())
        except BaseException as error:  # noqa: BLE001 - whatever it is, the pool is told
            self._slots.pop(worker, None)
            self._door.tell(StartFailed(worker, error))
            return
        self._door.tell(Up(worker))
        try:
            reason = await self._work(worker, slot, handler)
        except BaseException as error:  # noqa: BLE001 - somebody has cancelled whatever there is in the loop
            reason = Crashed(error)
        if slot.is_killed:
            return
        try:
            await _awaited(handler.teardown())
        except BaseException:
            logger.exception("the teardown of worker %d raised", worker)
        self._slots.pop(worker, None)
        self._door.tell(Down(worker, reason, None))

    async def _work(self, worker: int, slot: _Slot, handler: Handler) -> object:
        while not slot.is_killed:
            what = await slot.line.get()
            if what == "stop":
                return NORMAL
            failed = False
            if isinstance(what, Task):
                slot.task = what
                failed = await self._do(worker, what, handler)
                slot.task = None
                what = ""
            if (failed or what == "reset") and handler.has_reset and not slot.is_killed:
                try:
                    await _awaited(handler.reset())
                except BaseException as error:  # noqa: BLE001 - whatever it is, the worker ends with it
                    return Crashed(error)
        return "killed"

    async def _do(self, worker: int, task: Task, handler: Handler) -> bool:
        """Do one task; return whether it failed."""
        begun = self._now()
        token = at_work.set((self._door, worker, task))
        try:
            value = await _awaited(handler.run(task.payload))
        except BaseException as error:  # noqa: BLE001 - its submitter gets it; and it must not end the loop
            self._door.tell(Finished(worker, task, None, error, self._now() - begun))
            return True
        finally:
            at_work.reset(token)
        self._door.tell(Finished(worker, task, value, None, self._now() - begun))
        return False


async def _awaited(value: Any) -> Any:
    """Return a value, or what a coroutine gives."""
    if inspect.isawaitable(value):
        coroutine: Coroutine[Any, Any, Any] = value  # type: ignore[assignment]  # or anything else that can be awaited
        return await coroutine
    return value
