"""The face of a pool: what users make, give tasks to, and close."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Final, Literal, Self, TypeAlias, TypeVar, final

from supervisors.clock import VirtualClock
from supervisors.errors import InvalidArgumentError, InvalidTypeError, UsageError
from supervisors.pools import child
from supervisors.pools.asyncio_workers import AsyncioWorkers
from supervisors.pools.contract import Payload, Workers
from supervisors.pools.door import Courier, Door, at_work, here
from supervisors.pools.effects import Note
from supervisors.pools.errors import PoolStoppedError
from supervisors.pools.future import PoolFuture
from supervisors.pools.inline_workers import InlineWorkers
from supervisors.pools.inputs import Cancel, Resize, Resumes, Stop, Submit, Waits
from supervisors.pools.lease import CHECKOUT_SECONDS, Lease, borrow
from supervisors.pools.options import (
    PRIORITY_MAX,
    PoolOptions,
    Retry,
    checked_seconds,
    checked_whole,
)
from supervisors.pools.performer import GivenBack, PoolActor, Question
from supervisors.pools.process_workers import ProcessWorkers
from supervisors.pools.progress import ProgressBar
from supervisors.pools.records import WAITING, Task, Ticket
from supervisors.pools.stream import LandingFuture, Results
from supervisors.pools.tally import PoolStatistics
from supervisors.pools.thread_workers import ThreadWorkers
from supervisors.pools.transport import pack, pack_worker, unpack
from supervisors.runtime.futures import ScheduledFuture
from supervisors.runtime.outcomes import ActorDeadError
from supervisors.runtime.ref import ActorRef
from supervisors.system import ActorSystem

__all__ = ["KINDS", "PoolReport", "ReturnedTask", "WorkerPool"]

logger = logging.getLogger("supervisors.pools")

KINDS: Final = ("inline", "thread", "process", "asyncio")

Kind = Literal["inline", "thread", "process", "asyncio"]

PREFETCH_MAX: Final = 64
"""Tiny tasks that one process may hold, unless it is told otherwise."""

T = TypeVar("T")

WINDOW_MAX: Final = 1024
"""Tasks that a `map()` has under way at one time, unless it is told otherwise."""

TaskOptions: TypeAlias = tuple[Retry, int, Hashable, int, float | None, float | None]
"""What one task is submitted with, checked: retry, priority, key, bytes, timeout, deadline."""

_NO_KWARGS: Final[dict[str, Any]] = {}

_DEFAULTS: Final = (0, None, None, None, None, 0)

_numbers = itertools.count(1)


@final
@dataclass(frozen=True, slots=True)
class ReturnedTask:
    """A task that a pool gave back when it ended, to be submitted elsewhere.

    Attributes:
        args: as they were submitted.
        kwargs: as they were submitted.
        function: what the task brought along; None: it was for the pool's own.
        priority: as it was submitted.
        key: as it was submitted.
        begun: True if a worker was at it, so that part of it may have happened.
    """

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    function: Callable[..., Any] | None
    priority: int
    key: Hashable
    begun: bool


@final
@dataclass(frozen=True, slots=True)
class PoolReport:
    """How a pool has ended: `submitted = done + failed + len(returned)`.

    Attributes:
        submitted: tasks it had taken in.
        done: of these, returned a value.
        failed: of these, ended in an error.
        returned: of these, not done; in order of submission.
    """

    submitted: int
    done: int
    failed: int
    returned: tuple[ReturnedTask, ...]


class WorkerPool:
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
        self._brings_functions = worker is None or isinstance(worker, child.Prepared)
        if kind not in KINDS:
            raise InvalidArgumentError("kind", kind, ", ".join(repr(each) for each in KINDS))
        if system is not None and not isinstance(system, ActorSystem):
            raise InvalidTypeError("system", system, "an ActorSystem, or None")
        if name is not None and (not isinstance(name, str) or not name):
            raise InvalidTypeError("name", name, "a text, or None")
        self.kind = kind
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
        self.options = PoolOptions(size=size, **self._own_options(options))
        self.drain_timeout = checked_seconds("drain_timeout", drain_timeout)
        self.name = name if name is not None else f"supervisors-pool-{next(_numbers)}"
        if system is not None and isinstance(system.clock, VirtualClock) and kind != "inline":
            raise InvalidArgumentError(
                "kind", kind, "'inline' on a VirtualClock: nothing else can live in virtual time"
            )
        self._owns_system = system is None
        self._system = system if system is not None else ActorSystem(slow_inline_turn=None)
        self.door = Door()
        self._returned: list[GivenBack] = []
        self._ended: ScheduledFuture[None] = ScheduledFuture(self._system.scheduler)
        self._listeners: tuple[Callable[[str, dict[str, Any]], None], ...] = ()
        self._report: PoolReport | None = None
        self._workers: Workers | None = None
        backlog = self.options.backlog
        self._defaults = self._task_options(0, None, None, None, None, 0)
        self._patience = backlog.patience if backlog.policy == "block" else 0.0
        try:
            self.door.courier = self._system.start(Courier)
            self._ref: ActorRef[PoolActor] = self._system.start(
                PoolActor,
                self.options,
                self.door,
                self._make_workers,
                self._returned,
                self._ended,
                self._publish,
                name=name,
            )
        except BaseException:
            if self.door.courier is not None:
                self.door.courier.exit("shutdown")
            if self._owns_system:
                self._system.stop()
            raise
        self.door.deliver()

    @staticmethod
    def _own_options(options: dict[str, Any]) -> dict[str, Any]:
        known = set(PoolOptions.__dataclass_fields__)
        for name in options:
            if name not in known:
                raise InvalidArgumentError("options", name, ", ".join(sorted(known)))
        return options

    def _make_workers(self) -> Workers:
        clock = self._system.clock
        workers: Workers
        if self.kind == "inline":
            workers = InlineWorkers(self._worker, self.door, clock)
        elif self.kind == "process":
            workers = ProcessWorkers(self._worker, self.door, clock, self.options, self.name)
        elif self.kind == "asyncio":
            workers = AsyncioWorkers(self._worker, self.door, clock, self.name)
        else:
            workers = ThreadWorkers(self._worker, self.door, clock, self.name)
        self._workers = workers
        return workers

    # -- tasks ---------------------------------------------------------------------

    def submit(
        self,
        *args: Any,
        priority: int = 0,
        key: Hashable = None,
        timeout: float | None = None,
        deadline: float | None = None,
        retry: Retry | None = None,
        size_bytes: int = 0,
    ) -> PoolFuture[Any]:
        """Give the pool a task.

        Args:
            *args: what the worker gets. Without a worker of the pool's own, the first
                one is the function.
            priority: -100 to 100; higher goes first.
            key: tasks with the same key run one after the other, on the worker of one
                place; hashable; None: no key.
            timeout: seconds that one run may take; then its worker is ended. None: the
                pool's own limit.
            deadline: seconds from now to the outcome, whatever happens between. None:
                the pool's own limit.
            retry: what happens after a failure; None: the pool's own rule.
            size_bytes: what it counts for in the bound of the backlog.

        Returns:
            The outcome, now or later.

        Raises:
            PoolFullError: there is no room, and the policy is to say so.
            PoolStoppedError: the pool is stopping or has ended.
            PoolFailedError: no worker comes up.

        Thread: any. Blocks: only with the policy `"block"`, for its patience.
        """
        function: Callable[..., Any] | None = None
        if self._brings_functions:
            function, args = self._split(args)
        if (priority, key, timeout, deadline, retry, size_bytes) == _DEFAULTS and priority.__class__ is int:
            options = self._defaults
        else:
            options = self._task_options(priority, key, timeout, deadline, retry, size_bytes)
        return self._submit((function, args, _NO_KWARGS), options, None)

    def call(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> PoolFuture[Any]:
        """Have a worker call any function; `submit()` has options, this has keyword arguments.

        Raises:
            InvalidTypeError: it is no function.
            PoolFullError: there is no room, and the policy is to say so.
            PoolStoppedError: the pool is stopping or has ended.
            PoolFailedError: no worker comes up.
        """
        if not callable(function):
            raise InvalidTypeError("function", function, "a function")
        return self._submit((function, args, kwargs), self._defaults, None)

    def map(
        self,
        items: Iterable[Any],
        *,
        window: int | None = None,
        return_exceptions: bool = False,
        function: Callable[[Any], Any] | None = None,
        progress: bool = False,
        **options: Any,
    ) -> Results[Any]:
        """Do a task for each item; iterate over the results in the order of the items.

        Works with ``for`` and with ``async for``. Lazy: see `Results`.

        Args:
            items: each becomes the one argument of a task.
            window: tasks that may be under way at one time; None: as many as the
                backlog allows, 1,024 at most.
            return_exceptions: an error is a result like any other; otherwise it is raised.
            function: for a pool that has no worker of its own.
            progress: show a line with rate and time left on standard error, if that is
                a terminal.
            **options: of each task, as for `submit()`.
        """
        return self._results(items, True, window, return_exceptions, function, progress, options)

    def imap_unordered(
        self,
        items: Iterable[Any],
        *,
        window: int | None = None,
        return_exceptions: bool = False,
        function: Callable[[Any], Any] | None = None,
        progress: bool = False,
        **options: Any,
    ) -> Results[Any]:
        """Do a task for each item; iterate over the results as they are done; otherwise as `map()`."""
        return self._results(items, False, window, return_exceptions, function, progress, options)

    def broadcast(self, *args: Any, timeout: float | None = None) -> list[PoolFuture[Any]]:
        """Give each worker of the pool the same task, overflow workers not counted.

        Returns:
            One future for each place, in order.
        """
        function: Callable[..., Any] | None = None
        if self._brings_functions:
            function, args = self._split(args)
        options = self._task_options(0, None, timeout, None, None, 0)
        size = self.door.ask(Question(lambda engine: engine.size))
        return [self._submit((function, args, _NO_KWARGS), options, None, place) for place in range(size)]

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
        with self.checkout(timeout) as lease:
            return function(lease)

    def status(self) -> tuple[str, int, int, int]:
        """Return poolboy's status: `"ready"`, `"overflow"` or `"full"`; free, overflow and lent workers (POOL-9)."""
        status: tuple[str, int, int, int] = self._ask_open(Question(lambda engine: engine.status()))
        return status

    # -- the pool itself -------------------------------------------------------------

    @property
    def ref(self) -> ActorRef[PoolActor]:
        """The pool's actor: to be linked, monitored, or named."""
        return self._ref

    def statistics(self) -> PoolStatistics:
        """Return a snapshot; of a pool that has ended, the last one."""
        clock = self._system.clock
        try:
            facts: PoolStatistics = self.door.ask(Question(lambda engine: engine.statistics(clock.monotonic())))
        except ActorDeadError:
            if self.door.last is None:
                raise PoolStoppedError("the pool has ended, and nobody has kept its figures") from None
            facts = self.door.last
        workers = self._workers
        return replace(facts, abandoned=workers.left_alone) if isinstance(workers, ThreadWorkers) else facts

    def quarantined(self) -> list[Payload]:
        """Return the work of tasks that have killed too many workers, the last hundred."""
        payloads = self.door.ask(Question(lambda engine: [task.payload for task in engine.quarantine]))
        return [self._unpacked(payload) for payload in payloads]

    def resize(self, size: int, max_overflow: int | None = None) -> None:
        """Have another number of workers from now on; those too many end when they have drained.

        Args:
            size: workers to keep up, 1 to 4096.
            max_overflow: further ones under load; None: as before.
        """
        checked_whole("size", size, 1, 4096)
        if max_overflow is None:
            max_overflow = self.door.ask(Question(lambda engine: engine.max_overflow))
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
        self._ref.kill()
        self._ended.settle(2.0)
        self.door.deliver(nested=True)
        if self._workers is not None:
            self._workers.join(2.0)
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
        if self._report is not None or not self._ref.is_alive():
            return f"<WorkerPool {self.name} ended>"
        facts = self.statistics()
        return (
            f"<WorkerPool {self.name} {facts.state}: {facts.workers} {self.kind} workers, "
            f"{facts.busy} busy, {facts.queued} tasks queued>"
        )

    def __reduce__(self) -> Any:
        raise UsageError("a pool cannot travel to another process; make one there, or send tasks to this one")

    # -- inside ------------------------------------------------------------------------

    def _task_options(  # noqa: PLR0917 - one for each option of submit()
        self,
        priority: int,
        key: Hashable,
        timeout: float | None,
        deadline: float | None,
        retry: Retry | None,
        size_bytes: int,
    ) -> TaskOptions:
        """Check what one task is submitted with; only what is not the default costs anything."""
        own = self.options
        if priority:
            checked_whole("priority", priority, -PRIORITY_MAX, PRIORITY_MAX)
        elif priority.__class__ is not int:
            raise InvalidTypeError("priority", priority, "a whole number")
        if key is not None:
            try:
                hash(key)
            except TypeError:
                raise InvalidTypeError("key", key, "what is hashable, or None") from None
        if size_bytes:
            checked_whole("size_bytes", size_bytes, 0, 1 << 50)
        if retry is not None and not isinstance(retry, Retry):
            raise InvalidTypeError("retry", retry, "a Retry, or None")
        return (
            own.retry if retry is None else retry,
            priority,
            key,
            size_bytes,
            own.timeout if timeout is None else checked_seconds("timeout", timeout, above_zero=True),
            own.deadline if deadline is None else checked_seconds("deadline", deadline, above_zero=True),
        )

    @staticmethod
    def _split(args: tuple[Any, ...]) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        if not args or not callable(args[0]):
            raise InvalidTypeError("args", args[0] if args else None, "a function first: this pool has none of its own")
        return args[0], args[1:]

    def _submit(
        self,
        payload: Payload,
        options: TaskOptions,
        landed: Callable[[PoolFuture[Any]], None] | None,
        place: int | None = None,
        ticket: Ticket | None = None,
    ) -> PoolFuture[Any]:
        door = self.door
        future: PoolFuture[Any] = PoolFuture(door) if landed is None else LandingFuture(door, landed)
        packed: Any = payload
        if self.kind == "process":
            packed = pack(payload)
            if payload[0] is not None and isinstance(self._workers, ProcessWorkers):
                self._workers.note_module(getattr(payload[0], "__module__", None) or "builtins")
        retry, priority, key, size_bytes, timeout, deadline = options
        if packed.__class__ is bytes and not size_bytes:
            size_bytes = len(packed)
        task = future.task = Task(packed, future, retry, priority, key, size_bytes, timeout, deadline, place, ticket)
        patience = self._patience
        if patience:
            future.gate = ScheduledFuture(self._system.scheduler)
        try:
            door.ask(Submit(task, patience))
        except ActorDeadError:
            raise PoolStoppedError from None
        if task.state is WAITING:
            self._wait_for_room(future, patience)
        if future.refusal is not None:
            raise future.refusal
        return future

    def _submit_lent(self, ticket: Ticket, args: tuple[Any, ...], timeout: float | None) -> PoolFuture[Any]:
        """Submit a task for a worker that is lent."""
        function: Callable[..., Any] | None = None
        if self._brings_functions:
            function, args = self._split(args)
        options = self._task_options(0, None, timeout, None, None, 0)
        return self._submit((function, args, _NO_KWARGS), options, None, ticket=ticket)

    def _wait_for_room(self, future: PoolFuture[Any], patience: float) -> None:
        gate, door = future.gate, self.door
        assert gate is not None
        is_worker = here.door is door
        if is_worker:
            door.ask(Waits(here.worker))
        try:
            gate.settle(patience + 5.0)
        except BaseException:
            door.ask(Cancel(future.task))  # Ctrl-C: nobody would have the task's future
            raise
        finally:
            if is_worker:
                door.tell(Resumes(here.worker))

    def _results(  # noqa: PLR0917 - one for each option of map()
        self,
        items: Iterable[Any],
        ordered: bool,
        window: int | None,
        return_exceptions: bool,
        function: Callable[[Any], Any] | None,
        progress: bool,
        options: dict[str, Any],
    ) -> Results[Any]:
        if not isinstance(items, Iterable):
            raise InvalidTypeError("items", items, "an iterable")
        if (function is None) is self._brings_functions:
            allowed = "a function" if self._brings_functions else "None: the pool has a worker of its own"
            raise InvalidTypeError("function", function, allowed)
        given = {"priority": 0, "key": None, "timeout": None, "deadline": None, "retry": None, "size_bytes": 0}
        for name in options:
            if name not in given:
                raise InvalidArgumentError("options", name, ", ".join(given))
        checked = self._task_options(**{**given, **options})

        def submit(item: Any, landed: Callable[[PoolFuture[Any]], None] | None) -> PoolFuture[Any]:
            return self._submit((function, (item,), _NO_KWARGS), checked, landed)

        count_max = self.options.backlog.count_max
        default = WINDOW_MAX if count_max is None else min(WINDOW_MAX, count_max + self.options.size)
        return Results(
            items,
            submit,
            window=default if window is None else checked_whole("window", window, 1, 1 << 30),
            ordered=ordered,
            return_exceptions=return_exceptions,
            progress=ProgressBar(items, self._system.clock) if progress else None,
        )

    def _ask_open(self, event: Any) -> Any:
        try:
            return self.door.ask(event)
        except ActorDeadError:
            raise PoolStoppedError from None

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
