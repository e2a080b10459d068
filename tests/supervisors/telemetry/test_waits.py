from __future__ import annotations

import threading

import pytest
from prometheus_client.parser import text_string_to_metric_families

from supervisors import Actor, ActorSystem, VirtualClock
from supervisors.runtime.ref import ActorRef
from supervisors.telemetry import HandlerTimes, Telemetry
from supervisors.telemetry import waits as waits_module
from supervisors.telemetry.histogram import Durations, ThreadRow
from supervisors.telemetry.waits import Waits


class Lasting(Actor):
    """Takes as long as a message says."""

    def on_receive(self, message):
        self.system.clock.move_to(self.system.clock.monotonic() + message)


class Bounded(Lasting):
    mailbox_capacity = 100


class Inline(Lasting):
    dispatch = "inline"


@pytest.fixture
def system():
    with ActorSystem(clock=VirtualClock()) as system:
        yield system


@pytest.fixture
def times(system):
    times = HandlerTimes(system.clock)
    yield times
    times.close()


def waits_of(times, system):
    """Return what is shown of waiting, by the end of the name and the bound."""
    telemetry = Telemetry(system, with_process=False)
    telemetry.add(times)
    text, _ = telemetry.exposition()
    telemetry.close()
    (family,) = [
        each for each in text_string_to_metric_families(text.decode()) if each.name == "supervisors_wait_seconds"
    ]
    return {(each.name.rpartition("_")[2], each.labels.get("le")): each.value for each in family.samples}


@pytest.mark.parametrize("actor_class", [Lasting, Bounded])
def test_a_message_waits_as_long_as_those_before_it_take(system, times, actor_class):
    times.measure(actor_class)
    ref = system.start(actor_class)
    ref.suspend()
    system.settle()
    for _ in range(3):
        ref.tell(2.0)
    ref.resume()
    system.settle()
    found = waits_of(times, system)
    assert found["count", None] == 3
    assert found["sum", None] == pytest.approx(0.0 + 2.0 + 4.0)
    assert (found["bucket", "1e-05"], found["bucket", "2.5"], found["bucket", "10.0"]) == (1, 2, 3)


def test_what_waits_and_is_no_message_makes_nobody_wait_for_a_message_that_never_comes(system, times):
    times.measure(Lasting)
    ref = system.start(Lasting)
    ref.suspend()  # a signal, which still lies in the mailbox when the message comes
    ref.tell(0.0)
    ref.resume()
    system.settle()
    assert times.count_waits(Lasting) == 1


def test_an_ask_that_is_queued_waits_and_one_that_its_asker_runs_does_not(system, times):
    times.measure(Inline)
    ref = system.start(Inline)
    ref.ask(1.0)
    assert (times.count(Inline), times.count_waits(Inline)) == (1, 0)
    ref.suspend()
    waiting = ref.ask(1.0, block=False)
    system.clock.move_to(system.clock.monotonic() + 5.0)
    ref.resume()
    waiting.get(timeout=0)
    assert waits_of(times, system)["sum", None] == pytest.approx(5.0)


def test_one_message_of_so_many_is_measured(system):
    times = HandlerTimes(system.clock, every=5)
    times.measure(Inline)
    try:
        ref = system.start(Inline)
        for _ in range(50):
            ref.tell(0.0)
    finally:
        times.close()
    assert times.count(Inline) == 10
    assert times.count_waits(Inline) == 10


def test_without_waits_nothing_of_the_senders_is_replaced_and_no_histogram_is_shown(system):
    before = vars(ActorRef)["tell"]
    times = HandlerTimes(system.clock, waits=False)
    times.measure(Lasting)
    try:
        ref = system.start(Lasting)
        assert vars(ActorRef)["tell"] is before
        ref.tell(0.0)
        system.settle()
        assert times.count(Lasting) == 1
        assert times.count_waits(Lasting) == 0
        assert [each.name for each in times.collect()] == ["supervisors_handler_seconds"]
    finally:
        times.close()


def test_a_class_that_is_measured_itself_is_not_counted_with_its_base(system, times):
    times.measure(Lasting)
    times.measure(Bounded)
    system.start(Bounded).ask(0.0)
    assert (times.count(Lasting), times.count(Bounded)) == (0, 1)
    assert (times.count_waits(Lasting), times.count_waits(Bounded)) == (0, 1)


def test_a_class_with_a_method_of_its_own_is_not_marked(system, times):
    class Own(Lasting):
        def receive_tell(self, message):
            super().receive_tell(message)

    times.measure(Lasting)
    system.start(Own).tell(0.0)
    system.settle()
    assert times.count_waits(Lasting) == 0


def test_what_the_dead_were_sent_is_forgotten(system, monkeypatch):
    monkeypatch.setattr(waits_module, "REFS_MAX", 3)
    waits = Waits(system.clock.monotonic, 1, lambda _kind: True)
    refs = [system.start(Lasting) for _ in range(5)]
    for ref in refs[:3]:
        waits.sent(ref, "x")
    refs[0].stop()
    waits.sent(refs[3], "x")
    assert list(waits.marked) == refs[1:4]
    waits.sent(refs[4], "x")
    assert list(waits.marked) == refs[2:5]  # all live: who has been there longest goes


def test_one_mailbox_has_so_many_marks_and_not_more(system):
    waits = Waits(system.clock.monotonic, 1, lambda _kind: True)
    ref = system.start(Lasting)
    for _ in range(waits_module.MARKS_MAX + 5):
        assert waits.sent(ref, "x") == "x"
    assert len(waits.marked[ref]) == waits_module.MARKS_MAX


def test_a_mark_counts_when_as_many_messages_have_been_handled(system):
    waits = Waits(system.clock.monotonic, 1, lambda _kind: True)
    ref = system.start(Lasting)
    durations = Durations()
    here = ThreadRow(durations)
    ref.suspend()
    system.settle()
    waits.sent(ref, "x")
    ref.tell(3.0)
    waits.met(ref, here)
    assert durations.total() == 0
    ref.resume()
    system.settle()
    waits.met(ref, here)
    assert durations.total() == 1
    assert durations.sums()[-1] == pytest.approx(3.0)
    assert not waits.marked


def test_senders_on_many_threads_disturb_nothing():
    with ActorSystem() as real:
        times = HandlerTimes(real.clock, every=3)
        times.measure(Quick)
        try:
            refs = [real.start(Quick) for _ in range(4)]

            def send():
                for _ in range(200):
                    for ref in refs:
                        ref.tell(1)

            threads = [threading.Thread(target=send) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert [ref.ask("count") for ref in refs] == [800] * 4
        finally:
            times.close()
        assert times.count_waits(Quick) > 0


class Quick(Actor):
    """Counts what it was sent."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def on_receive(self, message):
        if message == "count":
            return self.count
        self.count += message
        return None
