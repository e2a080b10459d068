"""STM-39, STM-43 to STM-50: calls that fail, and how a machine ends."""

from __future__ import annotations

import logging

import pytest

from supervisors import (
    KILLED,
    ActorDeadError,
    ActorSystem,
    AskTimeoutError,
    Crashed,
    Down,
    Exit,
    Exited,
    Throw,
    VirtualClock,
)
from supervisors.statem.actions import (
    postpone,
    push_callback_module,
    refuse,
    reply,
    state_timeout,
)
from supervisors.statem.events import CALL, INFO
from supervisors.statem.machine import call, cast, stop
from supervisors.statem.results import keep_state, next_state, stop_and_reply
from supervisors.statem.results import stop as stop_result
from tests.supervisors.actors import Doer, Recorder
from tests.supervisors.statem.machines import (
    ENTER_KINDS,
    KINDS,
    Log,
    NotNow,
    raising,
)


@pytest.fixture
def log():
    return []


def test_stm_43_a_call_has_no_time_limit_by_default(system):
    answers = {("a", 1): keep_state(postpone()), ("b", 1): keep_state(reply("at last")), "go": next_state("b")}
    ref = system.start(Log, None, answers, state_timeout(60.0, "go"))
    assert call(ref, 1) == "at last"
    assert system.clock.monotonic() == 60.0


def test_stm_43_a_call_may_have_one(system):
    ref = system.start(Log)
    with pytest.raises(AskTimeoutError):
        call(ref, 1, timeout=1.0)


def test_stm_44_terminate_sees_reason_state_and_data(system, log):
    ref = system.start(Log, log, {1: next_state("b", data=5), 2: stop_result("done")})
    cast(ref, 1)
    cast(ref, 2)
    assert log[-1] == ("terminate", "done", "b", 5)
    assert ref.exit_reason == "done"


@pytest.mark.parametrize("kind", KINDS)
def test_stm_44_unanswered_callers_get_the_exit_reason(system, kind):
    ref = system.start(kind, None, {1: keep_state(postpone()), 2: keep_state(), 3: stop_result("done")})
    postponed, kept = ref.ask(1, block=False), ref.ask(2, block=False)
    cast(ref, 3)
    for future in (postponed, kept):
        with pytest.raises(ActorDeadError) as caught:
            future.get()
        assert caught.value.reason == "done"


@pytest.mark.parametrize("kind", KINDS)
def test_stm_45_the_caller_gets_the_reason_of_a_machine_that_stops(system, kind):
    ref = system.start(kind, None, {1: stop_result("done")})
    with pytest.raises(ActorDeadError) as caught:
        ref.ask(1)
    assert caught.value.reason == "done"


@pytest.mark.parametrize("kind", KINDS)
def test_stm_46_replies_go_out_before_terminate(system, log, kind):
    ref = system.start(kind, log, {1: stop_and_reply("done", reply("answer"))})
    assert ref.ask(1) == "answer"
    assert ref.join() == "done"
    assert log == [(CALL, 1, "a"), ("terminate", "done", "a", 0)]


@pytest.mark.parametrize("kind", KINDS)
def test_stm_46_a_refusal_goes_out_as_well(system, kind):
    ref = system.start(kind, None, {1: stop_and_reply("done", refuse(NotNow()))})
    with pytest.raises(NotNow):
        ref.ask(1)
    assert ref.join() == "done"


@pytest.mark.parametrize("kind", KINDS)
def test_stm_47_an_error_crashes_the_machine_and_reaches_the_caller(system, log, kind):
    error = KeyError("gone")
    ref = system.start(kind, log, {1: raising(error)})
    with pytest.raises(KeyError):
        ref.ask(1)
    assert log[-1] == ("terminate", Crashed(error), "a", 0)
    assert ref.exit_reason == Crashed(error)
    assert system.crashes == 1


@pytest.mark.parametrize("send", [cast, lambda ref, content: ref.tell(content)])
def test_stm_47_an_error_where_nobody_waits_is_a_crash_too(system, send):
    error = KeyError("gone")
    ref = system.start(Log, None, {1: raising(error)})
    send(ref, 1)
    assert ref.exit_reason == Crashed(error)
    assert system.crashes == 1


