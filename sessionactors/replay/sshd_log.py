"""Read the lines that sshd leaves in a syslog file.

::

    Mar 27 13:08:09 HOST sshd[1361]: Accepted publickey for ubuntu from 192.0.2.7 port 54259 ssh2
    2017-03-27T13:08:09.123456+00:00 HOST sshd[1361]: Connection closed by 192.0.2.7 port 54259 [preauth]

The programs `sshd`, `sshd-session`, `sshd-auth` and `sshd(pam_unix)` are sshd;
lines of all others are told apart and counted, no more.

The usual time of syslog has no year and no zone. It is taken for UTC. The first
line is of the year that the parser is given, and each later line of the year in
which it is nearest to the line before it: 1 January after 31 December is the next
year, and a December line that comes late is still the last. A silence of more
than half a year is therefore read wrongly; nothing in such a log says better.

What a client chooses (its user name, its reason for leaving) stands in the middle
of these lines and can look like anything, also like an address. So a name reaches
up to the *last* `from`, and a reason begins after the *first* address.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Final, final

from sessionactors.replay.events import BadLine, SshdLine

__all__ = [
    "ACCEPTED",
    "CLOSED",
    "CONNECTED",
    "EXHAUSTED",
    "FAILED",
    "HOST_MAX_BYTES",
    "NOTE",
    "TRYING",
    "YEAR_DEFAULT",
    "YEAR_MAX",
    "YEAR_MIN",
    "SshdLogParser",
    "is_syslog_line",
]

CONNECTED: Final = "connected"
TRYING: Final = "trying"
FAILED: Final = "failed"
EXHAUSTED: Final = "exhausted"
ACCEPTED: Final = "accepted"
CLOSED: Final = "closed"
NOTE: Final = "note"

YEAR_DEFAULT: Final = 2000
"""The year of the first line, if nobody says: the same on every day, and with a 29 February."""

YEAR_MIN: Final = 1970
YEAR_MAX: Final = 9998
"""The last year for which there still is a next one."""

HOST_MAX_BYTES: Final = 200
"""Bytes of the longest host name; it becomes part of a session id."""

_PID_MAX: Final = 10  # digits
_USER_MAX: Final = 240  # characters of a user name that are kept
_ADDRESS_MAX: Final = 255  # characters; longer than any address or host name
_DAYS_OF_A_YEAR: Final = 366
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_MONTHS: Final = {
    name: number
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), start=1
    )
}
_PROGRAMS: Final = frozenset({"sshd", "sshd-session", "sshd-auth", "sshd(pam_unix)"})

_HEAD: Final = re.compile(
    r"(?:<[0-9]{1,3}>)?"
    r"(?:([A-Z][a-z]{2} [ 0-9]?[0-9]) ([0-9]{2}):([0-9]{2}):([0-9]{2})(\.[0-9]{1,9})?"
    r"|([0-9]{4}-[0-9]{2}-[0-9]{2}T[^ ]{5,30}))"
    r" +([^ ]++) +([^ \[:]++)(?:\[([^\] ]*+)\])?(:?)"
)
_REPEATED: Final = re.compile(r"message repeated ([0-9]{1,9}) times: \[ ?(.*)\]", re.DOTALL)

_PORT: Final = r"(?: port (?P<port>[0-9]{1,5}))?"
_FROM: Final = r".* from (?P<address>[^ ]++)" + _PORT
_NAMED: Final = r"(?:(?:invalid|illegal) user )?(?P<user>.*) from (?P<address>[^ ]++)" + _PORT
_FIRST: Final = r" ?(?P<address>[^ ]++)" + _PORT
_LAST: Final = r"(?:.*? )??(?P<address>[^ ]++)" + _PORT + "$"
_BEFORE_COLON: Final = r"(?:.*? )??(?P<address>[^ ]++) port (?P<port>[0-9]{1,5}):"

# Beginning of the message; what the line is; where the client stands in the rest; whether only the
# process that serves a connection from its first moment writes such a line.
_Rule = tuple[str, str, re.Pattern[str] | None, bool]


def _rule(prefix: str, kind: str, rest: str | None = None, *, is_own: bool = False) -> _Rule:
    return prefix, kind, None if rest is None else re.compile(rest, re.DOTALL), is_own


_RULES: Final[tuple[_Rule, ...]] = (
    _rule("Connection from ", CONNECTED, _FIRST),
    _rule("Accepted ", ACCEPTED, r"[^ ]++ for " + _NAMED),
    _rule("Failed ", FAILED, r"[^ ]++ for " + _NAMED),
    _rule("maximum authentication attempts exceeded for ", EXHAUSTED, _NAMED),
    _rule("Invalid user", TRYING, _FROM),
    _rule("Illegal user", TRYING, _FROM),
    _rule("input_userauth_request: ", TRYING),
    _rule("Postponed ", TRYING, _FROM),
    _rule("Partial ", TRYING, _FROM),
    _rule("kex_exchange_identification: ", TRYING),
    _rule("pam_unix(sshd:auth): ", TRYING),
    _rule("pam_unix(sshd:session): session opened ", TRYING),
    _rule("pam_unix(sshd:session): session closed ", CLOSED),
    _rule("Connection closed by ", CLOSED, _LAST),
    _rule("Connection reset by ", CLOSED, _LAST),
    _rule("Disconnected from ", CLOSED, _LAST),
    _rule("Received disconnect from ", CLOSED, _FIRST),
    _rule("Disconnecting", CLOSED, _BEFORE_COLON),
    _rule("Did not receive identification string", CLOSED, _FROM, is_own=True),
    _rule("Bad protocol version identification ", CLOSED, _FROM, is_own=True),
    _rule("banner exchange: Connection from ", CLOSED, _FIRST, is_own=True),
    _rule("Unable to negotiate with ", CLOSED, _FIRST, is_own=True),
    _rule("Timeout before authentication for ", CLOSED, _FIRST, is_own=True),
    _rule("ssh_dispatch_run_fatal: Connection from ", CLOSED, _FIRST),
    _rule("Starting session: ", NOTE, _FROM),
    _rule("Close session: ", NOTE, _FROM),
)

# What the module of PAM wrote itself, before sshd began to write it down with its own name.
_PAM_RULES: Final[tuple[_Rule, ...]] = (
    _rule("session opened ", TRYING),
    _rule("session closed ", CLOSED),
    _rule("authentication failure; ", TRYING),
    _rule("check pass; ", TRYING),
)


def is_syslog_line(line: str) -> bool:
    """Say whether a line begins as syslog lines do: a time, a host, a program."""
    return _HEAD.match(line) is not None


@final
class SshdLogParser:
    """Turn lines into what sshd says; remembers which year it is.

    Args:
        year: of the first line that names none.

    Thread: one thread at a time.
    """

    __slots__ = ("_day", "_day_text", "_year")

    def __init__(self, year: int = YEAR_DEFAULT) -> None:
        self._year = year
        self._day: date | None = None  # of the latest line
        self._day_text = ""  # the same, as it stands in the log

    def parse(self, line: str, number: int) -> SshdLine | BadLine | None:
        """Read one line.

        Args:
            line: the line without its line feed; a carriage return may remain.
            number: its place in the file, from 1; only for the answer.

        Returns:
            None for a good line of another program.
        """
        head = _HEAD.match(line)
        if head is None:
            return BadLine(number, "it does not begin with a time such as Mar 27 13:06:56, a host and a program")
        day_text, hour, minute, second, fraction, stamp, host, program, pid, colon = head.groups()
        try:
            time = _full_time(stamp) if stamp else self._time(day_text, hour, minute, second, fraction)
        except ValueError as exc:
            return BadLine(number, str(exc))
        if program not in _PROGRAMS or not colon:
            return None
        if pid is None:
            return BadLine(number, "sshd does not tell its process id")
        if len(pid) > _PID_MAX or not (pid.isascii() and pid.isdigit()):
            return BadLine(number, f"the process id is no number of at most {_PID_MAX} digits")
        if not host.isprintable():
            return BadLine(number, "the host has characters that cannot be shown")
        if len(host) > HOST_MAX_BYTES or len(host.encode()) > HOST_MAX_BYTES:
            return BadLine(number, f"the host is longer than {HOST_MAX_BYTES} bytes")
        rules = _PAM_RULES if program == "sshd(pam_unix)" else _RULES
        return _read(time, host, int(pid), line[head.end() :].strip(), rules)

    def _time(self, day_text: str, hour: str, minute: str, second: str, fraction: str | None) -> float:
        if hour > "23" or minute > "59" or second > "60":  # 60 is a leap second
            raise ValueError("the time is none of a day")
        day = self._day
        if day is None or day_text != self._day_text:
            day = self._day = self._nearest(day_text)
            self._day_text = day_text
        seconds = int(hour) * 3600 + int(minute) * 60 + int(second) + float(fraction or 0)
        return (day.toordinal() - _EPOCH_DAY) * 86_400.0 + seconds

    def _nearest(self, day_text: str) -> date:
        """Return the day that is nearest to the line before, of all days of that name."""
        month, day = _MONTHS.get(day_text[:3]), int(day_text[4:])
        if month is None:
            raise ValueError("the time names no month")
        before = self._day
        years = (self._year,) if before is None else (before.year, before.year + 1, before.year - 1)
        found: date | None = None
        least = _DAYS_OF_A_YEAR * 3
        for year in years:
            try:
                candidate = date(year, month, day)
            except ValueError:
                continue  # a 29 February, perhaps; or the end of all calendars
            distance = 0 if before is None else abs(candidate.toordinal() - before.toordinal())
            if distance < least and year >= YEAR_MIN:
                found, least = candidate, distance
        if found is None:
            raise ValueError(f"there is no such day in {self._year if before is None else before.year}")
        return found


def _full_time(stamp: str) -> float:
    try:
        moment = datetime.fromisoformat(stamp)
    except ValueError:
        raise ValueError("the time does not look like 2017-03-27T13:06:56+00:00") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    if moment.year < YEAR_MIN or moment.year > YEAR_MAX:
        raise ValueError(f"the year is not from {YEAR_MIN} to {YEAR_MAX}")
    time = moment.timestamp()
    if time < 0:
        raise ValueError("the date lies before 1970")
    return time


def _read(time: float, host: str, pid: int, message: str, rules: tuple[_Rule, ...]) -> SshdLine:
    """Tell what a message says, and about whom."""
    times = 1
    repeated = _REPEATED.fullmatch(message)
    if repeated is not None:
        times, message = max(1, int(repeated[1])), repeated[2]
    is_preauth = message.endswith("[preauth]")
    message = message.removesuffix("[preauth]").rstrip()
    is_fatal = message.startswith("fatal: ")
    message = message.removeprefix("fatal: ").removeprefix("error: ")
    kind, is_own = (CLOSED if is_fatal else NOTE), False
    found: dict[str, str | None] = {}
    for prefix, its_kind, rest, is_always_own in rules:
        if message.startswith(prefix):
            kind, is_own = CLOSED if is_fatal else its_kind, is_always_own
            match = None if rest is None else rest.match(message, len(prefix))
            found = {} if match is None else match.groupdict()
            break
    user, address, port = found.get("user"), found.get("address"), found.get("port")
    if address is not None and port is None:
        address = address.removesuffix(":")  # older versions have no port there, and go on with a colon
    if not address or len(address) > _ADDRESS_MAX or not address.isprintable():
        address = port = None
    return SshdLine(time, host, pid, kind, _shown(user), address, int(port or 0), times, is_own or is_preauth)


def _shown(user: str | None) -> str:
    """Return a user name that is fit to be a user id: short, and without control characters."""
    kept = (user or "")[:_USER_MAX]
    return kept if kept.isprintable() else ascii(kept)[1:-1][:_USER_MAX]
