"""An audit log in memory: the same entries and the same tree, for tests and for programs that need no trail.

It signs nothing and proves nothing to anybody, because whoever could alter it
could alter the process. But its root is the one that a durable log of the same
events has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple, final

from sessionactors.audit.columns import PIECE, encode_batch
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
    stored_name,
)

__all__ = ["RECENT_MAX", "MemoryAuditLog"]

RECENT_MAX: Final = 100_000
"""Entries that are kept to be read again, if nothing else is said."""


_BUSY: Final = 256
"""So many entries since it was last looked whether there is time, and there is none."""


class _Pending(NamedTuple):
    """Entries that wait for a commit.

    Attributes:
        frontier: the tree as it will be with them.
        runs: the entries.
        kinds: of each, type and severity.
    """

    frontier: Frontier
    runs: list[Run]
    kinds: list[int]


class _Standing(NamedTuple):
    """What is committed."""

    frontier: Frontier
    counts: Counter[int]
    commits: int


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

    # Whoever fills a batch writes it, also the main thread, which a signal may interrupt at
    # any call. So what is appended counts with one step, and so does what is committed.

    __slots__ = ("_looked_at", "_pending", "_recent", "_standing", "rules")

    def __init__(
        self,
        *,
        recent_max: int = RECENT_MAX,
        forbidden: frozenset[str] = FORBIDDEN_KEYS,
        pseudonyms: Pseudonyms | None = None,
    ) -> None:
        self.rules = DataRules(forbidden, (), pseudonyms)
        self._pending: list[_Pending] = []  # all of it may be committed already
        self._looked_at = 0  # how many entries there were when it was last looked whether there is time to pack
        self._recent = RecentLeaves(recent_max)
        self._standing = _Standing(Frontier(), Counter(), 0)

    @property
    def size(self) -> int:
        """How many entries are committed."""
        return self._standing.frontier.size

    @property
    def pending(self) -> int:
        """How many entries wait for a commit."""
        return self._ahead().size - self.size

    def _ahead(self) -> Frontier:
        return self._pending[-1].frontier if self._pending else self._standing.frontier

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
        ahead = self._ahead()
        first = ahead.size
        names = self.rules.pseudonyms
        leaves, _, kinds, _ = encode_batch(first, events, self.rules.pack, None if names is None else names.of)
        if leaves:
            frontier = ahead.copy()
            frontier.extend(leaf_hashes(leaves))
            if ahead is self._standing.frontier:
                self._remember()
            self._pending.append(_Pending(frontier, runs(first, leaves), kinds))
        return range(first, first + len(leaves))

    def commit(self) -> AuditHead:
        """Make everything that is pending an entry for good; never fails."""
        count = self.pending
        if count:
            counts = self._standing.counts.copy()
            for each in self._pending:
                counts.update(each.kinds)
            self._standing = _Standing(self._ahead(), counts, self._standing.commits + 1)
        self._remember()
        if count < PIECE:  # the rest of what came, not what somebody wrote because it was enough
            if self.size - self._looked_at < _BUSY:
                self._recent.pack()
            self._looked_at = self.size
        return self.head()

    def forget_pending(self) -> int:
        """Drop what is pending; return how much it was."""
        count = self.pending
        if not count:
            self._remember()
        self._pending.clear()
        return count

    def _remember(self) -> None:
        """Keep what has just been committed, and wait for nothing any more."""
        for each in self._pending:
            self._recent.extend(each.runs)
        self._pending.clear()

    def head(self) -> AuditHead:
        """Return the head of the last commit; nothing is signed."""
        frontier = self._standing.frontier
        return AuditHead(frontier.size, frontier.root(), None)

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
        if not self.pending:
            self._remember()
        first = self.size - len(self._recent)
        leaves = self._recent.between(start - first, None if stop is None else stop - first)
        names = None if session is None else (stored_name(session), *self._pseudonym(session))
        return (decode(leaf) for leaf in leaves if is_wanted(leaf, names, wanted))

    def _pseudonym(self, session: str) -> tuple[str, ...]:
        return () if self.rules.pseudonyms is None else (self.rules.pseudonyms.of(session),)

    def statistics(self) -> AuditStatistics:
        """Return the counters as they are now."""
        by_kind = {KINDS[kind]: count for kind, count in sorted(self._standing.counts.items())}
        return AuditStatistics(self.size, self.pending, self._standing.commits, by_kind)

    def close(self) -> None:
        """Commit what is pending; the log can still be read and written."""
        self.commit()

    def __repr__(self) -> str:
        return f"<MemoryAuditLog {self.size} entries, {self.pending} pending>"
