"""Checkout with real threads and processes: POOL-3 to POOL-10 as borrowers see them."""

from __future__ import annotations

import concurrent.futures
import threading

import pytest

from supervisors import Actor, ActorSystem
from supervisors.pools import (
    CheckoutTimeoutError,
    LeaseOverError,
    PoolFullError,
    PoolStoppedError,
    TaskTimeoutError,
    WorkerDiedError,
    WorkerPool,
)
from tests.supervisors.pools import jobs
from tests.supervisors.pools.waiting import until


@pytest.fixture
def pool():
    with WorkerPool(jobs.Counter, 1) as made:
        yield made


def test_a_borrower_has_one_worker_and_its_state_alone(pool):
    with pool.checkout() as worker:
        assert [worker.call() for _ in range(3)] == [1, 2, 3]
        assert pool.status() == ("full", 0, 0, 1)
    until(lambda: pool.status() == ("ready", 1, 0, 0))


def test_a_worker_that_comes_back_is_reset(pool):
    with pool.checkout() as worker:
        assert worker.call() == 1
    with pool.checkout() as worker:
        assert worker.call() == 101


def test_pool_3_a_checkout_that_waits_too_long_is_withdrawn(pool):
    with pool.checkout():
        with pytest.raises(CheckoutTimeoutError):
            pool.checkout(timeout=0.01)
        assert pool.statistics().checkouts_waiting == 0
    with pool.checkout() as worker:
        assert worker.call() == 100 + 1


def test_a_checkout_that_does_not_wait_says_at_once_that_all_are_lent(pool):
    with pool.checkout(), pytest.raises(PoolFullError):
        pool.checkout(timeout=0)


def test_a_second_borrower_gets_the_worker_when_the_first_gives_it_back(pool):
    with concurrent.futures.ThreadPoolExecutor(1) as other:
        first = pool.checkout()
        second = other.submit(pool.transaction, lambda worker: worker.call())
        until(lambda: pool.statistics().checkouts_waiting == 1)
        first.checkin()
        assert second.result(timeout=10) == 101


def test_giving_back_twice_does_nothing(pool):
    lease = pool.checkout()
    lease.checkin()
    lease.checkin()
    until(lambda: lease.is_over)
    with pytest.raises(LeaseOverError):
        lease.call()


def test_pool_8_a_transaction_gives_the_worker_back_also_when_it_raises(pool):
    def fail(worker):
        worker.call()
        raise KeyError("no")

    assert pool.transaction(lambda worker: worker.call()) == 1
    with pytest.raises(KeyError):
        pool.transaction(fail)
    until(lambda: pool.status() == ("ready", 1, 0, 0))


def test_pool_5_the_end_of_a_borrowing_thread_brings_the_worker_back(pool):
    leases = []
    thread = threading.Thread(target=lambda: leases.append(pool.checkout()))
    thread.start()
    thread.join(10)
    until(lambda: leases[0].is_over)
    with pool.checkout() as worker:
        assert worker.call() == 101


class Borrower(Actor):
    """Borrows, and keeps what it has."""

    def __init__(self, pool):
        super().__init__()
        self.pool = pool

    def on_receive(self, message):
        self.lease = self.pool.checkout(timeout=message)
        return self.lease


def test_pool_5_the_end_of_a_borrowing_actor_brings_the_worker_back():
    with ActorSystem() as system, WorkerPool(jobs.Counter, 1, system=system) as pool:
        actor = system.start(Borrower, pool)
        lease = actor.ask(5.0)
        assert not lease.is_over
        actor.stop()
        until(lambda: lease.is_over)
        assert pool.transaction(lambda worker: worker.call()) == 101


def test_pool_6_the_end_of_a_waiting_actor_takes_it_out_of_the_line():
    with ActorSystem() as system, WorkerPool(jobs.Counter, 1, system=system) as pool, pool.checkout():
        actor = system.start(Borrower, pool)
        actor.ask(60.0, block=False)
        until(lambda: pool.statistics().checkouts_waiting == 1)
        actor.kill()
        until(lambda: pool.statistics().checkouts_waiting == 0)


def test_a_call_that_takes_too_long_ends_the_worker_and_the_lease():
    event = threading.Event()
    with WorkerPool(None, 1) as pool:
        with pool.checkout() as worker:
            with pytest.raises(TaskTimeoutError):
                worker.call(event.wait, 10, timeout=0.01)
            with pytest.raises(LeaseOverError):
                worker.call(int)
        assert pool.transaction(lambda worker: worker.call(int)) == 0
        event.set()


def test_pool_7_a_borrowed_process_that_dies_is_replaced_for_who_waits():
    with WorkerPool(None, 1, kind="process") as pool, pool.checkout(timeout=20) as worker:
        with pytest.raises(WorkerDiedError):
            worker.call(jobs.die, "SIGKILL")
        assert worker.is_over
        with pool.checkout(timeout=20) as successor:
            assert successor.call(jobs.same, 4) == 4


def test_a_worker_given_back_as_broken_is_replaced(pool):
    lease = pool.checkout()
    lease.call()
    lease.checkin(broken=True)
    with pool.checkout() as worker:
        assert worker.call() == 1


def test_pool_10_stopping_ends_the_workers_and_sends_who_waits_away(pool):
    lease = pool.checkout()
    with concurrent.futures.ThreadPoolExecutor(1) as other:
        waiting = other.submit(pool.checkout, 10.0)
        until(lambda: pool.statistics().checkouts_waiting == 1)
        pool.close(drain_timeout=0.0)
        with pytest.raises(PoolStoppedError):
            waiting.result(timeout=10)
    assert lease.is_over
    with pytest.raises(PoolStoppedError):
        pool.checkout()


def test_a_task_may_borrow_a_worker_of_its_own_pool():
    with WorkerPool(None, 1) as pool:

        def work():
            with pool.checkout() as worker:
                return worker.call(pow, 2, 5)

        assert pool.submit(work).result(timeout=10) == 32
