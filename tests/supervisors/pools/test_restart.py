"""The pool's own actor is killed, or crashes: everybody gets an answer at once, and the pool works again."""

from __future__ import annotations

import threading

import psutil
import pytest

from supervisors import ActorSystem
from supervisors.clock import VirtualClock
from supervisors.entropy import Entropy
from supervisors.exits import Crashed
from supervisors.pools import Backlog, CheckoutTimeoutError, PoolCrashedError, PoolStoppedError, WorkerPool
from supervisors.pools.inputs import Absorb
from supervisors.pools.lane import Lane
from supervisors.pools.performer import Question
from supervisors.pools.pool import RESTARTS_MAX
from tests.supervisors.pools import jobs
from tests.supervisors.pools.waiting import until


@pytest.fixture
def let_go():
    event = threading.Event()
    yield event
    event.set()


def wait_for_restart(pool, count=1):
    until(lambda: pool.statistics().pool_restarts == count)


def crash(pool):
    """Have the pool's actor run into a bug of its own."""

    def bug(engine):
        raise ZeroDivisionError("a bug of the engine")

    with pytest.raises(ZeroDivisionError):
        pool.door.ask(Question(bug))


@pytest.mark.parametrize("how", ["kill", "crash"])
def test_tasks_fail_at_once_with_the_reason_and_the_pool_works_again_under_its_name(let_go, how):
    begun = threading.Event()

    def wait():
        begun.set()
        let_go.wait(10)

    with ActorSystem() as system, WorkerPool(None, 1, system=system, name="crew") as pool:
        first = pool.ref
        running, waiting, special = pool.submit(wait), pool.submit(int), pool.submit(int, deadline=60.0)
        assert begun.wait(10)
        if how == "kill":
            first.kill()
        else:
            crash(pool)
        errors = [future.exception(timeout=5) for future in (running, waiting, special)]
        assert [type(each) for each in errors] == [PoolCrashedError] * 3
        assert [each.begun for each in errors] == [True, False, False]
        assert errors[0].reason == "killed" if how == "kill" else isinstance(errors[0].reason, Crashed)
        wait_for_restart(pool)
        assert pool.submit(pow, 2, 5).result(timeout=10) == 32
        assert system.whereis("crew") is pool.ref is not first
        facts = pool.statistics()
        assert (facts.submitted, facts.done, facts.failed, facts.pending) == (4, 1, 3, 0)
        assert facts.pool_restarts == 1
    report = pool.close()
    assert (report.submitted, report.done, report.failed, report.returned) == (4, 1, 3, ())


def test_plain_tasks_in_the_lane_are_answered_too(let_go):
    with WorkerPool(None, 1) as pool:
        until(lambda: pool.statistics().idle == 1)
        futures = [pool.submit(let_go.wait, 10), *(pool.submit(int) for _ in range(5))]
        pool.ref.kill()
        assert all(isinstance(each.exception(timeout=5), PoolCrashedError) for each in futures)
        wait_for_restart(pool)
        assert pool.submit(int).result(timeout=10) == 0


def test_its_processes_end_and_new_ones_do_the_work():
    with WorkerPool(None, 1, kind="process", warm_spares=0) as pool:
        before = pool.submit(jobs.pid).result(timeout=30)
        hanging = pool.submit(jobs.hang)
        until(lambda: pool.statistics().running == 1)
        pool.ref.kill()
        assert isinstance(hanging.exception(timeout=5), PoolCrashedError)
        until(lambda: not psutil.pid_exists(before))
        wait_for_restart(pool)
        assert pool.submit(jobs.pid).result(timeout=30) != before


def test_who_waits_for_room_or_for_a_worker_is_told_at_once(let_go):
    told = []

    def try_to(verb):
        try:
            verb()
        except Exception as error:  # noqa: BLE001 - which one is what is tested
            told.append(type(error))

    with WorkerPool(None, 1, backlog=Backlog(count_max=1, policy="block", patience=60.0)) as pool:
        pool.submit(let_go.wait, 10)
        pool.submit(int)
        threads = [
            threading.Thread(target=try_to, args=(verb,))
            for verb in (lambda: pool.submit(int), lambda: pool.checkout(60.0))
        ]
        for each in threads:
            each.start()
        until(lambda: pool.door.ask(Question(lambda engine: len(engine.waiting_for_room()) + len(engine.tickets))) == 2)
        pool.ref.kill()
        for each in threads:
            each.join(5)
        assert told == [PoolCrashedError] * 2


