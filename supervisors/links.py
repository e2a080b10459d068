"""Links: two actors that end together (LINK-1 to LINK-13).

The functions run in the turn of the actor that links; the other side learns of it
by a signal, so each link table is only touched by its owner. They take no signals
in: one that waits has not arrived (SIG-5), and finds its link gone when it does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from supervisors.errors import InvalidTypeError
from supervisors.exits import NOPROC
from supervisors.runtime.outcomes import ActorDeadError
from supervisors.runtime.ref import ActorRef
from supervisors.runtime.signals import Exited, Linked, NotThere, Unlinked
from supervisors.runtime.small_set import with_item, without_item

if TYPE_CHECKING:
    from supervisors.runtime.small_set import SmallSet

__all__ = ["link", "links_of", "unlink"]


def link(own: ActorRef[Any], other: ActorRef[Any]) -> None:
    """Link two actors; linking again, or to oneself, changes nothing (LINK-1, LINK-2).

    Raises:
        ActorDeadError: the other one is dead, and `own` does not trap exits; if it
            does, it gets an `Exited` message with `"noproc"` instead (LINK-3).
    """
    if not isinstance(other, ActorRef):
        raise InvalidTypeError("ref", other, "an ActorRef")
    if other is own:
        return
    if not other.is_alive():
        if not own.traps_exits:
            raise ActorDeadError.of(other, NOPROC)
        own.signal(NotThere(other))
        return
    if own.links is not None and other in own.links:
        return
    own.links = with_item(own.links, other)
    other.signal(Linked(own))


def unlink(own: ActorRef[Any], other: ActorRef[Any], *, flush: bool = False) -> None:
    """Remove a link; nothing happens if there is none (LINK-10).

    An `Exited` message that has arrived stays in the mailbox, unless `flush` says
    to take it out (LINK-11). A signal that arrives from now on finds no link and
    is dropped.
    """
    if not isinstance(other, ActorRef):
        raise InvalidTypeError("ref", other, "an ActorRef")
    if flush and own.withdraw(lambda item: isinstance(item, Exited) and item.source is other) is None:
        _take_back(own, other)
    if own.links is None or other not in own.links:
        return
    own.links = without_item(own.links, other)
    # Only this actor's own turns change the count for this pair; see `Unlinked`.
    unlinks = own.system.unlinks
    unlinks[own, other] = unlinks.get((own, other), 0) + 1
    other.signal(Unlinked(own))


def _take_back(own: ActorRef[Any], other: ActorRef[Any]) -> None:
    """Take back what the actor itself has said just now, that another one is not there."""
    outer = own._outer  # noqa: SLF001 - in the turn of its owner; others append to it only
    for item in outer[: len(outer)]:
        if isinstance(item, NotThere) and item.source is other:
            outer.remove(item)
            return


def links_of(ref: ActorRef[Any]) -> tuple[ActorRef[Any], ...]:
    """Return the actors that an actor is linked to; a snapshot."""
    links: SmallSet = ref.links
    return tuple(each for each in links or () if isinstance(each, ActorRef))
