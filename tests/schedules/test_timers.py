"""A timer either fires or is cancelled, whatever the schedule, and its thread wakes in time."""

from __future__ import annotations

import time

import pytest

from supervisors import Actor
from supervisors.clock import SystemClock, VirtualClock
from supervisors.timers.service import TimerService
from tests.schedules.exploring import State, explore, new_system


class Keeper(Actor):
    dispatch = "inline"

    def __init__(self):
        super().__init__()
        self.got = []

    def on_receive(self, message):
        self.got.append(message)


class CancelsWithoutTheLock(TimerService):  # type: ignore[misc]  # final for everybody else
    """Planted: looking whether the timer is pending and marking it are two steps."""

    __slots__ = ()

    def cancel_own(self, timer):
        if not timer.is_pending:
            return None
        left = timer.deadline - self._clock.monotonic()
        timer.is_pending = False
        self._stale += 1
        return left


class ArmsAgainRegardless(TimerService):  # type: ignore[misc]
    """Planted: an interval goes on although it was cancelled while it fired."""

    __slots__ = ()

    def _rearm(self, timer, due):
        timer.deadline, timer.interval = due, 1.0
        super()._rearm(timer, due)


class NeverWakesTheThread(TimerService):  # type: ignore[misc]
    """Planted: a timer that is due before all others does not wake the thread."""

    __slots__ = ()

    def arm(self, timer):
        with self._lock:
            self._new.append(timer)
            timer.is_pending = True
            self._held += 1
        return timer


def pending(service_class, interval=None):
    """Return a setup: one timer that is due, and nobody has fired it yet."""

    def setup():
        system = new_system()
        ref = system.start(Keeper)
        service = service_class(VirtualClock(), system.whereis, lambda: 0)
        if interval is None:
            timer = service.send_after(1.0, ref, "ring")
        else:
            timer = service.send_interval(interval, ref, "ring")
        return State(service=service, timer=timer, keeper=ref._actor_weakref(), left=None)

    return setup


def fire(state):
    state.service.fire_next(1.0)


def cancel(state):
    state.left = state.timer.cancel()


def fired_or_cancelled(state):
    # Exactly one of the two, and nothing is left pending.
    return (state.left is None) == (state.keeper.got == ["ring"]) and not state.service.pending()


def test_a_timer_fires_or_is_cancelled_and_never_both():
    assert explore(pending(TimerService), [fire, cancel], fired_or_cancelled)


def test_a_timer_that_is_cancelled_and_fires_would_be_found():
    assert explore(pending(CancelsWithoutTheLock), [fire, cancel], fired_or_cancelled) is None


def silent(state):
    return not state.service.pending() and len(state.keeper.got) <= 1


def test_an_interval_that_is_cancelled_while_it_fires_is_over():
    assert explore(pending(TimerService, interval=1.0), [fire, cancel], silent)


def test_an_interval_that_goes_on_after_its_cancellation_would_be_found():
    assert explore(pending(ArmsAgainRegardless, interval=1.0), [fire, cancel], silent) is None


class PatchedClock(SystemClock):  # type: ignore[misc]
    """Real time as frontrun has it: it replaces the functions in `time`, and we hold on to the true one."""

    def monotonic(self):
        return time.monotonic()


def waiting_thread(service_class):
    """Return a setup: a service on real time whose thread is one of the explored ones."""

    def setup():
        system = new_system()
        ref = system.start(Keeper)
        state = State(system=system, ref=ref, keeper=ref._actor_weakref(), late=None)

        class Once(service_class):  # type: ignore[misc, valid-type]
            """Ends its thread once a timer has fired."""

            def _fire(self, timer):
                state.late = time.monotonic() - timer.deadline
                super()._fire(timer)
                self._stopped = True

        state.service = Once(PatchedClock(), system.whereis, lambda: 0)
        state.service._needs_thread = False  # there is one: run()
        state.service.send_after(3600.0, ref, "far off")
        return state

    return setup


def run(state):
    state.service._run()


def arm(state):
    state.service.send_after(1.0, state.ref, "ring")


def in_time(state):
    state.system.scheduler.work()
    return state.keeper.got == ["ring"] and state.late < 0.5


@pytest.mark.parametrize(("service_class", "found"), [(TimerService, False), (NeverWakesTheThread, True)])
def test_a_new_timer_wakes_the_thread_that_sleeps_until_a_later_one(service_class, found):
    held = explore(waiting_thread(service_class), [run, arm], in_time, clock="virtual")
    assert (held is None) == found
