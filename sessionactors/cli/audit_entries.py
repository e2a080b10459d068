"""`sessionactors audit query | export`: read what is in a log."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO, TypeVar

import click

from sessionactors.cli.audit_command import (
    IDS_KEY_HELP,
    AuditCommand,
    Failure,
    ids_key_at,
    log_at,
    opened_key,
    reported,
)
from sessionactors.cli.program import complain

if TYPE_CHECKING:
    from sessionactors.audit.pseudonyms import Pseudonyms
    from sessionactors.audit.record import AuditRecord
    from sessionactors.audit.selection import Selection
    from sessionactors.audit.trail import AuditTrail

__all__ = ["entries_checked", "export_command", "note_export", "opened_output", "query_command"]

_Command = TypeVar("_Command", bound=Callable[..., Any])

# The names stand here again because importing them takes longer than printing the help.
_TYPES: Final = ("state_transition", "auth", "resource", "error", "security", "compliance", "lifecycle")
_SEVERITIES: Final = ("debug", "info", "warning", "error", "critical")
_FORMATS: Final = ("json", "jsonl", "csv", "syslog", "tiles")
_EPILOG: Final = """
\b
Exit codes: 0 done, 1 the log is damaged, 3 bad usage or no audit log in DIR, 4 the key
does not fit or another writer has the log, 130 after Ctrl-C.
"""


def _selecting(command: _Command) -> _Command:
    """Add the options that say which entries are wanted."""
    options = (
        click.option("--session", metavar="ID", help="Only entries of this session."),
        click.option("--type", "event_type", type=click.Choice(_TYPES), help="Only entries of this type."),
        click.option(
            "--severity", type=click.Choice(_SEVERITIES), help="Only entries of this severity or a higher one."
        ),
        click.option(
            "--since", metavar="TIME", help="Only entries from then on: 2026-03-01T12:30:00Z, or seconds since 1970."
        ),
        click.option("--until", metavar="TIME", help="Only entries before then."),
        click.option("--actor", metavar="NAME", help="Only what this actor did, such as reaper or admin:alice."),
        click.option("--text", metavar="TEXT", help="Only entries with this text in their data, such as auth_failed."),
        click.option("--ids-key", metavar="FILE", help=IDS_KEY_HELP),
        click.option("--no-personal", is_flag=True, help="Show commitments in the place of personal data."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def _selection(**given: Any) -> Selection:
    from sessionactors.audit.selection import Selection, parse_time  # noqa: PLC0415 - keeps --help quick

    for name in ("since", "until"):
        if given[name] is not None:
            given[name] = parse_time(f"--{name}", given[name])
    return Selection(**given)


@click.command("query", cls=AuditCommand, epilog=_EPILOG, short_help="Show entries of the log.")
@click.argument("directory", metavar="DIR")
@_selecting
@click.option("--limit", metavar="N", type=click.IntRange(min=1), help="Stop after N entries, and say so if it cut.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each entry, on a line of its own.")
@click.option("--sealed", is_flag=True, help="Begin with the logs that were sealed before, in DIR/archive.")
def query_command(
    directory: str,
    limit: int | None,
    ids_key: str | None,
    *,
    as_json: bool,
    no_personal: bool,
    sealed: bool,
    **wanted: Any,
) -> None:
    """Show the entries of the audit log in DIR, oldest first; all of them, or those that the options want.

    Nothing is verified: `verify` does that. Without --limit nothing is left out; where
    earlier logs were sealed, and --sealed is not given, that is said.
    """
    from sessionactors.audit.exports import json_of, line_of, row_of  # noqa: PLC0415 - only when called for

    with reported():
        selection = _selection(**wanted)
        key = ids_key_at(ids_key)
        with _trail(directory, selection, key, limit, sealed=sealed, is_personal=not no_personal) as trail:
            with entries_checked():
                for record in trail:
                    # Not click.echo(), which flushes each line: that took longer than all the rest.
                    sys.stdout.write(f"{json_of(row_of(record)) if as_json else line_of(record)}\n")
            if trail.is_cut:
                complain(f"cut off by --limit after {limit} entries; there are more")
            if trail.sealed:
                complain(f"earlier entries are in {trail.sealed} sealed logs, which --sealed looks into")


def _trail(
    directory: str, selection: Selection, key: Pseudonyms | None, limit: int | None, *, sealed: bool, is_personal: bool
) -> AuditTrail:
    """Return the entries that are wanted of a log, or of the packed file of a sealed one."""
    from sessionactors.audit.archives import is_archive  # noqa: PLC0415 - keeps --help quick
    from sessionactors.audit.trail import AuditTrail, opened_log, trail_of  # noqa: PLC0415 - likewise

    path = Path(directory)
    if not is_archive(path):
        return trail_of(path, selection, pseudonyms=key, limit=limit, with_sealed=sealed, is_personal=is_personal)

    def entries() -> Iterator[AuditRecord]:
        with opened_log(path, key, is_personal=is_personal) as log:
            yield from selection.among(log)

    return AuditTrail(entries(), limit=limit)


@click.command("export", cls=AuditCommand, epilog=_EPILOG, short_help="Write entries for other programs.")
@click.argument("directory", metavar="DIR")
@_selecting
@click.option("--format", "export_format", type=click.Choice(_FORMATS), required=True, help="The format to write.")
@click.option("--out", metavar="FILE", help="A new file to write to; the standard output if not given.")
@click.option("--public-key", metavar="FILE", help="The log's public key; DIR/audit.pub if not given.")
@click.option(
    "--noted-by",
    metavar="NAME",
    help="Log this export first, as done by NAME (admin:alice): that needs the private key, and no other program "
    "may be writing to the log.",
)
@click.option("--key", metavar="FILE", help="The private key for --noted-by; DIR/audit.key if not given.")
def export_command(
    directory: str,
    *,
    export_format: str,
    out: str | None,
    public_key: str | None,
    noted_by: str | None,
    key: str | None,
    ids_key: str | None,
    no_personal: bool,
    **wanted: Any,
) -> None:
    """Write the entries of the audit log in DIR in a format that other programs read.

    \b
    json    one object with the signed head, the entries and their number
    jsonl   one JSON object for each entry, on a line of its own
    csv     with a header; cells that a spreadsheet would run begin with an apostrophe
    syslog  RFC 5424, facility 13 (audit), one line for each entry
    tiles   the whole log as a directory of static files (C2SP tlog-tiles)

    All entries are written up to the last signed head, or those that the options want;
    --out appears only once it is complete. Of the log only that head is verified here: run
    `verify` first. Whether the export was itself logged is said on the standard error.
    """  # noqa: D301 - \b is click's
    from sessionactors.audit.exports import export  # noqa: PLC0415 - only when called for
    from sessionactors.audit.files import LogPaths  # noqa: PLC0415 - only when called for
    from sessionactors.audit.proofs import signed_head  # noqa: PLC0415 - only when called for
    from sessionactors.audit.queries import AuditReader  # noqa: PLC0415 - only when called for
    from sessionactors.audit.tiles import write_tiles  # noqa: PLC0415 - only when called for

    if key is not None and noted_by is None:
        raise Failure("--key is for --noted-by, which is not given.")
    if noted_by is not None and not noted_by.strip():
        raise Failure("--noted-by needs a name, such as admin:alice.")
    is_tiled = export_format == "tiles"
    if is_tiled and (out is None or any(value is not None for value in wanted.values())):
        raise Failure("--format tiles is for a whole log and a new directory: give --out, and no options that select.")
    with reported():
        selection = _selection(**wanted)
        home = LogPaths(Path(directory)).home
        ids = ids_key_at(ids_key)
        with (
            log_at(directory) as place,
            AuditReader(place, pseudonyms=ids, home=home, is_personal=not no_personal) as reader,
        ):
            verifier = opened_key(place, public_key)
            head, note = signed_head(reader, verifier)
            about = {"selection": selection.to_dict()}
            with opened_output(None if is_tiled else out) as file, entries_checked():
                noted_at = None
                if is_tiled and Path(str(out)).exists():
                    raise Failure(f"The directory {out} exists; name a new one.")
                if noted_by is not None:
                    noted_at = note_export(
                        directory,
                        key,
                        ids_key,
                        noted_by,
                        {"action": "export", "format": export_format, "size": head.size, **about},
                    )
                if is_tiled:
                    write_tiles(reader, head, note, Path(str(out)))
                log = {"origin": verifier.name, "size": head.size, "root": head.root.hex(), "head": note.decode()}
                log |= about
                for piece in () if is_tiled else export(selection.among(reader, head.size), export_format, log):  # type: ignore[arg-type]  # click has checked it
                    file.write(piece)
    complain(
        "this export was not logged; --noted-by logs it"
        if noted_at is None
        else f"this export was logged as entry {noted_at}"
    )


def note_export(directory: str, key: str | None, ids_key: str | None, actor: str, details: dict[str, object]) -> int:
    """Log that an export is made, before it is made, so that none goes unlogged; return the entry's position."""
    from sessionactors.audit.log import AuditLog  # noqa: PLC0415 - only when called for
    from sessionactors.audit.record import AuditEvent, kind_of  # noqa: PLC0415 - only when called for
    from supervisors.clock import SystemClock  # noqa: PLC0415 - only when called for

    clock = SystemClock()
    with AuditLog(directory, key_file=key, ids_key_file=ids_key) as log:
        event = AuditEvent(clock.time(), clock.monotonic(), None, kind_of("compliance"), actor, details)
        positions = log.append_many([event])
        log.commit()
    return positions.start


@contextmanager
def entries_checked() -> Iterator[None]:
    """Say that the log is damaged where an entry cannot be decoded; all other input was checked before."""
    from sessionactors.audit.errors import AuditDamagedError  # noqa: PLC0415 - only when called for
    from supervisors.errors import InvalidArgumentError  # noqa: PLC0415 - only when called for

    try:
        yield
    except InvalidArgumentError as exc:
        raise AuditDamagedError("audit log", "an entry cannot be decoded", "verify the log") from exc


@contextmanager
def opened_output(out: str | None) -> Iterator[TextIO]:
    """Open where to write; a file gets its name when it is complete, and never replaces another."""
    if out is None:
        yield sys.stdout
        return
    path, draft = Path(out), Path(f"{out}.part")
    if path.exists():
        raise Failure(f"The file {out} exists; name a new one.")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise Failure(f"The file {draft} cannot be made: {(exc.strerror or str(exc)).lower()}.") from exc
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except OSError as exc:
        raise Failure(f"The file {out} cannot be written: {(exc.strerror or str(exc)).lower()}.") from exc
    finally:
        draft.unlink(missing_ok=True)
