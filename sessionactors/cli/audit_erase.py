"""`sessionactors audit erase`: erase the personal data of one person."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from sessionactors.cli.audit_command import IDS_KEY_HELP, AuditCommand, Failure, reported
from sessionactors.cli.program import complain

__all__ = ["erase_command"]

_EPILOG: Final = """
\b
Exit codes: 0 nothing is kept of SUBJECT any more, 1 the log is damaged, 3 bad usage, no audit
log in DIR, or nothing was ever kept of SUBJECT, 4 the key does not fit or somebody else
has the log open, 130 after Ctrl-C.
"""


@click.command("erase", cls=AuditCommand, epilog=_EPILOG, short_help="Erase the personal data of one person.")
@click.argument("directory", metavar="DIR")
@click.argument("subject", metavar="SUBJECT")
@click.option("--noted-by", metavar="NAME", default="operator", show_default=True, help="Who it is, for the log.")
@click.option("--reason", metavar="TEXT", default="asked", show_default=True, help="Why; without personal data.")
@click.option("--key", metavar="FILE", help="The log's private key; DIR/audit.key if not given.")
@click.option("--ids-key", metavar="FILE", help=IDS_KEY_HELP)
def erase_command(
    directory: str, subject: str, *, noted_by: str, reason: str, key: str | None, ids_key: str | None
) -> None:
    """Erase what is kept of SUBJECT, a user id or a session, by the audit log in DIR and those sealed before it.

    Personal data stand beside the log, and the log has commitments to them. What opens
    the commitments of SUBJECT is deleted; the entries stay, the tree still verifies, and an
    entry says that data were erased, by whom and why, but not whose. To erase again is
    no error. Copies of DIR that were made before are not reached.

    No other program may have the log open; a program that writes it erases with
    `SessionSystem.erase_subject()`.
    """
    from sessionactors.audit.errors import AuditReadError  # noqa: PLC0415 - keeps --help quick
    from sessionactors.audit.files import LogPaths  # noqa: PLC0415 - only when called for
    from sessionactors.audit.log import AuditLog  # noqa: PLC0415 - only when called for
    from supervisors.clock import SystemClock  # noqa: PLC0415 - only when called for

    for name, text in (("SUBJECT", subject), ("--noted-by", noted_by), ("--reason", reason)):
        if not text.strip():
            raise Failure(f"{name} must not be empty.")
    path = Path(directory)
    clock = SystemClock()
    with reported():
        if not LogPaths(path).database.is_file():
            raise AuditReadError("audit log", "there is none here", "name a directory with audit.db in it", path)
        with AuditLog(path, key_file=key, ids_key_file=ids_key) as log:
            done = log.erase(subject, clock.time(), clock.monotonic(), actor=noted_by, reason=reason)
            before = [] if done is not None else log.reader().erasures_of(subject)
            at = log.size - 1
    if done is not None:
        click.echo(f"erased {done.commitments} values; entry {at} says so")
    elif before:
        complain(f"nothing is kept of this subject any more; erased before, see entry {before[-1].sequence}")
    else:
        raise Failure("Nothing was ever kept of this subject: no user id and no session has that name.")
