"""An event loop of asyncio in simulated time: coroutines whose order and time the seed decides.

It is asyncio's own loop, with another clock and another way to wait: where a loop would
wait for sockets, this one lets the simulated scheduler run others, until a timer of
its own is due or somebody has called in. So ``asyncio.sleep()``, timeouts, tasks, locks and queues
are the real ones, and take virtual time.

**When others run.** A loop goes through its callbacks in the order that asyncio
guarantees. It lets others run when it has nothing left to do, and after an iteration in
which it has sent something to an actor: before that, nobody could tell the
difference. How many iterations something takes is asyncio's own affair and not the same
in each Python version; so they count for nothing.

**What is not random.** Sets of tasks and futures are in the order in which these were
made: `asyncio.wait()` and task groups go through such sets.
"""

from __future__ import annotations

import asyncio
from threading import get_ident
from typing import TYPE_CHECKING, Any, Final, NoReturn, final

from supervisors.errors import UsageError
from supervisors.runtime.futures import ScheduledFuture
from supervisors.runtime.turn import thread_turn
from supervisors.simulation.transcript import label_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisors.runtime.contract import Scheduler
    from supervisors.runtime.machine import Machine
    from supervisors.simulation.scheduler import SimulatedScheduler

__all__ = ["SimulatedLoop"]

SPIN_MAX: Final = 100
"""Iterations without a wait after which others run in any case: the loop may be polling for what they do."""

_REFUSED: Final = (
    "_make_socket_transport",
    "_make_ssl_transport",
    "_make_datagram_transport",
    "_make_read_pipe_transport",
    "_make_write_pipe_transport",
    "_make_subprocess_transport",
    "add_reader",
    "remove_reader",
    "add_writer",
    "remove_writer",
    "create_connection",
    "create_server",
    "create_datagram_endpoint",
    "create_unix_connection",
    "create_unix_server",
    "getaddrinfo",
    "getnameinfo",
    "sock_recv",
    "sock_recv_into",
    "sock_recvfrom",
    "sock_sendall",
    "sock_sendto",
    "sock_connect",
    "sock_accept",
    "sock_sendfile",
    "add_signal_handler",
    "remove_signal_handler",
)


@final
class _Task(asyncio.Task[Any]):
    """A task whose place in a set depends on when it was made, and not on its address."""

    number = 0

    def __hash__(self) -> int:
        return self.number


@final
class _Future(asyncio.Future[Any]):
    number = 0

    def __hash__(self) -> int:
        return self.number


@final
class SimulatedLoop(asyncio.BaseEventLoop):
    """The loop.

    Args:
        scheduler: of the simulation.
        machine: whose threads run what is given to an executor.
        waits: lets this loop wait; that of its process, if it is in one.
        number: of the loop, for its name in the transcript.

    Thread: the turn that runs it. Other turns may call `call_soon_threadsafe()`.
    """

    def __init__(self, scheduler: SimulatedScheduler, machine: Machine, waits: Scheduler, number: int) -> None:
        super().__init__()
        self._scheduler = scheduler
        self._machine = machine
        self._waits = waits
        self._number = number
        self._made = 0
        self._has_sent = False
        self._spins = 0
        self._wake: ScheduledFuture[None] = ScheduledFuture(waits)
        self._clock = scheduler.clock
        self._clock_resolution = 1e-9
        self._selector = self  # what the loop of the standard library asks for events
        scheduler.sent = (*scheduler.sent, self._watch)

    def time(self) -> float:
        """Return the reading of the virtual clock."""
        return self._clock.monotonic()

    # -- what is asyncio's, in an order of its own -----------------------------

    def create_future(self) -> asyncio.Future[Any]:
        """Return a future of this loop."""
        future = _Future(loop=self)
        self._made += 1
        future.number = self._made
        return future

    def create_task(self, coro: Any, *, name: object = None, **options: Any) -> asyncio.Task[Any]:
        """Return a task of this loop."""
        self._check_closed()  # type: ignore[attr-defined]  # of BaseEventLoop
        self._made += 1
        if self._task_factory is not None:  # type: ignore[attr-defined]  # likewise
            return super().create_task(coro, name=name, **options)
        task = _Task(coro, loop=self, name=f"Task-{self._made}" if name is None else str(name), **options)
        task.number = self._made
        return task

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:  # type: ignore[override]  # looser
        """Call a function on a simulated thread, if no executor is given."""
        if executor is not None:
            return super().run_in_executor(executor, func, *args)
        self._check_closed()  # type: ignore[attr-defined]  # of BaseEventLoop
        answer = self.create_future()

        def set_unless_cancelled(value: Any, error: BaseException | None) -> None:
            if answer.cancelled():
                return
            if error is None:
                answer.set_result(value)
            else:
                answer.set_exception(error)

        def work() -> None:
            value, error = None, None
            try:
                value = func(*args)
            except Exception as raised:  # noqa: BLE001 - whoever awaits it gets it
                error = raised
            if not self.is_closed():
                self.call_soon_threadsafe(set_unless_cancelled, value, error)

        self._scheduler.meets(getattr(func, "__module__", None) or "")
        self._machine.thread(work, "executor")
        return answer

    # -- waiting ---------------------------------------------------------------

    def select(self, timeout: float | None) -> tuple[()]:
        """Let others run, if there is nothing to do or somebody may see what was done."""
        if timeout is not None and timeout <= 0:
            self._spins += 1
            if not self._has_sent and self._spins < SPIN_MAX:
                return ()
            timeout = 0.0
        elif self._wake.is_done():
            timeout = 0.0
        self._spins = 0
        self._has_sent = False
        if timeout == 0.0:
            self._waits.wait(ScheduledFuture(), 0.0)
        else:
            self._waits.wait(self._wake, timeout)
        if self._wake.is_done():
            self._wake = ScheduledFuture(self._waits)
        self._scheduler.note(f"loop-{self._number}", "goes on in " + label_of(thread_turn.turn.current))
        return ()

    def _process_events(self, event_list: object) -> None:
        """Do nothing: there are no sockets."""

    def _write_to_self(self) -> None:
        if get_ident() != self._scheduler.running:
            self._scheduler.refuse_thread(f"loop-{self._number}")
        self._wake.offer()

    def _watch(self, _ref: object, _item: object) -> None:
        if get_ident() == self._thread_id:  # type: ignore[attr-defined]  # of BaseEventLoop
            self._has_sent = True

    def close(self) -> None:
        """Close the loop."""
        if not self.is_closed():
            self._scheduler.sent = tuple(each for each in self._scheduler.sent if each != self._watch)
        super().close()

    # -- what there is not -------------------------------------------------------

    def _refuse(self, *_args: Any, **_options: Any) -> NoReturn:
        raise UsageError("a simulation has no sockets, pipes, signals and subprocesses; asyncio's own part is there")

    # One for all of them, whatever they would take; asyncio reports what is raised to whoever calls.
    locals().update(dict.fromkeys(_REFUSED, _refuse))
