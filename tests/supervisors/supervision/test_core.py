"""Turns, and what is held back meanwhile."""

from __future__ import annotations

import pytest

from supervisors import SHUTDOWN, InternalError, UsageError
from supervisors.supervision.effects import ExitSelf, Reply, SendExit, StartChild
from supervisors.supervision.inputs import ChildDown, ChildExited, ParentExited, RetryRestart, ShutdownTimeout
from supervisors.supervision.outcomes import Started
from supervisors.supervision.requests import Request
from tests.supervisors.supervision.driver import FAIL, exits, signals, spec, started, static, to_self


def answered(effects):
    return [one.to for one in effects if isinstance(one, Reply)]


def test_sup_42_requests_wait_while_a_child_is_being_ended():
    driver = static("a", "b")
    driver.tell(Request("terminate_child", "a", "first"))
    assert driver.core.busy
    assert driver.tell(Request("which_children", None, "second")) == []
    assert answered(driver.down("a1")) == ["first", "second"]
    assert not driver.core.busy


def test_sup_42_requests_wait_while_a_start_function_runs():
    driver = static()
    driver.core.handle(Request("start_child", spec("a"), "first"), 0.0)
    assert driver.core.handle(Request("count_children", None, "second"), 0.0) == []
    effects = driver.core.handle(Started("a1"), 0.0)
    assert answered(effects) == ["first", "second"]
    assert effects[-1].value.active == 1


def test_sup_71_what_was_held_back_is_handled_in_order():
    driver = static("a", "b", "c")
    driver.tell(Request("terminate_child", "a", "first"))
    driver.tell(Request("terminate_child", "b", "second"))
    driver.tell(Request("count_children", None, "third"))
    assert answered(driver.down("a1")) == ["first"]
    assert answered(driver.down("b1")) == ["second", "third"]


def test_sup_71_exits_take_their_turn_among_the_requests():
    driver = static("a", spec("b", restart="temporary"))
    driver.tell(Request("terminate_child", "a", "first"))
    driver.tell(Request("which_children", None, "before"))
    driver.exited("b1")
    driver.tell(Request("which_children", None, "after"))
    shown = {
        one.to: [record.id for record in one.value] for one in driver.down("a1") if one.__class__ is Reply and one.value
    }
    assert shown == {"before": ["b", "a"], "after": ["a"]}


def test_sup_26_a_retry_queues_behind_what_was_held_back():
    driver = static("a", "b", strategy="one_for_all", max_restarts=5)
    driver.exited("a1")
    driver.tell(Request("count_children", None, "asker"))
    driver.core.handle(ChildDown("b1", SHUTDOWN), 0.0)
    driver.core.handle(Started("a2"), 0.0)
    effects = driver.core.handle(FAIL, 0.0)
    assert to_self(effects) == [RetryRestart("b")]
    assert answered(effects) == ["asker"]


def test_sup_41_the_exit_message_of_a_child_that_was_ended_means_nothing_later():
    driver = static("a")
    driver.tell(Request("terminate_child", "a", "asker"))
    driver.exited("a1", SHUTDOWN)
    driver.down("a1")
    assert driver.exited("a1", SHUTDOWN) == []
    assert started(driver.effects) == []


def test_sup_45_an_exit_held_back_is_used_up_when_that_child_is_ended_too():
    driver = static("a", "b", "c", strategy="rest_for_one")
    driver.exited("a1")
    driver.exited("b1", "boom")
    effects = driver.down("c1")
    assert signals(effects) == []
    assert started(effects) == ["a", "b", "c"]
    assert driver.core._unread == {}


def test_exits_held_back_leave_nothing_behind_once_they_are_handled():
    driver = static("a", "b")
    driver.tell(Request("terminate_child", "a", "asker"))
    driver.exited("stranger")
    driver.exited("b1")
    driver.down("a1")
    assert driver.core._unread == {}
    assert driver.states() == {"a": "stopped", "b": "b2"}


def test_sup_70_requests_held_back_are_named_when_the_supervisor_ends():
    driver = static("a")
    driver.tell(ParentExited("bye"))
    driver.tell(Request("count_children", None, "first"))
    driver.exited("stranger")
    driver.tell(Request("count_children", None, "second"))
    assert exits(driver.down("a1")) == [ExitSelf("bye", ("first", "second"))]


def test_sup_51_an_unknown_operation_is_a_crash():
    with pytest.raises(UsageError, match="no operation 'dance'"):
        static().tell(Request("dance", None, "asker"))


def test_timers_and_monitors_that_nobody_waits_for_mean_nothing():
    driver = static("a", "b")
    assert driver.tell(ShutdownTimeout(1)) == []
    assert driver.down("a1") == []
    driver.tell(Request("terminate_child", "a", "asker"))
    assert driver.down("b1") == []
    assert driver.tell(ShutdownTimeout(99)) == []
    assert driver.core.busy


def test_a_late_timer_of_an_earlier_end_does_not_kill_the_next_child():
    driver = static("a", "b")
    driver.tell(ParentExited(SHUTDOWN))
    driver.down("b1")
    assert driver.tell(ShutdownTimeout(1)) == []
    assert driver.tell(ShutdownTimeout(2)) == [SendExit("a1", "kill")]


def test_an_outcome_without_a_start_is_a_bug_of_the_caller():
    with pytest.raises(InternalError):
        static().tell(Started("a1"))
    driver = static("a")
    driver.tell(ParentExited(SHUTDOWN))
    with pytest.raises(InternalError):
        driver.core.handle(Started("a2"), 0.0)


def test_a_start_is_the_last_effect_of_its_list():
    driver = static("a", "b", strategy="one_for_all")
    driver.core.handle(ChildExited("a1", "boom"), 0.0)
    effects = driver.core.handle(ChildDown("b1", SHUTDOWN), 0.0)
    assert [type(one) for one in effects].index(StartChild) == len(effects) - 1


def test_nothing_happens_after_the_end():
    driver = static()
    driver.tell(ParentExited("bye"))
    assert driver.core.ended
    assert driver.tell(Request("count_children", None, "asker")) == []
