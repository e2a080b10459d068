from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sessionactors.replay.events import BadLine, SshdLine
from sessionactors.replay.sshd_log import (
    ACCEPTED,
    CLOSED,
    CONNECTED,
    EXHAUSTED,
    FAILED,
    NOTE,
    TRYING,
    SshdLogParser,
    is_syslog_line,
)
from supervisors.clock import SystemClock

HEAD = "Mar 27 13:06:56 web sshd[7]: "


def read(line: str, year: int = 2000) -> SshdLine:
    found = SshdLogParser(year).parse(line, 1)
    assert isinstance(found, SshdLine)
    return found


def why(line: str, year: int = 2000) -> str:
    found = SshdLogParser(year).parse(line, 3)
    assert isinstance(found, BadLine)
    assert found.number == 3
    return found.reason


@pytest.mark.parametrize(
    ("message", "kind", "user", "address", "port"),
    [
        ("Connection from 192.0.2.1 port 5 on 10.0.0.1 port 22", CONNECTED, "", "192.0.2.1", 5),
        ("Connection from 2001:db8::1 port 5 on ::1 port 22", CONNECTED, "", "2001:db8::1", 5),
        ("Invalid user admin from 192.0.2.1", TRYING, "", "192.0.2.1", 0),
        ("Invalid user admin from 192.0.2.1 port 5", TRYING, "", "192.0.2.1", 5),
        ("input_userauth_request: invalid user admin [preauth]", TRYING, "", None, 0),
        ("pam_unix(sshd:auth): check pass; user unknown", TRYING, "", None, 0),
        ("pam_unix(sshd:session): session opened for user ann by (uid=0)", TRYING, "", None, 0),
        ("error: kex_exchange_identification: read: Connection reset by peer", TRYING, "", None, 0),
        ("Failed password for root from 192.0.2.1 port 5 ssh2", FAILED, "root", "192.0.2.1", 5),
        ("Failed password for invalid user pi from 192.0.2.1 port 5 ssh2", FAILED, "pi", "192.0.2.1", 5),
        ("Failed none for invalid user  from 192.0.2.1 port 5 ssh2", FAILED, "", "192.0.2.1", 5),
        ("Accepted publickey for ann from 192.0.2.1 port 5 ssh2: RSA SHA256:a", ACCEPTED, "ann", "192.0.2.1", 5),
        (
            "error: maximum authentication attempts exceeded for invalid user x from 192.0.2.1 port 5 ssh2 [preauth]",
            EXHAUSTED,
            "x",
            "192.0.2.1",
            5,
        ),
        ("Connection closed by 192.0.2.1 port 5 [preauth]", CLOSED, "", "192.0.2.1", 5),
        ("Connection closed by 192.0.2.1 [preauth]", CLOSED, "", "192.0.2.1", 0),
        ("Connection reset by authenticating user root 192.0.2.1 port 5 [preauth]", CLOSED, "", "192.0.2.1", 5),
        ("Disconnected from user ann 192.0.2.1 port 5", CLOSED, "", "192.0.2.1", 5),
        ("Received disconnect from 192.0.2.1 port 5:11: Bye [preauth]", CLOSED, "", "192.0.2.1", 5),
        ("error: Received disconnect from 192.0.2.1: 14: No more [preauth]", CLOSED, "", "192.0.2.1", 0),
        ("Disconnecting: Too many authentication failures [preauth]", CLOSED, "", None, 0),
        ("Disconnecting invalid user x 192.0.2.1 port 5: Too many [preauth]", CLOSED, "", "192.0.2.1", 5),
        ("Did not receive identification string from 192.0.2.1", CLOSED, "", "192.0.2.1", 0),
        ("Bad protocol version identification 'GET / from 9' from 192.0.2.1 port 5", CLOSED, "", "192.0.2.1", 5),
        ("fatal: Unable to negotiate with 192.0.2.1 port 5: no matching [preauth]", CLOSED, "", "192.0.2.1", 5),
        ("fatal: Timeout before authentication for 192.0.2.1 port 5", CLOSED, "", "192.0.2.1", 5),
        ("fatal: Write failed: Connection reset by peer", CLOSED, "", None, 0),
        ("pam_unix(sshd:session): session closed for user ann", CLOSED, "", None, 0),
        ("Starting session: shell on pts/0 for ann from 192.0.2.1 port 5 id 0", NOTE, "", "192.0.2.1", 5),
        ("Close session: user ann from 192.0.2.1 port 5 id 0", NOTE, "", "192.0.2.1", 5),
        ("Server listening on 0.0.0.0 port 22.", NOTE, "", None, 0),
        ("User child is on pid 4", NOTE, "", None, 0),
        ("", NOTE, "", None, 0),
    ],
)
def test_a_message_tells_what_happened_and_to_whom(message, kind, user, address, port):
    found = read(HEAD + message)
    assert (found.kind, found.user, found.address, found.port) == (kind, user, address, port)
    assert (found.host, found.pid, found.times) == ("web", 7, 1)


