"""Where a log stands when its writer opens it: what its last signed head says, or a refusal to go on.

Nothing here decides what happens next; it reads, compares, and says what the files
beside the database still lack.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from sessionactors.audit import database
from sessionactors.audit.checkpoint import Checkpoint, Signer, open_checkpoint, sign_checkpoint
from sessionactors.audit.contract import AuditHead
from sessionactors.audit.errors import AuditDamagedError, AuditKeyError
from sessionactors.audit.files import DurableFile, LogPaths
from sessionactors.audit.handover import base_name
from sessionactors.audit.keys import create_key, load_key, load_public_key, store_public_key
from sessionactors.audit.merkle import HASH_SIZE, Frontier, leaf_hashes
from sessionactors.audit.record import kinds_of
from sessionactors.audit.session_index import SEGMENT_SIZE, OpenSegment, keys_of
from supervisors.errors import SupervisorsError

__all__ = ["STORE_TIP", "Behind", "Standing", "begin", "damaged", "open_key", "read_leaves", "resume"]

STORE_TIP: Final = "INSERT OR REPLACE INTO tip (id, size, frontier, counts, checkpoints_size) VALUES (0, ?, ?, ?, ?)"
"""Write down from where the next writer goes on."""

_ADVICE: Final = "verify the log, keep the directory as evidence, and start a new log in another one"


class Behind(NamedTuple):
    """What the two files beside the database still lack.

    Attributes:
        hashes_at: where in `hashes` to go on.
        hashes: what to write there.
        notes_at: where in `checkpoints` to go on.
        notes: what to write there.
    """

    hashes_at: int
    hashes: bytes
    notes_at: int
    notes: bytes


@dataclass(slots=True)
class Standing:
    """Where a log stands.

    Attributes:
        frontier: the right edge of its tree.
        counts: its entries by kind.
        segment: the index entries of its last, unfinished segment.
        head: its last signed head.
        checkpoints_size: bytes of all its heads.
        behind: what a crash kept from the files, or None.
    """

    frontier: Frontier
    counts: Counter[int]
    segment: OpenSegment
    head: AuditHead
    checkpoints_size: int
    behind: Behind | None = None

    @classmethod
    def empty(cls) -> Standing:
        """Return where a log stands that has nothing yet."""
        frontier = Frontier()
        return cls(frontier, Counter(), OpenSegment(), AuditHead(0, frontier.root(), None), 0)


def open_key(paths: LogPaths, key_file: Path, origin: str | None, *, is_new: bool) -> Signer:
    """Return the private key of a log, made if the log is new and the file not there.

    Raises:
        AuditKeyError: it is missing, unsafe, or not this log's.
    """
    try:
        is_made = is_new and not key_file.exists()
    except OSError as error:
        raise AuditKeyError(
            "audit key", f"the path cannot be used ({error.strerror})", "check the path", key_file
        ) from error
    signer = create_key(key_file, origin) if is_made else load_key(key_file)
    if base_name(signer.verifier.name) != signer.verifier.name:
        raise AuditKeyError("audit key", "its name ends like that of a log that follows", "name it otherwise", key_file)
    own = load_public_key(paths.public_key).name if paths.public_key.exists() else origin
    if own is not None and base_name(own) == signer.verifier.name:
        signer = signer.renamed(own)  # the key's file has the name of the first log of the row
    if origin is not None and origin not in (signer.verifier.name, base_name(signer.verifier.name)):
        raise AuditKeyError(
            "audit key", "it signs under another origin", f"the origin is {signer.verifier.name}", key_file
        )
    if is_new and not paths.public_key.exists():
        store_public_key(paths.public_key, signer.verifier)
    if load_public_key(paths.public_key) != signer.verifier:
        raise AuditKeyError("audit key", "it is not the key of this log", "give the key it was made with", key_file)
    return signer


def begin(connection: sqlite3.Connection, paths: LogPaths, signer: Signer) -> None:
    """Write the head of the empty log, so that even a log without entries can be verified."""
    note = sign_checkpoint(Checkpoint(signer.verifier.name, 0, Frontier().root()), signer)
    with database.transaction(connection, paths.database):
        database.create_tables(connection)
        connection.execute("INSERT INTO heads (size, note) VALUES (0, ?)", (note,))
        connection.execute(STORE_TIP, (0, b"", database.pack_counts(Counter()), len(note)))


def resume(
    connection: sqlite3.Connection, paths: LogPaths, signer: Signer, hashes: DurableFile, checkpoints: DurableFile
) -> Standing:
    """Return where a log stands by its last head.

    Raises:
        AuditDamagedError: that is not where it is.

    Blocks: to read at most the last 16,384 entries.
    """
    with database.reported(paths.database):
        tip = connection.execute("SELECT size, frontier, counts, checkpoints_size FROM tip").fetchone()
        heads = connection.execute("SELECT size, note FROM heads ORDER BY size DESC LIMIT 2").fetchall()
        last = connection.execute("SELECT max(sequence) FROM entries").fetchone()[0]
    try:
        size, packed, counts, checkpoints_size = tip
        (head_size, note), before = heads[0], heads[1:]
        frontier = Frontier.from_bytes(size, packed)
        checkpoint = open_checkpoint(note, signer.verifier)
        standing = Standing(
            frontier,
            database.unpack_counts(counts),
            OpenSegment(),
            AuditHead(size, checkpoint.root, note),
            checkpoints_size,
        )
    except (SupervisorsError, ValueError, TypeError, IndexError) as error:
        raise damaged(paths, "its last head cannot be read, or another key has signed it") from error
    is_sound = checkpoint.size == head_size == size == (-1 if last is None else last) + 1
    if not is_sound or checkpoint.root != frontier.root():
        raise damaged(paths, "it does not end where its last signed head says")
    start = size & -SEGMENT_SIZE
    leaves = read_leaves(connection, paths, start, size)
    try:
        standing.segment.extend(start, keys_of(start, leaves), kinds_of(leaves))
    except (IndexError, TypeError) as error:
        raise damaged(paths, "an entry near its end was altered") from error
    _check_files(paths, standing, before[0][0] if before else 0, hashes, checkpoints)
    have = hashes.size() // HASH_SIZE
    missing = leaf_hashes(read_leaves(connection, paths, have, size))
    if missing or checkpoints.size() < checkpoints_size:
        standing.behind = Behind(have * HASH_SIZE, b"".join(missing), checkpoints_size - len(note), note)
    return standing


def _check_files(
    paths: LogPaths, standing: Standing, before: int, hashes: DurableFile, checkpoints: DurableFile
) -> None:
    """See that the files lack no more than a crash can keep from them: what came after `before` entries."""
    note, notes_end = standing.head.note or b"", standing.checkpoints_size
    hashes_at, notes_at = hashes.size(), checkpoints.size()
    if hashes_at > standing.head.size * HASH_SIZE or notes_at > notes_end:
        raise damaged(paths, "the files beside the database know of more entries than the database")
    if hashes_at < before * HASH_SIZE or notes_at < notes_end - len(note):
        raise damaged(paths, "the files beside the database lack more than the last commit")
    if not note.startswith(checkpoints.read(notes_end - len(note), len(note))):
        raise damaged(paths, "the last head in the checkpoints is not that of the database")


def read_leaves(connection: sqlite3.Connection, paths: LogPaths, start: int, stop: int) -> list[bytes]:
    """Return entries as the database has them.

    Raises:
        AuditDamagedError: some are missing.
    """
    with database.reported(paths.database):
        rows = connection.execute(
            "SELECT leaf FROM entries WHERE sequence >= ? AND sequence < ? ORDER BY sequence", (start, stop)
        )
        leaves = [leaf for (leaf,) in rows]
    if len(leaves) != stop - start:
        raise damaged(paths, "entries are missing")
    return leaves


def damaged(paths: LogPaths, problem: str) -> AuditDamagedError:
    """Return the error for a log that no writer goes on with."""
    return AuditDamagedError("audit log", problem, _ADVICE, paths.directory)
