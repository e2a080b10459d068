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


def test_what_was_refused_is_told_and_the_rest_is_done(receipts):
    refusal = PersistFailed("no")
    receipts.awaited("a").set("active")
    receipts.awaited("b").refuse(refusal)
    assert receipts.collect(1.0) == {"b": refusal}


def test_what_does_not_come_in_time_counts_as_failed(receipts):
    receipts.awaited("a").set("active")
    receipts.awaited("b")
    (late,) = receipts.collect(0.5).values()
    assert late.reason == "there was no answer within 0.5 s"


def test_only_the_first_answer_counts(receipts):
    receipt = receipts.awaited("a")
    receipt.set("active")
    receipt.refuse(PersistFailed("no"))
    assert receipts.collect(1.0) == {}


def test_an_answer_after_the_end_changes_nothing(receipts):
    receipt = receipts.awaited("a")
    found = dict(receipts.collect(0.5))
    receipt.set("active")
    assert list(found) == ["a"]
