from __future__ import annotations

import pytest

from supervisors import Actor, ActorDeadError, ActorSystem, AskTimeoutError, DeadlockError
from supervisors.clock import VirtualClock
from supervisors.runtime.futures import ScheduledFuture
from tests.supervisors.actors import Doer, SharedDoer


class SmallDoer(SharedDoer):
    mailbox_capacity = 3


KINDS = pytest.mark.parametrize("kind", [Doer, SharedDoer, SmallDoer])


def run_above(system, below, do):
    """Have another actor do something while the turn of `below` waits under it; return what came of it."""
    outcomes = []

    def note(above):
        try:
            outcomes.append(do(above))
        except (AskTimeoutError, DeadlockError) as error:
            outcomes.append(error)

    def wait(_):
        system.start(SharedDoer).tell(note)
        system.settle()

    below.ask(wait)
    assert len(outcomes) == 1
    return outcomes[0]


@KINDS
@pytest.mark.parametrize("timeout", [5.0, None])
def test_an_ask_of_an_actor_that_waits_further_down_is_an_error_at_once(system, kind, timeout):
    below = system.start(kind)
    error = run_above(system, below, lambda above: below.ask("x", timeout=timeout))
    assert isinstance(error, DeadlockError)
    assert error.chain[1] is below
    assert "share one thread" in str(error)
    assert system.clock.monotonic() == 0.0


@KINDS
def test_a_timer_that_rings_for_ever_does_not_make_such_a_wait_endless(system, kind):
    system.timers.send_interval(1.0, system.start(Doer), "tick")
    below = system.start(kind)
    assert isinstance(run_above(system, below, lambda above: below.stop()), DeadlockError)


def test_a_stop_that_was_refused_to_wait_takes_place_all_the_same(system):
    below = system.start(SharedDoer)
    assert isinstance(run_above(system, below, lambda above: below.stop()), DeadlockError)
    system.settle()
    assert not below.is_alive()


def test_the_reply_to_an_ask_in_hand_cannot_be_waited_for_on_top_of_it(system):
    below, future = system.start(SharedDoer), ScheduledFuture()
    outcomes = []

    def note(above):
        try:
            future.get().get(timeout=5.0)
        except DeadlockError as error:
            outcomes.append(error)

    def wait(_):
        system.start(SharedDoer).tell(note)
        system.settle()

    future.set(below.ask(wait, block=False))
    system.settle()
    assert [error.chain[1] for error in outcomes] == [below]


def test_a_reply_that_was_deferred_may_come_from_anybody(system):
    helper, below = system.start(Doer), system.start(SharedDoer)
    outcomes = []

    def note(above):
        outcomes.append(asked.get(timeout=5.0))

    def wait(actor):
        reply = actor.actor_ref.defer()
        system.timers.send_after(1.0, helper, lambda _: reply.set("late"))
        system.start(SharedDoer).tell(note)
        system.settle()

    asked = below.ask(wait, block=False)
    system.settle()
    assert outcomes == ["late"]
    assert system.clock.monotonic() == 1.0


def test_an_end_may_come_by_a_kill(system):
    killer, below = system.start(Doer), system.start(SharedDoer)

    def join(above):
        system.timers.send_after(1.0, killer, lambda _: below.kill())
        return below.join(timeout=5.0)

    outcomes = []

    def wait(_):
        system.start(SharedDoer).tell(lambda above: outcomes.append(join(above)))
        system.settle()

    below.tell(wait)
    system.settle()
    assert outcomes == ["killed"]


def test_an_ask_of_an_actor_that_nobody_runs_may_wait_for_a_timer(system):
    below = system.start(SharedDoer)
    other = system.start(SharedDoer)
    other.suspend()
    system.timers.send_after(1.0, system.start(Doer), lambda _: other.resume())
    assert run_above(system, below, lambda above: other.ask(lambda _: "reply", timeout=5.0)) == "reply"


def test_a_kill_of_who_waits_on_top_does_not_reach_who_waits_below(system):
    killer, killed, below = system.start(Doer), system.start(SharedDoer), system.start(SharedDoer)
    system.timers.send_after(1.0, killer, lambda _: killed.kill())

    def wait(actor):
        with pytest.raises(ActorDeadError):
            killed.ask(lambda _: ScheduledFuture().get(timeout=2.0))
        return "alive"

    assert below.ask(wait) == "alive"
    assert system.clock.monotonic() == 2.0


class Wall(Actor):
    """Answers."""

    def on_receive(self, message):
        return message


class Asker(Actor):
    """Asks in its turn."""

    def __init__(self, wall, heard):
        super().__init__()
        self.wall = wall
        self.heard = heard

    def on_receive(self, number):
        self.heard.append(self.wall.ask(number))


def test_thousands_that_wait_for_the_same_actor_in_virtual_time_do_not_lie_on_top_of_each_other():
    with ActorSystem(clock=VirtualClock()) as system:
        wall, heard = system.start(Wall), []
        askers = [system.start(Asker, wall, heard) for _ in range(3_000)]
        for number, asker in enumerate(askers):
            asker.tell(number)
        wall.tell("behind all others")
        system.settle()
    assert sorted(heard) == list(range(3_000))


class Faulty:
    """Stands where a mailbox is that waits to be run, and where the reply is that comes from it."""

    def __init__(self):
        self.target = self

    def run_for(self, future):
        """It is not free."""

    def is_done(self):
        return False

    def run_owned(self):
        raise ValueError("its own")


@pytest.mark.parametrize("others", [0, 1])
def test_a_fault_in_a_mailbox_that_is_run_out_of_turn_is_not_hidden(system, others):
    target = Faulty()

    def wait(_):
        system.scheduler.submit(target)
        for _ in range(others):
            system.start(SharedDoer).tell(lambda _: None)
        with pytest.raises(ValueError, match="its own"):
            system.scheduler.wait(target, 1.0)
        return system.clock.monotonic()

    assert system.start(SharedDoer).ask(wait) == 0.0
