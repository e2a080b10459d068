"""What each rule does to sessions, with the real session system and expectations worked out by hand."""

from __future__ import annotations

import pytest

from sessionactors.audit.log import AuditLog
from sessionactors.replay.run import replay_log
from sessionactors.replay.settings import ReplaySettings
from sessionactors.replay.source import read_log
from supervisors.clock import SystemClock
from tests.sessionactors.replay.sshd_lines import SSHD_BASE, sshd_line

CONNECTED = "Connection from P on 10.0.0.1 port 22"
INVALID = "Invalid user x from 192.0.2.1"
FAILED = "Failed password for root from P ssh2"
ACCEPTED = "Accepted password for ann from P ssh2"
CLOSED = "Connection closed by P [preauth]"
EXHAUSTED = "error: maximum authentication attempts exceeded for root from P ssh2 [preauth]"
SESSION_CLOSED = "pam_unix(sshd:session): session closed for user ann"


@pytest.fixture
def story(tmp_path):
    """Replay lines and tell the edges of every session in their order: `web:1#1 new->auth @ 0`."""

    def tell(*lines: str, **settings: float) -> list[str]:
        path = tmp_path / "auth.log"
        path.write_text("\n".join(lines))
        directory = tmp_path / "out"
        directory.mkdir()
        replay_log(
            read_log([str(path)], log_format="sshd"),
            ReplaySettings(**settings),  # type: ignore[arg-type]
            clock=SystemClock(),
            directory=directory,
        )
        log = AuditLog(directory)
        told = []
        for event in log.events(event_type="state_transition"):
            edge = f"{event.data['from_state']}->{event.data['to_state']}"
            told.append(f"{event.session} {edge} {event.data['reason']} @ {event.wall_time - SSHD_BASE:g}")
        log.close()
        return told

    return tell


def test_a_login_lives_from_accepted_to_session_closed(story):
    assert story(sshd_line(0, CONNECTED), sshd_line(3, ACCEPTED), sshd_line(9, SESSION_CLOSED)) == [
        "web:1#1 new->auth requested @ 3",
        "web:1#1 auth->active authenticated @ 3",
        "web:1#1 active->terminated disconnected @ 9",
    ]


def test_a_failure_can_be_made_good(story):
    assert story(sshd_line(0, FAILED), sshd_line(3, ACCEPTED), sshd_line(9, SESSION_CLOSED))[:2] == [
        "web:1#1 new->auth requested @ 0",
        "web:1#1 auth->active authenticated @ 3",
    ]


def test_the_last_attempt_ends_the_session(story):
    lines = [sshd_line(at, FAILED) for at in range(7)]
    assert story(*lines) == [
        "web:1#1 new->auth requested @ 0",
        "web:1#1 auth->terminated max_attempts @ 5",
    ]


def test_repeated_failures_use_up_attempts(story):
    repeated = f"message repeated 5 times: [ {FAILED}]"
    assert story(sshd_line(0, FAILED), sshd_line(1, repeated))[-1] == "web:1#1 auth->terminated max_attempts @ 1"


def test_too_many_attempts_are_made_where_the_log_left_them_out(story):
    assert story(sshd_line(0, INVALID), sshd_line(1, EXHAUSTED), sshd_line(1, CLOSED)) == [
        "web:1#1 new->auth requested @ 1",
        "web:1#1 auth->terminated max_attempts @ 1",
    ]


def test_the_timeout_ends_who_is_not_signed_in(story):
    assert story(sshd_line(0, INVALID), sshd_line(7, FAILED), sshd_line(200, CLOSED)) == [
        "web:1#1 new->auth requested @ 7",
        "web:1#1 auth->terminated auth_timeout @ 127",
    ]


def test_a_login_after_the_timeout_is_too_late(story):
    edges = story(sshd_line(0, FAILED), sshd_line(5, ACCEPTED), sshd_line(9, SESSION_CLOSED), auth_timeout=5)
    assert edges == ["web:1#1 new->auth requested @ 0", "web:1#1 auth->terminated auth_timeout @ 5"]


def test_a_connection_that_is_only_closed_is_a_session_that_never_tried(story):
    assert story(sshd_line(0, CLOSED)) == ["web:1#1 new->terminated disconnected @ 0"]


def test_two_lines_about_one_end_are_one_session(story):
    lines = [
        sshd_line(0, "Received disconnect from P:11: Bye Bye [preauth]"),
        sshd_line(0, "Disconnected from P [preauth]"),
    ]
    assert story(*lines) == ["web:1#1 new->terminated disconnected @ 0"]


def test_a_child_that_leaves_ends_the_session_of_its_client(story):
    edges = story(
        sshd_line(0, ACCEPTED, 1),
        sshd_line(5, "Received disconnect from P:11: disconnected by user", 2),
        sshd_line(5, "Disconnected from P", 2),
        sshd_line(6, SESSION_CLOSED, 1),
    )
    assert edges[2:] == ["web:1#1 active->terminated disconnected @ 5"]


def test_of_two_open_sessions_of_one_client_the_latest_is_ended_first(story):
    left = "Disconnected from P"
    edges = story(sshd_line(0, CONNECTED, 1), sshd_line(1, CONNECTED, 2), sshd_line(2, left, 3), sshd_line(3, left, 3))
    assert edges == ["web:2#1 new->terminated disconnected @ 2", "web:1#1 new->terminated disconnected @ 3"]


