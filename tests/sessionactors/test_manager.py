import threading

import pytest

from sessionactors import Session, SessionSystem
from sessionactors.errors import (
    InvalidAction,
    InvalidKind,
    InvalidSessionId,
    InvalidValue,
    NotAuthenticated,
    NotFound,
    NotPersistent,
    OperationFailed,
    SessionExists,
    SessionTerminated,
    TooManySessions,
    UpdateFailed,
)
from sessionactors.settings import SessionOptions
from sessionactors.storage.errors import DamagedRecordError
from tests.sessionactors.session_world import TRUSTED, names, start_active, virtual, without_workers
from tests.sessionactors.storage.stored import record


@pytest.fixture
def system():
    with virtual() as system:
        yield system


class Choosy(Session):
    def on_start(self):
        if self.data.session_id == "bad":
            raise ValueError("not me")


class Slow(Session):
    def handle_request(self, request):
        entered, gate = request
        entered.set()
        gate.wait(30.0)


class Unhashable(str):
    """Text that raises when somebody wants its hash."""

    __slots__ = ()

    def __hash__(self):
        raise ValueError("no hash")


class UnprintableId:
    __hash__ = None

    def __repr__(self):
        raise RuntimeError("no")


def ids(entries):
    return [each.id for each in entries]


class TestRecords:
    def test_have_what_is_known_of_a_session(self, system):
        system.start_session("a", {"user_id": "ada", "ttl": 60.0, "metadata": {"tier": 1}})
        system.actors.advance(5.0)
        (entry,) = system.list_sessions()
        assert (entry.id, entry.state, entry.user_id, entry.ttl, entry.metadata) == (
            "a",
            "new",
            "ada",
            60.0,
            {"tier": 1},
        )
        assert (entry.age, entry.idle, entry.is_alive) == (5.0, 5.0, True)

    @pytest.mark.parametrize(
        "look",
        [
            lambda system: system.get_session("a").metadata,
            lambda system: system.list_sessions()[0].metadata,
            lambda system: system.get_info("a").metadata,
            lambda system: system.get_session_data("a")["metadata"],
        ],
    )
    def test_have_metadata_of_their_own(self, system, look):
        system.start_sessions(["a", "b"], {"metadata": {"k": [1]}, "user_id": "ada"})
        seen = look(system)
        seen["pre_authenticated"] = True
        seen["k"].append(2)
        assert [each.metadata for each in system.list_sessions()] == [{"k": [1]}, {"k": [1]}]
        with pytest.raises(NotAuthenticated):
            system.activate("b")

    def test_as_they_would_be_stored_share_no_options(self, system):
        options = SessionOptions(idle_timeout=7.0)
        system.start_sessions(["a", "b"], options)
        system.get_session_data("a")["options"]["idle_timeout"] = 1.0
        assert system.get_session_data("b")["options"]["idle_timeout"] == 7.0

    def test_are_listed_in_the_order_of_the_starts(self, system):
        assert system.list_sessions() == []
        for session_id in "bca":
            system.start_session(session_id)
        assert ids(system.list_sessions()) == ["b", "c", "a"]

    def test_are_filtered_and_counted(self, system):
        system.start_sessions(["a", "b", "c"])
        start_active(system, "d")
        assert ids(system.list_sessions(lambda each: each.state == "active")) == ["d"]
        assert system.count_sessions(lambda each: each.state == "new") == 3
        assert (system.count_sessions(), system.count_sessions(lambda each: False)) == (4, 0)

    def test_are_listed_without_touching_anybody(self, system):
        system.start_session("a")
        system.actors.advance(10.0)
        system.list_sessions()
        system.count_sessions()
        system.list_user("ada")
        assert system.list_sessions()[0].idle == 10.0

    def test_are_got_by_touching(self, system):
        system.start_session("a")
        system.actors.advance(10.0)
        assert system.get_session("a").idle == 0.0
        assert system.list_sessions()[0].idle == 0.0

    def test_can_be_touched(self, system):
        system.start_session("a")
        system.actors.advance(10.0)
        system.touch_session("a")
        assert system.list_sessions()[0].idle == 0.0

    def test_of_what_is_not_there_are_not_found(self, system):
        system.start_session("ended")
        system.terminate("ended")
        for session_id in ("never", "ended"):
            for call in (system.get_session, system.touch_session):
                with pytest.raises(NotFound):
                    call(session_id)
            with pytest.raises(NotFound):
                system.set_ttl(session_id, 1.0)
            with pytest.raises(NotFound):
                system.update_session(session_id, dict)

    def test_a_filter_that_raises_is_the_callers_own_fault(self, system):
        system.start_session("a")
        with pytest.raises(ZeroDivisionError):
            system.list_sessions(lambda each: 1 / 0)
        with pytest.raises(InvalidKind, match="predicate"):
            system.list_sessions("new")

    @pytest.mark.parametrize("bad", [None, 7, [], {}])
    def test_of_no_id_are_refused(self, system, bad):
        with pytest.raises(InvalidKind):
            system.get_session(bad)
        with pytest.raises(InvalidSessionId):
            system.get_session("")


