from __future__ import annotations

import random
import sys

import pytest

from supervisors import ActorDeadError, ActorRef, Exited
from supervisors.links import links_of
from tests.supervisors.actors import Doer, SharedDoer


def linked(system, *, trap=False):
    one, two = system.start(Doer, trap=trap), system.start(Doer)
    one.ask(lambda self: self.link(two))
    return one, two


def test_link_1_a_link_is_symmetric_and_does_not_stack(system):
    one, two = linked(system)
    two.ask(lambda self: self.link(one))
    assert links_of(one) == (two,)
    assert links_of(two) == (one,)
    one.ask(lambda self: self.unlink(two))
    assert links_of(one) == links_of(two) == ()


def test_link_2_linking_to_oneself_does_nothing(system):
    ref = system.start(Doer)
    ref.ask(lambda self: self.link(self.actor_ref))
    assert links_of(ref) == ()


def test_link_3_linking_to_the_dead_raises_without_trapping(system):
    one, two = system.start(Doer), system.start(Doer)
    two.stop()

    def attempt(self):
        with pytest.raises(ActorDeadError) as caught:
            self.link(two)
        return caught.value.reason

    assert one.ask(attempt) == "noproc"
    assert one.is_alive()


def test_link_3_linking_to_the_dead_gives_a_message_when_trapping(system):
    one, two = system.start(Doer, trap=True), system.start(Doer)
    two.stop()
    one.ask(lambda self: self.link(two))
    assert one.ask("seen") == [Exited(two, "noproc")]


def test_link_10_no_news_of_the_dead_arrives_after_an_unlink(system):
    one, two = system.start(Doer, trap=True), system.start(Doer)
    two.stop()

    def attempt(self):
        self.link(two)
        self.unlink(two, flush=True)

    one.ask(attempt)
    assert one.ask("seen") == []


def test_link_3_the_news_of_the_dead_gets_into_a_full_mailbox(system):
    class Full(Doer):
        mailbox_capacity = 1

    one, two = system.start(Full, trap=True), system.start(Doer)
    two.stop()

    def attempt(self):
        self.actor_ref.tell("the only one")
        self.link(two)

    one.ask(attempt)
    assert one.ask("seen") == ["the only one", Exited(two, "noproc")]


def test_link_4_each_linked_actor_gets_the_reason(system):
    one = system.start(Doer)
    others = [system.start(Doer, trap=True) for _ in range(3)]
    for other in others:
        other.ask(lambda self: self.link(one))
    one.tell(("exit", "boom"))
    assert [other.ask("seen") for other in others] == [[Exited(one, "boom")]] * 3


def test_link_5_an_abnormal_end_cascades_along_links(system):
    one, two = linked(system)
    three = system.start(Doer)
    two.ask(lambda self: self.link(three))
    one.tell(("exit", "boom"))
    assert (two.exit_reason, three.exit_reason) == ("boom", "boom")


def test_link_5_a_normal_end_is_ignored(system):
    one, two = linked(system)
    one.stop()
    assert two.is_alive()
    assert links_of(two) == ()


def test_link_6_a_trapping_actor_gets_a_message_also_for_normal(system):
    one, two = linked(system, trap=True)
    two.stop()
    assert one.ask("seen") == [Exited(two, "normal")]


def test_link_7_ones_own_normal_signal_ends_one_that_does_not_trap(system):
    ref = system.start(Doer)
    ref.ask(lambda self: self.actor_ref.exit("normal"))
    assert ref.exit_reason == "normal"


def test_normal_from_somebody_else_is_ignored(system):
    ref = system.start(Doer)
    ref.exit("normal")
    assert ref.is_alive()


def test_link_8_the_source_of_a_signal_is_its_sender(system):
    one, two = system.start(Doer, trap=True), system.start(Doer)
    two.ask(lambda _: one.exit("boom"))
    one.exit("from outside")
    assert one.ask("seen") == [Exited(two, "boom"), Exited(None, "from outside")]


def test_link_9_trap_exit_returns_the_old_value(system):
    ref = system.start(Doer)
    assert ref.ask(lambda self: [self.trap_exit(True), self.trap_exit(False), self.trap_exit(False)]) == [
        False,
        True,
        False,
    ]


def test_link_9_the_flag_decides_when_the_signal_arrives_and_not_later(system):
    def change_late(before):
        one, two = linked(system, trap=before)

        def act(self):
            two.exit("boom")
            self.system.settle()
            self.trap_exit(not before)

        one.ask(act)
        return one, two

    one, two = change_late(before=True)
    assert one.ask("seen") == [Exited(two, "boom")]
    one, two = change_late(before=False)
    assert one.exit_reason == "boom"


def test_link_10_after_unlink_no_exit_of_that_link_arrives(system):
    one, two = linked(system)
    one.ask(lambda self: self.unlink(two))
    two.tell(("exit", "boom"))
    assert one.is_alive()


def test_link_10_an_exit_that_waits_has_not_arrived_and_is_dropped(real):
    one, two = real.start(SharedDoer), real.start(SharedDoer)
    one.ask(lambda self: self.link(two))

    def act(self):
        two.exit("boom")
        two.join(timeout=5)  # its exit signal is in our mailbox now
        self.unlink(two)

    one.ask(act)
    assert one.ask("seen") == []
    assert one.is_alive()


