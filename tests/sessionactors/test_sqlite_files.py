import contextlib
import os
import shutil
import sqlite3
import stat
import tempfile
from pathlib import Path

import pytest

from sessionactors.sqlite_files import PROBLEMS, connect, create_private, fault_of, rolled_back
from sessionactors.storage.errors import StoreReadOnlyError
from sessionactors.storage.sqlite import SqliteStore


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "some.db"
    create_private(path)
    connection = opened(path)
    connection.execute("CREATE TABLE numbers (number INTEGER)")
    connection.close()
    return path


def opened(path, parameters="mode=rw"):
    return connect(path, parameters, busy_timeout=0.01)


def fault(action):
    with pytest.raises(sqlite3.Error) as raised:
        action()
    return fault_of(raised.value)


def test_a_new_file_is_for_its_owner_only(path):
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_creating_leaves_a_file_that_is_there_alone(path):
    before = path.read_bytes()
    create_private(path)
    assert path.read_bytes() == before


def test_a_missing_file_cannot_be_opened(tmp_path):
    assert fault(lambda: opened(tmp_path / "none.db")) == "missing"


def test_text_is_damaged_as_a_database(tmp_path):
    (tmp_path / "text").write_text("no database" * 100)
    assert fault(lambda: opened(tmp_path / "text").execute("SELECT * FROM sqlite_schema")) == "damaged"


def test_a_file_that_somebody_writes_is_busy(path):
    with rolled_back(opened(path)):
        assert fault(lambda: opened(path).execute("BEGIN IMMEDIATE")) == "busy"


def test_a_file_opened_for_reading_is_read_only(path):
    assert fault(lambda: opened(path, "mode=ro").execute("INSERT INTO numbers VALUES (1)")) == "readonly"


@pytest.fixture
def shared():
    """Return a directory in which somebody with no rights of root is at work, who is us meanwhile."""
    place = Path(tempfile.mkdtemp())
    place.chmod(0o777)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    yield place
    if is_root:
        os.seteuid(0)
    shutil.rmtree(place)


def test_a_file_that_may_not_be_written_is_read_only(shared):
    path = shared / "some.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE numbers (number INTEGER)")
    path.chmod(0o400)
    assert fault(lambda: opened(path)) == "readonly"
    opened(path, "mode=ro").close()
    path.chmod(0)
    assert fault(lambda: opened(path).execute("SELECT * FROM numbers")) == "missing"


def test_a_store_in_a_file_that_may_not_be_written_is_read_only(shared):
    SqliteStore(shared / "s.db").close()
    (shared / "s.db").chmod(0o400)
    with pytest.raises(StoreReadOnlyError, match="make the file and its directory writable"):
        SqliteStore(shared / "s.db")


def test_a_file_that_may_not_grow_is_full(path):
    connection = opened(path)
    connection.execute("PRAGMA max_page_count = 2")
    assert fault(lambda: connection.execute("INSERT INTO numbers VALUES (zeroblob(100000))")) == "full"


def test_what_nobody_foresees_has_words_too():
    assert PROBLEMS[fault_of(MemoryError())] == "it does not answer as expected"


def half(connection):
    with rolled_back(connection):
        connection.execute("INSERT INTO numbers VALUES (1)")
        raise ZeroDivisionError


def test_half_a_transaction_is_none(path):
    connection = opened(path)
    with pytest.raises(ZeroDivisionError):
        half(connection)
    assert not connection.in_transaction
    assert connection.execute("SELECT count(*) FROM numbers").fetchone() == (0,)
