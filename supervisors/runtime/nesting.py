"""Waits that lie on top of each other, where there is only one thread.

In virtual time a turn that waits lets others run *on its own stack*. So an actor whose
turn waits further down can do nothing before whoever lies above it is through. An ask
that is still in its mailbox, or in its hands, gets no reply as long as its asker waits:
in real time it might, here it never does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from supervisors.runtime.outcomes import DeadlockError
from supervisors.runtime.signals import Ask

if TYPE_CHECKING:
    from supervisors.runtime.cell import Cell
    from supervisors.runtime.futures import ScheduledFuture

__all__ = ["refuse_held_up"]


def refuse_held_up(caller: Cell | None, future: ScheduledFuture[Any]) -> None:
    """Raise what says so if only a turn below the caller's on this stack could bring the outcome.

    A reply that has been deferred may be given by anybody, and an end may come by a
    kill: neither is refused.

    Args:
        caller: the actor that waits; None: none does, and nothing lies below.
        future: what it waits for.

    Raises:
        DeadlockError: the reply can never come.

    Thread: the only one. No mailbox is queued, so one that is owned is run further down.
    """
    target = future.target
    if caller is None or target is None or target._gate:  # noqa: SLF001 - the runtime's own
        return
    if _has_ask(target, future):
        raise DeadlockError(
            (caller, target, caller),
            f"{caller} waits for {target}, whose turn cannot go on before that wait is over: "
            "in virtual time they share one thread, so the reply can never come",
        )


def _has_ask(target: Any, future: ScheduledFuture[Any]) -> bool:
    """Tell whether an ask waits in the mailbox, or is in hand and has not been deferred."""
    if target._reply_to is future:  # noqa: SLF001 - the ref and its cell are one object, looked at by the only thread
        return target._deferred is None  # noqa: SLF001 - likewise
    bounded = (item for _, item, _ in getattr(target, "_waiting", ()))  # messages that have tickets (bounded.py)
    return any(
        item.__class__ is Ask and item.reply_to is future
        for items in (target._outer, target._inner or (), bounded)  # noqa: SLF001 - likewise
        for item in items
    )
