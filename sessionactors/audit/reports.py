"""Reports for people who have to answer for a system: by session, by person, and by framework.

Everything in a report is computed from entries of the log, and the result of
verifying that log is part of it. A report counts; whether the figures are good
enough is for an auditor to say. Where a framework asks for something that no entry
tells, the report says "not recorded" and does not guess.

The rules behind `status` are the specification's and stand in the report itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

from sessionactors.audit.contract import AuditHead
from sessionactors.audit.errors import AuditKeyError
from sessionactors.audit.exports import csv_of, iso_time, json_of, row_of
from sessionactors.audit.openings import Erasure
from sessionactors.audit.queries import AuditReader
from sessionactors.audit.record import AuditRecord, stored_name
from sessionactors.audit.selection import Selection
from sessionactors.audit.tally import Tally
from sessionactors.audit.verdict import Verification
from supervisors.errors import InvalidArgumentError

__all__ = ["REPORT_DAYS", "REPORT_FORMATS", "Report", "ReportFormat", "ReportKind", "report"]

ReportKind: TypeAlias = Literal["session", "soc2", "pci-dss", "hipaa", "gdpr"]
ReportFormat: TypeAlias = Literal["json", "csv"]

REPORT_FORMATS: Final[tuple[ReportFormat, ...]] = get_args(ReportFormat)
REPORT_DAYS: Final[dict[ReportKind, int | None]] = {
    "session": None,
    "soc2": 7,
    "pci-dss": 1,
    "hipaa": 7,
    "gdpr": None,
}
"""Which reports there are, and the days of each one's period; None for all there is."""

_SOC2_REVIEW: Final = 10
_PCI_REVIEW: Final = 5
_DAY: Final = 86_400.0
_PERSON_KEYS: Final = ("user_id", "user", "subject")
_NOT_RECORDED: Final = "not recorded"


@dataclass(frozen=True, slots=True)
class Report:
    """A report that is ready to be written.

    Attributes:
        facts: everything but the entries, as plain values.
        events: makes a new iterator over the entries that belong to it, or None
            where a report has only counts.
    """

    facts: dict[str, object]
    events: Callable[[], Iterator[AuditRecord]] | None

    def write(self, report_format: ReportFormat) -> Iterator[str]:
        """Yield the report piece by piece; it is never held as a whole."""
        if report_format == "csv":
            yield csv_of(("name", "value"))
            yield from (csv_of(row) for row in _flat("", self.facts))
            if self.events is not None:
                for record in self.events():
                    yield csv_of((f"events.{record.sequence}", json_of(row_of(record))))
            return
        facts = json_of(self.facts)
        if self.events is None:
            yield f"{facts}\n"
            return
        yield f'{facts[:-1]}, "events": ['
        for number, record in enumerate(self.events()):
            yield f"{',' if number else ''}\n  {json_of(row_of(record))}"
        yield "\n]}\n"


