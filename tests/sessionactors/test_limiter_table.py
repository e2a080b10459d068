"""What the rate limiter knows, without the limiter."""

from __future__ import annotations

from sys import getsizeof

import pytest

from sessionactors.limiter_table import LimiterTable
from sessionactors.limits.token_bucket import BucketLimits
from sessionactors.settings import LimiterSettings


@pytest.fixture
def table():
    return LimiterTable(LimiterSettings(capacity=10.0, rate=1.0), 0.0)


def test_full_buckets_of_all_types_go_when_their_session_rests(table):
    for each in ("requests", "bytes"):
        table.add("a", each, 0.0, is_live=True)
    table.rest("a", 0.0)
    assert (table.size, table.buckets) == (0, {})


def test_a_bucket_that_misses_something_stays_until_it_is_full(table):
    table.add("a", "requests", 0.0, is_live=True).check(5, 0.0)
    table.rest("a", 4.9)
    assert table.size == 1
    table.rest("a", 5.0)
    assert table.size == 0


def test_a_bucket_with_limits_of_its_own_stays(table):
    table.add("a", "requests", 0.0, is_live=True)
    table.reconfigure("a", "requests", BucketLimits(3.0, 1.0), None, 0.0)
    table.rest("a", 0.0)
    assert table.size == 1


def test_a_bucket_with_a_window_stays_as_long_as_something_is_in_it():
    table = LimiterTable(LimiterSettings(capacity=10.0, rate=100.0, window=60.0, window_limit=20), 0.0)
    table.add("a", "requests", 0.0, is_live=True).check(1, 0.0)
    table.rest("a", 1.0)
    assert table.size == 1
    table.rest("a", 130.0)
    assert table.size == 0


def test_the_room_of_those_that_rest_is_given_back(table):
    for number in range(5000):
        table.add(f"s-{number}", "requests", 0.0, is_live=True)
    before = getsizeof(table.buckets["requests"])
    for number in range(4990):
        table.rest(f"s-{number}", 0.0)
    assert getsizeof(table.buckets["requests"]) < before / 50
    assert list(table.buckets["requests"]) == [f"s-{number}" for number in range(4990, 5000)]


def test_nobody_rests_who_is_not_known(table):
    table.rest("nobody", 0.0)
    assert table.size == 0
