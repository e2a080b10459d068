from __future__ import annotations

import pytest

from supervisors import KILL, KILLED, NORMAL, SHUTDOWN, Shutdown
from supervisors.supervision.child_spec import InvalidChildSpec
from supervisors.supervision.effects import ExitSelf, Ready, SendExit
from supervisors.supervision.flags import SupervisorFlags
from supervisors.supervision.inputs import ChildExited, ParentExited, RetryRestart, ShutdownTimeout
from supervisors.supervision.inspection import ChildCounts, ChildRecord
from supervisors.supervision.outcomes import FailedToStartChild, Started, StartFailed, StartIgnored
from supervisors.supervision.requests import (
    ChildAlreadyPresent,
    ChildAlreadyStarted,
    ChildIsRestarting,
    ChildNotFound,
    ChildRunning,
    ChildStartFailed,
    Request,
)
from supervisors.supervision.static_core import StaticCore
from tests.supervisors.supervision.driver import (
    FAIL,
    IGNORED,
    OK,
    Driver,
    exits,
    reports,
    signals,
    spec,
    started,
    static,
    to_self,
)

# -- start -----------------------------------------------------------------


def unstarted(*specs, **flags):
    return Driver(lambda **given: StaticCore(SupervisorFlags(**flags), specs, **given))


def test_sup_3_children_are_started_one_after_the_other_and_then_it_is_ready():
    driver = unstarted(spec("a"), spec("b"))
    [first] = driver.core.start(0.0)
    assert first.spec.id == "a"
    [progress, second] = driver.core.handle(Started("a1"), 0.0)
    assert (progress.started.spec.id, second.spec.id) == ("a", "b")
    assert driver.core.handle(Started("b1"), 0.0)[-1] == Ready()


def test_sup_5_a_child_that_ignores_its_start_stays_without_a_process():
    driver = unstarted(spec("a"), spec("b", restart="temporary"))
    driver.plan["a"].append(IGNORED)
    driver.plan["b"].append(IGNORED)
    assert driver.start()[-1] == Ready()
    assert driver.states() == {"a": "stopped"}


def test_sup_6_a_failing_child_ends_those_before_it_in_reverse_and_the_supervisor():
    driver = unstarted(spec("a"), spec("b"), spec("c"), spec("d"))
    driver.plan["c"].append(FAIL)
    effects = driver.start()
    assert started(effects) == ["a", "b", "c"]
    assert reports(effects)[-1] == ("start_error", "why", "c", None)
    assert signals(effects) == [("b1", SHUTDOWN)]
    assert signals(driver.down("b1")) == [("a1", SHUTDOWN)]
    effects = driver.down("a1")
    assert effects[-1] == ExitSelf(Shutdown(FailedToStartChild("c", "why")))
    assert Ready() not in driver.effects


def test_sup_6_there_is_no_retry_and_nothing_more_is_done():
    driver = unstarted(spec("a"))
    driver.plan["a"].append(FAIL)
    effects = driver.start()
    assert to_self(effects) == []
    assert driver.core.ended
    assert driver.exited("a1") == []


# -- ends ------------------------------------------------------------------


def test_sup_8_exits_of_strangers_are_ignored():
    driver = static("a")
    assert driver.exited("stranger") == []
    assert driver.exited("stranger", KILLED) == []


def test_sup_9_a_transient_child_that_ends_orderly_stays_without_a_process():
    driver = static(spec("a", restart="transient"))
    assert driver.exited("a1", Shutdown("done")) == []
    assert driver.states() == {"a": "stopped"}


