"""Reading a log directory: entries one by one, counters, and proofs. Needs no writer and stops none.

A reader sees what was committed when it is asked. Whatever it yields it fetches
in pages, so a query over ten million entries holds some hundred of them.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self, final

from sessionactors.audit import database
from sessionactors.audit.contract import AuditHead, AuditStatistics
from sessionactors.audit.errors import AuditDamagedError, AuditReadError
from sessionactors.audit.files import LogPaths
from sessionactors.audit.handover import segment_number
from sessionactors.audit.keys import load_public_key
from sessionactors.audit.merkle import HASH_SIZE, Frontier, consistency_proof, inclusion_proof, leaf_hashes
from sessionactors.audit.openings import Erasure
from sessionactors.audit.personal_reader import MARK, PersonalReader
from sessionactors.audit.pseudonyms import Pseudonyms, names_of_session
from sessionactors.audit.record import (
    EVENT_TYPES,
    KINDS,
    SEVERITIES,
    AuditRecord,
    EventType,
    Severity,
    decode,
    kind_of,
    stored_name,
)
from sessionactors.audit.session_index import (
    SEGMENT_BITS,
    find_in_block,
    key_of_kind,
    key_of_session,
)
from supervisors.errors import InvalidArgumentError, SupervisorsError

__all__ = ["AuditReader", "is_wanted", "wanted_kinds"]

_PAGE: Final = 512
_SEGMENTS_PAGE: Final = 64
_TYPE_AT: Final = 2
_SEVERITY_AT: Final = 3
_ADVICE: Final = "verify the log"

# The block that has a key is the last one of its segment that does not begin behind it.
# (33 is `session_index.KEY_BITS`.)
_FIND_BLOCKS: Final = """
WITH RECURSIVE segments(number) AS (
    SELECT ?1 UNION ALL SELECT number + 1 FROM segments WHERE number + 1 < ?2
)
SELECT number, (
    SELECT block FROM session_index
    WHERE id >= (number << 33) AND id <= ((number << 33) | ?3)
    ORDER BY id DESC LIMIT 1
) FROM segments
"""


@final
class AuditReader:
    """Reads one log directory.

    Args:
        directory: where the log is.
        pseudonyms: the key under which sessions appear, where they do; None looks for
            it beside the log.
        home: the directory with that key and with the personal data; None for the one
            that the log belongs to.
        is_personal: whether personal data are put back in their places, as far as they
            are there. If not, commitments stand there.

    Raises:
        AuditReadError: there is no log.
        AuditDamagedError: what is there is no log's database.

    Thread: one at a time.
    """

    __slots__ = ("_connection", "_paths", "_personal", "_pseudonyms")

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        pseudonyms: Pseudonyms | None = None,
        home: Path | None = None,
        is_personal: bool = True,
    ) -> None:
        self._paths = LogPaths.for_reading(Path(directory), home)
        self._pseudonyms = pseudonyms
        self._personal = PersonalReader(self._paths) if is_personal and self._paths.personal.exists() else None
        self._connection: sqlite3.Connection | None = database.open_for_reading(self._paths.database)
        try:
            self._check_tables(self._connection)
        except BaseException:
            self.close()
            raise

    def head(self) -> AuditHead:
        """Return the last head as the database has it; its signature is not checked here."""
        row = self._row("SELECT size, note, (SELECT frontier FROM tip) FROM heads ORDER BY size DESC LIMIT 1")
        try:
            size, note, frontier = row
            return AuditHead(size, Frontier.from_bytes(size, frontier).root(), note)
        except (SupervisorsError, TypeError, ValueError) as error:
            raise self._damaged("its last head cannot be read") from error

    @property
    def number(self) -> int:
        """Which log of its row it is, from 1, by the name in its public key.

        Raises:
            AuditKeyError: it has no public key.
        """
        return segment_number(load_public_key(self._paths.public_key).name)

    @property
    def size(self) -> int:
        """How many entries are committed."""
        size: int = self._row("SELECT size FROM tip")[0]
        return size

    def statistics(self) -> AuditStatistics:
        """Return how many entries there are of each kind."""
        size, counts = self._row("SELECT size, counts FROM tip")
        try:
            by_kind = {KINDS[kind]: count for kind, count in database.unpack_counts(counts).items()}
        except (ValueError, TypeError, KeyError) as error:
            raise self._damaged("its counters cannot be read") from error
        return AuditStatistics(size, 0, 0, by_kind)

    def leaf(self, sequence: int) -> bytes:
        """Return the stored bytes of an entry.

        Raises:
            InvalidArgumentError: the log has no such entry.
        """
        _check_position("sequence", sequence, self.size - 1)
        leaf: bytes = self._row("SELECT leaf FROM entries WHERE sequence = ?", sequence)[0]
        return leaf

    def leaves(self, start: int, stop: int) -> list[bytes]:
        """Return the stored bytes of entries from a position up to, not including, another; fewer if some are gone."""
        return list(self._leaves(None, start, stop))

    def events(
        self,
        *,
        session: str | None = None,
        event_type: EventType | None = None,
        severity: Severity | None = None,
        start: int = 0,
        stop: int | None = None,
    ) -> Iterator[AuditRecord]:
        """Yield entries in order (see `AuditStore.events()`).

        Raises:
            InvalidArgumentError: there is no such type or severity, or a
                position is negative.
            AuditKeyError: a session is wanted of a log that does not tell ids, and its key is not here.
        """
        wanted = wanted_kinds(event_type, severity, start, stop)
        size = self.size
        stop = size if stop is None else min(stop, size)
        names = None if session is None else names_of_session(self._paths, session, self._pseudonyms)
        keys = _keys_for(names, event_type, wanted)
        return self._records(leaf for leaf in self._leaves(keys, start, stop) if is_wanted(leaf, names, wanted))

    def _records(self, leaves: Iterable[bytes]) -> Iterator[AuditRecord]:
        personal = self._personal
        if personal is None:
            return map(decode, leaves)
        return (personal.record_of(leaf) if MARK in leaf else decode(leaf) for leaf in leaves)

    def names_of(self, session: str) -> tuple[str, ...]:
        """Return under which names the log may have a session.

        Raises:
            AuditKeyError: it does not tell ids, and the key is not here.
        """
        return names_of_session(self._paths, session, self._pseudonyms)

    def erasures_of(self, subject: str) -> list[Erasure]:
        """Return the erasures of somebody that the file of personal data knows of; none where that is not at hand."""
        return [] if self._personal is None else self._personal.erasures_of(stored_name(subject))

    def hashes(self, start: int, stop: int) -> list[bytes]:
        """Return leaf hashes from a position up to, not including, another.

        They are those of the file beside the database. What that lacks still, because
        a writer is at work or was interrupted, is computed from the entries.

        Raises:
            AuditReadError: the file cannot be read.
            AuditDamagedError: there are fewer than that.
        """
        try:
            with self._paths.hashes.open("rb") as file:
                file.seek(start * HASH_SIZE)
                raw = file.read((stop - start) * HASH_SIZE)
        except OSError as error:
            raise AuditReadError(
                "audit hashes", f"it cannot be read ({error.strerror})", _ADVICE, self._paths.hashes
            ) from error
        known = len(raw) // HASH_SIZE
        hashes = [raw[at : at + HASH_SIZE] for at in range(0, known * HASH_SIZE, HASH_SIZE)]
        hashes += leaf_hashes(self._leaves(None, start + known, stop))
        if len(hashes) != stop - start:
            raise AuditDamagedError("audit hashes", "the file is too short", _ADVICE, self._paths.hashes)
        return hashes

    def prove_inclusion(self, sequence: int, size: int | None = None) -> list[bytes]:
        """Return the audit path of an entry in the tree of a size, by default the whole log.

        Blocks: for about a microsecond for each entry of the tree.
        """
        return inclusion_proof(sequence, self.size if size is None else size, self.hashes)

    def prove_consistency(self, first: int, second: int | None = None) -> list[bytes]:
        """Return the proof that the log at one size is the beginning of it at another, by default of all of it."""
        return consistency_proof(first, self.size if second is None else second, self.hashes)

    def close(self) -> None:
        """Let go of the database; a second call does nothing."""
        if self._personal is not None:
            self._personal.close()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<AuditReader {'closed' if self._connection is None else 'open'}>"

    # --- Finding ---------------------------------------------------------------------------------------------------

    def _leaves(self, keys: list[int] | None, start: int, stop: int) -> Iterator[bytes]:
        if keys is not None:
            # Only full segments are indexed. The last one is read as it is.
            indexed = stop >> SEGMENT_BITS
            for first in range(start >> SEGMENT_BITS, indexed, _SEGMENTS_PAGE):
                places = self._places(keys, first, min(first + _SEGMENTS_PAGE, indexed))
                yield from self._chosen([place for place in places if place >= start])
            start = max(start, indexed << SEGMENT_BITS)
        while start < stop:
            page = self._rows(
                "SELECT leaf FROM entries WHERE sequence >= ? AND sequence < ? ORDER BY sequence",
                start,
                min(start + _PAGE, stop),
            )
            for (leaf,) in page:
                yield leaf
            start += _PAGE

    def _places(self, keys: list[int], first: int, last: int) -> list[int]:
        """Return where the keys are in some full segments, in order."""
        places: list[int] = []
        for key in keys:
            for segment, block in self._rows(_FIND_BLOCKS, first, last, key):
                if block is not None:
                    base = segment << SEGMENT_BITS
                    places += [base | place for place in find_in_block(block, key)]
        return sorted(places)

    def _chosen(self, places: list[int]) -> Iterator[bytes]:
        for at in range(0, len(places), _PAGE):
            some = places[at : at + _PAGE]
            marks = ", ".join("?" * len(some))
            for (leaf,) in self._rows(f"SELECT leaf FROM entries WHERE sequence IN ({marks}) ORDER BY sequence", *some):  # noqa: S608
                yield leaf

    def _check_tables(self, connection: sqlite3.Connection) -> None:
        with database.reported(self._paths.database):
            fault = database.schema_fault(connection)
        if fault is not None:
            raise self._damaged(fault)

    def _rows(self, sql: str, *values: int) -> list[tuple]:  # type: ignore[type-arg]  # rows of several shapes
        if self._connection is None:
            raise AuditReadError(database.ROLE, "the reader is closed", "open another one", self._paths.database)
        with database.reported(self._paths.database):
            return self._connection.execute(sql, values).fetchall()

    def _row(self, sql: str, *values: int) -> tuple:  # type: ignore[type-arg]  # rows of several shapes
        rows = self._rows(sql, *values)
        if not rows:
            raise self._damaged("a row is missing")
        return rows[0]

    def _damaged(self, problem: str) -> AuditDamagedError:
        return AuditDamagedError(database.ROLE, problem, _ADVICE, self._paths.database)


def wanted_kinds(
    event_type: EventType | None, severity: Severity | None, start: int = 0, stop: int | None = None
) -> frozenset[int] | None:
    """Return the kinds that a query wants, or None if it wants all.

    Raises:
        InvalidArgumentError: there is no such type or severity, or a position
            is negative.
    """
    kind_of(event_type or "error", severity or "info")  # refuses what does not exist
    _check_position("start", start)
    _check_position("stop", 0 if stop is None else stop)
    if event_type is None and severity is None:
        return None
    types = EVENT_TYPES if event_type is None else (event_type,)
    least = 0 if severity is None else SEVERITIES.index(severity)
    return frozenset(kind_of(one, grade) for one in types for grade in SEVERITIES[least:])


def is_wanted(leaf: bytes, names: tuple[str, ...] | None, wanted: frozenset[int] | None) -> bool:
    """Tell whether an entry is of a session, by one of its names, and of certain kinds; None stands for any."""
    if wanted is not None and leaf[_TYPE_AT] << 3 | leaf[_SEVERITY_AT] not in wanted:
        return False
    # The name stands in the entry as it is, so most of the others need no decoding.
    return names is None or (any(name.encode() in leaf for name in names) and decode(leaf).session in names)


def _keys_for(
    names: tuple[str, ...] | None, event_type: EventType | None, wanted: frozenset[int] | None
) -> list[int] | None:
    """Return the keys to look up, or None if everything has to be read."""
    if names is not None:
        return sorted({key_of_session(name) for name in names})
    if wanted is None or event_type is None:
        return None
    keys = [key_of_kind(*KINDS[kind]) for kind in sorted(wanted)]
    return None if None in keys else [key for key in keys if key is not None]


def _check_position(field: str, given: object, most: int = 2**63 - 1) -> None:
    if isinstance(given, bool) or not isinstance(given, int) or not 0 <= given <= most:
        raise InvalidArgumentError(field, given, f"a whole number from 0 to {most}")
