from __future__ import annotations

import itertools
from dataclasses import dataclass

import pytest

from supervisors import Entropy, InvalidArgumentError
from supervisors.simulation import Exhaustive, Pct, RandomOrder, Replay, RoundRobin


@dataclass(frozen=True)
class Unit:
    id: int


def units(*numbers):
    return [Unit(number) for number in numbers]


def draws(seed=1):
    return Entropy(seed).stream("test").random


def test_random_order_reaches_every_unit_in_time():
    schedule = RandomOrder(draws())
    assert {schedule.choose(units(1, 2, 3)) for _ in range(100)} == {0, 1, 2}


def test_round_robin_goes_by_number_whatever_the_order():
    schedule = RoundRobin()
    orders = [units(3, 1, 2), units(2, 3, 1), units(1, 2, 3), units(3, 2, 1)]
    assert [ready[schedule.choose(ready)].id for ready in orders] == [1, 2, 3, 1]


def test_pct_of_depth_one_never_changes_its_mind():
    schedule = Pct(draws(), depth=1)
    ready = units(1, 2, 3)
    assert len({schedule.choose(ready) for _ in range(100)}) == 1


def test_pct_changes_its_mind_at_most_so_often_as_its_depth_allows():
    schedule = Pct(draws(), depth=3, steps=50)
    ready = units(1, 2, 3)
    chosen = [schedule.choose(ready) for _ in range(100)]
    assert sum(before != after for before, after in itertools.pairwise(chosen)) == 2


def test_pct_lets_nobody_wait_for_ever():
    schedule = Pct(draws(), depth=1)
    assert {schedule.choose(units(1, 2)) for _ in range(3000)} == {0, 1}


@pytest.mark.parametrize("depth", [0, 101, True, 2.0])
def test_pct_refuses_a_depth_that_is_none(depth):
    with pytest.raises((ValueError, TypeError), match="depth"):
        Pct(draws(), depth=depth)


def test_a_replay_deviates_where_it_is_told_to_and_nowhere_else():
    schedule = Replay({1: 2})
    assert [schedule.choose(units(1, 2, 3)) for _ in range(3)] == [0, 2, 0]


def test_a_replay_with_fewer_units_than_recorded_still_chooses_one():
    assert Replay({0: 5}).choose(units(1, 2)) == 1


def test_exhaustive_runs_through_every_sequence_of_choices_once():
    schedule = Exhaustive(depth=2)
    seen = []
    while True:
        seen.append((schedule.choose(units(1, 2)), schedule.choose(units(1, 2, 3)), schedule.choose(units(1, 2))))
        if not schedule.next_run():
            break
    assert sorted(seen) == [(a, b, 0) for a in range(2) for b in range(3)]
    assert schedule.runs == 6


def test_exhaustive_refuses_a_depth_below_one():
    with pytest.raises(InvalidArgumentError, match="depth"):
        Exhaustive(depth=0)
