from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisors import ActorDeadError, ActorSystem, NoActorError, VirtualClock
from supervisors.groups import Groups, Joined, Left, Member
from tests.supervisors.actors import Doer, Echo, SharedEcho


@pytest.fixture
def groups():
    return Groups()


def test_ereg_2_an_actor_may_join_a_key_many_times(system, groups):
    ref = system.start(Doer)
    ref.ask(lambda self: (groups.join("a", 1), groups.join("a", 2), groups.join("b")))
    assert groups.members("a") == [Member(ref, 1), Member(ref, 2)]
    assert groups.keys(ref) == ["a", "a", "b"]


def test_ereg_2_somebody_else_can_be_named(system, groups):
    ref = system.start(Echo)
    groups.join("a", ref=ref)
    assert groups.members("a") == [Member(ref, None)]


def test_ereg_2_outside_of_any_actor_somebody_must_be_named(groups):
    with pytest.raises(NoActorError, match="ref="):
        groups.join("a")


def test_the_dead_join_nothing(system, groups):
    ref = system.start(Echo)
    ref.stop()
    with pytest.raises(ActorDeadError):
        groups.join("a", ref=ref)
    assert len(groups) == 0


def test_ereg_4_entries_go_when_their_actor_ends(system, groups):
    one, two = system.start(Echo), system.start(Echo)
    for key in ("a", "a", "b"):
        groups.join(key, ref=one)
    groups.join("a", ref=two)
    one.stop()
    assert groups.members("a") == [Member(two)]
    assert len(groups) == 1
    assert groups.keys(one) == []


def test_ereg_4_an_actor_that_is_ending_is_not_given_out(real, groups):
    for _ in range(50):
        ref = real.start(SharedEcho)
        groups.join("a", ref=ref)
        ref.stop()
        assert groups.members("a") == []
        assert groups.send("a", "hello") == 0


def test_ereg_5_members_come_in_order_of_joining_and_values_by_actor(system, groups):
    refs = [system.start(Echo) for _ in range(3)]
    for number, ref in enumerate([*refs, refs[0]]):
        groups.join("a", number, ref=ref)
    assert [each.value for each in groups.members("a")] == [0, 1, 2, 3]
    assert groups.values("a", refs[0]) == [0, 3]
    assert groups.values("b", refs[0]) == []
    assert len(groups) == 4


def test_ereg_6_leaving_removes_all_entries_of_the_actor_under_the_key(system, groups):
    one, two = system.start(Echo), system.start(Echo)
    for ref in (one, two, one):
        groups.join("a", ref=ref)
    groups.join("b", ref=one)
    assert groups.leave("a", ref=one) == 2
    assert groups.leave("a", ref=one) == 0
    assert groups.members("a") == [Member(two)]
    assert groups.keys(one) == ["b"]


def test_ereg_6_leaving_can_be_for_one_value(system, groups):
    ref = system.start(Echo)
    for value in (1, 2, None):
        groups.join("a", value, ref=ref)
    assert groups.leave("a", value=None, ref=ref) == 1
    assert groups.values("a", ref) == [1, 2]


def test_an_actor_that_has_left_and_joined_again_is_still_forgotten_at_its_end(system, groups):
    ref = system.start(Echo)
    groups.join("a", ref=ref)
    groups.leave("a", ref=ref)
    groups.join("a", ref=ref)
    ref.stop()
    assert len(groups) == 0


def test_ereg_7_a_value_can_be_updated_by_its_actor(system, groups):
    one, two = system.start(Echo), system.start(Echo)
    groups.join("a", 1, ref=one)
    groups.join("a", 10, ref=two)
    assert groups.update("a", lambda value: value + 1, ref=one) == 1
    assert groups.update("b", lambda value: value + 1, ref=one) == 0
    assert [each.value for each in groups.members("a")] == [2, 10]


def test_ereg_8_entries_can_be_selected(system, groups):
    ref = system.start(Echo)
    for number in range(4):
        groups.join("even" if number % 2 == 0 else "odd", number, ref=ref)
    found = groups.select(lambda key, member: key == "odd" and member.value > 1)
    assert found == [("odd", Member(ref, 3))]


def test_ereg_9_dispatch_gets_all_members_at_once_and_is_not_called_without(system, groups):
    ref = system.start(Echo)
    groups.join("a", 1, ref=ref)
    calls: list[list[Member]] = []
    groups.dispatch("a", calls.append)
    groups.dispatch("b", calls.append)
    assert calls == [[Member(ref, 1)]]


def test_reg_19_sending_to_a_key_reaches_all_also_nobody(system, groups):
    one, two = system.start(Doer), system.start(Doer)
    groups.join("a", ref=one)
    groups.join("a", ref=two)
    groups.join("a", ref=two)
    assert groups.send("a", "hello") == 3
    assert groups.send("b", "hello") == 0
    assert one.ask("seen") == ["hello"]
    assert two.ask("seen") == ["hello", "hello"]


