"""SRV-1 to SRV-18: calls, and what callbacks return; one test or more per rule."""

from __future__ import annotations

import logging
import math

import pytest

from supervisors import (
    ActorDeadError,
    AskTimeoutError,
    Crashed,
    DeadlockError,
    Exit,
    Refusal,
    Shutdown,
)
from supervisors.callbacks import BadReturnError, UndefinedCallbackError
from supervisors.server import (
    HIBERNATE,
    TIMEOUT,
    Continue,
    NoReply,
    Reply,
    Server,
    Stop,
    Throw,
    cast,
    stop,
)
from tests.supervisors.servers import Log, SharedLog, deferring, raising, returning


@pytest.fixture
def log():
    return []


# Calls ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Log, SharedLog])
def test_srv_1_a_call_returns_the_reply(system, kind):
    assert system.start(kind).ask("question") == "question"


def test_srv_1_a_call_waits_five_seconds_by_default(system):
    ref = system.start(Log, call=returning(NoReply()))
    with pytest.raises(AskTimeoutError):
        ref.ask("question")
    assert system.clock.monotonic() == 5.0


def test_srv_2_a_call_to_the_dead_fails(system):
    ref = system.start(Log)
    stop(ref)
    with pytest.raises(ActorDeadError):
        ref.ask("question")


@pytest.mark.parametrize("reason", ["normal", "boom", Shutdown("x")])
def test_srv_2_a_call_fails_with_the_reason_of_a_server_that_ends_before_it_replies(system, reason):
    ref = system.start(Log, call=returning(Stop(reason)))
    with pytest.raises(ActorDeadError) as caught:
        ref.ask("question")
    assert caught.value.reason == reason


def test_srv_2_a_server_cannot_call_itself(system):
    ref = system.start(Log, call=lambda server, content: Reply(server.actor_ref.ask("again")))
    with pytest.raises(DeadlockError):
        ref.ask("question")


def test_srv_3_the_late_reply_after_a_timeout_is_dropped(system):
    owed = []
    ref = system.start(Log, call=deferring(owed))
    with pytest.raises(AskTimeoutError):
        ref.ask("question", timeout=1.0)
    assert not owed[0].set("late")
    assert ref.is_alive()


def test_srv_4_a_cast_to_the_dead_does_nothing(system):
    ref = system.start(Log)
    stop(ref)
    cast(ref, "news")
    assert system.dead_letters == 1


def test_srv_5_calls_casts_and_messages_share_one_order(system, log):
    ref = system.start(SharedLog, log)
    cast(ref, 1)
    reply = ref.ask(2, block=False)
    ref.tell(3)
    cast(ref, 4)
    system.settle()
    assert log == [("cast", 1), ("call", 2), ("info", 3), ("cast", 4)]
    assert reply.get() == 2


def test_srv_6_a_request_can_be_made_without_waiting(system):
    owed = []
    ref = system.start(Log, call=deferring(owed))
    future = ref.ask("question", block=False)
    with pytest.raises(AskTimeoutError):
        future.get(timeout=1.0)
    owed[0].set("answer")
    assert future.get() == "answer"


# Callback returns -------------------------------------------------------------------


def test_srv_7_no_reply_and_none_go_on(system, log):
    ref = system.start(Log, log, cast=returning(None), info=returning(NoReply()))
    cast(ref, 1)
    ref.tell(2)
    assert ref.is_alive()


@pytest.mark.parametrize("callback", ["cast", "info"])
def test_srv_7_stop_ends_the_server(system, log, callback):
    ref = system.start(Log, log, **{callback: returning(Stop("done"))})
    cast(ref, 1) if callback == "cast" else ref.tell(1)
    assert log[-1] == ("terminate", "done")
    assert ref.exit_reason == "done"


def test_srv_8_a_reply_may_be_given_later_by_anybody(system):
    owed = []
    ref = system.start(Log, call=deferring(owed))
    future = ref.ask("question", block=False)
    system.settle()
    assert not future.is_done()
    assert owed[0].set("answer")
    assert not owed[0].set("another")
    assert future.get() == "answer"


def test_srv_8_a_deferred_reply_and_a_reply_are_one_answer(system):
    ref = system.start(Log, call=lambda server, content: server.defer_reply() and Reply("answer"))
    assert ref.ask("question") == "answer"
    assert ref.ask("question") == "answer"


@pytest.mark.parametrize("kind", [Log, SharedLog])
def test_srv_8_one_answer_also_with_stop(system, kind):
    ref = system.start(kind, call=lambda server, content: server.defer_reply() and Stop("done", reply="answer"))
    assert ref.ask("question") == "answer"
    assert ref.join() == "done"


