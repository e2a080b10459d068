"""When the engine leaves plain tasks to the lane, and that it has all the facts when it decides."""

from __future__ import annotations

import pytest

from supervisors.pools.options import Backlog, Retry
from tests.supervisors.pools.pool_world import World


def test_a_pool_with_nothing_to_decide_leaves_its_tasks_to_the_lane():
    world = World(has_lane=True, size=1)
    tasks = [world.submit_plain() for _ in range(3)]
    assert world.lane.is_open
    for each in tasks:
        world.finish(each)
    assert [world.result(each) for each in tasks] == ["done"] * 3
    assert world.lane.is_open
    world.check()


@pytest.mark.parametrize("options", [{"timeout": 1.0}, {"deadline": 1.0}, {"priority": 1}, {"key": "a"}])
def test_a_task_with_options_keeps_all_tasks_with_the_engine_until_it_is_settled(options):
    world = World(has_lane=True, size=1)
    special = world.submit(**options)
    waiting = world.submit_plain()
    assert not world.lane.is_open
    world.finish(special)
    assert world.lane.is_open
    world.finish(waiting)
    assert world.result(waiting) == "done"


@pytest.mark.parametrize(
    "options",
    [{"timeout": 1.0}, {"deadline": 1.0}, {"router": "round_robin"}, {"retry": Retry(times=1, on=("error",))}],
)
def test_a_pool_whose_every_task_needs_a_decision_never_opens_its_lane(options):
    world = World(has_lane=True, size=1, **options)
    world.submit_plain()
    assert not world.lane.is_open


def test_a_cancel_finds_a_task_that_waits_in_the_lane():
    world = World(has_lane=True, size=1)
    first, second, third = (world.submit_plain() for _ in range(3))
    world.cancel(second)
    world.finish(first)
    assert world.running == [third]
    assert world.error(second) is None
    world.check()


def test_a_cancel_ends_the_worker_of_a_task_that_runs_in_the_lane():
    world = World(has_lane=True, size=2)
    mine = world.submit_plain()
    worker = world.holder(mine)
    world.cancel(mine)
    assert world.killed == {worker}
    world.check()


def test_a_higher_priority_goes_before_what_waits_in_the_lane():
    world = World(has_lane=True, size=1)
    first, low = world.submit_plain(), world.submit_plain()
    high = world.submit(priority=5)
    world.finish(first)
    assert world.running == [high]
    world.finish(high)
    assert world.running == [low]


def test_a_drop_policy_decides_over_what_waits_in_the_lane():
    world = World(has_lane=True, size=1, backlog=Backlog(count_max=2, policy="drop_oldest"))
    tasks = [world.submit_plain() for _ in range(4)]
    assert [world.result(each) for each in tasks] == ["running", "failed", "queued", "queued"]
    world.check()


def test_what_waits_in_the_lane_is_given_back_in_order_at_the_end():
    world = World(has_lane=True, size=1)
    tasks = [world.submit_plain() for _ in range(3)]
    world.stop(0.0)
    assert [world.outcomes[each] for each in tasks[1:]] == [("returned", False)] * 2
    assert [each.order for each in tasks] == sorted(each.order for each in tasks)
    world.end_what_should()
    assert world.has_ended
    world.check()


def test_a_worker_that_dies_in_the_lane_loses_only_its_own_task():
    world = World(has_lane=True, size=2)
    first, second, third = (world.submit_plain() for _ in range(3))
    world.die(world.holder(first))
    assert world.result(first) == "failed"
    assert world.result(second) == "running"
    assert world.result(third) == "running"
    world.check()


def test_a_storm_of_decisions_over_a_long_line_does_not_go_through_it_each_time():
    world = World(has_lane=True, size=1, backlog=Backlog(count_max=None))
    tasks = [world.submit_plain() for _ in range(500)]
    world.engine.credit = 600
    for each in tasks[400:]:
        world.cancel(each)
    assert not world.lane.is_open
    world.check()


def test_what_the_lane_does_shows_in_the_statistics_at_any_moment():
    world = World(has_lane=True, size=1)
    first, _, _ = (world.submit_plain() for _ in range(3))
    world.finish(first, seconds=0.0)
    world.now = 2.0
    facts = world.statistics
    assert (facts.submitted, facts.done, facts.running, facts.queued) == (3, 1, 1, 1)
    assert facts.busy == 1
    assert facts.oldest_age == 2.0
    assert sum(facts.run_histogram) == 1
    assert world.lane.is_open
