"""Steps of a start that concern somebody beside the new actor: its parent, its watcher, who has its name.

`ActorSystem.spawn()` takes them in its order.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, NoReturn

from supervisors.runtime.outcomes import DeadlockError, StartError
from supervisors.runtime.small_set import with_item, without_item
from supervisors.runtime.turn import thread_turn

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from supervisors.runtime.cell import Cell
    from supervisors.runtime.ref import ActorRef
    from supervisors.runtime.signals import MonitorRef

__all__ = ["ORPHAN_PATIENCE", "connect", "cut_short", "holder_of", "starter_of"]

END_SECONDS: Final = 1.0
"""Seconds that a start which is too late waits for the killed actor's end, if no worker is free to end it."""

ORPHAN_PATIENCE: Final = 15.0
"""Seconds that starts wait for the end of an orphan that has their name, all together.

Three times what a worker gets for its end by default.
"""


def holder_of(
    name: Hashable,
    whereis: Callable[[Hashable], ActorRef[Any] | None],
    starter: Cell | None,
    monotonic: Callable[[], float],
    deadlines: dict[Cell, float],
) -> ActorRef[Any] | None:
    """Return who has a name, once those that are about to lose it have ended; None if it is free.

    When a supervisor is killed, its children hear of it at the same time as its own
    parent does (SUP-49). They need a moment to end, or, if they clean up, many, and so the
    restarted supervisor may find their names taken. Those names are as good as
    free: one start that waits does what retries without delay would be too many for.
    An orphan that has not ended within `ORPHAN_PATIENCE` is not waited for again: it
    has its name for good, and the restarts that fail because of it count.

    Args:
        name: what a new actor is to be called.
        whereis: looks a name up.
        starter: the parent of the new actor; None: nobody waits for orphans.
        monotonic: the system's clock, seconds.
        deadlines: until when orphans are waited for (monotonic, seconds), for the whole
            system; those that have ended are taken out.

    Blocks: until the deadline, if an orphan has the name.
    """
    holder = whereis(name)
    while holder is not None and starter is not None and _is_orphan(holder, starter):
        deadline = deadlines.get(holder)
        if deadline is not None and deadline <= monotonic():
            return holder
        end = holder.when_ended()
        if deadline is None:
            deadline = deadlines[holder] = monotonic() + ORPHAN_PATIENCE
            end.when_done(partial(_forget, deadlines, holder))
        try:
            if not end.settle(deadline - monotonic()):
                return whereis(name)
        except DeadlockError:
            return holder  # it waits for the starter, so that one must give up
        before, holder = holder, whereis(name)
        if holder is before:
            return holder  # its registry lets the dead have names
    return holder


def starter_of(ref: ActorRef[Any]) -> Cell | None:
    """Return on whose behalf an actor is given a name just now: its parent, if it is being started; else None.

    A start function may take the name by itself, in the new actor's own start or in the
    parent's turn after it. That is as much a part of the start as `start(name=...)`, and
    a restart that fails because of an orphan is as vain. Anybody else hears at
    once that a name is taken (NAME-1).
    """
    current = thread_turn.turn.current
    if current is None or (current is not ref.parent and (current is not ref or ref.messages_handled)):
        return None
    return ref.parent


def _forget(deadlines: dict[Cell, float], holder: Cell) -> None:
    deadlines.pop(holder, None)


def _is_orphan(ref: Cell, starter: Cell) -> bool:
    """Tell whether an ancestor is dead that is none of the starter's: an exit signal is on its way down."""
    ancestor = ref.parent
    while ancestor is not None and ancestor.is_alive():
        ancestor = ancestor.parent
    if ancestor is None:
        return False
    own: Cell | None = starter
    while own is not None:
        if own is ancestor:
            return False  # whoever has outlived that one once does not end now
        own = own.parent
    return True


def connect(ref: ActorRef[Any], parent: Cell | None, monitor: MonitorRef | None) -> None:
    """Link and monitor a new actor before its first step (LINK-12, MON-10)."""
    if parent is not None:
        ref.parent = parent
        links = ref.system.last_links
        if links is None or links[0] is not parent:
            links = ref.system.last_links = (parent,)
        ref.links = links
        parent.links = with_item(parent.links, ref)
    if monitor is not None and monitor.owner is not None:
        monitor.target = ref
        ref.watchers = with_item(None, monitor)
        monitor.owner.monitors = with_item(monitor.owner.monitors, monitor)


def cut_short(ref: ActorRef[Any], parent: Cell | None, monitor: MonitorRef | None) -> NoReturn:
    """Kill an actor whose start takes too long; what its end would tell the starter is forgotten first (PROC-7).

    A start that runs on the starter's own thread, as that of an inline actor, or any in
    virtual time, cannot be cut short: it is found to be late when it is over.

    Blocks: until the actor is dead (PROC-10), at most `END_SECONDS`.
    """
    if parent is not None:
        parent.links = without_item(parent.links, ref)
    if monitor is not None and monitor.owner is not None:
        monitor.owner.monitors = without_item(monitor.owner.monitors, monitor)
    ref.kill()
    if ref.is_alive():
        # Nobody runs it: it is between two turns, or no worker has come to it yet.
        ref.when_ended().settle(END_SECONDS)
    raise StartError("timeout", ref)
