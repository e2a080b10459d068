import pytest

from sessionactors.errors import PersistFailed
from sessionactors.receipts import Receipts
from supervisors import ActorSystem
from supervisors.clock import VirtualClock
from supervisors.runtime.futures import ScheduledFuture


@pytest.fixture
def receipts():
    with ActorSystem(clock=VirtualClock()) as system:
        yield Receipts(ScheduledFuture(system.scheduler))


def test_a_batch_of_none_is_done_at_once(receipts):
    assert receipts.collect(1.0) == {}


def no(session_id):
    failed = PersistFailed("no")
    failed.session_id = session_id
    return failed


def test_what_was_refused_is_told_and_the_rest_is_done(receipts):
    refusal = no("b")
    assert receipts.awaits("a")
    assert receipts.awaits("b")
    receipts.set("a")
    receipts.refuse(refusal)
    assert receipts.collect(1.0) == {"b": refusal}


def test_what_does_not_come_in_time_counts_as_failed(receipts):
    receipts.awaits("a")
    receipts.awaits("b")
    receipts.set("a")
    (late,) = receipts.collect(0.5).values()
    assert late.reason == "there was no answer within 0.5 s"


def test_only_the_first_answer_counts(receipts):
    receipts.awaits("a")
    receipts.set("a")
    receipts.refuse(no("a"))
    assert receipts.collect(1.0) == {}


def test_a_session_is_waited_for_once_at_a_time(receipts):
    assert receipts.awaits("a")
    assert not receipts.awaits("a")
    receipts.set("a")
    assert receipts.awaits("a")
    receipts.set("a")
    assert receipts.collect(1.0) == {}


def test_an_answer_after_the_end_changes_nothing(receipts):
    receipts.awaits("a")
    found = dict(receipts.collect(0.5))
    receipts.set("a")
    assert list(found) == ["a"]
