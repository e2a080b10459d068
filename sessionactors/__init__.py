"""Sessions as supervised actors: lifecycle, limits, isolation, reaping, audit.

Start with `SessionSystem`; `docs/` teaches the rest. A name is loaded when it is
first used, so that the command line can answer before everything is imported.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sessionactors.errors import (
        AuthBlocked,
        AuthenticationFailed,
        InvalidState,
        InvalidTransition,
        MaxAttempts,
        NotAuthenticated,
        NotFound,
        PersistFailed,
        QuotaExceeded,
        RateLimited,
        ResumeBlocked,
        SessionActorsError,
        SessionExists,
        SessionRecovering,
        SessionRefusal,
        SessionTerminated,
        TooManySessions,
        UpdateFailed,
    )
    from sessionactors.isolation_ledger import IsolationEvent
    from sessionactors.session import Session, SessionEvent
    from sessionactors.settings import (
        AuditSettings,
        IsolationSettings,
        LimiterSettings,
        Quota,
        ReaperSettings,
        SessionOptions,
        StoreSettings,
        UserSettings,
    )
    from sessionactors.subscribers import LimiterEvent
    from sessionactors.system import SessionSystem

__all__ = [
    "AuditSettings",
    "AuthBlocked",
    "AuthenticationFailed",
    "InvalidState",
    "InvalidTransition",
    "IsolationEvent",
    "IsolationSettings",
    "LimiterEvent",
    "LimiterSettings",
    "MaxAttempts",
    "NotAuthenticated",
    "NotFound",
    "PersistFailed",
    "Quota",
    "QuotaExceeded",
    "RateLimited",
    "ReaperSettings",
    "ResumeBlocked",
    "Session",
    "SessionActorsError",
    "SessionEvent",
    "SessionExists",
    "SessionOptions",
    "SessionRecovering",
    "SessionRefusal",
    "SessionSystem",
    "SessionTerminated",
    "StoreSettings",
    "TooManySessions",
    "UpdateFailed",
    "UserSettings",
]

_HOMES = {
    "AuditSettings": "sessionactors.settings",
    "AuthBlocked": "sessionactors.errors",
    "AuthenticationFailed": "sessionactors.errors",
    "InvalidState": "sessionactors.errors",
    "InvalidTransition": "sessionactors.errors",
    "IsolationEvent": "sessionactors.isolation_ledger",
    "IsolationSettings": "sessionactors.settings",
    "LimiterEvent": "sessionactors.subscribers",
    "LimiterSettings": "sessionactors.settings",
    "MaxAttempts": "sessionactors.errors",
    "NotAuthenticated": "sessionactors.errors",
    "NotFound": "sessionactors.errors",
    "PersistFailed": "sessionactors.errors",
    "Quota": "sessionactors.settings",
    "QuotaExceeded": "sessionactors.errors",
    "RateLimited": "sessionactors.errors",
    "ReaperSettings": "sessionactors.settings",
    "ResumeBlocked": "sessionactors.errors",
    "Session": "sessionactors.session",
    "SessionActorsError": "sessionactors.errors",
    "SessionEvent": "sessionactors.session",
    "SessionExists": "sessionactors.errors",
    "SessionOptions": "sessionactors.settings",
    "SessionRecovering": "sessionactors.errors",
    "SessionRefusal": "sessionactors.errors",
    "SessionSystem": "sessionactors.system",
    "SessionTerminated": "sessionactors.errors",
    "StoreSettings": "sessionactors.settings",
    "TooManySessions": "sessionactors.errors",
    "UpdateFailed": "sessionactors.errors",
    "UserSettings": "sessionactors.settings",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
