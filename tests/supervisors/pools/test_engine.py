"""The engine's decisions, one by one."""

from __future__ import annotations

import pytest

from supervisors.pools.errors import (
    PoisonTaskError,
    PoolFailedError,
    PoolFullError,
    PoolStoppedError,
    TaskShedError,
    TaskTimeoutError,
    WorkerDiedError,
)
from supervisors.pools.inputs import Finished, HandedBack
from supervisors.pools.options import Backlog, Recycle, Retry
from supervisors.supervision.backoff import Backoff
from tests.supervisors.pools.pool_world import World

SOON = Backoff(min_seconds=1.0, max_seconds=4.0)


def test_a_task_goes_to_a_free_worker_at_once():
    world = World(size=2)
    task = world.submit()
    assert world.running == [task]


def test_a_task_waits_while_all_workers_are_busy_and_runs_when_one_is_free():
    world = World(size=1)
    first, second = world.submit_many(2)
    assert world.running == [first]
    world.finish(first)
    assert world.result(first) == "done"
    assert world.running == [second]


def test_higher_priorities_run_first_and_equal_ones_in_order():
    world = World(size=1)
    running = world.submit()
    low, high, low2 = world.submit(priority=-1), world.submit(priority=5), world.submit(priority=-1)
    for task in (running, high, low, low2):
        world.finish(task)
    assert world.begun_order == [running, high, low, low2]


# Bounds


def test_one_task_too_many_is_refused():
    world = World(size=1, backlog=Backlog(count_max=1))
    world.submit_many(2)
    refused = world.submit()
    assert isinstance(world.refused[refused], PoolFullError)
    assert world.statistics.refused == 1


def test_a_bound_in_bytes_holds_and_what_can_never_fit_is_refused_at_once():
    world = World(size=1, backlog=Backlog(bytes_max=10, policy="block"))
    world.submit()
    world.submit(size_bytes=8)
    waiting = world.submit(size_bytes=3, patience=5.0)
    huge = world.submit(size_bytes=11, patience=5.0)
    assert waiting.state == "waiting"
    assert isinstance(world.refused[huge], PoolFullError)


def test_who_waits_for_room_is_let_in_in_order_of_arrival():
    world = World(size=1, backlog=Backlog(count_max=1, policy="block"))
    running = world.submit_many(2)[0]
    first, second = world.submit(patience=5.0), world.submit(patience=5.0)
    world.finish(running)
    assert world.admitted == [first]
    assert second.state == "waiting"


def test_who_waits_for_room_in_vain_is_refused_in_time():
    world = World(size=1, backlog=Backlog(count_max=1, policy="block"))
    world.submit_many(2)
    late = world.submit(patience=5.0)
    world.advance(4.9)
    assert late not in world.refused
    world.advance(0.2)
    assert isinstance(world.refused[late], PoolFullError)


def test_drop_oldest_fails_who_has_waited_longest():
    world = World(size=1, backlog=Backlog(count_max=2, policy="drop_oldest"))
    _, oldest, other = world.submit_many(3)
    newest = world.submit()
    assert isinstance(world.error(oldest), TaskShedError)
    assert other.state == newest.state == "queued"
    assert world.statistics.shed == 1


def test_shed_low_priority_fails_the_youngest_of_the_lowest():
    world = World(size=1, backlog=Backlog(count_max=3, policy="shed_low_priority"))
    world.submit()
    low, younger, middle = world.submit(priority=-2), world.submit(priority=-2), world.submit(priority=0)
    world.submit(priority=1)
    assert world.result(younger) == "failed"
    assert low.state == middle.state == "queued"


def test_shed_low_priority_refuses_a_newcomer_that_is_not_above_anybody():
    world = World(size=1, backlog=Backlog(count_max=1, policy="shed_low_priority"))
    world.submit_many(2)
    assert isinstance(world.refused[world.submit()], PoolFullError)


# Keys and routers


def test_tasks_of_one_key_run_one_after_the_other_on_one_worker():
    world = World(size=3)
    tasks = world.submit_many(3, key="a")
    workers = []
    for task in tasks:
        assert [each for each in world.running if each.key == "a"] == [task]
        workers.append(world.holder(task))
        world.finish(task)
    assert len(set(workers)) == 1


def test_a_key_stays_with_its_place_when_the_worker_is_replaced():
    world = World(size=3)
    task = world.submit(key="a")
    place = task.worker.place
    world.die(world.holder(task))
    again = world.submit(key="a")
    assert again.worker.place == place


def test_a_later_task_of_a_key_waits_until_the_first_has_been_tried_again():
    world = World(size=2, retry=Retry(times=1, on=("error",), backoff=SOON))
    first, second = world.submit_many(2, key="a")
    world.finish(first, error=ValueError("no"))
    assert second.state == "queued"
    world.advance(1.0)
    assert world.running == [first]
    world.finish(first)
    assert world.running == [second]


