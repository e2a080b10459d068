"""The SQLite database of an audit log: its tables, how it is opened, and what its errors mean.

Four tables and no index beside them. `entries` has the bytes of each entry,
`session_index` the blocks of `sessionactors.audit.session_index`, `heads` every
signed head, and `tip` the one row that lets a writer go on where the last one
stopped.

While a log is open for writing the database is in WAL mode, so that readers and
the writer do not wait for each other. A writer that closes in order turns the
mode off again: what it leaves is one ordinary file that can be copied, and read
from a medium that cannot be written.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgpack

from sessionactors.audit.errors import (
    AuditDamagedError,
    AuditError,
    AuditLockedError,
    AuditReadError,
    AuditWriteError,
)
from sessionactors.audit.leftover_journal import journal_fault
from sessionactors.sqlite_files import FAULTS, PROBLEMS, WRITABLE, Fault, connect, create_private, fault_of, rolled_back

__all__ = [
    "HEADER_SIZE",
    "ROLE",
    "check_journal",
    "create_tables",
    "header_fault",
    "insert_entries",
    "is_empty",
    "open_for_reading",
    "open_for_writing",
    "pack_counts",
    "reported",
    "schema_fault",
    "set_patience",
    "transaction",
    "translated",
    "unpack_counts",
]

ROLE: Final = "audit database"

HEADER_SIZE: Final = 100
"""Bytes at the beginning of the file that describe it."""

_APPLICATION_ID: Final = 0x53414C31  # "SAL1"
_USER_VERSION: Final = 1
_BUSY_TIMEOUT: Final = 5.0
_PAGE_SIZE: Final = 8192
_AUTOCHECKPOINT_PAGES: Final = 2000
_WAL_SIZE_MAX: Final = 64 * 1024 * 1024

_TABLES: Final = {
    "entries": "CREATE TABLE entries (sequence INTEGER PRIMARY KEY, leaf BLOB NOT NULL) STRICT",
    "session_index": "CREATE TABLE session_index (id INTEGER PRIMARY KEY, block BLOB NOT NULL) STRICT",
    "heads": "CREATE TABLE heads (size INTEGER PRIMARY KEY, note BLOB NOT NULL) STRICT",
    "tip": (
        "CREATE TABLE tip (id INTEGER PRIMARY KEY CHECK (id = 0), size INTEGER NOT NULL, frontier BLOB NOT NULL,"
        " counts BLOB NOT NULL, checkpoints_size INTEGER NOT NULL) STRICT"
    ),
}

_ROWS: Final = 256
# One statement for many rows: a step of SQLite gives the interpreter lock away,
# and getting it back beside a thread that computes can take milliseconds.
_INSERT_ROWS: Final = f"INSERT INTO entries (leaf) VALUES {', '.join(['(?)'] * _ROWS)}"  # noqa: S608 - no value is in it
_INSERT_ROW: Final = "INSERT INTO entries (leaf) VALUES (?)"
_INSERT_FIRST: Final = "INSERT INTO entries (sequence, leaf) VALUES (?, ?)"
_ADVICE: Final[dict[Fault, str]] = {
    "full": "free some space and commit again",
    "readonly": "make the directory and its files writable",
    "busy": "end the program that has it open, and try again",
    "io": "check the disk; nothing was committed since the last success",
    "damaged": "verify the log, keep the directory as evidence, and start a new log in another one",
    "missing": "check the path and its permissions",
}


def open_for_writing(path: Path, *, is_synced: bool = True) -> sqlite3.Connection:
    """Open or make the database for its one writer.

    Args:
        path: where it is.
        is_synced: whether each transaction waits until it is on the disk.

    Raises:
        AuditError: see `reported()`.
    """
    check_journal(path)
    with reported(path):
        create_private(path)
        connection = connect(path, WRITABLE, busy_timeout=_BUSY_TIMEOUT)
        try:
            connection.execute(f"PRAGMA page_size = {_PAGE_SIZE}")  # takes effect in a new file only
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA synchronous = {'FULL' if is_synced else 'NORMAL'}")
            connection.execute(f"PRAGMA wal_autocheckpoint = {_AUTOCHECKPOINT_PAGES}")
            connection.execute(f"PRAGMA journal_size_limit = {_WAL_SIZE_MAX}")
        except BaseException:
            connection.close()
            raise
        return connection


def set_patience(connection: sqlite3.Connection) -> None:
    """Have statements wait for other programs as they do after opening."""
    connection.execute(f"PRAGMA busy_timeout = {int(_BUSY_TIMEOUT * 1000)}")


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Open the database without the right to change anything.

    Raises:
        AuditReadError: it is not there or cannot be opened.
        AuditDamagedError: it is no database, or has a journal beside it that would alter it.
    """
    check_journal(path)
    with reported(path):
        connection = connect(path, "mode=ro", busy_timeout=_BUSY_TIMEOUT)
        try:
            # Opening is lazy: only a first look shows whether it works.
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        except sqlite3.OperationalError as error:
            connection.close()
            wal = path.with_name(f"{path.name}-wal")
            is_interrupted = error.sqlite_errorcode == sqlite3.SQLITE_READONLY_ROLLBACK
            is_alone = is_interrupted or error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_CANTOPEN
            if not is_alone or (wal.exists() and wal.stat().st_size):
                raise
            # Either a database in WAL mode on a medium that cannot be written: nobody
            # else writes there either. Or a writer was interrupted while it turned the
            # mode off, which is all that ever stands in a rollback journal of a log,
            # and only a writer may complete that. Both may be read as they stand.
            return connect(path, "mode=ro&immutable=1", busy_timeout=_BUSY_TIMEOUT)
        except BaseException:
            connection.close()
            raise
        return connection


