"""Checkout: a worker for one borrower alone, until it is given back.

Source: poolboy's `checkout`, `checkin` and `transaction` (POOL-2 to POOL-8). What differs
on purpose: a worker is not an actor that anybody could send to, so the borrower works with it through the
lease, and a lease that is over refuses.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Hashable
from types import TracebackType
from typing import Any, Self, TypeVar, final

from supervisors.pools.door import Door, here
from supervisors.pools.errors import CheckoutTimeoutError, LeaseOverError, PoolStoppedError
from supervisors.pools.future import PoolFuture
from supervisors.pools.inputs import CheckIn, CheckOut, OwnerDown, Resumes, Waits
from supervisors.pools.records import LENT, Ticket
from supervisors.runtime.futures import ScheduledFuture
from supervisors.runtime.outcomes import ActorDeadError
from supervisors.runtime.turn import thread_turn

__all__ = ["CHECKOUT_SECONDS", "Lease", "borrow"]

CHECKOUT_SECONDS = 5.0
"""How long a checkout waits by default (POOL-3)."""

MARGIN_SECONDS = 5.0

T = TypeVar("T")


@final
class Lease:
    """A worker that is yours until you give it back. Use it as a context manager.

    If whoever checked it out ends, actor or thread, the worker goes back by itself (POOL-5).

    Thread: any.
    """

    __slots__ = ("_door", "_submit", "_ticket")

    def __init__(self, door: Door, ticket: Ticket, submit: Callable[..., PoolFuture[Any]]) -> None:
        self._door = door
        self._ticket = ticket
        self._submit = submit

    def submit(self, *args: Any, timeout: float | None = None) -> PoolFuture[Any]:
        """Give the worker a task; tasks of one lease run in order.

        Args:
            *args: as for the pool's `submit()`.
            timeout: seconds that the run may take; then the worker is ended.

        Raises:
            LeaseOverError: it was given back, or has died.
        """
        return self._submit(self._ticket, args, timeout)

    def call(self, *args: Any, timeout: float | None = None) -> Any:
        """Give the worker a task and wait for the result.

        Args:
            *args: as for the pool's `submit()`.
            timeout: seconds that the run may take; then the worker is ended, and the
                lease is over.

        Raises:
            LeaseOverError: it was given back, or has died.
            Exception: what the task ended in.
        """
        return self.submit(*args, timeout=timeout).result()

    @property
    def is_over(self) -> bool:
        """Tell whether the worker is yours no more."""
        return self._ticket.state is not LENT

    def checkin(self, *, broken: bool = False) -> None:
        """Give the worker back; nothing happens if it was given back before (POOL-4).

        Args:
            broken: it is not to be used again, and is replaced.
        """
        self._door.tell(CheckIn(self._ticket, broken))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.checkin()

    def __repr__(self) -> str:
        return "<Lease over>" if self.is_over else f"<Lease of {self._ticket.worker!r}>"


@final
class _Asker:
    """Who is told what becomes of a ticket."""

    __slots__ = ("error", "gate")

    def __init__(self, gate: ScheduledFuture[None]) -> None:
        self.gate = gate
        self.error: BaseException | None = None

    def lent(self, _worker: int) -> None:
        """Let the borrower go on."""
        self.gate.offer()

    def denied(self, error: BaseException) -> None:
        """Send the borrower away."""
        self.error = error
        self.gate.offer()


@final
class _Life:
    """Lives as long as its thread: what a `threading.local` holds goes when the thread goes."""

    __slots__ = ("__weakref__", "owners")

    def __init__(self) -> None:
        self.owners: dict[int, Hashable] = {}


class _Lives(threading.local):
    def __init__(self) -> None:
        self.life = _Life()


_lives = _Lives()


def borrow(door: Door, scheduler: Any, timeout: float, submit: Callable[..., PoolFuture[Any]]) -> Lease:
    """Wait for a worker, at most so many seconds; 0: only for one that is free or can be started.

    Raises:
        CheckoutTimeoutError: none became free in time.
        PoolFullError: none is free, and the borrower does not wait.
        PoolStoppedError: the pool is stopping or has ended.
        PoolFailedError: no worker comes up.
    """
    asker = _Asker(ScheduledFuture(scheduler))
    ticket = Ticket(_owner(door), asker, timeout)
    is_worker = here.door is door
    try:
        door.ask(CheckOut(ticket))
        if is_worker:
            door.ask(Waits(here.worker))
        try:
            # The pool's own timer decides; this is for a pool that does not answer at all.
            settled = asker.gate.settle(timeout + MARGIN_SECONDS)
        except BaseException:
            door.tell(CheckIn(ticket))
            raise
        finally:
            if is_worker:
                door.tell(Resumes(here.worker))
    except ActorDeadError:
        raise PoolStoppedError from None
    if not settled:
        door.tell(CheckIn(ticket))
        raise CheckoutTimeoutError(timeout)
    if asker.error is not None:
        raise asker.error
    if ticket.state is not LENT:
        raise LeaseOverError("the worker died before it could be used")
    return Lease(door, ticket, submit)


def _owner(door: Door) -> Hashable:
    """Return who is asking: the actor whose turn it is, or this thread."""
    current = thread_turn.turn.current
    if current is not None:
        return current
    life = _lives.life
    owner = life.owners.get(id(door))
    if owner is None:
        owner = life.owners[id(door)] = object()
        weakref.finalize(life, door.tell, OwnerDown(owner)).atexit = False
    return owner
