import pytest

from sessionactors import SessionSystem
from sessionactors.errors import (
    InvalidBackend,
    NoBackend,
    NotPersistent,
    OperationFailed,
    PersistFailed,
    SessionTerminated,
    UnknownRequest,
)
from sessionactors.storage import codec
from sessionactors.storage.errors import StoreClosedError, StoreError, StoreFencedError
from sessionactors.storage.memory import MemoryStore
from sessionactors.storage.service import COMMIT
from sessionactors.storage.sqlite import SqliteStore
from supervisors.clock import VirtualClock
from tests.sessionactors.session_world import entries, kill, names, start_active, virtual
from tests.sessionactors.storage.faulty_disk import CODES, Disk
from tests.sessionactors.storage.stored import all_ids, record, requests

STORED = {"persistent": True, "auth_required": False}


@pytest.fixture
def disk():
    return Disk()


@pytest.fixture
def system(tmp_path, disk):
    store = SqliteStore(tmp_path / "sessions.db", connection_class=disk.connection_class)
    with virtual(store=store, session=STORED) as system:
        yield system


def stored(system, session_id="a"):
    """Return the snapshot that is stored by now, without having anything written."""
    found = system._store.store.read(session_id)
    return None if found is None else codec.decode(found)


def use(system, count=1):
    system.update_resources("a", requests=count)


class TestPersist:
    def test_returns_when_it_is_stored(self, system):
        start_active(system, "a")
        use(system, 5)
        assert system.persist("a") is None
        assert (stored(system)["requests"], stored(system)["state"]) == (5, "active")

    def test_is_audited_once(self, system):
        start_active(system, "a")
        system.persist("a")
        system.persist("a")
        assert names(system, "a").count("session_persisted") == 2

    def test_is_refused_to_a_session_that_is_not_persistent(self, system):
        system.start_session("a", {"persistent": False})
        with pytest.raises(NotPersistent):
            system.persist("a")

    def test_is_refused_where_there_is_no_backend(self, system):
        system.start_session("a", {"backend": None})
        with pytest.raises(NoBackend):
            system.persist("a")

    def test_is_refused_after_the_end(self, system):
        system.start_session("a")
        system.terminate("a")
        with pytest.raises(SessionTerminated):
            system.persist("a")

    def test_works_where_nobody_waits_for_it(self, system):
        start_active(system, "a")
        use(system, 3)
        system.directory.get("a").tell(("persist", None))
        system.actors.advance(1.0)
        assert stored(system)["requests"] == 3

    def test_of_many_at_once_is_one_write(self, system):
        refs = [system.directory.find(system.start_session()) for _ in range(50)]
        system.actors.advance(1.0)
        before = system._store.batches
        answers = [ref.ask(("persist", None), block=False) for ref in refs]
        assert {answer.get(timeout=5.0) for answer in answers} == {"new"}
        assert system._store.batches == before + 1

    def test_of_each_is_a_write_of_its_own_where_that_is_wanted(self, tmp_path):
        with virtual(path=tmp_path / "each.db", session=STORED, storage={"durability": "each"}) as system:
            refs = [system.directory.find(system.start_session()) for _ in range(5)]
            system.actors.advance(1.0)
            before = system._store.batches
            for answer in [ref.ask(("persist", None), block=False) for ref in refs]:
                answer.get(timeout=5.0)
            assert system._store.batches == before + 5

    def test_of_more_than_a_batch_takes_several(self, tmp_path):
        with virtual(path=tmp_path / "s.db", session=STORED, storage={"batch_max": 20}) as system:
            refs = [system.directory.find(system.start_session()) for _ in range(50)]
            system.actors.advance(1.0)
            before = system._store.batches
            for answer in [ref.ask(("persist", None), block=False) for ref in refs]:
                answer.get(timeout=5.0)
            assert system._store.batches == before + 3

    def test_of_a_session_that_is_too_large_is_refused_and_the_others_are_stored(self, system, monkeypatch):
        start_active(system, "a", metadata={"big": "x" * 10_000})
        start_active(system, "b")
        system.actors.advance(1.0)
        monkeypatch.setattr(codec, "SNAPSHOT_SIZE_MAX", 5_000)
        answers = [system.directory.get(each).ask(("persist", None), block=False) for each in "ab"]
        with pytest.raises(PersistFailed, match="at most 5000 bytes"):
            answers[0].get(timeout=5.0)
        assert answers[1].get(timeout=5.0) == "active"

    def test_is_refused_when_too_many_wait(self, tmp_path):
        with virtual(path=tmp_path / "s.db", session=STORED, storage={"queue_max": 2}) as system:
            system.actors.whereis("store").suspend()
            for session_id in "abc":
                system.start_session(session_id)
            with pytest.raises(PersistFailed, match="2 sessions wait"):
                system.persist("c")
            system.actors.whereis("store").resume()
            system.actors.advance(1.0)
            assert system.persist("c") is None


