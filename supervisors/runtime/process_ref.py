"""Refs of actors that live in another process: a message is looked at in its sender's call.

What cannot travel is the sender's mistake, so the sender hears of it, and the actor does
not. The message stays what it is until the actor's turn: whoever watches sees it as it was sent.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import pykka

from supervisors.errors import InvalidTypeError, UsageError
from supervisors.runtime.pykka_adapter import PYKKA_MESSAGES, StopMessage
from supervisors.runtime.ref import ActorRef

if TYPE_CHECKING:
    from supervisors.runtime.frames import Packing

__all__ = ["ToProcess", "ref_to_process"]

A = TypeVar("A", bound="pykka.Actor")


class ToProcess(ActorRef[A]):
    """What a ref does differently when its actor lives in another process; its actor has a `packing`."""

    __slots__ = ()

    def tell(self, message: Any) -> None:
        """Send a message without waiting.

        Raises:
            InvalidTypeError: it cannot travel.
            ActorDeadError: the actor is known to be dead.
        """
        self._check(message)
        super().tell(message)

    def send(self, message: Any) -> None:
        """Send a message; one that cannot travel is a dead letter."""
        try:
            self._check(message)
        except (InvalidTypeError, UsageError):
            self.system.dead_letter(self, message)
            return
        super().send(message)

    def forward(self, message: Any, reply_to: pykka.Future[Any]) -> None:
        self._check(message)
        super().forward(message, reply_to)

    def proxy(self) -> NoReturn:
        """Refuse: a proxy looks at the actor's attributes, and they are in the other process.

        Raises:
            UsageError: always.
        """
        raise UsageError(NO_PROXY)

    def _ask_queued(self, message: Any, block: bool, timeout: Any) -> Any:
        self._check(message)
        return super()._ask_queued(message, block, timeout)

    def _check(self, message: Any) -> None:
        actor: Any = self._actor_weakref()
        if message.__class__ is StopMessage or actor is None:
            return
        if message.__class__ in PYKKA_MESSAGES:
            raise UsageError(NO_PROXY)
        packing: Packing = actor.packing
        packing.pack(message)


NO_PROXY = "an actor in another process has no proxy, only messages: use ask() or tell()"


@cache
def ref_to_process(own: type[ActorRef[Any]]) -> type[ActorRef[Any]]:
    """Return the class of refs that does all that one does, and what `ToProcess` does."""
    return type(own.__name__, (ToProcess, own), {"__slots__": (), "__module__": own.__module__})
