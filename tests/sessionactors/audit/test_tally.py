from __future__ import annotations

import pytest

from sessionactors.audit.record import AuditRecord
from sessionactors.audit.tally import Tally, name_of

DAY = 86_400.0


def entry(event_type="lifecycle", severity="info", event=None, *, at=0.0, session="s", actor="session", **data):
    return AuditRecord(
        0, at, at, session, event_type, severity, actor, data if event is None else {"event": event, **data}
    )


def tally_of(*records, until=10 * DAY):
    tally = Tally(until)
    for record in records:
        tally.add(record)
    return tally


@pytest.mark.parametrize(
    ("record", "counted"),
    [
        (entry("auth", event="auth_success"), {"logins": 1}),
        (entry("auth", action="granted"), {"logins": 1}),
        (entry("auth", event="auth_attempt"), {}),
        (entry("auth", "warning", "auth_failed"), {"denials": 1}),
        (entry("auth", "warning", action="granted"), {"denials": 1}),
        (entry("security", "warning", "auth_blocked"), {"denials": 1, "security": 1}),
        (entry("security", "warning", "resource_violation"), {"violations": 1, "security": 1}),
        (entry("resource", "warning", "quota_exceeded"), {"violations": 1}),
        (entry("security", "warning", "unlock"), {"overrides": 1, "security": 1}),
        (entry("security", "warning", "override_quota"), {"overrides": 1, "security": 1, "changes": 1}),
        (entry("lifecycle", event="config_updated"), {"changes": 1}),
        (entry("error", "critical", "events_lost"), {"log_faults": 1}),
        (entry("lifecycle", event="session_started"), {}),
    ],
)
def test_each_kind_of_event_counts_where_it_belongs(record, counted):
    tally = tally_of(record)
    names = ("logins", "denials", "violations", "overrides", "changes", "log_faults", "security")
    assert {name: count for name in names if (count := getattr(tally, name))} == counted


def test_the_last_day_is_counted_apart():
    tally = tally_of(entry("security", at=8.9 * DAY), entry("security", at=9 * DAY), entry("security", at=9.5 * DAY))
    assert (tally.security, tally.security_last_day) == (3, 2)


def test_times_need_not_be_in_order():
    tally = tally_of(entry(at=5.0), entry(at=3.0), entry(at=4.0))
    assert (tally.first_seen, tally.last_seen, tally.count) == (3.0, 5.0, 3)


def test_sessions_are_counted_once():
    assert tally_of(entry(session="a"), entry(session="b"), entry(session="a"), entry(session=None)).sessions == {
        "a",
        "b",
    }


def test_an_event_without_a_name_has_none():
    assert name_of(entry(event=7)) == name_of(entry()) == ""
