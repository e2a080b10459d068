"""PROC-7: a start that takes too long is cut short and leaves nothing behind."""

from __future__ import annotations

import threading

import pytest

from supervisors import StartError
from supervisors.links import links_of
from tests.supervisors.actors import SharedDoer


class Slow(SharedDoer):
    """Comes up when its gate is opened."""

    def __init__(self, gate):
        super().__init__()
        self.gate = gate

    def on_start(self):
        self.gate.wait(10)


@pytest.fixture
def gate():
    made = threading.Event()
    yield made
    made.set()


def test_proc_7_a_start_that_takes_too_long_is_an_error_and_the_actor_is_killed(real, gate):
    with pytest.raises(StartError) as caught:
        real.spawn(Slow, (gate,), link=False, report=True, start_timeout=0.01)
    assert caught.value.reason == "timeout"
    assert [ref.actor_class for ref in real.actors()] == []


def test_proc_7_no_exit_message_is_left_behind(real, gate):
    def start(self):
        with pytest.raises(StartError):
            self.system.spawn(Slow, (gate,), link=True, report=True, start_timeout=0.01)

    parent = real.start(SharedDoer, trap=True)
    parent.ask(start)
    assert parent.ask("seen") == []
    assert links_of(parent) == ()
    parent.kill()


def test_proc_7_a_start_in_time_is_as_without_a_limit(real, gate):
    gate.set()
    assert real.spawn(Slow, (gate,), link=False, report=True, start_timeout=10.0).is_alive()


@pytest.mark.parametrize("limit", [-1.0, float("nan"), "soon", True])
def test_a_limit_that_makes_no_sense_is_refused(real, limit):
    with pytest.raises((ValueError, TypeError), match="start_timeout"):
        real.spawn(SharedDoer, link=False, report=True, start_timeout=limit)
