from __future__ import annotations

import logging
import threading

import pytest

from supervisors import (
    KILLED,
    NORMAL,
    SHUTDOWN,
    Actor,
    ActorDeadError,
    ActorSystem,
    Crashed,
    Exit,
    IgnoreStart,
    Shutdown,
    StartError,
    UsageError,
    VirtualClock,
)
from supervisors.links import links_of
from supervisors.runtime.pykka_adapter import StopMessage
from supervisors.supervision.calls import (
    Call,
    count_children,
    delete_child,
    get_childspec,
    restart_child,
    start_child,
    supervision_tree,
    terminate_child,
    which_children,
)
from supervisors.supervision.child_spec import ChildSpec
from supervisors.supervision.inspection import render_tree
from supervisors.supervision.outcomes import FailedToStartChild, Started
from supervisors.supervision.reports import ErrorReport
from supervisors.supervision.requests import ChildNotFound, ChildRunning, NotForDynamicChildren
from supervisors.supervision.supervisor import Supervisor
from tests.supervisors.actors import Doer
from tests.supervisors.supervision.children import SharedWorker, Stubborn, Worker, crash, refs, worker


@pytest.fixture
def events():
    return []


@pytest.fixture
def tree(system, events):
    """Start a supervisor of workers with these ids."""

    def start(*children, **flags):
        specs = [worker(events, child) if isinstance(child, str) else child for child in children]
        made = system.start(Supervisor, specs, **flags)
        events.clear()
        return made

    return start


def refused(system, *args, **kwargs):
    with pytest.raises(StartError) as caught:
        system.start(*args, **kwargs)
    return caught.value.reason


# -- start -----------------------------------------------------------------


def test_sup_1_a_supervisor_traps_exits(tree):
    assert tree("a").traps_exits


def test_sup_3_children_are_up_in_order_when_start_returns(system, events):
    system.start(Supervisor, [worker(events, "a"), worker(events, "b")])
    assert events == ["+a", "+b"]


def test_sup_2_init_may_ignore(system):
    class Declines(Supervisor):
        def init(self):
            return "ignore"

    with pytest.raises(IgnoreStart):
        system.start(Declines)
    assert system.statistics()["actors"] == 0


def test_sup_2_init_gets_what_the_supervisor_was_started_with(system, events):
    class Configured(Supervisor):
        def init(self, names, *, restarts):
            return {"max_restarts": restarts}, [worker(events, name) for name in names]

    made = system.start(Configured, "ab", restarts=7)
    assert list(refs(made)) == ["a", "b"]


def test_spec_10_bad_flags_and_specifications_start_nothing(system, events):
    good = worker(events, "a")
    assert refused(system, Supervisor, [good], strategy="s") == ("supervisor_data", ("invalid_strategy", "s"))
    assert refused(system, Supervisor, [good, {"id": "b"}]) == ("start_spec", "missing_start")
    assert refused(system, Supervisor, 5) == ("bad_return", ("Supervisor", "init", ({}, 5)))
    assert events == []


def test_a_misspelt_flag_is_named(system):
    reason = refused(system, Supervisor, [], max_restart=3)
    assert isinstance(reason, Crashed)
    assert "max_restart: 3 is not allowed; allowed: strategy, max_restarts" in str(reason.error)


def test_sup_6_a_failing_child_ends_those_before_it_and_the_supervisor(system, events):
    class Fails(Actor):
        def on_start(self):
            raise Exit("why")

    specs = [worker(events, "a"), worker(events, "b"), ChildSpec("c", Fails), worker(events, "d")]
    assert refused(system, Supervisor, specs) == Shutdown(FailedToStartChild("c", "why"))
    assert events == ["+a", "+b", "-b", "-a"]
    assert system.statistics()["actors"] == 0


def test_sup_6_and_sup_40_a_child_that_will_not_end_is_killed_before_start_returns(system, events):
    specs = [
        worker(events, "a", Stubborn, shutdown=2.5),
        worker(events, "b", SharedWorker),
        ChildSpec("c", lambda: "nothing"),
    ]
    before = system.clock.monotonic()
    assert refused(system, Supervisor, specs) == Shutdown(FailedToStartChild("c", "nothing"))
    assert events == ["+a", "+b", "-b"]
    assert system.clock.monotonic() - before == 2.5
    assert system.statistics()["actors"] == 0


def test_sup_6_and_sup_45_a_child_that_died_meanwhile_is_not_waited_for(system, events):
    def kill_the_first():
        events.append(system.whereis("first").exit("kill"))
        raise StartError("why")

    specs = [
        ChildSpec("a", lambda: system.spawn(Worker, (events,), link=True, report=True, name="first")),
        ChildSpec("b", kill_the_first),
    ]
    assert refused(system, Supervisor, specs) == Shutdown(FailedToStartChild("b", "why"))
    assert system.statistics()["actors"] == 0