def test_round_robin_takes_the_workers_in_turn():
    world = World(size=3, router="round_robin")
    tasks = world.submit_many(6)
    places = [task.worker.place for task in tasks if task.worker is not None]
    assert sorted(places) == [0, 1, 2]
    assert [line.count for line in world.engine.local] == [1, 1, 1]


def test_least_loaded_takes_who_has_least_to_do():
    world = World(size=2, router="least_loaded")
    first = world.submit()
    world.submit_many(3)
    world.finish(first)
    assert sorted(line.count for line in world.engine.local) == [0, 1]
    assert len(world.running) == 2


def test_a_task_for_a_place_runs_there():
    world = World(size=3)
    assert [world.submit(place=place).worker.place for place in range(3)] == [0, 1, 2]


# Deadlines and cancelling


def test_a_run_that_takes_too_long_costs_the_worker_and_only_its_own_task():
    world = World(size=1)
    task, other = world.submit(timeout=2.0), world.submit()
    worker = world.holder(task)
    world.advance(2.0)
    error = world.error(task)
    assert isinstance(error, TaskTimeoutError)
    assert (error.limit, error.was_running) == ("timeout", True)
    assert worker in world.killed
    assert world.running == [other]  # on the successor, before the old one has ended
    assert world.statistics.killed == world.statistics.restarts == 1


def test_a_deadline_passes_while_waiting_without_any_run():
    world = World(size=1)
    world.submit()
    task = world.submit(deadline=3.0)
    world.advance(3.0)
    assert world.error(task).was_running is False
    assert not world.killed


def test_a_task_past_its_deadline_is_not_served_before_the_tick_either():
    world = World(size=1)
    running, late = world.submit(), world.submit(deadline=3.0)
    world.now = 3.5
    world.finish(running)
    assert isinstance(world.error(late), TaskTimeoutError)
    assert world.begun_order == [running]


def test_a_queued_task_that_is_cancelled_never_runs():
    world = World(size=1)
    running, task = world.submit_many(2)
    world.cancel(task)
    world.finish(running)
    assert world.error(task) is None
    assert world.begun_order == [running]


def test_cancelling_a_running_task_ends_its_worker():
    world = World(size=1)
    task = world.submit()
    worker = world.holder(task)
    world.cancel(task)
    assert world.error(task) is None
    assert worker in world.killed


def test_cancelling_what_is_settled_changes_nothing():
    world = World(size=1)
    task = world.submit()
    world.finish(task)
    world.cancel(task)
    assert world.result(task) == "done"
    assert world.statistics.cancelled == 0


def test_word_from_a_killed_worker_is_not_heard():
    world = World(size=1)
    task = world.submit(retry=Retry(times=1, on=("timeout",), backoff=SOON), timeout=1.0)
    world.advance(1.0)
    world.finish(task, value="late")
    assert task not in world.outcomes
    world.advance(1.0)
    world.finish(world.running[0], value="second")
    assert world.outcomes[task] == ("done", "second")


def test_word_from_a_killed_worker_is_not_heard_while_its_task_runs_again_elsewhere():
    world = World(size=1)
    task = world.submit(retry=Retry(times=1, on=("timeout",), backoff=SOON), timeout=5.0)
    old = world.holder(task)
    world.advance(6.0)
    assert world.running == [task]
    world.tell(Finished(old, task, "late", None, 0.1))
    assert task not in world.outcomes
    world.check()


# Death and retries


def test_a_death_fails_the_task_in_hand_with_the_reason_and_no_other():
    world = World(size=1, prefetch_max=8)
    tiny = world.submit()
    world.finish(tiny, seconds=1e-6)
    first, second = world.submit_many(2)
    worker = world.holder(first)
    assert world.held[worker] == [first, second]
    world.die(worker, "SIGSEGV")
    error = world.error(first)
    assert isinstance(error, WorkerDiedError)
    assert error.reason == "SIGSEGV"
    assert world.running == [second]


def test_tasks_given_ahead_of_time_are_taken_back_from_behind_one_that_takes_long():
    world = World(size=2, prefetch_max=8)
    for task in world.submit_many(2):
        world.finish(task, seconds=1e-6)
    first, second, third, fourth = world.submit_many(4)
    slow = world.holder(first)
    other = world.holder(second)
    assert world.held[slow] == [first, third]
    world.finish(second, seconds=1e-6)
    world.finish(fourth, seconds=1e-6)
    assert world.held[other] == []
    world.advance(0.03)
    assert world.revoked == {slow}
    world.hand_back(slow)
    assert world.held == {slow: [first], other: [third]}
    assert third.attempts == 1
    world.check()


