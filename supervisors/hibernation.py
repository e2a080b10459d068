"""Hibernation: an idle actor makes room, and comes back with its next message.

An actor that sleeps is gone: in its mailbox stands a `Sleeper`, which holds what the
actor can be made from again, in as few bytes as its class can manage. Ref, name, links,
monitors, timers and waiting messages belong to the mailbox and stay as they are, so
nobody else sees a difference. Nothing of this is on the way of a message to an
actor that is awake.

The only step that matters is the exchange of one attribute by the actor's own turn,
which owns the mailbox; the next turn, on whatever thread, comes after it. Once that turn
is over, the mailbox may be folded as well (`supervisors.runtime.folding`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import pykka

from supervisors.errors import UsageError
from supervisors.runtime.fence import Fence, refuse_fenced
from supervisors.runtime.folding import Crease
from supervisors.runtime.signals import Ask
from supervisors.runtime.turn import thread_turn

if TYPE_CHECKING:
    from collections.abc import Iterable

    from supervisors.actor import Actor
    from supervisors.runtime.ref import ActorRef
    from supervisors.runtime.replies import Reply

__all__ = ["Sleeper", "fall_asleep", "handle_held", "rebuilt"]


class Sleeper(Crease, ABC):
    """What stands in a mailbox while its actor sleeps; the first message makes the actor again.

    Subclasses have the slots `_ref`, which refers to the actor's ref, and `_form`: what
    they make the actor from while it sleeps, and at its end that actor. One sleeper may
    serve its actor again and again.

    Attributes:
        crash_on_ask_error: as of the actor.

    Thread: the actor's own turn only.
    """

    __slots__ = ()

    _form: object

    crash_on_ask_error = False

    @abstractmethod
    def remake(self, *, killed: bool) -> Actor:
        """Return the actor as it was when it fell asleep.

        Args:
            killed: it was killed, so none of the user's code may run; it is made for its `ended()` only.
        """

    @abstractmethod
    def remade(self, actor: Actor) -> None:
        """Finish the awakening; the actor is in its place, so what this raises is a crash of it like any other."""

    def wake(self, *, killed: bool = False) -> Actor:
        """Put the actor back into its place, unless it is there already, and return it."""
        inside = self.awake
        if inside is None:
            inside = self.remake(killed=killed)
            _exchange(self._ref, inside)
            if not killed:
                self.remade(inside)
        return inside

    @property
    def awake(self) -> Actor | None:
        """The actor, if it is awake; None for the dead as well."""
        inside = self._ref._actor  # noqa: SLF001 - what is in a mailbox concerns its owner, and this is its turn
        if isinstance(inside, Fence):
            inside = inside.actor
        return None if inside is self else inside

    def receive_ask(self, message: Any) -> Any:
        """Wake the actor, and have it answer."""
        return self.wake().receive_ask(message)

    def receive_tell(self, message: Any) -> None:
        """Wake the actor, and have it handle the message."""
        self.wake().receive_tell(message)

    def ending(self, reason: object, *, crash: bool, by_signal: bool) -> object:
        """Wake the actor for its cleanup."""
        actor = self.wake()
        # Who calls this will call `ended()` here as well, when nobody is in the mailbox any more.
        self._form = actor  # type: ignore[misc]  # a slot of the subclass
        return actor.ending(reason, crash=crash, by_signal=by_signal)

    def ended(self) -> None:
        """Have the actor leave its last traces; one that was killed asleep runs nothing of its own for that."""
        actor: Any = self._form
        if not isinstance(actor, pykka.Actor):
            actor = self.wake(killed=True)
        self._form = None  # type: ignore[misc]  # likewise
        actor.ended()

    def ask_failed(self, error: Exception) -> None:
        """Leave it to the actor, which is awake when it has answered."""
        self.wake().ask_failed(error)

    def __str__(self) -> str:
        return f"{self._ref} (asleep)"


def fall_asleep(ref: ActorRef[Any], sleeper: Sleeper) -> None:
    """Put a sleeper in the place of the actor whose turn it is.

    Raises:
        UsageError: it is not this actor's turn.
    """
    if thread_turn.turn.current is not ref:
        raise UsageError("an actor falls asleep in its own turn, or not at all")
    _exchange(ref, sleeper)


def rebuilt(ref: ActorRef[Any], actor_class: type[Actor], *args: Any, only: type[Actor] | None = None) -> Any:
    """Construct an actor for a ref that is there already.

    Args:
        ref: its ref.
        actor_class: its class.
        args: for the constructor.
        only: the class whose constructor runs, a base of `actor_class`; None is `actor_class` itself.

    Raises:
        Fenced: it was killed while its constructor ran; somebody else has seen to its end.
    """
    before, thread_turn.birth = thread_turn.birth, lambda _actor: ref
    try:
        actor = actor_class.__new__(actor_class)
        (only or actor_class).__init__(actor, *args)
    finally:
        thread_turn.birth = before
    refuse_fenced()
    return actor


def handle_held(ref: ActorRef[Any], held: Iterable[tuple[Any, Reply | None]]) -> None:
    """Have the actor whose turn it is handle messages that it has kept, in order, as if they came now.

    Args:
        ref: its ref.
        held: each message, with the reply that is owed for it if it is an ask.

    Raises:
        UsageError: it is not this actor's turn.
    """
    if thread_turn.turn.current is not ref:
        raise UsageError("an actor handles what it has kept in its own turn, or not at all")
    for message, reply in held:
        if not ref.is_alive():
            return  # who has asked was told so when it ended
        if reply is None:
            ref._handle(message)  # noqa: SLF001 - this is the turn of its owner
        elif not reply.future.is_done():
            ref.settle_reply(reply)
            ref._handle(Ask(message, reply.future))  # noqa: SLF001 - likewise


def _exchange(ref: ActorRef[Any], inside: object) -> None:
    held = ref._actor  # noqa: SLF001 - what is in a mailbox concerns its owner, and this is the owner's turn
    if isinstance(held, Fence):
        held.actor = inside
    elif held is not None:
        ref._actor = inside  # noqa: SLF001 - likewise
