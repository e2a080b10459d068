"""A future has one outcome, and whoever waits for it is woken, whatever the schedule."""

from __future__ import annotations

import queue

from supervisors import Actor, AskTimeoutError, DeadlockError
from supervisors.runtime import futures
from supervisors.runtime.futures import ScheduledFuture
from tests.schedules.exploring import State, explore, new_system


class AddsWithoutTheLock(ScheduledFuture):
    """Planted: whoever wants to be called looks for an outcome first, and then says so."""

    __slots__ = ()

    def when_done(self, callback):
        if self._done:
            callback()
            return
        self._callbacks = [callback]


class SetsTwice(ScheduledFuture):
    """Planted: looking for an outcome and setting it are two steps."""

    __slots__ = ()

    def offer(self, value=None, error=None):
        if self._done or self._get_hook is not None:
            return False
        with self._lock:
            self._value = value
            self._error = error
            self._done = True
            callbacks, self._callbacks = self._callbacks, None
        for callback in callbacks or ():
            callback()
        return True


def unset(future_class=ScheduledFuture):
    def setup():
        new_system()
        return State(future=future_class(), got=[], won=[], calls=0)

    return setup


def set_it(state):
    state.future.set("value")


def get_it(state):
    state.got.append(state.future.get(timeout=None))


def got_it(state):
    return state.got == ["value"]


def test_whoever_waits_for_an_outcome_gets_it():
    assert explore(unset(), [get_it, set_it], got_it, clock="virtual")


def test_a_sleeper_that_nobody_wakes_would_be_found():
    # On a virtual clock frontrun sees that nobody can go on, and calls it a deadlock.
    assert explore(unset(AddsWithoutTheLock), [get_it, set_it], got_it, clock="virtual") is None


def count_outcomes(value):
    def worker(state):
        if state.future.offer(value):
            state.won.append(value)

    return worker


def one_outcome(state):
    return len(state.won) == 1 and state.future.get(timeout=0) == state.won[0]


def test_of_two_outcomes_one_counts():
    assert explore(unset(), [count_outcomes("a"), count_outcomes("b")], one_outcome)


def test_two_outcomes_of_one_future_would_be_found():
    assert explore(unset(SetsTwice), [count_outcomes("a"), count_outcomes("b")], one_outcome) is None


def set_or_be_late(state):
    try:
        state.future.set("set")
        state.won.append("set")
    except queue.Full:
        pass


def hook_or_be_late(state):
    try:
        state.future.set_get_hook(lambda _: "hook")
        state.won.append("hook")
    except queue.Full:
        pass


def test_of_an_outcome_and_a_get_hook_one_counts():
    assert explore(unset(), [set_or_be_late, hook_or_be_late], one_outcome)


def test_an_outcome_and_a_get_hook_that_both_count_would_be_found():
    assert explore(unset(SetsTwice), [set_or_be_late, hook_or_be_late], one_outcome) is None


def test_whoever_waits_gets_what_the_get_hook_computes():
    def hook(state):
        state.future.set_get_hook(lambda _: "value")

    assert explore(unset(), [get_it, hook], got_it)


def give_up(state):
    try:
        state.got.append(state.future.get(timeout=0))
    except AskTimeoutError:
        state.got.append("late")


def nothing_left(state):
    return state.got in (["value"], ["late"]) and not state.future._callbacks


def test_whoever_gives_up_leaves_no_callback_behind():
    assert explore(unset(), [give_up, set_it], nothing_left)


class Sleeper(Actor):
    dispatch = "inline"

    def on_receive(self, message):
        """Handle nothing."""


def two_actors():
    system = new_system()
    return State(one=system.start(Sleeper), other=system.start(Sleeper), refused=[], waiting=[])


def wait_for(caller, target, note):
    def worker(state):
        try:
            note(getattr(state, caller), getattr(state, target))
            state.waiting.append(caller)
        except DeadlockError:
            state.refused.append(caller)

    return worker


def one_is_refused(state):
    return len(state.refused) == 1 == len(state.waiting)


def test_of_two_actors_that_ask_each_other_one_is_refused():
    note = futures._note_waiting
    assert explore(two_actors, [wait_for("one", "other", note), wait_for("other", "one", note)], one_is_refused)


def test_two_actors_that_wait_for_each_other_would_be_found():
    def note(caller, target):  # planted: looking for a cycle and adding to it are two steps
        futures._walk(caller, target)
        caller.waits_for = target

    assert explore(two_actors, [wait_for("one", "other", note), wait_for("other", "one", note)], one_is_refused) is None
