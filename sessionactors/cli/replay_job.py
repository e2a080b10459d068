"""What `sessionactors replay` does once its arguments are read.

The session system is imported last, when there is something to drive it with:
a mistyped file name is answered in a fraction of the time that takes.
"""

from __future__ import annotations

import gc
import logging
import shlex
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, final

import click

from sessionactors import bounds
from sessionactors.cli.interrupts import interrupts_as_stop
from sessionactors.cli.out_directory import make_free, require_free
from sessionactors.cli.program import EXIT_INTERRUPTED, InputError, RunError, complain, reason_of
from sessionactors.cli.progress import Progress
from sessionactors.errors import InvalidKind, InvalidValue, SessionActorsError
from sessionactors.replay.report import write_report
from sessionactors.replay.settings import ReplaySettings
from sessionactors.replay.source import SourceError, read_log, shown_name
from sessionactors.replay.sshd_log import YEAR_MAX, YEAR_MIN
from supervisors.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sessionactors.replay.report import ReplayReport
    from sessionactors.replay.source import Log
    from supervisors.clock import Clock

__all__ = ["ReplayJob", "run_job"]

_SPEED_MAX: Final = 1e9


@final
@dataclass(frozen=True, slots=True)
class ReplayJob:
    """The arguments of the command.

    Attributes:
        files: paths; `-` is standard input.
        log_format: what the lines are.
        year: of the first line, where lines have no year; not yet checked.
        directory: where to leave audit log and report; None keeps neither.
        is_overwriting: whether an earlier replay there may be replaced.
        is_json: print JSON and not text.
        speed: log seconds in a real second; None is full speed.
        settings: the fields of `ReplaySettings`, not yet checked.
    """

    files: tuple[str, ...]
    log_format: Literal["auto", "access", "jsonl", "sshd"]
    year: int
    directory: Path | None
    is_overwriting: bool
    is_json: bool
    speed: float | None
    settings: Mapping[str, object]


def run_job(job: ReplayJob) -> int:
    """Read, replay, report; return the exit code.

    Raises:
        click.ClickException: with one sentence and the exit code.
    """
    clock = SystemClock()
    begun = clock.monotonic()
    # Nearly all that is made here is freed by its last reference; what the collector
    # has to find are a few hundred objects of a run. This process does nothing else.
    gc.set_threshold(1_000_000, 20, 100)
    settings = _settings(job)
    if job.directory is not None:
        require_free(job.directory, is_overwriting=job.is_overwriting)
    try:
        log = _read(job, clock)
    except KeyboardInterrupt:
        complain("interrupted while reading; nothing was replayed")
        return EXIT_INTERRUPTED
    if settings.crash_every is not None:
        # Each actor that is killed on purpose would be reported here; the audit log has them all.
        logging.getLogger("supervisors.reports").setLevel(logging.CRITICAL)
    try:
        if job.directory is not None:
            make_free(job.directory)
        report, is_complete = _drive(job, log, settings, clock, begun)
        if not is_complete:
            _tell_interrupted(job, log, report)
            return EXIT_INTERRUPTED
        text = report.to_text(title=_title(job), skipped=log.skipped)
        if job.directory is not None:
            write_report(report, text, job.directory)
    except (InvalidKind, InvalidValue):
        raise  # our own call was wrong: that is for us to see in full
    except (OSError, SessionActorsError) as exc:
        raise RunError(f"the run failed: {reason_of(exc)}") from exc
    _show(job, log, report, text)
    return 0


def _settings(job: ReplayJob) -> ReplaySettings:
    try:
        if job.speed is not None:
            bounds.number("realtime", job.speed, most=_SPEED_MAX)
        bounds.count("year", job.year, least=YEAR_MIN, most=YEAR_MAX)
        return ReplaySettings(**job.settings)  # type: ignore[arg-type]  # checked by the class itself
    except (InvalidKind, InvalidValue) as exc:
        option = "--" + exc.field.replace("_", "-")
        raise InputError(f"{option}{str(exc).removeprefix(exc.field)}") from exc


def _read(job: ReplayJob, clock: Clock) -> Log:
    with Progress(sys.stderr, clock, label="reading") as progress:
        try:
            return read_log(job.files, log_format=job.log_format, year=job.year, on_progress=progress.update)
        except SourceError as exc:
            raise InputError(str(exc)) from exc


def _drive(job: ReplayJob, log: Log, settings: ReplaySettings, clock: Clock, begun: float) -> tuple[ReplayReport, bool]:
    loading = clock.monotonic()
    from sessionactors.replay.run import replay_log  # noqa: PLC0415 - see the module

    if job.directory is not None:
        import sessionactors.audit.log  # noqa: F401, PLC0415 - the run would load it

    # What the figures are about is reading the log and driving the sessions, not
    # how long Python takes to load the program.
    begun += clock.monotonic() - loading
    # The log and the program stay until the end: the collector need not look at
    # them again and again.
    gc.freeze()
    with (
        interrupts_as_stop() as stop,
        Progress(sys.stderr, clock, label="replaying", total=len(log.events)) as progress,
    ):
        return replay_log(
            log,
            settings,
            clock=clock,
            directory=job.directory,
            speed=job.speed,
            begun=begun,
            stop=stop,
            on_progress=progress.update,
        )


def _tell_interrupted(job: ReplayJob, log: Log, report: ReplayReport) -> None:
    kept = "" if job.directory is None else f"; the audit log in {job.directory} is whole up to there"
    complain(f"interrupted after {report.requests:,} of {len(log.events):,} requests{kept}")


def _show(job: ReplayJob, log: Log, report: ReplayReport, text: str) -> None:
    if not job.is_json:
        click.echo(text, nl=False)
        if job.directory is not None:
            click.echo(f"\nThe audit log and this report are in {job.directory}; check the log with\n")
            click.echo(f"  sessionactors audit verify {shlex.quote(str(job.directory))}")
        return
    if log.bad_lines:
        complain(f"skipped {log.bad_lines:,} of {log.lines:,} lines, the first of them:")
        for line in log.skipped:
            complain(str(line))
    click.echo(report.to_json())


def _title(job: ReplayJob) -> str:
    first, *others = (shown_name(name) for name in job.files)
    return f"Replay of {first}" + (f" and {len(others)} more" if others else "")
