"""Pools of processes, with one test body for real processes and for simulated ones."""

from __future__ import annotations

import itertools
from contextlib import contextmanager

import pytest

from supervisors.pools import Recycle, Retry, TaskTimeoutError, TransportError, WorkerDiedError, WorkerPool
from supervisors.process_actor import ProcessEnded
from tests.supervisors.pools import jobs
from tests.supervisors.worlds import in_both_worlds, in_simulation


@contextmanager
def pool_in(system, worker=None, size=1, **options):
    options.setdefault("warm_spares", 0)
    with WorkerPool(worker, size, kind="process", system=system, drain_timeout=20.0, **options) as pool:
        yield pool


@in_both_worlds
def test_results_and_errors_come_back_as_what_they_are(run):
    def body(system):
        with pool_in(system) as pool:
            assert pool.submit(jobs.double, [1]).result(timeout=20.0) == [1, 1]
            error = pool.submit(jobs.fail, "no").exception(timeout=20.0)
            assert isinstance(error, ValueError)
            assert "in the worker process" in error.__notes__[0]

    run(body)


@in_both_worlds
def test_a_task_and_its_result_are_copies(run):
    def body(system):
        with pool_in(system) as pool:
            given = {"a": [1]}
            got = pool.submit(jobs.same, given).result(timeout=20.0)
            assert got == given
            assert got["a"] is not given["a"]

    run(body)


@in_both_worlds
def test_what_cannot_travel_back_is_told(run):
    def body(system):
        with pool_in(system) as pool:
            assert isinstance(pool.submit(jobs.unpicklable).exception(timeout=20.0), TransportError)
            assert pool.submit(jobs.same, 1).result(timeout=20.0) == 1

    run(body)


@in_both_worlds
@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("exit", ProcessEnded(3, None)),
        ("SIGSEGV", ProcessEnded(None, "SIGSEGV")),
        ("SIGKILL", ProcessEnded(None, "SIGKILL")),
    ],
)
def test_a_process_that_dies_takes_its_own_task_along_and_is_replaced(run, how, reason):
    def body(system):
        with pool_in(system) as pool:
            died = pool.submit(jobs.die, how)
            after = [pool.submit(jobs.same, number) for number in range(5)]
            error = died.exception(timeout=20.0)
            assert isinstance(error, WorkerDiedError)
            assert error.reason == reason
            assert [each.result(timeout=20.0) for each in after] == [0, 1, 2, 3, 4]
            assert pool.statistics().died == 1

    run(body)


@in_both_worlds
def test_one_that_is_over_its_time_is_killed(run):
    def body(system):
        with pool_in(system) as pool:
            first = pool.submit(jobs.pid).result(timeout=20.0)
            assert isinstance(pool.submit(jobs.hang, timeout=0.05).exception(timeout=20.0), TaskTimeoutError)
            assert pool.submit(jobs.pid).result(timeout=20.0) != first

    run(body)


@in_both_worlds
def test_a_cancel_ends_a_process_that_hangs(run):
    def body(system):
        with pool_in(system) as pool:
            future = pool.submit(jobs.hang)
            assert future.cancel()
            assert pool.submit(jobs.same, "free").result(timeout=20.0) == "free"

    run(body)


@in_both_worlds
def test_one_that_is_tried_again_works_in_the_end(run, tmp_path):
    numbers = itertools.count()

    def body(system):
        path = str(tmp_path / f"count-{next(numbers)}")
        with pool_in(system, retry=Retry(times=5, on=("died",))) as pool:
            assert pool.submit(jobs.die_until, path, 2).result(timeout=30.0) == 2
            assert pool.statistics().retried == 2

    run(body)


@in_both_worlds
def test_a_worker_with_a_state_keeps_it_until_it_is_recycled(run):
    def body(system):
        with pool_in(system, jobs.Counting, recycle=Recycle(tasks=2)) as pool:
            assert [pool.submit().result(timeout=20.0) for _ in range(5)] == [1, 2, 1, 2, 1]

    run(body)


@in_both_worlds
def test_those_behind_one_that_hangs_are_done_by_others(run):
    def body(system):
        with pool_in(system, size=2) as pool:
            assert list(pool.map(range(50), function=jobs.same)) == list(range(50))
            hanging = pool.submit(jobs.hang)
            assert sorted(pool.imap_unordered(range(20), function=jobs.same)) == list(range(20))
            hanging.cancel()

    run(body)


@in_both_worlds
def test_spares_take_over(run):
    def body(system):
        with pool_in(system, warm_spares=1) as pool:
            for _ in range(3):
                assert isinstance(pool.submit(jobs.die, "exit").exception(timeout=20.0), WorkerDiedError)
            assert pool.submit(jobs.same, 1).result(timeout=20.0) == 1

    run(body)


@in_both_worlds
def test_what_is_not_done_at_the_end_is_given_back(run):
    def body(system):
        with pool_in(system) as pool:
            for _ in range(3):
                pool.submit(jobs.hang)
            report = pool.close(drain_timeout=0.0)
        assert len(report.returned) == 3

    run(body)


def test_a_day_in_a_simulated_process_takes_no_time():
    def body(system):
        with pool_in(system) as pool:
            waiting = pool.submit(jobs.hang)
            assert waiting.result() is None

    assert in_simulation(body).virtual_seconds >= 3600.0