def test_srv_9_a_thrown_result_counts_as_returned(system):
    ref = system.start(Log, call=raising(Throw(Reply("thrown"))), cast=raising(Throw(Stop("done"))))
    assert ref.ask("question") == "thrown"
    cast(ref, 1)
    assert ref.exit_reason == "done"


@pytest.mark.parametrize("value", ["nonsense", None, 5, Reply])
def test_srv_10_any_other_return_from_a_call_ends_the_server(system, log, value):
    ref = system.start(Log, log, call=returning(value))
    with pytest.raises(BadReturnError) as caught:
        ref.ask("question")
    assert caught.value.value is value
    assert log[-1] == ("terminate", Crashed(caught.value))
    assert ref.exit_reason == Crashed(caught.value)


@pytest.mark.parametrize("value", ["nonsense", Reply(1), Stop("done", reply=1), 5])
def test_srv_10_any_other_return_from_a_cast_ends_the_server(system, value):
    ref = system.start(Log, cast=returning(value))
    cast(ref, 1)
    assert isinstance(ref.exit_reason.error, BadReturnError)


@pytest.mark.parametrize("then", ["soon", -1, math.nan, True, -math.inf, [1], 1e300, 10**400])
@pytest.mark.parametrize("make", [NoReply, lambda then: Reply(1, then)])
def test_srv_10_what_comes_next_must_be_something_that_can(system, make, then):
    ref = system.start(Log, call=returning(make(then)))
    with pytest.raises(BadReturnError):
        ref.ask("question")
    assert not ref.is_alive()


def test_srv_11_an_error_in_a_callback_ends_the_server(system, log):
    error = KeyError("gone")
    ref = system.start(Log, log, cast=raising(error))
    cast(ref, 1)
    assert log[-1] == ("terminate", Crashed(error))
    assert ref.exit_reason == Crashed(error)


def test_srv_11_the_caller_gets_the_error_raised(system):
    ref = system.start(Log, call=raising(KeyError("gone")))
    with pytest.raises(KeyError):
        ref.ask("question")
    assert not ref.is_alive()


def test_srv_11_an_exit_gives_its_bare_reason(system, log):
    ref = system.start(Log, log, cast=raising(Exit("enough")))
    cast(ref, 1)
    assert log[-1] == ("terminate", "enough")
    assert ref.exit_reason == "enough"


def test_a_refusal_answers_the_caller_and_the_server_lives_on(system):
    class NotNow(Refusal):
        pass

    ref = system.start(Log, call=raising(NotNow()))
    with pytest.raises(NotNow):
        ref.ask("question")
    assert ref.is_alive()


def test_a_reply_that_was_owed_to_a_refused_call_is_not_owed_to_the_next_one(system):
    def answer(server, content):
        if content == "refused":
            server.defer_reply()
            raise Refusal
        return Reply("answer")

    ref = system.start(Log, call=answer)
    with pytest.raises(Refusal):
        ref.ask("refused")
    assert ref.ask("question", timeout=1.0) == "answer"


@pytest.mark.parametrize("then", [None, math.inf, HIBERNATE])
def test_srv_12_nothing_comes_next(system, log, then):
    ref = system.start(Log, log, call=returning(Reply("answer", then)))
    assert ref.ask("question") == "answer"
    system.advance(1e6)
    assert log == [("call", "question")]


def test_srv_13_timeout_comes_when_no_message_does(system, log):
    system.start(Log, log, then=5.0)
    system.advance(4.9)
    assert log == []
    system.advance(0.1)
    assert log == [("info", TIMEOUT)]


def test_srv_13_any_message_cancels_the_timeout(system, log):
    ref = system.start(Log, log, then=5.0)
    system.advance(3.0)
    ref.tell("anything")
    system.advance(100.0)
    assert log == [("info", "anything")]


def test_srv_13_a_call_cancels_the_timeout(system, log):
    ref = system.start(Log, log, then=5.0)
    ref.ask("anything")
    system.advance(100.0)
    assert log == [("call", "anything")]


def test_srv_13_the_timeout_is_one_shot(system, log):
    system.start(Log, log, then=5.0)
    system.advance(100.0)
    assert log == [("info", TIMEOUT)]


def test_srv_13_a_timeout_asked_for_again_counts_from_then(system, log):
    ref = system.start(Log, log, then=5.0, cast=returning(NoReply(5.0)))
    system.advance(3.0)
    cast(ref, 1)
    system.advance(4.9)
    assert log == [("cast", 1)]
    system.advance(0.1)
    assert log == [("cast", 1), ("info", TIMEOUT)]


def test_srv_13_a_shorter_timeout_comes_sooner(system, log):
    ref = system.start(Log, log, then=50.0, cast=returning(NoReply(2.0)))
    cast(ref, 1)
    system.advance(2.0)
    assert log[-1] == ("info", TIMEOUT)


