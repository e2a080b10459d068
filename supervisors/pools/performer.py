"""The actor of a pool: takes events in one by one, and performs what the engine decides."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import dataclass, replace
from typing import Any, Final, final

from supervisors.actor import Actor
from supervisors.errors import IgnoreStart
from supervisors.exits import is_abnormal
from supervisors.pools.books import Books
from supervisors.pools.contract import Workers
from supervisors.pools.door import Door
from supervisors.pools.effects import (
    Admit,
    Complete,
    Deny,
    Effect,
    Ended,
    Fail,
    GiveBack,
    KillWorker,
    Lend,
    Note,
    Refuse,
    Release,
    ResetWorker,
    Revoke,
    Send,
    StartWorker,
    StopWorker,
)
from supervisors.pools.engine import PoolEngine
from supervisors.pools.errors import PoolCrashedError
from supervisors.pools.inputs import Begin, CheckOut, Finished, Input, OwnerDown, Stop, Submit, Tick, Waits
from supervisors.pools.lane import Lane
from supervisors.pools.options import PoolOptions
from supervisors.pools.records import Task
from supervisors.pools.salvage import salvage_tasks, salvage_tickets, salvage_waiting
from supervisors.pools.tally import PoolStatistics
from supervisors.runtime.futures import ScheduledFuture
from supervisors.runtime.pykka_adapter import PYKKA_MESSAGES, perform
from supervisors.runtime.ref import ActorRef
from supervisors.runtime.signals import Down as ActorDown
from supervisors.runtime.signals import MonitorRef
from supervisors.timers.service import Timer

__all__ = ["Batch", "Figures", "GivenBack", "PoolActor", "Question"]

logger = logging.getLogger("supervisors.pools")

_TICK: Final = Tick()

_NOTHING: Final[list[Effect]] = []


@final
class Batch:
    """Several events in one message."""

    __slots__ = ("events",)

    def __init__(self, events: list[Input]) -> None:
        self.events = events


@final
class Question:
    """A function of the engine, to be asked in the actor's turn."""

    __slots__ = ("function",)

    def __init__(self, function: Callable[[PoolEngine], Any]) -> None:
        self.function = function


@final
class Figures:
    """The question for the pool's figures; what is in the lane stays there."""

    __slots__ = ()


@final
@dataclass(frozen=True, slots=True)
class GivenBack:
    """A task that the pool did not do.

    Attributes:
        task: the engine's record of it; its payload is the work.
        begun: True if a worker was at it.
    """

    task: Task
    begun: bool


