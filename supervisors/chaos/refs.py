"""Refs of a live system that ask the hooks first.

The ref of a running actor becomes one of these by a change of its class, and back again
when the experiment is over. Nothing else of it changes: mailbox, gate, links and identity
stay. The class makes every message go through the mailbox, past the fast paths, so
that the turn is seen; a call that is under way in the old class ends as it began.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

import pykka

from supervisors.exits import Crashed
from supervisors.runtime.bounded import BoundedRef
from supervisors.runtime.cell import TICKET
from supervisors.runtime.fence import refuse_fenced
from supervisors.runtime.futures import ScheduledFuture, checked_timeout
from supervisors.runtime.outcomes import StartError
from supervisors.runtime.pykka_adapter import StopMessage
from supervisors.runtime.ref import ASK_TIMEOUT, ActorRef
from supervisors.runtime.signals import NOTHING, Ask
from supervisors.runtime.turn import thread_turn
from supervisors.simulation.disturbances import is_stop
from supervisors.simulation.faults import InjectedFaultError
from supervisors.simulation.wrapping import around, disconnect

if TYPE_CHECKING:
    from supervisors.chaos.hooks import Hooks

__all__ = ["DisturbedRef", "disturbed_class"]

A = TypeVar("A", bound="pykka.Actor")


class DisturbedRef(ActorRef[A]):
    """Reference to an actor that faults may be laid on; see the module."""

    __slots__ = ()

    hooks: ClassVar[Hooks]

    def ask(self, message: Any, *, block: bool = True, timeout: Any = ASK_TIMEOUT) -> Any:
        if timeout is not ASK_TIMEOUT:
            timeout = checked_timeout(timeout)
        if message.__class__ is not StopMessage and not self.hooks.is_quiet:
            refuse_fenced()
            ask = Ask(message, ScheduledFuture(self.system.scheduler, self))
            if self.hooks.of_message(self, ask, lambda: self._deliver(ask)):
                return self._get(ask.reply_to, timeout) if block else ask.reply_to
        return self._ask_queued(message, block, timeout)

    def tell(self, message: Any) -> None:
        if self.is_alive() and self._is_disturbed(message):
            return
        super().tell(message)

    def send(self, message: Any) -> None:
        if self._is_disturbed(message):
            return
        super().send(message)

    def prepare(self) -> ScheduledFuture[None]:
        if self.hooks.laid and self.hooks.of_init(self):
            # As if the constructor had raised: nobody has been linked, nobody watches.
            disconnect(self)
            raise StartError(Crashed(InjectedFaultError("crash_in_init")), self.actor_class.__name__)
        return super().prepare()

    def _is_disturbed(self, message: Any) -> bool:
        if self.hooks.is_quiet:
            return False
        refuse_fenced()
        return self.hooks.of_message(self, message, lambda: self._deliver(message))

    def _deliver(self, item: Any) -> None:
        """Put a message in now; one that finds no room, or nobody, is a dead letter."""
        if isinstance(self, BoundedRef):
            if item.__class__ is Ask:
                self._put_ask(item)
            else:
                super().send(item)
            return
        self._outer.append(item)
        self._wake(thread_turn.turn)

    def _handle_now(self, message: Any, turn: Any) -> bool:
        return False

    def _handle(self, item: Any) -> None:
        hooks = self.hooks
        if hooks.is_pausing:
            hooks.stand_still()
        if not hooks.laid:
            super()._handle(item)
            return
        if item is TICKET:
            item = self.draw()
            if item is NOTHING:
                return
        elif self.mailbox_length and not is_stop(item) and hooks.puts_back(self):
            self._outer.append(item)
            return
        if item.__class__ is Ask and hooks.loses_reply(self, item):
            item = Ask(item.message, ScheduledFuture())
        wrapping = hooks.of_turn(self, item)
        if wrapping is None:
            super()._handle(item)
            return
        with around(self._actor_weakref(), ("receive_ask", "receive_tell"), wrapping):
            super()._handle(item)

    def _first_turn(self, started: ScheduledFuture[Any]) -> None:
        wrapping = self.hooks.of_start(self)
        if wrapping is None:
            super()._first_turn(started)
            return
        with around(self._actor_weakref(), ("starting",), wrapping):
            super()._first_turn(started)

    def _clean_up(self, reason: object, *, crash: bool, by_signal: bool) -> tuple[object, BaseException | None]:
        wrapping = self.hooks.of_cleanup(self)
        if wrapping is None:
            return super()._clean_up(reason, crash=crash, by_signal=by_signal)
        with around(self._actor_weakref(), ("ending",), wrapping):
            return super()._clean_up(reason, crash=crash, by_signal=by_signal)


class _DisturbedBoundedRef(DisturbedRef[A], BoundedRef[A]):
    """The same for an actor with a bounded mailbox."""

    __slots__ = ()

    def _put(self, item: Any, *, may_block: bool = True) -> bool:
        if self._policy != "drop_oldest" and not is_stop(item) and self.hooks.laid and self.hooks.refuses(self):
            refuse_fenced()
            return False
        return super()._put(item, may_block=may_block)


def disturbed_class(plain: type[ActorRef[Any]], hooks: Hooks) -> type[DisturbedRef[Any]]:
    """Return the class that a ref of a plain class becomes; instances may change between the two."""
    first = _DisturbedBoundedRef if issubclass(plain, BoundedRef) else DisturbedRef
    bases = (first,) if plain in (ActorRef, BoundedRef) else (first, plain)
    members = {"__slots__": (), "__module__": __name__, "hooks": hooks}
    return cast("type[DisturbedRef[Any]]", type(plain.__name__, bases, members))