def report(
    kind: ReportKind,
    reader: AuditReader,
    head: AuditHead,
    verification: Verification,
    now: float,
    *,
    subject: str | None = None,
    since: float | None = None,
    until: float | None = None,
    retention_days: int | None = None,
) -> Report:
    """Compute a report.

    Args:
        kind: which one.
        reader: of the log.
        head: its signed head; entries behind it are left out.
        verification: what verifying the log has given.
        now: seconds since 1970 UTC.
        subject: the session, or the person for `gdpr`.
        since: the beginning of the period, seconds since 1970 UTC; None for that of
            the framework, see `REPORT_DAYS`.
        until: the moment behind its end; None for now.
        retention_days: what the system is set to, which no entry tells.

    Raises:
        InvalidArgumentError: there is no such report, the subject is missing or too
            much, or the period ends before it begins.

    Blocks: for some microseconds for each entry of the log.
    """
    if kind not in REPORT_DAYS:
        raise InvalidArgumentError("kind", kind, " | ".join(REPORT_DAYS))
    if (subject is None) is (kind in ("session", "gdpr")):
        raise InvalidArgumentError("subject", subject, "given for session and gdpr, and for no other")
    end = now if until is None else until
    days = REPORT_DAYS[kind]
    start = end - days * _DAY if since is None and days is not None else since
    if start is not None and start > end:
        raise InvalidArgumentError("since", start, f"before the end of the period, {end}")
    # What has no beginning has no end either, unless one is wanted: a clock may have been ahead.
    limit = end if until is not None or start is not None else None
    events = _events_of(kind, reader, head.size, subject, Selection(since=start, until=limit))
    tally = Tally(end)
    for record in events():
        tally.add(record)
    facts: dict[str, object] = {
        "report": kind,
        **({"session_id" if kind == "session" else "subject": subject} if subject is not None else {}),
        "generated_at": iso_time(now),
        "period": {"since": _iso(start), "until": _iso(limit)},
        "coverage": _coverage(reader, head, start),
        "log": {
            "origin": verification.origin,
            "public_key": verification.public_key,
            "size": head.size,
            "root": head.root.hex(),
            "head": (head.note or b"").decode("utf-8", "replace"),
        },
        "verification": verification.to_dict(),
        "event_count": tally.count,
        "first_sequence": tally.first,
        "last_sequence": tally.last,
        "first_seen": _iso(tally.first_seen),
        "last_seen": _iso(tally.last_seen),
        "by_type": dict(sorted(tally.by_type.items())),
        "by_severity": dict(sorted(tally.by_severity.items())),
        **_SECTIONS[kind](tally, verification, retention_days),
    }
    if kind == "gdpr" and subject is not None:
        facts["personal_data"] = {
            "erasures": [_erasure(each) for each in reader.erasures_of(subject)],
            "note": "what was erased is in no report; a copy of the log may have been made before",
            "sessions": "found by id"
            if _names_of(reader, subject)[1]
            else "under a keyed hash whose key is not here: a session of that name is not in this report",
        }
    return Report(facts, events if kind in ("session", "gdpr") else None)


def _events_of(
    kind: ReportKind, reader: AuditReader, size: int, subject: str | None, period: Selection
) -> Callable[[], Iterator[AuditRecord]]:
    if kind == "session":
        chosen = Selection(session=subject, since=period.since, until=period.until)
        return lambda: chosen.among(reader, size)
    if kind != "gdpr" or subject is None:
        return lambda: period.among(reader, size)
    name, _ = _names_of(reader, subject)
    # A session is a person's from the entry on that names the person, and what came before is as well.
    sessions = {each.session for each in period.among(reader, size) if each.session and _is_about(each, name)}
    return lambda: (each for each in period.among(reader, size) if each.session in sessions or _is_about(each, name))


def _erasure(erasure: Erasure) -> dict[str, object]:
    return {
        "time": _iso(erasure.wall_time),
        "actor": erasure.actor,
        "reason": erasure.reason,
        "commitments": erasure.commitments,
        "log": erasure.segment,
        "sequence": erasure.sequence,
    }


def _names_of(reader: AuditReader, subject: str) -> tuple[frozenset[str], bool]:
    """Return under which names somebody may appear, and whether these are all."""
    own = stored_name(subject)
    try:
        return frozenset((own, *reader.names_of(subject))), True
    except AuditKeyError:
        return frozenset((own,)), False


def _is_about(record: AuditRecord, names: frozenset[str]) -> bool:
    if record.session in names or record.actor in names:
        return True
    return any(isinstance(value := record.data.get(key), str) and value in names for key in _PERSON_KEYS)


def _coverage(reader: AuditReader, head: AuditHead, start: float | None) -> dict[str, object]:
    """Say what the log can tell of the period: what was sealed before is in other logs."""
    first = next(reader.events(stop=min(1, head.size)), None)
    continues = first is not None and first.data.get("event") == "log_continues"
    is_complete = not continues or (start is not None and first is not None and first.wall_time <= start)
    return {
        "log_begins": None if first is None else iso_time(first.wall_time),
        "is_complete": is_complete,
        "note": None if is_complete else "earlier entries are in logs that were sealed; report on them as well",
    }


