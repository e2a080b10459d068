"""The face of `concurrent.futures.Executor`.

The standard library's own tests run against it by `tests/contracts/futures_suite.py`, where
the interpreter has them; what matters most stands here as well.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from supervisors.errors import InvalidTypeError
from supervisors.pools import PoolExecutor, PoolFailedError
from tests.supervisors.pools import jobs
from tests.supervisors.pools.waiting import until

ROOT = Path(__file__).parents[3]


@pytest.fixture(params=["thread", "process"])
def executor(request):
    with PoolExecutor(2, kind=request.param) as made:
        yield made


def test_it_is_an_executor(executor):
    assert isinstance(executor, concurrent.futures.Executor)
    assert isinstance(executor.submit(pow, 2, 5), concurrent.futures.Future)


def test_positions_and_keywords_arrive(executor):
    assert executor.submit(pow, 2, 5).result(timeout=20) == 32
    assert executor.submit(int, "ff", base=16).result(timeout=20) == 255


def test_map_takes_several_iterables_and_stops_with_the_shortest(executor):
    assert list(executor.map(pow, [1, 2, 3], [4, 5], timeout=20)) == [1, 32]


def test_map_raises_in_its_turn(executor):
    results = executor.map(divmod, [1, 1], [1, 0], timeout=20)
    assert next(results) == (1, 0)
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_asyncio_runs_functions_in_it(executor):
    async def run():
        loop = asyncio.get_running_loop()
        return await asyncio.gather(*(loop.run_in_executor(executor, jobs.double, number) for number in range(5)))

    assert asyncio.run(run()) == [0, 2, 4, 6, 8]


def test_cancelling_in_asyncio_ends_the_work(tmp_path):
    path = tmp_path / "begun"

    async def run(executor):
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(executor, jobs.touch_and_hang, str(path))
        await asyncio.to_thread(until, path.exists)
        future.cancel()
        await asyncio.wait([future])
        assert future.cancelled()

    with PoolExecutor(1, kind="process") as executor:
        asyncio.run(run(executor))
        assert executor.submit(pow, 2, 2).result(timeout=20) == 4


def test_after_shutdown_nothing_is_taken_in(executor):
    executor.shutdown()
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(pow, 2, 5)


def test_shutdown_without_waiting_finishes_what_is_there():
    event = threading.Event()
    executor = PoolExecutor(1)
    futures = [executor.submit(event.wait, 10), executor.submit(pow, 2, 5)]
    executor.shutdown(wait=False)
    event.set()
    assert [future.result(timeout=20) for future in futures] == [True, 32]
    until(lambda: executor.pool.statistics().state == "ended")


def test_shutdown_can_cancel_what_waits():
    event = threading.Event()
    executor = PoolExecutor(1)
    running, waiting = executor.submit(event.wait, 10), executor.submit(pow, 2, 5)
    executor.shutdown(wait=False, cancel_futures=True)
    assert waiting.cancelled()
    event.set()
    assert running.result(timeout=20)
    until(lambda: executor.pool.statistics().state == "ended")


def test_an_executor_that_is_dropped_finishes_what_it_has():
    executor = PoolExecutor(1)
    pool = executor.pool
    event = threading.Event()
    future = executor.submit(event.wait, 10)
    del executor
    event.set()
    assert future.result(timeout=20)
    until(lambda: pool.statistics().state == "ended")


def test_a_program_that_just_ends_finishes_what_it_has_submitted(tmp_path):
    path = tmp_path / "done"
    program = f"""
import pathlib
from supervisors.pools import PoolExecutor
executor = PoolExecutor(1)
executor.submit(pathlib.Path({str(path)!r}).write_text, "yes")
"""
    subprocess.run([sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, timeout=60)
    assert path.read_text() == "yes"


def test_an_initializer_runs_in_each_worker():
    seen = []
    with PoolExecutor(2, initializer=seen.append, initargs=("up",)) as executor:
        until(lambda: len(seen) == 2)
        assert executor.submit(pow, 2, 5).result(timeout=20) == 32


def test_an_initializer_that_fails_breaks_the_executor(request):
    with PoolExecutor(1, initializer=jobs.fail, initargs=("no database",)) as executor:
        with pytest.raises(concurrent.futures.BrokenExecutor, match="no database") as caught:
            executor.submit(pow, 2, 5).result(timeout=20)
        assert isinstance(caught.value, PoolFailedError)


def test_an_initializer_that_cannot_be_called_is_refused():
    with pytest.raises(InvalidTypeError):
        PoolExecutor(1, initializer=3)


def test_a_task_that_cannot_travel_is_told_by_its_future():
    with PoolExecutor(1, kind="process") as executor:
        future = executor.submit(jobs.same, threading.Lock())
        with pytest.raises(TypeError, match="pickle"):
            future.result(timeout=20)


def test_arguments_of_an_initializer_that_are_no_tuple_are_refused():
    with pytest.raises(InvalidTypeError, match="initargs"):
        PoolExecutor(1, initializer=print, initargs=3)
