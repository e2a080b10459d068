"""One person is erased from a log, and the tree still verifies."""

from __future__ import annotations

import re
import shutil
import sqlite3

import pytest

from sessionactors.audit import erasing, openings
from sessionactors.audit.archives import pack, to_be_packed
from sessionactors.audit.errors import AuditDamagedError, AuditLockedError, AuditWriteError
from sessionactors.audit.log import AuditLog
from sessionactors.audit.openings import Openings, open_for_reading
from sessionactors.audit.personal import commitments_in
from sessionactors.audit.plain_values import PERSONAL_FIELDS
from sessionactors.audit.queries import AuditReader
from sessionactors.audit.record import AuditEvent, kind_of
from sessionactors.audit.verify import verify


def login(number, user, **more):
    data = {"event": "login", "user_id": user, "ip": f"192.0.2.{number}", "n": number, **more}
    return AuditEvent(1_700_000_000.0 + number, float(number), f"s-{user}", kind_of("auth"), "session", data)


def write(directory, users=("alice", "bob", "alice"), **options):
    with AuditLog(directory, **{"personal": PERSONAL_FIELDS, **options}) as log:
        log.append_many([login(log.size + number, user) for number, user in enumerate(users)])
        log.commit()
    return directory


def erase(directory, subject):
    with AuditLog(directory) as log:
        return log.erase(subject, 1_800_000_000.0, 5.0, actor="admin:eve", reason="article 17")


def data_of(directory):
    with AuditReader(directory) as reader:
        return [record.data for record in reader.events()]


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    return write(tmp_path_factory.mktemp("pristine") / "log")


@pytest.fixture
def path(pristine, tmp_path):
    return shutil.copytree(pristine, tmp_path / "log")


def alter(path, *statement):
    connection = sqlite3.connect(path / "personal.db")
    connection.execute(*statement)
    connection.commit()
    connection.close()


class TestPersonalData:
    def test_are_read_as_they_were_logged(self, path):
        assert data_of(path)[0] == {"event": "login", "user_id": "alice", "ip": "192.0.2.0", "n": 0}

    def test_stand_in_no_entry(self, path):
        with AuditReader(path) as reader:
            assert not any(
                b"alice" in leaf.replace(b"s-alice", b"") or b"192.0" in leaf for leaf in reader.leaves(0, 9)
            )

    def test_are_shown_as_commitments_to_who_does_not_want_them(self, path):
        with AuditReader(path, is_personal=False) as reader:
            found = [commitments_in(record.data) for record in reader.events()]
        assert [sorted(each) for each in found] == [["/ip", "/user_id"]] * 3
        # The same value has another commitment each time.
        assert len({each["/user_id"] for each in found}) == 3

    def test_are_not_needed_to_verify_a_copy(self, path):
        (path / "personal.db").unlink()
        found = verify(path)
        assert (found.outcome, found.personal_absent) == ("valid", 6)
        assert "$personal" in data_of(path)[0]

    def test_of_a_log_that_was_opened_with_them_stay_so(self, path):
        with AuditLog(path) as log:
            log.append_many([login(3, "carol")])
            log.commit()
        with AuditReader(path, is_personal=False) as reader:
            assert "user_id" not in list(reader.events())[3].data

    def test_are_kept_of_no_entry_that_did_not_come_to_be(self, path):
        with AuditLog(path) as log:
            log._openings.put(1, log.size, [(log.size, "s", log.rules.pack({"user_id": "dora"}).openings)])
        assert verify(path).exit_code == 2
        AuditLog(path).close()
        assert verify(path).outcome == "valid"
        assert b"dora" not in (path / "personal.db").read_bytes()


