from __future__ import annotations

import pytest

from supervisors import KILL, KILLED, NORMAL, SHUTDOWN, Crashed
from supervisors.errors import InternalError
from supervisors.supervision.child_spec import InvalidChildSpec
from supervisors.supervision.effects import ArmShutdownTimer, ExitSelf, Ready, StartChild
from supervisors.supervision.inputs import ParentExited, RetryRestart, ShutdownTimeout
from supervisors.supervision.inspection import ChildCounts
from supervisors.supervision.outcomes import Started, StartIgnored
from supervisors.supervision.requests import (
    ChildNotFound,
    ChildStartFailed,
    NotForDynamicChildren,
    Request,
    TooManyChildren,
)
from tests.supervisors.supervision.driver import (
    FAIL,
    IGNORED,
    brief_dynamic,
    brief_simple,
    dynamic,
    exits,
    monitored,
    reports,
    signals,
    simple,
    spec,
    started,
    static,
    to_self,
)


def filled(driver, number=3):
    """Start so many children: a1, a2, ..."""
    is_simple = type(driver.core).__name__ == "SimpleCore"
    for each in range(number):
        driver.ask("start_child", (each,) if is_simple else spec("a"))
    driver.effects.clear()
    return driver


def refs(driver):
    return sorted(record.ref for record in driver.ask("which_children") if record.ref)


BOTH = pytest.mark.parametrize("make", [simple, dynamic, brief_simple, brief_dynamic])


DYNAMIC = pytest.mark.parametrize("make", [dynamic, brief_dynamic])


# -- what both kinds have in common ----------------------------------------


@BOTH
def test_it_starts_without_children(make):
    driver = make()
    assert driver.core.start(0.0) == [Ready()]
    assert len(driver.core) == 0


@BOTH
def test_sup_19_a_crashed_child_is_restarted_alone(make):
    driver = filled(make())
    effects = driver.exited("a2")
    assert (started(effects), signals(effects)) == (["a"], [])
    assert refs(driver) == ["a1", "a3", "a4"]


@BOTH
def test_sup_24_one_restart_too_many_ends_all_at_once(make):
    driver = filled(make(max_restarts=0))
    effects = driver.exited("a2")
    assert signals(effects) == [("a1", SHUTDOWN), ("a3", SHUTDOWN)]
    assert reports(effects)[-1][:2] == ("shutdown", "reached_max_restart_intensity")
    driver.down("a3")
    assert driver.down("a1")[-1] == ExitSelf(SHUTDOWN)


@BOTH
def test_sup_26_a_failing_restart_is_tried_again(make):
    driver = filled(make(max_restarts=9))
    driver.plan["a"].append(FAIL)
    effects = driver.exited("a2")
    assert to_self(effects) == [RetryRestart("a2")]
    assert [record.state for record in driver.ask("which_children")] == ["running", "running", "restarting"]
    driver.tell(RetryRestart("a2"))
    assert refs(driver) == ["a1", "a3", "a4"]


@BOTH
def test_sup_29_a_restarting_child_can_be_called_off(make):
    driver = filled(make(max_restarts=9))
    driver.plan["a"].append(FAIL)
    driver.exited("a2")
    assert driver.ask("count_children").active == 2
    assert driver.ask("terminate_child", "a2") is None
    assert driver.ask("count_children").workers == 2
    assert driver.tell(RetryRestart("a2")) == []


@BOTH
def test_quirk_1_and_dyn_6_a_child_that_ignores_its_restart_is_dropped(make):
    driver = filled(make())
    driver.plan["a"].append(IGNORED)
    assert to_self(driver.exited("a2")) == []
    assert len(driver.core) == 2
    driver.tell(ParentExited(SHUTDOWN))
    driver.down("a1")
    assert driver.down("a3")[-1] == ExitSelf(SHUTDOWN)


@BOTH
def test_quirk_2_calling_a_restart_off_leaves_the_count_of_active_children_right(make):
    driver = filled(make(max_restarts=9))
    driver.plan["a"].append(FAIL)
    driver.exited("a2")
    driver.ask("terminate_child", "a2")
    assert driver.ask("count_children").active == 2


@BOTH
def test_sup_63_terminate_child_answers_when_the_child_is_gone_for_good(make):
    driver = filled(make())
    assert signals(driver.tell(Request("terminate_child", "a2", "asker"))) == [("a2", SHUTDOWN)]
    assert driver.down("a2")[-1].to == "asker"
    assert refs(driver) == ["a1", "a3"]
    assert driver.exited("a2", SHUTDOWN) == []


