"""STM-34 to STM-50 as an actor: calls, replies, timers, the end."""

from __future__ import annotations

import logging

import pytest

from supervisors import (
    KILLED,
    ActorDeadError,
    AskTimeoutError,
    Crashed,
    Down,
    Exit,
    Exited,
    IgnoreStart,
    Refusal,
    StartError,
)
from supervisors.callbacks import BadReturnError, Throw, UndefinedCallbackError
from supervisors.errors import UsageError
from supervisors.statem.actions import (
    cancel_timeout,
    event_timeout,
    named_timeout,
    next_event,
    postpone,
    push_callback_module,
    refuse,
    reply,
    state_timeout,
)
from supervisors.statem.events import CALL, CAST, ENTER, INFO, INTERNAL, STATE_TIMEOUT, TIMEOUT, Named
from supervisors.statem.machine import IGNORE, StateMachine, call, cast, get_state, replace_state, stop
from supervisors.statem.results import initial_state, keep_state, next_state, stop_and_reply
from supervisors.statem.results import stop as stop_result
from tests.supervisors.actors import Doer, Recorder


class Log(StateMachine):
    """Writes down every callback in a list, and answers as a table says.

    The table goes from contents, or pairs of state and content, to results, or to
    functions of the machine.
    """

    dispatch = "inline"
    callback_mode = "handle_event_function"

    def init(self, log=None, answers=None, *actions, data=0, trap=False, terminate=None):
        self.log = [] if log is None else log
        self.answers = answers or {}
        self.at_end = terminate
        self.trap_exit(trap)
        return initial_state("a", *actions, data=data)

    def handle_event(self, event_type, content, state, data):
        self.log.append((event_type, content, state))
        answer = self.answers.get((state, content), self.answers.get(content, keep_state()))
        return answer(self) if callable(answer) else answer

    def terminate(self, reason, state, data):
        self.log.append(("terminate", reason, state, data))
        if self.at_end is not None:
            raise self.at_end


class SharedLog(Log):
    dispatch = "shared"


class EnterLog(Log):
    state_enter = True


class SharedEnterLog(EnterLog):
    dispatch = "shared"


KINDS = [Log, SharedLog]
ENTER_KINDS = [EnterLog, SharedEnterLog]


class NotNow(Refusal):
    pass


@pytest.fixture
def log():
    return []


def owing(owed):
    """Make an answer that puts the reply it owes into a list."""

    def answer(machine):
        owed.append(machine.defer_reply())
        return keep_state()

    return answer


def raising(error):
    def answer(machine):
        raise error

    return answer


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


# Replies ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ENTER_KINDS)
def test_stm_20_a_reply_is_out_before_the_enter_call(system, log, kind):
    ref = system.start(kind, log, {1: next_state("b", reply("answer")), ("b", "a"): raising(Exit("in enter"))})
    assert ref.ask(1) == "answer"
    assert ref.join() == "in enter"


def test_stm_20_the_order_can_be_seen(system, log):
    ref = system.start(SharedEnterLog, log, {1: next_state("b", reply("answer"))})
    system.settle()
    future = ref.ask(1, block=False)
    future.when_done(lambda: log.append("reply"))
    system.settle()
    assert log == [(ENTER, "a", "a"), (CALL, 1, "a"), "reply", (ENTER, "a", "b")]


@pytest.mark.parametrize("kind", KINDS)
def test_stm_37_a_reply_may_come_with_timeouts(system, kind):
    ref = system.start(kind, None, {1: keep_state(state_timeout(5.0), reply("answer"), event_timeout(5.0))})
    assert ref.ask(1) == "answer"


@pytest.mark.parametrize("kind", KINDS)
def test_stm_37_a_reply_may_be_owed_and_given_in_a_later_callback(system, kind):
    owed = []
    ref = system.start(kind, None, {1: owing(owed), 2: lambda machine: keep_state(reply("late", to=owed[0]))})
    future = ref.ask(1, block=False)
    cast(ref, 2)
    assert future.get() == "late"


@pytest.mark.parametrize("kind", KINDS)
def test_stm_37_a_reply_that_is_owed_can_be_given_in_the_same_callback(system, kind):
    ref = system.start(kind, None, {1: lambda machine: keep_state(reply("answer", to=machine.defer_reply()))})
    assert ref.ask(1) == "answer"


