"""How entries get into the database: numbered without gaps, or not at all."""

from __future__ import annotations

import pytest

from sessionactors.audit import database
from sessionactors.audit.errors import AuditDamagedError


@pytest.fixture
def connection(tmp_path):
    connection = database.open_for_writing(tmp_path / "log.sqlite")
    with database.transaction(connection, tmp_path):
        database.create_tables(connection)
    yield connection
    connection.close()


def entries(connection):
    return connection.execute("SELECT sequence, leaf FROM entries ORDER BY sequence").fetchall()


@pytest.mark.parametrize("sizes", [(1,), (2,), (255, 1), (256, 1), (257, 3), (1, 513, 256)])
def test_entries_are_numbered_from_nought_without_gaps(connection, tmp_path, sizes):
    first = 0
    for size in sizes:
        with database.transaction(connection, tmp_path):
            database.insert_entries(connection, first, [b"%d" % number for number in range(first, first + size)])
        first += size
    assert entries(connection) == [(number, b"%d" % number) for number in range(first)]


def test_no_entries_change_nothing(connection, tmp_path):
    with database.transaction(connection, tmp_path):
        database.insert_entries(connection, 0, [])
    assert entries(connection) == []


def test_entries_that_nobody_has_written_here_are_noticed(connection, tmp_path):
    connection.execute("INSERT INTO entries (sequence, leaf) VALUES (10, x'00')")
    with pytest.raises(AuditDamagedError), database.transaction(connection, tmp_path):
        database.insert_entries(connection, 0, [b"a", b"b"])
    assert entries(connection) == [(10, b"\0")]


def test_an_entry_that_is_there_already_is_not_replaced(connection, tmp_path):
    connection.execute("INSERT INTO entries (sequence, leaf) VALUES (0, x'00')")
    with pytest.raises(AuditDamagedError), database.transaction(connection, tmp_path):
        database.insert_entries(connection, 0, [b"a"])
    assert entries(connection) == [(0, b"\0")]