class TestMoreThanABatch:
    """Six sessions wait, one fits into a batch, and then somebody asks."""

    @pytest.fixture
    def system(self, tmp_path, disk):
        store = SqliteStore(tmp_path / "s.db", connection_class=disk.connection_class)
        with virtual(store=store, session=STORED, storage={"batch_max": 1}) as system:
            yield system

    def batches_until(self, system, question):
        """Return the answer, and how many batches were written before it."""
        for session_id in "abcdef":
            system.start_session(session_id)
        system.actors.advance(1.0)
        before = system._store.batches
        store = system.actors.whereis("store")
        store.suspend()
        waiting = [system.directory.get(each).ask(("persist", None), block=False) for each in "abcdef"]
        answer = store.ask(question, block=False)
        seen = []
        answer.when_done(lambda: seen.append(system._store.batches - before))
        store.resume()
        assert [each.get(timeout=5.0) for each in waiting] == ["new"] * 6
        return answer.get(timeout=5.0), *seen

    def test_does_not_keep_a_question_about_another_session_waiting(self, system):
        answer, batches = self.batches_until(system, ("read", "x"))
        assert (answer, batches) == (None, 1)

    def test_lets_a_session_that_is_asked_for_go_first(self, system):
        answer, batches = self.batches_until(system, ("read", "f"))
        assert (answer.session_id, batches) == (b"f", 2)

    def test_is_in_the_store_before_a_question_about_all_of_it_is_answered(self, system):
        answer, batches = self.batches_until(system, ("page", None, 10))
        assert ([each.session_id for each in answer], batches) == ([b"a", b"b", b"c", b"d", b"e", b"f"], 6)

    def test_is_in_the_store_when_a_commit_is_answered(self, system):
        assert self.batches_until(system, COMMIT) == (None, 6)

    def test_that_comes_later_keeps_no_commit_waiting(self, system):
        class Again:
            """Somebody who wants to be stored again as soon as it is."""

            left = 50

            def set(self, _value):
                self.left -= 1
                if self.left:
                    system._saves.persist(record(f"x{self.left}"), self, "")

            def refuse(self, error):
                raise error

        store = system.actors.whereis("store")
        store.suspend()
        again = Again()
        again.set(None)
        answer = store.ask(COMMIT, block=False)
        left = []
        answer.when_done(lambda: left.append(again.left))
        store.resume()
        assert answer.get(timeout=5.0) is None
        system.actors.settle()
        assert left[0] > 40 > again.left == 0

    def test_is_written_at_the_end_of_the_actor(self, system):
        for session_id in "abcdef":
            system.start_session(session_id)
        system.actors.whereis("store").suspend()
        for session_id in "abcdef":
            system.activate(session_id)
        system.actors.whereis("store").resume()
        system.actors.stop()
        assert len(all_ids(system._store.store)) == 6

    def test_fails_for_all_who_wait_and_who_ask_when_the_disk_does(self, system, disk):
        for session_id in "abc":
            system.start_session(session_id)
        system.actors.advance(1.0)
        store = system.actors.whereis("store")
        store.suspend()
        waiting = [system.directory.get(each).ask(("persist", None), block=False) for each in "abc"]
        answer = store.ask(COMMIT, block=False)
        disk.fail(7, times=1000)  # after the first batch
        store.resume()
        assert isinstance(answer.get(timeout=5.0), StoreError)
        refused = 0
        for each in waiting:
            try:
                each.get(timeout=5.0)
            except PersistFailed:
                refused += 1
        assert 1 <= refused <= 2
        disk.heal()


