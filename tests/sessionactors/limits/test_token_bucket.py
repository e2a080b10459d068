from __future__ import annotations

import math
import sys

import pytest

from sessionactors.errors import InvalidKind, InvalidLimit, InvalidValue
from sessionactors.limits.token_bucket import ADMITTED, AMOUNT_MAX, NEVER, BucketLimits, TokenBucket, check_both

TEN = BucketLimits(capacity=10, rate=10.0)
BAD_COSTS: list[tuple[object, type[Exception]]] = [
    (0, InvalidValue),
    (-1, InvalidValue),
    (-0.5, InvalidValue),
    (math.nan, InvalidValue),
]
BAD_COSTS += [(math.inf, InvalidValue), (AMOUNT_MAX + 1, InvalidValue), (1e300, InvalidValue)]
BAD_COSTS += [("1", InvalidKind), (True, InvalidKind), (None, InvalidKind), ([1], InvalidKind)]


def drained(limits=TEN, now=0.0):
    bucket = TokenBucket(limits, now)
    assert bucket.check(limits.capacity, now) == ADMITTED
    return bucket


def test_a_new_bucket_is_full():
    bucket = TokenBucket(TEN, 1000.0)
    assert bucket.level(1000.0) == 10.0
    assert bucket.is_full(1000.0)


def test_a_burst_of_the_capacity_is_admitted_and_then_the_rate():
    bucket = TokenBucket(BucketLimits(1000, 10.0), 0.0)
    assert sum(bucket.check(1, 0.0)[0] for _ in range(1500)) == 1000
    assert [bucket.check(1, 0.1 * step)[0] for step in range(1, 6)] == [True] * 5
    assert bucket.check(1, 0.5) == (False, 0.1)


def test_the_wait_is_what_is_missing_divided_by_the_rate():
    assert drained().check(4, 0.0) == (False, 0.4)
    assert drained().check(4, 0.1) == (False, 0.3)


def test_after_the_wait_the_same_check_succeeds_and_just_before_it_does_not():
    bucket = drained(BucketLimits(10, 3.0))
    _, wait = bucket.check(1, 0.0)
    assert wait == 0.333333334
    assert bucket.check(1, wait - 1e-9) == (False, 1e-9)
    assert bucket.check(1, wait) == ADMITTED


def test_a_refused_check_takes_nothing_and_leaves_no_trace():
    bucket = drained()
    before = (bucket.units_missing, bucket.at)
    bucket.check(5, 0.25)
    assert (bucket.units_missing, bucket.at) == before


def test_a_bucket_never_holds_more_than_its_capacity():
    bucket = drained()
    assert bucket.level(1e6) == 10.0
    assert bucket.check(10, 1e6) == ADMITTED
    assert not bucket.check(1, 1e6)[0]


def test_what_is_larger_than_the_capacity_never_fits():
    bucket = TokenBucket(TEN, 0.0)
    assert bucket.check(11, 0.0) == NEVER == (False, math.inf)
    assert bucket.wait_for(11, 0.0) == math.inf
    assert bucket.level(0.0) == 10.0


@pytest.mark.parametrize(("cost", "error"), BAD_COSTS)
@pytest.mark.parametrize("method", ["check", "charge", "wait_for"])
def test_a_bad_cost_is_refused_and_takes_nothing(method, cost, error):
    bucket = TokenBucket(TEN, 0.0)
    with pytest.raises(error, match="cost"):
        getattr(bucket, method)(cost, 0.0)
    assert bucket.level(0.0) == 10.0


@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, 1e16, True, "10", None])
@pytest.mark.parametrize("name", ["capacity", "rate"])
def test_a_bad_limit_is_refused_by_name(name, value):
    with pytest.raises(InvalidLimit, match=name):
        BucketLimits(**{name: value})


@pytest.mark.parametrize("limits", [{"rate": 1e-10}, {"capacity": 1e-19}])
def test_a_limit_below_the_resolution_is_refused(limits):
    with pytest.raises(InvalidLimit):
        BucketLimits(**limits)