def test_ereg_10_metadata_stays_until_it_is_deleted(groups):
    groups.set_metadata("a", {"limit": 3})
    assert groups.metadata("a") == {"limit": 3}
    groups.delete_metadata("a")
    groups.delete_metadata("a")
    assert groups.metadata("a", "nothing") == "nothing"


def test_ereg_12_listeners_hear_of_joining_and_leaving_but_not_of_ends(system, groups):
    heard: list[Joined | Left] = []
    stop = groups.listen(heard.append)
    one, two = system.start(Echo), system.start(Echo)
    groups.join("a", 1, ref=one)
    groups.leave("a", ref=one)
    groups.leave("never there", ref=one)
    groups.join("a", 2, ref=two)
    two.stop()
    stop()
    groups.join("b", ref=one)
    assert heard == [Joined("a", one, 1), Left("a", one), Left("never there", one), Joined("a", two, 2)]


@pytest.mark.parametrize("key", [None, []])
def test_what_cannot_be_a_key_is_refused(system, groups, key):
    with pytest.raises((ValueError, TypeError), match="name"):
        groups.join(key, ref=system.start(Echo))


def test_only_actors_join(groups):
    with pytest.raises(TypeError, match="ref: a str"):
        groups.join("a", ref="an actor")


class Key:
    """A key whose hash and equality ask the groups themselves, and are counted."""

    asked = 0

    def __init__(self, groups, name):
        self.groups, self.name = groups, name

    def __hash__(self):
        repr(self.groups)
        return 7  # all alike, so that equality has to decide

    def __eq__(self, other):
        Key.asked += 1
        repr(self.groups)
        return isinstance(other, Key) and other.name == self.name


def in_time(act):
    """Run what may hang on a thread of its own; return whether it came to an end."""
    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    thread.join(5.0)
    return not thread.is_alive()


def test_keys_and_values_may_use_the_groups_in_their_own_equality(system, groups):
    ref = system.start(Echo)

    def act():
        for name in ("a", "b", "a"):
            groups.join(Key(groups, name), Key(groups, name), ref=ref)
        groups.update(Key(groups, "a"), lambda value: value, ref=ref)
        assert len(groups.members(Key(groups, "a"))) == 2
        assert groups.leave(Key(groups, "a"), value=Key(groups, "a"), ref=ref) == 2
        assert groups.leave(Key(groups, "b"), ref=ref) == 1
        done.append(len(groups))

    done = []
    assert in_time(act)
    assert done == [0]


def test_leaving_costs_the_entries_under_the_key_and_not_all_keys_of_the_actor(system, groups):
    class Counted(Key):
        def __hash__(self):
            return hash(self.name)

    ref = system.start(Echo)
    for number in range(1_000):
        groups.join(Counted(groups, number), ref=ref)
    Key.asked = 0
    assert groups.leave(Counted(groups, 500), ref=ref) == 1
    assert Key.asked <= 2


def test_keys_come_and_go_on_several_threads(real, groups):
    """Each thread joins and leaves the same few keys; in the end the table is as at the beginning."""
    refs = [real.start(Echo) for _ in range(4)]
    wrong = []

    def act(ref):
        for turn in range(300):
            key = turn % 3
            groups.join(key, ref=ref)
            if groups.values(key, ref) != [None]:
                wrong.append(key)
            if groups.leave(key, ref=ref) != 1:
                wrong.append(key)

    threads = [threading.Thread(target=act, args=(ref,)) for ref in refs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30.0)
    assert wrong == []
    assert repr(groups) == "<Groups: 0 entries under 0 keys>"


KEYS = st.sampled_from(["a", "b"])
WHO = st.integers(0, 2)


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("join"), WHO, KEYS, st.integers(0, 2)),
            st.tuples(st.just("leave"), WHO, KEYS),
            st.tuples(st.just("end"), WHO),
        )
    )
)
def test_groups_hold_what_a_list_of_entries_holds(acts):
    groups, model = Groups(), []
    with ActorSystem(clock=VirtualClock()) as system:
        refs = [system.start(Echo) for _ in range(3)]
        for what, who, *rest in acts:
            ref = refs[who]
            if what == "end":
                ref.kill()
                model = [each for each in model if each[1] is not ref]
                refs[who] = system.start(Echo)
            elif what == "join":
                groups.join(rest[0], rest[1], ref=ref)
                model.append((rest[0], ref, rest[1]))
            else:
                kept = [each for each in model if each[:2] != (rest[0], ref)]
                assert groups.leave(rest[0], ref=ref) == len(model) - len(kept)
                model = kept
            for key in ("a", "b"):
                assert groups.members(key) == [Member(ref, value) for k, ref, value in model if k == key]
            assert len(groups) == len(model)
    assert len(groups) == 0
