"""Ctrl-C on the thread that runs inline actors, at each place where CPython may run a signal handler."""

from __future__ import annotations

import threading
from contextlib import suppress
from functools import partial

import pytest

from supervisors import ActorDeadError, ActorSystem, Down, Exit, MailboxFullError, starter
from supervisors.runtime import (
    bounded,
    cell,
    fence,
    futures,
    life,
    living,
    pinned,
    pinned_ref,
    ref,
    roster,
    scheduler,
    turn,
)
from tests.supervisors.actors import Doer, SharedDoer
from tests.supervisors.interrupting import interrupted

FILES = {each.__file__ for each in (cell, futures, life, ref, turn)}
KILLING = {each.__file__ for each in (fence, pinned, pinned_ref, roster, scheduler)}


class Watcher(Doer):
    """Counts the ends that it is told of, apart from what it is sent."""

    ends = 0

    def on_receive(self, message):
        if isinstance(message, Down):
            self.ends += 1
            return None
        return super().on_receive(message)


@pytest.fixture(params=[2, 64])
def quantum(request, monkeypatch):
    """How many messages a mailbox may handle before others get their turn: few, and as ever."""
    monkeypatch.setattr(cell, "QUANTUM_MESSAGES", request.param)


def at_each_place(scenario, files=FILES):
    """Have what a scenario begins with interrupted at each place, one after the other, in a system of its own."""
    position = 1
    while position:
        with ActorSystem(workers=1) as system:
            begin, check = scenario(system)
            is_reached = interrupted(position, begin, files)
            check()
        position = position + 1 if is_reached else 0


@pytest.mark.usefixtures("quantum")
def test_every_ask_is_answered():
    def scenario(system):
        first, other, shared, asked = system.start(Doer), system.start(Doer), system.start(SharedDoer), []

        def act(_):
            asked.extend(each.ask("seen", block=False) for each in (other, first, shared) * 3)

        def check():
            for each in asked:
                with suppress(ActorDeadError, KeyboardInterrupt):  # it was this one's turn that was interrupted
                    each.get(timeout=10)

        return partial(first.ask, act), check

    at_each_place(scenario)


@pytest.mark.usefixtures("quantum")
def test_no_message_is_lost():
    def scenario(system):
        first, other, sent = system.start(Doer), system.start(Doer), []

        def act(_):
            for number in range(5):
                other.send(number)
                sent.append(number)

        def check():
            if other.is_alive():
                seen = other.ask("seen", timeout=10)
                assert seen in (sent, [*sent, len(sent)])

        return partial(first.ask, act), check

    at_each_place(scenario)


def crash(_):
    return 1 // 0


def leave(_):
    raise Exit("gone")


def quietly(verb, act):
    """Have an actor do something that makes it crash."""
    with suppress(ZeroDivisionError):
        verb(act)


# Not in cell.py: a call of a Python function there is taken for a place at its end as well, though the
# interpreter looks for signals at its begin only; what has been taken out would be lost there.
@pytest.mark.parametrize("act", [crash, leave, lambda self: self.stop(), lambda self: self.actor_ref.exit("gone")])
@pytest.mark.parametrize("verb", ["ask", "tell"])
def test_whoever_watches_an_actor_hears_of_its_end_once(act, verb):
    def scenario(system):
        first, watcher, acted = system.start(Doer), system.start(Watcher), []
        watcher.ask(lambda self: self.monitor(first))

        def note(self):
            acted.append(None)
            act(self)

        def check():
            if not acted or (first.is_alive() and act not in (crash, leave)):
                return  # it was interrupted before
            first.join(timeout=10)
            assert first not in system.actors()
            if watcher.is_alive():  # it may have been its turn that was interrupted
                assert watcher.ask(lambda self: self.ends, timeout=10) == 1

        return partial(quietly, getattr(first, verb), note), check

    at_each_place(scenario, FILES - {cell.__file__})


class Bounded(Doer):
    """Has room for three."""

    mailbox_capacity = 3


class BoundedBytes(Doer):
    """Has room for three bytes."""

    mailbox_capacity_bytes = 3

    @staticmethod
    def message_size(message):
        return 1


def with_policy(kind, policy):
    return type(kind.__name__, (kind,), {"mailbox_policy": policy})


