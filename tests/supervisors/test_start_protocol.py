"""What a starter and the started may rely on (PROC-2, PROC-9 to PROC-14)."""

from __future__ import annotations

import contextlib
import logging

import pytest

from supervisors import Actor, Down, Exit, Exited, IgnoreStart, StartError
from tests.supervisors.actors import Doer, SharedDoer


class Starting(Actor):
    """Calls a function with itself when it starts."""

    dispatch = "inline"

    def __init__(self, act):
        super().__init__()
        self.act = act

    def on_start(self):
        self.act(self)

    def on_receive(self, message):
        return message(self)


@pytest.fixture
def parent(system):
    return system.start(Doer, trap=True)


def fail(_self):
    raise Exit("no")


def decline(_self):
    raise IgnoreStart


def seen_by(system, ref):
    system.settle()
    return ref.ask("seen")


def test_proc_2_the_starter_gets_the_ref_of_an_actor_that_is_up(system):
    log = []
    ref = system.start(Starting, lambda self: log.append("up"))
    assert log == ["up"]
    assert ref.is_alive()


def test_proc_2_what_an_actor_has_told_itself_is_handled_after_its_start(system):
    log = []

    def act(self):
        self.actor_ref.tell(lambda _self: log.append("later"))
        log.append("up")

    system.start(Starting, act)
    system.settle()
    assert log == ["up", "later"]


def test_proc_9_the_name_is_free_when_a_failed_start_returns(system):
    with pytest.raises(StartError):
        system.start(Starting, fail, name="n")
    assert system.whereis("n") is None
    assert system.start(Doer, name="n").is_alive()


@pytest.mark.parametrize("kind", [Doer, SharedDoer])
def test_proc_10_a_failed_actor_is_gone_before_its_start_returns(system, kind):
    parent = system.start(kind, trap=True)
    made = []

    def act(self):
        made.append(self.actor_ref)
        raise Exit("no")

    def begin(_self):
        with pytest.raises(StartError):
            Starting.start_link(act)
        return made[0].is_alive(), made[0].exit_reason

    assert parent.ask(begin) == (False, "no")
    assert seen_by(system, parent) == [Exited(made[0], "no")]


def out():
    raise SystemExit


@pytest.mark.parametrize("report", [True, False])
@pytest.mark.parametrize("kind", ["inline", "shared"])
@pytest.mark.parametrize("act", [fail, decline, lambda _self: out()])
def test_proc_4_an_actor_that_does_not_come_up_is_not_stopped(system, act, kind, report):
    """What `on_start` has not begun, `on_stop` must not end: Pykka's rule too."""
    log = []

    class Stopping(Starting):
        dispatch = kind

        def on_stop(self):
            log.append("on_stop")

        def on_failure(self, *_error):
            log.append("on_failure")

    outcome = pytest.raises((StartError, IgnoreStart)) if report else contextlib.nullcontext()
    with outcome:
        system.spawn(Stopping, (act,), link=False, report=report)
    system.settle()
    assert log == []
    assert system.actors() == []


def test_proc_11_start_does_not_link(system, parent):
    child = parent.ask(lambda self: self.system.start(Starting, lambda _self: None))
    assert child.links is None
    child.kill()
    assert seen_by(system, parent) == []


def test_proc_11_start_monitor_gives_the_monitor_with_the_ref(system, parent):
    child, monitor = parent.ask(lambda _self: Starting.start_monitor(lambda _self: None))
    child.kill()
    assert seen_by(system, parent) == [Down(monitor, child, "killed")]


@pytest.mark.parametrize(("act", "error"), [(fail, StartError), (decline, IgnoreStart)])
def test_proc_11_a_start_that_fails_leaves_no_down_behind(system, parent, act, error):
    def begin(_self):
        with pytest.raises(error):
            Starting.start_monitor(act)

    parent.ask(begin)
    assert seen_by(system, parent) == []
    assert parent.monitors is None


def test_proc_12_the_parent_is_who_called_start_link(system, parent):
    child = parent.ask(lambda _self: Starting.start_link(lambda _self: None))
    grandchild = child.ask(lambda _self: Starting.start_link(lambda _self: None))
    assert child.parent is parent
    assert grandchild.parent.parent is parent


def test_proc_12_with_start_there_is_no_parent(system, parent):
    assert parent.ask(lambda self: self.system.start(Starting, lambda _self: None)).parent is None


def test_proc_13_a_crash_is_logged_with_its_actor_and_its_traceback(system, caplog):
    ref = system.start(Starting, lambda _self: None)

    def crash(_self):
        raise ValueError("no")

    with caplog.at_level(logging.ERROR):
        ref.tell(crash)
    [record] = [record for record in caplog.records if record.exc_info]
    assert str(ref) in record.getMessage()
    assert isinstance(record.exc_info[1], ValueError)


@pytest.mark.parametrize("reason", ["normal", "shutdown"])
def test_proc_13_an_orderly_end_is_not_logged(system, caplog, reason):
    ref = system.start(Starting, lambda _self: None)

    def leave(_self):
        raise Exit(reason)

    with caplog.at_level(logging.ERROR):
        ref.tell(leave)
    assert not ref.is_alive()
    assert not caplog.records


@pytest.mark.parametrize("kind", [Doer, SharedDoer])
def test_proc_14_a_child_whose_parent_ends_meanwhile_ends_after_its_start(system, kind):
    """The parent waits in its turn for the start, so neither of the two is interrupted."""
    parent = system.start(kind)
    made = []

    def act(self):
        made.append(self.actor_ref)
        self.actor_ref.parent.exit("bye")

    parent.tell(lambda _self: Starting.start_link(act))
    system.settle()
    assert parent.exit_reason == "bye"
    assert made[0].exit_reason == "bye"


def test_proc_14_a_child_that_traps_finds_the_message_after_its_start(system):
    parent = system.start(SharedDoer)
    made = []

    class Trapping(Doer):
        def on_start(self):
            self.trap_exit()
            made.append(self.actor_ref)
            self.actor_ref.parent.exit("bye")

    parent.tell(lambda _self: Trapping.start_link())
    system.settle()
    assert seen_by(system, made[0]) == [Exited(parent, "bye")]
