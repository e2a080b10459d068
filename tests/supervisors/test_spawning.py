"""SUP-49: a restarted supervisor, and the children of its killed predecessor that still have their names."""

from __future__ import annotations

import pytest

from supervisors import Exit, NameTakenError, StartError
from supervisors.runtime.futures import ScheduledFuture
from supervisors.spawning import ORPHAN_PATIENCE
from supervisors.supervision.child_spec import ChildSpec
from supervisors.supervision.reports import ErrorReport
from supervisors.supervision.starting import start_named
from supervisors.supervision.supervisor import Supervisor
from tests.supervisors.actors import Doer
from tests.supervisors.supervision.children import SharedWorker, refs


class Lingering(SharedWorker):
    """Needs so many seconds for its cleanup."""

    seconds = 4.0

    def on_stop(self):
        ScheduledFuture(self.system.scheduler).settle(self.seconds)
        super().on_stop()


class Staying(SharedWorker):
    """Traps exits and does not care about its parent's."""

    def told(self, reason):
        pass


class NamesItself(SharedWorker):
    """Takes its name in its own start, and ends some time after it was told to."""

    seconds = 4.0

    def on_start(self):
        self.system.register("worker", self.actor_ref)
        super().on_start()

    def told(self, reason):
        def end(self):
            raise Exit(reason)

        self.send_after(self.seconds, end)


class StaysAndNamesItself(NamesItself):
    def told(self, reason):
        pass


START_FUNCTIONS = [(start_named, ("worker", Lingering, [])), (NamesItself, ([],))]


@pytest.fixture
def tree(system):
    """Start a root with one supervisor below, whose only child has a name."""
    errors = []
    system.on_report(lambda report: errors.append(report) if isinstance(report, ErrorReport) else None)

    def start(kind, *, levels=1):
        return start_by(start_named, ("worker", kind, []), levels)

    def start_by(function, args, levels=1):
        spec = ChildSpec("worker", function, args)
        for level in range(levels):
            spec = ChildSpec(f"level {level}", Supervisor, ([spec],), type="supervisor")
        root = system.start(Supervisor, [spec])
        return refs(root)[spec.id]

    start.by = start_by
    start.errors = errors
    return start


def contexts(reports):
    return [report.error_context for report in reports]


@pytest.mark.parametrize(("function", "args"), START_FUNCTIONS)
def test_sup_49_children_of_a_killed_supervisor_that_clean_up_cost_no_restart(system, tree, function, args):
    middle = tree.by(function, args)
    first = system.whereis("worker")
    middle.kill()
    system.advance(Lingering.seconds)
    second = system.wait_for_name("worker", 1.0)
    assert second is not first
    assert second.is_alive()
    assert contexts(tree.errors) == ["child_terminated"]


def test_sup_49_orphans_further_down_are_waited_for_as_well(system, tree):
    top = tree(Lingering, levels=3)
    first = system.whereis("worker")
    top.kill()
    system.advance(Lingering.seconds)
    assert system.wait_for_name("worker", 1.0) is not first
    assert contexts(tree.errors) == ["child_terminated"]


def test_an_orphan_that_stays_is_waited_for_once_and_then_restarts_fail_as_ever(system, tree):
    middle = tree(Staying)
    began = system.clock.monotonic()
    middle.kill()
    system.settle()
    assert system.clock.monotonic() - began == ORPHAN_PATIENCE
    assert contexts(tree.errors)[-1] == "shutdown"


def test_an_orphan_that_stays_is_waited_for_once_by_those_that_name_themselves(system, tree):
    middle = tree.by(StaysAndNamesItself, ([],))
    began = system.clock.monotonic()
    middle.kill()
    system.settle()
    assert system.clock.monotonic() - began == ORPHAN_PATIENCE
    assert contexts(tree.errors)[-1] == "shutdown"


def test_a_child_that_its_parent_names_after_the_start_waits_as_well(system):
    parent, starter = system.start(Doer), system.start(Doer)
    first = parent.ask(lambda _self: start_named("worker", Lingering, []))
    parent.kill()
    began = system.clock.monotonic()

    def start_then_name(self):
        child = Doer.start_link()
        self.system.register("worker", child)
        return child

    second = starter.ask(start_then_name)
    assert system.whereis("worker") is second is not first
    assert system.clock.monotonic() - began == Lingering.seconds


def test_whoever_has_started_long_ago_is_named_at_once_or_not_at_all(system, tree):
    parent = system.start(Doer)
    child = parent.ask(lambda _self: Doer.start_link())
    tree(Staying).kill()
    system.settle()
    system._orphans.clear()  # as if its patience had not been used up
    began = system.clock.monotonic()
    with pytest.raises(NameTakenError):
        child.ask(lambda self: self.system.register("worker", self.actor_ref))
    with pytest.raises(NameTakenError):
        system.register("worker", child)
    assert system.clock.monotonic() == began


def test_an_end_that_is_awaited_leaves_nothing_behind(system, tree):
    tree(Lingering).kill()
    system.advance(Lingering.seconds)
    assert system._orphans == {}


def test_a_name_whose_owner_has_a_living_parent_is_taken_at_once(system, tree):
    tree(SharedWorker)
    began = system.clock.monotonic()
    starter = system.start(Doer)
    with pytest.raises(NameTakenError):
        starter.ask(lambda _self: start_named("worker", Doer))
    assert system.clock.monotonic() == began


def test_nobody_waits_for_one_that_has_outlived_the_same_ancestor(system):
    grandparent = system.start(Doer)
    parent = grandparent.ask(lambda _self: Doer.start_link(trap=True))
    parent.ask(lambda _self: start_named("worker", Doer, trap=True))
    grandparent.kill()
    began = system.clock.monotonic()
    with pytest.raises(NameTakenError):
        parent.ask(lambda _self: start_named("worker", Doer))
    assert system.clock.monotonic() == began


def test_an_orphan_that_waits_for_the_starter_is_not_waited_for(system):
    starter = system.start(Doer)
    parent = system.start(Doer)

    class Asks(SharedWorker):
        def on_stop(self):
            seen.append(starter.ask(lambda _self: _try_to_start()))

    seen = []

    def _try_to_start():
        with pytest.raises(NameTakenError):
            start_named("worker", Doer)
        return "refused at once"

    parent.ask(lambda _self: start_named("worker", Asks, []))
    began = system.clock.monotonic()
    parent.kill()
    system.settle()
    assert seen == ["refused at once"]
    assert system.clock.monotonic() == began


def test_a_root_that_is_started_by_hand_does_not_wait(system, tree):
    tree(Staying).kill()
    system.settle()
    began = system.clock.monotonic()
    with pytest.raises((NameTakenError, StartError)):
        system.start(Doer, name="worker")
    assert system.clock.monotonic() == began
