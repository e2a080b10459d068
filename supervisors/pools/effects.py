"""What the engine of a pool wants done: one class per kind of effect, in the order of the list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, final

from supervisors.pools.records import Task, Ticket

__all__ = [
    "Admit",
    "Complete",
    "Deny",
    "Effect",
    "Ended",
    "Fail",
    "GiveBack",
    "KillWorker",
    "Lend",
    "Note",
    "Refuse",
    "Release",
    "ResetWorker",
    "Revoke",
    "Send",
    "StartWorker",
    "StopWorker",
]

# Not frozen: making a frozen one costs three times as much, and two are made for each task.


@final
@dataclass(slots=True, unsafe_hash=True)
class Send:
    """Give a worker a task; tasks for one worker are run in the order sent."""

    worker: Final[int]
    task: Final[Task]


@final
@dataclass(slots=True, unsafe_hash=True)
class Complete:
    """The task is done; its client gets the value."""

    task: Final[Task]
    value: Final[Any]


@final
@dataclass(slots=True, unsafe_hash=True)
class Fail:
    """The task has failed for good; its client gets the error. None: it was cancelled."""

    task: Final[Task]
    error: Final[BaseException | None]


@final
@dataclass(slots=True, unsafe_hash=True)
class GiveBack:
    """The pool ends and the task was not done; its client gets it back."""

    task: Final[Task]
    begun: Final[bool]


@final
@dataclass(slots=True, unsafe_hash=True)
class Refuse:
    """The task is not taken in."""

    task: Final[Task]
    error: Final[BaseException]


@final
@dataclass(slots=True, unsafe_hash=True)
class Admit:
    """The task, whose submitter waits for room, is taken in after all."""

    task: Final[Task]


@final
@dataclass(slots=True, unsafe_hash=True)
class Lend:
    """The ticket's owner has the worker from now on."""

    ticket: Final[Ticket]
    worker: Final[int]


@final
@dataclass(slots=True, unsafe_hash=True)
class Deny:
    """The ticket gets no worker, or has it no longer."""

    ticket: Final[Ticket]
    error: Final[BaseException]


@final
@dataclass(slots=True, unsafe_hash=True)
class StartWorker:
    """Start a worker; `Up` or `StartFailed` answers, sooner or later."""

    worker: Final[int]
    place: Final[int | None]


@final
@dataclass(slots=True, unsafe_hash=True)
class StopWorker:
    """Have the worker end in order; `Down` answers."""

    worker: Final[int]


@final
@dataclass(slots=True, unsafe_hash=True)
class KillWorker:
    """End the worker now; `Down` answers.

    Attributes:
        task: for whose sake; if the worker has gone on to another task meanwhile,
            it may end after those that it has. None: without regard.
    """

    worker: Final[int]
    task: Final[Task | None]


@final
@dataclass(slots=True, unsafe_hash=True)
class ResetWorker:
    """Have the worker call its reset hook before its next task."""

    worker: Final[int]


@final
@dataclass(slots=True, unsafe_hash=True)
class Revoke:
    """Take back what the worker was given ahead of time and has not begun; `HandedBack` answers."""

    worker: Final[int]


@final
@dataclass(slots=True, unsafe_hash=True)
class Release:
    """Leave tasks and workers to the lane, until the next event; `Absorb` gives them back before that.

    Attributes:
        free: workers with nothing to do, in the order in which they became free.
        running: workers with what they are at.
        queued: tasks in line.
    """

    free: Final[tuple[int, ...]]
    running: Final[tuple[tuple[int, Task], ...]]
    queued: Final[tuple[Task, ...]]


@final
@dataclass(slots=True, unsafe_hash=True)
class Note:
    """Something that operators want to hear of.

    Attributes:
        what: such as `"worker_died"`; see `supervisors.pools.statistics`.
        facts: by name.
    """

    what: Final[str]
    facts: Final[dict[str, Any]]


@final
@dataclass(slots=True, unsafe_hash=True)
class Ended:
    """Every task is accounted for and no worker is left."""


Effect = (
    Send
    | Complete
    | Fail
    | GiveBack
    | Refuse
    | Admit
    | Lend
    | Deny
    | StartWorker
    | StopWorker
    | KillWorker
    | ResetWorker
    | Revoke
    | Release
    | Note
    | Ended
)
