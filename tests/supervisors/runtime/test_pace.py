from __future__ import annotations

import threading

import pytest

from supervisors import ActorSystem, AskTimeoutError, SystemClock
from supervisors.runtime.futures import ScheduledFuture
from supervisors.runtime.pace import QUICK, SLICE, Pace
from supervisors.runtime.spinning import roused
from supervisors.runtime.turn import QUANTUM_MESSAGES
from tests.supervisors.actors import SharedDoer


class HandClock(SystemClock):  # type: ignore[misc]  # final for everybody else
    """Real time that can be moved on by hand."""

    def __init__(self):
        super().__init__()
        self.ahead = 0.0

    def monotonic(self):
        return super().monotonic() + self.ahead


class Hands:
    """A clock whose hands move only by hand, and a queue to look at."""

    def __init__(self):
        self.now = 0.0
        self.others = 0

    def pace(self, *, has_gil=True):
        return Pace(lambda: self.others, lambda: self.now, has_gil=has_gil)


def helpings(hands, pace, seconds_each):
    """Return the helpings until it is somebody else's turn."""
    taken = [pace.begin()]
    while True:
        hands.now += taken[-1] * seconds_each
        helping = pace.more()
        if not helping:
            return taken
        taken.append(helping)


@pytest.fixture
def gate():
    """Something that is roused, and gone after the test."""
    one = object()
    roused.add(one)
    yield one
    roused.discard(one)


def test_quick_messages_are_taken_in_ever_larger_helpings():
    hands = Hands()
    hands.others = 1
    assert helpings(hands, hands.pace(), 0.0) == [1, 1, 4, 16, 42]


@pytest.mark.parametrize("seconds", [0.0, QUICK / 3, QUICK, SLICE, 10.0])
def test_nobody_gets_more_than_a_quantum_while_others_wait(seconds):
    hands = Hands()
    hands.others = 1
    assert sum(helpings(hands, hands.pace(), seconds)) <= QUANTUM_MESSAGES


@pytest.mark.parametrize("seconds", [0.0, QUICK / 3, QUICK, SLICE, 10.0])
def test_who_is_behind_nobody_goes_on_and_leaves_when_somebody_comes(seconds):
    hands = Hands()
    pace = hands.pace()
    handled = helping = pace.begin()
    while handled < 10 * QUANTUM_MESSAGES:
        hands.now += helping * seconds
        helping = pace.more()
        assert 1 <= helping <= QUANTUM_MESSAGES
        handled += helping
    hands.others = 1
    hands.now += helping * seconds
    left = 0
    while helping := pace.more():
        hands.now += helping * seconds
        left += helping
    assert left <= (QUANTUM_MESSAGES if seconds < SLICE / QUANTUM_MESSAGES else 0)


def test_slow_messages_are_taken_one_by_one():
    hands = Hands()
    pace = hands.pace()
    taken = [pace.begin()]
    while len(taken) < 2 * QUANTUM_MESSAGES:
        hands.now += SLICE
        taken.append(pace.more())
    assert taken == [1] * len(taken)


@pytest.mark.parametrize(("seconds", "messages"), [(SLICE, 2), (SLICE / 2, 3), (SLICE / 3.5, 5)])
def test_who_takes_long_leaves_after_a_slice_if_others_wait(seconds, messages):
    hands = Hands()
    hands.others = 1
    assert len(helpings(hands, hands.pace(), seconds)) == messages


def test_each_mailbox_begins_with_one_message():
    hands = Hands()
    hands.others = 1
    pace = hands.pace()
    helpings(hands, pace, 0.0)
    assert helpings(hands, pace, 0.0)[:3] == [1, 1, 4]


def test_a_mailbox_behind_a_flooded_one_waits_for_a_slice_and_not_for_a_quantum():
    clock, told, begun = HandClock(), threading.Event(), threading.Event()
    order = []

    def work(_):
        begun.set()
        assert told.wait(10)
        clock.ahead += SLICE
        order.append("flood")

    with ActorSystem(workers=1, clock=clock) as system:
        flooded, bystander = system.start(SharedDoer), system.start(SharedDoer)
        for _ in range(10):
            flooded.tell(work)
        assert begun.wait(10)
        bystander.tell(lambda _: order.append("bystander"))
        told.set()
        bystander.ask("seen", timeout=10)
        flooded.ask("seen", timeout=10)
    assert order.index("bystander") == 2
    assert order.count("flood") == 10


def test_a_worker_steps_back_for_who_is_roused_at_most_twice(gate):
    hands = Hands()
    pace = hands.pace()
    for _ in range(2):
        assert gate in roused
        hands.now += 2 * SLICE
        pace.step_back()
    assert gate not in roused


def test_a_worker_steps_back_once_in_a_slice(gate):
    hands = Hands()
    pace = hands.pace()
    for _ in range(10):
        pace.step_back()
    assert gate in roused


def test_without_a_gil_nobody_steps_back(gate):
    hands = Hands()
    pace = hands.pace(has_gil=False)
    for _ in range(3):
        hands.now += 2 * SLICE
        pace.step_back()
    assert gate in roused


def test_with_nobody_roused_there_is_nothing_to_step_back_for():
    hands = Hands()
    pace = hands.pace()
    hands.now += 2 * SLICE
    before = pace._stepped_back
    pace.step_back()
    assert pace._stepped_back == before


def test_whoever_has_waited_is_not_roused_any_more(real):
    before = set(roused)
    ref = real.start(SharedDoer)
    assert ref.ask(lambda _: "reply") == "reply"
    future = ref.ask(lambda _: "reply", block=False)
    assert future.get(timeout=10) == "reply"
    assert set(roused) <= before


def test_whoever_gives_up_is_not_roused_later(real):
    before = set(roused)
    ref, gate = real.start(SharedDoer), threading.Event()
    with pytest.raises(AskTimeoutError):
        ref.ask(lambda _: gate.wait(10), timeout=0.001)
    future = ScheduledFuture()
    with pytest.raises(AskTimeoutError):
        future.get(timeout=0.001)
    gate.set()
    future.set("late")
    ref.ask("seen", timeout=10)
    assert set(roused) <= before
