from __future__ import annotations

import threading

import pytest

from supervisors import KILLED, SHUTDOWN, Actor, ActorSystem, InvalidArgumentError, UsageError
from supervisors.supervision.budget import shut_down
from supervisors.supervision.calls import which_children
from supervisors.supervision.child_spec import ChildSpec
from supervisors.supervision.supervisor import Supervisor
from tests.supervisors.actors import Doer, SharedDoer
from tests.supervisors.supervision.children import Stubborn, refs, worker


@pytest.fixture
def events():
    return []


def tree(*children):
    return ChildSpec("inner", Supervisor, (list(children),), type="supervisor")


def test_a_tree_that_ends_in_time_ends_in_order(system, events):
    root = system.start(Supervisor, [worker(events, "a"), tree(worker(events, "b"))])
    report = shut_down(root, 5)
    assert report.is_orderly
    assert root.exit_reason == SHUTDOWN
    assert events == ["+a", "+b", "-b", "-a"]


def test_one_budget_holds_for_all_children_together(system, events):
    stubborn = [worker(events, name, Stubborn, shutdown=3.0) for name in "abc"]
    root = system.start(Supervisor, stubborn)
    report = shut_down(root, 4)
    assert report.seconds == 4.0
    assert system.statistics()["actors"] == 0


def test_who_had_to_be_killed_is_told(system, events):
    inner = tree(worker(events, "a"), worker(events, "b", Stubborn, shutdown="infinity"))
    root = system.start(Supervisor, [worker(events, "c"), inner])
    below = refs(root)["inner"]
    stubborn, polite, first = refs(below)["b"], refs(below)["a"], refs(root)["c"]
    report = shut_down(root, 2)
    assert set(report.killed) == {root, below, stubborn, polite, first}
    assert stubborn.exit_reason == KILLED
    assert report.abandoned == ()
    assert not report.is_orderly


def test_a_turn_that_does_not_return_is_abandoned_and_told():
    entered, leave = threading.Event(), threading.Event()

    class Hanging(Actor):
        dispatch = "inline"  # it runs on a thread that is not ours to abandon

        def on_receive(self, message):
            entered.set()
            leave.wait()

    with ActorSystem(workers=2) as real:
        root = real.start(Supervisor, [ChildSpec("h", Hanging, shutdown="infinity")])
        [record] = which_children(root)
        teller = threading.Thread(target=record.ref.tell, args=("hang",))
        teller.start()
        assert entered.wait(5)
        report = shut_down(root, 0.02, kill_seconds=0.02)
        leave.set()
        teller.join(5)
        assert report.abandoned == (record.ref,)
        assert report.killed == (root,)
        assert record.ref.join(5) == SHUTDOWN  # that signal came first


def test_a_supervised_tree_is_its_supervisors_to_end(system, events):
    root = system.start(Supervisor, [tree(worker(events, "a"))])
    with pytest.raises(UsageError, match="terminate_child"):
        shut_down(refs(root)["inner"], 1)
    assert refs(root)["inner"].is_alive()


def test_the_parent_itself_may_end_its_tree(system, events):
    parent = system.start(Doer, trap=True)
    root = parent.ask(lambda _self: Supervisor.start_link([worker(events, "a")]))
    assert parent.ask(lambda _self: shut_down(root, 1)).is_orderly
    assert events == ["+a", "-a"]


@pytest.mark.parametrize("kind", [Doer, SharedDoer])
def test_who_belongs_to_the_tree_cannot_wait_for_its_own_end(system, events, kind):
    root = system.start(Supervisor, [tree(ChildSpec("child", kind)), worker(events, "a")])
    child = refs(refs(root)["inner"])["child"]

    def act(_self):
        with pytest.raises(UsageError, match="cannot wait for its own end"):
            shut_down(root, 1)
        with pytest.raises(UsageError, match="cannot wait for its own end"):
            shut_down(child, 1)

    child.ask(act)
    assert root.is_alive()
    assert child.is_alive()
    assert events == ["+a"]


def test_a_dead_tree_takes_no_time(system):
    root = system.start(Supervisor, [])
    root.stop()
    assert shut_down(root, 1).is_orderly


@pytest.mark.parametrize("field", ["seconds", "kill_seconds"])
def test_seconds_that_are_none_are_refused(system, field):
    root = system.start(Supervisor, [])
    with pytest.raises(InvalidArgumentError, match=field):
        shut_down(root, **{"seconds": 1.0, field: -1})


def test_a_child_that_its_start_function_found_elsewhere_is_told_too(system, events):
    spec = ChildSpec("found", lambda: system.start(Stubborn, events, "found"), shutdown="infinity")
    root = system.start(Supervisor, [spec])
    (found,) = refs(root).values()
    report = shut_down(root, 2)
    assert set(report.killed) == {root, found}
    assert system.statistics()["actors"] == 0
