"""How an actor comes up, handles what it gets, and ends: the middle part of its ref.

The mailbox below (`cell.py`) decides *when* something is handled and by whom; this
decides what an exception in a handler does, and who hears of an end, in which order.
"""

from __future__ import annotations

import logging
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from supervisors.errors import Exit, IgnoreStart, Refusal, UsageError
from supervisors.exits import KILLED, NORMAL, Crashed
from supervisors.runtime.cell import CLOSED, TICKET, TOKEN, Cell, Doom
from supervisors.runtime.fence import Fenced
from supervisors.runtime.futures import ScheduledFuture
from supervisors.runtime.outcomes import ActorDeadError, StartError
from supervisors.runtime.pykka_adapter import StopMessage, StopNow
from supervisors.runtime.replies import NOBODY, Reply
from supervisors.runtime.signals import (
    NOTHING,
    Ask,
    Demonitored,
    Down,
    DownSignal,
    Exited,
    Interrupted,
    LinkExit,
    MonitorRef,
    Signal,
)
from supervisors.runtime.turn import NESTING_MAX, drain, thread_turn

if TYPE_CHECKING:
    from supervisors.runtime.turn import Turn

__all__ = ["HERE", "LivingCell"]

logger = logging.getLogger("supervisors.cell")

HERE: Final[ScheduledFuture[None]] = ScheduledFuture()
"""Stands for the outcome of a start that needs no future: see `LivingCell.come_up_here()`."""


