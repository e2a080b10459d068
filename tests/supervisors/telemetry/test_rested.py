import pytest

from supervisors.clock import VirtualClock
from supervisors.telemetry.rested import AGE_MAX, Rested


class Reading:
    """Takes its time, and returns how often it was read."""

    def __init__(self, clock, seconds):
        self.clock = clock
        self.seconds = seconds
        self.count = 0

    def __call__(self):
        self.clock.move_to(self.clock.monotonic() + self.seconds)
        self.count += 1
        return self.count


@pytest.fixture
def clock():
    return VirtualClock()


def after(clock, seconds):
    clock.move_to(clock.monotonic() + seconds)


@pytest.mark.parametrize("seconds", [0.0, 0.009])
def test_what_took_little_time_is_read_each_time(clock, seconds):
    rested = Rested(Reading(clock, seconds), clock.monotonic)
    assert [rested.get(), rested.get()] == [1, 2]


def test_it_rests_a_hundred_times_as_long_as_it_took(clock):
    rested = Rested(Reading(clock, 0.02), clock.monotonic)
    rested.get()
    after(clock, 1.99)
    assert rested.get() == 1
    after(clock, 0.02)
    assert rested.get() == 2


def test_it_never_rests_longer_than_so_long(clock):
    rested = Rested(Reading(clock, 3.0), clock.monotonic)
    rested.get()
    after(clock, AGE_MAX + 0.001)
    assert rested.get() == 2


def test_a_failure_is_raised_and_not_remembered(clock):
    tries = iter([ValueError("no"), 5])

    def read():
        after(clock, 1.0)
        found = next(tries)
        if isinstance(found, ValueError):
            raise found
        return found

    rested = Rested(read, clock.monotonic)
    with pytest.raises(ValueError, match="no"):
        rested.get()
    assert rested.get() == 5


def test_it_is_read_again_when_the_clock_has_gone_back():
    moments = iter([1000.0, 1000.05, 100.0, 100.05, 100.06])
    values = iter([1, 2])
    rested = Rested(lambda: next(values), lambda: next(moments))
    assert [rested.get(), rested.get(), rested.get()] == [1, 2, 2]
