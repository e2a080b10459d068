"""Each kind of fault on a live system: what it does, and that it is over when the experiment is."""

from __future__ import annotations

import threading

import pytest

from supervisors import (
    ActorDeadError,
    ActorSystem,
    AskTimeoutError,
    InvalidArgumentError,
    MailboxFullError,
    SettableClock,
    SystemClock,
)
from supervisors.chaos import LIVE_KINDS
from supervisors.chaos.kinds import (
    NEXT_START,
    NEXT_STRIKE,
    ON_MESSAGE,
    ON_PROCESS,
    ON_SYSTEM,
    ON_TURN,
    ONLY_SIMULATED,
)
from supervisors.simulation import FAULT_KINDS, InjectedFaultError
from tests.supervisors.chaos.shop import Clerk, Laggard, LimitedClerk, experiment, opened, struck


@pytest.fixture
def system():
    with ActorSystem(ask_timeout=5.0) as system:
        yield system


def laid_on(system, kind, **fault):
    """An experiment that has laid one fault on clerks when its block begins."""
    return experiment(system, {"kind": kind, "targets": ["class:*Clerk", "Laggard"], **fault}, on_event=struck())


def begun(chaos):
    chaos._on_event.wait()
    return chaos


def struck_kinds(chaos):
    return [kind for kind, _ in chaos.report.struck]


@pytest.mark.parametrize("kind", [Clerk, Laggard, LimitedClerk])
@pytest.mark.parametrize("fault", ["crash_before", "crash_after"])
def test_a_handler_crashes_before_or_after_its_work(system, fault, kind):
    told = []
    clerk = opened(system, "clerk", kind=kind, told=told)
    with laid_on(system, fault) as chaos:
        begun(chaos)
        with pytest.raises(InjectedFaultError, match=fault):
            clerk.ask("work")
    assert ("work" in told) is (fault == "crash_after")
    assert struck_kinds(chaos) == [fault]


def test_a_handler_crashes_where_it_sends(system):
    told = []
    clerk = opened(system, "clerk")
    other = opened(system, "other", told=told)
    fault = {"kind": "crash_inside", "targets": ["name:clerk"]}
    with experiment(system, fault, on_event=struck()) as chaos:
        begun(chaos)
        with pytest.raises(InjectedFaultError):
            clerk.ask(("hand on", other, "parcel"))
        other.ask("look")
    assert told == ["look"]


def test_a_message_is_lost(system):
    told = []
    clerk = opened(system, "clerk", told=told)
    with laid_on(system, "drop_message") as chaos:
        begun(chaos)
        clerk.tell("lost")
        clerk.ask("kept")
    assert told == ["kept"]


def test_an_ask_that_was_lost_ends_with_the_experiment(system):
    clerk = opened(system, "clerk")
    with laid_on(system, "drop_message") as chaos:
        begun(chaos)
        answer = clerk.ask("lost", block=False)
        assert not answer.is_done()
    with pytest.raises(InjectedFaultError):
        answer.get(timeout=5)


def test_a_reply_is_lost_though_the_work_was_done(system):
    told = []
    clerk = opened(system, "clerk", told=told)
    with laid_on(system, "lose_reply") as chaos:
        begun(chaos)
        with pytest.raises(AskTimeoutError):
            clerk.ask("work", timeout=0.01)
    assert told == ["work"]


def test_a_message_comes_twice(system):
    told = []
    clerk = opened(system, "clerk", told=told)
    with laid_on(system, "duplicate_message") as chaos:
        begun(chaos)
        clerk.tell("letter")
        clerk.ask("end")
    assert told == ["letter", "letter", "end"]


@pytest.mark.parametrize("kind", [Clerk, Laggard, LimitedClerk])
def test_what_comes_late_keeps_its_order_and_comes_at_the_end_at_the_latest(system, kind):
    told = []
    clerk = opened(system, "clerk", kind=kind, told=told)
    with laid_on(system, "delay_message", seconds=3600.0) as chaos:
        begun(chaos)
        clerk.tell("first")
        answer = clerk.ask("second", block=False)
        assert told == []
    assert answer.get(timeout=5) == "second"
    assert told == ["first", "second"]


def test_a_message_comes_after_those_behind_it(system):
    told = []
    clerk = opened(system, "clerk", told=told)
    with laid_on(system, "reorder_message") as chaos:
        begun(chaos)
        clerk.suspend()
        clerk.tell("first")
        last = clerk.ask("second", block=False)
        clerk.resume()
        last.get(timeout=5)
    assert told == ["second", "first"]


def test_a_bounded_mailbox_has_no_room(system):
    clerk = opened(system, "clerk", kind=LimitedClerk)
    with laid_on(system, "mailbox_full") as chaos:
        begun(chaos)
        with pytest.raises(MailboxFullError):
            clerk.tell("too much")
        assert clerk.ask("again") == "again"