@BOTH
def test_sup_65_there_is_nothing_to_restart_or_delete_by_id(make):
    driver = filled(make())
    for operation in ("restart_child", "delete_child"):
        refusal = driver.ask(operation, "a")
        assert isinstance(refusal, NotForDynamicChildren)
        assert refusal.why == "simple_one_for_one"


@BOTH
def test_sup_46_and_dyn_9_all_are_signalled_before_any_is_awaited(make):
    driver = filled(make())
    effects = driver.tell(ParentExited("bye"))
    assert monitored(effects) == ["a1", "a2", "a3"]
    assert effects[-1] == ArmShutdownTimer(5.0, 1)
    driver.down("a2")
    assert signals(driver.tell(ShutdownTimeout(1))) == [("a1", KILL), ("a3", KILL)]
    driver.down("a1", KILLED)
    assert driver.down("a3", KILLED)[-1] == ExitSelf("bye")


@BOTH
def test_rep_7_dynamic_children_give_no_progress_report(make):
    driver = filled(make())
    driver.exited("a1", "boom")
    driver.ask("start_child", ("x",) if make in (simple, brief_simple) else spec("a"))
    assert [one[0] for one in reports(driver.effects)] == ["child_terminated"]


@BOTH
def test_a_start_that_fails_or_ignores_keeps_nothing(make):
    driver = make()
    argument = ("x",) if make in (simple, brief_simple) else spec("a")
    driver.plan["a"].extend([FAIL, IGNORED])
    refusal = driver.ask("start_child", argument)
    assert isinstance(refusal, ChildStartFailed)
    assert (refusal.why, refusal.child) == ("why", None)
    assert driver.ask("start_child", argument) == StartIgnored()
    assert len(driver.core) == 0


@BOTH
def test_something_that_cannot_be_a_child_is_not_found(make):
    driver = filled(make())
    for operation in ("terminate_child", "get_childspec"):
        assert driver.ask(operation, []).why in ("not_found", "simple_one_for_one")


@BOTH
def test_arguments_of_temporary_children_are_not_kept(make):
    driver = make(spec("a", restart="temporary")) if make in (simple, brief_simple) else make()
    secret = object()
    driver.ask("start_child", (secret,) if make in (simple, brief_simple) else spec("a", secret, restart="temporary"))
    [kept] = driver.core._children.values()
    assert kept.args == ()


# -- simple_one_for_one ----------------------------------------------------


def test_sup_19_extra_arguments_are_appended_and_used_again():
    driver = simple(spec("a", 1))
    [first, *_] = driver.tell(Request("start_child", (2, 3), "asker"))
    assert isinstance(first, StartChild)
    assert first.spec.args == (1, 2, 3)
    again = [one for one in driver.exited("a1") if isinstance(one, StartChild)]
    assert again[0].spec.args == (1, 2, 3)


def test_sup_62_extra_arguments_must_be_a_list():
    assert isinstance(simple().ask("start_child", "text"), InvalidChildSpec)


def test_sup_31_any_significant_and_all_significant_without_order():
    template = spec("a", restart="transient", significant=True)
    driver = filled(simple(template, auto_shutdown="any_significant"))
    assert signals(driver.exited("a2", NORMAL)) == [("a1", SHUTDOWN), ("a3", SHUTDOWN)]
    driver = filled(simple(template, auto_shutdown="all_significant"), 2)
    assert driver.exited("a2", NORMAL) == []
    assert driver.exited("a1", NORMAL) == [ExitSelf(SHUTDOWN)]


def test_sup_33_a_significant_child_that_crashes_is_restarted():
    driver = filled(simple(spec("a", restart="transient", significant=True), auto_shutdown="any_significant"))
    assert exits(driver.exited("a2", "boom")) == []


def test_sup_64_terminate_child_takes_a_process():
    driver = filled(simple())
    driver.dead.add("x1")
    assert driver.ask("terminate_child", "a").why == "simple_one_for_one"
    assert driver.ask("terminate_child", "x1") is None
    assert isinstance(driver.ask("terminate_child", "x2"), ChildNotFound)


def test_sup_67_children_have_no_ids():
    assert {record.id for record in filled(simple()).ask("which_children")} == {None}


def test_sup_68_there_is_one_specification_however_many_children():
    assert filled(simple()).ask("count_children") == ChildCounts(1, 3, 0, 3)
    assert filled(simple(spec("a", type="supervisor"))).ask("count_children") == ChildCounts(1, 3, 3, 0)