class TestExpiry:
    def test_makes_a_session_invisible_at_once(self, system):
        system.start_session("a", {"ttl": 10.0})
        system.start_session("b", {"ttl": None})
        system.actors.advance(10.0)
        assert ids(system.list_sessions()) == ["a", "b"]
        system.actors.advance(0.5)
        assert ids(system.list_sessions()) == ["b"]
        assert system.count_sessions() == 1

    @pytest.mark.parametrize(
        "call",
        [
            lambda system: system.get_session("a"),
            lambda system: system.touch_session("a"),
            lambda system: system.set_ttl("a", 60.0),
            lambda system: system.update_session("a", dict),
        ],
    )
    def test_is_not_undone_by_asking(self, system, call):
        system.start_session("a", {"ttl": 10.0})
        system.actors.advance(11.0)
        for _ in range(2):
            with pytest.raises(NotFound):
                call(system)
        assert system.state_of("a") == "terminated"
        assert "session_reaped" in names(system, "a")

    def test_is_put_off_by_activity(self, system):
        system.start_session("a", {"ttl": 10.0})
        for _ in range(5):
            system.actors.advance(9.0)
            system.get_session("a")
        assert ids(system.list_sessions()) == ["a"]

    def test_can_be_changed_before_it_is_due(self, system):
        system.start_session("a", {"ttl": 10.0})
        system.actors.advance(9.0)
        system.set_ttl("a", None)
        system.actors.advance(1000.0)
        assert ids(system.list_sessions()) == ["a"]
        system.set_ttl("a", 5.0)
        assert ids(system.list_sessions()) == []

    def test_of_one_session_is_not_that_of_others_with_the_same_options(self, system):
        options = system.options
        system.start_sessions(["a", "b"], options)
        system.set_ttl("a", 5.0)
        assert [each.ttl for each in system.list_sessions()] == [5.0, options.ttl]

    @pytest.mark.parametrize("bad", [0, -1.0, float("nan"), float("inf")])
    def test_after_no_time_at_all_is_refused(self, system, bad):
        system.start_session("a")
        with pytest.raises(InvalidValue, match="ttl"):
            system.set_ttl("a", bad)

    def test_leaves_the_id_to_another_session(self, system):
        system.start_session("a", {"ttl": 10.0})
        with pytest.raises(SessionExists):
            system.start_session("a")
        system.actors.advance(11.0)
        assert system.start_session("a") == "a"
        assert system.get_session("a").age == 0.0

    def test_can_be_cleaned_up_on_demand(self, system):
        system.start_sessions(["a", "b"], {"ttl": 10.0})
        system.start_session("c")
        system.actors.advance(11.0)
        assert (system.cleanup_expired(), system.cleanup_expired()) == (2, 0)
        assert system.live_sessions() == ["c"]


