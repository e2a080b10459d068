from __future__ import annotations

import threading

import pytest

from supervisors import Actor, ActorSystem
from tests.supervisors.actors import Recorder, SharedDoer


def test_intervals_do_not_drift(system):
    times = []

    class Clocked(Actor):
        dispatch = "inline"

        def on_receive(self, message):
            times.append(self.system.clock.monotonic())

    system.timers.send_interval(0.1, system.start(Clocked), "tick")
    system.advance(1.05)
    assert times == pytest.approx([0.1 * step for step in range(1, 11)], abs=1e-12)


def test_an_interval_ends_with_its_receiver(system):
    ref = system.start(Recorder)
    system.timers.send_interval(1.0, ref, "tick")
    system.advance(2.5)
    ref.stop()
    system.advance(10.0)
    assert system.timers.pending() == 0


def test_an_interval_for_a_name_finds_the_next_owner(system):
    system.timers.send_interval(1.0, "clock", "tick")
    system.advance(1.5)
    ref = system.start(Recorder, name="clock")
    system.advance(1.0)
    assert ref.ask("seen") == ["tick"]


def test_an_interval_cancelled_while_it_fires_does_not_fire_again(system):
    class Once(Recorder):
        def on_receive(self, message):
            self.seen.append(message)
            timer.cancel()

    ref = system.start(Once)
    timer = system.timers.send_interval(1.0, ref, "tick")
    system.advance(5.0)
    assert ref.messages_handled == 1
    assert system.timers.pending() == 0


def test_cancel_tells_what_was_left_and_only_once(system):
    timer = system.timers.send_after(5.0, system.start(Recorder), "x")
    system.advance(2.0)
    assert timer.remaining() == 3.0
    assert timer.cancel() == 3.0
    assert timer.cancel() is None
    assert timer.remaining() is None


@pytest.mark.parametrize(
    ("delay", "kind"), [(-1, ValueError), (float("nan"), ValueError), (float("inf"), ValueError), ("1", TypeError)]
)
def test_a_delay_is_a_number_of_seconds(system, delay, kind):
    with pytest.raises(kind) as caught:
        system.timers.send_after(delay, system.start(Recorder), "x")
    assert caught.value.field == "delay"


@pytest.mark.parametrize("interval", [0, 0.0, 1e-9])
def test_an_interval_is_long_enough_for_the_clock_to_move(system, interval):
    with pytest.raises(ValueError, match="interval"):
        system.timers.send_interval(interval, system.start(Recorder), "x")


@pytest.mark.parametrize("deadline", [float("nan"), float("inf")])
def test_a_deadline_is_finite(system, deadline):
    with pytest.raises(ValueError, match="deadline"):
        system.timers.send_at(deadline, system.start(Recorder), "x")


@pytest.mark.parametrize("to", [None, []])
def test_the_receiver_is_a_ref_or_a_name(system, to):
    with pytest.raises((TypeError, ValueError), match="to"):
        system.timers.send_after(1.0, to, "x")


@pytest.mark.parametrize("reading", [float("nan"), -1.0])
def test_time_does_not_go_back(system, reading):
    with pytest.raises(ValueError, match="reading"):
        system.advance_to(reading)


def test_a_real_timer_fires_on_the_pool_and_not_on_the_timer_thread(real):
    fired, names = threading.Event(), []

    def note(_):
        names.append(threading.current_thread().name)
        fired.set()

    real.timers.send_after(0.01, real.start(SharedDoer), note)
    assert fired.wait(10)
    assert "timers" not in names[0]


def test_an_earlier_timer_wakes_the_thread_that_sleeps_for_a_later_one(real):
    fired = threading.Event()
    ref = real.start(SharedDoer)
    real.timers.send_after(60.0, ref, lambda _: None)
    real.timers.send_after(0.01, ref, lambda _: fired.set())
    assert fired.wait(10)


def test_a_stopped_service_forgets_its_timers_and_takes_no_more():
    with ActorSystem(workers=1) as system:
        timer = system.timers.send_after(60.0, system.start(Recorder), "x")
    assert system.timers.pending() == 0
    assert timer.cancel() is None
    assert system.timers.send_after(1.0, "nobody", "x").remaining() is None


def test_firing_does_not_make_actors_heavier(system):
    ref = system.start(Recorder)
    system.timers.send_after(1.0, ref, "x")
    system.advance(1.0)
    assert ref.__dict__ == {}


def test_a_timer_that_is_hurried_fires_now_and_not_again(system):
    ref = system.start(Recorder, name="clock")
    system.timers.send_after(3.0, ref, "later")
    system.timers.send_after(2.0, "clock", "soon")
    assert system.timers.hurry(lambda to: to in (ref, "clock"), 10.0) == 2.0
    system.settle()
    assert ref.ask("seen") == ["soon"]
    system.advance(5.0)
    assert ref.ask("seen") == ["soon", "later"]


def test_what_is_far_off_repeats_or_is_for_somebody_else_is_not_hurried(system):
    ref, other = system.start(Recorder), system.start(Recorder)
    system.timers.send_after(11.0, ref, "far off")
    system.timers.send_interval(1.0, ref, "again and again")
    system.timers.send_after(1.0, other, "for somebody else")
    assert system.timers.hurry(lambda to: to is ref, 10.0) is None
    assert system.timers.pending() == 3
