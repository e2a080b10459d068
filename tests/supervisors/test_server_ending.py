"""SRV-19 to SRV-27: how a server ends, and system messages."""

from __future__ import annotations

import logging

import pytest

from supervisors import (
    KILLED,
    Actor,
    ActorDeadError,
    ActorSystem,
    AskTimeoutError,
    ChildSpec,
    Crashed,
    Exit,
    InvalidArgumentError,
    InvalidTypeError,
    Supervisor,
    Throw,
    VirtualClock,
    WrongActorError,
    start_named,
    terminate_child,
)
from supervisors.behaviour import StopRequest
from supervisors.quarantine import Quarantine, quarantined
from supervisors.server import (
    TIMEOUT,
    Continue,
    NoReply,
    Reply,
    Server,
    Stop,
    cast,
    get_state,
    replace_state,
    stop,
)
from supervisors.statem import calls as statem
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


def test_srv_21_what_terminate_throws_counts_as_returned_and_is_ignored(system, caplog):
    ref = system.start(Log, terminate=raising(Throw("otherwise")), cast=returning(Stop("shutdown")))
    with caplog.at_level(logging.ERROR, "supervisors"):
        cast(ref, 1)
    assert ref.exit_reason == "shutdown"
    assert caplog.records == []


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


def test_srv_24_a_server_without_a_parent_terminates_when_its_system_stops(log):
    with ActorSystem(clock=VirtualClock()) as system:
        system.start(Log, log, trap=True)
        assert system.stop() == []
    assert log == [("terminate", "shutdown")]


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
    del ref._gate[0]  # as if it were in a turn that takes long
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


@pytest.mark.parametrize("actor_class", [Log, SharedLog])
def test_srv_27_a_suspended_server_stops_before_it_handles_what_waits(system, log, actor_class):
    ref = system.start(actor_class, log)
    ref.suspend()
    ref.tell(1)
    stop(ref, "why", timeout=1.0)
    assert log == [("terminate", "why")]


def test_srv_27_a_suspended_server_takes_pykkas_stop(system, log):
    ref = system.start(Log, log)
    ref.suspend()
    ref.tell(1)
    assert ref.stop(timeout=1.0)
    assert log == [("terminate", "normal")]


def test_srv_27_a_stop_that_waited_already_is_found_by_the_suspension(system, log):
    ref = system.start(SharedLog, log)
    ref.tell(1)
    ref.send(StopRequest("why"))
    ref.tell(2)
    ref.suspend()
    system.settle()
    assert log == [("terminate", "why")]


def test_srv_27_a_suspended_server_ends_with_its_parent(system, log):
    class Parent(Doer):
        def on_start(self):
            self.child = Log.start_link(log, trap=True)

    parent = system.start(Parent)
    child = parent.proxy().child.get()
    child.suspend()
    child.tell(1)
    parent.exit("over")
    assert log == [("terminate", "over")]


def test_srv_27_the_exit_of_another_waits_while_a_server_is_suspended(system, log):
    ref = system.start(Log, log, trap=True)
    other = system.start(Doer)
    ref.suspend()
    other.ask(lambda actor: ref.exit("over"))
    assert log == []
    ref.resume()
    assert [kind for kind, _ in log] == ["info"]


def test_a_supervisor_ends_a_suspended_child_that_has_all_the_time(system, log):
    child = ChildSpec("child", start_named, ("child", Log, log), {"trap": True}, shutdown="infinity")
    supervisor = system.start(Supervisor, [child])
    system.whereis("child").suspend()
    terminate_child(supervisor, "child", timeout=1.0)
    assert log == [("terminate", "shutdown")]


def test_srv_27_messages_that_wait_keep_their_order(system, log):
    ref = system.start(SharedLog, log)
    ref.suspend()
    for number in range(50):
        ref.tell(number)
        if number % 10 == 5:
            get_state(ref)
    ref.resume()
    system.settle()
    assert log == [("info", number) for number in range(50)]


def test_srv_27_a_suspended_server_looks_at_each_message_once(system):
    ref = system.start(SharedLog)
    ref.suspend()
    looked = []

    class Counted:
        @property  # type: ignore[misc]  # nothing sets it here; a look is to be seen
        def __class__(self):
            looked.append(self)
            return Counted

    for _ in range(100):
        ref.tell(Counted())
        system.settle()
    assert len(looked) < 1000


