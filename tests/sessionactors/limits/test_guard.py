import math

import pytest

from sessionactors.errors import InvalidAction
from sessionactors.limits.guard import THROTTLE_ACTIONS, Guard, Throttle
from sessionactors.limits.sliding_window import WindowLimits


def guarded(action, until=10.0):
    guard = Guard()
    guard.throttle = Throttle(action, until)
    return guard


def test_a_new_guard_guards_nothing():
    guard = Guard()
    assert guard.is_idle(0.0)
    assert guard.refusal(0.0) is None
    assert guard.next_end() == math.inf


@pytest.mark.parametrize(
    ("action", "refusal"), [("reject", (False, 6.0)), ("drop", (False, math.inf)), ("delay", None), ("queue", None)]
)
def test_an_action_refuses_what_it_says(action, refusal):
    assert guarded(action).refusal(4.0) == refusal


@pytest.mark.parametrize("action", THROTTLE_ACTIONS)
def test_a_throttle_ends_at_its_time(action):
    guard = guarded(action)
    assert guard.is_in_force(9.99)
    assert not guard.is_in_force(10.0)
    assert guard.refusal(10.0) is None
    assert guard.end(9.99) == []
    assert guard.end(10.0) == ["throttle"]
    assert guard.is_idle(10.0)


def test_so_many_violations_in_the_window_block():
    guard, limits = Guard(), WindowLimits(60.0, 3)
    assert [guard.count_violation(now, limits, 300.0) for now in (0.0, 1.0, 2.0)] == [False, False, True]
    assert guard.refusal(2.0) == (False, 300.0)
    assert guard.next_end() == 302.0
    assert guard.end(302.0) == ["block"]
    assert guard.is_idle(302.0)


def test_violations_that_lie_far_apart_do_not_block():
    guard, limits = Guard(), WindowLimits(60.0, 3)
    assert not any(guard.count_violation(float(now), limits, 300.0) for now in range(0, 1000, 34))


def test_after_a_block_violations_are_counted_anew():
    guard, limits = Guard(), WindowLimits(60.0, 2)
    assert [guard.count_violation(0.0, limits, 1.0) for _ in range(2)] == [False, True]
    guard.end(1.0)
    assert not guard.count_violation(1.0, limits, 1.0)


def test_a_block_comes_before_a_throttle():
    guard = guarded("drop")
    guard.blocked_until = 5.0
    assert guard.refusal(1.0) == (False, 4.0)
    assert guard.next_end() == 5.0


def test_a_guard_that_has_counted_something_is_not_idle_until_the_window_is_over():
    guard = Guard()
    guard.count_violation(0.0, WindowLimits(10.0, 3), 1.0)
    assert not guard.is_idle(5.0)
    assert guard.is_idle(12.0)


@pytest.mark.parametrize("action", ["", "block", None, 5, ["drop"], "DROP"])
def test_there_are_four_actions(action):
    with pytest.raises(InvalidAction):
        Throttle(action)
