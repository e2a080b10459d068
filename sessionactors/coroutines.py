"""Where the coroutines of user code run: one event loop, on a thread of its own.

Sessions are actors and no tasks; a handler that awaits something leaves its
session's turn and comes back with a message. The loop starts with the first
coroutine. A coroutine that computes holds up the others, as in any asyncio program.

The loop and the thread are those of the actor system's machine, so in a simulation both
are simulated. In virtual time without a simulation there is no thread. There a coroutine
runs to its end when the system settles, on a loop of its own; what it awaits takes real time.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias, final

from sessionactors.request_waits import begin_handling
from supervisors.actor import Actor
from supervisors.runtime.machine import Machine, OwnMachine, Thread
from supervisors.runtime.pykka_adapter import StopMessage

if TYPE_CHECKING:
    from supervisors.runtime.ref import ActorRef

__all__ = ["Coroutines", "LoopCoroutines", "OutOfTimeError", "Tell", "TurnCoroutines"]

logger = logging.getLogger("sessionactors.coroutines")

Tell: TypeAlias = Callable[[object, BaseException | None], None]
"""Gets the value of a coroutine, or what it raised; any thread may call it."""

_PATIENCE: Final = 1.0  # seconds that `stop()` waits for cancelled coroutines

_CANCELLED: Final = "the coroutine was cancelled, by itself or by what it awaited"

_Coroutine: TypeAlias = Coroutine[Any, Any, object]


class OutOfTimeError(TimeoutError):
    """The time that a coroutine had was over. A `TimeoutError` of its own is another matter."""


@final
class LoopCoroutines:
    """Runs coroutines on an event loop, started when the first one comes.

    Args:
        machine: whose loop and thread it is; None: the one that this process runs on.

    Thread: every method is safe anywhere.
    """

    __slots__ = ("_is_stopped", "_lock", "_loop", "_machine", "_may_end", "_tasks", "_thread")

    def __init__(self, machine: Machine | None = None) -> None:
        self._machine: Machine = OwnMachine() if machine is None else machine
        self._lock = threading.Lock()  # guards all below but what is the loop's
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: Thread | None = None
        self._is_stopped = False
        self._may_end = False  # the loop's, as the next
        self._tasks: dict[asyncio.Task[None], None] = {}  # no set: its order is not the same in each run

    def start(
        self, owner: ActorRef[Any], coroutine: _Coroutine, timeout: float | None, tell: Tell
    ) -> Callable[[], None]:
        """Run a coroutine.

        Args:
            owner: whose handler it is.
            coroutine: not started yet.
            timeout: seconds; then it is cancelled, and told as `OutOfTimeError`. None: no limit.
            tell: called once at its end, unless the function below cancels it or the loop is stopped
                before. One that is cancelled by whatever it awaits has failed.

        Returns:
            A function that cancels it; nobody is told then.
        """
        with self._lock:
            if self._is_stopped:
                coroutine.close()
                return _do_nothing
            loop = self._loop
            if loop is None:
                loop = self._loop = self._machine.event_loop()
                self._thread = self._machine.thread(partial(self._run, loop), "sessions-loop")
        begun: list[asyncio.Task[None]] = []
        is_unwanted = False

        def begin() -> None:
            task = loop.create_task(_told(owner, coroutine, timeout, tell))
            self._tasks[task] = None
            task.add_done_callback(end)
            begun.append(task)

        def end(task: asyncio.Task[None]) -> None:
            self._tasks.pop(task, None)
            # One that is cancelled before its first step has never awaited it.
            coroutine.close()
            if task.cancelled() and not is_unwanted and not self._is_stopped:
                tell(None, RuntimeError(_CANCELLED))

        def cancel() -> None:
            nonlocal is_unwanted
            is_unwanted = True
            if begun:
                begun[0].cancel()

        loop.call_soon_threadsafe(begin)
        # Through the loop, so that it comes after the beginning.
        return lambda: _in_loop(loop, cancel)

    def stop(self) -> None:
        """Cancel what is running and end the thread; waits a second at most."""
        with self._lock:
            if self._is_stopped:
                return
            self._is_stopped = True
            loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return

        async def end() -> None:
            tasks = [task for task in self._tasks if not task.done()]
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks, timeout=_PATIENCE)
            self._may_end = True
            loop.stop()

        _in_loop(loop, lambda: loop.create_task(end()))
        if not thread.is_current():
            thread.join(2 * _PATIENCE)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        """Run the loop until `stop()`; user code that ends it would end that of all other sessions."""
        asyncio.set_event_loop(loop)
        try:
            while not self._may_end and not loop.is_closed():
                try:
                    loop.run_forever()
                except (SystemExit, KeyboardInterrupt):  # raised by a task that a handler has started
                    logger.exception("a task of a session tried to end the loop of all sessions")
        finally:
            loop.close()


@final
class TurnCoroutines:
    """Runs coroutines in virtual time, each in the turn of an actor of its own."""

    __slots__ = ()

    def start(
        self, owner: ActorRef[Any], coroutine: _Coroutine, timeout: float | None, tell: Tell
    ) -> Callable[[], None]:
        """Run a coroutine when the system settles; see `LoopCoroutines.start()`."""
        running = _Running.start(owner, coroutine, timeout, tell)

        def cancel() -> None:
            running.exit("shutdown")
            coroutine.close()

        return cancel

    def stop(self) -> None:
        """Do nothing: the actors end with their system."""


Coroutines: TypeAlias = LoopCoroutines | TurnCoroutines


class _Running(Actor):
    """Runs one coroutine; then it is gone."""

    dispatch = "shared"

    def __init__(self, owner: ActorRef[Any], coroutine: _Coroutine, timeout: float | None, tell: Tell) -> None:
        super().__init__()
        self._given = (owner, coroutine, timeout, tell)

    def on_start(self) -> None:
        """Run it."""
        self.actor_ref.send(StopMessage())
        _, coroutine, _, tell = self._given
        told = _told(*self._given)
        try:
            asyncio.run(told)
        except RuntimeError as error:  # this thread is inside of another loop already
            told.close()
            coroutine.close()
            tell(None, error)
        except asyncio.CancelledError:
            tell(None, RuntimeError(_CANCELLED))


async def _told(owner: ActorRef[Any], coroutine: _Coroutine, limit: float | None, tell: Tell) -> None:
    """Await a coroutine and tell its outcome, but for its being cancelled from outside."""
    begin_handling(owner)
    allowed = asyncio.timeout(limit)
    try:
        async with allowed:
            value = await coroutine
    except TimeoutError as error:
        tell(None, OutOfTimeError() if allowed.expired() else error)
    except Exception as error:  # noqa: BLE001 - it is told
        tell(None, error)
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # noqa: BLE001 - sys.exit() in one session is no reason for all others to stop
        tell(None, error)
    else:
        tell(value, None)


def _in_loop(loop: asyncio.AbstractEventLoop, call: Callable[[], object]) -> None:
    try:
        loop.call_soon_threadsafe(call)
    except RuntimeError:
        logger.debug("the loop of the sessions has been closed already")


def _do_nothing() -> None:
    """Cancel what never began."""
