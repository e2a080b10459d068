"""The face of a pool: what users make, give tasks to, and close."""

from __future__ import annotations

import contextlib
import itertools
import logging
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from supervisors.clock import VirtualClock
from supervisors.errors import InvalidArgumentError, InvalidTypeError, UsageError
from supervisors.pools import child
from supervisors.pools.asyncio_workers import AsyncioWorkers
from supervisors.pools.books import Books
from supervisors.pools.contract import Payload, Workers
from supervisors.pools.door import Courier, at_work, here
from supervisors.pools.effects import Note
from supervisors.pools.errors import PoolStoppedError
from supervisors.pools.future import PoolFuture
from supervisors.pools.inline_workers import InlineWorkers
from supervisors.pools.inputs import Resize, Stop
from supervisors.pools.lease import CHECKOUT_SECONDS, Lease, borrow
from supervisors.pools.options import PoolOptions, checked_seconds, checked_whole
from supervisors.pools.performer import Figures, GivenBack, PoolActor, Question
from supervisors.pools.process_workers import ProcessWorkers
from supervisors.pools.records import Ticket
from supervisors.pools.report import PoolReport, ReturnedTask
from supervisors.pools.tally import PoolStatistics
from supervisors.pools.task_face import NO_KWARGS, Kind, TaskFace
from supervisors.pools.thread_workers import ThreadWorkers
from supervisors.pools.transport import pack_worker, unpack
from supervisors.runtime.futures import ScheduledFuture
from supervisors.runtime.outcomes import ActorDeadError, AskTimeoutError, StartError
from supervisors.runtime.ref import ActorRef
from supervisors.supervision.child_spec import ChildSpec
from supervisors.supervision.starting import start_named
from supervisors.supervision.supervisor import Supervisor
from supervisors.system import ActorSystem

__all__ = ["KINDS", "WorkerPool"]

logger = logging.getLogger("supervisors.pools")

KINDS: Final = ("inline", "thread", "process", "asyncio")

PREFETCH_MAX: Final = 64
"""Tiny tasks that one process may hold, unless it is told otherwise."""

RESTARTS_MAX: Final = 3
"""How often the pool's actor may be started anew within the time below; then the pool has ended."""

RESTARTS_SECONDS: Final = 5.0

T = TypeVar("T")

_numbers = itertools.count(1)