class TestAnErasure:
    def test_takes_one_and_leaves_the_others(self, path):
        erasure = erase(path, "alice")
        assert erasure.commitments == 4
        data = data_of(path)
        assert sorted(data[0]) == ["$personal", "event", "n"]
        assert data[1] == {"event": "login", "user_id": "bob", "ip": "192.0.2.1", "n": 1}
        found = verify(path)
        assert (found.outcome, found.personal_open, found.personal_erased) == ("valid", 2, 4)

    def test_is_itself_an_entry_that_does_not_name_the_subject(self, path):
        erasure = erase(path, "alice")
        with AuditReader(path) as reader:
            *_, last = reader.events()
            leaf = reader.leaf(last.sequence)
        assert (last.type, last.actor, last.data["event"]) == ("compliance", "admin:eve", "subject_erased")
        assert (last.data["commitments"], last.data["tag"], last.data["reason"]) == (4, erasure.tag, "article 17")
        assert b"alice" not in leaf
        assert (erasure.segment, erasure.sequence) == (1, last.sequence)

    def test_leaves_no_byte_of_it_on_the_disk(self, path):
        erase(path, "alice")
        for file in path.iterdir():
            content = file.read_bytes().replace(b"s-alice", b"")
            assert b"alice" not in content, file.name
            assert b"192.0.2.0" not in content, file.name

    def test_leaves_no_byte_of_it_in_a_log_that_is_open(self, tmp_path):
        path = tmp_path / "log"
        with AuditLog(path, personal=PERSONAL_FIELDS) as log:
            for number in range(90):
                log.append_many([login(number, f"user-{number % 7}-"), login(number, f"{number}-xyz")])
                log.commit()
            log.erase("user-3-", 0.0, 0.0)
            for file in path.iterdir():
                assert b"user-3-" not in file.read_bytes().replace(b"s-user-3-", b""), file.name

    def test_reaches_into_logs_that_were_sealed(self, path):
        with AuditLog(path) as log:
            log.seal(1.0, 1.0)
            log.append_many([login(9, "alice")])
            log.commit()
        for each in to_be_packed(path):
            list(pack(each))
        (archived,) = (path / "archive").iterdir()
        before = archived.read_bytes()
        assert verify(archived).personal_open == 6
        assert erase(path, "alice").commitments == 6
        assert archived.read_bytes() == before
        found = verify(archived)
        assert (found.outcome, found.personal_open, found.personal_erased) == ("valid", 2, 4)
        assert verify(path).outcome == "valid"

    def test_of_a_session_takes_what_is_said_of_nobody_else(self, tmp_path):
        path = tmp_path / "log"
        with AuditLog(path, personal=PERSONAL_FIELDS) as log:
            about = AuditEvent(0.0, 0.0, "s-alice", kind_of("resource"), "session", {"request": {"ip": "192.0.2.77"}})
            log.append_many([about, login(1, "alice")])
            log.erase("alice", 0.0, 0.0)
        assert data_of(path)[0] == {"request": {}, "$personal": data_of(path)[0]["$personal"]}

    def test_of_a_session_by_its_id_takes_all_that_is_kept_of_it(self, path):
        assert erase(path, "s-bob").commitments == 2

    def test_of_somebody_unknown_changes_nothing(self, path):
        assert erase(path, "nobody") is None
        assert len(data_of(path)) == 3

    def test_a_second_time_finds_nothing(self, path):
        erase(path, "alice")
        assert erase(path, "alice") is None
        assert verify(path).size == 4

    def test_in_a_log_without_personal_data_finds_nothing(self, tmp_path):
        write(tmp_path / "log", personal=None)
        assert erase(tmp_path / "log", "alice") is None

    def test_beside_a_reader_is_completed_once_that_is_gone(self, path, monkeypatch):
        monkeypatch.setattr(openings, "_BUSY_TIMEOUT", 0.01)
        with AuditLog(path) as log:
            with open_for_reading(path / "personal.db") as connection:
                connection.execute("BEGIN")
                assert connection.execute("SELECT count(*) FROM openings").fetchone() == (6,)
                with pytest.raises(AuditLockedError):
                    log.erase("alice", 0.0, 0.0)
            assert [each.data.get("user_id") for each in log.events()] == [None, "bob", None]
            log.finish_erasures()
            assert log.size == 4
        assert verify(path).outcome == "valid"
        assert b"192.0.2.0" not in (path / "personal.db").read_bytes()


STEPS = {
    "before the marks": (openings, "digest_of", 0),
    "before the pages": (Openings, "scrub", 6 - 2),
    "before the entry": (erasing, "event_of", 6 - 2),
    "before the note": (Openings, "noted", 6 - 2),
}


@pytest.mark.parametrize("step", STEPS)
def test_an_erasure_that_is_interrupted_is_completed(path, step, monkeypatch):
    owner, name, erased = STEPS[step]

    def fatal(*_given, **_more):
        raise KeyboardInterrupt

    log = AuditLog(path)
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, fatal)
        with pytest.raises(KeyboardInterrupt):
            log.erase("alice", 1.0, 1.0)
        log.forget_pending()
        copy = shutil.copytree(path, path.with_name("crashed"))
    log._release()
    found = verify(copy)
    assert (found.exit_code in (0, 2), found.personal_erased) == (True, erased), found.findings
    AuditLog(copy).close()
    found = verify(copy)
    assert (found.outcome, found.personal_erased, found.size) == ("valid", erased, 3 + bool(erased))
    if erased:
        assert b"192.0.2.0" not in (copy / "personal.db").read_bytes()