def test_sup_6_a_supervisor_that_is_killed_while_its_start_fails_waits_for_nobody(system, events):
    class Fails(Actor):
        def on_start(self):
            self.actor_ref.parent.exit("kill")
            raise Exit("why")

    specs = [worker(events, "a"), ChildSpec("b", Fails)]
    assert refused(system, Supervisor, specs) == KILLED
    assert events == ["+a", "-a"]
    assert system.statistics()["actors"] == 0


def test_sup_6_nested_failures_give_nested_reasons(system):
    def fail():
        raise StartError("why")

    inner = ChildSpec("inner", Supervisor, ([ChildSpec("a", fail)],), type="supervisor")
    assert refused(system, Supervisor, [inner]) == Shutdown(
        FailedToStartChild("inner", Shutdown(FailedToStartChild("a", "why")))
    )


def test_sup_7_a_child_that_its_start_function_did_not_link_is_linked(system, events):
    made = system.start(Supervisor, [ChildSpec("a", lambda: system.start(Worker, events))])
    child = refs(made)["a"]
    assert links_of(made) == (child,)
    crash(child)
    assert refs(made)["a"].is_alive()


def test_sup_7_an_unlinked_child_that_is_dead_already_is_restarted(system, events):
    dead = system.start(Worker, events)
    dead.stop()
    starts = [dead]
    made = system.start(Supervisor, [ChildSpec("a", lambda: starts.pop() if starts else Worker.start_link(events))])
    assert refs(made)["a"].is_alive()


# -- life ------------------------------------------------------------------


def test_sup_9_a_crashed_child_is_there_again_with_a_new_identity(tree, events):
    made = tree("a", "b")
    before = refs(made)
    crash(before["a"])
    after = refs(made)
    assert events == ["-a", "+a"]
    assert after["a"] is not before["a"]
    assert after["b"] is before["b"]


def test_sup_8_exit_signals_of_strangers_are_ignored(system, tree):
    made = tree("a")
    stranger = system.start(Doer)
    stranger.ask(lambda self: made.exit("boom"))
    parent = system.start(Doer)
    inner = parent.ask(lambda self: Supervisor.start_link([]))
    inner.exit("boom")
    assert made.is_alive()
    assert inner.is_alive()


def test_sup_13_one_for_all_ends_in_reverse_and_starts_in_order(tree, events):
    made = tree("a", "b", "c", strategy="one_for_all")
    crash(refs(made)["b"])
    assert events == ["-b", "-c", "-a", "+a", "+b", "+c"]


def test_sup_20_a_restarted_supervisor_begins_with_init(system, events):
    inner = ChildSpec("inner", Supervisor, ([worker(events, "a")],), type="supervisor")
    made = system.start(Supervisor, [inner])
    start_child(refs(made)["inner"], worker(events, "b"))
    refs(made)["inner"].exit("kill")
    assert list(refs(refs(made)["inner"])) == ["a"]


def test_sup_24_and_sup_25_giving_up_is_orderly_and_goes_up_level_by_level(system, tree, events):
    inner = ChildSpec("inner", Supervisor, ([worker(events, "a")],), {"max_restarts": 0}, type="supervisor")
    made = tree(inner, max_restarts=1)
    before = refs(made)["inner"]
    crash(refs(before)["a"])
    assert before.exit_reason == SHUTDOWN
    assert made.is_alive()
    crash(refs(refs(made)["inner"])["a"])
    assert made.exit_reason == SHUTDOWN
    assert system.statistics()["actors"] == 0


def test_sup_21_restarts_far_apart_are_fine_in_the_clocks_time(system, tree):
    made = tree("a", max_restarts=1, max_seconds=5.0)
    for _ in range(5):
        crash(refs(made)["a"])
        system.advance(5.5)
    assert made.is_alive()


def test_sup_26_and_sup_29_an_endless_failing_restart_can_be_called_off(system, events):
    outcomes = []

    def flaky():
        if outcomes:
            raise outcomes[0]
        return Worker.start_link(events, "a")

    made = system.start(Supervisor, [ChildSpec("a", flaky)], max_restarts=10**6)
    child = refs(made)["a"]

    def call_off(self):
        outcomes.append(StartError("why"))
        made.ask(Call("terminate_child", "a"), block=False)
        raise Exit("boom")

    child.tell(call_off)
    outcomes.clear()
    system.settle()
    assert refs(made) == {"a": "stopped"}
    assert isinstance(restart_child(made, "a"), Started)


