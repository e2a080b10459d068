"""The lane: first come, first served, and whatever is in it can be taken back at any moment."""

from __future__ import annotations

import pytest

from supervisors.pools.effects import Release
from supervisors.pools.lane import FULL, KILLED, OTHERS, TAKEN, TO_THE_ACTOR, Lane, Member
from supervisors.pools.options import Retry
from supervisors.pools.records import QUEUED, RUNNING, SETTLED, Task


def task():
    return Task(None, None, Retry(), is_plain=True)


def a_lane(*, free=(1, 2), running=(), queued=(), count_max=2, rejects=True, is_lifo=True):
    lane = Lane(count_max, rejects=rejects, is_lifo=is_lifo)
    members = {worker: Member(worker) for worker in (*free, *dict(running))}
    lane.open(Release(tuple(free), tuple(running), tuple(queued)), members)
    return lane, members


def begin(lane, member):
    """The thread takes what is in its inbox."""
    found = member.inbox.get_nowait()
    assert lane.begin(member, found, 1.0)
    return found


def test_a_closed_lane_takes_nothing():
    lane = Lane(None, rejects=True, is_lifo=True)
    assert lane.offer(task(), 0.0) == TO_THE_ACTOR


@pytest.mark.parametrize(("is_lifo", "expected"), [(True, 2), (False, 1)])
def test_a_task_goes_to_who_is_idle_by_the_strategy(is_lifo, expected):
    lane, members = a_lane(is_lifo=is_lifo)
    first = task()
    assert lane.offer(first, 0.0) == TAKEN
    assert first.state is RUNNING
    assert begin(lane, members[expected]) is first
    assert first.attempts == 1


def test_who_is_through_gets_the_first_in_line():
    lane, members = a_lane(free=(1,))
    first, second, third = task(), task(), task()
    for each in (first, second, third):
        assert lane.offer(each, 0.0) == TAKEN
    begin(lane, members[1])
    states = [second.state]
    assert lane.through(members[1], first, 1.0, 2.0, failed=False, goes_on=True) is second
    states += [first.state, second.state]
    assert states == [QUEUED, SETTLED, RUNNING]
    assert lane.through(members[1], second, 2.0, 3.0, failed=False, goes_on=True) is third
    assert lane.through(members[1], third, 3.0, 4.0, failed=False, goes_on=True) is None
    assert lane.offer(task(), 4.0) == TAKEN
    assert members[1].inbox.qsize() == 1


@pytest.mark.parametrize(("rejects", "expected"), [(True, FULL), (False, TO_THE_ACTOR)])
def test_one_task_too_many_is_refused_or_left_to_the_engine(rejects, expected):
    lane, _ = a_lane(free=(1,), count_max=1, rejects=rejects)
    assert [lane.offer(task(), 0.0) for _ in range(3)] == [TAKEN, TAKEN, expected]
    assert lane.close().figures.refused == int(rejects)


def test_closing_gives_back_everything_with_what_has_happened():
    lane, members = a_lane(free=(1, 2, 3))
    done, running, failed = task(), task(), task()
    for each, worker in ((done, 3), (running, 2), (failed, 1)):
        lane.offer(each, 0.0)
        begin(lane, members[worker])
    queued = task()
    lane.offer(queued, 0.0)
    assert lane.through(members[1], failed, 1.0, 3.0, failed=True, goes_on=False) is None
    assert lane.through(members[3], done, 1.0, 2.0, failed=False, goes_on=True) is queued
    last = task()
    lane.offer(last, 0.0)
    absorb = lane.close()
    assert absorb.free == (1,)
    assert dict(absorb.running) == {2: running, 3: queued}
    assert absorb.queued == (last,)
    assert dict(absorb.tasks_done) == {1: 1, 3: 1}
    figures = absorb.figures
    assert (figures.submitted, figures.done, figures.failed) == (5, 1, 1)
    assert figures.runs == [2.0, 1.0]
    assert not lane.is_open


def test_what_was_released_is_not_counted_as_submitted_again():
    lane, _ = a_lane(free=(), running=[(1, task())], queued=[task()])
    assert lane.look()[0].submitted == 0
    lane.offer(task(), 0.0)
    assert lane.look()[0].submitted == 1
    assert lane.close().figures.submitted == 0


def test_a_thread_that_is_through_after_the_lane_was_closed_tells_the_engine():
    lane, members = a_lane(free=(1,))
    mine = task()
    lane.offer(mine, 0.0)
    begin(lane, members[1])
    lane.close()
    assert lane.through(members[1], mine, 1.0, 2.0, failed=False, goes_on=True) is OTHERS
    assert mine.state is RUNNING
    assert members[1].at is mine
    assert lane.release(members[1])
    assert members[1].at is None


def test_a_thread_that_was_given_up_is_counted_until_it_is_through():
    lane, members = a_lane(free=(1,))
    mine = task()
    lane.offer(mine, 0.0)
    begin(lane, members[1])
    lane.close()
    assert lane.abandon(members[1]) is mine
    assert lane.left_alone == 1
    assert lane.through(members[1], mine, 1.0, 2.0, failed=False, goes_on=True) is KILLED
    assert lane.left_alone == 0


def test_a_thread_that_was_given_up_before_it_began_never_begins():
    lane, members = a_lane(free=(1,))
    lane.offer(task(), 0.0)
    lane.close()
    assert lane.abandon(members[1]) is None
    assert lane.left_alone == 0
    assert not lane.begin(members[1], members[1].inbox.get_nowait(), 1.0)


def test_a_thread_that_resets_itself_gets_nothing_before_it_asks():
    lane, members = a_lane(free=(1,))
    first, second = task(), task()
    lane.offer(first, 0.0)
    begin(lane, members[1])
    assert lane.through(members[1], first, 1.0, 2.0, failed=True, goes_on=False) is None
    lane.offer(second, 2.0)
    assert second.state is QUEUED
    assert lane.take(members[1], 3.0) is second


def test_a_thread_that_has_reset_itself_is_not_in_line_twice():
    lane, members = a_lane(free=(1,))
    first = task()
    lane.offer(first, 0.0)
    begin(lane, members[1])
    lane.through(members[1], first, 1.0, 2.0, failed=True, goes_on=False)
    absorb = lane.close()
    lane.open(Release(absorb.free, (), ()), members)
    assert lane.take(members[1], 3.0) is None
    assert [lane.offer(task(), 3.0) for _ in range(2)] == [TAKEN, TAKEN]
    assert members[1].inbox.qsize() == 1


def test_a_task_that_the_engine_had_begun_has_one_attempt():
    mine = task()
    mine.attempts, mine.begun_at = 1, 0.5
    lane, members = a_lane(free=(), running=[(1, mine)])
    assert lane.begin(members[1], mine, 1.0)
    assert mine.attempts == 1


def test_a_look_leaves_everything_where_it_is():
    lane, members = a_lane(free=(1, 2))
    lane.offer(task(), 1.0)
    begin(lane, members[2])
    _, view = lane.look()
    assert (view.queued, view.running, view.idle, view.oldest_at) == (0, 1, 1, None)
    lane.offer(task(), 2.0)
    lane.offer(task(), 3.0)
    assert lane.look()[1].oldest_at == 3.0
    assert lane.is_open
