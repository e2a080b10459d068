"""The files of a log that is open for writing, from opening to letting go of them.

Everything that a writer holds is here, and that it is held by one writer only, in the
process that opened it. What is done with it is in `sessionactors.audit.log`.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from sessionactors.audit import database, resuming, sealing
from sessionactors.audit.checkpoint import Signer
from sessionactors.audit.errors import AuditClosedError, AuditError, AuditLockedError, AuditReadError, AuditWriteError
from sessionactors.audit.files import DurableFile, LogPaths, sync_directory
from sessionactors.audit.handover import segment_number
from sessionactors.audit.openings import Openings
from sessionactors.audit.personal import DataRules
from sessionactors.audit.pseudonyms import pseudonyms_for_writing
from sessionactors.audit.queries import AuditReader
from sessionactors.audit.record import Opening
from sessionactors.audit.resuming import Standing

__all__ = ["LogFiles"]


class LogFiles:
    """What the one writer of a log directory holds; the arguments are those of `AuditLog`.

    Thread: one at a time; the owner's.
    """

    __slots__ = (
        "_checkpoints",
        "_connection",
        "_fields",
        "_forbidden",
        "_hashes",
        "_ids_key_file",
        "_is_redacting",
        "_is_side_ahead",
        "_is_synced",
        "_key_file",
        "_keys",
        "_kinds",
        "_leaves",
        "_openings",
        "_paths",
        "_personal",
        "_process",
        "_reader",
        "_signer",
        "_standing",
        "_unnoted",
        "rules",
    )

    # What waits for a commit: entries, of each the key of its session and its kind, and what
    # opens the commitments of some.
    _leaves: list[bytes]
    _keys: list[int]
    _kinds: list[int]
    _personal: list[tuple[int, str | None, tuple[Opening, ...]]]
    # Erasures that wait for a commit to be said, and at which position they will be.
    _unnoted: dict[int, int]
    _standing: Standing
    _checkpoints: DurableFile
    _hashes: DurableFile | None
    _openings: Openings | None
    # Whether the file of openings may have some of entries that did not come to be.
    _is_side_ahead: bool
    _signer: Signer
    rules: DataRules

    def __init__(
        self,
        directory: Path,
        key_file: Path | None,
        origin: str | None,
        *,
        forbidden: frozenset[str],
        is_synced: bool,
        personal: Sequence[str] | None,
        redact_ids: bool | None,
        ids_key_file: Path | None,
    ) -> None:
        self._paths = LogPaths(directory)
        self._key_file = key_file if key_file is not None else self._paths.private_key
        self._ids_key_file = ids_key_file
        self._forbidden = forbidden
        self._fields = personal
        self._is_redacting = redact_ids
        self._is_synced = is_synced
        self._process = os.getpid()
        self._reader: AuditReader | None = None
        self._connection: sqlite3.Connection | None = None
        self._make_directory()
        self._open_files(origin)

    @property
    def size(self) -> int:
        """How many entries are committed."""
        return self._standing.head.size

    @property
    def directory(self) -> Path:
        """Where the log is."""
        return self._paths.directory

    @property
    def origin(self) -> str:
        """The name under which its heads are signed."""
        return self._signer.verifier.name

    @property
    def is_closed(self) -> bool:
        """Whether it was closed, or could not go on after a seal; see `AuditLog.reopen()`."""
        return self._connection is None

    # --- Opening ---------------------------------------------------------------------------------------------------

    def _open_files(self, origin: str | None) -> None:
        """Open everything; on failure, let go of everything."""
        self._drop_pending()
        self._standing = Standing.empty()
        self._hashes = self._openings = None
        self._is_side_ahead = False
        self._checkpoints = self._file(self._paths.checkpoints, "audit checkpoints")
        try:
            self._checkpoints.lock()
            if sealing.is_interrupted(self._paths):
                sealing.finish(self._paths)
                locked, self._checkpoints = (
                    self._checkpoints,
                    self._file(self._paths.checkpoints, "audit checkpoints"),
                )
                locked.close()
                self._checkpoints.lock()
            self._hashes = self._file(self._paths.hashes, "audit hashes")
            self._connection = self._open_database()
            self._open(origin)
        except BaseException:
            self._release()
            raise

    def _make_directory(self) -> None:
        directory = self._paths.directory
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except FileExistsError as error:
            raise AuditReadError("audit log", "the path is a file", "name a directory", directory) from error
        except OSError as error:
            problem = f"the directory cannot be made ({error.strerror})"
            raise AuditWriteError("audit log", problem, "check the path and its permissions", directory) from error

    def _file(self, path: Path, role: str) -> DurableFile:
        return DurableFile(path, role, is_synced=self._is_synced)

    def _open_database(self) -> sqlite3.Connection:
        was_there = self._paths.database.exists()
        if not was_there and (self._checkpoints.size() or self._file_of_hashes().size()):
            raise resuming.damaged(self._paths, "the database is missing, but the files beside it know of entries")
        return database.open_for_writing(self._paths.database, is_synced=self._is_synced)

    def _open(self, origin: str | None) -> None:
        connection = self._check_owner()
        with database.reported(self._paths.database):
            is_new = database.is_empty(connection)
            fault = None if is_new else database.schema_fault(connection)
        if fault is not None:
            raise resuming.damaged(self._paths, fault)
        if is_new and (self._checkpoints.size() or self._file_of_hashes().size()):
            raise resuming.damaged(self._paths, "the database is empty, but the files beside it know of entries")
        self._signer = resuming.open_key(self._paths, self._key_file, origin, is_new=is_new)
        if is_new:
            resuming.begin(connection, self._paths, self._signer)
        self._standing = resuming.resume(
            connection, self._paths, self._signer, self._file_of_hashes(), self._checkpoints
        )
        self._catch_up()
        names = pseudonyms_for_writing(self._paths, self._ids_key_file, is_wanted=self._is_redacting)
        if self._fields or self._paths.personal.exists():
            self._openings = Openings(self._paths.personal, self._fields, is_synced=self._is_synced)
            self._openings.forget_from(segment_number(self.origin), self.size)
        fields = self._openings.fields if self._openings is not None else ()
        self.rules = DataRules(self._forbidden, fields, names)
        if is_new:
            sync_directory(self._paths.directory)

    def _drop_pending(self) -> None:
        self._leaves, self._keys, self._kinds, self._personal, self._unnoted = [], [], [], [], {}

    def _side(self) -> Openings:
        if self._openings is None:
            self._openings = Openings(self._paths.personal, None, is_synced=self._is_synced)
        return self._openings

    # --- Below -----------------------------------------------------------------------------------------------------

    def _catch_up(self) -> None:
        """Write to the files what the database has already."""
        behind = self._standing.behind
        if behind is None:
            return
        self._file_of_hashes().write(behind.hashes_at, behind.hashes)
        self._checkpoints.write(behind.notes_at, behind.notes)
        self._standing.behind = None

    def _stored_size(self, connection: sqlite3.Connection) -> int:
        """Return how far the database is after a commit that failed.

        The disk may fail after everything was written. If not even that can be
        found out, this object is of no more use; the log is: opening it shows.
        """
        try:
            with database.reported(self._paths.database):
                size: int = connection.execute("SELECT size FROM tip").fetchone()[0]
        except AuditError:
            self._release()
            raise
        return size

    def _leave_one_file(self, connection: sqlite3.Connection) -> None:
        try:
            connection.execute("PRAGMA busy_timeout = 0")
            connection.execute("PRAGMA journal_mode = DELETE")
        except sqlite3.OperationalError:
            # Somebody reads at this moment. The log is whole in WAL mode as well.
            return

    def _release(self) -> None:
        for part in (self._reader, self._openings, self._connection, self._hashes, self._checkpoints):
            if part is not None:
                part.close()
        self._reader = self._openings = self._connection = None

    def _check_owner(self) -> sqlite3.Connection:
        if self._connection is None:
            raise AuditClosedError("audit log", "it is closed", "open it again", self._paths.directory)
        if self._process != os.getpid():
            raise AuditClosedError(
                "audit log",
                "it belongs to the process this one was forked from",
                "open another log here",
                self._paths.directory,
            )
        return self._connection

    def _file_of_hashes(self) -> DurableFile:
        assert self._hashes is not None
        return self._hashes

    def _close_database(self, connection: sqlite3.Connection) -> None:
        """Make the database one file and let go of it.

        Raises:
            AuditLockedError: somebody reads it; it stays open.
        """
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        self._leave_one_file(connection)
        with database.reported(self._paths.database):
            (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
            if mode == "wal":
                database.set_patience(connection)
                raise AuditLockedError(
                    "audit log", "somebody reads it", "seal it once nobody does", self._paths.directory
                )
            connection.close()