@pytest.mark.parametrize("kind", ENTER_KINDS)
def test_stm_47_a_crash_in_a_later_step_ends_the_machine_and_the_unanswered_call(system, kind):
    error = KeyError("gone")
    ref = system.start(kind, None, {1: next_state("b"), ("b", "a"): raising(error)})
    with pytest.raises(ActorDeadError) as caught:
        ref.ask(1)
    assert caught.value.reason == Crashed(error)
    assert system.crashes == 1


@pytest.mark.parametrize(("reason", "is_logged"), [("boom", True), ("normal", False), ("shutdown", False)])
def test_an_abnormal_end_is_logged(system, caplog, reason, is_logged):
    ref = system.start(Log, None, {1: stop_result(reason)})
    with caplog.at_level(logging.ERROR, "supervisors"):
        cast(ref, 1)
    assert bool(caplog.records) is is_logged


@pytest.mark.parametrize("reason", ["normal", "boom"])
def test_stm_49_a_trapped_exit_of_the_parent_ends_the_machine(system, log, reason):
    parent = system.start(Doer, trap=True)
    ref = parent.ask(lambda actor: Log.start_link(log, trap=True))
    parent.tell(lambda actor: ref.exit(reason))
    system.settle()
    assert log == [("terminate", reason, "a", 0)]
    assert ref.exit_reason == reason


def test_stm_49_stop_terminates_and_waits(system, log):
    ref = system.start(Log, log)
    stop(ref, "done")
    assert log == [("terminate", "done", "a", 0)]


@pytest.mark.parametrize(("end", "reason"), [(lambda ref: ref.kill(), KILLED), (lambda ref: ref.exit("boom"), "boom")])
def test_stm_49_terminate_is_not_called_for_a_signal_that_is_not_trapped(system, log, end, reason):
    ref = system.start(Log, log)
    end(ref)
    assert (ref.exit_reason, log) == (reason, [])


def test_stm_49_what_terminate_throws_counts_as_returned_and_is_ignored(system):
    ref = system.start(Log, None, {1: stop_result("done")}, terminate=Throw("otherwise"))
    cast(ref, 1)
    assert ref.exit_reason == "done"


def test_stm_49_what_terminate_raises_is_the_reason(system):
    ref = system.start(Log, None, {1: stop_result("done")}, terminate=Exit("otherwise"))
    cast(ref, 1)
    assert ref.exit_reason == "otherwise"


def test_stm_39_terminate_is_the_current_modules(system, log):
    class Other:
        callback_mode = "state_functions"

        @staticmethod
        def a(event_type, content, data):
            return stop_result("done")

        @staticmethod
        def terminate(reason, state, data):
            log.append(("other", reason))

    ref = system.start(Log, [], {1: keep_state(push_callback_module(Other))})
    cast(ref, 1)
    cast(ref, 2)
    assert log == [("other", "done")]


def test_stm_39_a_module_needs_no_terminate(system):
    class Other:
        callback_mode = "state_functions"

    ref = system.start(Log, [], {1: keep_state(push_callback_module(Other))})
    cast(ref, 1)
    stop(ref, "done")
    assert ref.exit_reason == "done"


def test_stm_50_a_trapped_exit_of_another_and_a_down_are_information(system, log):
    other = system.start(Recorder)
    ref = system.start(Log, log, {"watch": lambda machine: machine.monitor(other) and keep_state()}, trap=True)
    cast(ref, "watch")
    ref.exit("boom")
    other.exit("gone")
    system.settle()
    assert [(event_type, type(content)) for event_type, content, _ in log[1:]] == [(INFO, Exited), (INFO, Down)]


def test_stm_49_a_machine_without_a_parent_terminates_when_its_system_stops():
    log = []
    with ActorSystem(clock=VirtualClock()) as system:
        system.start(Log, log, trap=True)
        assert system.stop() == []
    assert log[-1][:2] == ("terminate", "shutdown")
