"""One actor's mailbox and scheduling state: the base of its ref.

Ref, mailbox and state are one object: a million idle actors are a matter of
bytes, and an ask of an idle actor must not walk from object to object. What
users call is in `ref.py`; what senders and owners do is here.

**The mailbox protocol.** A mailbox has a list that anybody may append to
(`_outer`), and a gate with one token in it. Whoever has the token *owns* the
mailbox.

1. A sender appends, then tries to take the token. If that fails,
   somebody owns the mailbox and will see the message. If it succeeds, the
   sender owns the mailbox and runs it or hands it to the scheduler.
2. The owner handles a bounded number of messages, puts the token back, *then looks
   again*; if something has arrived, it tries for the token again.
3. A dead mailbox still accepts and is still run: it answers every ask with
   `ActorDeadError` and counts everything else as a dead letter.

Why no message is lost: a sender's append comes before its try. If the try
fails, the owner's release comes after it, and the owner's look comes after the
release, so the owner sees the message. The argument needs `list.append`, `+=`, slicing
and `del` of a prefix to be atomic, which CPython documents for both builds
(with the GIL, and with per-object locks without it), and nothing else.

**Why the gate is a list and not a lock.** ``del gate[0]`` takes the token or raises
`IndexError`; ``gate += TOKEN`` puts it back. A lock would have to be *called*, and
after a call the interpreter may run a signal handler: a `KeyboardInterrupt` could
come up between ``acquire()`` and the next line, and nobody would ever release
the lock. The interpreter looks for signals when a function begins, after a call
and when a loop goes round, and nowhere else. There is none of these between
the ``del`` and the ``try`` that follows it, so ownership cannot leak. It is also half the price.
Messages move in the same way: until somebody has begun with one, it is in the mailbox, or put back.

Everything below the line "the owner's" is touched by the owner only. `_inner`
holds what the owner has taken out of `_outer` and not handled yet. Signals are
applied when they are taken; that is the moment at which they have *arrived* in
the sense of OTP (SIG-5, LINK-9).

**Who runs.** An `inline` actor is run by whichever thread gets its mailbox
first: an asker runs the callee instead of switching threads, and an ask of an
idle actor needs neither envelope nor future. `shared` actors are run by the
scheduler's workers.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, final

from supervisors.errors import InternalError
from supervisors.runtime.fence import Fence, Fenced
from supervisors.runtime.futures import ScheduledFuture
from supervisors.runtime.signals import (
    NOTHING,
    Ask,
    Exited,
    Signal,
)
from supervisors.runtime.turn import HAS_GIL, NESTING_MAX, QUANTUM_MESSAGES, Turn, drain, thread_turn

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisors.runtime.contract import Runner, Runtime
    from supervisors.runtime.small_set import SmallSet

__all__ = ["CLOSED", "INLINE", "PINNED", "SHARED", "TICKET", "TOKEN", "Cell", "Doom"]

logger = logging.getLogger("supervisors.cell")

INLINE: Final = "inline"
SHARED: Final = "shared"
PINNED: Final = "pinned"

TOKEN: Final = (None,)
"""What is put back into a gate: a tuple of one, because ``+=`` wants something to go through."""

CLOSED: Final[deque[object]] = deque()
"""What `_inner` is while the fast path must not be taken: starting or dead."""

TICKET: Final = object()
"""Stands in the mailbox for a message that `BoundedRef` keeps."""


class _Reached:
    """What every ask of an idle actor reads or writes: first, and so side by side in memory."""

    __slots__ = ("_actor", "_deferred", "_gate", "_inline", "_inner", "_outer", "messages_handled")


class Cell(_Reached):
    """One actor, as its senders and its owner see it.

    Attributes:
        actor_class: the class of the actor.
        id: number of the actor in its system, in order of start.
        exit_reason: why it ended; None while it lives.
        ending: its cleanup has begun, or ended.
        fenced: it was killed while a turn was running, which may still go on (fence.py).
        messages_handled: messages and asks handled so far.
        parent: the actor that started and linked it (PROC-12), or None.
    """

    __slots__ = (
        "_doom",
        "_pending",
        "_reply_to",
        "_starting",
        "_urgent",
        "actor_class",
        "ending",
        "exit_reason",
        "fenced",
        "id",
        "links",
        "monitors",
        "name",
        "parent",
        "suspended",
        "system",
        "traps_exits",
        "waits_for",
        "watchers",
    )

    def __init__(self, actor: Any, system: Runtime, number: int, dispatch: str) -> None:
        # Pykka's own constructor is not called: it would store what is computed.
        self.actor_class = type(actor)
        self.id = number
        self.system = system
        self.exit_reason: object = None
        self.ending = False
        self.fenced = False
        self.name: object = None
        self.parent: Any | None = None
        # The mailbox. The new ref is owned by whoever starts the actor.
        self._outer: list[Any] = []
        self._gate: list[None] = []  # holds the token while nobody owns the mailbox; guards all below
        # --- the owner's ---
        self._actor: Any = actor if dispatch == INLINE else Fence(actor)
        self._inline = dispatch == INLINE
        self._inner: deque[Any] | None = CLOSED
        self._urgent = False  # set by senders of exit signals, cleared by the owner
        self._doom: object = None
        self._reply_to: object = None
        self._deferred: ScheduledFuture[Any] | None = None
        self._pending: SmallSet = None
        self._starting: ScheduledFuture[Any] | None = None
        self.links: SmallSet = None
        self.watchers: SmallSet = None
        self.monitors: SmallSet = None
        self.traps_exits = False
        # 0: not suspended; else one more than how many of the waiting messages are known to have to wait.
        self.suspended = 0
        self.messages_handled = 0
        # Written by the actor's own turn, read under waits_lock by others.
        self.waits_for: Any | None = None

    # -- for the runtime: any thread ---------------------------------------

    @property
    def runner(self) -> Runner:
        """Who takes the mailbox when no sender runs it."""
        return self.system.scheduler

    def is_alive(self) -> bool:
        """Tell whether the actor lives; False only after its cleanup has ended."""
        return self._actor is not None

    @property
    def dispatch(self) -> str:
        """Who runs the actor: `"inline"`, `"shared"` or `"pinned"`."""
        return INLINE if self._inline else SHARED

    @property
    def mailbox_length(self) -> int:
        """Messages that wait now; a snapshot."""
        inner = self._inner
        return len(self._outer) + (len(inner) if inner is not None else 0)

    @property
    def is_taken(self) -> bool:
        """Whether somebody has the mailbox, and so may be in a turn; also when it is folded. A snapshot."""
        return not self._gate

    def leave_inline(self) -> None:
        """Have the worker pool run the actor from its next turn on."""
        # Every turn reads this once, so a turn that runs now ends as it began.
        self._inline = False

    def signal(self, signal: Signal) -> None:
        """Put a signal into the mailbox and see that it is taken."""
        turn = thread_turn.turn
        if turn.current is not None and turn.current.fenced:
            raise Fenced
        self._outer.append(signal)
        # After the append: an owner that reads the flag will find the signal.
        self._urgent = True
        try:
            self._wake(turn)
        except BaseException:
            self.look_again()  # a signal handler may have come between the two
            raise

    def run_owned(self) -> None:
        """Run a mailbox whose ownership the scheduler has been given."""
        turn = thread_turn.turn
        try:
            self._run(turn, owned=True)
        finally:
            if turn.ready and not turn.depth:
                drain(turn)

    def run_for(self, future: ScheduledFuture[Any]) -> None:
        """Run an inline mailbox on the thread that waits for one of its replies.

        Stops as soon as the reply is there; see `ask()` for why.
        """
        turn = thread_turn.turn
        if self._inline and turn.depth < NESTING_MAX:
            try:
                self._run(turn, until=future)
            finally:
                # Also when the reply is there: its asker goes on, and nobody
                # else looks at what this thread has made ready.
                if turn.ready and not turn.depth:
                    drain(turn)

    def look_again(self) -> None:
        """Wake the mailbox if something is in it; what whoever gave it up owes it."""
        if self._outer or self._inner is not None:
            self._wake(thread_turn.turn)

    def _wake(self, turn: Turn) -> None:
        # Step 1 of the protocol, after the append.
        if self._inline:
            if turn.depth:
                # We are inside an inline turn: later, on this thread. Whoever
                # gets there first may take it; an extra entry does no harm.
                ready = turn.ready
                if not ready or ready[-1] is not self:
                    ready.append(self)
                return
            if turn.current is None:
                try:
                    self._run(turn)
                finally:
                    if turn.ready:
                        drain(turn)
                return
        # A shared actor's turn must not run others inside itself: they might
        # ask it back, and a send would turn into a deadlock.
        self._hand_over()

    def _hand_over(self) -> None:
        scheduler = self.runner
        enqueue = scheduler.enqueue
        gate = self._gate
        # With a GIL, an empty gate that is seen after the append means an owner that will look later: the
        # same answer for less. Without one, only the failed attempt to take the token says so: it goes
        # through the gate's own lock and so comes before the owner's release, also on a machine that
        # reorders what it stores and loads.
        if HAS_GIL and not gate:
            return
        try:
            del gate[0]
        except IndexError:
            return
        try:
            enqueue(self)
            scheduler.kick()
        except BaseException:
            scheduler.kick()  # a signal handler has raised before it was done, and nobody else would see to it
            raise

    # -- for the runtime: the owner ----------------------------------------

    def doom(self, reason: object) -> None:
        """Note that the actor must end; the first reason counts."""
        if self._doom is None:
            self._doom = Doom(reason)

    def take(self) -> None:
        """Take in what has arrived: apply signals, keep messages in order."""
        self._urgent = False  # before looking: a later signal sets it again
        outer = self._outer
        count = len(outer)
        if not count:
            return
        batch = outer[:count]
        inner = self._inner
        if inner is None or inner is CLOSED:
            inner = self._inner = deque()
        taken = 0
        try:
            # No call stands between putting something in there and counting it as taken from here (see above).
            for position, item in enumerate(batch):
                if isinstance(item, Signal):
                    inner += batch[taken:position]
                    taken = position
                    left = item.apply(self)
                    if left is not NOTHING:
                        inner += (left,)
                    taken = position + 1
                    if self._doom is not None:
                        break
            inner += batch[taken:]
            taken = count
        finally:
            del outer[:taken]

    def hand(self) -> list[Any]:
        """Return a list with the message that a ticket stands for, if any; whoever begins with it takes it out."""
        raise InternalError("a ticket lies in a mailbox without a bound", actor=str(self))

    def put_first(self, message: Any) -> None:
        """Make a message the next one to be handled; for the actor's own turn (SRV-15).

        Exit signals that have arrived meanwhile still come before it.
        """
        if not self._inner:
            self._inner = deque()
        self._inner.appendleft(message)

    def withdraw(self, wanted: Callable[[Any], bool]) -> Any:
        """Take the first waiting item that is wanted out of what has arrived, or None."""
        for position, item in enumerate(self._inner or ()):
            if wanted(item):
                del self._inner[position]  # type: ignore[union-attr]  # it was iterated
                return item
        return None

    def _run(self, turn: Turn, until: ScheduledFuture[Any] | None = None, *, owned: bool = False) -> None:
        """Handle a quantum of messages, then give ownership back or on.

        Args:
            turn: this thread's turn.
            until: stop when this reply is there.
            owned: the mailbox is ours already; False: take it if it is free.
        """
        gate = self._gate
        scheduler = self.runner
        enqueue = scheduler.enqueue
        before = turn.current
        nested = self._inline
        pace = None if nested else turn.pace
        budget = QUANTUM_MESSAGES if pace is None else pace.begin()
        if not owned:
            try:
                del gate[0]
            except IndexError:
                return
            owned = True
        turn.current = self
        turn.depth += nested
        try:
            while True:
                left = self._run_quantum(budget, until)
                if left <= 0 and pace is not None:
                    budget = pace.more()
                    if budget:
                        continue
                inner = self._inner
                if inner is not None and not inner and inner is not CLOSED and not self.suspended:
                    self._inner = None
                if left <= 0:
                    return  # ownership goes on, below
                owned = False
                gate += TOKEN
                # Step 2, the second look. A loop, not a call: under a flood the
                # stack must not grow.
                if not self._outer:
                    return
                try:
                    del gate[0]
                except IndexError:
                    return
                owned = True
                budget = left
        except Fenced:
            owned = False  # the killer has it
            raise
        finally:
            turn.current = before
            turn.depth -= nested
            if owned:
                # It is others' turn now. Or a signal handler has raised, or a handler what is no Exception:
                # somebody else goes on, because on this thread it would happen again.
                try:
                    enqueue(self)
                    scheduler.kick()
                except BaseException:
                    scheduler.kick()  # as in _hand_over()
                    raise

    def _run_quantum(  # noqa: C901 - the way of every message that has waited is one function
        self, budget: int, until: ScheduledFuture[Any] | None
    ) -> int:
        """Handle at most so many messages; return what is left of the budget, 0 or less if messages are left."""
        if self._starting is not None:
            self._first_turn(self._starting)
            if until is not None:
                return 0 if self._outer or self._inner else 1
        item: Any = None
        handled = -1  # how many have been when the item was taken out: no more now, and nobody has begun with it
        try:
            while True:
                if self._actor is None:
                    self._bury()
                    return 1
                outer = self._outer
                if outer and (self._urgent or not self._inner or self.suspended):
                    if len(outer) == 1 and self._inner is None and not self._urgent and budget and self._doom is None:
                        # As nearly always. Only the owner takes out, so it stays the first.
                        item = outer[0]
                        if not isinstance(item, Signal):
                            handled = self.messages_handled
                            del outer[0]
                            budget -= 1
                            self._handle(item)
                            if until is not None and until.is_done():
                                return 0 if self._inner or self._outer else budget or 1
                            if self._inner is None and not self._outer and self._doom is None:
                                return budget or 1  # as nearly always; who has ended has an `_inner`
                            continue
                    self.take()
                if self._doom is not None:
                    self._end_doomed()
                    continue
                inner = self._inner
                if not inner or (self.suspended and not self._finds_system_message(inner)):
                    return budget or 1
                if not budget:
                    return 0
                budget -= 1
                item = inner[0]
                handled = self.messages_handled
                del inner[0]
                self._handle(item)
                if until is not None and until.is_done():
                    return 0 if self._inner or self._outer else budget or 1
        except BaseException:
            if self.messages_handled == handled and self._actor is not None:
                self.put_first(item)
            raise

    def _finds_system_message(self, inner: deque[Any]) -> bool:
        """Put the first message that also a suspended actor handles in front; False if there is none (SRV-27).

        Looks only at what has come since it last found none: however many messages
        have to wait, each costs one look.
        """
        kinds = self.actor_class.system_messages
        found = 0
        if kinds:
            for place, item in enumerate(islice(reversed(inner), len(inner) + 1 - self.suspended), 1):
                kind = item.message.__class__ if item.__class__ is Ask else item.__class__
                if kind in kinds and (kind is not Exited or item.source is self.parent):
                    found = place
        if not found:
            self.suspended = len(inner) + 1
            return False
        self.suspended = 1  # whatever is done now may change the order
        item = inner[-found]
        del inner[-found]
        inner.appendleft(item)
        return True

    @abstractmethod
    def _first_turn(self, started: ScheduledFuture[Any]) -> None:
        """Start the actor, and say how that went."""

    @abstractmethod
    def _handle(self, item: Any) -> None:
        """Handle one message or ask of a living actor."""

    @abstractmethod
    def _end_doomed(self) -> None:
        """End the actor for the reason that `doom()` has noted."""

    @abstractmethod
    def _bury(self) -> None:
        """Answer everything in a dead mailbox (step 3)."""


@final
class Doom:
    """Wraps a reason, so that None can be one."""

    __slots__ = ("reason",)

    def __init__(self, reason: object) -> None:
        self.reason = reason
