from __future__ import annotations

import pytest

from supervisors import ActorSystem, VirtualClock
from supervisors.errors import InvalidArgumentError
from supervisors.inspection import ActorEndedError, AlreadyTracedError, Trace
from supervisors.inspection.errors import InspectionRefused
from tests.supervisors.inspection.watched import Counter, Quick


@pytest.fixture
def still():
    """A system in which time stands still."""
    with ActorSystem(clock=VirtualClock()) as system:
        yield system


def test_asks_tells_and_crashes_are_shown_in_order(still):
    ref = still.start(Quick)
    with Trace(ref) as trace:
        ref.ask(("greet", "x"))
        ref.tell("note")
        with pytest.raises(ValueError, match="crash"):
            ref.ask("crash")
        events = [(event.kind, event.message, event.raised) for event in trace.take(0.0)]
    assert events == [("ask", "greet(str)", None), ("tell", "str", None), ("ask", "str", "ValueError")]


def test_only_the_traced_actor_has_another_class_and_only_for_that_time(still):
    ref, other = still.start(Quick), still.start(Quick)
    with Trace(ref):
        assert type(other._actor) is Quick
        assert type(ref._actor) is not Quick
        assert isinstance(ref._actor, Quick)
        assert type(ref._actor).__name__ == "Quick"
    assert type(ref._actor) is Quick


def test_an_actor_that_workers_run_can_be_traced(system):
    ref = system.start(Counter)
    with Trace(ref) as trace:
        ref.send("note")
        (event,) = trace.take(10.0)
    assert (event.kind, event.message) == ("tell", "str")


def test_there_is_one_trace_of_an_actor_at_a_time(still):
    ref = still.start(Quick)
    with Trace(ref), pytest.raises(AlreadyTracedError):
        Trace(ref).start()
    with Trace(ref):
        pass


def test_what_is_too_much_is_counted_and_told_with_the_next_event(still):
    ref = still.start(Quick)
    with Trace(ref, rate=2) as trace:
        for _ in range(5):
            ref.ask("x")
        assert len(trace.take(0.0)) == 2
        still.advance(1.0)
        ref.ask("x")
        (event,) = trace.take(0.0)
        assert event.dropped == 3
        assert trace.dropped == 3


def test_it_ends_by_itself_when_the_time_is_up_and_nobody_has_come(still):
    ref = still.start(Quick)
    trace = Trace(ref, seconds=5.0)
    trace.start()
    still.advance(5.0)
    assert trace.is_over
    ref.ask("x")
    assert type(ref._actor) is Quick
    assert trace.take(0.0) == []


def test_it_is_over_when_the_actor_ends(still):
    ref = still.start(Quick)
    with Trace(ref) as trace:
        ref.stop()
        assert trace.is_over


def test_the_dead_cannot_be_traced(still):
    ref = still.start(Quick)
    ref.stop()
    with pytest.raises(ActorEndedError):
        Trace(ref).start()


def test_a_class_that_cannot_be_derived_from_is_refused(still):
    class Final(Quick):
        def __init_subclass__(cls):
            raise TypeError("no")

    ref = still.start(Final)
    with pytest.raises(InspectionRefused, match="Final cannot be traced"):
        Trace(ref).start()
    assert ref.ask("x") == "x"


@pytest.mark.parametrize(
    "options", [{"seconds": 0.0}, {"seconds": 3_601.0}, {"rate": 0}, {"rate": True}, {"rate": 1_001}]
)
def test_limits_that_are_not_allowed_are_refused(still, options):
    with pytest.raises(InvalidArgumentError, match=next(iter(options))):
        Trace(still.start(Quick), **options)


def test_stopping_twice_is_fine(still):
    trace = Trace(still.start(Quick))
    trace.start()
    trace.stop()
    trace.stop()
