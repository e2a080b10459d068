"""Sessions as supervised actors: lifecycle, limits, isolation, reaping, audit.

Start with `SessionSystem`; `docs/` teaches the rest.
"""

from sessionactors.errors import (
    AuthBlocked,
    AuthenticationFailed,
    InvalidState,
    InvalidTransition,
    MaxAttempts,
    NotAuthenticated,
    NotFound,
    QuotaExceeded,
    ResumeBlocked,
    SessionActorsError,
    SessionExists,
    SessionRefusal,
    SessionTerminated,
)
from sessionactors.session import Session, SessionEvent
from sessionactors.settings import (
    AuditSettings,
    IsolationSettings,
    LimiterSettings,
    Quota,
    ReaperSettings,
    SessionOptions,
)
from sessionactors.system import SessionSystem

__all__ = [
    "AuditSettings",
    "AuthBlocked",
    "AuthenticationFailed",
    "InvalidState",
    "InvalidTransition",
    "IsolationSettings",
    "LimiterSettings",
    "MaxAttempts",
    "NotAuthenticated",
    "NotFound",
    "Quota",
    "QuotaExceeded",
    "ReaperSettings",
    "ResumeBlocked",
    "Session",
    "SessionActorsError",
    "SessionEvent",
    "SessionExists",
    "SessionOptions",
    "SessionRefusal",
    "SessionSystem",
    "SessionTerminated",
]