def test_an_entry_that_could_not_be_written_is_written_with_the_next_commit(path, monkeypatch):
    with AuditLog(path) as log:

        def full(*_given):
            raise AuditWriteError("audit database", "the disk is full", "free some")

        with monkeypatch.context() as patch:
            patch.setattr("sessionactors.audit.database.insert_entries", full)
            with pytest.raises(AuditWriteError):
                log.erase("alice", 1.0, 1.0)
        log.commit()
    found = verify(path)
    assert (found.outcome, found.size, found.personal_erased) == ("valid", 4, 4)


class TestVerifyFinds:
    @pytest.mark.parametrize(
        "statement",
        [
            ("UPDATE openings SET value = ? WHERE sequence = 1 AND pointer = '/user_id'", (b"\xa3eve",)),
            ("UPDATE openings SET salt = zeroblob(32) WHERE sequence = 1",),
            ("UPDATE openings SET pointer = '/mail' WHERE sequence = 1 AND pointer = '/ip'",),
            ("UPDATE openings SET sequence = 9 WHERE sequence = 1",),
            ("DELETE FROM openings WHERE sequence = 1",),
            ("INSERT INTO openings SELECT 1, 0, '/more', NULL, NULL, salt, value FROM openings LIMIT 1",),
            ("INSERT INTO erased VALUES (1, 1, '/ip', 1)",),
            ("DROP INDEX openings_subject",),
        ],
    )
    def test_what_was_altered_beside_the_log(self, path, statement):
        alter(path, *statement)
        found = verify(path)
        assert (found.exit_code, found.findings[0].part) == (1, "personal")

    def test_data_that_were_taken_away_under_the_mark_of_another_erasure(self, path):
        erase(path, "alice")
        alter(path, "INSERT INTO erased SELECT segment, sequence, pointer, 1 FROM openings")
        alter(path, "DELETE FROM openings")
        assert verify(path).findings[0].part == "personal"

    def test_an_erasure_that_is_told_and_was_taken_down(self, path):
        erase(path, "alice")
        alter(path, "DELETE FROM erased")
        alter(path, "DELETE FROM erasures")
        assert verify(path).findings[0].part == "personal"

    def test_an_erasure_that_nobody_told(self, path):
        erase(path, "alice")
        alter(path, "UPDATE erasures SET count = 2")
        assert verify(path).findings[0].part == "personal"


def test_what_says_of_which_kind_a_value_is_may_be_altered_as_well(path):
    file = path / "personal.db"
    whole = file.read_bytes()
    before = data_of(path)
    codes = set()
    for kinds in re.finditer(rb"(?s)..(?=\x02?/user_id(alice|bob)s-)", whole):  # of a salt and its value
        for bit in range(kinds.start() * 8, kinds.end() * 8):
            altered = bytearray(whole)
            altered[bit // 8] ^= 1 << bit % 8
            file.write_bytes(altered)
            code = verify(path).exit_code
            assert code or data_of(path) == before, bit
            codes.add(code)
    assert 1 in codes


def test_a_reader_shows_nothing_that_was_not_logged(path):
    alter(path, "UPDATE openings SET value = ? WHERE sequence = 1 AND pointer = '/user_id'", (b"\xa3eve",))
    with pytest.raises(AuditDamagedError):
        data_of(path)


def test_nobody_can_log_what_passes_for_a_commitment(tmp_path):
    for number, personal in enumerate((PERSONAL_FIELDS, None)):
        path = tmp_path / f"log-{number}"
        with AuditLog(path, personal=personal) as log:
            forged = {"$personal": {"/ip": "00" * 32}, "n": 1}
            log.append_many([AuditEvent(0.0, 0.0, None, kind_of("auth"), "program", forged)])
        assert verify(path).outcome == "valid"
        assert verify(path).personal_absent == 0
        assert data_of(path) == [{"$$personal": {"/ip": "00" * 32}, "n": 1}]


def test_the_file_is_for_its_owner_only(path):
    assert (path / "personal.db").stat().st_mode & 0o777 == 0o600
