from __future__ import annotations

import threading

import pytest

from supervisors import (
    ActorDeadError,
    AskTimeoutError,
    Crashed,
    Down,
    Exit,
    InvalidArgumentError,
    InvalidTypeError,
    UsageError,
)
from supervisors.supervision.calls import count_children, get_childspec, which_children
from supervisors.supervision.requests import TooManyChildren
from supervisors.tasks import (
    TaskAnswer,
    TaskDone,
    TaskExited,
    TaskExitError,
    TaskSupervisor,
    async_,
    async_nolink,
    await_,
    shutdown,
    start_child,
    yield_,
)
from tests.supervisors.actors import Doer, SharedDoer


@pytest.fixture
def tasks(system):
    return system.start(TaskSupervisor, name="tasks")


@pytest.fixture
def owner(system):
    """An actor that does what it is asked; ask it with a function of itself."""
    return system.start(SharedDoer)


def fail():
    raise ValueError("no")


def leave(reason):
    raise Exit(reason)


# TASK-1, TASK-2


def test_task_1_tasks_are_temporary_and_have_five_seconds_to_end(system, tasks):
    ref = start_child(tasks, list)
    spec = get_childspec(tasks, ref)
    assert (spec.restart, spec.shutdown) == ("temporary", 5.0)
    system.settle()
    assert which_children(tasks) == ()


def test_task_2_a_function_is_run_with_its_arguments(system, tasks):
    seen = []
    ref = start_child(tasks, seen.extend, (1, 2))
    assert seen == []
    system.settle()
    assert seen == [1, 2]
    assert ref.exit_reason == "normal"


def test_task_2_a_crash_affects_nobody(system, tasks, owner):
    ref = owner.ask(lambda _self: start_child(tasks, fail))
    system.settle()
    assert isinstance(ref.exit_reason, Crashed)
    assert owner.is_alive()
    assert tasks.is_alive()


def test_task_2_the_limit_of_children_holds(system):
    few = system.start(TaskSupervisor, max_children=1)
    start_child(few, list)
    with pytest.raises(TooManyChildren):
        start_child(few, list)


def test_task_2_a_task_that_is_to_be_restarted_runs_again(system, tasks):
    runs = []

    def twice():
        runs.append(1)
        if len(runs) == 1:
            fail()

    start_child(tasks, twice, restart="transient")
    system.settle()
    assert len(runs) == 2


def test_what_is_no_function_is_refused(tasks):
    with pytest.raises(InvalidTypeError, match="function"):
        start_child(tasks, 5)


# TASK-3: from a plain thread


def test_task_3_await_gives_the_result(tasks):
    assert await_(async_(tasks, max, 3, 5)) == 5


def test_task_3_await_tells_how_a_task_has_ended(tasks):
    with pytest.raises(TaskExitError) as caught:
        await_(async_(tasks, fail))
    assert isinstance(caught.value.reason, Crashed)
    assert isinstance(caught.value.__cause__, ValueError)


def test_task_3_an_end_without_an_answer_is_no_answer(tasks):
    with pytest.raises(TaskExitError) as caught:
        await_(async_(tasks, leave, "normal"))
    assert caught.value.reason == "normal"


def test_task_3_await_gives_up_after_its_time(system, tasks):
    task = async_(tasks, list)
    task.ref.suspend()
    with pytest.raises(AskTimeoutError):
        await_(task, 2)
    assert system.clock.monotonic() == pytest.approx(2.0)
    assert task.ref.is_alive()


def test_task_3_after_a_timeout_the_answer_is_given_up(system, tasks):
    task = async_(tasks, list)
    task.ref.suspend()
    with pytest.raises(AskTimeoutError):
        await_(task, 0)
    task.ref.resume()
    with pytest.raises(UsageError, match="given up"):
        await_(task)


def test_a_dead_supervisor_starts_no_task(system, tasks):
    tasks.stop()
    with pytest.raises(ActorDeadError):
        async_(tasks, list)


def test_tasks_run_at_the_same_time_on_worker_threads(real):
    tasks = real.start(TaskSupervisor)
    both = threading.Barrier(2, timeout=10)
    started = [async_(tasks, both.wait) for _ in range(2)]
    assert sorted(await_(task) for task in started) == [0, 1]


# From an actor


def test_task_3_an_actor_awaits_its_task(tasks, owner):
    assert owner.ask(lambda _self: await_(async_(tasks, max, 3, 5))) == 5


def test_task_3_an_actor_awaits_in_real_time(real):
    tasks, owner = real.start(TaskSupervisor), real.start(SharedDoer)
    assert owner.ask(lambda _self: [await_(async_(tasks, max, 1, n)) for n in range(50)]) == [1, *range(1, 50)]


