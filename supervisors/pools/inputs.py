"""What the engine of a pool is told: one class per kind of event."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Final, final

from supervisors.pools.records import Task, Ticket

__all__ = [
    "Absorb",
    "Begin",
    "Cancel",
    "CheckIn",
    "CheckOut",
    "Down",
    "Finished",
    "HandedBack",
    "Input",
    "LaneFigures",
    "Measured",
    "OwnerDown",
    "Resize",
    "Resumes",
    "StartFailed",
    "Stop",
    "Submit",
    "Tick",
    "Up",
    "Waits",
]

# Not frozen, as in `effects`: two of these are made for each task.


@final
@dataclass(slots=True, unsafe_hash=True)
class Begin:
    """Start the workers."""


@final
@dataclass(slots=True, unsafe_hash=True)
class Submit:
    """Take a task in.

    Attributes:
        patience: seconds that the submitter is ready to wait for room; 0: none. Only
            the policy `"block"` makes anybody wait.
    """

    task: Final[Task]
    patience: Final[float] = 0.0


@final
@dataclass(slots=True, unsafe_hash=True)
class Cancel:
    """Nobody wants the task any more: take it out, or end the worker that runs it."""

    task: Final[Task]


@final
@dataclass(slots=True, unsafe_hash=True)
class Finished:
    """A worker is through with a task.

    Attributes:
        error: what the function raised; None: it returned `value`.
        seconds: how long it took.
    """

    worker: Final[int]
    task: Final[Task]
    value: Final[Any]
    error: Final[BaseException | None]
    seconds: Final[float]


@final
@dataclass(slots=True, unsafe_hash=True)
class Up:
    """A worker is ready for tasks."""

    worker: Final[int]


@final
@dataclass(slots=True, unsafe_hash=True)
class StartFailed:
    """A worker did not come up; nothing of it is left."""

    worker: Final[int]
    error: Final[object]


@final
@dataclass(slots=True, unsafe_hash=True)
class Down:
    """A worker has ended; what it had finished was told before.

    Attributes:
        reason: how; `"stopped"` when it was asked to.
        begun: the task that it was at; None: at none.
    """

    worker: Final[int]
    reason: Final[object]
    begun: Final[Task | None]


@final
@dataclass(slots=True, unsafe_hash=True)
class HandedBack:
    """Tasks that a worker had not begun, and never will."""

    worker: Final[int]
    tasks: Final[tuple[Task, ...]]


@final
@dataclass(slots=True, unsafe_hash=True)
class Waits:
    """The task of a worker waits for another task of this pool."""

    worker: Final[int]


@final
@dataclass(slots=True, unsafe_hash=True)
class Resumes:
    """The task of a worker goes on."""

    worker: Final[int]


@final
@dataclass(slots=True, unsafe_hash=True)
class Measured:
    """The memory of a worker's process."""

    worker: Final[int]
    rss_bytes: Final[int]


@final
@dataclass(slots=True, unsafe_hash=True)
class CheckOut:
    """Somebody wants a worker for itself."""

    ticket: Final[Ticket]


@final
@dataclass(slots=True, unsafe_hash=True)
class CheckIn:
    """A worker comes back, or nobody wants it any more.

    Attributes:
        broken: do not use that worker again.
    """

    ticket: Final[Ticket]
    broken: Final[bool] = False


@final
@dataclass(slots=True, unsafe_hash=True)
class OwnerDown:
    """Whoever had, or waited for, workers has ended."""

    owner: Final[Hashable]


@final
@dataclass(slots=True, unsafe_hash=True)
class Resize:
    """Have another number of workers from now on."""

    size: Final[int]
    max_overflow: Final[int]


@final
@dataclass(slots=True, unsafe_hash=True)
class Stop:
    """Take nothing in any more, do what is there for so many seconds, then end."""

    drain_seconds: Final[float]


@final
@dataclass(frozen=True, slots=True)
class LaneFigures:
    """What has happened in the lane since the engine was told last.

    Attributes:
        submitted: tasks taken in.
        done: tasks that returned a value.
        failed: tasks that raised.
        refused: tasks not taken in.
        waits: seconds that each one waited that has begun.
        runs: seconds that each one took that has ended.
    """

    submitted: int
    done: int
    failed: int
    refused: int
    waits: list[float]
    runs: list[float]


@final
@dataclass(slots=True)
class Absorb:
    """The lane is closed: what was released comes back, with what has come since.

    Attributes:
        figures: what has happened there.
        tasks_done: by worker, how many it has done since.
        free: workers with nothing to do, in the order in which they became free.
        running: workers with what they were given.
        queued: tasks in line.
    """

    figures: Final[LaneFigures]
    tasks_done: Final[tuple[tuple[int, int], ...]]
    free: Final[tuple[int, ...]]
    running: Final[tuple[tuple[int, Task], ...]]
    queued: Final[tuple[Task, ...]]


@final
@dataclass(slots=True, unsafe_hash=True)
class Tick:
    """Time has passed."""


Input = (
    Absorb
    | Begin
    | Submit
    | Cancel
    | Finished
    | Up
    | StartFailed
    | Down
    | HandedBack
    | Waits
    | Resumes
    | Measured
    | CheckOut
    | CheckIn
    | OwnerDown
    | Resize
    | Stop
    | Tick
)
