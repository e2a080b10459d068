"""What users hold: a real `pykka.ActorRef` that is the actor's mailbox as well.

The two fast paths are here. An ask of an idle inline actor owns the mailbox, sees
that it is empty, calls the handler and releases: no envelope, no future, no
thread switch. See `cell.py` for the protocol and for why this is safe.

Source: `pykka.ActorRef` (decisions 3 and 9).
"""

from __future__ import annotations

from typing import Any, Final, Literal, TypeVar, cast, final, overload

import pykka

from supervisors.exits import KILLED, NORMAL
from supervisors.runtime.cell import CLOSED, TOKEN
from supervisors.runtime.fence import Fence, Fenced
from supervisors.runtime.futures import ScheduledFuture, checked_timeout, refuse_cycle
from supervisors.runtime.life import LivingCell
from supervisors.runtime.outcomes import ActorDeadError, AskTimeoutError, StartError
from supervisors.runtime.pykka_adapter import StopMessage, StopNow
from supervisors.runtime.pykka_views import Inbox, Stopped, copy_outcome
from supervisors.runtime.replies import NOBODY
from supervisors.runtime.signals import Ask, ExitSignal, Resumed, Suspended, Unwatched, Watched
from supervisors.runtime.spinning import roused
from supervisors.runtime.turn import NESTING_MAX, Turn, drain, hand_over, thread_turn
from supervisors.typed import Request

__all__ = ["ASK_TIMEOUT", "ActorRef"]

A = TypeVar("A", bound="pykka.Actor")
R = TypeVar("R")


@final
class _Default:
    """The type of `ASK_TIMEOUT`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "ASK_TIMEOUT"


ASK_TIMEOUT: Final = _Default()
"""Stands for the system's `ask_timeout`, 5 seconds unless set otherwise (SRV-1)."""


