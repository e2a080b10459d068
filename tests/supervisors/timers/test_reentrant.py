"""Timers in the hands of whoever comes in between: finalizers, signal handlers, Ctrl-C."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from supervisors import ActorSystem, VirtualClock
from supervisors.errors import InvalidArgumentError, InvalidTypeError
from supervisors.timers import deadlines, service
from tests.supervisors.actors import Recorder
from tests.supervisors.interrupting import interrupted

ROOT = Path(__file__).parents[3]
FILES = {deadlines.__file__, service.__file__}


def in_between(position, work, act):
    """Do the work, and at a position in it something else; tell whether it was reached."""
    return interrupted(position, work, FILES, act)


def several(system, ref):
    """Arm, cancel, look and fire: what a thread does with timers."""
    timers = [system.timers.send_after(delay, ref, delay) for delay in (0.5, 0.001, 70.0, 0.5)]
    timers[2].cancel()
    system.timers.send_interval(0.4, ref, "again").cancel()
    system.advance(0.1)
    system.timers.next_deadline()
    return timers


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Sort and sweep nearly each time."""
    monkeypatch.setattr(service, "SORT_AFTER", 1)
    monkeypatch.setattr(service, "SWEEP_MIN", 0)


def test_a_handler_that_uses_timers_in_the_middle_of_another_use_goes_through():
    position, is_reached = 1, True
    while is_reached:
        with ActorSystem(clock=VirtualClock()) as system:
            ref = system.start(Recorder)

            def act(system=system, ref=ref):
                system.timers.send_after(0.2, ref, "handler's")
                system.timers.send_after(0.2, ref, "gone").cancel()
                assert system.timers.pending() >= 1

            def work(system=system, ref=ref):
                several(system, ref)

            is_reached = in_between(position, work, act)
            system.advance(1.0)
            heard = ["handler's"] if is_reached else []
            assert sorted(ref.ask("seen"), key=str) == [0.001, 0.5, 0.5, *heard]
            assert system.timers.pending() == 0
        position += 1
    assert position > 100


def test_a_ctrl_c_while_timers_are_used_leaves_their_count_right_and_loses_none_that_was_armed():
    position, is_reached = 1, True
    while is_reached:
        with ActorSystem(clock=VirtualClock()) as system:
            ref = system.start(Recorder)
            for number in range(3):
                system.timers.send_after(0.05 + number, ref, number)
            is_reached = interrupted(position, lambda: several(system, ref), FILES)  # noqa: B023 - called here
            assert system.timers.pending() == len(known(system.timers)) >= 2
            system.advance(100.0)
            seen = ref.ask("seen")
            left = known(system.timers)  # at most the interval, if nobody came to cancel it
            assert system.timers.pending() == len(left) <= 1
            assert seen.count("again") <= 250  # and never at twice the pace
            assert [each for each in seen if each in (1, 2)] == [1, 2]
        position += 1
    assert position > 100


def known(timers):
    """Return the pending timers that the service would find."""
    return {*timers._deadlines.pending(), *(each for each in timers._new if each.is_pending)}


def test_a_timer_of_another_system_is_refused(system):
    with ActorSystem(clock=VirtualClock()) as other:
        timer = other.timers.send_after(1.0, other.start(Recorder), "x")
        with pytest.raises(InvalidArgumentError, match="of this system"):
            system.timers.cancel(timer)
        with pytest.raises(InvalidTypeError, match="timer"):
            system.timers.cancel("a timer")
        assert (system.timers.pending(), other.timers.pending()) == (0, 1)
        assert other.timers.cancel(timer) == 1.0


def test_cancelled_timers_do_not_pile_up_whether_sorted_or_not(system, monkeypatch):
    monkeypatch.setattr(service, "SWEEP_MIN", 1024)
    ref = system.start(Recorder)
    for step in range(20_000):
        system.timers.send_after(3600.0 + step, ref, "x").cancel()
    timers = system.timers
    assert timers._held < 2_000
    assert len(timers._new) + sum(map(len, timers._deadlines._buckets.values())) < 2_000


FINALIZERS = """
import faulthandler, gc
from supervisors import Actor, ActorSystem
faulthandler.dump_traceback_later(30, exit=True)

class Echo(Actor):
    dispatch = "inline"
    def on_receive(self, message):
        return message

class Session:
    def __init__(self):
        self.me = self  # a cycle, as sessions and callbacks often have
        self.timer = system.timers.send_after(100.0, ref, "idle")
    def __del__(self):
        self.timer.cancel()
        system.timers.send_after(100.0, ref, "gone").cancel()

gc.set_threshold(7, 2, 2)
with ActorSystem() as system:
    ref = system.start(Echo)
    for _ in range(3000):
        Session()
    while system.timers.pending() > 3:  # another thread may be collecting
        gc.collect()
"""


def test_finalizers_may_use_timers():
    subprocess.run([sys.executable, "-c", FINALIZERS], check=True, cwd=ROOT, timeout=60)