def test_a_child_of_another_host_ends_nothing(story):
    lines = [sshd_line(0, ACCEPTED, 1), sshd_line(5, "Disconnected from P", 2, "db"), sshd_line(9, SESSION_CLOSED, 1)]
    assert story(*lines)[2:] == ["web:1#1 active->terminated disconnected @ 9"]


def test_the_end_of_a_connection_that_began_before_the_log_is_nothing(story):
    lines = [sshd_line(0, "Disconnected from P", 1), sshd_line(0, SESSION_CLOSED, 2), sshd_line(1, CLOSED, 3)]
    assert story(*lines) == ["web:3#1 new->terminated disconnected @ 1"]


def test_what_is_about_no_connection_is_nothing(story):
    assert story(sshd_line(0, "Server listening on 0.0.0.0 port 22."), sshd_line(1, CLOSED, 2)) == [
        "web:2#1 new->terminated disconnected @ 1"
    ]


def test_the_same_process_id_on_two_hosts_is_two_sessions(story):
    lines = [sshd_line(0, CLOSED, 1, "web"), sshd_line(0, CLOSED, 1, "db")]
    assert [edge.split()[0] for edge in story(*lines)] == ["web:1#1", "db:1#1"]


@pytest.mark.parametrize(
    "next_line",
    [
        CONNECTED,
        INVALID,
        "Connection closed by 192.0.2.2 port 5 [preauth]",
        "Connection closed by 192.0.2.1 port 40002 [preauth]",
    ],
)
def test_a_process_id_that_comes_back_is_the_next_session(story, next_line):
    edges = story(sshd_line(0, CLOSED), sshd_line(1000, next_line))
    assert [edge.split()[0] for edge in edges] == ["web:1#1", "web:1#2"]


@pytest.mark.parametrize(
    "late", [FAILED, CLOSED, "Disconnecting: Too many authentication failures [preauth]", SESSION_CLOSED]
)
def test_late_lines_of_a_closed_connection_start_nothing(story, late):
    assert len(story(sshd_line(0, CLOSED), sshd_line(1, late))) == 1


def test_lines_after_an_end_of_its_own_are_late_until_the_log_closes_the_connection(story):
    edges = story(
        sshd_line(0, EXHAUSTED),
        sshd_line(1, INVALID),
        sshd_line(2, CLOSED),
        sshd_line(3, INVALID),
        sshd_line(4, CLOSED),
    )
    assert [edge.split()[0] for edge in edges] == ["web:1#1", "web:1#1", "web:1#2"]


@pytest.mark.parametrize("next_line", [CONNECTED, "Failed password for root from 192.0.2.2 port 5 ssh2"])
def test_a_process_id_that_comes_back_ends_what_was_never_closed(story, next_line):
    edges = story(sshd_line(0, ACCEPTED), sshd_line(9, next_line))
    assert edges[2] == "web:1#1 active->terminated superseded @ 9"
    assert edges[3].startswith("web:1#2 ")


def test_a_client_whose_process_id_has_come_back_is_not_waited_for(story):
    left = "Disconnected from P [preauth]"
    edges = story(
        sshd_line(0, CONNECTED),
        sshd_line(9, "Connection from 192.0.2.2 port 5 on 10.0.0.1 port 22"),
        sshd_line(9, left),
        reap_after=1,
        reap_interval=1,
    )
    assert edges[0] == "web:1#1 new->terminated reaped @ 2"
    assert edges[1:] == [
        "web:1#2 new->terminated superseded @ 9",
        "web:1#3 new->terminated disconnected @ 9",
    ]


def test_any_other_line_keeps_a_session_from_falling_idle(story):
    lines = [sshd_line(0, ACCEPTED), sshd_line(4, "User child is on pid 9"), sshd_line(8, SESSION_CLOSED)]
    assert story(*lines, idle_timeout=5)[2:] == ["web:1#1 active->terminated disconnected @ 8"]


def test_any_other_line_resumes_an_idle_session(story):
    shell = "Starting session: shell on pts/0 for ann from P id 0"
    edges = story(sshd_line(0, ACCEPTED), sshd_line(7, shell, 2), sshd_line(9, SESSION_CLOSED), idle_timeout=5)
    assert edges[2:] == [
        "web:1#1 active->idle idle_timeout @ 5",
        "web:1#1 idle->active requested @ 7",
        "web:1#1 active->terminated disconnected @ 9",
    ]


def test_closing_one_of_several_shells_does_not_end_the_connection(story):
    shell = "Close session: user ann from P id 0"
    edges = story(sshd_line(0, ACCEPTED), sshd_line(7, shell, 2), sshd_line(9, SESSION_CLOSED))
    assert edges[2:] == ["web:1#1 active->terminated disconnected @ 9"]


def test_a_login_that_outlasts_the_reaper_ends_once(story):
    edges = story(sshd_line(0, ACCEPTED), sshd_line(900, SESSION_CLOSED), idle_timeout=100, reap_after=300)
    assert edges[-1] == "web:1#1 suspended->terminated reaped @ 360"
