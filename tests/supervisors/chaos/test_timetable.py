"""When faults happen, as the seed and the plan say."""

from __future__ import annotations

from supervisors.chaos import Budget, Fault, Plan
from supervisors.chaos.timetable import timetable
from supervisors.entropy import Entropy

KILLS = Fault(kind="kill", rate=10.0)


def drawn(*faults, seed=1, **budget):
    return timetable(Plan(faults=faults, budget=Budget(**budget)), Entropy(seed))


def test_one_seed_draws_the_same_again():
    assert drawn(KILLS) == drawn(KILLS)


def test_another_seed_draws_something_else():
    assert drawn(KILLS) != drawn(KILLS, seed=2)


def test_a_rate_is_kept_on_average():
    assert 900 < len(drawn(KILLS, seconds=100.0, faults=10_000)) < 1_100


def test_no_more_than_the_budget_comes_and_not_later():
    assert len(drawn(KILLS, seconds=100.0, faults=7)) == 7
    assert all(each.at < 2.0 for each in drawn(KILLS, seconds=2.0))


def test_faults_come_in_the_order_of_their_moments():
    occasions = drawn(Fault(kind="kill", at=(3.0, 1.0)), Fault(kind="hang", at=(2.0,)))
    assert [(each.at, each.fault.kind) for each in occasions] == [(1.0, "kill"), (2.0, "hang"), (3.0, "kill")]


def test_a_count_ends_one_fault_alone():
    occasions = drawn(Fault(kind="kill", rate=10.0, count=2), Fault(kind="hang", rate=10.0), seconds=5.0)
    kinds = [each.fault.kind for each in occasions]
    assert kinds.count("kill") == 2
    assert kinds.count("hang") > 2


def test_one_more_fault_in_a_plan_leaves_the_others_their_luck():
    alone = drawn(KILLS, seconds=5.0)
    beside = [each for each in drawn(KILLS, Fault(kind="hang", rate=1.0), seconds=5.0) if each.fault is KILLS]
    assert tuple(beside) == alone


def test_a_length_is_what_the_fault_says_or_drawn_up_to_its_maximum():
    assert [each.seconds for each in drawn(Fault(kind="slow_turn", at=(0.0,), seconds=3.0))] == [3.0]
    lengths = [each.seconds for each in drawn(Fault(kind="slow_turn", rate=10.0, seconds_max=0.5), seconds=20.0)]
    assert 0.4 < max(lengths) < 0.5