def test_the_slowest_rate_works():
    bucket = drained(BucketLimits(1, 1e-9))
    assert bucket.check(1, 0.0) == (False, 1e9)
    assert bucket.check(1, 1e9) == ADMITTED


@pytest.mark.parametrize(
    ("rate", "nanotokens"),
    [(0.1, 100_000_000), (0.29, 290_000_000), (1 / 3, 333_333_333), (10, 10**10), (1e15, 10**24)],
)
def test_a_rate_means_what_is_written(rate, nanotokens):
    assert BucketLimits(rate=rate).speed == nanotokens


def test_a_charge_takes_what_is_not_there_and_leaves_a_debt():
    bucket = TokenBucket(TEN, 0.0)
    bucket.charge(25, 0.0)
    assert bucket.level(0.0) == -15.0
    assert bucket.check(1, 0.0) == (False, 1.6)
    assert bucket.level(1.5) == 0.0


def test_fractional_costs_add_up_exactly():
    bucket = TokenBucket(BucketLimits(1, 1.0), 0.0)
    assert all(bucket.check(0.1, 0.0)[0] for _ in range(9))
    assert bucket.check(0.1, 0.0) == (False, 1e-9)  # ten times the float 0.1 is a little more than 1
    assert all(drained_bit.check(0.25, 0.0)[0] for drained_bit in [TokenBucket(BucketLimits(1, 1.0), 0.0)] * 4)


def test_time_that_goes_back_neither_refills_nor_takes_away():
    bucket = drained(now=100.0)
    assert bucket.level(50.0) == 0.0
    assert not bucket.check(1, 50.0)[0]
    assert bucket.level(100.5) == 5.0


def test_going_back_and_forth_gains_nothing():
    bucket = drained(now=100.0)
    for _ in range(10):
        bucket.check(1, 99.0)
        bucket.check(1, 100.0)
    assert bucket.level(100.0) == 0.0


def test_the_wait_after_time_went_back_counts_from_then():
    assert drained(now=100.0).check(1, 99.0) == (False, 1.1)


def test_a_bucket_that_was_admitted_in_the_past_keeps_its_time():
    bucket = TokenBucket(TEN, 100.0)
    bucket.check(5, 50.0)
    assert bucket.level(100.0) == 5.0
    bucket.charge(1, 50.0)
    assert bucket.level(100.0) == 4.0


def test_a_reset_fills_the_bucket_also_out_of_debt():
    bucket = TokenBucket(TEN, 0.0)
    bucket.charge(100, 0.0)
    bucket.reset(0.0)
    assert bucket.level(0.0) == 10.0


@pytest.mark.parametrize("capacity", [1, 5, 10, 1000])
def test_an_empty_bucket_stays_empty_under_any_new_capacity(capacity):
    bucket = drained()
    bucket.reconfigure(BucketLimits(capacity, 1.0), 0.0)
    assert bucket.level(0.0) == 0.0


def test_what_is_there_is_scaled_with_the_capacity():
    bucket = TokenBucket(TEN, 0.0)
    bucket.charge(4, 0.0)
    bucket.reconfigure(BucketLimits(100, 1.0), 0.0)
    assert bucket.level(0.0) == 60.0


def test_a_debt_stays_as_large_as_it_is():
    bucket = TokenBucket(TEN, 0.0)
    bucket.charge(15, 0.0)
    bucket.reconfigure(BucketLimits(1000, 1.0), 0.0)
    assert bucket.level(0.0) == -5.0
    bucket.reconfigure(BucketLimits(1, 1.0), 0.0)
    assert bucket.level(0.0) == -5.0


def test_configuring_back_and_forth_gains_nothing():
    bucket = TokenBucket(TEN, 0.0)
    bucket.charge(7, 0.0)
    for capacity in (1000, 3, 10):
        bucket.reconfigure(BucketLimits(capacity, 10.0), 0.0)
    assert bucket.level(0.0) == 3.0


