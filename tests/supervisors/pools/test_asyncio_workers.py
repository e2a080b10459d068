"""Workers that are coroutines."""

from __future__ import annotations

import asyncio
import threading

import pytest

from supervisors import DeadlockError
from supervisors.errors import UsageError
from supervisors.pools import PoolFailedError, TaskTimeoutError, WorkerPool
from supervisors.simulation import run_seed, run_twice
from tests.supervisors.pools.waiting import until
from tests.supervisors.worlds import in_both_worlds


async def double(number):
    await asyncio.sleep(0)
    return 2 * number


async def fail():
    raise ValueError("no")


async def hang():
    await asyncio.Event().wait()


class Connection:
    """Counts, with hooks that wait."""

    ended = threading.Event()

    async def setup(self):
        await asyncio.sleep(0)
        self.count = 0

    async def handle(self, fails=False):
        self.count += 1
        if fails:
            raise ValueError("told to")
        return self.count

    async def reset(self):
        self.count = 100

    async def teardown(self):
        self.ended.set()


class NoStart:
    async def setup(self):
        raise RuntimeError("no network")

    async def handle(self):
        pass


def test_coroutines_give_their_results():
    with WorkerPool(double, 3, kind="asyncio") as pool:
        assert list(pool.map(range(100))) == [2 * number for number in range(100)]


def test_an_exception_is_passed_on_as_it_is():
    with WorkerPool(fail, 1, kind="asyncio") as pool, pytest.raises(ValueError, match="no"):
        pool.submit().result(timeout=10)


def test_as_many_run_at_once_as_there_are_workers_and_no_more():
    active, most = [], []

    async def work():
        active.append(1)
        most.append(len(active))
        for _ in range(10):
            await asyncio.sleep(0)
        active.pop()

    with WorkerPool(None, 3, kind="asyncio") as pool:
        for future in [pool.submit(work) for _ in range(20)]:
            future.result(timeout=10)
    assert max(most) == 3


def test_a_run_that_takes_too_long_is_cancelled_where_it_waits():
    ended = threading.Event()

    async def work():
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with WorkerPool(None, 1, kind="asyncio") as pool:
        with pytest.raises(TaskTimeoutError):
            pool.submit(work, timeout=0.01).result(timeout=10)
        assert ended.wait(10)
        assert pool.submit(double, 2).result(timeout=10) == 4


def test_a_running_coroutine_can_be_cancelled():
    with WorkerPool(None, 1, kind="asyncio") as pool:
        future = pool.submit(hang)
        until(future.running)
        assert future.cancel()
        assert pool.submit(double, 2).result(timeout=10) == 4


def test_a_class_keeps_its_state_and_its_hooks_may_wait():
    Connection.ended.clear()
    with WorkerPool(Connection, 1, kind="asyncio") as pool:
        assert [pool.submit().result(timeout=10) for _ in range(2)] == [1, 2]
        assert isinstance(pool.submit(True).exception(timeout=10), ValueError)
        assert pool.submit().result(timeout=10) == 101
    assert Connection.ended.is_set()


def test_a_setup_that_fails_fails_the_pool():
    with (
        WorkerPool(NoStart, 1, kind="asyncio", start_failures_max=1) as pool,
        pytest.raises(PoolFailedError, match="no network"),
    ):
        pool.submit().result(timeout=10)


def test_a_coroutine_may_await_a_task_of_its_own_pool():
    with WorkerPool(None, 1, kind="asyncio") as pool:

        async def outer(depth):
            return await pool.submit(outer, depth - 1) + 1 if depth else 0

        assert pool.submit(outer, 5).result(timeout=10) == 5


def test_a_coroutine_that_would_block_its_own_loop_is_told_so():
    with WorkerPool(None, 2, kind="asyncio") as pool:

        async def work():
            return pool.submit(double, 2).result()

        with pytest.raises(DeadlockError):
            pool.submit(work).result(timeout=10)


def test_a_coroutine_cannot_close_its_own_pool():
    async def work():
        pool.close()

    with WorkerPool(None, 1, kind="asyncio") as pool, pytest.raises(UsageError):
        pool.submit(work).result(timeout=10)


