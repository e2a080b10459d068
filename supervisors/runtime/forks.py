"""After a fork, refs in the child raise instead of waiting for ever.

A forked child has the memory of its parent but none of its threads: no worker would
ever run what is sent there, and any lock may be held by a thread that does not
exist. So the verbs of a ref, of a system and of its timers are replaced *in the child* by ones that
look whether they are the parent's. The parent pays nothing, and a child can have actor systems
of its own.
"""

from __future__ import annotations

import functools
import os
import threading
import weakref
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from supervisors.runtime.bounded import BoundedRef
from supervisors.runtime.cell import Cell
from supervisors.runtime.futures import forget_waits
from supervisors.runtime.outcomes import ForkedError
from supervisors.runtime.pykka_adapter import forget_lookers
from supervisors.runtime.ref import ActorRef
from supervisors.runtime.spinning import Spinner
from supervisors.runtime.turn import forget_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["FORKED", "Forkable", "poison_in_children"]

FORKED: Final = "this actor system belongs to the parent process; start another one in the child"

_SYSTEM_VERBS: Final = (
    "actors",
    "advance",
    "advance_to",
    "dead_letters",
    "dump",
    "dump_on_signal",
    "on_crash",
    "on_dead_letter",
    "on_report",
    "on_slow_turn",
    "register",
    "send",
    "settle",
    "statistics",
    "unregister",
    "wait_for_name",
    "whereis",
)
_TIMER_VERBS: Final = ("advance_to", "arm", "cancel", "cancel_own", "hurry", "next_deadline", "pending", "remaining")
_VERBS: Final = ("ask", "ask_async", "exit", "forward", "join", "kill", "send", "signal", "stop", "tell", "when_ended")


class _Timers(Protocol):
    """The timers of a system, as far as forks go."""

    forked: bool


class Forkable(Protocol):
    """An actor system, as far as forks go."""

    forked: bool

    @property
    def timers(self) -> _Timers:
        """Its timers."""
        ...


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
        system.forked = system.timers.forked = True
        _guard(type(system).__mro__, _SYSTEM_VERBS)
        _guard(type(system.timers).__mro__, _TIMER_VERBS)
    forget_threads()  # whatever ran on this thread runs in the parent
    forget_waits()
    Spinner.forget()
    forget_lookers()
    _guard((Cell, ActorRef, BoundedRef), _VERBS)  # not the base of the refs, which is Pykka's


def _guard(kinds: Iterable[type], verbs: tuple[str, ...]) -> None:
    """Have these verbs of some classes look first."""
    for kind in kinds:
        for verb in verbs:
            original = vars(kind).get(verb)
            if isinstance(original, property):
                if not hasattr(original.fget, "__wrapped__"):
                    setattr(kind, verb, property(_guarded(cast("Callable[..., Any]", original.fget))))
            elif original is not None and not hasattr(original, "__wrapped__"):
                setattr(kind, verb, _guarded(original))


def _guarded(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def guarded(self: Any, *args: Any, **kwargs: Any) -> Any:
        if getattr(self, "system", self).forked:
            raise ForkedError(FORKED)
        return original(self, *args, **kwargs)

    return guarded