class TestByItself:
    def test_a_start_is_stored_soon(self, system):
        system.start_session("a")
        assert stored(system) is None
        system.actors.advance(0.06)
        assert stored(system)["state"] == "new"

    @pytest.mark.parametrize(
        ("change", "field", "value"),
        [
            (lambda system: system.deactivate("a"), "state", "idle"),
            (lambda system: system.suspend("a", "lunch"), "suspend_reason", "lunch"),
            (lambda system: system.set_quota("a", {"max_requests": 7}), "quota", 7),
            (lambda system: system.lock("a", admin="root"), "locked", True),
        ],
    )
    def test_a_change_is_stored_soon(self, system, change, field, value):
        start_active(system, "a")
        system.actors.advance(1.0)
        change(system)
        system.actors.advance(0.06)
        found = stored(system)[field]
        assert (found["max_requests"] if field == "quota" else found) == value

    def test_a_refusal_with_consequences_is_stored_too(self, system):
        system.start_session("a", {"auth_required": True})
        system.authenticate("a", {"authenticated": False})
        system.actors.advance(1.0)
        with pytest.raises(Exception, match="not accepted"):
            system.activate("a")
        system.authenticate("a", {"authenticated": False})
        system.actors.advance(0.06)
        assert stored(system)["auth_attempts"] == 2

    def test_what_is_used_is_stored_along_with_the_next_change(self, system):
        start_active(system, "a")
        system.actors.advance(1.0)
        use(system)
        system.actors.advance(1.0)
        assert stored(system)["requests"] == 0
        system.deactivate("a")
        system.actors.advance(1.0)
        assert stored(system)["requests"] == 1

    def test_a_busy_session_is_one_write_for_each_batch(self, system):
        start_active(system, "a")
        system.actors.advance(1.0)
        before = system._store.saved
        for _ in range(20):
            system.deactivate("a")
            system.resume("a")
        system.actors.advance(1.0)
        assert system._store.saved == before + 1

    def test_a_session_that_is_not_persistent_is_never_stored(self, system):
        start_active(system, "a", persistent=False)
        system.actors.advance(1.0)
        assert (stored(system), system._store.batches) == (None, 0)


