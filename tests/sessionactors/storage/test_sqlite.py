import os
import shutil
import sqlite3
import stat
from types import NoneType

import pytest

from sessionactors.storage.codec import SCHEMA, deletion
from sessionactors.storage.errors import (
    StoreClosedError,
    StoreDamagedError,
    StoreDiskError,
    StoreError,
    StoreFullError,
    StoreLockedError,
    StoreMissingError,
    StoreReadOnlyError,
    StoreVersionError,
)
from sessionactors.storage.sqlite import SqliteStore
from tests.sessionactors.storage.faulty_disk import CODES, Disk
from tests.sessionactors.storage.stored import all_ids, record, requests

ERRORS = {"EIO": StoreDiskError, "ENOSPC": StoreFullError, "EROFS": StoreReadOnlyError, "busy": StoreLockedError}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "sessions.db"


def written(path, *records):
    """Write records in a store that is closed again."""
    store = SqliteStore(path)
    store.write(store.claim(), records)
    store.close()


def edited(path, *statements):
    """Change a closed store behind its back."""
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


def failure(call, *arguments):
    """Return the error that a call raises, or None."""
    try:
        call(*arguments)
    except StoreError as error:
        return error
    return None


class TestOpening:
    def test_makes_a_file_for_its_owner_only(self, path):
        SqliteStore(path).close()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    def test_finds_what_another_one_has_written(self, path):
        written(path, record("a", requests=4))
        store = SqliteStore(path)
        assert requests(store) == 4
        store.close()

    def test_goes_on_counting_owners(self, path):
        written(path)
        store = SqliteStore(path)
        assert store.claim() == 2
        store.close()

    def test_is_refused_while_another_store_has_the_file(self, path):
        store = SqliteStore(path)
        with pytest.raises(StoreLockedError) as refused:
            SqliteStore(path, busy_timeout=0.01)
        assert (refused.value.code, refused.value.path) == ("store_locked", path)
        store.close()

    def test_is_refused_while_another_program_writes_to_the_file(self, path):
        written(path)
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreLockedError):
            SqliteStore(path, busy_timeout=0.01)
        other.close()

    def test_leaves_the_first_owner_undisturbed_when_it_is_refused(self, path):
        store = SqliteStore(path)
        with pytest.raises(StoreLockedError):
            SqliteStore(path, busy_timeout=0.01)
        assert store.write(store.claim(), [record()]) == {}
        store.close()

    def test_needs_a_directory(self, tmp_path):
        with pytest.raises(StoreMissingError, match="check the path"):
            SqliteStore(tmp_path / "none" / "sessions.db")

    def test_refuses_a_directory_in_the_place_of_the_file(self, tmp_path):
        with pytest.raises(StoreMissingError):
            SqliteStore(tmp_path)

    @pytest.mark.parametrize("path", ["/dev/null", "/dev/full", "/dev/zero"])
    def test_refuses_a_device(self, path):
        with pytest.raises(StoreMissingError, match="it is no regular file; check the path"):
            SqliteStore(path)

    def test_refuses_a_pipe_without_waiting_for_it(self, path):
        os.mkfifo(path)
        with pytest.raises(StoreMissingError, match="no regular file"):
            SqliteStore(path)

    def test_refuses_a_file_that_is_no_database_and_leaves_it_alone(self, path):
        path.write_bytes(b"something else" * 1000)
        with pytest.raises(StoreDamagedError, match="no database"):
            SqliteStore(path)
        assert path.read_bytes() == b"something else" * 1000

    def test_refuses_a_file_that_was_cut(self, path):
        written(path, *(record(f"s{number}") for number in range(200)))
        os.truncate(path, 3000)
        with pytest.raises(StoreDamagedError):
            SqliteStore(path)

    def test_refuses_the_database_of_another_program(self, path):
        edited(path, "CREATE TABLE sessions (id INTEGER)")
        with pytest.raises(StoreDamagedError, match="no store of sessions"):
            SqliteStore(path)

    def test_refuses_a_newer_format_with_a_sentence_that_says_so(self, path):
        written(path)
        edited(path, "PRAGMA user_version = 2")
        with pytest.raises(StoreVersionError, match="it has format 2, and this program knows up to 1; use the program"):
            SqliteStore(path)

    @pytest.mark.parametrize(
        "change",
        [
            "CREATE TRIGGER t AFTER INSERT ON sessions BEGIN DELETE FROM sessions; END",
            "CREATE VIEW v AS SELECT 1",
            "DROP TABLE quarantine",
            "ALTER TABLE sessions ADD COLUMN more BLOB",
        ],
    )
    def test_refuses_tables_that_somebody_has_changed(self, path, change):
        written(path)
        edited(path, change)
        with pytest.raises(StoreDamagedError, match="tables are not those"):
            SqliteStore(path)


