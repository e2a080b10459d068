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

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self, final

from sessionactors.audit import database, erasing, resuming, sealing
from sessionactors.audit.checkpoint import Checkpoint, sign_checkpoint
from sessionactors.audit.columns import encode_batch
from sessionactors.audit.contract import AuditHead, AuditStatistics
from sessionactors.audit.errors import AuditError, AuditLockedError
from sessionactors.audit.handover import segment_number
from sessionactors.audit.keys import load_key
from sessionactors.audit.log_files import LogFiles
from sessionactors.audit.merkle import HASH_SIZE, leaf_hashes
from sessionactors.audit.openings import Erasure
from sessionactors.audit.plain_values import FORBIDDEN_KEYS
from sessionactors.audit.queries import AuditReader
from sessionactors.audit.record import (
    KINDS,
    AuditRecord,
    EventType,
    Severity,
    decode,
    kind_of,
    stored_name,
)
from sessionactors.audit.resuming import STORE_TIP, Behind, Standing

__all__ = ["PENDING_MAX", "AuditLog"]

PENDING_MAX: Final = 100_000
"""Entries that may wait for a commit; the next `append_many()` commits them first."""


@final
class AuditLog(LogFiles):
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
        personal: names of what is personal, see `sessionactors.audit.personal`; None
            for what the log was opened with before, which is nothing at first.
        redact_ids: whether sessions appear under a keyed hash; None if they did before.
        ids_key_file: where the key of that hash is; None for `ids.key` in the
            directory. It is made if it is not there and no entry needs it yet.

    Raises:
        AuditLockedError: another writer has the log open.
        AuditKeyError: a key is missing, unsafe, or not this log's.
        AuditDamagedError: the log is not what its last head says.
        AuditWriteError: something cannot be written.

    Thread: one at a time.
    Blocks: opening reads at most the last 16,384 entries; see `commit()`.
    """

    __slots__ = ("_commits",)

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        key_file: str | os.PathLike[str] | None = None,
        origin: str | None = None,
        forbidden: frozenset[str] = FORBIDDEN_KEYS,
        is_synced: bool = True,
        personal: Sequence[str] | None = None,
        redact_ids: bool | None = None,
        ids_key_file: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__(
            Path(directory),
            None if key_file is None else Path(key_file),
            origin,
            forbidden=forbidden,
            is_synced=is_synced,
            personal=personal,
            redact_ids=redact_ids,
            ids_key_file=None if ids_key_file is None else Path(ids_key_file),
        )
        self._commits = 0
        self._finish_after_opening()

    # --- Writing ---------------------------------------------------------------------------------------------------

    @property
    def pending(self) -> int:
        """How many entries wait for a commit."""
        return len(self._leaves)

    def oldest(self) -> float | None:
        """Return the wall time of entry 0, or None while nothing is committed."""
        connection = self._check_owner()
        leaves = resuming.read_leaves(connection, self._paths, 0, min(1, self.size))
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
        first = self.size + len(self._leaves)
        names = self.rules.pseudonyms
        leaves, keys, kinds, personal = encode_batch(
            first, events, self.rules.pack, None if names is None else names.of
        )
        self._leaves += leaves
        self._keys += keys
        self._kinds += kinds
        self._personal += personal
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
            return self._standing.head
        standing = self._standing
        first = self.size
        hashes = leaf_hashes(leaves)
        frontier = standing.frontier.copy()
        frontier.extend(hashes)
        counts = standing.counts.copy()
        counts.update(self._kinds)
        segment = standing.segment.copy()
        blocks = segment.extend(first, self._keys, self._kinds)
        checkpoint = Checkpoint(self.origin, frontier.size, frontier.root())
        note = sign_checkpoint(checkpoint, self._signer)
        checkpoints_size = standing.checkpoints_size + len(note)
        if self._personal or self._is_side_ahead:
            self._is_side_ahead = True
            self._side().put(segment_number(self.origin), first, self._personal)
        try:
            with database.transaction(connection, self._paths.database):
                database.insert_entries(connection, first, leaves)
                connection.executemany("INSERT INTO session_index (id, block) VALUES (?, ?)", blocks)
                connection.execute("INSERT INTO heads (size, note) VALUES (?, ?)", (frontier.size, note))
                tip = (frontier.size, frontier.to_bytes(), database.pack_counts(counts), checkpoints_size)
                connection.execute(STORE_TIP, tip)
        except AuditError:
            if self._stored_size(connection) != frontier.size:
                raise
        # From here on the entries are there, whatever happens to the files.
        unnoted = self._unnoted
        self._drop_pending()
        self._is_side_ahead = False
        head = AuditHead(frontier.size, checkpoint.root, note)
        behind = Behind(first * HASH_SIZE, b"".join(hashes), standing.checkpoints_size, note)
        self._standing = Standing(frontier, counts, segment, head, checkpoints_size, behind)
        self._commits += 1
        self._catch_up()
        for erasure, position in unnoted.items():
            self._side().noted(erasure, segment_number(self.origin), position)
        return head

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
        return self._standing.head

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
            self._reader = AuditReader(self._paths.directory, pseudonyms=self.rules.pseudonyms)
        return self._reader

    def statistics(self) -> AuditStatistics:
        """Return the counters as they are now."""
        by_kind = {KINDS[kind]: count for kind, count in sorted(self._standing.counts.items())}
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
        following = sealing.following_signer(self._signer, key_file, is_new=new_key_file is not None)
        handovers = sealing.handed_over(self._paths, self._signer, following, head)
        facts = {
            "event": "log_continues",
            "checkpoint": (head.note or b"").decode(),
            "reason": reason,
            "is_key_new": following.verifier.public != self._signer.verifier.public,
        }
        with AuditLog(self._paths.draft, key_file=key_file, origin=following.verifier.name) as draft:
            draft.append_many([(wall_time, monotonic_time, None, kind_of("compliance"), actor, facts)])
        is_key_here = new_key_file is not None and self._key_file == self._paths.private_key
        sealing.store_beside(self._paths, handovers, load_key(key_file) if is_key_here else None)
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
        return sealing.Sealed(directory, head, self.origin)

    def reopen(self) -> None:
        """Open the log again where a seal could not be completed; an open log stays as it is.

        Raises:
            AuditError: it still cannot be done.
        """
        if self._connection is None:
            self._open_files(None)
            self._finish_after_opening()

    def _finish_after_opening(self) -> None:
        with contextlib.suppress(AuditLockedError):  # somebody reads what is to be erased; it waits for the next time
            self.finish_erasures()

    # --- Erasing ---------------------------------------------------------------------------------------------------

    def erase(
        self, subject: str, wall_time: float, monotonic_time: float, *, actor: str = "program", reason: str = "asked"
    ) -> Erasure | None:
        """Erase the personal data of somebody in this log and in all that were sealed before; the tree stays as it is.

        Args:
            subject: a person, as the data name them (`user_id`), or a session.
            wall_time: seconds since 1970 UTC.
            monotonic_time: seconds.
            actor: who wants it, for the entry that says so.
            reason: why, likewise.

        Returns:
            What was erased, or None if nothing is kept of this subject, now or any more.

        Raises:
            AuditLockedError: somebody reads the data at this moment. What was found is
                gone for every reader, but not yet from every page of the disk; erasing again
                completes it, as does opening the log.
            AuditWriteError: it cannot be written.

        Blocks: for some microseconds for each personal value that is kept of anybody.
        """
        self.commit()
        if self._openings is None:
            return None
        names = self.rules.pseudonyms
        session = None if names is None else names.of(subject)
        erasure = self._openings.erase(
            stored_name(subject),
            session,
            wall_time=wall_time,
            monotonic_time=monotonic_time,
            actor=stored_name(actor),
            reason=reason,
        )
        self.finish_erasures()
        return None if erasure is None else self._openings.erasures_of(stored_name(subject))[-1]

    def finish_erasures(self) -> None:
        """Do what is left to do of erasures, after a crash or beside a reader; usually there is nothing.

        Raises:
            AuditError: it still cannot be done.
        """
        openings = self._openings
        unfinished = [] if openings is None else openings.unfinished()
        if openings is None or not unfinished:
            return
        openings.scrub()
        said = erasing.said_in(self.reader())
        for erasure in unfinished:
            if erasure.id in said:
                openings.noted(erasure.id, segment_number(self.origin), said[erasure.id])
            elif erasure.id not in self._unnoted:
                self._unnoted[erasure.id] = self.append_many([erasing.event_of(erasure)]).start
        self.commit()