def test_sup_9_and_sup_69_a_temporary_child_is_forgotten_with_its_end():
    driver = static(spec("a", restart="temporary"))
    assert reports(driver.exited("a1")) == [("child_terminated", "boom", "a", "a1")]
    assert driver.states() == {}
    assert driver.ask("count_children") == ChildCounts(0, 0, 0, 0)


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
def test_sup_10_a_child_that_is_not_restarted_affects_no_sibling(strategy):
    driver = static("a", spec("b", restart="transient"), spec("c", restart="temporary"), "d", strategy=strategy)
    driver.exited("b1", NORMAL)
    driver.exited("c1")
    assert signals(driver.effects) == []
    assert driver.states() == {"a": "a1", "b": "stopped", "d": "d1"}


# -- strategies ------------------------------------------------------------


def test_sup_12_one_for_one_restarts_the_child_alone():
    driver = static("a", "b")
    effects = driver.exited("a1")
    assert (started(effects), signals(effects)) == (["a"], [])
    assert driver.states() == {"a": "a2", "b": "b1"}


def test_sup_13_one_for_all_waits_for_each_end_before_it_goes_on():
    driver = static("a", "b", "c", strategy="one_for_all")
    effects = driver.exited("b1")
    assert (signals(effects), started(effects)) == ([("c1", SHUTDOWN)], [])
    effects = driver.down("c1")
    assert (signals(effects), started(effects)) == ([("a1", SHUTDOWN)], [])
    assert started(driver.down("a1")) == ["a", "b", "c"]
    assert driver.states() == {"a": "a2", "b": "b2", "c": "c2"}


def test_sup_14_rest_for_one_restarts_the_child_and_those_after_it():
    driver = static("a", "b", "c", strategy="rest_for_one")
    assert signals(driver.exited("b1")) == [("c1", SHUTDOWN)]
    assert started(driver.down("c1")) == ["b", "c"]
    assert driver.states() == {"a": "a1", "b": "b2", "c": "c2"}


def test_sup_15_a_group_restart_starts_also_those_that_were_not_running():
    driver = static(spec("a", restart="transient"), "b", "c", strategy="one_for_all")
    driver.exited("a1", NORMAL)
    driver.tell(Request("terminate_child", "c", "asker"))
    driver.down("c1")
    effects = driver.exited("b1")
    assert (signals(effects), started(effects)) == ([], ["a", "b", "c"])


def test_sup_16_temporary_children_of_the_group_are_ended_and_forgotten():
    driver = static("a", spec("b", restart="temporary"), strategy="one_for_all")
    assert signals(driver.exited("a1")) == [("b1", SHUTDOWN)]
    assert started(driver.down("b1")) == ["a"]
    assert driver.states() == {"a": "a2"}


def test_sup_17_a_restarted_child_keeps_its_place_and_a_new_one_is_last():
    driver = static("a", "b")
    driver.exited("a1")
    driver.ask("start_child", spec("c"))
    assert list(driver.states()) == ["a", "b", "c"]


def test_sup_18_a_restart_uses_the_same_arguments():
    driver = static(spec("a", 1, 2))
    [effect] = [one for one in driver.exited("a1") if hasattr(one, "spec")]
    assert effect.spec.args == (1, 2)


# -- intensity -------------------------------------------------------------


def test_sup_21_and_sup_24_one_restart_too_many_ends_everybody():
    driver = static("a", "b", "c", max_restarts=1)
    driver.exited("b1")
    effects = driver.exited("b2")
    assert reports(effects) == [
        ("child_terminated", "boom", "b", "b2"),
        ("shutdown", "reached_max_restart_intensity", "b", "b2"),
    ]
    assert (started(effects), signals(effects)) == ([], [("c1", SHUTDOWN)])
    assert signals(driver.down("c1")) == [("a1", SHUTDOWN)]
    assert driver.down("a1")[-1] == ExitSelf(SHUTDOWN)


def test_sup_21_restarts_that_are_far_apart_are_fine():
    driver = static("a", max_restarts=1, max_seconds=5.0)
    for number in range(1, 10):
        driver.now += 6.0
        assert started(driver.exited(f"a{number}")) == ["a"]


