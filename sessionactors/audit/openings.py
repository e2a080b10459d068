"""What opens the commitments of a log, in a database beside it: `personal.db`.

It belongs to a whole row of logs: when one is sealed, this file stays where it is,
and the archive has commitments only. So an erasure has one place to go to, however
many logs there are, and an archive can be given away without anybody's data.

Rows are written before the entries that they belong to. A crash between the two leaves
rows without entries, which the next writer removes; never an entry without its row.

What was erased keeps a mark in `erased`: which commitment it was, and by which
erasure. `erasures` has those: whose data by a keyed hash, how many, and a digest of the
marks. The same is said in the log, so marks cannot be made afterwards.

SQLite overwrites what is deleted (`secure_delete`). After an erasure the database is
also written anew as a whole and its write-ahead log cut to nothing, so that no copy is
left in a page that is in use, in a free one, or on its way.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, final

import msgpack

from sessionactors.audit.database import check_journal, translated
from sessionactors.audit.errors import AuditDamagedError, AuditLockedError, AuditWriteError
from sessionactors.audit.files import sync_directory
from sessionactors.audit.keys import new_secret
from sessionactors.audit.record import Opening
from sessionactors.sqlite_files import FAULTS, WRITABLE, connect, create_private, fault_of, rolled_back

__all__ = [
    "ROLE",
    "TABLES",
    "Erasure",
    "Openings",
    "digest_of",
    "erasures_of",
    "open_for_reading",
    "row_of_erasure",
    "tag_of",
]

ROLE: Final = "audit personal data"

_APPLICATION_ID: Final = 0x53414C50  # "SALP"
_USER_VERSION: Final = 1
_BUSY_TIMEOUT: Final = 5.0
_KEY_SIZE: Final = 32
_ADVICE: Final = "verify the log; keep the file as evidence"

TABLES: Final = {
    "openings": (
        "CREATE TABLE openings (segment INTEGER NOT NULL, sequence INTEGER NOT NULL, pointer TEXT NOT NULL,"
        " subject TEXT, session TEXT, salt BLOB NOT NULL, value BLOB NOT NULL,"
        " PRIMARY KEY (segment, sequence, pointer)) STRICT, WITHOUT ROWID"
    ),
    "openings_subject": "CREATE INDEX openings_subject ON openings (subject)",
    "openings_session": "CREATE INDEX openings_session ON openings (session)",
    "erased": (
        "CREATE TABLE erased (segment INTEGER NOT NULL, sequence INTEGER NOT NULL, pointer TEXT NOT NULL,"
        " erasure INTEGER NOT NULL, PRIMARY KEY (segment, sequence, pointer)) STRICT, WITHOUT ROWID"
    ),
    "erased_by": "CREATE INDEX erased_by ON erased (erasure, segment, sequence, pointer)",
    "erasures": (
        "CREATE TABLE erasures (id INTEGER PRIMARY KEY, tag TEXT NOT NULL, wall_time REAL NOT NULL,"
        " monotonic_time REAL NOT NULL, actor TEXT NOT NULL, reason TEXT NOT NULL, count INTEGER NOT NULL,"
        " digest TEXT NOT NULL, segment INTEGER, sequence INTEGER) STRICT"
    ),
    "rules": (
        "CREATE TABLE rules (id INTEGER PRIMARY KEY CHECK (id = 0), fields TEXT NOT NULL, tag_key BLOB NOT NULL) STRICT"
    ),
}

# Whose data an erasure takes: what is said to be the subject's, all of a session of that name, and
# what is said to be nobody's in sessions in which something is the subject's.
_OF_SUBJECT: Final = (
    "FROM openings WHERE subject = ?1 OR session = ?1 OR session = ?2 OR (subject IS NULL AND session IN"
    " (SELECT session FROM openings WHERE subject = ?1))"
)
_COLUMNS: Final = "id, tag, wall_time, monotonic_time, actor, reason, count, digest, segment, sequence"


class Erasure(NamedTuple):
    """That the data of somebody were erased.

    Attributes:
        id: its number, from 1.
        tag: a keyed hash of whose they were, see `tag_of()`.
        wall_time: seconds since 1970 UTC.
        monotonic_time: seconds.
        actor: who wanted it.
        reason: why.
        commitments: how many there are that nothing opens any more.
        digest: of which these are, see `digest_of()`.
        segment: which log of the row says so, from 1; None until it does.
        sequence: at which position.
    """

    id: int
    tag: str
    wall_time: float
    monotonic_time: float
    actor: str
    reason: str
    commitments: int
    digest: str
    segment: int | None = None
    sequence: int | None = None


def tag_of(key: bytes, subject: str) -> str:
    """Return the name that the log has for somebody whose data were erased.

    Who has the file beside the log can tell that it is this subject, who has only the log cannot.
    """
    return hmac.digest(key, b"subject\0" + subject.encode("utf-8", "backslashreplace"), "sha256").hex()[:32]


def digest_of(marks: Iterable[tuple[int, int, str]]) -> tuple[int, str]:
    """Return how many marks there are, and a hash of which: segment, sequence and pointer, in this order."""
    digest = hashlib.sha256()
    count = 0
    for mark in marks:
        digest.update(msgpack.packb(mark))
        count += 1
    return count, digest.hexdigest()


def row_of_erasure(row: Sequence[Any]) -> Erasure:
    """Return an erasure from its row."""
    return Erasure(*row)


@final
class Openings:
    """The one writer of that database; whoever has the log open for writing is it.

    Args:
        path: the file; made if it is not there.
        fields: names of what is personal; None for those that the file has, and
            none where there is no file yet.
        is_synced: whether what is written is on the disk before the entries are.

    Raises:
        AuditDamagedError: it is no such database.
        AuditWriteError: it cannot be written.

    Thread: one at a time; the owner's.
    """

    __slots__ = ("_connection", "_path", "_tag_key", "fields")

    def __init__(self, path: Path, fields: Sequence[str] | None, *, is_synced: bool = True) -> None:
        self._path = path
        with _reported(path):
            if not path.exists():
                _create(path)
            check_journal(path, ROLE)
            connection = connect(path, WRITABLE, busy_timeout=_BUSY_TIMEOUT)
            try:
                connection.execute("PRAGMA secure_delete = ON")
                connection.execute("PRAGMA temp_store = MEMORY")  # VACUUM would leave a copy elsewhere
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute(f"PRAGMA synchronous = {'FULL' if is_synced else 'NORMAL'}")
                _check_schema(connection, path)
                self.fields, self._tag_key = self._set_rules(connection, fields)
            except BaseException:
                connection.close()
                raise
        self._connection: sqlite3.Connection | None = connection

    def _set_rules(self, connection: sqlite3.Connection, fields: Sequence[str] | None) -> tuple[tuple[str, ...], bytes]:
        known, key = connection.execute("SELECT fields, tag_key FROM rules").fetchone()
        if fields is not None and json.dumps(sorted(fields)) != known:
            known = json.dumps(sorted(fields))
            connection.execute("UPDATE rules SET fields = ?", (known,))
        return tuple(json.loads(known)), key

    def put(self, segment: int, first: int, personal: Iterable[tuple[int, str | None, tuple[Opening, ...]]]) -> None:
        """Write what opens the commitments of entries that follow, before those are written.

        What is there from this position on was written for entries that did not come to be.

        Raises:
            AuditWriteError: it cannot be written.
        """
        rows = [
            (segment, sequence, each.pointer, each.subject, session, each.salt, each.value)
            for sequence, session, openings in personal
            for each in openings
        ]
        connection = self._open()
        with _reported(self._path), rolled_back(connection):
            connection.execute("DELETE FROM openings WHERE segment = ? AND sequence >= ?", (segment, first))
            connection.executemany("INSERT INTO openings VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    def forget_from(self, segment: int, size: int) -> None:
        """Remove what a crash left of entries that did not come to be.

        Raises:
            AuditWriteError: it cannot be written.
        """
        connection = self._open()
        beyond = "FROM openings WHERE segment > ?1 OR (segment = ?1 AND sequence >= ?2)"
        with _reported(self._path), rolled_back(connection):
            if connection.execute(f"SELECT 1 {beyond} LIMIT 1", (segment, size)).fetchone():
                connection.execute(f"DELETE {beyond}", (segment, size))

    def erase(
        self, subject: str, session: str | None, *, wall_time: float, monotonic_time: float, actor: str, reason: str
    ) -> Erasure | None:
        """Erase all that is somebody's; return what was done, or None if there was nothing.

        All of it or nothing; after a crash on the way, `unfinished()` has what is still to be done.

        Args:
            subject: a person, or a session.
            session: what that session is called in the log, where it has another name there.
            wall_time: seconds since 1970 UTC.
            monotonic_time: seconds.
            actor: who wants it.
            reason: why.

        Raises:
            AuditWriteError: it cannot be written, and nothing was erased.
        """
        connection = self._open()
        names = (subject, session)
        with _reported(self._path), rolled_back(connection):
            ordered = f"SELECT segment, sequence, pointer {_OF_SUBJECT} ORDER BY segment, sequence, pointer"
            count, digest = digest_of(connection.execute(ordered, names))
            if not count:
                return None
            (last,) = connection.execute("SELECT coalesce(max(id), 0) FROM erasures").fetchone()
            erasure = Erasure(
                last + 1, tag_of(self._tag_key, subject), wall_time, monotonic_time, actor, reason, count, digest
            )
            connection.execute(
                f"INSERT INTO erasures ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - our own names
                erasure,
            )
            connection.execute(
                f"INSERT INTO erased SELECT segment, sequence, pointer, ?3 {_OF_SUBJECT}", (*names, erasure.id)
            )
            connection.execute(
                "DELETE FROM openings WHERE (segment, sequence, pointer) IN"
                " (SELECT segment, sequence, pointer FROM erased WHERE erasure = ?)",
                (erasure.id,),
            )
        return erasure

    def scrub(self) -> None:
        """See that nothing is left of what was deleted, in no page of the file and not in its write-ahead log.

        Raises:
            AuditLockedError: somebody reads the file; do it again once nobody does.
            AuditWriteError: it cannot be written.

        Blocks: for some microseconds for each row that is left.
        """
        connection = self._open()
        with _reported(self._path):
            connection.execute("VACUUM")
            (is_busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if is_busy:
            problem = "somebody reads it, so what was erased is still on its way out"
            raise AuditLockedError(ROLE, problem, "end that reader and erase again", self._path)

    def noted(self, erasure: int, segment: int, sequence: int) -> None:
        """Take down where the log says so; from here on the erasure is complete."""
        connection = self._open()
        with _reported(self._path):
            connection.execute(
                "UPDATE erasures SET segment = ?, sequence = ? WHERE id = ?", (segment, sequence, erasure)
            )

    def unfinished(self) -> list[Erasure]:
        """Return the erasures that the log does not tell of yet."""
        connection = self._open()
        with _reported(self._path):
            sql = f"SELECT {_COLUMNS} FROM erasures WHERE sequence IS NULL ORDER BY id"  # noqa: S608 - our own names
            return [row_of_erasure(row) for row in connection.execute(sql)]

    def erasures_of(self, subject: str) -> list[Erasure]:
        """Return the erasures of somebody."""
        return erasures_of(self._open(), self._path, subject)

    def close(self) -> None:
        """Let go of it; one ordinary file is left, unless somebody reads it. A second call does nothing."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        with contextlib.suppress(sqlite3.Error):
            connection.execute("PRAGMA busy_timeout = 0")
            connection.execute("PRAGMA journal_mode = DELETE")
        connection.close()

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            raise AuditDamagedError(ROLE, "it is closed", "open the log again", self._path)
        return self._connection

    def __repr__(self) -> str:
        return f"<Openings {'closed' if self._connection is None else 'open'}>"


