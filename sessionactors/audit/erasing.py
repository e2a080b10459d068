"""How an erasure is told in the log, and found there again.

1. The openings of somebody are deleted, and marks and a row for the erasure take their
   place, in one transaction.
2. The file of openings is written anew, so that nothing is left of them on its pages.
3. An entry `subject_erased` says so under a signed head.
4. The row of the erasure gets the position of that entry.

A crash before 1 leaves everything as it was. A crash after it leaves a row without a
position: whoever opens the log for writing does 2 again, looks whether 3 was done, and
goes on from there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from sessionactors.audit.record import AuditEvent, AuditRecord, kind_of, pack_data

if TYPE_CHECKING:
    from sessionactors.audit.openings import Erasure
    from sessionactors.audit.queries import AuditReader

__all__ = ["SUBJECT_ERASED", "Told", "event_of", "said_in", "told"]

SUBJECT_ERASED: Final = "subject_erased"
"""The event's name."""

Told = tuple[int, str, int, str]
"""What an entry says of an erasure: its number, whose by a keyed hash, how many commitments, and which by a digest."""

_COMPLIANCE: Final = kind_of("compliance")


def event_of(erasure: Erasure) -> AuditEvent:
    """Return the event that says so."""
    facts = {
        "event": SUBJECT_ERASED,
        "erasure": erasure.id,
        "tag": erasure.tag,
        "commitments": erasure.commitments,
        "digest": erasure.digest,
        "reason": erasure.reason,
    }
    return AuditEvent(erasure.wall_time, erasure.monotonic_time, None, _COMPLIANCE, erasure.actor, pack_data(facts))


def told(record: AuditRecord) -> Told | None:
    """Return what an entry says of an erasure, or None if it is about something else."""
    data = record.data
    if record.type != "compliance" or data.get("event") != SUBJECT_ERASED:
        return None
    number, tag, count, digest = (data.get(name) for name in ("erasure", "tag", "commitments", "digest"))
    if isinstance(number, int) and isinstance(tag, str) and isinstance(count, int) and isinstance(digest, str):
        return number, tag, count, digest
    return None


def said_in(reader: AuditReader) -> dict[int, int]:
    """Return the numbers of the erasures that a log tells of, and where."""
    records: Iterable[AuditRecord] = reader.events(event_type="compliance")
    return {found[0]: record.sequence for record in records if (found := told(record)) is not None}
