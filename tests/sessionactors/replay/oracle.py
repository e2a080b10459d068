"""Say from the log alone what a replay has to find; nothing here knows how it is done.

Exact arithmetic, one client after the other, no actors, no timers, no heap: as
long as nobody is active, where a session stands at a moment follows from when
it was last active. `L` is that last activity, `I` the idle timeout:

    L <= t < L+I: active    L+I <= t < L+2I: idle    L+2I <= t: suspended

and it ends at the first sweep after `L + reap_after`. This file imports neither
of our packages, so that it cannot repeat their mistakes by using them.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction

__all__ = ["Expected", "Options", "expect"]

_LINE = re.compile(r'^(\S+) \S+ .+? \[(.+?)\] "(.*?)" (\d{3}|-) (\d+|-)')


@dataclass(frozen=True)
class Options:
    idle_timeout: float = 300.0
    reap_after: float = 1800.0
    reap_interval: float = 60.0
    capacity: float = 1000.0
    rate: float = 10.0
    max_requests: int | None = None


@dataclass
class Expected:
    lines: int = 0
    bad_lines: int = 0
    requests: int = 0
    clients: int = 0
    sessions: int = 0
    transitions: Counter[str] = field(default_factory=Counter)
    rate_limited: int = 0
    quota_exceeded: int = 0
    errors: int = 0
    auth_denied: int = 0
    reaped: int = 0
    peak_live: int = 0
    simulated_seconds: float = 0.0


@dataclass
class Visit:
    """One session while it lives."""

    begun: Fraction
    active_at: Fraction
    tokens: Fraction
    tokens_at: Fraction
    used: int = 0


def expect(lines: Iterable[str], options: Options) -> Expected:
    found = Expected()
    by_client: dict[str, list[tuple[Fraction, int]]] = defaultdict(list)
    for line in lines:
        if not line.strip():
            continue
        found.lines += 1
        match = _LINE.match(line)
        try:
            assert match is not None
            client, stamp, _, status, _ = match.groups()
            moment = Fraction(datetime.strptime(stamp, "%d/%b/%Y:%H:%M:%S %z").timestamp())
        except (AssertionError, ValueError):
            found.bad_lines += 1
            continue
        by_client[client].append((moment, 0 if status == "-" else int(status)))
    found.requests = found.lines - found.bad_lines
    found.clients = len(by_client)
    start = min(moment for requests in by_client.values() for moment, _ in requests)
    lives: list[tuple[Fraction, Fraction]] = []
    for requests in by_client.values():
        requests.sort(key=lambda request: request[0])  # stable
        lives += _Client(options, start, found).live(requests)
    found.sessions = found.reaped = len(lives)
    found.peak_live = _peak(lives)
    found.simulated_seconds = float(max(ended for _, ended in lives) - start)
    return found


class _Client:
    def __init__(self, options: Options, start: Fraction, found: Expected) -> None:
        self.idle = Fraction(options.idle_timeout)
        self.reap_after = Fraction(options.reap_after)
        self.interval = Fraction(options.reap_interval)
        self.capacity = Fraction(options.capacity)
        self.rate = Fraction(options.rate)
        self.max_requests = options.max_requests
        self.start = start
        self.found = found

    def live(self, requests: list[tuple[Fraction, int]]) -> list[tuple[Fraction, Fraction]]:
        lives = []
        visit: Visit | None = None
        for moment, status in requests:
            if visit is not None and self.end_of(visit) <= moment:
                lives.append(self.end(visit))
                visit = None
            if visit is None:
                visit = Visit(moment, moment, self.capacity, moment)
                self.found.transitions["new->auth"] += 1
                self.found.transitions["auth->active"] += 1
            else:
                state = self.drift(visit, moment)
                if state != "active":
                    self.found.transitions[f"{state}->active"] += 1
                    visit.active_at = moment
            self.request(visit, moment, status)
        assert visit is not None
        return [*lives, self.end(visit)]

    def request(self, visit: Visit, moment: Fraction, status: int) -> None:
        visit.tokens = min(self.capacity, visit.tokens + (moment - visit.tokens_at) * self.rate)
        visit.tokens_at = moment
        if visit.tokens < 1:
            self.found.rate_limited += 1
            return
        visit.tokens -= 1
        if self.max_requests is not None and visit.used >= self.max_requests:
            self.found.quota_exceeded += 1
        else:
            visit.used += 1
            visit.active_at = moment
        self.found.auth_denied += status in (401, 403)
        self.found.errors += status >= 500

    def end_of(self, visit: Visit) -> Fraction:
        """Return the first sweep at which the last activity is more than `reap_after` ago."""
        sweeps = math.floor((visit.active_at + self.reap_after - self.start) / self.interval) + 1
        return self.start + sweeps * self.interval

    def end(self, visit: Visit) -> tuple[Fraction, Fraction]:
        ended = self.end_of(visit)
        state = self.drift(visit, ended)
        self.found.transitions[f"{state}->terminated"] += 1
        return visit.begun, ended

    def drift(self, visit: Visit, moment: Fraction) -> str:
        """Count what idle timers did up to a moment, itself included; return the state then."""
        quiet = moment - visit.active_at
        if quiet < self.idle:
            return "active"
        self.found.transitions["active->idle"] += 1
        if quiet < 2 * self.idle:
            return "idle"
        self.found.transitions["idle->suspended"] += 1
        return "suspended"


def _peak(lives: list[tuple[Fraction, Fraction]]) -> int:
    """Return the most lives at one moment; at the same instant ends come before beginnings."""
    steps = sorted([(ended, -1) for _, ended in lives] + [(begun, 1) for begun, _ in lives])
    live = peak = 0
    for _, step in steps:
        live += step
        peak = max(peak, live)
    return peak
