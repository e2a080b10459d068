"""What the engine keeps of tasks, tickets and workers: plain records with the engine's own fields.

Whoever submits makes a `Task` (or a `Ticket`) and hands it in; from then on only the
engine writes to it. Others may read `state`, which changes in one direction only,
except that a task may be queued and run again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, Final, final

from supervisors.timers.deadlines import Entry

if TYPE_CHECKING:
    from supervisors.pools.backlog import Line
    from supervisors.pools.options import Retry

__all__ = [
    "BACKING_OFF",
    "DYING",
    "LENT",
    "NEW",
    "OVER",
    "QUEUED",
    "REFUSED",
    "RUNNING",
    "SETTLED",
    "STARTING",
    "STOPPING",
    "UP",
    "WAITING",
    "Due",
    "Task",
    "Ticket",
    "Worker",
]

# Of tasks.
NEW: Final = "new"
WAITING: Final = "waiting"  # for room in the backlog: not taken in yet
QUEUED: Final = "queued"
RUNNING: Final = "running"  # in the hands of a worker
BACKING_OFF: Final = "backing_off"
SETTLED: Final = "settled"
REFUSED: Final = "refused"

# Of tickets: NEW, WAITING and these.
LENT: Final = "lent"
OVER: Final = "over"

# Of workers.
STARTING: Final = "starting"
UP: Final = "up"
STOPPING: Final = "stopping"
DYING: Final = "dying"


@final
class Due(Entry):
    """Something that the engine does at a time, unless it is called off before."""

    __slots__ = ("act", "subject")

    def __init__(self, deadline: float, act: Callable[[Any], None], subject: Any) -> None:
        self.deadline = deadline
        self.is_pending = False
        self.act = act
        self.subject = subject


@final
class Task:
    """One piece of work.

    Attributes:
        payload: what the worker gets; the engine does not look at it.
        client: who gets the outcome; the engine does not look at it.
        priority: higher goes first.
        key: tasks with the same key run one after the other; None: no key.
        size_bytes: counts towards the bound of the backlog.
        timeout: seconds of one run; None: no limit.
        deadline: seconds from submission; None: no limit.
        retry: what happens after a failure.
        place: the place whose worker has to run it; None: any.
        ticket: of the lease that it is a call of; None: of no lease.
        is_plain: nothing is to be decided about it but who is first, see `supervisors.pools.lane`.
        state: one of the constants above.
        attempts: how often it was given to a worker that began it.
        kills: how many workers it has cost.
    """

    __slots__ = (
        "attempts",
        "begun_at",
        "client",
        "deadline",
        "due",
        "is_counted",
        "is_plain",
        "key",
        "kills",
        "line",
        "order",
        "payload",
        "place",
        "priority",
        "queued_at",
        "retry",
        "run_due",
        "size_bytes",
        "state",
        "submitted_at",
        "ticket",
        "timeout",
        "worker",
    )

    def __init__(  # noqa: PLR0917 - one for each option of a task; keywords would cost half a microsecond
        self,
        payload: Any,
        client: Any,
        retry: Retry,
        priority: int = 0,
        key: Hashable = None,
        size_bytes: int = 0,
        timeout: float | None = None,
        deadline: float | None = None,
        place: int | None = None,
        ticket: Ticket | None = None,
        is_plain: bool = False,
    ) -> None:
        self.payload = payload
        self.client = client
        self.retry = retry
        self.priority = priority
        self.key = key
        self.size_bytes = size_bytes
        self.timeout = timeout
        self.deadline = deadline
        self.place = place
        self.ticket = ticket
        self.is_plain = is_plain
        self.state = NEW
        self.order = 0
        self.attempts = 0
        self.kills = 0
        self.submitted_at = 0.0
        self.queued_at = 0.0
        self.begun_at: float | None = None
        self.worker: Worker | None = None
        self.line: Line | None = None
        self.is_counted = False  # in the backlog's bound
        self.due: Due | None = None
        self.run_due: Due | None = None

    def __repr__(self) -> str:
        return f"<Task {self.order} {self.state}>"


@final
class Ticket:
    """One request for a worker of one's own.

    Attributes:
        owner: who asks, or None; `OwnerDown` names it.
        client: who is told; the engine does not look at it.
        wait: seconds to stand in line; 0: only what is free, or can be started, at once.
    """

    __slots__ = ("calls", "client", "due", "order", "owner", "since", "state", "wait", "worker")

    def __init__(self, owner: Hashable, client: Any, wait: float) -> None:
        self.owner = owner
        self.client = client
        self.wait = wait
        self.state = NEW
        self.order = 0
        self.since = 0.0
        self.worker: Worker | None = None
        self.due: Due | None = None
        self.calls: deque[Task] = deque()

    def __repr__(self) -> str:
        return f"<Ticket {self.order} {self.state}>"


@final
class Worker:
    """One worker, from its start to its end; its successor is another one.

    Attributes:
        id: unique in its pool.
        place: which of the pool's places it holds; None: it is an overflow worker.
        state: one of the constants above.
        in_flight: tasks that it has been given, in order; the first one runs.
        leaving: it gets no more tasks and ends when it has none.
        lease: the ticket of whoever has it.
        waits: its task waits for another task of the same pool.
        mean_seconds: running mean of what a task takes it; None: not known yet.
    """

    __slots__ = (
        "age_due",
        "ahead_due",
        "born_at",
        "due",
        "id",
        "idle_since",
        "in_flight",
        "lease",
        "leaving",
        "mean_seconds",
        "place",
        "recycle_wanted",
        "rss_limit",
        "state",
        "task_limit",
        "tasks_done",
        "waits",
    )

    def __init__(self, number: int, place: int | None) -> None:
        self.id = number
        self.place = place
        self.state = STARTING
        self.in_flight: deque[Task] = deque()
        self.leaving = False
        self.lease: Ticket | None = None
        self.waits = False
        self.recycle_wanted = False
        self.mean_seconds: float | None = None
        self.tasks_done = 0
        self.born_at = 0.0
        self.idle_since = 0.0
        self.task_limit: int | None = None
        self.rss_limit: float | None = None
        self.due: Due | None = None
        self.age_due: Due | None = None
        self.ahead_due: Due | None = None  # when it is looked whether what it holds must wait too long

    def __repr__(self) -> str:
        return f"<Worker {self.id} {self.state}, {len(self.in_flight)} tasks>"
