"""The mailbox protocol, where it could lose a message or a mailbox."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from supervisors import Actor, ActorDeadError, ActorSystem, AskTimeoutError, Crashed
from supervisors.runtime import cell, ref
from supervisors.runtime.signals import Resumed
from supervisors.runtime.turn import thread_turn
from tests.supervisors.actors import Doer, Echo, Recorder, SharedDoer, SharedEcho
from tests.supervisors.interrupting import interrupted

KERNEL_FILES = {cell.__file__, ref.__file__}


class SharedRecorder(Recorder):
    dispatch = "shared"


WORK = {
    "ask": lambda first, second: first.ask("seen"),
    "ask_later": lambda first, second: first.ask("seen", block=False),
    "exit": lambda first, second: first.exit("boom"),
    "nested": lambda first, second: first.ask(lambda _: (second.tell("y"), second.ask("seen"))),
    "start": lambda first, second: first.system.start(first.actor_class),
    "tell": lambda first, second: first.tell("x"),
}


@pytest.mark.parametrize("actor_class", [Doer, SharedDoer])
@pytest.mark.parametrize("verb", WORK)
def test_a_keyboard_interrupt_leaks_no_mailbox_wherever_it_comes(actor_class, verb):
    if verb in ("ask", "nested") and actor_class is SharedDoer:
        pytest.skip("a worker runs the turn; nothing of it can be interrupted here")
    position = 1
    while position:
        with ActorSystem(workers=1) as system:
            first, second = system.start(actor_class), system.start(actor_class)
            reached = interrupted(position, partial(WORK[verb], first, second), KERNEL_FILES)
            for each in system.actors():
                # A stuck one would run into the time limit.
                try:
                    each.ask("seen", timeout=10)
                except ActorDeadError:
                    assert each.exit_reason is not None
            assert thread_turn.turn.current is None
            assert thread_turn.turn.depth == 0
        position = position + 1 if reached else 0


def test_what_a_turn_has_told_others_is_run_also_when_it_ends_in_an_interrupt(system):
    other = system.start(Recorder)

    def tell_and_interrupt(_):
        other.tell("x")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        system.start(Doer).tell(tell_and_interrupt)
    system.settle()
    assert other.messages_handled == 1


def test_an_interrupt_while_running_anothers_ask_reaches_the_running_thread_too(system):
    ref = system.start(Doer)

    def interrupt(_):
        raise KeyboardInterrupt

    ref.suspend()
    future = ref.ask(interrupt, block=False)
    with pytest.raises(KeyboardInterrupt):
        ref.resume()
    with pytest.raises(KeyboardInterrupt):
        future.get(timeout=1)
    assert isinstance(ref.exit_reason, Crashed)


@pytest.mark.parametrize("error", [SystemExit, RuntimeError])
def test_an_actor_whose_cleanup_raises_is_dead_nevertheless(system, error):
    class Clumsy(Echo):
        def ending(self, reason, *, crash, by_signal):
            raise error

    ref = system.start(Clumsy)
    ref.exit("boom")
    assert isinstance(ref.exit_reason.error, error)
    with pytest.raises(ActorDeadError):
        ref.ask("there?")


def test_an_interrupt_in_the_cleanup_ends_the_actor_and_goes_on(system):
    class Slow(Echo):
        def on_stop(self):
            raise KeyboardInterrupt

    ref = system.start(Slow)
    with pytest.raises(KeyboardInterrupt):
        ref.exit("boom")
    assert isinstance(ref.exit_reason.error, KeyboardInterrupt)
    assert ref not in system.actors()


def test_the_reply_that_an_ask_has_deferred_before_it_failed_is_not_kept(system):
    class Hesitant(Actor):
        dispatch = "inline"

        def on_receive(self, message):
            self.defer_reply()
            raise ValueError(message)

    ref = system.start(Hesitant)
    for _ in range(3):
        with pytest.raises(ValueError, match="no"):
            ref.ask("no")
    assert not ref._pending


def test_messages_of_a_turn_that_answered_its_waiter_are_run(real):
    # The waiter runs the turn that gives the reply it waits for; what this turn
    # tells others must not stay behind on the waiter's thread.
    target, other = real.start(Doer), real.start(Recorder)
    target.suspend()
    future = target.ask(lambda _: other.tell("x"), block=False)
    target._outer.append(Resumed())
    future.get(timeout=5)
    assert other.messages_handled == 1


def test_a_flood_of_one_actor_lets_others_run_between(system):
    order = []

    class Noting(Recorder):
        def on_receive(self, message):
            order.append(message)

    class SharedNoting(Noting):
        dispatch = "shared"

    flooded, bystander = system.start(SharedNoting), system.start(SharedNoting)
    for _ in range(200):
        flooded.tell("flood")
    bystander.tell("hello")
    system.settle()
    assert order.index("hello") < 100


@pytest.mark.parametrize("actor_class", [Recorder, SharedRecorder])
def test_many_senders_to_one_actor_lose_nothing_and_keep_each_ones_order(real, actor_class):
    target = real.start(actor_class)

    def send(seed):
        for step in range(2000):
            target.tell((seed, step))

    senders = [threading.Thread(target=send, args=(seed,)) for seed in range(4)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    seen = target.ask("seen", timeout=30)
    assert len(seen) == 8000
    assert all([step for seed, step in seen if seed == one] == list(range(2000)) for one in range(4))


def test_an_ask_of_an_actor_whose_constructor_failed_is_answered(system):
    refs = []

    class Leaky(SharedEcho):
        def __init__(self):
            super().__init__()
            refs.append(self.actor_ref)
            raise ValueError("no")

    with pytest.raises(Exception, match="no"):
        system.start(Leaky)
    with pytest.raises(ActorDeadError):
        refs[0].ask("there?")
    assert not refs[0].is_alive()


def test_a_timed_out_join_leaves_no_watcher_behind(system):
    ref = system.start(Echo)
    for _ in range(10):
        with pytest.raises(AskTimeoutError):
            ref.join(timeout=0.1)
    system.settle()
    assert ref.watchers is None
