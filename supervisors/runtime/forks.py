"""After a fork, refs in the child raise instead of waiting for ever.

A forked child has the memory of its parent but none of its threads: no worker would
ever run what is sent there, and any lock may be held by a thread that does not
exist. So the verbs of a ref are replaced *in the child* by ones that look whether
the ref is the parent's. The parent pays nothing, and a child can have actor systems
of its own.
"""

from __future__ import annotations

import functools
import os
import threading
import weakref
from typing import TYPE_CHECKING, Any, Final, Protocol

from supervisors.runtime.bounded import BoundedRef
from supervisors.runtime.cell import Cell
from supervisors.runtime.futures import forget_waits
from supervisors.runtime.outcomes import ForkedError
from supervisors.runtime.ref import ActorRef
from supervisors.runtime.spinning import Spinner
from supervisors.runtime.turn import forget_threads

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FORKED", "Forkable", "poison_in_children"]

FORKED: Final = "this actor system belongs to the parent process; start another one in the child"

_VERBS: Final = ("ask", "ask_async", "exit", "forward", "join", "kill", "send", "signal", "stop", "tell", "when_ended")


class Forkable(Protocol):
    """An actor system, as far as forks go."""

    forked: bool


_lock = threading.Lock()  # guards the two below
_systems: weakref.WeakSet[Forkable] = weakref.WeakSet()
_registered = False


def poison_in_children(system: Forkable) -> None:
    """See that the system's refs raise `ForkedError` in processes forked from this one."""
    global _registered  # noqa: PLW0603 - one hook per process, and there is no way to take one back
    with _lock:
        _systems.add(system)
        if not _registered and hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_poison)
            _registered = True


def _poison() -> None:
    global _lock  # noqa: PLW0603 - another thread of the parent may have held it
    _lock = threading.Lock()
    for system in list(_systems):
        system.forked = True
    forget_threads()  # whatever ran on this thread runs in the parent
    forget_waits()
    Spinner.forget()
    for kind in (Cell, ActorRef, BoundedRef):
        for verb in _VERBS:
            original = vars(kind).get(verb)
            if original is not None and not hasattr(original, "__wrapped__"):
                setattr(kind, verb, _guarded(original))


def _guarded(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def guarded(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self.system.forked:
            raise ForkedError(FORKED)
        return original(self, *args, **kwargs)

    return guarded
