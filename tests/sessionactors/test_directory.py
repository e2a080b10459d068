import threading

import pytest

from sessionactors import directory
from sessionactors.directory import Directory
from sessionactors.errors import (
    InvalidKind,
    InvalidSessionId,
    NotFound,
    SessionExists,
    SessionRecovering,
    SessionTerminated,
)

# The directory never calls what it is given, so any object is a ref to it.
REF, OTHER = object(), object()


def test_a_session_is_found_by_its_id():
    known = Directory()
    known.add("a", REF)
    assert known.find("a") is REF
    assert known.find(b"a") is REF
    assert known.get("a") is REF


def test_refs_are_listed_in_order_of_their_start():
    known = Directory()
    known.add("b", REF)
    known.add("a", OTHER)
    assert known.refs() == [REF, OTHER]


def test_a_live_id_is_taken():
    known = Directory()
    known.add("a", REF)
    with pytest.raises(SessionExists):
        known.add("a", OTHER)
    assert known.find("a") is REF
    assert (known.started, len(known)) == (1, 1)


def test_an_ended_id_is_told_from_an_unknown_one():
    known = Directory()
    known.add("a", REF)
    assert known.remove("a", REF)
    assert known.has_ended("a")
    with pytest.raises(SessionTerminated):
        known.find("a")
    with pytest.raises(NotFound):
        known.find("b")


def test_an_ended_id_can_be_used_again():
    known = Directory()
    known.add("a", REF)
    known.remove("a", REF)
    known.add("a", OTHER)
    assert known.find("a") is OTHER
    assert not known.has_ended("a")
    assert (known.started, known.peak_live) == (2, 1)


def test_a_late_end_does_not_remove_the_successor():
    known = Directory()
    known.add("a", REF)
    known.remove("a", REF)
    known.add("a", OTHER)
    assert not known.remove("a", REF)
    assert known.find("a") is OTHER


def test_sessions_are_listed_in_order_of_their_start():
    known = Directory()
    for name in ("b", "c", "a"):
        known.add(name, REF)
    known.remove("c", REF)
    assert known.ids() == ["b", "a"]
    assert known.items() == [("b", REF), ("a", REF)]
    assert known.peak_live == 3


def test_the_oldest_ended_ids_are_forgotten(monkeypatch):
    monkeypatch.setattr(directory, "ENDED_MAX", 2)
    known = Directory()
    for name in ("a", "b", "c"):
        known.add(name, REF)
        known.remove(name, REF)
    with pytest.raises(NotFound):
        known.find("a")
    assert known.has_ended("b")
    assert known.has_ended("c")


@pytest.mark.parametrize("given", [None, 5, [], {}, object()])
def test_what_is_no_id_is_refused_by_its_kind(given):
    with pytest.raises(InvalidKind) as refused:
        Directory().find(given)
    assert refused.value.field == "session_id"


@pytest.mark.parametrize("given", ["", b"\xff", "a\nb", "x" * 257])
def test_what_cannot_be_an_id_is_refused_by_its_value(given):
    with pytest.raises(InvalidSessionId):
        Directory().find(given)


def test_an_ending_session_is_never_unknown_to_another_thread():
    known = Directory()
    rounds = 3_000
    over = threading.Event()
    unknown = []

    def look():
        while not over.is_set():
            try:
                known.find("a")
            except SessionTerminated:
                pass
            except NotFound as error:
                unknown.append(error)
                return

    known.add("a", REF)
    reader = threading.Thread(target=look)
    reader.start()
    for _ in range(rounds):
        known.remove("a", REF)
        known.add("a", REF)
    over.set()
    reader.join()
    assert not unknown


class TestComingBack:
    """A session that crashed and is going to be started again from the store."""

    @pytest.fixture
    def directory(self):
        directory = Directory()
        directory.add("a", "old")
        directory.remove("a", "old", returns=True)
        return directory

    @pytest.mark.parametrize("is_closed_first", [True, False])
    def test_has_ended_once_nobody_could_start_it_again(self, directory, is_closed_first):
        directory.add("b", "old")
        if is_closed_first:
            directory.close()
        directory.remove("b", "old", returns=True)
        directory.close()
        for session_id in ("a", "b"):
            with pytest.raises(SessionTerminated):
                directory.find(session_id)

    def test_once_closed_says_so_at_once(self, directory):
        directory.close()
        directory.add("b", "old")
        directory.remove("b", "old", returns=True)
        with pytest.raises(SessionTerminated):
            directory.find("b")

    def test_is_told_to_who_looks_for_it(self, directory):
        with pytest.raises(SessionRecovering):
            directory.find("a")
        assert isinstance(directory.gone("a"), SessionRecovering)

    def test_keeps_its_id_from_others(self, directory):
        with pytest.raises(SessionExists):
            directory.add("a", "another")

    def test_ends_when_it_is_back(self, directory):
        directory.add("a", "new", returns=True)
        assert directory.find("a") == "new"

    def test_ends_when_it_is_given_up(self, directory):
        directory.give_up("a")
        with pytest.raises(SessionTerminated):
            directory.find("a")
        assert isinstance(directory.gone("a"), SessionTerminated)
        directory.add("a", "another")

    def test_ends_when_all_are_given_up(self, directory):
        directory.give_up_all()
        assert directory.has_ended("a")

    def test_is_not_given_up_when_it_is_back_already(self, directory):
        directory.add("a", "new", returns=True)
        directory.give_up("a")
        directory.give_up_all()
        assert directory.find("a") == "new"


def test_one_that_comes_back_while_it_is_looked_for_is_found():
    known = Directory()
    known.add("a", REF)
    known.remove("a", REF, returns=True)
    comes_back = [lambda: known.add("a", OTHER, returns=True)]

    class Looked(dict):
        """Lets it come back right after the last look that did not find it."""

        misses = 0

        def get(self, key, default=None, /):
            found = super().get(key, default)
            self.misses += found is None
            if self.misses == 2 and comes_back:
                comes_back.pop()()
            return found

    known.live = Looked()
    assert known.find("a") is OTHER


def test_who_got_no_answer_is_told_of_the_return_also_when_that_was_faster():
    known = Directory()
    known.add("a", REF)
    known.remove("a", REF, returns=True)
    known.add("a", OTHER, returns=True)
    assert isinstance(known.gone("a"), SessionRecovering)


@pytest.mark.parametrize("way", ["remove", "withdraw"])
def test_the_return_is_forgotten_with_the_session(way):
    known = Directory()
    known.add("a", REF)
    known.remove("a", REF, returns=True)
    known.add("a", OTHER, returns=True)
    getattr(known, way)("a", OTHER)
    known.add("a", REF)
    assert isinstance(known.gone("a"), SessionTerminated)


class Odd(str):
    __slots__ = ()

    def __hash__(self):
        raise ValueError("no hash")


def test_text_with_a_hash_of_its_own_is_looked_up_as_text():
    known = Directory()
    ref = object()
    known.add("a", ref)
    assert known.find(Odd("a")) is ref
    with pytest.raises(NotFound):
        known.find(Odd("b"))


@pytest.mark.parametrize("given", [b"a", Odd("a")])
def test_who_has_not_answered_is_told_of_by_any_form_of_its_id(given):
    known = Directory()
    known.add("a", REF)
    known.remove("a", REF, returns=True)
    error = known.gone(given)
    assert (type(error), error.session_id) == (SessionRecovering, "a")
