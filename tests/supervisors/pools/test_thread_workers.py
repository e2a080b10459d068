"""Threads that take plain tasks from the lane while the pool's actor decides about others."""

from __future__ import annotations

import threading
from collections import Counter

import pytest

from supervisors.errors import SupervisorsError
from supervisors.pools import Backlog, PoolFullError, WorkerPool
from tests.supervisors.pools.waiting import until


@pytest.fixture
def let_go():
    event = threading.Event()
    yield event
    event.set()


def test_each_task_runs_once_whatever_is_decided_meanwhile():
    ran: Counter[int] = Counter()
    lock = threading.Lock()

    def work(number):
        with lock:
            ran[number] += 1
        return number

    with WorkerPool(work, 2, backlog=Backlog(count_max=None)) as pool:
        futures = {}

        def submit(first):
            for number in range(first, first + 300):
                options = {"priority": 1} if not number % 50 else {}
                futures[number] = pool.submit(number, **options)
                if not number % 70:
                    futures[number].cancel()
                if not number % 90:
                    pool.resize(1 + number % 3)

        threads = [threading.Thread(target=submit, args=(first,)) for first in (0, 1000, 2000)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        report = pool.close()
    assert max(ran.values()) == 1
    done = {number for number, future in futures.items() if not future.cancelled()}
    assert [futures[number].result(timeout=0) for number in sorted(done)] == sorted(done)
    assert done <= set(ran)
    assert (report.submitted, report.done, report.failed) == (900, len(done), 900 - len(done))


def test_plain_tasks_go_past_the_pools_actor():
    with WorkerPool(int, 1) as pool:
        until(lambda: pool.statistics().idle == 1)
        before = pool.ref.messages_handled
        assert [pool.submit(number).result(timeout=10) for number in range(50)] == list(range(50))
        assert pool.ref.messages_handled == before
        assert pool.statistics().done == 50


def test_a_plain_task_in_line_can_be_cancelled(let_go):
    with WorkerPool(lambda number: let_go.wait(10) and number, 1) as pool:
        futures = [pool.submit(number) for number in (1, 2, 3)]
        assert futures[1].cancel()
        let_go.set()
        assert [futures[0].result(timeout=10), futures[2].result(timeout=10)] == [1, 3]


def test_a_plain_task_that_runs_can_be_cancelled_and_its_worker_is_replaced(let_go):
    begun = threading.Event()

    def work(number):
        begun.set()
        return number or let_go.wait(10)

    with WorkerPool(work, 1) as pool:
        until(lambda: pool.statistics().idle == 1)
        mine = pool.submit(0)
        assert begun.wait(10)
        assert mine.cancel()
        assert pool.submit(2).result(timeout=10) == 2
        assert pool.statistics().abandoned == 1


def test_plain_tasks_beyond_the_bound_are_refused_and_counted(let_go):
    with WorkerPool(lambda: let_go.wait(10), 1, backlog=Backlog(count_max=2)) as pool:
        until(lambda: pool.statistics().idle == 1)
        kept = [pool.submit() for _ in range(3)]
        with pytest.raises(PoolFullError, match="2 tasks"):
            pool.submit()
        facts = pool.statistics()
        assert (facts.submitted, facts.queued, facts.refused) == (3, 2, 1)
        let_go.set()
        assert [each.result(timeout=10) for each in kept] == [True] * 3


class FailsOnceToReset:
    def __init__(self):
        self.failed = False

    def handle(self, what):
        if what == "fail":
            raise ValueError(what)
        return what

    def reset(self):
        raise SupervisorsError("cannot be reset")


def test_a_worker_that_cannot_be_reset_loses_no_plain_task():
    with WorkerPool(FailsOnceToReset, 1) as pool:
        until(lambda: pool.statistics().idle == 1)
        futures = [pool.submit(what) for what in ("fail", "a", "b")]
        assert isinstance(futures[0].exception(timeout=10), ValueError)
        assert [each.result(timeout=10) for each in futures[1:]] == ["a", "b"]
        assert pool.statistics().died == 1


def test_a_task_may_submit_plain_tasks_to_its_own_pool_and_wait():
    def sum_to(number):
        return number and number + pool.submit(number - 1).result(timeout=10)

    with WorkerPool(sum_to, 1) as pool:
        until(lambda: pool.statistics().idle == 1)
        assert pool.submit(5).result(timeout=10) == 15
        assert pool.submit(5).result(timeout=10) == 15
