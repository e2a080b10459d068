"""Calling a state machine, looking into it, and owing it a reply."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, final

if TYPE_CHECKING:
    from supervisors.runtime.cell import Reply as OwedReply
    from supervisors.runtime.ref import ActorRef

__all__ = ["ANSWERED", "Answered", "Caller", "StateRequest", "call", "get_state", "replace_state"]


def call(ref: ActorRef[Any], request: Any, *, timeout: float | None = None) -> Any:
    """Make a call and wait for the reply; by default without a limit (STM-43).

    `ref.ask(request)` is the same with the limit of the actor system, 5 seconds.

    Args:
        ref: the state machine.
        request: the content of the `CALL` event.
        timeout: seconds to wait; None waits without end.

    Raises:
        ActorDeadError: it is dead, or has ended before it replied (SRV-2).
        AskTimeoutError: no reply in time.
    """
    return ref.ask(request, timeout=timeout)


def get_state(ref: ActorRef[Any], *, timeout: float | None = 5.0) -> tuple[Any, Any]:
    """Return state and data of a state machine, for looking at it (SRV-27).

    Handled in mailbox order, but it is no event: nothing is called or cancelled.

    Args:
        ref: the state machine.
        timeout: seconds to wait; None waits without end.
    """
    seen: tuple[Any, Any] = ref.ask(StateRequest(None), timeout=timeout)
    return seen


def replace_state(
    ref: ActorRef[Any], change: Callable[[Any, Any], tuple[Any, Any]], *, timeout: float | None = 5.0
) -> tuple[Any, Any]:
    """Put another state and data in place, for repair by hand (SRV-27).

    It is no change of state in the machine's own sense: no enter call is made, no
    time-out is cancelled, and postponed events stay put aside.

    Args:
        ref: the state machine.
        change: is given state and data and returns new ones; runs in the machine's
            own turn. What it raises goes to the caller, and nothing changes.
        timeout: seconds to wait; None waits without end.

    Returns:
        The new state and data.
    """
    seen: tuple[Any, Any] = ref.ask(StateRequest(change), timeout=timeout)
    return seen


@final
class StateRequest:
    """Asks for state and data, perhaps to change them before."""

    __slots__ = ("change",)

    def __init__(self, change: Callable[[Any, Any], tuple[Any, Any]] | None) -> None:
        self.change = change


@final
class Caller:
    """Who made the call in hand; becomes an owed reply only if it is needed later.

    Made for every call, hence without a constructor: `owed` is absent until the
    turn knows that the reply does not simply go out by returning from it.
    """

    __slots__ = ("owed",)

    owed: OwedReply | Answered


@final
class Answered:
    """In place of an owed reply: the call has had its answer; another one is dropped."""

    __slots__ = ()

    def set(self, value: object) -> bool:
        del value
        return False

    def refuse(self, error: BaseException) -> bool:
        del error
        return False


ANSWERED: Final = Answered()
