"""Checkout as poolboy has it, POOL-1 to POOL-9, decided without a thread."""

from __future__ import annotations

import pytest

from supervisors.pools.errors import CheckoutTimeoutError, LeaseOverError, PoolFullError, WorkerDiedError
from supervisors.pools.inputs import CheckIn
from supervisors.pools.options import Sizing
from tests.supervisors.pools.pool_world import World


def test_pool_1_the_pool_starts_its_workers_at_its_start():
    world = World(size=3, comes_up=False)
    assert sorted(world.starting) == [1, 2, 3]
    assert world.engine.options.strategy == "lifo"


@pytest.mark.parametrize(("strategy", "expected"), [("lifo", 1), ("fifo", 3)])
def test_pool_2_a_free_worker_is_chosen_by_the_strategy(strategy, expected):
    world = World(size=3, strategy=strategy)
    tickets = [world.checkout() for _ in range(3)]
    by_worker = {world.lent[ticket]: ticket for ticket in tickets}
    for worker in (3, 2, 1):
        world.checkin(by_worker[worker])
    assert world.lent[world.checkout()] == expected


def test_pool_2_with_none_free_an_overflow_worker_is_started():
    world = World(size=1, max_overflow=1)
    world.checkout()
    assert world.lent[world.checkout()] == 2


def test_pool_2_without_waiting_a_full_pool_says_so():
    world = World(size=1, max_overflow=1)
    world.checkout()
    world.checkout()
    ticket = world.checkout(wait=0.0)
    assert isinstance(world.denied[ticket], PoolFullError)


def test_pool_2_without_waiting_an_overflow_worker_is_still_made():
    world = World(size=1, max_overflow=1)
    world.checkout()
    assert world.checkout(wait=0.0) in world.lent


def test_pool_2_who_waits_is_served_first_come_first_served():
    world = World(size=1)
    holder = world.checkout()
    first, second = world.checkout(), world.checkout()
    world.checkin(holder)
    assert first in world.lent
    assert second not in world.lent


def test_pool_3_a_request_that_waits_too_long_is_withdrawn():
    world = World(size=1)
    holder = world.checkout()
    late = world.checkout(wait=5.0)
    world.advance(5.0)
    assert isinstance(world.denied[late], CheckoutTimeoutError)
    world.checkin(holder)
    assert world.engine.status() == ("ready", 1, 0, 0)


def test_pool_4_a_worker_that_comes_back_goes_to_the_first_in_line():
    world = World(size=1)
    holder = world.checkout()
    waiting = world.checkout()
    worker = world.lent[holder]
    world.checkin(holder)
    assert world.lent[waiting] == worker


def test_pool_4_with_overflow_and_nobody_waiting_the_worker_that_comes_back_ends():
    world = World(size=1, max_overflow=1)
    first = world.checkout()
    world.checkout()
    worker = world.lent[first]
    world.checkin(first)
    assert world.stopping == {worker}
    assert world.engine.status()[2] == 0


def test_pool_4_checking_in_twice_does_nothing():
    world = World(size=1)
    ticket = world.checkout()
    world.checkin(ticket)
    assert world.tell(CheckIn(ticket)) == []


def test_pool_5_the_end_of_the_borrower_brings_the_worker_back():
    world = World(size=1)
    world.checkout(owner="me")
    world.owner_down("me")
    assert world.engine.status() == ("ready", 1, 0, 0)
    assert world.available == [1]


def test_or_the_worker_is_replaced_if_the_pool_is_told_to():
    world = World(size=1, on_owner_death="replace")
    world.checkout(owner="me")
    world.owner_down("me")
    assert world.stopping == {1}
    assert world.available == [2]


def test_pool_6_the_end_of_who_waits_takes_it_out_of_the_line():
    world = World(size=1)
    holder = world.checkout()
    gone = world.checkout(owner="me")
    world.owner_down("me")
    world.checkin(holder)
    assert gone not in world.lent
    assert world.engine.status()[1] == 1


