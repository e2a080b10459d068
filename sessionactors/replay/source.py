"""Open log files, find out their format, and read every event in time order.

A log may be plain or gzip (told by its first bytes, not its name), and may
come from standard input. It is read once, in blocks; no more than one block
and one longest line of it are in memory as bytes. The events themselves all
stay in memory, because sorting needs them: about 0.5 KiB each.

What makes a run impossible raises `SourceError` with one sentence for people;
single lines that cannot be read are counted and skipped.
"""

from __future__ import annotations

import gzip
import zlib
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter
from typing import IO, TYPE_CHECKING, Final, Literal, cast

from sessionactors.replay.access_log import AccessLogParser
from sessionactors.replay.events import BadLine
from sessionactors.replay.json_lines import parse_json_line
from sessionactors.replay.sshd_log import YEAR_DEFAULT, SshdLogParser, is_syslog_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sessionactors.replay.events import Event

    _Parse = Callable[[str, int], Event | BadLine | None]

__all__ = [
    "BAD_LINES_SHOWN",
    "LINE_LENGTH_MAX",
    "Log",
    "LogFormat",
    "SkippedLine",
    "SourceError",
    "read_log",
    "shown_name",
]

LINE_LENGTH_MAX: Final = 1024 * 1024
"""Bytes of the longest line that is read; longer ones are skipped, unread, as bad lines."""

BAD_LINES_SHOWN: Final = 5
"""How many bad lines are kept to be shown; the others are only counted."""

_BLOCK_SIZE: Final = 256 * 1024
_STANDARD_INPUT: Final = 0
_GZIP_MAGIC: Final = b"\x1f\x8b"
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_LINES_SAMPLED: Final = 100

LogFormat = Literal["access", "jsonl", "sshd"]

_FORMAT_NAMES: Final = {"access": "an access log line", "jsonl": "a JSON line", "sshd": "a syslog line"}


class SourceError(Exception):
    """A log cannot be used; the message is one sentence that names it and says why."""


@dataclass(frozen=True, slots=True)
class SkippedLine:
    """A bad line and the file it stands in."""

    source: str
    number: int
    reason: str

    def __str__(self) -> str:
        return f"{self.source}:{self.number}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Log:
    """Everything that was read.

    Attributes:
        format: what the lines are.
        events: in time order; equal times keep the order of the files and lines.
        lines: lines read, without blank ones: events, bad lines and other lines together.
        bad_lines: lines that could not be read.
        skipped: the first few of the bad lines.
        other_lines: good lines of other programs; only syslog files have any.
    """

    format: LogFormat
    events: Sequence[Event]
    lines: int
    bad_lines: int
    skipped: tuple[SkippedLine, ...]
    other_lines: int = 0


def read_log(
    names: Sequence[str],
    *,
    log_format: LogFormat | Literal["auto"] = "auto",
    year: int = YEAR_DEFAULT,
    on_progress: Callable[[int], None] | None = None,
) -> Log:
    """Read files and return their events in time order.

    Args:
        names: paths, at least one; `-` stands for standard input. All must be
            of one format.
        log_format: `auto` looks at the first lines of each file.
        year: of the first line of the first file, where lines have no year.
        on_progress: called with the number of events so far, every block.

    Raises:
        SourceError: a file cannot be opened or read to its end, has no
            readable line, or is of another format than the one before it.

    Blocks: until all is read.
    """
    if names.count("-") > 1:
        raise SourceError("standard input (-) can be read only once")
    reading = _Reading(
        None if log_format == "auto" else log_format,
        is_fixed=log_format != "auto",
        year=year,
        on_progress=on_progress,
    )
    for name in names:
        reading.read(name)
    # The sort is stable, and takes nearly linear time for a log that is nearly in order.
    reading.events.sort(key=itemgetter(0))
    return Log(
        reading.format or "access",
        reading.events,
        len(reading.events) + reading.bad_lines + reading.other_lines,
        reading.bad_lines,
        tuple(reading.skipped),
        reading.other_lines,
    )


