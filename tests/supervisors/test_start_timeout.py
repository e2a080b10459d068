"""PROC-7: a start that takes too long is cut short and leaves nothing behind."""

from __future__ import annotations

import threading

import pytest

from supervisors import ActorSystem, Server, StartError, StateMachine
from supervisors.links import links_of
from supervisors.runtime.futures import ScheduledFuture
from supervisors.statem.results import initial_state
from supervisors.supervision.calls import start_child, which_children
from supervisors.supervision.child_spec import ChildSpec
from supervisors.supervision.requests import ChildStartFailed
from supervisors.supervision.starting import start_named
from supervisors.supervision.supervisor import Supervisor
from tests.supervisors.actors import SharedDoer
from tests.supervisors.process_workers import Worker as InProcess


class Slow(SharedDoer):
    """Comes up when its gate is opened."""

    def __init__(self, gate):
        super().__init__()
        self.gate = gate

    def on_start(self):
        self.gate.wait(10)


@pytest.fixture
def gate():
    made = threading.Event()
    yield made
    made.set()


def test_proc_7_a_start_that_takes_too_long_is_an_error_and_the_actor_is_killed(real, gate):
    with pytest.raises(StartError) as caught:
        real.spawn(Slow, (gate,), link=False, report=True, start_timeout=0.01)
    assert caught.value.reason == "timeout"
    assert [ref.actor_class for ref in real.actors()] == []


def test_proc_7_no_exit_message_is_left_behind(real, gate):
    def start(self):
        with pytest.raises(StartError):
            self.system.spawn(Slow, (gate,), link=True, report=True, start_timeout=0.01)

    parent = real.start(SharedDoer, trap=True)
    parent.ask(start)
    assert parent.ask("seen") == []
    assert links_of(parent) == ()
    parent.kill()


def test_proc_7_a_start_in_time_is_as_without_a_limit(real, gate):
    gate.set()
    assert real.spawn(Slow, (gate,), link=False, report=True, start_timeout=10.0).is_alive()


@pytest.mark.parametrize("limit", [-1.0, float("nan"), "soon", True])
def test_a_limit_that_makes_no_sense_is_refused(real, limit):
    with pytest.raises((ValueError, TypeError), match="start_timeout"):
        real.spawn(SharedDoer, link=False, report=True, start_timeout=limit)


class SlowInTime(SharedDoer):
    """Comes up after so many seconds, on any clock."""

    seconds = 3.0

    def on_start(self):
        ScheduledFuture(self.system.scheduler).settle(self.seconds)


class InlineSlow(SlowInTime):
    dispatch = "inline"


class SlowServer(Server):
    def init(self):
        ScheduledFuture(self.system.scheduler).settle(3.0)


class SlowMachine(StateMachine):
    callback_mode = "handle_event_function"

    def init(self):
        ScheduledFuture(self.system.scheduler).settle(3.0)
        return initial_state("idle")


KINDS = [SlowInTime, InlineSlow, SlowServer, SlowMachine]
STARTS = {
    "system.start": lambda self, kind: self.system.start(kind, start_timeout=1.0, name="n"),
    "start": lambda _self, kind: kind.start(start_timeout=1.0),
    "start_link": lambda _self, kind: kind.start_link(start_timeout=1.0),
    "start_monitor": lambda _self, kind: kind.start_monitor(start_timeout=1.0),
    "start_named": lambda _self, kind: start_named("n", kind, start_timeout=1.0),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("verb", STARTS)
def test_proc_7_every_way_to_start_can_be_limited(system, kind, verb):
    parent = system.start(SharedDoer, trap=True)

    def start(self):
        with pytest.raises(StartError) as caught:
            STARTS[verb](self, kind)
        assert caught.value.reason == "timeout"
        assert system.actors() == [parent]
        assert system.whereis("n") is None

    parent.ask(start, timeout=None)
    assert parent.ask("seen") == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("verb", STARTS)
def test_proc_7_a_limit_that_is_kept_changes_nothing(system, kind, verb):
    parent = system.start(SharedDoer, trap=True)
    longer = {"start_timeout": 5.0}
    start = {
        "system.start": lambda self: self.system.start(kind, **longer),
        "start": lambda _self: kind.start(**longer),
        "start_link": lambda _self: kind.start_link(**longer),
        "start_monitor": lambda _self: kind.start_monitor(**longer)[0],
        "start_named": lambda _self: start_named("n", kind, **longer),
    }[verb]
    assert parent.ask(start, timeout=None).is_alive()


def test_proc_7_a_child_can_be_limited(system):
    supervisor = system.start(Supervisor, [])
    spec = ChildSpec("slow", SlowInTime, kwargs={"start_timeout": 1.0})
    with pytest.raises(ChildStartFailed) as caught:
        start_child(supervisor, spec)
    assert caught.value.reason == "timeout"
    assert which_children(supervisor) == ()
    assert system.actors() == [supervisor]


def test_proc_7_an_actor_that_no_worker_has_come_to_is_dead_as_well():
    gate = threading.Event()
    with ActorSystem(workers=1) as system:
        busy = system.start(SharedDoer)
        busy.tell(lambda _self: gate.wait(10))
        starter = threading.Timer(0.2, gate.set)
        starter.start()
        with pytest.raises(StartError, match="timeout"):
            system.start(SharedDoer, start_timeout=0.01)
        assert system.actors() == [busy]
        starter.join()


def test_proc_7_a_process_can_be_limited(real):
    with pytest.raises(StartError) as caught:
        real.start(InProcess, start_timeout=0.0)
    assert caught.value.reason == "timeout"
    assert real.actors() == []