def check_journal(path: Path, role: str = ROLE) -> None:
    """See that what a crash may have left beside the database would not change what is stored.

    Raises:
        AuditDamagedError: it would; only a forger leaves that.
        AuditReadError: it cannot be read.
    """
    try:
        fault = journal_fault(path.with_name(f"{path.name}-journal"), path)
    except OSError as error:
        problem = f"its journal cannot be read ({error.strerror})"
        raise AuditReadError(role, problem, "check the permissions", path) from error
    if fault is not None:
        raise AuditDamagedError(role, fault, _ADVICE["damaged"], path)


def create_tables(connection: sqlite3.Connection) -> None:
    """Make the tables in an empty database; the caller has begun a transaction."""
    for statement in _TABLES.values():
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {_USER_VERSION}")


def is_empty(connection: sqlite3.Connection) -> bool:
    """Tell whether the database has no tables yet."""
    return connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone() is None


def schema_fault(connection: sqlite3.Connection) -> str | None:
    """Return what is wrong with the tables, or None.

    Whoever may write the file could put a view or a trigger in the place of a
    table, so everything has to be there word for word, and nothing else.
    """
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != _APPLICATION_ID:
        return "it is no audit log's database"
    if version != _USER_VERSION:
        return f"its format is {version}, and this program knows {_USER_VERSION}"
    found = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema LIMIT 100").fetchall()
    if len(found) != len(_TABLES) or set(found) != {("table", name, name, sql) for name, sql in _TABLES.items()}:
        names = ", ".join(sorted(str(name) for _, name, _, _ in found))
        return f"its tables are not those of an audit log ({names or 'none'})"
    return None


def header_fault(header: bytes) -> str | None:
    """Return what is wrong with the first 100 bytes of the file, or None.

    SQLite ignores some of them, and takes others for a wish of whoever made the file,
    such as that nobody shall write to it any more. No row changes by that, and
    nobody but a forger changes them.
    """
    if len(header) != HEADER_SIZE:
        return "its header is too short"
    versions, reserved, fractions = header[18:20], header[20:21], header[21:24]
    if versions not in (b"\1\1", b"\2\2") or reserved != b"\0" or fractions != b"\x40\x20\x20":
        return "its header has other versions"
    # While the first transaction is in the write-ahead log only, format and encoding are not there yet.
    schema_format, encoding = (int.from_bytes(header[at : at + 4], "big") for at in (44, 56))
    if schema_format not in (0, 4) or encoding not in (0, 1) or any(header[48:56] + header[64:68] + header[72:92]):
        return "its header has something in it that no audit log has"
    return None


@contextlib.contextmanager
def reported(path: Path) -> Iterator[None]:
    """Turn errors of SQLite into errors of the audit log that say what to do.

    Raises:
        AuditWriteError: the disk is full, read-only or failing.
        AuditLockedError: another program holds the database.
        AuditDamagedError: the file is no database, or a damaged one.
        AuditReadError: it cannot be opened.
    """
    try:
        yield
    except FAULTS as error:
        raise translated(error, path) from error


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection, path: Path) -> Iterator[None]:
    """Do everything inside or nothing of it; errors are those of `reported()`."""
    with reported(path), rolled_back(connection):
        yield


def insert_entries(connection: sqlite3.Connection, first: int, leaves: Sequence[bytes]) -> None:
    """Add entries that follow each other; the caller has begun a transaction.

    Raises:
        AuditDamagedError: entries behind these are there already.
    """
    if not leaves:
        return
    # The first one is numbered; SQLite gives each of the others the highest number and
    # one, which spares a quarter of the time. The last number says whether it did.
    connection.execute(_INSERT_FIRST, (first, leaves[0]))
    whole = len(leaves) - (len(leaves) - 1) % _ROWS
    for start in range(1, whole, _ROWS):
        connection.execute(_INSERT_ROWS, leaves[start : start + _ROWS])
    connection.executemany(_INSERT_ROW, [(leaf,) for leaf in leaves[whole:]])
    (last,) = connection.execute("SELECT last_insert_rowid()").fetchone()
    if last != first + len(leaves) - 1:
        raise AuditDamagedError(ROLE, "it has entries that no head knows of", _ADVICE["damaged"])


def pack_counts(counts: Counter[int]) -> bytes:
    """Return how many entries there are of each kind, as the tip has it."""
    packed: bytes = msgpack.packb({kind: counts[kind] for kind in sorted(counts)})
    return packed


def unpack_counts(packed: bytes) -> Counter[int]:
    """Return what `pack_counts()` was given.

    Raises:
        ValueError: it is something else.
    """
    counts = msgpack.unpackb(packed, strict_map_key=False)
    if not isinstance(counts, dict) or not all(type(number) is int for pair in counts.items() for number in pair):
        raise ValueError("no counts")
    return Counter(counts)


def translated(error: BaseException, path: Path, role: str = ROLE) -> AuditError:
    """Return the error of the audit log for one of SQLite's."""
    fault = fault_of(error)
    problem = PROBLEMS[fault]
    if fault in ("damaged", "unexpected"):
        return AuditDamagedError(role, f"{problem} ({error})", _ADVICE["damaged"], path)
    return _ERRORS[fault](role, problem, _ADVICE[fault], path)


_ERRORS: Final[dict[Fault, type[AuditError]]] = {
    "full": AuditWriteError,
    "readonly": AuditWriteError,
    "busy": AuditLockedError,
    "missing": AuditReadError,
    "io": AuditWriteError,
}
