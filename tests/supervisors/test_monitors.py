from __future__ import annotations

import pytest

from supervisors import Down, Exit, NoActorError, StartError
from tests.supervisors.actors import Doer, SharedDoer


def test_mon_1_monitors_stack_and_each_fires_once(system):
    one, two = system.start(Doer), system.start(Doer)
    refs = [one.ask(lambda self: self.monitor(two)) for _ in range(3)]
    two.tell(("exit", "boom"))
    assert one.ask("seen") == [Down(ref, two, "boom") for ref in refs]


def test_mon_2_a_monitor_fires_once_and_is_gone(system):
    one, two = system.start(Doer), system.start(Doer, name="n")
    by_ref, by_name = one.ask(lambda self: (self.monitor(two), self.monitor("n")))
    two.tell(("exit", "boom"))
    assert one.ask("seen") == [Down(by_ref, two, "boom"), Down(by_name, "n", "boom")]
    assert one.monitors is None


def test_mon_3_monitoring_the_dead_gives_noproc(system):
    one, two = system.start(Doer), system.start(Doer)
    two.stop()
    ref = one.ask(lambda self: self.monitor(two))
    assert one.ask("seen") == [Down(ref, two, "noproc")]


def test_mon_3_monitoring_a_name_that_nobody_has_gives_noproc(system):
    one = system.start(Doer)
    ref = one.ask(lambda self: self.monitor("nobody"))
    assert one.ask("seen") == [Down(ref, "nobody", "noproc")]


def test_mon_4_a_monitor_by_name_sticks_to_the_process(system):
    one, two = system.start(Doer), system.start(Doer, name="n")
    ref = one.ask(lambda self: self.monitor("n"))
    system.unregister("n")
    successor = system.start(Doer, name="n")
    successor.stop()
    assert one.ask("seen") == []
    two.tell(("exit", "boom"))
    assert one.ask("seen") == [Down(ref, "n", "boom")]


def test_mon_5_a_monitor_on_oneself_never_fires(system):
    one = system.start(Doer)
    assert one.ask(lambda self: self.demonitor(self.monitor(self.actor_ref))) is False


def test_mon_5_a_monitor_on_oneself_says_nothing_at_the_own_end(system):
    one, other = system.start(Doer), system.start(Doer)
    one.ask(lambda self: self.monitor(self.actor_ref))
    watcher = other.ask(lambda self: self.monitor(one))
    one.tell(("exit", "boom"))
    assert other.ask("seen") == [Down(watcher, one, "boom")]
    assert system.statistics()["dead_letters"] == 0


def test_mon_6_a_removed_monitor_does_not_fire(system):
    one, two = system.start(Doer), system.start(Doer)
    assert one.ask(lambda self: self.demonitor(self.monitor(two))) is True
    two.stop()
    assert one.ask("seen") == []


def test_mon_6_a_down_that_the_removal_has_crossed_is_dropped(system):
    one, two = system.start(Doer), system.start(Doer)

    def act(self):
        ref = self.monitor(two)
        self.system.settle()
        two.exit("boom")  # comes first, so that two ends before it hears of the removal
        return self.demonitor(ref)

    assert one.ask(act) is True
    assert two.exit_reason == "boom"
    assert one.ask("seen") == []


def test_mon_6_a_down_that_waits_has_not_arrived_and_is_dropped(system):
    one = system.start(Doer)
    assert one.ask(lambda self: self.demonitor(self.monitor("nobody"))) is True
    assert one.ask("seen") == []


def test_mon_7_a_flush_lets_arrive_what_waits_when_there_is_no_monitor(system):
    one = system.start(Doer)

    def act(self):
        alias = self.alias()
        alias.send("waits")
        self.demonitor(alias, flush=True)
        return self.unalias(alias)

    assert one.ask(act) is True
    assert one.ask("seen") == ["waits"]


def test_mon_6_and_7_a_down_that_has_arrived_stays_unless_flushed(system):
    one, two = system.start(Doer), system.start(Doer)

    def late_demonitor(flush):
        def act(self):
            ref = self.monitor(two_alive[0])
            two_alive[0].kill()
            self.system.settle()
            return self.demonitor(ref, flush=flush)

        return act

    two_alive = [two]
    assert one.ask(late_demonitor(flush=False)) is False
    assert len(one.ask("seen")) == 1
    two_alive = [system.start(Doer)]
    assert one.ask(late_demonitor(flush=True)) is False
    assert len(one.ask("seen")) == 1


def test_mon_6_and_8_removing_again_tells_that_it_was_not_there(system):
    one, two = system.start(Doer), system.start(Doer)
    assert one.ask(lambda self: [self.demonitor(each) for each in [self.monitor(two)] * 2]) == [True, False]