class _Reading:
    """What was read so far, file after file."""

    def __init__(
        self,
        log_format: LogFormat | None,
        *,
        is_fixed: bool,
        year: int,
        on_progress: Callable[[int], None] | None,
    ) -> None:
        self.format = log_format
        self.events: list[Event] = []
        self.bad_lines = 0
        self.other_lines = 0
        self.skipped: list[SkippedLine] = []
        self._is_fixed = is_fixed
        self._on_progress = on_progress
        # One parser for all files: the year goes on from one to the next.
        self._parsers: Mapping[LogFormat, _Parse] = {
            "access": AccessLogParser().parse,
            "jsonl": parse_json_line,
            "sshd": SshdLogParser(year).parse,
        }

    def read(self, name: str) -> None:
        """Add one file, or raise `SourceError`."""
        shown = shown_name(name)
        events_before, bad_before, others_before = len(self.events), self.bad_lines, self.other_lines
        first_bad: BadLine | None = None
        looks_binary = False
        number = 0
        log_format = self.format if self._is_fixed else None
        with ExitStack() as stack:
            for lines in _line_blocks(_open(name, shown, stack), shown):
                if log_format is None:
                    log_format = self._detect(lines, shown)
                if number == 0:
                    looks_binary = any("\0" in line for line in lines if line)
                bad = self._read_block(lines, number, self._parsers[log_format or "access"])
                for line in bad[: BAD_LINES_SHOWN - len(self.skipped)]:
                    self.skipped.append(SkippedLine(shown, line.number, line.reason))
                self.bad_lines += len(bad)
                first_bad = first_bad or (bad[0] if bad else None)
                number += len(lines)
                if self._on_progress is not None:
                    self._on_progress(len(self.events))
        if len(self.events) == events_before:
            if self.other_lines > others_before:
                raise SourceError(f"cannot use {shown}: none of its lines is by sshd")
            raise SourceError(
                _useless(shown, log_format, self.bad_lines - bad_before, first_bad, looks_binary=looks_binary)
            )

    def _read_block(self, lines: list[str | None], number: int, parse: _Parse) -> list[BadLine]:
        """Parse lines, keep events, count other programs' lines, return bad ones; blank lines are none of these."""
        bad: list[BadLine] = []
        keep = self.events.append
        for number, line in enumerate(lines, number + 1):  # noqa: B020, PLR1704 - goes on counting
            event = parse(line, number) if line is not None else _too_long(number)
            if event is None:
                self.other_lines += 1
            elif not isinstance(event, BadLine):
                keep(event)
            elif line is None or (line and not line.isspace()):
                bad.append(event)
        return bad

    def _detect(self, lines: list[str | None], shown: str) -> LogFormat | None:
        """Return the format that most of the first lines have that have one; None while there is nothing to go by."""
        looks = (self._look_of(line) for line in lines if line)
        sample: Counter[LogFormat] = Counter(islice((look for look in looks if look is not None), _LINES_SAMPLED))
        if not sample:
            return None
        log_format: LogFormat = sample.most_common(1)[0][0]
        if self.format is not None and self.format != log_format:
            raise SourceError(
                f"cannot use {shown}: it looks like the format {log_format}, "
                f"but the files before it are {self.format} and one run takes one format"
            )
        self.format = log_format
        return log_format

    def _look_of(self, line: str) -> LogFormat | None:
        """Return the format that a line seems to have."""
        if line.lstrip().startswith("{"):
            return "jsonl"
        if is_syslog_line(line):
            return "sshd"
        return None if isinstance(self._parsers["access"](line, 0), BadLine) else "access"


