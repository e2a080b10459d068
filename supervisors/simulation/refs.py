"""Refs whose every message is a step of its own, seen and disturbed by the simulator.

They are the runtime's own refs. What differs: no sender ever runs them, one message
is one run, and what goes in, is handled and ends passes by the simulator first.
"""

from __future__ import annotations

from threading import get_ident
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast, final

import pykka

from supervisors.exits import Crashed
from supervisors.runtime.bounded import BoundedRef
from supervisors.runtime.cell import SHARED, TICKET
from supervisors.runtime.fence import refuse_fenced
from supervisors.runtime.futures import ScheduledFuture
from supervisors.runtime.outcomes import StartError
from supervisors.runtime.ref import ActorRef
from supervisors.runtime.signals import Ask
from supervisors.simulation.disturbances import is_stop
from supervisors.simulation.faults import InjectedFaultError
from supervisors.simulation.transcript import label_of, message_in_words, reason_in_words
from supervisors.simulation.wrapping import around, disconnect

if TYPE_CHECKING:
    from supervisors.simulation.scheduler import SimulatedScheduler

__all__ = ["Mailbox", "SimulatedBoundedRef", "SimulatedRef"]

A = TypeVar("A", bound="pykka.Actor")

_DONE: Final[ScheduledFuture[None]] = ScheduledFuture()
_DONE.set(None)


@final
class Mailbox(list[Any]):
    """The list that senders append to: the one place through which everything comes in.

    Attributes:
        ref: whose mailbox it is.
        scheduler: who is told.
        label: the actor's name in the transcript.
    """

    __slots__ = ("label", "ref", "scheduler")

    def __init__(self, ref: ActorRef[Any], scheduler: SimulatedScheduler) -> None:
        super().__init__()
        self.ref = ref
        self.scheduler = scheduler
        self.label = label_of(ref)

    def append(self, item: Any) -> None:
        """Take in a message or a signal, now or later."""
        scheduler = self.scheduler
        if get_ident() != scheduler.running:
            scheduler.refuse_thread(self.label)
        disturbed = scheduler.faults.active
        if disturbed:
            scheduler.disturbances.crash_sender(item)
        for watch in scheduler.sent:
            watch(self.ref, item)
        if not disturbed or not scheduler.disturbances.intercepts(self, item):
            list.append(self, item)


class SimulatedRef(ActorRef[A]):
    """Reference to an actor in a simulated system."""

    __slots__ = ()

    def __init__(self, actor: Any, system: Any, number: int, dispatch: str) -> None:
        super().__init__(actor, system, number, SHARED)
        self._outer: list[Any] = Mailbox(self, system.scheduler)
        system.scheduler.meets(self.actor_class.__module__)

    @property
    def dispatch(self) -> str:
        return str(self.actor_class.dispatch)

    def _run_quantum(self, budget: int, until: ScheduledFuture[Any] | None) -> int:
        # A reply that is there already ends the run after the first message.
        return super()._run_quantum(1, _DONE)

    def _handle(self, item: Any) -> None:
        mailbox = cast("Mailbox", self._outer)
        scheduler = mailbox.scheduler
        if item is TICKET:
            hand = self.hand()
            if not hand:
                return
            item = hand.pop()
        scheduler.note(mailbox.label, "handles " + message_in_words(item))
        for watch in scheduler.handled:
            watch(self, item)
        if scheduler.faults.active:
            disturbances = scheduler.disturbances
            if item.__class__ is Ask and disturbances.loses_reply(self):
                item = Ask(item.message, ScheduledFuture())
            wrapping = disturbances.of_turn(self)
            if wrapping is not None:
                with around(self._actor_weakref(), ("receive_ask", "receive_tell"), wrapping):
                    super()._handle(item)
                return
        super()._handle(item)

    def prepare(self) -> ScheduledFuture[None]:
        scheduler = cast("Mailbox", self._outer).scheduler
        if scheduler.faults.active and scheduler.disturbances.of_init(self):
            # As if the constructor had raised: nobody has been linked, nobody watches.
            disconnect(self)
            raise StartError(Crashed(InjectedFaultError("crash_in_init")), self.actor_class.__name__)
        return super().prepare()

    def _first_turn(self, started: ScheduledFuture[Any]) -> None:
        mailbox = cast("Mailbox", self._outer)
        scheduler = mailbox.scheduler
        scheduler.note(mailbox.label, "starts")
        wrapping = scheduler.disturbances.of_start(self) if scheduler.faults.active else None
        if wrapping is not None:
            with around(self._actor_weakref(), ("starting",), wrapping):
                super()._first_turn(started)
            return
        super()._first_turn(started)

    def _clean_up(self, reason: object, *, crash: bool, by_signal: bool) -> tuple[object, BaseException | None]:
        scheduler = cast("Mailbox", self._outer).scheduler
        wrapping = scheduler.disturbances.of_cleanup(self) if scheduler.faults.active else None
        if wrapping is not None:
            with around(self._actor_weakref(), ("ending",), wrapping):
                return super()._clean_up(reason, crash=crash, by_signal=by_signal)
        return super()._clean_up(reason, crash=crash, by_signal=by_signal)

    def _announce(self, reason: object) -> None:
        mailbox = cast("Mailbox", self._outer)
        mailbox.scheduler.note(mailbox.label, "ends, " + reason_in_words(reason))
        for watch in mailbox.scheduler.ended:
            watch(self, reason)
        with mailbox.scheduler.disturbances.on_behalf_of(self):
            super()._announce(reason)

    def _bury(self) -> None:
        with cast("Mailbox", self._outer).scheduler.disturbances.on_behalf_of(self):
            super()._bury()


class SimulatedBoundedRef(SimulatedRef[A], BoundedRef[A]):
    """Reference to an actor with a bounded mailbox in a simulated system."""

    __slots__ = ()

    def _put(self, item: Any, *, may_block: bool = True) -> bool:
        mailbox = cast("Mailbox", self._outer)
        scheduler = mailbox.scheduler
        # Who drops the oldest is never full for the newest; and the way out is always open.
        if scheduler.faults.active and self._policy != "drop_oldest" and not is_stop(item):
            refuse_fenced()
            if scheduler.disturbances.refuses(mailbox):
                return False
        return super()._put(item, may_block=may_block)
