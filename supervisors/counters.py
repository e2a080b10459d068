"""Counters that belong to actors, and their sums (REG-1, REG-7 to REG-11).

Each actor has its own counter of a name; the total of a name is the sum of all of
them, at all times, and costs the same however many there are. A counter goes when
its actor ends, and its share of the total with it. A *shared* counter belongs to no
actor and stays until it is unregistered; it does not count in any total.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast, final

from supervisors.errors import InvalidArgumentError, InvalidTypeError, NameTakenError, NoActorError
from supervisors.runtime.outcomes import ActorDeadError
from supervisors.runtime.ref import ActorRef
from supervisors.runtime.turn import current_ref
from supervisors.via import checked_name

if TYPE_CHECKING:
    from collections.abc import Hashable

__all__ = ["SHARED_COUNTER", "Change", "Counters"]


@final
class _Shared:
    """The type of `SHARED_COUNTER`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "SHARED_COUNTER"


SHARED_COUNTER: Final = _Shared()
"""Given as `ref`: the counter that belongs to no actor (REG-11)."""


@dataclass(frozen=True, slots=True)
class Change:
    """One step of `Counters.update()`.

    Attributes:
        by: what is added; may be negative.
        threshold: if the sum passes it (above it, or below it if `by` is negative),
            the value becomes `wrap_to` instead (REG-8); None: it never does.
        wrap_to: see `threshold`.
    """

    by: int
    threshold: int | None = None
    wrap_to: int = 0

    def __post_init__(self) -> None:
        _checked_number("by", self.by)
        _checked_number("wrap_to", self.wrap_to)
        if self.threshold is not None:
            _checked_number("threshold", self.threshold)

    def applied_to(self, value: int) -> int:
        """Return the value after this step."""
        value += self.by
        if self.threshold is None:
            return value
        passed = value > self.threshold if self.by >= 0 else value < self.threshold
        return self.wrap_to if passed else value


@final
class _Counter:
    """One counter of one owner."""

    __slots__ = ("initial", "value")

    def __init__(self, initial: int) -> None:
        self.initial = initial
        self.value = initial


