"""`sessionactors replay`: drive supervised sessions with a recorded log."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal, final

import click

__all__ = ["replay"]

_EPILOG: Final = """
\b
Examples:
  sessionactors replay access.log
  sessionactors replay --json access.log.2.gz access.log.1 access.log
  sessionactors replay --year 2017 --auth-timeout 60 auth.log
  zcat old/*.gz | sessionactors replay --out result -
  sessionactors audit verify result

Exit codes: 0 for success, 1 when the run failed, 2 for bad usage or an unreadable file,
130 after Ctrl-C.
"""


@final
class _RealtimeOption(click.Option):
    """An option whose value, if it has one, must follow an equals sign."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        record = super().get_help_record(ctx)
        return None if record is None else (record[0].replace(" [=", "[="), record[1])


@final
class _ReplayCommand(click.Command):
    """Gives a bare `--realtime` its value, before it can take the next argument, a file, for it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        end = args.index("--") if "--" in args else len(args)
        options = ["--realtime=1" if argument == "--realtime" else argument for argument in args[:end]]
        return super().parse_args(ctx, options + args[end:])


@click.command(cls=_ReplayCommand, epilog=_EPILOG, short_help="Drive supervised sessions with a recorded log.")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option(
    "--format",
    "log_format",
    type=click.Choice(["auto", "access", "jsonl", "sshd"]),
    default="auto",
    show_default=True,
    help="What the lines are: an access log (common or combined format), JSON lines of session commands, "
    "a syslog file with lines of sshd, or whichever the first lines look like.",
)
@click.option(
    "--idle-timeout",
    metavar="SECONDS",
    type=float,
    default=300.0,
    show_default=True,
    help="An active session without a request for so long becomes idle, an idle one suspended.",
)
@click.option(
    "--reap-after",
    metavar="SECONDS",
    type=float,
    default=1800.0,
    show_default=True,
    help="The reaper ends sessions whose last request is longer ago than this.",
)
@click.option(
    "--reap-interval",
    metavar="SECONDS",
    type=float,
    default=60.0,
    show_default=True,
    help="Time between two sweeps of the reaper.",
)
@click.option(
    "--capacity",
    metavar="REQUESTS",
    type=float,
    default=1000.0,
    show_default=True,
    help="Rate limit: requests that a session may make at once.",
)
@click.option(
    "--rate",
    metavar="PER_SECOND",
    type=float,
    default=10.0,
    show_default=True,
    help="Rate limit: requests a second that a session may make in the long run.",
)
@click.option(
    "--max-requests",
    metavar="COUNT",
    type=int,
    help="Quota: requests that a session may make in its whole life.  [default: no limit]",
)
@click.option(
    "--auth-timeout",
    metavar="SECONDS",
    type=float,
    help="A session that is not signed in so long after its first attempt ends.  "
    "[default: 120 for sshd logs, otherwise 30]",
)
@click.option(
    "--max-auth-attempts",
    metavar="COUNT",
    type=int,
    help="Attempts to sign in that a session has.  [default: 6 for sshd logs, otherwise 3]",
)
@click.option(
    "--year",
    metavar="YEAR",
    type=int,
    default=2000,
    show_default=True,
    help="Year of the first line of an sshd log whose times have none; the others follow from it.",
)
@click.option(
    "--out",
    metavar="DIR",
    help="Leave the audit log, report.json and report.txt in this folder; it is made if need be.  "
    "[default: keep the audit log in memory]",
)
@click.option("--overwrite", is_flag=True, help="Let --out replace what an earlier replay left there.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object in place of the report.")
@click.option(
    "--realtime",
    cls=_RealtimeOption,
    metavar="[=SPEED]",
    type=float,
    help="Take as long as the log did; with =60, an hour of the log takes a minute.  [default: full speed]",
)
@click.option(
    "--seed",
    metavar="NUMBER",
    type=int,
    default=0,
    show_default=True,
    help="Seed of everything that is drawn; equal seeds give equal runs.",
)
@click.option("--crash-every", type=int, hidden=True)
def replay(
    *,
    files: tuple[str, ...],
    log_format: Literal["auto", "access", "jsonl", "sshd"],
    year: int,
    out: str | None,
    overwrite: bool,
    as_json: bool,
    realtime: float | None,
    **settings: float | None,
) -> int:
    """Drive supervised sessions with a recorded log, on the log's own time.

    Every client of an access log becomes a session with a life of its own: it
    signs in, makes its requests under a rate limit, falls idle, is suspended,
    comes back, and is ended by the reaper. So does every connection of an sshd
    log, with its failed and accepted attempts to sign in. All of it is audited.
    The clock of the run is the log's: days pass in seconds.

    FILE is plain or gzip; - is standard input. Lines need not be in order of
    time, not even across several files. Lines that cannot be read are counted
    and skipped.
    """
    from sessionactors.cli.replay_job import ReplayJob, run_job  # noqa: PLC0415 - keeps --help quick

    job = ReplayJob(
        files=files,
        log_format=log_format,
        year=year,
        directory=None if out is None else Path(out),
        is_overwriting=overwrite,
        is_json=as_json,
        speed=realtime,
        settings=settings,
    )
    return run_job(job)