class TestAFileThatIsTakenAway:
    """What would be written into it nobody would find again."""

    @pytest.fixture
    def store(self, path):
        store = SqliteStore(path)
        store.write(store.claim(), [record("a", requests=1)])
        yield store
        store.close()

    def test_is_told_and_nothing_is_confirmed(self, store, path):
        path.unlink()
        for _ in range(2):
            with pytest.raises(StoreMissingError):
                store.write(1, [record("a", requests=2)])

    def test_is_not_made_anew(self, store, path):
        path.unlink()
        for _ in range(2):
            with pytest.raises(StoreMissingError):
                store.count()
        assert not path.exists()

    def test_is_used_again_when_it_is_back(self, store, path):
        path.rename(path.with_name("aside"))
        with pytest.raises(StoreMissingError, match="it was removed or replaced; put it back"):
            store.write(1, [record("a", requests=2)])
        path.with_name("aside").rename(path)
        assert requests(store) == 1
        assert store.write(1, [record("a", requests=3)]) == {}
        assert requests(store) == 3

    def test_is_not_confused_with_another_one_in_its_place(self, store, path):
        path.rename(path.with_name("aside"))
        path.write_bytes(b"")
        for problem in ("removed or replaced", "an empty file", "an empty file"):
            with pytest.raises(StoreMissingError, match=problem):
                store.write(1, [record("a", requests=2)])

    def test_is_not_confused_with_a_program_that_goes_elsewhere(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        store = SqliteStore("s.db")
        (tmp_path / "other").mkdir()
        monkeypatch.chdir(tmp_path / "other")
        assert store.write(store.claim(), [record("a")]) == {}
        store._disconnect()
        assert all_ids(store) == ["a"]
        store.close()


class TestALogThatIsTakenAway:
    """What was confirmed last is in it and nowhere else."""

    @pytest.fixture(params=[False, True], ids=["file", "link"])
    def store(self, path, request):
        named = path
        if request.param:
            path.with_name("behind").mkdir()
            path.symlink_to(path.with_name("behind") / "other.db")
            SqliteStore(path.resolve()).close()
            named = path.resolve()
        store = SqliteStore(path)
        store.write(store.claim(), [record("a", requests=1)])
        yield store, named.with_name(f"{named.name}-wal"), named
        store.close()

    def change(self, log, how):
        log.unlink()
        if how == "replaced":
            log.write_bytes(b"another")

    @pytest.mark.parametrize("how", ["removed", "replaced"])
    def test_is_told_and_nothing_is_confirmed(self, store, how):
        store, log, _ = store
        self.change(log, how)
        with pytest.raises(StoreMissingError, match="the log beside it"):
            store.write(1, [record("b")])
        assert all_ids(store) == ["a"]

    @pytest.mark.parametrize("how", ["removed", "replaced"])
    def test_costs_nothing_that_was_confirmed(self, store, how, tmp_path):
        store, log, file = store
        self.change(log, how)
        with pytest.raises(StoreMissingError):
            store.count()
        left = SqliteStore(shutil.copy(file, tmp_path / "left.db"))  # as a kill would leave it now
        assert all_ids(left) == ["a"]
        left.close()

    def test_is_another_one_afterwards(self, store, tmp_path):
        store, log, file = store
        log.unlink()
        with pytest.raises(StoreMissingError):
            store.count()
        assert store.write(1, [record("b")]) == {}
        shutil.copy(log, tmp_path / "left.db-wal")
        left = SqliteStore(shutil.copy(file, tmp_path / "left.db"))
        assert all_ids(left) == ["a", "b"]
        left.close()


class TestDamage:
    def test_of_a_page_is_told_and_not_read_over(self, path):
        written(path, *(record(f"s{number}") for number in range(500)))
        with path.open("r+b") as file:
            file.seek(8 * 4096)
            file.write(b"\xff" * 4096 * 20)
        with pytest.raises(StoreDamagedError):
            all_ids(SqliteStore(path))

    @pytest.mark.parametrize(
        "change",
        [
            "UPDATE owner SET epoch = 9223372036854775807",
            "UPDATE owner SET epoch = -5",
            "DELETE FROM owner",
        ],
    )
    def test_of_the_owner_is_told(self, path, change):
        written(path, record("a"))
        edited(path, change)
        store = SqliteStore(path)
        for call in (store.claim, lambda: store.write(1, [record("b")])):
            with pytest.raises(StoreDamagedError, match="the epoch of its owner is none that was ever written"):
                call()
        assert all_ids(store) == ["a"]
        store.close()

    @pytest.mark.parametrize("keys", [(-7, 0), (-(2**63), 2**63 - 1)])
    def test_of_a_key_hides_no_record(self, path, keys):
        written(path, record("a"), record("b"))
        for row, key in zip((1, 2), keys, strict=True):
            edited(path, f"UPDATE sessions SET key = {key} WHERE key = {row}")
        store = SqliteStore(path)
        assert all_ids(store) == ["a", "b"]
        (first,) = store.page(None, 1)
        assert [each.session_id for each in store.page(first.key, 1)] == [b"b"]
        assert list(store.page(keys[1], 1)) == []
        store.close()

    def test_of_one_record_can_be_moved_aside_whatever_it_is(self, path):
        written(path, record("a"), record("b"))
        edited(path, "UPDATE sessions SET session_id = CAST(x'ff61' AS TEXT), snapshot = x'00' WHERE session_id = 'a'")
        store = SqliteStore(path)
        (spoiled, _) = store.page(None, 9)
        store.quarantine([(spoiled, "spoiled")], 1.0)
        assert [each.session_id for each in store.quarantined()] == ["\N{REPLACEMENT CHARACTER}a"]
        assert all_ids(store) == ["b"]
        store.close()


def test_a_record_of_a_newer_schema_survives_an_older_program(path):
    written(path, record("a")._replace(schema=SCHEMA + 1))
    written(path, record("b"), deletion("a"))
    store = SqliteStore(path)
    assert all_ids(store) == ["a", "b"]
    store.close()


def test_a_file_that_may_not_grow_is_full_and_keeps_what_it_has(path):
    class Small(sqlite3.Connection):
        def execute(self, sql, *parameters):
            if sql.startswith("BEGIN"):
                super().execute("PRAGMA max_page_count = 30")
            return super().execute(sql, *parameters)

    store = SqliteStore(path, connection_class=Small)
    epoch = store.claim()
    store.write(epoch, [record("a", requests=1)])
    with pytest.raises(StoreFullError, match="free some space"):
        store.write(epoch, [record("a", requests=2), *(record(f"s{number}") for number in range(2000))])
    assert (all_ids(store), requests(store)) == (["a"], 1)
    assert store.write(epoch, [record("a", requests=3)]) == {}
    store.close()


def test_a_forked_process_has_no_store(path, monkeypatch):
    store = SqliteStore(path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: -1)
        with pytest.raises(StoreClosedError):
            store.count()
        store.close()
    with pytest.raises(StoreLockedError):  # the fork has not let go of what is not its own
        SqliteStore(path, busy_timeout=0.01)
    store._disconnect()


CALLS = {
    "claim": lambda store: store.claim(),
    "write": lambda store: store.write(9, [record("a", requests=2), *(record(f"s{n}") for n in range(70))]),
    "delete": lambda store: store.write(9, [deletion("a")]),
    "read": lambda store: store.read("a"),
    "page": lambda store: store.page(None, 9),
    "count": lambda store: store.count(),
    "quarantine": lambda store: store.quarantine([(store.read("a"), "spoiled")], 1.0),
    "quarantined": lambda store: store.quarantined(),
}


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("call", CALLS)
def test_the_first_second_third_step_fails_until_the_call_succeeds(path, call, code, late):
    """Each failure is a typed error, leaves what was confirmed, and is over when the disk is back."""
    disk = Disk()
    written(path, record("a", requests=1), record("kept", requests=7))
    for step in range(1, 100):
        disk.heal()
        store = SqliteStore(path, connection_class=disk.connection_class)
        disk.fail(step, code, late=late)
        assert isinstance(failure(CALLS[call], store), (NoneType, ERRORS[code]))
        disk.heal()
        assert requests(store, "kept") == 7
        if call in ("claim", "write", "delete", "quarantine"):
            store.write(9, [record("a", requests=1)])  # the service is back
        assert requests(store) == 1
        failed = disk.failed
        store.close()
        if not failed:
            break
    else:
        pytest.fail("the call never ran through")
    assert step > 1


@pytest.mark.parametrize("code", CODES)
def test_the_first_second_third_step_of_opening_fails_until_it_succeeds(path, code):
    disk = Disk()
    for step in range(1, 100):
        disk.fail(step, code)
        error = failure(lambda: SqliteStore(path, connection_class=disk.connection_class).close())
        assert isinstance(error, (NoneType, ERRORS[code]))
        if not disk.failed:
            break
    assert step > 10
    store = SqliteStore(path)
    assert store.claim() == 1
    store.close()


def test_a_rollback_that_fails_as_well_leaves_the_old_record(path):
    disk = Disk()
    store = SqliteStore(path, connection_class=disk.connection_class)
    epoch = store.claim()
    store.write(epoch, [record(requests=1)])
    disk.fail(3, times=100)
    with pytest.raises(StoreDiskError):
        store.write(epoch, [record(requests=2)])
    disk.heal()
    assert requests(store) == 1
    store.close()
