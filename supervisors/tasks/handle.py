"""Tasks and their outcomes, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar, final

from supervisors.errors import SupervisorsError
from supervisors.exits import Crashed, describe

if TYPE_CHECKING:
    from supervisors.runtime.futures import ScheduledFuture
    from supervisors.runtime.ref import ActorRef
    from supervisors.runtime.signals import MonitorRef

__all__ = ["Task", "TaskAnswer", "TaskDone", "TaskExitError", "TaskExited"]

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


@final
@dataclass(frozen=True, slots=True)
class TaskDone(Generic[R_co]):
    """The task has answered (TASK-6); for type checkers, `TaskDone[int]` with an int.

    Attributes:
        value: what its function returned.
    """

    value: R_co


@final
@dataclass(frozen=True, slots=True)
class TaskExited:
    """The task has ended without an answer (TASK-6).

    Attributes:
        reason: its exit reason; `"timeout"` for an element of a stream that took too long.
    """

    reason: object


@final
class TaskExitError(SupervisorsError):
    """The awaited task has ended without an answer (TASK-3).

    What its function raised is the cause (``__cause__``).

    Attributes:
        reason: the task's exit reason.
    """

    def __init__(self, reason: object) -> None:
        self.reason = reason
        super().__init__(f"the task ended without an answer: {describe(reason)}")
        if isinstance(reason, Crashed):
            self.__cause__ = reason.error


@final
@dataclass(frozen=True, slots=True)
class TaskAnswer(Generic[R]):
    """The message by which an actor gets the answer of its task (TASK-5).

    A `Down` of the task follows. An actor that handles this and not the `Down` may
    call `demonitor(task.monitor, flush=True)`.

    Attributes:
        task: what `async_()` returned.
        value: what the function returned.
    """

    task: Task[R]
    value: R


@final
class Task(Generic[R]):
    """A function that runs, and whoever is to have its answer; `Task[int]` if that is an int.

    Attributes:
        ref: the actor that runs it.
        owner: the actor that started it, None for a plain thread; only the owner
            may await it (TASK-7).
        monitor: the owner's monitor on it; None without an owner.
        is_linked: whether owner and task end together.
        outcome: a future of its `TaskDone` or `TaskExited`, for whoever wants to be
            called back; the owner takes it by `await_()`, `yield_()` or `shutdown()`.
        is_taken: whether the owner has done so, or given up.
    """

    __slots__ = ("is_linked", "is_taken", "monitor", "outcome", "owner", "ref")

    def __init__(self, ref: ActorRef[Any], owner: ActorRef[Any] | None, outcome: ScheduledFuture[Any]) -> None:
        self.ref = ref
        self.owner = owner
        self.monitor: MonitorRef | None = None
        self.is_linked = False
        self.outcome = outcome
        self.is_taken = False

    def is_done(self) -> bool:
        """Tell whether there is an outcome, so that `yield_()` would return it at once."""
        return self.outcome.is_done()

    def __repr__(self) -> str:
        return f"<Task {self.ref}: {'done' if self.outcome.is_done() else 'running'}>"
