from __future__ import annotations

import threading

import pytest

from supervisors import ActorSystem
from supervisors.clock import VirtualClock
from supervisors.runtime.dump import dump
from supervisors.runtime.turn import all_turns
from supervisors.runtime.watchdog import FOLLOWED_MAX, Watchdog
from tests.supervisors.actors import Doer, Echo, SharedDoer


@pytest.fixture
def watched():
    with ActorSystem(workers=2, slow_inline_turn=0.02, slow_shared_turn=0.02) as system:
        yield system


def slowly(system, ref, caller=lambda work: work()):
    """Have an actor take a turn that lasts until it has been reported; return the report."""
    found, reports = threading.Event(), []

    def report(slow):
        reports.append(slow)
        found.set()

    system.on_slow_turn(report)
    caller(lambda: ref.ask(lambda _: found.wait(10), timeout=20))
    return reports[0]


def until(condition):
    """Return a handler that does not end before the condition holds."""

    def handler(_):
        while not condition():
            pass

    return handler


@pytest.mark.parametrize("actor_class", [Doer, SharedDoer])
def test_a_turn_over_the_limit_is_reported_with_its_live_stack(watched, actor_class, caplog):
    ref = watched.start(actor_class)
    slow = slowly(watched, ref)
    assert slow.actor is ref
    assert slow.message == "function"
    assert slow.seconds >= 0.02
    assert "found.wait(10)" in slow.stack
    assert "found.wait(10)" in caplog.text
    assert watched.statistics()["slow_turns"] == 1


def test_a_turn_that_waits_for_a_reply_is_not_slow(watched):
    inner, outer = watched.start(SharedDoer), watched.start(SharedDoer)
    slow = slowly(watched, inner, lambda work: outer.ask(lambda _: work(), timeout=30))
    assert slow.actor is inner
    assert watched.statistics()["slow_turns"] == 1


def test_what_waits_behind_workers_that_take_too_long_gets_others_until_they_are_back(watched):
    leave = threading.Event()
    held = [watched.start(SharedDoer).ask(lambda _: leave.wait(30), block=False) for _ in range(4)]
    try:
        assert watched.start(SharedDoer).ask(lambda _: "here", timeout=20) == "here"
        assert watched.scheduler.statistics()["waiting"] >= 3
    finally:
        leave.set()
    for each in held:
        assert each.get(timeout=30)
    while watched.scheduler.statistics()["waiting"]:
        pass  # the last one answers before it is back


def test_an_inline_actor_that_is_very_slow_again_and_again_goes_to_the_pool(watched, caplog):
    ref = watched.start(Doer)
    for strikes in range(1, 4):
        assert ref.dispatch == "inline"
        ref.ask(until(lambda: watched._watchdog._strikes.get(ref) == strikes or ref.dispatch == "shared"), timeout=20)  # noqa: B023
    assert ref.dispatch == "shared"
    assert ref.ask(lambda _: threading.current_thread().name).startswith("supervisors-worker")
    assert caplog.text.count("goes on") == 1  # the log is told of the first one only


def test_an_actor_on_a_thread_of_its_own_may_take_its_time(watched):
    class Pinned(SharedDoer):
        dispatch = "pinned"

    entered, gate = threading.Event(), threading.Event()

    def work(_):
        entered.set()
        return gate.wait(10)

    pinned, ref = watched.start(Pinned), watched.start(SharedDoer)
    future = pinned.ask(work, block=False)
    assert entered.wait(10)
    assert slowly(watched, ref).actor is ref  # and the others are watched all the same
    assert watched.statistics()["slow_turns"] == 1
    gate.set()
    assert future.get(timeout=10)


def test_actors_of_other_systems_are_not_its_business(watched):
    with ActorSystem(workers=1, slow_inline_turn=None) as other:
        ref, gate = other.start(Doer), threading.Event()
        thread = threading.Thread(target=lambda: ref.ask(lambda _: gate.wait(10)))
        thread.start()
        while not ref.messages_handled:
            pass
        assert watched._watchdog.look() == []
        gate.set()
        thread.join()


def test_virtual_time_is_not_watched(system):
    assert system._watchdog is None


def test_a_dump_shows_the_busy_the_waiting_and_the_full(real):
    inner, outer, full = real.start(SharedDoer), real.start(SharedDoer, name=None), real.start(Echo)
    entered, gate = threading.Event(), threading.Event()

    def work(_):
        entered.set()
        return gate.wait(10)

    full.suspend()
    full.tell("x")
    future = outer.ask(lambda _: inner.ask(work), block=False)
    assert entered.wait(10)
    while outer.waits_for is not inner:
        pass
    text = real.dump()
    gate.set()
    assert future.get(timeout=10)
    assert f"{inner} on supervisors-worker" in text
    assert "return gate.wait(10)" in text
    assert f"{outer} waits for {inner}" in text
    assert f"1 in that of {full}" in text


def test_a_dump_of_an_idle_system_says_so(system):
    system.start(Echo)
    assert "nobody" in system.dump()
    assert "all are empty" in system.dump()


@pytest.fixture
def looker(real):
    """Return a watchdog that looks when it is told to, on a clock of its own."""
    return Watchdog(VirtualClock(), lambda ref: ref.system is real, {"inline": 1000.0, "shared": 1000.0}, print, print)


def test_what_waits_behind_a_turn_has_an_age_from_the_first_look_on(real, looker):
    ref, entered, gate = real.start(SharedDoer), threading.Event(), threading.Event()

    def work(_):
        entered.set()
        return gate.wait(30)

    held = ref.ask(work, block=False)
    assert entered.wait(30)
    ref.tell("x")
    looker.look()
    looker._clock.move_to(7.5)
    assert looker.age_of(ref) == 7.5
    (thread_id,) = (turn.thread_id for turn in all_turns() if turn.current is ref)
    assert looker.in_hand(thread_id, ref) == 7.5
    ref.tell("y")
    text = dump(real, 20, looker)
    assert f"2 in that of {ref}, the oldest for at least 7.500 s" in text
    assert "1 messages handled, at this one for at least 7.500 s" in text
    gate.set()
    assert held.get(timeout=30)
    assert ref.ask("seen", timeout=30) == ["x", "y"]
    assert (looker.age_of(ref), looker.in_hand(thread_id, ref)) == (0.0, 0.0)


def test_a_second_dump_tells_how_long_messages_have_waited_since_the_first(real, looker):
    ref = real.start(SharedDoer)
    ref.suspend()
    ref.tell("x")
    while ref.mailbox_length > 1:
        pass  # a worker takes the suspension in
    assert "the oldest" not in dump(real, 20, looker)
    looker.look()
    looker._clock.move_to(60.0)
    assert f"1 in that of {ref}, the oldest for at least 60.000 s" in dump(real, 20, looker)
    ref.resume()
    assert ref.ask("seen") == ["x"]
    looker.look()
    assert not looker._followed


def test_of_very_many_full_mailboxes_the_first_ones_are_followed(real, looker):
    refs = [real.start(SharedDoer) for _ in range(FOLLOWED_MAX + 5)]
    for ref in refs:
        ref.suspend()
        ref.tell("x")
    looker.follow(refs)
    looker.look()
    assert list(looker._followed.values()) == refs[:FOLLOWED_MAX]