def test_link_10_and_11_an_exit_that_has_arrived_stays_unless_flushed(system):
    def unlink_late(flush):
        one, two = linked(system, trap=True)

        def act(self):
            two.exit("boom")
            self.system.settle()
            self.unlink(two, flush=flush)
            self.unlink(two, flush=flush)

        one.ask(act)
        return two, one.ask("seen")

    two, seen = unlink_late(flush=False)
    assert seen == [Exited(two, "boom")]
    assert unlink_late(flush=True)[1] == []


def test_link_11_a_flush_takes_no_exit_of_somebody_else(system):
    one, two = linked(system, trap=True)
    three = system.start(Doer)

    def act(self):
        self.link(three)
        three.exit("boom")
        self.system.settle()
        self.unlink(two, flush=True)

    one.ask(act)
    assert one.ask("seen") == [Exited(three, "boom")]


def test_exit_7_kill_cannot_be_trapped_and_is_seen_as_killed(system):
    one, two = linked(system, trap=True)
    watcher = system.start(Doer, trap=True)
    watcher.ask(lambda self: self.link(one))
    one.kill()
    assert one.exit_reason == "killed"
    assert two.exit_reason == "killed"
    assert watcher.ask("seen") == [Exited(one, "killed")]


def test_exit_8_killed_over_a_link_can_be_trapped(system):
    one, two = linked(system, trap=True)
    two.exit("killed")
    assert one.ask("seen") == [Exited(two, "killed")]


def test_exit_10_whoever_sees_the_exit_finds_neither_name_nor_life(system):
    one, two = linked(system, trap=True)
    system.register("two", two)
    found = []

    def look(self):
        found.append((system.whereis("two"), two.is_alive()))

    two.tell(("exit", "boom"))
    one.tell(look)
    assert found == [(None, False)]


def test_link_12_a_linked_child_cannot_end_unnoticed(system):
    parent = system.start(Doer, trap=True)
    child = parent.ask(lambda _: Doer.start_link())
    child.tell(("exit", "boom"))
    assert parent.ask("seen") == [Exited(child, "boom")]
    assert child.parent is parent


def test_links_are_for_the_actors_own_turn(system):
    one, two = system.start(Doer), system.start(Doer)
    kept = one.ask(lambda self: self)
    with pytest.raises(RuntimeError, match="own turn"):
        kept.link(two)


def test_only_a_ref_can_be_linked(system):
    ref = system.start(Doer)
    with pytest.raises(TypeError, match="ActorRef"):
        ref.ask(lambda self: self.link("two"))


def test_many_links_all_hear_of_the_end(system):
    hub = system.start(Doer)
    spokes = [system.start(Doer, trap=True) for _ in range(20)]
    for spoke in spokes:
        spoke.ask(lambda self: self.link(hub))
    assert set(links_of(hub)) == set(spokes)
    hub.tell(("exit", "boom"))
    assert all(spoke.ask("seen") == [Exited(hub, "boom")] for spoke in spokes)


def test_link_1_both_sides_agree_when_links_and_an_unlink_cross(system, monkeypatch):
    one, two = system.start(Doer), system.start(Doer)
    really_alive = ActorRef.is_alive

    def alive_after_a_lot_has_happened(ref):
        # We are inside two's link(one): it has seen nothing of what one does now.
        monkeypatch.setattr(ActorRef, "is_alive", really_alive)
        one.ask(lambda self: (self.link(two), self.unlink(two)))
        return ref.is_alive()

    monkeypatch.setattr(ActorRef, "is_alive", alive_after_a_lot_has_happened)
    two.ask(lambda self: self.link(one))
    system.settle()
    assert links_of(one) == links_of(two)
    assert system.unlinks == {}


def test_link_10_an_end_that_the_unlink_has_crossed_says_nothing_of_a_new_link(system):
    one, two = linked(system, trap=True)

    def unlink_while_it_ends(self):
        two.exit("boom")
        self.unlink(two)
        self.link(two)

    one.ask(unlink_while_it_ends)
    assert one.ask("seen") == [Exited(two, "noproc")]
    assert system.unlinks == {}


def test_link_10_unlinking_the_dead_leaves_nothing_behind(system):
    one, two = linked(system)
    one.ask(lambda self: (two.exit("normal"), self.unlink(two), self.unlink(two)))
    one.stop()
    assert system.unlinks == {}


def test_link_13_a_new_link_after_an_unlink_works(system):
    one, two = linked(system, trap=True)
    one.ask(lambda self: (self.unlink(two), self.link(two), self.unlink(two), self.link(two)))
    assert links_of(one) == (two,)
    assert links_of(two) == (one,)
    two.exit("boom")
    assert one.ask("seen") == [Exited(two, "boom")]


def test_link_1_both_sides_agree_after_many_threads_have_linked_and_unlinked(real, request):
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    request.addfinalizer(lambda: sys.setswitchinterval(interval))
    actors = [real.start(SharedDoer, trap=True) for _ in range(4)]

    def link_and_unlink(seed):
        def act(self):
            choose = random.Random(seed)
            for _ in range(4_000):
                other = choose.choice(actors)
                choose.choice([self.link, self.unlink])(other)
            return True

        return act

    futures = [each.ask(link_and_unlink(seed), block=False) for seed, each in enumerate(actors)]
    assert all(future.get(timeout=10) for future in futures)
    # Two rounds: a signal that is taken in the first may send its answer for the second.
    for _ in range(2):
        for each in actors:
            each.ask(lambda self: self.trap_exit(True))
    for one in actors:
        for two in actors:
            assert (two in links_of(one)) == (one in links_of(two))
    assert real.unlinks == {}
    for each in actors:
        each.kill()  # they trap the shutdown of the system
