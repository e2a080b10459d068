"""Monitors: being told of another actor's end, once (MON-1 to MON-10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from supervisors.errors import InvalidTypeError
from supervisors.exits import NOPROC
from supervisors.runtime.ref import ActorRef
from supervisors.runtime.signals import Demonitored, Down, DownSignal, Monitored, MonitorRef
from supervisors.runtime.small_set import with_item, without_item

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["demonitor", "monitor"]


def monitor(own: ActorRef[Any], target: object, whereis: Callable[[object], ActorRef[Any] | None]) -> MonitorRef:
    """Monitor an actor, or the one that has a name now (MON-4).

    A dead target, or a name that nobody has, gives a `Down` with `"noproc"`; the
    call itself succeeds (MON-3). A monitor on oneself never fires (MON-5).
    """
    name: object = None
    if isinstance(target, ActorRef):
        ref: ActorRef[Any] | None = target
    else:
        name, ref = target, whereis(target)
    made = MonitorRef(own, ref, name)
    if ref is own:
        return made
    own.monitors = with_item(own.monitors, made)
    if ref is None:
        own.signal(DownSignal(made, NOPROC))
    else:
        ref.signal(Monitored(made))
    return made


def demonitor(own: ActorRef[Any], monitor_ref: MonitorRef, *, flush: bool) -> bool:
    """Remove a monitor; True if it was still there (MON-6 to MON-8)."""
    if not isinstance(monitor_ref, MonitorRef):
        raise InvalidTypeError("monitor_ref", monitor_ref, "what monitor() returned")
    own.take()
    found = own.monitors is not None and monitor_ref in own.monitors
    if found:
        own.monitors = without_item(own.monitors, monitor_ref)
        if monitor_ref.target is not None:
            monitor_ref.target.signal(Demonitored(monitor_ref))
    elif flush:
        own.withdraw(lambda item: isinstance(item, Down) and item.monitor is monitor_ref)
    return found
