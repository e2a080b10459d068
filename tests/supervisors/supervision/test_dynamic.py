from __future__ import annotations

import threading

import pytest

from supervisors import KILLED, SHUTDOWN, Exit, IgnoreStart, StartError
from supervisors.runtime.outcomes import AskTimeoutError
from supervisors.supervision.calls import (
    Call,
    count_children,
    start_child,
    supervision_tree,
    terminate_child,
    which_children,
)
from supervisors.supervision.child_spec import ChildSpec, InvalidChildSpec
from supervisors.supervision.dynamic import DynamicSupervisor
from supervisors.supervision.flags import DynamicFlags
from supervisors.supervision.inspection import render_tree
from supervisors.supervision.requests import ChildNotFound, ChildStartFailed, TooManyChildren
from supervisors.supervision.supervisor import Supervisor
from tests.supervisors.supervision.children import SharedWorker, Stubborn, Worker, crash, worker


@pytest.fixture
def events():
    return []


def living(supervisor):
    return [record.ref for record in which_children(supervisor)]


def test_dyn_1_it_starts_without_children(system):
    assert which_children(system.start(DynamicSupervisor)) == ()


def test_a_start_that_nobody_waits_for_any_more_is_not_begun(real, events):
    made = real.start(DynamicSupervisor)
    entered, leave = threading.Event(), threading.Event()

    def slow():
        entered.set()
        leave.wait(30.0)
        return "ignore"

    first = threading.Thread(target=start_child, args=(made, ChildSpec("slow", slow)))
    first.start()
    assert entered.wait(10.0)
    with pytest.raises(AskTimeoutError):
        start_child(made, worker(events, "late"), timeout=0.01)
    leave.set()
    start_child(made, worker(events, "in time"), timeout=10.0)
    first.join(10.0)
    assert events == ["+in time"]
    assert len(living(made)) == 1


def test_dyn_1_a_bad_flag_is_a_start_error(system):
    with pytest.raises(StartError) as caught:
        system.start(DynamicSupervisor, max_restarts=-1)
    assert caught.value.reason == ("supervisor_data", ("invalid_intensity", -1))


def test_dyn_1_init_may_say_how_to_supervise(system, events):
    class Few(DynamicSupervisor):
        def init(self, limit):
            return DynamicFlags(max_children=limit) if limit else "ignore"

    made = system.start(Few, 1)
    start_child(made, worker(events, "a"))
    with pytest.raises(TooManyChildren):
        start_child(made, worker(events, "b"))
    with pytest.raises(IgnoreStart):
        system.start(Few, 0)


def test_dyn_1_anything_else_from_init_is_a_bad_return_value(system):
    class Wrong(DynamicSupervisor):
        def init(self):
            return {}

    with pytest.raises(StartError) as caught:
        system.start(Wrong)
    assert caught.value.reason == ("bad_return", ("Wrong", "init", {}))


def test_dyn_2_extra_arguments_go_in_front(system, events):
    made = system.start(DynamicSupervisor, extra_arguments=(events,))
    crash(start_child(made, ChildSpec("any", Worker, ("a",))).ref)
    assert events == ["+a", "-a", "+a"]


def test_arguments_of_one_start_come_behind_those_of_the_specification(system, events):
    made = system.start(DynamicSupervisor, extra_arguments=(events,))
    crash(start_child(made, ChildSpec("any", Worker), args=("a",)).ref)
    assert events == ["+a", "-a", "+a"]  # and the restart knows them
    assert [start_child(made, ChildSpec("any", Worker, ("b",)), args=[]).info] == [None]


def test_arguments_of_one_start_wait_with_it(system, events):
    made = system.start(DynamicSupervisor)
    child = start_child(made, worker(events, "a", Stubborn, shutdown=1.0)).ref
    ended = made.ask(Call("terminate_child", child), block=False)
    late = made.ask(Call("start_child", ChildSpec("any", Worker, (events,)), ("b",)), block=False)
    system.advance(1.0)
    ended.get()
    assert late.get().ref.is_alive()
    assert events[-1] == "+b"


@pytest.mark.parametrize("args", ["ab", 3, None, {}])
def test_arguments_of_one_start_are_a_tuple(system, args):
    made = system.start(DynamicSupervisor)
    with pytest.raises(InvalidChildSpec) as caught:
        start_child(made, ChildSpec("any", Worker), args=args)
    assert caught.value.field == "args"


def test_a_supervisor_with_an_order_takes_arguments_of_one_start_as_well(system, events):
    made = system.start(Supervisor, [])
    start_child(made, ChildSpec("any", Worker, (events,)), args=("a",))
    assert events == ["+a"]


def test_dyn_3_a_failing_start_keeps_nothing(system):
    made = system.start(DynamicSupervisor)
    with pytest.raises(ChildStartFailed) as caught:
        start_child(made, ChildSpec("any", lambda: 5))
    assert caught.value.reason == 5
    assert count_children(made).specs == 0


def test_dyn_5_children_are_restarted_alone_and_too_many_restarts_end_all(system, events):
    made = system.start(DynamicSupervisor, max_restarts=1)
    first, second = (start_child(made, worker(events, name)).ref for name in "ab")
    crash(first)
    assert second in living(made)
    assert first not in living(made)
    crash(second)
    assert made.exit_reason == SHUTDOWN
    assert system.statistics()["actors"] == 0


def test_dyn_7_terminate_child_takes_a_ref(system, events):
    made = system.start(DynamicSupervisor)
    child = start_child(made, worker(events, "a")).ref
    terminate_child(made, child)
    assert child.exit_reason == SHUTDOWN
    with pytest.raises(ChildNotFound):
        terminate_child(made, child)


