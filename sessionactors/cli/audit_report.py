"""`sessionactors audit report`: answers for auditors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from sessionactors.cli.audit_command import (
    EXIT_TAMPERED,
    EXIT_USAGE,
    IDS_KEY_HELP,
    AuditCommand,
    Failure,
    ids_key_at,
    log_at,
    opened_key,
    reported,
)
from sessionactors.cli.audit_entries import entries_checked, note_export, opened_output
from sessionactors.cli.program import complain

if TYPE_CHECKING:
    from sessionactors.audit.contract import AuditHead
    from sessionactors.audit.queries import AuditReader
    from sessionactors.audit.reports import Report
    from sessionactors.audit.verdict import Verification

__all__ = ["report_command"]

# The names stand here again because importing them takes longer than printing the help.
_KINDS: Final = ("session", "soc2", "pci-dss", "hipaa", "gdpr")
_EPILOG: Final = """
\b
Exit codes: 0 done and the log verifies, 1 the report is there but the log does not
verify, or is damaged, 3 bad usage or no audit log in DIR, 4 the key does not fit or another
writer has the log, 130 after Ctrl-C.
"""


@click.command("report", cls=AuditCommand, epilog=_EPILOG, short_help="Report for auditors.")
@click.argument("directory", metavar="DIR")
@click.argument("kind", metavar="|".join(_KINDS), type=click.Choice(_KINDS))
@click.option("--session", metavar="ID", help="Which session; for `session`.")
@click.option("--subject", metavar="NAME", help="Which person: a user id, a session, or an actor; for `gdpr`.")
@click.option("--since", metavar="TIME", help="The beginning of the period; that of the framework if not given.")
@click.option("--until", metavar="TIME", help="The end of the period; now if not given.")
@click.option("--retention-days", type=click.IntRange(min=1), help="What the system is set to; the log does not say.")
@click.option("--format", "report_format", type=click.Choice(("json", "csv")), default="json", show_default=True)
@click.option("--out", metavar="FILE", help="A new file to write to; the standard output if not given.")
@click.option("--public-key", metavar="FILE", help="The public key to trust; DIR/audit.pub if not given.")
@click.option("--noted-by", metavar="NAME", help="Log this report first, as done by NAME; needs the private key.")
@click.option("--key", metavar="FILE", help="The private key for --noted-by; DIR/audit.key if not given.")
@click.option("--ids-key", metavar="FILE", help=IDS_KEY_HELP)
def report_command(directory: str, kind: str, **given: Any) -> int:
    """Report on the audit log in DIR; everything is computed from its entries, after verifying it.

    \b
    session  all of one session: its entries, and counts (--session)
    soc2     7 days: access, denials, changes, violations
    pci-dss  1 day: the trail itself, logins, failures, use of privileges
    hipaa    7 days: access, emergency access, integrity
    gdpr     all there is about one person (--subject)

    Every report has the signed head, counts by type and severity, and the result of the
    verification. A status follows from a rule that stands beside it; it is a count, not
    an auditor's opinion. What no entry tells is called "not recorded".
    """  # noqa: D301 - \b is click's
    if given["key"] is not None and given["noted_by"] is None:
        raise Failure("--key is for --noted-by, which is not given.")
    if given["noted_by"] is not None and not given["noted_by"].strip():
        raise Failure("--noted-by needs a name, such as admin:alice.")
    for name, wanted in (("session", kind == "session"), ("subject", kind == "gdpr")):
        if (given[name] is None) is wanted:
            raise Failure(f"--{name} is {'missing' if wanted else 'for another report'}.")
    with reported():
        is_sound = _write(directory, kind, **given)
    return 0 if is_sound else 1


def _write(
    directory: str,
    kind: str,
    *,
    report_format: Any,
    out: str | None,
    public_key: str | None,
    noted_by: str | None,
    key: str | None,
    ids_key: str | None,
    **options: Any,
) -> bool:
    """Write a report; return whether the log verifies."""
    from sessionactors.audit.files import LogPaths  # noqa: PLC0415 - only when called for
    from sessionactors.audit.keys import load_public_key  # noqa: PLC0415 - keeps --help quick
    from sessionactors.audit.queries import AuditReader  # noqa: PLC0415 - only when called for
    from sessionactors.audit.selection import parse_time  # noqa: PLC0415 - only when called for
    from sessionactors.audit.verify import verify  # noqa: PLC0415 - only when called for
    from supervisors.clock import SystemClock  # noqa: PLC0415 - only when called for

    wanted = {name: value for name, value in options.items() if value is not None}
    for name in ("since", "until"):
        if options[name] is not None:
            options[name] = parse_time(f"--{name}", options[name])
    now = SystemClock().time()
    if options["since"] is not None and options["since"] > (now if options["until"] is None else options["until"]):
        raise Failure("--since must be before --until, and before now if that is not given.")
    with log_at(directory) as place:
        opened_key(place, public_key)
        home = LogPaths(Path(directory)).home
        trusted = None if public_key is None else load_public_key(Path(public_key))
        verification = verify(place, public_key=trusted, home=home)
        if verification.exit_code >= EXIT_USAGE:
            raise Failure(f"{verification.title}: {verification.findings[0]}", verification.exit_code)
        ids = ids_key_at(ids_key)
        with AuditReader(place, pseudonyms=ids, home=home) as reader, opened_output(out) as file, entries_checked():
            head = reader.head()  # what is logged from here on, this report among it, is not in it
            noted_at = None
            if noted_by is not None:
                noted_at = note_export(
                    directory, key, ids_key, noted_by, {"action": "report", "report": kind, **wanted}
                )
            for piece in _computed(reader, head, kind, verification, now=now, options=options).write(report_format):
                file.write(piece)
    complain(
        "this report was not logged; --noted-by logs it"
        if noted_at is None
        else f"this report was logged as entry {noted_at}"
    )
    if verification.exit_code == EXIT_TAMPERED:
        complain(f"the log does not verify: {verification.findings[0]}")
    return verification.exit_code != EXIT_TAMPERED


def _computed(
    reader: AuditReader, head: AuditHead, kind: str, verification: Verification, *, now: float, options: dict[str, Any]
) -> Report:
    from sessionactors.audit.reports import report  # noqa: PLC0415 - keeps --help quick

    return report(
        kind,  # type: ignore[arg-type]  # click has checked it
        reader,
        head,
        verification,
        now,
        subject=options["session"] if kind == "session" else options["subject"],
        since=options["since"],
        until=options["until"],
        retention_days=options["retention_days"],
    )
