"""Sets that are small, or share a table."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from supervisors import Actor, ActorSystem
from supervisors.runtime.signals import LinkExit
from supervisors.runtime.small_set import SharedSet, with_item, without_item


def test_a_set_grows_from_nothing_to_a_tuple_to_a_dict_and_back_to_nothing():
    items = None
    for number in range(6):
        items = with_item(items, number)
        assert isinstance(items, tuple if number < 4 else dict)
        assert with_item(items, number) is items
    for number in range(6):
        assert list(items) == list(range(number, 6))
        items = without_item(items, number)
    assert items is None
    assert without_item(items, 1) is None


def test_what_is_in_the_table_takes_no_room_of_its_own():
    table = {}
    items = SharedSet(table, ("parent",))
    for number in range(10_000):
        items.add(number)
        table[number] = "spec"
    assert len(items._more) < 100
    assert list(items) == ["parent", *range(10_000)]
    assert len(items) == 10_001


def test_who_was_taken_out_and_has_left_the_table_is_not_kept_alive():
    table = dict.fromkeys(range(10_000))
    items = SharedSet(table, ())
    for number in range(10_000):
        items.discard(number)
        del table[number]
    assert len(items._gone) <= 6
    assert not items
    assert list(items) == []


def test_many_that_are_taken_out_before_they_leave_the_table_are_known_until_then():
    table = dict.fromkeys(range(1000))
    items = SharedSet(table, ())
    for number in range(999):
        items.discard(number)
    assert list(items) == [999]
    assert items
    items.discard(999)
    assert not items


steps = st.lists(st.tuples(st.sampled_from(["add", "discard", "enter", "leave"]), st.integers(0, 60)), max_size=200)


@given(steps)
def test_it_agrees_with_a_set(script):
    """An item enters the table once it is in the set, and leaves it once it is out of it, as a child does."""
    table, model = {}, {"parent"}
    items = SharedSet(table, model)
    for verb, item in script:
        if verb == "add":
            assert with_item(items, item) is items
            model.add(item)
        elif verb == "discard":
            assert without_item(items, item) is items
            model.discard(item)
        elif verb == "enter" and item in model:
            table[item] = None
        elif verb == "leave" and item not in model:
            table.pop(item, None)
        assert (item in items) is (item in model)
        assert len(items) == len(model)
        assert bool(items) is bool(model)
    assert len(list(items)) == len(model)
    assert set(items) == model


class Idle(Actor):
    pass


class Counting(dict):
    """A table that counts how often somebody looks something up in it."""

    looked = 0

    def __contains__(self, item):
        self.looked += 1
        return super().__contains__(item)


def test_the_end_of_one_of_many_is_not_looked_for_among_all():
    with ActorSystem() as system:
        owner, *others = [system.start(Idle) for _ in range(201)]
        table = Counting()
        owner.links = SharedSet(table, others)
        for other in others:
            LinkExit(other, "normal").apply(owner)
        assert list(owner.links) == []
        assert table.looked <= 5 * len(others)
        owner.links = None
