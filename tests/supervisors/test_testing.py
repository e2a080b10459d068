from __future__ import annotations

import pytest

from supervisors import Actor, InvalidTypeError
from supervisors.testing import Probe


class Worker(Actor):
    """Replies, crashes, or sends back later."""

    crash_on_ask_error = True

    def on_receive(self, message):
        verb, argument = message
        if verb == "later":
            self.system.timers.send_after(1.0, argument, "late")
        elif verb == "crash":
            raise ValueError(argument)
        else:
            argument.tell("hello")


@pytest.fixture
def probe(system):
    return Probe(system)


@pytest.fixture
def worker(system):
    return system.start(Worker)


@pytest.mark.parametrize("expected", ["hello", str, lambda message: message.startswith("h")])
def test_a_message_is_expected_by_value_by_class_or_by_a_function(worker, probe, expected):
    worker.tell(("hello", probe.ref))
    assert probe.expect_message(expected) == "hello"


@pytest.mark.parametrize("expected", ["hullo", int, lambda message: message.startswith("x")])
def test_another_message_than_the_expected_one_is_shown(worker, probe, expected):
    worker.tell(("hello", probe.ref))
    with pytest.raises(AssertionError, match="'hello'"):
        probe.expect_message(expected)


def test_messages_are_taken_in_order(probe):
    for number in range(3):
        probe.ref.tell(number)
    assert [probe.expect_message() for _ in range(3)] == [0, 1, 2]


def test_a_late_message_is_waited_for_in_virtual_time(system, worker, probe):
    worker.tell(("later", probe.ref))
    assert probe.expect_message("late") == "late"
    assert system.clock.monotonic() == 1.0


def test_a_message_that_does_not_come_is_missed(system, probe):
    with pytest.raises(AssertionError, match="no message has come; expected: 'late' within 3 seconds"):
        probe.expect_message("late", timeout=3.0)
    assert system.clock.monotonic() == 3.0


def test_silence_is_expected_for_a_while(worker, probe):
    worker.tell(("later", probe.ref))
    probe.expect_no_message(0.5)
    with pytest.raises(AssertionError, match="'late'"):
        probe.expect_no_message(1.0)


def test_a_wait_that_is_over_leaves_nothing_behind(system, probe):
    probe.expect_no_message(0.5)
    probe.ref.tell("message")
    assert probe.expect_message() == "message"
    assert system.dead_letters == 0


@pytest.mark.parametrize("reason", [ValueError, lambda reason: "boom" in str(reason)])
def test_the_end_of_a_watched_actor_is_told_with_its_reason(worker, probe, reason):
    probe.watch(worker)
    worker.tell(("crash", "boom"))
    assert probe.expect_down(worker, reason).source is worker


def test_who_is_watched_too_late_has_ended_already(worker, probe):
    worker.stop()
    probe.expect_down(worker, "noproc")


def test_the_exit_of_a_linked_actor_is_told_with_its_reason(worker, probe):
    probe.link(worker)
    worker.exit("enough")
    assert probe.expect_exit(worker, "enough").source is worker


def test_another_reason_is_shown(worker, probe):
    probe.watch(worker)
    worker.stop()
    with pytest.raises(AssertionError, match="ended with normal; expected: KeyError"):
        probe.expect_down(worker, KeyError)


def test_the_end_of_somebody_else_is_shown(system, worker, probe):
    other = system.start(Worker)
    probe.watch(other)
    other.stop()
    with pytest.raises(AssertionError, match="expected: that of Worker"):
        probe.expect_down(worker)


def test_an_end_that_does_not_come_is_missed(worker, probe):
    with pytest.raises(AssertionError, match=r"the end of Worker.* has not come"):
        probe.expect_exit(worker, timeout=1.0)


def test_ends_and_messages_do_not_mix(worker, probe):
    probe.watch(worker)
    probe.link(worker)
    worker.stop()
    probe.ref.tell("message")
    assert probe.expect_message() == "message"
    probe.expect_exit(worker, "normal")
    probe.expect_down(worker, "normal")
    probe.expect_no_message()


def test_a_probe_works_in_real_time(real):
    probe, worker = Probe(real), real.start(Worker)
    worker.tell(("hello", probe.ref))
    probe.expect_message("hello")
    probe.expect_no_message(0.01)
    probe.watch(worker)
    worker.kill()
    probe.expect_down(worker, "killed")


def test_a_probe_ends_with_its_system(system, probe):
    assert system.stop() == []
    assert not probe.ref.is_alive()


@pytest.mark.parametrize("verb", ["watch", "link", "expect_down", "expect_exit"])
def test_only_an_actor_can_end(probe, verb):
    with pytest.raises(InvalidTypeError, match="ref"):
        getattr(probe, verb)("worker")


@pytest.mark.parametrize("given", [-1.0, float("nan"), True, "1"])
def test_times_that_make_no_sense_are_refused(system, given):
    with pytest.raises((ValueError, TypeError), match="timeout"):
        Probe(system, timeout=given)
    with pytest.raises((ValueError, TypeError), match="seconds"):
        Probe(system).expect_no_message(given)
