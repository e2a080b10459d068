"""What the audit actor and the reports need of a log, wherever it is kept.

The order of work is: `append_many()` as often as there is something, then
`commit()`. An entry counts from the commit on; before that it is *pending*, has
no hash, and is gone when the process is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from sessionactors.audit.record import AuditRecord, EventType, Severity

if TYPE_CHECKING:
    from sessionactors.audit.openings import Erasure
    from sessionactors.audit.personal import DataRules
    from sessionactors.audit.sealing import Sealed

__all__ = ["AuditHead", "AuditStatistics", "AuditStore"]


@dataclass(frozen=True, slots=True)
class AuditHead:
    """What a log is at one moment.

    Attributes:
        size: committed entries.
        root: the root hash of the Merkle tree over them.
        note: the signed checkpoint that says so, or None where nothing is signed.
    """

    size: int
    root: bytes
    note: bytes | None


@dataclass(frozen=True, slots=True)
class AuditStatistics:
    """Counters of one log.

    Attributes:
        size: committed entries.
        pending: entries that wait for a commit.
        commits: commits since it was opened.
        by_kind: committed entries by type and severity, those that exist only.
    """

    size: int
    pending: int
    commits: int
    by_kind: Mapping[tuple[EventType, Severity], int]

    def by_type(self) -> dict[str, int]:
        """Return committed entries by type."""
        totals: dict[str, int] = {}
        for (event_type, _), count in self.by_kind.items():
            totals[event_type] = totals.get(event_type, 0) + count
        return totals


@runtime_checkable
class AuditStore(Protocol):
    """An append-only log.

    Thread: one at a time; the owner's. Nothing here takes a lock.
    """

    rules: DataRules
    """How it writes data."""

    @property
    def size(self) -> int:
        """How many entries are committed."""
        ...

    @property
    def pending(self) -> int:
        """How many entries wait for a commit."""
        ...

    @property
    def directory(self) -> Path | None:
        """Where it is on disk, or None if it is in memory."""
        ...

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be written to it."""
        ...

    def oldest(self) -> float | None:
        """Return the wall time of entry 0, or None while there is none or it is not kept."""
        ...

    def seal(self, wall_time: float, monotonic_time: float, *, reason: str, actor: str) -> Sealed | None:
        """End the log and go on with the next one, or return None if there is nothing to seal (see `AuditLog`).

        Raises:
            AuditError: it could not be done.
        """
        ...

    def reopen(self) -> None:
        """Go on after a seal that could not be completed; else do nothing.

        Raises:
            AuditError: it still cannot be done.
        """
        ...

    def erase(
        self, subject: str, wall_time: float, monotonic_time: float, *, actor: str, reason: str
    ) -> Erasure | None:
        """Erase the personal data of somebody, or return None if there are none (see `AuditLog`).

        Raises:
            AuditError: it could not be done.
        """
        ...

    def finish_erasures(self) -> None:
        """Go on with erasures that could not be completed; usually there are none.

        Raises:
            AuditError: it still cannot be done.
        """
        ...

    def append_many(self, events: Iterable[tuple[float, float, str | None, int, str, object]]) -> range:
        """Add events in order; they become entries with the next commit.

        Args:
            events: `AuditEvent`s, or plain tuples of the same shape. Data may
                be anything; they are made plain and secrets are left out.

        Returns:
            The positions that the events will have.

        Raises:
            InvalidArgumentError: a time is not finite or a kind is unknown;
                nothing was added.
            InvalidTypeError: something is no event; nothing was added.
        """
        ...

    def commit(self) -> AuditHead:
        """Make everything that is pending an entry for good; without any, return the head as it is.

        Raises:
            AuditError: it could not be done. What is pending stays so, and a
                later commit tries again.
        """
        ...

    def forget_pending(self) -> int:
        """Drop what is pending, for an owner that keeps it elsewhere; return how much it was."""
        ...

    def head(self) -> AuditHead:
        """Return the head of the last commit."""
        ...

    def events(
        self,
        *,
        session: str | None = None,
        event_type: EventType | None = None,
        severity: Severity | None = None,
        start: int = 0,
        stop: int | None = None,
    ) -> Iterator[AuditRecord]:
        """Yield committed entries in order, one by one however many there are.

        Args:
            session: only those of this session.
            event_type: only those of this type.
            severity: only those of this severity or a higher one.
            start: the first position.
            stop: the position behind the last; None for all that are committed
                when the first is asked for.
        """
        ...

    def statistics(self) -> AuditStatistics:
        """Return the counters as they are now."""
        ...

    def close(self) -> None:
        """Commit what is pending and let go of everything; a second call does nothing."""
        ...