@contextlib.contextmanager
def open_for_reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the database without the right to change anything, for the time of the block.

    Raises:
        AuditDamagedError: it is no such database, or what stands beside it would change it.
        AuditReadError: it cannot be opened.
    """
    check_journal(path, ROLE)
    with _reported(path):
        connection = connect(path, "mode=ro", busy_timeout=_BUSY_TIMEOUT)
    with contextlib.closing(connection):
        with _reported(path):
            try:
                connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            except sqlite3.OperationalError as error:
                if fault_of(error) == "busy":
                    raise
                wal = path.with_name(f"{path.name}-wal")
                if wal.exists() and wal.stat().st_size:
                    raise
                # On a medium that cannot be written; nobody else writes there either.
                connection.close()
                connection = connect(path, "mode=ro&immutable=1", busy_timeout=_BUSY_TIMEOUT)
            _check_schema(connection, path)
        with contextlib.closing(connection):
            yield connection


def erasures_of(connection: sqlite3.Connection, path: Path, subject: str) -> list[Erasure]:
    """Return the erasures of somebody, in their order."""
    with _reported(path):
        (key,) = connection.execute("SELECT tag_key FROM rules").fetchone()
        sql = f"SELECT {_COLUMNS} FROM erasures WHERE tag = ? ORDER BY id"  # noqa: S608 - our own names
        return [row_of_erasure(row) for row in connection.execute(sql, (tag_of(key, subject),))]


def _create(path: Path) -> None:
    """Make the file whole under another name first: nobody ever finds half of it."""
    draft = path.with_name(f"{path.name}.new")
    try:
        for left in (draft, draft.with_name(f"{draft.name}-journal")):
            left.unlink(missing_ok=True)  # of a crash before
        create_private(draft)
        with contextlib.closing(connect(draft, WRITABLE, busy_timeout=_BUSY_TIMEOUT)) as connection:
            connection.execute("PRAGMA synchronous = FULL")
            with rolled_back(connection):
                for statement in TABLES.values():
                    connection.execute(statement)
                connection.execute("INSERT INTO rules VALUES (0, '[]', ?)", (new_secret(_KEY_SIZE),))
                connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {_USER_VERSION}")
        draft.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        problem = f"it cannot be made ({error.strerror})"
        raise AuditWriteError(ROLE, problem, "check the disk and its permissions", path) from error


def _check_schema(connection: sqlite3.Connection, path: Path) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    found = dict(connection.execute("SELECT name, sql FROM sqlite_schema LIMIT 100"))
    if (application, version) != (_APPLICATION_ID, _USER_VERSION) or found != TABLES:
        raise AuditDamagedError(ROLE, "it is no database of this kind", _ADVICE, path)


@contextlib.contextmanager
def _reported(path: Path) -> Iterator[None]:
    try:
        yield
    except FAULTS as error:
        raise translated(error, path, ROLE) from error
