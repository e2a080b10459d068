"""What is left of a pool whose actor was killed or has crashed: everybody gets an answer.

The engine may have been interrupted in the middle of a decision, so nothing here relies
on it: whatever it still holds is looked through, and each task is settled once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from supervisors.pools.effects import Release
from supervisors.pools.engine import PoolEngine
from supervisors.pools.inputs import Absorb
from supervisors.pools.records import BACKING_OFF, OVER, QUEUED, REFUSED, RUNNING, SETTLED, WAITING, Task, Ticket

__all__ = ["salvage_tasks", "salvage_tickets", "salvage_waiting"]

_PENDING: Final = (QUEUED, RUNNING, BACKING_OFF)


def salvage_tasks(
    engine: PoolEngine, absorb: Absorb | None, releases: Iterable[Release] = ()
) -> list[tuple[Task, bool]]:
    """Settle every task without an outcome as failed; the caller tells its client.

    Args:
        engine: as its actor has left it.
        absorb: what was in the lane; None: it was not open.
        releases: what was to be put into the lane, and may have got there or not.

    Returns:
        Tasks in order of submission, each with whether a worker had begun it.
    """
    found: dict[Task, bool] = {}
    if absorb is not None:
        if engine.counted is not absorb.figures:
            engine.count(absorb.figures)
        for _, task in absorb.running:
            found[task] = task.begun_at is not None
        for task in absorb.queued:
            found[task] = False
    for release in releases:
        for _, task in release.running:
            found.setdefault(task, task.begun_at is not None)
        _find(release.queued, found)
    for worker in engine.workers.values():
        for task in worker.in_flight:
            if task.worker is worker:
                found.setdefault(task, task.begun_at is not None)
        if worker.lease is not None:
            _find(worker.lease.calls, found)
    _find(engine.room.tasks, found)
    salvaged = [(task, begun) for task, begun in found.items() if task.state in _PENDING]
    for task, _ in salvaged:
        task.state = SETTLED
        engine.tally.pending -= 1
        engine.tally.failed += 1
    return sorted(salvaged, key=lambda each: (each[0].order, each[0].submitted_at))


def salvage_waiting(engine: PoolEngine) -> list[Task]:
    """Refuse the tasks that wait for room; the caller tells their submitters."""
    waiting = [task for task in engine.waiting_for_room() if task.state is WAITING]
    for task in waiting:
        task.state = REFUSED
        engine.tally.refused += 1
    return waiting


def salvage_tickets(engine: PoolEngine) -> list[Ticket]:
    """End all leases; return the requests that still stand in line, whose owners the caller tells."""
    for worker in engine.workers.values():
        if worker.lease is not None:
            worker.lease.state = OVER
            worker.lease.worker = None
    waiting = [ticket for ticket in engine.tickets if ticket.state is WAITING]
    for ticket in waiting:
        ticket.state = OVER
    return waiting


def _find(tasks: Iterable[Task], found: dict[Task, bool]) -> None:
    for task in tasks:
        found.setdefault(task, False)
