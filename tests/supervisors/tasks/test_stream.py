from __future__ import annotations

import itertools
import threading

import pytest

from supervisors import AskTimeoutError, Exit, InvalidArgumentError, InvalidTypeError
from supervisors.supervision.calls import count_children
from supervisors.tasks import (
    TaskDone,
    TaskExited,
    TaskExitError,
    TaskSupervisor,
    async_stream,
    async_stream_nolink,
)
from supervisors.tasks.stream import AHEAD_MAX
from tests.supervisors.actors import SharedDoer


@pytest.fixture
def tasks(system):
    return system.start(TaskSupervisor)


def double(number):
    return 2 * number


def fail_at_2(number):
    if number == 2:
        raise Exit("boom")
    return number


def test_task_9_outcomes_come_in_the_order_of_the_items(tasks):
    found = async_stream(tasks, range(20), double, max_concurrency=3)
    assert [outcome.value for outcome in found] == [2 * number for number in range(20)]


def test_task_9_no_items_give_no_outcomes(tasks):
    assert list(async_stream(tasks, [], double)) == []


def test_task_9_nothing_starts_before_the_stream_is_consumed(system, tasks):
    seen = []
    stream = async_stream(tasks, iter(seen.append, None), double)
    system.settle()
    assert seen == []
    assert count_children(tasks).specs == 0
    del stream


def test_task_9_an_endless_input_is_taken_as_far_as_needed(tasks):
    taken = []

    def items():
        for number in itertools.count():
            taken.append(number)
            yield number

    stream = async_stream(tasks, items(), double, max_concurrency=2)
    assert [next(stream).value for _ in range(5)] == [0, 2, 4, 6, 8]
    assert len(taken) <= 5 + 2
    stream.close()


def test_task_9_at_most_so_many_tasks_at_once(real):
    tasks = real.start(TaskSupervisor)
    lock, running, most = threading.Lock(), [], []

    def work(number):
        with lock:
            running.append(number)
            most.append(len(running))
        with lock:
            running.remove(number)
        return number

    found = async_stream(tasks, range(200), work, max_concurrency=3)
    assert [outcome.value for outcome in found] == list(range(200))
    assert max(most) <= 3


def test_task_9_so_many_really_run_at_the_same_time(real):
    tasks = real.start(TaskSupervisor)
    together = threading.Barrier(3, timeout=10)
    found = async_stream(tasks, range(3), lambda _number: together.wait(), max_concurrency=3)
    assert sorted(outcome.value for outcome in found) == [0, 1, 2]


def test_task_9_unordered_outcomes_come_as_they_are_ready(real):
    tasks = real.start(TaskSupervisor)
    second_is_out = threading.Event()

    def work(number):
        if number == 0:
            assert second_is_out.wait(10)
        return number

    found = async_stream(tasks, range(2), work, max_concurrency=2, ordered=False)
    first = next(found)
    second_is_out.set()
    assert (first, next(found)) == (TaskDone(1), TaskDone(0))


def test_task_9_ordered_outcomes_wait_for_the_one_before(real):
    tasks = real.start(TaskSupervisor)
    second_is_done = threading.Event()

    def work(number):
        if number == 0:
            assert second_is_done.wait(10)
        else:
            second_is_done.set()
        return number

    assert list(async_stream(tasks, range(2), work, max_concurrency=2)) == [TaskDone(0), TaskDone(1)]


def suspend_first(system, tasks):
    """Have the first task of a stream hang: return the function and what it needs."""

    def items():
        yield "slow"
        for child in system.actors():
            if child.actor_class.__name__ == "TaskActor":
                child.suspend()
        yield "fast"

    return items()


def test_task_9_a_task_that_takes_too_long_ends_the_iteration(system, tasks):
    stream = async_stream(tasks, suspend_first(system, tasks), str.upper, max_concurrency=2, timeout=3)
    with pytest.raises(AskTimeoutError):
        list(stream)
    assert system.clock.monotonic() == pytest.approx(3.0)
    assert count_children(tasks).specs == 0


def test_task_9_or_it_is_killed_and_its_outcome_says_so(system, tasks):
    stream = async_stream(
        tasks, suspend_first(system, tasks), str.upper, max_concurrency=2, timeout=3, on_timeout="kill_task"
    )
    assert list(stream) == [TaskExited("timeout"), TaskDone("FAST")]
    assert count_children(tasks).specs == 0


