"""The state machine as an actor: what arrives, time-outs, start, looking inside."""

from __future__ import annotations

import pytest

from supervisors import (
    Crashed,
    Exit,
    IgnoreStart,
    InvalidTypeError,
    StartError,
)
from supervisors.callbacks import BadReturnError, Throw, UndefinedCallbackError
from supervisors.statem.actions import (
    cancel_timeout,
    event_timeout,
    named_timeout,
    next_event,
    postpone,
    reply,
    state_timeout,
)
from supervisors.statem.events import CALL, CAST, ENTER, INFO, INTERNAL, STATE_TIMEOUT, TIMEOUT, Named
from supervisors.statem.machine import IGNORE, StateMachine, call, cast, get_state, replace_state, stop
from supervisors.statem.results import initial_state, keep_state, next_state
from supervisors.statem.results import stop as stop_result
from tests.supervisors.statem.machines import (
    EnterLog,
    Log,
    SharedEnterLog,
    SharedLog,
    raising,
)


@pytest.fixture
def log():
    return []


# What arrives ------------------------------------------------------------------------


def test_stm_1_state_functions_are_methods_named_like_the_state(system):
    class Door(StateMachine):
        callback_mode = "state_functions"

        def init(self, code):
            return initial_state("locked", data=code)

        def locked(self, event_type, content, code):
            if content == code:
                return next_state("open", reply("welcome"), state_timeout(10.0))
            return keep_state(reply("locked"))

        def open(self, event_type, content, code):
            return next_state("locked") if event_type is STATE_TIMEOUT else keep_state(postpone())

    door = system.start(Door, 123)
    assert door.ask(0) == "locked"
    assert door.ask(123) == "welcome"
    assert door.ask(0, timeout=20.0) == "locked"
    assert system.clock.monotonic() == 10.0


def test_stm_2_an_ask_is_a_call_a_cast_a_cast_and_the_rest_information(system, log):
    ref = system.start(Log, log, {1: keep_state(reply("answer"))})
    assert ref.ask(1) == "answer"
    cast(ref, 2)
    ref.tell(3)
    assert log == [(CALL, 1, "a"), (CAST, 2, "a"), (INFO, 3, "a")]


def test_stm_6_a_thrown_initial_state_counts_as_returned(system):
    class Thrower(StateMachine):
        callback_mode = "state_functions"

        def init(self):
            raise Throw(initial_state("b"))

    assert get_state(system.start(Thrower)) == ("b", None)


def test_stm_8_own_events_go_before_the_mailbox(system, log):
    ref = system.start(SharedLog, log, {1: keep_state(next_event(INTERNAL, "own"), named_timeout("t", 0, "zero"))})
    cast(ref, 1)
    cast(ref, 2)
    system.settle()
    assert [content for _, content, _ in log] == [1, "own", "zero", 2]


# Time-outs ------------------------------------------------------------------------------------


def test_stm_15_the_event_timeout_comes_after_quiet(system, log):
    ref = system.start(Log, log, {1: keep_state(event_timeout(5.0, "quiet"))})
    for _ in range(4):
        cast(ref, 1)
        system.advance(4.0)
    assert TIMEOUT not in [event_type for event_type, _, _ in log]
    system.advance(1.0)
    assert log[-1] == (TIMEOUT, "quiet", "a")


def test_stm_15_putting_an_event_timeout_off_makes_no_new_timer(system):
    ref = system.start(Log, None, {1: keep_state(event_timeout(5.0))})
    for _ in range(100):
        cast(ref, 1)
    assert system.statistics()["timers"] == 1


def test_stm_26_a_replaced_timeout_fires_at_its_new_time_only(system, log):
    ref = system.start(
        Log, log, {1: keep_state(state_timeout(9.0, "later")), 2: keep_state(state_timeout(1.0, "sooner"))}
    )
    cast(ref, 1)
    cast(ref, 2)
    system.advance(1.0)
    assert log[-1] == (STATE_TIMEOUT, "sooner", "a")
    system.advance(100.0)
    assert len(log) == 3


def test_stm_27_a_cancelled_timeout_leaves_no_timer(system, log):
    ref = system.start(Log, log, {1: keep_state(cancel_timeout(Named("t")))}, named_timeout("t", 5.0))
    cast(ref, 1)
    assert system.statistics()["timers"] == 0
    system.advance(10.0)
    assert log == [(CAST, 1, "a")]


def test_stm_34_an_absolute_time_is_a_reading_of_the_clock(system, log):
    system.advance(100.0)
    system.start(Log, log, {}, state_timeout(103.0, "then", absolute=True))
    system.advance(2.9)
    assert log == []
    system.advance(0.1)
    assert log == [(STATE_TIMEOUT, "then", "a")]


def test_stm_34_an_absolute_time_that_has_passed_fires_at_once(system, log):
    system.advance(100.0)
    system.start(Log, log, {}, state_timeout(50.0, "past", absolute=True))
    system.advance(0.0)
    assert log == [(STATE_TIMEOUT, "past", "a")]


def test_stm_36_a_cancelled_timer_whose_message_is_waiting_delivers_nothing(system, log):
    ref = system.start(Log, log, {1: next_state("b")}, state_timeout(5.0))
    ref.suspend()
    cast(ref, 1)
    system.advance(10.0)
    ref.resume()
    assert log == [(CAST, 1, "a")]


