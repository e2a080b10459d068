from __future__ import annotations

from supervisors import Down
from tests.supervisors.actors import Doer, SharedDoer


def test_mon_1_monitors_stack_and_each_fires_once(system):
    one, two = system.start(Doer), system.start(Doer)
    refs = [one.ask(lambda self: self.monitor(two)) for _ in range(3)]
    two.tell(("exit", "boom"))
    assert one.ask("seen") == [Down(ref, two, "boom") for ref in refs]


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


def test_mon_6_a_removed_monitor_does_not_fire(system):
    one, two = system.start(Doer), system.start(Doer)
    assert one.ask(lambda self: self.demonitor(self.monitor(two))) is True
    two.stop()
    assert one.ask("seen") == []


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
