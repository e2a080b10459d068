from __future__ import annotations

import pytest

from supervisors import Actor, ActorSystem, VirtualClock
from supervisors.runtime.bounded import BoundedRef
from supervisors.runtime.ref import ActorRef
from supervisors.telemetry.sending import listen


class Keeping(Actor):
    """Keeps what it gets."""

    def __init__(self):
        super().__init__()
        self.got = []

    def on_receive(self, message):
        self.got.append(message)
        return self.got


class Bounded(Keeping):
    mailbox_capacity = 10


@pytest.fixture
def system():
    with ActorSystem(clock=VirtualClock()) as system:
        yield system


def methods():
    return {
        (kind, name): vars(kind).get(name)
        for kind in (ActorRef, BoundedRef)
        for name in ("tell", "send", "forward", "_ask_queued")
    }


@pytest.mark.parametrize("actor_class", [Keeping, Bounded])
def test_a_listener_hears_of_each_message_and_may_put_another_in_its_place(system, actor_class):
    heard = []

    def listener(ref, message):
        heard.append((ref, message))
        return message * 2

    ref = system.start(actor_class)
    end = listen(listener)
    ref.tell(1)
    ref.send(2)
    reply = ref.ask(3)
    end()
    ref.tell(4)
    system.settle()
    assert heard == [(ref, 1), (ref, 2), (ref, 3)]
    assert reply[:3] == [2, 4, 6]
    assert ref.ask(5)[3:] == [4, 5]


@pytest.mark.parametrize("first", [0, 1])
def test_listeners_may_end_in_any_order_and_leave_the_methods_as_they_were(system, first):
    before = methods()
    heard = []

    def noting(who):
        def listener(ref, message):
            heard.append(who)
            return message

        return listener

    ends = [listen(noting(who)) for who in range(2)]
    ref = system.start(Keeping)
    ref.tell("x")
    ends[first]()
    ends[first]()
    assert methods() != before
    ref.tell("x")
    ends[1 - first]()
    ref.tell("x")
    assert heard == [0, 1, 1 - first]
    assert methods() == before
