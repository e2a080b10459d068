"""An audit log on a simulated disk, which fails when the simulation wants it to.

=====================  ==================================================================
fault                  what it does
=====================  ==================================================================
`store_error`          a commit fails, and nothing has been done: what is pending stays so
`store_full`           a commit finds no space left; likewise
`fsync_error`          what was committed cannot be made durable and is gone; it is pending again
`store_error_after`    a commit has been done, and says that it failed
`store_slow`           a commit takes up to 10 virtual seconds
`lost_write`           a commit says that it is durable, and its entries are gone
`torn_write`           a crash leaves the first part of what was pending
=====================  ==================================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from sessionactors.audit.contract import AuditStore
from sessionactors.audit.errors import AuditClosedError, AuditWriteError
from sessionactors.audit.memory import MemoryAuditLog
from sessionactors.simulation.disk import slow_down
from supervisors.errors import InvalidTypeError
from supervisors.simulation import Simulation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from sessionactors.audit.contract import AuditHead, AuditStatistics
    from sessionactors.audit.openings import Erasure
    from sessionactors.audit.personal import DataRules
    from sessionactors.audit.record import AuditRecord, EventType, Severity
    from sessionactors.audit.sealing import Sealed

__all__ = ["SimulatedAuditLog"]


@final
class SimulatedAuditLog:
    """The way of one process to an audit log. Fulfils `AuditStore`.

    Args:
        simulation: throws the dice.
        log: what keeps the entries; by default a new one in memory, which outlives the
            process. One on disk is let go of with the process; open it again for the next.

    Attributes:
        rules: those of the log.
        is_gone: whether its process has died, see `crash()`.

    Thread: the simulation's.
    """

    def __init__(self, simulation: Simulation, log: AuditStore | None = None) -> None:
        if not isinstance(simulation, Simulation):
            raise InvalidTypeError("simulation", simulation, "a Simulation")
        if not (log is None or isinstance(log, AuditStore)):
            raise InvalidTypeError("log", log, "an AuditStore, or None")
        self._simulation = simulation
        self._log: AuditStore = MemoryAuditLog() if log is None else log
        self._waiting: list[tuple[float, float, str | None, int, str, object]] = []
        self.rules: DataRules = self._log.rules
        self.is_gone = False
        self._is_closed = False

    @property
    def size(self) -> int:
        """How many entries are committed."""
        return self._log.size

    @property
    def pending(self) -> int:
        """How many entries wait for a commit."""
        return self._log.pending

    @property
    def directory(self) -> Path | None:
        """Where it is on disk, or None if it is in memory."""
        return self._log.directory

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be written to it."""
        return self._is_closed or self.is_gone or self._log.is_closed

    def oldest(self) -> float | None:
        """Return the wall time of entry 0, or None (see `AuditStore`)."""
        return self._log.oldest()

    def seal(self, wall_time: float, monotonic_time: float, *, reason: str, actor: str) -> Sealed | None:
        """End the log and go on with the next one (see `AuditStore`), unless the disk fails."""
        self._strike()
        return self._log.seal(wall_time, monotonic_time, reason=reason, actor=actor)

    def reopen(self) -> None:
        """Go on after a seal that could not be completed (see `AuditStore`), unless the disk fails."""
        self._strike()
        self._log.reopen()

    def erase(
        self, subject: str, wall_time: float, monotonic_time: float, *, actor: str, reason: str
    ) -> Erasure | None:
        """Erase the personal data of somebody (see `AuditStore`), unless the disk fails."""
        self._strike()
        return self._log.erase(subject, wall_time, monotonic_time, actor=actor, reason=reason)

    def finish_erasures(self) -> None:
        """Go on with erasures that could not be completed (see `AuditStore`)."""
        self._check_open()
        self._log.finish_erasures()

    def append_many(self, events: Iterable[tuple[float, float, str | None, int, str, object]]) -> range:
        """Add events in order; they become entries with the next commit (see `AuditStore`)."""
        self._check_open()
        events = list(events)
        places = self._log.append_many(events)
        self._waiting += events
        return places

    def commit(self) -> AuditHead:
        """Make everything that is pending an entry for good (see `AuditStore`), unless the disk fails.

        Raises:
            AuditWriteError: a fault has struck, or the process has died.
        """
        self._check_open()
        if not self._log.pending:
            return self._log.commit()
        self._strike()
        strikes = self._simulation.strikes
        if strikes("lost_write") is not None:
            self.forget_pending()
            return self._log.head()
        head = self._log.commit()
        self._waiting.clear()
        if strikes("store_error_after") is not None:
            raise AuditWriteError("audit log", "it may have been written", "look at the disk")
        return head

    def forget_pending(self) -> int:
        """Drop what is pending; return how much it was."""
        self._waiting.clear()
        return self._log.forget_pending()

    def head(self) -> AuditHead:
        """Return the head of the last commit."""
        return self._log.head()

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
        return self._log.events(session=session, event_type=event_type, severity=severity, start=start, stop=stop)

    def statistics(self) -> AuditStatistics:
        """Return the counters as they are now."""
        return self._log.statistics()

    def close(self) -> None:
        """Commit what is pending and let go of the log; a second call does nothing.

        Raises:
            AuditWriteError: a fault has struck; it can be tried again.
        """
        if self._is_closed or self.is_gone:
            return
        self.commit()
        self._is_closed = True
        self._log.close()

    def crash(self) -> SimulatedAuditLog:
        """Have the process die: what is pending is gone, and nothing more is written through this log.

        Where `torn_write` strikes, the first part of what was pending is there.

        Returns:
            The log of the next process, where the log is in memory.
        """
        if not self.is_gone and not self._is_closed:
            waiting = list(self._waiting)
            self.forget_pending()
            part = self._simulation.strikes("torn_write")
            if part is not None and waiting:
                self._log.append_many(waiting[: int(part * len(waiting))])
                self._log.commit()
            self._log.close()
        self.is_gone = True
        return SimulatedAuditLog(self._simulation, self._log)

    def _strike(self) -> None:
        self._check_open()
        strikes = self._simulation.strikes
        if strikes("store_full") is not None:
            raise AuditWriteError("audit log", "no space is left", "make room")
        if strikes("store_error") is not None:
            raise AuditWriteError("audit log", "it cannot be written", "look at the disk")
        if strikes("fsync_error") is not None:
            raise AuditWriteError("audit log", "what was written cannot be made durable", "look at the disk")
        slow_down(self._simulation)

    def _check_open(self) -> None:
        if self.is_gone:
            raise AuditWriteError("audit log", "the process has died", "start another one, with what crash() returns")
        if self._is_closed:
            raise AuditClosedError("audit log", "it is closed", "open another one")

    def __repr__(self) -> str:
        return f"<SimulatedAuditLog{' that is gone' if self.is_gone else ''} on {self._log!r}>"
