"""One actor as closely as it can be seen without asking it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, final

from supervisors.inspection.plain import summary
from supervisors.inspection.rows import ActorRow
from supervisors.inspection.weight import weight_of
from supervisors.runtime.cell import TICKET, Cell
from supervisors.runtime.signals import Ask, MonitorRef, Signal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from supervisors.runtime.ref import ActorRef

__all__ = ["MESSAGES_SHOWN", "REFS_SHOWN", "ActorDetails", "details_of"]

MESSAGES_SHOWN: Final = 20
REFS_SHOWN: Final = 100


@final
@dataclass(frozen=True, slots=True)
class ActorDetails:
    """One actor.

    Attributes:
        row: what `ps()` shows of it.
        urn: its URN.
        module: where its class is defined.
        memory: estimated bytes of its state, see `supervisors.inspection.weight`.
        traps_exits: whether exit signals arrive as messages.
        links: numbers of the actors that it is linked to; the first hundred.
        link_count: how many there are.
        monitored_by: how many watch it.
        monitors: how many it watches.
        messages: the kinds of the messages that wait, the next one first; the first twenty.
        stack: what its thread is doing now; None when none of it runs.
    """

    row: ActorRow
    urn: str
    module: str
    memory: int
    traps_exits: bool
    links: tuple[int, ...]
    link_count: int
    monitored_by: int
    monitors: int
    messages: tuple[str, ...]
    stack: str | None


def details_of(ref: ActorRef[Any], row: ActorRow, stack: str | None) -> ActorDetails:
    """Read one actor.

    Args:
        ref: which.
        row: what was seen of it.
        stack: what its thread is doing, if it has one.
    """
    links = _copy(ref.links)
    return ActorDetails(
        row,
        ref.actor_urn,
        ref.actor_class.__module__,
        weight_of(ref),
        ref.traps_exits,
        tuple(each.id for each in links[:REFS_SHOWN] if isinstance(each, Cell)),
        len(links),
        sum(isinstance(each, MonitorRef) for each in _copy(ref.watchers)),
        len(_copy(ref.monitors)),
        tuple(_waiting(ref)),
        stack,
    )


def _waiting(ref: ActorRef[Any]) -> list[str]:
    """Return the kinds of the messages that wait, in order."""
    found: list[str] = []
    for items in (ref._inner, ref._outer):  # noqa: SLF001 - the two parts of a mailbox, see `Cell`
        for item in _first(items or (), MESSAGES_SHOWN - len(found)):
            if item is TICKET:
                found.append("(a message of a bounded mailbox)")
            elif isinstance(item, Ask):
                found.append(f"ask {summary(item.message)}")
            elif isinstance(item, Signal):
                found.append(f"signal {type(item).__name__}")
            else:
                found.append(summary(item))
    return found


def _first(items: Iterable[Any], count: int) -> list[Any]:
    try:
        return list(islice(items, max(count, 0)))
    except RuntimeError:
        return []  # the actor takes from it at this moment


def _copy(items: Iterable[object] | None) -> list[object]:
    for _ in range(10):
        try:
            return list(items or ())
        except RuntimeError:
            continue  # it has changed meanwhile
    return []