def test_task_3_an_inline_actor_can_await_too(real):
    tasks, owner = real.start(TaskSupervisor), real.start(Doer)
    assert owner.ask(lambda _self: await_(async_(tasks, max, 3, 5))) == 5


def test_task_3_a_crashing_task_takes_its_owner_along_with_the_same_reason(system, tasks, owner):
    owner.tell(lambda _self: async_(tasks, leave, "boom"))
    system.settle()
    assert owner.exit_reason == "boom"


def test_task_3_so_it_does_while_it_is_awaited(system, tasks, owner):
    after = []
    owner.tell(lambda _self: after.append(await_(async_(tasks, leave, "boom"))))
    system.settle()
    assert owner.exit_reason == "boom"
    assert after == []


def test_task_3_an_owner_that_traps_exits_gets_an_error(system, tasks):
    owner = system.start(SharedDoer, trap=True)

    def work(_self):
        with pytest.raises(TaskExitError) as caught:
            await_(async_(tasks, leave, "boom"))
        return caught.value.reason

    assert owner.ask(work) == "boom"
    assert owner.is_alive()


def test_task_4_without_a_link_a_crash_is_an_error_only(tasks, owner):
    def work(_self):
        with pytest.raises(TaskExitError):
            await_(async_nolink(tasks, fail))
        return "still here"

    assert owner.ask(work) == "still here"


def test_task_5_the_answer_is_a_message_and_the_down_follows(system, tasks, owner):
    task = owner.ask(lambda _self: async_nolink(tasks, max, 3, 5))
    system.settle()
    answer, down = owner.ask("seen")
    assert answer == TaskAnswer(task, 5)
    assert isinstance(down, Down)
    assert (down.monitor, down.reason) == (task.monitor, "normal")


def test_task_5_await_takes_both_out_of_the_mailbox(system, tasks, owner):
    owner.ask(lambda _self: await_(async_(tasks, max, 3, 5)))
    system.settle()
    assert owner.ask("seen") == []


def test_task_5_await_leaves_other_messages_in_their_order(system, tasks, owner):
    def work(self):
        task = async_(tasks, max, 3, 5)
        self.actor_ref.send("one")
        value = await_(task)
        self.actor_ref.send("two")
        return value

    owner.ask(work)
    assert owner.ask("seen") == ["one", "two"]


def test_task_5_an_answer_that_was_given_up_does_not_arrive(system, tasks, owner):
    def work(_self):
        task = async_nolink(tasks, max, 3, 5)
        task.ref.suspend()
        with pytest.raises(AskTimeoutError):
            await_(task, 0)
        task.ref.resume()

    owner.ask(work)
    system.settle()
    assert owner.ask("seen") == []


# TASK-6


def test_task_6_yield_gives_the_answer(tasks):
    assert yield_(async_(tasks, max, 3, 5)) == TaskDone(5)


def test_task_6_yield_gives_the_exit_reason(tasks):
    assert yield_(async_(tasks, leave, "boom")) == TaskExited("boom")


def test_task_6_yield_gives_none_while_the_task_runs_and_may_be_asked_again(system, tasks):
    task = async_(tasks, max, 3, 5)
    task.ref.suspend()
    assert yield_(task, 1) is None
    task.ref.resume()
    assert yield_(task, 1) == TaskDone(5)


def test_task_6_yield_takes_a_linked_owner_along(system, tasks, owner):
    owner.tell(lambda _self: yield_(async_(tasks, leave, "boom")))
    system.settle()
    assert owner.exit_reason == "boom"


def test_task_6_shutdown_ends_a_task(tasks):
    task = async_(tasks, list)
    task.ref.suspend()
    assert shutdown(task) is None
    assert task.ref.exit_reason == "shutdown"


def test_task_6_shutdown_gives_the_answer_if_it_was_there_first(system, tasks):
    task = async_(tasks, max, 3, 5)
    system.settle()
    assert shutdown(task) == TaskDone(5)


def test_task_6_shutdown_tells_another_end(system, tasks):
    task = async_(tasks, leave, "boom")
    system.settle()
    assert shutdown(task) == TaskExited("boom")


def test_task_6_brutal_kill_kills(tasks):
    task = async_(tasks, list)
    task.ref.suspend()
    assert shutdown(task, "brutal_kill") is None
    assert task.ref.exit_reason == "killed"


def test_task_6_shutdown_of_an_owned_task_leaves_its_owner_alone(system, tasks, owner):
    def work(_self):
        task = async_(tasks, list)
        task.ref.suspend()
        return shutdown(task)

    assert owner.ask(work) is None
    system.settle()
    assert owner.ask("seen") == []


