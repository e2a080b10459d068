from sys import getsizeof

import pytest

from sessionactors.footprint import data_size, size_of
from sessionactors.lifecycle import AUTHENTICATE, INIT_SESSION, decide
from sessionactors.session_data import SessionData
from sessionactors.settings import SessionOptions
from sessionactors.states import ACTIVE
from tests.sessionactors.session_factory import session_in

MIB = 1024 * 1024


@pytest.mark.parametrize("value", [b"x" * MIB, "x" * MIB, bytearray(MIB), 10**1000, 1.5, None])
def test_a_plain_value_is_as_large_as_python_says(value):
    assert size_of(value) == getsizeof(value)


@pytest.mark.parametrize("kind", [list, tuple, set, frozenset])
def test_a_container_is_as_large_as_what_is_in_it(kind):
    values = kind(bytes(1000 + number) for number in range(10))
    assert size_of(values) == getsizeof(values) + sum(map(getsizeof, values))


def test_keys_and_values_of_a_mapping_count():
    value = {"a" * 1000: b"b" * 2000}
    assert size_of(value) == getsizeof(value) + getsizeof("a" * 1000) + getsizeof(b"b" * 2000)


@pytest.mark.parametrize("count", [17, 100, 12_345])
def test_a_long_container_is_estimated_by_some_of_its_elements(count):
    values = [bytes(1000) for _ in range(count)]
    exact = getsizeof(values) + count * getsizeof(bytes(1000))
    assert size_of(values) == pytest.approx(exact, rel=0.01)


def test_growth_along_a_long_list_is_seen():
    values = [bytes(1000 * number) for number in range(200)]
    exact = sum(map(getsizeof, values))
    assert size_of(values) == pytest.approx(exact, rel=0.1)


def test_containers_inside_containers_are_followed_to_a_depth():
    assert size_of([[[bytes(MIB)]]]) > MIB
    endless = []
    endless.append(endless)
    assert size_of(endless) < 1000


def test_an_object_counts_and_nothing_behind_it():
    class Holder:
        def __init__(self):
            self.held = bytes(MIB)

    assert size_of(Holder()) < 1000


def test_a_record_grows_with_what_it_holds():
    data = SessionData("a", SessionOptions(), 0.0)
    empty = data_size(data)
    decide(data, INIT_SESSION, 0.0, {"notes": "x" * 5000})
    noted = data_size(data)
    assert noted - empty > 5000
    decide(data, AUTHENTICATE, 0.0, {"password": "x" * 7000})
    assert data_size(data) - noted > 7000


def test_what_sessions_share_counts_for_none_of_them():
    shared = SessionOptions(metadata={"notes": "x" * 5000})
    assert data_size(SessionData("a", shared, 0.0)) == data_size(SessionData("a", SessionOptions(), 0.0))


def test_a_history_weighs_its_moments_and_not_the_transitions_that_all_share():
    data = session_in(ACTIVE)
    recorded = data.recorded or []
    assert recorded
    before = data_size(data)
    data.recorded = recorded * 50
    grown = len(recorded) * 49
    expected = grown * 8 + grown // 2 * getsizeof(0.0)  # a place in the list for each, a number for every second
    assert abs(data_size(data) - before - expected) <= 64  # what lists have in reserve
