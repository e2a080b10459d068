"""Futures of a pool wait in the time of its system."""

from __future__ import annotations

import pytest

from supervisors.pools import Retry, WorkerPool
from supervisors.pools.future import PoolFuture
from supervisors.simulation import Simulation
from supervisors.supervision.backoff import Backoff

LATER = Retry(times=3, on=("error",), backoff=Backoff(min_seconds=1000.0, max_seconds=4000.0, jitter=0.0))


class Flaky:
    """Fails so many times; then it works."""

    def __init__(self, failures):
        self.failures = failures

    def __call__(self, item):
        if self.failures:
            self.failures -= 1
            raise ValueError(item)
        return item


def pool_of(system, failures, retry=LATER):
    return WorkerPool(Flaky(failures), 1, kind="inline", system=system, retry=retry)


def in_simulation(workload):
    with Simulation(1) as simulation:
        outcome = simulation.run(workload)
    assert outcome.verdict == "ok", outcome.what
    return outcome


def test_a_result_is_waited_for_in_virtual_time(system):
    with pool_of(system, 2) as pool:
        assert pool.submit("done").result() == "done"
    assert system.clock.monotonic() >= 2000.0


def test_an_exception_is_waited_for_in_virtual_time(system):
    with pool_of(system, 9) as pool:
        assert isinstance(pool.submit("x").exception(), ValueError)
    assert system.clock.monotonic() >= 3000.0


def test_a_wait_ends_after_so_many_virtual_seconds(system):
    with pool_of(system, 2) as pool:
        future = pool.submit("x")
        with pytest.raises(TimeoutError):
            future.result(timeout=10.0)
        assert system.clock.monotonic() == 10.0
        assert not future.done()


def test_results_in_any_order_are_waited_for_in_virtual_time(system):
    with pool_of(system, 2) as pool:
        assert sorted(pool.imap_unordered(range(3))) == [0, 1, 2]
    assert system.clock.monotonic() >= 1000.0


def test_results_in_order_are_waited_for_in_virtual_time(system):
    with pool_of(system, 2) as pool:
        assert list(pool.map(range(3))) == [0, 1, 2]


def test_a_client_in_a_simulation_waits_while_the_others_go_on():
    def workload(simulation):
        with pool_of(simulation.system, 3) as pool:
            answers = [simulation.client(lambda number: pool.submit(number).result(), each) for each in range(3)]
            simulation.sleep(1.0)
            assert not all(answer.is_done() for answer in answers)
            assert [answer.get(timeout=None) for answer in answers] == [0, 1, 2]

    assert in_simulation(workload).virtual_seconds >= 1000.0


def test_results_in_any_order_are_waited_for_in_a_simulation():
    def workload(simulation):
        with pool_of(simulation.system, 2) as pool:
            assert sorted(pool.imap_unordered(range(3))) == [0, 1, 2]

    in_simulation(workload)


def test_a_cancel_in_a_simulation_is_over_at_once():
    def workload(simulation):
        with pool_of(simulation.system, 9) as pool:
            future = pool.submit("x")
            assert future.cancel()
            assert future.cancelled()

    in_simulation(workload)


def test_a_wait_in_a_simulation_that_can_never_end_is_no_progress():
    def workload(simulation):
        PoolFuture(pool_of(simulation.system, 0).door).result()

    with Simulation(1) as simulation:
        assert simulation.run(workload).verdict == "no progress"
