"""Actors in processes, with one test body for real processes and for simulated ones."""

from __future__ import annotations

import os

import pytest
from pykka.messages import ProxyGetAttr

from supervisors import ActorDeadError, ChildSpec, Crashed, IgnoreStart, StartError, Supervisor
from supervisors.errors import InvalidTypeError, UsageError
from supervisors.process_actor import ProcessEnded, RemoteError, RemoteRefusal
from supervisors.runtime.frames import UnreadableError
from supervisors.runtime.futures import ScheduledFuture
from supervisors.simulation import run_seed
from tests.supervisors.process_workers import (
    Careful,
    Cursed,
    Declining,
    FailingStart,
    Level,
    Pair,
    Parting,
    Point,
    Worker,
)
from tests.supervisors.worlds import in_both_worlds, in_simulation


@in_both_worlds
def test_messages_travel_both_ways_in_order_as_what_msgpack_makes_of_them(run):
    def body(system):
        worker = system.start(Worker, start=40)
        for _ in range(20):
            worker.tell(1)
        assert worker.ask(1) == 61
        assert worker.ask(["echo", (1, {"a": b"x"})]) == [1, {"a": b"x"}]
        swapped = worker.ask(Point(1, 2))
        assert (swapped.x, swapped.y) == (2, 1)
        assert worker.ask("pid") not in (os.getpid(), None)
        with pytest.raises(TypeError, match="message_coders"):
            worker.ask(["echo", object()])
        with pytest.raises(RemoteError, match="message_coders"):
            worker.ask("unpackable")
        assert worker.ask(1) == 62

    run(body)


@in_both_worlds
@pytest.mark.parametrize("message", [{(1, 2): 3}, object(), "\ud800", 2**70], ids=["key", "object", "half", "large"])
def test_what_cannot_travel_is_refused_in_the_call_of_its_sender(run, message):
    def body(system):
        worker = system.start(Worker)
        dead = []
        system.on_dead_letter(lambda ref, letter: dead.append((ref, letter)))
        for verb in (worker.ask, worker.tell, lambda each: worker.ask(each, block=False)):
            with pytest.raises(InvalidTypeError):
                verb(["echo", message])
        worker.send(message)
        assert dead == [(worker, message)]
        assert worker.ask(1) == 1

    run(body)


@in_both_worlds
@pytest.mark.parametrize("value", [Pair(1, 2), Level.LOW, [Pair(1, 2)], {Level.LOW: Pair(1, 2)}])
def test_a_type_with_a_coder_may_be_derived_from_one_of_msgpack(run, value):
    def body(system):
        back = system.start(Worker).ask(["echo", value])
        assert (back, type(back)) == (value, type(value))
        assert repr(back) == repr(value)

    run(body)


@in_both_worlds
def test_what_nobody_can_read_is_an_error_for_who_waits_and_else_a_dead_letter(run):
    def body(system):
        worker = system.start(Worker)
        dead = []
        system.on_dead_letter(lambda ref, letter: dead.append(letter))
        with pytest.raises(UnreadableError, match="KeyError: 0"):
            worker.ask(Cursed())
        with pytest.raises(UnreadableError, match="KeyError: 0"):
            worker.ask("cursed")
        letter = Cursed()
        worker.tell(letter)
        assert worker.ask(1) == 1
        assert dead == [letter]

    run(body)


@in_both_worlds
def test_a_message_that_has_changed_since_it_was_sent_so_that_it_cannot_travel_is_a_dead_letter(run):
    def body(system):
        worker = system.start(Worker)
        dead = []
        system.on_dead_letter(lambda ref, letter: dead.append(letter))
        message = ["echo", 1]
        worker.suspend()
        worker.tell(message)
        message[1] = object()
        worker.resume()
        assert worker.ask(1) == 1
        assert dead == [message]

    run(body)


@in_both_worlds
@pytest.mark.parametrize(("verb", "said"), [("mute", "MuteError: <an error"), ("half", r"ValueError: \\ud800")])
def test_an_error_that_cannot_be_told_is_told_as_far_as_it_can(run, verb, said):
    def body(system):
        worker = system.start(Careful)
        with pytest.raises(RemoteError, match=said):
            worker.ask(verb)
        assert worker.ask(1) == 1

    run(body)


@in_both_worlds
def test_a_proxy_is_refused(run):
    def body(system):
        worker = system.start(Worker)
        with pytest.raises(UsageError, match="no proxy"):
            worker.proxy()
        with pytest.raises(UsageError, match="no proxy"):
            worker.ask(ProxyGetAttr(attr_path=("total",)))
        assert worker.ask(1) == 1

    run(body)


@in_both_worlds
def test_a_reply_cannot_be_deferred_in_another_process(run):
    def body(system):
        worker = system.start(Careful)
        with pytest.raises(RemoteError, match="cannot defer a reply"):
            worker.ask("later")
        assert worker.ask(1) == 1

    run(body)


@in_both_worlds
def test_errors_travel_as_what_they_do_to_the_actor(run):
    def body(system):
        worker = system.start(Worker)
        with pytest.raises(RemoteRefusal, match="no room") as caught:
            worker.ask("refuse")
        assert caught.value.code == "full"
        with pytest.raises(RemoteError, match="ValueError: broken") as raised:
            worker.ask("fail")
        reason = worker.join(timeout=20.0)
        assert reason == Crashed(raised.value)
        assert "in fail" in reason.error.trace

    run(body)


