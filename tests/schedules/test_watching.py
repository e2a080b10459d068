"""Whoever watches or links to a dying actor is told once, whatever the schedule."""

from __future__ import annotations

import pytest

from supervisors import Actor, ActorDeadError, Exited
from supervisors.links import link
from supervisors.monitors import demonitor, monitor
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


# The same without the watcher's turn, which is the mailbox's business: small enough for two preemptions.


def doomed(**options):
    """Return a setup as `pair()`, with the exit signal in the victim's mailbox, and the mailbox in the queue."""

    def setup():
        state = pair(**options)()
        state.victim.exit("over")
        return state

    return setup


def run_victim(state):
    state.system.scheduler._queue.get_nowait().run_owned()


def set_monitor(state):
    state.made = monitor(state.watcher, state.victim, state.system.whereis)


def remove_monitor(state):
    demonitor(state.watcher, state.made, flush=True)


def set_link(state):
    link(state.watcher, state.victim)


def test_a_monitor_that_meets_the_exit_signal_fires_once():
    assert explore(doomed(), [set_monitor, run_victim], told_once, affordable=1)


def never_told(state):
    state.system.scheduler.work()
    return not state.keeper.got and not state.watcher.monitors


def test_a_monitor_whose_removal_meets_the_exit_signal_never_fires():
    assert explore(doomed(watched=True), [remove_monitor, run_victim], never_told, affordable=1)


def test_a_link_that_meets_the_exit_signal_takes_effect():
    assert explore(doomed(), [set_link, run_victim], end_is_known, affordable=1)


def test_a_monitor_that_is_lost_as_it_meets_the_exit_signal_would_be_found():
    assert explore(doomed(victim_class=ForgetsItsLink), [set_monitor, run_victim], told_once) is None


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
