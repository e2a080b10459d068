"""Calling a child's start function, and what its answers mean (SUP-4)."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, TypeVar, cast

from supervisors.actor import Actor
from supervisors.errors import Exit, IgnoreStart, NoActorError
from supervisors.exits import Crashed
from supervisors.runtime.outcomes import StartError
from supervisors.runtime.ref import ActorRef
from supervisors.runtime.turn import current_ref
from supervisors.supervision.child_spec import ChildSpec
from supervisors.supervision.configuration import IGNORE
from supervisors.supervision.outcomes import Outcome, Started, StartFailed, StartIgnored

if TYPE_CHECKING:
    from supervisors.system import ActorSystem

__all__ = ["call_start", "start_named"]

A = TypeVar("A", bound=Actor)


def call_start(spec: ChildSpec, more: tuple[Any, ...] = ()) -> Outcome:
    """Call the start function of a child; it never raises an `Exception`, nor the `SystemExit` of one child.

    =====================================  ==========================================
    the start function                     means
    =====================================  ==========================================
    is an `Actor` class                    it is started, linked to the supervisor
    returns a ref                          that is the child
    returns (ref, info)                    likewise; `info` goes to whoever asked
    returns `"ignore"`, raises             nothing to start, and no error
    `IgnoreStart`
    raises `StartError`                    the error is its reason
    raises `Exit`                          the error is ("EXIT", its reason)
    raises anything else                   the error is ("EXIT", `Crashed` of it)
    returns anything else                  the error is what it returned
    =====================================  ==========================================

    Args:
        spec: of the child.
        more: positional arguments behind those of the specification.

    Thread: the supervisor's own turn. Blocks: as long as the start takes.
    """
    start = spec.start
    try:
        if isinstance(start, type) and Actor in start.__mro__:  # issubclass() would ask ABCMeta, which takes long
            return Started(start.start_link(*spec.args, *more, **spec.kwargs))  # type: ignore[attr-defined]  # it is an Actor
        returned = start(*spec.args, *more, **spec.kwargs)
    except StartError as error:
        return StartFailed(error.reason)
    except IgnoreStart:
        return StartIgnored()
    except Exit as ended:
        return StartFailed(("EXIT", ended.reason))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it is, the child did not start
        return StartFailed(("EXIT", Crashed(error)))
    match returned:
        case ActorRef():
            return Started(returned)
        case (ActorRef() as ref, info):
            return Started(ref, info)
        case str() if returned == IGNORE:
            return StartIgnored()
        case _:
            return StartFailed(returned)


def start_named(
    name: Hashable,
    actor_class: type[A],
    *args: Any,
    start_timeout: float | None = None,
    dispatch: str | None = None,
    **kwargs: Any,
) -> ActorRef[A]:
    """Start an actor under a registered name, linked to the running actor.

    Made to be a start function: ``ChildSpec("limiter", start_named, ("rate_limiter",
    RateLimiter))``. A restarted child gets the same name again, because its
    predecessor has lost it before the supervisor hears of its end (EXIT-10). If a killed
    supervisor's child still has it, the start waits for that one's end (SUP-49).

    Args:
        name: its name.
        actor_class: what to start.
        *args: for its constructor.
        start_timeout: seconds that its start may take (PROC-7); None: no limit.
        dispatch: `"inline"`, `"shared"`, `"pinned"` or `"process"` instead of the class's own.
        **kwargs: for its constructor.

    Raises:
        StartError: it did not come up, or not in time: then the reason is `"timeout"`.
        InvalidArgumentError: there is no such dispatch.
        NameTakenError: somebody else has the name.
        NoActorError: no actor is running on this thread.
    """
    current = current_ref()
    if current is None:
        raise NoActorError("start_named() links to the running actor; there is none on this thread")
    system = cast("ActorSystem", current.system)
    return system.spawn(
        actor_class, args, kwargs, link=True, report=True, name=name, dispatch=dispatch, start_timeout=start_timeout
    )
