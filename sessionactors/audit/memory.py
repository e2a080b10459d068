"""An audit log in memory: the same entries and the same tree, for tests and for programs that need no trail.

It signs nothing and proves nothing to anybody, because whoever could alter it
could alter the process. But its root is the one that a durable log of the same
events has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final, final

from sessionactors.audit.contract import AuditHead, AuditStatistics
from sessionactors.audit.errors import AuditWriteError
from sessionactors.audit.merkle import Frontier, leaf_hashes
from sessionactors.audit.openings import Erasure
from sessionactors.audit.personal import DataRules
from sessionactors.audit.plain_values import FORBIDDEN_KEYS
from sessionactors.audit.pseudonyms import Pseudonyms
from sessionactors.audit.queries import is_wanted, wanted_kinds
from sessionactors.audit.recent import RecentLeaves, Run, runs
from sessionactors.audit.record import (
    KINDS,
    AuditRecord,
    EventType,
    Severity,
    decode,
    encode_keyed,
    stored_name,
)

__all__ = ["RECENT_MAX", "MemoryAuditLog"]

RECENT_MAX: Final = 100_000
"""Entries that are kept to be read again, if nothing else is said."""


_BUSY: Final = 256
"""So many entries in one commit, and others will follow at once."""


@final
class MemoryAuditLog:
    """A log that is gone with the process. Fulfils `AuditStore`.

    Args:
        recent_max: how many of the last entries can still be read; the tree and
            the counters know all of them.
        forbidden: names of data that are left out, as for `AuditLog`.
        pseudonyms: what sessions are called, or None for their ids.

    Attributes:
        rules: how it writes data. What is personal stands in it as it is: it is gone with the process.

    Thread: one at a time.
    """

    __slots__ = ("_ahead", "_commits", "_counts", "_frontier", "_kinds", "_recent", "_runs", "rules")

    def __init__(
        self,
        *,
        recent_max: int = RECENT_MAX,
        forbidden: frozenset[str] = FORBIDDEN_KEYS,
        pseudonyms: Pseudonyms | None = None,
    ) -> None:
        self.rules = DataRules(forbidden, (), pseudonyms)
        # What waits for a commit: entries, the kind of each, and the tree as it will be.
        self._runs: list[Run] = []
        self._kinds: list[int] = []
        self._ahead: Frontier | None = None
        self._recent = RecentLeaves(recent_max)
        self._frontier = Frontier()
        self._counts: Counter[int] = Counter()
        self._commits = 0

    @property
    def size(self) -> int:
        """How many entries are committed."""
        return self._frontier.size

    @property
    def pending(self) -> int:
        """How many entries wait for a commit."""
        return len(self._kinds)

    @property
    def directory(self) -> None:
        """It is nowhere on disk."""
        return

    @property
    def is_closed(self) -> bool:
        """It never is."""
        return False

    def oldest(self) -> None:
        """Return None: there is nothing to be archived."""
        return

    def seal(self, wall_time: float, monotonic_time: float, *, reason: str, actor: str) -> None:
        """Do nothing: the oldest entries are forgotten by themselves."""
        return

    def reopen(self) -> None:
        """Do nothing: it is open."""

    def erase(
        self, subject: str, wall_time: float, monotonic_time: float, *, actor: str, reason: str
    ) -> Erasure | None:
        """Refuse.

        Raises:
            AuditWriteError: what is in memory is there until it is pushed out, or the process ends.
        """
        raise AuditWriteError(
            "audit log", "nobody can be erased from a log in memory", "keep the log on disk, or end the process"
        )

    def finish_erasures(self) -> None:
        """Do nothing: there are none."""

    def append_many(self, events: Iterable[tuple[float, float, str | None, int, str, object]]) -> range:
        """Add events in order; they become entries with the next commit (see `AuditStore`)."""
        first = self._frontier.size + len(self._kinds)
        names = self.rules.pseudonyms
        leaves, _, kinds, _ = encode_keyed(first, events, self.rules.pack, None if names is None else names.of)
        if leaves:
            if self._ahead is None:
                self._ahead = self._frontier.copy()
            self._ahead.extend(leaf_hashes(leaves))
            self._runs += runs(leaves)
            self._kinds += kinds
        return range(first, first + len(leaves))

    def commit(self) -> AuditHead:
        """Make everything that is pending an entry for good; never fails."""
        count = len(self._kinds)
        if self._ahead is not None:
            self._frontier = self._ahead
            self._counts.update(self._kinds)
            self._recent.extend(self._runs)
            self._commits += 1
            self._drop_pending()
        if count < _BUSY:
            self._recent.pack()
        return self.head()

    def forget_pending(self) -> int:
        """Drop what is pending; return how much it was."""
        count = len(self._kinds)
        self._drop_pending()
        return count

    def _drop_pending(self) -> None:
        self._runs, self._kinds, self._ahead = [], [], None

    def head(self) -> AuditHead:
        """Return the head of the last commit; nothing is signed."""
        return AuditHead(self._frontier.size, self._frontier.root(), None)

    def events(
        self,
        *,
        session: str | None = None,
        event_type: EventType | None = None,
        severity: Severity | None = None,
        start: int = 0,
        stop: int | None = None,
    ) -> Iterator[AuditRecord]:
        """Yield committed entries in order, as far as they are still kept (see `AuditStore`)."""
        wanted = wanted_kinds(event_type, severity, start, stop)
        first = self.size - len(self._recent)
        leaves = self._recent.between(start - first, None if stop is None else stop - first)
        names = None if session is None else (stored_name(session), *self._pseudonym(session))
        return (decode(leaf) for leaf in leaves if is_wanted(leaf, names, wanted))

    def _pseudonym(self, session: str) -> tuple[str, ...]:
        return () if self.rules.pseudonyms is None else (self.rules.pseudonyms.of(session),)

    def statistics(self) -> AuditStatistics:
        """Return the counters as they are now."""
        by_kind = {KINDS[kind]: count for kind, count in sorted(self._counts.items())}
        return AuditStatistics(self.size, self.pending, self._commits, by_kind)

    def close(self) -> None:
        """Commit what is pending; the log can still be read and written."""
        self.commit()

    def __repr__(self) -> str:
        return f"<MemoryAuditLog {self.size} entries, {self.pending} pending>"
