from __future__ import annotations

import json

import pytest

from sessionactors.replay.access_log import AccessLogParser
from sessionactors.replay.contract import SystemTotals
from sessionactors.replay.driver import Handled
from sessionactors.replay.events import AccessRequest
from sessionactors.replay.report import ReplayReport, duration_in_words, make_report, write_report
from sessionactors.replay.source import Log, SkippedLine
from tests.sessionactors.replay.log_lines import BASE, access_line

KEYS = [
    "lines",
    "bad_lines",
    "requests",
    "clients",
    "sessions",
    "transitions",
    "rate_limited",
    "quota_exceeded",
    "errors",
    "auth_denied",
    "reaped",
    "peak_live",
    "audit_events",
    "audit_size",
    "audit_root",
    "simulated_seconds",
    "wall_seconds",
    "requests_per_second",
]
SKIPPED = (SkippedLine("a.log", 3, "it is odd"), SkippedLine("a.log", 9, "it is odder"))


@pytest.fixture
def report() -> ReplayReport:
    event = AccessLogParser().parse(access_line(0), 1)
    assert isinstance(event, AccessRequest)
    handled = Handled(
        requests=9_997,
        clients=1_753,
        rate_limited=12,
        quota_exceeded=0,
        errors=3,
        auth_denied=2,
        crashes=0,
        end=BASE + 300_000,
        is_complete=True,
    )
    totals = SystemTotals(
        sessions=2_000,
        transitions={"suspended->terminated": 2_000, "new->auth": 2_000, "active->idle": 0, "auth->active": 1_234_567},
        reaped=2_000,
        peak_live=60,
        audit_events={"state_transition": 10_000, "lifecycle": 4_000, "auth": 2_002},
        audit_size=16_002,
        audit_root="ab" * 32,
    )
    return make_report(Log("access", [event], 10_000, 3, SKIPPED), handled, totals, wall_seconds=0.5)


def test_json_has_the_promised_keys_in_the_promised_order(report):
    assert list(json.loads(report.to_json())) == KEYS


def test_json_is_one_line(report):
    assert "\n" not in report.to_json()


def test_figures_come_from_who_knows_them(report):
    found = json.loads(report.to_json())
    assert (found["lines"], found["bad_lines"], found["requests"], found["clients"]) == (10_000, 3, 9_997, 1_753)
    assert (found["sessions"], found["reaped"], found["peak_live"]) == (2_000, 2_000, 60)
    assert (found["rate_limited"], found["quota_exceeded"], found["errors"], found["auth_denied"]) == (12, 0, 3, 2)
    assert (found["audit_size"], found["audit_root"]) == (16_002, "ab" * 32)
    assert found["audit_events"] == {"auth": 2_002, "lifecycle": 4_000, "state_transition": 10_000}
    assert (found["simulated_seconds"], found["wall_seconds"]) == (300_000.0, 0.5)
    assert found["requests_per_second"] == 9_997 / 0.5


def test_transitions_stand_in_the_order_of_a_life_and_without_zeros(report):
    assert list(report.transitions) == ["new->auth", "auth->active", "suspended->terminated"]


def test_no_time_at_all_makes_no_division_by_zero(report):
    log = Log("access", [AccessLogParser().parse(access_line(0), 1)], 1, 0, ())  # type: ignore[list-item]
    handled = Handled(1, 1, 0, 0, 0, 0, 0, BASE, is_complete=True)
    totals = SystemTotals(1, {}, 1, 1, {}, 0, "")
    assert make_report(log, handled, totals, wall_seconds=0.0).requests_per_second == 0.0


class TestText:
    def test_fits_a_terminal(self, report):
        text = report.to_text(title="Replay of access.log", skipped=SKIPPED)
        assert max(len(line) for line in text.splitlines()) <= 80
        assert not any(line != line.rstrip() for line in text.splitlines())

    def test_reads_well(self, report):
        text = report.to_text(title="Replay of access.log", skipped=SKIPPED)
        assert text == EXPECTED

    def test_says_nothing_of_skipped_lines_when_there_are_none(self, report):
        whole = ReplayReport(**{**json.loads(report.to_json()), "bad_lines": 0})
        assert "Skipped lines" not in whole.to_text(title="Replay")


EXPECTED = """\
Replay of access.log
====================

  Lines                   10,000  3 bad lines skipped
  Requests                 9,997  from 1,753 clients
  Sessions                 2,000  up to 60 live at the same time
  Reaped                   2,000
  Rate limited                12
  Quota exceeded               0
  Access denied                2
  Server errors                3
  Simulated time     3 days 11 hours
  Real time          0.5 seconds (19,994 requests a second)

Transitions (from the state on the left to the state above)
                    auth      active        idle   suspended  terminated
  new              2,000           .           .           .           .
  auth                 .   1,234,567           .           .           .
  active               .           .           .           .           .
  idle                 .           .           .           .           .
  suspended            .           .           .           .       2,000

Audit log (16,002 entries)
  auth                     2,002
  lifecycle                4,000
  state_transition        10,000
  root abababababababababababababababababababababababababababababababab

Skipped lines
  a.log:3: it is odd
  a.log:9: it is odder
  ... and 1 more
"""


def test_files_are_written_for_both_kinds_of_reader(report, tmp_path):
    (tmp_path / "report.json").write_text("old")
    write_report(report, "for people\n", tmp_path)
    assert (tmp_path / "report.json").read_text() == report.to_json() + "\n"
    assert (tmp_path / "report.txt").read_text() == "for people\n"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 seconds"),
        (0.123456, "0.123 seconds"),
        (1, "1 second"),
        (1.004, "1 second"),
        (2.414, "2.41 seconds"),
        (59.96, "60 seconds"),
        (60, "1 minute"),
        (61, "1 minute 1 second"),
        (3600, "1 hour"),
        (7322, "2 hours 2 minutes"),
        (86_400, "1 day"),
        (86_461, "1 day 1 minute"),
        (1e8, "1,157 days 9 hours"),
    ],
)
def test_durations_are_told_with_their_two_largest_units(seconds, words):
    assert duration_in_words(seconds) == words
