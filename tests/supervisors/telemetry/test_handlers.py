from __future__ import annotations

import threading

import pytest
from prometheus_client.parser import text_string_to_metric_families

from supervisors import Actor, ActorSystem, VirtualClock
from supervisors.errors import InvalidArgumentError, InvalidTypeError
from supervisors.telemetry import HandlerTimes, Telemetry
from supervisors.telemetry import handlers as handlers_module


class Lasting(Actor):
    """Takes as long as a message says."""

    def on_receive(self, message):
        self.system.clock.move_to(self.system.clock.monotonic() + message)


@pytest.fixture
def system():
    with ActorSystem(clock=VirtualClock()) as system:
        yield system


@pytest.fixture
def times(system):
    times = HandlerTimes(system.clock)
    yield times
    times.close()


def test_each_message_counts_in_the_bucket_of_its_time(system, times):
    times.measure(Lasting)
    telemetry = Telemetry(system, with_process=False)
    telemetry.add(times)
    ref = system.start(Lasting)
    for seconds in (0.0, 0.05, 0.2, 100.0):
        ref.ask(seconds)
    ref.tell(0.2)
    system.settle()
    text, _ = telemetry.exposition()
    telemetry.close()
    (family,) = [
        each for each in text_string_to_metric_families(text.decode()) if each.name == "supervisors_handler_seconds"
    ]
    found = {(each.name.rpartition("_")[2], each.labels.get("le")): each.value for each in family.samples}
    assert found["count", None] == 5
    assert found["sum", None] == pytest.approx(100.45)
    assert found["bucket", "0.1"] == 2
    assert found["bucket", "0.25"] == 4
    assert found["bucket", "10.0"] == 4
    assert found["bucket", "+Inf"] == 5


def test_what_raises_counts_as_well_and_is_still_raised(system, times):
    times.measure(Lasting)
    with pytest.raises(TypeError):
        system.start(Lasting).ask("x")
    assert times.count(Lasting) == 1


def test_who_is_not_measured_runs_its_own_code(times):
    before = Lasting.receive_ask
    times.measure(Lasting)
    assert Actor.receive_ask is before
    assert Lasting.receive_ask is not before
    times.close()
    assert "receive_ask" not in vars(Lasting)
    assert Lasting.receive_ask is before


def test_a_method_of_its_own_is_put_back(times):
    class Own(Actor):
        def receive_ask(self, message):
            return 1

    before = Own.receive_ask
    times.measure(Own)
    times.measure(Own)
    times.close()
    assert Own.receive_ask is before


def test_a_method_that_somebody_else_has_put_there_since_stays(times):
    class Own(Actor):
        pass

    def others(self, message):
        return 1

    times.measure(Own)
    Own.receive_ask = others
    times.close()
    assert Own.receive_ask is others


def test_counts_of_all_threads_are_kept_also_of_those_that_have_ended(times):
    class Quick(Actor):
        dispatch = "inline"

        def on_receive(self, message):
            return message

    times.measure(Quick)
    with ActorSystem() as real:
        refs = [real.start(Quick) for _ in range(4)]
        threads = [threading.Thread(target=lambda ref=ref: [ref.ask(number) for number in range(500)]) for ref in refs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert times.count(Quick) == 2_000
        assert times.count(Quick) == 2_000


@pytest.mark.parametrize("given", [None, "Actor", int, Actor])
def test_only_classes_of_actors_can_be_measured(times, given):
    if given is Actor:
        times.measure(given)
        times.close()
        return
    with pytest.raises(InvalidTypeError, match="actor_class"):
        times.measure(given)


def test_there_are_not_more_classes_than_may_be(times, monkeypatch):
    monkeypatch.setattr(handlers_module, "CLASSES_MAX", 0)
    with pytest.raises(InvalidArgumentError, match="at most 0 classes"):
        times.measure(Lasting)


@pytest.mark.parametrize("given", [0, -1, True, 1.0, "1", 1_000_001])
def test_how_many_are_left_out_is_checked(given):
    with pytest.raises(InvalidArgumentError, match="every"):
        HandlerTimes(VirtualClock(), every=given)


def test_whether_waits_are_measured_is_yes_or_no():
    with pytest.raises(InvalidTypeError, match="waits"):
        HandlerTimes(VirtualClock(), waits=1)
