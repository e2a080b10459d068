"""SUP-49: a restarted supervisor, and the children of its killed predecessor that still have their names."""

from __future__ import annotations

import pytest

from supervisors import NameTakenError, StartError
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


@pytest.fixture
def tree(system):
    """Start a root with one supervisor below, whose only child has a name."""
    errors = []
    system.on_report(lambda report: errors.append(report) if isinstance(report, ErrorReport) else None)

    def start(kind, *, levels=1):
        spec = ChildSpec("worker", start_named, ("worker", kind, []))
        for level in range(levels):
            spec = ChildSpec(f"level {level}", Supervisor, ([spec],), type="supervisor")
        root = system.start(Supervisor, [spec])
        return refs(root)[spec.id]

    start.errors = errors
    return start


def contexts(reports):
    return [report.error_context for report in reports]


def test_sup_49_children_of_a_killed_supervisor_that_clean_up_cost_no_restart(system, tree):
    middle = tree(Lingering)
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
