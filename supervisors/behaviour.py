"""What generic server and state machine have in common as actors.

* `init` runs in the new actor, and the starter waits for it (PROC-1).
* An exception that is no `Refusal` crashes the actor, in a call too; the caller
  gets it raised (SRV-11).
* `terminate` is called once, unless the actor is killed or ended by an exit signal
  that it does not trap (SRV-19, SRV-20).
* Calls are `ref.ask(...)` or `call(name, ...)`, casts are `cast(ref, ...)`, anything
  else that arrives is information.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar, final, overload

from supervisors.actor import Actor
from supervisors.addressee import Addressee, check_kind, find, ref_of
from supervisors.callbacks import Throw, UndefinedCallbackError
from supervisors.errors import Exit, InvalidTypeError
from supervisors.exits import NORMAL, Crashed, describe, is_abnormal
from supervisors.runtime.futures import checked_timeout
from supervisors.runtime.outcomes import ActorDeadError
from supervisors.runtime.pykka_adapter import PYKKA_MESSAGES, StopMessage, perform
from supervisors.runtime.ref import ASK_TIMEOUT, ActorRef
from supervisors.runtime.replies import Reply
from supervisors.runtime.signals import ControlMessage, Exited
from supervisors.state import StateRequest
from supervisors.typed import Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisors.runtime.ref import _Default
    from supervisors.system import ActorSystem

__all__ = [
    "ABOUT_ITSELF",
    "IGNORE",
    "Behaviour",
    "Cast",
    "EndNow",
    "Ignore",
    "StopRequest",
    "call",
    "cast",
    "reply",
    "stop",
]

logger = logging.getLogger("supervisors.behaviour")

R = TypeVar("R")

_ALLOWED: Final = "a Server or StateMachine"

ABOUT_ITSELF: Final = PYKKA_MESSAGES | {StateRequest}
"""Asks that no callback gets: a proxy's, and those of `supervisors.state`."""


