"""An actor that sleeps: the same ref, and nothing that others can see."""

from __future__ import annotations

from typing import Any

import pytest

from supervisors import Actor, ActorDeadError, UsageError
from supervisors.hibernation import Sleeper, fall_asleep, rebuilt
from supervisors.runtime.signals import Down


class Counter(Actor):
    """Counts its messages, and sleeps when it is told to."""

    dispatch = "inline"
    crash_on_ask_error = True

    def __init__(self, log, count=0):
        super().__init__()
        self.log = log
        self.count = count
        log.append("made")

    def on_receive(self, message):
        if message == "sleep":
            fall_asleep(self.actor_ref, Asleep(self))
            return "asleep"
        if message == "crash":
            raise ZeroDivisionError
        if isinstance(message, Down):
            self.log.append("down")
        self.count += 1
        return self.count

    def on_stop(self):
        self.log.append("stopped")


class SharedCounter(Counter):
    dispatch = "shared"


class Asleep(Sleeper):
    __slots__ = ("_form", "_ref")

    _form: Any

    crash_on_ask_error = True

    def __init__(self, actor):
        self._ref = actor.actor_ref
        self._form = (actor.log, actor.count)

    def remake(self, *, killed):
        return rebuilt(self._ref, self._ref.actor_class, *self._form)

    def remade(self, actor):
        if self._form[1] == 13:
            raise ArithmeticError


@pytest.fixture
def log():
    return []


@pytest.fixture(params=[Counter, SharedCounter])
def kind(request):
    return request.param


def test_the_next_ask_wakes_it_under_the_same_ref(system, log, kind):
    ref = system.start(kind, log)
    assert [ref.ask("one"), ref.ask("sleep"), ref.ask("two")] == [1, "asleep", 2]
    assert log == ["made", "made"]


def test_a_message_for_which_nobody_waits_wakes_it(system, log, kind):
    ref = system.start(kind, log)
    ref.ask("sleep")
    ref.tell("one")
    system.settle()
    assert ref.ask("two") == 2


def test_who_is_asleep_is_not_there_any_more(system, log, kind):
    ref = system.start(kind, log)
    ref.ask("sleep")
    assert isinstance(ref._actor_weakref(), Asleep)
    assert log == ["made"]


def test_it_wakes_once_for_many_messages(system, log, kind):
    ref = system.start(kind, log)
    ref.ask("sleep")
    assert [ref.ask(number) for number in range(3)] == [1, 2, 3]
    assert log == ["made", "made"]


def test_it_can_sleep_again_and_again(system, log, kind):
    ref = system.start(kind, log)
    for round_ in range(1, 4):
        ref.ask("sleep")
        assert ref.ask("count") == round_


def test_messages_behind_the_one_that_puts_it_to_sleep_wake_it(system, log):
    ref = system.start(SharedCounter, log)
    for message in ("sleep", "one", "sleep", "two"):
        ref.tell(message)
    system.settle()
    assert ref.ask("three") == 3


def test_a_stop_wakes_it_for_its_cleanup(system, log, kind):
    ref = system.start(kind, log)
    ref.ask("sleep")
    ref.stop()
    assert log == ["made", "made", "stopped"]
    assert not ref.is_alive()


def test_one_that_is_killed_asleep_runs_no_cleanup(system, log, kind):
    ref = system.start(kind, log)
    ref.ask("sleep")
    ref.kill()
    system.settle()
    assert ref.exit_reason == "killed"
    assert "stopped" not in log


def test_a_monitor_and_a_name_outlast_the_sleep(system, log, kind):
    ref = system.start(kind, log)
    system.registry.register("counter", ref)
    watcher = system.start(Watcher, ref)
    ref.ask("sleep")
    assert system.whereis("counter") is ref
    ref.stop()
    system.settle()
    assert watcher.ask("heard") == [ref]


class Watcher(Actor):
    def __init__(self, watched):
        super().__init__()
        self.watched = watched
        self.heard = []

    def on_start(self):
        self.monitor(self.watched)

    def on_receive(self, message):
        if message == "heard":
            return list(self.heard)
        self.heard.append(message.source)
        return None


def test_what_it_raises_after_waking_is_a_crash_of_it(system, log, kind):
    ref = system.start(kind, log)
    ref.ask("sleep")
    with pytest.raises(ZeroDivisionError):
        ref.ask("crash")
    assert not ref.is_alive()


def test_one_that_cannot_wake_crashes_and_its_asker_is_told(system, log, kind):
    ref = system.start(kind, log, 13)
    ref.ask("sleep")
    with pytest.raises(ArithmeticError):
        ref.ask("one")
    assert not ref.is_alive()
    with pytest.raises(ActorDeadError):
        ref.ask("two")


def test_nobody_is_put_to_sleep_from_outside(system, log, kind):
    ref = system.start(kind, log)
    with pytest.raises(UsageError):
        fall_asleep(ref, Asleep(ref._actor_weakref()))
    assert ref.ask("one") == 1