@pytest.mark.parametrize("kind", KINDS)
def test_stm_37_an_owed_reply_and_a_plain_one_are_one_answer(system, kind):
    ref = system.start(kind, None, {1: lambda machine: machine.defer_reply() and keep_state(reply("answer"))})
    assert ref.ask(1) == "answer"
    assert ref.ask(1) == "answer"


@pytest.mark.parametrize("kind", KINDS)
def test_stm_37_a_reply_to_another_is_no_reply_to_the_call_in_hand(system, kind):
    owed = []
    ref = system.start(kind, None, {1: owing(owed), 2: lambda machine: keep_state(reply("to the first", to=owed[0]))})
    first, second = ref.ask(1, block=False), ref.ask(2, block=False)
    system.settle()
    assert first.get() == "to the first"
    assert not second.is_done()


def test_stm_37_several_replies_go_out_in_their_order(system, log):
    owed = []
    answers = {
        1: owing(owed),
        2: lambda machine: keep_state(reply("second"), reply("first", to=owed[0])),
    }
    ref = system.start(SharedLog, [], answers)
    for content in (1, 2):
        future = ref.ask(content, block=False)
        future.when_done(lambda content=content: log.append(content))
    system.settle()
    assert log == [2, 1]


@pytest.mark.parametrize("kind", KINDS)
def test_stm_37_only_the_first_of_two_replies_arrives(system, kind):
    ref = system.start(kind, None, {1: keep_state(reply("first"), reply("second"))})
    assert ref.ask(1) == "first"


@pytest.mark.parametrize("kind", KINDS)
def test_stm_37_a_call_that_was_answered_and_postponed_is_not_answered_again(system, kind):
    answers = {("a", 1): keep_state(reply("first"), postpone()), ("b", 1): keep_state(reply("again"))}
    ref = system.start(kind, None, answers | {2: next_state("b", reply("other"))})
    assert ref.ask(1) == "first"
    assert ref.ask(2) == "other"
    assert get_state(ref) == ("b", 0)


@pytest.mark.parametrize("kind", KINDS)
def test_stm_12_a_postponed_call_is_answered_when_it_comes_back(system, kind):
    answers = {("a", 1): keep_state(postpone()), ("b", 1): keep_state(reply("at last")), 2: next_state("b")}
    ref = system.start(kind, None, answers)
    future = ref.ask(1, block=False)
    system.settle()
    assert not future.is_done()
    cast(ref, 2)
    assert future.get() == "at last"


def test_stm_12_a_postponed_call_can_be_deferred_when_it_comes_back(system):
    owed = []
    answers = {
        ("a", 1): keep_state(postpone()),
        ("b", 1): owing(owed),
        2: next_state("b", reply("other")),
    }
    ref = system.start(Log, None, answers)
    future = ref.ask(1, block=False)
    assert ref.ask(2) == "other"
    owed[0].set("at last")
    assert future.get() == "at last"


def test_only_a_call_has_a_reply_to_defer(system):
    ref = system.start(Log, None, {1: lambda machine: machine.defer_reply() and keep_state()})
    cast(ref, 1)
    assert isinstance(ref.exit_reason.error, UsageError)


@pytest.mark.parametrize("kind", KINDS)
def test_a_refusal_is_raised_at_the_caller_and_the_machine_lives_on(system, kind):
    ref = system.start(kind, None, {1: raising(NotNow()), 2: keep_state(refuse(NotNow()), state_timeout(5.0))})
    for content in (1, 2):
        with pytest.raises(NotNow):
            ref.ask(content)
    assert ref.is_alive()


def test_a_refusal_can_be_owed(system):
    answers = {
        1: lambda machine: keep_state(next_event(INTERNAL, machine.defer_reply())),
    }

    class Later(Log):
        def handle_event(self, event_type, content, state, data):
            if event_type is INTERNAL:
                return keep_state(refuse(NotNow(), to=content))
            return super().handle_event(event_type, content, state, data)

    ref = system.start(Later, None, answers)
    with pytest.raises(NotNow):
        ref.ask(1)


def test_stm_11_an_inserted_call_is_answered(system):
    answers = {
        1: lambda machine: keep_state(next_event(CALL, 2, caller=machine.defer_reply())),
        2: keep_state(reply("to the first")),
    }
    assert system.start(Log, None, answers).ask(1) == "to the first"


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


# Calls and the end ---------------------------------------------------------------------------------------


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
