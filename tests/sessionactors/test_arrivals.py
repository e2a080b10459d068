from __future__ import annotations

import math

import pytest

from sessionactors import ReaperSettings, SessionOptions, SessionSystem
from sessionactors.arrivals import ARRIVED, Arrivals
from supervisors.clock import VirtualClock

QUIET = SessionOptions(auth_required=False, idle_timeout=None)


class Told:
    """Stands for a reaper, and notes what it is told."""

    def __init__(self):
        self.messages = []

    def send(self, message):
        self.messages.append(message)


@pytest.fixture
def reaper():
    return Told()


@pytest.fixture
def arrivals(reaper):
    return Arrivals(lambda: reaper)


@pytest.fixture
def system():
    with SessionSystem(
        session=QUIET, reaper=ReaperSettings(interval=60.0, idle_threshold=100.0), clock=VirtualClock()
    ) as made:
        yield made


def agenda(system):
    return system.actors.whereis("reaper")._actor._agenda


def test_while_nobody_looks_each_arrival_is_told(arrivals, reaper):
    arrivals.put("a", None, 5.0)
    arrivals.put("b", None, 1e300)
    assert reaper.messages == [ARRIVED, ARRIVED]


def test_who_is_looked_at_in_time_waits_in_silence(arrivals, reaper):
    arrivals.calm_from = 5.0
    arrivals.put("a", None, 5.0)
    assert (reaper.messages, len(arrivals)) == ([], 1)
    arrivals.put("b", None, 4.9)
    assert reaper.messages == [ARRIVED]


def test_very_many_are_told(arrivals, reaper):
    arrivals.calm_from = 0.0
    for number in range(1024):
        arrivals.put(f"s{number}", None, 1.0)
    assert reaper.messages == [ARRIVED]


def test_they_are_taken_in_order_and_once(arrivals):
    arrivals.put("a", None, 1.0)
    arrivals.put("b", None, 2.0)
    assert arrivals.take() == ["a", None, 1.0, "b", None, 2.0]
    assert (arrivals.take(), len(arrivals)) == ([], 0)


def test_very_many_ends_are_told(arrivals, reaper):
    for _ in range(2048):
        arrivals.left()
    assert reaper.messages == [ARRIVED, ARRIVED]


def test_without_a_reaper_they_wait_for_the_next_one():
    arrivals = Arrivals(lambda: None)
    arrivals.put("a", None, 1.0)
    assert len(arrivals) == 1


def test_a_reaper_that_was_killed_leaves_nobody_unseen(system):
    system.start_session("before")
    reaper = system.actors.whereis("reaper")
    reaper.kill()
    system.actors.settle()
    system.start_session("after")
    system.actors.advance(200.0)
    assert (system.state_of("before"), system.state_of("after")) == ("terminated", "terminated")


def test_nobody_is_calm_once_the_reaper_has_ended(system):
    system.start_session("a")
    arrivals = system.parts.around.arrivals
    assert arrivals.calm_from < math.inf
    supervisor = system.actors.whereis("reaper").parent
    supervisor.suspend()
    system.actors.whereis("reaper").kill()
    system.actors.settle()
    assert arrivals.calm_from == math.inf
    supervisor.resume()


def test_who_comes_while_a_sweep_is_armed_costs_no_message_and_is_reaped_in_time(system):
    system.start_session("first")
    reaper = system.actors.whereis("reaper")
    handled = reaper.messages_handled
    system.actors.advance(30.0)
    for number in range(50):
        system.start_session(f"s{number}")
    assert reaper.messages_handled == handled
    system.actors.advance(110.0)  # 140 s: idle for longer than 100 s by now, and 120 s was too early
    assert system.state_of("first") == "terminated"
    assert system.get_state("s0") == "new"
    system.actors.advance(40.0)
    assert system.state_of("s49") == "terminated"


@pytest.mark.parametrize("policy", ["expired", "all", "idle_timeout"])
def test_who_comes_before_a_policy_changes_belongs_to_the_new_one(system, policy):
    system.start_session("a", {"ttl": 10.0})
    system.start_session("b", {"ttl": 10.0})
    system.set_reap_policy(policy)
    system.start_session("c", {"ttl": 10.0})
    system.actors.advance(60.0 if policy != "idle_timeout" else 180.0)
    assert [system.state_of(each) for each in "abc"] == ["terminated"] * 3


def test_a_shorter_interval_holds_for_who_has_just_come(system):
    system.start_session("a")
    system.start_session("b")
    system.set_reap_interval(1.0)
    system.actors.advance(101.5)
    assert [system.state_of(each) for each in "ab"] == ["terminated"] * 2


def test_entries_of_those_that_have_ended_go(system):
    for number in range(5000):
        system.start_session(f"s{number}")
        system.terminate(f"s{number}")
    assert len(agenda(system)) + len(system.parts.around.arrivals) <= 2100


def test_who_has_ended_on_the_way_is_not_entered(system):
    system.start_session("stays")
    system.start_session("a")
    system.terminate("a")
    system.actors.whereis("reaper").send(ARRIVED)
    assert len(agenda(system)) == 1
