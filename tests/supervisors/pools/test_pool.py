"""What users of a pool see, for the kinds of workers that need no process."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import os
import threading
import weakref
from collections.abc import Callable
from functools import partial

import pytest

from supervisors import ActorSystem, DeadlockError, Entropy, VirtualClock
from supervisors.errors import InvalidArgumentError, InvalidTypeError, UsageError
from supervisors.pools import (
    Backlog,
    PoolFailedError,
    PoolFullError,
    PoolStoppedError,
    Retry,
    TaskReturnedError,
    TaskTimeoutError,
    WorkerDiedError,
    WorkerPool,
)
from supervisors.runtime.outcomes import ForkedError
from supervisors.supervision.backoff import Backoff
from tests.supervisors.pools import jobs
from tests.supervisors.pools.waiting import until

SOON = Backoff(min_seconds=0.001, max_seconds=0.01)


@pytest.fixture(params=["inline", "thread"])
def kind(request):
    return request.param


@pytest.fixture
def let_go():
    event = threading.Event()
    yield event
    event.set()


# Tasks


def test_a_task_gives_its_result(kind):
    with WorkerPool(jobs.double, 2, kind=kind) as pool:
        assert pool.submit(21).result(timeout=10) == 42


def test_an_exception_is_passed_on_as_it_is(kind):
    with WorkerPool(jobs.fail, 1, kind=kind) as pool, pytest.raises(ValueError, match="no") as caught:
        pool.submit("no").result(timeout=10)
    assert type(caught.value) is ValueError


def test_a_pool_without_a_worker_takes_functions(kind):
    with WorkerPool(None, 1, kind=kind) as pool:
        assert pool.submit(pow, 2, 5).result(timeout=10) == 32


def test_results_of_map_come_in_order_and_lazily(kind):
    taken = []

    def items():
        for number in range(100):
            taken.append(number)
            yield number

    with WorkerPool(jobs.double, 2, kind=kind) as pool:
        results = pool.map(items(), window=4)
        assert taken == []
        assert next(results) == 0
        assert len(taken) <= 5
        assert list(results) == [2 * number for number in range(1, 100)]


def test_results_come_as_they_are_done(let_go):
    def work(waits):
        return let_go.wait(10) and waits

    with WorkerPool(None, 2) as pool, pool.imap_unordered([True, False], function=work) as results:
        let_go.set()
        assert sorted(results) == [False, True]


def test_an_error_in_map_is_raised_where_its_result_would_be(kind):
    with WorkerPool(jobs.fail_if_odd, 1, kind=kind) as pool:
        results = pool.map(range(3))
        assert next(results) == 0
        with pytest.raises(ValueError, match="1 is odd"):
            next(results)
        assert next(results) == 2


def test_errors_can_be_results(kind):
    with WorkerPool(jobs.fail_if_odd, 1, kind=kind) as pool:
        first, second = pool.map(range(2), return_exceptions=True)
        assert first == 0
        assert isinstance(second, ValueError)


def test_map_keeps_to_the_bound_of_the_backlog(kind):
    with WorkerPool(jobs.double, 1, kind=kind, backlog=Backlog(count_max=2)) as pool:
        assert list(pool.map(range(50), window=10)) == [2 * number for number in range(50)]
        assert pool.statistics().done == 50


def test_async_for_iterates_without_blocking_the_loop():
    async def collect(results):
        return [each async for each in results]

    with WorkerPool(jobs.double, 2) as pool:
        assert asyncio.run(collect(pool.map(range(20)))) == [2 * number for number in range(20)]
        assert sorted(asyncio.run(collect(pool.imap_unordered(range(20))))) == [2 * number for number in range(20)]


def test_a_future_can_be_awaited():
    async def one():
        return await pool.submit(4)

    with WorkerPool(jobs.double, 1) as pool:
        assert asyncio.run(one()) == 8


def test_wait_and_as_completed_work(kind):
    with WorkerPool(jobs.double, 2, kind=kind) as pool:
        futures = [pool.submit(number) for number in range(10)]
        done, pending = concurrent.futures.wait(futures, timeout=10)
        assert (len(done), len(pending)) == (10, 0)
        assert sum(future.result() for future in concurrent.futures.as_completed(futures)) == 90


def test_a_callback_is_called_and_its_failure_harms_nobody():
    called = concurrent.futures.Future()

    with WorkerPool(jobs.wait_for, 1) as pool:
        event = threading.Event()
        future = pool.submit(event)
        future.add_done_callback(lambda _: 1 / 0)
        future.add_done_callback(lambda each: called.set_result(each.result()))
        event.set()
        assert called.result(timeout=10) == "let go"


def test_a_callback_may_wait_for_another_task_of_the_same_pool():
    outcome = concurrent.futures.Future()
    event = threading.Event()
    with WorkerPool(None, 1) as pool:
        future = pool.submit(event.wait, 10)
        future.add_done_callback(lambda _: outcome.set_result(pool.submit(jobs.double, 3).result(timeout=10)))
        event.set()
        assert outcome.result(timeout=10) == 6


def test_nothing_of_a_task_is_kept_alive_by_an_idle_worker():
    class Thing:
        pass

    with WorkerPool(None, 1) as pool:
        thing = Thing()
        watch = weakref.ref(thing)
        assert pool.submit(lambda each: None, thing).result(timeout=10) is None
        del thing
        # The worker has told of the end before it lets go.
        pool.submit(int).result(timeout=10)
        gc.collect()
        assert watch() is None


# Cancelling and time


def test_a_queued_task_can_be_cancelled(let_go):
    with WorkerPool(None, 1) as pool:
        running = pool.submit(let_go.wait, 10)
        future = pool.submit(int)
        assert future.cancel()
        assert future.cancelled()
        let_go.set()
        assert running.result(timeout=10)
        assert pool.statistics().cancelled == 1


def test_a_running_thread_task_can_be_cancelled_and_its_worker_is_replaced(let_go):
    begun = threading.Event()

    def work():
        begun.set()
        let_go.wait(10)

    with WorkerPool(None, 1) as pool:
        future = pool.submit(work)
        assert begun.wait(10)
        assert future.running()
        assert future.cancel()
        assert pool.submit(int).result(timeout=10) == 0  # on the successor
        facts = pool.statistics()
        assert (facts.killed, facts.restarts, facts.abandoned) == (1, 1, 1)
        let_go.set()
        until(lambda: pool.statistics().abandoned == 0)


def test_cancelling_what_is_done_says_no(kind):
    with WorkerPool(int, 1, kind=kind) as pool:
        future = pool.submit()
        assert future.result(timeout=10) == 0
        assert not future.cancel()


def test_a_run_that_takes_too_long_fails_and_the_next_task_runs(let_go):
    with WorkerPool(None, 1) as pool:
        late = pool.submit(let_go.wait, 10, timeout=0.02)
        other = pool.submit(int)
        with pytest.raises(TaskTimeoutError):
            late.result(timeout=10)
        assert other.result(timeout=10) == 0
        let_go.set()


def test_a_deadline_passes_while_the_task_waits(let_go):
    with WorkerPool(None, 1) as pool:
        pool.submit(let_go.wait, 10)
        late = pool.submit(int, deadline=0.02)
        with pytest.raises(TimeoutError) as caught:
            late.result(timeout=10)
        assert caught.value.was_running is False
        let_go.set()


def test_a_task_that_failed_is_tried_again():
    attempts = []

    def work():
        attempts.append(1)
        if len(attempts) < 3:
            raise ValueError("not yet")
        return len(attempts)

    with WorkerPool(None, 1) as pool:
        assert pool.submit(work, retry=Retry(times=5, on=("error",), backoff=SOON)).result(timeout=10) == 3
        assert pool.statistics().retried == 2


# Bounds


def test_a_full_pool_refuses(let_go):
    with WorkerPool(None, 1, backlog=Backlog(count_max=1)) as pool:
        pool.submit(let_go.wait, 10)
        pool.submit(int)
        with pytest.raises(PoolFullError):
            pool.submit(int)
        let_go.set()


def test_a_submitter_waits_for_room_and_gets_it(let_go):
    with WorkerPool(None, 1, backlog=Backlog(count_max=1, policy="block", patience=10.0)) as pool:
        pool.submit(let_go.wait, 10)
        pool.submit(int)
        with concurrent.futures.ThreadPoolExecutor(1) as other:
            third = other.submit(pool.submit, int)
            let_go.set()
            assert third.result(timeout=10).result(timeout=10) == 0


def test_a_submitter_waits_no_longer_than_its_patience(let_go):
    with WorkerPool(None, 1, backlog=Backlog(count_max=1, policy="block", patience=0.02)) as pool:
        pool.submit(let_go.wait, 10)
        pool.submit(int)
        with pytest.raises(PoolFullError):
            pool.submit(int)
        let_go.set()


# Workers with a state


def test_a_class_keeps_its_state_and_its_hooks_are_called(kind):
    jobs.Counter.log.clear()
    with WorkerPool(jobs.Counter, 1, kind=kind) as pool:
        assert [pool.submit().result(timeout=10) for _ in range(2)] == [1, 2]
        with pytest.raises(ValueError, match="told to"):
            pool.submit("fail").result(timeout=10)
        assert pool.submit().result(timeout=10) == 101
    assert jobs.Counter.log == ["setup", "reset", "teardown"]


def test_a_worker_that_cannot_be_reset_is_replaced(kind):
    with WorkerPool(jobs.NoReset, 1, kind=kind) as pool:
        with pytest.raises(ValueError, match="told to"):
            pool.submit("fail").result(timeout=10)
        assert pool.submit().result(timeout=10) == 1
        assert pool.statistics().died == 1


def test_a_worker_whose_setup_fails_fails_the_pool_with_the_reason(kind):
    options = {"start_failures_max": 2, "restart": SOON}
    # It is refused, or taken in and failed, whichever comes first.
    with (
        WorkerPool(jobs.NoStart, 1, kind=kind, **options) as pool,
        pytest.raises(PoolFailedError, match="no database"),
    ):
        pool.submit("x").result(timeout=10)


def test_events_tell_what_happens_to_workers(let_go):
    seen = concurrent.futures.Future()
    with WorkerPool(None, 1) as pool:
        end = pool.on_event(lambda what, facts: None if seen.done() else seen.set_result((what, facts["place"])))
        pool.submit(let_go.wait, 10, timeout=0.01)
        assert seen.result(timeout=10) == ("worker_killed", 0)
        end()
        let_go.set()


def test_broadcast_reaches_each_worker_once():
    barrier = threading.Barrier(3)
    with WorkerPool(None, 3) as pool:
        futures = pool.broadcast(barrier.wait, 10)
        assert sorted(future.result(timeout=10) for future in futures) == [0, 1, 2]


def test_a_pool_can_be_resized():
    barrier = threading.Barrier(4)
    with WorkerPool(None, 1) as pool:
        pool.resize(4)
        futures = [pool.submit(barrier.wait, 10) for _ in range(4)]
        assert sorted(future.result(timeout=10) for future in futures) == [0, 1, 2, 3]


# From inside


def test_a_task_may_wait_for_a_task_of_its_own_pool(kind):
    with WorkerPool(None, 1, kind=kind) as pool:

        def outer(depth):
            return depth if not depth else pool.submit(outer, depth - 1).result(timeout=10) + 1

        assert pool.submit(outer, 5).result(timeout=10) == 5


def test_a_task_that_waits_for_a_later_one_of_its_own_key_is_told_at_once(kind):
    with WorkerPool(None, 1, kind=kind) as pool:

        def outer():
            return pool.submit(int, key="a").result(timeout=10)

        with pytest.raises(DeadlockError):
            pool.submit(outer, key="a").result(timeout=10)


def test_a_worker_cannot_close_its_own_pool(kind):
    with WorkerPool(None, 1, kind=kind) as pool, pytest.raises(UsageError, match="from outside"):
        pool.submit(pool.close).result(timeout=10)


# The end


def test_leaving_the_block_finishes_what_is_there():
    with WorkerPool(jobs.double, 1) as pool:
        futures = [pool.submit(number) for number in range(100)]
    assert [future.result(timeout=0) for future in futures] == [2 * number for number in range(100)]


def test_what_was_not_done_is_given_back_as_data(let_go):
    pool = WorkerPool(None, 1)
    begun = threading.Event()

    def work():
        begun.set()
        let_go.wait(10)

    running = pool.submit(work)
    waiting = pool.submit(jobs.double, 4, priority=3, key="k")
    assert begun.wait(10)
    report = pool.close(drain_timeout=0.0)
    first, second = report.returned
    assert first.begun
    assert (second.function, second.args, second.priority, second.key, second.begun) == (
        jobs.double,
        (4,),
        3,
        "k",
        False,
    )
    assert (report.submitted, report.done, report.failed) == (2, 0, 0)
    for future in (running, waiting):
        with pytest.raises(TaskReturnedError):
            future.result(timeout=1)
    let_go.set()


def test_a_closed_pool_takes_nothing_in_and_can_be_closed_again(kind):
    pool = WorkerPool(int, 1, kind=kind)
    report = pool.close()
    assert pool.close() is report
    with pytest.raises(PoolStoppedError):
        pool.submit()
    assert pool.statistics().state == "ended"
    assert "ended" in repr(pool)


def test_the_end_of_the_actor_system_settles_everything(let_go):
    system = ActorSystem()
    pool = WorkerPool(None, 1, system=system)
    futures = [pool.submit(let_go.wait, 10), pool.submit(int)]
    system.stop()
    let_go.set()
    for future in futures:
        with pytest.raises(TaskReturnedError):
            future.result(timeout=10)
    assert pool.close(0.0).submitted == 2


def test_a_pool_lives_in_virtual_time():
    with ActorSystem(clock=VirtualClock(), entropy=Entropy(1)) as system:
        attempts = []

        def work():
            attempts.append(system.clock.monotonic())
            raise ValueError("no")

        backoff = Backoff(min_seconds=10.0, max_seconds=100.0)
        with WorkerPool(None, 1, kind="inline", system=system) as pool:
            future = pool.submit(work, retry=Retry(times=2, on=("error",), backoff=backoff))
            system.advance(100.0)
            assert attempts == [0.0, 10.0, 30.0]
            assert isinstance(future.exception(timeout=0), ValueError)


def test_threads_do_not_live_in_virtual_time():
    with ActorSystem(clock=VirtualClock()) as system, pytest.raises(InvalidArgumentError) as caught:
        WorkerPool(int, 1, system=system)
    assert caught.value.field == "kind"


# Bad input


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("size", {"size": 0}),
        ("size", {"size": True}),
        ("size", {"size": 1.5}),
        ("kind", {"kind": "fiber"}),
        ("worker", {"worker": 3}),
        ("worker", {"worker": jobs.NoHandle}),
        ("max_overflow", {"max_overflow": -1}),
        ("strategy", {"strategy": "random"}),
        ("router", {"router": None}),
        ("backlog", {"backlog": 5}),
        ("timeout", {"timeout": float("nan")}),
        ("timeout", {"timeout": 0}),
        ("deadline", {"deadline": -1.0}),
        ("options", {"colour": "red"}),
        ("system", {"system": "mine"}),
        ("name", {"name": ""}),
        ("drain_timeout", {"drain_timeout": float("inf")}),
        ("poison_after", {"poison_after": 0}),
    ],
)
def test_a_pool_that_cannot_be_is_refused_and_leaves_nothing_behind(field, options):
    with pytest.raises((InvalidArgumentError, InvalidTypeError)) as caught:
        WorkerPool(**{"worker": int, "size": 1, **options})
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("priority", {"priority": 101}),
        ("priority", {"priority": False}),
        ("priority", {"priority": 0.0}),
        ("key", {"key": []}),
        ("timeout", {"timeout": "soon"}),
        ("deadline", {"deadline": 0}),
        ("retry", {"retry": 3}),
        ("size_bytes", {"size_bytes": -1}),
    ],
)
def test_a_task_that_cannot_be_is_refused_before_anything_happens(field, options):
    with WorkerPool(int, 1, kind="inline") as pool:
        with pytest.raises((InvalidArgumentError, InvalidTypeError)) as caught:
            pool.submit(**options)
        assert caught.value.field == field
        assert pool.statistics().submitted == 0


@pytest.mark.parametrize(
    ("field", "make"),
    [
        ("count_max", partial(Backlog, count_max=0)),
        ("policy", partial(Backlog, policy="hope")),
        ("patience", partial(Backlog, patience=-1)),
        ("times", partial(Retry, times=-1)),
        ("on", partial(Retry, on=("whim",))),
        ("on", partial(Retry, on="died")),
        ("backoff", partial(Retry, backoff=1.0)),
    ],
)
def test_a_setting_that_cannot_be_names_its_field(field, make):
    with pytest.raises((InvalidArgumentError, InvalidTypeError)) as caught:
        make()
    assert caught.value.field == field


def test_map_without_items_or_with_a_function_too_many_is_refused():
    with WorkerPool(int, 1, kind="inline") as pool:
        for arguments in ({"items": 3}, {"items": [], "function": int}, {"items": [], "colour": 1}):
            with pytest.raises((InvalidTypeError, InvalidArgumentError)):
                pool.map(**arguments)


def test_a_pool_does_not_travel():
    import pickle

    with WorkerPool(int, 1, kind="inline") as pool, pytest.raises(UsageError, match="another process"):
        pickle.dumps(pool)


def test_a_worker_that_dies_takes_only_its_own_task_along(let_go):
    del let_go
    with WorkerPool(jobs.NoReset, 2) as pool:
        futures = [pool.submit(what) for what in ("fail", "count", "count", "count")]
        outcomes = [future.exception(timeout=10) for future in futures]
    assert isinstance(outcomes[0], ValueError)
    assert not any(isinstance(each, WorkerDiedError) for each in outcomes[1:])


def test_after_a_fork_the_pool_of_the_parent_says_so():
    with WorkerPool(int, 1) as pool:
        assert pool.submit().result(timeout=10) == 0
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            try:
                pool.submit()
            except ForkedError:
                os.write(writer, b"told")
            os._exit(0)
        os.close(writer)
        os.waitpid(child, 0)
        assert os.read(reader, 100) == b"told"
        os.close(reader)
        assert pool.submit().result(timeout=10) == 0


@pytest.mark.parametrize("ask", ["result", "exception", "callback", "cancel"])
def test_after_a_fork_nobody_waits_for_an_outcome_that_cannot_come(let_go, ask):
    with WorkerPool(None, 1) as pool:
        done, pending = pool.submit(int), pool.submit(let_go.wait, 10)
        assert done.result(timeout=10) == 0
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            threading.Timer(10.0, os._exit, (1,)).start()
            verbs: dict[str, Callable[[], object]] = {
                "result": pending.result,
                "exception": pending.exception,
                "callback": lambda: pending.add_done_callback(print),
                "cancel": pending.cancel,
            }
            try:
                verbs[ask]()
            except ForkedError:
                os.write(writer, b"told, and %d" % done.result())
            os._exit(0)
        os.close(writer)
        os.waitpid(child, 0)
        assert os.read(reader, 100) == b"told, and 0"
        os.close(reader)
        let_go.set()
        assert pending.result(timeout=10) is True


@pytest.mark.parametrize(
    ("field", "verb"),
    [
        ("function", lambda pool: pool.transaction(3)),
        ("listener", lambda pool: pool.on_event(3)),
        ("progress", lambda pool: pool.map([1], progress=3)),
        ("return_exceptions", lambda pool: pool.map([1], return_exceptions="yes")),
    ],
)
def test_what_a_verb_cannot_use_names_its_field(field, verb):
    with WorkerPool(int, 1, kind="inline") as pool, pytest.raises(InvalidTypeError, match=field):
        verb(pool)
