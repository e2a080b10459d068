"""The oracle for sshd logs itself, on logs small enough to be worked out by hand."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.sessionactors.replay import sshd_oracle
from tests.sessionactors.replay.sshd_lines import sshd_line
from tests.sessionactors.replay.sshd_oracle import Options, expect

FAILED = "Failed password for root from P ssh2"
ACCEPTED = "Accepted password for ann from P ssh2"
CLOSED = "Connection closed by P [preauth]"


def test_it_imports_nothing_of_ours():
    tree = ast.parse(Path(sshd_oracle.__file__).read_text())
    imported = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    imported += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    assert not [name for name in imported if name and name.startswith(("sessionactors", "supervisors", "tests"))]


def test_a_whole_visit():
    found = expect(
        [
            sshd_line(0, "Connection from P on 10.0.0.1 port 22"),
            sshd_line(1, FAILED),
            sshd_line(2, ACCEPTED),
            sshd_line(9, "pam_unix(sshd:session): session closed for user ann"),
        ],
        Options(),
    )
    assert found.transitions == {"new->auth": 1, "auth->active": 1, "active->terminated": 1}
    assert (found.sessions, found.clients, found.requests) == (1, 1, 4)
    assert (found.auth_denied, found.accepted, found.timeouts, found.reaped) == (1, 1, 0, 0)
    assert found.simulated_seconds == 9


def test_one_failure_and_silence_end_at_the_timeout():
    # Due at 120, where the sweep also is.
    found = expect([sshd_line(0, FAILED)], Options())
    assert found.transitions == {"new->auth": 1, "auth->terminated": 1}
    assert (found.timeouts, found.reaped, found.simulated_seconds) == (1, 0, 120)


def test_a_retry_does_not_prolong_the_timeout():
    found = expect([sshd_line(0, FAILED), sshd_line(119, FAILED), sshd_line(120, ACCEPTED)], Options())
    assert (found.auth_denied, found.accepted, found.timeouts) == (2, 0, 1)


def test_after_the_login_the_timers_of_activity_run():
    # Idle at 300, suspended at 600, the first sweep over 1,800 at 1,860.
    found = expect([sshd_line(0, ACCEPTED)], Options())
    assert found.transitions == {
        "new->auth": 1,
        "auth->active": 1,
        "active->idle": 1,
        "idle->suspended": 1,
        "suspended->terminated": 1,
    }
    assert (found.reaped, found.simulated_seconds) == (1, 1860)


def test_who_never_tries_stays_new_until_the_reaper_comes():
    found = expect([sshd_line(0, "Invalid user x from 192.0.2.1")], Options())
    assert found.transitions == {"new->terminated": 1}
    assert (found.reaped, found.timeouts, found.simulated_seconds) == (1, 0, 1860)


def test_repeated_lines_count_as_often_as_they_say():
    lines = [sshd_line(0, FAILED), sshd_line(1, f"message repeated 4 times: [ {FAILED}]"), sshd_line(2, CLOSED)]
    assert expect(lines, Options()).auth_denied == 5
    assert expect(lines, Options(max_auth_attempts=3)).auth_denied == 3


def test_lines_of_others_are_counted_apart():
    other = sshd_line(0, "pam_unix(cron:session): session opened").replace("sshd[", "CRON[")
    found = expect([other, sshd_line(5, CLOSED), "nonsense", ""], Options())
    assert (found.lines, found.other_lines, found.bad_lines, found.requests) == (3, 1, 1, 1)
    assert found.transitions == {"new->terminated": 1}


def test_peak_live_follows_the_order_of_lines_within_a_second():
    a, b = sshd_line(0, "Invalid user x from 192.0.2.1", 1), sshd_line(0, "Invalid user y from 192.0.2.2", 2)
    a_ends = sshd_line(0, "Disconnecting: Too many authentication failures [preauth]", 1)
    assert expect([a, b, a_ends], Options()).peak_live == 2
    assert expect([a, a_ends, b], Options()).peak_live == 1


def test_the_year_turns_with_the_log():
    lines = ["Dec 31 23:59:58 web sshd[1]: " + CLOSED, "Jan  1 00:00:03 web sshd[2]: " + CLOSED]
    assert expect(lines, Options()).simulated_seconds == 5
