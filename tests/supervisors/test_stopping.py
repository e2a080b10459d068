from __future__ import annotations

import threading

import pytest

import supervisors.stopping
from supervisors import Actor, ActorSystem
from supervisors.runtime import scheduler, watchdog
from supervisors.timers import service
from tests.supervisors.actors import Echo, SharedDoer, SharedEcho
from tests.supervisors.interrupting import interrupted

FILES = {module.__file__ for module in (supervisors.stopping, scheduler, service, watchdog)}


class PinnedEcho(SharedEcho):
    dispatch = "pinned"


@pytest.fixture
def go():
    """What holds something up until the test is over."""
    event = threading.Event()
    yield event
    event.set()


class Held(Actor):
    """Cleans up for as long as it is held up."""

    def __init__(self, go, ended):
        super().__init__()
        self.go, self.cleaned_up = go, ended

    def on_stop(self):
        self.go.wait(10)
        self.cleaned_up.append(self)


class HeldInline(Held):
    dispatch = "inline"


def threads_of_ours():
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("supervisors-")}


# -- again, or at the same time ------------------------------------------------


def test_a_stop_that_was_interrupted_anywhere_is_completed_by_the_next_one():
    position, reached = 0, True
    while reached:
        position += 1
        system = ActorSystem()
        for actor_class in (Echo, SharedEcho, PinnedEcho):
            ref = system.start(actor_class)
        system.timers.send_after(1000, ref, "late")
        reached = interrupted(position, system.stop, FILES)
        assert system.stop(timeout=10) == []
        assert system.actors() == []
        assert system.timers.pending() == 0
        assert not [name for name in threads_of_ours() if "pinned" not in name]
    assert position > 20


def test_who_stops_a_system_that_is_being_stopped_does_so_in_his_own_time(go):
    ended = []
    system = ActorSystem()
    ref = system.start(Held, go, ended)
    first = threading.Thread(target=system.stop, args=(10,))
    first.start()
    while not ref.ending:
        pass
    assert system.stop(timeout=0.05) == [ref]
    go.set()
    first.join()
    assert system.stop() == []


def test_who_traps_exits_is_told_once_however_often_the_system_is_stopped(go):
    told = []

    class Trapping(Actor):
        def on_start(self):
            self.trap_exit()

        def on_receive(self, message):
            told.append(message.reason)

    system = ActorSystem()
    ref = system.start(Trapping)
    first = threading.Thread(target=system.stop, args=(0.2,))
    first.start()
    while not told:
        pass
    system.stop(timeout=0.05)
    first.join()
    assert not ref.is_alive()
    assert told == ["shutdown"]


def test_an_actor_of_another_system_stops_one_whose_actors_wait_for_it(real):
    other, stopped, is_asked = ActorSystem(), [], threading.Event()
    asker, stopper = other.start(SharedDoer), real.start(SharedDoer)

    def ask(_):
        stopped.append(stopper.ask(lambda _: is_asked.wait(10) and other.stop(timeout=0.05), block=False))
        is_asked.set()
        return stopped[0].get(timeout=10)

    asker.tell(ask)
    is_asked.wait(10)
    assert stopped[0].get(timeout=10) == [asker]
    assert other.actors() == []


# -- within the time -------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 3])
def test_inline_actors_that_do_not_end_are_left_alone_when_the_time_is_up(go, count):
    ended = []
    system = ActorSystem()
    refs = [system.start(HeldInline, go, ended) for _ in range(count)]
    assert system.stop(timeout=0.05) == refs
    assert ended == []
    assert system.actors() == refs[-1:]  # the first one to be told is in its cleanup


def test_a_listener_for_slow_turns_that_sleeps_does_not_hold_up_the_stop(go):
    system, listening = ActorSystem(slow_shared_turn=0.001), threading.Event()

    def listen(_):
        listening.set()
        go.wait(10)

    system.on_slow_turn(listen)
    system.start(SharedDoer).ask(lambda _: listening.wait(10))
    assert system.stop(timeout=0.05) == []
    assert not go.is_set()
    assert "supervisors-watchdog" in threads_of_ours()


def test_a_message_whose_size_takes_long_to_tell_does_not_hold_up_the_stop(go):
    measuring = threading.Event()

    class Measured(SharedEcho):
        mailbox_capacity_bytes = 10

        @staticmethod
        def message_size(message):
            measuring.set()
            go.wait(10)
            return 1

    system = ActorSystem()
    system.timers.send_after(0, system.start(Measured), "x")
    measuring.wait(10)
    assert system.stop(timeout=0.05) == []
    assert "supervisors-timers" in threads_of_ours()


def test_an_end_that_raises_what_is_no_exception_does_not_keep_others_from_theirs(caplog):
    class Broken(Echo):
        def on_stop(self):
            raise KeyboardInterrupt

    system = ActorSystem()
    system.start(Echo)
    system.start(Broken)
    assert system.stop(timeout=10) == []
    assert "KeyboardInterrupt" in caplog.text