class TestUpdate:
    def test_changes_the_metadata_and_touches(self, system):
        system.start_session("a", {"metadata": {"n": 1, "kept": True}})
        system.actors.advance(10.0)
        entry = system.update_session("a", lambda metadata: metadata.update(n=2))
        assert (entry.metadata, entry.idle) == ({"n": 2, "kept": True}, 0.0)
        assert system.get_info("a").metadata == {"n": 2, "kept": True}

    def test_may_replace_everything(self, system):
        system.start_session("a", {"metadata": {"n": 1}})
        assert system.update_session("a", lambda _: {"other": []}).metadata == {"other": []}

    def test_is_stored(self, tmp_path):
        with virtual(path=tmp_path / "s.db", session={"persistent": True}) as system:
            system.start_session("a")
            system.update_session("a", lambda metadata: metadata.update(n=2))
            system.actors.advance(1.0)
            assert system.stored_session("a")["metadata"] == {"n": 2}

    def test_that_raises_changes_nothing(self, system):
        system.start_session("a", {"metadata": {"deep": {"n": 1}}})

        def breaks(metadata):
            metadata["deep"]["n"] = 2
            raise ValueError("no")

        with pytest.raises(UpdateFailed, match="the function raised ValueError: no"):
            system.update_session("a", breaks)
        assert system.get_info("a").metadata == {"deep": {"n": 1}}

    @pytest.mark.parametrize("made", [7, [1], {1: 2}, {"f": print}, {"n": float("nan")}, {"big": "x" * 70_000}])
    def test_to_what_cannot_be_stored_changes_nothing(self, system, made):
        system.start_session("a", {"metadata": {"n": 1}})
        with pytest.raises(UpdateFailed):
            system.update_session("a", lambda _: made)
        assert system.get_info("a").metadata == {"n": 1}

    def test_ten_times_one_after_the_other_counts_ten(self, system):
        system.start_session("a")
        for _ in range(10):
            system.update_session("a", lambda metadata: {"n": metadata.get("n", 0) + 1})
        assert system.get_info("a").metadata == {"n": 10}

    def test_from_many_threads_at_once_loses_none(self):
        with SessionSystem() as system:
            system.start_session("a")
            threads = [
                threading.Thread(
                    target=system.update_session, args=("a", lambda metadata: {"n": metadata.get("n", 0) + 1})
                )
                for _ in range(10)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert system.get_info("a").metadata == {"n": 10}

    def test_that_takes_too_long_is_given_up_and_holds_up_nobody(self):
        leave = threading.Event()
        with SessionSystem() as system:
            system.start_session("a", {"metadata": {"n": 1}})
            with pytest.raises(UpdateFailed, match=r"longer than 0\.05 s"):
                system.update_session("a", lambda _: leave.wait(30.0), timeout=0.05)
            assert system.get_info("a").metadata == {"n": 1}
            assert system.update_session("a", lambda _: {"n": 2}).metadata == {"n": 2}
            leave.set()

    def test_needs_no_worker(self):
        leave = threading.Event()
        with without_workers() as system:
            system.start_session("a")
            assert system.update_session("a", lambda _: {"n": 2}, timeout=10.0).metadata == {"n": 2}
            with pytest.raises(UpdateFailed, match="longer than"):
                system.update_session("a", lambda _: leave.wait(30.0), timeout=0.05)
            leave.set()

    def test_by_what_is_no_function_is_refused(self, system):
        system.start_session("a")
        with pytest.raises(InvalidKind, match="function"):
            system.update_session("a", {"n": 1})
        with pytest.raises(InvalidValue, match="timeout"):
            system.update_session("a", dict, timeout=0.0)


class TestDelete:
    def test_ends_a_session_and_may_be_repeated(self, system):
        system.start_session("a")
        assert (system.delete_session("a"), system.delete_session("a"), system.delete_session("b")) == (
            True,
            False,
            False,
        )
        assert system.state_of("a") == "terminated"

    def test_of_a_stored_one_deletes_it_there(self, tmp_path):
        with virtual(path=tmp_path / "s.db", session={"persistent": True}) as system:
            system.start_session("a")
            system.persist("a")
            system.delete_session("a")
            assert system.stored_session("a") is None


class TestStored:
    @pytest.fixture
    def system(self, tmp_path):
        with virtual(path=tmp_path / "s.db", session={"persistent": True}) as system:
            yield system

    def test_a_copy_can_be_looked_at(self, system):
        system.start_session("a", {"user_id": "ada"})
        assert system.stored_session("a")["user_id"] == "ada"
        assert system.stored_session("b") is None

    def test_a_kept_copy_can_be_looked_at_after_the_end_and_deleted(self, system):
        system.start_session("a", {"keep_persistent": True})
        system.terminate("a")
        assert system.stored_session("a")["state"] == "terminated"
        system.delete_stored("a")
        assert system.stored_session("a") is None

    def test_a_spoiled_copy_is_refused(self, system):
        system._store.store.write(system._store.epoch, [record("a")._replace(checksum=b"")])
        with pytest.raises(DamagedRecordError):
            system.stored_session("a")


class TestUsers:
    def test_have_their_sessions_listed(self, system):
        system.start_session("a", {"user_id": "ada"})
        system.start_session("b", {"user_id": "eve"})
        system.start_session("c", {"metadata": {"user_id": "ada"}})
        assert ids(system.list_user("ada")) == ["a", "c"]
        assert system.list_user("nobody") == []

    def test_are_known_from_their_credentials_on(self, system):
        system.start_session("a")
        assert system.list_user("ada") == []
        system.authenticate("a", {**TRUSTED, "user_id": "ada"})
        system.activate("a")
        assert ids(system.list_user("ada")) == ["a"]

    def test_are_known_from_what_the_authenticator_says(self):
        with virtual(authenticator=lambda credentials: "ada") as system:
            system.start_session("a", {"user_id": "guest"})
            system.authenticate("a", "secret")
            system.activate("a")
            assert (ids(system.list_user("ada")), system.list_user("guest")) == (["a"], [])

    def test_are_known_from_metadata(self, system):
        system.start_session("a")
        system.init_session("a", {"user_id": "ada"})
        assert ids(system.list_user("ada")) == ["a"]

    def test_are_known_after_a_restart(self, tmp_path):
        for _ in range(2):
            with virtual(path=tmp_path / "s.db", session={"persistent": True}, users={"max_sessions": 1}) as system:
                if not system.recovered.recovered:
                    system.start_session("a", {"user_id": "ada"})
                assert ids(system.list_user("ada")) == ["a"]
                with pytest.raises(TooManySessions):
                    system.start_session("b", {"user_id": "ada"})

    def test_lose_what_has_ended(self, system):
        system.start_sessions(["a", "b"], {"user_id": "ada"})
        system.terminate("a")
        system.directory.get("b").kill()
        system.actors.settle()
        assert (system.list_user("ada"), system.users.counts()) == ([], {})

    def test_have_all_their_sessions_ended(self, system):
        system.start_sessions(["a", "b"], {"user_id": "ada"})
        system.start_session("c", {"user_id": "eve"})
        result = system.terminate_user("ada", "fired")
        assert (result.done, dict(result.refused)) == (("a", "b"), {})
        assert system.live_sessions() == ["c"]

    @pytest.mark.parametrize("bad", ["", None, 7])
    def test_have_names(self, system, bad):
        with pytest.raises((InvalidKind, InvalidValue)):
            system.list_user(bad)


class TestTheLimitOfParallelSessions:
    def limited(self, action="reject"):
        return virtual(users={"max_sessions": 2, "action": action})

    def test_rejects_one_too_many(self):
        with self.limited() as system:
            system.start_sessions(["a", "b"], {"user_id": "ada"})
            with pytest.raises(TooManySessions) as refused:
                system.start_session("c", {"user_id": "ada"})
            assert refused.value.code == "too_many_sessions"
            assert system.live_sessions() == ["a", "b"]
            assert system.directory.started == 2
            with pytest.raises(NotFound):
                system.get_state("c")
            system.terminate("a")
            assert system.start_session("c", {"user_id": "ada"}) == "c"

    def test_is_nobodys_who_is_anonymous(self):
        with self.limited() as system:
            assert len(system.start_sessions(5).done) == 5

    def test_ends_the_oldest_where_that_is_wanted(self):
        with self.limited("end_oldest") as system:
            for session_id in "abcd":
                system.start_session(session_id, {"user_id": "ada"})
            system.actors.settle()
            assert system.live_sessions() == ["c", "d"]
            assert system.get_history("c") == []
            assert names(system, "a")[-1] == "session_terminated"

    def test_counts_who_turns_out_to_be_the_same_user(self):
        with self.limited() as system:
            system.start_sessions(["a", "b"], {"user_id": "ada"})
            system.start_session("c")
            system.authenticate("c", {**TRUSTED, "user_id": "ada"})
            with pytest.raises(TooManySessions):
                system.activate("c")
            assert system.state_of("c") == "terminated"
            assert ids(system.list_user("ada")) == ["a", "b"]

    def test_ends_the_oldest_for_who_turns_out_to_be_the_same_user(self):
        with self.limited("end_oldest") as system:
            system.start_sessions(["a", "b"], {"user_id": "ada"})
            start_active(system, "c")
            assert system.live_sessions() == ["a", "b", "c"]
            system.start_session("d")
            system.authenticate("d", {**TRUSTED, "user_id": "ada"})
            assert system.activate("d") == "active"
            system.actors.settle()
            assert ids(system.list_user("ada")) == ["b", "d"]

    def test_tells_who_asked_an_authenticator_too(self):
        with virtual(authenticator=lambda credentials: "ada", users={"max_sessions": 1}) as system:
            for session_id in "ab":
                system.start_session(session_id)
                system.authenticate(session_id, "secret")
            assert system.activate("a") == "active"
            with pytest.raises(TooManySessions):
                system.activate("b")

    @pytest.mark.parametrize(
        ("bad", "error"), [({"action": "shout"}, InvalidAction), ({"max_sessions": 0}, InvalidValue), (7, InvalidKind)]
    )
    def test_is_checked(self, bad, error):
        with pytest.raises(error):
            virtual(users=bad)


class TestBatches:
    def test_start_under_chosen_ids(self, system):
        result = system.start_sessions(["a", b"b"], {"user_id": "ada"})
        assert (result.done, dict(result.refused)) == (("a", "b"), {})

    def test_start_under_generated_ids(self, system):
        result = system.start_sessions(100)
        assert len(set(result.done)) == 100
        assert all(len(each) == 32 and int(each, 16) >= 0 for each in result.done)

    def test_tell_which_could_not_be_started(self, system):
        system.start_session("a")
        result = system.start_sessions(["a", "b", "", 7])
        assert result.done == ("b",)
        assert {each: refusal.code for each, refusal in result.refused.items()} == {
            "a": "already_exists",
            "": "invalid_session_id",
            "7": "invalid_type",
        }

    @pytest.mark.parametrize("bad", ["abc", None, 7.0, -1, b"abc"])
    def test_are_several_ids_or_a_number(self, system, bad):
        with pytest.raises((InvalidKind, InvalidValue)):
            system.start_sessions(bad)
        assert system.live_sessions() == []

    def test_check_their_options_before_the_first_start(self, system):
        with pytest.raises(InvalidValue):
            system.start_sessions(["a", "b"], {"ttl": -1.0})
        assert system.live_sessions() == []

    def test_end_and_tell_which_could_not_be_ended(self, system):
        system.start_sessions(["a", "b", "c"])
        system.terminate("b")
        result = system.terminate_sessions(["a", "b", "never"], "enough")
        assert result.done == ("a",)
        assert isinstance(result.refused["b"], SessionTerminated)
        assert isinstance(result.refused["never"], NotFound)
        assert system.live_sessions() == ["c"]

    def test_go_on_where_the_code_of_a_session_raises_at_its_start(self, system):
        result = system.start_sessions(["good", "bad", "better"], session_class=Choosy)
        assert result.done == ("good", "better")
        assert isinstance(result.refused["bad"], OperationFailed)
        assert "ValueError" in result.refused["bad"].reason
        assert system.live_sessions() == ["good", "better"]

    def test_end_all_others_where_one_hangs(self):
        with SessionSystem(session={"user_id": "ada", "auth_required": False}) as system:
            system.actors.ask_timeout = 0.2
            system.start_sessions(["a", "b", "c"], session_class=Slow)
            for each in "abc":
                system.activate(each)
            entered, gate = threading.Event(), threading.Event()
            asker = threading.Thread(target=lambda: system.request("b", (entered, gate), timeout=30.0))
            asker.start()
            assert entered.wait(10.0)
            ended = system.directory.find("b").when_ended()
            result = system.terminate_user("ada")
            assert result.done == ("a", "c")
            assert isinstance(result.refused["b"], OperationFailed)
            with pytest.raises(OperationFailed):
                system.delete_session("b")
            gate.set()
            asker.join(10.0)
            assert ended.settle(10.0)
            assert system.live_sessions() == []

    def test_name_ids_as_text_also_where_they_were_given_as_bytes(self, tmp_path):
        with virtual(path=tmp_path / "s.db", session={"persistent": True}) as system:
            assert system.start_sessions([b"a"]).done == ("a",)
            system.persist("a")
            assert system.terminate_sessions([b"a"]).done == ("a",)
            assert system._store.store.count() == 0
            for batch in (system.terminate_sessions, system.persist_sessions):
                assert batch([b"a", b"never"]).refused.keys() == {"a", "never"}

    def test_name_what_cannot_be_hashed_by_its_text(self, system):
        bad = Unhashable("never")
        batches = (system.terminate_sessions, system.persist_sessions)
        assert [{**batch([bad]).refused}.keys() for batch in batches] == [{"never"}] * 2
        assert system.start_sessions(["a", Unhashable("a")]).refused.keys() == {"a"}

    @pytest.mark.parametrize("bad", [UnprintableId(), [UnprintableId()]])
    def test_have_a_name_for_what_has_none(self, system, bad):
        for result in (system.start_sessions(["a", bad]), system.terminate_sessions(["a", bad])):
            assert result.done == ("a",)
            assert [type(each) for each in result.refused.values()] == [InvalidKind]

    def test_end_in_the_store_with_one_write(self, tmp_path):
        with virtual(path=tmp_path / "s.db", session={"persistent": True}) as system:
            done = system.start_sessions(50).done
            system.persist_sessions(done)
            before = system._store.batches
            system.terminate_sessions(done)
            assert system._store.store.count() == 0
            assert system._store.batches == before + 1

    def test_are_stored_with_one_write(self, tmp_path):
        with virtual(path=tmp_path / "s.db", session={"persistent": True}) as system:
            done = system.start_sessions(50).done
            system.actors.advance(1.0)
            before = system._store.batches
            assert system.persist_sessions(done).done == done
            assert (system._store.store.count(), system._store.batches) == (50, before + 1)

    def test_tell_which_could_not_be_stored(self, system):
        system.start_session("a", {"persistent": True})
        system.start_session("b")
        result = system.persist_sessions(["a", "b", "never"])
        assert result.done == ("a",)
        assert isinstance(result.refused["b"], NotPersistent)
        assert isinstance(result.refused["never"], NotFound)