def test_spec_12_get_childspec_is_the_template_by_id_and_by_process():
    template = spec("a")
    driver = filled(simple(template))
    driver.dead.add("x1")
    for wanted in ("a", "a2", "x1"):
        assert driver.ask("get_childspec", wanted) == template
    assert isinstance(driver.ask("get_childspec", "x2"), ChildNotFound)
    assert isinstance(driver.ask("get_childspec", "b"), ChildNotFound)


def test_sup_46_one_report_per_distinct_reason_with_the_number_of_children():
    driver = filled(simple(), 6)
    driver.tell(ParentExited(SHUTDOWN))
    driver.down("a1", "odd")
    driver.down("a2", KILLED)
    driver.down("a3", SHUTDOWN)
    driver.down("a4", "odd")
    driver.down("a5", ["not", "hashable"])
    effects = driver.down("a6", ["not", "hashable"])
    assert sorted(reports(effects), key=str) == [
        ("shutdown_error", "killed", "a", 1),
        ("shutdown_error", "odd", "a", 2),
        ("shutdown_error", ["not", "hashable"], "a", 2),
    ]


def test_sup_46_the_same_crash_of_many_children_is_one_reason():
    driver = filled(simple(), 2)
    driver.tell(ParentExited(SHUTDOWN))
    driver.down("a1", Crashed(ValueError("x")))
    assert [one[3] for one in reports(driver.down("a2", Crashed(ValueError("x"))))] == [2]


def test_rep_2_reports_show_the_template():
    driver = filled(simple(spec("a", 1)))
    [report] = reports(driver.exited("a2"))
    assert report == ("child_terminated", "boom", "a", "a2")
    [shown] = [one.offender.spec for one in driver.effects if hasattr(one, "offender")]
    assert shown.args == (1,)


# -- the short way ---------------------------------------------------------


def test_the_end_of_a_temporary_child_as_planned_leaves_nothing_to_do():
    driver = dynamic()
    driver.ask("start_child", spec("a", restart="temporary"))
    assert driver.core.lets_go("a1", NORMAL)
    assert len(driver.core) == 0


@pytest.mark.parametrize(("restart", "reason"), [("temporary", "boom"), ("transient", NORMAL), ("permanent", NORMAL)])
def test_an_end_that_is_reported_or_calls_for_a_restart_is_news(restart, reason):
    driver = dynamic()
    driver.ask("start_child", spec("a", restart=restart))
    assert not driver.core.lets_go("a1", reason)
    assert refs(driver) == ["a1"]


def test_a_significant_end_is_news():
    driver = simple(spec("a", restart="temporary", significant=True), auto_shutdown="any_significant")
    driver.ask("start_child", ())
    assert not driver.core.lets_go("a1", NORMAL)
    assert exits(driver.exited("a1", NORMAL)) == [ExitSelf(SHUTDOWN)]


def test_an_end_while_a_turn_waits_is_news():
    driver = dynamic()
    for _ in range(2):
        driver.ask("start_child", spec("a", restart="temporary"))
    driver.tell(Request("terminate_child", "a1", "asker"))
    assert not driver.core.lets_go("a2", NORMAL)
    assert driver.core.admit(spec("a")) is None


def test_a_core_that_has_ended_admits_nobody():
    driver = dynamic()
    driver.ask("start_child", spec("a", restart="temporary"))
    driver.tell(ParentExited(SHUTDOWN))
    driver.down("a1")
    assert driver.core.ended
    assert driver.core.admit(spec("a")) is None
    assert not driver.core.lets_go("a1", SHUTDOWN)


def test_a_core_with_an_order_goes_the_long_way():
    driver = static("a")
    assert driver.core.admit(spec("b")) is None
    assert not driver.core.lets_go("a1", NORMAL)
    with pytest.raises(InternalError):
        driver.core.took(spec("b"), (), Started("b1"))


# -- DynamicSupervisor -----------------------------------------------------


@DYNAMIC
def test_dyn_2_ids_may_repeat_and_each_child_keeps_its_specification(make):
    driver = make()
    first, second = spec("a", 1), spec("a", 2, restart="transient")
    driver.ask("start_child", first)
    driver.ask("start_child", second)
    assert driver.ask("get_childspec", "a1") == first
    assert driver.ask("get_childspec", "a2") == second
    driver.exited("a2", NORMAL)
    assert refs(driver) == ["a1"]


def test_dyn_2_extra_arguments_go_in_front_and_are_used_again():
    driver = dynamic(extra_arguments=(1, 2))
    [first, *_] = driver.tell(Request("start_child", spec("a", 3), "asker"))
    assert first.spec.args == (1, 2, 3)
    again = [one for one in driver.exited("a1") if isinstance(one, StartChild)]
    assert again[0].spec.args == (1, 2, 3)


