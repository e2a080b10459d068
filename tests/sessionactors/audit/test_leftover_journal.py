"""A journal beside the database is one that a writer has left, or nobody gets to play it back."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing

import pytest

from sessionactors.audit.errors import AuditDamagedError
from sessionactors.audit.leftover_journal import journal_fault
from sessionactors.audit.log import AuditLog
from sessionactors.audit.verify import verify
from tests.sessionactors.audit.conftest import look
from tests.sessionactors.audit.test_erasing import write as write_personal

PAGE = 8192
SECTOR = 512


def journal(number, page, *, pages=5, page_size=PAGE):
    """Return a journal that SQLite plays back: it puts one page back, and the file's length."""
    nonce = 7
    total = nonce + sum(page[at] for at in range(len(page) - 200, 0, -200))
    header = bytes.fromhex("d9d505f920a163d7") + b"".join(
        each.to_bytes(4, "big") for each in (1, nonce, pages, SECTOR, page_size)
    )
    record = number.to_bytes(4, "big") + page + (total & 0xFFFFFFFF).to_bytes(4, "big")
    return header.ljust(SECTOR, b"\0") + record


@pytest.fixture
def forged(tiny_path):
    """The journal of somebody who wants entry 1 to say something else."""
    raw = (tiny_path / "audit.db").read_bytes()
    ((leaf,),) = look(tiny_path, "SELECT leaf FROM entries WHERE sequence = 1")
    number = raw.index(leaf) // PAGE
    page = bytearray(raw[number * PAGE : (number + 1) * PAGE])
    page[page.index(leaf) + len(leaf) - 3] ^= 1
    return journal(number + 1, bytes(page))


@pytest.fixture
def first_page(tiny_path):
    """The first page as it is while a writer is at work."""
    page = bytearray((tiny_path / "audit.db").read_bytes()[:PAGE])
    page[18:20] = b"\2\2"
    page[24:28] = page[92:96] = b"\0\0\0\1"
    return bytes(page)


def fault(directory, content):
    path = directory / "audit.db-journal"
    path.write_bytes(content)
    return journal_fault(path, directory / "audit.db")


def test_sqlite_plays_back_what_is_forged_here(tiny_path, forged):
    before = look(tiny_path, "SELECT leaf FROM entries")
    (tiny_path / "audit.db-journal").write_bytes(forged)
    with closing(sqlite3.connect(tiny_path / "audit.db")) as connection:
        assert connection.execute("SELECT leaf FROM entries").fetchall() != before


@pytest.mark.parametrize("page_size", [PAGE, 0])
def test_one_that_would_rewrite_an_entry_is_no_crash(tiny_path, forged, page_size):
    content = bytearray(forged)
    content[24:28] = page_size.to_bytes(4, "big")
    (tiny_path / "audit.db-journal").write_bytes(content)
    result = verify(tiny_path)
    assert (result.exit_code, result.findings[0].part) == (1, "database")
    assert "journal" in result.findings[0].found


def test_no_writer_has_it_played_back(tiny_path, forged):
    before = (tiny_path / "audit.db").read_bytes()
    (tiny_path / "audit.db-journal").write_bytes(forged)
    with pytest.raises(AuditDamagedError, match="journal"):
        AuditLog(tiny_path)
    assert (tiny_path / "audit.db").read_bytes() == before


def test_nobody_has_one_beside_the_personal_data_played_back(tmp_path):
    log = write_personal(tmp_path / "log")
    raw = (log / "personal.db").read_bytes()
    size = int.from_bytes(raw[16:18], "big")
    number = raw.index(b"\xa3bob") // size
    page = bytearray(raw[number * size : (number + 1) * size])
    page[page.index(b"\xa3bob") + 3] ^= 1
    forged = journal(number + 1, bytes(page), pages=len(raw) // size, page_size=size)
    (log / "personal.db-journal").write_bytes(forged)
    result = verify(log)
    assert (result.exit_code, result.findings[0].part) == (1, "personal")
    assert "journal" in result.findings[0].found
    with pytest.raises(AuditDamagedError, match="journal"):
        AuditLog(log)
    assert (log / "personal.db").read_bytes() == raw


def test_one_that_would_cut_the_file_is_found(tiny_path, first_page):
    assert "2 pages" in fault(tiny_path, journal(1, first_page, pages=2))


def test_one_with_more_than_the_first_page_is_found(tiny_path, first_page):
    one = journal(1, first_page)
    assert fault(tiny_path, one + one[SECTOR:]) is not None


def test_one_with_another_table_of_contents_is_found(tiny_path, first_page):
    page = bytearray(first_page)
    page[page.index(b"CREATE TABLE")] ^= 0x20
    assert fault(tiny_path, journal(1, bytes(page))) is not None


def test_one_that_a_writer_leaves_is_completed_by_the_next(tiny_path, first_page):
    assert fault(tiny_path, journal(1, first_page)) is None
    assert verify(tiny_path).outcome == "torn"
    with AuditLog(tiny_path) as log:
        assert log.size == 5
    assert verify(tiny_path).outcome == "valid"


@pytest.mark.parametrize("size", [0, 8, 512, 4000, 8711])
def test_one_that_was_not_finished_changes_nothing(tiny_path, forged, size):
    assert fault(tiny_path, forged[:size]) is None


@pytest.mark.parametrize("at", [3, 22, 26])
def test_one_that_sqlite_cannot_read_changes_nothing(tiny_path, forged, at):
    content = bytearray(forged)
    content[at] ^= 0x15
    assert fault(tiny_path, bytes(content)) is None
    assert verify(tiny_path).outcome == "torn"
    with AuditLog(tiny_path) as log:
        assert log.size == 5
    assert verify(tiny_path).outcome == "valid"


def test_mostly_there_is_none(tiny_path):
    assert journal_fault(tiny_path / "audit.db-journal", tiny_path / "audit.db") is None


@pytest.mark.parametrize("name", ["audit.db", "audit.db-journal", "audit.db-wal", "handovers", "personal.db"])
def test_a_pipe_in_the_place_of_a_file_keeps_nobody_waiting(tiny_path, name):
    (tiny_path / name).unlink(missing_ok=True)
    os.mkfifo(tiny_path / name)
    assert verify(tiny_path).exit_code == 1


def test_one_that_its_writer_removes_meanwhile_is_none(tiny_path, monkeypatch):
    path = tiny_path / "audit.db-journal"
    path.write_bytes(b"x")
    is_file = type(path).is_file

    def removed_first(each):
        path.unlink(missing_ok=True)
        return is_file(each)

    monkeypatch.setattr(type(path), "is_file", removed_first)
    assert journal_fault(path, tiny_path / "audit.db") is None
