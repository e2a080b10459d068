"""Refs whose every message is a step of its own, seen and disturbed by the simulator.

They are the runtime's own refs. What differs: no sender ever runs them, one message
is one run, and what goes in, is handled and ends passes by the simulator first.
"""

from __future__ import annotations

from contextlib import contextmanager
from threading import get_ident
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast, final

import pykka

from supervisors.runtime.bounded import BoundedRef
from supervisors.runtime.cell import SHARED, TICKET
from supervisors.runtime.fence import refuse_fenced
from supervisors.runtime.futures import ScheduledFuture
from supervisors.runtime.ref import ActorRef
from supervisors.simulation.faults import InjectedFaultError
from supervisors.simulation.transcript import label_of, message_in_words, reason_in_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
            scheduler.crash_sender(item)
        for watch in scheduler.sent:
            watch(self.ref, item)
        if not disturbed or not scheduler.intercepts(self, item):
            list.append(self, item)


class SimulatedRef(ActorRef[A]):
    """Reference to an actor in a simulated system."""

    __slots__ = ()

    def __init__(self, actor: Any, system: Any, number: int, dispatch: str) -> None:
        super().__init__(actor, system, number, SHARED)
        self._outer: list[Any] = Mailbox(self, system.scheduler)

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
            item = self.draw()
        scheduler.note(mailbox.label, "handles " + message_in_words(item))
        for watch in scheduler.handled:
            watch(self, item)
        faults = scheduler.faults
        if faults.active and not scheduler.spares(self):
            pause = faults.delay("slow_turn") if faults.fires("slow_turn") else 0.0
            crash_before, crash_after = faults.fires("crash_before"), faults.fires("crash_after")
            if pause or crash_before or crash_after:

                def before() -> None:
                    if pause:
                        scheduler.note(mailbox.label, f"FAULT slow_turn, {pause:.6f} s")
                        scheduler.sleep(pause)
                        refuse_fenced()
                    if crash_before:
                        self._fail("crash_before")

                def after() -> None:
                    if crash_after:
                        self._fail("crash_after")

                with self._around(("receive_ask", "receive_tell"), before, after):
                    super()._handle(item)
                return
        super()._handle(item)

    def _first_turn(self, started: ScheduledFuture[Any]) -> None:
        mailbox = cast("Mailbox", self._outer)
        scheduler = mailbox.scheduler
        scheduler.note(mailbox.label, "starts")
        if scheduler.faults.active and not scheduler.spares(self) and scheduler.faults.fires("crash_in_start"):
            with self._around(("starting",), lambda: self._fail("crash_in_start"), _nothing):
                super()._first_turn(started)
            return
        super()._first_turn(started)

    def _clean_up(self, reason: object, *, crash: bool, by_signal: bool) -> tuple[object, BaseException | None]:
        scheduler = cast("Mailbox", self._outer).scheduler
        if scheduler.faults.active and not scheduler.spares(self) and scheduler.faults.fires("crash_in_cleanup"):
            with self._around(("ending",), _nothing, lambda: self._fail("crash_in_cleanup")):
                return super()._clean_up(reason, crash=crash, by_signal=by_signal)
        return super()._clean_up(reason, crash=crash, by_signal=by_signal)

    def _announce(self, reason: object) -> None:
        mailbox = cast("Mailbox", self._outer)
        mailbox.scheduler.note(mailbox.label, "ends, " + reason_in_words(reason))
        for watch in mailbox.scheduler.ended:
            watch(self, reason)
        super()._announce(reason)

    def _fail(self, kind: str) -> None:
        mailbox = cast("Mailbox", self._outer)
        mailbox.scheduler.note(mailbox.label, f"FAULT {kind}")
        raise InjectedFaultError(kind)

    @contextmanager
    def _around(self, names: tuple[str, ...], before: Callable[[], None], after: Callable[[], None]) -> Iterator[None]:
        """Have the actor's own methods do something before and after, for as long as this lasts."""
        actor: Any = self._actor_weakref()

        def wrapped(name: str) -> Callable[..., Any]:
            method = getattr(type(actor), name)

            def call(*args: Any, **kwargs: Any) -> Any:
                before()
                answer = method(actor, *args, **kwargs)
                after()
                return answer

            return call

        for name in names:
            setattr(actor, name, wrapped(name))
        try:
            yield
        finally:
            for name in names:
                delattr(actor, name)


class SimulatedBoundedRef(SimulatedRef[A], BoundedRef[A]):
    """Reference to an actor with a bounded mailbox in a simulated system."""

    __slots__ = ()


def _nothing() -> None:
    """Do nothing."""
