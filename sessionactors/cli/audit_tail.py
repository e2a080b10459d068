"""`sessionactors audit tail`: the last entries of the audit log of a daemon that runs."""

from __future__ import annotations

from itertools import chain
from typing import Any

import click

from sessionactors.cli.audit_command import AuditCommand, Failure
from sessionactors.cli.looking import connected, inspecting, put_json
from sessionactors.cli.program import InputError

__all__ = ["tail_command"]


@click.command("tail", cls=AuditCommand, short_help="Show the last entries of a daemon's log, and follow it.")
@inspecting
@click.option("--count", "-n", type=click.IntRange(1, 1_000), default=20, show_default=True, help="Entries.")
@click.option("--follow", "-f", is_flag=True, help="Go on with what comes, until Ctrl-C.")
def tail_command(socket: str, *, as_json: bool, count: int, follow: bool) -> None:
    """Show the last entries that a running daemon has committed to its audit log; nothing is verified.

    `audit query` reads a log whose folder is at hand; this one asks the daemon.
    """
    try:
        with connected(socket) as client:
            for entry in chain.from_iterable(client.stream("audit", count=count, follow=follow)):
                put_json(entry) if as_json else click.echo(_line(entry))
    except InputError as error:
        raise Failure(error.message) from error  # 2 means something else in this group


def _line(entry: dict[str, Any]) -> str:
    session = "" if entry["session"] is None else f"  session={ascii(entry['session'])[1:-1]}"
    facts = ascii(entry["data"])
    return (
        f"{entry['sequence']:>8}  {entry['time']}  {entry['type']}/{entry['severity']}{session}  "
        f"actor={ascii(entry['actor'])[1:-1]}  {facts}"
    )
