"""Sessions appear under a keyed hash, and who has the key finds them by their ids."""

from __future__ import annotations

import shutil

import pytest

from sessionactors.audit.archives import pack, to_be_packed
from sessionactors.audit.errors import AuditKeyError
from sessionactors.audit.log import AuditLog
from sessionactors.audit.memory import MemoryAuditLog
from sessionactors.audit.pseudonyms import Pseudonyms, create_ids_key, is_pseudonym, load_ids_key
from sessionactors.audit.queries import AuditReader
from sessionactors.audit.record import AuditEvent, kind_of
from sessionactors.audit.session_index import SEGMENT_SIZE
from sessionactors.audit.verify import verify

KEY = bytes(range(32))


def event(name, /, **data):
    return AuditEvent(1.0, 1.0, name, kind_of("lifecycle"), "session", data or None)


def write(directory, *sessions, **options):
    with AuditLog(directory, **{"redact_ids": True, **options}) as log:
        log.append_many([event(session) for session in sessions])
    return directory


def found(directory, session, **options):
    with AuditReader(directory, **options) as reader:
        return [record.sequence for record in reader.events(session=session)]


@pytest.fixture
def path(tmp_path):
    return write(tmp_path / "log", "alice", "bob", "alice")


class TestALog:
    def test_has_no_id_of_a_session_in_any_file(self, path):
        for file in path.iterdir():
            assert b"alice" not in file.read_bytes(), file.name

    def test_finds_a_session_by_its_id_with_the_key(self, path):
        assert found(path, "alice") == [0, 2]

    def test_finds_a_session_in_segments_that_are_full(self, tmp_path):
        with AuditLog(tmp_path / "log", redact_ids=True) as log:
            log.append_many([event(f"s{number % 1000}") for number in range(SEGMENT_SIZE + 10)])
            log.commit()
            assert [each.sequence for each in log.events(session="s7")] == list(range(7, SEGMENT_SIZE + 10, 1000))

    def test_refuses_to_look_for_an_id_without_the_key(self, path):
        (path / "ids.key").rename(path.with_name("elsewhere"))
        with pytest.raises(AuditKeyError, match="keyed hash"):
            found(path, "alice")
        assert found(path, "alice", pseudonyms=load_ids_key(path.with_name("elsewhere"))) == [0, 2]

    def test_finds_a_session_by_its_hash_without_the_key(self, path):
        with AuditReader(path) as reader:
            name = next(reader.events()).session
        (path / "ids.key").unlink()
        assert is_pseudonym(name)
        assert found(path, name) == [0, 2]

    def test_refuses_another_key(self, path, tmp_path):
        create_ids_key(tmp_path / "other")
        with pytest.raises(AuditKeyError, match="not the key"):
            AuditLog(path, ids_key_file=tmp_path / "other")

    def test_makes_no_new_key_where_the_old_one_is_missing(self, path):
        (path / "ids.key").unlink()
        with pytest.raises(AuditKeyError):
            AuditLog(path)

    def test_goes_on_with_hashes_without_being_told(self, path):
        write(path, "carol", redact_ids=None)
        assert found(path, "carol") == [3]
        assert b"carol" not in (path / "audit.db").read_bytes()

    def test_finds_what_was_logged_before_under_the_id_as_well(self, tmp_path):
        path = write(tmp_path / "log", "alice", redact_ids=False)
        write(path, "alice")
        assert found(path, "alice") == [0, 1]

    def test_does_not_take_an_id_that_looks_like_a_hash_for_one(self, path):
        with AuditReader(path) as reader:
            name = next(reader.events()).session
        write(path, name)
        assert found(path, "alice") == [0, 2]

    def test_hides_ids_in_data_as_well(self, tmp_path):
        with AuditLog(tmp_path / "log", redact_ids=True) as log:
            log.append_many([event(None, session="alice", selection={"session_id": "alice"})])
            log.commit()
            (record,) = log.events()
            name = log.rules.pseudonyms.of("alice")
        assert record.data == {"session": name, "selection": {"session_id": name}}

    def test_verifies_and_can_be_sealed(self, path):
        with AuditLog(path) as log:
            log.seal(1.0, 1.0)
        for each in to_be_packed(path):
            list(pack(each))
        assert verify(path).outcome == "valid"
        assert verify(path / "archive" / "00000001.tar.gz").outcome == "valid"
        write(path, "alice", redact_ids=None)
        assert found(path, "alice") == [1]

    def test_that_was_copied_away_still_says_that_it_hides_ids(self, path, tmp_path):
        shutil.copytree(path, tmp_path / "copy", ignore=shutil.ignore_patterns("*.key"))
        with pytest.raises(AuditKeyError):
            found(tmp_path / "copy", "alice")


def test_a_log_in_memory_hides_and_finds_them_as_well():
    log = MemoryAuditLog(pseudonyms=Pseudonyms(KEY))
    log.append_many([event("alice"), event("bob")])
    log.commit()
    assert [record.sequence for record in log.events(session="alice")] == [0]
    assert all(is_pseudonym(record.session) for record in log.events())


class TestTheKey:
    def test_is_for_its_owner_only(self, path):
        assert (path / "ids.key").stat().st_mode & 0o777 == 0o600

    def test_is_refused_where_others_may_read_it(self, path):
        (path / "ids.key").chmod(0o640)
        with pytest.raises(AuditKeyError, match="others may read it"):
            AuditLog(path)

    def test_is_read_as_it_was_written(self, tmp_path):
        made = create_ids_key(tmp_path / "key")
        assert load_ids_key(tmp_path / "key").of("alice") == made.of("alice")

    def test_is_never_overwritten(self, tmp_path):
        create_ids_key(tmp_path / "key")
        with pytest.raises(AuditKeyError, match="exists"):
            create_ids_key(tmp_path / "key")

    @pytest.mark.parametrize("text", ["", "IDS+KEY+", "IDS+KEY+00000000+AAAA", "IDS+KEY+zz+" + "A" * 43 + "="])
    def test_that_is_none_is_refused(self, tmp_path, text):
        path = tmp_path / "key"
        path.write_text(text)
        path.chmod(0o600)
        with pytest.raises(AuditKeyError, match="no key for ids"):
            load_ids_key(path)

    def test_shows_nothing_of_itself(self):
        assert KEY.hex() not in repr(Pseudonyms(KEY))

    def test_decides_what_a_session_is_called(self):
        assert Pseudonyms(KEY).of("alice") != Pseudonyms(KEY[::-1]).of("alice")
        assert Pseudonyms(KEY).of("alice") != Pseudonyms(KEY).of("alicf")
