"""What the simulator has found, each as a fact of its own."""

from __future__ import annotations

import threading
from contextlib import suppress

import pytest

from supervisors import Actor, ActorDeadError, ActorSystem, Down, ScheduledFuture
from supervisors.simulation import run_seed
from supervisors.simulation.workloads import linked_actors, supervised_workers
from tests.simulation.session_workload import sessions


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


class Crasher(Actor):
    """Crashes when asked, and takes its time to clean up."""

    crash_on_ask_error = True

    def on_receive(self, message):
        raise ZeroDivisionError

    def on_failure(self, *error):
        self.system.scheduler.sleep(5.0)


def asks_who_is_killed_while_cleaning_up(simulation):
    """Sessions, seed 117: the asker of a supervisor that was killed during its cleanup waited for ever."""
    crasher = simulation.system.start(Crasher)
    answer = simulation.client(lambda: crasher.ask("crash", timeout=None))
    simulation.sleep(1.0)
    crasher.kill()
    with suppress(ActorDeadError, ZeroDivisionError):
        answer.get(timeout=10.0)


def test_who_asked_an_actor_that_is_killed_during_its_cleanup_is_told():
    outcome = run_seed(asks_who_is_killed_while_cleaning_up, 0)
    assert not outcome.failed, str(outcome)


@pytest.mark.parametrize(
    ("workload", "seed"),
    [
        (linked_actors, 51),
        (linked_actors, 3773),  # the simulator had the end of a killed actor overtake what a partition held back
        (supervised_workers, 384),  # a supervisor told to end in its first start waited for a child without end
        (sessions, 117),  # see above
        (sessions, 122),  # a supervisor used up its restarts waiting for names of its predecessor's children
        (sessions, 84),  # the root supervisor gives up: what was acknowledged is in the store all the same
        (sessions, 217),
        (sessions, 275),
        (sessions, 484),
        (sessions, 274),  # one that crashed in its start told the log of the end of a living session
        (sessions, 9),  # or of one that had ended
    ],
)
def test_seeds_that_once_failed_are_well(workload, seed):
    outcome = run_seed(workload, seed)
    assert not outcome.failed, str(outcome)
