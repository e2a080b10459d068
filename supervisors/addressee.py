"""Whom the functions for clients may be given: a ref, a registered name, or a `Via`.

OTP's `gen_server:call/2` and its sisters take a pid or any name. So do ours: `call()`,
`cast()`, `stop()`, `start_child()`, `async_()`, `shut_down()` and the rest. A name is
looked up at every use, in the system of the running actor; on a plain thread, which
belongs to no system, say which one with ``system=...``. A `Via` brings its registry along.

They also make sure that the actor is of the kind that they are for. To an actor of
any other kind their message would be one like all others, and an answer would never come.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, TypeAlias, cast, final

import pykka

from supervisors.errors import InvalidArgumentError, InvalidTypeError, NoActorError
from supervisors.exits import NOPROC
from supervisors.runtime.outcomes import ActorDeadError
from supervisors.runtime.ref import ActorRef
from supervisors.runtime.turn import current_ref
from supervisors.via import Via

if TYPE_CHECKING:
    from supervisors.system import ActorSystem

__all__ = ["Addressee", "WrongActorError", "check_kind", "find", "ref_of"]

Addressee: TypeAlias = ActorRef[Any] | Via | Hashable
"""A ref, a registered name, or a `Via`."""

_ALLOWED = "an ActorRef, a registered name, or a Via"


@final
class WrongActorError(InvalidTypeError):
    """The actor is there, but it is not of the kind that the function is for.

    Attributes:
        ref: the actor.
    """

    def __init__(self, field: str, ref: ActorRef[Any], allowed: str) -> None:
        super().__init__(field, ref, allowed)
        self.ref = ref
        self.args = (f"{field}: {ref} is not allowed; allowed: {allowed}",)


def ref_of(
    whom: Addressee,
    message: type | None,
    allowed: str,
    *,
    field: str,
    system: ActorSystem | None = None,
    is_plain: bool = False,
) -> ActorRef[Any]:
    """Return the living actor that is meant.

    Args:
        whom: a ref, a registered name, or a `Via`.
        message: the kind of message that it will get, which its class must know
            (`Actor.client_messages`); None: any actor will do.
        allowed: what kind of actor that is, in words.
        field: the argument, for errors.
        system: where a name is looked up; None: in the system of the running actor.
        is_plain: what will be sent is the caller's own message, and not one of that kind.

    Raises:
        ActorDeadError: nobody is there, or nobody any more; the reason is `"noproc"` (SRV-2).
        WrongActorError: the actor does not know such messages.
        InvalidTypeError: this is neither a ref nor a name.
        NoActorError: a name was given outside any actor, without a system.

    Thread: any; never blocks.
    """
    ref = whom if isinstance(whom, ActorRef) else find(whom, field=field, system=system)
    if ref is None:
        name = whom.name if isinstance(whom, Via) else whom
        raise ActorDeadError(f"nobody has the name {name!r}", NOPROC)
    if message is not None:
        check_kind(ref, message, allowed, field=field, is_plain=is_plain)
    if not ref.is_alive():
        raise ActorDeadError.of(ref, NOPROC)
    return ref


def check_kind(ref: ActorRef[Any], message: type, allowed: str, *, field: str, is_plain: bool = False) -> None:
    """Raise `WrongActorError` if an actor does not know a kind of message, or it cannot reach it."""
    if message not in ref.actor_class.client_messages:
        raise WrongActorError(field, ref, allowed)
    if not is_plain and ref.actor_class.dispatch == "process":
        raise WrongActorError(
            field, ref, f"{allowed} in this process; it lives in another, where only asks and tells go"
        )


def find(whom: Addressee, *, field: str, system: ActorSystem | None = None) -> ActorRef[Any] | None:
    """Return the actor that is meant, dead or alive, or None if nobody has the name.

    Raises:
        InvalidTypeError: this is neither a ref nor a name.
        NoActorError: a name was given outside any actor, without a system.
    """
    if isinstance(whom, ActorRef):
        return whom
    if isinstance(whom, Via):
        return whom.whereis()
    _check_name(whom, field)
    if system is None:
        current = current_ref()
        if current is None:
            raise NoActorError(f"outside an actor, say in which system to look for the name {whom!r}: system=...")
        system = cast("ActorSystem", current.system)
    elif not hasattr(system, "whereis"):
        raise InvalidTypeError("system", system, "an ActorSystem, or None in an actor's turn")
    return system.whereis(whom)


def _check_name(name: object, field: str) -> None:
    # The ref of another library's actor, and the actor itself, could be names; nobody means that.
    if isinstance(name, (pykka.ActorRef, pykka.Actor)):
        raise InvalidTypeError(field, name, _ALLOWED)
    if name is None:
        raise InvalidArgumentError(field, name, _ALLOWED)
    try:
        hash(name)
    except TypeError:
        raise InvalidTypeError(field, name, _ALLOWED) from None
