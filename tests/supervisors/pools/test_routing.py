from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisors.pools.options import Retry
from supervisors.pools.records import Task
from supervisors.pools.routing import KeyLine, key_code, least_loaded, place_of

KEYS = st.one_of(st.text(), st.binary(), st.integers(), st.tuples(st.integers(), st.booleans()))


@given(KEYS, st.integers(1, 100))
def test_a_key_has_one_place_among_those_that_there_are(key, places):
    assert 0 <= place_of(key, places) < places
    assert place_of(key, places) == place_of(key, places)


@given(KEYS, st.integers(1, 100))
def test_one_place_more_moves_a_key_to_that_place_or_not_at_all(key, places):
    assert place_of(key, places + 1) in (place_of(key, places), places)


@pytest.mark.parametrize("make", [str, int, lambda number: f"session-{number}".encode()])
def test_keys_are_spread_evenly(make):
    counts = Counter(place_of(make(number), 8) for number in range(8_000))
    assert set(counts) == set(range(8))
    assert max(counts.values()) < 1.2 * 1_000
    assert min(counts.values()) > 0.8 * 1_000


def test_texts_have_the_same_place_in_every_run():
    # Python's own hash of a text differs from run to run.
    assert [place_of(text, 10) for text in ("a", "b", "session-1")] == [2, 9, 5]
    assert key_code("a") == 0xE8B7BE43


def test_equal_numbers_of_different_types_meet():
    assert place_of(1, 10) == place_of(1.0, 10) == place_of(True, 10)


def test_the_least_loaded_is_chosen_and_of_equals_the_next_in_turn():
    assert least_loaded([3, 1, 2], 0) == 1
    assert [least_loaded([1, 1, 1], first) for first in range(3)] == [0, 1, 2]


def test_a_line_of_a_key_forgets_who_is_settled_at_its_front():
    line = KeyLine()
    first, second = Task(1, None, Retry()), Task(2, None, Retry())
    line.tasks.extend([first, second])
    assert line.first_unsettled(lambda task: task is first) is second
    assert line.first_unsettled(lambda task: True) is None
