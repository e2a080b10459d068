"""No schedule leaves a name with a dead actor, or gives one name to two."""

from __future__ import annotations

import pytest

from supervisors import Actor, ActorDeadError, NameTakenError
from supervisors.registry import Registry
from tests.schedules.exploring import State, explore, new_system


class Named(Actor):
    dispatch = "inline"

    def on_receive(self, message):
        """Handle nothing."""


class ForgetsWithoutTheLock(Registry):  # type: ignore[misc]  # final for everybody else
    """Planted: no lock keeps the death of an actor from coming while it gets its name."""

    __slots__ = ()

    def register(self, name, ref):
        with self._lock:
            if not ref.is_alive():
                raise ActorDeadError.of(ref, ref.exit_reason)
            self._names[name] = ref
            ref.name = name

    def forget(self, ref):
        if ref.name is not None and self._names.get(ref.name) is ref:
            del self._names[ref.name]
            ref.name = None


class LooksWithoutTheLock(Registry):  # type: ignore[misc]
    """Planted: whether the name is taken is looked at before the lock is."""

    __slots__ = ()

    def register(self, name, ref):
        if self.whereis(name) is not None:
            raise NameTakenError(name, self.whereis(name))
        with self._lock:
            self._names[name] = ref
            ref.name = name


class TellsLater(Registry):  # type: ignore[misc]
    """Planted: who waits for a name looks first, and then says so."""

    __slots__ = ()

    def when_registered(self, name, callback):
        owner = self.whereis(name)
        if owner is not None:
            callback(owner)
        else:
            with self._lock:
                self._waiting.setdefault(name, []).append(callback)


class SeenDict(dict):
    """A dict whose every use frontrun can see."""

    def get(self, key, default=None):
        read = super().get
        return read(key, default)

    def pop(self, key, *default):
        write = super().pop
        return write(key, *default)

    def __setitem__(self, key, value):
        write = super().__setitem__
        write(key, value)

    def __delitem__(self, key):
        write = super().__delitem__
        write(key)


def named(registry_class):
    def setup():
        system = new_system()
        system.registry = registry_class()
        system.registry._names = SeenDict()
        return State(system=system, one=system.start(Named), other=system.start(Named), outcomes=[], found=[])

    return setup


def register(which):
    def worker(state):
        try:
            state.system.registry.register("name", getattr(state, which))
            state.outcomes.append("registered")
        except (ActorDeadError, NameTakenError) as error:
            state.outcomes.append(type(error).__name__)

    return worker


def die(state):
    state.one.exit("over")


def nobody_has_it(state):
    state.system.scheduler.work()
    return state.system.whereis("name") is None and state.one.name is None


@pytest.mark.parametrize(("registry_class", "found"), [(Registry, False), (ForgetsWithoutTheLock, True)])
def test_an_actor_that_dies_while_it_gets_a_name_does_not_keep_it(registry_class, found):
    held = explore(named(registry_class), [register("one"), die], nobody_has_it)
    assert (held is None) == found


def one_has_it(state):
    return sorted(state.outcomes) == ["NameTakenError", "registered"]


@pytest.mark.parametrize(("registry_class", "found"), [(Registry, False), (LooksWithoutTheLock, True)])
def test_of_two_actors_one_gets_the_name(registry_class, found):
    held = explore(named(registry_class), [register("one"), register("other")], one_has_it)
    assert (held is None) == found


def wait(state):
    state.system.registry.when_registered("name", state.found.append)


def told_once(state):
    return state.found == [state.one]


@pytest.mark.parametrize(("registry_class", "found"), [(Registry, False), (TellsLater, True)])
def test_whoever_waits_for_a_name_is_told_once(registry_class, found):
    held = explore(named(registry_class), [register("one"), wait], told_once)
    assert (held is None) == found