def test_pool_7_a_lent_worker_that_dies_is_replaced_for_the_first_in_line():
    world = World(size=1)
    holder = world.checkout()
    waiting = world.checkout()
    world.die(world.lent[holder])
    assert world.lent == {waiting: 2}


def test_pool_7_with_overflow_and_nobody_waiting_the_pool_shrinks():
    world = World(size=1, max_overflow=1)
    world.checkout()
    overflow = world.checkout()
    world.die(world.lent[overflow])
    assert world.engine.status() == ("overflow", 0, 0, 1)


def test_pool_7_a_free_worker_that_dies_is_replaced():
    world = World(size=2)
    world.die(1, begun=False)
    assert world.available == [2, 3]


def test_pool_9_status_tells_ready_overflow_and_full():
    world = World(size=1, max_overflow=2)
    assert world.engine.status() == ("ready", 1, 0, 0)
    world.checkout()
    assert world.engine.status() == ("overflow", 0, 0, 1)
    world.checkout()
    assert world.engine.status() == ("overflow", 0, 1, 2)
    world.checkout()
    assert world.engine.status() == ("full", 0, 2, 3)


def test_pool_9_without_overflow_a_pool_with_none_free_is_full():
    world = World(size=1)
    world.checkout()
    assert world.engine.status() == ("full", 0, 0, 1)


def test_an_overflow_worker_may_linger_when_the_pool_is_told_to():
    world = World(size=1, max_overflow=1, sizing=Sizing(shrink_after=10.0))
    tickets = [world.checkout(), world.checkout()]
    for ticket in tickets:
        world.checkin(ticket)
    assert len(world.available) == 2
    world.advance(10.0)
    assert len(world.available) == 1


def test_an_overflow_worker_is_only_started_when_somebody_has_waited_long_enough():
    world = World(size=1, max_overflow=1, sizing=Sizing(grow_after=2.0))
    world.submit_many(2)
    world.advance(1.9)
    assert len(world.available) == 1
    world.advance(0.2)
    assert len(world.available) == 2


def test_calls_of_a_borrower_run_on_its_worker_in_order():
    world = World(size=2)
    ticket = world.checkout()
    first, second = world.submit(ticket=ticket), world.submit(ticket=ticket)
    assert world.running == [first]
    world.finish(first)
    assert world.holder(second) == world.lent[ticket]


def test_a_lent_worker_gets_no_other_work():
    world = World(size=1)
    ticket = world.checkout()
    task = world.submit()
    assert task.state == "queued"
    world.checkin(ticket)
    assert world.running == [task]


def test_a_call_on_a_worker_that_was_given_back_is_refused():
    world = World(size=1)
    ticket = world.checkout()
    world.checkin(ticket)
    assert isinstance(world.refused[world.submit(ticket=ticket)], LeaseOverError)


def test_the_death_of_a_lent_worker_fails_the_call_in_hand_and_those_behind_it():
    world = World(size=1)
    ticket = world.checkout()
    first, second = world.submit(ticket=ticket), world.submit(ticket=ticket)
    world.die(world.lent[ticket], "SIGKILL")
    assert isinstance(world.error(first), WorkerDiedError)
    assert isinstance(world.error(second), LeaseOverError)


def test_a_worker_that_comes_back_is_reset_before_its_next_task():
    world = World(size=1)
    world.checkin(world.checkout())
    assert world.resets == {1: 1}


def test_a_worker_that_comes_back_broken_is_replaced():
    world = World(size=1)
    world.checkin(world.checkout(), broken=True)
    assert world.stopping == {1}
    assert world.available == [2]


def test_borrowers_and_tasks_are_served_in_order_of_arrival():
    world = World(size=1)
    running = world.submit()
    ticket = world.checkout()
    task = world.submit()
    world.finish(running)
    assert ticket in world.lent
    assert task.state == "queued"