def test_sup_23_one_history_for_all_children_and_one_entry_for_a_group():
    driver = static("a", "b", "c", strategy="rest_for_one", max_restarts=1)
    driver.exited("a1")
    driver.down("c1")
    assert started(driver.down("b1")) == ["a", "b", "c"]
    assert reports(driver.exited("c2"))[-1][0] == "shutdown"


def test_sup_23_requested_starts_are_no_restarts():
    driver = static(spec("a", restart="transient"), max_restarts=0)
    for number in range(1, 5):
        driver.exited(f"a{number}", NORMAL)
        assert driver.ask("restart_child", "a") == Started(f"a{number + 1}")
    driver.ask("start_child", spec("b"))
    assert not driver.core.ended


# -- failing restarts ------------------------------------------------------


def restarting(*others, **flags):
    """Return a supervisor whose child `a` has failed to restart once."""
    driver = static("a", *others, **{"max_restarts": 10, **flags})
    driver.plan["a"].append(FAIL)
    driver.exited("a1")
    return driver


def test_sup_26_a_failing_restart_is_reported_and_queued_again():
    driver = restarting()
    assert reports(driver.effects) == [("child_terminated", "boom", "a", "a1"), ("start_error", "why", "a", None)]
    assert to_self(driver.effects) == [RetryRestart("a")]
    assert not driver.core.busy
    assert started(driver.tell(RetryRestart("a"))) == ["a"]
    assert driver.states() == {"a": "a2"}


def test_sup_26_each_attempt_counts():
    driver = restarting(max_restarts=3)
    driver.plan["a"].extend([FAIL, FAIL])
    driver.tell(RetryRestart("a"))
    driver.tell(RetryRestart("a"))
    assert driver.tell(RetryRestart("a"))[-1] == ExitSelf(SHUTDOWN)


def test_sup_26_a_retry_that_is_not_wanted_any_more_does_nothing():
    driver = restarting()
    driver.tell(RetryRestart("a"))
    assert driver.tell(RetryRestart("a")) == []
    assert driver.tell(RetryRestart("unknown")) == []


def test_sup_27_ignoring_a_restart_is_a_success_without_a_process():
    driver = static("a")
    driver.plan["a"].append(IGNORED)
    assert to_self(driver.exited("a1")) == []
    assert driver.states() == {"a": "stopped"}


def test_sup_28_one_for_all_ends_those_that_came_up_and_starts_all():
    driver = static("a", "b", "c", strategy="one_for_all", max_restarts=10)
    driver.plan["b"].append(FAIL)
    driver.exited("c1")
    driver.down("b1")
    effects = driver.down("a1")
    assert started(effects) == ["a", "b"]
    assert to_self(effects) == [RetryRestart("b")]
    assert driver.states() == {"a": "a2", "b": "restarting", "c": "stopped"}
    assert signals(driver.tell(RetryRestart("b"))) == [("a2", SHUTDOWN)]
    assert started(driver.down("a2")) == ["a", "b", "c"]


def test_sup_28_rest_for_one_leaves_those_before_the_failing_one():
    driver = static("a", "b", "c", strategy="rest_for_one", max_restarts=10)
    driver.plan["b"].append(FAIL)
    driver.exited("a1")
    driver.down("c1")
    driver.down("b1")
    assert driver.states() == {"a": "a2", "b": "restarting", "c": "stopped"}
    effects = driver.tell(RetryRestart("b"))
    assert (signals(effects), started(effects)) == ([], ["b", "c"])


def test_sup_29_requests_are_served_while_a_child_is_restarting():
    driver = restarting("b")
    assert driver.states() == {"a": "restarting", "b": "b1"}
    assert driver.ask("count_children") == ChildCounts(2, 1, 0, 2)
    assert isinstance(driver.ask("restart_child", "a"), ChildIsRestarting)
    assert isinstance(driver.ask("delete_child", "a"), ChildIsRestarting)
    assert isinstance(driver.ask("start_child", spec("a")), ChildAlreadyPresent)