class TestTheEnd:
    def test_is_in_the_store_when_terminate_returns(self, system):
        start_active(system, "a")
        system.persist("a")
        system.terminate("a")
        assert stored(system) is None

    def test_by_force_is_in_the_store_when_it_returns(self, system):
        start_active(system, "a")
        system.persist("a")
        system.force_terminate("a", admin="root")
        assert stored(system) is None

    def test_by_a_timer_is_in_the_store_soon(self, system):
        start_active(system, "a", absolute_timeout=10.0)
        system.persist("a")
        system.actors.advance(11.0)
        assert stored(system) is None

    def test_by_the_reaper_is_in_the_store_soon(self, system):
        start_active(system, "a")
        system.persist("a")
        assert system.reap("all") == 1
        system.actors.advance(1.0)
        assert stored(system) is None

    def test_leaves_the_copy_where_that_is_wanted(self, system):
        start_active(system, "a", keep_persistent=True)
        system.terminate("a")
        system.actors.advance(1.0)
        assert stored(system)["state"] == "terminated"

    def test_that_cannot_be_stored_says_so_and_is_stored_later(self, system, disk):
        start_active(system, "a")
        system.persist("a")
        disk.fail(1, "ENOSPC", times=1000)
        with pytest.raises(OperationFailed, match="it has ended, but its stored copy is still there"):
            system.terminate("a")
        assert system.state_of("a") == "terminated"
        disk.heal()
        system.actors.advance(2.0)
        assert stored(system) is None

    def test_while_the_store_is_away_says_so_and_is_stored_later(self, system):
        start_active(system, "a")
        system.persist("a")
        registry = system.actors.registry
        store = registry.whereis("store")
        registry.unregister("store")
        with pytest.raises(OperationFailed, match="the store is being restarted"):
            system.terminate("a")
        registry.register("store", store)
        assert system.state_of("a") == "terminated"
        system.start_session("b")
        system.persist("b")
        assert stored(system) is None

    def test_that_the_store_does_not_take_in_time_says_so(self, tmp_path):
        with SessionSystem(path=tmp_path / "s.db", session=STORED) as system:
            system.start_session("a")
            system.persist("a")
            system.actors.whereis("store").suspend()
            system.actors.ask_timeout = 0.05
            with pytest.raises(OperationFailed, match="the store has not answered"):
                system.terminate("a")
            system.actors.whereis("store").resume()

    def test_that_the_store_refuses_says_so_whoever_waits_for_it(self, system):
        start_active(system, "a", "b", "c", "d")
        system.persist_sessions([*"abcd"])
        system._store.store.write(9, [record(each) for each in "abc"])
        refused = "still there .an owner of epoch 9 has stored it"
        with pytest.raises(OperationFailed, match=refused):
            system.terminate("a")
        with pytest.raises(OperationFailed, match=refused):
            system.delete_session("b")
        result = system.terminate_sessions(["c", "d"])
        assert (result.done, [*result.refused]) == (("d",), ["c"])
        with pytest.raises(OperationFailed, match=refused):
            raise result.refused["c"]
        assert [system.state_of(each) for each in "abcd"] == ["terminated"] * 4
        assert names(system, "a")[-1] == "persist_failed"

    def test_that_was_refused_before_anybody_waited_for_it_says_so(self, system):
        start_active(system, "a")
        system.persist("a")
        system._store.store.write(9, [record("a")])
        system.directory.find("a").send(("terminate", None))
        system.actors.advance(1.0)
        with pytest.raises(OperationFailed, match="an owner of epoch 9 has stored it"):
            system._see_off(["a"])

    def test_of_a_copy_of_a_newer_program_is_refused(self, system):
        system._store.store.write(1, [record("a")._replace(schema=codec.SCHEMA + 1)])
        with pytest.raises(OperationFailed, match="a newer program has stored it"):
            system.delete_stored("a")
        assert system._store.store.read("a") is not None

    def test_of_one_whose_id_is_used_again_deletes_nothing_of_the_next(self, system):
        start_active(system, "a")
        system.terminate("a")
        start_active(system, "a")
        use(system, 2)
        system.persist("a")
        system.actors.advance(1.0)
        assert stored(system)["requests"] == 2

    def test_of_one_whose_id_is_taken_at_once_leaves_nothing_of_it(self, system, monkeypatch):
        start_active(system, "a", metadata={"is": "old"})
        system.persist("a")
        see_off = type(system)._see_off

        def overtaken(self, session_ids):
            self.start_session("a", {"metadata": {"is": "new"}})
            see_off(self, session_ids)

        monkeypatch.setattr(type(system), "_see_off", overtaken)
        system.terminate("a")
        assert stored(system)["metadata"] == {"is": "new"}

    def test_of_a_session_that_is_not_persistent_asks_nobody(self, system):
        start_active(system, "a", persistent=False)
        handled = system.actors.whereis("store").messages_handled
        system.terminate("a")
        assert system.actors.whereis("store").messages_handled == handled


