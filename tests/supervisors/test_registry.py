from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from supervisors import ActorDeadError, ActorSystem, NameTakenError, VirtualClock
from tests.supervisors.actors import Doer, Echo, Recorder


def test_name_1_a_name_belongs_to_one_actor(system):
    one, two = system.start(Echo, name="n"), system.start(Echo)
    with pytest.raises(NameTakenError) as caught:
        system.register("n", two)
    assert (caught.value.name, caught.value.owner) == ("n", one)
    assert system.whereis("n") is one
    assert two.name is None


def test_name_1_an_actor_has_one_name_and_cannot_have_it_twice(system):
    one = system.start(Echo, name="n")
    with pytest.raises(NameTakenError):
        system.register("m", one)
    with pytest.raises(NameTakenError):
        system.register("n", one)
    assert system.registry.names() == ["n"]


def test_name_1_the_dead_get_no_name(system):
    one = system.start(Echo)
    one.stop()
    with pytest.raises(ActorDeadError):
        system.register("n", one)
    assert system.whereis("n") is None


def test_name_1_an_actor_that_dies_while_it_is_named_leaves_no_name(system, monkeypatch):
    one = system.start(Echo)
    answers = iter([True, False])
    monkeypatch.setattr(type(one), "is_alive", lambda self: next(answers, False))
    with pytest.raises(ActorDeadError):
        system.register("n", one)
    monkeypatch.undo()
    assert system.whereis("n") is None
    assert one.name is None


@pytest.mark.parametrize("name", [None, [], {}])
def test_name_1_what_cannot_be_a_name_is_refused(system, name):
    with pytest.raises((ValueError, TypeError), match="name: "):
        system.register(name, system.start(Echo))


def test_name_1_only_actors_have_names(system):
    with pytest.raises(TypeError, match="ref: a str"):
        system.register("n", "an actor")


def test_name_1_starting_under_a_taken_name_starts_nothing(system):
    system.start(Echo, name="n")
    with pytest.raises(NameTakenError):
        system.start(Echo, name="n")
    assert len(system.actors()) == 1


def test_name_2_the_name_is_free_when_its_owner_has_ended(system):
    system.start(Echo, name="n").stop()
    successor = system.start(Echo, name="n")
    assert system.whereis("n") is successor


def test_name_2_anybody_can_unregister_any_name(system):
    one, two = system.start(Echo, name="n"), system.start(Doer)
    two.ask(lambda self: self.system.unregister("n"))
    assert system.whereis("n") is None
    system.register("m", one)
    assert system.whereis("m") is one


def test_name_2_unregistering_a_name_that_nobody_has_is_refused(system):
    with pytest.raises(ValueError, match="name: 'n'"):
        system.unregister("n")


def test_name_2_the_end_of_an_actor_frees_no_name_that_is_not_its_own(system):
    one = system.start(Echo, name="n")
    system.unregister("n")
    successor = system.start(Echo, name="n")
    one.stop()
    assert system.whereis("n") is successor


def test_name_3_whereis_gives_the_actor_or_none(system):
    one = system.start(Echo, name=("a", 1))
    assert system.whereis(("a", 1)) is one
    assert system.whereis("nobody") is None


def test_name_4_sending_to_a_name_reaches_its_owner(system):
    one = system.start(Recorder, name="n")
    system.send("n", "hello")
    assert one.ask("seen") == ["hello"]


def test_name_4_sending_to_a_name_that_nobody_has_is_refused(system):
    with pytest.raises(ValueError, match="name: 'n' is not allowed; allowed: a registered name"):
        system.send("n", "hello")


class RegistryAgainstDict(RuleBasedStateMachine):
    """Names come and go as in a dict, whatever the actors do."""

    names = st.sampled_from(["a", "b", "c"])

    def __init__(self):
        super().__init__()
        self.system = ActorSystem(clock=VirtualClock())
        self.actors = []
        self.model = {}

    def teardown(self):
        self.system.stop()

    @rule()
    @precondition(lambda self: len(self.actors) < 6)
    def start(self):
        self.actors.append(self.system.start(Echo))

    @rule(name=names)
    def start_named(self, name):
        if name in self.model:
            with pytest.raises(NameTakenError):
                self.system.start(Echo, name=name)
        else:
            self.model[name] = self.system.start(Echo, name=name)
            self.actors.append(self.model[name])

    @rule(name=names, data=st.data())
    @precondition(lambda self: self.actors)
    def register(self, name, data):
        ref = data.draw(st.sampled_from(self.actors))
        if name in self.model or ref in self.model.values():
            with pytest.raises(NameTakenError):
                self.system.register(name, ref)
        elif not ref.is_alive():
            with pytest.raises(ActorDeadError):
                self.system.register(name, ref)
        else:
            self.system.register(name, ref)
            self.model[name] = ref

    @rule(name=names)
    def unregister(self, name):
        if self.model.pop(name, None) is None:
            with pytest.raises(ValueError, match="name"):
                self.system.unregister(name)
        else:
            self.system.unregister(name)

    @rule(data=st.data(), reason=st.sampled_from(["boom", "kill"]))
    @precondition(lambda self: self.actors)
    def end(self, data, reason):
        ref = data.draw(st.sampled_from(self.actors))
        ref.exit(reason)
        self.model = {name: owner for name, owner in self.model.items() if owner is not ref}

    @invariant()
    def names_are_those_of_the_dict(self):
        assert self.system.registry.names() == list(self.model)
        assert len(self.system.registry) == len(self.model)
        for name in ("a", "b", "c"):
            assert self.system.whereis(name) is self.model.get(name)
        for ref in self.actors:
            assert ref.name == next((name for name, owner in self.model.items() if owner is ref), None)


TestRegistryAgainstDict = RegistryAgainstDict.TestCase


def test_each_wish_for_a_name_is_taken_back_alone(system):
    told = []
    first = system.registry.when_registered("n", told.append)
    one = system.start(Echo, name="n")
    one.stop()
    system.registry.when_registered("n", told.append)
    first()
    two = system.start(Echo, name="n")
    assert told == [one, two]
