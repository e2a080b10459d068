"""Monitors: being told of another actor's end, once (MON-1 to MON-11).

A monitor looks one way: neither side's end affects the other otherwise (MON-9).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from supervisors.errors import InvalidArgumentError, InvalidTypeError
from supervisors.exits import NOPROC
from supervisors.runtime.ref import ActorRef
from supervisors.runtime.signals import AliasMode, AliasRef, Demonitored, Down, DownSignal, Monitored, MonitorRef
from supervisors.runtime.small_set import with_item, without_item

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["demonitor", "monitor"]

_MODES: Final = ("explicit_unalias", "demonitor", "reply_demonitor")


def monitor(
    own: ActorRef[Any],
    target: object,
    whereis: Callable[[object], ActorRef[Any] | None],
    *,
    tag: object = None,
    alias: AliasMode | None = None,
) -> MonitorRef:
    """Monitor an actor, or the one that has a name now (MON-4).

    A dead target, or a name that nobody has, gives a `Down` with `"noproc"`; the
    call itself succeeds (MON-3). A monitor on oneself never fires (MON-5).

    Args:
        own: the watcher; it is its turn.
        target: an actor, or a name.
        whereis: looks a name up.
        tag: comes back as `Down.tag` (MON-11).
        alias: makes the monitor an alias of the watcher too, until
            `"explicit_unalias"`: it is taken back; `"demonitor"`: also until the
            monitor fires or is removed; `"reply_demonitor"`: also until the first
            message came through it, which removes the monitor (ALIAS-4).
    """
    if alias is not None and alias not in _MODES:
        raise InvalidArgumentError("alias", alias, "explicit_unalias, demonitor, reply_demonitor, or None")
    name: object = None
    if isinstance(target, ActorRef):
        ref: ActorRef[Any] | None = target
    else:
        name, ref = target, whereis(target)
    made = MonitorRef(own, ref, name, tag, alias)
    if ref is own:
        return made
    own.monitors = with_item(own.monitors, made)
    if ref is None:
        own.signal(DownSignal(made, NOPROC))
    else:
        ref.signal(Monitored(made))
    return made


def demonitor(own: ActorRef[Any], monitor_ref: AliasRef, *, flush: bool) -> bool:
    """Remove a monitor; True if it was still there (MON-6, MON-8).

    A signal that waits has not arrived, and will find the monitor gone. A `Down` that
    has arrived stays in the mailbox, unless `flush` says to take it
    out (MON-7).

    Only the watcher has it: for everybody else it was not there. An alias that is
    no monitor was never there either, and stays as it is.
    """
    if not isinstance(monitor_ref, AliasRef):
        raise InvalidTypeError("monitor_ref", monitor_ref, "what monitor() returned")
    found = own.monitors is not None and monitor_ref in own.monitors
    if isinstance(monitor_ref, MonitorRef) and monitor_ref.owner is own:
        monitor_ref.over()
    if found and isinstance(monitor_ref, MonitorRef):
        own.monitors = without_item(own.monitors, monitor_ref)
        if monitor_ref.target is not None:
            monitor_ref.target.signal(Demonitored(monitor_ref))
    elif flush:
        own.take()  # looking into the mailbox lets arrive what waits, as a receive does
        own.withdraw(lambda item: isinstance(item, Down) and item.monitor is monitor_ref)
    return found