@pytest.mark.usefixtures("quantum")
@pytest.mark.parametrize("kind", [Bounded, BoundedBytes])
@pytest.mark.parametrize("policy", ["reject", "drop_newest", "drop_oldest", "block"])
def test_a_bounded_mailbox_goes_on(kind, policy):
    def scenario(system):
        first, other, asked = system.start(Doer), system.start(with_policy(kind, policy)), []

        def act(_):
            for number in range(4):
                other.send(number)
                asked.append(other.ask("seen", block=False))

        def check():
            for each in asked:
                with suppress(ActorDeadError, KeyboardInterrupt, MailboxFullError):
                    each.get(timeout=10)
            if other.is_alive():
                for number in range(4, 8):
                    other.ask(lambda self, number=number: self.seen.append(number), timeout=10)
                seen = other.ask("seen", timeout=10)
                assert seen[-4:] == [4, 5, 6, 7]
                assert sorted(set(seen)) == sorted(seen)
                assert other.mailbox_length == 0

        return partial(first.ask, act), check

    at_each_place(scenario, FILES | {bounded.__file__})


@pytest.mark.parametrize("kind", [Bounded, BoundedBytes])
@pytest.mark.parametrize("policy", ["reject", "drop_newest", "drop_oldest", "block"])
def test_a_signal_handler_may_send_to_a_bounded_mailbox(kind, policy):
    position = 1
    while position:
        with ActorSystem(workers=1) as system:
            ref = system.start(with_policy(kind, policy))
            ref.suspend()

            def fill(ref=ref):
                for number in range(5):
                    ref.send(number)

            is_reached = interrupted(position, fill, {bounded.__file__}, partial(ref.send, "by the handler"))
            ref.resume()
            seen = ref.ask("seen", timeout=10)
            assert 3 <= len(seen) <= 4  # the handler may have come between the look for room and the use of it
            ref.tell("last")
            assert ref.ask("seen", timeout=10) == [*seen, "last"]
        position = position + 1 if is_reached else 0


class PinnedDoer(Doer):
    """The same on a thread of its own."""

    dispatch = "pinned"


class Held:
    """Holds a turn until it is let go."""

    def __init__(self):
        self.is_busy, self.go_on = threading.Event(), threading.Event()

    def __call__(self, _):
        self.is_busy.set()
        self.go_on.wait(10)


@pytest.mark.parametrize("kind", [SharedDoer, PinnedDoer])
def test_an_actor_that_is_killed_in_a_turn_ends(kind):
    turns = []

    def scenario(system):
        first, watcher, held = system.start(kind), system.start(Watcher), Held()
        watcher.ask(lambda self: self.monitor(first))
        turns.append(held)
        asked = [first.ask(held, block=False)]
        assert held.is_busy.wait(10)
        asked.append(first.ask("seen", block=False))

        def check():
            first.kill()
            for each in asked:
                with pytest.raises(ActorDeadError):
                    each.get(timeout=10)
            first.join(timeout=10)
            if watcher.is_alive():
                assert watcher.ask(lambda self: self.ends, timeout=10) == 1
            assert system.start(SharedDoer).ask("seen", timeout=10) == []
            held.go_on.set()

        return first.kill, check

    try:
        at_each_place(scenario, (FILES | KILLING) - {cell.__file__})
    finally:
        turns[-1].go_on.set()


def test_whoever_asked_an_actor_that_has_ended_since_is_told():
    def scenario(system):
        first, other, asked = system.start(Doer), system.start(Doer), []

        def act(_):
            other.exit("gone")
            asked.extend(other.ask("seen", block=False) for _ in range(3))

        def check():
            for each in asked:
                with pytest.raises(ActorDeadError):
                    each.get(timeout=10)

        return partial(first.ask, act), check

    at_each_place(scenario)


def test_a_signal_handler_may_start_and_end_actors_while_its_thread_does():
    position = 1
    while position:
        with ActorSystem(workers=1) as system:
            started = []

            def start_many(system=system, started=started):
                started.extend(system.start(Doer) for _ in range(20))
                for ref in started[:15]:
                    ref.stop()

            def between(system=system, started=started):
                others = [system.start(Doer) for _ in range(40)]
                for ref in others[1:]:
                    ref.stop()
                started.append(others[0])

            is_reached = interrupted(position, start_many, {living.__file__, starter.__file__}, between)
            alive = [ref for ref in started if ref.is_alive()]
            assert set(system.actors()) == set(alive)
            assert len(system.living) == len(alive)
        position = position + 7 if is_reached else 0
