"""What cannot be hashed is no name, whatever registry is asked about it."""

from __future__ import annotations

import pytest

from supervisors import InvalidTypeError
from supervisors.counters import Counters
from supervisors.groups import Groups
from supervisors.names import Names
from tests.supervisors.actors import Echo

LIST: list[int] = []


@pytest.mark.parametrize("verb", ["register", "whereis", "value", "set_value", "ensure", "unregister", "give_away"])
def test_names_refuse_it(system, verb):
    given = {"set_value": ("v",), "ensure": ("v",), "give_away": (system.start(Echo),)}.get(verb, ())
    extra = {"ref": system.start(Echo)} if verb in ("register", "set_value", "ensure") else {}
    with pytest.raises(InvalidTypeError, match="name: a list"):
        getattr(Names(), verb)(LIST, *given, **extra)


@pytest.mark.parametrize("verb", ["watch", "register_or_locate"])
def test_names_refuse_it_for_an_actor_too(system, verb):
    with pytest.raises(InvalidTypeError, match="name: a list"):
        getattr(Names(), verb)(LIST, ref=system.start(Echo))


def test_names_refuse_to_wait_for_it():
    with pytest.raises(InvalidTypeError, match="name: a list"):
        Names().when_registered(LIST, print)


@pytest.mark.parametrize("verb", ["register", "unregister", "value", "update", "reset"])
def test_counters_refuse_it(system, verb):
    with pytest.raises(InvalidTypeError, match="name: a list"):
        getattr(Counters(), verb)(LIST, ref=system.start(Echo))


@pytest.mark.parametrize("verb", ["total", "owners"])
def test_sums_of_counters_refuse_it(verb):
    with pytest.raises(InvalidTypeError, match="name: a list"):
        getattr(Counters(), verb)(LIST)


@pytest.mark.parametrize("verb", ["members", "metadata", "delete_metadata"])
def test_groups_refuse_it(verb):
    with pytest.raises(InvalidTypeError, match="name: a list"):
        getattr(Groups(), verb)(LIST)


@pytest.mark.parametrize("verb", ["join", "leave", "values"])
def test_groups_refuse_it_for_an_actor_too(system, verb):
    with pytest.raises(InvalidTypeError, match="name: a list"):
        getattr(Groups(), verb)(LIST, ref=system.start(Echo))


@pytest.mark.parametrize("verb", ["whereis", "unregister", "wait_for_name"])
def test_systems_refuse_it(system, verb):
    with pytest.raises(InvalidTypeError, match="name: a list"):
        getattr(system, verb)(LIST)


def test_a_system_refuses_to_register_it_and_to_send_to_it(system):
    ref = system.start(Echo)
    with pytest.raises(InvalidTypeError, match="name: a list"):
        system.register(LIST, ref)
    with pytest.raises(InvalidTypeError, match="name: a list"):
        system.send(LIST, "hello")


def test_what_is_no_watch_cannot_be_ended():
    with pytest.raises(InvalidTypeError, match="watch: a str"):
        Names().unwatch("watch")


def test_several_names_come_as_a_mapping(system):
    with pytest.raises(InvalidTypeError, match="values: a list"):
        Names().register_all(["a"], system.start(Echo))


def test_whom_to_call_back_is_a_function(system):
    for registry in (Names(), system.registry):
        with pytest.raises(InvalidTypeError, match="callback"):
            registry.when_registered("n", None)


def test_what_groups_call_is_a_function(system):
    groups = Groups()
    ref = system.start(Echo)
    with pytest.raises(InvalidTypeError, match="wanted"):
        groups.select(None)
    with pytest.raises(InvalidTypeError, match="function"):
        groups.dispatch("n", None)
    with pytest.raises(InvalidTypeError, match="function"):
        groups.update("n", None, ref=ref)
    with pytest.raises(InvalidTypeError, match="listener"):
        groups.listen(None)


def test_changes_of_a_counter_come_one_after_the_other(system):
    with pytest.raises(InvalidTypeError, match="changes"):
        Counters().update_all("n", None, ref=system.start(Echo))
