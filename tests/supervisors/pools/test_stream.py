"""Results of many tasks: what ends them, and who may ask for them."""

from __future__ import annotations

import asyncio
import threading

import pytest

from supervisors import DeadlockError
from supervisors.pools import PoolStoppedError, TransportError, WorkerPool
from tests.supervisors.pools import jobs

METHODS = ["map", "imap_unordered"]


def end_if_two(number):
    if number == 2:
        raise StopIteration(number)
    return number


def two_and_an_error():
    yield 1
    yield 2
    raise ValueError("no third")


def drained(results):
    """Everything that comes, errors included."""
    found = []
    while True:
        try:
            found.append(next(results))
        except StopIteration:
            return found
        except Exception as error:  # noqa: BLE001 - it is what is looked at
            found.append(error)


def test_a_task_that_raises_stop_iteration_ends_no_more_than_itself():
    with WorkerPool(end_if_two, 2) as pool:
        one, two, three = drained(pool.map([1, 2, 3]))
    assert (one, three) == (1, 3)
    assert isinstance(two, RuntimeError)
    assert isinstance(two.__cause__, StopIteration)


@pytest.mark.parametrize("method", METHODS)
def test_what_the_items_raise_comes_after_the_results_before_it(method):
    with WorkerPool(jobs.double, 1) as pool:
        one, two, error = drained(getattr(pool, method)(two_and_an_error()))
    assert (one, two) == (2, 4)
    assert isinstance(error, ValueError)


def test_the_end_of_the_pool_takes_no_result_away_that_is_there():
    with WorkerPool(jobs.double, 1) as pool:
        results = pool.map(range(100), window=3)
        first = next(results)
        pool.close()
        *others, error = drained(results)
    assert [first, *others] == [0, 2, 4]
    assert isinstance(error, PoolStoppedError)


@pytest.mark.parametrize("method", METHODS)
def test_an_item_that_cannot_travel_is_an_error_like_any_other(method):
    with WorkerPool(jobs.same, 1, kind="process", warm_spares=0) as pool:
        found = list(getattr(pool, method)([1, threading.Lock(), 2], return_exceptions=True))
    assert sum(isinstance(each, TransportError) for each in found) == 1
    assert [each for each in found if not isinstance(each, TransportError)] == [1, 2]


@pytest.mark.parametrize("method", METHODS)
def test_a_task_may_iterate_over_results_of_its_own_pool(method):
    with WorkerPool(None, 1, drain_timeout=0.0) as pool:
        future = pool.submit(lambda: sorted(getattr(pool, method)(range(5), function=jobs.double)))
        assert future.result(timeout=10) == [0, 2, 4, 6, 8]


@pytest.mark.parametrize("method", METHODS)
def test_a_coroutine_may_iterate_over_results_of_its_own_pool(method):
    async def collect():
        return sorted([each async for each in getattr(pool, method)(range(5), function=later)])

    async def later(number):
        await asyncio.sleep(0)
        return number

    with WorkerPool(None, 1, kind="asyncio", drain_timeout=0.0) as pool:
        assert pool.submit(collect).result(timeout=10) == [0, 1, 2, 3, 4]


def test_a_task_that_iterates_over_later_ones_of_its_own_key_is_told_at_once():
    with WorkerPool(None, 1, drain_timeout=0.0) as pool:
        future = pool.submit(lambda: list(pool.imap_unordered([1], function=jobs.double, key="k")), key="k")
        assert isinstance(future.exception(timeout=10), DeadlockError)
