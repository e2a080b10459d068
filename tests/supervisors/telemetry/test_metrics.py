from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from supervisors import Actor, ActorSystem, ChildSpec, Supervisor, SupervisorFlags, VirtualClock
from supervisors.telemetry.metrics import ActorSystemCollector
from supervisors.telemetry.tally import ChildTally


class Idle(Actor):
    def on_receive(self, message):
        if message == "crash":
            raise KeyError(message)
        return message


class Top(Supervisor):
    def init(self):
        return SupervisorFlags(), [ChildSpec("worker", Idle)]


@pytest.fixture
def system():
    with ActorSystem(clock=VirtualClock()) as system:
        yield system


def registry_of(system, tally=None):
    registry = CollectorRegistry()
    registry.register(ActorSystemCollector(system, tally))
    return registry


def test_actors_names_and_timers_are_counted(system):
    system.start(Idle, name="idle")
    system.timers.send_after(5.0, system.whereis("idle"), "later")
    registry = registry_of(system)
    assert registry.get_sample_value("supervisors_actors") == 1
    assert registry.get_sample_value("supervisors_names") == 1
    assert registry.get_sample_value("supervisors_timers") == 1


def test_figures_are_read_at_each_scrape(system):
    registry = registry_of(system)
    assert registry.get_sample_value("supervisors_actors") == 0
    system.start(Idle)
    assert registry.get_sample_value("supervisors_actors") == 1


def test_mailboxes_are_summed_and_the_longest_is_told(system):
    refs = [system.spawn(Idle, dispatch="shared", link=False, report=True) for _ in range(2)]
    for ref in (*refs, *refs, refs[0]):
        ref.tell("message")
    registry = registry_of(system)
    assert registry.get_sample_value("supervisors_mailbox_messages") == 5
    assert registry.get_sample_value("supervisors_mailbox_longest_messages") == 3


def test_dead_letters_and_crashes_are_counted(system):
    ref = system.start(Idle)
    ref.tell("crash")
    system.settle()
    ref.send("late")
    system.settle()
    registry = registry_of(system)
    assert registry.get_sample_value("supervisors_crashes_total") == 1
    assert registry.get_sample_value("supervisors_dead_letters_total") == 1


def test_a_supervised_child_that_crashes_is_counted_with_its_reason(system):
    tally = ChildTally()
    system.on_report(tally.count)
    system.start(Top, name="top")
    worker = next(ref for ref in system.actors() if ref.actor_class is Idle)
    worker.tell("crash")
    system.settle()
    registry = registry_of(system, tally)
    child = {"supervisor": "top", "child": "worker"}
    assert registry.get_sample_value("supervisors_child_starts_total", child) == 2
    assert registry.get_sample_value("supervisors_child_restarts_total", child) == 1
    failure = {**child, "context": "child_terminated", "reason": "KeyError"}
    assert registry.get_sample_value("supervisors_child_failures_total", failure) == 1


def test_a_child_that_never_failed_has_a_count_of_zero(system):
    tally = ChildTally()
    system.on_report(tally.count)
    system.start(Top, name="top")
    registry = registry_of(system, tally)
    child = {"supervisor": "top", "child": "worker"}
    assert registry.get_sample_value("supervisors_child_restarts_total", child) == 0


def test_in_virtual_time_there_are_no_workers(system):
    assert registry_of(system).get_sample_value("supervisors_workers", {"state": "idle"}) is None


def test_workers_are_counted_by_what_they_do():
    with ActorSystem(workers=2) as system:
        registry = registry_of(system)
        states = [registry.get_sample_value("supervisors_workers", {"state": s}) for s in ("busy", "idle", "waiting")]
        assert None not in states


def test_a_stopped_system_can_still_be_read(system):
    registry = registry_of(system)
    system.stop()
    assert registry.get_sample_value("supervisors_actors") == 0


def test_registering_reads_nothing():
    class Unreadable:
        def statistics(self):
            raise AssertionError

    CollectorRegistry(auto_describe=True).register(ActorSystemCollector(Unreadable()))
