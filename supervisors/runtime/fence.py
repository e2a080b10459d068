"""Killing an actor whose turn does not end.

A Python thread cannot be killed. What can be done: the turn is *fenced*. Its actor is
ended by the killer, its thread is abandoned and replaced, and whatever the turn
does with the actor system from then on raises `Fenced` in it. When it returns after
all, nobody hears of it. What it does to the rest of the world cannot be undone;
use a process for code that must be stopped for certain.

**Who owns the actor.** Around every call of the actor's code lies a claim: a list
with one token, like the gate of a mailbox. The running thread takes the token back
when the call returns; a killer may take it before. Exactly one of them gets it.
A killer that has it has the ownership of the mailbox as well, because the running
thread does nothing more with it when it finds the token gone. A killer that does not
get it has only sent a signal, which the owner will find very soon.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from supervisors.runtime.turn import thread_turn

if TYPE_CHECKING:
    from supervisors.runtime.turn import Turn

__all__ = ["Fence", "Fenced", "refuse_fenced"]


class Fenced(BaseException):
    """The actor of this turn has been killed; nothing that the turn does counts any more."""


@final
class Fence:
    """Stands between a mailbox and its actor, and lays a claim around each call.

    Attributes:
        actor: the actor itself.
        claim: whoever takes out what is in it ends the call that runs: its thread, or a killer.
        turn: the turn of the thread that made the last call.
    """

    __slots__ = ("actor", "claim", "turn")

    def __init__(self, actor: Any) -> None:
        self.actor = actor
        self.claim: list[None] = []
        self.turn: Turn | None = None

    @property
    def crash_on_ask_error(self) -> bool:
        """As of the actor; a stand-in's may change."""
        return bool(self.actor.crash_on_ask_error)

    def receive_ask(self, message: Any) -> Any:
        """Call the actor, as `Actor.receive_ask()`."""
        self.turn = thread_turn.turn
        self.claim = claim = [None]
        try:
            return self.actor.receive_ask(message)
        finally:
            _close(claim)

    def receive_tell(self, message: Any) -> None:
        """Call the actor, as `Actor.receive_tell()`."""
        self.turn = thread_turn.turn
        self.claim = claim = [None]
        try:
            self.actor.receive_tell(message)
        finally:
            _close(claim)

    def starting(self) -> None:
        """Call the actor, as `Actor.starting()`."""
        self.turn = thread_turn.turn
        self.claim = claim = [None]
        try:
            self.actor.starting()
        finally:
            _close(claim)

    def ending(self, reason: object, *, crash: bool, by_signal: bool) -> object:
        """Call the actor, as `Actor.ending()`."""
        self.turn = thread_turn.turn
        self.claim = claim = [None]
        try:
            return self.actor.ending(reason, crash=crash, by_signal=by_signal)
        finally:
            _close(claim)

    def ended(self) -> None:
        """Call the actor, as `Actor.ended()`."""
        self.actor.ended()

    def ask_failed(self, error: Exception) -> None:
        """Call the actor, as `Actor.ask_failed()`."""
        self.actor.ask_failed(error)

    def __str__(self) -> str:
        return str(self.actor)


def refuse_fenced() -> None:
    """Raise `Fenced` if the actor of this thread's turn has been killed."""
    current = thread_turn.turn.current
    if current is not None and current.fenced:
        raise Fenced


def _close(claim: list[None]) -> None:
    try:
        del claim[0]
    except IndexError:
        raise Fenced from None