def _open(name: str, shown: str, stack: ExitStack) -> IO[bytes]:
    """Open a file (or take standard input), and look through gzip."""
    try:
        # Standard input is not ours to close, so it gets a reader of its own over the same descriptor.
        path: str | int = _STANDARD_INPUT if name == "-" else name
        raw = stack.enter_context(open(path, "rb", closefd=name != "-"))  # noqa: SIM115 - the stack closes it
        if raw.peek(2)[:2] == _GZIP_MAGIC:
            unzipped = gzip.GzipFile(fileobj=raw, mode="rb")
            stack.callback(unzipped.close)
            return cast("IO[bytes]", unzipped)
    except (OSError, ValueError) as exc:
        raise SourceError(f"cannot read {shown}: {_cause(exc)}") from exc
    return raw


def _line_blocks(stream: IO[bytes], shown: str) -> Iterator[list[str | None]]:
    """Yield the lines of a stream, many at a time; None stands for one over the limit.

    Decoding a whole block at once equals decoding line by line, because a line
    feed never is part of a longer UTF-8 sequence.
    """
    pending = b""  # the beginning of a line whose end has not been read
    is_skipping = False  # inside a line over the limit
    is_first = True
    while block := _read_some(stream, shown):
        if is_first:
            block, is_first = block.removeprefix(_BYTE_ORDER_MARK), False
        if is_skipping:
            _, found, block = block.partition(b"\n")
            if not found:
                continue
            is_skipping = False
            yield [None]
        whole, found, rest = block.rpartition(b"\n")
        if found:
            yield _decoded(pending + whole)
            pending = rest
        else:
            pending += rest
        if len(pending) > LINE_LENGTH_MAX:
            pending, is_skipping = b"", True
    if is_skipping:
        yield [None]
    elif pending:
        yield _decoded(pending)


def _decoded(whole: bytes) -> list[str | None]:
    """Decode lines, of which only the first can be over the limit: it alone came in more than one block."""
    first_end = whole.find(b"\n")
    first_length = len(whole) if first_end < 0 else first_end
    if first_length <= LINE_LENGTH_MAX:
        return [*whole.decode("utf-8", "backslashreplace").split("\n")]
    if first_end < 0:
        return [None]
    return [None, *whole[first_end + 1 :].decode("utf-8", "backslashreplace").split("\n")]


def _read_some(stream: IO[bytes], shown: str) -> bytes:
    try:
        return stream.read(_BLOCK_SIZE)
    except EOFError as exc:
        raise SourceError(f"cannot read {shown}: the gzip file is cut off before its end") from exc
    except (OSError, ValueError, zlib.error) as exc:
        raise SourceError(f"cannot read {shown}: {_cause(exc)}") from exc


def _cause(exc: Exception) -> str:
    """Say in words why a file could not be opened or read."""
    match exc:
        case FileNotFoundError():
            return "there is no such file"
        case IsADirectoryError():
            return "it is a directory"
        case PermissionError():
            return "permission is denied"
        case gzip.BadGzipFile() | zlib.error():
            return "the gzip file is damaged"
        case OSError(strerror=str(reason)):
            return reason.lower()
        case _:
            return "it cannot be opened"


def _useless(
    shown: str, wanted: LogFormat | None, bad_lines: int, first_bad: BadLine | None, *, looks_binary: bool
) -> str:
    """Say in one sentence why a file without a single event is refused."""
    if first_bad is None:
        return f"cannot use {shown}: it is empty"
    if looks_binary:
        return f"cannot use {shown}: it looks like binary data and not like a log"
    which = "its only line is not" if bad_lines == 1 else f"none of its {bad_lines:,} lines is"
    return (
        f"cannot use {shown}: {which} {_FORMAT_NAMES[wanted or 'access']} (line {first_bad.number}: {first_bad.reason})"
    )


def _too_long(number: int) -> BadLine:
    return BadLine(number, f"it is longer than {LINE_LENGTH_MAX:,} bytes")


def shown_name(name: str) -> str:
    """Return a name that any terminal can show: no control characters, no undecodable bytes."""
    if name == "-":
        return "standard input"
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in name)
