"""Refs of actors whose mailbox has a bound.

An actor class with a `mailbox_capacity` gets refs of this class; all others pay
nothing. The messages that wait are kept here, in order, and each has a ticket in
the mailbox proper. The owner that comes to a ticket draws the oldest message.
So the bound is exact, dropping the oldest one moves no ticket, and signals, which
have no ticket, are never held up (the system lane).

An ask of an idle inline actor does not wait in the mailbox, and takes the fast path.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, get_args

import pykka

from supervisors.errors import InvalidArgumentError, InvalidTypeError
from supervisors.runtime.cell import TICKET
from supervisors.runtime.fence import Fenced
from supervisors.runtime.futures import ScheduledFuture, refuse_cycle
from supervisors.runtime.outcomes import ActorDeadError, MailboxFullError
from supervisors.runtime.pykka_adapter import StopMessage
from supervisors.runtime.ref import ActorRef, OnOwnThread, copy_outcome
from supervisors.runtime.signals import Ask
from supervisors.runtime.turn import thread_turn

if TYPE_CHECKING:
    from supervisors.runtime.contract import Runtime

__all__ = ["CAPACITY_MAX", "MAILBOX_BOUNDS", "BoundedPinnedRef", "BoundedRef", "MailboxPolicy", "checked_bound"]

A = TypeVar("A", bound="pykka.Actor")

MailboxPolicy = Literal["reject", "drop_newest", "drop_oldest", "block"]
"""What happens to one message too many; see `supervisors.actor.Actor`."""

CAPACITY_MAX: Final = 1_000_000_000

MAILBOX_BOUNDS: Final = ("mailbox_capacity", "mailbox_policy", "mailbox_patience")
"""The attributes of an actor class that say how its mailbox is bounded."""


class BoundedRef(ActorRef[A]):
    """Reference to an actor whose mailbox holds at most so many messages."""

    __slots__ = ("_capacity", "_guard", "_patience", "_policy", "_senders", "_waiting")

    def __init__(self, actor: Any, system: Runtime, number: int, dispatch: str) -> None:
        super().__init__(actor, system, number, dispatch)
        kind = type(actor)
        self._capacity: int = kind.mailbox_capacity
        self._policy: MailboxPolicy = kind.mailbox_policy
        self._patience: float = kind.mailbox_patience
        self._guard = threading.Lock()  # guards the two below; nothing is called while it is held
        self._waiting: deque[Any] = deque()
        self._senders: deque[tuple[ScheduledFuture[None], Any]] = deque()

    @property
    def mailbox_capacity(self) -> int:
        """Messages that may wait, not counting the one in hand."""
        return self._capacity

    def tell(self, message: Any) -> None:
        """Send a message without waiting for a reply.

        Raises:
            ActorDeadError: the actor is known to be dead.
            MailboxFullError: there is no room, and the policy is `"reject"`, or
                `"block"` and no room has come up in time. The message is a dead
                letter as well.
            DeadlockError: the policy is `"block"`, and the actor waits for the sender.

        Thread: any. Blocks: at most `mailbox_patience` seconds with the policy `"block"`.
        """
        if self._actor is None:
            raise ActorDeadError.not_found(self, self.exit_reason)
        if not self._put(message):
            self.system.dead_letter(self, message)
            if self._policy in ("reject", "block"):
                raise MailboxFullError(self, self._capacity)

    def send(self, message: Any) -> None:
        """Send a message; one that finds no room is a dead letter. Never raises, never blocks.

        So the policy `"block"` is `"drop_newest"` here.
        """
        if not self._put(message, may_block=False):
            self.system.dead_letter(self, message)

    def forward(self, message: Any, reply_to: pykka.Future[Any]) -> None:
        future: ScheduledFuture[Any] = ScheduledFuture(self.system.scheduler, self)
        future.when_done(lambda: copy_outcome(future, reply_to))
        self._put_ask(Ask(message, future))

    def _ask_queued(self, message: Any, block: bool, timeout: Any) -> Any:
        current = thread_turn.turn.current
        if block and current is not None:
            refuse_cycle(current, self)
        future: ScheduledFuture[Any] = ScheduledFuture(self.system.scheduler, self)
        self._put_ask(Ask(message, future), may_block=block)
        return self._get(future, timeout) if block else future

    def _put_ask(self, ask: Ask, *, may_block: bool = False) -> None:
        if not self._put(ask, may_block=may_block):
            ask.reply_to.offer(error=MailboxFullError(self, self._capacity))

    def _put(self, item: Any, *, may_block: bool = True) -> bool:
        """Put a message or ask into the mailbox by the policy; False if it did not get in."""
        oldest: Any = None
        room: ScheduledFuture[None] | None = None
        current = thread_turn.turn.current
        if current is not None and current.fenced:
            raise Fenced
        message = item.message if item.__class__ is Ask else item
        if message.__class__ is StopMessage or message.__class__ in self.actor_class.system_messages:
            self._outer.append(item)  # the way out is always open
            self._wake(thread_turn.turn)
            return True
        with self._guard:
            if len(self._waiting) < self._capacity or self._actor is None:
                self._waiting.append(item)
            elif self._policy == "drop_oldest":
                oldest = self._waiting.popleft()
                self._waiting.append(item)
            elif self._policy == "block" and may_block:
                room = ScheduledFuture(self.system.scheduler, self)
                self._senders.append((room, item))
            else:
                return False
        if room is not None:
            return self._wait_for(room, item)
        if oldest is not None:
            # The new one has the ticket of the oldest.
            if oldest.__class__ is Ask:
                oldest.reply_to.offer(error=MailboxFullError(self, self._capacity))
            else:
                self.system.dead_letter(self, oldest)
            return True
        self._outer.append(TICKET)
        self._wake(thread_turn.turn)
        return True

    def _wait_for(self, room: ScheduledFuture[None], item: Any) -> bool:
        # Whoever makes room puts the item in; the sender only waits for that.
        got = False
        try:
            got = room.settle(self._patience)
        finally:
            if not got:
                with self._guard:
                    try:
                        self._senders.remove((room, item))
                    except ValueError:
                        got = True  # at the last moment
        return got

    def draw(self) -> Any:
        """Take the oldest waiting message; the owner has come to a ticket."""
        with self._guard:
            item = self._waiting.popleft()
            room = None
            if self._senders:
                room, late = self._senders.popleft()
                self._waiting.append(late)
        if room is not None:
            self._outer.append(TICKET)
            room.offer()
        return item


class BoundedPinnedRef(OnOwnThread[A], BoundedRef[A]):
    """Reference to an actor that has a thread of its own and a mailbox with a bound."""

    __slots__ = ("_thread",)


def checked_bound(actor_class: Any) -> bool:
    """Tell whether an actor class bounds its mailbox; raise what is wrong with the bound."""
    capacity = actor_class.mailbox_capacity
    if capacity is None:
        return False
    if isinstance(capacity, bool) or not isinstance(capacity, int):
        raise InvalidTypeError("mailbox_capacity", capacity, "a whole number of messages, or None")
    if not 1 <= capacity <= CAPACITY_MAX:
        raise InvalidArgumentError("mailbox_capacity", capacity, f"1 to {CAPACITY_MAX}, or None")
    policy = actor_class.mailbox_policy
    if policy not in get_args(MailboxPolicy):
        raise InvalidArgumentError("mailbox_policy", policy, ", ".join(get_args(MailboxPolicy)))
    patience = actor_class.mailbox_patience
    if isinstance(patience, bool) or not isinstance(patience, (int, float)):
        raise InvalidTypeError("mailbox_patience", patience, "seconds as a number")
    if not 0.0 <= patience <= 86400.0:
        raise InvalidArgumentError("mailbox_patience", patience, "0 seconds to a day")
    return True
