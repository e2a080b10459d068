from __future__ import annotations

import csv
import io
import json

import pytest

from sessionactors.audit.log import AuditLog
from sessionactors.audit.queries import AuditReader
from sessionactors.audit.record import kind_of
from sessionactors.audit.reports import REPORT_DAYS, report
from sessionactors.audit.verify import verify
from supervisors.errors import InvalidArgumentError
from tests.sessionactors.audit.conftest import alter

DAY = 86_400.0
NOW = 1_700_000_000.0


def entry(event_type, event, session="s", severity="info", *, age=0.5, actor="session", **data):
    at = NOW - age * DAY
    return (at, at, session, kind_of(event_type, severity), actor, {"event": event, **data})


LIFE = [
    entry("lifecycle", "session_started"),
    entry("auth", "auth_success", user_id="ada"),
    entry("resource", "resources_updated"),
    entry("lifecycle", "session_started", "t"),
    entry("auth", "auth_failed", "t", "warning"),
]


@pytest.fixture
def made(tmp_path):
    """Return a function that writes a log and reports on it."""

    def make(kind, *events, damage=None, text=False, **options):
        path = tmp_path / "log"
        with AuditLog(path, origin="example.com/log") as log:
            log.append_many(events or LIFE)
        if damage:
            alter(path, damage)
        with AuditReader(path) as reader:
            found = report(kind, reader, reader.head(), verify(path), NOW, **options)
            raw = "".join(found.write("csv" if text else "json"))
        return raw if text else json.loads(raw)

    return make


def test_a_session_report_has_its_entries_and_counts(made):
    found = made("session", subject="s")
    assert (found["session_id"], found["event_count"], len(found["events"])) == ("s", 3, 3)
    assert (found["first_sequence"], found["last_sequence"]) == (0, 2)
    assert found["by_type"] == {"auth": 1, "lifecycle": 1, "resource": 1}
    assert found["by_severity"] == {"info": 3}


@pytest.mark.parametrize("kind", REPORT_DAYS)
def test_every_report_has_head_counts_and_the_verification(made, kind):
    found = made(kind, subject="s" if kind in ("session", "gdpr") else None)
    assert found["report"] == kind
    assert found["generated_at"] == "2023-11-14T22:13:20.000000Z"
    assert (found["log"]["origin"], found["log"]["size"]) == ("example.com/log", 5)
    assert found["log"]["head"].startswith("example.com/log\n5\n")
    assert (found["verification"]["outcome"], found["verification"]["root"]) == ("valid", found["log"]["root"])
    assert sum(found["by_type"].values()) == sum(found["by_severity"].values()) == found["event_count"]


@pytest.mark.parametrize(("kind", "days"), [("soc2", 7), ("pci-dss", 1), ("hipaa", 7)])
def test_a_framework_has_its_period(made, kind, days):
    found = made(kind, *(entry("lifecycle", "x", age=age) for age in (0.0, 0.5, days, days + 0.1, days * 3)))
    assert found["event_count"] == 2  # the end of the period is not in it


def test_a_period_can_be_chosen(made):
    found = made(
        "soc2", *(entry("lifecycle", "x", age=age) for age in (1, 2, 3, 4)), since=NOW - 3 * DAY, until=NOW - DAY
    )
    assert found["event_count"] == 2
    assert found["period"] == {"since": "2023-11-11T22:13:20.000000Z", "until": "2023-11-13T22:13:20.000000Z"}


VIOLATION = entry("resource", "quota_exceeded", severity="warning")
SECURITY = entry("security", "lock", severity="warning", actor="admin:alice")
OLD_SECURITY = entry("security", "lock", severity="warning", age=3)


@pytest.mark.parametrize(
    ("kind", "events", "status"),
    [
        ("soc2", LIFE, "compliant"),
        ("soc2", [OLD_SECURITY], "compliant"),
        ("soc2", [SECURITY], "review_required"),
        ("soc2", [VIOLATION], "review_required"),
        ("soc2", [VIOLATION] * 9, "review_required"),
        ("soc2", [VIOLATION] * 10, "non_compliant"),
        ("pci-dss", LIFE, "compliant"),
        ("pci-dss", [SECURITY], "review_required"),
        ("pci-dss", [SECURITY] * 4, "review_required"),
        ("pci-dss", [SECURITY] * 5, "non_compliant"),
        ("hipaa", LIFE, "compliant"),
        ("hipaa", [SECURITY], "compliant"),
        ("hipaa", [VIOLATION], "attention_required"),
    ],
)
def test_a_status_follows_from_the_rule_beside_it(made, kind, events, status):
    found = made(kind, *events)
    assert (found["status"], found["because"]) == (status, [])
    assert status in found["rule"]