def test_srv_13_putting_a_timeout_off_makes_no_new_timer(system):
    ref = system.start(Log, then=5.0, cast=returning(NoReply(5.0)))
    for _ in range(100):
        cast(ref, 1)
    assert system.statistics()["timers"] == 1


def test_srv_14_zero_lets_the_mailbox_go_first(system, log):
    ref = system.start(SharedLog, log, cast=returning(NoReply(0)))
    cast(ref, 1)
    ref.tell("waits already")
    system.settle()
    assert log == [("cast", 1), ("info", "waits already")]


def test_srv_14_zero_comes_at_once_with_an_empty_mailbox(system, log):
    ref = system.start(Log, log, cast=returning(NoReply(0)))
    cast(ref, 1)
    system.settle()
    assert log == [("cast", 1), ("info", TIMEOUT)]


def test_srv_15_continue_comes_before_any_message(system, log):
    ref = system.start(SharedLog, log, cast=returning(NoReply(Continue("on"))))
    cast(ref, 1)
    ref.tell("waits already")
    system.settle()
    assert log == [("cast", 1), ("continue", "on"), ("info", "waits already")]


def test_srv_15_continue_may_continue(system, log):
    def count_down(server, content):
        return NoReply(Continue(content - 1)) if content else None

    system.start(Log, log, then=Continue(2), **{"continue": count_down})
    system.settle()
    assert log == [("continue", 2), ("continue", 1), ("continue", 0)]


@pytest.mark.parametrize("kind", [Log, SharedLog])
def test_srv_15_the_caller_has_its_reply_before_continue_runs(system, log, kind):
    def refuse_to_go_on(server, content):
        raise Exit("after the reply")

    ref = system.start(kind, log, call=returning(Reply("answer", Continue())), **{"continue": refuse_to_go_on})
    assert ref.ask("question") == "answer"
    assert ref.join() == "after the reply"


def test_srv_15_from_init_the_starter_has_its_answer_first(system, log):
    ref = system.start(Log, log, then=Continue("on"), **{"continue": raising(Exit("too late to fail the start"))})
    system.settle()
    assert ref.exit_reason == "too late to fail the start"


def test_srv_15_from_init_it_runs_before_the_first_message(system, log):
    ref = system.start(Log, log, then=Continue("on"))
    ref.ask("question")
    assert log == [("continue", "on"), ("call", "question")]


def test_srv_16_hibernation_does_not_show(system, log):
    ref = system.start(Log, log, then=HIBERNATE, cast=returning(NoReply(HIBERNATE)))
    cast(ref, 1)
    assert ref.ask("question") == "question"
    system.advance(1e6)
    assert log == [("cast", 1), ("call", "question")]


def test_srv_17_without_handle_info_a_message_is_logged_and_dropped(system, caplog):
    ref = system.start(Server)
    with caplog.at_level(logging.WARNING, "supervisors.server"):
        ref.tell("secret")
        system.settle()
    assert ref.is_alive()
    assert "drops a message of type str" in caplog.text
    assert "secret" not in caplog.text


def test_srv_17_without_handle_call_the_server_ends(system):
    ref = system.start(Server)
    with pytest.raises(UndefinedCallbackError, match="handle_call"):
        ref.ask("question")
    assert not ref.is_alive()


def test_srv_17_without_handle_cast_the_server_ends(system):
    ref = system.start(Server)
    cast(ref, 1)
    system.settle()
    assert isinstance(ref.exit_reason.error, UndefinedCallbackError)


def test_srv_17_without_handle_continue_the_server_ends(system):
    class Goes(Server):
        def init(self):
            return Continue()

    ref = system.start(Goes)
    system.settle()
    assert isinstance(ref.exit_reason.error, UndefinedCallbackError)


def test_srv_17_without_terminate_nothing_is_called(system):
    class Leaves(Server):
        def handle_cast(self, message):
            return Stop(message)

    ref = system.start(Leaves)
    cast(ref, "done")
    system.settle()
    assert ref.exit_reason == "done"


@pytest.mark.parametrize("kind", [Log, SharedLog])
def test_srv_18_stop_with_a_reply_terminates_first_then_replies_then_ends(system, log, kind):
    ref = system.start(kind, log, call=returning(Stop("done", reply="answer")))
    future = ref.ask("question", block=False)
    future.when_done(lambda: log.append(("reply", ref.is_alive())))
    system.settle()
    # Inline, the asker itself has run the server, before it could listen.
    assert ("terminate", "done") in log
    assert log.index(("terminate", "done")) < log.index(("reply", kind is SharedLog))
    assert future.get() == "answer"
    assert ref.exit_reason == "done"
