"""Which entries somebody wants: by session, type, severity, time, actor and text.

Session and rare types are looked up in the log's index. Time, actor and text are
compared entry by entry: a log is in the order of its positions, and wall time
may go back between two of them, so nothing can be skipped by time.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from sessionactors.audit.record import AuditRecord, EventType, Severity, stored_name
from supervisors.errors import InvalidArgumentError

__all__ = ["Selection", "parse_time"]


class _Readable(Protocol):
    def events(
        self,
        *,
        session: str | None = None,
        event_type: EventType | None = None,
        severity: Severity | None = None,
        start: int = 0,
        stop: int | None = None,
    ) -> Iterator[AuditRecord]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What is wanted; None stands for any.

    Attributes:
        session: only entries of this session.
        event_type: only entries of this type.
        severity: only entries of this severity or a higher one.
        since: the earliest wall time, in seconds since 1970 UTC.
        until: the wall time, likewise, that is too late.
        actor: only what this actor did.
        text: only entries with this text in the names or values of their data, such as the
            name of what happened; upper and lower case do not matter.
    """

    session: str | None = None
    event_type: EventType | None = None
    severity: Severity | None = None
    since: float | None = None
    until: float | None = None
    actor: str | None = None
    text: str | None = None

    def among(self, log: _Readable, stop: int | None = None) -> Iterator[AuditRecord]:
        """Yield what is wanted of a log, in order, one by one.

        Args:
            log: a store or a reader.
            stop: the position behind the last; None for all there are now.
        """
        records = log.events(session=self.session, event_type=self.event_type, severity=self.severity, stop=stop)
        least = -math.inf if self.since is None else self.since
        limit = math.inf if self.until is None else self.until
        actor = None if self.actor is None else stored_name(self.actor)
        text = None if self.text is None else self.text.casefold()
        return (
            record
            for record in records
            if least <= record.wall_time < limit
            and (actor is None or record.actor == actor)
            and (text is None or any(text in each.casefold() for each in _texts(record.data)))
        )

    def to_dict(self) -> dict[str, object]:
        """Return what is set, by name."""
        names = ("session", "event_type", "severity", "since", "until", "actor", "text")
        return {name: value for name in names if (value := getattr(self, name)) is not None}


def _texts(data: object) -> Iterator[str]:
    """Yield all names and values in data as text; a forger may have put any depth there."""
    left = [data]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            yield from map(str, value)
            left += value.values()
        elif isinstance(value, list | tuple):
            left += value
        else:
            yield str(value)


def parse_time(field: str, text: str) -> float:
    """Return a moment in seconds since 1970 UTC.

    Args:
        field: its name, for the error.
        text: ISO 8601, such as 2026-03-01, 2026-03-01T12:30 or
            2026-03-01T12:30:00+01:00, in UTC unless it says otherwise; or a
            number of seconds since 1970 UTC.

    Raises:
        InvalidArgumentError: it is neither.
    """
    try:
        moment = float(text)
    except ValueError:
        try:
            stated = dt.datetime.fromisoformat(text)
            moment = (stated if stated.tzinfo is not None else stated.replace(tzinfo=dt.UTC)).timestamp()
        except (ValueError, OverflowError):
            moment = math.nan
    if not math.isfinite(moment):
        raise InvalidArgumentError(field, text, "a time such as 2026-03-01T12:30:00Z, or seconds since 1970")
    return moment