def test_tasks_that_are_taken_back_run_in_their_order():
    world = World(size=1, prefetch_max=4)
    world.finish(world.submit(), seconds=0.00001)
    tasks = world.submit_many(3)
    worker = world.holder(tasks[0])
    # Its process had not even begun the first one when it was looked at.
    world.held[worker].clear()
    world.begun_order.clear()
    world.tell(HandedBack(worker, tuple(tasks)))
    while world.running:
        world.finish(world.running[0])
    assert world.begun_order == tasks


def test_what_a_dead_worker_had_not_begun_runs_in_its_order():
    world = World(size=2, prefetch_max=4)
    for each in world.submit_many(2):
        world.finish(each, seconds=0.00001)
    tasks = world.submit_many(6)
    mine = [each for each in tasks if world.holder(each) == world.holder(tasks[0])]
    assert len(mine) == 3
    world.begun_order.clear()
    world.die(world.holder(mine[0]), begun=False)
    while world.running:
        world.finish(world.running[0])
    assert world.begun_order == mine


def test_what_a_dead_worker_had_not_begun_is_done_by_the_next_one():
    world = World(size=1)
    task = world.submit()
    world.die(world.holder(task), begun=False)
    assert world.running == [task]
    assert task.attempts == 1


def test_attempts_are_made_with_growing_waits_and_then_given_up():
    world = World(size=1, retry=Retry(times=2, on=("error",), backoff=SOON))
    task = world.submit()
    for wait in (1.0, 2.0):
        world.finish(task, error=ValueError("no"))
        world.advance(wait - 0.01)
        assert not world.running
        world.advance(0.01)
    assert world.running == [task]
    world.finish(task, error=ValueError("last"))
    assert str(world.error(task)) == "last"
    assert world.statistics.retried == 2


def test_a_cause_that_is_not_named_is_not_tried_again():
    world = World(size=1, retry=Retry(times=2, on=("died",)))
    task = world.submit()
    world.finish(task, error=ValueError("no"))
    assert world.result(task) == "failed"


def test_a_task_that_kills_worker_after_worker_is_poison():
    world = World(size=1, retry=Retry(times=9, on=("died",), backoff=SOON), poison_after=2)
    task = world.submit()
    world.die(world.holder(task))
    world.advance(1.0)
    world.die(world.holder(task), "SIGKILL")
    error = world.error(task)
    assert isinstance(error, PoisonTaskError)
    assert (error.kills, error.reason) == (2, "SIGKILL")
    assert list(world.engine.books.quarantine) == [task]


# Workers that do not come up


def test_a_pool_whose_workers_do_not_come_up_fails_its_tasks_with_the_reason():
    world = World(size=1, comes_up=False, start_failures_max=2, restart=SOON)
    task = world.submit()
    world.fail_start(1, "no database")
    assert task not in world.outcomes
    world.advance(1.0)
    world.fail_start(2, "no database")
    error = world.error(task)
    assert isinstance(error, PoolFailedError)
    assert error.reason == "no database"
    assert world.refused[world.submit()] is error
    assert world.statistics.state == "failed"


def test_a_failed_pool_goes_on_trying_ever_more_rarely_and_recovers():
    world = World(size=1, comes_up=False, start_failures_max=1, restart=SOON)
    waits = []
    for worker in range(1, 5):
        world.fail_start(worker)
        before = world.now
        while not world.starting:
            world.advance((world.engine.next_due() or 0.0) - world.now)
        waits.append(world.now - before)
    assert waits == [1.0, 2.0, 4.0, 4.0]
    world.up(5)
    assert world.statistics.state == "running"
    task = world.submit()
    assert world.running == [task]


def test_a_worker_that_is_not_up_in_time_is_ended():
    world = World(size=1, comes_up=False, start_timeout=10.0)
    world.advance(10.0)
    assert world.killed == {1}
    assert world.statistics.start_failures == 1


def test_workers_that_die_with_nothing_to_do_are_not_replaced_in_a_hot_loop():
    world = World(size=1, restart=SOON)
    world.die(1, begun=False)
    assert world.available == [2]  # once may be chance
    world.die(2, begun=False)
    assert world.available == []
    world.advance(2.0)
    assert world.available == [3]


# Recycling and size


def test_a_worker_is_replaced_after_so_many_tasks_when_it_has_drained():
    world = World(size=1, recycle=Recycle(tasks=2, jitter=0.0))
    for _ in range(2):
        world.finish(world.submit())
    assert world.stopping == {1}
    assert world.available == [2]
    assert world.statistics.recycled == 1


