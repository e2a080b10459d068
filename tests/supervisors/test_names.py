from __future__ import annotations

import pytest

from supervisors import ActorDeadError, NameTakenError, NoActorError, Via
from supervisors.names import FailedOver, Held, Migrated, Names, Registered, Unregistered
from supervisors.via import NameRegistry
from tests.supervisors.actors import Doer, Echo, SharedEcho


@pytest.fixture
def names():
    return Names()


@pytest.fixture
def one(system):
    return system.start(Doer)


@pytest.fixture
def two(system):
    return system.start(Doer)


def test_reg_2_a_name_has_one_holder_and_a_value(names, one, two):
    one.ask(lambda self: names.register("n", value=7))
    assert names.whereis("n") is one
    assert names.value("n") == 7
    for ref in (one, two):
        with pytest.raises(NameTakenError) as caught:
            names.register("n", ref)
        assert caught.value.owner is one


def test_reg_2_the_dead_get_no_name(names, one):
    one.stop()
    with pytest.raises(ActorDeadError):
        names.register("n", one)
    assert len(names) == 0


def test_reg_3_an_actor_has_as_many_names_as_it_likes(names, one):
    for name in ("b", "a", ("c", 1)):
        names.register(name, one)
    assert names.names(one) == ["b", "a", ("c", 1)]


def test_reg_4_names_go_when_their_holder_ends(names, one, two):
    names.register_all({"a": 1, "b": 2}, one)
    names.register("c", two)
    one.stop()
    assert (names.whereis("a"), names.whereis("b"), names.whereis("c")) == (None, None, two)
    assert len(names) == 1


def test_reg_4_nobody_dead_is_found(real, names):
    for _ in range(50):
        ref = real.start(SharedEcho)
        names.register("n", ref)
        ref.stop()
        assert names.whereis("n") is None


def test_ereg_3_the_name_of_one_that_is_dead_but_not_cleaned_up_can_be_taken(names, one, two, monkeypatch):
    names.register("n", one)
    really_alive = type(one).is_alive
    # As if one had ended just now, and the registry had not heard of it yet.
    monkeypatch.setattr(type(one), "is_alive", lambda ref: ref is not one and really_alive(ref))
    names.register("n", two)
    assert names.whereis("n") is two
    assert names.names(two) == ["n"]


def test_reg_5_a_name_or_all_names_can_be_freed(names, one):
    names.register_all({"a": 1, "b": 2, "c": 3}, one)
    names.unregister("b")
    assert names.names(one) == ["a", "c"]
    assert one.ask(lambda self: names.unregister_all()) == 2
    assert len(names) == 0
    with pytest.raises(ValueError, match="name: 'b'"):
        names.unregister("b")


def test_reg_6_a_name_that_nobody_has_is_none_and_has_no_value(names):
    assert names.whereis("n") is None
    with pytest.raises(ValueError, match="name: 'n'"):
        names.value("n")


def test_reg_7_a_value_is_set_by_the_holder_only(names, one, two):
    names.register("n", one, 1)
    names.set_value("n", 2, one)
    with pytest.raises(ValueError, match="has"):
        names.set_value("n", 3, two)
    assert names.value("n") == 2


def test_reg_12_several_names_are_registered_together_or_not_at_all(names, one, two):
    names.register("b", two)
    with pytest.raises(NameTakenError):
        names.register_all({"a": 1, "b": 2, "c": 3}, one)
    assert names.names(one) == []
    assert len(names) == 1


def test_reg_13_register_or_locate_gives_the_holder(names, one, two):
    assert names.register_or_locate("n", one, 1) == Held(one, 1)
    assert names.register_or_locate("n", two, 2) == Held(one, 1)
    one.stop()
    assert names.register_or_locate("n", two, 2) == Held(two, 2)


def test_reg_14_ensure_registers_or_updates(names, one, two):
    assert names.ensure("n", 1, one) is True
    assert names.ensure("n", 2, one) is False
    assert names.value("n") == 2
    with pytest.raises(NameTakenError):
        names.ensure("n", 3, two)


def test_reg_15_whoever_waits_is_called_once(names, one, two):
    told: list[object] = []
    cancel = names.when_registered("n", told.append)
    names.when_registered("n", told.append)
    cancel()
    names.register("n", one)
    names.unregister("n")
    names.register("n", two)
    names.when_registered("n", told.append)
    assert told == [one, two]


def test_reg_16_a_name_can_be_given_away_with_its_value(names, one, two):
    names.register("n", one, 7)
    assert names.give_away("n", two) is two
    assert (names.whereis("n"), names.value("n")) == (two, 7)
    one.stop()
    assert names.whereis("n") is two
    assert names.names(two) == ["n"]


def test_reg_16_given_to_the_dead_it_is_free(names, one, two):
    names.register("n", one)
    two.stop()
    assert names.give_away("n", two) is None
    assert len(names) == 0
    with pytest.raises(ValueError, match="name"):
        names.give_away("n", one)