class TestFailure:
    def test_is_a_typed_answer_and_audited(self, system, disk):
        start_active(system, "a")
        disk.fail(1, "ENOSPC", times=1000)
        with pytest.raises(PersistFailed, match="the disk is full") as refused:
            system.persist("a")
        assert refused.value.code == "persist_failed"
        disk.heal()
        assert "persist_failed" in names(system, "a")

    def test_keeps_the_session_and_all_others_going(self, system, disk):
        start_active(system, "a", "b")
        disk.fail(1, times=1000)
        with pytest.raises(PersistFailed):
            system.persist("a")
        use(system)
        assert (system.get_state("a"), system.deactivate("b")) == ("active", "idle")
        disk.heal()

    def test_is_over_when_the_disk_is_back(self, system, disk):
        start_active(system, "a")
        disk.fail(1, times=1000)
        with pytest.raises(PersistFailed):
            system.persist("a")
        disk.heal()
        use(system, 4)
        system.persist("a")
        assert stored(system)["requests"] == 4

    def test_of_what_nobody_waits_for_is_tried_again(self, system, disk):
        start_active(system, "a")
        disk.fail(1, times=1000)
        system.actors.advance(5.0)
        disk.heal()
        assert stored(system) is None
        system.actors.advance(2.0)
        assert stored(system)["state"] == "active"

    def test_tells_each_who_waits_once(self, system, disk):
        refs = [system.directory.find(system.start_session()) for _ in range(5)]
        disk.fail(1, times=1000)
        answers = [ref.ask(("persist", None), block=False) for ref in refs]
        for answer in answers:
            with pytest.raises(PersistFailed):
                answer.get(timeout=5.0)
        system.actors.advance(3.0)
        disk.heal()
        told = [each.session for each in entries(system) if each.data["event"] == "persist_failed"]
        assert len(told) == len(set(told)) == 5

    @pytest.mark.parametrize("late", [False, True])
    @pytest.mark.parametrize("code", CODES)
    def test_of_the_first_second_third_step_loses_nothing_that_was_confirmed(self, tmp_path, code, late):
        disk = Disk()
        store = SqliteStore(tmp_path / "sessions.db", connection_class=disk.connection_class)
        system = virtual(store=store, session=STORED)
        start_active(system, "a")
        confirmed = steps = 0
        for step in range(1, 100):
            disk.fail(step, code, late=late)
            for _ in range(2):
                use(system)
                try:
                    system.persist("a")
                except PersistFailed as refused:
                    assert refused.reason  # noqa: PT017 - the other way round it is confirmed
                else:
                    confirmed = system.get_info("a").resources_used.requests
            failed = disk.failed
            disk.heal()
            assert stored(system)["requests"] >= confirmed
            use(system)
            system.persist("a")  # the disk is back, and so is the service
            confirmed = 3 * step
            assert stored(system)["requests"] == confirmed
            steps += failed
            if not failed:
                break
        assert steps >= 5
        use(system)
        system.stop()
        store = SqliteStore(tmp_path / "sessions.db")
        assert requests(store) == confirmed + 1
        store.close()

    def test_of_the_fence_is_a_typed_answer(self, tmp_path):
        system = virtual(path=tmp_path / "sessions.db", session=STORED)
        start_active(system, "a")
        system._store.store.claim()
        with pytest.raises(PersistFailed, match="another owner has claimed it"):
            system.persist("a")
        assert isinstance(system.actors.whereis("store").ask(COMMIT), StoreFencedError)
        with pytest.raises(StoreFencedError):
            system.stop()

    def test_because_another_owner_has_stored_it_is_a_typed_answer_for_that_one(self, system):
        start_active(system, "a", "b")
        system._store.store.write(9, [record("a", requests=1)])
        with pytest.raises(PersistFailed, match="an owner of epoch 9 has stored it"):
            system.persist("a")
        assert system.persist("b") is None