@DYNAMIC
def test_dyn_3_a_bad_specification_is_refused(make):
    refusal = make().ask("start_child", {"id": "a", "start": print, "restart": "r"})
    assert refusal.why == ("invalid_restart_type", "r")


@DYNAMIC
def test_dyn_4_at_the_limit_nothing_is_started(make):
    driver = filled(make(max_children=2), 2)
    refusal = driver.ask("start_child", spec("a"))
    assert isinstance(refusal, TooManyChildren)
    assert refusal.why == "max_children"
    assert started(driver.effects) == []
    driver.tell(Request("terminate_child", "a1", "asker"))
    driver.down("a1")
    assert driver.ask("start_child", spec("a")) == Started("a3")


def test_dyn_4_restarting_children_count():
    driver = filled(dynamic(max_children=2, max_restarts=9), 2)
    driver.plan["a"].append(FAIL)
    driver.exited("a1")
    assert isinstance(driver.ask("start_child", spec("a")), TooManyChildren)


def test_dyn_7_a_dead_process_is_not_found():
    driver = filled(dynamic())
    driver.dead.add("x1")
    for stranger in ("x1", "x2", "a"):
        assert isinstance(driver.ask("terminate_child", stranger), ChildNotFound)


def test_dyn_8_counts_are_those_of_the_children_there_are():
    driver = filled(dynamic(max_restarts=9))
    driver.ask("start_child", spec("s", type="supervisor"))
    driver.plan["a"].append(FAIL)
    driver.exited("a1")
    assert driver.ask("count_children") == ChildCounts(specs=4, active=3, supervisors=1, workers=3)
    driver.tell(Request("terminate_child", "s1", "asker"))
    driver.down("s1")
    assert driver.ask("count_children") == ChildCounts(specs=3, active=2, supervisors=0, workers=3)


def test_dyn_8_each_child_is_shown_with_its_process_or_as_restarting_and_without_its_id():
    driver = dynamic(max_restarts=9)
    driver.ask("start_child", spec("s", type="supervisor"))
    driver.ask("start_child", spec("a", modules=("m",)))
    driver.plan["a"].append(FAIL)
    driver.exited("a1")
    shown = {(one.id, one.ref, one.state, one.type) for one in driver.ask("which_children")}
    assert shown == {(None, "s1", "running", "supervisor"), (None, None, "restarting", "worker")}
    assert [one.modules for one in driver.ask("which_children") if one.type == "worker"] == [("m",)]


def test_dyn_8_a_supervisor_that_ends_by_itself_is_not_counted_any_more():
    driver = dynamic()
    driver.ask("start_child", spec("s", type="supervisor", restart="transient"))
    driver.exited("s1", NORMAL)
    assert driver.ask("count_children") == ChildCounts(0, 0, 0, 0)


def test_dyn_9_each_child_has_its_own_shutdown():
    driver = dynamic()
    for shutdown in (1.0, 2.0, "brutal_kill", "infinity"):
        driver.ask("start_child", spec("a", shutdown=shutdown))
    effects = driver.tell(ParentExited(SHUTDOWN))
    assert signals(effects) == [("a1", SHUTDOWN), ("a2", SHUTDOWN), ("a3", KILL), ("a4", SHUTDOWN)]
    assert [one.seconds for one in effects if isinstance(one, ArmShutdownTimer)] == [1.0, 2.0]
    driver.down("a1", "odd")
    driver.down("a2", "odd")
    driver.down("a3", KILLED)
    assert [one[3] for one in reports(driver.down("a4"))] == ["a1", "a2"]


def test_dyn_10_significant_is_accepted_and_has_no_effect():
    driver = dynamic()
    driver.ask("start_child", {"id": "a", "start": print, "significant": True})
    driver.ask("start_child", spec("a", restart="transient", significant=True))
    assert exits(driver.exited("a2", NORMAL)) == []
    assert refs(driver) == ["a1"]


def test_a_core_says_how_many_children_it_has():
    driver = filled(dynamic(max_restarts=9))
    driver.plan["a"].append(FAIL)
    driver.exited("a1")
    assert repr(driver.core) == "<DynamicCore of sup: 2 children running, 1 restarting>"


def test_a_request_costs_the_same_with_many_children():
    driver = filled(dynamic(max_restarts=10**6), 2_000)
    for number in range(1, 1_001):
        driver.exited(f"a{number}")
    assert driver.ask("count_children") == ChildCounts(2_000, 2_000, 0, 2_000)
    assert len(driver.core._window) == 1_000
