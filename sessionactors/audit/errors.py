"""Every way in which an audit log can fail its owner.

::

    SessionActorsError
    └── AuditError
        ├── AuditLockedError       audit_locked        another writer has the log
        ├── AuditKeyError          audit_key           the key is missing, unsafe or another log's
        ├── AuditDamagedError      audit_damaged       what is stored contradicts itself
        ├── AuditWriteError        audit_write_failed  nothing is lost; commit again once the cause is gone
        ├── AuditReadError         audit_read_failed   the log cannot be opened or read
        └── AuditClosedError       audit_closed        the log was closed or the process was forked

None of them is a refusal: whoever owns a log that cannot be written has to
stop, not to go on as if it had been.
"""

from __future__ import annotations

from pathlib import Path

from sessionactors.errors import SessionActorsError

__all__ = [
    "AuditClosedError",
    "AuditDamagedError",
    "AuditError",
    "AuditKeyError",
    "AuditLockedError",
    "AuditReadError",
    "AuditWriteError",
]


class AuditError(SessionActorsError):
    """The audit log cannot do what was asked.

    Attributes:
        code: a stable name for programs.
        role: what the path is to the log, such as "audit database".
        path: where it is, if it is anywhere.
    """

    code = "audit_failed"

    def __init__(self, role: str, problem: str, advice: str, path: Path | None = None) -> None:
        self.role = role
        self.path = path
        super().__init__(f"{role}: {problem}; {advice}")


class AuditLockedError(AuditError):
    """Another writer has the log open; a log has exactly one."""

    code = "audit_locked"


class AuditKeyError(AuditError):
    """The signing key or the public key is missing, unreadable, unsafe, or belongs to another log."""

    code = "audit_key"


class AuditDamagedError(AuditError):
    """What is stored contradicts itself: it was altered, or the disk lost it."""

    code = "audit_damaged"


class AuditWriteError(AuditError):
    """The log could not be written; the entries are still pending and the log on disk is whole."""

    code = "audit_write_failed"


class AuditReadError(AuditError):
    """The log is not there or cannot be opened."""

    code = "audit_read_failed"


class AuditClosedError(AuditError):
    """The log was closed, or belongs to the process that this one was forked from."""

    code = "audit_closed"