class TestACrashOfTheActor:
    def test_loses_nothing_that_waits(self, system):
        start_active(system, "a")
        kill(system, "store")
        system.actors.advance(1.0)
        assert stored(system)["state"] == "active"

    def test_costs_no_session_anything(self, system):
        start_active(system, "a", "b", persistent=False)
        kill(system, "store")
        system.actors.settle()
        assert system.live_sessions() == ["a", "b"]

    def test_before_it_has_answered_leaves_the_answer_to_the_next(self, system):
        start_active(system, "a")
        system.actors.whereis("store").suspend()
        answer = system.directory.get("a").ask(("persist", None), block=False)
        kill(system, "store")
        assert answer.get(timeout=5.0) == "active"
        assert stored(system)["state"] == "active"

    def test_in_the_middle_of_a_write_loses_nothing_that_it_had_taken(self, system, disk, monkeypatch):
        start_active(system, "a")
        system.actors.settle()

        def breaks(*_arguments):
            monkeypatch.undo()
            raise RuntimeError("a fault of the store itself")

        monkeypatch.setattr(SqliteStore, "write", breaks)
        answer = system.directory.get("a").ask(("persist", None), block=False)
        assert answer.get(timeout=5.0) == "active"
        assert stored(system)["state"] == "active"
        reports = [each.data["child"] for each in entries(system) if each.data["event"] == "supervisor_report"]
        assert reports == ["store"]


class TestBackends:
    @pytest.mark.parametrize("name", ["default", "sqlite"])
    def test_the_one_that_the_system_has_may_be_named(self, system, name):
        system.start_session("a", {"backend": name})
        assert system.persist("a") is None

    def test_another_one_is_refused(self, system):
        with pytest.raises(InvalidBackend, match="'default' or 'sqlite', which this system has"):
            system.start_session("a", {"backend": "memory"})
        assert system.live_sessions() == []

    def test_without_a_path_sessions_are_stored_in_memory(self):
        with virtual(session=STORED) as system:
            system.start_session("a", {"backend": "memory"})
            system.persist("a")
            assert isinstance(system._store.store, MemoryStore)
            assert all_ids(system._store.store) == ["a"]


def test_an_unknown_message_is_refused_and_the_actor_goes_on(system):
    store = system.actors.whereis("store")
    for message in ("what", ("forget", 1), (), 7, [COMMIT]):
        with pytest.raises(UnknownRequest):
            store.ask(message)
    assert store.ask(COMMIT) is None


def test_stopping_closes_the_store(tmp_path):
    system = virtual(path=tmp_path / "sessions.db")
    system.stop()
    with pytest.raises(StoreClosedError):
        system._store.store.count()
    SqliteStore(tmp_path / "sessions.db").close()


def test_stopping_with_a_full_disk_says_so_and_lets_go_of_the_file(tmp_path):
    disk = Disk()
    store = SqliteStore(tmp_path / "sessions.db", connection_class=disk.connection_class)
    system = virtual(store=store, session=STORED)
    system.start_session("a")
    disk.fail(1, "ENOSPC", times=10_000)
    with pytest.raises(StoreError):
        system.stop()
    disk.heal()
    SqliteStore(tmp_path / "sessions.db").close()


def test_on_threads_all_that_was_confirmed_is_stored(tmp_path):
    with SessionSystem(path=tmp_path / "sessions.db", session=STORED) as system:
        refs = [system.directory.find(system.start_session(f"s{number}")) for number in range(200)]
        for _ in range(3):
            answers = [ref.ask(("persist", None), block=False) for ref in refs]
            assert {answer.get(timeout=10.0) for answer in answers} == {"new"}
    store = SqliteStore(tmp_path / "sessions.db")
    assert store.count() == 200
    store.close()


def test_the_clock_of_a_system_with_a_store_may_be_virtual(tmp_path):
    with SessionSystem(path=tmp_path / "s.db", clock=VirtualClock()) as system:
        assert system.recovered.recovered == 0
