"""Each stock checker is shown the bug that it is there for, planted in the real classes."""

from __future__ import annotations

import pytest

from supervisors import Actor, ActorSystem, Exited
from supervisors.registry import Registry
from supervisors.runtime.futures import ScheduledFuture
from supervisors.runtime.life import LivingCell
from supervisors.runtime.signals import NOTHING, Ask, DownSignal, LinkExit, MonitorRef
from supervisors.runtime.small_set import without_item
from supervisors.simulation import Simulation, SimulationFailedError, simulate
from supervisors.simulation.checkers import NothingLeft
from supervisors.simulation.workloads import supervised_workers
from supervisors.supervision.performer import SupervisorActor
from tests.supervisors.actors import Recorder


def seeds_until(by, workload=supervised_workers, options=None, seeds=60):
    """Return how many seeds it takes until a run fails, and the failure; it must be by this checker."""
    with pytest.raises(SimulationFailedError) as caught:
        simulate(workload, range(seeds), options, shrink_runs=40)
    assert caught.value.outcome.by == by
    assert caught.value.shrunk.by == by
    return caught.value.outcome.seed + 1


def test_asks_that_a_dead_mailbox_forgets_are_found(monkeypatch):
    def bury(self):
        for item in [each for each in self._outer if isinstance(each, Ask)]:
            self._outer.remove(item)
        proper(self)

    proper = LivingCell._bury
    monkeypatch.setattr(LivingCell, "_bury", bury)
    assert seeds_until("EveryAskEndsOnce") <= 20


def test_a_reply_that_comes_over_a_timeout_is_found(monkeypatch):
    def offer(self, value=None, error=None):
        if self._done and self._get_hook is None:
            self._value, self._error = value, error
            return True
        return proper(self, value, error)

    proper = ScheduledFuture.offer
    monkeypatch.setattr(ScheduledFuture, "offer", offer)
    assert seeds_until("EveryAskEndsOnce") <= 20


def test_a_monitor_that_is_forgotten_when_there_are_links_is_found(monkeypatch):
    def announce(self, reason):
        if self.links and self.watchers:
            for monitor in [each for each in self.watchers if isinstance(each, MonitorRef)]:
                self.watchers = without_item(self.watchers, monitor)
        proper(self, reason)

    proper = LivingCell._announce
    monkeypatch.setattr(LivingCell, "_announce", announce)
    assert seeds_until("MonitorsExact") <= 20


def test_a_monitor_that_fires_twice_is_found(monkeypatch):
    def announce(self, reason):
        for monitor in [each for each in self.watchers or () if isinstance(each, MonitorRef)]:
            if monitor.owner is not None:
                monitor.owner.signal(DownSignal(monitor, reason))
        proper(self, reason)

    proper = LivingCell._announce
    monkeypatch.setattr(LivingCell, "_announce", announce)
    assert seeds_until("MonitorsExact") <= 20


def test_an_exit_signal_that_is_lost_while_a_message_waits_is_found(monkeypatch):
    def apply(self, ref):
        return NOTHING if ref._inner else proper(self, ref)

    proper = LinkExit.apply
    monkeypatch.setattr(LinkExit, "apply", apply)
    assert seeds_until("LinksExact") <= 20


def test_a_link_that_only_one_side_knows_is_found(monkeypatch):
    class Linker(Actor):
        def on_receive(self, other):
            self.link(other)

    def workload(simulation):
        recorder = simulation.system.start(Recorder)
        simulation.system.start(Linker).ask(recorder)

    simulate(workload, range(3))
    monkeypatch.setattr("supervisors.runtime.signals.Linked.apply", lambda self, ref: NOTHING)
    assert seeds_until("LinksExact", workload) == 1


def test_a_supervisor_that_loses_an_exit_during_another_restart_is_found(monkeypatch):
    def receive_tell(self, message):
        if isinstance(message, Exited) and self.actor_ref.mailbox_length:
            return
        proper(self, message)

    proper = SupervisorActor.receive_tell
    monkeypatch.setattr(SupervisorActor, "receive_tell", receive_tell)
    assert seeds_until("TreeToSpec") <= 60


def test_an_actor_that_is_never_forgotten_is_found(monkeypatch):
    def ended(self, ref, reason):
        if reason == "killed":
            self.registry.forget(ref)
        else:
            proper(self, ref, reason)

    proper = ActorSystem.ended
    monkeypatch.setattr(ActorSystem, "ended", ended)
    assert seeds_until("NothingLeft") <= 20


def test_a_name_that_is_never_freed_is_found(monkeypatch):
    def workload(simulation):
        simulation.system.start(Recorder, name="taken").stop()

    simulate(workload, range(3))
    monkeypatch.setattr(Registry, "forget", lambda self, ref: None)
    assert seeds_until("NothingLeft", workload) == 1


def test_a_timer_that_goes_on_without_end_is_found():
    def workload(simulation):
        simulation.system.start(Recorder, name="taken").stop()
        simulation.system.timers.send_interval(1.0, "taken", "forgotten to cancel")

    assert seeds_until("NothingLeft", workload) == 1


def test_a_turn_that_waits_for_ever_is_found(monkeypatch):
    class Holder(Actor):
        def on_receive(self, message):
            self.defer_reply()

    class Asker(Actor):
        def on_receive(self, holder):
            holder.ask("never answered", timeout=None)

    def workload(simulation):
        holder, asker = simulation.system.start(Holder), simulation.system.start(Asker)
        asker.tell(holder)
        simulation.system.settle()
        asker.kill()

    def end(self, reason, **how):
        self._pending = None
        proper(self, reason, **how)

    proper = LivingCell._end
    monkeypatch.setattr(LivingCell, "_end", end)
    with Simulation(1, checkers=[NothingLeft]) as simulation:
        outcome = simulation.run(workload)
    assert (outcome.verdict, outcome.by) == ("leak", "NothingLeft")
    assert "1 turns still wait: Asker#2" in outcome.what
