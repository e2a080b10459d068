"""SRV-27: a supervisor that is suspended still ends when its parent does."""

from __future__ import annotations

import pytest

from supervisors import SHUTDOWN, ActorDeadError, ActorSystem, VirtualClock
from supervisors.supervision.calls import Call, which_children
from supervisors.supervision.child_spec import ChildSpec
from supervisors.supervision.dynamic import DynamicSupervisor
from supervisors.supervision.supervisor import Supervisor
from tests.supervisors.supervision.children import Stubborn, crash, refs, worker


@pytest.fixture
def events():
    return []


@pytest.fixture
def inner(system, events):
    """Start a supervisor of two workers below another one."""
    inside = [worker(events, "a"), worker(events, "b")]
    outer = system.start(Supervisor, [ChildSpec("inner", Supervisor, (inside,), type="supervisor")])
    found = refs(outer)["inner"]
    events.clear()
    return found


def test_srv_27_a_suspended_supervisor_takes_its_parents_exit_and_ends_its_children_in_order(system, inner, events):
    inner.suspend()
    inner.parent.exit(SHUTDOWN)
    system.settle()
    assert events == ["-b", "-a"]
    assert inner.exit_reason == SHUTDOWN
    assert system.actors() == []


def test_srv_27_it_restarts_nobody_before_it_goes_on(system, inner, events):
    crashed = refs(inner)["a"]
    inner.suspend()
    crash(crashed)
    system.settle()
    assert events == ["-a"]
    inner.resume()
    system.settle()
    assert events == ["-a", "+a"]


def test_srv_27_a_child_that_has_ended_meanwhile_is_not_waited_for(system, inner, events):
    crashed = refs(inner)["a"]
    inner.suspend()
    crash(crashed)
    inner.parent.exit(SHUTDOWN)
    system.settle()
    assert events == ["-a", "-b"]
    assert system.actors() == []


def test_srv_27_requests_that_wait_fail_with_its_exit_reason(system, inner):
    inner.suspend()
    answer = inner.ask(Call("which_children", None), block=False)
    inner.parent.exit(SHUTDOWN)
    system.settle()
    with pytest.raises(ActorDeadError) as caught:
        answer.get(timeout=0)
    assert caught.value.reason == SHUTDOWN


def test_srv_27_a_stop_message_ends_it_as_well(system, inner, events):
    inner.suspend()
    assert inner.stop()
    assert events[:2] == ["-b", "-a"]
    assert not inner.is_alive()


def test_srv_27_an_exit_signal_of_a_stranger_waits(system, inner):
    inner.suspend()
    inner.exit(SHUTDOWN)
    system.settle()
    assert inner.is_alive()
    inner.resume()
    assert len(which_children(inner)) == 2


def test_srv_27_shutdown_times_hold_in_it(system, events):
    spec = worker(events, "a", Stubborn, shutdown=2.0)
    ref = system.start(Supervisor, [spec])
    ref.suspend()
    ref.exit(SHUTDOWN)  # of a plain thread, as its parent's
    system.advance(1.9)
    assert ref.is_alive()
    system.advance(0.1)
    assert not ref.is_alive()


@pytest.mark.parametrize("kind", [Supervisor, DynamicSupervisor])
def test_srv_27_a_system_stops_though_a_supervisor_is_suspended(kind):
    with ActorSystem(clock=VirtualClock()) as system:
        ref = system.start(kind, *([[]] if kind is Supervisor else []))
        ref.suspend()
        assert system.stop() == []
    assert ref.exit_reason == SHUTDOWN