def test_mon_7_a_flush_takes_no_other_down(system):
    one, two = system.start(Doer), system.start(Doer)

    def act(self):
        first, second = self.monitor(two), self.monitor(two)
        two.kill()
        self.system.settle()
        self.demonitor(first, flush=True)
        return second

    second = one.ask(act)
    assert one.ask("seen") == [Down(second, two, "killed")]


def test_mon_8_a_monitor_of_somebody_else_is_not_there(system):
    one, two, three = (system.start(Doer) for _ in range(3))
    ref = one.ask(lambda self: self.monitor(two))
    assert three.ask(lambda self: self.demonitor(ref)) is False
    two.exit("boom")
    assert one.ask("seen") == [Down(ref, two, "boom")]


def test_mon_8_an_alias_that_is_no_monitor_is_not_there_and_stays(system):
    one = system.start(Doer)
    alias = one.ask(lambda self: self.alias())
    assert one.ask(lambda self: self.demonitor(alias)) is False
    alias.send("hello")
    assert one.ask("seen") == ["hello"]


@pytest.mark.parametrize("flush", [False, True])
def test_mon_8_one_that_has_fired_is_not_there_flushed_or_not(system, flush):
    one, two = system.start(Doer), system.start(Doer)

    def act(self):
        ref = self.monitor(two)
        two.exit("boom")
        self.system.settle()
        return [self.demonitor(ref, flush=flush), self.demonitor(ref, flush=flush)]

    assert one.ask(act) == [False, False]
    assert len(one.ask("seen")) == (0 if flush else 1)


@pytest.mark.parametrize("trap", [False, True])
def test_mon_9_the_end_of_the_watched_is_a_message_and_no_exit_signal(system, trap):
    one, two = system.start(Doer, trap=trap), system.start(Doer)
    ref = one.ask(lambda self: self.monitor(two))
    two.exit("boom")
    assert one.ask("seen") == [Down(ref, two, "boom")]
    assert one.is_alive()


def test_mon_9_the_watchers_end_does_not_affect_the_watched(system):
    one, two = system.start(Doer), system.start(Doer)
    one.ask(lambda self: self.monitor(two))
    one.tell(("exit", "boom"))
    assert two.is_alive()
    assert two.watchers is None


def test_sig_3_a_message_comes_before_the_down_of_its_sender(real):
    watcher = real.start(SharedDoer)
    for _ in range(50):
        sender = real.start(SharedDoer)
        watcher.ask(lambda self, sender=sender: self.monitor(sender))
        sender.tell(lambda self: watcher.tell("last words"))
        sender.stop()
        sender.join(timeout=5)
    seen = watcher.ask("seen")
    while len(seen) < 100:
        seen = watcher.ask("seen")
    assert [isinstance(each, Down) for each in seen] == [False, True] * 50


def test_a_plain_thread_can_wait_for_an_end(real):
    ref = real.start(SharedDoer)
    future = ref.when_ended()
    ref.exit("boom")
    assert future.get(timeout=5) == "boom"
    assert ref.join(timeout=5) == "boom"


def test_mon_10_a_child_that_ends_in_its_first_step_is_not_missed(system):
    one = system.start(Doer)

    class ShortLived(Doer):
        def on_start(self):
            self.actor_ref.exit("boom")

    child, ref = one.ask(lambda _: ShortLived.start_monitor())
    system.settle()
    assert one.ask("seen") == [Down(ref, child, "boom")]


def test_mon_10_a_child_that_does_not_come_up_leaves_no_monitor_and_no_message(system):
    one = system.start(Doer)

    class Stillborn(Doer):
        def on_start(self):
            raise Exit("not today")

    def attempt(self):
        with pytest.raises(StartError):
            Stillborn.start_monitor()

    one.ask(attempt)
    assert one.ask("seen") == []
    assert one.monitors is None


def test_mon_10_start_monitor_is_for_actors(system):
    with pytest.raises(NoActorError, match="none on this thread"):
        system.bind(Doer).start_monitor()


def test_mon_11_a_tag_comes_back_with_the_message(system):
    one, two = system.start(Doer), system.start(Doer)
    one.ask(lambda self: (self.monitor(two, tag=("job", 7)), self.monitor(two)))
    two.exit("boom")
    assert [each.tag for each in one.ask("seen")] == [("job", 7), None]


def test_only_a_monitor_can_be_removed(system):
    one = system.start(Doer)
    with pytest.raises(TypeError, match="monitor_ref: a str"):
        one.ask(lambda self: self.demonitor("m1"))
