from __future__ import annotations

from supervisors import Down, Exited
from tests.supervisors.actors import Doer, SharedDoer, SharedEcho


class Collector(SharedEcho):
    """Keeps (sender, number) pairs until it has so many."""

    def __init__(self, wanted):
        super().__init__()
        self.wanted = wanted
        self.seen = []

    def on_receive(self, message):
        self.seen.append(message)
        if len(self.seen) == self.wanted:
            self.stop()


def test_sig_1_and_2_each_senders_messages_arrive_in_order_among_those_of_others(real):
    collector = real.start(Collector, 4 * 200)
    kept = collector.proxy().seen.get()  # the list itself: nothing is copied
    senders = [real.start(SharedDoer) for _ in range(4)]

    def send_all(self):
        for number in range(200):
            collector.send((self.actor_ref, number))

    for sender in senders:
        sender.tell(send_all)
    assert collector.join(timeout=10) == "normal"
    for sender in senders:
        assert [number for who, number in kept if who is sender] == list(range(200))


def test_sig_1_links_and_messages_share_one_order(system):
    one, two = system.start(Doer, trap=True), system.start(Doer)

    def act(self):
        one.send("before")
        self.link(one)
        one.exit("a signal")
        one.send("after")

    two.ask(act)
    assert one.ask("seen") == ["before", Exited(two, "a signal"), "after"]


def test_sig_4_sending_to_the_dead_neither_raises_nor_arrives(system):
    ref = system.start(Doer)
    ref.stop()
    ref.send("hello")
    assert system.statistics()["dead_letters"] == 1


def test_sig_5_an_exit_signal_overtakes_what_waits_in_the_mailbox(system):
    ref = system.start(Doer)
    handled = []

    def act(self):
        for number in range(3):
            self.actor_ref.send(lambda _, number=number: handled.append(number))
        self.actor_ref.exit("boom")

    ref.tell(act)
    assert ref.exit_reason == "boom"
    assert handled == []


def test_sig_6_exits_and_downs_wait_their_turn_among_messages(system):
    one, two = system.start(Doer, trap=True), system.start(Doer)

    def act(self):
        self.link(two)
        monitor = self.monitor(two)
        self.actor_ref.send("first")
        two.exit("boom")
        self.system.settle()
        self.actor_ref.send("last")
        return monitor

    monitor = one.ask(act)
    seen = one.ask("seen")
    assert seen[0] == "first"
    assert set(seen[1:3]) == {Exited(two, "boom"), Down(monitor, two, "boom")}
    assert seen[3:] == ["last"]


def test_sig_7_one_exit_and_one_down_for_each_monitor(system):
    one, two = system.start(Doer, trap=True), system.start(Doer)
    monitors = one.ask(lambda self: (self.link(two), self.monitor(two), self.monitor(two))[1:])
    two.exit("boom")
    seen = one.ask("seen")
    assert len(seen) == 3
    assert set(seen) == {Exited(two, "boom"), *(Down(each, two, "boom") for each in monitors)}


def test_sig_8_an_exit_signal_to_the_dead_is_no_error(system):
    ref = system.start(Doer)
    ref.stop()
    ref.exit("boom")
    ref.kill()
    assert ref.exit_reason == "normal"
