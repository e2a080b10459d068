"""Many actors under one key, each with a value: publish, subscribe, find (EREG-2 to EREG-12).

A registry of names answers "who is it?", groups answer "who are they?": Elixir's
Registry with duplicate keys, and gproc's properties. Entries go by themselves when
their actor ends. That may be a moment after the end, but nothing here ever gives
out an actor that is known to be dead (EREG-4, REG-4).
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast, final

from supervisors.errors import InvalidTypeError, NoActorError
from supervisors.runtime.outcomes import ActorDeadError
from supervisors.runtime.ref import ActorRef
from supervisors.runtime.turn import current_ref
from supervisors.via import checked_name

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

__all__ = ["Groups", "Joined", "Left", "Member"]


@dataclass(frozen=True, slots=True)
class Member:
    """One entry: an actor under a key, with what it has put there.

    Attributes:
        ref: the actor.
        value: anything; None unless given.
    """

    ref: ActorRef[Any]
    value: Any = None


@dataclass(frozen=True, slots=True)
class Joined:
    """What listeners hear of a new entry (EREG-12)."""

    key: Hashable
    ref: ActorRef[Any]
    value: Any


@dataclass(frozen=True, slots=True)
class Left:
    """What listeners hear when an actor leaves by itself; not when it ends (EREG-12)."""

    key: Hashable
    ref: ActorRef[Any]


Listener: TypeAlias = "Callable[[Joined | Left], None]"

_NO_VALUE: Final = object()


@final
class Groups:
    """Keys with any number of actors, in order of joining.

    Every verb that changes something is for the running actor, unless another one is
    given as `ref`.

    Thread: every method is safe anywhere. Functions given here are called without
    a lock, on the calling thread.

    Example:
        >>> from supervisors import Actor, ActorSystem
        >>> from supervisors.groups import Groups
        >>> class Printer(Actor):
        ...     dispatch = "inline"
        ...     def on_receive(self, message):
        ...         print(message)
        >>> rooms = Groups()
        >>> with ActorSystem() as system:
        ...     rooms.join("lobby", ref=system.start(Printer))
        ...     rooms.send("lobby", "hello")
        hello
        1
    """

    __slots__ = ("_entries", "_keys", "_listeners", "_lock", "_metadata", "_number")

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards all below; nothing is called while it is held
        # Entries are numbered in order of joining, so that the end of one actor
        # costs its own entries and not a walk through everybody's.
        self._number = 0
        self._entries: dict[Hashable, dict[int, Member]] = {}
        self._keys: dict[ActorRef[Any], dict[int, Hashable]] = {}
        self._metadata: dict[Hashable, Any] = {}
        self._listeners: tuple[Listener, ...] = ()

    # -- the actor's own entries -------------------------------------------

    def join(self, key: Hashable, value: Any = None, *, ref: ActorRef[Any] | None = None) -> None:
        """Add an entry; an actor may join a key many times (EREG-2).

        Raises:
            ActorDeadError: the actor is dead.
            NoActorError: no ref was given, and no actor is running on this thread.
        """
        checked_name(key)
        actor = _who(ref)
        with self._lock:
            known = actor in self._keys
            self._number = number = self._number + 1
            self._keys.setdefault(actor, {})[number] = key
            self._entries.setdefault(key, {})[number] = Member(actor, value)
        if not known:
            # After the entry is there: whenever the actor ends, this finds it.
            actor.when_ended().when_done(lambda: self._forget(actor))
        if not actor.is_alive():
            self._forget(actor)
            raise ActorDeadError.of(actor, actor.exit_reason)
        self._tell(Joined(key, actor, value))

    def leave(self, key: Hashable, *, value: Any = _NO_VALUE, ref: ActorRef[Any] | None = None) -> int:
        """Remove the actor's entries under a key, or those with this value (EREG-6).

        Returns:
            How many there were; none is no error.
        """
        checked_name(key)
        actor = _who(ref)
        with self._lock:
            own = self._own(actor, key)
            gone = [number for number, each in own.items() if value is _NO_VALUE or each.value == value]
            for number in gone:
                self._remove(key, number)
                del self._keys[actor][number]
        self._tell(Left(key, actor))
        return len(gone)

    def update(self, key: Hashable, function: Callable[[Any], Any], *, ref: ActorRef[Any] | None = None) -> int:
        """Replace the value of each of the actor's entries under a key by a function of it (EREG-7).

        Returns:
            How many there were.
        """
        checked_name(key)
        actor = _who(ref)
        with self._lock:
            old = self._own(actor, key)
        changed = {number: Member(actor, function(each.value)) for number, each in old.items()}
        with self._lock:
            still = self._own(actor, key).keys() & changed.keys()
            for number in still:
                self._entries[key][number] = changed[number]
        return len(still)

    # -- looking and sending -----------------------------------------------

    def members(self, key: Hashable) -> list[Member]:
        """Return the living members of a key in order of joining (EREG-5)."""
        checked_name(key)
        with self._lock:
            entries = list(self._entries.get(key, {}).values())
        return [each for each in entries if each.ref.is_alive()]

    def keys(self, ref: ActorRef[Any] | None = None) -> list[Hashable]:
        """Return the keys of an actor, with repeats, in order of joining (EREG-5)."""
        actor = _who(ref)
        with self._lock:
            return list(self._keys.get(actor, {}).values()) if actor.is_alive() else []

    def values(self, key: Hashable, ref: ActorRef[Any] | None = None) -> list[Any]:
        """Return what an actor has put under a key (EREG-5)."""
        actor = _who(ref)
        return [each.value for each in self.members(key) if each.ref is actor]

    def __len__(self) -> int:
        """Return how many entries there are, over all keys (EREG-5)."""
        with self._lock:
            return sum(len(entries) for entries in self._entries.values())

    def select(self, wanted: Callable[[Hashable, Member], bool]) -> list[tuple[Hashable, Member]]:
        """Return (key, member) of all living entries that a function wants (EREG-8, REG-21)."""
        with self._lock:
            entries = [(key, each) for key, members in self._entries.items() for each in members.values()]
        return [(key, each) for key, each in entries if each.ref.is_alive() and wanted(key, each)]

    def dispatch(self, key: Hashable, function: Callable[[list[Member]], None]) -> None:
        """Call a function with the members of a key, on this thread; not if there are none (EREG-9)."""
        found = self.members(key)
        if found:
            function(found)

    def send(self, key: Hashable, message: Any) -> int:
        """Send a message to each member once for each entry; return how many that were (REG-19)."""
        found = self.members(key)
        for each in found:
            each.ref.send(message)
        return len(found)

    # -- metadata and listeners --------------------------------------------

    def metadata(self, key: Hashable, default: Any = None) -> Any:
        """Return what is noted about a key, whether it has members or not (EREG-10)."""
        checked_name(key)
        return self._metadata.get(key, default)

    def set_metadata(self, key: Hashable, value: Any) -> None:
        """Note something about a key; it stays until it is deleted (EREG-10)."""
        checked_name(key)
        self._metadata[key] = value

    def delete_metadata(self, key: Hashable) -> None:
        """Delete what is noted about a key; nothing happens if there is nothing (EREG-10)."""
        checked_name(key)
        self._metadata.pop(key, None)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call a function with each `Joined` and `Left` from now on (EREG-12).

        It runs on the thread that joins or leaves, and must neither block nor raise.

        Returns:
            A function that ends the subscription.
        """
        with self._lock:
            self._listeners = (*self._listeners, listener)

        def stop() -> None:
            with self._lock:
                self._listeners = tuple(each for each in self._listeners if each is not listener)

        return stop

    def __repr__(self) -> str:
        return f"<Groups: {len(self)} entries under {len(self._entries)} keys>"

    # -- below the public verbs --------------------------------------------

    def _own(self, actor: ActorRef[Any], key: Hashable) -> dict[int, Member]:
        """Return the actor's entries under a key by number; the caller holds the lock."""
        return {number: self._entries[key][number] for number, each in self._keys.get(actor, {}).items() if each == key}

    def _remove(self, key: Hashable, number: int) -> None:
        """Take an entry out, and a key that has none; the caller holds the lock."""
        entries = self._entries[key]
        del entries[number]
        if not entries:
            del self._entries[key]

    def _forget(self, actor: ActorRef[Any]) -> None:
        with self._lock:
            for number, key in self._keys.pop(actor, {}).items():
                self._remove(key, number)

    def _tell(self, what: Joined | Left) -> None:
        for listener in self._listeners:
            listener(what)


def _who(ref: ActorRef[Any] | None) -> ActorRef[Any]:
    """Return the actor that is meant: the one given, or the one that is running."""
    if ref is not None:
        if not isinstance(ref, ActorRef):
            raise InvalidTypeError("ref", ref, "an ActorRef")
        return ref
    current = current_ref()
    if current is None:
        raise NoActorError("no actor is running on this thread; name one with ref=...")
    return cast("ActorRef[Any]", current)
