"""What administrators may do over the head of a session's user.

Each override needs the administrator's name and is audited as `security` before
anything else. Overrides pass the guards (lock-out, resume_allowed), but they go
along the same edges as everybody: nothing leads out of terminated.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sessionactors import bounds
from sessionactors.decisions.activity import become_active, suspend
from sessionactors.decisions.moves import ADMIN_OVERRIDE, end
from sessionactors.effects import Audit, Effects, Notify, Transition, numbered
from sessionactors.errors import InvalidKind, InvalidQuota, InvalidValue
from sessionactors.operations import (
    FORCE_RESUME,
    FORCE_SUSPEND,
    FORCE_TERMINATE,
    LOCK,
    OVERRIDE_QUOTA,
    UNLOCK,
    Override,
)
from sessionactors.session_data import SessionData
from sessionactors.settings import Quota
from sessionactors.states import ACTIVE, IDLE, SUSPENDED, State

__all__ = ["force_resume", "force_suspend", "force_terminate", "lock", "override_quota", "unlock"]

_FORCED_RESUMPTIONS: Final[Mapping[State, Transition]] = {
    IDLE: numbered(Transition(IDLE, ACTIVE, ADMIN_OVERRIDE, "resumed")),
    SUSPENDED: numbered(Transition(SUSPENDED, ACTIVE, ADMIN_OVERRIDE, "resumed")),
}
_FORCED: Final = Notify("session_resumed", ADMIN_OVERRIDE)


def force_suspend(data: SessionData, now: float, override: object) -> Effects:
    """Suspend the session."""
    audit = _audited(FORCE_SUSPEND, override)
    return (audit, *suspend(data, now, ADMIN_OVERRIDE))


def force_resume(data: SessionData, now: float, override: object) -> Effects:
    """Make the session active, also where its user may not resume it."""
    audit = _audited(FORCE_RESUME, override)
    transition = _FORCED_RESUMPTIONS[data.state]
    data.suspend_reason = None
    return become_active(data, now, (audit, transition, _FORCED), transition)


def force_terminate(data: SessionData, now: float, override: object) -> Effects:
    """End the session."""
    return end(data, now, ADMIN_OVERRIDE, (_audited(FORCE_TERMINATE, override),))


def lock(data: SessionData, _now: float, override: object) -> Effects:
    """Block authentication; a session that is active already stays so."""
    audit = _audited(LOCK, override)
    data.locked = True
    return (audit,)


def unlock(data: SessionData, _now: float, override: object) -> Effects:
    """Allow authentication again, with all attempts."""
    audit = _audited(UNLOCK, override)
    data.locked = False
    data.auth_attempts = 0
    return (audit,)


def override_quota(data: SessionData, _now: float, override: object) -> Effects:
    """Replace the quota."""
    audit = _audited(OVERRIDE_QUOTA, override)
    quota = override.quota if isinstance(override, Override) else None
    if not isinstance(quota, Quota):
        raise InvalidQuota("quota", quota, "a Quota")
    data.quota = quota
    return (audit,)


def _audited(operation: str, override: object) -> Audit:
    """Return the audit entry of an override; without a name there is no override."""
    if not isinstance(override, Override):
        raise InvalidKind(operation, override, "an Override with the administrator's name")
    facts: dict[str, object] = {"admin": bounds.text("admin", override.admin)}
    if override.admin.isspace():
        raise InvalidValue("admin", override.admin, "a name, and not only blanks")
    if not (isinstance(override.reason, str) and override.reason == ""):
        facts["reason"] = bounds.text("reason", override.reason)
    if isinstance(override.quota, Quota):
        facts["quota"] = override.quota.as_dict()
    return Audit("security", operation, "warning", facts)
