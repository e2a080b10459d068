"""Calling a state machine, looking into it, and owing it a reply."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar, final, overload

from supervisors import behaviour, state
from supervisors.typed import Request

if TYPE_CHECKING:
    from supervisors.addressee import Addressee
    from supervisors.runtime.replies import Reply as OwedReply
    from supervisors.system import ActorSystem

__all__ = ["ANSWERED", "Answered", "Caller", "call", "get_state", "replace_state"]

R = TypeVar("R")


@overload
def call(
    machine: Addressee, request: Request[R], *, timeout: float | None = ..., system: ActorSystem | None = ...
) -> R: ...


@overload
def call(machine: Addressee, request: Any, *, timeout: float | None = ..., system: ActorSystem | None = ...) -> Any: ...


def call(machine: Addressee, request: Any, *, timeout: float | None = None, system: ActorSystem | None = None) -> Any:
    """Make a call and wait for the reply; by default without a limit (STM-43).

    `ref.ask(request)` is the same with the limit of the actor system, 5 seconds.

    Args:
        machine: the state machine: its ref, its name, or a `Via`.
        request: the content of the `CALL` event.
        timeout: seconds to wait; None waits without end.
        system: where to look a name up; not needed inside an actor.

    Raises:
        ActorDeadError: it was not there (``reason`` is ``"noproc"``), or has ended
            before it replied (SRV-2).
        AskTimeoutError: no reply in time.
        WrongActorError: it is neither a state machine nor a server.
    """
    return behaviour.call(machine, request, timeout=timeout, system=system)


def get_state(machine: Addressee, *, timeout: float | None = 5.0, system: ActorSystem | None = None) -> tuple[Any, Any]:
    """Return state and data of a state machine: `supervisors.state.get_state()` with a type (SRV-27)."""
    seen: tuple[Any, Any] = state.get_state(machine, timeout=timeout, system=system)
    return seen


def replace_state(
    machine: Addressee,
    change: Callable[[Any, Any], tuple[Any, Any]],
    *,
    timeout: float | None = 5.0,
    system: ActorSystem | None = None,
) -> tuple[Any, Any]:
    """Put another state and data in place: the same as `supervisors.state.replace_state()` with a type (SRV-27)."""
    seen: tuple[Any, Any] = state.replace_state(machine, change, timeout=timeout, system=system)
    return seen


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
