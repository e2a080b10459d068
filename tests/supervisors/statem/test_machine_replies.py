"""STM-11, STM-12, STM-20, STM-37: who gets which reply, and when."""

from __future__ import annotations

import pytest

from supervisors import (
    Exit,
)
from supervisors.errors import UsageError
from supervisors.statem.actions import (
    event_timeout,
    next_event,
    postpone,
    refuse,
    reply,
    state_timeout,
)
from supervisors.statem.events import CALL, ENTER, INTERNAL
from supervisors.statem.machine import cast, get_state
from supervisors.statem.results import keep_state, next_state
from tests.supervisors.statem.machines import (
    ENTER_KINDS,
    KINDS,
    Log,
    NotNow,
    SharedEnterLog,
    SharedLog,
    owing,
    raising,
)


@pytest.fixture
def log():
    return []


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
