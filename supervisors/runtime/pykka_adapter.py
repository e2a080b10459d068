"""The only file that touches Pykka's private names.

`tests/contracts/test_pykka_private_names.py` pins each of them, so that a Pykka
release that changes one says so by name.
"""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING, Any, Protocol, final

from pykka import ActorDeadError, ActorRegistry
from pykka._introspection import get_attr_directly
from pykka.messages import ProxyCall, ProxyGetAttr, ProxySetAttr, _ActorStop

from supervisors.errors import Exit

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pykka

__all__ = [
    "PYKKA_MESSAGES",
    "AllRefs",
    "HasActors",
    "StopMessage",
    "StopNow",
    "forget_lookers",
    "perform",
    "show_to_registry",
    "shown_systems",
]

StopMessage = _ActorStop


class StopNow(Exit):
    """Ends the running actor because of a stop message; its sender gets an answer."""

    reason: object = "normal"

    # The reason is always the same, and very many end in this way: no constructor of Python's is run.
    __init__ = Exception.__init__


PYKKA_MESSAGES = frozenset({_ActorStop, ProxyCall, ProxyGetAttr, ProxySetAttr})
"""The message classes that Pykka's refs and proxies send."""


def perform(actor: pykka.Actor, message: Any) -> Any:
    """Do what a proxy asks of an actor, in the actor's own turn."""
    if isinstance(message, _ActorStop):
        raise StopNow
    if isinstance(message, ProxyCall):
        return get_attr_directly(actor, message.attr_path)(*message.args, **message.kwargs)
    if isinstance(message, ProxyGetAttr):
        return get_attr_directly(actor, message.attr_path)
    parent = get_attr_directly(actor, message.attr_path[:-1])
    setattr(parent, message.attr_path[-1], message.value)
    return None


class HasActors(Protocol):
    """An actor system, as Pykka's registry sees it."""

    forked: bool

    def actors(self) -> list[Any]:
        """Return the living actors in order of start."""
        ...

    @property
    def is_stopped(self) -> bool:
        """Whether it is being stopped, or has been."""
        ...


@final
class AllRefs(list["pykka.ActorRef[Any]"]):
    """What `pykka.ActorRegistry` keeps its refs in, once there is an actor system.

    Pykka's own actors are registered here one by one, in a dict instead of a list,
    so that each costs the same however many there are. Ours are never registered:
    whoever looks is shown the living actors of all systems, which keep them anyway,
    but for those that have been unregistered by hand.

    Thread: Pykka holds its own lock around every call.
    """

    def __init__(self) -> None:
        super().__init__()
        self._registered: dict[Any, None] = {}
        self._hidden: dict[Any, None] = {}
        self._systems: weakref.WeakSet[HasActors] = weakref.WeakSet()
        self._lock = threading.Lock()  # guards _systems; Pykka's lock guards the rest

    def show(self, system: HasActors) -> None:
        """Show the actors of a system from now on, as long as somebody holds it."""
        with self._lock:
            self._systems.add(system)

    def append(self, ref: pykka.ActorRef[Any], /) -> None:
        if ref in self._hidden:
            del self._hidden[ref]
        elif not hasattr(ref, "ending"):  # ours are seen anyway
            self._registered[ref] = None

    def remove(self, ref: pykka.ActorRef[Any], /) -> None:
        if hasattr(ref, "ending"):
            self._hidden[ref] = None
        else:
            self._registered.pop(ref, None)

    def __contains__(self, ref: object, /) -> bool:
        if hasattr(ref, "ending"):
            return not ref.ending and ref not in self._hidden
        return ref in self._registered

    def __iter__(self) -> Iterator[pykka.ActorRef[Any]]:
        yield from list(self._registered)
        yield from self._ours()

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __getitem__(self, index: Any, /) -> Any:
        return list(self)[index]

    def __repr__(self) -> str:
        return f"<AllRefs: {len(self._registered)} of Pykka's, {len(self._ours())} of ours>"

    def systems(self) -> list[HasActors]:
        """Return the systems whose actors are shown: not those of the process that this one was forked from."""
        with self._lock:
            return [system for system in self._systems if not system.forked]

    def forget_threads(self) -> None:
        """Start anew in a forked child, where no other thread is left to give the lock back."""
        self._lock = threading.Lock()

    def _ours(self) -> dict[Any, None]:
        systems = self.systems()
        hidden = self._hidden = {ref: None for ref in self._hidden if ref.is_alive()}
        # Pykka unregisters an actor before its cleanup.
        return {ref: None for system in systems for ref in system.actors() if not ref.ending and ref not in hidden}


def forget_lookers() -> None:
    """Start anew in a forked child: whoever looked into Pykka's registry is not there."""
    refs = ActorRegistry._actor_refs  # noqa: SLF001 - pinned by the contract test
    if isinstance(refs, AllRefs):
        refs.forget_threads()


def shown_systems() -> list[HasActors]:
    """Return the systems that `pykka.ActorRegistry` sees: all that are there, stopped or not."""
    refs = ActorRegistry._actor_refs  # noqa: SLF001 - pinned by the contract test
    return refs.systems() if isinstance(refs, AllRefs) else []


def _broadcast(cls: type[ActorRegistry], message: Any, target_class: str | type[pykka.Actor] | None = None) -> None:
    """Send a message to all actors of a class, or to all; in place of `pykka.ActorRegistry.broadcast()`.

    Pykka's own ends at the first actor that does not take it. No mailbox of Pykka's is ever
    full; one of ours may be, and the others are to get the message all the same.

    Raises:
        Exception: what the first one's `tell()` has raised; all have been told by then. That
            one has died meanwhile is no error.
    """
    if target_class is None:
        targets = cls.get_all()
    elif isinstance(target_class, str):
        targets = cls.get_by_class_name(target_class)
    else:
        targets = cls.get_by_class(target_class)
    refused: Exception | None = None
    for ref in targets:
        try:
            ref.tell(message)
        except ActorDeadError:
            pass
        except Exception as error:  # noqa: BLE001 - it is raised below
            refused = refused or error
    if refused is not None:
        raise refused


def show_to_registry(system: HasActors) -> None:
    """Have `pykka.ActorRegistry` see the actors of a system, at no cost to any actor."""
    with ActorRegistry._actor_refs_lock:  # noqa: SLF001 - pinned by the contract test
        refs = ActorRegistry._actor_refs  # noqa: SLF001
        if not isinstance(refs, AllRefs):
            seen = AllRefs()
            for ref in refs:
                seen.append(ref)
            ActorRegistry._actor_refs = refs = seen  # noqa: SLF001
            ActorRegistry.broadcast = classmethod(_broadcast)  # type: ignore[assignment,method-assign]  # it takes the same
        refs.show(system)