class ActorRef(LivingCell, pykka.ActorRef[A]):
    """Reference to an actor: send to it, ask it, stop it, from any thread.

    Refs compare by identity and stay valid as names after the actor's death.
    Created by starting an actor, never by hand.
    """

    __slots__ = ()

    # -- what users see ----------------------------------------------------

    @overload  # type: ignore[override]  # the default timeout is the system's, not None
    def ask(
        self, message: Request[R], *, block: Literal[False], timeout: float | _Default | None = ...
    ) -> ScheduledFuture[R]: ...

    @overload
    def ask(self, message: Request[R], *, block: Literal[True] = ..., timeout: float | _Default | None = ...) -> R: ...

    @overload
    def ask(
        self, message: Any, *, block: Literal[False], timeout: float | _Default | None = ...
    ) -> ScheduledFuture[Any]: ...

    @overload
    def ask(self, message: Any, *, block: Literal[True] = ..., timeout: float | _Default | None = ...) -> Any: ...

    @overload
    def ask(self, message: Any, *, block: bool, timeout: float | _Default | None = ...) -> Any: ...

    def ask(  # noqa: C901, PLR0912, PLR0915 - the fast path is one function
        self, message: Any, *, block: bool = True, timeout: float | _Default | None = ASK_TIMEOUT
    ) -> Any:
        """Send a message and get the reply.

        Args:
            message: anything; it is not copied.
            block: False returns a future at once.
            timeout: seconds to wait when blocking; None waits without end. The
                default is the system's `ask_timeout` (5 seconds).

        Raises:
            ActorDeadError: the actor is dead, or died before it replied.
            AskTimeoutError: no reply in time. An inline actor that was idle
                runs on the asking thread, so its turn is waited for.
            DeadlockError: the actor waits, directly or not, for the asker.
            Exception: what the handler raised.

        Thread: any.
        """
        if timeout is not ASK_TIMEOUT and (timeout.__class__ is not float or timeout != timeout):  # noqa: PLR0124 - NaN
            timeout = checked_timeout(timeout)
        if block and self._inline and self._inner is None and not self._outer:
            # The fast path: if the mailbox can be had, and is empty, this is the
            # next message in order, and we can just handle it here. No call
            # stands between the `del` and the `try`: see cell.py.
            turn = thread_turn.turn
            depth = turn.depth
            caller = turn.current
            if caller is not None and caller.fenced:
                raise Fenced
            gate = self._gate
            try:
                del gate[0]
            except IndexError:
                pass
            else:
                if depth >= NESTING_MAX or self._inner is not None or self._outer:
                    gate += TOKEN
                    self.look_again()
                else:
                    if caller is not None:
                        caller.waits_for = self
                    turn.current = self
                    turn.depth = depth + 1
                    self.messages_handled += 1
                    try:
                        reply = self._actor.receive_ask(message)
                        deferred = self._deferred
                        if deferred is not None:
                            self._deferred = None
                    except StopNow:
                        self._end(NORMAL)
                        return None
                    except BaseException as error:
                        try:
                            self._ask_raised(error)
                        except BaseException as raised:
                            self._was_interrupted(raised)
                            raise
                        raise
                    finally:
                        turn.current = caller
                        turn.depth = depth
                        if caller is not None:
                            caller.waits_for = None
                        gate += TOKEN
                        # Look again. What is left over is not run inside the
                        # caller's turn: the caller has its reply, so if one of
                        # these asked the caller back, both would hang. Who has
                        # ended has answered everything that came before the token.
                        if self._outer or (self._inner is not None and self._inner is not CLOSED):
                            self._wake(turn)
                        if turn.ready and depth == 0:
                            drain(turn)
                    if deferred is None:
                        return reply
                    return self._get(deferred, timeout)
        return self._ask_queued(message, block, timeout)

    def _ask_queued(self, message: Any, block: bool, timeout: float | _Default | None) -> Any:
        """Ask through the mailbox: the way of everything but an idle inline actor."""
        turn = thread_turn.turn
        scheduler = self.system.scheduler
        if turn.current is not None:
            if turn.current.fenced:
                raise Fenced
            if block:
                refuse_cycle(turn.current, self)
        elif block and not self._inline and turn.worker is None and scheduler.is_threaded:
            return self._ask_blocking(message, timeout, turn)
        future: ScheduledFuture[Any] = ScheduledFuture(scheduler, self)
        try:
            self._outer.append(Ask(message, future))
            self._wake(turn)
        except BaseException:
            self.look_again()
            raise
        return self._get(future, timeout) if block else future

    def _ask_blocking(self, message: Any, timeout: float | _Default | None, turn: Turn) -> Any:
        """Ask from a thread that is no actor's: it sets up its wait first, and then has nothing to do but block."""
        seconds = self.system.ask_timeout if isinstance(timeout, _Default) else checked_timeout(timeout)
        future: ScheduledFuture[Any] = ScheduledFuture(self.system.scheduler, self)
        gate = future.gate()
        try:
            self._outer.append(Ask(message, future))
            self._wake(turn)
            if turn.ready:
                hand_over(turn)
            is_open = gate.wait(seconds, turn.spinner)
        except BaseException:
            self.look_again()
            raise
        finally:
            gate.is_left = True
            roused.discard(gate)
        if not is_open:
            assert seconds is not None, "a wait without end has none"
            late = AskTimeoutError(seconds, self)
            if future.offer(error=late):
                raise late
            # It is a reply at the last moment.
        return future.get()

    def _get(self, future: ScheduledFuture[Any], timeout: float | _Default | None) -> Any:
        try:
            return future.get(timeout=self.system.ask_timeout if isinstance(timeout, _Default) else timeout)
        except AskTimeoutError as late:
            # Nobody else has this future: a reply from now on is a dead letter
            # (SRV-3), unless it has come at the last moment.
            if future.offer(error=late):
                raise
            return future.get()

    @overload
    async def ask_async(self, message: Request[R], *, timeout: float | _Default | None = ...) -> R: ...  # noqa: ASYNC109 - as below

    @overload
    async def ask_async(self, message: Any, *, timeout: float | _Default | None = ...) -> Any: ...  # noqa: ASYNC109 - as below

    async def ask_async(
        self,
        message: Any,
        *,
        timeout: float | _Default | None = ASK_TIMEOUT,  # noqa: ASYNC109 - as in ask()
    ) -> Any:
        """Ask without blocking the event loop.

        An idle inline actor runs at once, on the loop's thread: its handlers
        never block. Cancelling the task forgets the reply; the actor is not told.

        Args:
            message: anything; it is not copied.
            timeout: seconds of the loop's time; None waits without end. The
                default is the system's `ask_timeout`.

        Raises:
            ActorDeadError: the actor is dead, or died before it replied.
            AskTimeoutError: no reply in time.
            DeadlockError: the loop runs inside the turn of an actor that this one waits for.
            Exception: what the handler raised.
        """
        if timeout is not ASK_TIMEOUT:
            timeout = checked_timeout(timeout)
        current = thread_turn.turn.current
        if current is not None:
            refuse_cycle(current, self)
        future: ScheduledFuture[Any] = self._ask_queued(message, False, None)
        if future.is_done():
            return future.get()
        return await future.get_async(timeout=self.system.ask_timeout if isinstance(timeout, _Default) else timeout)

    def tell(self, message: Any) -> None:
        """Send a message without waiting.

        Never blocks. Messages from one sender are handled in the order sent.

        Raises:
            ActorDeadError: the actor is known to be dead (Pykka's rule; `send()`
                never raises, as in OTP).

        Thread: any.
        """
        if self._actor is None:
            raise ActorDeadError.not_found(self, self.exit_reason)
        turn = thread_turn.turn
        if turn.current is None:
            if self._inline and not turn.depth and self._handle_now(message, turn):
                return
        elif turn.current.fenced:
            raise Fenced
        try:
            self._outer.append(message)
            self._wake(turn)
        except BaseException:
            self.look_again()  # a signal handler may have come between the two
            raise

    def _handle_now(self, message: Any, turn: Turn) -> bool:
        """Handle a message from a plain thread here, if the actor is idle; return whether that was done."""
        outer = self._outer
        if self._inner is not None or outer:
            return False
        # The fast path, as in ask(). A dead actor is never idle: its `_inner` is CLOSED.
        gate = self._gate
        try:
            del gate[0]
        except IndexError:
            return False
        try:
            if self._inner is not None or outer:
                return False
            self._handle_here(message, turn)
            return True
        finally:
            turn.current = None
            turn.depth = 0
            gate += TOKEN
            if outer or self._inner is not None:
                self._wake(turn)
            if turn.ready:
                drain(turn)

    def _handle_here(self, message: Any, turn: Turn) -> None:
        turn.current = self
        turn.depth = 1
        self.messages_handled += 1
        self._reply_to = NOBODY
        try:
            self._actor.receive_tell(message)
        except BaseException as error:  # noqa: BLE001 - sorted out there
            try:
                self._tell_raised(error)
            except BaseException as raised:
                self._was_interrupted(raised)
                raise
        finally:
            self._reply_to = None

    def send(self, message: Any) -> None:
        """Send a message; to a dead actor it becomes a dead letter (SIG-4).

        Never blocks and never raises.

        Thread: any.
        """
        turn = thread_turn.turn
        if turn.current is None:
            if self._inline and not turn.depth and self._handle_now(message, turn):
                return
        elif turn.current.fenced:
            raise Fenced
        try:
            self._outer.append(message)
            self._wake(turn)
        except BaseException:
            self.look_again()  # as in tell()
            raise

    def exit(self, reason: object = "shutdown") -> None:
        """Send an exit signal (`exit/2`); returns at once, also for the dead (SIG-8).

        An actor that does not trap exits ends with the reason, before it handles
        another message (SIG-5); `"normal"` from another actor is ignored. One that
        traps exits gets an `Exited` message. `"kill"` cannot be trapped.

        Thread: any; the source of the signal is the actor whose turn it is.
        """
        self.signal(ExitSignal(thread_turn.turn.current, reason))

    def kill(self) -> None:
        """End the actor with reason `"killed"`, without running its code (EXIT-7).

        A turn of an inline actor that is running is not interrupted: the actor ends
        after it. Others end at once: the turn that is running is fenced, and its
        thread is abandoned and replaced (see `supervisors.runtime.fence`).
        """
        self.exit("kill")
        fence = self._actor
        if isinstance(fence, Fence) and thread_turn.turn.current is not self:
            self._take_over(fence)

    def _take_over(self, fence: Fence) -> None:
        """End the actor in place of the thread that is in its code, if there is one."""
        try:
            del fence.claim[0]  # not a call: see cell.py
        except IndexError:
            return
        # We own the mailbox, in place of that thread.
        asked = self._reply_to
        try:
            self._end_fenced(fence, asked)
        except BaseException:
            self._end_fenced(fence, asked)  # a signal handler has raised in the middle; twice does no harm
            raise
        finally:
            self._gate += TOKEN
            self.look_again()

    def _end_fenced(self, fence: Fence, asked: object) -> None:
        self.fenced = True
        self._reply_to = self._deferred = None
        self._end(KILLED, by_signal=True)
        if isinstance(asked, ScheduledFuture):  # its starter waits for that before its first message
            asked.offer(error=ActorDeadError.of(self, KILLED) if self.messages_handled else StartError(KILLED, self))
        if fence.turn is not None:
            self.system.scheduler.abandon(fence.turn)

    def stop(self, *, block: bool = True, timeout: float | None = None) -> Any:
        """Ask the actor to stop after the messages it already has (Pykka's rule).

        Args:
            block: False returns a future.
            timeout: seconds to wait when blocking; None waits without end.

        Returns:
            True if it was alive and has stopped, False if it was dead already.
        """
        answer: ScheduledFuture[bool]
        if self._actor is None:
            if block:
                return False
            answer = ScheduledFuture(self.system.scheduler, self)
            answer.set(False)
            return answer
        asked = self.ask(StopMessage(), block=False)
        if block:
            try:
                asked.get(timeout=timeout)
            except ActorDeadError:
                return False
            return True
        answer = ScheduledFuture(self.system.scheduler, self)

        def convert() -> None:
            # Not a get hook: `await ref.stop(block=False)` must not block a loop.
            try:
                asked.get(timeout=0)
            except ActorDeadError:
                answer.offer(False)
            else:
                answer.offer(True)

        asked.when_done(convert)
        return answer

    def join(self, timeout: float | None = None) -> object:
        """Wait for the actor's end and return its exit reason.

        Args:
            timeout: seconds to wait; None waits without end.

        Raises:
            AskTimeoutError: it still lives when the time is up.
        """
        future = self.when_ended()
        try:
            return future.get(timeout=timeout)
        except AskTimeoutError:
            self.signal(Unwatched(future))
            raise

    def when_ended(self) -> ScheduledFuture[object]:
        """Return a future of the exit reason, set once cleanup has ended."""
        future: ScheduledFuture[object] = ScheduledFuture(self.system.scheduler, self)
        self.signal(Watched(future))
        return future

    def suspend(self) -> None:
        """Hold back messages until `resume()` (SRV-27).

        Signals are taken as ever. A server or state machine also handles `stop()`,
        `get_state()`, `replace_state()`, and its parent's exit if it traps exits, before
        the messages that wait.
        """
        self.signal(Suspended())

    def resume(self) -> None:
        """Let a suspended actor go on."""
        self.signal(Resumed())

    # -- what Pykka wants to see -------------------------------------------

    @property
    def actor_urn(self) -> str:  # type: ignore[override]  # computed: saves 102 bytes an actor
        """The actor's URN: unique, and the same again under the same seed."""
        # A version 4 UUID whose last 62 bits are the actor's number.
        high = int.from_bytes(self.system.identity[:8], "big") & ~0xF000 | 0x4000
        digits = f"{high << 64 | 1 << 63 | self.id:032x}"
        return f"urn:uuid:{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"

    @property
    def actor_inbox(self) -> Inbox:  # type: ignore[override]  # ours has no get()
        """Pykka's view of the mailbox."""
        return Inbox(self)

    @property
    def actor_stopped(self) -> Stopped:  # type: ignore[override]  # looks like an Event
        """Pykka's view of being dead: an object like `threading.Event`."""
        return Stopped(self)

    def _actor_weakref(self) -> A | None:  # type: ignore[override]  # a call instead of a weakref
        # Pykka's proxies call this like a weak reference.
        actor = self._actor
        return cast("A | None", actor.actor if isinstance(actor, Fence) else actor)

    def __repr__(self) -> str:
        return f"<ActorRef for {self}>"

    def __str__(self) -> str:
        if self.name is not None:
            return f"{self.actor_class.__name__} {self.name!r} ({self.actor_urn})"
        return f"{self.actor_class.__name__} ({self.actor_urn})"

    def forward(self, message: Any, reply_to: pykka.Future[Any]) -> None:
        """Ask on behalf of somebody who brings a future of another kind."""
        future: ScheduledFuture[Any] = ScheduledFuture(self.system.scheduler, self)
        future.when_done(lambda: copy_outcome(future, reply_to))
        self._outer.append(Ask(message, future))
        self._wake(thread_turn.turn)
