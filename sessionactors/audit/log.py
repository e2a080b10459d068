"""The durable audit log: a directory that only grows.

A commit is one transaction of the database: the new entries, the blocks of the
index that became full, the signed head, and the tip that the next writer starts
from. Then the hashes and the head are added to the two files beside it. A crash
between the two leaves the files behind by one commit; opening the log completes
them. A crash inside the transaction leaves the log as it was after the last one.

In memory are the right edge of the tree, what is pending, and the index entries
of the last, unfinished segment.
"""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self, final

from sessionactors.audit import database, sealing
from sessionactors.audit.checkpoint import Checkpoint, Signer, is_origin, open_checkpoint, sign_checkpoint
from sessionactors.audit.contract import AuditHead, AuditStatistics
from sessionactors.audit.errors import (
    AuditClosedError,
    AuditDamagedError,
    AuditError,
    AuditKeyError,
    AuditLockedError,
    AuditReadError,
    AuditWriteError,
)
from sessionactors.audit.files import DurableFile, LogPaths, sync_directory
from sessionactors.audit.handover import (
    Handover,
    base_name,
    next_name,
    read_handovers,
    segment_number,
    sign_handover,
)
from sessionactors.audit.keys import create_key, load_key, load_public_key, store_public_key
from sessionactors.audit.merkle import HASH_SIZE, Frontier, leaf_hashes
from sessionactors.audit.plain_values import FORBIDDEN_KEYS
from sessionactors.audit.queries import AuditReader
from sessionactors.audit.record import (
    KINDS,
    AuditRecord,
    EventType,
    Severity,
    decode,
    encode_keyed,
    kind_of,
    kinds_of,
)
from sessionactors.audit.session_index import SEGMENT_SIZE, OpenSegment, keys_of
from supervisors.errors import SupervisorsError

__all__ = ["PENDING_MAX", "AuditLog"]

PENDING_MAX: Final = 100_000
"""Entries that may wait for a commit; the next `append_many()` commits them first."""

_STORE_TIP: Final = "INSERT OR REPLACE INTO tip (id, size, frontier, counts, checkpoints_size) VALUES (0, ?, ?, ?, ?)"
_ADVICE: Final = "verify the log, keep the directory as evidence, and start a new log in another one"