def test_sup_31_auto_shutdown_ends_the_supervisor(tree, events):
    made = tree(worker(events, "a", restart="transient", significant=True), "b", auto_shutdown="any_significant")
    crash(refs(made)["a"], NORMAL)
    assert made.exit_reason == SHUTDOWN
    assert events == ["-a", "-b"]


def test_sup_41_a_child_that_unlinked_itself_cannot_hang_the_supervisor(tree):
    made = tree("a")
    child = refs(made)["a"]
    child.ask(lambda self: self.unlink(self.actor_ref.parent))
    terminate_child(made, "a")
    assert child.exit_reason == SHUTDOWN


def test_sup_40_a_stubborn_child_is_killed_when_its_time_is_up(system, tree, events):
    made = tree(worker(events, "a", Stubborn, shutdown=2.5))
    child = refs(made)["a"]
    answer = made.ask(Call("terminate_child", "a"), block=False)
    system.advance(2.4)
    assert child.is_alive()
    system.advance(0.1)
    assert child.exit_reason == KILLED
    assert answer.get() is None
    assert system.statistics()["timers"] == 0


def test_sup_40_no_timer_is_left_of_a_child_that_ends_in_time(system, tree):
    made = tree("a")
    terminate_child(made, "a")
    assert system.statistics()["timers"] == 0


def test_sup_42_requests_wait_while_a_child_is_ended_and_no_thread_does(system, tree, events):
    made = tree(worker(events, "a", Stubborn, shutdown=2.5))
    first = made.ask(Call("terminate_child", "a"), block=False)
    second = made.ask(Call("count_children"), block=False)
    system.settle()
    assert not first.is_done()
    assert not second.is_done()
    system.advance(2.5)
    assert second.get().active == 0


def test_sup_48_a_supervisor_ends_with_its_parents_reason_after_its_children(system, tree, events):
    made = tree("a", "b")
    made.exit("bye")
    assert made.exit_reason == "bye"
    assert events == ["-b", "-a"]


def test_sup_49_a_killed_supervisor_does_nothing_and_its_children_hear_of_it(system, tree, events):
    seen = []

    class Hears(Worker):
        def told(self, reason):
            seen.append(reason)
            raise Exit(reason)

    made = tree(worker(events, "a", Hears), ChildSpec("b", Supervisor, ([worker(events, "c")],), type="supervisor"))
    made.kill()
    assert made.exit_reason == KILLED
    assert seen == [KILLED]
    assert system.statistics()["actors"] == 0


def test_sup_51_an_unknown_message_is_logged_and_dropped(tree, caplog):
    made = tree("a")
    made.tell("dance")
    assert "drops a message that it does not know: a str" in caplog.text
    assert made.is_alive()


def test_sup_51_an_unknown_call_crashes_the_supervisor_after_its_children(tree, events):
    made = tree("a", "b")
    with pytest.raises(ActorDeadError) as caught:
        made.ask("dance")
    assert isinstance(caught.value.reason, Crashed)
    assert isinstance(made.exit_reason.error, UsageError)
    assert events == ["-b", "-a"]


def test_sup_70_requests_that_were_held_back_fail_with_the_exit_reason(system, tree, events):
    made = tree(worker(events, "a", Stubborn, shutdown=2.5))
    made.exit("bye")
    asked = made.ask(Call("count_children"), block=False)
    system.advance(2.5)
    with pytest.raises(ActorDeadError) as caught:
        asked.get()
    assert caught.value.reason == "bye"


def test_a_stop_message_ends_the_children_first_and_is_answered_when_all_is_over(system, tree, events):
    made = tree(worker(events, "a", Stubborn, shutdown=2.5), "b")
    assert made.stop() is True
    assert made.exit_reason == NORMAL
    assert events == ["-b"]
    assert system.statistics()["actors"] == 0
    assert made.stop() is False


def test_a_stop_message_of_somebody_who_does_not_wait_works_as_well(tree, events):
    made = tree("a")
    answer = made.stop(block=False)
    assert answer.get() is True
    assert events == ["-a"]


def test_a_stop_message_without_an_answer_ends_it_too(tree, events):
    made = tree("a")
    made.send(StopMessage())
    assert made.exit_reason == NORMAL
    assert events == ["-a"]


def test_proxies_of_pykka_work_on_supervisors(tree):
    made = tree("a")
    assert made.proxy().dispatch.get() == "inline"
    assert made.is_alive()


# -- requests --------------------------------------------------------------


def test_requests_do_what_they_say(tree, events):
    made = tree("a")
    started = start_child(made, worker(events, "b"))
    assert refs(made)["b"] is started.ref
    assert count_children(made).active == 2
    assert get_childspec(made, "b").id == "b"
    with pytest.raises(ChildRunning):
        delete_child(made, "b")
    terminate_child(made, "b")
    assert refs(made)["b"] == "stopped"
    delete_child(made, "b")
    with pytest.raises(ChildNotFound):
        terminate_child(made, "b")
    assert made.is_alive()