@final
class Ignore:
    """The type of `IGNORE`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "IGNORE"


IGNORE: Final = Ignore()
"""Returned by `init`: there is nothing to do here; the starter gets `IgnoreStart` (PROC-3)."""


@final
class Cast:
    """A message on its way through `cast()`."""

    __slots__ = ("message",)

    def __init__(self, message: Any) -> None:
        self.message = message


@final
class StopRequest(ControlMessage):
    """Asks a behaviour to end with a reason, in mailbox order (SRV-25)."""

    __slots__ = ("reason",)

    def __init__(self, reason: object) -> None:
        self.reason = reason


@final
class EndNow(ControlMessage):
    """Ends the actor that has put it first in its own mailbox.

    For an end that has to wait until the turn is over, because its asker gets a
    reply: an exception would reach the asker in place of the reply.
    """

    __slots__ = ("reason",)

    def __init__(self, reason: object) -> None:
        self.reason = reason


@overload
def call(
    server: Addressee,
    request: Request[R],
    *,
    timeout: float | _Default | None = ...,
    system: ActorSystem | None = ...,
) -> R: ...


@overload
def call(
    server: Addressee,
    request: Any,
    *,
    timeout: float | _Default | None = ...,
    system: ActorSystem | None = ...,
) -> Any: ...


def call(
    server: Addressee,
    request: Any,
    *,
    timeout: float | _Default | None = ASK_TIMEOUT,
    system: ActorSystem | None = None,
) -> Any:
    """Make a call and wait for the reply (SRV-1, SRV-2).

    ``ref.ask(request)`` is the same for who has a ref.

    Args:
        server: a server or state machine: its ref, its name, or a `Via`.
        request: what its `handle_call` gets.
        timeout: seconds to wait; None waits without end. The default is the system's
            `ask_timeout`, 5 seconds.
        system: where to look a name up; not needed inside an actor.

    Raises:
        ActorDeadError: it was not there (``reason`` is ``"noproc"``), or has ended
            before it replied.
        AskTimeoutError: no reply in time.
        DeadlockError: it waits, directly or not, for the caller.
        WrongActorError: it is neither a server nor a state machine.
        Exception: what its callback has raised.

    Thread: any.
    """
    ref = ref_of(server, Cast, _ALLOWED, field="server", system=system, is_plain=True)
    return ref.ask(request, timeout=timeout)


def cast(server: Addressee, message: Any, *, system: ActorSystem | None = None) -> None:
    """Send a server or state machine a message that wants no answer (SRV-4).

    Never blocks. To a dead actor the message becomes a dead letter; for a name that
    nobody has, nothing happens (NAME-4).

    Args:
        server: its ref, its name, or a `Via`.
        message: what its `handle_cast` gets.
        system: where to look a name up; not needed inside an actor.

    Raises:
        WrongActorError: it is neither a server nor a state machine.

    Thread: any.
    """
    ref = server if isinstance(server, ActorRef) else find(server, field="server", system=system)
    if ref is None:
        return
    check_kind(ref, Cast, _ALLOWED, field="server")
    ref.send(Cast(message))


def reply(owed: Reply, value: Any = None) -> bool:
    """Answer a call that was left unanswered (SRV-8).

    Args:
        owed: what `defer_reply()` returned to the server.
        value: the answer.

    Returns:
        False if there was an outcome already: an answer, the caller's time was up,
        or the server has ended.

    Thread: any.
    """
    if not isinstance(owed, Reply):
        raise InvalidTypeError("owed", owed, "what defer_reply() returned")
    return owed.set(value)


def stop(
    server: Addressee,
    reason: object = NORMAL,
    *,
    timeout: float | None = None,
    system: ActorSystem | None = None,
) -> None:
    """Have a server or state machine terminate, and wait until it has (SRV-25).

    It finishes what is in its mailbox already.

    Args:
        server: its ref, its name, or a `Via`.
        reason: its exit reason.
        timeout: seconds to wait; None waits without end.
        system: where to look a name up; not needed inside an actor.

    Raises:
        ActorDeadError: it was not there (``reason`` is ``"noproc"``), or has ended
            with another reason.
        AskTimeoutError: it still lives when the time is up.
        DeadlockError: it is the caller, or waits for it.
        WrongActorError: it is neither a server nor a state machine.
    """
    ref = ref_of(server, StopRequest, _ALLOWED, field="server", system=system)
    limit = checked_timeout(timeout)
    end = ref.when_ended()
    ref.send(StopRequest(reason))
    actual = end.get(timeout=limit)
    if actual != reason:
        raise ActorDeadError.of(ref, actual)


class Behaviour(Actor):
    """The common part of `Server` and `StateMachine`; subclass those.

    Whatever the constructor gets goes to `init`.
    """

    client_messages: ClassVar[frozenset[type]] = frozenset({Cast, StopRequest, StateRequest})
    system_messages: ClassVar[frozenset[type]] = frozenset({StopRequest, StopMessage, EndNow, StateRequest, Exited})
    crash_on_ask_error: ClassVar[bool] = True

    _is_up = False
    _is_terminated = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        self._arguments = (args, kwargs)

    # -- what the runtime calls --------------------------------------------

    def starting(self) -> None:
        args, kwargs = self._arguments
        del self._arguments  # they may be large, and are not needed again
        self._begin(args, kwargs)
        self._is_up = True

    def ending(self, reason: object, *, crash: bool, by_signal: bool) -> object:
        error = reason.error if crash and isinstance(reason, Crashed) else None
        if is_abnormal(reason) and not by_signal:  # SRV-22; an exit signal is its sender's news
            logger.error("%s terminates: %s", self, describe(reason), exc_info=error)
        if by_signal or not self._is_up:  # SRV-20
            return reason
        return self._terminated(reason)

    # -- for Server and StateMachine ---------------------------------------

    def _begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Call `init` and make something of its result."""
        raise UndefinedCallbackError(self, "_begin")

    def _call_terminate(self, reason: object) -> None:
        """Call the user's `terminate`."""
        raise UndefinedCallbackError(self, "_call_terminate")

    def _look(self) -> Any:
        """Return the state, for `get_state()`."""
        raise UndefinedCallbackError(self, "_look")

    def _change(self, change: Callable[..., Any]) -> None:
        """Put what the change makes of the state in its place, or change nothing and raise."""
        raise UndefinedCallbackError(self, "_change")

    def _answer_about_itself(self, message: Any) -> Any:
        """Answer an ask that no callback gets (SRV-27)."""
        if message.__class__ is not StateRequest:
            return perform(self, message)
        if message.change is not None:
            try:
                self._change(message.change)
            except Exception as error:  # noqa: BLE001 - the caller's mistake, not the actor's
                self._actor_ref.defer().refuse(error)
                return None
        return self._look()

    def _terminated(self, reason: object) -> object:
        """Terminate, unless that has been done; return the final reason (SRV-19, SRV-21)."""
        if self._is_terminated:
            return reason
        self._is_terminated = True
        try:
            self._call_terminate(reason)
        except Throw:
            return reason  # a throw is a return (SRV-9), and what terminate returns is ignored
        except Exit as ended:
            return ended.reason
        except Exception as error:
            logger.exception("%s: terminate() raised", self)
            return Crashed(error)
        return reason

    def _end_after_this(self, reason: object) -> None:
        """End when this turn is over, before another message is handled."""
        self._actor_ref.put_first(EndNow(reason))

    def _is_parents_exit(self, exited: Exited) -> bool:
        """Tell whether a trapped exit message is the parent's (SRV-24).

        Who has no parent belongs to the system: when that stops, its exit signal counts.
        """
        parent = self._actor_ref.parent
        return exited.source is parent and (parent is not None or self.system.is_stopped)
