"""What a report counts: one pass over entries, each seen once.

Names are those of the session system's own events; what a program logs itself counts
by type and severity, and as a login where its `action` is "granted".
"""

from __future__ import annotations

from collections import Counter
from typing import Final, final

from sessionactors.audit.record import AuditRecord

__all__ = ["Tally", "name_of"]

_DENIALS: Final = frozenset({"auth_blocked", "max_auth_attempts_exceeded", "resume_blocked"})
_VIOLATIONS: Final = frozenset({"resource_violation", "rate_limit_exceeded", "quota_exceeded"})
_OVERRIDES: Final = frozenset({"force_suspend", "force_resume", "force_terminate", "lock", "unlock", "override_quota"})
_CHANGES: Final = frozenset({"config_updated", "quota_updated", "override_quota", "log_continues"})
_LOG_FAULTS: Final = frozenset({"events_lost", "verification_failed"})
_FAILING: Final = frozenset({"warning", "error", "critical"})
_DAY: Final = 86_400.0


@final
class Tally:
    """Counts over the entries of a period.

    Args:
        until: the end of the period, seconds since 1970 UTC; the last day before
            it is counted apart.

    Attributes:
        count: entries.
        first, last: positions of the first and the last one, or None.
        first_seen, last_seen: the earliest and the latest wall time, or None.
        by_type, by_severity, by_name: how many of each.
        by_actor: how many by each actor other than the sessions themselves.
        logins: accepted authentications.
        denials: refused ones, and what else was refused to a user.
        violations: limits that were exceeded.
        overrides: what administrators did over the head of a user.
        changes: of settings and quotas, and of the log itself.
        log_faults: events lost, and checks of the log that failed.
        security: entries of type `security`.
        security_last_day: those of the last day.
        sessions: of how many sessions the entries tell; held as a set of names.
    """

    def __init__(self, until: float) -> None:
        self._last_day = until - _DAY
        self.count = 0
        self.first: int | None = None
        self.last: int | None = None
        self.first_seen: float | None = None
        self.last_seen: float | None = None
        self.by_type: Counter[str] = Counter()
        self.by_severity: Counter[str] = Counter()
        self.by_name: Counter[str] = Counter()
        self.by_actor: Counter[str] = Counter()
        self.logins = self.denials = self.violations = self.overrides = 0
        self.changes = self.log_faults = self.security = self.security_last_day = 0
        self.sessions: set[str] = set()

    def add(self, record: AuditRecord) -> None:
        """Count an entry."""
        name = name_of(record)
        moment = record.wall_time
        self.count += 1
        if self.first is None:
            self.first = record.sequence
        self.last = record.sequence
        self.first_seen = moment if self.first_seen is None else min(moment, self.first_seen)
        self.last_seen = moment if self.last_seen is None else max(moment, self.last_seen)
        self.by_type[record.type] += 1
        self.by_severity[record.severity] += 1
        if name:
            self.by_name[name] += 1
        if record.actor != "session":
            self.by_actor[record.actor] += 1
        if record.session is not None:
            self.sessions.add(record.session)
        is_failing = record.severity in _FAILING
        if record.type == "auth":
            self.logins += name == "auth_success" or (not is_failing and record.data.get("action") == "granted")
            self.denials += is_failing
        elif record.type == "security":
            self.security += 1
            self.security_last_day += moment >= self._last_day
            self.denials += name in _DENIALS
        self.violations += name in _VIOLATIONS
        self.overrides += name in _OVERRIDES
        self.changes += name in _CHANGES
        self.log_faults += name in _LOG_FAULTS


def name_of(record: AuditRecord) -> str:
    """Return what happened in the system's words, or nothing where the entry does not say."""
    name = record.data.get("event")
    return name if isinstance(name, str) else ""