def test_a_child_may_ask_its_supervisor(tree):
    made = tree("a")
    child = refs(made)["a"]
    assert child.ask(lambda self: [record.id for record in which_children(self.actor_ref.parent)]) == ["a"]


def test_simple_one_for_one_starts_children_with_their_own_arguments(system, events):
    made = system.start(Supervisor, [ChildSpec("any", Worker, (events,))], strategy="simple_one_for_one")
    child = start_child(made, ("x",)).ref
    crash(child)
    assert events == ["+x", "-x", "+x"]
    with pytest.raises(NotForDynamicChildren):
        restart_child(made, "any")
    assert made.stop()
    assert events[-1] == "-x"


def test_a_tree_can_be_drawn(system, tree, events):
    inner = ChildSpec("services", Supervisor, ([worker(events, "limiter")],), type="supervisor")
    made = tree("store", inner, worker(events, "gone", restart="transient"))
    terminate_child(made, "gone")
    assert render_tree(supervision_tree(made)).splitlines() == [
        "Supervisor",
        "├── store (Worker)",
        "├── services (Supervisor)",
        "│   └── limiter (Worker)",
        "└── gone (stopped)",
    ]


# -- reports ---------------------------------------------------------------


def test_rep_1_reports_go_through_logging_under_the_supervisors_name(system, events, caplog):
    caplog.set_level(logging.INFO, "supervisors.reports")
    made = system.start(Supervisor, [worker(events, "a")], name="root")
    crash(refs(made)["a"])
    records = [record for record in caplog.records if record.name == "supervisors.reports"]
    assert [record.levelname for record in records] == ["INFO", "ERROR", "INFO"]
    assert {record.supervisor for record in records} == {"root"}
    assert (records[1].error_context, records[1].reason, records[1].offender["id"]) == ("child_terminated", "boom", "a")


def test_reports_can_be_taken_elsewhere(system, events):
    taken = []

    class Taking(Supervisor):
        def on_report(self, report):
            taken.append(report)

    made = system.start(Taking, [worker(events, "a")])
    crash(refs(made)["a"])
    assert [isinstance(report, ErrorReport) for report in taken] == [False, True, False]
    assert taken[1].supervisor is made


# -- with threads ----------------------------------------------------------


def test_children_on_the_worker_pool_are_restarted_in_real_time(real):
    events, again = [], threading.Event()

    class Announces(SharedWorker):
        def on_start(self):
            super().on_start()
            if events.count("+a") == 2:
                again.set()

    made = real.start(Supervisor, [worker(events, "a", Announces), worker(events, "b", SharedWorker)])
    before = refs(made)["a"]
    crash(before)
    assert again.wait(5)
    assert refs(made)["a"] is not before
    assert events == ["+a", "+b", "-a", "+a"]
    made.stop()
    assert events[-2:] == ["-b", "-a"]


def test_leaving_the_system_ends_trees_in_order_and_restarts_nothing(events):
    with ActorSystem(workers=2) as real:
        real.start(Supervisor, [worker(events, "a"), worker(events, "b", SharedWorker), worker(events, "c")])
    assert events == ["+a", "+b", "+c", "-c", "-b", "-a"]


def test_rep_1_nothing_is_reported_when_a_system_is_left(events, caplog):
    with ActorSystem(clock=VirtualClock()) as system:
        system.start(Supervisor, [worker(events, "a")])
        assert system.actors()
    assert caplog.records == []


def cleaning(events):
    class Cleaning(Supervisor):
        def on_stop(self):
            events.append("cleaned up")

    return Cleaning


def test_proc_4_a_supervisor_that_did_not_come_up_cleans_nothing_up(system, events):
    with pytest.raises(StartError):
        system.start(cleaning(events), [ChildSpec("a", lambda: "no")])
    assert events == []


def test_a_supervisor_that_did_come_up_cleans_up_after_its_children(system, events):
    system.start(cleaning(events), [worker(events, "a")]).stop()
    assert events == ["+a", "-a", "cleaned up"]


@pytest.mark.parametrize("shutdown", [0.02, 0, "brutal_kill"])
def test_sup_40_a_child_in_a_turn_that_does_not_return_is_ended_too(real, shutdown):
    entered, leave = threading.Event(), threading.Event()

    def hang(_self):
        entered.set()
        leave.wait()

    made = real.start(Supervisor, [worker([], "a", SharedWorker, shutdown=shutdown)])
    child = refs(made)["a"]
    child.tell(hang)
    assert entered.wait(10)
    terminate_child(made, "a", timeout=10)
    assert child.exit_reason == "killed"
    leave.set()
