"""The rules of OTP about timers, by number; the rest is in the files beside this one."""

from __future__ import annotations

import pytest

from supervisors import TimedOut
from supervisors.timers.service import TimerService
from tests.supervisors.actors import Doer, Recorder


def test_timer_1_a_message_comes_after_its_time_and_not_before(system):
    ref = system.start(Recorder)
    system.timers.send_after(1.0, ref, "now")
    system.advance(0.999)
    assert ref.ask("seen") == []
    system.advance(0.001)
    assert ref.ask("seen") == ["now"]


def test_timer_1_no_delay_is_still_a_message_behind_what_is_there(system):
    ref = system.start(Doer)

    def act(self):
        self.actor_ref.send("there already")
        self.send_after(0, "from the timer")
        self.actor_ref.send("sent later")
        return list(self.seen)

    assert ref.ask(act) == []
    system.advance(0)
    assert ref.ask("seen") == ["there already", "sent later", "from the timer"]


def test_timer_1_start_timer_sends_the_timer_along(system):
    ref = system.start(Doer)
    timer = ref.ask(lambda self: self.start_timer(1.0, "now"))
    system.advance(1.0)
    [seen] = ref.ask("seen")
    assert isinstance(seen, TimedOut)
    assert seen.timer is timer
    assert seen.message == "now"


def test_timer_2_cancel_tells_the_seconds_left_and_nothing_comes(system):
    ref = system.start(Recorder)
    timer = system.timers.send_after(1.0, ref, "now")
    system.advance(0.25)
    assert timer.cancel() == 0.75
    system.advance(5.0)
    assert ref.ask("seen") == []


def test_timer_2_cancel_tells_none_when_it_is_over(system):
    ref = system.start(Recorder)
    fired = system.timers.send_after(1.0, ref, "now")
    system.advance(1.0)
    assert fired.cancel() is None
    cancelled = system.timers.send_after(1.0, ref, "never")
    cancelled.cancel()
    assert cancelled.cancel() is None
    assert ref.ask("seen") == ["now"]


def test_timer_2_after_none_the_message_may_be_in_the_mailbox_already(system):
    ref = system.start(Doer)

    def act(self):
        timer = self.send_after(1.0, "now")
        self.system.advance(1.0)
        return timer.cancel(), list(self.seen)

    assert ref.ask(act) == (None, [])
    assert ref.ask("seen") == ["now"]


def test_timer_3_a_timer_for_an_actor_that_has_ended_is_dropped(system):
    ref = system.start(Recorder)
    system.timers.send_after(1.0, ref, "now")
    ref.stop()
    system.advance(1.0)
    assert system.statistics()["dead_letters"] == 0
    assert system.timers.pending() == 0


def test_timer_3_a_name_is_looked_up_when_the_timer_fires(system):
    first = system.start(Recorder, name="n")
    system.timers.send_after(1.0, "n", "now")
    system.unregister("n")
    second = system.start(Recorder, name="n")
    system.advance(1.0)
    assert first.ask("seen") == []
    assert second.ask("seen") == ["now"]


def test_timer_3_a_name_that_nobody_has_then_drops_the_message(system):
    system.timers.send_after(1.0, "nobody", "now")
    assert system.advance(1.0) == 1
    assert system.statistics()["dead_letters"] == 0


def test_timer_4_reading_a_timer_does_not_cancel_it(system):
    ref = system.start(Recorder)
    timer = system.timers.send_after(1.0, ref, "now")
    system.advance(0.25)
    assert timer.remaining() == 0.75
    system.advance(0.75)
    assert timer.remaining() is None
    assert ref.ask("seen") == ["now"]


class WallClockJumps:
    """Monotonic time stands still while the wall clock does what it likes."""

    def __init__(self):
        self.wall = 0.0

    def monotonic(self):
        return 100.0

    def time(self):
        return self.wall


def test_timer_5_a_jump_of_the_wall_clock_changes_nothing():
    clock = WallClockJumps()
    service = TimerService(clock, lambda name: None, lambda: 0)
    try:
        timer = service.send_after(5.0, "nobody", "now")
        clock.wall = 1e9
        assert timer.remaining() == 5.0
        clock.wall = -1e9
        assert timer.remaining() == pytest.approx(5.0)
        assert service.pending() == 1
    finally:
        service.stop()
