from __future__ import annotations

import pytest

from sessionactors.errors import InvalidValue
from sessionactors.replay.pacer import WAIT_MAX, Pacer
from supervisors.clock import VirtualClock


def test_the_log_moves_at_its_own_pace():
    clock = VirtualClock(monotonic=500.0)
    pacer = Pacer(clock, start=1000.0)
    clock.move_to(507.0)
    assert pacer.now() == 1007.0


def test_or_faster():
    clock = VirtualClock()
    pacer = Pacer(clock, start=1000.0, speed=60.0)
    clock.move_to(2.0)
    assert pacer.now() == 1120.0


def test_a_moment_that_has_come_is_not_waited_for():
    clock = VirtualClock()
    pacer = Pacer(clock, start=1000.0)
    assert pacer.wait_for(1000.0) == 0.0
    assert pacer.wait_for(900.0) == 0.0


def test_a_near_moment_is_waited_for_exactly():
    assert Pacer(VirtualClock(), start=0.0, speed=2.0).wait_for(0.1) == pytest.approx(0.05)


def test_a_far_moment_is_waited_for_in_parts():
    assert Pacer(VirtualClock(), start=0.0).wait_for(1e9) == WAIT_MAX
    assert Pacer(VirtualClock(), start=0.0, speed=1e-300).wait_for(1e9) == WAIT_MAX


@pytest.mark.parametrize("speed", [0, -1, float("nan"), float("inf")])
def test_speed_is_above_zero_and_finite(speed):
    with pytest.raises(InvalidValue, match="speed"):
        Pacer(VirtualClock(), start=0.0, speed=speed)
