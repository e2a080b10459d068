"""Whoever watches or links to a dying actor is told once, whatever the schedule."""

from __future__ import annotations

import pytest

from supervisors import Actor, ActorDeadError, Exited
from supervisors.monitors import monitor
from supervisors.runtime.ref import ActorRef
from tests.schedules.exploring import State, explore, new_system, seen


class Victim(Actor):
    dispatch = "shared"

    def on_receive(self, message):
        """Handle nothing."""


class Watcher(Victim):
    def __init__(self):
        super().__init__()
        self.got = []

    def on_receive(self, message):
        if callable(message):
            message()
        else:
            self.got.append(message)


class ToldNobody(ActorRef):
    """Planted: what comes into a mailbox after its death gets no answer."""

    __slots__ = ()

    def _run_quantum(self, budget, until):
        if self._actor is None:
            del self._outer[:]
            return 1
        return super()._run_quantum(budget, until)


class ForgetsItsLink(ActorRef):
    """Planted: the dying actor tells the linked ones before it looks into its mailbox, and never again."""

    __slots__ = ()

    def _bury(self):
        del self._outer[:]


def pair(victim_class=None, *, trap=True, watched=False):
    """Return a setup: a watcher and a victim."""

    def setup():
        system = new_system()
        refs = [system.spawn(each, link=False, report=False) for each in (Watcher, Victim)]
        system.scheduler.work()
        watcher, victim = seen(refs[0]), seen(refs[1], victim_class)
        watcher.traps_exits = trap
        state = State(system=system, watcher=watcher, victim=victim, made=None, found=None)
        state.keeper = watcher._actor_weakref()
        if watched:
            state.made = monitor(watcher, victim, system.whereis)
            system.scheduler.work()
        return state

    return setup


def in_the_watchers_turn(function):
    """Return a worker that has the watcher do something in its own turn."""

    def worker(state):
        state.watcher.send(lambda: function(state))
        state.system.scheduler.work()

    return worker


@in_the_watchers_turn
def start_to_monitor(state):
    state.made = state.keeper.monitor(state.victim)


@in_the_watchers_turn
def stop_to_monitor(state):
    state.keeper.demonitor(state.made, flush=True)
    state.keeper.got.append("removed")


@in_the_watchers_turn
def start_to_link(state):
    try:
        state.keeper.link(state.victim)
    except ActorDeadError as error:
        state.found = error


def die(state):
    state.victim.exit("over")
    state.system.scheduler.work()


def told_once(state):
    state.system.scheduler.work()
    return [(each.monitor, each.reason in ("over", "noproc")) for each in state.keeper.got] == [(state.made, True)]


def test_a_monitor_set_while_the_actor_dies_fires_once():
    assert explore(pair(), [start_to_monitor, die], told_once, affordable=1)


def test_a_monitor_that_the_dead_do_not_answer_would_be_found():
    assert explore(pair(ToldNobody), [start_to_monitor, die], told_once, affordable=1) is None


def silent_or_told_before(state):
    state.system.scheduler.work()
    return state.keeper.got[-1] == "removed" and len(state.keeper.got) <= 2 and not state.watcher.monitors


def test_a_monitor_removed_and_flushed_while_the_actor_dies_never_fires():
    assert explore(pair(watched=True), [stop_to_monitor, die], silent_or_told_before, affordable=1)


def end_is_known(state):
    state.system.scheduler.work()
    exits = [each for each in state.keeper.got if isinstance(each, Exited)]
    return len(exits) == 1 and exits[0].reason in ("over", "noproc") and not state.watcher.links


def end_is_shared(state):
    # One that does not trap exits ends too, or its link() has raised.
    state.system.scheduler.work()
    return not state.watcher.is_alive() or isinstance(state.found, ActorDeadError)


@pytest.mark.parametrize(("trap", "holds"), [(True, end_is_known), (False, end_is_shared)])
def test_a_link_made_while_the_other_one_dies_takes_effect(trap, holds):
    assert explore(pair(trap=trap), [start_to_link, die], holds, affordable=1)


def test_a_link_to_the_dead_that_does_nothing_would_be_found():
    assert explore(pair(ForgetsItsLink, trap=False), [start_to_link, die], end_is_shared, affordable=1) is None
