"""Whether an audit log is what was committed, wherever it is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sessionactors.audit.merkle import Frontier, leaf_hashes
from sessionactors.audit.record import AuditEvent, encode, kind_of
from sessionactors.audit.verify import verify

if TYPE_CHECKING:
    from sessionactors.audit.contract import AuditStore
    from sessionactors.audit.record import AuditRecord

__all__ = ["fault_of"]


def fault_of(log: AuditStore) -> str | None:
    """Say what is wrong with a log, or return None.

    One on disk is verified as people verify it. One in memory has no signature; but its
    entries follow each other without a gap, and as long as none has been pushed out they
    have to make the root that it had when they were committed.
    """
    if log.directory is not None:
        verified = verify(log.directory)
        return None if verified.outcome == "valid" else f"{verified.outcome}: {verified.findings}"
    head = log.head()
    entries = list(log.events())
    first = head.size - len(entries)
    for place, entry in enumerate(entries, first):
        if entry.sequence != place:
            return f"where entry {place} should be is entry {entry.sequence}"
    if first == 0:
        tree = Frontier()
        tree.extend(leaf_hashes([_leaf(entry) for entry in entries]))
        if tree.root() != head.root:
            return f"its {head.size} entries are not those that were committed"
    return None


def _leaf(entry: AuditRecord) -> bytes:
    kind = kind_of(entry.type, entry.severity)
    return encode(
        entry.sequence,
        AuditEvent(entry.wall_time, entry.monotonic_time, entry.session, kind, entry.actor, entry.data),
    )
