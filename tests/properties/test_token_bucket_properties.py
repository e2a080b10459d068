"""The bucket and the window against exact fractions."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from sessionactors.limits.sliding_window import SlidingWindow, WindowLimits
from sessionactors.limits.token_bucket import BucketLimits, TokenBucket, check_both

NANO = 10**9


class ExactBucket:
    """The textbook bucket in fractions; times are whole nanoseconds."""

    def __init__(self, capacity, rate, at):
        self.capacity, self.rate = Fraction(capacity), Fraction(Decimal(repr(rate)))
        self.tokens, self.at = self.capacity, at

    def refill(self, at):
        if at > self.at:
            self.tokens = min(self.capacity, self.tokens + self.rate * Fraction(at - self.at, NANO))
            self.at = at

    def check(self, cost, at):
        self.refill(at)
        if self.tokens >= Fraction(cost):
            self.tokens -= Fraction(cost)
            return True
        return False

    def charge(self, cost, at):
        self.refill(at)
        self.tokens -= Fraction(cost)

    def reconfigure(self, capacity, rate, at):
        self.refill(at)
        if self.tokens > 0:
            self.tokens = self.tokens * Fraction(capacity) / self.capacity
        self.capacity, self.rate = Fraction(capacity), Fraction(Decimal(repr(rate)))


# Rates with up to three decimals are kept exactly, so both sides know the same rate.
rates = st.integers(1, 10_000_000).map(lambda thousandths: thousandths / 1000)
capacities = st.integers(1, 100_000)
costs = st.one_of(st.integers(1, 2000), st.integers(1, 1 << 12).map(lambda parts: parts / 16))
# Half of the steps are short enough to meet the edge where the next token has just come back.
steps = st.one_of(st.integers(0, 10 * NANO), st.integers(0, 1000), st.sampled_from([0, NANO // 10, NANO, 60 * NANO]))


def admitted_at_times(limits, asks, start):
    """Return when how much was admitted, in nanoseconds."""
    bucket = TokenBucket(limits, start / NANO)
    at, admitted = start, []
    for step, cost in asks:
        at += step
        if bucket.check(cost, at / NANO)[0]:
            admitted.append((at, cost))
    return admitted


@given(capacities, rates, st.integers(0, 10**15), st.lists(st.tuples(steps, costs), max_size=60))
def test_every_decision_is_that_of_exact_arithmetic(capacity, rate, start, asks):
    bucket = TokenBucket(BucketLimits(capacity, rate), start / NANO)
    model = ExactBucket(capacity, rate, round(start / NANO * NANO))
    at = start
    for step, cost in asks:
        at += step
        now = at / NANO
        assert bucket.check(cost, now)[0] == model.check(cost, int(now * 1e9 + 0.5))


@given(
    capacities,
    rates,
    st.lists(
        st.tuples(
            steps,
            st.one_of(
                st.tuples(st.just("check"), costs),
                st.tuples(st.just("charge"), costs),
                st.tuples(st.just("rate"), rates),
            ),
        ),
        max_size=60,
    ),
)
def test_charges_and_new_rates_are_exact_too(capacity, rate, actions):
    bucket = TokenBucket(BucketLimits(capacity, rate), 0.0)
    model = ExactBucket(capacity, rate, 0)
    at = 0
    for step, (action, value) in actions:
        at += step
        now = at / NANO
        if action == "check":
            assert bucket.check(value, now)[0] == model.check(value, at)
        elif action == "charge":
            bucket.charge(value, now)
            model.charge(value, at)
        else:
            bucket.reconfigure(BucketLimits(capacity, value), now)
            model.reconfigure(capacity, value, at)
        model.refill(at)
        assert Fraction(bucket.units_missing_at(at), 10**18) == model.capacity - model.tokens


@given(capacities, rates, st.integers(0, 10**15), st.lists(st.tuples(steps, costs), max_size=40))
def test_no_stretch_of_time_admits_more_than_capacity_and_rate_allow(capacity, rate, start, asks):
    # Times are floats as a clock gives them. Each is rounded to a nanosecond, and
    # the two ends of a stretch may be rounded apart: that is the only tolerance.
    admitted = admitted_at_times(BucketLimits(capacity, rate), asks, start)
    exact_rate = Fraction(Decimal(repr(rate)))
    for first in range(len(admitted)):
        total = Fraction(0)
        for at, cost in admitted[first:]:
            total += Fraction(cost)
            stretch = Fraction(at / NANO) - Fraction(admitted[first][0] / NANO)
            assert total <= capacity + exact_rate * (stretch + Fraction(1, NANO))


@given(capacities, rates, st.lists(st.tuples(steps, costs), max_size=40), costs, steps)
def test_the_wait_is_exactly_long_enough(capacity, rate, asks, cost, step):
    bucket = TokenBucket(BucketLimits(capacity, rate), 0.0)
    at = 0
    for each_step, each_cost in asks:
        at += each_step
        bucket.check(each_cost, at / NANO)
    at += step
    allowed, wait = bucket.check(cost, at / NANO)
    if allowed:
        assert wait == 0.0
    elif cost > capacity:
        assert wait == math.inf
    else:
        nanoseconds = round(wait * NANO)
        assert nanoseconds > 0
        assert not bucket.check(cost, (at + nanoseconds - 1) / NANO)[0]
        assert bucket.check(cost, (at + nanoseconds) / NANO)[0]


@given(capacities, rates, st.lists(st.tuples(st.integers(-10 * NANO, 10 * NANO), costs), max_size=40))
def test_a_clock_that_jumps_about_never_admits_more_than_its_latest_reading_allows(capacity, rate, asks):
    bucket = TokenBucket(BucketLimits(capacity, rate), 1000.0)
    at = latest = 1000 * NANO
    total = Fraction(0)
    for step, cost in asks:
        at += step
        latest = max(latest, at)
        if bucket.check(cost, at / NANO)[0]:
            total += Fraction(cost)
        exact_rate = Fraction(Decimal(repr(rate)))
        assert total <= capacity + exact_rate * Fraction(latest - 1000 * NANO + 1, NANO)


@given(capacities, capacities, st.lists(st.tuples(steps, costs), max_size=30))
def test_two_buckets_together_admit_what_both_would(capacity, other_capacity, asks):
    first, second = TokenBucket(BucketLimits(capacity, 3.0), 0.0), TokenBucket(BucketLimits(other_capacity, 7.0), 0.0)
    at = 0
    for step, cost in asks:
        at += step
        now = at / NANO
        expected = first.wait_for(cost, now) == 0 and second.wait_for(cost, now) == 0
        before = (first.missing(now), second.missing(now))
        allowed, wait = check_both(first, second, cost, now)
        assert allowed is expected
        assert (wait == 0) is allowed
        if not allowed:
            assert (first.missing(now), second.missing(now)) == before


@given(st.integers(1, 50), st.integers(1, 100).map(lambda tenths: tenths / 10), st.data())
def test_no_window_holds_more_than_its_limit(limit, length, data):
    window = SlidingWindow(WindowLimits(length, limit))
    admitted: list[tuple[int, int]] = []
    at = data.draw(st.integers(0, 10**12))
    for _ in range(data.draw(st.integers(0, 60))):
        at += data.draw(st.integers(0, round(length * NANO / 4)))
        cost = data.draw(st.integers(1, 10))
        allowed, wait = window.check(cost, at / NANO)
        inside = sum(each for moment, each in admitted if at - moment < round(length * NANO))
        late = sum(each for moment, each in admitted if at - moment <= round(length * NANO * 1.1) + 10)
        if allowed:
            admitted.append((at, cost))
            assert inside + cost <= limit
        else:
            assert late + cost > limit
            assert wait > 0
