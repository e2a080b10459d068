from __future__ import annotations

import math

import pytest

from sessionactors.errors import InvalidKind, InvalidLimit, InvalidValue
from sessionactors.limits.sliding_window import PARTS, SlidingWindow, WindowLimits
from sessionactors.limits.token_bucket import ADMITTED

MINUTE = WindowLimits(window=60.0, limit=10)


def test_a_new_window_has_counted_nothing():
    window = SlidingWindow(MINUTE)
    assert window.count(0.0) == 0
    assert window.is_empty(0.0)


def test_what_was_admitted_is_counted():
    window = SlidingWindow(MINUTE)
    for moment in (0.0, 1.0, 30.0):
        assert window.check(2, moment) == ADMITTED
    assert window.count(30.0) == 6


def test_the_limit_may_be_reached_but_not_passed():
    window = SlidingWindow(MINUTE)
    assert window.check(10, 0.0) == ADMITTED
    assert window.check(1, 0.0)[0] is False
    assert window.count(0.0) == 10


def test_without_a_limit_it_only_counts():
    window = SlidingWindow(WindowLimits(60.0))
    assert all(window.check(1000, 0.0)[0] for _ in range(10))
    assert window.count(0.0) == 10_000
    assert window.wait_for(10**15, 0.0) == 0.0


def test_nothing_leaves_before_the_window_is_over():
    window = SlidingWindow(MINUTE)
    window.check(10, 3.0)
    assert window.count(62.9) == 10


def test_everything_has_left_a_tenth_of_a_window_later():
    window = SlidingWindow(MINUTE)
    window.check(10, 3.0)
    assert window.count(3.0 + 66.0) == 0
    assert window.is_empty(3.0 + 66.0)


def test_after_the_wait_it_fits_and_just_before_it_does_not():
    window = SlidingWindow(MINUTE)
    window.check(4, 3.0)
    window.check(6, 20.0)
    refused, wait = window.check(5, 30.0)
    assert not refused
    assert wait == 84.0 - 30.0  # the part from 18 to 24 is inside until 84
    assert not window.check(5, 83.999999999)[0]
    assert window.check(5, 84.0) == ADMITTED


def test_the_wait_is_no_longer_than_needed():
    window = SlidingWindow(MINUTE)
    window.check(4, 3.0)
    window.check(6, 20.0)
    assert window.check(4, 30.0) == (False, 66.0 - 30.0)


def test_what_is_larger_than_the_limit_never_fits():
    assert SlidingWindow(MINUTE).check(11, 0.0) == (False, math.inf)


def test_a_record_is_counted_even_over_the_limit():
    window = SlidingWindow(MINUTE)
    window.record(25, 0.0)
    assert window.count(0.0) == 25
    assert window.check(1, 0.0) == (False, 66.0)


def test_time_that_goes_back_counts_for_the_newest_part():
    window = SlidingWindow(MINUTE)
    window.check(4, 100.0)
    window.check(4, 10.0)
    assert window.count(100.0) == 8
    assert window.count(161.0) == 8


@pytest.mark.parametrize("cost", [0, -1, math.nan, math.inf])
@pytest.mark.parametrize("method", ["check", "record", "wait_for"])
def test_a_bad_cost_is_refused_and_not_counted(method, cost):
    window = SlidingWindow(MINUTE)
    with pytest.raises(InvalidValue, match="cost"):
        getattr(window, method)(cost, 0.0)
    assert window.is_empty(0.0)


@pytest.mark.parametrize("cost", ["1", True, None])
def test_a_cost_is_a_number(cost):
    with pytest.raises(InvalidKind, match="cost"):
        SlidingWindow(MINUTE).check(cost, 0.0)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"window": 0}, "window"),
        ({"window": math.nan}, "window"),
        ({"window": "60"}, "window"),
        ({"limit": 0}, "window_limit"),
        ({"limit": 1.5}, "window_limit"),
    ],
)
def test_a_bad_limit_is_refused_by_name(options, name):
    with pytest.raises(InvalidLimit, match=name):
        WindowLimits(**options)


def test_the_parts_cover_the_window():
    for window in (60.0, 1.0, 0.1, 1e-9, 7.777777777):
        assert WindowLimits(window).width * PARTS >= window * 1e9


def test_a_busy_window_stays_bounded():
    window = SlidingWindow(WindowLimits(60.0))
    for step in range(10_000):
        window.record(1, step * 0.1)
    parts = window._parts
    assert len(parts) <= 2 * (PARTS + 1)


def test_fractional_costs_are_counted():
    window = SlidingWindow(WindowLimits(60.0, limit=1))
    assert all(window.check(0.25, 0.0)[0] for _ in range(4))
    assert not window.check(0.25, 0.0)[0]


def test_a_window_shows_its_limit():
    assert repr(SlidingWindow(MINUTE)) == "<SlidingWindow of 60 s, limit 10, 0 parts>"
    assert "no limit" in repr(SlidingWindow(WindowLimits()))
