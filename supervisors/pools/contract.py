"""What the performer of a pool relies on, whatever kind of worker it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

from supervisors.pools.effects import Release
from supervisors.pools.lane import Lane
from supervisors.pools.records import Task

__all__ = ["Payload", "PoolWorker", "Workers"]

Payload: TypeAlias = tuple[Callable[..., Any] | None, tuple[Any, ...], dict[str, Any]]
"""What a task is for its worker: a function, or None for the pool's own, and its arguments."""


class Workers(Protocol):
    """All workers of one kind. They answer with events, in their own time, from any thread.

    No verb blocks, and none runs user code: they are called in the performer's turn.

    Attributes:
        prefetch_max: how many tasks one worker may hold.
        lane: where plain tasks go past the pool's actor; None: this kind has none.
    """

    prefetch_max: int
    lane: Lane | None

    def start(self, worker: int) -> None:
        """Start a worker; `Up` or `StartFailed` answers."""
        ...

    def send(self, worker: int, task: Task) -> None:
        """Give a worker a task; `Finished` answers, unless it ends before."""
        ...

    def flush(self) -> None:
        """See that what was sent is on its way."""
        ...

    def reset(self, worker: int) -> None:
        """Have a worker call its reset hook before its next task."""
        ...

    def stop(self, worker: int) -> None:
        """Have a worker end after what it has; `Down` answers."""
        ...

    def kill(self, worker: int, task: Task | None) -> None:
        """End a worker at once, if it is at that task, or for None in any case; `Down` answers."""
        ...

    def revoke(self, worker: int) -> None:
        """Take back what a worker has not begun; `HandedBack` answers if there is anything."""
        ...

    def release(self, release: Release) -> None:
        """Open the lane with what the engine leaves to it; only where there is one."""
        ...

    def close(self) -> None:
        """End everything that is left, now; the pool's actor has ended."""
        ...

    def join(self, timeout: float) -> bool:
        """After `close()`, wait so many seconds until nothing is left; False if something is. May block."""
        ...


class PoolWorker(ABC):
    """A worker with a state of its own; subclassing this is a convenience, any class with `handle` will do.

    Each worker of the pool makes its own instance, without arguments, where it lives.

    Thread: that of the worker, one method at a time.
    """

    def setup(self) -> None:  # noqa: B027 - a hook: nothing to do is a good answer
        """Get ready. What this raises fails the start of the worker."""

    @abstractmethod
    def handle(self, *args: Any, **kwargs: Any) -> Any:
        """Do one task."""

    def reset(self) -> None:  # noqa: B027 - a hook: nothing to do is a good answer
        """Get ready for somebody else: after a task has raised, and when a borrower has given the worker back.

        What this raises ends the worker.
        """

    def teardown(self) -> None:  # noqa: B027 - a hook: nothing to do is a good answer
        """Clean up at an orderly end."""