def test_a_named_timeout_that_has_fired_leaves_nothing_behind(system):
    ref = system.start(Log, None, {}, *[named_timeout(number, 5.0) for number in range(10)])
    system.advance(5.0)
    assert ref._actor._alarms == {}


def test_the_timers_of_a_dead_machine_are_gone(system):
    ref = system.start(Log, None, {}, state_timeout(5.0), named_timeout("t", 5.0))
    assert system.statistics()["timers"] == 2
    ref.kill()
    assert system.statistics()["timers"] == 0


# Start ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [EnterLog, SharedEnterLog])
def test_stm_42_the_starter_has_its_answer_before_the_enter_call(system, kind):
    ref = system.start(kind, None, {("a", "a"): raising(Exit("too late to fail the start"))})
    assert ref.join() == "too late to fail the start"


def test_stm_42_the_enter_call_comes_before_the_first_message(system, log):
    ref = system.start(EnterLog, log, {1: keep_state(reply("answer"))})
    assert ref.ask(1) == "answer"
    assert log == [(ENTER, "a", "a"), (CALL, 1, "a")]


def test_stm_42_a_bad_action_of_init_ends_the_machine_after_its_start(system):
    ref = system.start(Log, None, {}, "nonsense")
    assert isinstance(ref.join(), Crashed)


def test_stm_42_ignore_starts_nothing(system):
    class Nothing(StateMachine):
        def init(self):
            return IGNORE

    with pytest.raises(IgnoreStart):
        system.start(Nothing)


def test_stm_42_stop_from_init_is_a_start_error(system, log):
    class Stops(Log):
        def init(self, *args, **kwargs):
            super().init(*args)
            return stop_result("boom")

    with pytest.raises(StartError) as caught:
        system.start(Stops, log)
    assert caught.value.reason == "boom"
    assert log == []


@pytest.mark.parametrize("value", [None, "nonsense", keep_state()])
def test_proc_6_any_other_return_of_init_is_a_start_error(system, value):
    class Odd(StateMachine):
        def init(self):
            return value

    with pytest.raises(StartError) as caught:
        system.start(Odd)
    assert isinstance(caught.value.reason.error, BadReturnError)


def test_a_machine_without_init_does_not_start(system):
    with pytest.raises(StartError) as caught:
        system.start(StateMachine)
    assert isinstance(caught.value.reason.error, UndefinedCallbackError)


# System messages --------------------------------------------------------------------------------------------


def test_srv_27_state_and_data_can_be_looked_at_without_an_event(system, log):
    ref = system.start(Log, log, {1: next_state("b", event_timeout(5.0, "quiet"), data=5)})
    cast(ref, 1)
    assert get_state(ref) == ("b", 5)
    system.advance(5.0)
    assert log[1:] == [(TIMEOUT, "quiet", "b")]


def test_srv_27_state_and_data_can_be_replaced(system, log):
    ref = system.start(EnterLog, log)
    system.settle()
    assert replace_state(ref, lambda state, data: ("c", data + 1)) == ("c", 1)
    assert get_state(ref) == ("c", 1)
    assert log == [(ENTER, "a", "a")]


def test_srv_27_a_suspended_machine_is_looked_at_replaced_and_stopped(system, log):
    ref = system.start(Log, log)
    ref.suspend()
    ref.tell(1)
    assert get_state(ref, timeout=1.0) == ("a", 0)
    assert replace_state(ref, lambda state, data: ("c", 5), timeout=1.0) == ("c", 5)
    stop(ref, "why", timeout=1.0)
    assert log == [("terminate", "why", "c", 5)]


def test_stm_42_the_first_enter_call_comes_before_a_suspension(system, log):
    class Early(EnterLog):
        def init(self, *args, **kwargs):
            self.actor_ref.suspend()
            return super().init(*args, **kwargs)

    system.start(Early, log)
    system.settle()
    assert log == [(ENTER, "a", "a")]


@pytest.mark.parametrize("wrong", [None, ("c",), ("c", 1, 2), ["c", 1]])
def test_srv_27_a_replacement_is_a_state_and_data(system, wrong):
    ref = system.start(Log)
    with pytest.raises(InvalidTypeError, match="change"):
        replace_state(ref, lambda state, data: wrong)
    assert get_state(ref) == ("a", 0)


def test_srv_27_a_replacement_that_fails_changes_nothing(system):
    ref = system.start(Log)
    with pytest.raises(KeyError):
        replace_state(ref, lambda state, data: {}[state])
    assert get_state(ref) == ("a", 0)


def test_a_proxy_reads_attributes_and_is_no_event(system, log):
    ref = system.start(Log, log)
    assert ref.proxy().log.get() == []
    assert ref.stop()
    assert log == [("terminate", "normal", "a", 0)]


def test_with_real_threads_callers_are_answered_and_timers_fire(real):
    ref = real.start(
        SharedLog,
        None,
        {("a", 1): keep_state(postpone()), ("b", 1): keep_state(reply("at last")), "go": next_state("b")},
        state_timeout(0.02, "go"),
    )
    assert call(ref, 1, timeout=10.0) == "at last"
