"""Faults of stock Pykka that a supervised system cannot live with: impossible here, one test each."""

from __future__ import annotations

import threading

import pytest

from supervisors import (
    Actor,
    ActorDeadError,
    ActorSystem,
    AskTimeoutError,
    Crashed,
    Down,
    MailboxFullError,
    StartError,
)
from tests.supervisors.actors import Doer, Echo, Recorder, SharedDoer, SharedEcho


def test_an_ask_that_races_a_stop_is_always_answered():
    # Stock: the ask that comes between the last look at the inbox and the end is never answered.
    outcomes = []
    with ActorSystem(workers=2) as system:
        for number in range(200):
            ref = system.start(SharedEcho if number % 2 else Echo)
            stopper = threading.Thread(target=ref.stop)
            stopper.start()
            future = ref.ask("there?", block=False)
            try:
                outcomes.append(future.get(timeout=10))
            except ActorDeadError:
                outcomes.append("dead")
            stopper.join()
    assert set(outcomes) <= {"there?", "dead"}
    assert len(outcomes) == 200


def test_a_crash_in_an_ask_is_seen_by_whoever_watches_the_actor(system):
    # Stock: an exception in an ask reaches the asker only; on_failure is not called.
    watcher, victim = system.start(Doer), system.start(Doer)
    watcher.ask(lambda self: self.monitor(victim))
    with pytest.raises(ZeroDivisionError):
        victim.ask(lambda _: 1 / 0)
    (down,) = watcher.ask("seen")
    assert isinstance(down, Down)
    assert isinstance(down.reason, Crashed)


def test_a_failing_start_is_reported_and_calls_on_failure(system):
    # Stock: start() returns a ref as if nothing had happened, and on_failure is skipped.
    failures = []

    class Failing(Echo):
        def on_start(self):
            raise ValueError("broken")

        def on_failure(self, kind, error, trace):
            failures.append(error)

    with pytest.raises(StartError, match="broken"):
        system.start(Failing)
    assert len(failures) == 1


@pytest.mark.parametrize("actor_class", [Doer, SharedDoer])
def test_a_system_exit_in_one_actor_stops_no_other(real, actor_class):
    # Stock: it stops every actor in the process.
    def leave(_):
        raise SystemExit(1)

    victim, bystander = real.start(actor_class), real.start(Echo)
    victim.tell(leave)
    assert isinstance(victim.join(timeout=10), Crashed)
    assert bystander.ask("here") == "here"


def test_a_restart_never_overlaps_the_cleanup_of_the_one_before(real):
    # Stock: a ref reads dead while its on_stop still runs, so two own the same thing.
    owners, most, gate = [], [], threading.Event()

    class Owner(Actor):
        def on_start(self):
            owners.append(self)
            most.append(len(owners))

        def on_stop(self):
            gate.wait(10)
            owners.remove(self)

    ref = real.start(Owner)
    ended = ref.stop(block=False)
    assert ref.is_alive()
    with pytest.raises(AskTimeoutError):
        ref.join(timeout=0.01)
    gate.set()
    assert ended.get(timeout=10) is True
    assert not ref.is_alive()
    real.start(Owner).stop()
    assert max(most) == 1


def test_a_mailbox_can_be_bounded(system):
    # Stock: the inbox grows until memory ends.
    class Bounded(Recorder):
        mailbox_capacity = 100

    ref = system.start(Bounded)
    ref.suspend()
    for number in range(100):
        ref.tell(number)
    with pytest.raises(MailboxFullError):
        ref.tell(100)
    assert ref.mailbox_length == 100


def test_an_exit_signal_does_not_wait_behind_the_messages(real):
    # Stock: a stop queues behind everything.
    ref, entered, gate = real.start(SharedDoer), threading.Event(), threading.Event()

    def block(_):
        entered.set()
        gate.wait(10)

    ref.tell(block)
    assert entered.wait(10)
    for number in range(1000):
        ref.tell(number)
    ref.exit("shutdown")
    gate.set()
    assert ref.join(timeout=10) == "shutdown"
    assert ref.messages_handled == 1
    assert real.dead_letters == 1000


def test_a_broadcaster_that_tells_a_session_that_has_just_died_lives_on(real):
    # mopidy/mopidy#1750: the ActorDeadError of one dead session reached the
    # long-lived actor that broadcast, and ended it.
    class Broadcaster(Actor):
        def on_receive(self, sessions):
            for ref in sessions:
                ref.send("event")  # OTP's way of sending: to nobody is not an error

    sessions = [real.start(SharedEcho) for _ in range(50)]
    broadcaster = real.start(Broadcaster)
    killer = threading.Thread(target=lambda: [ref.kill() for ref in sessions])
    killer.start()
    for _ in range(20):
        broadcaster.tell(sessions)
    killer.join()
    assert [ref.join(timeout=10) for ref in sessions] == ["killed"] * 50
    assert broadcaster.ask([]) is None
    assert broadcaster.is_alive()
    with pytest.raises(ActorDeadError):
        sessions[0].tell("event")
    assert real.statistics()["crashes"] == 0
