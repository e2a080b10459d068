from __future__ import annotations

import gzip
import io
import os
import tarfile
from pathlib import Path

import pytest

from sessionactors.audit import archives
from sessionactors.audit.archives import is_archive, pack, to_be_packed, unpacked
from sessionactors.audit.errors import AuditDamagedError, AuditWriteError
from sessionactors.audit.log import AuditLog
from sessionactors.audit.verify import verify
from tests.sessionactors.audit.conftest import some_events


@pytest.fixture
def log(tmp_path) -> Path:
    with AuditLog(tmp_path / "log", origin="example.com/log") as log:
        log.append_many(some_events(200))
        log.seal(1e9, 1.0)
    return tmp_path / "log"


@pytest.fixture
def packed(log) -> Path:
    (directory,) = to_be_packed(log)
    list(pack(directory))
    return log / "archive" / "00000001.tar.gz"


def test_a_packed_log_takes_the_place_of_the_directory(packed):
    assert list(packed.parent.iterdir()) == [packed]
    assert packed.stat().st_mode & 0o077 == 0


def test_a_packed_log_verifies_on_its_own(packed, tmp_path):
    moved = packed.rename(tmp_path / "elsewhere")
    assert is_archive(moved)
    found = verify(moved)
    assert (found.outcome, found.size, found.origin) == ("valid", 200, "example.com/log")


def test_a_packed_log_is_what_every_tar_unpacks(packed, tmp_path):
    with tarfile.open(packed) as archive:
        archive.extractall(tmp_path / "out", filter="data")
    assert verify(tmp_path / "out").outcome == "valid"


def test_a_packed_log_is_smaller(packed):
    with tarfile.open(packed) as archive:
        assert packed.stat().st_size < sum(member.size for member in archive) / 2


def test_packing_can_be_given_up_at_any_step_and_begun_again(log):
    (directory,) = to_be_packed(log)
    steps = pack(directory)
    next(steps)
    steps.close()
    assert to_be_packed(log) == [directory]
    assert verify(directory).outcome == "valid"
    list(pack(directory))
    assert verify(directory.with_name("00000001.tar.gz")).outcome == "valid"


def test_a_directory_is_kept_if_what_was_packed_is_not_the_same(log, monkeypatch):
    (directory,) = to_be_packed(log)

    def spoilt(draft):
        return []
        yield

    monkeypatch.setattr(archives, "_read_again", spoilt)
    with pytest.raises(AuditWriteError):
        list(pack(directory))
    assert to_be_packed(log) == [directory]


def test_a_directory_is_kept_if_the_disk_is_full(log, monkeypatch):
    (directory,) = to_be_packed(log)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(AuditWriteError, match="No space"):
        list(pack(directory))
    assert to_be_packed(log) == [directory]


@pytest.mark.parametrize("part", [0.2, 0.5, 0.95])
def test_an_altered_archive_is_found(packed, part):
    raw = bytearray(packed.read_bytes())
    raw[int(len(raw) * part)] ^= 4
    packed.write_bytes(raw)
    assert verify(packed).outcome == "tampered"


def test_an_archive_that_was_cut_off_is_found(packed):
    packed.write_bytes(packed.read_bytes()[:-20])
    assert verify(packed).outcome == "tampered"


def _forged(path, name, kind=tarfile.REGTYPE):
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.type = kind
        member.linkname = "/etc/passwd"
        archive.addfile(member)
    path.write_bytes(gzip.compress(raw.getvalue()))
    return path


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("../outside", tarfile.REGTYPE),
        ("/outside", tarfile.REGTYPE),
        ("audit.db", tarfile.SYMTYPE),
        ("audit.db", tarfile.LNKTYPE),
        ("audit.db", tarfile.FIFOTYPE),
        ("audit.key", tarfile.REGTYPE),
    ],
)
def test_a_forged_archive_puts_nothing_anywhere(tmp_path, name, kind):
    path = _forged(tmp_path / "forged", name, kind)
    with pytest.raises(AuditDamagedError), unpacked(path):
        pass
    assert verify(path).outcome == "tampered"


def test_what_was_unpacked_is_gone_afterwards(packed):
    with unpacked(packed) as directory:
        assert (directory / "audit.db").is_file()
    assert not directory.exists()


def test_a_log_without_an_archive_has_nothing_to_pack(tmp_path):
    assert to_be_packed(tmp_path) == []