class PoolActor(Actor):
    """Performs the decisions of a `PoolEngine`.

    Args:
        options: for the engine.
        books: figures of the actor before this one, to go on with.
        door: what events come through and outcomes leave by.
        make_workers: makes the workers, given nothing but this actor's time to start.
        returned: where tasks go that are given back.
        ended: set when the pool has ended by itself.
        note: called, outside of the turn, with each note.
    """

    dispatch = "inline"
    crash_on_ask_error = True

    def __init__(  # noqa: PLR0917 - made by WorkerPool only
        self,
        options: PoolOptions,
        books: Books,
        door: Door,
        make_workers: Callable[[], Workers],
        returned: list[GivenBack],
        ended: ScheduledFuture[None],
        note: Callable[[Note], None],
    ) -> None:
        super().__init__()
        self._door = door
        door.ref = self.actor_ref
        self._clock = self.system.clock
        stream = self.system.entropy.stream(f"pool-{self.actor_ref.id}")
        if books.size is not None:
            options = replace(options, size=books.size, max_overflow=books.max_overflow or 0)
        self._engine = PoolEngine(options, stream.random, books)
        self._effects = _NOTHING  # being done
        self._make_workers = make_workers
        self._workers: Workers | None = None
        self._lane: Lane | None = None
        self._returned = returned
        self._has_ended = ended
        self._note = note
        self._timer: Timer | None = None
        self._owners: dict[object, MonitorRef] = {}
        self._rare: dict[type, Callable[[Any], None]] = {
            Refuse: lambda effect: effect.task.client.refused(effect.error),
            Admit: lambda effect: effect.task.client.admitted(),
            GiveBack: self._give_back,
            Lend: lambda effect: effect.ticket.client.lent(effect.worker),
            Deny: lambda effect: effect.ticket.client.denied(effect.error),
            StartWorker: lambda effect: self._kind.start(effect.worker),
            StopWorker: lambda effect: self._kind.stop(effect.worker),
            KillWorker: lambda effect: self._kind.kill(effect.worker, effect.task),
            Revoke: lambda effect: self._kind.revoke(effect.worker),
            Release: lambda effect: self._kind.release(effect),
            ResetWorker: lambda effect: self._kind.reset(effect.worker),
            Note: lambda effect: self._door.outbox.append(functools.partial(self._note, effect)),
            Ended: lambda _: self._door.outbox.append(self._say_ended),
        }

    @property
    def _kind(self) -> Workers:
        workers = self._workers
        assert workers is not None
        return workers

    # -- what the runtime calls ------------------------------------------------

    def starting(self) -> None:
        if self._engine.books.workers:
            self._engine.tally.pool_restarts += 1
            self._door.outbox.append(functools.partial(self._note, Note("pool_restarted", {})))
        if self._engine.books.is_stopping:
            raise IgnoreStart  # the one before this one has ended while the pool was stopping
        self._workers = self._make_workers()
        self._lane = self._workers.lane
        self._engine.has_lane = self._lane is not None
        self._decide(Begin())
        self._look_outside()

    def receive_ask(self, message: Any) -> Any:
        if message.__class__ is Submit:
            self._decide(message)
            if self._door.outbox:
                self._look_outside()
            return None
        if message.__class__ in PYKKA_MESSAGES:
            return perform(self, message)
        if message.__class__ is Question:
            self._close_lane()
            return message.function(self._engine)
        if message.__class__ is Figures:
            return self._figures()
        if message.__class__ is CheckOut:
            self._watch(message.ticket.owner)
        self._decide(message)
        self._look_outside()
        if message.__class__ is Waits:
            worker = self._engine.workers.get(message.worker)
            return worker is not None and worker.waits
        return None

    def receive_tell(self, message: Any) -> None:
        if message.__class__ is Finished:
            self._decide(message)
        elif message.__class__ is Batch:
            for event in message.events:
                self._decide(event, flush=False)
            self._kind.flush()
        elif message.__class__ is ActorDown:
            self._owners.pop(message.source, None)
            self._decide(OwnerDown(message.source))
        elif message.__class__ in PYKKA_MESSAGES:
            perform(self, message)
        elif message is _TICK:
            self._timer = None
            self._decide(message)
        elif message.__class__ in _EVENTS:
            self._decide(message)
        self._look_outside()

    def ended(self) -> None:
        """End what is left: nothing waits for a pool that is not there any more.

        At an orderly end, and while the pool is stopping, tasks are given back. Otherwise
        they fail, with the reason, and a supervisor starts the next actor (see `pool`).
        """
        reason = self.actor_ref.exit_reason
        books = self._engine.books
        is_over = books.is_stopping or not is_abnormal(reason)
        if self._workers is not None:
            if is_over and self._engine.state != "ended":
                try:
                    self._decide(Stop(0.0))
                    self._give_back_running()
                except Exception:
                    logger.exception("a pool could not account for its last tasks")
            self._salvage(reason)
            self._workers.close()
        if self._timer is not None:
            self._timer.cancel()
        self._door.last = self._figures()
        if is_over:
            books.is_stopping = True
            self._has_ended.offer()
        self._look_outside()

    def _salvage(self, reason: object) -> None:
        """Answer everybody that the engine has not answered."""
        engine, outbox = self._engine, self._door.outbox
        lane = self._lane
        absorb = lane.close() if lane is not None and (lane.is_open or lane.closing is not None) else None
        decided = (*self._effects, *engine.undone())
        releases = [effect for effect in decided if isinstance(effect, Release)]
        for effect in decided:  # and perhaps not done
            if isinstance(effect, Complete):
                outbox.append(functools.partial(_settle_late, effect.task, effect.value, None))
            elif isinstance(effect, Fail):
                outbox.append(functools.partial(_settle_late, effect.task, None, effect.error or CancelledError()))
            elif isinstance(effect, Refuse):
                effect.task.client.refused(effect.error)
            elif isinstance(effect, Deny):
                effect.ticket.client.denied(effect.error)
        for task, begun in salvage_tasks(engine, absorb, releases):
            outbox.append(functools.partial(task.client.fail, PoolCrashedError(reason, begun=begun)))
        for task in salvage_waiting(engine):
            task.client.refused(PoolCrashedError(reason))
        for ticket in salvage_tickets(engine):
            ticket.client.denied(PoolCrashedError(reason))
        if engine.tally.pending:
            logger.error("%d tasks of a pool are not accounted for: this is a bug of ours", engine.tally.pending)

    def _give_back_running(self) -> None:
        for worker in list(self._engine.workers.values()):
            for task in list(worker.in_flight):
                for effect in self._engine.abandon(task):
                    self._give_back(effect)

    # -- inside ------------------------------------------------------------------

    def _decide(self, event: Input, *, flush: bool = True) -> None:
        workers = self._workers
        assert workers is not None
        lane = self._lane
        if lane is not None and lane.is_open:
            self._perform(lane.close(), flush=False)
            lane.closing = self._engine.counted = None
        self._perform(event, flush=flush)

    def _perform(self, event: Input, *, flush: bool) -> None:
        workers = self._kind
        engine = self._engine
        outbox = self._door.outbox
        effects = self._effects = engine.decide(event, self._clock.monotonic())
        for effect in effects:
            if effect.__class__ is Send:
                workers.send(effect.worker, effect.task)
            elif effect.__class__ is Complete:
                outbox.append(functools.partial(effect.task.client.complete, effect.value))
            elif effect.__class__ is Fail:
                outbox.append(functools.partial(effect.task.client.fail, effect.error))
            else:
                self._rare[effect.__class__](effect)
        if flush and effects:
            workers.flush()
        self._effects = _NOTHING  # all done; it must not keep values alive either
        due = engine.next_due()
        if due is not None and (self._timer is None or due < self._timer.deadline):
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self.system.timers.send_at(due, self.actor_ref, _TICK)

    def _close_lane(self) -> None:
        if self._lane is not None and self._lane.is_open:
            self._perform(self._lane.close(), flush=True)
            self._lane.closing = self._engine.counted = None

    def _figures(self) -> PoolStatistics:
        now = self._clock.monotonic()
        if self._lane is None or not self._lane.is_open:
            return self._engine.statistics(now)
        figures, view = self._lane.look()
        self._engine.count(figures)
        return self._engine.statistics(now, view)

    def _say_ended(self) -> None:
        self._has_ended.offer()

    def _look_outside(self) -> None:
        if self._door.outbox and not self._door.is_open():
            self._door.send_for_courier()

    def _give_back(self, effect: GiveBack) -> None:
        self._returned.append(GivenBack(effect.task, effect.begun))
        self._door.outbox.append(functools.partial(effect.task.client.give_back, begun=effect.begun))

    def _watch(self, owner: object) -> None:
        if isinstance(owner, ActorRef) and owner not in self._owners:
            self._owners[owner] = self.monitor(owner)


def _settle_late(task: Task, value: Any, error: BaseException | None) -> None:
    """Settle a client for whom that was decided, unless it was done in time."""
    client = task.client
    if client is None or client.done():
        return
    if error is None:
        client.complete(value)
    else:
        client.fail(None if isinstance(error, CancelledError) else error)


_EVENTS: Final = frozenset(kind for kind in Input.__args__)
