"""What the simulator has found, each as a fact of its own."""

from __future__ import annotations

import threading

import pytest

from supervisors import Actor, ActorDeadError, ActorSystem, Down, ScheduledFuture
from supervisors.simulation import run_seed
from supervisors.simulation.workloads import linked_actors


class Blocker(Actor):
    """Stays in its turn until it is let go."""

    def on_receive(self, message):
        entered, leave = message
        entered.set()
        leave.wait(10)


class Watcher(Actor):
    """Hands on the first `Down` it gets."""

    def __init__(self, told):
        super().__init__()
        self._told = told

    def on_receive(self, message):
        if isinstance(message, Down):
            self._told.set(message.reason)
        else:
            self.monitor(message)


@pytest.fixture
def killed():
    """An actor that was killed in the middle of a turn which has not returned yet."""
    entered, leave = threading.Event(), threading.Event()
    with ActorSystem(workers=4) as system:
        blocker = system.start(Blocker)
        blocker.tell((entered, leave))
        assert entered.wait(10)
        blocker.kill()
        yield system, blocker
        leave.set()


def test_monitoring_who_was_killed_in_a_turn_fires(killed):
    system, blocker = killed
    told = ScheduledFuture()
    system.start(Watcher, told).tell(blocker)
    assert told.get(timeout=5) == "noproc"


def test_who_was_killed_in_a_turn_still_answers_after_somebody_has_monitored_it(killed):
    system, blocker = killed
    system.start(Watcher, ScheduledFuture()).ask(blocker)
    with pytest.raises(ActorDeadError):
        blocker.ask("hello", timeout=5)


@pytest.mark.parametrize("seed", [51])
def test_seeds_that_once_failed_are_well(seed):
    assert not run_seed(linked_actors, seed).failed
