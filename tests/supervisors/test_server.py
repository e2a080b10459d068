"""SRV-1 to SRV-27 and what of PROC-1 to PROC-12 a server shows; one test or more per rule."""

from __future__ import annotations

import logging
import math

import pytest

from supervisors import (
    KILLED,
    ActorDeadError,
    AskTimeoutError,
    Crashed,
    DeadlockError,
    Exit,
    IgnoreStart,
    Refusal,
    Shutdown,
    StartError,
)
from supervisors.callbacks import BadReturnError, UndefinedCallbackError
from supervisors.server import (
    HIBERNATE,
    IGNORE,
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
from tests.supervisors.actors import Doer


class Log(Server):
    """Writes down every callback in a list, and returns what the handlers it was given say.

    A handler is called with the server and the content.
    """

    dispatch = "inline"

    def init(self, log=None, *, trap=False, then=None, **handlers):
        self.log = [] if log is None else log
        self.handlers = handlers
        self.trap_exit(trap)
        return then

    def handle_call(self, request):
        return self._told("call", request, Reply(request))

    def handle_cast(self, message):
        return self._told("cast", message, None)

    def handle_info(self, message):
        return self._told("info", message, None)

    def handle_continue(self, content):
        return self._told("continue", content, None)

    def terminate(self, reason):
        self.log.append(("terminate", reason))
        if "terminate" in self.handlers:
            self.handlers["terminate"](self, reason)

    def _told(self, callback, content, usual):
        self.log.append((callback, content))
        handler = self.handlers.get(callback)
        return usual if handler is None else handler(self, content)


class SharedLog(Log):
    dispatch = "shared"


def returning(result):
    return lambda server, content: result


def deferring(owed):
    """Make a handler that puts the reply it owes into a list."""

    def handler(server, content):
        owed.append(server.defer_reply())
        return NoReply()

    return handler


def raising(error):
    def handler(server, content):
        raise error

    return handler


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


@pytest.mark.parametrize("then", ["soon", -1, math.nan, True, -math.inf, [1]])
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


# Ending ------------------------------------------------------------------------------


def test_srv_19_terminate_is_called_once(system, log):
    ref = system.start(Log, log, call=returning(Stop("done", reply="answer")))
    ref.ask("question")
    assert log.count(("terminate", "done")) == 1


def test_srv_20_terminate_is_not_called_when_killed(system, log):
    ref = system.start(Log, log, trap=True)
    ref.kill()
    assert (ref.exit_reason, log) == (KILLED, [])


def test_srv_20_terminate_is_not_called_for_a_signal_that_is_not_trapped(system, log):
    ref = system.start(Log, log)
    ref.exit("boom")
    assert (ref.exit_reason, log) == ("boom", [])


def test_srv_21_what_terminate_raises_is_the_reason(system):
    error = KeyError("in terminate")
    ref = system.start(Log, terminate=raising(error), cast=returning(Stop("done")))
    cast(ref, 1)
    assert ref.exit_reason == Crashed(error)


def test_srv_21_an_exit_in_terminate_gives_its_bare_reason(system):
    ref = system.start(Log, terminate=raising(Exit("otherwise")), cast=returning(Stop("done")))
    cast(ref, 1)
    assert ref.exit_reason == "otherwise"


def test_srv_21_also_when_the_caller_gets_a_reply(system):
    ref = system.start(Log, terminate=raising(Exit("otherwise")), call=returning(Stop("done", reply="answer")))
    assert ref.ask("question") == "answer"
    assert ref.join() == "otherwise"


@pytest.mark.parametrize(("reason", "is_logged"), [("boom", True), ("normal", False), ("shutdown", False)])
def test_srv_22_an_abnormal_end_is_logged(system, caplog, reason, is_logged):
    ref = system.start(Log, cast=returning(Stop(reason)))
    with caplog.at_level(logging.ERROR, "supervisors"):
        cast(ref, 1)
    assert ("terminates: boom" in caplog.text) is is_logged
    assert bool(caplog.records) is is_logged


def test_srv_22_an_exit_signal_is_not_logged_by_who_it_hits(system, caplog):
    ref = system.start(Log)
    with caplog.at_level(logging.ERROR, "supervisors"):
        ref.exit("boom")
    assert caplog.records == []


def test_srv_23_a_trapped_exit_of_another_is_information(system, log):
    ref = system.start(Log, log, trap=True)
    ref.exit("boom")
    assert [(name, message.reason) for name, message in log] == [("info", "boom")]


@pytest.mark.parametrize("reason", ["normal", "shutdown", "boom"])
def test_srv_24_a_trapped_exit_of_the_parent_ends_the_server(system, log, reason):
    parent = system.start(Doer, trap=True)
    ref = parent.ask(lambda actor: Log.start_link(log, trap=True))
    parent.tell(lambda actor: ref.exit(reason))
    system.settle()
    assert log == [("terminate", reason)]
    assert ref.exit_reason == reason


def test_srv_24_the_parents_exit_waits_its_turn(system, log):
    parent = system.start(Doer, trap=True)
    ref = parent.ask(lambda actor: SharedLog.start_link(log, trap=True))
    ref.tell("before")
    parent.tell(lambda actor: ref.exit("shutdown"))
    system.settle()
    assert log == [("info", "before"), ("terminate", "shutdown")]


def test_srv_24_without_trapping_the_parents_normal_exit_is_ignored(system, log):
    parent = system.start(Doer)
    ref = parent.ask(lambda actor: Log.start_link(log))
    parent.tell(("exit", "normal"))
    system.settle()
    assert not parent.is_alive()
    assert ref.is_alive()


def test_srv_25_stop_terminates_and_waits(system, log):
    ref = system.start(Log, log)
    stop(ref, "done")
    assert log == [("terminate", "done")]
    assert ref.exit_reason == "done"


def test_srv_25_stop_is_handled_in_mailbox_order(system, log):
    ref = system.start(SharedLog, log)
    ref.tell("before")
    stop(ref)
    assert log == [("info", "before"), ("terminate", "normal")]


def test_srv_25_stopping_who_is_not_there_fails(system):
    ref = system.start(Log)
    stop(ref)
    with pytest.raises(ActorDeadError) as caught:
        stop(ref)
    assert caught.value.reason == "noproc"


def test_srv_25_stop_fails_when_the_server_ends_otherwise(system):
    ref = system.start(Log, terminate=raising(Exit("otherwise")))
    with pytest.raises(ActorDeadError) as caught:
        stop(ref)
    assert caught.value.reason == "otherwise"


def test_srv_25_stop_gives_up_when_the_time_is_up(system):
    ref = system.start(Log)
    ref.suspend()
    with pytest.raises(AskTimeoutError):
        stop(ref, timeout=1.0)


def test_srv_26_calls_in_the_mailbox_of_a_server_that_ends_get_its_reason(system):
    ref = system.start(SharedLog, cast=returning(Stop("done")))
    cast(ref, 1)
    future = ref.ask("question", block=False)
    with pytest.raises(ActorDeadError) as caught:
        future.get()
    assert caught.value.reason == "done"


def test_srv_26_a_deferred_caller_gets_the_reason_too(system):
    ref = system.start(Log, call=returning(NoReply()), cast=returning(Stop("done")))
    future = ref.ask("question", block=False)
    cast(ref, 1)
    with pytest.raises(ActorDeadError) as caught:
        future.get()
    assert caught.value.reason == "done"


def test_srv_27_a_suspended_server_handles_no_messages(system, log):
    ref = system.start(Log, log)
    ref.suspend()
    ref.tell(1)
    system.settle()
    assert log == []
    ref.resume()
    assert log == [("info", 1)]


# Starting -------------------------------------------------------------------------------


def test_proc_1_start_returns_when_init_has_returned(real):
    assert real.start(SharedLog, ["from the starter"]).ask(1) == 1


def test_proc_3_ignore_starts_nothing(system):
    class Nothing(Server):
        def init(self):
            return IGNORE

    with pytest.raises(IgnoreStart):
        system.start(Nothing, name="nobody")
    assert system.whereis("nobody") is None


@pytest.mark.parametrize("reason", ["boom", "normal"])
def test_proc_4_stop_from_init_is_a_start_error(system, log, reason):
    with pytest.raises(StartError) as caught:
        system.start(Log, log, then=Stop(reason))
    assert caught.value.reason == reason
    assert log == []


def test_proc_4_a_parent_that_traps_sees_the_exit(system):
    class Stops(Server):
        def init(self):
            return Stop("boom")

    def try_it(actor):
        with pytest.raises(StartError):
            Stops.start_link()

    parent = system.start(Doer, trap=True)
    parent.ask(try_it)
    assert [message.reason for message in parent.ask("seen")] == ["boom"]


def test_proc_5_an_error_in_init_is_a_start_error(system, log):
    class Fails(Log):
        def init(self, *args, **kwargs):
            super().init(*args)
            raise KeyError

    with pytest.raises(StartError) as caught:
        system.start(Fails, log)
    assert isinstance(caught.value.reason.error, KeyError)
    assert log == []  # no terminate


@pytest.mark.parametrize("value", ["nonsense", Reply(1), -1])
def test_proc_6_any_other_return_of_init_is_a_start_error(system, value):
    class Odd(Server):
        def init(self):
            return value

    with pytest.raises(StartError) as caught:
        system.start(Odd)
    assert isinstance(caught.value.reason.error, BadReturnError)


def test_proc_8_messages_to_the_name_wait_until_init_is_done(system, log):
    class Early(Log):
        def init(self, *args, **kwargs):
            self.system.send("early", "to myself")
            return super().init(*args)

    system.start(Early, log, name="early")
    system.settle()
    assert log == [("info", "to myself")]


def test_what_a_server_was_started_with_is_not_kept(system):
    ref = system.start(Log, ["large"])
    assert not hasattr(ref._actor, "_arguments")


def test_the_timer_of_a_dead_server_is_gone(system):
    ref = system.start(Log, then=5.0)
    assert system.statistics()["timers"] == 1
    stop(ref)
    assert system.statistics()["timers"] == 0
