"""Refs of a live system that ask the hooks first.

The ref of a running actor becomes one of these by a change of its class, and back again
when the experiment is over. Nothing else of it changes: mailbox, gate, links and identity
stay. The class makes every message go through the mailbox, past the fast paths, so
that the turn is seen. A call that is under way when the class changes ends as it began: what it
needs of the experiment is looked up once, and what follows this class by `_beyond()`.
"""

# ruff: noqa: SLF001 - the private members are the ref's own, reached without `super()`

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
from supervisors.runtime.signals import Ask
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
        hooks = _hooks_of(self)
        if message.__class__ is not StopMessage and hooks is not None and not hooks.is_quiet:
            refuse_fenced()
            ask = Ask(message, ScheduledFuture(self.system.scheduler, self))
            if hooks.of_message(self, ask, lambda: _deliver(self, ask)):
                return self._get(ask.reply_to, timeout) if block else ask.reply_to
        return self._ask_queued(message, block, timeout)

    def tell(self, message: Any) -> None:
        if self.is_alive() and _is_disturbed(self, message):
            return
        _beyond(DisturbedRef, self).tell(message)

    def send(self, message: Any) -> None:
        if _is_disturbed(self, message):
            return
        _beyond(DisturbedRef, self).send(message)

    def prepare(self) -> ScheduledFuture[None]:
        hooks = _hooks_of(self)
        if hooks is not None and hooks.laid and hooks.of_init(self):
            # As if the constructor had raised: nobody has been linked, nobody watches.
            disconnect(self)
            raise StartError(Crashed(InjectedFaultError("crash_in_init")), self.actor_class.__name__)
        started: ScheduledFuture[None] = _beyond(DisturbedRef, self).prepare()
        return started

    def _handle_now(self, message: Any, turn: Any) -> bool:
        return False

    def _handle(self, item: Any) -> None:
        hooks = _hooks_of(self)
        if hooks is not None and hooks.is_pausing:
            hooks.stand_still()
        if hooks is None or not hooks.laid:
            _beyond(DisturbedRef, self)._handle(item)
            return
        if item is TICKET:
            hand = self.hand()
            if not hand:
                return
            item = hand.pop()
        elif self.mailbox_length and not is_stop(item) and hooks.puts_back(self):
            self._outer.append(item)
            return
        if item.__class__ is Ask and hooks.loses_reply(self, item):
            item = Ask(item.message, ScheduledFuture())
        wrapping = hooks.of_turn(self, item)
        if wrapping is None:
            _beyond(DisturbedRef, self)._handle(item)
            return
        with around(self._actor_weakref(), ("receive_ask", "receive_tell"), wrapping):
            _beyond(DisturbedRef, self)._handle(item)

    def _first_turn(self, started: ScheduledFuture[Any]) -> None:
        hooks = _hooks_of(self)
        wrapping = None if hooks is None else hooks.of_start(self)
        if wrapping is None:
            _beyond(DisturbedRef, self)._first_turn(started)
            return
        with around(self._actor_weakref(), ("starting",), wrapping):
            _beyond(DisturbedRef, self)._first_turn(started)

    def _clean_up(self, reason: object, *, crash: bool, by_signal: bool) -> tuple[object, BaseException | None]:
        hooks = _hooks_of(self)
        wrapping = None if hooks is None else hooks.of_cleanup(self)
        ended: tuple[object, BaseException | None]
        if wrapping is None:
            ended = _beyond(DisturbedRef, self)._clean_up(reason, crash=crash, by_signal=by_signal)
            return ended
        with around(self._actor_weakref(), ("ending",), wrapping):
            ended = _beyond(DisturbedRef, self)._clean_up(reason, crash=crash, by_signal=by_signal)
            return ended


class _DisturbedBoundedRef(DisturbedRef[A], BoundedRef[A]):
    """The same for an actor with a bounded mailbox."""

    __slots__ = ()

    def _put(self, item: Any, *, may_block: bool = True) -> bool:
        hooks = _hooks_of(self)
        may_refuse = hooks is not None and self._policy != "drop_oldest" and not is_stop(item)
        if may_refuse and hooks is not None and hooks.laid and hooks.refuses(self):
            refuse_fenced()
            return False
        got_in: bool = _beyond(_DisturbedBoundedRef, self)._put(item, may_block=may_block)
        return got_in


def _hooks_of(ref: ActorRef[Any]) -> Hooks | None:
    """Return the hooks of the experiment; None: it has ended meanwhile."""
    return getattr(ref, "hooks", None)


def _is_disturbed(ref: ActorRef[Any], message: Any) -> bool:
    hooks = _hooks_of(ref)
    if hooks is None or hooks.is_quiet:
        return False
    refuse_fenced()
    return hooks.of_message(ref, message, lambda: _deliver(ref, message))


def _deliver(ref: ActorRef[Any], item: Any) -> None:
    """Put a message in now; one that finds no room, or nobody, is a dead letter."""
    if isinstance(ref, BoundedRef):
        if item.__class__ is Ask:
            ref._put_ask(item)
        else:
            _beyond(DisturbedRef, ref).send(item)
        return
    ref._outer.append(item)
    ref._wake(thread_turn.turn)


def _beyond(cls: type[ActorRef[Any]], ref: ActorRef[Any]) -> Any:
    """Return what follows a class for a ref, as ``super()`` does; also if the experiment has ended meanwhile.

    Then the ref is one of the plain class again, in the middle of a call, and has no
    ``super()`` of this class any more; what follows is the plain class itself.
    """
    try:
        return super(cls, ref)
    except TypeError:
        return ref


def disturbed_class(plain: type[ActorRef[Any]], hooks: Hooks) -> type[DisturbedRef[Any]]:
    """Return the class that a ref of a plain class becomes; instances may change between the two."""
    first = _DisturbedBoundedRef if issubclass(plain, BoundedRef) else DisturbedRef
    bases = (first,) if plain in (ActorRef, BoundedRef) else (first, plain)
    members = {"__slots__": (), "__module__": __name__, "hooks": hooks}
    return cast("type[DisturbedRef[Any]]", type(plain.__name__, bases, members))
