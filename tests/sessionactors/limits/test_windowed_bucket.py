import math

from sessionactors.limits.sliding_window import SlidingWindow, WindowLimits
from sessionactors.limits.token_bucket import BucketLimits, TokenBucket, check_both
from sessionactors.limits.windowed_bucket import WindowedBucket


def made(capacity=100.0, rate=10.0, window=60.0, limit=5):
    return WindowedBucket(BucketLimits(capacity, rate), WindowLimits(window, limit), 0.0)


def test_the_window_refuses_where_the_bucket_would_admit():
    bucket = made()
    assert [bucket.check(1, 0.0)[0] for _ in range(6)] == [True] * 5 + [False]
    assert bucket.level(0.0) == 95.0


def test_the_bucket_refuses_where_the_window_would_admit():
    bucket = made(capacity=2.0, rate=1.0)
    assert [bucket.check(1, 0.0) for _ in range(3)] == [(True, 0.0), (True, 0.0), (False, 1.0)]
    assert bucket.window.count(0.0) == 2


def test_the_wait_is_the_longer_one_and_long_enough():
    bucket = made(capacity=5.0, rate=1.0)
    for _ in range(5):
        bucket.check(1, 0.0)
    allowed, wait = bucket.check(1, 0.0)
    assert not allowed
    assert wait >= 60.0
    assert bucket.check(1, wait)[0]


def test_what_no_window_holds_is_never_admitted():
    assert made().check(6, 0.0) == (False, math.inf)


def test_without_a_limit_the_window_only_counts():
    bucket = made(limit=None)
    for _ in range(50):
        assert bucket.check(1, 0.0)[0]
    usage = bucket.usage(0.0)
    assert (usage.window, usage.window_count) == (60.0, 50)


def test_a_charge_counts_in_the_window_too():
    bucket = made()
    bucket.charge(7, 0.0)
    assert bucket.window.count(0.0) == 7
    assert not bucket.check(1, 0.0)[0]


def test_a_reset_forgets_both():
    bucket = made()
    bucket.charge(7, 0.0)
    bucket.reset(0.0)
    assert bucket.is_full(0.0)
    assert bucket.check(5, 0.0)[0]


def test_a_bucket_that_has_counted_is_not_full_until_the_window_is_over():
    bucket = made(rate=1000.0)
    bucket.check(1, 0.0)
    assert TokenBucket.is_full(bucket, 1.0)
    assert not bucket.is_full(1.0)
    assert bucket.is_full(70.0)


def test_two_buckets_admit_together_only_if_the_window_does():
    bucket, everybody = made(), TokenBucket(BucketLimits(100, 1.0), 0.0)
    assert [check_both(bucket, everybody, 1, 0.0)[0] for _ in range(6)] == [True] * 5 + [False]
    assert everybody.level(0.0) == 95.0


def test_a_longer_window_forgets_nothing_early():
    window = SlidingWindow(WindowLimits(10.0, 5))
    window.record(5, 0.0)
    changed = window.changed(WindowLimits(100.0, 5), 9.0)
    assert not changed.check(1, 100.0)[0]
    assert window.changed(WindowLimits(100.0, 5), 12.0).is_empty(12.0)
    assert window.changed(WindowLimits(10.0, 6), 9.0).check(1, 9.0)[0]
