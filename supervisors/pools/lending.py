"""Checkout: one worker for one borrower, for a while (pure).

Source: poolboy (POOL-1 to POOL-9). What is different: a borrower's calls are tasks
like others, so they have timeouts, can be cancelled, and fail when the worker dies.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Hashable

from supervisors.pools.books import Books
from supervisors.pools.effects import Deny, Lend, Refuse, ResetWorker
from supervisors.pools.errors import CheckoutTimeoutError, LeaseOverError, PoolFullError, PoolStoppedError
from supervisors.pools.inputs import CheckIn, CheckOut, OwnerDown
from supervisors.pools.options import PoolOptions
from supervisors.pools.records import LENT, NEW, OVER, QUEUED, STARTING, UP, WAITING, Task, Ticket, Worker
from supervisors.pools.staffing import Staffing
from supervisors.pools.tally import SETTLE_MAX

__all__ = ["Lending"]


class Lending(Staffing):
    """The part of the engine that lends workers."""

    def __init__(self, options: PoolOptions, draw: Callable[[], float], books: Books) -> None:
        super().__init__(options, draw, books)
        self._by_owner: dict[Hashable, dict[Ticket, None]] = {}  # no sets: their order is not the same in each run

    # -- what the engine does --------------------------------------------------

    @abstractmethod
    def _accept(self, task: Task) -> None:
        """Count a task in."""

    @abstractmethod
    def _send(self, worker: Worker, task: Task) -> None:
        """Give a worker a task."""

    @abstractmethod
    def _settle_failed(self, task: Task, error: BaseException | None) -> None:
        """End a task with an error; None: it is cancelled."""

    # -- borrowing -------------------------------------------------------------

    def _check_out(self, event: CheckOut) -> None:
        ticket = event.ticket
        if ticket.state is not NEW:
            return
        if self.state != "running" or self.failure is not None:
            ticket.state = OVER
            self._out.append(Deny(ticket, PoolStoppedError() if self.failure is None else self.failure))
            return
        self.books.orders += 1
        ticket.order = self.books.orders
        ticket.since = self._now
        if ticket.owner is not None:
            self._by_owner.setdefault(ticket.owner, {})[ticket] = None
        if self.free:
            self._lend(ticket, self._pick_free())
            return
        ticket.state = WAITING
        self.tickets.append(ticket)
        self._grow()
        if ticket.wait > 0.0:
            ticket.due = self._arm(ticket.wait, self._checkout_late, ticket)
        else:
            # Only those that are on their way count for somebody who does not wait (POOL-2).
            coming = sum(1 for worker in self.workers.values() if worker.state is STARTING)
            if len(self.tickets) > coming or self.shared.count:
                self._drop(ticket)
                self._out.append(Deny(ticket, PoolFullError(self.room.count, self.room.size_bytes)))

    def _lend(self, ticket: Ticket, worker: Worker) -> None:
        self._call_off(ticket.due)
        ticket.due = None
        ticket.state = LENT
        ticket.worker = worker
        worker.lease = ticket
        self.lent += 1
        self.tally.lent += 1
        self.tally.waits.add(self._now - ticket.since)
        if not self.tally.lent % SETTLE_MAX:
            self.tally.waits.settle()
        self._out.append(Lend(ticket, worker.id))

    def _checkout_late(self, ticket: Ticket) -> None:
        self._drop(ticket)
        self._out.append(Deny(ticket, CheckoutTimeoutError(ticket.wait)))

    def _drop(self, ticket: Ticket) -> None:
        """Take a ticket out of the line (POOL-3, POOL-6)."""
        self.tickets.remove(ticket)
        self._forget(ticket)

    def _forget(self, ticket: Ticket) -> None:
        ticket.state = OVER
        self._call_off(ticket.due)
        ticket.due = None
        mine = self._by_owner.get(ticket.owner)
        if mine is not None:
            mine.pop(ticket, None)
            if not mine:
                del self._by_owner[ticket.owner]

    # -- using -------------------------------------------------------------------

    def _call(self, task: Task) -> None:
        """Take in a call of whoever has a worker."""
        ticket = task.ticket
        assert ticket is not None
        worker = ticket.worker
        if ticket.state is not LENT or worker is None:
            self.tally.refused += 1
            self._out.append(Refuse(task, LeaseOverError("the worker was checked in, or has died")))
            return
        self._accept(task)
        if worker.in_flight or worker.state is not UP:
            task.state = QUEUED
            task.queued_at = self._now
            ticket.calls.append(task)
        else:
            task.queued_at = self._now
            self._send(worker, task)

    def _next_call(self, worker: Worker, ticket: Ticket) -> None:
        """Go on with the calls of a lease."""
        while ticket.calls and not worker.in_flight:
            task = ticket.calls.popleft()
            if task.state is QUEUED:
                self._send(worker, task)

    # -- giving back ---------------------------------------------------------------

    def _check_in(self, event: CheckIn) -> None:
        ticket = event.ticket
        if ticket.state is WAITING:
            self._drop(ticket)
        elif ticket.state is LENT:
            worker = ticket.worker
            assert worker is not None
            self._give_back(worker, broken=event.broken)

    def _owner_down(self, event: OwnerDown) -> None:
        for ticket in list(self._by_owner.get(event.owner, ())):
            if ticket.state is WAITING:
                self._drop(ticket)
                # A thread that was left alone with it may still stand there.
                self._out.append(Deny(ticket, LeaseOverError("whoever asked for the worker has ended")))
            elif ticket.worker is not None:
                self._give_back(ticket.worker, broken=self.options.on_owner_death == "replace")

    def _give_back(self, worker: Worker, *, broken: bool) -> None:
        self._end_lease(worker)
        if not broken:
            if worker.state is UP:
                self._out.append(ResetWorker(worker.id))
                self._feed(worker)
        elif worker.in_flight:
            self._kill(worker, None)
        elif worker.state is UP:
            place = self._stop(worker)
            if place is not None:
                self._fill(place)
        self._grow()
        self._look_for_end()

    def _end_lease(self, worker: Worker) -> None:
        ticket = worker.lease
        if ticket is None:
            return
        worker.lease = None
        ticket.worker = None
        self.lent -= 1
        self._forget(ticket)
        while ticket.calls:
            task = ticket.calls.popleft()
            if task.state is QUEUED:
                self._settle_failed(task, LeaseOverError("the worker was checked in, or has died"))

    def _deny_all(self, error: BaseException) -> None:
        """Send everybody in line away."""
        for ticket in list(self.tickets):
            self._drop(ticket)
            self._out.append(Deny(ticket, error))

    # -- what one may ask ------------------------------------------------------------

    def status(self) -> tuple[str, int, int, int]:
        """Return poolboy's status: state, free, overflow and checked-out workers (POOL-9)."""
        overflow = max(0, self._counted()[0] - self.size)
        free = len(self.free)
        if overflow == 0:
            state = "ready" if free else "overflow" if self.max_overflow else "full"
        else:
            state = "full" if overflow >= self.max_overflow else "overflow"
        return state, free, overflow, self.lent
