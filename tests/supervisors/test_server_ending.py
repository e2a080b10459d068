"""SRV-19 to SRV-27 and what of PROC-1 to PROC-8 a server shows: how it ends, how it starts."""

from __future__ import annotations

import logging

import pytest

from supervisors import (
    KILLED,
    ActorDeadError,
    AskTimeoutError,
    Crashed,
    Exit,
    IgnoreStart,
    StartError,
)
from supervisors.callbacks import BadReturnError
from supervisors.server import (
    IGNORE,
    NoReply,
    Reply,
    Server,
    Stop,
    cast,
    stop,
)
from tests.supervisors.actors import Doer
from tests.supervisors.servers import Log, SharedLog, raising, returning


@pytest.fixture
def log():
    return []


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
