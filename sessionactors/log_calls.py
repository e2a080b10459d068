"""What a session system lets one do with what it keeps: the audit log, and the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sessionactors import identifiers
from sessionactors.audit.errors import AuditError
from sessionactors.audit.intake import COMMIT
from sessionactors.audit.service import AuditCounts, logged
from sessionactors.errors import CapacityExceeded, NotFound
from sessionactors.service_calls import ServiceCalls
from sessionactors.storage.errors import StoreError
from sessionactors.surroundings import AUDIT, STORE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sessionactors.audit.contract import AuditHead
    from sessionactors.audit.intake import Intake
    from sessionactors.audit.service import AuditLedger
    from sessionactors.recovery import RecoveryLedger, RecoveryReport
    from sessionactors.storage.contract import Quarantined
    from sessionactors.surroundings import Surroundings

__all__ = ["LogCalls"]


class LogCalls(ServiceCalls):
    """The functions of a `SessionSystem` about its audit log and its store.

    Thread: every method is safe anywhere.
    """

    _around: Surroundings
    _intake: Intake
    _is_stopped: bool
    _ledger: AuditLedger
    _recovery: RecoveryLedger

    # -- the store -----------------------------------------------------------------

    @property
    def recovered(self) -> RecoveryReport:
        """What came back from the store when the system started, and what did not."""
        return self._recovery.report

    def quarantined(self) -> list[Quarantined]:
        """Return the spoiled records that were moved aside in the store, oldest first.

        Raises:
            StoreError: the store cannot be read now.
        """
        found = self._ask(STORE, ("quarantined",))
        if isinstance(found, StoreError):
            raise found
        return list(found)

    # -- the audit log -----------------------------------------------------------------

    def log_event(
        self,
        session_id: str | None,
        event_type: str,
        data: Mapping[str, object] | None = None,
        severity: str = "info",
        *,
        durable: bool = False,
    ) -> None:
        """Add an entry to the audit log.

        Args:
            session_id: which session it is about, or None.
            event_type: one of the event types.
            data: what there is to say.
            severity: one of the severities.
            durable: return only when the entry is on the disk under a signed head.
                Otherwise it is there a moment later.

        Raises:
            AuditError: `durable` was asked for, and the log cannot be written now; the
                entry waits, and is written once that is possible.
            CapacityExceeded: the queue is full, and the log cannot be written.
            NotFound: the system has been stopped.
        """
        known = None if session_id is None else identifiers.parse(session_id)
        if not self._intake.put(
            (self._around.now(), known, logged(event_type, severity, data, self._ledger.pack_facts), "program")
        ):
            if self._is_stopped:
                raise NotFound(AUDIT, "running service")
            raise CapacityExceeded("the audit queue", self._intake.queue_max)
        if durable:
            self.commit_audit()

    def commit_audit(self) -> AuditHead:
        """Make everything that was logged so far durable, sign the head, and return it.

        Raises:
            AuditError: the log cannot be written; nothing is lost, and a later call may succeed.
        """
        answer = self._ask(AUDIT, COMMIT, 30.0)
        if isinstance(answer, AuditError):
            raise answer
        head: AuditHead = answer
        return head

    def audit_counts(self) -> AuditCounts:
        """Return what has been written since the start, how much was lost, and how the log was looked after."""
        ledger = self._ledger
        return AuditCounts(
            dict(ledger.by_type),
            dict(ledger.by_edge),
            self._intake.lost,
            ledger.checks,
            ledger.failed_checks,
            ledger.seals,
        )
