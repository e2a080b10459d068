"""Streams of tasks: a function for each of many items, some at a time (TASK-9)."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeVar, cast, final

from supervisors.addressee import Addressee
from supervisors.errors import InvalidArgumentError, InvalidTypeError
from supervisors.runtime.futures import ScheduledFuture
from supervisors.runtime.outcomes import AskTimeoutError
from supervisors.runtime.turn import current_ref
from supervisors.tasks.handle import Task, TaskDone, TaskExited, TaskExitError
from supervisors.tasks.task import (
    AWAIT_SECONDS,
    checked_wait,
    shutdown,
    start_task,
    take_outcome,
    task_supervisor,
)

if TYPE_CHECKING:
    from supervisors.runtime.ref import ActorRef
    from supervisors.system import ActorSystem

__all__ = ["async_stream", "async_stream_nolink"]

T = TypeVar("T")
R = TypeVar("R")

CONCURRENCY_MAX: Final = 65_536
AHEAD_MAX: Final = 1024
"""Outcomes that wait for the one before them, beyond as many as run at one time; then nothing new is started."""

TIMED_OUT: Final = "timeout"


def async_stream(
    supervisor: Addressee,
    items: Iterable[T],
    function: Callable[[T], R],
    *,
    max_concurrency: int | None = None,
    ordered: bool = True,
    timeout: float | None = AWAIT_SECONDS,
    on_timeout: Literal["exit", "kill_task"] = "exit",
    system: ActorSystem | None = None,
) -> Iterator[TaskDone[R] | TaskExited]:
    """Call a function with each item, some at a time, each in a task of its own (TASK-9).

    Lazy: nothing is taken from `items` before the result is iterated over, and
    nothing new is started while nobody asks for the next outcome. Whoever stops early
    has the tasks that still run ended.

    Args:
        supervisor: a `TaskSupervisor`, or any dynamic supervisor: its ref, its name, or a
            `Via`, looked up once, here.
        items: anything to iterate over, also without end.
        function: called with an item on a worker thread.
        max_concurrency: tasks at one time; by default the number of cores.
        ordered: outcomes come in the order of the items, and a slow one lets about a
            thousand others wait behind it, then no more are started; False: as they are ready.
        timeout: seconds for each task; None: no limit.
        on_timeout: `exit`: the iteration raises `AskTimeoutError`; `kill_task`: that
            task is ended, and its outcome is ``TaskExited("timeout")``.
        system: where to look a name up; not needed inside an actor.

    Raises:
        InvalidArgumentError: at once, for an option that is not allowed.
        InvalidTypeError: likewise, for a value of a wrong kind.
        ActorDeadError: at once, where there is no such supervisor.
        WrongActorError: at once, where it is no dynamic supervisor.
        TaskExitError: while iterating, where a task has crashed and the caller is a
            plain thread. A calling actor that does not trap exits ends with the
            task's reason; one that does gets a `TaskExited`.
    """
    return _checked_stream(
        supervisor,
        items,
        function,
        max_concurrency=max_concurrency,
        ordered=ordered,
        timeout=timeout,
        on_timeout=on_timeout,
        system=system,
        is_linked=True,
    )


def async_stream_nolink(
    supervisor: Addressee,
    items: Iterable[T],
    function: Callable[[T], R],
    *,
    max_concurrency: int | None = None,
    ordered: bool = True,
    timeout: float | None = AWAIT_SECONDS,
    on_timeout: Literal["exit", "kill_task"] = "exit",
    system: ActorSystem | None = None,
) -> Iterator[TaskDone[R] | TaskExited]:
    """Do as `async_stream()`; a task that crashes gives a `TaskExited` and affects nobody (TASK-9)."""
    return _checked_stream(
        supervisor,
        items,
        function,
        max_concurrency=max_concurrency,
        ordered=ordered,
        timeout=timeout,
        on_timeout=on_timeout,
        system=system,
        is_linked=False,
    )


def _checked_stream(
    supervisor: Addressee,
    items: Iterable[T],
    function: Callable[[T], R],
    *,
    max_concurrency: int | None,
    ordered: bool,
    timeout: float | None,
    on_timeout: str,
    system: ActorSystem | None,
    is_linked: bool,
) -> Iterator[TaskDone[R] | TaskExited]:
    limit: object = (os.cpu_count() or 1) if max_concurrency is None else max_concurrency
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= CONCURRENCY_MAX:
        raise InvalidArgumentError("max_concurrency", max_concurrency, f"an integer, 1 to {CONCURRENCY_MAX}")
    if on_timeout not in ("exit", "kill_task"):
        raise InvalidArgumentError("on_timeout", on_timeout, "'exit' or 'kill_task'")
    if not callable(function):
        raise InvalidTypeError("function", function, "a function")
    if not isinstance(items, Iterable):
        raise InvalidTypeError("items", items, "anything to iterate over")
    return _Stream(
        task_supervisor(supervisor, system),
        function,
        limit=limit,
        seconds=checked_wait(timeout),
        kills=on_timeout == "kill_task",
        is_linked=is_linked,
    ).run(items, ordered)


@final
class _Stream(Generic[T, R]):
    """The tasks of one stream.

    Attributes:
        running: task and deadline (monotonic, seconds) by position; the oldest first.
        finished: positions of tasks that have an outcome, from any thread.
    """

    __slots__ = (
        "_function",
        "_is_linked",
        "_kills",
        "_limit",
        "_seconds",
        "_supervisor",
        "_wake",
        "finished",
        "running",
    )

    def __init__(
        self,
        supervisor: ActorRef[Any],
        function: Callable[[T], R],
        *,
        limit: int,
        seconds: float | None,
        kills: bool,
        is_linked: bool,
    ) -> None:
        self._supervisor = supervisor
        self._function = function
        self._limit = limit
        self._seconds = seconds
        self._kills = kills
        self._is_linked = is_linked
        self._wake: ScheduledFuture[None] | None = None
        self.running: dict[int, tuple[Task[R], float | None]] = {}
        self.finished: deque[int] = deque()

    def run(self, items: Iterable[T], ordered: bool) -> Iterator[TaskDone[R] | TaskExited]:
        source = enumerate(items)
        waiting: dict[int, TaskDone[R] | TaskExited] = {}
        due = 0
        more = True
        try:
            while True:
                # In order, the first one may keep many waiting: no more than are worth it.
                while more and len(self.running) < self._limit and len(waiting) < AHEAD_MAX + self._limit:
                    more = self._start_next(source)
                if not ordered:
                    for position in list(waiting):
                        yield waiting.pop(position)
                while due in waiting:
                    yield waiting.pop(due)
                    due += 1
                if self.running:
                    waiting.update(self._some_outcomes())
                elif not more:
                    return
        finally:
            for task, _deadline in self.running.values():
                self._end(task)

    def _end(self, task: Task[R]) -> None:
        """End a task nobody wants the outcome of; whoever lets go of the iteration may be anywhere."""
        if task.owner is None or current_ref() is task.owner:
            shutdown(task, "brutal_kill")
        else:
            task.ref.kill()

    def _start_next(self, source: Iterator[tuple[int, T]]) -> bool:
        """Start a task for the next item; False when there is none."""
        for position, item in source:
            task = start_task(self._supervisor, self._function, (item,), is_linked=self._is_linked)
            deadline = None if self._seconds is None else self._now() + self._seconds
            self.running[position] = (task, deadline)
            task.outcome.when_done(partial(self._note, position))
            return True
        return False

    def _note(self, position: int) -> None:
        self.finished.append(position)
        wake = self._wake
        if wake is not None:
            wake.offer()

    def _some_outcomes(self) -> dict[int, TaskDone[R] | TaskExited]:
        """Wait until tasks are done or late, and return what became of them."""
        # The future first, the look second: whoever finishes in between finds it.
        wake = self._wake = ScheduledFuture(self._supervisor.system.scheduler)
        deadline = next(iter(self.running.values()))[1]
        if not self.finished:
            wake.settle(None if deadline is None else max(deadline - self._now(), 0.0))
        outcomes: dict[int, TaskDone[R] | TaskExited] = {}
        while self.finished:
            position = self.finished.popleft()
            known = self.running.pop(position, None)
            if known is not None:
                outcomes[position] = self._outcome(known[0])
        now = self._now()
        for position, (task, limit) in list(self.running.items()):
            if limit is None or now < limit:
                break
            if task.is_done():
                continue  # it has made it at the last moment, and is found next time
            if not self._kills:
                raise AskTimeoutError(cast("float", self._seconds), task.ref)
            del self.running[position]
            outcomes[position] = shutdown(task, "brutal_kill") or TaskExited(TIMED_OUT)
        return outcomes

    def _outcome(self, task: Task[R]) -> TaskDone[R] | TaskExited:
        outcome = take_outcome(task, task.owner)
        if isinstance(outcome, TaskExited) and self._is_linked and task.owner is None:
            raise TaskExitError(outcome.reason)
        return outcome

    def _now(self) -> float:
        return cast("ActorSystem", self._supervisor.system).clock.monotonic()