@pytest.mark.parametrize(
    ("message", "is_own"),
    [
        ("Connection closed by 192.0.2.1 port 5 [preauth]", True),
        ("Connection closed by 192.0.2.1 port 5", False),
        ("Did not receive identification string from 192.0.2.1", True),
        ("fatal: Cannot bind any address.", False),
    ],
)
def test_some_ends_are_surely_told_by_the_process_of_the_connection(message, is_own):
    assert read(HEAD + message).is_own is is_own


def test_a_repeated_message_is_read_as_what_it_repeats():
    found = read(HEAD + "message repeated 5 times: [ Failed password for root from 192.0.2.1 port 5 ssh2]")
    assert (found.kind, found.user, found.port, found.times) == (FAILED, "root", 5, 5)


class TestForgery:
    def test_a_user_named_like_an_address_is_still_the_user(self):
        found = read(HEAD + "Failed password for invalid user a from 9.9.9.9 port 1 from 192.0.2.1 port 5 ssh2")
        assert (found.user, found.address, found.port) == ("a from 9.9.9.9 port 1", "192.0.2.1", 5)

    def test_a_user_in_a_closing_line_does_not_move_the_address(self):
        found = read(HEAD + "Connection closed by invalid user 9.9.9.9 port 1 192.0.2.1 port 5 [preauth]")
        assert (found.address, found.port) == ("192.0.2.1", 5)

    def test_a_reason_does_not_move_the_address(self):
        found = read(HEAD + "Received disconnect from 192.0.2.1 port 5:11: from 9.9.9.9 port 1 [preauth]")
        assert (found.address, found.port) == ("192.0.2.1", 5)

    def test_a_user_of_control_characters_is_escaped(self):
        assert read(HEAD + "Accepted password for a\x1b[2J from 192.0.2.1 port 5 ssh2").user == r"a\x1b[2J"

    def test_a_long_user_is_cut(self):
        assert read(HEAD + f"Accepted password for {'é' * 999} from 192.0.2.1 port 5").user == "é" * 240

    def test_an_address_of_any_length_is_none(self):
        found = read(HEAD + f"Connection closed by {'1' * 300} port 5")
        assert (found.address, found.port) == (None, 0)

    @pytest.mark.parametrize("part", [" from ", "from x port 1 ", "1 port 1 ", "[preauth]", "invalid user ", " "])
    @pytest.mark.parametrize(
        "start", ["Failed password for ", "Connection closed by ", "Disconnecting ", "Invalid user"]
    )
    def test_a_long_hostile_line_takes_no_long_time(self, start, part):
        line = HEAD + start + part * (500_000 // len(part)) + "\n!"
        clock = SystemClock()
        begun = clock.monotonic()
        read(line)
        assert clock.monotonic() - begun < 2


@pytest.mark.parametrize("program", ["sshd", "sshd-session", "sshd(pam_unix)"])
def test_sshd_has_several_names(program):
    line = f"Mar 27 13:06:56 web {program}[7]: session closed for user ann"
    assert read(line).kind == (CLOSED if program == "sshd(pam_unix)" else NOTE)


@pytest.mark.parametrize(
    "line",
    [
        "Mar 27 13:06:56 web CRON[7]: pam_unix(cron:session): session opened for user root",
        "Mar 27 13:06:56 web sudo:   ann : TTY=pts/0",
        "Mar 27 13:06:56 web systemd: pam_unix(systemd-user:session): session opened",
        "Mar 27 13:06:56 web /usr/sbin/cron[7]: (root) CMD",
        "Mar 27 13:06:56 web last message repeated 3 times",
    ],
)
def test_lines_of_other_programs_are_none(line):
    assert SshdLogParser().parse(line, 1) is None


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("nonsense", "does not begin with a time"),
        ("Mar 27 25:06:56 web sshd[7]: x", "none of a day"),
        ("Mar 27 13:60:56 web sshd[7]: x", "none of a day"),
        ("Foo 27 13:06:56 web sshd[7]: x", "names no month"),
        ("Apr 31 13:06:56 web sshd[7]: x", "no such day in 2000"),
        ("Apr  0 13:06:56 web sshd[7]: x", "no such day in 2000"),
        ("2017-03-27T99:06:56Z web sshd[7]: x", "does not look like"),
        ("1969-03-27T13:06:56Z web sshd[7]: x", "not from 1970"),
        ("1970-01-01T00:00:00+09:00 web sshd[7]: x", "before 1970"),
        ("Mar 27 13:06:56 web sshd: x", "process id"),
        ("Mar 27 13:06:56 w\x1bb sshd[7]: x", "cannot be shown"),
        (f"Mar 27 13:06:56 {'w' * 201} sshd[7]: x", "longer than 200 bytes"),
        (f"Mar 27 13:06:56 {'é' * 101} sshd[7]: x", "longer than 200 bytes"),
    ],
)
def test_a_line_that_cannot_be_read_says_why(line, reason):
    assert reason in why(line)