@pytest.mark.parametrize("kind", ["slow_turn", "slow_reply", "hang"])
def test_a_turn_that_takes_long_ends_with_the_experiment(system, kind):
    clerk = opened(system, "clerk", kind=Laggard)
    watch = struck(2)
    length = {} if kind == "hang" else {"seconds": 3600.0}
    with experiment(system, {"kind": kind, "targets": ["Laggard"], **length}, on_event=watch):
        answer = clerk.ask("work", block=False)
        watch.wait()
        assert not answer.is_done()
    assert answer.get(timeout=5) == "work"


def test_who_hangs_can_be_killed(system):
    clerk = opened(system, "clerk", kind=Laggard)
    watch = struck(2)
    with experiment(system, {"kind": "hang", "targets": ["Laggard"]}, on_event=watch):
        answer = clerk.ask("work", block=False)
        watch.wait()
        clerk.kill()
        with pytest.raises(ActorDeadError):
            answer.get(timeout=5)


@pytest.mark.parametrize(("kind", "reason"), [("kill", "killed"), ("exit_signal", "exit_signal")])
def test_an_actor_ends_and_its_supervisor_starts_another(system, kind, reason):
    clerk = opened(system, "clerk")
    with laid_on(system, kind):
        assert clerk.join(timeout=5) == reason
        assert system.wait_for_name("clerk", timeout=5) is not clerk


def test_a_message_that_nobody_knows_comes(system):
    told = []
    clerk = opened(system, "clerk", told=told)
    with laid_on(system, "poison_message") as chaos:
        begun(chaos)
        clerk.ask("end")
    assert [type(each).__name__ for each in told] == ["Poison", "str"]


def test_a_supervisor_is_killed(system):
    clerk = opened(system, "clerk")
    supervisor = clerk.parent
    radius = {"roots": True, "settle": 0.0}
    with experiment(system, {"kind": "kill_supervisor"}, blast_radius=radius):
        assert supervisor.join(timeout=5) == "killed"


def test_starts_under_a_parent_crash_for_a_while(system):
    clerk = opened(system, "clerk")
    with laid_on(system, "restart_storm") as chaos:
        assert clerk.join(timeout=5) == "killed"
        system.wait_for_name("clerk", timeout=5)
    assert dict(chaos.report.struck)["restart_storm"] == 1
    assert system.crashes > 0


@pytest.mark.parametrize("kind", ["crash_in_init", "crash_in_start"])
def test_the_next_start_fails_and_another_one_does_not(system, kind):
    clerk = opened(system, "clerk")
    with laid_on(system, kind) as chaos:
        begun(chaos)
        clerk.kill()
        clerk.join(timeout=5)
        system.wait_for_name("clerk", timeout=5)
    assert struck_kinds(chaos) == [kind]


def test_a_start_takes_long(system):
    clerk = opened(system, "clerk")
    with laid_on(system, "slow_start", seconds=0.01) as chaos:
        begun(chaos)
        clerk.kill()
        clerk.join(timeout=5)
        system.wait_for_name("clerk", timeout=5)
    assert struck_kinds(chaos) == ["slow_start"]


@pytest.mark.parametrize("kind", ["crash_in_cleanup", "slow_cleanup"])
def test_a_cleanup_is_hit(system, kind):
    clerk = opened(system, "clerk")
    with laid_on(system, kind, seconds=0.01) as chaos:
        begun(chaos)
        clerk.stop(timeout=5)
    assert struck_kinds(chaos) == [kind]


def test_a_name_is_lost_and_given_back(system):
    clerk = opened(system, "clerk")
    with laid_on(system, "registry_loss") as chaos:
        begun(chaos)
        assert system.whereis("clerk") is None
        assert clerk.is_alive()
    assert system.whereis("clerk") is clerk


@pytest.mark.parametrize(("kind", "arrive"), [("partition", True), ("netsplit", False)])
def test_two_groups_do_not_hear_each_other(system, kind, arrive):
    told = []
    clerks = [opened(system, f"clerk-{number}", told=told) for number in range(8)]
    with experiment(system, {"kind": kind, "seconds": 3600.0}, on_event=struck()) as chaos:
        begun(chaos)
        for clerk in clerks:
            clerk.ask(("hand on", clerks[0], "parcel"))
        heard = told.count("parcel")
        assert heard < len(clerks)
    clerks[0].ask("end")
    assert told.count("parcel") == (len(clerks) if arrive else heard)


@pytest.mark.parametrize(("kind", "arrives"), [("timer_late", True), ("timer_lost", False)])
def test_a_timer_comes_late_or_never(system, kind, arrives):
    told = []
    clerk = opened(system, "clerk", told=told)
    watch = struck(2)
    with experiment(system, {"kind": kind, "targets": ["Clerk"], "seconds": 3600.0}, on_event=watch):
        while not any(each.event == "laid" for each in watch.events):
            clerk.ask("wait")
        system.timers.send_after(0.0, clerk, "ring")
        watch.wait()
        assert "ring" not in told
    clerk.ask("end")
    assert ("ring" in told) is arrives


class Ear(list):
    """Remembers what it is told, and tells when that was something wanted."""

    def __init__(self, wanted):
        super().__init__()
        self._wanted = wanted
        self.has_heard = threading.Event()

    def append(self, what):
        super().append(what)
        if what == self._wanted:
            self.has_heard.set()


