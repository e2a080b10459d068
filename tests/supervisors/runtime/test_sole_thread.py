"""A thread of which there is one at most, and a machine that has none left for a moment."""

from __future__ import annotations

import threading

import pytest

from supervisors import ActorSystem
from supervisors.runtime import sole_thread
from supervisors.runtime.sole_thread import SoleThread
from tests.supervisors.actors import Echo, SharedDoer
from tests.supervisors.interrupting import interrupted


@pytest.fixture
def no_thread_once(monkeypatch):
    """Have the next start of a thread with such a name fail."""
    start = threading.Thread.start

    def refuse(prefix):
        def start_others(thread):
            if not thread.name.startswith(prefix):
                return start(thread)
            monkeypatch.setattr(threading.Thread, "start", start)
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(threading.Thread, "start", start_others)

    return refuse


def test_a_timer_that_finds_no_thread_is_refused_and_the_next_one_rings(real, no_thread_once):
    ref, rung = real.start(SharedDoer), threading.Event()
    no_thread_once("supervisors-timers")
    with pytest.raises(RuntimeError, match="new thread"):
        real.timers.send_after(0.01, ref, "x")
    assert real.timers.pending() == 0
    real.timers.send_after(0.01, ref, lambda _: rung.set())
    assert rung.wait(10)


def test_a_system_whose_timers_got_no_thread_stops(no_thread_once):
    with ActorSystem(workers=1) as system:
        ref = system.start(SharedDoer)
        no_thread_once("supervisors-timers")
        with pytest.raises(RuntimeError, match="new thread"):
            system.timers.send_after(60.0, ref, "x")


def test_a_start_that_finds_no_thread_to_watch_turns_leaves_nobody_and_the_next_one_gets_it(no_thread_once):
    with ActorSystem(workers=1) as system:
        no_thread_once("supervisors-watchdog")
        with pytest.raises(RuntimeError, match="new thread"):
            system.start(Echo)
        assert system.actors() == []
        assert system.start(Echo).ask(1) == 1
        assert system._watchdog.is_started


def test_it_starts_once_and_is_waited_for():
    begun, over = [], threading.Event()

    def work():
        begun.append(threading.current_thread())
        over.wait(10)

    thread = SoleThread(work, "sole")
    for _ in range(3):
        thread.start()
    over.set()
    thread.join()
    assert [each.name for each in begun] == ["sole"]
    assert not begun[0].is_alive()


def test_a_ctrl_c_while_it_starts_makes_no_second_one_and_the_next_start_succeeds():
    position, is_reached = 1, True
    while is_reached:
        begun, over = [], threading.Event()

        def work(begun=begun, over=over):
            begun.append(None)
            over.wait(10)

        thread = SoleThread(work, "sole")
        is_reached = interrupted(position, thread.start, {sole_thread.__file__})
        thread.start()
        assert thread.is_started
        over.set()
        thread.join()
        assert begun == [None]
        position += 1
