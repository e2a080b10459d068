"""Whether what is kept of personal data is what was logged, and what is gone was erased.

Each commitment in the log is open (what is kept beside the log opens it), erased (a
mark says by which erasure, and the log tells of that erasure) or neither. Then
somebody has taken it away, or altered it. Where there is no such file at all, the
copy that is verified was made without it; that is no fault, and is counted.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Final, final

from sessionactors.audit.erasing import SUBJECT_ERASED, told
from sessionactors.audit.errors import AuditError
from sessionactors.audit.files import LogPaths
from sessionactors.audit.openings import digest_of, open_for_reading
from sessionactors.audit.personal import commitments_in, is_opened_by
from sessionactors.audit.personal_reader import MARK
from sessionactors.audit.record import decode
from sessionactors.audit.verdict import Finding
from sessionactors.sqlite_files import FAULTS
from supervisors.errors import SupervisorsError

__all__ = ["PersonalCheck"]

_ERASED_MARK: Final = SUBJECT_ERASED.encode()
_OPENINGS: Final = (
    "SELECT sequence, pointer, salt, value FROM openings WHERE segment = ?1 AND sequence >= ?2 AND sequence < ?3"
    " AND length(value) <= 1048576"
)
_MARKS: Final = "SELECT sequence, pointer, erasure FROM erased WHERE segment = ?1 AND sequence >= ?2 AND sequence < ?3"
_MARKS_OF: Final = "SELECT segment, sequence, pointer FROM erased WHERE erasure = ? ORDER BY segment, sequence, pointer"
_ERASURES: Final = "SELECT id, tag, count, digest, segment, sequence FROM erasures ORDER BY id"


@final
class PersonalCheck:
    """Compares the commitments of a log with the file beside it, page by page.

    Args:
        paths: the log.
        segment: which log of its row it is.
        report: takes what is wrong.

    Attributes:
        open: commitments that were opened.
        erased: commitments that were erased.
        absent: commitments, where there is no file.
    """

    __slots__ = (
        "_connection",
        "_is_live",
        "_paths",
        "_report",
        "_said",
        "_segment",
        "_size",
        "absent",
        "erased",
        "open",
    )

    def __init__(self, paths: LogPaths, segment: int, report: Callable[[Finding], None]) -> None:
        self._paths = paths
        self._segment = segment
        self._report = report
        self._connection: sqlite3.Connection | None = None
        self._said: dict[int, tuple[str, int, str]] = {}  # what the log tells of each erasure
        self._size = 0
        self._is_live = False
        self.open = self.erased = self.absent = 0

    def open_file(self, stack: ExitStack, size: int, *, is_live: bool) -> None:
        """Open the file, if there is one; after the log, so that it has all that the log's entries want.

        Args:
            stack: closes it.
            size: entries of the log.
            is_live: whether a writer is at work.
        """
        self._size = size
        self._is_live = is_live
        if not self._paths.personal.exists():
            return
        try:
            connection = stack.enter_context(open_for_reading(self._paths.personal))
            connection.execute("BEGIN")
            connection.execute("SELECT count(*) FROM rules").fetchone()
            self._connection = connection
        except (AuditError, *FAULTS) as error:
            self._report(Finding("personal", None, "a file with personal data that can be read", str(error)))

    def check(self, position: int, leaves: list[bytes]) -> None:
        """Check the commitments in entries that follow each other."""
        found: dict[tuple[int, str], str] = {}
        joined = b"".join(leaves)  # one look through all of them takes a tenth of one through each
        if MARK in joined or _ERASED_MARK in joined:
            for sequence, leaf in enumerate(leaves, position):
                if MARK in leaf or _ERASED_MARK in leaf:
                    self._read(sequence, leaf, found)
        connection = self._connection
        if connection is None:
            self.absent += len(found)
            return
        span = (self._segment, position, position + len(leaves))
        try:
            openings = connection.execute(_OPENINGS, span).fetchall()
            marks = connection.execute(_MARKS, span).fetchall()
        except FAULTS as error:
            self._give_up(str(error))
            return
        for sequence, pointer, salt, value in openings:
            expected = found.pop((sequence, pointer), None)
            if expected is None or not is_opened_by(expected, salt, pointer, value):
                what = "nothing" if expected is None else f"what opens the commitment {expected}"
                self._report(Finding("personal", sequence, f"{what} at {pointer}", "something else"))
            else:
                self.open += 1
        for sequence, pointer, _ in marks:
            if found.pop((sequence, pointer), None) is None:
                self._report(Finding("personal", sequence, f"no erasure at {pointer}", "a mark of one"))
            else:
                self.erased += 1
        if found and not (self._is_live and self._is_erasing(found)):
            (sequence, pointer), expected = min(found.items())
            wanted = f"what opens the commitment {expected} at {pointer}, or an erasure"
            self._report(Finding("personal", sequence, wanted, "neither"))

    def finish(self) -> bool:
        """Compare the erasures with what the log tells of them; return whether one was interrupted."""
        connection = self._connection
        if connection is None:
            return False
        is_interrupted = False
        try:
            for number, tag, count, digest, segment, sequence in connection.execute(_ERASURES).fetchall():
                if digest_of(connection.execute(_MARKS_OF, (number,))) != (count, digest):
                    self._report(Finding("personal", sequence, f"the marks of erasure {number}", "others"))
                said = self._said.pop(number, None)
                if sequence is None:
                    is_interrupted = is_interrupted or said is None
                elif segment == self._segment and sequence < self._size and said != (tag, count, digest):
                    self._report(Finding("personal", sequence, f"the entry of erasure {number}", "another one"))
            unmarked = "SELECT 1 FROM erased WHERE erasure NOT IN (SELECT id FROM erasures) LIMIT 1"
            if connection.execute(unmarked).fetchone():
                self._report(Finding("personal", None, "marks of erasures that there were", "marks of another one"))
            beyond = "SELECT sequence FROM openings WHERE segment = ? AND sequence >= ? LIMIT 1"
            ahead = connection.execute(beyond, (self._segment, self._size)).fetchone()
        except (TypeError, ValueError, *FAULTS) as error:
            self._give_up(str(error))
            return False
        for number in self._said:
            self._report(Finding("personal", None, f"the erasure {number}, of which the log tells", "none"))
        return not self._is_live and (is_interrupted or ahead is not None)

    def _read(self, sequence: int, leaf: bytes, found: dict[tuple[int, str], str]) -> None:
        try:
            record = decode(leaf)
        except SupervisorsError:
            return  # the next head will show it to be bad
        for pointer, text in commitments_in(record.data).items():
            found[sequence, pointer] = text
        said = told(record)
        if said is not None:
            self._said[said[0]] = said[1:]

    def _is_erasing(self, found: Iterable[tuple[int, str]]) -> bool:
        """Tell whether a writer may have taken these away since; then it has left marks, for a new look."""
        try:
            with open_for_reading(self._paths.personal) as connection:
                sql = "SELECT 1 FROM erased WHERE segment = ? AND sequence = ? AND pointer = ?"
                return all(connection.execute(sql, (self._segment, *place)).fetchone() for place in found)
        except (AuditError, *FAULTS):
            return False

    def _give_up(self, problem: str) -> None:
        self._report(Finding("personal", None, "a file with personal data that can be read", problem))
        self._connection = None
