"""The durable log as its owner sees it: what is committed stays, and what goes wrong is said."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sqlite3
import stat
import subprocess
import sys

import pytest

from sessionactors.audit import database
from sessionactors.audit import log as log_module
from sessionactors.audit.checkpoint import open_checkpoint
from sessionactors.audit.errors import (
    AuditClosedError,
    AuditDamagedError,
    AuditError,
    AuditKeyError,
    AuditLockedError,
    AuditReadError,
    AuditWriteError,
)
from sessionactors.audit.keys import create_key, load_public_key
from sessionactors.audit.log import AuditLog
from sessionactors.audit.memory import MemoryAuditLog
from sessionactors.audit.record import AuditEvent, kind_of
from sessionactors.audit.verify import verify
from supervisors.errors import InvalidArgumentError
from tests.sessionactors.audit.conftest import alter, look, some_events, write_log


@pytest.fixture
def log(tmp_path):
    with AuditLog(tmp_path / "log") as log:
        yield log


class TestCommitting:
    def test_gives_positions_in_order(self, log):
        assert log.append_many(some_events(3)) == range(3)
        assert log.append_many(some_events(2, 3)) == range(3, 5)
        log.commit()
        assert log.append_many(some_events(1, 5)) == range(5, 6)

    def test_makes_pending_entries_count(self, log):
        log.append_many(some_events(3))
        assert (log.size, log.pending) == (0, 3)
        assert log.commit().size == 3
        assert (log.size, log.pending) == (3, 0)

    def test_without_anything_pending_signs_nothing_new(self, log):
        log.append_many(some_events(3))
        head = log.commit()
        assert log.commit() == head
        assert len(look(log.directory, "SELECT size FROM heads")) == 2

    def test_gives_a_head_that_the_public_key_opens(self, log):
        log.append_many(some_events(3))
        head = log.commit()
        checkpoint = open_checkpoint(head.note, load_public_key(log.directory / "audit.pub"))
        assert (checkpoint.origin, checkpoint.size, checkpoint.root) == (log.origin, 3, head.root)
        assert log.head() == head

    def test_has_the_same_root_however_the_events_came(self, tmp_path):
        roots = set()
        for number, sizes in enumerate(((9,), (1,) * 9, (4, 0, 5))):
            with AuditLog(tmp_path / str(number)) as log:
                written = 0
                for size in sizes:
                    log.append_many(some_events(size, written))
                    written += size
                    log.commit()
                roots.add(log.head().root)
        assert len(roots) == 1

    def test_has_the_root_of_a_log_in_memory(self, log):
        memory = MemoryAuditLog()
        for store in (log, memory):
            store.append_many(some_events(300))
        assert log.commit().root == memory.commit().root

    def test_happens_by_itself_before_too_many_are_pending(self, log, monkeypatch):
        monkeypatch.setattr(log_module, "PENDING_MAX", 10)
        log.append_many(some_events(12))
        assert (log.size, log.pending) == (0, 12)
        log.append_many(some_events(2, 12))
        assert (log.size, log.pending) == (12, 2)

    def test_fills_segments_of_the_index(self, tmp_path):
        with AuditLog(tmp_path / "log") as log:
            for size in (16_000, 384, 1, 20_000):
                log.append_many(some_events(size, log.size))
                log.commit()
        segments = {identity >> 33 for (identity,) in look(tmp_path / "log", "SELECT id FROM session_index")}
        assert segments == {0, 1}

    def test_can_be_renounced(self, log):
        log.append_many(some_events(3))
        assert log.forget_pending() == 3
        assert log.commit().size == 0
        assert log.append_many(some_events(1)) == range(1)


class TestAppending:
    def test_a_bad_event_adds_none_of_its_batch(self, log):
        bad = AuditEvent(float("nan"), 0.0, "a", kind_of("auth"), "session", None)
        with pytest.raises(InvalidArgumentError):
            log.append_many([*some_events(3), bad])
        assert log.pending == 0

    def test_secrets_of_ones_own_are_left_out(self, tmp_path):
        with AuditLog(tmp_path / "log", forbidden=frozenset({"salary"})) as log:
            log.append_many([AuditEvent(0.0, 0.0, "a", kind_of("resource"), "hr", {"Salary": 5, "password": "kept"})])
            log.commit()
            (record,) = log.events()
        assert record.data == {"Salary": "[redacted]", "password": "kept"}


class TestReopening:
    def test_continues_the_same_tree(self, tmp_path):
        write_log(tmp_path / "parts", (7,))
        write_log_more(tmp_path / "parts", 7, 30)
        write_log(tmp_path / "whole", (37,))
        assert verify(tmp_path / "parts").outcome == "valid"
        assert verify(tmp_path / "parts").root == verify(tmp_path / "whole").root

    def test_continues_in_the_middle_of_a_segment(self, tmp_path):
        write_log(tmp_path / "log", (16_380,))
        write_log_more(tmp_path / "log", 16_380, 10)
        write_log_more(tmp_path / "log", 16_390, 10)
        assert verify(tmp_path / "log").outcome == "valid"

    def test_knows_the_counters(self, tmp_path):
        write_log(tmp_path / "log", (10,))
        with AuditLog(tmp_path / "log") as log:
            assert log.statistics().by_type() == {"state_transition": 8, "auth": 2}

    def test_knows_the_head(self, log_path):
        with AuditLog(log_path) as log:
            assert (log.size, log.head().size, log.pending) == (23, 23, 0)

    def test_completes_what_a_crash_kept_from_the_files(self, log_path):
        whole = {name: (log_path / name).read_bytes() for name in ("checkpoints", "hashes")}
        (log_path / "checkpoints").write_bytes(whole["checkpoints"][:-20])
        (log_path / "hashes").write_bytes(whole["hashes"][:-70])
        assert verify(log_path).outcome == "torn"
        AuditLog(log_path).close()
        assert {name: (log_path / name).read_bytes() for name in whole} == whole
        assert verify(log_path).outcome == "valid"

    def test_makes_a_log_whose_making_was_interrupted(self, tmp_path):
        create_key(tmp_path / "audit.key")
        (tmp_path / "checkpoints").touch()
        (tmp_path / "audit.db").touch()
        with AuditLog(tmp_path) as log:
            log.append_many(some_events(2))
        assert verify(tmp_path).outcome == "valid"

    @pytest.mark.parametrize(
        "statement",
        [
            "DELETE FROM entries WHERE sequence = 22",
            "INSERT INTO entries VALUES (23, x'00')",
            "DELETE FROM heads WHERE size = 23",
            "UPDATE heads SET note = x'00' WHERE size = 23",
            "DELETE FROM heads",
            "UPDATE tip SET frontier = x'00'",
            "UPDATE tip SET size = 22",
            "UPDATE tip SET counts = x'c0'",
            "UPDATE tip SET checkpoints_size = 5",
            "DELETE FROM tip",
            "DELETE FROM entries WHERE sequence = 3",
            "DELETE FROM entries",
            "DROP TABLE session_index",
            "CREATE TABLE more (x)",
        ],
    )
    def test_refuses_a_database_that_contradicts_itself(self, log_path, statement):
        alter(log_path, statement)
        with pytest.raises(AuditDamagedError) as caught:
            AuditLog(log_path)
        assert caught.value.code == "audit_damaged"
        assert "verify the log" in str(caught.value)

    @pytest.mark.parametrize("name", ["checkpoints", "hashes"])
    def test_refuses_files_that_know_more_than_the_database(self, log_path, name):
        with (log_path / name).open("ab") as file:
            file.write(bytes(32))
        with pytest.raises(AuditDamagedError):
            AuditLog(log_path)

    @pytest.mark.parametrize("name", ["checkpoints", "hashes"])
    def test_refuses_files_that_lack_more_than_a_crash_takes(self, log_path, name):
        path = log_path / name
        path.write_bytes(path.read_bytes()[:300])
        with pytest.raises(AuditDamagedError):
            AuditLog(log_path)

    @pytest.mark.parametrize("leaf", ["x''", "x'c0'", "x'99010000'"])
    def test_refuses_an_end_with_something_that_is_no_entry(self, log_path, leaf):
        alter(log_path, f"UPDATE entries SET leaf = {leaf} WHERE sequence = 21")
        with pytest.raises(AuditDamagedError, match="near its end"):
            AuditLog(log_path)

    def test_refuses_another_last_head_in_the_file(self, log_path):
        path = log_path / "checkpoints"
        content = bytearray(path.read_bytes())
        content[-30] ^= 1
        path.write_bytes(content)
        with pytest.raises(AuditDamagedError):
            AuditLog(log_path)

    @pytest.mark.parametrize("is_gone", [True, False])
    def test_does_not_begin_anew_where_the_database_was_removed(self, log_path, is_gone):
        (log_path / "audit.db").unlink()
        if not is_gone:
            (log_path / "audit.db").touch()
        with pytest.raises(AuditDamagedError) as caught:
            AuditLog(log_path)
        assert "know of entries" in str(caught.value)

    def test_a_refused_log_is_left_as_it_is_and_can_be_opened_once_repaired(self, log_path):
        (log_path / "audit.db").rename(log_path / "kept")
        with pytest.raises(AuditDamagedError):
            AuditLog(log_path)
        (log_path / "kept").rename(log_path / "audit.db")
        AuditLog(log_path).close()
        assert verify(log_path).outcome == "valid"


def write_log_more(path, first, count):
    with AuditLog(path) as log:
        log.append_many(some_events(count, first))


class TestKeys:
    def test_are_made_with_the_log(self, tmp_path):
        with AuditLog(tmp_path / "log") as log:
            assert log.origin.startswith("sessionactors-audit/")
        assert stat.S_IMODE((tmp_path / "log" / "audit.key").stat().st_mode) == 0o600
        assert (tmp_path / "log" / "audit.pub").read_text().startswith(log.origin)

    def test_can_be_elsewhere(self, tmp_path):
        with AuditLog(tmp_path / "log", key_file=tmp_path / "key", origin="example.com/log") as log:
            assert log.origin == "example.com/log"
        assert not (tmp_path / "log" / "audit.key").exists()
        with AuditLog(tmp_path / "log", key_file=tmp_path / "key"):
            pass
        assert verify(tmp_path / "log").outcome == "valid"

    def test_can_be_made_before_the_log(self, tmp_path):
        signer = create_key(tmp_path / "key", "example.com/log")
        write_log(tmp_path / "log", (3,), key_file=tmp_path / "key")
        assert verify(tmp_path / "log", public_key=signer.verifier).outcome == "valid"

    def test_of_another_log_are_refused(self, log_path, tmp_path):
        create_key(tmp_path / "other")
        with pytest.raises(AuditKeyError) as caught:
            AuditLog(log_path, key_file=tmp_path / "other")
        assert "not the key of this log" in str(caught.value)

    def test_of_another_log_are_refused_also_with_their_public_half(self, log_path, tmp_path):
        other = write_log(tmp_path / "other", (1,))
        for name in ("audit.key", "audit.pub"):
            shutil.copy(other / name, log_path / name)
        with pytest.raises(AuditDamagedError):
            AuditLog(log_path)

    def test_are_never_made_for_a_log_that_has_one(self, log_path):
        (log_path / "audit.key").unlink()
        with pytest.raises(AuditKeyError) as caught:
            AuditLog(log_path)
        assert caught.value.role == "audit key"
        assert not (log_path / "audit.key").exists()

    def test_that_others_can_read_are_refused(self, log_path):
        (log_path / "audit.key").chmod(0o640)
        with pytest.raises(AuditKeyError) as caught:
            AuditLog(log_path)
        assert "others may read it" in str(caught.value)

    def test_under_another_origin_are_refused(self, log_path):
        with pytest.raises(AuditKeyError):
            AuditLog(log_path, origin="example.com/other")

    def test_without_the_public_half_are_refused(self, log_path):
        (log_path / "audit.pub").unlink()
        with pytest.raises(AuditKeyError) as caught:
            AuditLog(log_path)
        assert caught.value.role == "audit public key"

    def test_a_refused_key_leaves_the_log_unlocked(self, log_path, tmp_path):
        create_key(tmp_path / "other")
        with pytest.raises(AuditKeyError):
            AuditLog(log_path, key_file=tmp_path / "other")
        AuditLog(log_path).close()


class TestOneWriter:
    def test_a_second_one_is_refused(self, log):
        with pytest.raises(AuditLockedError) as caught:
            AuditLog(log.directory)
        assert caught.value.code == "audit_locked"
        assert "another writer" in str(caught.value)

    def test_a_second_one_in_another_process_is_refused(self, log):
        source = (
            "import sys; from sessionactors.audit.log import AuditLog\n"
            "from sessionactors.audit.errors import AuditLockedError\n"
            "try: AuditLog(sys.argv[1])\n"
            "except AuditLockedError: print('refused')"
        )
        done = subprocess.run(
            [sys.executable, "-c", source, str(log.directory)], capture_output=True, text=True, check=True, timeout=60
        )
        assert done.stdout == "refused\n"

    def test_the_next_one_is_let_in_when_the_first_has_closed(self, tmp_path):
        AuditLog(tmp_path / "log").close()
        AuditLog(tmp_path / "log").close()

    def test_the_first_goes_on_undisturbed(self, log):
        with pytest.raises(AuditLockedError):
            AuditLog(log.directory)
        log.append_many(some_events(3))
        assert log.commit().size == 3


class TestClosing:
    def test_commits_what_is_pending(self, tmp_path):
        with AuditLog(tmp_path / "log") as log:
            log.append_many(some_events(3))
        assert verify(tmp_path / "log").size == 3

    def test_twice_does_nothing(self, tmp_path):
        log = AuditLog(tmp_path / "log")
        log.close()
        log.close()

    def test_leaves_ordinary_files_only(self, tmp_path):
        with AuditLog(tmp_path / "log") as log:
            log.append_many(some_events(3))
            log.commit()
            list(log.events())
        assert {path.name for path in (tmp_path / "log").iterdir()} == {
            "audit.db",
            "audit.key",
            "audit.pub",
            "checkpoints",
            "hashes",
        }

    def test_beside_a_reader_leaves_a_log_that_is_whole(self, log_path):
        reader = sqlite3.connect(log_path / "audit.db")
        log = AuditLog(log_path)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM entries").fetchone()
        log.append_many(some_events(2, 23))
        log.close()
        reader.close()
        assert (verify(log_path).outcome, verify(log_path).size) == ("valid", 25)

    @pytest.mark.parametrize("use", [AuditLog.commit, AuditLog.reader, lambda log: log.append_many([])])
    def test_ends_its_use(self, tmp_path, use):
        log = AuditLog(tmp_path / "log")
        log.close()
        with pytest.raises(AuditClosedError) as caught:
            use(log)
        assert caught.value.code == "audit_closed"

    def test_can_still_be_shown(self, tmp_path):
        log = AuditLog(tmp_path / "log")
        assert repr(log) == "<AuditLog open, 0 entries, 0 pending>"
        log.close()
        assert repr(log) == "<AuditLog closed, 0 entries, 0 pending>"

    def test_a_forked_process_cannot_write(self, log, monkeypatch):
        monkeypatch.setattr(os, "getpid", lambda: -1)
        with pytest.raises(AuditClosedError) as caught:
            log.append_many(some_events(1))
        assert "forked" in str(caught.value)


class TestTroubleWithTheDisk:
    def test_a_full_disk_loses_nothing_and_a_later_commit_succeeds(self, log):
        log.append_many(some_events(3))
        log.commit()
        pages = log._connection.execute("PRAGMA page_count").fetchone()[0]
        log._connection.execute(f"PRAGMA max_page_count = {pages}")
        log.append_many(some_events(5_000, 3))
        for _ in range(2):
            with pytest.raises(AuditWriteError) as caught:
                log.commit()
            assert "the disk is full" in str(caught.value)
            assert "commit again" in str(caught.value)
            assert (log.size, log.pending) == (3, 5_000)
        log._connection.execute("PRAGMA max_page_count = 1000000")
        assert log.commit().size == 5_003
        log.close()
        assert (verify(log.directory).outcome, verify(log.directory).size) == ("valid", 5_003)

    def test_a_database_that_somebody_holds_is_tried_again(self, log):
        other = sqlite3.connect(log.directory / "audit.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        log._connection.execute("PRAGMA busy_timeout = 0")
        log.append_many(some_events(3))
        with pytest.raises(AuditLockedError):
            log.commit()
        other.execute("ROLLBACK")
        other.close()
        assert log.commit().size == 3

    @pytest.mark.parametrize("failing", [1, 2, 3, 4])
    @pytest.mark.parametrize("call", ["pwrite", "fdatasync"])
    def test_files_that_cannot_be_written_are_completed_by_the_next_commit(self, log, monkeypatch, failing, call):
        right = getattr(os, call)
        calls = []

        def fails_once(*arguments):
            calls.append(arguments)
            if len(calls) == failing:
                raise OSError(errno.ENOSPC, "No space left on device")
            return right(*arguments)

        monkeypatch.setattr(os, call, fails_once)
        troubles = []
        for size in (3, 4, 5):
            log.append_many(some_events(size, log.size))
            try:
                log.commit()
            except AuditWriteError as error:
                troubles.append((str(error), log.pending))
        log.close()
        # The entries themselves had been committed.
        assert [("the disk is full" in told, pending) for told, pending in troubles] == [(True, 0)]
        assert (verify(log.directory).outcome, verify(log.directory).size) == ("valid", 12)

    def test_files_that_stay_full_let_no_second_commit_pass(self, log, monkeypatch):
        right = os.pwrite
        monkeypatch.setattr(os, "pwrite", _no_space)
        log.append_many(some_events(3))
        with pytest.raises(AuditWriteError):
            log.commit()
        log.append_many(some_events(3, 3))
        with pytest.raises(AuditWriteError):
            log.commit()
        assert (log.size, log.pending) == (3, 3)
        monkeypatch.setattr(os, "pwrite", right)
        assert log.commit().size == 6

    def test_a_short_write_is_continued(self, log, monkeypatch):
        right = os.pwrite
        monkeypatch.setattr(os, "pwrite", lambda descriptor, content, at: right(descriptor, content[:7], at))
        log.append_many(some_events(3))
        log.commit()
        monkeypatch.undo()
        log.close()
        assert verify(log.directory).outcome == "valid"

    def test_a_commit_that_fails_after_it_was_made_counts(self, log, monkeypatch):
        right = database.transaction

        @contextlib.contextmanager
        def fails_late(connection, path):
            with right(connection, path):
                yield
            raise AuditWriteError("audit database", "the disk failed", "check the disk", path)

        log.append_many(some_events(3))
        monkeypatch.setattr(database, "transaction", fails_late)
        assert log.commit().size == 3
        monkeypatch.undo()
        log.append_many(some_events(3, 3))
        assert log.commit().size == 6
        log.close()
        assert verify(log.directory).outcome == "valid"

    def test_a_commit_of_which_nobody_knows_ends_the_use_of_the_log(self, log):
        class Gone:
            in_transaction = False

            def execute(self, *_):
                error = sqlite3.OperationalError("disk I/O error")
                error.sqlite_errorcode = sqlite3.SQLITE_IOERR
                raise error

            def close(self):
                pass

        log.append_many(some_events(3))
        log._connection.close()
        log._connection = Gone()
        with pytest.raises(AuditWriteError) as caught:
            log.commit()
        assert "the disk failed" in str(caught.value)
        with pytest.raises(AuditClosedError):
            log.commit()
        with AuditLog(log.directory) as again:
            assert again.size == 0

    def test_closing_gives_everything_back_even_if_the_commit_fails(self, log, monkeypatch):
        log.append_many(some_events(3))
        monkeypatch.setattr(os, "pwrite", _no_space)
        with pytest.raises(AuditWriteError):
            log.close()
        monkeypatch.undo()
        with AuditLog(log.directory) as again:
            assert again.size == 3


def _no_space(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


class TestTheDirectory:
    def test_is_made_with_its_parents_and_for_its_owner_only(self, tmp_path):
        with AuditLog(tmp_path / "a" / "b") as log:
            assert stat.S_IMODE(log.directory.stat().st_mode) == 0o700
            for name in ("audit.db", "checkpoints", "hashes"):
                assert stat.S_IMODE((log.directory / name).stat().st_mode) == 0o600

    def test_may_be_named_by_text(self, tmp_path):
        AuditLog(str(tmp_path / "log")).close()
        assert verify(str(tmp_path / "log")).outcome == "valid"

    def test_may_have_an_unusual_name(self, tmp_path):
        path = tmp_path / "a b?mode=memory&x=%41#ü'\""
        write_log(path, (3,))
        assert (verify(path).outcome, verify(path).size) == ("valid", 3)

    def test_a_file_in_its_place_is_refused(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(AuditReadError) as caught:
            AuditLog(tmp_path / "file")
        assert "the path is a file" in str(caught.value)

    def test_below_a_file_is_refused(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(AuditWriteError) as caught:
            AuditLog(tmp_path / "file" / "log")
        assert caught.value.role == "audit log"

    @pytest.mark.parametrize("name", ["audit.db", "checkpoints", "hashes", "audit.key", "audit.pub"])
    def test_with_a_folder_in_the_place_of_a_file_is_refused(self, tmp_path, name):
        (tmp_path / name).mkdir()
        with pytest.raises(AuditError) as caught:
            AuditLog(tmp_path)
        assert caught.value.role.startswith("audit ")

    @pytest.mark.parametrize("content", [b"not a database " * 400, b"SQLite format 3\x00" + bytes(5000)])
    def test_with_something_else_as_its_database_is_refused(self, log_path, content):
        (log_path / "audit.db").write_bytes(content)
        with pytest.raises(AuditDamagedError) as caught:
            AuditLog(log_path)
        assert "another one" in str(caught.value)

    def test_with_the_database_of_another_program_is_refused(self, tmp_path):
        connection = sqlite3.connect(tmp_path / "audit.db")
        connection.execute("CREATE TABLE theirs (x)")
        connection.commit()
        connection.close()
        with pytest.raises(AuditDamagedError) as caught:
            AuditLog(tmp_path)
        assert "no audit log" in str(caught.value)


def test_a_log_from_a_later_format_is_refused(log_path):
    alter(log_path, "PRAGMA user_version = 2")
    with pytest.raises(AuditDamagedError) as caught:
        AuditLog(log_path)
    assert "its format is 2" in str(caught.value)
