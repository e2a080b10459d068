from __future__ import annotations

import pytest

from supervisors import Clock, InvalidArgumentError, SettableClock, SystemClock, VirtualClock


@pytest.mark.parametrize("clock", [SystemClock(), VirtualClock()])
def test_both_are_clocks(clock):
    assert isinstance(clock, Clock)


def test_the_systems_clock_never_goes_back():
    clock = SystemClock()
    readings = [clock.monotonic() for _ in range(100)]
    assert readings == sorted(readings)


def test_virtual_time_passes_only_when_told_and_both_clocks_move_together():
    clock = VirtualClock(monotonic=5.0, wall=1000.0)
    clock.move_to(7.5)
    assert (clock.monotonic(), clock.time()) == (7.5, 1002.5)


@pytest.mark.parametrize("reading", [4.9, float("nan")])
def test_virtual_time_does_not_go_back(reading):
    clock = VirtualClock(monotonic=5.0)
    with pytest.raises(ValueError, match="monotonic") as caught:
        clock.move_to(reading)
    assert caught.value.field == "monotonic"
    assert clock.monotonic() == 5.0


def test_the_wall_clock_can_be_set_alone():
    clock = VirtualClock(monotonic=5.0, wall=100.0)
    clock.jump_wall(-30.0)
    assert (clock.monotonic(), clock.time()) == (5.0, 70.0)


@pytest.mark.parametrize("seconds", [float("nan"), float("inf")])
def test_a_jump_has_a_length(seconds):
    with pytest.raises(InvalidArgumentError, match="seconds"):
        VirtualClock().jump_wall(seconds)


def test_a_settable_clock_is_the_systems_until_somebody_sets_it():
    clock, real = SettableClock(), SystemClock()
    assert isinstance(clock, Clock)
    assert abs(clock.time() - real.time()) < 60
    clock.jump_wall(-3600.0)
    clock.jump_wall(-3600.0)
    assert abs(real.time() - clock.time() - 7200.0) < 60
    assert abs(clock.monotonic() - real.monotonic()) < 60


@pytest.mark.parametrize("seconds", [float("nan"), float("inf")])
def test_a_settable_clock_is_not_set_to_nowhere(seconds):
    with pytest.raises(InvalidArgumentError, match="seconds"):
        SettableClock().jump_wall(seconds)
