"""A store in one SQLite file: survives the death of the process, and a power cut.

The file is in WAL mode and locked for as long as it is open, so it has one owner
at a time; the lock ends with the process, however that ends. The epoch in the
file is for owners that no lock can keep apart.

An error closes the connection, and the next call opens another one: what a disk
that failed has left of the old one is not worth finding out, and a disk that is
back is back.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Final, TypeAlias, final

from sessionactors.sqlite_files import FAULTS, PROBLEMS, WRITABLE, Fault, connect, create_private, fault_of, rolled_back
from sessionactors.storage.codec import id_of
from sessionactors.storage.contract import Quarantined, Record, StoredRecord
from sessionactors.storage.errors import (
    StoreClosedError,
    StoreDamagedError,
    StoreDiskError,
    StoreError,
    StoreFencedError,
    StoreFullError,
    StoreLockedError,
    StoreMissingError,
    StoreReadOnlyError,
    StoreVersionError,
)
from sessionactors.storage.rules import FENCED, refusal

__all__ = ["SqliteStore"]

_APPLICATION_ID: Final = 0x53535331  # "SSS1"
_FORMAT: Final = 1
_AUTOCHECKPOINT_PAGES: Final = 4000
_WAL_SIZE_MAX: Final = 64 * 1024 * 1024
_CACHE_KIB: Final = 32 * 1024
_EPOCH_MAX: Final = 2**62  # nobody starts so often, and one more still fits

_TABLES: Final = {
    "sessions": (
        "CREATE TABLE sessions (key INTEGER PRIMARY KEY, session_id TEXT NOT NULL UNIQUE, epoch INTEGER NOT NULL,"
        " schema INTEGER NOT NULL, checksum BLOB NOT NULL, snapshot BLOB NOT NULL) STRICT"
    ),
    # No kinds: what is spoiled may be of any.
    "quarantine": (
        "CREATE TABLE quarantine (key INTEGER PRIMARY KEY, session_id, epoch, schema, checksum, snapshot, reason,"
        " found_at)"
    ),
    "owner": "CREATE TABLE owner (id INTEGER PRIMARY KEY CHECK (id = 0), epoch INTEGER NOT NULL) STRICT",
}

_PUT: Final = "INSERT INTO sessions (session_id, epoch, schema, checksum, snapshot) VALUES {}"
_REPLACE: Final = (
    " ON CONFLICT (session_id) DO UPDATE SET epoch = excluded.epoch, schema = excluded.schema,"
    " checksum = excluded.checksum, snapshot = excluded.snapshot"
    " WHERE excluded.epoch >= sessions.epoch AND excluded.schema >= sessions.schema"
)
# One statement for many rows: a step of SQLite gives the interpreter lock away,
# and getting it back beside a thread that computes can take milliseconds.
_PUT_ROWS: Final = {rows: _PUT.format(", ".join(["(?, ?, ?, ?, ?)"] * rows)) + _REPLACE for rows in (1024, 128, 16, 1)}
_DELETE: Final = "DELETE FROM sessions WHERE session_id = ? AND ? >= epoch AND ? >= schema"
_FIND: Final = "SELECT key, CAST(session_id AS BLOB), epoch, schema, checksum, snapshot FROM sessions"
_ASIDE: Final = (
    "INSERT INTO quarantine (session_id, epoch, schema, checksum, snapshot, reason, found_at)"
    " SELECT session_id, epoch, schema, checksum, snapshot, ?, ? FROM sessions WHERE key = ?"
)

_Place: TypeAlias = tuple[int, int] | None
"""Device and number of a file; None where there is none."""

_SPOILED: Final = "what is stored of it is spoiled; a start of the system moves that aside"

_ADVICE_DAMAGED: Final = "keep the file as evidence, and restore a copy or start with another file"
_ERRORS: Final[dict[Fault, tuple[type[StoreError], str]]] = {
    "full": (StoreFullError, "free some space; it is tried again"),
    "readonly": (StoreReadOnlyError, "make the file and its directory writable"),
    "busy": (StoreLockedError, "end the program that has it open, or use another file"),
    "damaged": (StoreDamagedError, _ADVICE_DAMAGED),
    "missing": (StoreMissingError, "check the path and its permissions"),
    "io": (StoreDiskError, "check the disk; nothing that was confirmed is lost"),
    "unexpected": (StoreDamagedError, _ADVICE_DAMAGED),
}


@final
class SqliteStore:
    """Keeps records in a file.

    Args:
        path: the file; made if it is not there, in a directory that is.
        synchronous: whether every `write()` waits until it is on the disk. False
            leaves that to the operating system: what was written survives the
            death of the process, not a power cut.
        busy_timeout: seconds to wait for another program that has the file.
        connection_class: what stands between the store and SQLite.

    Raises:
        StoreLockedError: another program has it open.
        StoreDamagedError: it is no store of sessions, or a spoiled one.
        StoreVersionError: a newer program has made it.
        StoreError: it cannot be opened or made.

    Thread: one at a time.
    """

    __slots__ = (
        "_busy_timeout",
        "_class",
        "_connection",
        "_file",
        "_is_closed",
        "_log",
        "_log_path",
        "_path",
        "_process",
        "_synchronous",
    )

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        synchronous: bool = True,
        busy_timeout: float = 1.0,
        connection_class: type[sqlite3.Connection] = sqlite3.Connection,
    ) -> None:
        self._path = Path(path).absolute()  # also when the program goes to another directory
        self._synchronous = synchronous
        self._busy_timeout = busy_timeout
        self._class = connection_class
        self._process = os.getpid()
        self._is_closed = False
        self._connection: sqlite3.Connection | None = None
        self._file: _Place = None  # which one was opened; None before the first
        self._log: _Place = None  # the log beside it, likewise
        self._log_path = ""
        self._connected()

    @property
    def kind(self) -> str:
        """`sqlite`."""
        return "sqlite"

    @property
    def path(self) -> Path:
        """Where it is."""
        return self._path

    def claim(self) -> int:
        """Become the owner (see `SessionStore`)."""
        connection = self._connected()
        with self._reported(), rolled_back(connection):
            epoch = self._claimed(connection) + 1
            connection.execute("UPDATE owner SET epoch = ?", (epoch,))
        return epoch

    def write(self, epoch: int, records: Sequence[Record]) -> Mapping[str, str]:
        """Store and delete (see `SessionStore`)."""
        connection = self._connected()
        refused: dict[str, str] = {}
        with self._reported(), rolled_back(connection):
            if epoch < self._claimed(connection):
                raise StoreFencedError(*FENCED, self._path)
            rows = [(each[0], epoch, each[1], each[2], each[3]) for each in records if each[3] is not None]
            _put(connection, rows, refused)
            for record in records:
                if record.snapshot is None:
                    _delete(connection, record.session_id, epoch, record.schema, refused)
        return refused

    def read(self, session_id: str) -> StoredRecord | None:
        """Return the record of one session, or None."""
        connection = self._connected()
        with self._reported():
            row = connection.execute(f"{_FIND} WHERE session_id = ?", (session_id,)).fetchone()
        return None if row is None else StoredRecord(*row)

    def page(self, after: int | None, limit: int) -> Sequence[StoredRecord]:
        """Return records in the order of their keys (see `SessionStore`)."""
        connection = self._connected()
        with self._reported():
            if after is None:
                rows = connection.execute(f"{_FIND} ORDER BY key LIMIT ?", (limit,)).fetchall()
            else:
                rows = connection.execute(f"{_FIND} WHERE key > ? ORDER BY key LIMIT ?", (after, limit)).fetchall()
        return [StoredRecord(*row) for row in rows]

    def count(self) -> int:
        """Return how many records there are."""
        connection = self._connected()
        with self._reported():
            (count,) = connection.execute("SELECT count(*) FROM sessions").fetchone()
        return int(count)

    def quarantine(self, found: Iterable[tuple[StoredRecord, str]], at: float) -> None:
        """Move records aside (see `SessionStore`)."""
        connection = self._connected()
        with self._reported(), rolled_back(connection):
            for record, reason in found:
                connection.execute(_ASIDE, (reason, at, record.key))
                connection.execute("DELETE FROM sessions WHERE key = ?", (record.key,))

    def quarantined(self) -> Sequence[Quarantined]:
        """Return what was moved aside, oldest first."""
        connection = self._connected()
        with self._reported():
            rows = connection.execute(
                "SELECT key, CAST(session_id AS BLOB), epoch, schema, checksum, CAST(snapshot AS BLOB), reason,"
                " found_at FROM quarantine ORDER BY key"
            ).fetchall()
        return [
            Quarantined(id_of(StoredRecord(*row[:6])), str(row[6]), float(row[7]), len(row[5] or b"")) for row in rows
        ]

    def close(self) -> None:
        """Let go of the file; a second call does nothing."""
        self._is_closed = True
        if self._process == os.getpid():
            self._disconnect()

    # -- the connection ----------------------------------------------------------

    def _connected(self) -> sqlite3.Connection:
        """Return the connection, a new one after a failure."""
        if self._is_closed or self._process != os.getpid():
            raise StoreClosedError("it is closed, or another process has opened it", "open another one", self._path)
        if self._connection is not None:
            self._check_place()
        else:
            self._check_kind()
            with self._reported():
                if self._file is None:  # later it would be an empty one in the place of one that has gone
                    create_private(self._path)
                self._connection = connect(
                    self._path, WRITABLE, busy_timeout=self._busy_timeout, connection_class=self._class
                )
                self._prepare(self._connection)
            # Where SQLite has its log: beside the file, and not beside a link to that.
            self._log_path = f"{os.path.realpath(self._path)}-wal"
            self._file, self._log = _place(self._path), _place(self._log_path)
        return self._connection

    def _check_place(self) -> None:
        """Refuse to go on with a file that nobody would find again: it was removed, or another one put in its place.

        What was confirmed last is in the log beside it and nowhere else, so the same is true of that. To
        close the connection, which has it open still, writes all of it into the file.
        """
        if _place(self._path) != self._file:
            self._disconnect()
            raise StoreMissingError("it was removed or replaced", "put it back", self._path)
        if _place(self._log_path) != self._log:
            self._disconnect()
            raise StoreMissingError(
                "the log beside it ('-wal') was removed or replaced", "leave it there; another one is made", self._path
            )

    def _check_kind(self) -> None:
        """Refuse what is there and no file: a device or a pipe reads like a disk that fails."""
        with contextlib.suppress(OSError, ValueError):  # who opens it tells why that is not possible
            if not stat.S_ISREG(self._path.stat().st_mode):
                raise StoreMissingError("it is no regular file", "check the path", self._path)

    def _prepare(self, connection: sqlite3.Connection) -> None:
        # In this order: the mode of locking decides how the WAL is used.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {'FULL' if self._synchronous else 'NORMAL'}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_AUTOCHECKPOINT_PAGES}")
        connection.execute(f"PRAGMA journal_size_limit = {_WAL_SIZE_MAX}")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        if connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone() is None:
            if self._file is not None:
                raise StoreMissingError("an empty file was put in its place", "put it back", self._path)
            with rolled_back(connection):
                for statement in _TABLES.values():
                    connection.execute(statement)
                connection.execute("INSERT INTO owner (id, epoch) VALUES (0, 0)")
                connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {_FORMAT}")
        self._check_format(connection)

    def _check_format(self, connection: sqlite3.Connection) -> None:
        """Refuse what is no store of sessions.

        Whoever may write the file could put a view or a trigger in the place of a
        table, so everything has to be there word for word, and nothing else.
        """
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (found,) = connection.execute("PRAGMA user_version").fetchone()
        if application != _APPLICATION_ID:
            raise StoreDamagedError("it is no store of sessions", "check the path", self._path)
        if found > _FORMAT:
            raise StoreVersionError(
                f"it has format {found}, and this program knows up to {_FORMAT}",
                "use the program that made it, or a newer one",
                self._path,
            )
        tables = dict(connection.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL LIMIT 100"))
        if found != _FORMAT or tables != _TABLES:
            raise StoreDamagedError(
                f"its tables are not those of a store ({', '.join(sorted(map(str, tables)))})",
                _ADVICE_DAMAGED,
                self._path,
            )

    def _claimed(self, connection: sqlite3.Connection) -> int:
        """Return the epoch of the last owner; whoever may write the file could have put anything there."""
        (epoch,) = connection.execute("SELECT epoch FROM owner").fetchone() or (None,)
        if not isinstance(epoch, int) or not 0 <= epoch < _EPOCH_MAX:
            raise StoreDamagedError("the epoch of its owner is none that was ever written", _ADVICE_DAMAGED, self._path)
        return epoch

    @contextlib.contextmanager
    def _reported(self) -> Iterator[None]:
        """Turn what SQLite says into errors that say what to do, and let go of the connection that said it."""
        try:
            yield
        except FAULTS as error:
            self._disconnect()
            fault = fault_of(error)
            error_class, advice = _ERRORS[fault]
            problem = PROBLEMS[fault]
            told = f"{problem} ({error})" if fault in ("damaged", "unexpected") else problem
            raise error_class(told, advice, self._path) from error
        except StoreError:
            self._disconnect()
            raise

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            # What it could not write by now is in the log beside the file, or nowhere.
            with contextlib.suppress(*FAULTS):
                connection.close()

    def __repr__(self) -> str:
        return f"<SqliteStore {str(self._path)!r}>"


def _place(path: str | Path) -> _Place:
    """Tell which file is there, whatever it is called."""
    try:
        found = os.stat(path)  # noqa: PTH116 - a path that is text is not made a `Path` for every write
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _put(
    connection: sqlite3.Connection, rows: Sequence[tuple[str, int, int, bytes, bytes]], refused: dict[str, str]
) -> None:
    """Store rows in a transaction that has begun, and note which were refused."""
    at = 0
    for size, statement in _PUT_ROWS.items():
        while len(rows) - at >= size:
            some = rows[at : at + size]
            at += size
            if connection.execute(statement, tuple(chain.from_iterable(some))).rowcount != size:
                # Some were refused; which ones is found here, where the others do no harm.
                for row in some:
                    if not connection.execute(_PUT_ROWS[1], row).rowcount:
                        session_id, epoch, schema, _, _ = row
                        refused[session_id] = _why(connection, session_id, epoch, schema)


def _delete(connection: sqlite3.Connection, session_id: str, epoch: int, schema: int, refused: dict[str, str]) -> None:
    if not connection.execute(_DELETE, (session_id, epoch, schema)).rowcount:
        row = connection.execute("SELECT 1 FROM sessions WHERE session_id = ?", (session_id,)).fetchone()
        if row is not None:
            refused[session_id] = _why(connection, session_id, epoch, schema)


def _why(connection: sqlite3.Connection, session_id: str, epoch: int, schema: int) -> str:
    stored = connection.execute("SELECT epoch, schema FROM sessions WHERE session_id = ?", (session_id,)).fetchone()
    why = None if stored is None else refusal(stored[0], stored[1], epoch, schema)
    return why or _SPOILED