def test_dyn_9_all_children_are_ended_at_the_same_time_each_within_its_own(system, events):
    made = system.start(DynamicSupervisor)
    children = [
        start_child(made, worker(events, "a", Stubborn, shutdown=seconds)).ref for seconds in (3.0, 1.0, "brutal_kill")
    ]
    made.exit("bye")
    system.settle()
    assert [child.is_alive() for child in children] == [True, True, False]
    system.advance(1.0)
    assert [child.is_alive() for child in children] == [True, False, False]
    system.advance(2.0)
    assert [child.exit_reason for child in children] == [KILLED] * 3
    assert made.exit_reason == "bye"


def test_a_dynamic_supervisor_is_drawn_with_its_children(system, events):
    dynamic = ChildSpec("sessions", DynamicSupervisor, type="supervisor")
    made = system.start(Supervisor, [dynamic])
    [sessions] = living(made)
    start_child(sessions, worker(events, "a"))
    assert render_tree(supervision_tree(made)).splitlines() == [
        "Supervisor",
        "└── sessions (DynamicSupervisor)",
        "    └── Worker",
    ]


def test_a_thousand_crashes_from_several_threads_are_all_noticed(real):
    events: list[str] = []
    made = real.start(DynamicSupervisor, max_restarts=10**6)
    for name in range(50):
        start_child(made, worker(events, name, SharedWorker if name % 2 else Worker))

    def storm():
        for _ in range(5):
            for ref in living(made):
                if ref is not None:
                    ref.send(_end)

    threads = [threading.Thread(target=storm) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count_children(made).specs == 50
    made.stop()
    assert sorted(event for event in events if event[0] == "+") == sorted(
        event.replace("-", "+") for event in events if event[0] == "-"
    )


def test_requests_from_several_threads_are_all_answered(real):
    events: list[str] = []
    made = real.start(DynamicSupervisor)
    answers = []

    def ask():
        for _ in range(50):
            child = start_child(made, worker(events, "a", restart="temporary")).ref
            terminate_child(made, child)
            answers.append(child.exit_reason)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 200
    assert count_children(made).specs == 0


def test_held_back_requests_are_answered_in_order(system, events):
    made = system.start(DynamicSupervisor)
    child = start_child(made, worker(events, "a", Stubborn, shutdown=1.0)).ref
    asked = [
        made.ask(Call("terminate_child", child), block=False),
        made.ask(Call("count_children"), block=False),
        made.ask(Call("start_child", worker(events, "b")), block=False),
        made.ask(Call("count_children"), block=False),
    ]
    system.advance(1.0)
    assert [asked[position].get().active for position in (1, 3)] == [0, 1]


def _end(self):
    raise Exit("boom")


def leave(*_arguments):
    raise SystemExit(3)


def test_sup_4_a_start_function_that_leaves_the_program_is_a_start_error_of_its_own_child(system, events):
    made = system.start(DynamicSupervisor)
    start_child(made, worker(events, "a"))
    with pytest.raises(ChildStartFailed):
        start_child(made, ChildSpec("b", leave))
    assert made.is_alive()
    assert len(living(made)) == 1


def test_a_restart_that_leaves_the_program_is_tried_again(system, events):
    made = system.start(DynamicSupervisor, max_restarts=3)
    starts = []

    def start(*_arguments):
        starts.append(1)
        if len(starts) in (2, 3):
            raise SystemExit(3)
        return system.start(Worker, events, "a")

    ref = start_child(made, ChildSpec("a", start)).ref
    crash(ref)
    system.settle()
    assert len(starts) == 4
    assert len(living(made)) == 1


class Touchy:
    """Equal to nobody, and says so with an exception."""

    def __hash__(self):
        return hash("a")

    def __eq__(self, other):
        raise RuntimeError("do not touch me")


def test_who_asks_with_an_id_that_raises_harms_only_himself(system, events):
    made = system.start(Supervisor, [worker(events, "a")])
    with pytest.raises(ChildNotFound):
        terminate_child(made, Touchy())
    assert made.is_alive()
    assert events == ["+a"]


@pytest.mark.parametrize("error", [RuntimeError("no"), SystemExit(3)])
def test_a_report_that_cannot_be_handled_costs_no_child(system, events, error, caplog):
    class Loud(Supervisor):
        def on_report(self, report):
            raise error

    made = system.start(Loud, [worker(events, "a"), worker(events, "b")])
    crash(which_children(made)[0].ref)
    system.settle()
    assert made.is_alive()
    assert all(record.ref.is_alive() for record in which_children(made))
    assert "on_report() raised" in caplog.text


def test_a_supervisor_that_is_its_own_child_is_drawn_once(system):
    made = system.start(DynamicSupervisor)
    start_child(made, ChildSpec("self", lambda: made, type="supervisor", restart="temporary"))
    assert "..." in str(supervision_tree(made))


class Unspeakable:
    def __str__(self):
        raise RuntimeError("no words")


@pytest.mark.parametrize(("child_id", "shown"), [("two\nlines", "two\\nlines"), (Unspeakable(), "<Unspeakable>")])
def test_an_id_cannot_break_the_drawing(system, events, child_id, shown):
    made = system.start(Supervisor, [ChildSpec(child_id, Worker, (events, "a"))])
    lines = str(supervision_tree(made)).splitlines()
    assert len(lines) == 2
    assert shown in lines[1]