def test_reg_17_a_watch_tells_of_the_end_once(names, one, two):
    names.register("n", one)
    watch = two.ask(lambda self: names.watch("n"))
    one.stop()
    names.register("n", two)
    names.unregister("n")
    assert two.ask("seen") == [Unregistered(watch, "n")]
    assert names.unwatch(watch) is False


def test_reg_17_a_watch_on_nobody_tells_at_once(names, two):
    watch = names.watch("n", ref=two)
    assert two.ask("seen") == [Unregistered(watch, "n")]


def test_reg_17_a_watch_tells_of_a_gift_and_stays(names, one, two, system):
    watcher = system.start(Doer)
    names.register("n", one)
    watch = names.watch("n", ref=watcher)
    names.give_away("n", two)
    two.stop()
    assert watcher.ask("seen") == [Migrated(watch, "n", two), Unregistered(watch, "n")]


def test_reg_18_the_first_that_stands_by_inherits_name_and_value(names, one, two, system):
    three, watcher = system.start(Doer), system.start(Doer)
    names.register("leader", one, "the value")
    first, second = (names.watch("leader", "standby", ref) for ref in (two, three))
    once = names.watch("leader", ref=watcher)
    one.kill()
    assert names.whereis("leader") is two
    assert names.value("leader") == "the value"
    assert two.ask("seen") == [FailedOver(first, "leader", two)]
    two.kill()
    assert names.whereis("leader") is three
    assert three.ask("seen") == [FailedOver(second, "leader", two), FailedOver(second, "leader", three)]
    assert watcher.ask("seen") == [FailedOver(once, "leader", two), FailedOver(once, "leader", three)]
    three.kill()
    assert watcher.ask("seen")[2:] == [Unregistered(once, "leader")]


def test_reg_18_standing_by_for_nobody_gets_the_name_at_once(names, two):
    told: list[object] = []
    names.when_registered("n", told.append)
    watch = names.watch("n", "standby", two)
    assert names.whereis("n") is two
    assert two.ask("seen") == [FailedOver(watch, "n", two)]
    assert told == [two]
    names.unregister("n")
    assert names.names(two) == []


def test_reg_18_one_that_has_ended_does_not_inherit(names, one, two, system):
    three = system.start(Doer)
    names.register("n", one)
    names.watch("n", "standby", two)
    names.watch("n", "standby", three)
    two.stop()
    one.stop()
    assert names.whereis("n") is three


def test_reg_18_whoever_follows_hears_each_time(names, one, two):
    watch = names.watch("n", "follow", two)
    names.register("n", one)
    names.unregister("n")
    names.register("n", one)
    assert two.ask("seen") == [
        Unregistered(watch, "n"),
        Registered(watch, "n", one),
        Unregistered(watch, "n"),
        Registered(watch, "n", one),
    ]
    assert names.unwatch(watch) is True
    names.unregister("n")
    assert len(two.ask("seen")) == 4


def test_a_watcher_that_has_ended_leaves_nothing(names, one, two):
    names.register("n", one)
    names.watch("n", "follow", two)
    two.stop()
    assert repr(names) == "<Names: 1 taken, 0 watched>"
    with pytest.raises(ActorDeadError):
        names.watch("n", "follow", two)
    assert repr(names) == "<Names: 1 taken, 0 watched>"


def test_reg_20_it_is_a_registry_for_via(names, system):
    assert isinstance(names, NameRegistry)
    ref = system.start(Echo, name=Via(names, "n"))
    assert names.whereis("n") is ref
    with pytest.raises(NameTakenError):
        system.start(Echo, name=Via(names, "n"))
    assert Via(names, "n").ask("hello") == "hello"
    system.unregister(Via(names, "n"))
    assert len(names) == 0


def test_what_cannot_be_is_refused(names, one):
    with pytest.raises(NoActorError, match="name one"):
        names.register("n")
    with pytest.raises(TypeError, match="ref: a str"):
        names.register("n", "an actor")
    with pytest.raises(ValueError, match="name"):
        names.register(None, one)
    with pytest.raises(ValueError, match="mode: 'forever'"):
        names.watch("n", "forever", one)


def test_one_of_many_threads_gets_the_name(real, names):
    refs = [real.start(SharedEcho) for _ in range(4)]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(4) as pool:
        for number in range(50):
            held = list(pool.map(lambda ref, number=number: names.register_or_locate(number, ref), refs))
            assert len({each.ref for each in held}) == 1
    assert len(names) == 50


def test_each_wish_is_taken_back_alone(names, one, two):
    told: list[object] = []
    first = names.when_registered("n", told.append)
    names.register("n", one)
    names.unregister("n")
    names.when_registered("n", told.append)
    first()
    names.register("n", two)
    assert told == [one, two]
