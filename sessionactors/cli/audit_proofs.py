"""`sessionactors audit prove | verify-proof | consistency`: proofs that stand for themselves."""

from __future__ import annotations

from pathlib import Path

import click

from sessionactors.cli.audit_command import (
    PROVING_CODES_TEXT,
    AuditCommand,
    Failure,
    formed,
    log_at,
    opened_key,
    put,
    read_file,
    read_head,
    reported,
)

__all__ = ["consistency_command", "prove_command", "verify_proof_command"]


@click.command("prove", cls=AuditCommand, epilog=PROVING_CODES_TEXT, short_help="Prove that an entry is in the log.")
@click.argument("directory", metavar="DIR")
@click.argument("index", metavar="INDEX", type=click.IntRange(min=0))
@click.option("--public-key", metavar="FILE", help="The log's public key; DIR/audit.pub if not given.")
def prove_command(directory: str, index: int, public_key: str | None) -> None:
    """Print the proof that entry INDEX (from 0) is in the audit log in DIR.

    The proof is text (a C2SP tlog-proof) with the entry itself, the hashes that lead
    from it to the root of the tree, and the signed head. Whoever has it and the public
    key can check it without the log: see `verify-proof`.

    \b
    Example:
      sessionactors audit prove run-output 42 > 42.tlog-proof
    """  # noqa: D301 - \b is click's
    from sessionactors.audit.proofs import prove_inclusion  # noqa: PLC0415 - keeps --help quick
    from sessionactors.audit.queries import AuditReader  # noqa: PLC0415 - only when called for

    with reported(), log_at(directory) as place:
        verifier = opened_key(place, public_key)
        with AuditReader(place) as reader:
            if index >= reader.size:
                raise Failure(f"The log has {reader.size} entries, so there is no entry {index}.")
            proof = prove_inclusion(reader, verifier, index)
    put(proof.to_bytes())


@click.command(
    "consistency", cls=AuditCommand, epilog=PROVING_CODES_TEXT, short_help="Prove that the log only grew since a head."
)
@click.argument("directory", metavar="DIR")
@click.argument("old_head", metavar="OLD_HEAD_FILE")
@click.option("--public-key", metavar="FILE", help="The log's public key; DIR/audit.pub if not given.")
def consistency_command(directory: str, old_head: str, public_key: str | None) -> None:
    """Check that the audit log in DIR continues the one that an older head describes; print the proof.

    OLD_HEAD_FILE is what `head` printed then. The proof is text in the form in which a
    C2SP witness is sent a new head; `verify-proof --old-head` checks it without the log.

    This compares the hashes of the entries. That the entries are still what was hashed is
    shown by `verify`, which takes the older head as --known-head.

    \b
    Example:
      sessionactors audit head run-output > monday.head
      sessionactors audit consistency run-output monday.head > since-monday.proof
    """  # noqa: D301 - \b is click's
    from sessionactors.audit.proofs import open_head, prove_consistency  # noqa: PLC0415 - only when called for
    from sessionactors.audit.queries import AuditReader  # noqa: PLC0415 - only when called for

    note = read_head(old_head)
    with reported(), log_at(directory) as place:
        verifier = opened_key(place, public_key)
        old = open_head(note, verifier)
        with AuditReader(place) as reader:
            proof = prove_consistency(reader, verifier, old)
    put(proof.to_bytes())


@click.command(
    "verify-proof",
    cls=AuditCommand,
    short_help="Check a proof without the log.",
    epilog="""
\b
Exit codes: 0 the proof holds, 1 it does not, 3 bad usage or no proof, 4 the key does not fit,
130 after Ctrl-C.
""",
)
@click.argument("file", metavar="FILE")
@click.option("--public-key", metavar="FILE", required=True, help="The public key to trust.")
@click.option("--old-head", metavar="FILE", help="The older head, which a consistency proof is about.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object in place of text.")
def verify_proof_command(file: str, public_key: str, old_head: str | None, *, as_json: bool) -> None:
    """Check the proof in FILE, which `prove` or `consistency` made; the log is not needed.

    The entry that a proof shows is printed. What is proved is that the holder of the
    key has signed a log with this entry in this place, and not that the entry is true.
    """
    from sessionactors.audit.exports import json_of, line_of, row_of  # noqa: PLC0415 - only when called for
    from sessionactors.audit.keys import load_public_key  # noqa: PLC0415 - only when called for
    from sessionactors.audit.proofs import (  # noqa: PLC0415 - only when called for
        PROOF_SIZE_MAX,
        ConsistencyProof,
        open_head,
        parse_proof,
    )
    from sessionactors.audit.record import decode  # noqa: PLC0415 - only when called for

    raw = read_file(file, "proof", PROOF_SIZE_MAX)
    note = None if old_head is None else read_head(old_head)
    with reported():
        verifier = load_public_key(Path(public_key))
        with formed(file, "proof"):
            proof = parse_proof(raw)
        if isinstance(proof, ConsistencyProof):
            if note is None:
                raise Failure("A consistency proof is about an older head: give it with --old-head.")
            old = open_head(note, verifier)
            head = proof.check(verifier, old)
            found: dict[str, object] = {"kind": "consistency", "old_size": old.size, "old_root": old.root.hex()}
            text = f"the log of {head.size} entries continues the one of {old.size}"
        else:
            if note is not None:
                raise Failure("--old-head is for consistency proofs, and this is an inclusion proof.")
            head = proof.check(verifier)
            with formed(file, "proof of an entry that this program can show"):
                record = decode(proof.leaf)
            found = {"kind": "inclusion", "index": proof.index, "event": row_of(record)}
            text = f"entry {proof.index} of {head.size} is\n{line_of(record)}"
    if as_json:
        click.echo(json_of({**found, "size": head.size, "root": head.root.hex(), "origin": head.origin}))
    else:
        click.echo(f"valid: {text}\nsigned by {verifier}")