@in_both_worlds
@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (["quit", 3], ProcessEnded(3, None)),
        ("die", ProcessEnded(None, "SIGSEGV")),
        (["leave", "done"], "done"),
    ],
)
def test_an_end_there_is_an_end_here_that_tells_how(run, message, reason):
    def body(system):
        worker = system.start(Worker)
        with pytest.raises(ActorDeadError) as caught:
            worker.ask(message, timeout=20.0)
        assert caught.value.reason == reason == worker.join(timeout=20.0)

    run(body)


@in_both_worlds
def test_the_end_of_an_idle_process_is_noticed(run):
    def body(system):
        worker = system.start(Worker)
        worker.tell(["quit", 5])
        assert worker.join(timeout=20.0) == ProcessEnded(5, None)

    run(body)


@in_both_worlds
def test_a_kill_ends_the_process_in_the_middle_of_a_turn(run):
    def body(system):
        worker = system.start(Worker)
        hanging = worker.ask("wait", block=False)
        with pytest.raises(TimeoutError):
            hanging.get(timeout=0.1)
        worker.kill()
        with pytest.raises(ActorDeadError):
            hanging.get(timeout=20.0)
        assert worker.join(timeout=20.0) == "killed"

    run(body)


@in_both_worlds
def test_a_stop_runs_the_cleanup_there(run, tmp_path):
    def body(system):
        path = tmp_path / system.identity.hex()
        system.start(Worker, str(path)).stop()
        assert path.read_text() == "stopped"

    run(body)


@in_both_worlds
@pytest.mark.parametrize(
    ("verb", "reason"), [("die", ProcessEnded(None, "SIGSEGV")), ("fail", "ValueError: broken"), ("shout", "normal")]
)
def test_how_a_cleanup_goes_there_is_the_reason_here(run, verb, reason):
    def body(system):
        worker = system.start(Parting, verb)
        worker.stop()
        end = worker.exit_reason
        assert (str(end.error) if isinstance(end, Crashed) else end) == reason

    run(body)


@in_both_worlds
def test_an_actor_that_traps_exits_there_cleans_up_as_well(run, tmp_path):
    def body(system):
        path = tmp_path / system.identity.hex()
        worker = system.start(Parting, path=str(path))
        worker.ask("deaf")
        worker.stop()
        assert path.read_text() == "stopped"

    run(body)


@in_both_worlds
def test_a_cleanup_that_has_no_end_is_killed_by_who_has_stopped_it(run):
    def body(system):
        worker = system.start(Parting, "wait")
        system.stop(0.1)
        assert worker.exit_reason == "killed"

    run(body)


def test_a_cleanup_takes_as_long_as_it_takes_if_nobody_is_in_a_hurry(tmp_path):
    def body(system):
        path = tmp_path / "mark"
        worker = system.start(Parting, "wait", path=str(path))
        before = system.clock.monotonic()
        worker.stop()
        assert system.clock.monotonic() >= before + 3600.0
        assert (path.read_text(), worker.exit_reason) == ("stopped", "normal")

    in_simulation(body)


def test_a_supervised_cleanup_has_the_seconds_of_its_child_spec(tmp_path):
    def body(system):
        path = tmp_path / "mark"
        start = lambda: Parting.start_link("wait", path=str(path))  # noqa: E731 - a start function
        system.start(Supervisor, [ChildSpec("worker", start, shutdown=4000.0)]).stop()
        assert path.read_text() == "stopped"

    in_simulation(body)


@in_both_worlds
def test_a_start_that_fails_or_declines_does_so_here(run):
    def body(system):
        with pytest.raises(StartError, match="not today"):
            system.start(FailingStart)
        with pytest.raises(IgnoreStart):
            system.start(Declining)
        assert system.actors() == []

    run(body)


@in_both_worlds
def test_a_supervisor_starts_it_again(run):
    def body(system):
        up = []
        gate = ScheduledFuture(system.scheduler)

        def start():
            ref = Worker.start_link()
            up.append(ref)
            if len(up) == 2:
                gate.offer()
            return ref

        system.start(Supervisor, [ChildSpec("worker", start)])
        up[0].tell("die")
        assert gate.settle(20.0)
        assert up[1].ask(1, timeout=20.0) == 1

    run(body)


def test_a_simulated_actor_has_a_system_of_its_own_and_its_timers_take_virtual_time():
    def body(system):
        worker = system.start(Worker)
        assert worker.ask("others") == 1
        before = system.clock.monotonic()
        assert worker.ask("wait", timeout=None) is True
        assert system.clock.monotonic() >= before + 3600.0

    in_simulation(body)


def test_a_simulated_actor_that_reads_the_clock_is_reported_with_the_place():
    outcome = run_seed(lambda simulation: simulation.system.start(Worker).ask("look"), 1)
    assert (outcome.verdict, outcome.by) == ("crash", "outside")
    assert "time.time() was called in Worker.look" in outcome.what


def test_a_simulated_process_whose_parent_dies_ends_as_well():
    def body(system):
        worker = system.start(Worker)
        assert worker.ask("nest", timeout=60.0) is None
        outer, inner = system.machine.processes
        assert worker.ask("nested", timeout=60.0) == inner.pid
        outer.signal(9)
        system.advance(1.0)
        assert inner.poll() is not None

    in_simulation(body)
