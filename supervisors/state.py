"""Looking into a running server or state machine, and repair by hand (OTP's `sys`, SRV-27).

What the state is says its kind: of a `Server` a dict of its attributes, of a
`StateMachine` its state and its data. Both are for people who look for a fault; a
program that needs to know something asks for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, final

from supervisors.addressee import Addressee, ref_of
from supervisors.errors import InvalidArgumentError, InvalidTypeError
from supervisors.runtime.signals import ControlMessage

if TYPE_CHECKING:
    from supervisors.system import ActorSystem

__all__ = ["StateRequest", "attributes_of", "change_attributes", "get_state", "replace_state"]

_ALLOWED: Final = "a Server or StateMachine"

# What an instance has of the library's own: no part of the state.
_THE_LIBRARYS: Final = frozenset(
    {
        "_actor_ref",
        "_alarm",
        "_arguments",
        "_failed_to_start",
        "_idle",
        "_idle_seconds",
        "_in_hand",
        "_is_terminated",
        "_is_up",
        "_owed",
        "_to_blame",
        "_waits_for_idle",
    }
)


@final
class StateRequest(ControlMessage):
    """Asks for the state, perhaps to change it before."""

    __slots__ = ("change",)

    def __init__(self, change: Callable[..., Any] | None) -> None:
        self.change = change


def get_state(server: Addressee, *, timeout: float | None = 5.0, system: ActorSystem | None = None) -> Any:
    """Return the state of a server or state machine (SRV-27).

    Handled in mailbox order, but it is no event: nothing is called or cancelled; the
    time-out that a server waits for starts anew. A suspended one answers at once.

    Args:
        server: a server or state machine: its ref, its name, or a `Via`.
        timeout: seconds to wait; None waits without end.
        system: where to look a name up; not needed inside an actor.

    Returns:
        Of a server, a new dict of its attributes, without those of the library and
        those in slots. Of a state machine, a tuple of state and data.

    Raises:
        ActorDeadError: it was not there, or has ended before it replied.
        AskTimeoutError: no reply in time.
        WrongActorError: it is neither a server nor a state machine.

    Thread: any.
    """
    return ref_of(server, StateRequest, _ALLOWED, field="server", system=system).ask(
        StateRequest(None), timeout=timeout
    )


def replace_state(
    server: Addressee,
    change: Callable[..., Any],
    *,
    timeout: float | None = 5.0,
    system: ActorSystem | None = None,
) -> Any:
    """Put another state in place, for repair by hand (SRV-27).

    For a state machine it is no change of state in its own sense: no enter call is
    made, no time-out is cancelled, and postponed events stay put aside.

    Args:
        server: a server or state machine: its ref, its name, or a `Via`.
        change: is given what `get_state()` returns, by a machine as two arguments, and
            returns what shall be in its place; runs in the receiver's own turn. What it
            raises goes to the caller, and nothing changes.
        timeout: seconds to wait; None waits without end.
        system: where to look a name up; not needed inside an actor.

    Returns:
        The new state.

    Raises:
        ActorDeadError: it was not there, or has ended before it replied.
        AskTimeoutError: no reply in time; it may still be done.
        WrongActorError: it is neither a server nor a state machine.
        InvalidTypeError: the change is no function, or what it returned is no state.

    Thread: any.
    """
    if not callable(change):
        raise InvalidTypeError("change", change, "a function of the state that returns the new one")
    return ref_of(server, StateRequest, _ALLOWED, field="server", system=system).ask(
        StateRequest(change), timeout=timeout
    )


def attributes_of(server: object) -> dict[str, Any]:
    """Return the attributes that a server has of its own, in a new dict.

    Thread: the server's own turn only.
    """
    return {name: value for name, value in vars(server).items() if name not in _THE_LIBRARYS}


def change_attributes(server: object, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Put what a function makes of a server's attributes in their place, or change nothing and raise.

    Raises:
        InvalidTypeError: it did not return a dict of names and values.
        InvalidArgumentError: one of the names is the library's own.
        Exception: what the function raised.

    Thread: the server's own turn only.
    """
    before = attributes_of(server)
    changed = change(dict(before))
    if changed.__class__ is not dict or not all(isinstance(name, str) for name in changed):
        raise InvalidTypeError("change", changed, "a function that returns a dict of attributes")
    for name in changed:
        if name in _THE_LIBRARYS:
            raise InvalidArgumentError("change", name, "attributes that are not the library's own")
    attributes = vars(server)
    for name in before:
        if name not in changed:
            del attributes[name]
    attributes.update(changed)