class TestTime:
    def days(self, *days: str, year: int = 2000) -> list[str]:
        parser = SshdLogParser(year)
        found = [parser.parse(f"{day} 00:00:00 web sshd[7]: x", 1) for day in days]
        return [
            f"{datetime.fromtimestamp(line.time, UTC):%Y-%m-%d}" if isinstance(line, SshdLine) else "bad"
            for line in found
        ]

    def test_is_taken_for_utc_in_the_given_year(self):
        assert read(HEAD, 2017).time == datetime(2017, 3, 27, 13, 6, 56, tzinfo=UTC).timestamp()

    def test_keeps_fractions(self):
        assert read("Mar 27 13:06:56.25 web sshd[7]: x").time % 1 == 0.25

    def test_may_have_year_and_zone(self):
        found = read("2017-03-27T13:06:56.5+02:00 web sshd[7]: x")
        assert found.time == datetime(2017, 3, 27, 11, 6, 56, 500_000, tzinfo=UTC).timestamp()

    def test_january_after_december_is_the_next_year(self):
        assert self.days("Dec 31", "Jan  1") == ["2000-12-31", "2001-01-01"]

    def test_december_that_comes_late_is_the_year_before(self):
        assert self.days("Dec 31", "Jan  1", "Dec 31", "Jan  2") == [
            "2000-12-31",
            "2001-01-01",
            "2000-12-31",
            "2001-01-02",
        ]

    def test_a_step_back_of_less_than_half_a_year_is_the_same_year(self):
        assert self.days("Jun 30", "Feb  1") == ["2000-06-30", "2000-02-01"]

    def test_goes_on_over_several_years(self):
        assert self.days("Oct  1", "Feb  1", "Jun  1", "Oct  1", "Feb  1")[-1] == "2002-02-01"

    def test_bad_lines_do_not_move_the_year(self):
        assert self.days("Dec 31", "Foo 12", "Dec 30") == ["2000-12-31", "bad", "2000-12-30"]

    def test_a_leap_day_needs_a_leap_year(self):
        assert self.days("Feb 29") == ["2000-02-29"]
        assert self.days("Feb 29", "Mar  1", year=2017) == ["bad", "2017-03-01"]

    def test_never_is_before_1970(self):
        assert self.days("Jan  1", "Dec 31", year=1970) == ["1970-01-01", "1970-12-31"]

    def test_the_last_year_has_a_next_one(self):
        assert self.days("Dec 31", "Jan  1", year=9998) == ["9998-12-31", "9999-01-01"]
        assert self.days("Dec 31", "Jan  1", "Dec 31", "Jan  1", year=9998)[-1] == "9999-01-01"


@pytest.mark.parametrize(
    ("line", "is_one"),
    [
        (HEAD, True),
        ("<38>Mar 27 13:06:56 web sshd[7]: x", True),
        ("2017-03-27T13:06:56Z web cron[1]: x", True),
        ('10.0.0.1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 1', False),
        ('{"t": 0}', False),
    ],
)
def test_syslog_lines_are_known_by_their_beginning(line, is_one):
    assert is_syslog_line(line) is is_one


@pytest.mark.parametrize("pid", ["99999999999999999", "", "x7", "-1", "\u0661"])
def test_a_process_id_that_is_none_makes_a_bad_line_and_no_line_of_another_program(pid):
    assert "process id" in why(f"Mar 27 13:06:56 web sshd[{pid}]: Connection closed by 192.0.2.1")
    assert SshdLogParser().parse(f"Mar 27 13:06:56 web cron[{pid}]: x", 1) is None
