"""Has an actor's own methods do something more, for one turn; for the simulator and for live chaos.

Called by whoever owns the actor's mailbox, so nobody else runs its code meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

from supervisors.runtime.signals import MonitorRef
from supervisors.runtime.small_set import without_item

if TYPE_CHECKING:
    from collections.abc import Iterator

    from supervisors.runtime.ref import ActorRef

__all__ = ["Wrapping", "around", "disconnect", "nothing"]

Wrapping: TypeAlias = tuple[Callable[[], None], Callable[[], None]]
"""What is done before and after a part of an actor's code."""


@contextmanager
def around(actor: Any, names: tuple[str, ...], wrapping: Wrapping) -> Iterator[None]:
    """Wrap methods of an actor for as long as this lasts.

    Args:
        actor: whose; it needs an instance dictionary, as every actor has.
        names: of the methods.
        wrapping: called before and after each; what it raises, the method raises.
    """
    before, after = wrapping

    def wrapped(name: str) -> Callable[..., Any]:
        method = getattr(type(actor), name)

        def call(*args: Any, **kwargs: Any) -> Any:
            before()
            answer = method(actor, *args, **kwargs)
            after()
            return answer

        return call

    for name in names:
        setattr(actor, name, wrapped(name))
    try:
        yield
    finally:
        for name in names:
            delattr(actor, name)


def disconnect(ref: ActorRef[Any]) -> None:
    """Undo the link and the monitor of an actor that has not begun, as if it had never been constructed."""
    parent = ref.parent
    if parent is not None:
        parent.links = without_item(parent.links, ref)
        ref.links = None
    for monitor in ref.watchers or ():
        if isinstance(monitor, MonitorRef) and monitor.owner is not None:
            monitor.owner.monitors = without_item(monitor.owner.monitors, monitor)
    ref.watchers = None


def nothing() -> None:
    """Do nothing."""
