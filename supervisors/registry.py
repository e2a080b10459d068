"""Unique names for actors (NAME-1 to NAME-4).

A name is any hashable value but None. An actor has at most one name here; the
name is free again when the actor ends, before its monitors and links fire.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, final

from supervisors.errors import InvalidArgumentError, InvalidTypeError, NameTakenError
from supervisors.runtime.cell import Cell
from supervisors.runtime.outcomes import ActorDeadError
from supervisors.runtime.ref import ActorRef

if TYPE_CHECKING:
    from collections.abc import Hashable

__all__ = ["Registry", "checked_name"]


@final
class Registry:
    """The names of one actor system.

    Thread: every method is safe anywhere.
    """

    __slots__ = ("_lock", "_names")

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards _names together with ActorRef.name
        self._names: dict[Hashable, ActorRef[Any]] = {}

    def register(self, name: Hashable, ref: ActorRef[Any]) -> None:
        """Give an actor a name.

        Raises:
            NameTakenError: somebody has it, or the actor has another name.
            ActorDeadError: the actor is dead.
        """
        checked_name(name)
        if not isinstance(ref, ActorRef):
            raise InvalidTypeError("ref", ref, "an ActorRef")
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

    def unregister(self, name: Hashable) -> None:
        """Free a name; anybody may (NAME-2).

        Raises:
            InvalidArgumentError: nobody has it.
        """
        checked_name(name)
        with self._lock:
            ref = self._names.pop(name, None)
            if ref is None:
                raise InvalidArgumentError("name", name, "a registered name")
            ref.name = None

    def whereis(self, name: Hashable) -> ActorRef[Any] | None:
        """Return who has the name, or None (NAME-3)."""
        return self._names.get(name)

    def send(self, name: Hashable, message: Any) -> None:
        """Send a message to who has the name now (NAME-4).

        Raises:
            InvalidArgumentError: nobody has it.
        """
        checked_name(name)
        ref = self._names.get(name)
        if ref is None:
            raise InvalidArgumentError("name", name, "a registered name")
        ref.send(message)

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


def checked_name(name: object) -> None:
    """Raise what explains why this cannot be a name."""
    if name is None:
        raise InvalidArgumentError("name", name, "any hashable value but None")
    try:
        hash(name)
    except TypeError:
        raise InvalidTypeError("name", name, "a hashable value") from None