def test_task_9_without_a_link_a_crash_is_an_outcome(tasks):
    found = list(async_stream_nolink(tasks, [1, 2, 3], fail_at_2))
    assert found == [TaskDone(1), TaskExited("boom"), TaskDone(3)]


def test_task_9_a_plain_thread_gets_a_crash_raised(tasks):
    stream = async_stream(tasks, [1, 2, 3], fail_at_2, max_concurrency=1)
    assert next(stream) == TaskDone(1)
    with pytest.raises(TaskExitError):
        next(stream)


def test_task_9_an_actor_consumes_a_stream_and_keeps_a_clean_mailbox(system, tasks):
    owner = system.start(SharedDoer)
    found = owner.ask(lambda _self: [outcome.value for outcome in async_stream(tasks, range(5), double)])
    assert found == [0, 2, 4, 6, 8]
    assert owner.ask("seen") == []
    assert owner.monitors is None


def test_task_9_the_linked_stream_takes_the_caller_along(system, tasks):
    owner = system.start(SharedDoer)
    owner.tell(lambda _self: list(async_stream(tasks, [1, 2, 3], fail_at_2)))
    system.settle()
    assert owner.exit_reason == "boom"
    assert count_children(tasks).specs == 0


def test_task_9_a_caller_that_traps_exits_gets_an_outcome(system, tasks):
    owner = system.start(SharedDoer, trap=True)
    found = owner.ask(lambda _self: list(async_stream(tasks, [1, 2], fail_at_2)))
    assert found == [TaskDone(1), TaskExited("boom")]


def test_who_stops_early_leaves_no_task_behind(system, tasks):
    stream = async_stream(tasks, suspend_first(system, tasks), str.upper, max_concurrency=2, ordered=False)
    assert next(stream) == TaskDone("FAST")
    stream.close()
    system.settle()
    assert count_children(tasks).specs == 0


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("max_concurrency", 0),
        ("max_concurrency", True),
        ("max_concurrency", 70_000),
        ("on_timeout", "wait"),
        ("timeout", -1),
        ("timeout", float("nan")),
        ("timeout", float("inf")),
    ],
)
def test_an_option_that_is_not_allowed_is_refused_at_once(tasks, option, value):
    with pytest.raises(InvalidArgumentError, match=option):
        async_stream(tasks, [1], double, **{option: value})


@pytest.mark.parametrize("timeout", [True, "soon", []])
def test_a_timeout_that_is_no_number_is_refused_at_once(tasks, timeout):
    with pytest.raises(InvalidTypeError, match="timeout"):
        async_stream(tasks, [1], double, timeout=timeout)


def test_what_cannot_be_iterated_over_is_refused_at_once(tasks):
    with pytest.raises(InvalidTypeError, match="items: a int"):
        async_stream(tasks, 5, double)


def test_what_is_no_function_is_refused_at_once(tasks):
    with pytest.raises(InvalidTypeError, match="function"):
        async_stream_nolink(tasks, [1], None)


def test_a_slow_first_item_does_not_let_outcomes_pile_up_without_end(tasks):
    taken = []
    gate = threading.Event()

    def items():
        for number in itertools.count():
            taken.append(number)
            if number == AHEAD_MAX + 50:
                gate.set()
            yield number

    def first_is_slow(number):
        if number == 0:
            gate.wait(0)
            return sum(range(10))
        return number

    stream = async_stream(tasks, items(), first_is_slow, max_concurrency=2)
    for _ in range(5):
        next(stream)
    assert len(taken) <= AHEAD_MAX + 50
    stream.close()


def test_an_iteration_that_ends_outside_of_its_actor_ends_its_tasks(real):
    supervisor = real.start(TaskSupervisor)
    actor, entered = real.start(SharedDoer), threading.Event()
    gate = threading.Event()

    def work(number):
        if number:
            entered.set()
            gate.wait(10)
        return number

    def begin(_):
        stream = async_stream_nolink(supervisor, range(3), work, max_concurrency=2, ordered=False, timeout=None)
        next(stream)
        return stream

    stream = actor.ask(begin)
    assert entered.wait(10)
    stream.close()
    while count_children(supervisor).active:
        pass
    gate.set()
