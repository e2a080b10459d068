import pytest

from sessionactors.errors import TooManySessions
from sessionactors.settings import UserSettings
from sessionactors.users import Users


class Ref:
    """Stands for the actor of a session, which is never asked anything here."""


def users(limit=None, action="reject"):
    return Users(UserSettings(limit, action))


def entered(known, *session_ids, user_id="ada"):
    refs = {each: Ref() for each in session_ids}
    for session_id, ref in refs.items():
        known.enter(user_id, session_id, ref)
    return refs


def test_the_sessions_of_a_user_are_known_oldest_first():
    known = users()
    refs = entered(known, "b", "a")
    entered(known, "c", user_id="eve")
    assert known.of("ada") == [("b", refs["b"]), ("a", refs["a"])]
    assert known.counts() == {"ada": 2, "eve": 1}


def test_a_user_without_sessions_is_forgotten():
    known = users()
    refs = entered(known, "a")
    known.leave("ada", "a", refs["a"])
    assert (known.of("ada"), known.counts()) == ([], {})


def test_only_the_session_itself_leaves():
    known = users()
    entered(known, "a")
    known.leave("ada", "a", Ref())
    known.leave("ada", "b", Ref())
    known.leave("eve", "a", Ref())
    assert known.counts() == {"ada": 1}


def test_one_too_many_is_rejected_and_not_entered():
    known = users(2)
    entered(known, "a", "b")
    with pytest.raises(TooManySessions) as refused:
        known.enter("ada", "c", Ref())
    assert (refused.value.user_id, refused.value.limit) == ("ada", 2)
    assert [each for each, _ in known.of("ada")] == ["a", "b"]


def test_the_limit_is_each_users_own():
    known = users(1)
    entered(known, "a")
    assert known.enter("eve", "b", Ref()) == []


def test_there_is_room_again_when_one_has_left():
    known = users(1)
    refs = entered(known, "a")
    known.leave("ada", "a", refs["a"])
    assert known.enter("ada", "b", Ref()) == []


def test_the_oldest_makes_room_where_that_is_wanted():
    known = users(2, "end_oldest")
    refs = entered(known, "a", "b")
    assert known.enter("ada", "c", Ref()) == [refs["a"]]
    assert [each for each, _ in known.of("ada")] == ["b", "c"]


def test_one_that_comes_back_is_entered_beyond_the_limit():
    known = users(1)
    entered(known, "a")
    assert known.enter("ada", "b", Ref(), counts=False) == []
    assert known.counts() == {"ada": 2}


def test_all_that_are_too_many_make_room_for_the_next():
    known = users(1, "end_oldest")
    refs = entered(known, "a")
    refs["b"] = Ref()
    known.enter("ada", "b", refs["b"], counts=False)
    assert known.enter("ada", "c", Ref()) == [refs["a"], refs["b"]]


class TestOneThatIsToComeBack:
    """It has crashed, and its place is kept for as long as it may come back."""

    def crashed(self, limit=1, action="reject"):
        here = {"a", "b", "c"}
        known = Users(UserSettings(limit, action), here.__contains__)
        refs = entered(known, "a")
        known.leave("ada", "a", refs["a"], returns=True)
        return known, here

    def test_leaves_no_room_for_another(self):
        known, _ = self.crashed()
        with pytest.raises(TooManySessions):
            known.enter("ada", "b", Ref())

    def test_takes_its_place_again(self):
        known, _ = self.crashed()
        again = Ref()
        assert known.enter("ada", "a", again, counts=False) == []
        assert known.of("ada") == [("a", again)]
        known.leave("ada", "a", again)
        assert known.counts() == {}

    def test_leaves_room_when_it_does_not_come_back_after_all(self):
        known, here = self.crashed()
        here.discard("a")
        assert known.enter("ada", "b", Ref()) == []
        assert known.counts() == {"ada": 1}

    def test_leaves_nothing_behind_when_it_is_given_up(self):
        known, _ = self.crashed()
        known.gave_up("a")
        known.gave_up("nobody")
        assert repr(known) == "<Users: 0 have sessions>"
        assert known.enter("ada", "a", Ref()) == []

    def test_that_is_back_already_is_not_given_up(self):
        known, _ = self.crashed()
        again = Ref()
        known.enter("ada", "a", again, counts=False)
        known.gave_up("a")
        assert known.of("ada") == [("a", again)]

    def test_is_not_listed_any_more_when_it_does_not_come_back_after_all(self):
        known, here = self.crashed()
        here.discard("a")
        assert (known.of("ada"), known.counts()) == ([], {})

    def test_is_ended_by_nobody_so_that_the_oldest_of_the_others_makes_room(self):
        known, _ = self.crashed(2, "end_oldest")
        refs = entered(known, "b")
        assert known.enter("ada", "c", Ref()) == [refs["b"]]
        assert [each for each, _ in known.of("ada")] == ["a", "c"]

    def test_leaves_no_room_where_there_is_nobody_else_to_end(self):
        known, _ = self.crashed(1, "end_oldest")
        with pytest.raises(TooManySessions):
            known.enter("ada", "b", Ref())

    def test_costs_nobody_a_place_for_whom_there_is_no_room_all_the_same(self):
        known, _ = self.crashed(1, "end_oldest")
        other = Ref()
        known.enter("ada", "b", other, counts=False)
        with pytest.raises(TooManySessions):
            known.enter("ada", "c", Ref())
        assert ("b", other) in known.of("ada")

    def test_is_no_session_of_its_user_any_more_when_somebody_else_has_its_id(self):
        known, _ = self.crashed()
        known.enter("eve", "a", Ref())
        assert known.counts() == {"eve": 1}
        assert known.enter("ada", "b", Ref()) == []