def test_only_one_worker_is_recycled_at_a_time_and_never_two_are_missing():
    world = World(size=3, comes_up=False, recycle=Recycle(tasks=1, jitter=0.0))
    for worker in (1, 2, 3):
        world.up(worker)
    for task in world.submit_many(3):
        world.finish(task)
    assert len(world.stopping) == 1
    world.up(4)
    assert len(world.stopping) == 2
    world.up(5)
    assert world.stopping == {1, 2, 3}


def test_nobody_is_recycled_while_somebody_is_missing():
    world = World(size=2, comes_up=False, recycle=Recycle(tasks=1, jitter=0.0))
    world.up(1)
    world.up(2)
    first, second = world.submit_many(2)
    worker = world.holder(second)
    world.die(worker)
    world.finish(first)
    assert not world.stopping
    world.up(3)
    assert world.stopping == {3 - worker}


def test_an_overflow_worker_that_dies_is_replaced_when_tasks_wait():
    world = World(size=1, max_overflow=1)
    _, second, waiting = world.submit_many(3)
    world.die(world.holder(second))
    assert waiting in world.running


def test_who_gives_way_together_does_so_without_a_run_in_between():
    world = World(size=1, backlog=Backlog(bytes_max=8, policy="drop_oldest"))
    world.checkout()
    tasks = [world.submit(key="a", size_bytes=4) for _ in range(2)]
    world.submit(size_bytes=8)
    assert [world.result(task) for task in tasks] == ["failed", "failed"]
    assert world.begun_order == []
    world.check()


def test_a_worker_with_too_much_memory_or_age_is_replaced():
    world = World(size=1, recycle=Recycle(rss_bytes=1000, age=50.0, jitter=0.0))
    world.measure(1, 1000)
    assert not world.stopping
    world.measure(1, 1001)
    assert world.stopping == {1}
    world.advance(50.0)
    assert 2 in world.stopping


def test_jitter_lowers_each_workers_own_limit():
    draws = iter([0.0, 1.0])
    world = World(size=2, draw=lambda: next(draws), recycle=Recycle(tasks=10, jitter=0.5))
    assert [worker.task_limit for worker in world.engine.workers.values()] == [10, 5]


def test_a_pool_can_be_made_larger_and_smaller_while_it_works():
    world = World(size=1)
    first, second = world.submit_many(2)
    world.resize(2)
    assert world.running == [first, second]
    world.resize(1)
    world.finish(second)
    world.finish(first)
    assert len(world.available) == 1
    assert world.statistics.size == 1


# A task that waits for a task of its own pool


def test_a_worker_that_waits_is_stood_in_for():
    world = World(size=1)
    outer, inner = world.submit_many(2)
    world.waits(world.holder(outer))
    assert world.running == [outer, inner]


def test_who_has_stood_in_goes_when_nobody_needs_it():
    world = World(size=1)
    outer, inner = world.submit_many(2)
    world.waits(1)
    world.finish(inner)
    world.resumes(1)
    world.finish(outer)
    world.advance(1.0)
    assert len(world.available) == 1


# The end


def test_a_stopping_pool_takes_nothing_in_and_does_what_it_has():
    world = World(size=1)
    first, second = world.submit_many(2)
    world.stop(drain=10.0)
    assert isinstance(world.refused[world.submit()], PoolStoppedError)
    world.finish(first)
    world.finish(second)
    world.end_what_should()
    assert world.has_ended
    assert world.statistics.done == 2


def test_what_is_not_done_when_the_time_is_up_is_given_back():
    world = World(size=1)
    running, waiting = world.submit_many(2)
    world.stop(drain=1.0)
    world.advance(1.0)
    world.end_what_should()
    assert world.outcomes == {waiting: ("returned", False), running: ("returned", True)}
    assert world.has_ended


def test_a_task_that_waits_for_another_attempt_is_given_back_too():
    world = World(size=1, retry=Retry(times=1, on=("error",), backoff=SOON))
    task = world.submit()
    world.finish(task, error=ValueError("no"))
    world.stop()
    assert world.result(task) == "returned"


def test_a_worker_that_does_not_end_is_killed():
    world = World(size=1, stop_timeout=5.0)
    world.stop()
    world.advance(5.0)
    assert world.killed == {1}


def test_a_worker_that_dies_while_the_pool_drains_is_replaced():
    world = World(size=1)
    first, second = world.submit_many(2)
    world.stop(drain=10.0)
    world.die(world.holder(first))
    assert world.running == [second]


@pytest.mark.parametrize("drain", [0.0, 5.0])
def test_an_idle_pool_ends_at_once(drain):
    world = World(size=2)
    world.stop(drain)
    world.end_what_should()
    assert world.has_ended