class LivingCell(Cell):
    """One actor, with its start, its handling of messages and its end."""

    __slots__ = ()

    # -- starting ----------------------------------------------------------

    def prepare(self) -> ScheduledFuture[None]:
        """Have the next turn start the actor; the caller owns the new mailbox.

        Returns:
            A future of None, or of the `StartError` or `IgnoreStart` of the start.
        """
        started: ScheduledFuture[None] = ScheduledFuture(self.system.scheduler, self)
        self._starting = started
        return started

    def come_up(self, started: ScheduledFuture[None], *, wait: bool, timeout: float | None = None) -> None:
        """Start the actor: an inline one on this thread, any other on a worker.

        Args:
            started: set when it is up, or will not be.
            wait: return only then, or when the time is up.
            timeout: seconds to wait; None waits without end.
        """
        turn = thread_turn.turn
        if not self._inline or turn.depth >= NESTING_MAX:
            self._hand_over()
            if wait:
                started.settle(timeout)
            return
        caller = turn.current
        if caller is not None:
            caller.waits_for = self
        try:
            self._run(turn, until=started)
        finally:
            if caller is not None:
                caller.waits_for = None
            if turn.ready and not turn.depth:
                drain(turn)

    def come_up_here(self, turn: Turn) -> None:
        """Start an inline actor on this thread, for a starter that waits for it and still owns the mailbox.

        What `prepare()`, giving the token and `come_up()` do, without a future that carries
        the outcome from one line to the next. The starter has put `HERE` in the
        place of that future; as long as it is there, the mailbox is still the starter's.

        Args:
            turn: this thread's turn, nested less deeply than `NESTING_MAX`.

        Raises:
            StartError, IgnoreStart: it did not come up, and is dead.
        """
        self._starting = None
        caller, depth = turn.current, turn.depth
        try:
            if caller is not None:
                caller.waits_for = self
            turn.current = self
            turn.depth = depth + 1
            self._start_now()
        finally:
            turn.current = caller
            turn.depth = depth
            if caller is not None:
                caller.waits_for = None
            self._gate += TOKEN
            # What has come meanwhile is for others: the starter goes on.
            if self._outer or (self._inner is not None and self._inner is not CLOSED):
                self._hand_over()
            if turn.ready and not depth:
                drain(turn)

    def _start_now(self) -> None:
        actor = self._actor
        assert actor is not None
        try:
            actor.starting()
        except BaseException as error:
            refused = self._not_started(error)
            if refused is error or _goes_on(error):
                raise
            raise refused from refused.__cause__
        self._started()

    def abandon(self, reason: object) -> None:
        """End an actor that was constructed and never came up; the caller owns it.

        None of its code runs. Whoever has its ref already gets an answer.
        """
        self._end(reason, by_signal=True, silent=True)
        self._gate += TOKEN
        self.look_again()

    def never_began(self, error: BaseException) -> None:
        """End an actor because nobody can be had who runs it; the caller owns it. Its starter is told."""
        started, self._starting = self._starting, None
        reason = Crashed(error)
        self.abandon(reason)
        if started is not None:
            refused = StartError(reason, self)
            refused.__cause__ = error
            started.offer(error=refused)

    def _first_turn(self, started: ScheduledFuture[Any]) -> None:
        self._starting = None
        self._reply_to = started  # so that a killer finds it
        actor = self._actor
        assert actor is not None
        try:
            actor.starting()
        except Fenced:
            raise
        except BaseException as error:
            self._not_started(error, started)
            if _goes_on(error):
                raise
        else:
            self._started()
            self._reply_to = None
            started.offer()

    def _started(self) -> None:
        if self._inner is CLOSED or not (self._inner or self.suspended):
            self._inner = None

    def _not_started(
        self, error: BaseException, started: ScheduledFuture[Any] | None = None
    ) -> StartError | IgnoreStart:
        """End an actor whose start has raised; return what its starter is to hear, as the future does."""
        crash = False
        refused: StartError | IgnoreStart
        reason: object
        if isinstance(error, IgnoreStart):
            reason, refused = NORMAL, error
        elif isinstance(error, StartError):
            reason, refused = error.reason, error
        elif isinstance(error, Exit):
            reason, refused = error.reason, StartError(error.reason, self)
        else:
            crash = True
            reason = Crashed(error)
            refused = StartError(reason, self)
            refused.__cause__ = error
        self._end(reason, crash=crash, by_signal=not crash, last=None if started is None else (started, refused))
        return refused

    # -- handling ----------------------------------------------------------

    def _handle(self, item: Any) -> None:  # noqa: PLR0915 - the way of every message is one function
        """Handle one message or ask of a living actor."""
        actor = self._actor
        assert actor is not None
        if item is TICKET:
            hand = self.hand()
            if not hand:
                return
            item = hand[0]
            del hand[0]  # not a call: see cell.py
        self.messages_handled += 1
        if item.__class__ is not Ask:
            self._reply_to = NOBODY
            try:
                actor.receive_tell(item)
            except Fenced:
                raise
            except BaseException as error:  # noqa: BLE001 - sorted out there
                try:
                    self._tell_raised(error)
                except BaseException as raised:
                    self._was_interrupted(raised)
                    raise
            finally:
                self._reply_to = None
            return
        future = self._reply_to = item.reply_to
        try:
            reply = actor.receive_ask(item.message)
        except Fenced:
            raise
        except BaseException as error:  # noqa: BLE001 - sorted out there
            # The reply is still to be found: a killer may come during the cleanup.
            try:
                self._ask_raised(error, future)
            except Fenced:
                raise  # the killer answers it
            except BaseException as raised:
                self._was_interrupted(raised, future)
                self._reply_to = None
                raise
            self._reply_to = None
            return
        if self._deferred is not None:
            self._reply_to = self._deferred = None
            return
        self._reply_to = None
        try:
            if not future.offer(reply):
                self.system.dead_letter(self, reply)
        except BaseException:
            future.offer(reply)  # a signal handler has raised before it had the reply
            raise

    @property
    def is_given_up(self) -> bool:
        """Whether whoever has asked what is in hand does not wait for the reply any more."""
        future = self._reply_to
        return isinstance(future, ScheduledFuture) and future.is_done()

    def defer(self) -> Reply:
        """Leave the ask in hand unanswered for now (SRV-8).

        Raises:
            UsageError: nobody waits, or it has been deferred already.
        """
        future = self._reply_to
        if future is NOBODY or not self.messages_handled:  # it is being started
            raise UsageError("nobody waits for a reply to this message")
        if self._deferred is not None:
            raise UsageError("the reply to this ask has been deferred already")
        if future is None:
            future = ScheduledFuture(self.system.scheduler, self)
        assert isinstance(future, ScheduledFuture)
        self._deferred = future
        reply = Reply(self, future)
        pending = self._pending
        if pending is None:
            pending = self._pending = {}
        assert isinstance(pending, dict)
        pending[reply] = None
        future.when_done(partial(self.settle_reply, reply))  # also when the asker has given up
        return reply

    def settle_reply(self, reply: Reply) -> None:
        """Forget a deferred reply that has been given."""
        pending = self._pending
        if isinstance(pending, dict):
            pending.pop(reply, None)

    def _ask_raised(self, error: BaseException, future: ScheduledFuture[Any] | None = None) -> None:
        """Decide what an exception in an ask does to the actor; tell the asker."""
        deferred, self._deferred = self._deferred, None
        if deferred is not None:
            self._drop_deferred(deferred)
        actor = self._actor
        if isinstance(error, StopNow) and future is not None:
            self._end(NORMAL)
            future.offer(None)
            return
        if isinstance(error, Exit):
            if future is None:
                self._end(error.reason)
                raise ActorDeadError.of(self, error.reason) from None
            self._end(error.reason, last=(future, ActorDeadError.of(self, error.reason)))
            return
        is_refusal = isinstance(error, Refusal) or actor is None
        if is_refusal or (isinstance(error, Exception) and not actor.crash_on_ask_error):
            if not is_refusal:
                actor.ask_failed(error)
            if future is not None and not future.offer(error=error):
                self.system.dead_letter(self, error)  # the asker has given up, as for a late reply
            return
        # The asker gets the error after the actor is gone: whoever asks again
        # must not find a half-dead actor.
        self._end(Crashed(error), crash=True, last=(future, error) if future is not None else None)
        if future is not None and _goes_on(error):
            raise error  # Ctrl-C is for this thread, whoever has asked

    def _drop_deferred(self, future: ScheduledFuture[Any]) -> None:
        # The ask that was deferred has got an exception instead.
        pending = self._pending
        if isinstance(pending, dict):
            for reply in [each for each in pending if isinstance(each, Reply) and each.future is future]:
                pending.pop(reply, None)

    def _tell_raised(self, error: BaseException) -> None:
        """Decide what an exception in a message handler does to the actor."""
        if isinstance(error, Exit):
            self._end(error.reason)
        elif not isinstance(error, Refusal):
            self._end(Crashed(error), crash=True)
            if _goes_on(error):
                raise error

    def _was_interrupted(self, error: BaseException, future: ScheduledFuture[Any] | None = None) -> None:
        """End the actor if what its turn has raised may not have been judged: a signal handler has raised as well."""
        if error.__class__ is Fenced or self._actor is None:
            return
        self._outer.append(Interrupted(error))
        if future is not None:
            future.offer(error=error)

    # -- ending ------------------------------------------------------------

    def _end_doomed(self) -> None:
        doom = self._doom
        assert isinstance(doom, Doom)
        self._end(doom.reason, by_signal=True)

    def _end(
        self,
        reason: object,
        *,
        crash: bool = False,
        by_signal: bool = False,
        silent: bool = False,
        last: tuple[ScheduledFuture[Any], BaseException] | None = None,
    ) -> None:
        """End the actor: cleanup, then name, then monitors and links (EXIT-10).

        Whatever the cleanup raises, the actor is dead afterwards; what is no
        `Exception` goes on from here once everybody has been told.
        """
        actor = self._actor
        if actor is None:
            return
        failure: BaseException | None = None
        self.ending = True
        if not silent and not (by_signal and isinstance(reason, str) and reason == KILLED):
            reason, failure = self._clean_up(reason, crash=crash, by_signal=by_signal)
        self.exit_reason = reason
        self._actor = None
        if self._inner is None:
            self._inner = CLOSED
        elif self._inner is not CLOSED:
            self._inner, rest = CLOSED, self._inner
            self._outer[:0] = rest  # asks get their answer below, in order
        if failure is not None:
            logger.error("Unhandled exception in %s:", actor, exc_info=failure)
        try:
            if not silent:
                self._leave_traces(actor)
            if crash:
                self.system.crashed(self, reason)
        finally:
            try:
                self._tell_all(reason, last)
            except BaseException:
                self._tell_all(reason, last)  # a signal handler has raised in the middle; twice does no harm
                raise
        if failure is not None and _goes_on(failure):
            raise failure

    def _leave_traces(self, actor: Any) -> None:
        try:
            actor.ended()
        except Exception:
            logger.exception("%s.ended() raised", self)
        except BaseException:
            actor.ended()  # as with what follows it
            raise

    def _tell_all(self, reason: object, last: tuple[ScheduledFuture[Any], BaseException] | None) -> None:
        """Have everybody know of the end; may be called again if it was interrupted."""
        self.system.ended(self, reason)
        if last is not None:
            last[0].offer(error=last[1])
        for reply in tuple(self._pending or ()):
            assert isinstance(reply, Reply)
            reply.future.offer(error=ActorDeadError.of(self, reason))
        self._pending = None
        self._announce(reason)
        self._bury()

    def _clean_up(self, reason: object, *, crash: bool, by_signal: bool) -> tuple[object, BaseException | None]:
        """Run the actor's cleanup; return the final reason, and what was raised if anything was."""
        if crash and isinstance(reason, Crashed) and not isinstance(reason.error, Exception):
            self.system.interrupted(self, reason.error)
        try:
            return self._actor.ending(reason, crash=crash, by_signal=by_signal), None
        except Fenced:
            raise
        except BaseException as error:  # noqa: BLE001 - what it is decides the caller
            return Crashed(error), error

    def _announce(self, reason: object) -> None:
        """Fire monitors and links; their receivers find the actor dead."""
        for watcher in self.watchers or ():
            if isinstance(watcher, MonitorRef):
                if watcher.owner is not None:
                    watcher.owner.signal(DownSignal(watcher, reason))
            elif isinstance(watcher, ScheduledFuture):
                watcher.offer(reason)
        self.watchers = None
        for linked in self.links or ():
            assert isinstance(linked, Cell)
            linked.signal(LinkExit(self, reason))
        self.links = None
        for monitor in self.monitors or ():
            assert isinstance(monitor, MonitorRef)
            if monitor.target is not None:
                monitor.target.signal(Demonitored(monitor))
        self.monitors = None

    def _bury(self) -> None:
        """Answer everything in a dead mailbox (step 3)."""
        turn = thread_turn.turn
        if not self.fenced or turn.current is not self:
            self._answer_rest()
            return
        # The turn that was fenced may not send any more; what the dead owe is not its doing.
        # With a depth, whoever gets something is run later, as from a turn.
        turn.current = None
        turn.depth += 1
        try:
            self._answer_rest()
        finally:
            turn.depth -= 1
            turn.current = self

    def _answer_rest(self) -> None:
        outer = self._outer
        while outer:
            answered = 0
            try:
                for each in outer[: len(outer)]:
                    self._answer(each)
                    answered += 1
            finally:
                del outer[:answered]

    def _answer(self, waiting: Any) -> None:
        hand = self.hand() if waiting is TICKET else [waiting]
        item = hand[0] if hand else NOTHING
        if isinstance(item, Ask):
            if item.message.__class__ is StopMessage:
                item.reply_to.offer(None)  # it did stop
            else:
                item.reply_to.offer(error=ActorDeadError.not_found(self, self.exit_reason))
        elif isinstance(item, Signal):
            item.bounce(self)
        elif item is not NOTHING and not isinstance(item, (Down, Exited)):
            # News of other ends concern nobody any more: no sender waits for an effect.
            self.system.dead_letter(self, item)
        del hand[:]


def _goes_on(error: BaseException) -> bool:
    """Tell whether what has ended an actor concerns the thread that ran it, too: Ctrl-C does.

    A worker has nobody to hand it on to, and ``sys.exit()`` in one actor, or the end of one
    coroutine or generator, is no reason for others to end.
    """
    if isinstance(error, (Exception, SystemExit, GeneratorExit)) or thread_turn.turn.worker is not None:
        return False
    asyncio = sys.modules.get("asyncio")  # nobody else raises it
    return asyncio is None or not isinstance(error, asyncio.CancelledError)