def test_what_runs_when_the_time_is_up_is_cancelled_and_given_back():
    begun = threading.Event()

    async def work():
        begun.set()
        await hang()

    pool = WorkerPool(None, 1, kind="asyncio")
    pool.submit(work)
    assert begun.wait(10)
    report = pool.close(drain_timeout=0.0)
    assert [each.begun for each in report.returned] == [True]


class Odd(BaseException):
    """Not an `Exception`."""


async def raise_it(error):
    raise error


@pytest.mark.parametrize("error", [Odd("odd"), KeyboardInterrupt(), SystemExit(3), GeneratorExit()])
def test_whatever_a_coroutine_raises_is_its_outcome_and_the_next_one_runs(error):
    with WorkerPool(None, 1, kind="asyncio", drain_timeout=0.0) as pool:
        assert pool.submit(raise_it, error).exception(timeout=10) is error
        assert pool.submit(double, 2).result(timeout=10) == 4


@pytest.mark.parametrize("hook", ["setup", "reset", "teardown"])
def test_a_hook_that_raises_whatever_it_may_harms_no_other_pool_worker(hook):
    class Worker:
        begun = 0

        async def handle(self):
            raise ValueError("its task fails")

    async def raise_odd(self):
        Worker.begun += 1
        if hook != "setup" or Worker.begun == 1:
            raise Odd(hook)

    setattr(Worker, hook, raise_odd)
    with WorkerPool(Worker, 1, kind="asyncio", drain_timeout=1.0) as pool:
        for _ in range(2):
            assert isinstance(pool.submit().exception(timeout=10), ValueError)
    assert Worker.begun >= 1


async def stop_the_loop():
    asyncio.get_running_loop().stop()


async def cancel_everything():
    for each in asyncio.all_tasks():
        each.cancel()
    await asyncio.sleep(0)


async def exit_behind():
    async def leave():
        raise SystemExit(3)

    task = asyncio.ensure_future(leave())
    await asyncio.wait([task])
    return isinstance(task.exception(), SystemExit)


@pytest.mark.parametrize("deed", [stop_the_loop, cancel_everything, exit_behind])
def test_what_a_coroutine_does_to_the_loop_is_the_end_of_no_worker(deed):
    with WorkerPool(None, 2, kind="asyncio", drain_timeout=0.0) as pool:
        pool.submit(deed).exception(timeout=10)
        assert [pool.submit(double, number).result(timeout=10) for number in range(4)] == [0, 2, 4, 6]


# The same body with a real event loop and with a simulated one


@in_both_worlds
def test_coroutines_give_results_and_errors_are_reset_and_cancelled(run):
    def body(system):
        with WorkerPool(double, 2, kind="asyncio", system=system) as pool:
            assert sorted(pool.imap_unordered(range(20))) == [2 * number for number in range(20)]
        with WorkerPool(Connection, 1, kind="asyncio", system=system) as pool:
            assert pool.submit().result(timeout=20.0) == 1
            assert isinstance(pool.submit(True).exception(timeout=20.0), ValueError)
            assert pool.submit().result(timeout=20.0) == 101
        with WorkerPool(hang, 1, kind="asyncio", system=system) as pool:
            assert isinstance(pool.submit(timeout=0.05).exception(timeout=20.0), TaskTimeoutError)
            cancelled = pool.submit()
            assert cancelled.cancel()
            assert cancelled.cancelled()

    run(body)


@pytest.mark.parametrize("kind", ["process", "asyncio"])
def test_a_coroutine_of_a_simulation_awaits_what_a_pool_does(kind):
    async def workload(simulation):
        with WorkerPool(None, 2, kind=kind, system=simulation.system) as pool:
            assert await pool.submit(pow, 2, 5) == 32
            assert await asyncio.gather(*(pool.submit(abs, number) for number in (-1, -2))) == [1, 2]
            assert [each async for each in pool.map((-3, -4), function=abs)] == [3, 4]
            assert sorted([each async for each in pool.imap_unordered((-3, -4), function=abs)]) == [3, 4]

    outcome = run_twice(workload, 5)
    assert outcome.verdict == "ok", f"{outcome}\n{outcome.transcript}"


def test_a_simulation_has_no_pools_of_threads():
    outcome = run_seed(lambda simulation: WorkerPool(None, 1, kind="thread", system=simulation.system), 1)
    assert "'inline', 'process' or 'asyncio' in a simulation" in outcome.what