class WorkerPool(TaskFace):
    """Workers that are kept up, and tasks for them.

    Args:
        worker: what does a task: a function; a class with `handle` and, as it likes,
            `setup`, `reset` and `teardown` (see `PoolWorker`), of which each worker
            makes its own instance; None: each task brings its function along.
        size: workers to keep up.
        kind: `"thread"` (default): threads of this process. `"process"`: processes, which
            can be killed; tasks and results travel by `pickle`, and the worker is found
            by its module and name. `"asyncio"`: coroutines, in an event loop on a thread
            of the pool's own. `"inline"`: no threads;
            tasks run on the thread that submits them. For tests and virtual time.
            In a simulation, processes and event loops are simulated.
        system: the actor system to live in; None: one of its own, which ends with it.
        name: the name of the pool's actor in that system, and prefix of thread names.
        drain_timeout: seconds that leaving the ``with`` block waits for tasks.
        options: everything else, see `PoolOptions`: `max_overflow`, `strategy`,
            `router`, `backlog`, `retry`, `timeout`, `deadline`, `poison_after`,
            `recycle`, `sizing`, `restart`, ...

    Raises:
        InvalidArgumentError: an option is not allowed.
        InvalidTypeError: an option is of the wrong kind.
        TransportError: the worker cannot travel to a process.

    The pool's own actor has a supervisor: if it is killed or crashes, tasks without an
    outcome fail with `PoolCrashedError` at once, its workers end, and another one takes
    over with new workers, under the same name and for the same `WorkerPool`. After too
    many restarts the pool has ended.

    Thread: any, for all verbs. In an actor's turn they work too, those that wait included.

    Example:
        >>> from supervisors.pools import WorkerPool
        >>> with WorkerPool(len, 2) as pool:
        ...     pool.submit("hello").result(timeout=10)
        ...     list(pool.map(["a", "bb"]))
        5
        [1, 2]
    """

    def __init__(
        self,
        worker: Callable[..., Any] | type | None = None,
        size: int = 5,
        *,
        kind: Kind = "thread",
        system: ActorSystem | None = None,
        name: str | None = None,
        drain_timeout: float = 30.0,
        **options: Any,
    ) -> None:
        self._worker = _checked_worker(worker)
        if kind not in KINDS:
            raise InvalidArgumentError("kind", kind, ", ".join(repr(each) for each in KINDS))
        if system is not None and not isinstance(system, ActorSystem):
            raise InvalidTypeError("system", system, "an ActorSystem, or None")
        if name is not None and (not isinstance(name, str) or not name):
            raise InvalidTypeError("name", name, "a text, or None")
        if kind == "process":
            if child.PREPARING[0]:
                raise UsageError(
                    "this program is just being imported by a worker process: make the pool in a function, "
                    'or under `if __name__ == "__main__":`'
                )
            options.setdefault("prefetch_max", PREFETCH_MAX)
            pack_worker(self._worker)  # here, where its error goes to the caller
        elif options.get("prefetch_max", 1) != 1:
            raise InvalidArgumentError("prefetch_max", options["prefetch_max"], "1: only processes work ahead")
        own_options = PoolOptions(size=size, **self._own_options(options))
        self.drain_timeout = checked_seconds("drain_timeout", drain_timeout)
        self.name = name if name is not None else f"supervisors-pool-{next(_numbers)}"
        if system is not None and isinstance(system.clock, VirtualClock) and kind != "inline":
            if not system.has_processes:
                raise InvalidArgumentError(
                    "kind", kind, "'inline' on a VirtualClock: nothing else can live in virtual time"
                )
            if kind == "thread":
                raise InvalidArgumentError("kind", kind, "'inline', 'process' or 'asyncio' in a simulation")
            system.machine.meets(getattr(worker, "__module__", None) or "")
        self._owns_system = system is None
        super().__init__(
            own_options,
            kind,
            system if system is not None else ActorSystem(slow_inline_turn=None),
            brings_functions=worker is None or isinstance(worker, child.Prepared),
        )
        self._returned: list[GivenBack] = []
        self._ended: ScheduledFuture[None] = ScheduledFuture(self._system.scheduler)
        self._listeners: tuple[Callable[[str, dict[str, Any]], None], ...] = ()
        self._report: PoolReport | None = None
        self._books = Books()
        self._registered_name = name
        self._start_error: BaseException | None = None
        self._workers_before: list[Workers] = []  # of actors that were killed or have crashed
        try:
            self.door.courier = self._system.start(Courier)
            self._guard = self._start_guard()
        except BaseException as error:
            if self.door.courier is not None:
                self.door.courier.exit("shutdown")
            if self._owns_system:
                self._system.stop()
            if isinstance(error, StartError) and self._start_error is not None:
                raise self._start_error from None  # the guard adds nothing that anybody wants to know
            raise
        self._guard.when_ended().when_done(self._note_end)
        self.door.deliver()

    def _start_guard(self) -> ActorRef[Supervisor]:
        """Start the supervisor that starts the pool's actor, and starts it anew when it was killed or has crashed."""
        return self._system.start(
            Supervisor,
            [ChildSpec("pool", self._start_actor, restart="transient", significant=True)],
            auto_shutdown="any_significant",
            max_restarts=RESTARTS_MAX,
            max_seconds=RESTARTS_SECONDS,
        )

    def _start_actor(self) -> ActorRef[PoolActor]:
        """Start the pool's actor, in the guard's turn."""
        arguments = (self._books, self.door, self._make_workers, self._returned, self._ended, self._publish)
        try:
            if self._registered_name is None:
                ref = PoolActor.start_link(self.options, *arguments)
            else:
                ref = start_named(self._registered_name, PoolActor, self.options, *arguments)
        except BaseException as error:
            self._start_error = error
            raise
        return ref

    @staticmethod
    def _own_options(options: dict[str, Any]) -> dict[str, Any]:
        known = set(PoolOptions.__dataclass_fields__)
        for name in options:
            if name not in known:
                raise InvalidArgumentError("options", name, ", ".join(sorted(known)))
        return options

    def _make_workers(self) -> Workers:
        clock, machine = self._system.clock, self._system.machine
        workers: Workers
        if self.kind == "inline":
            workers = InlineWorkers(self._worker, self.door, clock)
        elif self.kind == "process":
            workers = ProcessWorkers(self._worker, self.door, clock, self.options, self.name, machine)
        elif self.kind == "asyncio":
            workers = AsyncioWorkers(self._worker, self.door, clock, self.name, machine)
        else:
            workers = ThreadWorkers(self._worker, self.door, clock, self.options, self.name)
        if self._workers is not None:
            self._workers_before.append(self._workers)
        self._workers = workers
        self._lane = workers.lane
        return workers

    # -- workers of one's own --------------------------------------------------------

    def checkout(self, timeout: float = CHECKOUT_SECONDS) -> Lease:
        """Have a worker for oneself until it is given back (POOL-2).

        Args:
            timeout: seconds to stand in line; 0: only for one that is free, or that
                can be started.

        Raises:
            CheckoutTimeoutError: none became free in time (POOL-3).
            PoolFullError: none is free, and the timeout is 0.
            PoolStoppedError: the pool is stopping or has ended.
            PoolFailedError: no worker comes up.

        Order: first come, first served, together with tasks.
        """
        seconds = checked_seconds("timeout", timeout)
        return borrow(self.door, self._system.scheduler, seconds, self._submit_lent)

    def transaction(self, function: Callable[[Lease], T], timeout: float = CHECKOUT_SECONDS) -> T:
        """Call a function with a worker, and give that back in any case (POOL-8).

        Returns:
            What the function returns; what it raises is raised.
        """
        if not callable(function):
            raise InvalidTypeError("function", function, "a function of a Lease")
        with self.checkout(timeout) as lease:
            return function(lease)

    def status(self) -> tuple[str, int, int, int]:
        """Return poolboy's status: `"ready"`, `"overflow"` or `"full"`; free, overflow and lent workers (POOL-9)."""
        status: tuple[str, int, int, int] = self._ask_open(Question(lambda engine: engine.status()))
        return status

    # -- the pool itself -------------------------------------------------------------

    @property
    def ref(self) -> ActorRef[PoolActor]:
        """The pool's actor: to be linked or monitored; another one after it was killed or has crashed."""
        ref = self.door.ref
        assert ref is not None
        return ref

    def statistics(self) -> PoolStatistics:
        """Return a snapshot; of a pool that has ended, the last one.

        Raises:
            PoolStoppedError: it has ended in a way that left none.
        """
        try:
            facts: PoolStatistics = self.door.ask(Figures())
        except ActorDeadError:
            if self.door.last is None:
                raise PoolStoppedError("the pool has ended, and nobody has kept its figures") from None
            facts = self.door.last
        workers = self._workers
        if isinstance(workers, ThreadWorkers):
            return replace(facts, abandoned=workers.left_alone)
        if isinstance(workers, ProcessWorkers):
            return replace(facts, spares=workers.spares_up)
        return facts

    def quarantined(self) -> list[Payload]:
        """Return the work of tasks that have killed too many workers, the last hundred."""
        try:
            tasks = self.door.ask(Question(lambda engine: list(engine.books.quarantine)))
        except ActorDeadError:
            tasks = list(self._books.quarantine)
        return [self._unpacked(task.payload) for task in tasks]

    def resize(self, size: int, max_overflow: int | None = None) -> None:
        """Have another number of workers from now on; those too many end when they have drained.

        Args:
            size: workers to keep up, 1 to 4096.
            max_overflow: further ones under load; None: as before.
        """
        checked_whole("size", size, 1, 4096)
        if max_overflow is None:
            max_overflow = self._ask_open(Question(lambda engine: engine.max_overflow))
        checked_whole("max_overflow", max_overflow, 0, 4096)
        self._ask_open(Resize(size, max_overflow))

    def on_event(self, listener: Callable[[str, dict[str, Any]], None]) -> Callable[[], None]:
        """Call a function with what happens to workers: its name, and facts by name.

        `worker_died`, `worker_killed`, `worker_start_failed`, `worker_recycled`,
        `pool_failed`, `task_poisoned`. It runs outside of the pool's turn, on the
        thread that brought the news.

        Returns:
            A function that ends the subscription.
        """
        if not callable(listener):
            raise InvalidTypeError("listener", listener, "a function of a name and facts")
        self._listeners = (*self._listeners, listener)

        def end() -> None:
            self._listeners = tuple(each for each in self._listeners if each is not listener)

        return end

    def close(self, drain_timeout: float | None = None) -> PoolReport:
        """Take nothing in any more, finish what is there, and end the workers (POOL-10).

        Args:
            drain_timeout: seconds for what is there; 0: what waits is given back and
                what runs is ended at once. None: the pool's own.

        Returns:
            How it has ended; the same one when called again.

        Raises:
            UsageError: called by one of the pool's own workers.

        Blocks: at most for the drain and `stop_timeout`, and two seconds beyond.
        """
        mine = at_work.get()
        if here.door is self.door or (mine is not None and mine[0] is self.door):
            raise UsageError("a worker cannot wait for the end of its own pool; close it from outside")
        drain = self.drain_timeout if drain_timeout is None else checked_seconds("drain_timeout", drain_timeout)
        if self._report is not None:
            return self._report
        try:
            self.door.ask(Stop(drain))
            self._ended.settle(drain + self.options.stop_timeout + 2.0)
        except ActorDeadError:
            pass  # somebody has ended its actor; what it had was given back then
        self._guard.exit("shutdown")
        with contextlib.suppress(AskTimeoutError):
            self._guard.join(2.0)
        self.door.deliver(nested=True)
        for workers in (*self._workers_before, self._workers):
            if workers is not None:
                workers.join(2.0)
        if self.door.courier is not None:
            self.door.courier.stop(block=False)
        if self._owns_system:
            self._system.stop()
        self._report = self._make_report()
        return self._report

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Whoever is interrupted does not want to wait.
        self.close(None if error is None or isinstance(error, Exception) else 0.0)

    def __repr__(self) -> str:
        if self._report is not None or self._ended.is_done():
            return f"<WorkerPool {self.name} ended>"
        facts = self.statistics()
        return (
            f"<WorkerPool {self.name} {facts.state}: {facts.workers} {self.kind} workers, "
            f"{facts.busy} busy, {facts.queued} tasks queued>"
        )

    def __reduce__(self) -> Any:
        raise UsageError("a pool cannot travel to another process; make one there, or send tasks to this one")

    # -- inside ------------------------------------------------------------------------

    def _submit_lent(self, ticket: Ticket, args: tuple[Any, ...], timeout: float | None) -> PoolFuture[Any]:
        """Submit a task for a worker that is lent."""
        function: Callable[..., Any] | None = None
        if self._brings_functions:
            function, args = self._split(args)
        options = self._task_options(0, None, timeout, None, None, 0)
        return self._submit((function, args, NO_KWARGS), options, None, ticket=ticket)

    def _note_end(self) -> None:
        self._ended.offer()

    def _is_over(self) -> bool:
        return self._ended.is_done() or self._report is not None

    def _publish(self, note: Note) -> None:
        for listener in self._listeners:
            try:
                listener(note.what, note.facts)
            except Exception:
                logger.exception("a listener raised; it stays subscribed")

    def _make_report(self) -> PoolReport:
        facts = self.door.last
        returned = tuple(
            ReturnedTask(
                args=payload[1],
                kwargs=payload[2],
                function=payload[0],
                priority=given.task.priority,
                key=given.task.key,
                begun=given.begun,
            )
            for given in sorted(self._returned, key=lambda given: given.task.order)
            for payload in [self._unpacked(given.task.payload)]
        )
        if facts is None:
            return PoolReport(len(returned), 0, 0, returned)
        return PoolReport(facts.submitted, facts.done, facts.failed, returned)

    def _unpacked(self, packed: Any) -> Payload:
        """Return the payload as it was submitted."""
        payload: Payload = unpack(packed) if self.kind == "process" else packed
        return payload


def _checked_worker(worker: Any) -> Any:
    """Return what a pool can use as its worker, or raise what names the field."""
    if worker is None:
        return worker
    if isinstance(worker, child.Prepared):
        return worker
    if isinstance(worker, type) and not callable(getattr(worker, "handle", None)):
        # Such a class is a function like any other, as int is, unless it was clearly meant otherwise.
        if any(hasattr(worker, hook) for hook in ("setup", "reset", "teardown")):
            raise InvalidTypeError("worker", worker, "a class with a method handle(), a function, or None")
    elif not callable(worker):
        raise InvalidTypeError("worker", worker, "a function, a class with a method handle(), or None")
    return worker
