"""What a session system lets one do with what it keeps: the store, and the audit log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sessionactors.audit_calls import AuditCalls
from sessionactors.service_calls import ServiceCalls
from sessionactors.storage.errors import StoreError
from sessionactors.surroundings import STORE

if TYPE_CHECKING:
    from sessionactors.recovery import RecoveryLedger, RecoveryReport
    from sessionactors.storage.contract import Quarantined

__all__ = ["LogCalls"]


class LogCalls(AuditCalls, ServiceCalls):
    """The functions of a `SessionSystem` about its audit log and its store.

    Thread: every method is safe anywhere.
    """

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
