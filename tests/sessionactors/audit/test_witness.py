"""A witness signs what continues the heads that it has kept, and nothing else."""

from __future__ import annotations

import shutil

import pytest

from sessionactors.audit.archives import pack, to_be_packed
from sessionactors.audit.checkpoint import open_checkpoint
from sessionactors.audit.cosignature import cosigned_at
from sessionactors.audit.errors import AuditDamagedError, AuditKeyError, AuditReadError, AuditWriteError
from sessionactors.audit.keys import create_key, load_key, load_public_key
from sessionactors.audit.log import AuditLog
from sessionactors.audit.verify import verify
from sessionactors.audit.witness import witness
from tests.sessionactors.audit.conftest import some_events, write_log

MOMENT = (1_800_000_000.0, 7.0)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "witness"


@pytest.fixture
def path(tmp_path):
    return write_log(tmp_path / "log", (5, 5), origin="example.com/log")


def kept(folder):
    return sorted(each.name for each in (folder / "heads").iterdir())


def grow(path, count=3):
    with AuditLog(path) as log:
        log.append_many(some_events(count, log.size))


def seal(path, **options):
    with AuditLog(path) as log:
        return log.seal(*MOMENT, **options)


def test_the_first_head_is_kept_and_signed(path, folder):
    found = witness(path, folder, 1_800_000_000.7, name="example.org/witness")
    assert (found.checkpoint.size, found.before) == (10, None)
    assert open_checkpoint(found.note, load_public_key(path / "audit.pub")) == found.checkpoint
    assert cosigned_at(found.note, load_key(folder / "witness.key").verifier) == 1_800_000_000
    assert len(kept(folder)) == 1


def test_a_log_that_has_grown_is_signed_again(path, folder):
    first = witness(path, folder, 1.0)
    grow(path)
    second = witness(path, folder, 2.0)
    assert (second.before, second.checkpoint.size) == (first.checkpoint, 13)
    assert len(kept(folder)) == 2


def test_a_log_that_has_not_grown_is_signed_with_the_new_time(path, folder):
    witness(path, folder, 1.0)
    found = witness(path, folder, 2.0)
    assert cosigned_at(found.note, load_key(folder / "witness.key").verifier) == 2
    assert len(kept(folder)) == 1


def test_a_head_of_a_witness_is_a_head_to_verify_with(path, folder):
    found = witness(path, folder, 1.0)
    grow(path)
    assert verify(path, known_head=found.note).outcome == "valid"


def test_entries_that_were_cut_off_are_noticed(path, folder, tmp_path):
    shutil.copytree(path, tmp_path / "older")
    grow(path)
    witness(path, folder, 1.0)
    before = kept(folder)
    with pytest.raises(AuditDamagedError, match="cut off"):
        witness(tmp_path / "older", folder, 2.0)
    assert kept(folder) == before


def test_a_fork_by_the_holder_of_the_key_is_noticed(path, folder, tmp_path):
    fork = tmp_path / "fork"
    shutil.copytree(path, fork)
    grow(path)
    witness(path, folder, 1.0)
    with AuditLog(fork) as log:
        log.append_many(some_events(9, log.size + 1))
    assert verify(fork).outcome == "valid"  # nothing else shows it
    with pytest.raises(AuditDamagedError, match="continue"):
        witness(fork, folder, 2.0)


def test_another_log_is_refused(path, folder, tmp_path):
    witness(path, folder, 1.0)
    with pytest.raises(AuditKeyError):
        witness(write_log(tmp_path / "other", (20,)), folder, 2.0)


def test_the_key_that_is_given_is_the_one_that_counts(path, folder, tmp_path):
    other = create_key(tmp_path / "key").verifier
    with pytest.raises(AuditKeyError):
        witness(path, folder, 1.0, public_key=other)


def test_another_key_than_the_kept_one_is_refused(path, folder, tmp_path):
    witness(path, folder, 1.0)
    with pytest.raises(AuditKeyError, match="kept"):
        witness(path, folder, 1.0, public_key=create_key(tmp_path / "key").verifier)


def test_an_altered_head_of_its_own_is_noticed(path, folder):
    witness(path, folder, 1.0)
    (file,) = (folder / "heads").iterdir()
    file.write_bytes(file.read_bytes().replace(b"\n10\n", b"\n09\n"))
    with pytest.raises(AuditDamagedError, match="altered"):
        witness(path, folder, 2.0)


class TestASealedLog:
    def test_is_followed_to_the_next(self, path, folder):
        first = witness(path, folder, 1.0)
        grow(path)
        seal(path)
        found = witness(path, folder, 2.0)
        assert (found.before, found.checkpoint.origin) == (first.checkpoint, "example.com/log/segment-2")
        grow(path)
        assert witness(path, folder, 3.0).before == found.checkpoint

    def test_is_followed_over_a_new_key_and_a_packed_archive(self, path, folder, tmp_path):
        witness(path, folder, 1.0)
        create_key(tmp_path / "new", "example.com/log")
        seal(path, new_key_file=tmp_path / "new")
        grow(path)
        seal(path)
        for each in to_be_packed(path):
            list(pack(each))
        assert witness(path, folder, 2.0).checkpoint.origin == "example.com/log/segment-3"

    def test_that_was_cut_off_before_it_was_sealed_is_noticed(self, path, folder, tmp_path):
        shutil.copytree(path, tmp_path / "older")
        grow(path)
        witness(path, folder, 1.0)
        seal(tmp_path / "older")
        with pytest.raises(AuditDamagedError):
            witness(tmp_path / "older", folder, 2.0)

    def test_that_is_not_there_any_more_cannot_be_compared(self, path, folder):
        witness(path, folder, 1.0)
        grow(path)
        seal(path)
        shutil.rmtree(path / "archive")
        with pytest.raises(AuditReadError, match="bring it back"):
            witness(path, folder, 2.0)

    def test_that_is_put_back_is_noticed(self, path, folder, tmp_path):
        shutil.copytree(path, tmp_path / "older")
        seal(path)
        witness(path, folder, 1.0, public_key=load_public_key(tmp_path / "older" / "audit.pub"))
        with pytest.raises(AuditDamagedError, match="cut off"):
            witness(tmp_path / "older", folder, 2.0)


def test_a_folder_that_cannot_be_written_is_said(path, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(AuditWriteError):
        witness(path, tmp_path / "file", 1.0)
