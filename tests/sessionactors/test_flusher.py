import pytest

from sessionactors.flusher import FLUSH, Flusher
from supervisors import ActorSystem
from supervisors.clock import VirtualClock


class FullError(Exception):
    """The target is full."""


class Writer(Flusher):
    target = "the test"
    failures = FullError

    def __init__(self, system, facts):
        super().__init__(system.timers)
        self.facts = facts

    def write(self):
        self.facts["tries"].append(self.system.clock.monotonic())
        if self.facts["full"]:
            raise FullError
        return "written"

    def on_receive(self, message):
        if message == FLUSH:
            return self.flush()
        self.flush_after(message)
        return None


@pytest.fixture
def system():
    with ActorSystem(clock=VirtualClock()) as system:
        yield system


@pytest.fixture
def facts():
    return {"tries": [], "full": False}


@pytest.fixture
def writer(system, facts):
    ref = system.start(Writer, system, facts)
    system.settle()
    return ref


def test_what_waits_at_its_start_is_written(writer, facts):
    assert facts["tries"] == [0.0]


def test_what_waits_at_its_end_is_written(writer, facts):
    writer.stop()
    assert len(facts["tries"]) == 2


def test_two_wishes_to_write_soon_are_one(system, writer, facts):
    writer.ask(0.5)
    writer.ask(0.1)
    system.advance(2.0)
    assert facts["tries"] == [0.0, 0.5]


def test_writing_at_once_leaves_nothing_to_write_soon(system, writer, facts):
    writer.ask(0.5)
    assert writer.ask(FLUSH) == "written"
    system.advance(2.0)
    assert facts["tries"] == [0.0, 0.0]


def test_a_failure_is_an_answer_and_is_tried_again_until_it_is_over(system, writer, facts):
    facts["full"] = True
    assert isinstance(writer.ask(FLUSH), FullError)
    system.advance(2.5)
    facts["full"] = False
    system.advance(10.0)
    assert facts["tries"] == [0.0, 0.0, 1.0, 2.0, 3.0]


def test_a_failure_is_told_once_and_its_end_too(system, writer, facts, caplog):
    facts["full"] = True
    writer.ask(FLUSH)
    system.advance(3.5)
    facts["full"] = False
    with caplog.at_level("WARNING"):
        system.advance(10.0)
    told = [each.message for each in caplog.records if each.name == "sessionactors.flusher"]
    assert told == ["the test cannot be written; it is tried every 1 seconds", "the test can be written again"]


def test_an_end_leaves_no_timer(system, writer, facts):
    writer.ask(0.5)
    writer.kill()
    system.advance(2.0)
    assert facts["tries"] == [0.0]
