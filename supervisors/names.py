"""Unique names with values, as many an actor as it likes, that can be handed over (REG-1 to REG-18).

The system's own registry has one bare name for each actor (NAME-1), and that is the
fast one. `Names` is the rich one, after gproc: a name has a value, can be given
away, watched, and inherited by an actor that stands by. It is a `NameRegistry`, so
`Via(names, "leader")` works wherever a name does (REG-20).

A name whose actor has ended is gone a moment later at most; `whereis()` never
gives out an actor that is known to be dead (REG-4).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, cast, final

from supervisors.errors import InvalidArgumentError, InvalidTypeError, NameTakenError, NoActorError
from supervisors.runtime.outcomes import ActorDeadError
from supervisors.runtime.ref import ActorRef
from supervisors.runtime.turn import current_ref
from supervisors.via import checked_name

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

__all__ = ["FailedOver", "Held", "Migrated", "NameWatch", "Names", "Registered", "Unregistered", "WatchMode"]

WatchMode: TypeAlias = Literal["once", "standby", "follow"]
"""How long a watch lasts, and what it is for; see `Names.watch()`."""

_MODES: Final = ("once", "standby", "follow")

Outbox: TypeAlias = "list[Callable[[], None]]"
"""What is to be done when the lock has been given back: messages and callbacks, in order."""


@dataclass(frozen=True, slots=True)
class Held:
    """Who has a name, and what it has put there."""

    ref: ActorRef[Any]
    value: Any


@dataclass(frozen=True, slots=True, eq=False)
class NameWatch:
    """One watch of a name; each call of `watch()` makes a new one."""

    name: Hashable
    owner: ActorRef[Any]
    mode: WatchMode


@dataclass(frozen=True, slots=True)
class Unregistered:
    """The watched name belongs to nobody (REG-17)."""

    watch: NameWatch
    name: Hashable


@dataclass(frozen=True, slots=True)
class Migrated:
    """The watched name was given away (REG-17)."""

    watch: NameWatch
    name: Hashable
    to: ActorRef[Any]


@dataclass(frozen=True, slots=True)
class FailedOver:
    """The holder has ended, and one that stood by has the name now (REG-18)."""

    watch: NameWatch
    name: Hashable
    to: ActorRef[Any]


@dataclass(frozen=True, slots=True)
class Registered:
    """Somebody has registered the watched name (REG-18)."""

    watch: NameWatch
    name: Hashable
    ref: ActorRef[Any]


@final
class Names:
    """Names, their holders and values, and who watches them.

    Every verb that is about an actor is for the running one, unless another is given.

    Thread: every method is safe anywhere. Messages are sent, and callbacks called,
    after the change and without a lock.
    """

    __slots__ = ("_actors", "_held", "_lock", "_waiting", "_watches")

    def __init__(self) -> None:
        # Guards all below. Nothing is called while it is held, but for the hash and
        # equality of names: a name whose own come back here is no name.
        self._lock = threading.Lock()
        self._held: dict[Hashable, Held] = {}
        self._watches: dict[Hashable, dict[NameWatch, None]] = {}
        # What has to go when an actor ends: its names and its watches, in order.
        self._actors: dict[ActorRef[Any], dict[Hashable | NameWatch, None]] = {}
        self._waiting: dict[Hashable, list[list[Callable[[ActorRef[Any]], None]]]] = {}

    # -- having names ------------------------------------------------------

    def register(self, name: Hashable, ref: ActorRef[Any] | None = None, value: Any = None) -> None:
        """Give an actor a name with a value; it may have any number of names (REG-2, REG-3).

        Raises:
            NameTakenError: somebody has it, the actor itself included.
            ActorDeadError: the actor is dead.
        """
        checked_name(name)
        self.register_all({name: value}, ref)

    def register_all(self, values: Mapping[Hashable, Any], ref: ActorRef[Any] | None = None) -> None:
        """Register several names with their values, or none of them if one is taken (REG-12).

        Raises:
            NameTakenError: somebody has one of them.
            ActorDeadError: the actor is dead.
        """
        actor = _who(ref)
        if not isinstance(values, Mapping):
            raise InvalidTypeError("values", values, "a mapping of names and values")
        for name in values:
            checked_name(name)
            held = self._held.get(name)
            if held is not None and not held.ref.is_alive():
                self._ended(held.ref)  # its own end will find nothing left to do (EREG-3)
        out: Outbox = []
        with self._lock:
            for name in values:
                self._refuse_taken(name)
            _refuse_dead(actor)
            for name, value in values.items():
                self._put(name, Held(actor, value), out)
            known = self._known(actor, values)
        self._finish(actor, known, out)

    def register_or_locate(self, name: Hashable, ref: ActorRef[Any] | None = None, value: Any = None) -> Held:
        """Register a name, or find out who has it: one step, so that one of many wins (REG-13)."""
        actor = _who(ref)
        while True:
            try:
                self.register(name, actor, value)
            except NameTakenError:
                held = self._held.get(name)
                if held is not None and held.ref.is_alive():
                    return held
            else:
                return Held(actor, value)

    def ensure(self, name: Hashable, value: Any, ref: ActorRef[Any] | None = None) -> bool:
        """Register a name, or set its value if the actor has it; True if it is new (REG-14).

        Raises:
            NameTakenError: somebody else has it.
        """
        checked_name(name)
        actor = _who(ref)
        with self._lock:
            held = self._held.get(name)
            if held is not None and held.ref is actor:
                self._held[name] = Held(actor, value)
                return False
        self.register(name, actor, value)
        return True

    def unregister(self, name: Hashable) -> None:
        """Free a name; anybody may (NAME-2).

        Raises:
            InvalidArgumentError: nobody has it.
        """
        checked_name(name)
        out: Outbox = []
        with self._lock:
            if name not in self._held:
                raise InvalidArgumentError("name", name, "a registered name")
            self._drop(name)
            self._tell_gone(name, out)
        _do(out)

    def unregister_all(self, ref: ActorRef[Any] | None = None) -> int:
        """Free all names of an actor; return how many it had (REG-5)."""
        names = self.names(ref)
        for name in names:
            self.unregister(name)
        return len(names)

    def give_away(self, name: Hashable, to: ActorRef[Any]) -> ActorRef[Any] | None:
        """Move a name with its value to another actor; anybody may (REG-16).

        Returns:
            The new holder; None if it is dead, and the name is free then.

        Raises:
            InvalidArgumentError: nobody has the name.
        """
        checked_name(name)
        actor = _who(to)
        out: Outbox = []
        with self._lock:
            held = self._held.get(name)
            if held is None:
                raise InvalidArgumentError("name", name, "a registered name")
            self._drop(name)
            is_taken = actor.is_alive()
            if is_taken:
                self._put(name, Held(actor, held.value), None)
                known = self._known(actor, (name,))
                for watch in self._watches.get(name, ()):
                    _send(out, watch, Migrated(watch, name, actor))
            else:
                self._tell_gone(name, out)
        if not is_taken:
            _do(out)
            return None
        try:
            self._finish(actor, known, out)
        except ActorDeadError:
            return None
        return actor

    # -- looking -----------------------------------------------------------

    def whereis(self, name: Hashable) -> ActorRef[Any] | None:
        """Return the living holder, or None (REG-6)."""
        checked_name(name)
        held = self._held.get(name)
        return held.ref if held is not None and held.ref.is_alive() else None

    def value(self, name: Hashable) -> Any:
        """Return the value of a name (REG-6).

        Raises:
            InvalidArgumentError: nobody has it.
        """
        checked_name(name)
        held = self._held.get(name)
        if held is None or not held.ref.is_alive():
            raise InvalidArgumentError("name", name, "a registered name")
        return held.value

    def set_value(self, name: Hashable, value: Any, ref: ActorRef[Any] | None = None) -> None:
        """Set the value of a name that the actor has (REG-7).

        Raises:
            InvalidArgumentError: it does not have it.
        """
        checked_name(name)
        actor = _who(ref)
        with self._lock:
            held = self._held.get(name)
            if held is None or held.ref is not actor:
                raise InvalidArgumentError("name", name, "a name that the actor has")
            self._held[name] = Held(actor, value)

    def names(self, ref: ActorRef[Any] | None = None) -> list[Hashable]:
        """Return the names of an actor in order of registration (REG-3)."""
        actor = _who(ref)
        with self._lock:
            return [each for each in self._actors.get(actor, ()) if not isinstance(each, NameWatch)]

    def __len__(self) -> int:
        """Return how many names are taken."""
        return len(self._held)

    def __repr__(self) -> str:
        return f"<Names: {len(self._held)} taken, {len(self._watches)} watched>"

    # -- watching and waiting ----------------------------------------------

    def watch(self, name: Hashable, mode: WatchMode = "once", ref: ActorRef[Any] | None = None) -> NameWatch:
        """Be told by messages what becomes of a name (REG-17, REG-18).

        Args:
            name: the name, whether somebody has it or not.
            mode: `"once"`: until `Unregistered`, which comes at once if nobody has the
                name. `"follow"`: for good, with `Registered` each time. `"standby"`:
                until it inherits the name, which the first one standing by does when
                the holder ends, or at once if nobody has it.
            ref: who is told.

        Raises:
            ActorDeadError: who would be told is dead.
        """
        checked_name(name)
        if mode not in _MODES:
            raise InvalidArgumentError("mode", mode, "once, standby or follow")
        actor = _who(ref)
        _refuse_dead(actor)
        made = NameWatch(name, actor, mode)
        out: Outbox = []
        with self._lock:
            self._watches.setdefault(name, {})[made] = None
            known = self._known(actor, (made,))
            if name not in self._held:
                if mode == "standby":
                    # It comes into its inheritance at once: everybody hears that, and it is no registration.
                    self._held[name] = Held(actor, None)
                    self._tell_waiting(name, actor, out)
                    self._inherit(made, out)
                else:
                    _send(out, made, Unregistered(made, name))
                    if mode == "once":
                        self._unwatch(made)
        self._finish(actor, known, out)
        return made

    def unwatch(self, watch: NameWatch) -> bool:
        """End a watch; False if it had ended. A message that is there already stays (REG-18)."""
        if not isinstance(watch, NameWatch):
            raise InvalidTypeError("watch", watch, "what watch() returned")
        with self._lock:
            return self._unwatch(watch)

    def when_registered(self, name: Hashable, callback: Callable[[ActorRef[Any]], None]) -> Callable[[], None]:
        """Call back once when somebody has the name; see `Registry.when_registered()` (REG-15)."""
        checked_name(name)
        if not callable(callback):
            raise InvalidTypeError("callback", callback, "a function of a ref")
        wish = [callback]  # see there
        with self._lock:
            held = self._held.get(name)
            if held is None:
                self._waiting.setdefault(name, []).append(wish)
        if held is not None:
            callback(held.ref)

        def cancel() -> None:
            with self._lock:
                waiting = self._waiting.get(name, ())
                left = [each for each in waiting if each is not wish]
                if left:
                    self._waiting[name] = left
                elif waiting:
                    del self._waiting[name]

        return cancel

    # -- the caller holds the lock -----------------------------------------

    def _refuse_taken(self, name: Hashable) -> None:
        held = self._held.get(name)
        if held is not None:
            raise NameTakenError(name, held.ref)

    def _put(self, name: Hashable, held: Held, out: Outbox | None) -> None:
        """Enter a name; with an outbox, also tell who follows it and who waits for it."""
        self._held[name] = held
        if out is None:
            return
        for watch in self._watches.get(name, ()):
            if watch.mode == "follow":
                _send(out, watch, Registered(watch, name, held.ref))
        self._tell_waiting(name, held.ref, out)

    def _tell_waiting(self, name: Hashable, ref: ActorRef[Any], out: Outbox) -> None:
        for (callback,) in self._waiting.pop(name, ()):
            out.append(lambda callback=callback: callback(ref))  # type: ignore[misc]  # bound early

    def _drop(self, name: Hashable) -> None:
        held = self._held.pop(name)
        self._actors.get(held.ref, {}).pop(name, None)

    def _tell_gone(self, name: Hashable, out: Outbox) -> None:
        for watch in list(self._watches.get(name, ())):
            _send(out, watch, Unregistered(watch, name))
            if watch.mode == "once":
                self._unwatch(watch)

    def _fail_over(self, name: Hashable, value: Any, out: Outbox) -> bool:
        """Give a free name to the first that stands by; False if there is none."""
        heir = next((each for each in self._watches.get(name, ()) if each.mode == "standby"), None)
        if heir is None:
            return False
        self._put(name, Held(heir.owner, value), None)
        self._inherit(heir, out)
        return True

    def _inherit(self, heir: NameWatch, out: Outbox) -> None:
        """Tell everybody who has the name now; the heir's own watch ends with this."""
        self._actors.setdefault(heir.owner, {})[heir.name] = None
        for watch in self._watches[heir.name]:
            _send(out, watch, FailedOver(watch, heir.name, heir.owner))
        self._unwatch(heir)

    def _unwatch(self, watch: NameWatch) -> bool:
        watches = self._watches.get(watch.name, {})
        if watch not in watches:
            return False
        del watches[watch]
        if not watches:
            del self._watches[watch.name]
        self._actors.get(watch.owner, {}).pop(watch, None)
        return True

    def _known(self, actor: ActorRef[Any], things: Any) -> bool:
        """Note what goes with the actor; tell whether its end is looked out for already."""
        known = actor in self._actors
        self._actors.setdefault(actor, {}).update(dict.fromkeys(things))
        return known

    # -- takes the lock itself ---------------------------------------------

    def _finish(self, actor: ActorRef[Any], known: bool, out: Outbox) -> None:
        """Do what is left to do after a change for an actor, which may have ended meanwhile."""
        try:
            _do(out)  # first, so that nobody hears of the end before what came before it
        finally:
            if not known:
                # After the change: whenever the actor ends, this finds it.
                actor.when_ended().when_done(lambda: self._ended(actor))
        if not actor.is_alive():
            self._ended(actor)
            raise ActorDeadError.of(actor, actor.exit_reason)

    def _ended(self, actor: ActorRef[Any]) -> None:
        out: Outbox = []
        with self._lock:
            things = self._actors.pop(actor, {})
            for thing in things:
                if isinstance(thing, NameWatch):
                    self._unwatch(thing)
            for thing in things:
                held = None if isinstance(thing, NameWatch) else self._held.pop(thing, None)
                if held is not None and not self._fail_over(thing, held.value, out):
                    self._tell_gone(thing, out)
        _do(out)


def _send(out: Outbox, watch: NameWatch, message: object) -> None:
    out.append(lambda: watch.owner.send(message))


def _do(out: Outbox) -> None:
    for each in out:
        each()


def _refuse_dead(actor: ActorRef[Any]) -> None:
    """Raise before anybody hears of something that is not to be; `_finish()` finds who dies meanwhile."""
    if not actor.is_alive():
        raise ActorDeadError.of(actor, actor.exit_reason)


def _who(ref: ActorRef[Any] | None) -> ActorRef[Any]:
    """Return the actor that is meant: the one given, or the one that is running."""
    if ref is not None:
        if not isinstance(ref, ActorRef):
            raise InvalidTypeError("ref", ref, "an ActorRef")
        return ref
    current = current_ref()
    if current is None:
        raise NoActorError("no actor is running on this thread; name one")
    return cast("ActorRef[Any]", current)
