from __future__ import annotations

import os
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import pytest

from supervisors import ActorSystem, AskTimeoutError
from supervisors.runtime import futures, gates, ref
from supervisors.runtime.futures import ScheduledFuture
from supervisors.runtime.gates import Gate
from supervisors.runtime.spinning import Spinner, roused
from tests.supervisors.actors import SharedDoer
from tests.supervisors.interrupting import interrupted

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def nobody_is_left_roused():
    before = set(roused)
    yield
    assert set(roused) == before


def left(gate):
    gate.is_left = True
    roused.discard(gate)


def test_a_gate_is_closed_until_it_is_opened():
    gate, spinner = Gate(), Spinner()
    assert not gate.wait(0.0, spinner)
    assert not gate.wait(0.001, spinner)
    gate.open()
    assert gate in roused
    assert gate.wait(None, spinner)
    left(gate)


def test_a_gate_that_is_opened_when_its_thread_has_gone_rouses_nobody():
    gate = Gate()
    left(gate)
    gate.open()
    assert gate not in roused


class ToldSlowly(ScheduledFuture):
    """Has its outcome as soon as somebody waits, and tells that somebody else first, who takes his time."""

    __slots__ = ("being_told", "go_on", "setter")

    def __init__(self):
        super().__init__()
        self.being_told, self.go_on = threading.Event(), threading.Event()
        self.setter = threading.Thread(target=self.set, args=("value",))
        super().when_done(self._be_told)

    def _be_told(self):
        self.being_told.set()
        self.go_on.wait(10)

    def when_done(self, callback):
        super().when_done(callback)
        self.setter.start()
        assert self.being_told.wait(10)


@pytest.mark.parametrize("timeout", [0.0, 0.05])
def test_who_gives_up_while_the_outcome_is_being_told_is_not_taken_for_roused(timeout):
    future = ToldSlowly()
    assert future.wait_blocking(timeout)  # it is there
    future.go_on.set()
    future.setter.join(10)


def test_an_ask_whose_reply_comes_too_late_is_not_taken_for_roused():
    with ActorSystem(workers=1) as system:
        gate = threading.Event()
        doer = system.start(SharedDoer)
        with pytest.raises(AskTimeoutError):
            doer.ask(lambda _: gate.wait(10), timeout=0.01)
        gate.set()
        doer.ask("seen")


def test_an_ask_that_is_interrupted_is_not_taken_for_roused():
    files = {futures.__file__, gates.__file__, ref.__file__}
    position = 1
    while position:
        with ActorSystem(workers=1) as system:
            doer = system.start(SharedDoer)
            reached = interrupted(position, partial(doer.ask, "seen"), files)
            doer.ask("seen")  # the first one has been answered then
        position = position + 1 if reached else 0


def test_a_wait_that_is_interrupted_is_not_taken_for_roused():
    files = {futures.__file__, gates.__file__}
    position = 1
    while position:
        future = ScheduledFuture()
        setter = threading.Timer(0.002, future.set)
        setter.start()
        reached = interrupted(position, partial(future.wait_blocking, 10.0), files)
        setter.join()
        position = position + 1 if reached else 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_knows_nobody_who_was_roused_in_the_parent():
    program = """
import os
from supervisors import ActorSystem
from supervisors.runtime.spinning import roused

with ActorSystem():
    roused.add("a thread of the parent")
    if not (child := os.fork()):
        os._exit(len(roused))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(roused) == 1
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True, cwd=ROOT, timeout=60)
