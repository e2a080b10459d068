from __future__ import annotations

import pytest

from supervisors import Crashed, Exit, IgnoreStart, NameTakenError, NoActorError, StartError
from supervisors.errors import InvalidArgumentError
from supervisors.links import links_of
from supervisors.supervision.calls import which_children
from supervisors.supervision.child_spec import ChildSpec
from supervisors.supervision.outcomes import Started, StartFailed, StartIgnored
from supervisors.supervision.starting import call_start, start_named
from supervisors.supervision.supervisor import Supervisor
from tests.supervisors.actors import Doer, Echo
from tests.supervisors.supervision.children import Worker, crash


@pytest.fixture
def outcome(system):
    """Call a start function in an actor's turn."""
    ref = system.start(Doer, trap=True)

    def call(start, *args, **kwargs):
        return ref.ask(lambda self: call_start(ChildSpec("a", start, args, kwargs)))

    call.ref = ref
    return call


def raising(error):
    def start():
        raise error

    return start


def test_sup_4_an_actor_class_is_started_and_linked(outcome):
    started = outcome(Doer, trap=True)
    assert isinstance(started, Started)
    assert links_of(started.ref) == (outcome.ref,)


def test_sup_4_a_ref_is_the_child_with_or_without_information(system, outcome):
    ref = system.start(Echo)
    assert outcome(lambda: ref) == Started(ref)
    assert outcome(lambda: (ref, "info")) == Started(ref, "info")


@pytest.mark.parametrize("start", [lambda: "ignore", raising(IgnoreStart())])
def test_sup_4_to_ignore_is_no_error(outcome, start):
    assert outcome(start) == StartIgnored()


def test_sup_4_errors_are_told_apart(outcome):
    error = ValueError("x")
    assert outcome(raising(StartError("why"))) == StartFailed("why")
    assert outcome(raising(Exit("why"))) == StartFailed(("EXIT", "why"))
    assert outcome(raising(error)) == StartFailed(("EXIT", Crashed(error)))


@pytest.mark.parametrize("value", [None, 5, "other", ("a", "b"), [], ("x", "y", "z")])
def test_sup_4_any_other_value_is_the_error(outcome, value):
    assert outcome(lambda: value) == StartFailed(value)


def test_sup_4_what_an_actor_ends_with_in_its_start_is_the_error(outcome):
    class Fails(Doer):
        def on_start(self):
            raise Exit("why")

    assert outcome(Fails) == StartFailed("why")


def test_a_named_child_has_its_name_again_after_a_restart(system):
    events = []
    made = system.start(Supervisor, [ChildSpec("a", start_named, ("limiter", Worker, events))])
    first = system.whereis("limiter")
    crash(first)
    [record] = which_children(made)
    assert record.ref is system.whereis("limiter")
    assert record.ref is not first


def test_a_named_child_can_have_another_dispatch_than_its_class(system):
    system.start(Supervisor, [ChildSpec("a", start_named, ("limiter", Worker, []), {"dispatch": "shared"})])
    assert Worker.dispatch == "inline"
    assert system.whereis("limiter").dispatch == "shared"


@pytest.mark.parametrize("given", ["fast", 3, True])
def test_a_dispatch_that_there_is_not_is_a_start_error(outcome, given):
    failed = outcome(lambda: start_named("limiter", Echo, dispatch=given))
    assert isinstance(failed.why[1].error, InvalidArgumentError)


def test_a_name_that_somebody_has_is_a_start_error(system, outcome):
    system.start(Echo, name="limiter")
    failed = outcome(start_named, "limiter", Echo)
    assert isinstance(failed.why[1].error, NameTakenError)


def test_start_named_needs_a_running_actor():
    with pytest.raises(NoActorError):
        start_named("limiter", Echo)
