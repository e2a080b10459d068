"""Say from an sshd log alone what a replay has to find; nothing here knows how it is done.

In two steps that do not look at each other. First the lines are dealt out to
connections, which takes no clock: it only matters what the log says. Then each
connection is lived through by itself in exact arithmetic, without timers: where a
session stands follows from when it was last active and when it first tried to sign
in. This file imports neither of our packages, so that it cannot repeat their mistakes.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction

__all__ = ["Expected", "Options", "expect"]

MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
SYSLOG = re.compile(
    r"(?P<month>\w{3}) +(?P<day>\d+) (?P<time>\d\d:\d\d:\d\d) (?P<host>\S+) (?P<tag>[^\s:\[]+)(?P<rest>.*)"
)

SIGNS_IN = re.compile(
    r"Invalid user|input_userauth_request|Postponed|Partial|kex_exchange_identification|pam_unix\(sshd:auth\)"
    r"|pam_unix\(sshd:session\): session opened"
)
LEAVES = re.compile(
    r"pam_unix\(sshd:session\): session closed|Connection (closed|reset) by|Disconnected from|Received disconnect from"
    r"|Disconnecting|Did not receive identification|Bad protocol version|banner exchange|Unable to negotiate"
    r"|Timeout before authentication|ssh_dispatch_run_fatal"
)
COMES_FIRST = re.compile(
    r"Did not receive identification|Bad protocol version|banner exchange|Unable to negotiate|Timeout before"
)


@dataclass(frozen=True)
class Options:
    idle_timeout: float = 300.0
    reap_after: float = 1800.0
    reap_interval: float = 60.0
    auth_timeout: float = 120.0
    max_auth_attempts: int = 6
    year: int = 2000


@dataclass
class Expected:
    lines: int = 0
    bad_lines: int = 0
    other_lines: int = 0
    requests: int = 0
    clients: int = 0
    sessions: int = 0
    transitions: Counter[str] = field(default_factory=Counter)
    auth_denied: int = 0
    accepted: int = 0
    timeouts: int = 0
    reaped: int = 0
    peak_live: int = 0
    simulated_seconds: float = 0.0


@dataclass
class Said:
    """One line of sshd."""

    at: Fraction
    host: str
    pid: str
    what: str
    times: int
    address: str | None
    port: str | None
    is_own: bool
    place: int = 0


@dataclass
class Connection:
    lines: list[Said]
    address: str | None = None
    port: str | None = None
    is_over: bool = False


def expect(lines: Iterable[str], options: Options) -> Expected:
    found = Expected()
    said = _read(lines, options.year, found)
    said.sort(key=lambda line: line.at)  # stable
    for place, line in enumerate(said):
        line.place = place
    found.requests = len(said)
    connections = _deal_out(said)
    found.clients = len({connection.address for connection in connections} - {None})
    start = said[0].at
    lives = [_live(connection.lines, start, options, found) for connection in connections]
    found.sessions = len(lives)
    found.accepted = found.transitions["auth->active"]
    found.peak_live = _peak(lives)
    last, interval = said[-1].at, Fraction(options.reap_interval)
    left = [end[0] for _, end in lives if end[0] > last]
    if left:  # the clock goes on from sweep to sweep
        last = start + math.ceil((max(left) - start) / interval) * interval
    found.simulated_seconds = float(last - start)
    return found


def _read(lines: Iterable[str], year: int, found: Expected) -> list[Said]:
    said = []
    before: datetime | None = None
    for line in lines:
        if not line.strip():
            continue
        found.lines += 1
        match = SYSLOG.match(line)
        moment = None if match is None else _moment(match, before, year)
        if match is None or moment is None:
            found.bad_lines += 1
            continue
        before = moment
        if match["tag"] not in ("sshd", "sshd-session"):
            found.other_lines += 1
            continue
        head = re.match(r"\[(\d+)\]: (.*)", match["rest"])
        if head is None:
            found.bad_lines += 1
            continue
        said.append(_said(Fraction(moment.timestamp()), match["host"], head[1], head[2].strip()))
    return said


def _moment(match: re.Match[str], before: datetime | None, year: int) -> datetime | None:
    possible = []
    for each in [year] if before is None else [before.year - 1, before.year, before.year + 1]:
        text = f"{each} {match['month']} {match['day']} {match['time']}"
        try:
            possible.append(datetime.strptime(text, "%Y %b %d %H:%M:%S").replace(tzinfo=UTC))
        except ValueError:
            continue
    return min(possible, key=lambda each: abs(each - (before or each)), default=None)


def _said(at: Fraction, host: str, pid: str, text: str) -> Said:
    times = 1
    if text.startswith("message repeated "):
        times = int(text.split()[2]) or 1
        text = text.split("[", 1)[1].rpartition("]")[0].strip()
    is_preauth = text.endswith("[preauth]")
    text = text.removesuffix("[preauth]").strip()
    is_fatal = text.startswith("fatal:")
    text = re.sub(r"^(fatal|error): ", "", text)
    if is_fatal or LEAVES.match(text):
        what = "leaves"
    elif text.startswith("Connection from"):
        what = "comes"
    elif text.startswith(("Failed ", "Accepted ")):
        what = text.split()[0]
    elif text.startswith("maximum authentication attempts"):
        what = "exhausts"
    else:
        what = "signs in" if SIGNS_IN.match(text) else "other"
    address, port = _client(text) if what != "other" or " session: " in text else (None, None)
    return Said(at, host, pid, what, times, address, port, is_preauth or bool(COMES_FIRST.match(text)))


def _client(text: str) -> tuple[str | None, str | None]:
    pairs = re.findall(r"(\S+) port (\d+)", text)
    if pairs:
        return pairs[0] if text.startswith(("Connection from", "Received disconnect")) else pairs[-1]
    bare = re.search(r"(?:from|by) (\d+\.\d+\.\d+\.\d+)", text)
    return (bare[1] if bare else None), None


def _deal_out(said: list[Said]) -> list[Connection]:
    """Give every line to the connection it belongs to; lines that belong to none are left out."""
    connections: list[Connection] = []
    with_port: list[Connection] = []
    latest: dict[tuple[str, str], Connection] = {}
    for line in said:
        process = (line.host, line.pid)
        own = latest.get(process)
        is_another = own is not None and (
            line.what == "comes"
            or (None not in (line.address, own.address) and line.address != own.address)
            or (None not in (line.address, line.port, own.port) and line.port != own.port)
        )
        target = own
        if own is None or is_another:
            target = None
            if line.what in ("leaves", "other"):
                target = _same_client(with_port, line)
                if target is None and not line.is_own:
                    continue
        elif own.is_over:
            same_port = line.port is not None and (line.address, line.port) == (own.address, own.port)
            if line.what in ("leaves", "other") or same_port:
                continue
            target = None
        if target is None:
            if own is not None and not own.is_over:
                own.lines.append(Said(line.at, line.host, line.pid, "leaves", 1, None, None, True, line.place))
                own.is_over = True
            target = latest[process] = Connection([])
            connections.append(target)
        target.lines.append(line)
        if target.port is None and line.port is not None:
            with_port.append(target)
        target.address = target.address or line.address
        target.port = target.port or line.port
        target.is_over = target.is_over or line.what == "leaves"
    return connections


def _same_client(connections: list[Connection], line: Said) -> Connection | None:
    if line.port is None:
        return None
    for connection in reversed(connections):
        client = (connection.lines[0].host, connection.address, connection.port)
        if not connection.is_over and client == (line.host, line.address, line.port):
            return connection
    return None


Place = tuple[Fraction, int]


def _live(lines: list[Said], start: Fraction, options: Options, found: Expected) -> tuple[Place, Place]:
    """Live through one session; return when it began and ended, and after which line of that moment."""
    begun = lines[0].at, lines[0].place
    session = _Session(lines[0].at, start, options, found)
    for line in lines:
        if session.end_by_itself() <= line.at:
            break
        session.drift(line.at)
        session.hear(line)
        if session.state == "terminated":
            return begun, (line.at, line.place)
    end = session.end_by_itself()
    if session.state == "auth" and end == session.auth_end:
        found.timeouts += 1
    else:
        found.reaped += 1
    session.drift(end)
    session.go("terminated")
    return begun, (end, -1)


class _Session:
    def __init__(self, begun: Fraction, start: Fraction, options: Options, found: Expected) -> None:
        self.state = "new"
        self.auth_end = begun
        self._active_at = begun
        self._attempts_left = options.max_auth_attempts
        self._start = start
        self._idle = Fraction(options.idle_timeout)
        self._reap_after = Fraction(options.reap_after)
        self._interval = Fraction(options.reap_interval)
        self._auth = Fraction(options.auth_timeout)
        self._found = found

    def go(self, after: str) -> None:
        self._found.transitions[f"{self.state}->{after}"] += 1
        self.state = after

    def end_by_itself(self) -> Fraction:
        """Return the first sweep at which the last activity is more than `reap_after` ago, or the timeout before it."""
        sweeps = math.floor((self._active_at + self._reap_after - self._start) / self._interval) + 1
        sweep = self._start + sweeps * self._interval
        return min(sweep, self.auth_end) if self.state == "auth" else sweep

    def drift(self, until: Fraction) -> None:
        """Count what idle timers did up to a moment, itself included."""
        if self.state == "active" and until >= self._active_at + self._idle:
            self.go("idle")
        if self.state == "idle" and until >= self._active_at + 2 * self._idle:
            self.go("suspended")

    def hear(self, line: Said) -> None:
        self._active_at = line.at
        if line.what == "leaves":
            self.go("terminated")
        elif self.state in ("idle", "suspended"):
            self.go("active")
        elif line.what in ("Failed", "exhausts", "Accepted") and self.state in ("new", "auth"):
            self._try(line)

    def _try(self, line: Said) -> None:
        if self.state == "new":
            self.go("auth")
            self.auth_end = line.at + self._auth
        if line.what == "Accepted":
            self.go("active")
            return
        made = self._attempts_left if line.what == "exhausts" else min(self._attempts_left, line.times)
        self._attempts_left -= made
        self._found.auth_denied += made
        if not self._attempts_left:
            self.go("terminated")


def _peak(lives: list[tuple[Place, Place]]) -> int:
    """Return the most lives at one moment; timers come before the lines of the same instant."""
    steps = [(*end, 0 if end[1] < 0 or end != begin else 2, -1) for begin, end in lives]
    steps += [(*begin, 1, 1) for begin, _ in lives]
    live = peak = 0
    for *_, step in sorted(steps):
        live += step
        peak = max(peak, live)
    return peak
