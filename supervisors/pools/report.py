"""How a pool has ended, and what it gave back."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, final

__all__ = ["PoolReport", "ReturnedTask"]


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
