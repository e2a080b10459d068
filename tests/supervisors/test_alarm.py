from __future__ import annotations

import pytest

from supervisors import Actor
from supervisors.alarm import Alarm, Rung


class Sleeper(Actor):
    """Sets its alarm when told a delay; notes every ring and when it was due."""

    dispatch = "inline"

    def __init__(self, due, rings):
        super().__init__()
        self.due = due
        self.rings = rings

    def on_start(self):
        self.alarm = Alarm(self, "wake up")

    def on_receive(self, message):
        now = self.system.clock.monotonic()
        if isinstance(message, float):
            self.alarm.set(now + message)
        elif isinstance(message, Rung):
            self.rings.append(now)
            if message.alarm.is_due(message):
                self.due.append((now, message.alarm.about))
        else:
            getattr(self.alarm, message)()


@pytest.fixture
def due():
    return []


@pytest.fixture
def rings():
    return []


@pytest.fixture
def sleeper(system, due, rings):
    return system.start(Sleeper, due, rings)


def test_an_alarm_is_due_at_its_time(system, sleeper, due):
    sleeper.tell(5.0)
    system.advance(4.9)
    assert due == []
    system.advance(0.1)
    assert due == [(5.0, "wake up")]


def test_an_alarm_that_was_put_off_is_due_at_the_later_time_only(system, sleeper, due):
    sleeper.tell(5.0)
    system.advance(3.0)
    sleeper.tell(5.0)
    system.advance(100.0)
    assert due == [(8.0, "wake up")]


def test_an_alarm_that_is_put_off_often_rings_seldom(system, sleeper, rings):
    for _ in range(50):
        sleeper.tell(5.0)
        system.advance(1.0)
    # It does ring: the timer was left armed, and found out when it rang.
    assert 0 < len(rings) < 50 / 3


def test_an_alarm_can_be_set_earlier(system, sleeper, due):
    sleeper.tell(50.0)
    sleeper.tell(5.0)
    assert system.statistics()["timers"] == 1
    system.advance(100.0)
    assert due == [(5.0, "wake up")]


def test_an_alarm_that_was_put_off_for_good_is_not_due(system, sleeper, due):
    sleeper.tell(5.0)
    sleeper.tell("put_off")
    system.advance(100.0)
    assert due == []


def test_an_alarm_can_be_set_again_after_it_was_put_off(system, sleeper, due):
    sleeper.tell(5.0)
    sleeper.tell("put_off")
    system.advance(6.0)
    sleeper.tell(5.0)
    system.advance(100.0)
    assert due == [(11.0, "wake up")]


def test_a_cancelled_alarm_has_no_timer(system, sleeper, rings):
    sleeper.tell(5.0)
    sleeper.tell("cancel")
    assert system.statistics()["timers"] == 0
    system.advance(100.0)
    assert rings == []


@pytest.mark.parametrize("meanwhile", [["cancel"], [1.0], ["cancel", 1.0]])
def test_a_ring_that_has_been_overtaken_in_the_mailbox_is_not_due(system, sleeper, due, meanwhile):
    sleeper.tell(5.0)
    sleeper.suspend()
    for message in meanwhile:
        sleeper.tell(message)
    system.advance(5.0)
    sleeper.resume()
    assert due == []
    assert system.statistics()["timers"] == (1.0 in meanwhile)
    system.advance(100.0)
    assert due == [(6.0, "wake up")] * (1.0 in meanwhile)
