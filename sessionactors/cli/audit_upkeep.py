"""`sessionactors audit seal | witness`: end a log, and watch over one."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from sessionactors.cli.audit_command import IDS_KEY_HELP, AuditCommand, Failure, put, reported
from sessionactors.cli.program import complain

__all__ = ["seal_command", "witness_command"]

_EPILOG: Final = """
\b
Exit codes: 0 done, 1 the log is damaged, 3 bad usage or no audit log in DIR, 4 the key
does not fit or somebody else has the log open, 130 after Ctrl-C.
"""
_WITNESS_EPILOG: Final = """
\b
Exit codes: 0 the log continues what was kept, 1 it does not (entries were cut off or
rewritten), 3 bad usage or no audit log in DIR, 4 the key is not the one that was kept,
130 after Ctrl-C.
"""


@click.command("seal", cls=AuditCommand, epilog=_EPILOG, short_help="End a log, archive it, begin the next.")
@click.argument("directory", metavar="DIR")
@click.option("--key", metavar="FILE", help="The log's private key; DIR/audit.key if not given.")
@click.option("--new-key", metavar="FILE", help="The private key to go on with (see `keygen`).")
@click.option("--ids-key", metavar="FILE", help=IDS_KEY_HELP)
@click.option("--noted-by", metavar="NAME", default="operator", show_default=True, help="Who it is, for the log.")
def seal_command(directory: str, key: str | None, new_key: str | None, ids_key: str | None, noted_by: str) -> None:
    """End the audit log in DIR and go on with a new one in its place.

    The old log is packed into DIR/archive, where `verify` verifies it on its own; nothing
    is deleted. Entry 0 of the new one is the last head of the old one, and the keys of
    both sign the hand-over, so `verify` with the public key of the first log
    still verifies the last. No other program may have the log open.

    With --new-key the new log is signed by another key. If the old key lies in DIR, it
    is replaced by the new one and erased.
    """
    from sessionactors.audit.archives import pack, to_be_packed  # noqa: PLC0415 - keeps --help quick
    from sessionactors.audit.errors import AuditReadError  # noqa: PLC0415 - only when called for
    from sessionactors.audit.files import LogPaths  # noqa: PLC0415 - only when called for
    from sessionactors.audit.log import AuditLog  # noqa: PLC0415 - only when called for
    from supervisors.clock import SystemClock  # noqa: PLC0415 - only when called for

    if not noted_by.strip():
        raise Failure("--noted-by needs a name, such as admin:alice.")
    path = Path(directory)
    clock = SystemClock()
    with reported():
        if not LogPaths(path).database.is_file():
            raise AuditReadError("audit log", "there is none here", "name a directory with audit.db in it", path)
        with AuditLog(path, key_file=key, ids_key_file=ids_key) as log:
            sealed = log.seal(clock.time(), clock.monotonic(), actor=noted_by, new_key_file=new_key)
        for each in to_be_packed(path):
            for _ in pack(each):
                pass
    if sealed is None:
        complain("there is nothing to seal yet")
        return
    click.echo(f"sealed with {sealed.head.size} entries: {sealed.directory}.tar.gz")
    click.echo(f"goes on as {sealed.origin}")


@click.command("witness", cls=AuditCommand, epilog=_WITNESS_EPILOG, short_help="Keep heads elsewhere and cosign them.")
@click.argument("directory", metavar="DIR")
@click.argument("folder", metavar="FOLDER")
@click.option("--public-key", metavar="FILE", help="The log's public key, the first time; else the one found then.")
@click.option("--name", metavar="NAME", help="What the witness signs as, the first time, such as example.com/witness.")
def witness_command(directory: str, folder: str, public_key: str | None, name: str | None) -> None:
    """Check that the audit log in DIR continues what FOLDER has kept of it; cosign its head and print it.

    FOLDER belongs on another machine than the log, or at least to another user. Run this
    now and then (cron). When entries were cut off or rewritten since, even by
    somebody who has the log's key, it refuses to sign and says so. The heads that it prints
    (C2SP tlog-cosignature) can be given to `verify --known-head`.

    This compares the hashes of the entries; that the entries are what was hashed is shown
    by `verify`.
    """
    from sessionactors.audit.checkpoint import is_origin  # noqa: PLC0415 - keeps --help quick
    from sessionactors.audit.keys import load_public_key  # noqa: PLC0415 - only when called for
    from sessionactors.audit.witness import witness  # noqa: PLC0415 - only when called for
    from supervisors.clock import SystemClock  # noqa: PLC0415 - only when called for

    if name is not None and not is_origin(name):
        raise Failure("--name must be 1 to 255 printable characters without white space and plus signs.")
    with reported():
        verifier = None if public_key is None else load_public_key(Path(public_key))
        found = witness(directory, folder, SystemClock().time(), public_key=verifier, name=name)
    put(found.note)
    if found.before is None:
        complain("this is the first head of this log that was kept; it was compared with nothing")
