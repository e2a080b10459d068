"""What can be asked of a session: the operations' names and their arguments.

The names are the specification's; they stand in audit entries and in refusals.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from sessionactors.settings import Quota

__all__ = [
    "ACTIVATE",
    "AUTHENTICATE",
    "CRASH",
    "DEACTIVATE",
    "FORCE_RESUME",
    "FORCE_SUSPEND",
    "FORCE_TERMINATE",
    "GRANTING",
    "INIT_SESSION",
    "LOAD",
    "LOCK",
    "MIGRATE",
    "MIGRATION_FAILED",
    "OPERATIONS",
    "OVERRIDE_QUOTA",
    "PERSIST",
    "RESUME",
    "SET_QUOTA",
    "SUSPEND",
    "TERMINATE",
    "TOUCH",
    "UNLOCK",
    "UPDATE_CONFIG",
    "UPDATE_RESOURCES",
    "VERDICT",
    "WAKE",
    "Deltas",
    "Override",
]

INIT_SESSION: Final = "init_session"
AUTHENTICATE: Final = "authenticate"
ACTIVATE: Final = "activate"
VERDICT: Final = "verdict"
DEACTIVATE: Final = "deactivate"
SUSPEND: Final = "suspend"
RESUME: Final = "resume"
TERMINATE: Final = "terminate"
CRASH: Final = "crash"
UPDATE_RESOURCES: Final = "update_resources"
TOUCH: Final = "touch"
SET_QUOTA: Final = "set_quota"
UPDATE_CONFIG: Final = "update_config"
LOAD: Final = "load"
PERSIST: Final = "persist"
MIGRATE: Final = "migrate"
MIGRATION_FAILED: Final = "migration_failed"
WAKE: Final = "wake"
FORCE_SUSPEND: Final = "force_suspend"
FORCE_RESUME: Final = "force_resume"
FORCE_TERMINATE: Final = "force_terminate"
LOCK: Final = "lock"
UNLOCK: Final = "unlock"
OVERRIDE_QUOTA: Final = "override_quota"

GRANTING: Final = frozenset({AUTHENTICATE, ACTIVATE, RESUME, FORCE_RESUME, UNLOCK, OVERRIDE_QUOTA})
"""Operations that give somebody rights; refused while the audit log cannot be written."""

OPERATIONS: Final = (
    INIT_SESSION,
    AUTHENTICATE,
    ACTIVATE,
    VERDICT,
    DEACTIVATE,
    SUSPEND,
    RESUME,
    TERMINATE,
    CRASH,
    UPDATE_RESOURCES,
    TOUCH,
    SET_QUOTA,
    UPDATE_CONFIG,
    LOAD,
    PERSIST,
    MIGRATE,
    MIGRATION_FAILED,
    WAKE,
    FORCE_SUSPEND,
    FORCE_RESUME,
    FORCE_TERMINATE,
    LOCK,
    UNLOCK,
    OVERRIDE_QUOTA,
)


class Deltas(NamedTuple):
    """What one request has used, to be added up; closing a connection is -1.

    A plain tuple of four integers does as well.

    Attributes:
        requests: how many requests this counts for.
        connections: opened minus closed.
        bytes: payload bytes, summed up.
        message_size: bytes of the largest single message, not summed up.
    """

    requests: int = 0
    connections: int = 0
    bytes: int = 0
    message_size: int = 0


class Override(NamedTuple):
    """An administrator's wish, which is audited under the administrator's name."""

    admin: str
    reason: str = ""
    quota: Quota | None = None