def test_a_new_rate_counts_from_now_on():
    bucket = drained()
    bucket.reconfigure(BucketLimits(10, 1.0), 0.5)
    assert bucket.level(0.5) == 5.0
    assert bucket.level(1.5) == 6.0


def test_usage_adds_up():
    bucket = TokenBucket(BucketLimits(200, 10.0), 5.0)
    bucket.charge(50, 5.0)
    usage = bucket.usage(6.0)
    assert (usage.tokens_used, usage.tokens_remaining, usage.capacity) == (40.0, 160.0, 200)
    assert (usage.utilization_pct, usage.debt, usage.rate, usage.last_update) == (20.0, 0.0, 10.0, 5.0)


def test_usage_stays_within_its_percent_and_shows_the_debt_apart():
    bucket = TokenBucket(TEN, 0.0)
    bucket.charge(25, 0.0)
    usage = bucket.usage(0.0)
    assert (usage.utilization_pct, usage.tokens_remaining, usage.debt) == (100.0, 0.0, 15.0)


def test_looking_changes_nothing():
    bucket = drained()
    before = (bucket.units_missing, bucket.at)
    for look in (bucket.usage, bucket.level, bucket.missing, bucket.is_full, lambda now: bucket.wait_for(1, now)):
        look(0.5)
    assert (bucket.units_missing, bucket.at) == before


def test_a_bucket_comes_back_after_a_restart_with_its_debt():
    bucket = TokenBucket(TEN, 0.0)
    bucket.charge(25, 0.0)
    again = TokenBucket(TEN, 1000.0, missing=bucket.missing(0.5))
    assert again.level(1000.0) == bucket.level(0.5) == -10.0


def test_wait_for_agrees_with_check():
    for moment in (0.0, 0.05, 0.1, 0.35):
        assert drained().wait_for(3, moment) == drained().check(3, moment)[1]


def test_two_buckets_are_taken_from_together():
    first, second = TokenBucket(TEN, 0.0), TokenBucket(BucketLimits(5, 1.0), 0.0)
    assert check_both(first, second, 4, 0.0) == ADMITTED
    assert (first.level(0.0), second.level(0.0)) == (6.0, 1.0)


@pytest.mark.parametrize("swap", [False, True])
def test_when_one_of_two_refuses_nothing_is_taken_from_the_other(swap):
    empty, full = drained(), TokenBucket(BucketLimits(100, 1.0), 0.0)
    first, second = (full, empty) if swap else (empty, full)
    assert check_both(first, second, 4, 0.0) == (False, 0.4)
    assert full.level(0.0) == 100.0


def test_the_longer_wait_of_two_is_told():
    slow = drained(BucketLimits(10, 1.0))
    assert check_both(drained(), slow, 4, 0.0) == (False, 4.0)


def test_a_cost_that_fits_only_one_of_two_never_fits():
    assert check_both(TokenBucket(TEN, 0.0), TokenBucket(BucketLimits(5, 1.0), 0.0), 6, 0.0) == NEVER


def test_a_bucket_is_small():
    bucket = TokenBucket(BucketLimits(1000, 10.0), 123456.0)
    bucket.check(1, 123456.7)
    size = sys.getsizeof(bucket) + sys.getsizeof(bucket.units_missing) + sys.getsizeof(bucket.at)
    assert size <= 149
    assert not hasattr(bucket, "__dict__")


def test_a_subclass_may_add_what_a_limiter_needs():
    class Entry(TokenBucket):
        __slots__ = ("violations",)

    entry = Entry(TEN, 0.0)
    entry.violations = 3
    assert entry.check(1, 0.0) == ADMITTED


def test_a_bucket_shows_its_level():
    assert repr(drained(now=2.0)) == "<TokenBucket 10 of 10 missing at 2.000 s>"