@final
class AuditLog:
    """The one writer of a log directory. Fulfils `AuditStore`.

    Args:
        directory: where the log is; made if it is not there.
        key_file: where the private key is; None for `audit.key` in the
            directory. A new log makes the key if the file is not there.
        origin: the name that a new key signs under, such as
            "example.com/sessions"; None makes one from the key.
        forbidden: names of data that are left out, lower case letters and
            digits only, as from `plain_values.forbidden_names()`.
        is_synced: whether a commit waits until everything is on the disk. If not, it
            survives the death of the process and may not survive a power cut, after
            which the log can be such that no writer opens it.

    Raises:
        AuditLockedError: another writer has the log open.
        AuditKeyError: the key is missing, unsafe, or not this log's.
        AuditDamagedError: the log is not what its last head says.
        AuditWriteError: something cannot be written.

    Thread: one at a time.
    Blocks: opening reads at most the last 16,384 entries; see `commit()`.
    """

    __slots__ = (
        "_behind",
        "_checkpoints",
        "_checkpoints_size",
        "_commits",
        "_connection",
        "_counts",
        "_forbidden",
        "_frontier",
        "_hashes",
        "_head",
        "_is_synced",
        "_key_file",
        "_keys",
        "_kinds",
        "_leaves",
        "_paths",
        "_process",
        "_reader",
        "_segment",
        "_signer",
    )

    # What waits for a commit: entries, and of each the key of its session and its kind.
    _leaves: list[bytes]
    _keys: list[int]
    _kinds: list[int]
    _frontier: Frontier
    _counts: Counter[int]
    _segment: OpenSegment
    _head: AuditHead
    _checkpoints: DurableFile
    _checkpoints_size: int
    _hashes: DurableFile | None
    # What the files still lack of the last commit: start and bytes of each.
    _behind: tuple[int, bytes, int, bytes] | None
    _signer: Signer

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        key_file: str | os.PathLike[str] | None = None,
        origin: str | None = None,
        forbidden: frozenset[str] = FORBIDDEN_KEYS,
        is_synced: bool = True,
    ) -> None:
        self._paths = LogPaths(Path(directory))
        self._key_file = Path(key_file) if key_file is not None else self._paths.private_key
        self._forbidden = forbidden
        self._is_synced = is_synced
        self._process = os.getpid()
        self._commits = 0
        self._reader: AuditReader | None = None
        self._connection: sqlite3.Connection | None = None
        self._make_directory()
        self._open_files(origin)

    # --- Writing ---------------------------------------------------------------------------------------------------

    @property
    def size(self) -> int:
        """How many entries are committed."""
        return self._frontier.size

    @property
    def pending(self) -> int:
        """How many entries wait for a commit."""
        return len(self._leaves)

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
        """Whether it was closed, or could not go on after a seal; see `reopen()`."""
        return self._connection is None

    def oldest(self) -> float | None:
        """Return the wall time of entry 0, or None while nothing is committed."""
        connection = self._check_owner()
        leaves = self._read_leaves(connection, 0, min(1, self.size))
        return decode(leaves[0]).wall_time if leaves else None

    def append_many(self, events: Iterable[tuple[float, float, str | None, int, str, object]]) -> range:
        """Add events in order; they become entries with the next commit (see `AuditStore`).

        Raises:
            InvalidArgumentError: a time is not finite or a kind is unknown; nothing was added.
            InvalidTypeError: something is no event; nothing was added.
            AuditError: there were too many pending, and committing them failed; nothing was added.
        """
        if len(self._leaves) >= PENDING_MAX:
            self.commit()
        self._check_owner()
        first = self._frontier.size + len(self._leaves)
        leaves, keys, kinds = encode_keyed(first, events, self._forbidden)
        self._leaves += leaves
        self._keys += keys
        self._kinds += kinds
        return range(first, first + len(leaves))

    def commit(self) -> AuditHead:
        """Make everything that is pending durable under a newly signed head.

        Raises:
            AuditWriteError: the disk is full, read-only or failing. What is
                pending stays so; commit again once the cause is gone. `size`
                tells whether the entries themselves were committed.
            AuditLockedError: another program held the database for too long.
            AuditClosedError: the log is closed.

        Blocks: for three synchronisations of the disk if something is pending.
        """
        connection = self._check_owner()
        self._catch_up()
        leaves = self._leaves
        if not leaves:
            return self._head
        first = self._frontier.size
        hashes = leaf_hashes(leaves)
        grown = self._frontier.copy()
        grown.extend(hashes)
        counts = self._counts.copy()
        counts.update(self._kinds)
        segment = self._segment.copy()
        blocks = segment.extend(first, self._keys, self._kinds)
        checkpoint = Checkpoint(self.origin, grown.size, grown.root())
        note = sign_checkpoint(checkpoint, self._signer)
        checkpoints_size = self._checkpoints_size + len(note)
        try:
            with database.transaction(connection, self._paths.database):
                database.insert_entries(connection, first, leaves)
                connection.executemany("INSERT INTO session_index (id, block) VALUES (?, ?)", blocks)
                connection.execute("INSERT INTO heads (size, note) VALUES (?, ?)", (grown.size, note))
                tip = (grown.size, grown.to_bytes(), database.pack_counts(counts), checkpoints_size)
                connection.execute(_STORE_TIP, tip)
        except AuditError:
            if self._stored_size(connection) != grown.size:
                raise
        # From here on the entries are there, whatever happens to the files.
        self._drop_pending()
        self._frontier, self._counts, self._segment = grown, counts, segment
        self._head = AuditHead(grown.size, checkpoint.root, note)
        self._behind = (first * HASH_SIZE, b"".join(hashes), self._checkpoints_size, note)
        self._checkpoints_size = checkpoints_size
        self._commits += 1
        self._catch_up()
        return self._head

    def forget_pending(self) -> int:
        """Drop what is pending, for an owner that keeps it elsewhere; return how much it was."""
        count = len(self._leaves)
        self._drop_pending()
        return count

    def close(self) -> None:
        """Commit what is pending and let go of everything; a second call does nothing.

        The files are let go of even if the commit fails.
        """
        if self._connection is None:
            return
        try:
            if self._process == os.getpid():
                self.commit()
                if self._reader is not None:
                    self._reader.close()
                self._leave_one_file(self._connection)
        finally:
            self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- Reading ---------------------------------------------------------------------------------------------------

    def head(self) -> AuditHead:
        """Return the head of the last commit."""
        return self._head

    def events(
        self,
        *,
        session: str | None = None,
        event_type: EventType | None = None,
        severity: Severity | None = None,
        start: int = 0,
        stop: int | None = None,
    ) -> Iterator[AuditRecord]:
        """Yield committed entries in order (see `AuditStore`)."""
        return self.reader().events(session=session, event_type=event_type, severity=severity, start=start, stop=stop)

    def reader(self) -> AuditReader:
        """Return a reader of what is committed, for queries and proofs; it is closed with the log."""
        self._check_owner()
        if self._reader is None:
            self._reader = AuditReader(self._paths.directory)
        return self._reader

    def statistics(self) -> AuditStatistics:
        """Return the counters as they are now."""
        by_kind = {KINDS[kind]: count for kind, count in sorted(self._counts.items())}
        return AuditStatistics(self.size, self.pending, self._commits, by_kind)

    def __repr__(self) -> str:
        state = "closed" if self._connection is None else "open"
        return f"<AuditLog {state}, {self.size} entries, {self.pending} pending>"

    # --- Sealing ---------------------------------------------------------------------------------------------------

    def seal(
        self,
        wall_time: float,
        monotonic_time: float,
        *,
        reason: str = "asked",
        actor: str = "program",
        new_key_file: str | os.PathLike[str] | None = None,
    ) -> sealing.Sealed | None:
        """End this log, put it into the archive, and go on with the next one in its place.

        Entry 0 of the next log has the last head of this one, and both of their keys
        sign the hand-over. The archived log can be verified on its own.

        Args:
            wall_time: seconds since 1970 UTC, for entry 0.
            monotonic_time: seconds, likewise.
            reason: why, for entry 0.
            actor: who wanted it, for entry 0.
            new_key_file: the private key to go on with; None keeps the one there is.
                If the log has its private key in its own directory, the new one is
                copied there and the old one erased.

        Returns:
            What became of the log, or None if it has nothing to seal.

        Raises:
            AuditLockedError: somebody reads the log at this moment; nothing was done.
            AuditKeyError: the new key cannot be used; nothing was done.
            AuditWriteError: something cannot be written. If the log is closed
                afterwards, the seal counts and `reopen()` completes it.

        Blocks: for some ten synchronisations of the disk, however large the log is.
        """
        head = self.commit()
        number = segment_number(self.origin)
        if head.size <= (number > 1):
            return None
        sealing.discard_draft(self._paths)
        key_file = self._key_file if new_key_file is None else Path(new_key_file)
        base = base_name(self.origin if new_key_file is None else load_key(key_file).verifier.name)
        name = next_name(base, number + 1)
        if not is_origin(name):
            raise AuditKeyError("audit key", "its name is too long for a number behind it", "use another", key_file)
        following = load_key(key_file).renamed(name)
        checkpoint = Checkpoint(self.origin, head.size, head.root)
        statement = sign_handover(
            Handover(self._signer.verifier, following.verifier, checkpoint), self._signer, following
        )
        facts = {
            "event": "log_continues",
            "checkpoint": (head.note or b"").decode(),
            "reason": reason,
            "is_key_new": following.verifier.public != self._signer.verifier.public,
        }
        with AuditLog(self._paths.draft, key_file=key_file, origin=name) as draft:
            draft.append_many([(wall_time, monotonic_time, None, kind_of("compliance"), actor, facts)])
        is_key_here = new_key_file is not None and self._key_file == self._paths.private_key
        sealing.store_beside(
            self._paths, self._earlier_handovers() + statement, load_key(key_file) if is_key_here else None
        )
        self._close_database(self._check_owner())
        try:
            sealing.mark(self._paths, number)
        except AuditError:
            self._release()
            self.reopen()
            raise
        if not is_key_here:
            self._key_file = key_file
        try:
            directory = sealing.finish(self._paths)
        finally:
            self._release()
        self.reopen()
        return sealing.Sealed(directory, head, name)

    def reopen(self) -> None:
        """Open the log again where a seal could not be completed; an open log stays as it is.

        Raises:
            AuditError: it still cannot be done.
        """
        if self._connection is None:
            self._open_files(None)

    def _earlier_handovers(self) -> bytes:
        try:
            earlier = read_handovers(self._paths.handovers)
            raw = self._paths.handovers.read_bytes() if earlier else b""
        except (SupervisorsError, OSError) as error:
            raise self._damaged("its hand-overs cannot be read") from error
        if (earlier[-1].new if earlier else None) != (self._signer.verifier if earlier else None):
            raise self._damaged("its hand-overs are not those of this log")
        return raw

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

    # --- Opening ---------------------------------------------------------------------------------------------------

    def _open_files(self, origin: str | None) -> None:
        """Open everything; on failure, let go of everything."""
        self._drop_pending()
        self._frontier = Frontier()
        self._counts = Counter()
        self._segment = OpenSegment()
        self._head = AuditHead(0, self._frontier.root(), None)
        self._checkpoints_size = 0
        self._behind = None
        self._hashes = None
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
            self._open(self._key_file, origin)
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
            raise self._damaged("the database is missing, but the files beside it know of entries")
        return database.open_for_writing(self._paths.database, is_synced=self._is_synced)

    def _open(self, key_file: Path, origin: str | None) -> None:
        connection = self._check_owner()
        with database.reported(self._paths.database):
            is_new = database.is_empty(connection)
            fault = None if is_new else database.schema_fault(connection)
        if fault is not None:
            raise self._damaged(fault)
        if is_new and (self._checkpoints.size() or self._file_of_hashes().size()):
            raise self._damaged("the database is empty, but the files beside it know of entries")
        self._signer = self._open_key(key_file, origin, is_new=is_new)
        if is_new:
            self._begin(connection)
        self._resume(connection)
        if is_new:
            sync_directory(self._paths.directory)

    def _open_key(self, key_file: Path, origin: str | None, *, is_new: bool) -> Signer:
        try:
            is_made = is_new and not key_file.exists()
        except OSError as error:
            raise AuditKeyError(
                "audit key", f"the path cannot be used ({error.strerror})", "check the path", key_file
            ) from error
        signer = create_key(key_file, origin) if is_made else load_key(key_file)
        if base_name(signer.verifier.name) != signer.verifier.name:
            raise AuditKeyError(
                "audit key", "its name ends like that of a log that follows", "name it otherwise", key_file
            )
        own = load_public_key(self._paths.public_key).name if self._paths.public_key.exists() else origin
        if own is not None and base_name(own) == signer.verifier.name:
            signer = signer.renamed(own)  # the key's file has the name of the first log of the row
        if origin is not None and origin not in (signer.verifier.name, base_name(signer.verifier.name)):
            raise AuditKeyError(
                "audit key", "it signs under another origin", f"the origin is {signer.verifier.name}", key_file
            )
        if is_new and not self._paths.public_key.exists():
            store_public_key(self._paths.public_key, signer.verifier)
        if load_public_key(self._paths.public_key) != signer.verifier:
            raise AuditKeyError("audit key", "it is not the key of this log", "give the key it was made with", key_file)
        return signer

    def _begin(self, connection: sqlite3.Connection) -> None:
        """Write the head of the empty log, so that even a log without entries can be verified."""
        empty = Frontier()
        note = sign_checkpoint(Checkpoint(self.origin, 0, empty.root()), self._signer)
        with database.transaction(connection, self._paths.database):
            database.create_tables(connection)
            connection.execute("INSERT INTO heads (size, note) VALUES (0, ?)", (note,))
            connection.execute(_STORE_TIP, (0, b"", database.pack_counts(Counter()), len(note)))

    def _resume(self, connection: sqlite3.Connection) -> None:
        """Take up the log where its last head left it, or refuse if that is not where it is."""
        with database.reported(self._paths.database):
            tip = connection.execute("SELECT size, frontier, counts, checkpoints_size FROM tip").fetchone()
            heads = connection.execute("SELECT size, note FROM heads ORDER BY size DESC LIMIT 2").fetchall()
            last = connection.execute("SELECT max(sequence) FROM entries").fetchone()[0]
        try:
            size, frontier, counts, self._checkpoints_size = tip
            (head_size, note), before = heads[0], heads[1:]
            self._frontier = Frontier.from_bytes(size, frontier)
            self._counts = database.unpack_counts(counts)
            checkpoint = open_checkpoint(note, self._signer.verifier)
        except (SupervisorsError, ValueError, TypeError, IndexError) as error:
            raise self._damaged("its last head cannot be read, or another key has signed it") from error
        self._head = AuditHead(size, checkpoint.root, note)
        is_sound = checkpoint.size == head_size == size == (-1 if last is None else last) + 1
        if not is_sound or checkpoint.root != self._frontier.root():
            raise self._damaged("it does not end where its last signed head says")
        start = size & -SEGMENT_SIZE
        leaves = self._read_leaves(connection, start, size)
        self._segment.extend(start, keys_of(start, leaves), kinds_of(leaves))
        self._complete_files(connection, before[0][0] if before else 0)

    def _complete_files(self, connection: sqlite3.Connection, before: int) -> None:
        """Add what a crash kept from the files; what else they lack or have too much is no crash's doing."""
        note = self._head.note or b""
        hashes_end, notes_end = self.size * HASH_SIZE, self._checkpoints_size
        hashes_at, notes_at = self._file_of_hashes().size(), self._checkpoints.size()
        if hashes_at > hashes_end or notes_at > notes_end:
            raise self._damaged("the files beside the database know of more entries than the database")
        if hashes_at < before * HASH_SIZE or notes_at < notes_end - len(note):
            raise self._damaged("the files beside the database lack more than the last commit")
        have = self._checkpoints.read(notes_end - len(note), len(note))
        if not note.startswith(have):
            raise self._damaged("the last head in the checkpoints is not that of the database")
        start = hashes_at // HASH_SIZE
        missing = leaf_hashes(self._read_leaves(connection, start, self.size))
        if missing or len(have) < len(note):
            self._behind = (start * HASH_SIZE, b"".join(missing), notes_end - len(note), note)
            self._catch_up()

    def _read_leaves(self, connection: sqlite3.Connection, start: int, stop: int) -> list[bytes]:
        with database.reported(self._paths.database):
            rows = connection.execute(
                "SELECT leaf FROM entries WHERE sequence >= ? AND sequence < ? ORDER BY sequence", (start, stop)
            )
            leaves = [leaf for (leaf,) in rows]
        if len(leaves) != stop - start:
            raise self._damaged("entries are missing")
        return leaves

    def _drop_pending(self) -> None:
        self._leaves, self._keys, self._kinds = [], [], []

    # --- Below -----------------------------------------------------------------------------------------------------

    def _catch_up(self) -> None:
        """Write to the files what the database has already."""
        if self._behind is None:
            return
        hashes_at, hashes, notes_at, note = self._behind
        self._file_of_hashes().write(hashes_at, hashes)
        self._checkpoints.write(notes_at, note)
        self._behind = None

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
        for part in (self._reader, self._connection, self._hashes, self._checkpoints):
            if part is not None:
                part.close()
        self._reader = self._connection = None

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

    def _damaged(self, problem: str) -> AuditDamagedError:
        return AuditDamagedError("audit log", problem, _ADVICE, self._paths.directory)
