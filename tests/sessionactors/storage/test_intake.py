import pytest

from sessionactors.storage.contract import Record
from sessionactors.storage.intake import SOMEBODY_WAITS, WAITING, StoreIntake


class Actor:
    """Keeps what it is sent."""

    def __init__(self):
        self.sent = []

    def send(self, message):
        self.sent.append(message)


@pytest.fixture
def actor():
    return Actor()


@pytest.fixture
def intake(actor):
    return StoreIntake(lambda: actor, 3)


def snapshot(session_id, content=b""):
    return Record(session_id, 1, b"", content)


def waiting(intake):
    return {session_id: saving.record.snapshot for session_id, saving in intake.take().items()}


def test_the_newest_snapshot_of_a_session_counts(intake):
    for number in range(3):
        intake.save(snapshot("a", b"%d" % number))
    assert waiting(intake) == {"a": b"2"}


def test_sessions_wait_in_the_order_of_their_arrival(intake):
    for session_id in "bca":
        intake.save(snapshot(session_id))
    assert list(waiting(intake)) == ["b", "c", "a"]


def test_what_was_taken_does_not_wait_any_more(intake):
    intake.save(snapshot("a"))
    intake.take()
    assert (len(intake), waiting(intake)) == (0, {})


def test_who_waits_is_answered_with_what_comes_in_its_place(intake):
    intake.persist(snapshot("a", b"1"), "one", "active")
    intake.persist(snapshot("a", b"2"), "two", "idle")
    intake.save(snapshot("a", b"3"))
    saving = intake.take()["a"]
    assert (saving.record.snapshot, saving.askers) == (b"3", (("one", "active"), ("two", "idle")))


def test_an_end_takes_the_place_of_a_snapshot(intake):
    intake.persist(snapshot("a"), "one", "active")
    intake.delete("a")
    saving = intake.take()["a"]
    assert (saving.record.snapshot, saving.askers) == (None, (("one", "active"),))


def test_an_end_is_on_its_way_until_it_is_settled(intake):
    intake.delete("a")
    batch = intake.take()
    assert [*intake.leaving] == ["a"]
    intake.settled(batch, {})
    assert [*intake.leaving] == []


def test_an_end_is_not_settled_by_a_snapshot_that_was_being_written_when_it_came(intake):
    intake.save(snapshot("a"))
    batch = intake.take()
    intake.delete("a")
    intake.settled(batch, {})
    assert [*intake.leaving] == ["a"]
    intake.settled(intake.take(), {})
    assert [*intake.leaving] == []


def test_an_end_is_not_settled_by_the_one_of_an_earlier_session(intake):
    intake.delete("a")
    batch = intake.take()
    intake.save(snapshot("a"))
    intake.delete("a")
    intake.settled(batch, {})
    assert [*intake.leaving] == ["a"]


def test_an_end_that_is_refused_is_known_with_its_reason_until_something_is_written(intake):
    intake.delete("a")
    intake.delete("b")
    intake.settled(intake.take(), {"a": "why"})
    assert ([*intake.leaving], intake.undeleted, intake.has_ends()) == ([], {"a": "why"}, True)
    intake.save(snapshot("a"))
    intake.settled(intake.take(), {})
    assert (intake.undeleted, intake.has_ends()) == ({}, False)


def test_a_snapshot_that_is_refused_is_no_end(intake):
    intake.delete("b")
    intake.save(snapshot("a"))
    intake.settled(intake.take(), {"a": "why"})
    assert intake.undeleted == {}


def test_an_end_whose_id_is_taken_is_on_its_way_until_the_next_session_is_written(intake):
    intake.delete("a")
    intake.save(snapshot("a", b"next"))
    assert [*intake.leaving] == ["a"]
    intake.settled(intake.take(), {})
    assert [*intake.leaving] == []


def test_an_end_whose_id_is_taken_is_refused_with_the_snapshot_in_its_place(intake):
    intake.delete("a")
    intake.save(snapshot("a", b"next"))
    intake.settled(intake.take(), {"a": "why"})
    assert intake.undeleted == {"a": "why"}


class TestAtTheBound:
    @pytest.fixture(autouse=True)
    def full(self, intake):
        for session_id in "abc":
            intake.save(snapshot(session_id, b"1"))

    def test_another_session_is_not_saved(self, intake):
        assert intake.has_room() is False
        assert intake.save(snapshot("d")) is False
        assert list(waiting(intake)) == ["a", "b", "c"]

    def test_a_session_that_waits_already_is(self, intake):
        assert intake.save(snapshot("a", b"2")) is True
        assert waiting(intake)["a"] == b"2"

    def test_an_end_and_a_last_snapshot_are_taken(self, intake):
        intake.delete("d")
        intake.keep(snapshot("e", b"5"))
        assert waiting(intake) == {"a": b"1", "b": b"1", "c": b"1", "d": None, "e": b"5"}

    def test_there_is_room_again_when_something_was_taken(self, intake):
        intake.take()
        assert intake.has_room() is True


def test_nothing_is_saved_behind_the_end_of_all(intake):
    intake.close()
    assert (intake.save(snapshot("a")), intake.has_room()) == (False, False)


class TestPoking:
    def test_happens_once_for_all_that_waits(self, intake, actor):
        for session_id in "abc":
            intake.save(snapshot(session_id))
        assert actor.sent == [WAITING]

    def test_happens_again_when_somebody_waits(self, intake, actor):
        intake.save(snapshot("a"))
        intake.persist(snapshot("b"), "one", "new")
        intake.persist(snapshot("c"), "two", "new")
        intake.save(snapshot("a"))
        assert actor.sent == [WAITING, SOMEBODY_WAITS]

    def test_happens_again_for_what_comes_after_a_batch(self, intake, actor):
        intake.save(snapshot("a"))
        intake.take()
        intake.save(snapshot("b"))
        assert actor.sent == [WAITING, WAITING]

    def test_needs_no_actor(self):
        intake = StoreIntake(lambda: None, 3)
        intake.save(snapshot("a"))
        assert list(waiting(intake)) == ["a"]
