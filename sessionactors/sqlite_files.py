"""What every SQLite file of this package has in common: how it is opened, and what its errors mean."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal, TypeAlias

__all__ = ["FAULTS", "PROBLEMS", "WRITABLE", "Fault", "connect", "create_private", "fault_of", "rolled_back"]

FAULTS: Final = (sqlite3.Error, UnicodeDecodeError, MemoryError)
"""What a damaged file can raise: its own error messages may be no text, and its sizes absurd."""

Fault: TypeAlias = Literal["full", "readonly", "busy", "damaged", "missing", "io", "unexpected"]

PROBLEMS: Final[dict[Fault, str]] = {
    "full": "the disk is full",
    "readonly": "it is read-only",
    "busy": "another program holds it",
    "damaged": "it is damaged or no database",
    "missing": "it cannot be opened",
    "io": "the disk failed",
    "unexpected": "it does not answer as expected",
}
"""Each fault in words that fit behind the name of a file."""

WRITABLE: Final = "mode=rw"
"""Opens a file that is there for reading and writing."""

_BESIDE: Final = ("-journal", "-wal", "-shm")
"""What SQLite keeps beside a file, under its name with this at the end."""

_FAULTS: Final[dict[int, Fault]] = {
    sqlite3.SQLITE_FULL: "full",
    sqlite3.SQLITE_READONLY: "readonly",
    sqlite3.SQLITE_PERM: "readonly",
    sqlite3.SQLITE_BUSY: "busy",
    sqlite3.SQLITE_LOCKED: "busy",
    sqlite3.SQLITE_CORRUPT: "damaged",
    sqlite3.SQLITE_NOTADB: "damaged",
    sqlite3.SQLITE_CANTOPEN: "missing",
    sqlite3.SQLITE_IOERR: "io",
}


def fault_of(error: BaseException) -> Fault:
    """Tell what an error of `FAULTS` means."""
    return _FAULTS.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, "unexpected")


def create_private(path: Path) -> None:
    """Make an empty file for its owner only, where there is none.

    Made here and not by SQLite, which would let others read it. A failure is left
    to whoever opens the file, and tells why.
    """
    with contextlib.suppress(OSError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def connect(
    path: Path,
    parameters: str,
    *,
    busy_timeout: float,
    connection_class: type[sqlite3.Connection] = sqlite3.Connection,
) -> sqlite3.Connection:
    """Open a file that may come from somebody who wants to run code here.

    Args:
        path: the file.
        parameters: how it is opened, in the form of a query; `WRITABLE`, or ``mode=ro``.
        busy_timeout: seconds to wait for another program that has it.
        connection_class: what stands between us and SQLite.

    Raises:
        sqlite3.Error: see `fault_of()`; also where something that is no file, such as a
            pipe, which SQLite would wait for, is in the place of it or of one beside it.

    Thread: the owner hands the connection from thread to thread, one at a time.
    """
    for place in (path, *(path.with_name(f"{path.name}{end}") for end in _BESIDE)):
        with contextlib.suppress(OSError):  # not there, or what SQLite has words for
            if not stat.S_ISREG(place.stat().st_mode):
                raise sqlite3.DatabaseError(f"{place.name} is no file")
    if parameters == WRITABLE:
        _check_writable(path)
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?{parameters}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=busy_timeout,
        factory=connection_class,
    )
    try:
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA cell_size_check = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def _check_writable(path: Path) -> None:
    """Refuse a file that may only be read.

    SQLite opens it for reading then, and fails to lock it as it fails on a broken disk. Asked
    and not tried: to close a second descriptor of it would let go of this process's own locks.
    """
    effective = os.access in os.supports_effective_ids
    if os.access(path, os.R_OK, effective_ids=effective) and not os.access(path, os.W_OK, effective_ids=effective):
        error = sqlite3.OperationalError("attempt to write a readonly database")
        error.sqlite_errorcode = sqlite3.SQLITE_READONLY
        raise error


@contextlib.contextmanager
def rolled_back(connection: sqlite3.Connection) -> Iterator[None]:
    """Do everything inside in one transaction, or nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # After some errors SQLite has rolled back by itself.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
