"""What generic server and state machine have in common as actors.

* `init` runs in the new actor, and the starter waits for it (PROC-1).
* An exception that is no `Refusal` crashes the actor, in a call too; the caller
  gets it raised (SRV-11).
* `terminate` is called once, unless the actor is killed or ended by an exit signal
  that it does not trap (SRV-19, SRV-20).
* Calls are `ref.ask(...)`, casts are `cast(ref, ...)`, anything else that arrives is
  information.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, ClassVar, Final, final

from supervisors.actor import Actor
from supervisors.callbacks import UndefinedCallbackError
from supervisors.errors import Exit
from supervisors.exits import NORMAL, Crashed, describe, is_abnormal
from supervisors.runtime.outcomes import ActorDeadError

if TYPE_CHECKING:
    from supervisors.runtime.ref import ActorRef
    from supervisors.runtime.signals import Exited

__all__ = ["IGNORE", "Behaviour", "Cast", "EndNow", "Ignore", "StopRequest", "cast", "stop"]

logger = logging.getLogger("supervisors.behaviour")


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
class StopRequest:
    """Asks a behaviour to end with a reason, in mailbox order (SRV-25)."""

    __slots__ = ("reason",)

    def __init__(self, reason: object) -> None:
        self.reason = reason


@final
class EndNow:
    """Ends the actor that has put it first in its own mailbox.

    For an end that has to wait until the turn is over, because its asker gets a
    reply: an exception would reach the asker in place of the reply.
    """

    __slots__ = ("reason",)

    def __init__(self, reason: object) -> None:
        self.reason = reason


def cast(ref: ActorRef[Any], message: Any) -> None:
    """Send a server or state machine a message that wants no answer (SRV-4).

    Never blocks and never raises; to a dead actor it becomes a dead letter.

    Thread: any.
    """
    ref.send(Cast(message))


def stop(ref: ActorRef[Any], reason: object = NORMAL, *, timeout: float | None = None) -> None:
    """Have a server or state machine terminate, and wait until it has (SRV-25).

    It finishes what is in its mailbox already.

    Args:
        ref: which one.
        reason: its exit reason.
        timeout: seconds to wait; None waits without end.

    Raises:
        ActorDeadError: it was not there (``reason`` is ``"noproc"``), or has ended
            with another reason.
        AskTimeoutError: it still lives when the time is up.
    """
    if not ref.is_alive():
        raise ActorDeadError.of(ref, "noproc")
    end = ref.when_ended()
    ref.send(StopRequest(reason))
    actual = end.get(timeout=timeout)
    if actual != reason:
        raise ActorDeadError.of(ref, actual)


class Behaviour(Actor):
    """The common part of `Server` and `StateMachine`; subclass those.

    Whatever the constructor gets goes to `init`.
    """

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

    def _terminated(self, reason: object) -> object:
        """Terminate, unless that has been done; return the final reason (SRV-19, SRV-21)."""
        if self._is_terminated:
            return reason
        self._is_terminated = True
        try:
            self._call_terminate(reason)
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
        """Tell whether a trapped exit message is the parent's (SRV-24)."""
        return exited.source is not None and exited.source is self._actor_ref.parent
