"""What a replay found out, for programs and for people."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from sessionactors.states import STATES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from sessionactors.replay.contract import SystemTotals
    from sessionactors.replay.driver import Handled
    from sessionactors.replay.source import Log

__all__ = ["ReplayReport", "duration_in_words", "make_report", "write_report"]

REPORT_FILES: Final = ("report.json", "report.txt")
"""What `write_report` leaves in a folder."""

_WIDTH: Final = 80
_LABEL: Final = 17  # characters before the values
_UNITS: Final = (("day", 86_400), ("hour", 3600), ("minute", 60))


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """The figures of one replay, by the names they have in its JSON.

    Attributes:
        lines: lines of the log, without blank ones.
        bad_lines: lines that could not be read and were skipped.
        requests: the other lines; each is one request (or one call).
        clients: different clients.
        sessions: sessions that were started.
        transitions: how often a session went from one state to another, by `"from->to"`.
        rate_limited: requests denied by the rate limiter.
        quota_exceeded: updates refused by a session's quota.
        errors: requests that the server answered with a status of 500 or above.
        auth_denied: requests that the server answered with 401 or 403.
        reaped: sessions ended by the reaper.
        peak_live: the most sessions live at the same time.
        audit_events: entries of the audit log by type.
        audit_size: entries of the audit log.
        audit_root: hexadecimal digest that stands for the whole audit log.
        simulated_seconds: from the first event to the end of the last session, by the log's clock.
        wall_seconds: from the first byte read to the last audit entry made durable.
        requests_per_second: requests divided by `wall_seconds`.
        other_lines: lines of other programs; None, and not in the JSON, unless the
            log is one that has such lines.
    """

    lines: int
    bad_lines: int
    requests: int
    clients: int
    sessions: int
    transitions: Mapping[str, int]
    rate_limited: int
    quota_exceeded: int
    errors: int
    auth_denied: int
    reaped: int
    peak_live: int
    audit_events: Mapping[str, int]
    audit_size: int
    audit_root: str
    simulated_seconds: float
    wall_seconds: float
    requests_per_second: float
    other_lines: int | None = None

    def to_json(self) -> str:
        """Return one JSON object on one line."""
        figures = asdict(self)
        if self.other_lines is None:
            del figures["other_lines"]
        return json.dumps(figures)

    def to_text(self, *, title: str, skipped: Sequence[object] = ()) -> str:
        """Return a report for people, at most 80 columns wide (long file names apart).

        Args:
            title: what was replayed.
            skipped: the first bad lines; they are shown with `str`.
        """
        parts = [
            f"{title}\n{'=' * min(len(title), _WIDTH)}",
            _table(self._facts()),
            "Transitions (from the state on the left to the state above)\n" + _matrix(self.transitions),
            f"Audit log ({_counted(self.audit_size, 'entry', 'entries')})\n"
            + _table([(name, f"{count:>13,}") for name, count in sorted(self.audit_events.items())])
            + f"\n  root {self.audit_root}",
        ]
        if self.bad_lines:
            shown = "\n".join(f"  {line}" for line in skipped)
            left = self.bad_lines - len(skipped)
            more = f"\n  ... and {left:,} more" if left else ""
            parts.append(f"Skipped lines\n{shown}{more}")
        return "\n\n".join(parts) + "\n"

    def _facts(self) -> list[tuple[str, str]]:
        speed = f"{self.requests_per_second:,.0f} requests a second"
        others = [] if self.other_lines is None else [("Other lines", f"{self.other_lines:>13,}  of other programs")]
        return [
            ("Lines", f"{self.lines:>13,}  {_counted(self.bad_lines, 'bad line')} skipped"),
            *others,
            ("Requests", f"{self.requests:>13,}  from {_counted(self.clients, 'client')}"),
            ("Sessions", f"{self.sessions:>13,}  up to {self.peak_live:,} live at the same time"),
            ("Reaped", f"{self.reaped:>13,}"),
            ("Rate limited", f"{self.rate_limited:>13,}"),
            ("Quota exceeded", f"{self.quota_exceeded:>13,}"),
            ("Access denied", f"{self.auth_denied:>13,}"),
            ("Server errors", f"{self.errors:>13,}"),
            ("Simulated time", f"  {duration_in_words(self.simulated_seconds)}"),
            ("Real time", f"  {duration_in_words(self.wall_seconds)} ({speed})"),
        ]


def make_report(log: Log, handled: Handled, totals: SystemTotals, *, wall_seconds: float) -> ReplayReport:
    """Put together what the log, the driver and the system know.

    Args:
        log: what was read.
        handled: what the driver counted.
        totals: what the system counted.
        wall_seconds: how long it all took.
    """
    start = log.events[0][0]
    return ReplayReport(
        lines=log.lines,
        bad_lines=log.bad_lines,
        requests=handled.requests,
        clients=handled.clients,
        sessions=totals.sessions,
        transitions={edge: count for edge, count in sorted(totals.transitions.items(), key=_edge_order) if count},
        rate_limited=handled.rate_limited,
        quota_exceeded=handled.quota_exceeded,
        errors=handled.errors,
        auth_denied=handled.auth_denied,
        reaped=totals.reaped,
        peak_live=totals.peak_live,
        audit_events=dict(sorted(totals.audit_events.items())),
        audit_size=totals.audit_size,
        audit_root=totals.audit_root,
        simulated_seconds=handled.end - start,
        wall_seconds=wall_seconds,
        requests_per_second=handled.requests / wall_seconds if wall_seconds > 0 else 0.0,
        other_lines=log.other_lines if log.format == "sshd" else None,
    )


def write_report(report: ReplayReport, text: str, directory: Path) -> None:
    """Leave `report.json` and `report.txt` in a folder, in place of older ones."""
    json_name, text_name = REPORT_FILES
    (directory / json_name).write_text(report.to_json() + "\n", encoding="utf-8")
    (directory / text_name).write_text(text, encoding="utf-8")


def duration_in_words(seconds: float) -> str:
    """Say a duration with its two largest units, such as `3 days 20 hours` or `2.41 seconds`."""
    if seconds < 60:
        return f"{seconds:.3g} seconds" if round(seconds, 2) != 1 else "1 second"
    left = round(seconds)
    words: list[str] = []
    for name, size in _UNITS:
        count, left = divmod(left, size)
        if count:
            words.append(_counted(count, name))
    if left:
        words.append(_counted(left, "second"))
    return " ".join(words[:2])


def _counted(count: int, noun: str, plural: str | None = None) -> str:
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def _table(rows: Sequence[tuple[str, str]]) -> str:
    return "\n".join(f"  {label:<{_LABEL}}{value}" for label, value in rows)


def _matrix(transitions: Mapping[str, int]) -> str:
    """Lay transitions out as a table: one row for each state left, one column for each state reached."""
    sources, targets = STATES[:-1], STATES[1:]
    lines = ["  " + " " * 10 + "".join(f"{target:>12}" for target in targets)]
    for source in sources:
        counts = (transitions.get(f"{source}->{target}", 0) for target in targets)
        lines.append(f"  {source:<10}" + "".join(f"{count:>12,}" if count else f"{'.':>12}" for count in counts))
    return "\n".join(line.rstrip() for line in lines)


def _edge_order(edge: tuple[str, int]) -> tuple[int, ...]:
    """Sort transitions as the states follow each other in a session's life."""
    return tuple(STATES.index(state) for state in edge[0].split("->") if state in STATES)