def test_a_lease_is_over_and_giving_it_back_harms_nobody():
    with WorkerPool(int, 1) as pool:
        lease = pool.checkout()
        pool.ref.kill()
        wait_for_restart(pool)
        assert lease.is_over
        lease.checkin()
        with pool.checkout() as other:
            assert other.call("7") == 7
            with pytest.raises(CheckoutTimeoutError):
                pool.checkout(0.01)


def test_a_resized_pool_keeps_its_size():
    with WorkerPool(int, 1) as pool:
        pool.resize(3)
        pool.ref.kill()
        wait_for_restart(pool)
        until(lambda: pool.statistics().idle == 3)


def test_a_late_word_of_a_former_worker_is_not_heard(let_go):
    with WorkerPool(None, 1) as pool:
        pool.submit(let_go.wait, 10)
        pool.ref.kill()
        wait_for_restart(pool)
        mine = pool.submit(threading.Event().wait, 0.05)
        let_go.set()
        assert mine.result(timeout=10) is False
        assert pool.statistics().done == 1


def test_a_pool_that_crashes_again_and_again_has_ended(let_go):
    with WorkerPool(None, 1) as pool:
        for count in range(1, RESTARTS_MAX + 1):
            pool.ref.kill()
            wait_for_restart(pool, count)
        last = pool.submit(let_go.wait, 10)
        pool.ref.kill()
        assert isinstance(last.exception(timeout=5), PoolCrashedError)
        until(lambda: "ended" in repr(pool))
        with pytest.raises(PoolStoppedError):
            pool.submit(int)
        report = pool.close()
        assert report.submitted == report.failed == 1


def test_stopping_its_actor_ends_the_pool_for_good():
    with ActorSystem() as system:
        pool = WorkerPool(int, 1, system=system, name="crew")
        assert pool.ref.stop()
        until(lambda: "ended" in repr(pool))
        with pytest.raises(PoolStoppedError):
            pool.submit(1)
        assert system.whereis("crew") is None
        pool.close()


def test_a_pool_in_virtual_time_comes_back_too():
    with ActorSystem(clock=VirtualClock(), entropy=Entropy(1)) as system:
        pool = WorkerPool(int, 1, kind="inline", system=system, name="crew")
        pool.ref.kill()
        assert pool.submit("7").result(timeout=0) == 7
        assert pool.statistics().pool_restarts == 1
        pool.close()


def test_a_restart_is_told():
    told = []
    with WorkerPool(int, 1) as pool:
        pool.on_event(lambda what, facts: told.append(what))
        pool.ref.kill()
        until(lambda: "pool_restarted" in told)


@pytest.mark.parametrize("when", ["before", "within"])
def test_ctrl_c_while_the_lane_is_closed_costs_no_figure_and_no_outcome(let_go, when):
    def interrupt(engine):
        absorb = engine._acts[Absorb]

        def interrupted(event):
            if when == "within":
                absorb(event)
            raise KeyboardInterrupt

        engine._acts[Absorb] = interrupted

    with WorkerPool(None, 1) as pool:
        pool.submit(int, priority=1).result(timeout=10)
        pool.door.ask(Question(interrupt))
        pool.submit(int, priority=1).result(timeout=10)  # it opens the lane
        done = [pool.submit(int) for _ in range(5)]
        running, waiting = pool.submit(let_go.wait, 10), pool.submit(int)
        assert [each.result(timeout=10) for each in done] == [0] * 5
        with pytest.raises(KeyboardInterrupt):
            pool.submit(int, priority=1)
        for future in (running, waiting):
            assert isinstance(future.exception(timeout=5), PoolCrashedError)
        let_go.set()
        assert pool.submit(int).result(timeout=10) == 0
        report = pool.close(drain_timeout=5.0)
        assert pool.statistics().pending == 0
    assert (report.submitted, report.done, report.failed) == (10, 8, 2)


def test_ctrl_c_while_the_lane_is_opened_costs_no_outcome(let_go, monkeypatch):
    def interrupted(_self, _release, _members):
        monkeypatch.undo()
        raise KeyboardInterrupt

    with WorkerPool(None, 1) as pool:
        running = pool.submit(let_go.wait, 10)
        waiting = [pool.submit(int) for _ in range(3)]
        pool.door.ask(Question(lambda _: None))  # it closes the lane
        monkeypatch.setattr(Lane, "open", interrupted)
        with pytest.raises(KeyboardInterrupt):
            pool.submit(int)
        for future in (running, *waiting):
            assert isinstance(future.exception(timeout=5), PoolCrashedError)
        report = pool.close(drain_timeout=5.0)
    assert report.submitted == report.done + report.failed
