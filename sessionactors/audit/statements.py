"""The signed heads of a log, gathered from everywhere they are kept.

Each head is in the database and in the `checkpoints` file. Whoever cannot sign
can remove or spoil one, but not make one, so a head that has a good signature
counts wherever it was found; that one copy is missing or spoiled is told.
"""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final, Literal, TypeAlias, final

from sessionactors.audit.checkpoint import NOTE_SIZE_MAX, Checkpoint, Verifier, open_checkpoint
from sessionactors.audit.verdict import Finding, Part
from sessionactors.sqlite_files import FAULTS
from supervisors.errors import SupervisorsError

__all__ = ["Source", "Statement", "Statements", "split_notes"]

Source: TypeAlias = Literal["database", "checkpoints", "known"]

_DASH: Final = "\u2014 ".encode()
_REMEMBERED: Final = 64
_FIND_HEADS: Final = f"SELECT size, CASE WHEN length(note) <= {NOTE_SIZE_MAX} THEN note END FROM heads ORDER BY size"  # noqa: S608
_PARTS: Final[dict[Source, Part]] = {"database": "head", "checkpoints": "checkpoints", "known": "head"}


@dataclass(frozen=True, slots=True)
class Statement:
    """What the key said about the log at one size.

    Attributes:
        checkpoint: size and root.
        sources: where it was found.
    """

    checkpoint: Checkpoint
    sources: frozenset[Source]


@final
class Statements:
    """All signed statements in the order of their size, each once.

    Args:
        verifier: the key that must have signed.
        report: takes what is wrong.

    Attributes:
        good: how many notes had a good signature.
        bad: how many had not.
        notes_size: bytes of all notes in the database.
        last_note: the last note of the database so far.
        last_sizes: sizes of its last two heads, the later one first.
        rest: bytes at the end of the file that are no whole note.
    """

    __slots__ = ("_remembered", "_report", "bad", "good", "last_note", "last_sizes", "notes_size", "rest", "verifier")

    def __init__(self, verifier: Verifier, report: Callable[[Finding], None]) -> None:
        self.verifier = verifier
        self._report = report
        self._remembered: dict[bytes, Checkpoint] = {}
        self.good = 0
        self.bad = 0
        self.notes_size = 0
        self.last_note = b""
        self.last_sizes = (0, 0)
        self.rest = b""

    def read(
        self, connection: sqlite3.Connection, file: BinaryIO | None, file_size: int, known: bytes | None
    ) -> Iterator[Statement]:
        """Yield the statements.

        Args:
            connection: the database, in a transaction.
            file: the checkpoints, or None if the file is missing.
            file_size: how much of it belongs to the log as it is looked at.
            known: a note that somebody kept elsewhere, or None.
        """
        streams: list[Iterator[tuple[Checkpoint, Source]]] = [self._from_database(connection)]
        if file is not None:
            streams.append(self._from_file(file, file_size))
        if known is not None:
            streams.append(self._rising(iter([(known, None)]), "known"))
        pending: Checkpoint | None = None
        sources: set[Source] = set()
        for checkpoint, source in heapq.merge(*streams, key=lambda item: item[0].size):
            if pending is not None and checkpoint != pending:
                yield Statement(pending, frozenset(sources))
                sources = set()
                if checkpoint.size == pending.size:
                    self._report(_two_roots(pending, checkpoint))
            pending = checkpoint
            sources.add(source)
        if pending is not None:
            yield Statement(pending, frozenset(sources))

    def _from_database(self, connection: sqlite3.Connection) -> Iterator[tuple[Checkpoint, Source]]:
        def notes() -> Iterator[tuple[bytes, int | None]]:
            try:
                for size, note in connection.execute(_FIND_HEADS):
                    whole = note if isinstance(note, bytes) else b""
                    self.notes_size += len(whole)
                    self.last_note, self.last_sizes = whole, (size, self.last_sizes[0])
                    yield whole, size
            except FAULTS as error:
                self._report(Finding("database", None, "heads that can be read", str(error)))

        return self._rising(notes(), "database")

    def _from_file(self, file: BinaryIO, size: int) -> Iterator[tuple[Checkpoint, Source]]:
        def notes() -> Iterator[tuple[bytes, int | None]]:
            for note in split_notes(file, size):
                if note.endswith(b"\n") and _DASH in note:
                    yield note, None
                else:
                    self.rest = note

        return self._rising(notes(), "checkpoints")

    def _rising(self, notes: Iterator[tuple[bytes, int | None]], source: Source) -> Iterator[tuple[Checkpoint, Source]]:
        """Yield the good ones among notes, which must be in the order of their size."""
        last = -1
        for note, size in notes:
            position = _claimed_size(note) if size is None else size
            checkpoint = self._opened(note)
            if checkpoint is None:
                self.bad += 1
                self._report(Finding(_PARTS[source], position, "a head signed by the log's key", _short(note)))
            elif checkpoint.size <= last or (size is not None and checkpoint.size != size):
                found = f"the head of size {checkpoint.size}"
                expected = f"a head of more than {last} entries" if size is None else f"the head of {size} entries"
                self._report(Finding(_PARTS[source], position, expected, found))
            else:
                self.good += 1
                last = checkpoint.size
                yield checkpoint, source

    def _opened(self, note: bytes) -> Checkpoint | None:
        """Return what a note says if the key has signed it. The second copy of a note costs no second check."""
        checkpoint = self._remembered.get(note)
        if checkpoint is None:
            try:
                checkpoint = open_checkpoint(note, self.verifier)
            except SupervisorsError:
                return None
            if len(self._remembered) >= _REMEMBERED:
                self._remembered.clear()
            self._remembered[note] = checkpoint
        return checkpoint


def split_notes(file: BinaryIO, size: int) -> Iterator[bytes]:
    """Yield the notes of a file: each goes up to its last signature line, the rest of the file is one of its own."""
    note = b""
    is_signed = False
    while size > 0:
        line = file.readline(min(size, NOTE_SIZE_MAX))
        if not line:
            break
        size -= len(line)
        if (is_signed and not line.startswith(_DASH)) or len(note) > NOTE_SIZE_MAX:
            yield note
            note = b""
        note += line
        is_signed = line.startswith(_DASH)
    if note:
        yield note


def _two_roots(one: Checkpoint, other: Checkpoint) -> Finding:
    return Finding(
        "head",
        one.size,
        f"one root for {one.size} entries",
        f"two signed ones, {one.root.hex()} and {other.root.hex()}",
    )


def _claimed_size(note: bytes) -> int | None:
    """Return the size that a note states, whether it may be believed or not."""
    lines = note.split(b"\n", 2)
    return int(lines[1]) if len(lines) == 3 and lines[1].isdigit() and len(lines[1]) < 20 else None


def _short(note: bytes) -> str:
    return repr(note[:120])
