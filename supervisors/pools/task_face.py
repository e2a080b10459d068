"""The half of a pool's face that takes tasks: one by one, many at once, one for each worker."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable
from typing import Any, Final, Literal, TypeAlias

from supervisors.errors import InvalidArgumentError, InvalidTypeError
from supervisors.pools.contract import Payload, Workers
from supervisors.pools.door import Door, here
from supervisors.pools.errors import PoolCrashedError, PoolError, PoolFullError, PoolStoppedError
from supervisors.pools.future import PoolFuture
from supervisors.pools.inputs import Cancel, Resumes, Submit, Waits
from supervisors.pools.lane import FULL, TAKEN, Lane
from supervisors.pools.options import PRIORITY_MAX, PoolOptions, Retry, checked_seconds, checked_whole
from supervisors.pools.performer import Question
from supervisors.pools.process_workers import ProcessWorkers
from supervisors.pools.progress import ProgressBar
from supervisors.pools.records import WAITING, Task, Ticket
from supervisors.pools.stream import LandingFuture, Results
from supervisors.pools.transport import pack
from supervisors.runtime.futures import ScheduledFuture
from supervisors.runtime.outcomes import ActorDeadError
from supervisors.system import ActorSystem

__all__ = ["NO_KWARGS", "WINDOW_MAX", "Kind", "TaskFace", "TaskOptions"]

Kind = Literal["inline", "thread", "process", "asyncio"]

WINDOW_MAX: Final = 1024
"""Tasks that a `map()` has under way at one time, unless it is told otherwise."""

TaskOptions: TypeAlias = tuple[Retry, int, Hashable, int, float | None, float | None]
"""What one task is submitted with, checked: retry, priority, key, bytes, timeout, deadline."""

NO_KWARGS: Final[dict[str, Any]] = {}

_DEFAULTS: Final = (0, None, None, None, None, 0)


class TaskFace(ABC):
    """Takes tasks in for a pool; `WorkerPool` is the whole of it.

    Args:
        options: of the pool.
        kind: of its workers.
        system: the actor system that the pool lives in.
        brings_functions: the pool has no worker of its own, so tasks bring theirs.
    """

    def __init__(self, options: PoolOptions, kind: Kind, system: ActorSystem, *, brings_functions: bool) -> None:
        self.options = options
        self.kind: Kind = kind
        self.door = Door(None if system.scheduler.is_threaded else system.scheduler)
        self._system = system
        self._brings_functions = brings_functions
        self._workers: Workers | None = None
        self._lane: Lane | None = None
        self._now = system.clock.monotonic
        backlog = options.backlog
        self._defaults = self._task_options(0, None, None, None, None, 0)
        self._patience = backlog.patience if backlog.policy == "block" else 0.0

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
        return self._submit((function, args, NO_KWARGS), options, None)

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

        Args:
            *args: as for `submit()`.
            timeout: seconds that each run may take; None: as the pool's options say.

        Returns:
            One future for each place, in order.
        """
        function: Callable[..., Any] | None = None
        if self._brings_functions:
            function, args = self._split(args)
        options = self._task_options(0, None, timeout, None, None, 0)
        size = self._ask_open(Question(lambda engine: engine.size))
        return [self._submit((function, args, NO_KWARGS), options, None, place) for place in range(size)]

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
        if door.stepped is not None:
            self._system.machine.meets(getattr(payload[0], "__module__", None) or "")
        future: PoolFuture[Any] = PoolFuture(door) if landed is None else LandingFuture(door, landed)
        packed: Any = payload
        if self.kind == "process":
            packed = pack(payload)
            if payload[0] is not None and isinstance(self._workers, ProcessWorkers):
                self._workers.note_module(getattr(payload[0], "__module__", None) or "builtins")
        retry, priority, key, size_bytes, timeout, deadline = options
        if packed.__class__ is bytes and not size_bytes:
            size_bytes = len(packed)
        lane = self._lane
        is_plain = lane is not None and options is self._defaults and place is None and ticket is None
        task = future.task = Task(
            packed, future, retry, priority, key, size_bytes, timeout, deadline, place, ticket, is_plain
        )
        if is_plain and not self._system.forked:
            assert lane is not None
            answer = lane.offer(task, self._now())
            if answer is TAKEN:
                return future
            if answer is FULL:
                raise PoolFullError(lane.count_max, 0)
        patience = self._patience
        if patience:
            future.gate = ScheduledFuture(self._system.scheduler)
        try:
            door.ask(Submit(task, patience))
        except ActorDeadError:
            raise self._gone() from None
        if task.state is WAITING:
            self._wait_for_room(future, patience)
        if future.refusal is not None:
            raise future.refusal
        return future

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
        for name, flag in (("return_exceptions", return_exceptions), ("progress", progress)):
            if not isinstance(flag, bool):
                raise InvalidTypeError(name, flag, "True or False")
        given = {"priority": 0, "key": None, "timeout": None, "deadline": None, "retry": None, "size_bytes": 0}
        for name in options:
            if name not in given:
                raise InvalidArgumentError("options", name, ", ".join(given))
        checked = self._task_options(**{**given, **options})

        def submit(item: Any, landed: Callable[[PoolFuture[Any]], None] | None) -> PoolFuture[Any]:
            return self._submit((function, (item,), NO_KWARGS), checked, landed)

        count_max = self.options.backlog.count_max
        default = WINDOW_MAX if count_max is None else min(WINDOW_MAX, count_max + self.options.size)
        return Results(
            items,
            submit,
            window=default if window is None else checked_whole("window", window, 1, 1 << 30),
            ordered=ordered,
            return_exceptions=return_exceptions,
            progress=ProgressBar(items, self._system.clock) if progress else None,
            stepped=self.door.stepped,
        )

    def _gone(self) -> PoolError:
        """Return what is to be told when there is no actor: it is over, or the next one is on its way."""
        ref = self.door.ref
        if self._is_over() or ref is None:
            return PoolStoppedError()
        return PoolCrashedError(ref.exit_reason)

    @abstractmethod
    def _is_over(self) -> bool:
        """Tell whether the pool has ended for good."""

    def _ask_open(self, event: Any) -> Any:
        try:
            return self.door.ask(event)
        except ActorDeadError:
            raise self._gone() from None