@pytest.mark.parametrize(
    ("kind", "worst"), [("soc2", "non_compliant"), ("pci-dss", "non_compliant"), ("hipaa", "attention_required")]
)
def test_a_log_that_does_not_verify_is_never_compliant(made, kind, worst):
    found = made(kind, damage="UPDATE tip SET checkpoints_size = 1")
    assert found["verification"]["outcome"] == "tampered"
    assert (found["status"], len(found["because"])) == (worst, 1)


@pytest.mark.parametrize("kind", ["soc2", "pci-dss", "hipaa"])
def test_lost_events_are_never_compliant(made, kind):
    found = made(kind, entry("error", "events_lost", None, "critical"))
    assert found["status"] in ("non_compliant", "attention_required")


def test_soc2_counts_access_and_changes(made):
    found = made("soc2", *LIFE, SECURITY, entry("lifecycle", "config_updated"))
    assert found["access_controls"] == {"auth_events": 2, "logins": 1, "denials": 1, "overrides": 1}
    assert found["change_management"] == {"changes": 1}
    assert found["summary"]["sessions"] == 2


def test_pci_does_not_claim_what_was_not_checked(made):
    found = made("pci-dss", damage="UPDATE tip SET checkpoints_size = 1")
    assert (found["audit_trail"]["immutable"], found["audit_trail"]["retention_days"]) == (False, "not recorded")
    assert found["access_control"] == {"logins": 1, "failures": 1, "privilege_escalations": 0}


def test_pci_says_what_the_system_is_set_to(made):
    found = made("pci-dss", retention_days=30)
    assert found["audit_trail"] == {"enabled": True, "immutable": True, "retention_days": 30, "log_faults": 0}


def test_hipaa_says_what_no_entry_tells(made):
    found = made("hipaa", *LIFE, SECURITY)
    assert found["audit_controls"] == {"access_logs": 2, "sessions": 2, "emergency_access": 1}
    assert found["transmission_security"] == "not recorded"


def test_gdpr_finds_everything_of_a_person(made):
    found = made("gdpr", subject="ada")
    assert (found["subject"], found["sessions"]) == ("ada", ["s"])
    assert [each["sequence"] for each in found["events"]] == [0, 1, 2]
    assert found["resources"] == {"events": 1, "violations": 0}
    assert found["first_seen"] == found["last_seen"] == "2023-11-14T10:13:20.000000Z"


def test_gdpr_finds_nothing_of_somebody_else(made):
    assert made("gdpr", subject="bob")["event_count"] == 0


def test_a_report_says_what_was_sealed_before(tmp_path):
    with AuditLog(tmp_path / "log") as log:
        log.append_many(LIFE)
        log.seal(NOW - DAY, 1.0)
    with AuditReader(tmp_path / "log") as reader:
        verification = verify(tmp_path / "log")
        late = report("soc2", reader, reader.head(), verification, NOW, since=NOW - 10)
        early = report("soc2", reader, reader.head(), verification, NOW)
    assert late.facts["coverage"]["is_complete"] is True
    assert early.facts["coverage"]["is_complete"] is False


def test_csv_has_a_row_for_each_value_and_runs_nothing(made):
    raw = made("session", entry("lifecycle", "=1+1", "=s"), subject="=s", text=True)
    rows = dict(csv.reader(io.StringIO(raw)))
    assert rows["session_id"] == "'=s"
    assert rows["by_type.lifecycle"] == "1"
    assert json.loads(rows["events.0"])["data"] == {"event": "=1+1"}


@pytest.mark.parametrize(
    ("kind", "options", "field"),
    [
        ("nonsense", {}, "kind"),
        ("session", {}, "subject"),
        ("gdpr", {}, "subject"),
        ("soc2", {"subject": "s"}, "subject"),
        ("soc2", {"since": 2.0, "until": 1.0}, "since"),
    ],
)
def test_bad_wishes_are_refused(made, kind, options, field):
    with pytest.raises(InvalidArgumentError, match=field):
        made(kind, **options)
