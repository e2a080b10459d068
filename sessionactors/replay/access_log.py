r"""Read lines of the common and the combined access log format.

::

    CLIENT IDENTITY USER [TIME] "REQUEST" STATUS SIZE                        common
    CLIENT IDENTITY USER [TIME] "REQUEST" STATUS SIZE "REFERER" "USER AGENT" combined

Real logs are less tidy than their format, so there are three ways to read a
line, each slower and more forgiving than the one before:

1. Cutting at the quotes, which takes a combined line without any escape: nearly
   every line. It only answers when every part is exactly as it should be.
2. A pattern for both formats, escapes and fields after the user agent.
3. A pattern for users with spaces, requests with bare quotes inside, and lines
   that were cut off anywhere after the status.

A hostile line cannot make the patterns slow: what repeats is possessive, has a
bound, or stands behind an atomic group, so each reads a line about once.

Bytes that are not UTF-8 appear as `\xNN` (the error handler
`backslashreplace`, see `sessionactors.replay.source`), which is also how
servers themselves escape them, so every field is text that any encoder takes.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Final, final

from sessionactors.replay.events import AccessRequest, BadLine

__all__ = ["NAME_MAX_BYTES", "AccessLogParser"]

NAME_MAX_BYTES: Final = 240
"""Bytes of the longest client and the longest user, as UTF-8.

