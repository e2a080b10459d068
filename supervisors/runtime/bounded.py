"""Refs of actors whose mailbox has a bound.

An actor class with a `mailbox_capacity` or a `mailbox_capacity_bytes` gets refs of
this class; all others pay nothing. The messages that wait are kept here, in order,
and each has a ticket in the mailbox proper. The owner that comes to a ticket draws
the oldest message. So the bound is exact, dropping the oldest one moves no ticket,
and signals, which have no ticket, are never held up (the system lane).

One large message may push out several small ones. Their tickets stay: they serve
the messages that come next, or the owner that comes to one finds nothing.

An ask of an idle inline actor does not wait in the mailbox, and takes the fast path.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeVar, get_args

import pykka

from supervisors.errors import InvalidArgumentError, InvalidTypeError
from supervisors.runtime.cell import TICKET
from supervisors.runtime.fence import Fenced
from supervisors.runtime.futures import ScheduledFuture, checked_timeout, refuse_cycle
from supervisors.runtime.outcomes import ActorDeadError, AskTimeoutError, MailboxFullError
from supervisors.runtime.pinned_ref import OnOwnThread
from supervisors.runtime.pykka_adapter import StopMessage
from supervisors.runtime.pykka_views import copy_outcome
from supervisors.runtime.ref import ASK_TIMEOUT, ActorRef, _Default
from supervisors.runtime.signals import Ask
from supervisors.runtime.turn import thread_turn

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisors.runtime.contract import Runtime

__all__ = ["CAPACITY_MAX", "MAILBOX_BOUNDS", "BoundedPinnedRef", "BoundedRef", "MailboxPolicy", "checked_bound"]

logger = logging.getLogger("supervisors.mailbox")

A = TypeVar("A", bound="pykka.Actor")

MailboxPolicy = Literal["reject", "drop_newest", "drop_oldest", "block"]
"""What happens to one message too many; see `supervisors.actor.Actor`."""

CAPACITY_MAX: Final = 1_000_000_000
CAPACITY_BYTES_MAX: Final = 2**60

MAILBOX_BOUNDS: Final = (
    "mailbox_capacity",
    "mailbox_capacity_bytes",
    "mailbox_patience",
    "mailbox_policy",
    "message_size",
)
"""The attributes of an actor class that say how its mailbox is bounded."""

_Waiting: TypeAlias = "tuple[ScheduledFuture[None] | None, Any, int]"
"""What a sender that waits for room is told by, if one does; a message or an ask; its bytes."""


class BoundedRef(ActorRef[A]):
    """Reference to an actor whose mailbox holds at most so many messages, or bytes of messages."""

    __slots__ = (
        "_capacity",
        "_capacity_bytes",
        "_guard",
        "_hand",
        "_patience",
        "_policy",
        "_senders",
        "_size_of",
        "_tickets_left",
        "_waiting",
        "_waiting_bytes",
    )

    def __init__(self, actor: Any, system: Runtime, number: int, dispatch: str) -> None:
        super().__init__(actor, system, number, dispatch)
        kind = type(actor)
        self._capacity: int | None = kind.mailbox_capacity
        self._capacity_bytes: int | None = kind.mailbox_capacity_bytes
        self._size_of: Callable[[Any], int] = kind.message_size
        self._policy: MailboxPolicy = kind.mailbox_policy
        self._patience: float = kind.mailbox_patience
        # Guards all below. The thread that holds it may get it again: a finalizer or a signal handler
        # may send something here while it is held, finds everything in order after each line, and may be the one
        # message too many that gets in.
        self._guard = threading.RLock()
        self._waiting: deque[_Waiting] = deque()
        self._waiting_bytes = 0
        self._tickets_left = 0  # tickets in the mailbox proper that no message here has
        self._senders: deque[_Waiting] = deque()
        self._hand: list[Any] = []  # the owner's: the message that was taken out of what waits, until it is begun with

    @property
    def mailbox_capacity(self) -> int | None:
        """Messages that may wait, not counting the one in hand; None: any number."""
        return self._capacity

    @property
    def mailbox_capacity_bytes(self) -> int | None:
        """Bytes of messages that may wait, not counting the one in hand; None: any number."""
        return self._capacity_bytes

    @property
    def mailbox_length(self) -> int:
        """Messages that wait now; a snapshot."""
        return max(super().mailbox_length - self._tickets_left, 0)

    @property
    def mailbox_bytes(self) -> int:
        """Bytes of the messages that wait now; 0 where they are not bounded."""
        return self._waiting_bytes

    def tell(self, message: Any) -> None:
        """Send a message without waiting for a reply.

        Raises:
            ActorDeadError: the actor is known to be dead.
            MailboxFullError: there is no room, and the policy is `"reject"`, or
                `"block"` and no room has come up in time. The message is a dead
                letter as well.
            DeadlockError: the policy is `"block"`, and the actor waits for the sender.
            InvalidArgumentError: `message_size` has given something else than a size.
            Exception: what `message_size` raised.

        Thread: any. Blocks: at most `mailbox_patience` seconds with the policy `"block"`.
        """
        if self._actor is None:
            raise ActorDeadError.not_found(self, self.exit_reason)
        if not self._put(message):
            self.system.dead_letter(self, message)
            if self._policy in ("reject", "block"):
                raise self._full()

    def send(self, message: Any) -> None:
        """Send a message; one that finds no room, or whose size cannot be told, is a dead letter.

        Never raises, never blocks: the policy `"block"` is `"drop_newest"` here.
        """
        try:
            got_in = self._put(message, may_block=False)
        except Fenced:
            raise
        except Exception:
            logger.exception("%s: a message has no size", self)
            got_in = False
        if not got_in:
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

    async def ask_async(
        self,
        message: Any,
        *,
        timeout: float | _Default | None = ASK_TIMEOUT,  # noqa: ASYNC109 - as in ActorRef
    ) -> Any:
        """Ask without blocking the event loop, as `ActorRef.ask_async()`.

        With the policy `"block"` room is awaited, at most `mailbox_patience` seconds; the
        timeout counts from then on.

        Raises:
            MailboxFullError: there is no room, or none has come up in time.
        """
        if timeout is not ASK_TIMEOUT:
            timeout = checked_timeout(timeout)
        current = thread_turn.turn.current
        if current is not None:
            refuse_cycle(current, self)
        future: ScheduledFuture[Any] = ScheduledFuture(self.system.scheduler, self)
        try:
            if not await self._put_async(Ask(message, future)):
                future.offer(error=self._full())
        except BaseException as cancelled:
            future.offer(error=cancelled)  # it may have got in at the last moment
            raise
        return await future.get_async(timeout=self.system.ask_timeout if isinstance(timeout, _Default) else timeout)

    def _put_ask(self, ask: Ask, *, may_block: bool = False) -> None:
        if not self._put(ask, may_block=may_block):
            ask.reply_to.offer(error=self._full())

    def _put(self, item: Any, *, may_block: bool = True) -> bool:
        """Put a message or ask into the mailbox by the policy; False if it did not get in."""
        place = self._put_or_line_up(item, may_block=may_block)
        return place if isinstance(place, bool) else self._wait_for(place)

    async def _put_async(self, item: Any) -> bool:
        """Do the same, and await room."""
        if self._put(item, may_block=False):
            return True
        if self._policy != "block":
            return False
        place = self._put_or_line_up(item, may_block=True)
        if isinstance(place, bool):
            return place
        room = place[0]
        assert room is not None
        got = False
        try:
            await room.get_async(timeout=self._patience)
            got = True
        except AskTimeoutError:
            pass
        finally:
            if not got:
                got = self._give_up(place)
        return got

    def _put_or_line_up(self, item: Any, *, may_block: bool) -> bool | _Waiting:
        """Put an item in by the policy; return whether it got in, or, in line, what waits there."""
        dropped: list[Any] = []
        current = thread_turn.turn.current
        if current is not None and current.fenced:
            raise Fenced
        message = item.message if item.__class__ is Ask else item
        if message.__class__ is StopMessage or message.__class__ in self.actor_class.system_messages:
            self._outer.append(item)  # the way out is always open
            self._wake(thread_turn.turn)
            return True
        size = 0 if self._capacity_bytes is None else _checked_size(self._size_of(message))
        entry: _Waiting = (None, item, size)
        if self._capacity_bytes is not None and size > self._capacity_bytes:
            return False  # however long it waited, it would find no room
        try:
            with self._guard:
                if self._actor is None or (self._has_room(size) and not self._senders):
                    self._enter([entry])
                elif self._policy == "drop_oldest":
                    self._push_out(size, dropped)
                    self._enter([entry])
                elif self._policy == "block" and may_block:
                    entry = (ScheduledFuture(self.system.scheduler, self), item, size)
                    self._senders.append(entry)
                    return entry
                else:
                    return False
            self._tell_of(dropped)
            self._wake(thread_turn.turn)
        except BaseException:
            self._tell_of(dropped)  # a signal handler has raised; what has got in is in, and what went is gone
            self.look_again()
            raise
        return True

    def _tell_of(self, dropped: list[Any]) -> None:
        while dropped:
            oldest = dropped[0]
            if oldest.__class__ is Ask:
                oldest.reply_to.offer(error=self._full())
            else:
                self.system.dead_letter(self, oldest)
            del dropped[0]

    def _full(self) -> MailboxFullError:
        return MailboxFullError(self, self._capacity, self._capacity_bytes)

    def _has_room(self, size: int) -> bool:
        """Tell whether a message of this size would fit; the guard is held."""
        if self._capacity is not None and len(self._waiting) >= self._capacity:
            return False
        return self._capacity_bytes is None or self._waiting_bytes + size <= self._capacity_bytes

    def _enter(self, source: list[_Waiting] | deque[_Waiting]) -> None:
        """Move the first of these into the mailbox, with a ticket if there is none for it; the guard is held."""
        # No call stands behind the ticket's: a signal handler that raises leaves a ticket too many at most, for
        # which an owner looks in vain; one too few would leave a message lying.
        if self._tickets_left:
            self._tickets_left -= 1
        else:
            self._outer.append(TICKET)
        entry = source[0]
        del source[0]
        self._waiting_bytes += entry[2]
        self._waiting += (entry,)

    def _push_out(self, size: int, dropped: list[Any]) -> None:
        """Take the oldest messages out until there is room; their tickets stay. The guard is held."""
        waiting = self._waiting
        while not self._has_room(size):
            if waiting:  # else a finalizer has sent something here just now, and had everything handled
                # No call: as in _enter().
                _, item, bytes_of = waiting[0]
                del waiting[0]
                self._waiting_bytes -= bytes_of
                self._tickets_left += 1
                dropped += (item,)

    def _wait_for(self, entry: _Waiting) -> bool:
        # Whoever makes room puts the item in; the sender only waits for that.
        room = entry[0]
        assert room is not None
        got = False
        try:
            got = room.settle(self._patience)
        finally:
            if not got:
                got = self._give_up(entry)
        return got

    def _give_up(self, entry: _Waiting) -> bool:
        """Leave the line; return whether the item has got in at the last moment."""
        entered: list[_Waiting] = []
        with self._guard:
            try:
                self._senders.remove(entry)
            except ValueError:
                return True
            self._let_in(entered)  # a smaller one may have waited behind it
        _tell(entered)
        self._wake(thread_turn.turn)
        return False

    def hand(self) -> list[Any]:
        """Return a list with the oldest waiting message, if there is one; the owner has come to a ticket."""
        hand = self._hand
        if hand:
            return hand  # whoever had it before was interrupted
        entered: list[_Waiting] = []
        try:
            with self._guard:
                waiting = self._waiting
                if not waiting:
                    if self._tickets_left:
                        self._tickets_left -= 1
                    return hand
                # No call: as in _enter().
                _, item, bytes_of = waiting[0]
                del waiting[0]
                self._waiting_bytes -= bytes_of
                hand += (item,)
                if self._senders:
                    self._let_in(entered)
        finally:
            _tell(entered)
        return hand

    def _let_in(self, entered: list[_Waiting]) -> None:
        """Put in what senders wait with, in order, as far as there is room; note whom to tell. The guard is held."""
        senders = self._senders
        while senders and (self._actor is None or self._has_room(senders[0][2])):
            entered += (senders[0],)  # first: who is told too soon gets in all the same, a little later
            self._enter(senders)


def _tell(entered: list[_Waiting]) -> None:
    for room, _, _ in entered:
        assert room is not None
        room.offer()


class BoundedPinnedRef(OnOwnThread[A], BoundedRef[A]):
    """Reference to an actor that has a thread of its own and a mailbox with a bound."""

    __slots__ = ("_thread",)


def checked_bound(actor_class: Any) -> bool:
    """Tell whether an actor class bounds its mailbox; raise what is wrong with the bound."""
    if (
        actor_class.mailbox_capacity is None
        and actor_class.mailbox_capacity_bytes is None
        and callable(actor_class.message_size)
    ):
        return False  # as of nearly every class
    bounds = {
        "mailbox_capacity": (actor_class.mailbox_capacity, "messages", CAPACITY_MAX),
        "mailbox_capacity_bytes": (actor_class.mailbox_capacity_bytes, "bytes", CAPACITY_BYTES_MAX),
    }
    for field, (capacity, unit, most) in bounds.items():
        if capacity is None:
            continue
        if isinstance(capacity, bool) or not isinstance(capacity, int):
            raise InvalidTypeError(field, capacity, f"a whole number of {unit}, or None")
        if not 1 <= capacity <= most:
            raise InvalidArgumentError(field, capacity, f"1 to {most} {unit}, or None")
    if not callable(actor_class.message_size):
        raise InvalidTypeError("message_size", actor_class.message_size, "a static method: the bytes of a message")
    policy = actor_class.mailbox_policy
    if policy not in get_args(MailboxPolicy):
        raise InvalidArgumentError("mailbox_policy", policy, ", ".join(get_args(MailboxPolicy)))
    patience = actor_class.mailbox_patience
    if isinstance(patience, bool) or not isinstance(patience, (int, float)):
        raise InvalidTypeError("mailbox_patience", patience, "seconds as a number")
    if not 0.0 <= patience <= 86400.0:
        raise InvalidArgumentError("mailbox_patience", patience, "0 seconds to a day")
    return True


def _checked_size(size: object) -> int:
    if isinstance(size, bool) or not isinstance(size, int):
        raise InvalidTypeError("message_size", size, "to give a whole number of bytes")
    if size < 0:
        raise InvalidArgumentError("message_size", size, "to give 0 bytes or more")
    return size
