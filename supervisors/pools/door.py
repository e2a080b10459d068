"""The way in and out of a pool: events go in to its actor, outcomes come out after the turn.

The pool's own turn runs no user code. What it wants done outside (outcomes for
futures with their callbacks, tasks of inline workers) it puts into the outbox, and the
thread that brought an event in empties the outbox when it is out of the turn again.

**Why nothing is left lying.** The turn may run on a thread that has no business with
this pool: the timers', or that of somebody else's ask. So the performer looks, at the
end of each message, whether the thread it runs on stands in this door (`is_open()`).
If it does, that thread will look into the outbox afterwards. If not, the performer
sends for the courier, an actor that does nothing else.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, cast, final

from supervisors.actor import Actor
from supervisors.errors import Exit
from supervisors.runtime.outcomes import ActorDeadError
from supervisors.runtime.signals import Exited

if TYPE_CHECKING:
    from supervisors.pools.inputs import Input
    from supervisors.pools.records import Task
    from supervisors.pools.tally import PoolStatistics
    from supervisors.runtime.contract import Scheduler
    from supervisors.runtime.forks import Forkable
    from supervisors.runtime.ref import ActorRef

__all__ = ["ASK_SECONDS", "Courier", "Door", "Here", "at_work", "here"]

logger = logging.getLogger("supervisors.pools")

ASK_SECONDS: Final = 30.0
"""How long a question to the pool's actor may take; its turns take microseconds."""


@final
class Here(threading.local):
    """What this thread is doing for pools.

    Attributes:
        doors: how often it stands in which door.
        delivering: doors whose outbox it is emptying.
        door: of the pool whose worker this thread is; None: of none.
        worker: which worker that is.
        task: what it is at.
    """

    def __init__(self) -> None:
        self.doors: list[Door] = []
        self.delivering: list[Door] = []
        self.door: Door | None = None
        self.worker = 0
        self.task: Task | None = None


here = Here()

at_work: ContextVar[tuple[Door, int, Task] | None] = ContextVar("at_work", default=None)
"""The same for coroutines, many of which share a thread: pool, worker, task."""


@final
class Door:
    """Stands between one pool's actor and everybody else.

    Args:
        stepped: who runs everything in virtual time; None: threads do, and a wait simply blocks.

    Thread: any.
    """

    __slots__ = ("courier", "futures_lock", "last", "outbox", "ref", "stepped")

    def __init__(self, stepped: Scheduler | None = None) -> None:
        self.stepped = stepped
        self.outbox: deque[Callable[[], None]] = deque()  # append and popleft are atomic
        # Guards whether a future has a condition, while it gets one and while it gets its outcome.
        self.futures_lock = threading.Lock()
        self.ref: ActorRef[Any] | None = None
        self.courier: ActorRef[Any] | None = None
        self.last: PoolStatistics | None = None  # set when the actor has ended

    def tell(self, event: Any) -> None:
        """Bring an event in. To a pool that has ended nothing matters any more."""
        ref = self.ref
        assert ref is not None
        doors = here.doors
        doors.append(self)
        try:
            ref.tell(event)
        except ActorDeadError:
            return
        finally:
            doors.pop()
        if self.outbox:
            self.deliver()

    def send(self, event: Input) -> None:
        """Bring an event in from inside the pool's own turn; it is dealt with after this one."""
        ref = self.ref
        assert ref is not None
        if ref.is_alive():
            ref.send(event)

    def ask(self, question: Any) -> Any:
        """Bring an event in and wait until it is dealt with.

        Raises:
            ActorDeadError: the pool has ended.
        """
        ref = self.ref
        assert ref is not None
        doors = here.doors
        doors.append(self)
        try:
            return ref.ask(question, timeout=ASK_SECONDS)
        finally:
            doors.pop()
            if self.outbox:
                self.deliver()

    def is_forked(self) -> bool:
        """Tell whether this process was forked from the one that the pool lives in."""
        ref = self.ref
        return ref is not None and cast("Forkable", ref.system).forked

    def is_open(self) -> bool:
        """Tell whether this thread will look into the outbox by itself."""
        return self in here.doors or self in here.delivering

    def deliver(self, *, nested: bool = False) -> None:
        """Do what is in the outbox.

        Args:
            nested: also inside of another delivery; otherwise that one will do it.
        """
        delivering = here.delivering
        if not nested and self in delivering:
            return
        delivering.append(self)
        try:
            while True:
                try:
                    act = self.outbox.popleft()
                except IndexError:
                    return
                try:
                    act()
                except Exception:
                    logger.exception("an outcome could not be delivered")
        except BaseException:
            if self.outbox:  # Ctrl-C: this thread is wanted elsewhere, and others wait for the rest
                self.send_for_courier()
            raise
        finally:
            delivering.pop()

    def send_for_courier(self) -> None:
        """Have somebody look into the outbox."""
        self.call_elsewhere(self.deliver)

    def call_elsewhere(self, act: Callable[[], object]) -> None:
        """Have a function called where it may take as long as it likes."""
        courier = self.courier
        if courier is not None and courier.is_alive():
            courier.send(act)
        elif self.stepped is not None:
            _call(act)  # in virtual time nobody is kept waiting
        else:  # the actor system ends; what is left to be said is said all the same
            threading.Thread(target=_call, args=(act,), name="supervisors-pool-last-words", daemon=True).start()


class Courier(Actor):
    """Calls what it is told, where it may take as long as it likes."""

    dispatch = "shared"

    def on_start(self) -> None:
        # So that an end comes in line: what was sent before is done before.
        self.trap_exit()

    def on_receive(self, message: Any) -> None:
        if isinstance(message, Exited):
            raise Exit(message.reason)
        _call(message)


def _call(act: Callable[[], object]) -> None:
    try:
        act()
    except Exception:
        logger.exception("a callback of a task raised")