def test_task_6_a_function_that_does_not_return_is_killed_when_its_time_is_up(real):
    tasks = real.start(TaskSupervisor)
    entered, leave_it = threading.Event(), threading.Event()

    def hang():
        entered.set()
        leave_it.wait()
        return "late"

    task = async_(tasks, hang)
    assert entered.wait(10)
    assert shutdown(task, 0.01) is None
    assert task.ref.exit_reason == "killed"
    leave_it.set()


def test_task_6_a_second_shutdown_finds_nobody(tasks):
    task = async_(tasks, list)
    shutdown(task)
    assert shutdown(task) == TaskExited("noproc")


@pytest.mark.parametrize("timeout", ["soon", float("nan")])
def test_task_6_a_time_that_is_none_is_refused(tasks, timeout):
    with pytest.raises(InvalidArgumentError, match="timeout"):
        shutdown(async_(tasks, list), timeout)


# TASK-7, TASK-8, TASK-10


def test_task_7_only_the_actor_that_started_a_task_may_await_it(system, tasks, owner):
    task = owner.ask(lambda _self: async_(tasks, list))
    for look in (await_, yield_, shutdown):
        with pytest.raises(UsageError, match="has started it only"):
            look(task)
    assert owner.ask(lambda _self: await_(task)) == []


def test_task_7_a_task_can_be_awaited_once(tasks):
    task = async_(tasks, list)
    await_(task)
    with pytest.raises(UsageError, match="taken already"):
        await_(task)


def test_task_8_async_raises_at_the_limit(system, owner):
    none = system.start(TaskSupervisor, max_children=0)
    with pytest.raises(TooManyChildren):
        async_(none, list)
    with pytest.raises(TooManyChildren):
        owner.ask(lambda _self: async_nolink(none, list))


def test_task_10_the_end_of_the_owner_ends_its_linked_tasks_only(system, tasks, owner):
    started = []

    def work(_self):
        for begin in (async_, async_nolink):
            started.append(begin(tasks, list))
            started[-1].ref.suspend()
        raise Exit("bye")

    owner.tell(work)
    system.settle()
    linked, loose = started
    assert linked.ref.exit_reason == "bye"
    assert loose.ref.is_alive()


def test_a_task_that_was_awaited_leaves_nothing_behind(system, tasks, owner):
    owner.ask(lambda _self: [await_(async_(tasks, max, 1, 2)) for _ in range(10)])
    system.settle()
    assert count_children(tasks).specs == 0
    assert owner.links is None
    assert owner.monitors is None
    assert system.statistics()["actors"] == 2


def test_a_task_cannot_wait_for_who_waits_for_it(real):
    tasks, owner = real.start(TaskSupervisor), real.start(SharedDoer)

    def work(self):
        task = async_nolink(tasks, self.actor_ref.ask, "seen")
        with pytest.raises(TaskExitError) as caught:
            await_(task)
        return type(caught.value.reason.error).__name__

    assert owner.ask(work) == "DeadlockError"


def test_a_task_that_was_awaited_leaves_no_dead_letter(real):
    tasks, owner = real.start(TaskSupervisor), real.start(SharedDoer)
    owner.ask(lambda _self: [await_(async_(tasks, max, 1, 2)) for _ in range(20)])
    assert await_(async_(tasks, max, 1, 2)) == 2
    owner.ask("seen")  # whatever was still on its way has arrived by now
    assert real.dead_letters == 0


def test_a_task_that_is_killed_before_it_runs_leaves_no_dead_letter(system, tasks):
    assert shutdown(async_(tasks, max, 1, 2), "brutal_kill") is None
    assert system.dead_letters == 0


# What is no time, no task, no supervisor


@pytest.mark.parametrize("timeout", [-1, -0.5, float("nan"), float("inf"), True, None, [], "soon"])
def test_a_shutdown_within_what_is_no_time_is_refused_and_nothing_ends(tasks, timeout):
    gate = threading.Event()
    task = async_(tasks, gate.wait)
    with pytest.raises((InvalidArgumentError, InvalidTypeError), match="timeout"):
        shutdown(task, timeout)
    assert task.ref.is_alive()
    gate.set()


@pytest.mark.parametrize("wait", [await_, yield_])
@pytest.mark.parametrize("timeout", [-1, float("nan"), float("inf"), True, "soon"])
def test_waiting_for_what_is_no_time_is_refused_and_the_task_can_still_be_awaited(tasks, wait, timeout):
    task = async_(tasks, max, 3, 5)
    with pytest.raises((InvalidArgumentError, InvalidTypeError), match="timeout"):
        wait(task, timeout)
    assert await_(task) == 5


@pytest.mark.parametrize("function", [await_, yield_, shutdown])
def test_what_is_no_task_is_refused(function):
    with pytest.raises(InvalidTypeError, match="task: a str"):
        function("task")
