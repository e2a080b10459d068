"""`sessionactors audit`: look after audit logs."""

from __future__ import annotations

import json
from typing import Any, Final, final

import click

__all__ = ["audit"]

_EPILOG: Final = """
\b
Exit codes: 0 everything is as it was signed, 1 something was altered, 2 a writer was
interrupted but all that was committed is there, 3 bad usage or no audit log in DIR,
4 the key does not fit, 130 after Ctrl-C.
"""


@final
class _UsageError(click.ClickException):
    """The command was called in a wrong way."""

    exit_code = 3


@final
class _AuditCommand(click.Command):
    """A command whose exit code 2 means something else than bad usage."""

    def make_context(self, *args: Any, **more: Any) -> click.Context:
        try:
            return super().make_context(*args, **more)
        except click.UsageError as exc:
            raise _UsageError(exc.format_message()) from exc


@click.group(short_help="Verify audit logs.")
def audit() -> None:
    """Verify audit logs."""


@audit.command("verify", cls=_AuditCommand, epilog=_EPILOG, short_help="Check every entry of an audit log.")
@click.argument("directory", metavar="DIR")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object in place of text.")
def _verify(directory: str, *, as_json: bool) -> int:
    """Check every entry, every hash and every signed head of the audit log in DIR.

    DIR is a folder that `sessionactors replay --out` or a session system has
    left, or a copy of one; a program may be writing to it meanwhile. When
    something was altered, the first bad entry is named, counted from 0.
    """
    from sessionactors.audit.verify import verify  # noqa: PLC0415 - keeps --help quick

    verification = verify(directory)
    if as_json:
        click.echo(json.dumps(verification.to_dict()))
    else:
        click.echo(verification.describe())
    return verification.exit_code
