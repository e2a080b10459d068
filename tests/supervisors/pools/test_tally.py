from __future__ import annotations

import pytest

from supervisors.pools.tally import BUCKETS, Histogram


def test_an_empty_histogram_says_nothing():
    histogram = Histogram()
    assert (histogram.mean, histogram.quantile(0.5), sum(histogram.counts)) == (0.0, 0.0, 0)


def test_durations_fall_into_buckets_that_double():
    histogram = Histogram()
    for seconds in (0.0, 0.5e-6, 1.5e-6, 2.5e-6, 3.5e-6, 1.0):
        histogram.add(seconds)
    assert histogram.counts[:3] == (2, 1, 2)
    assert histogram.counts[20] == 1  # a second is a million microseconds, 20 bits


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_a_quantile_is_an_upper_bound_within_a_factor_of_two(share):
    histogram = Histogram()
    for number in range(1, 1001):
        histogram.add(number / 1000)
    assert share <= histogram.quantile(share) <= 2 * share


def test_the_longest_quantile_is_the_longest_duration():
    histogram = Histogram()
    histogram.add(0.3)
    assert histogram.quantile(1.0) == 0.3


def test_what_is_longer_than_all_buckets_is_in_the_last_one():
    histogram = Histogram()
    histogram.add(1e9)
    assert histogram.counts[BUCKETS - 1] == 1


def test_the_mean_counts_what_was_added_before_and_since():
    histogram = Histogram()
    histogram.add(1.0)
    assert histogram.mean == 1.0
    histogram.add(3.0)
    assert histogram.mean == 2.0
    assert histogram.count == 2