def test_sup_29_terminating_a_restarting_child_calls_the_retry_off():
    driver = restarting()
    assert driver.ask("terminate_child", "a") is None
    assert driver.states() == {"a": "stopped"}
    assert driver.tell(RetryRestart("a")) == []


def test_sup_30_the_exit_of_another_child_goes_before_the_retry():
    driver = static("a", "b", max_restarts=10)
    driver.core.handle(ChildExited("a1", "boom"), 0.0)
    driver.core.handle(ChildExited("b1", "boom"), 0.0)
    effects = driver.core.handle(FAIL, 0.0)
    assert to_self(effects) == [RetryRestart("a")]
    assert started(effects) == ["b"]


# -- auto-shutdown ---------------------------------------------------------


def significant(child_id, restart="transient"):
    return spec(child_id, restart=restart, significant=True)


def test_sup_31_any_significant_child_that_ends_for_good_ends_the_supervisor():
    driver = static(significant("a"), significant("b"), auto_shutdown="any_significant")
    effects = driver.exited("a1", NORMAL)
    assert signals(effects) == [("b1", SHUTDOWN)]
    assert driver.down("b1")[-1] == ExitSelf(SHUTDOWN)


def test_sup_31_a_temporary_one_does_so_with_any_exit():
    driver = static(significant("a", "temporary"), auto_shutdown="any_significant")
    assert driver.exited("a1", "boom")[-1] == ExitSelf(SHUTDOWN)


def test_sup_31_all_significant_waits_for_the_last_one():
    driver = static(significant("a"), significant("b"), "c", auto_shutdown="all_significant")
    assert driver.exited("a1", NORMAL) == []
    assert signals(driver.exited("b1", NORMAL)) == [("c1", SHUTDOWN)]


def test_sup_31_a_restarting_significant_child_is_still_there():
    driver = static(significant("a"), significant("b"), auto_shutdown="all_significant", max_restarts=10)
    driver.plan["a"].append(FAIL)
    driver.exited("a1", "boom")
    assert exits(driver.exited("b1", NORMAL)) == []


def test_sup_32_an_end_that_the_supervisor_caused_never_counts():
    driver = static(significant("a"), "b", auto_shutdown="any_significant", strategy="one_for_all")
    driver.tell(Request("terminate_child", "a", "asker"))
    driver.down("a1")
    driver.exited("b1")
    assert exits(driver.effects) == []


def test_sup_33_a_significant_child_that_crashes_is_restarted():
    driver = static(significant("a"), auto_shutdown="any_significant")
    assert started(driver.exited("a1", "boom")) == ["a"]


def test_sup_34_auto_shutdown_gives_no_report():
    driver = static(significant("a"), auto_shutdown="any_significant")
    assert reports(driver.exited("a1", NORMAL)) == []


def test_sup_36_children_that_are_not_significant_never_count():
    driver = static(significant("a"), spec("b", restart="temporary"), auto_shutdown="all_significant")
    driver.tell(Request("terminate_child", "a", "asker"))
    driver.down("a1")
    assert exits(driver.exited("b1")) == []


# -- termination -----------------------------------------------------------


def test_sup_40_a_child_that_takes_too_long_is_killed():
    driver = static(spec("a", shutdown=0.5))
    driver.tell(ParentExited(SHUTDOWN))
    assert driver.tell(ShutdownTimeout(1)) == [SendExit("a1", KILL)]
    assert driver.down("a1", KILLED)[-1] == ExitSelf(SHUTDOWN)


def test_sup_43_children_are_ended_one_at_a_time_in_reverse_start_order():
    driver = static("a", "b", "c")
    assert signals(driver.tell(ParentExited("bye"))) == [("c1", SHUTDOWN)]
    assert signals(driver.down("c1")) == [("b1", SHUTDOWN)]
    assert signals(driver.down("b1")) == [("a1", SHUTDOWN)]


