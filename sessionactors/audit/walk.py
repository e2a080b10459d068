"""The walk of a verifier through a log: once, in order, in constant memory.

At each signed head the root of the tree over the entries so far must be the one
that was signed. That alone tells *that* something was altered since the head
before. *Which* entry it was is told by the `hashes` file:

1. The hash of each entry is compared with the stored one. At the first that
   differs, a second tree goes on with the stored hashes.
2. At the next signed head one of the two trees has the signed root. If it is
   that of the stored hashes, these are authentic, and the entry is the first
   bad one. If it is that of the entries, the file was altered and not they.
3. If it is neither, entries *and* hashes were rewritten. Then it is certain that
   something was altered since the last good head, and nothing that is signed
   can tell which entry: the finding says from where on nothing is proved.

The order of reading makes it safe beside a writer: first the lengths of the
files, then the database in one transaction. The writer commits to the database
first, so whatever is in the files by then is in the database.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Final, cast, final

from sessionactors.audit import database
from sessionactors.audit.checkpoint import Verifier
from sessionactors.audit.errors import AuditDamagedError
from sessionactors.audit.files import LogPaths
from sessionactors.audit.handover import segment_number
from sessionactors.audit.merkle import HASH_SIZE, Frontier, leaf_hashes
from sessionactors.audit.personal_check import PersonalCheck
from sessionactors.audit.record import LEAF_SIZE_MAX, kinds_of
from sessionactors.audit.session_index import KEY_BITS, SEGMENT_BITS, SEGMENT_SIZE, Block, OpenSegment, keys_of
from sessionactors.audit.statements import Statement, Statements
from sessionactors.audit.verdict import FINDINGS_MAX, Finding, Part
from sessionactors.sqlite_files import FAULTS

__all__ = ["Walk"]

_PAGE: Final = 4096
# The length is asked for first, so that a huge value in a forged row is not even read.
_READ_PAGE: Final = (
    f"SELECT sequence, CASE WHEN length(leaf) <= {LEAF_SIZE_MAX} THEN leaf END FROM entries"  # noqa: S608
    " WHERE sequence >= ? ORDER BY sequence LIMIT ?"
)


@final
class Walk:
    """One walk through one log.

    Args:
        paths: where its parts are.
        verifier: the key that must have signed its heads.
        progress: called now and then with entries done and entries in all, or None.

    Attributes:
        findings: what is wrong, in the order it was met.
        statements: the signed heads.
        heads: how many there were.
        frontier: the tree over the entries as they are.
        stored: the tree over the stored hashes from the first difference on,
            or None while there is none.
        suspect: what was found at the first difference.
        is_broken: entries are missing, so `frontier` says nothing any more.
        is_over: a bad entry was found, so there is nothing more to compare with.
        is_live: a writer has the log open.
        is_behind: the files lack what a crash can take from them.
        last_good: size of the last head whose root is that of the entries.
        last_root: its root.
        segment: the unfinished segment of the index, made again.
        counts: the counters, made again.
        first_leaf: entry 0, if there is one.
        personal: the commitments to personal data, and what opens them.
    """

    def __init__(self, paths: LogPaths, verifier: Verifier, progress: Callable[[int, int], None] | None) -> None:
        self.paths = paths
        self.findings: list[Finding] = []
        self.statements = Statements(verifier, self.report)
        self.frontier = Frontier()
        self.stored: Frontier | None = None
        self.suspect: Finding | None = None
        self.is_broken = False
        self.is_over = False
        self.is_live = False
        self.is_behind = False
        self.last_good: int | None = None
        self.last_root = b""
        self.segment = OpenSegment()
        self.counts: Counter[int] = Counter()
        self.first_leaf: bytes | None = None
        self.hashes_left = 0
        self.hashes: BinaryIO | None = None
        self.heads = 0
        self.total = 0
        self.personal = PersonalCheck(paths, segment_number(verifier.name), self.report)
        self._progress = progress

    def report(self, finding: Finding) -> None:
        """Take down what is wrong; of many things the first are kept, and all that are about entries."""
        if len(self.findings) < FINDINGS_MAX or finding.part == "entry":
            self.findings.append(finding)

    def run(self, stack: ExitStack, known_head: bytes | None) -> None:
        """Read everything and take down what is wrong."""
        checkpoints, checkpoints_size = self._open(stack, self.paths.checkpoints, "checkpoints")
        self.hashes, hashes_size = self._open(stack, self.paths.hashes, "hashes")
        self.hashes_left = hashes_size // HASH_SIZE
        self.is_live = self.paths.write_ahead_log.exists() and _is_locked(checkpoints)
        journal = self.paths.rollback_journal
        self.is_behind = journal.exists() and journal.stat().st_size > 0
        try:
            connection = database.open_for_reading(self.paths.database)
        except AuditDamagedError as error:
            self.report(Finding("database", 0, "a database that can be opened", str(error)))
            return
        stack.callback(connection.close)
        try:
            connection.execute("BEGIN")
            fault = database.schema_fault(connection)
            if fault is not None:
                self.report(Finding("database", None, "the tables of an audit log", fault))
                return
            self._check_beginning(connection)
            self.personal.open_file(stack, self.total, is_live=self.is_live)
            self._check_entries(connection, checkpoints, checkpoints_size, known_head)
            if not self.is_over:
                self._check_rest(connection, hashes_size)
                self.is_behind = self.personal.finish() or self.is_behind
        except FAULTS as error:
            self.report(Finding("database", self.frontier.size, "a database that can be read", str(error)))

    # --- Entries ---------------------------------------------------------------------------------------------------

    def _check_beginning(self, connection: sqlite3.Connection) -> None:
        (first,) = connection.execute("SELECT min(sequence) FROM entries").fetchone()
        (self.total,) = connection.execute("SELECT coalesce(max(sequence), -1) + 1 FROM entries").fetchone()
        if first is not None and first < 0:
            self.report(Finding("entry", 0, "entry 0 as the first", f"an inserted entry {first}"))
            self.is_over = True

    def _check_entries(
        self, connection: sqlite3.Connection, file: BinaryIO | None, file_size: int, known: bytes | None
    ) -> None:
        """Go from head to head; stop at the first that the entries do not lead to."""
        blocks = _Blocks(connection, self.report)
        unnoted: list[Statement] = []  # heads that the file lacks, since the last that it has
        for statement in self.statements.read(connection, file, file_size, known):
            self.heads += 1
            if not self.is_over:
                self._advance(connection, statement.checkpoint.size, blocks)
                self._judge(statement)
            if "checkpoints" in statement.sources:
                if unnoted:
                    self._report_unnoted(unnoted[0])
                    unnoted = []
                if "database" not in statement.sources and not self.is_broken:
                    size = statement.checkpoint.size
                    self.report(Finding("head", size, f"the head of {size} entries", "none in the database"))
            elif "database" in statement.sources:
                # Two are enough to know: a crash loses at most one.
                unnoted = [*unnoted, statement][:2]
        self._check_tail(unnoted)
        if not self.is_over:
            self._check_end(connection)
        if not self.is_over:
            blocks.finish()

    def _advance(self, connection: sqlite3.Connection, size: int, blocks: _Blocks) -> None:
        """Take in the entries up to a size, or up to where they end or cannot be read."""
        while self.frontier.size < size and not self.is_broken:
            position = self.frontier.size
            rows = self._page(connection, position, min(_PAGE, size - position))
            leaves = self._unbroken(position, rows)
            if leaves:
                self._take_in(position, leaves)
                self.personal.check(position, leaves)
                self._index(position, leaves, blocks)
            if self._progress is not None:
                self._progress(self.frontier.size, max(self.total, size))

    def _page(self, connection: sqlite3.Connection, position: int, count: int) -> list[tuple[int, bytes | None]]:
        """Return rows from a position on; where a page of the database is spoilt, those before it."""
        try:
            return connection.execute(_READ_PAGE, (position, count)).fetchall()
        except FAULTS:
            if count == 1:
                return [(position, None)]
            return self._page(connection, position, count // 2)

    def _unbroken(self, position: int, rows: list[tuple[int, bytes | None]]) -> list[bytes]:
        """Return the leaves up to the first row that is not the one that belongs there, which becomes the suspect."""
        found = [leaf for _, leaf in rows]
        # Keys rise, so if the last one is where it belongs, all are.
        if rows and rows[-1][0] == position + len(rows) - 1 and set(map(type, found)) == {bytes}:
            return cast("list[bytes]", found)
        leaves: list[bytes] = []
        for expected, (sequence, leaf) in enumerate(rows, position):
            if sequence != expected:
                self._break(expected, f"entry {sequence} as the next one")
                return leaves
            if not isinstance(leaf, bytes):
                self._break(expected, "something that is no entry, or cannot be read")
                return leaves
            leaves.append(leaf)
        if not rows:
            self._break(position, "the end of the log")
        return leaves

    def _break(self, position: int, found: str) -> None:
        self.is_broken = True
        if self.suspect is None:
            self.suspect = Finding("entry", position, f"entry {position}", found)

    def _take_in(self, position: int, leaves: list[bytes]) -> None:
        """Add entries to the tree, and compare them with the stored hashes."""
        if not position:
            self.first_leaf = leaves[0]
        hashes = leaf_hashes(leaves)
        stored = self._stored_hashes(len(leaves))
        if self.stored is None and not b"".join(hashes).startswith(stored):
            pairs = zip(hashes, _cut(stored), strict=False)
            same, wanted, found = next((at, two, one) for at, (one, two) in enumerate(pairs) if one != two)
            self.frontier.extend(hashes[:same])
            self.stored = self.frontier.copy()
            # A break in the same page comes after these leaves, so it is not the first.
            self.suspect = Finding("entry", position + same, f"leaf hash {wanted.hex()}", found.hex())
            hashes, stored = hashes[same:], stored[same * HASH_SIZE :]
        if self.stored is not None:
            self.stored.extend(_cut(stored))
        self.frontier.extend(hashes)

    def _stored_hashes(self, count: int) -> bytes:
        """Return the next stored hashes, fewer where the file ends."""
        if self.hashes is None:
            return b""
        count = min(count, self.hashes_left)
        self.hashes_left -= count
        return self.hashes.read(count * HASH_SIZE)

    def _index(self, position: int, leaves: list[bytes], blocks: _Blocks) -> None:
        """Make the index and the counters again, as the writer made them."""
        try:
            kinds = kinds_of(leaves)
            keys = keys_of(position, leaves)
        except IndexError:
            # No writer makes so short a leaf. The next head will show it to be bad.
            self.segment = OpenSegment()
            return
        self.counts.update(kinds)
        blocks.compare(self.segment.extend(position, keys, kinds))

    # --- Heads -----------------------------------------------------------------------------------------------------

    def _judge(self, statement: Statement) -> None:
        """Compare the trees with what was signed."""
        size, root = statement.checkpoint.size, statement.checkpoint.root
        if self.suspect is None:
            if self.frontier.root() == root:
                self._accept(size, root)
            else:
                self._report_range(size, root)
            return
        if not self.is_broken and self.frontier.root() == root:
            self.report(Finding("hashes", self.suspect.position, self.suspect.found, self.suspect.expected))
            self.suspect = self.stored = None
            self._accept(size, root)
            return
        if self._root_of_stored(size) == root:
            self.report(self.suspect)
            self.is_over = True
            return
        self._report_range(size, root)

    def _accept(self, size: int, root: bytes) -> None:
        self.last_good, self.last_root = size, root

    def _root_of_stored(self, size: int) -> bytes | None:
        """Return the root of the stored hashes at a size, or None if there are not so many."""
        tree = self.stored if self.stored is not None else self.frontier.copy()
        while tree.size < size:
            stored = self._stored_hashes(min(_PAGE, size - tree.size))
            if not stored:
                return None
            tree.extend(_cut(stored))
        return tree.root()

    def _report_range(self, size: int, root: bytes) -> None:
        """Report that entries were altered of which the stored hashes do not tell which."""
        start = self.last_good or 0
        if self.suspect is not None and self.is_broken:
            # What is missing is missing, but something before it may have been rewritten.
            self.report(replace(self.suspect, unproved_from=start if start < size - 1 else None))
        else:
            expected = f"root {root.hex()} over {size} entries"
            unproved_from = start if start < size - 1 else None
            self.report(Finding("entry", start, expected, self.frontier.root().hex(), unproved_from))
        self.is_over = True

    def _check_end(self, connection: sqlite3.Connection) -> None:
        """Check that the log ends where its last head says."""
        size = self.frontier.size
        more = self._page(connection, size, 1)
        if more:
            expected = f"the end of the log, as signed at {self.last_good or 0} entries"
            self.report(Finding("entry", size, expected, f"entry {more[0][0]}"))
            self.is_over = True
        elif self.hashes_left:
            self.report(Finding("entry", size, f"entry {size}, whose hash is stored", "the end of the log"))
            self.is_over = True
        elif self.last_good is None:
            self.report(Finding("head", 0, "a signed head", "none"))

    def _report_unnoted(self, statement: Statement) -> None:
        size = statement.checkpoint.size
        self.report(Finding("checkpoints", size, f"the head of {size} entries", "none in the file"))

    def _check_tail(self, unnoted: list[Statement]) -> None:
        """Judge what the file lacks at its end: a writer at work explains that, and a crash explains one head."""
        rest = self.statements.rest
        if self.is_live:
            return
        if rest and not (unnoted and self.statements.last_note.startswith(rest)):
            self.report(Finding("checkpoints", None, "whole heads", repr(rest[:120])))
        elif len(unnoted) > 1:
            self._report_unnoted(unnoted[0])
        elif unnoted:
            self.is_behind = True

    # --- The rest --------------------------------------------------------------------------------------------------

    def _check_rest(self, connection: sqlite3.Connection, hashes_size: int) -> None:
        """Check what is neither entry nor head: the hashes' end, the tip, and the file as such."""
        size = self.frontier.size
        if hashes_size != size * HASH_SIZE and not self.is_live:
            # A crash keeps from the file at most what the last commit added.
            if self.statements.last_sizes[1] * HASH_SIZE <= hashes_size < size * HASH_SIZE:
                self.is_behind = True
            else:
                self.report(Finding("hashes", hashes_size // HASH_SIZE, f"{size} hashes", f"{hashes_size} bytes"))
        tip = connection.execute("SELECT id, size, frontier, counts, checkpoints_size FROM tip LIMIT 2").fetchall()
        right = (0, size, self.frontier.to_bytes(), database.pack_counts(self.counts), self.statements.notes_size)
        if tip != [right]:
            self.report(Finding("tip", None, "the row a writer goes on from", "another one"))
        (state,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if state != "ok":
            self.report(Finding("database", None, "a sound file", str(state)))
        with self.paths.database.open("rb") as file:
            fault = database.header_fault(file.read(database.HEADER_SIZE))
        if fault is not None:
            self.report(Finding("database", None, "the header of an audit log's file", fault))

    def _open(self, stack: ExitStack, path: Path, part: Part) -> tuple[BinaryIO | None, int]:
        """Open a file of the log and note how long it is now."""
        if not path.is_file():
            self.report(Finding(part, None, f"the file {path.name}", "none"))
            return None, 0
        file = stack.enter_context(path.open("rb"))
        return file, os.fstat(file.fileno()).st_size


@final
class _Blocks:
    """The stored index, compared block by block with one that is made again."""

    def __init__(self, connection: sqlite3.Connection, report: Callable[[Finding], None]) -> None:
        self._rows: Iterator[tuple[int, bytes]] = connection.execute(
            "SELECT id, CASE WHEN length(block) <= 1048576 THEN block END FROM session_index ORDER BY id"
        )
        self._report = report
        self._is_good = True

    def compare(self, blocks: list[Block]) -> None:
        """Compare the next blocks with those that should be there."""
        for block in blocks:
            if self._is_good and next(self._rows, None) != block:
                self._is_good = False
                position = block[0] >> KEY_BITS << SEGMENT_BITS
                expected = f"the index of entries {position} to {position + SEGMENT_SIZE - 1}"
                self._report(Finding("index", position, expected, "another one, or none"))

    def finish(self) -> None:
        """Check that there are no more blocks than there should be."""
        if self._is_good and next(self._rows, None) is not None:
            self._report(Finding("index", None, "no more blocks", "a block too many"))


def _cut(hashes: bytes) -> list[bytes]:
    return [hashes[at : at + HASH_SIZE] for at in range(0, len(hashes), HASH_SIZE)]


def _is_locked(file: BinaryIO | None) -> bool:
    """Tell whether a writer has the log open.

    To ask is to take the lock for a moment, in which a writer that opens the
    log would be refused. So this is asked only where one is, or has crashed.
    """
    if file is None:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    fcntl.flock(file, fcntl.LOCK_UN)
    return False
