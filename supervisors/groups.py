"""Many actors under one key, each with a value: publish, subscribe, find (EREG-2 to EREG-12).

A registry of names answers "who is it?", groups answer "who are they?": Elixir's
Registry with duplicate keys, and gproc's properties. Entries go by themselves when
their actor ends. That may be a moment after the end, but nothing here ever gives
out an actor that is known to be dead (EREG-4, REG-4).
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from operator import itemgetter
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

_NOBODY: Final[tuple[_Group, ...]] = ()


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

    __slots__ = ("_actors", "_count", "_groups", "_listeners", "_lock", "_metadata", "_number")

    def __init__(self) -> None:
        # Guards all below. While it is held nothing of anybody else's is called: not a
        # function, and not the hash or equality of a key or value either, which could
        # come back here, or wait for a lock whose owner waits for this one.
        self._lock = threading.Lock()
        # Groups by the hash of their key; more than one where hashes meet. A tuple is
        # never changed, only replaced: who searches it does so without the lock, and
        # sees afterwards whether it is still the one.
        self._groups: dict[int, tuple[_Group, ...]] = {}
        # Entries are numbered in order of joining. Each actor's are known by group, so
        # that leaving one costs the entries there, and the actor's end its own entries.
        self._number = 0
        self._count = 0
        self._actors: dict[ActorRef[Any], dict[_Group, list[int]]] = {}
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
        member = Member(actor, value)
        hashed = hash(key)
        while True:
            seen = self._groups.get(hashed, _NOBODY)
            group = _find(seen, key)
            with self._lock:
                if self._groups.get(hashed, _NOBODY) is not seen and (group is None or not group.entries):
                    continue  # a key came or went while we searched; whoever did that has got on
                if group is None:
                    group = _Group(key, hashed)
                    self._groups[hashed] = (*seen, group)
                known = actor in self._actors
                self._number = number = self._number + 1
                self._count += 1
                group.entries[number] = member
                self._actors.setdefault(actor, {}).setdefault(group, []).append(number)
                break
        if not known:
            # After the entry is there: whenever the actor ends, this finds it.
            actor.when_ended().when_done(lambda: self._forget(actor))
        if not actor.is_alive():
            self._forget(actor)
            raise ActorDeadError.of(actor, actor.exit_reason)
        self._tell(Joined(key, actor, value))

    def leave(self, key: Hashable, *, value: Any = _NO_VALUE, ref: ActorRef[Any] | None = None) -> int:
        """Remove the actor's entries under a key, or those with this value (EREG-6).

        Costs the actor's entries under this key, however many others there are.

        Returns:
            How many there were; none is no error.
        """
        checked_name(key)
        actor = _who(ref)
        group = self._group(key)
        gone: list[Member] = []  # what goes is let go of here: its last holder may have a say at its end
        if group is not None:
            own = self._own(actor, group)
            wanted = own if value is _NO_VALUE else {n: each for n, each in own.items() if each.value == value}
            with self._lock:
                numbers = self._actors.get(actor, {}).get(group, [])
                gone.extend(self._remove(group, number) for number in numbers if number in wanted)
                numbers[:] = [number for number in numbers if number not in wanted]
                if gone and not numbers:
                    del self._actors[actor][group]
        self._tell(Left(key, actor))
        return len(gone)

    def update(self, key: Hashable, function: Callable[[Any], Any], *, ref: ActorRef[Any] | None = None) -> int:
        """Replace the value of each of the actor's entries under a key by a function of it (EREG-7).

        Returns:
            How many there were.
        """
        checked_name(key)
        _check_function("function", function)
        actor = _who(ref)
        group = self._group(key)
        if group is None:
            return 0
        old = self._own(actor, group)
        changed = {number: Member(actor, function(each.value)) for number, each in old.items()}
        with self._lock:
            still = group.entries.keys() & changed.keys()
            for number in still:
                group.entries[number] = changed[number]
        return len(still)

    # -- looking and sending -----------------------------------------------

    def members(self, key: Hashable) -> list[Member]:
        """Return the living members of a key in order of joining (EREG-5)."""
        checked_name(key)
        group = self._group(key)
        if group is None:
            return []
        with self._lock:
            entries = list(group.entries.values())
        return [each for each in entries if each.ref.is_alive()]

    def keys(self, ref: ActorRef[Any] | None = None) -> list[Hashable]:
        """Return the keys of an actor, with repeats, in order of joining (EREG-5)."""
        actor = _who(ref)
        if not actor.is_alive():
            return []
        with self._lock:
            numbered = [(n, group.key) for group, numbers in self._actors.get(actor, {}).items() for n in numbers]
        numbered.sort(key=itemgetter(0))
        return [key for _, key in numbered]

    def values(self, key: Hashable, ref: ActorRef[Any] | None = None) -> list[Any]:
        """Return what an actor has put under a key (EREG-5)."""
        checked_name(key)
        actor = _who(ref)
        group = self._group(key)
        if group is None or not actor.is_alive():
            return []
        return [each.value for each in self._own(actor, group).values()]

    def __len__(self) -> int:
        """Return how many entries there are, over all keys (EREG-5)."""
        return self._count

    def select(self, wanted: Callable[[Hashable, Member], bool]) -> list[tuple[Hashable, Member]]:
        """Return (key, member) of all living entries that a function wants (EREG-8, REG-21)."""
        _check_function("wanted", wanted)
        with self._lock:
            groups = [group for groups in self._groups.values() for group in groups]
            entries = [(group.key, each) for group in groups for each in group.entries.values()]
        return [(key, each) for key, each in entries if each.ref.is_alive() and wanted(key, each)]

    def dispatch(self, key: Hashable, function: Callable[[list[Member]], None]) -> None:
        """Call a function with the members of a key, on this thread; not if there are none (EREG-9)."""
        _check_function("function", function)
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
        _check_function("listener", listener)
        with self._lock:
            self._listeners = (*self._listeners, listener)

        def stop() -> None:
            with self._lock:
                self._listeners = tuple(each for each in self._listeners if each is not listener)

        return stop

    def __repr__(self) -> str:
        with self._lock:
            keys = sum(len(groups) for groups in self._groups.values())
        return f"<Groups: {len(self)} entries under {keys} keys>"

    # -- below the public verbs --------------------------------------------

    def _group(self, key: Hashable) -> _Group | None:
        """Return the group of a key; without the lock, for it asks keys whether they are equal."""
        return _find(self._groups.get(hash(key), _NOBODY), key)

    def _own(self, actor: ActorRef[Any], group: _Group) -> dict[int, Member]:
        """Return the actor's entries in a group by number, in order of joining."""
        with self._lock:
            return {number: group.entries[number] for number in self._actors.get(actor, {}).get(group, ())}

    def _remove(self, group: _Group, number: int) -> Member:
        """Take an entry out, and a group that has none; the caller holds the lock."""
        self._count -= 1
        member = group.entries.pop(number)
        if not group.entries:
            left = tuple(each for each in self._groups[group.hashed] if each is not group)
            if left:
                self._groups[group.hashed] = left
            else:
                del self._groups[group.hashed]
        return member

    def _forget(self, actor: ActorRef[Any]) -> None:
        gone: list[Member] = []
        with self._lock:
            groups = self._actors.pop(actor, {})
            for group, numbers in groups.items():
                gone.extend(self._remove(group, number) for number in numbers)

    def _tell(self, what: Joined | Left) -> None:
        for listener in self._listeners:
            listener(what)


@final
class _Group:
    """The entries under one key, by number; equal to itself only.

    One that has lost its last entry is out of the table for good: who still has it in
    hand finds no entry in it, and must not put one in.
    """

    __slots__ = ("entries", "hashed", "key")

    def __init__(self, key: Hashable, hashed: int) -> None:
        self.key = key
        self.hashed = hashed
        self.entries: dict[int, Member] = {}


def _find(groups: tuple[_Group, ...], key: Hashable) -> _Group | None:
    for group in groups:
        if group.key is key or group.key == key:
            return group
    return None


def _check_function(field: str, given: object) -> None:
    if not callable(given):
        raise InvalidTypeError(field, given, "a function")


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