@final
class Counters:
    """Whole numbers by name and owner.

    Every verb is for the running actor, unless another owner is given as `ref`.

    Thread: every method is safe anywhere; each call is one step to everybody else.
    """

    __slots__ = ("_lock", "_of", "_totals")

    def __init__(self) -> None:
        # Guards both below. Nothing is called while it is held, but for the hash and
        # equality of names: a name whose own come back here is no name.
        self._lock = threading.Lock()
        self._of: dict[ActorRef[Any] | _Shared, dict[Hashable, _Counter]] = {}
        self._totals: dict[Hashable, tuple[int, int]] = {}  # name -> (sum, how many counters)

    def register(self, name: Hashable, initial: int = 0, *, ref: ActorRef[Any] | _Shared | None = None) -> None:
        """Make a counter; `reset()` goes back to `initial` (REG-2).

        Raises:
            NameTakenError: the owner has it already.
            ActorDeadError: the owner is dead.
            NoActorError: no ref was given, and no actor is running on this thread.
        """
        checked_name(name)
        _checked_number("initial", initial)
        owner = _owner(ref)
        with self._lock:
            known = owner in self._of
            own = self._of.setdefault(owner, {})
            if name in own:
                raise NameTakenError(name, owner)
            own[name] = _Counter(initial)
            self._add(owner, name, initial, 1)
        if isinstance(owner, _Shared):
            return
        if not known:
            # After the counter is there: whenever the actor ends, this finds it.
            owner.when_ended().when_done(lambda: self._forget(owner))
        if not owner.is_alive():
            self._forget(owner)
            raise ActorDeadError.of(owner, owner.exit_reason)

    def unregister(self, name: Hashable, *, ref: ActorRef[Any] | _Shared | None = None) -> int:
        """Remove a counter and return its last value (REG-5).

        Raises:
            InvalidArgumentError: the owner has no such counter.
        """
        owner = _owner(ref)
        with self._lock:
            counter = self._get(owner, name)
            del self._of[owner][name]
            self._add(owner, name, -counter.value, -1)
        return counter.value

    def value(self, name: Hashable, *, ref: ActorRef[Any] | _Shared | None = None) -> int:
        """Return the value of a counter (REG-7).

        Raises:
            InvalidArgumentError: the owner has no such counter.
        """
        owner = _owner(ref)
        with self._lock:
            return self._get(owner, name).value

    def set(self, name: Hashable, value: int, *, ref: ActorRef[Any] | _Shared | None = None) -> None:
        """Set the value of a counter (REG-7).

        Raises:
            InvalidArgumentError: the owner has no such counter.
        """
        _checked_number("value", value)
        owner = _owner(ref)
        with self._lock:
            self._store(owner, name, self._get(owner, name), value)

    def update(self, name: Hashable, change: int | Change = 1, *, ref: ActorRef[Any] | _Shared | None = None) -> int:
        """Add to a counter and return the new value (REG-8).

        Raises:
            InvalidArgumentError: the owner has no such counter.
        """
        return self.update_all(name, [change], ref=ref)[0]

    def update_all(
        self, name: Hashable, changes: Iterable[int | Change], *, ref: ActorRef[Any] | _Shared | None = None
    ) -> list[int]:
        """Apply changes in order, as one step; return the value after each (REG-8).

        Raises:
            InvalidArgumentError: the owner has no such counter.
        """
        if not isinstance(changes, Iterable):
            raise InvalidTypeError("changes", changes, "numbers or `Change`s, one after the other")
        steps = [each if isinstance(each, Change) else Change(each) for each in changes]
        owner = _owner(ref)
        with self._lock:
            counter = self._get(owner, name)
            values = [counter.value]
            for step in steps:
                values.append(step.applied_to(values[-1]))
            self._store(owner, name, counter, values[-1])
        return values[1:]

    def reset(self, name: Hashable, *, ref: ActorRef[Any] | _Shared | None = None) -> tuple[int, int]:
        """Set a counter to what it began with; return (value before, value now) (REG-9).

        Raises:
            InvalidArgumentError: the owner has no such counter.
        """
        owner = _owner(ref)
        with self._lock:
            counter = self._get(owner, name)
            before = counter.value
            self._store(owner, name, counter, counter.initial)
        return before, counter.initial

    def total(self, name: Hashable) -> int:
        """Return the sum of the counters of this name over all actors; 0 if there are none (REG-10)."""
        checked_name(name)
        return self._totals.get(name, (0, 0))[0]

    def owners(self, name: Hashable) -> int:
        """Return how many actors have a counter of this name."""
        checked_name(name)
        return self._totals.get(name, (0, 0))[1]

    def __repr__(self) -> str:
        return f"<Counters: {len(self._totals)} names, {len(self._of)} owners>"

    # -- the caller holds the lock -----------------------------------------

    def _get(self, owner: ActorRef[Any] | _Shared, name: Hashable) -> _Counter:
        checked_name(name)
        counter = self._of.get(owner, {}).get(name)
        if counter is None:
            raise InvalidArgumentError("name", name, "a counter that its owner has registered")
        return counter

    def _store(self, owner: ActorRef[Any] | _Shared, name: Hashable, counter: _Counter, value: int) -> None:
        self._add(owner, name, value - counter.value, 0)
        counter.value = value

    def _add(self, owner: ActorRef[Any] | _Shared, name: Hashable, by: int, count: int) -> None:
        if isinstance(owner, _Shared):
            return
        total, counters = self._totals.get(name, (0, 0))
        if counters + count:
            self._totals[name] = (total + by, counters + count)
        else:
            del self._totals[name]

    # -- takes the lock itself ---------------------------------------------

    def _forget(self, owner: ActorRef[Any]) -> None:
        with self._lock:
            for name, counter in self._of.pop(owner, {}).items():
                self._add(owner, name, -counter.value, -1)


def _owner(ref: ActorRef[Any] | _Shared | None) -> ActorRef[Any] | _Shared:
    """Return the owner that is meant: the one given, or the actor that is running."""
    if ref is not None:
        if not isinstance(ref, (ActorRef, _Shared)):
            raise InvalidTypeError("ref", ref, "an ActorRef or SHARED_COUNTER")
        return ref
    current = current_ref()
    if current is None:
        raise NoActorError("no actor is running on this thread; name an owner with ref=...")
    return cast("ActorRef[Any]", current)


def _checked_number(field: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidTypeError(field, value, "a whole number")