def test_srv_27_what_an_actor_suspends_in_its_start_is_suspended_afterwards(system):
    class Early(Log):
        def init(self, log=None, *, trap=False, then=None, **handlers):
            self.actor_ref.suspend()
            self.trap_exit()  # takes the signal in

    ref = system.start(Early)
    with pytest.raises(AskTimeoutError):
        ref.ask("question", timeout=1.0)


def test_srv_15_a_continuation_comes_before_a_suspension(system, log):
    def then_suspend(server, request):
        ref.suspend()
        return Reply("answer", Continue("more"))

    ref = system.start(Log, log, call=then_suspend)
    ref.ask("question")
    assert ("continue", "more") in log


def test_srv_18_the_end_after_a_reply_comes_before_a_suspension(system):
    def then_suspend(server, request):
        ref.suspend()
        return Stop("done", reply="answer")

    ref = system.start(Log, call=then_suspend)
    assert ref.ask("question") == "answer"
    assert ref.exit_reason == "done"


def test_srv_27_what_is_put_first_while_suspended_is_seen(system, log):
    ref = system.start(SharedLog, log)
    ref.suspend()
    for number in range(3):
        ref.tell(number)
    system.settle()

    def change(state):
        ref.put_first(StopRequest("why"))
        return state

    replace_state(ref, change)
    system.settle()
    assert log == [("terminate", "why")]


def test_a_stop_gets_into_a_full_mailbox(system, log):
    class Full(SharedLog):
        mailbox_capacity = 1

    ref = system.start(Full, log)
    ref.tell(1)
    stop(ref, "why", timeout=1.0)
    assert log == [("info", 1), ("terminate", "why")]


# Looking inside -------------------------------------------------------------------------


class Counter(Server):
    dispatch = "inline"

    def init(self, start=0, idle=None):
        self.count = start
        self._private = "x"
        self.fired = []
        return idle

    def handle_call(self, request):
        return Reply(self.count)

    def handle_info(self, message):
        self.fired.append(message)


@pytest.mark.parametrize("look", [get_state, statem.get_state])
def test_srv_27_the_state_of_a_server_are_its_attributes(system, look):
    ref = system.start(Counter, 5)
    assert look(ref) == {"count": 5, "_private": "x", "fired": []}


def test_srv_27_nothing_of_the_librarys_own_is_state(system):
    ref = system.start(quarantined(Log, Quarantine(after=1)), None, call=returning(Reply(1, 5.0)))
    with_user_code = set(get_state(ref))
    ref.ask("question")
    ref.ask("question")
    assert set(get_state(ref)) == with_user_code
    assert not [name for name in with_user_code if name in vars(Server) or name in vars(Actor) or name == "_actor_ref"]


def test_srv_27_the_state_of_a_suspended_server_can_be_seen_and_replaced(system):
    ref = system.start(Counter, 5)
    ref.suspend()
    future = ref.ask("count", block=False)
    assert get_state(ref, timeout=1.0)["count"] == 5
    assert replace_state(ref, lambda state: {**state, "count": 7}, timeout=1.0)["count"] == 7
    ref.resume()
    assert future.get(timeout=1.0) == 7


def test_srv_27_an_attribute_that_is_left_out_is_gone(system):
    ref = system.start(Counter, 5)
    assert replace_state(ref, lambda state: {"count": 1}) == {"count": 1}
    assert get_state(ref) == {"count": 1}


def refusing(error):
    def change(state):
        state.clear()
        raise error

    return change


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (refusing(KeyError("x")), KeyError),
        (lambda state: None, InvalidTypeError),
        (lambda state: {5: 5}, InvalidTypeError),
        (lambda state: {"count": 1, "_actor_ref": None}, InvalidArgumentError),
        ("no function", InvalidTypeError),
    ],
)
def test_srv_27_a_replacement_that_fails_changes_nothing_of_a_server(system, change, error):
    ref = system.start(Counter, 5)
    with pytest.raises(error):
        replace_state(ref, change)
    assert get_state(ref) == {"count": 5, "_private": "x", "fired": []}


def test_srv_27_other_actors_have_no_state_to_be_seen(system):
    with pytest.raises(WrongActorError):
        get_state(system.start(Doer))


def test_srv_27_for_a_system_message_the_idle_time_starts_anew(system):
    ref = system.start(Counter, 0, 5.0)
    system.advance(4.0)
    get_state(ref)
    system.advance(4.0)
    assert ref.proxy().fired.get() == []
    system.advance(1.0)
    assert ref.proxy().fired.get() == [TIMEOUT]
