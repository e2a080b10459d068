"""Ending a whole tree within one budget, with a report (beyond OTP).

In OTP each child has its own limit, and `infinity` is usual for supervisors: how long
a tree takes to end is the sum of what its children take. Whoever deploys has one
number, after which the process is killed from outside. `shut_down()` ends in order
as long as there is time, then kills what is left, and tells which actors these were.

An inline actor runs on a thread of somebody else's, so one whose turn never comes
back cannot be ended, not even by a kill; it is *abandoned*.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast, final

from supervisors.addressee import Addressee, ref_of
from supervisors.errors import UsageError
from supervisors.exits import SHUTDOWN
from supervisors.runtime.ref import ActorRef
from supervisors.runtime.turn import current_ref
from supervisors.timers.service import checked_delay

if TYPE_CHECKING:
    from supervisors.system import ActorSystem

__all__ = ["ShutdownReport", "shut_down"]

logger = logging.getLogger("supervisors.supervisor")


@final
@dataclass(frozen=True, slots=True)
class ShutdownReport:
    """What became of a tree that was shut down.

    Attributes:
        seconds: how long it took.
        killed: actors that were alive when the time was up, and ended when killed.
        abandoned: actors that live on even so, because their turn does not return.
    """

    seconds: float
    killed: tuple[ActorRef[Any], ...] = ()
    abandoned: tuple[ActorRef[Any], ...] = ()

    @property
    def is_orderly(self) -> bool:
        """Whether everybody has ended in time, in order."""
        return not self.killed and not self.abandoned


def shut_down(
    root: Addressee, seconds: float, *, kill_seconds: float = 1.0, system: ActorSystem | None = None
) -> ShutdownReport:
    """End an actor and all that it has started, in order if the time allows it.

    Args:
        root: its ref, its name, or a `Via`; usually a supervisor, and one without a
            parent, because the parent would restart it (there is `terminate_child()`).
        seconds: for the orderly end, 0 or more. Each child's own limit holds too.
        kill_seconds: at most so much longer, for those that had to be killed.
        system: where to look a name up; not needed inside an actor.

    Raises:
        UsageError: the actor has a living parent that is not the caller; or the caller
            is the actor itself, or below it, and would wait for its own end.
        ActorDeadError: nobody has the name; the reason is `"noproc"`. A ref of an actor
            that has ended is no error: the report says that nothing was left to do.
        InvalidArgumentError: a number of seconds is not valid.

    Thread: any; blocks for at most `seconds` and `kill_seconds`.
    """
    budget = checked_delay("seconds", seconds)
    grace = checked_delay("kill_seconds", kill_seconds)
    top = root if isinstance(root, ActorRef) else ref_of(root, None, "an actor", field="root", system=system)
    _check_caller(top)
    actors = cast("ActorSystem", top.system)
    clock = actors.clock
    began = clock.monotonic()
    ended = top.when_ended()
    top.exit(SHUTDOWN)
    if ended.settle(budget):
        return ShutdownReport(clock.monotonic() - began)
    # The root first, so that nobody below is started again; it was told to end anyhow.
    late = _below(actors, top)
    for ref in (top, *late):
        ref.kill()
    deadline = clock.monotonic() + grace
    for ref in (top, *late):
        ref.when_ended().settle(max(deadline - clock.monotonic(), 0.0))
    abandoned = tuple(ref for ref in (top, *late) if ref.is_alive())
    killed = tuple(ref for ref in (top, *late) if not ref.is_alive())
    report = ShutdownReport(clock.monotonic() - began, killed, abandoned)
    logger.warning(
        "%s did not end within %g seconds: %d killed, %d abandoned", top, budget, len(killed), len(abandoned)
    )
    return report


def _check_caller(root: ActorRef[Any]) -> None:
    """Refuse whoever cannot wait for the end of a tree, or may not end it."""
    caller = cast("ActorRef[Any] | None", current_ref())
    if caller is not None and (caller is root or _is_below(caller, root)):
        raise UsageError(
            f"{caller} belongs to the tree of {root} and cannot wait for its own end: "
            "call shut_down() from outside, or send an exit signal"
        )
    parent = root.parent
    if parent is not None and parent.is_alive() and parent is not caller:
        raise UsageError(f"{root} has a parent, {parent}: end it there, with terminate_child()")


def _below(actors: ActorSystem, top: ActorRef[Any]) -> list[ActorRef[Any]]:
    """Return everybody below an actor, the last started first.

    Children by birth know their parent. Those that a start function found elsewhere
    are known to their supervisor alone, which may be too busy to be asked.
    """
    born: dict[ActorRef[Any], list[ActorRef[Any]]] = {}
    for each in actors.actors():
        if each.parent is not None:
            born.setdefault(each.parent, []).append(each)
    found: dict[ActorRef[Any], None] = {}
    ahead = [top]
    while ahead:
        ref = ahead.pop()
        for each in (*_present_children(ref), *born.get(ref, ())):
            if each is not top and each not in found and each.is_alive():
                found[each] = None
                ahead.append(each)
    return sorted(found, key=lambda ref: -ref.id)


def _present_children(ref: ActorRef[Any]) -> list[Any]:
    actor = ref._actor_weakref()  # noqa: SLF001 - as a proxy does; None if it has ended meanwhile
    children = getattr(actor, "present_children", None)
    return [] if children is None else [each for each in children() if isinstance(each, ActorRef)]


def _is_below(ref: ActorRef[Any], root: ActorRef[Any]) -> bool:
    above = ref.parent
    while above is not None and above is not root:
        above = above.parent
    return above is root