Longer than any address and any host name in use, and short enough to leave room
in a session id for `#` and a number.
"""

_DAYS_KEPT_MAX: Final = 4_096
"""How many different days (with their zones) stay parsed; eleven years of one zone."""

_AGENTS_KEPT_MAX: Final = 65_536
"""How many different user agents share their text; real logs have a few thousand."""

_ANSWERS_KEPT_MAX: Final = 65_536
"""How many different pairs of status and size stay parsed; the same files are sent again and again."""

_new: Final = tuple.__new__  # what a named tuple's own __new__() calls, for a third of the time

_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_STAMP_EXPECTED: Final = "the time in brackets does not look like 17/May/2015:10:05:03 +0000"
_MONTHS: Final = {
    name: number
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), start=1
    )
}
_STATUSES: Final = {"-": 0} | {f"{status:03}": status for status in range(1000)}

# A quoted field: anything but quotes and backslashes, or a backslash and what it escapes.
_QUOTED: Final = r'"([^"\\]*+(?:\\.[^"\\]*+)*+)"'
_TIME: Final = r"(\[[^ \]]{1,32}) ([^ \]]{1,8}\])"
_TAIL: Final = r"([0-9]{3}|-) ([0-9]{1,18}|-)(?![^ \t\r])"

_TIDY: Final = re.compile(rf"([^ ]++) ([^ ]++) ([^ ]++) {_TIME} {_QUOTED} {_TAIL}(?: {_QUOTED} {_QUOTED})?")
_UNTIDY: Final = re.compile(
    rf'(?>([^ ]++) ([^ ]++) (.{{1,255}}?) {_TIME} ")(.*?)" (?:{_TAIL}|([0-9]{{3}})[ \t\r]*+(?=$|"))'
)
# After the status a line may end anywhere: each quoted field may lack its closing quote.
_CUT_FIELD: Final = re.compile(r'[ \t]*+"([^"\\]*+(?:\\.[^"\\]*+)*+)("?)')
_DAY: Final = re.compile(r"\[([0-9]{2})/([A-Z][a-z]{2})/([0-9]{4})([+-])([0-9]{2})([0-9]{2})\]")
_TIME_OF_DAY: Final = re.compile(r":([0-9]{2}):([0-9]{2}):([0-9]{2})")
_ESCAPED: Final = re.compile(r'\\(["\\])')


@final
class AccessLogParser:
    """Turn lines into requests; remembers the days, times of day, names and answers it has seen.

    The time `[17/May/2015:10:05:03 +0000]` is looked up in two halves, the day
    with its zone and the time of day. There are few of either, so nearly every
    look-up hits, while whole times are new in nearly every second line of a
    quiet log.

    Thread: one thread at a time.
    """

    __slots__ = ("_agents", "_answers", "_days", "_names", "_times_of_day")

    def __init__(self) -> None:
        self._days: dict[str, float] = {}  # "[17/May/2015+0000]" -> seconds since 1970 at its midnight
        self._times_of_day: dict[str, int] = {}  # ":10:05:03" -> seconds since midnight; at most 87,840 of them
        self._agents: dict[str, str] = {}  # one text for each user agent: they are long and few
        self._answers: dict[str, tuple[int, int]] = {}  # " 200 1234 " -> status and size
        self._names: dict[str, str] = {"-": "-"}  # one text for each plain name of a client or user

    def parse(self, line: str, number: int) -> AccessRequest | BadLine:
        """Read one line.

        Args:
            line: the line without its line feed; a carriage return may remain.
            number: its place in the file, from 1; only for the answer.
        """
        parts = line.split('"')
        if len(parts) == 7 and "\\" not in line:
            head, request, middle, referer, gap, agent, end = parts
            fields = head.split(" ")
            answer = self._answers.get(middle) or self._read_answer(middle)
            if len(fields) == 6 and answer is not None and gap == " " and not end:
                client, identity, user, stamp, zone, _ = fields
                # Only times that were read with care before are found, so finding both halves says
                # that the brackets and everything between them are right.
                day = self._days.get(stamp[:12] + zone)
                time_of_day = self._times_of_day.get(stamp[12:])
                names = self._names
                name = names.get(client) or self._remember_name(client)
                if (
                    day is not None
                    and time_of_day is not None
                    and name is not None
                    and (identity in names or self._remember_name(identity) is not None)
                    and (user in names or self._remember_name(user) is not None)
                ):
                    agent = self._agents.get(agent) or self._remember_agent(agent)
                    code, size = answer
                    facts = (day + time_of_day, name, identity, user, request, code, size, referer, agent)
                    return _new(AccessRequest, facts)
        return self._parse_patterns(line, number)

    def _parse_patterns(self, line: str, number: int) -> AccessRequest | BadLine:
        only_status = None
        match = _TIDY.match(line)
        if match is not None:
            client, identity, user, stamp, zone, request, status, size, referer, agent = match.groups()
            if agent is None or match.end() != len(line):
                referer, agent = _rest_of(line, match)
        else:
            match = _UNTIDY.match(line)
            if match is None:
                return BadLine(number, _why(line))
            client, identity, user, stamp, zone, request, status, size, only_status = match.groups()
            referer, agent = _cut_fields(line[match.end() :])
        try:
            _require_name("client", client)
            _require_name("user", user)
            time = self._read_time(stamp, zone)
        except ValueError as exc:
            return BadLine(number, str(exc))
        return AccessRequest(
            time,
            client,
            identity,
            user,
            _unescaped(request),
            _STATUSES[status or only_status or "-"],
            _size(size or "-") or 0,
            _unescaped(referer),
            self._remember_agent(_unescaped(agent)),
        )

    def _read_time(self, stamp: str, zone: str) -> float:
        """Return seconds since 1970 for `[17/May/2015:10:05:03` and `+0000]`, and remember both halves."""
        day_and_zone, clock = stamp[:12] + zone, stamp[12:]
        day = self._days.get(day_and_zone)
        if day is None:
            day = _read_day(day_and_zone)
            if len(self._days) >= _DAYS_KEPT_MAX:
                self._days.clear()  # logs go forward, so what is dropped is hardly asked for again
            self._days[day_and_zone] = day
        match = _TIME_OF_DAY.fullmatch(clock)
        if match is None:
            raise ValueError(_STAMP_EXPECTED)
        hour, minute, second = match.groups()
        if hour > "23" or minute > "59" or second > "60":  # 60 is a leap second
            raise ValueError("the time in brackets is none of a day")
        time_of_day = int(hour) * 3600 + int(minute) * 60 + int(second)
        self._times_of_day[clock] = time_of_day
        return day + time_of_day

    def _read_answer(self, middle: str) -> tuple[int, int] | None:
        """Return status and size of what stands between the quoted fields of a tidy line, and remember it."""
        numbers = middle.split(" ")
        if len(numbers) != 4 or numbers[0] or numbers[3]:
            return None
        code = _STATUSES.get(numbers[1])
        size = _size(numbers[2])
        if code is None or size is None:
            return None
        if len(self._answers) >= _ANSWERS_KEPT_MAX:
            self._answers.clear()
        self._answers[middle] = code, size
        return code, size

    def _remember_name(self, name: str) -> str | None:
        """Return a name that surely is good; others may be good as well, see `_require_name`."""
        if not (0 < len(name) <= NAME_MAX_BYTES and name.isascii() and name.isprintable()):
            return None
        if len(self._names) >= _AGENTS_KEPT_MAX:
            self._names.clear()
        return self._names.setdefault(name, name)

    def _remember_agent(self, agent: str) -> str:
        if len(self._agents) >= _AGENTS_KEPT_MAX:
            self._agents.clear()
        return self._agents.setdefault(agent, agent)


def _read_day(day_and_zone: str) -> float:
    """Return seconds since 1970 UTC at the midnight of `[17/May/2015+0000]`."""
    match = _DAY.fullmatch(day_and_zone)
    if match is None:
        raise ValueError(_STAMP_EXPECTED)
    day, month_name, year, sign, zone_hours, zone_minutes = match.groups()
    month = _MONTHS.get(month_name)
    if month is None:
        raise ValueError("the time in brackets names no month")
    if zone_hours > "23" or zone_minutes > "59":
        raise ValueError("the time zone is a day away or more")
    try:
        days = date(int(year), month, int(day)).toordinal() - _EPOCH_DAY
    except ValueError:
        raise ValueError("the date is in no calendar") from None
    if days < 0:
        raise ValueError("the date lies before 1970")
    zone = int(zone_hours) * 3600 + int(zone_minutes) * 60
    return float(days * 86_400 + (zone if sign == "-" else -zone))


def _require_name(field: str, name: str) -> None:
    if not name.isprintable():
        raise ValueError(f"the {field} has characters that cannot be shown")
    if len(name) > NAME_MAX_BYTES or len(name.encode()) > NAME_MAX_BYTES:
        raise ValueError(f"the {field} is longer than {NAME_MAX_BYTES} bytes")


def _size(field: str) -> int | None:
    """Return the bytes of a size field; None when it is neither a number of bearable length nor `-`."""
    if field.isdecimal() and field.isascii() and len(field) <= 18:
        return int(field)
    return 0 if field == "-" else None


def _rest_of(line: str, match: re.Match[str]) -> tuple[str, str]:
    """Return referer and user agent of a line that goes on where the tidy pattern ends."""
    end = match.end()
    if match[10] is None:
        return _cut_fields(line[end:])
    if line[end] not in " \t\r":
        # A bare quote inside the user agent: it reaches to the last quote of the line.
        return match[9], line[match.start(10) : max(line.rindex('"'), match.end(10))]
    return match[9], match[10]  # more fields follow, which neither format has


def _cut_fields(rest: str) -> tuple[str, str]:
    """Return referer and user agent from what follows the size, however little is left of it."""
    first = _CUT_FIELD.match(rest)
    if first is None:
        return "", ""
    second = _CUT_FIELD.match(rest, first.end()) if first[2] else None
    return first[1].rstrip("\r"), second[1].rstrip("\r") if second else ""


def _unescaped(field: str) -> str:
    r"""Undo the escapes of quotes and backslashes; others, such as `\x16`, stay readable as they are."""
    return _ESCAPED.sub(r"\1", field) if "\\" in field else field


def _why(line: str) -> str:
    """Tell which part of a line is the first that cannot be read."""
    if re.match(r"[^ ]++ ", line) is None:
        return "it does not begin with a client and a space"
    bracket = re.match(r"[^\[]{1,1024}\[[^\]]{1,64}\]", line)
    if bracket is None:
        return "it has no time in brackets"
    if re.match(rf"[^ ]++ [^ ]++ .{{1,255}}? {_TIME}", line) is None:
        return "it has no three fields and time such as [17/May/2015:10:05:03 +0000] at its beginning"
    rest = line[bracket.end() :]
    if not rest.startswith(' "'):
        return "no quoted request follows the time"
    if rest.find('"', 2) < 0:
        return "the request has no closing quote"
    return "no status and size follow the request"