def test_sup_44_an_unexpected_end_is_reported():
    driver = static("a", spec("b", restart="transient"))
    driver.tell(ParentExited(SHUTDOWN))
    assert reports(driver.down("b1", NORMAL)) == []
    assert reports(driver.down("a1", NORMAL)) == [("shutdown_error", NORMAL, "a", "a1")]


def test_sup_45_a_child_that_is_found_dead_counts_as_ended_with_its_reason():
    driver = static("a", "b")
    driver.tell(ParentExited(SHUTDOWN))
    assert driver.exited("a1", "boom") == []
    effects = driver.down("b1")
    assert signals(effects) == []
    assert reports(effects) == [("shutdown_error", "boom", "a", "a1")]
    assert effects[-1] == ExitSelf(SHUTDOWN)


def test_sup_47_and_sup_48_the_parents_reason_is_the_supervisors():
    for reason in ("boom", NORMAL, SHUTDOWN):
        driver = static("a")
        driver.tell(ParentExited(reason))
        assert driver.down("a1")[-1] == ExitSelf(reason)


def test_sup_50_a_supervisor_that_is_ending_finishes_with_the_reason_it_began_with():
    driver = static("a")
    driver.tell(ParentExited(SHUTDOWN))
    assert driver.tell(ParentExited(KILLED)) == []
    assert driver.down("a1")[-1] == ExitSelf(SHUTDOWN)


# -- requests --------------------------------------------------------------


def test_sup_60_start_child_adds_at_the_end():
    driver = static("a")
    assert driver.ask("start_child", {"id": "b", "start": print}) == Started("b1")
    assert driver.states() == {"a": "a1", "b": "b1"}


def test_sup_60_what_the_start_function_adds_is_handed_on():
    driver = static()
    driver.core.handle(Request("start_child", spec("a"), "asker"), 0.0)
    assert driver.core.handle(Started("a1", "info"), 0.0)[-1].value == Started("a1", "info")


def test_sup_60_an_ignoring_child_is_kept_unless_temporary():
    driver = static()
    driver.plan["a"].append(IGNORED)
    driver.plan["b"].append(IGNORED)
    assert driver.ask("start_child", spec("a")) == StartIgnored()
    assert driver.ask("start_child", spec("b", restart="temporary")) == StartIgnored()
    assert driver.states() == {"a": "stopped"}


def test_sup_60_a_failing_child_is_not_kept_and_not_reported():
    driver = static()
    driver.plan["a"].append(StartFailed("why"))
    child = spec("a")
    refusal = driver.ask("start_child", child)
    assert isinstance(refusal, ChildStartFailed)
    assert (refusal.reason, refusal.child, refusal.why) == ("why", child, ("why", "a"))
    assert driver.states() == {}
    assert reports(driver.effects) == []


def test_spec_11_start_child_with_a_bad_specification_changes_nothing():
    driver = static()
    assert isinstance(driver.ask("start_child", {"id": "a"}), InvalidChildSpec)
    assert isinstance(driver.ask("start_child", significant("a")), InvalidChildSpec)
    assert driver.states() == {}


def test_sup_61_a_known_id_is_refused_and_nothing_is_started():
    driver = static("a", spec("b", restart="transient"))
    driver.exited("b1", NORMAL)
    refusal = driver.ask("start_child", spec("a"))
    assert isinstance(refusal, ChildAlreadyStarted)
    assert refusal.why == ("already_started", "a1")
    assert isinstance(driver.ask("start_child", spec("b")), ChildAlreadyPresent)
    assert started(driver.effects) == []


def test_sup_63_terminate_child_answers_when_the_child_is_gone():
    driver = static("a", "b", strategy="one_for_all")
    assert signals(driver.tell(Request("terminate_child", "a", "asker"))) == [("a1", SHUTDOWN)]
    [*_, answer] = driver.down("a1")
    assert (answer.to, answer.value) == ("asker", None)
    assert driver.states() == {"a": "stopped", "b": "b1"}
    assert driver.exited("a1", SHUTDOWN) == []


