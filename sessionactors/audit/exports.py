"""Entries in formats that other programs read: JSON, JSON lines, CSV and syslog.

What was logged may have been chosen by an attacker, and a log that comes from
elsewhere may hold anything at all. So every format escapes for its reader:

* JSON is ASCII only, so nothing in it can drive a terminal.
* A CSV cell that a spreadsheet would take for a formula begins with an
  apostrophe, and so does one that began with an apostrophe before: whoever takes
  one off the front gets the original. Every cell is quoted.
* Syslog (RFC 5424) is one line for each entry; control characters in names are
  shown as escapes, and the data are JSON.

Every function yields the output piece by piece and holds one entry at a time.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Literal, TypeAlias, get_args

from sessionactors.audit.errors import AuditDamagedError
from sessionactors.audit.plain_values import plain
from sessionactors.audit.record import AuditRecord

__all__ = ["EXPORT_FORMATS", "ExportFormat", "csv_of", "export", "iso_time", "json_of", "line_of", "row_of"]

ExportFormat: TypeAlias = Literal["json", "jsonl", "csv", "syslog"]

EXPORT_FORMATS: Final[tuple[ExportFormat, ...]] = get_args(ExportFormat)

_COLUMNS: Final = ("sequence", "time", "wall_time", "monotonic_time", "session", "type", "severity", "actor", "data")
# What spreadsheets take for the beginning of a formula, in their usual and in their wide forms.
_FORMULA_MARKS: Final = frozenset("=+-@|%\uff1d\uff0b\uff0d\uff20")
_APOSTROPHE: Final = "'"
_LOG_AUDIT: Final = 13
"""Syslog's facility for audit messages."""

# Made once: json.dumps() makes a new encoder for each call that is not all defaults.
_to_json: Final = json.JSONEncoder(allow_nan=False).encode

_SYSLOG_SEVERITIES: Final = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}


def row_of(record: AuditRecord) -> dict[str, object]:
    """Return an entry as JSON values, with its wall time in ISO 8601 as well.

    Raises:
        AuditDamagedError: its session or actor is no text, which no writer makes.
    """
    if not isinstance(record.session, str | None) or not isinstance(record.actor, str):
        problem = f"the session or actor of entry {record.sequence} is no text"
        raise AuditDamagedError("audit log", problem, "verify the log to see what was altered")
    return {
        "sequence": record.sequence,
        "time": iso_time(record.wall_time),
        "wall_time": record.wall_time,
        "monotonic_time": record.monotonic_time,
        "session": record.session,
        "type": record.type,
        "severity": record.severity,
        "actor": record.actor,
        "data": record.data,
    }


def json_of(value: object) -> str:
    """Return JSON in ASCII on one line; of what JSON cannot say, the nearest thing that it can."""
    try:
        return _to_json(value)
    except (TypeError, ValueError, RecursionError):
        # No writer logs such data, so this entry was made by somebody else.
        return _to_json(plain(value, frozenset()))


def line_of(record: AuditRecord) -> str:
    """Return an entry as one line for people."""
    row = row_of(record)
    parts = [f"{row['sequence']:>8}", row["time"] or f"{record.wall_time}s", f"{row['type']}/{row['severity']}"]
    if record.session is not None:
        parts.append(f"session={_visible(record.session)}")
    parts += [f"actor={_visible(record.actor)}", json_of(record.data)]
    return "  ".join(map(str, parts))


def export(records: Iterable[AuditRecord], export_format: ExportFormat, log: dict[str, object]) -> Iterator[str]:
    """Yield entries in a format, piece by piece.

    Args:
        records: in the order wanted.
        export_format: which format.
        log: what JSON says about the log before its entries, such as its head.

    Raises:
        AuditDamagedError: an entry is none that a writer makes.
    """
    exporters: dict[ExportFormat, Callable[[], Iterator[str]]] = {
        "json": lambda: _as_json(records, log),
        "jsonl": lambda: (f"{json_of(row_of(record))}\n" for record in records),
        "csv": lambda: _as_csv(records),
        "syslog": lambda: map(_syslog_line, records),
    }
    return exporters[export_format]()


def _as_json(records: Iterable[AuditRecord], log: dict[str, object]) -> Iterator[str]:
    """Yield one object; the number of entries comes last, so an object without it was cut off."""
    yield f'{{"log": {json_of(log)},\n "events": ['
    count = 0
    for record in records:
        yield f"{',' if count else ''}\n  {json_of(row_of(record))}"
        count += 1
    yield f'\n ],\n "count": {count}}}\n'


def csv_of(cells: Iterable[object]) -> str:
    """Return a line of CSV that a spreadsheet takes for what it is."""
    buffer = io.StringIO()
    csv.writer(buffer, quoting=csv.QUOTE_ALL).writerow(_cell(cell) for cell in cells)
    return buffer.getvalue()


def _as_csv(records: Iterable[AuditRecord]) -> Iterator[str]:
    buffer = io.StringIO()
    writer = csv.writer(buffer, quoting=csv.QUOTE_ALL)

    def written(cells: Iterable[object]) -> str:
        writer.writerow(cells)
        line = buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
        return line

    yield written(_COLUMNS)
    for record in records:
        row = row_of(record)
        row["data"] = json_of(record.data)
        yield written(_cell(row[column]) for column in _COLUMNS)


def _cell(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = _visible(value)
    is_risky = text.startswith(_APOSTROPHE) or text.lstrip()[:1] in _FORMULA_MARKS
    return f"{_APOSTROPHE}{text}" if is_risky and text else text


def _syslog_line(record: AuditRecord) -> str:
    row = row_of(record)
    priority = _LOG_AUDIT * 8 + _SYSLOG_SEVERITIES[record.severity]
    fields = {
        "sequence": str(record.sequence),
        "wall_time": repr(record.wall_time),
        "monotonic_time": repr(record.monotonic_time),
        "session": record.session,
        "actor": record.actor,
    }
    values = " ".join(f'{name}="{_parameter(text)}"' for name, text in fields.items() if text is not None)
    # 32473 is the number that RFC 5612 keeps for those who have none of their own.
    start = f"<{priority}>1 {row['time'] or '-'} - sessionactors - {record.type}"
    return f"{start} [audit@32473 {values}] {json_of(record.data)}\n"


def _parameter(text: str) -> str:
    """Return a value as RFC 5424 wants it between quotes: a backslash before quotes, backslashes and brackets."""
    return _visible(text).replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")


def _visible(text: str) -> str:
    """Return text with everything that is not printable as an escape."""
    if text.isprintable():  # nearly all are
        return text
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


def iso_time(wall_time: float) -> str | None:
    """Return a time as text with microseconds, or None if the calendar does not reach it."""
    try:
        moment = dt.datetime.fromtimestamp(wall_time, dt.UTC)
    except (OverflowError, ValueError, OSError, TypeError):
        return None
    return f"{moment.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"
