"""The end on request, configuration, storage and moving: what happens around the daily round."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Final

from sessionactors import bounds
from sessionactors.decisions.moves import (
    CRASHED,
    RATE_LIMIT_EXCEEDED,
    REQUESTED,
    RESOURCE_VIOLATION,
    end,
    wake_by,
)
from sessionactors.effects import NOTHING, Audit, Effects, Migrate, Notify, Persist, Refuse, numbered
from sessionactors.errors import (
    InvalidKind,
    LoadFailed,
    MigrationFailed,
    MigrationNotAllowed,
    NoBackend,
    NotPersistent,
)
from sessionactors.session_data import FIELDS, SessionData, deadline
from sessionactors.settings import SessionOptions

__all__ = [
    "crash",
    "load",
    "migrate",
    "migration_failed",
    "persist",
    "terminate",
    "update_config",
]

# What the audit log says before the transition itself.
_PRELUDES: Final[Mapping[str, Effects]] = {
    REQUESTED: (numbered(Audit("lifecycle", "terminate_requested")),),
    RESOURCE_VIOLATION: (numbered(Audit("security", RESOURCE_VIOLATION, "warning")),),
    RATE_LIMIT_EXCEEDED: (numbered(Audit("security", RATE_LIMIT_EXCEEDED, "warning")),),
}
_PERSIST: Final = (Persist(),)


def terminate(data: SessionData, now: float, reason: str | None) -> Effects:
    """End the session for a reason; None is the user's own wish."""
    reason = REQUESTED if reason is None else bounds.text("reason", reason)
    return end(data, now, reason, _PRELUDES.get(reason, NOTHING))


def crash(data: SessionData, now: float, what: str) -> Effects:
    """End the session because its actor has failed."""
    return end(data, now, CRASHED, (Audit("error", "session_crashed", "error", {"error": what}),))


def update_config(data: SessionData, _now: float, options: object) -> Effects:
    """Replace the options from now on; quota, metadata and user keep what they became meanwhile."""
    if not isinstance(options, SessionOptions):
        raise InvalidKind("options", options, "SessionOptions")
    old = data.options.as_dict()
    changed = {
        name: value
        for name, value in options.as_dict().items()
        if value != old[name] and name not in ("quota", "metadata", "user_id", "capabilities")
    }
    data.options = options
    data.auth_attempts = min(data.auth_attempts, options.max_auth_attempts)
    if data.recorded is not None:
        del data.recorded[: max(0, len(data.recorded) - 2 * options.max_history_size)]
    return wake_by(data, (Audit("lifecycle", "config_updated", "info", changed),), deadline(data))


def load(data: SessionData, now: float, restored: object) -> Effects:
    """Become the session that a snapshot describes; a timer that ran out meanwhile fires at once."""
    if not isinstance(restored, SessionData):
        raise InvalidKind("restored", restored, "what sessionactors.snapshots.restore returns")
    if restored.session_id != data.session_id:
        raise LoadFailed(f"it belongs to session {restored.session_id!r}")
    for name in FIELDS:
        setattr(data, name, getattr(restored, name))
    data.wake_at = inf
    loaded = Audit("lifecycle", "session_loaded", "info", {"state": data.state})
    return wake_by(data, (loaded,), max(now, deadline(data)))


def persist(data: SessionData, _now: float, _argument: object) -> Effects:
    """Have a snapshot stored."""
    if not data.options.persistent:
        raise NotPersistent
    if data.options.backend is None:
        raise NoBackend
    return _PERSIST


def migrate(data: SessionData, _now: float, target: object) -> Effects:
    """Have the session handed over to a target, where that is allowed."""
    target = bounds.text("target", target)
    if not data.options.migration_allowed:
        denied = Audit("lifecycle", "migration_failed", "warning", {"target": target, "reason": "not allowed"})
        return (denied, Refuse(MigrationNotAllowed()))
    started = Audit("lifecycle", "migration_started", "info", {"target": target})
    return (started, Notify("session_migrating", target), Migrate(target))


def migration_failed(_data: SessionData, _now: float, why: str) -> Effects:
    """Take note that the target did not take the session over."""
    return (Audit("lifecycle", "migration_failed", "warning", {"reason": why}), Refuse(MigrationFailed(why)))