@pytest.mark.parametrize("kind", [Clerk, Laggard])
def test_a_timer_comes_early(system, kind):
    told = Ear("ring")
    clerk = opened(system, "clerk", kind=kind, told=told)
    system.timers.send_after(9.0, clerk, "ring later")
    system.timers.send_after(8.0, "clerk", "ring")
    with laid_on(system, "timer_early") as chaos:
        begun(chaos)
        assert told.has_heard.wait(5)
    assert told == ["ring"]
    assert struck_kinds(chaos) == ["timer_early"]


def test_a_timer_that_is_far_off_and_one_of_somebody_else_do_not_come_early(system):
    clerk = opened(system, "clerk")
    system.timers.send_after(3600.0, clerk, "ring")
    system.timers.send_after(9.0, "somebody else", "ring")
    system.timers.send_interval(9.0, clerk, "ring")
    with experiment(system, {"kind": "timer_early"}, on_event=struck(1, ("spared",))) as chaos:
        begun(chaos)
    assert chaos.report.struck == ()
    assert system.timers.pending() == 3


def test_no_turn_begins_during_a_pause(system):
    clerks = [opened(system, f"clerk of {kind.__name__}", kind=kind) for kind in (Clerk, Laggard, LimitedClerk)]
    with experiment(system, {"kind": "pause", "seconds": 3600.0}, on_event=struck()) as chaos:
        begun(chaos)
        answers = [threading.Thread(target=clerk.ask, args=("work",)) for clerk in clerks]
        for answer in answers:
            answer.start()
        threading.Event().wait(0.02)
        assert [clerk.messages_handled for clerk in clerks] == [0, 0, 0]
    for answer in answers:
        answer.join(5)
    assert [clerk.messages_handled for clerk in clerks] == [1, 1, 1]
    assert struck_kinds(chaos) == ["pause"]


def test_the_wall_clock_jumps_and_is_set_right_again():
    clock, real = SettableClock(), SystemClock()
    with ActorSystem(clock=clock) as system:
        before = clock.monotonic()
        jumps = {"kind": "clock_jump", "seconds": 3600.0, "at": [0.0, 0.0, 0.0]}
        with experiment(system, jumps, on_event=struck(3)) as chaos:
            begun(chaos)
            off = clock.time() - real.time()
            assert round(abs(off) / 3600.0, 2) in (1, 3)
            assert clock.monotonic() - before < 60
        assert abs(clock.time() - real.time()) < 1
    assert dict(chaos.report.struck) == {"clock_jump": 3}


def test_a_clock_that_nobody_can_set_is_told_of_before_anything_is_done(system):
    with pytest.raises(InvalidArgumentError, match="SettableClock") as caught:
        experiment(system, {"kind": "clock_jump"})
    assert caught.value.field == "plan.faults"


def test_a_disk_of_the_programs_own_is_asked_to_fail(system):
    with experiment(system, {"kind": "store_error"}, on_event=struck()) as chaos:
        begun(chaos)
        assert chaos.strikes("fsync_error") is None
        part = chaos.strikes("store_error")
        assert part is not None
        assert 0 <= part < 1
        assert chaos.strikes("store_error") is None
    assert chaos.strikes("store_error") is None


def test_refs_are_afterwards_what_they_were_and_so_are_new_ones(system):
    clerk = opened(system, "clerk")
    plain = type(clerk)
    with laid_on(system, "slow_turn", seconds=0.0) as chaos:
        begun(chaos)
        assert type(clerk) is not plain
        clerk.ask("work")
    assert type(clerk) is plain
    assert type(opened(system, "later")) is plain


def test_who_is_out_of_the_radius_is_not_hit(system):
    opened(system, "clerk")
    outside = {"only": ["*"], "never": ["clerk"]}
    with experiment(system, {"kind": "kill"}, blast_radius=outside, on_event=struck(1, ("spared",))) as chaos:
        begun(chaos)
    assert chaos.report.struck == ()
    assert chaos.report.spared == 1


def test_whoever_has_no_parent_is_spared_unless_the_radius_says_so(system):
    alone = system.start(Clerk, "alone")
    with experiment(system, {"kind": "kill"}, on_event=struck(1, ("spared",))) as chaos:
        begun(chaos)
    assert alone.is_alive()


def test_what_found_no_moment_is_told(system):
    opened(system, "clerk")
    with laid_on(system, "crash_before") as chaos:
        begun(chaos)
    assert chaos.report.missed == 1


def test_every_kind_is_of_one_sort():
    at_once = {"exit_signal", "kill", "kill_supervisor", "kill_waiting", "poison_message", "registry_loss"}
    at_once |= {"restart_storm", "timer_early"}
    sorts = [NEXT_START, NEXT_STRIKE, ON_MESSAGE, ON_PROCESS, ON_SYSTEM, ON_TURN, at_once]
    assert sorted(kind for sort in sorts for kind in sort) == sorted(LIVE_KINDS)
    assert set(FAULT_KINDS) <= set(LIVE_KINDS) | ONLY_SIMULATED
