"""Unique names for actors (NAME-1 to NAME-5), and waiting for one (REG-15).

A name is any hashable value but None. An actor has at most one name here; the
name is free again when the actor ends, before its monitors and links fire. A name
that is a `Via` belongs to the registry that it says.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, cast, final

from supervisors.errors import InvalidArgumentError, InvalidTypeError, NameTakenError
from supervisors.runtime.cell import Cell
from supervisors.runtime.futures import ScheduledFuture
from supervisors.runtime.outcomes import ActorDeadError, AskTimeoutError
from supervisors.runtime.ref import ActorRef
from supervisors.via import NameRegistry, Via, checked_name

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from supervisors.runtime.contract import Scheduler

__all__ = ["Registry", "checked_name", "wait_for_name"]


@final
class Registry:
    """The names of one actor system.

    Thread: every method is safe anywhere.
    """

    __slots__ = ("_lock", "_names", "_waiting")

    def __init__(self) -> None:
        # Guards _names together with ActorRef.name, and _waiting. Nothing is called while it
        # is held, but for the hash and equality of names: a name whose own come back here is no name.
        self._lock = threading.Lock()
        self._names: dict[Hashable, ActorRef[Any]] = {}
        self._waiting: dict[Hashable, list[list[Callable[[ActorRef[Any]], None]]]] = {}

    def register(self, name: Hashable, ref: ActorRef[Any]) -> None:
        """Give an actor a name.

        Raises:
            NameTakenError: somebody has it, or the actor has another name.
            ActorDeadError: the actor is dead.
        """
        checked_name(name)
        if not isinstance(ref, ActorRef):
            raise InvalidTypeError("ref", ref, "an ActorRef")
        if isinstance(name, Via):
            name.registry.register(name.name, ref)
            return
        with self._lock:
            owner = self._names.get(name)
            if owner is not None:
                raise NameTakenError(name, owner)
            if ref.name is not None:
                raise NameTakenError(ref.name, ref)
            if not ref.is_alive():
                raise ActorDeadError.of(ref, ref.exit_reason)
            self._names[name] = ref
            ref.name = name
            # The actor may have ended since we looked, and have found no name to
            # free: it dies first and looks for its name then, we do the reverse,
            # so at least one of the two sees the other.
            if not ref.is_alive():
                del self._names[name]
                ref.name = None
                raise ActorDeadError.of(ref, ref.exit_reason)
            waiting = self._waiting.pop(name, ()) if self._waiting else ()
        for (callback,) in waiting:
            callback(ref)

    def unregister(self, name: Hashable) -> None:
        """Free a name; anybody may (NAME-2).

        Raises:
            InvalidArgumentError: nobody has it.
        """
        checked_name(name)
        if isinstance(name, Via):
            name.registry.unregister(name.name)
            return
        with self._lock:
            ref = self._names.pop(name, None)
            if ref is None:
                raise InvalidArgumentError("name", name, "a registered name")
            ref.name = None

    def whereis(self, name: Hashable) -> ActorRef[Any] | None:
        """Return who has the name, or None (NAME-3)."""
        try:
            found = self._names.get(name)
        except TypeError:
            checked_name(name)  # a name that cannot be hashed is a mistake, and no name that is free
            raise
        if found is None and isinstance(name, Via):
            return name.whereis()
        return found

    def send(self, name: Hashable, message: Any) -> None:
        """Send a message to who has the name now (NAME-4).

        Raises:
            InvalidArgumentError: nobody has it.
        """
        checked_name(name)
        ref = self.whereis(name)
        if ref is None:
            raise InvalidArgumentError("name", name, "a registered name")
        ref.send(message)

    def when_registered(self, name: Hashable, callback: Callable[[ActorRef[Any]], None]) -> Callable[[], None]:
        """Call back once when somebody has the name: at once, or when it is registered (REG-15).

        Args:
            name: a name of this registry, no `Via`.
            callback: gets who has the name, on the thread that registers it; it must
                neither block nor raise. To be told by a message, send one to yourself.

        Returns:
            A function that takes the wish back; it may be called at any time.
        """
        checked_name(name)
        if isinstance(name, Via):
            raise InvalidTypeError("name", name, "a name of this registry")
        if not callable(callback):
            raise InvalidTypeError("callback", callback, "a function of a ref")
        # In an object of its own: the same function may wait twice, and each wish is taken back alone.
        wish = [callback]
        with self._lock:
            owner = self._names.get(name)
            if owner is None:
                self._waiting.setdefault(name, []).append(wish)
        if owner is not None:
            callback(owner)

        def cancel() -> None:
            with self._lock:
                waiting = self._waiting.get(name, ())
                left = [each for each in waiting if each is not wish]
                if left:
                    self._waiting[name] = left
                elif waiting:
                    del self._waiting[name]

        return cancel

    def forget(self, ref: Cell) -> None:
        """Free the name of an actor that has ended; nothing happens if it has none."""
        # Not without the lock: register() may be about to give it a name, having
        # found it alive.
        with self._lock:
            if ref.name is not None and self._names.get(ref.name) is ref:
                del self._names[ref.name]
                ref.name = None

    def names(self) -> list[Hashable]:
        """Return the names that are taken, in order of registration."""
        with self._lock:
            return list(self._names)

    def __len__(self) -> int:
        """Return how many names are taken."""
        return len(self._names)

    def __repr__(self) -> str:
        return f"<Registry of {len(self._names)} names>"


def wait_for_name(
    registry: NameRegistry,
    name: Hashable,
    timeout: float | None,
    scheduler: Scheduler | None = None,
    *,
    future: ScheduledFuture[ActorRef[Any]] | None = None,
) -> ActorRef[Any]:
    """Wait until somebody has the name, and return who (REG-15).

    `ActorSystem.wait_for_name()` is this for the names of a system, and ends with the system.

    Args:
        registry: where the name will be: one that has `when_registered()`, as `Names` has too.
        name: a name of that registry.
        timeout: seconds to wait; None waits without end.
        scheduler: the system's, if an actor or a virtual clock is involved.
        future: waits in place of one of its own, for who wants to end the wait: an
            exception that is set in it is raised here.

    Raises:
        AskTimeoutError: nobody has it when the time is up.
        InvalidTypeError: the registry does not tell of new names.
    """
    when_registered = getattr(registry, "when_registered", None)
    if when_registered is None:
        raise InvalidTypeError("registry", registry, "a registry with when_registered(), such as Registry or Names")
    holder: ScheduledFuture[ActorRef[Any]] = ScheduledFuture(scheduler) if future is None else future

    def found(ref: ActorRef[Any]) -> None:
        holder.offer(ref)

    cancel = when_registered(name, found)
    try:
        if not holder.settle(timeout):
            raise AskTimeoutError(cast("float", timeout), f"anybody with the name {name!r}")
        ref: ActorRef[Any] = holder.get()
    finally:
        cancel()
    return ref
