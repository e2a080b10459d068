"""Replays of sshd logs with the real session system, against the oracle and against themselves."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sessionactors.audit.log import AuditLog
from sessionactors.audit.record import AuditRecord
from sessionactors.replay.report import ReplayReport
from sessionactors.replay.run import replay_log
from sessionactors.replay.settings import ReplaySettings
from sessionactors.replay.source import Log, read_log
from supervisors.clock import SystemClock
from tests.sessionactors.replay.sshd_lines import SSHD_BASE, sshd_line
from tests.sessionactors.replay.sshd_oracle import Options, expect

COUNTS = (
    "lines",
    "bad_lines",
    "other_lines",
    "requests",
    "clients",
    "sessions",
    "transitions",
    "auth_denied",
    "reaped",
    "peak_live",
    "simulated_seconds",
)

TIMEOUTS = [
    Options(),
    Options(year=2017),
    Options(idle_timeout=5, reap_after=60, reap_interval=7),
    Options(auth_timeout=1),
    Options(auth_timeout=5, max_auth_attempts=3),
    Options(auth_timeout=60, reap_after=20, reap_interval=10),
    Options(auth_timeout=2.5, idle_timeout=2.5, reap_after=10, reap_interval=2.5, max_auth_attempts=1),
    Options(idle_timeout=600, reap_after=7200, reap_interval=45, max_auth_attempts=20),
]


def run(log: Log, options: Options, directory: Path | None = None, **more: int) -> ReplayReport:
    chosen = {key: value for key, value in dataclasses.asdict(options).items() if key != "year"}
    report, is_complete = replay_log(log, ReplaySettings(**chosen, **more), clock=SystemClock(), directory=directory)
    assert is_complete
    return report


def check(path: Path, options: Options, directory: Path | None = None) -> ReplayReport:
    report = run(read_log([str(path)], log_format="sshd", year=options.year), options, directory)
    expected = expect(path.read_text().splitlines(), options)
    assert {name: getattr(report, name) for name in COUNTS} == {name: getattr(expected, name) for name in COUNTS}
    if directory is not None:
        timeouts = [event for event in events_of(directory) if event.data["event"] == "auth_timeout"]
        assert len(timeouts) == expected.timeouts
    return report


def events_of(directory: Path) -> list[AuditRecord]:
    log = AuditLog(directory)
    events = list(log.events())
    log.close()
    return events


@pytest.mark.parametrize("options", TIMEOUTS, ids=str)
def test_the_real_sample_comes_out_as_the_oracle_says(shared_path, tmp_path, options):
    report = check(shared_path / "data" / "sshd_auth.log", options, tmp_path)
    assert (report.lines, report.requests, report.other_lines, report.bad_lines) == (3_500, 1_990, 1_510, 0)


def test_the_real_sample_comes_out_as_counted_with_grep(shared_path):
    path = shared_path / "data" / "sshd_auth.log"
    report = run(read_log([str(path)]), Options())
    accepted = sum("]: Accepted " in line for line in path.read_text().splitlines())
    assert report.transitions["auth->active"] == accepted == 160


def test_the_year_changes_nothing_but_the_times(shared_path):
    path = str(shared_path / "data" / "sshd_auth.log")
    first, second = (run(read_log([path], year=year), Options()) for year in (2000, 2017))
    assert (first.transitions, first.audit_events) == (second.transitions, second.audit_events)
    assert first.audit_root != second.audit_root


def test_a_second_run_is_equal_to_the_last_digit_of_the_audit_root(tmp_path):
    path = tmp_path / "auth.log"
    path.write_text("\n".join(sshd_line(at, MESSAGES[at % len(MESSAGES)], at % 3) for at in range(60)))
    first, second = (run(read_log([str(path)]), Options(auth_timeout=5)) for _ in range(2))
    assert first.audit_root == second.audit_root
    assert first.transitions == second.transitions


MESSAGES = (
    "Connection from P on 10.0.0.1 port 22",
    "Connection from 192.0.2.2 port 7 on 10.0.0.1 port 22",
    "Invalid user x from 192.0.2.1",
    "pam_unix(sshd:auth): authentication failure; logname= uid=0 rhost=192.0.2.9",
    "Failed password for root from P ssh2",
    "Failed password for invalid user x from 192.0.2.1 port 40002 ssh2",
    "message repeated 2 times: [ Failed password for root from P ssh2]",
    "error: maximum authentication attempts exceeded for root from P ssh2 [preauth]",
    "Accepted publickey for ann from P ssh2: RSA SHA256:abc",
    "Accepted password for bob from 192.0.2.2 port 7 ssh2",
    "pam_unix(sshd:session): session opened for user ann by (uid=0)",
    "User child is on pid 4711",
    "Starting session: shell on pts/0 for ann from P id 0",
    "Received disconnect from P:11: disconnected by user",
    "Disconnected from P",
    "Disconnected from 192.0.2.2 port 7 [preauth]",
    "Connection closed by P [preauth]",
    "Connection closed by 192.0.2.1 [preauth]",
    "Disconnecting: Too many authentication failures [preauth]",
    "Did not receive identification string from 192.0.2.1",
    "pam_unix(sshd:session): session closed for user ann",
    "fatal: Write failed: Connection reset by peer",
    "Server listening on 0.0.0.0 port 22.",
)


@settings(max_examples=60)
@given(
    log=st.lists(st.tuples(st.integers(0, 300), st.sampled_from(MESSAGES), st.integers(1, 3)), min_size=1, max_size=30),
    idle_timeout=st.sampled_from([1, 5, 30, 60]),
    reap_after=st.sampled_from([1, 5, 30, 60, 200]),
    reap_interval=st.sampled_from([1, 7, 30, 60]),
    auth_timeout=st.sampled_from([1, 5, 30, 120]),
    max_auth_attempts=st.sampled_from([1, 2, 3, 6]),
)
def test_any_log_comes_out_as_the_oracle_says(tmp_path_factory, log, **options):
    path = tmp_path_factory.mktemp("log") / "auth.log"
    path.write_text("".join(f"{sshd_line(at, message, pid)}\n" for at, message, pid in log))
    check(path, Options(**options))


def test_crashes_do_not_keep_the_run_from_its_end(tmp_path):
    path = tmp_path / "auth.log"
    path.write_text("\n".join(sshd_line(at, MESSAGES[at % len(MESSAGES)], at % 5) for at in range(200)))
    report = run(read_log([str(path)]), Options(), crash_every=3)
    ended = sum(count for edge, count in report.transitions.items() if edge.endswith("->terminated"))
    assert (report.requests, ended) == (200, report.sessions)


class TestReport:
    @pytest.fixture
    def report(self, tmp_path):
        path = tmp_path / "auth.log"
        path.write_text(f"{sshd_line(0, MESSAGES[4])}\n{sshd_line(1, 'x').replace('sshd[', 'cron[')}\n")
        return run(read_log([str(path)]), Options())

    def test_has_the_other_lines_in_its_json(self, report):
        assert json.loads(report.to_json())["other_lines"] == 1

    def test_has_them_in_its_text(self, report):
        assert "Other lines                  1  of other programs" in report.to_text(title="Replay").splitlines()[4]


@pytest.mark.parametrize(
    ("given", "seconds", "attempts"), [({}, 120, 6), ({"auth_timeout": 50.0, "max_auth_attempts": 2}, 50, 2)]
)
def test_what_is_left_open_is_as_in_sshd_itself(tmp_path, given, seconds, attempts):
    path = tmp_path / "auth.log"
    path.write_text(sshd_line(0, MESSAGES[4]) + "\n" + sshd_line(200, MESSAGES[7], 2))
    directory = tmp_path / "out"
    directory.mkdir()
    replay_log(read_log([str(path)]), ReplaySettings(**given), clock=SystemClock(), directory=directory)
    events = events_of(directory)
    (timeout,) = (event for event in events if event.data["event"] == "auth_timeout")
    (exceeded,) = (event for event in events if event.data["event"] == "max_auth_attempts_exceeded")
    assert (timeout.wall_time - SSHD_BASE, exceeded.data["attempts"]) == (seconds, attempts)
