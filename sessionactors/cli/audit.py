"""`sessionactors audit`: look after audit logs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sessionactors.cli.audit_command import (
    EXIT_CODES_TEXT,
    EXIT_USAGE,
    PROVING_CODES_TEXT,
    AuditCommand,
    AuditGroup,
    Failure,
    log_at,
    opened_key,
    put,
    read_head,
    reported,
)
from sessionactors.cli.audit_entries import export_command, query_command
from sessionactors.cli.audit_erase import erase_command
from sessionactors.cli.audit_proofs import consistency_command, prove_command, verify_proof_command
from sessionactors.cli.audit_report import report_command
from sessionactors.cli.audit_tail import tail_command
from sessionactors.cli.audit_upkeep import seal_command, witness_command
from sessionactors.cli.program import complain

if TYPE_CHECKING:
    from sessionactors.audit.checkpoint import Verifier

__all__ = ["audit"]

_PUBLIC_KEY_HELP = "The public key to trust. Without it, DIR/audit.pub: a forger of the log may have forged that too."


@click.group(cls=AuditGroup, short_help="Verify, prove, read and export audit logs.")
def audit() -> None:
    """Verify, prove, read and export audit logs.

    An audit log is a folder that `sessionactors replay --out` or a session
    system has left, or a copy of one. Every entry is a leaf of a Merkle tree,
    and the root of the tree is signed with each commit; so whoever has the public
    key can check that nothing was altered, with these commands or with other
    people's programs.

    No command but `seal`, `erase`, and `export` and `report` with --noted-by, changes the log, and a
    program may be writing to it meanwhile. DIR can also be the packed file of a sealed
    log where it is only read.
    """


@audit.command("verify", cls=AuditCommand, epilog=EXIT_CODES_TEXT, short_help="Check every entry of an audit log.")
@click.argument("directory", metavar="DIR")
@click.option("--public-key", metavar="FILE", help=_PUBLIC_KEY_HELP)
@click.option(
    "--known-head",
    metavar="FILE",
    help="A signed head that was kept elsewhere (see `head`). The log must contain it: this shows whether "
    "something was cut off.",
)
@click.option("--sealed", is_flag=True, help="Verify the logs that were sealed before as well, in DIR/archive.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object in place of text.")
def _verify(directory: str, public_key: str | None, known_head: str | None, *, sealed: bool, as_json: bool) -> int:
    """Check every entry, every hash and every signed head of the audit log in DIR.

    When something was altered, the first bad entry is named, counted from 0. The
    result says what it proves and what it does not. With --sealed, the worst of all
    results decides on the exit code.
    """
    from sessionactors.audit.keys import load_public_key  # noqa: PLC0415 - keeps --help quick
    from sessionactors.audit.verify import verify  # noqa: PLC0415 - only when called for

    with reported():
        verifier = None if public_key is None else load_public_key(Path(public_key))
        head = None if known_head is None else read_head(known_head)
    if sealed:
        return _verify_row(directory, verifier, head, as_json=as_json)
    verification = verify(directory, public_key=verifier, known_head=head)
    if as_json:
        click.echo(json.dumps(verification.to_dict()))
    elif verification.exit_code < EXIT_USAGE:
        click.echo(verification.describe())
    if verification.exit_code >= EXIT_USAGE:
        complain(f"{verification.title} in {directory}: {verification.findings[0]}")
    return verification.exit_code


def _verify_row(directory: str, public_key: Verifier | None, known_head: bytes | None, *, as_json: bool) -> int:
    from sessionactors.audit.verify_row import verify_row, worst_of  # noqa: PLC0415 - only when called for

    row = verify_row(directory, public_key=public_key, known_head=known_head)
    worst = worst_of(row)
    if as_json:
        logs = [{"log": each.name, **each.verification.to_dict()} for each in row]
        click.echo(json.dumps({"outcome": worst.outcome, "exit_code": worst.exit_code, "logs": logs}))
    for name, verification in row:
        if verification.exit_code >= EXIT_USAGE:
            complain(f"{verification.title} in {Path(directory) / name}: {verification.findings[0]}")
        elif not as_json:
            click.echo(f"{name}: {verification.describe()}")
    return worst.exit_code


@audit.command("head", cls=AuditCommand, epilog=PROVING_CODES_TEXT, short_help="Print the last signed head.")
@click.argument("directory", metavar="DIR")
@click.option("--public-key", metavar="FILE", help=_PUBLIC_KEY_HELP)
def _head(directory: str, public_key: str | None) -> None:
    """Print the last signed head of the audit log in DIR, after checking its signature.

    The head is a few lines of text (a C2SP checkpoint): the log's name, how many
    entries it has, the root hash over them, and the signature. Keep it on another
    machine: `verify --known-head` and `consistency` then show whether entries were cut
    off or rewritten since.
    """
    from sessionactors.audit.proofs import signed_head  # noqa: PLC0415 - only when called for
    from sessionactors.audit.queries import AuditReader  # noqa: PLC0415 - only when called for

    with reported(), log_at(directory) as place:
        verifier = opened_key(place, public_key)
        with AuditReader(place) as reader:
            _, note = signed_head(reader, verifier)
    put(note)


@audit.command("keygen", cls=AuditCommand, short_help="Make a key pair.")
@click.argument("path", metavar="PATH")
@click.option(
    "--origin",
    metavar="NAME",
    help="The name that logs with this key sign under, such as example.com/sessions. Made from the key if not given.",
)
@click.option("--ids", is_flag=True, help="Make a key for ids in place of one that signs; it has no public half.")
def _keygen(path: str, origin: str | None, *, ids: bool) -> None:
    """Make a key to sign audit logs with, in the new file PATH, and its public half in PATH.pub.

    PATH is for its owner only (mode 0600) and is never overwritten: who has it can
    sign anything. Give PATH.pub to everybody who is to verify. Both have the form that
    Go's note package uses.

    With --ids it is a key for the hash under which sessions appear in a log that does not
    tell their ids.

    \b
    Exit codes: 0 done, 3 bad usage, 4 a file exists or cannot be written.
    """  # noqa: D301 - \b is click's
    from sessionactors.audit.checkpoint import is_origin  # noqa: PLC0415 - only when called for
    from sessionactors.audit.keys import create_key, store_public_key  # noqa: PLC0415 - only when called for
    from sessionactors.audit.pseudonyms import create_ids_key  # noqa: PLC0415 - only when called for

    if ids:
        if origin is not None:
            raise Failure("--origin is for keys that sign.")
        with reported():
            click.echo(f"key for ids, number {create_ids_key(Path(path)).number}")
        return
    if origin is not None and not is_origin(origin):
        raise Failure("--origin must be 1 to 255 printable characters without white space and plus signs.")
    public = Path(f"{path}.pub")
    with reported():
        _refuse_existing(public)
        signer = create_key(Path(path), origin)
        store_public_key(public, signer.verifier)
    click.echo(str(signer.verifier))


def _refuse_existing(path: Path) -> None:
    from sessionactors.audit.errors import AuditKeyError  # noqa: PLC0415 - only when called for

    if path.exists():
        raise AuditKeyError("audit public key", "the file exists", "keys are never overwritten; choose another", path)


for _command in (
    prove_command,
    verify_proof_command,
    consistency_command,
    query_command,
    export_command,
    report_command,
    seal_command,
    erase_command,
    witness_command,
    tail_command,
):
    audit.add_command(_command)