def test_sup_63_terminating_what_is_not_running_is_fine_and_what_is_unknown_is_not():
    driver = static(spec("a", restart="transient"))
    driver.exited("a1", NORMAL)
    assert driver.ask("terminate_child", "a") is None
    assert driver.ask("terminate_child", "x").why == "not_found"


def test_sup_63_a_temporary_child_is_forgotten_when_terminated():
    driver = static(spec("a", restart="temporary"))
    driver.tell(Request("terminate_child", "a", "asker"))
    driver.down("a1")
    assert driver.states() == {}


@pytest.mark.parametrize("operation", ["terminate_child", "restart_child", "delete_child", "get_childspec"])
@pytest.mark.parametrize("argument", ["a1", [], None])
def test_sup_64_a_process_is_not_an_id(operation, argument):
    assert isinstance(static("a").ask(operation, argument), ChildNotFound)


def test_sup_65_restart_child_starts_what_has_no_process():
    driver = static(spec("a", restart="transient"))
    assert isinstance(driver.ask("restart_child", "a"), ChildRunning)
    driver.exited("a1", NORMAL)
    driver.plan["a"].extend([IGNORED, FAIL, OK])
    assert driver.ask("restart_child", "a") == StartIgnored()
    refusal = driver.ask("restart_child", "a")
    assert (refusal.why, refusal.child) == ("why", None)
    assert driver.states() == {"a": "stopped"}
    assert driver.ask("restart_child", "a") == Started("a2")
    assert [one for one in reports(driver.effects) if one[0] != "progress"] == []


def test_sup_66_delete_child_removes_what_has_no_process():
    driver = static(spec("a", restart="transient"))
    assert isinstance(driver.ask("delete_child", "a"), ChildRunning)
    driver.exited("a1", NORMAL)
    assert driver.ask("delete_child", "a") is None
    assert driver.states() == {}


def test_sup_67_which_children_shows_the_last_started_first():
    driver = static("a", spec("b", type="supervisor", modules=["m"]))
    assert driver.ask("which_children") == (
        ChildRecord("b", "b1", "running", "supervisor", ("m",)),
        ChildRecord("a", "a1", "running", "worker", ("tests.supervisors.supervision.driver",)),
    )


def test_sup_68_count_children_counts_the_living_and_all_types():
    driver = static("a", "b", spec("c", type="supervisor"), spec("d", restart="transient"))
    driver.exited("d1", NORMAL)
    driver.dead.add("b1")
    assert driver.ask("count_children") == ChildCounts(specs=4, active=2, supervisors=1, workers=3)


def test_spec_12_get_childspec_gives_the_full_specification():
    child = spec("a", shutdown=2)
    assert static(child).ask("get_childspec", "a") == child


# -- reports ---------------------------------------------------------------


def test_rep_7_progress_is_reported_for_every_start_with_a_process():
    driver = static("a")
    driver.plan["b"].append(IGNORED)
    driver.ask("start_child", spec("b"))
    driver.ask("start_child", spec("c"))
    driver.exited("a1")
    assert [one[2:] for one in reports(driver.effects) if one[0] == "progress"] == [("c", "c1"), ("a", "a2")]


def test_rep_8_the_crash_is_reported_first_then_the_siblings_then_the_starts():
    driver = static("a", "b", strategy="one_for_all")
    driver.exited("a1")
    driver.down("b1", "odd")
    assert [one[0] for one in reports(driver.effects)] == [
        "child_terminated",
        "shutdown_error",
        "progress",
        "progress",
    ]


def test_a_core_says_how_many_children_run():
    driver = static("a", spec("b", restart="transient"))
    driver.exited("b1", NORMAL)
    assert repr(driver.core) == "<StaticCore of sup: 1 of 2 children running>"