def _session(tally: Tally, verification: Verification, _days: int | None) -> dict[str, object]:
    return {"by_event": dict(sorted(tally.by_name.items())), "status": _sound(verification)}


def _soc2(tally: Tally, verification: Verification, _days: int | None) -> dict[str, object]:
    if not tally.violations and not tally.security_last_day:
        status = "compliant"
    else:
        status = "review_required" if tally.violations < _SOC2_REVIEW else "non_compliant"
    return {
        "summary": {
            "sessions": len(tally.sessions),
            "violations": tally.violations,
            "security_events": tally.security,
            "security_events_last_day": tally.security_last_day,
        },
        "access_controls": {
            "auth_events": tally.by_type["auth"],
            "logins": tally.logins,
            "denials": tally.denials,
            "overrides": tally.overrides,
        },
        "change_management": {"changes": tally.changes},
        **_judged(
            status,
            "non_compliant",
            tally,
            verification,
            "compliant without violations and, in the last day, without security events; "
            f"review_required below {_SOC2_REVIEW} violations; else non_compliant",
        ),
    }


def _pci(tally: Tally, verification: Verification, days: int | None) -> dict[str, object]:
    status = "non_compliant" if tally.security >= _PCI_REVIEW else "review_required" if tally.security else "compliant"
    return {
        "audit_trail": {
            "enabled": verification.size > 0,
            "immutable": _sound(verification) == "verified",
            "retention_days": _NOT_RECORDED if days is None else days,
            "log_faults": tally.log_faults,
        },
        "access_control": {
            "logins": tally.logins,
            "failures": tally.denials,
            "privilege_escalations": tally.overrides,
        },
        "monitoring": {"security_events": tally.security, "violations": tally.violations},
        **_judged(
            status,
            "non_compliant",
            tally,
            verification,
            f"compliant without security events; review_required below {_PCI_REVIEW}; else non_compliant",
        ),
    }


def _hipaa(tally: Tally, verification: Verification, _days: int | None) -> dict[str, object]:
    return {
        "audit_controls": {
            "access_logs": tally.by_type["auth"],
            "sessions": len(tally.sessions),
            "emergency_access": tally.overrides,
        },
        "integrity": {"verification": verification.outcome, "log_faults": tally.log_faults},
        "transmission_security": _NOT_RECORDED,
        **_judged(
            "attention_required" if tally.violations else "compliant",
            "attention_required",
            tally,
            verification,
            "compliant without violations; else attention_required",
        ),
    }


def _gdpr(tally: Tally, verification: Verification, _days: int | None) -> dict[str, object]:
    return {
        "sessions": sorted(tally.sessions),
        "by_event": dict(sorted(tally.by_name.items())),
        "resources": {"events": tally.by_type["resource"], "violations": tally.violations},
        "status": _sound(verification),
    }


_SECTIONS: Final[dict[ReportKind, Callable[[Tally, Verification, int | None], dict[str, object]]]] = {
    "session": _session,
    "soc2": _soc2,
    "pci-dss": _pci,
    "hipaa": _hipaa,
    "gdpr": _gdpr,
}


def _judged(status: str, worst: str, tally: Tally, verification: Verification, rule: str) -> dict[str, object]:
    """Return the status by a rule; a log that is not sound, or has lost something, has the worst one."""
    reasons = []
    if _sound(verification) != "verified":
        reasons.append(f"the log does not verify: {verification.title}")
    if tally.log_faults:
        reasons.append(f"{tally.log_faults} entries tell that events were lost or that a check of the log failed")
    return {"status": worst if reasons else status, "rule": rule, "because": reasons}


def _sound(verification: Verification) -> str:
    return "verified" if verification.outcome in ("valid", "torn") else "not verified"


def _iso(moment: float | None) -> str | None:
    return None if moment is None else iso_time(moment)


def _flat(prefix: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(f"{prefix}.{key}" if prefix else str(key), inner)
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from _flat(f"{prefix}.{number}", inner)
    else:
        yield prefix, value
