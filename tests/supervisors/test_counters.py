from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisors import ActorDeadError, ActorSystem, NameTakenError, NoActorError, VirtualClock
from supervisors.counters import SHARED_COUNTER, Change, Counters
from tests.supervisors.actors import Doer, Echo, SharedDoer


@pytest.fixture
def counters():
    return Counters()


def test_reg_2_a_counter_begins_at_0_or_where_it_is_told(system, counters):
    ref = system.start(Doer)
    ref.ask(lambda self: (counters.register("a"), counters.register("b", 5)))
    assert counters.value("a", ref=ref) == 0
    assert counters.value("b", ref=ref) == 5


def test_reg_2_an_actor_has_one_counter_of_a_name(system, counters):
    one, two = system.start(Echo), system.start(Echo)
    counters.register("a", 1, ref=one)
    with pytest.raises(NameTakenError):
        counters.register("a", ref=one)
    counters.register("a", 2, ref=two)
    assert counters.owners("a") == 2


@pytest.mark.parametrize("value", [1.5, "1", True, None])
def test_reg_2_a_counter_is_a_whole_number(system, counters, value):
    ref = system.start(Echo)
    with pytest.raises(TypeError, match="initial"):
        counters.register("a", value, ref=ref)
    counters.register("a", ref=ref)
    with pytest.raises(TypeError, match="value"):
        counters.set("a", value, ref=ref)
    with pytest.raises(TypeError, match="by"):
        counters.update("a", value, ref=ref)
    assert counters.value("a", ref=ref) == 0


def test_reg_4_a_counter_goes_with_its_actor(system, counters):
    one, two = system.start(Echo), system.start(Echo)
    counters.register("a", 1, ref=one)
    counters.register("a", 2, ref=two)
    one.stop()
    assert counters.total("a") == 2
    with pytest.raises(ValueError, match="registered"):
        counters.value("a", ref=one)
    two.stop()
    assert (counters.total("a"), counters.owners("a")) == (0, 0)


def test_reg_4_the_dead_get_no_counter(system, counters):
    ref = system.start(Echo)
    ref.stop()
    with pytest.raises(ActorDeadError):
        counters.register("a", 7, ref=ref)
    assert counters.total("a") == 0


def test_reg_5_unregistering_gives_the_last_value_and_only_once(system, counters):
    ref = system.start(Echo)
    counters.register("a", 3, ref=ref)
    assert counters.unregister("a", ref=ref) == 3
    with pytest.raises(ValueError, match="name: 'a'"):
        counters.unregister("a", ref=ref)


def test_reg_7_a_value_can_be_set_by_its_owner(system, counters):
    ref = system.start(Echo)
    counters.register("a", ref=ref)
    counters.set("a", 9, ref=ref)
    assert counters.value("a", ref=ref) == 9
    with pytest.raises(ValueError, match="name: 'b'"):
        counters.set("b", 9, ref=ref)


def test_reg_8_an_update_gives_the_new_value(system, counters):
    ref = system.start(Echo)
    counters.register("a", ref=ref)
    assert [counters.update("a", by, ref=ref) for by in (1, 5, -2)] == [1, 6, 4]
    assert counters.update("a", ref=ref) == 5


@pytest.mark.parametrize(
    ("value", "change", "after"),
    [
        (9, Change(1, threshold=10, wrap_to=0), 10),
        (10, Change(1, threshold=10, wrap_to=0), 0),
        (1, Change(-1, threshold=0, wrap_to=7), 0),
        (0, Change(-1, threshold=0, wrap_to=7), 7),
        (11, Change(0, threshold=10, wrap_to=3), 3),
    ],
)
def test_reg_8_passing_the_threshold_wraps(system, counters, value, change, after):
    ref = system.start(Echo)
    counters.register("a", value, ref=ref)
    assert counters.update("a", change, ref=ref) == after


def test_reg_8_a_list_of_updates_gives_a_list_of_values(system, counters):
    ref = system.start(Echo)
    counters.register("a", ref=ref)
    assert counters.update_all("a", [1, Change(1, threshold=1, wrap_to=10), -3], ref=ref) == [1, 10, 7]
    assert counters.update_all("a", [], ref=ref) == []
    assert counters.total("a") == 7


def test_reg_9_a_reset_goes_back_to_the_beginning(system, counters):
    ref = system.start(Echo)
    counters.register("a", 2, ref=ref)
    counters.update("a", 5, ref=ref)
    assert counters.reset("a", ref=ref) == (7, 2)
    assert counters.total("a") == 2


def test_reg_11_a_shared_counter_belongs_to_nobody_and_counts_in_no_total(counters):
    counters.register("a", 1, ref=SHARED_COUNTER)
    assert counters.update("a", 4, ref=SHARED_COUNTER) == 5
    assert counters.total("a") == 0
    with pytest.raises(NameTakenError):
        counters.register("a", ref=SHARED_COUNTER)
    assert counters.unregister("a", ref=SHARED_COUNTER) == 5


def test_outside_of_any_actor_the_owner_must_be_named(counters):
    with pytest.raises(NoActorError, match="ref="):
        counters.register("a")
    with pytest.raises(TypeError, match="ref"):
        counters.register("a", ref="an actor")


def test_no_update_is_lost_between_threads(real, counters):
    counters.register("a", ref=SHARED_COUNTER)
    actors = [real.start(SharedDoer) for _ in range(4)]

    def count(self):
        counters.register("a")
        for _ in range(200):
            counters.update("a")
            counters.update("a", ref=SHARED_COUNTER)
        return True

    futures = [each.ask(count, block=False) for each in actors]
    assert all(future.get(timeout=5) for future in futures)
    assert counters.total("a") == counters.value("a", ref=SHARED_COUNTER) == 800


WHO = st.integers(0, 2)


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("register"), WHO, st.integers(-3, 3)),
            st.tuples(st.just("update"), WHO, st.integers(-3, 3)),
            st.tuples(st.just("reset"), WHO),
            st.tuples(st.just("unregister"), WHO),
            st.tuples(st.just("end"), WHO),
        ),
        min_size=20,  # fewer seldom bring two counters together of which one goes
        max_size=60,
    )
)
def test_reg_10_the_total_is_the_sum_at_all_times(acts):
    counters = Counters()
    model: dict[int, list[int]] = {}  # who -> [initial, value]
    with ActorSystem(clock=VirtualClock()) as system:
        refs = [system.start(Echo) for _ in range(3)]
        for what, who, *rest in acts:
            ref = refs[who]
            if what == "end":
                ref.kill()
                refs[who] = system.start(Echo)
                model.pop(who, None)
            elif (what == "register") == (who in model):
                with pytest.raises((NameTakenError, ValueError)):
                    getattr(counters, what)("a", *rest, ref=ref)
            elif what == "register":
                counters.register("a", rest[0], ref=ref)
                model[who] = [rest[0], rest[0]]
            elif what == "update":
                model[who][1] += rest[0]
                assert counters.update("a", rest[0], ref=ref) == model[who][1]
            elif what == "reset":
                assert counters.reset("a", ref=ref) == (model[who][1], model[who][0])
                model[who][1] = model[who][0]
            else:
                assert counters.unregister("a", ref=ref) == model.pop(who)[1]
            assert counters.total("a") == sum(value for _, value in model.values())
            assert counters.owners("a") == len(model)
