"""What the commands of `sessionactors audit` share: exit codes, and how errors become sentences.

These commands answer questions about evidence, so their exit codes say more
than those of the others, and bad usage has another one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, final

import click

if TYPE_CHECKING:
    from sessionactors.audit.checkpoint import Verifier
    from sessionactors.audit.pseudonyms import Pseudonyms

__all__ = [
    "EXIT_CODES_TEXT",
    "EXIT_TAMPERED",
    "EXIT_USAGE",
    "IDS_KEY_HELP",
    "PROVING_CODES_TEXT",
    "AuditCommand",
    "AuditGroup",
    "Failure",
    "formed",
    "ids_key_at",
    "log_at",
    "opened_key",
    "put",
    "read_file",
    "read_head",
    "reported",
]

IDS_KEY_HELP: Final = "The key for ids, where sessions appear under a keyed hash; DIR/ids.key if not given."

EXIT_TAMPERED: Final = 1
EXIT_USAGE: Final = 3
EXIT_KEY: Final = 4

EXIT_CODES_TEXT: Final = """
\b
Exit codes: 0 everything is as it was signed, 1 something was altered, 2 a writer was
interrupted but all that was committed is there, 3 bad usage or no audit log in DIR,
4 the key does not fit, 130 after Ctrl-C.
"""

PROVING_CODES_TEXT: Final = """
\b
Exit codes: 0 done, 1 what is stored is not what was signed, 3 bad usage or no audit log in
DIR, 4 the key does not fit, 130 after Ctrl-C.
"""


@final
class Failure(click.ClickException):
    """A command cannot do what it was asked; the message is one sentence."""

    def __init__(self, message: str, exit_code: int = EXIT_USAGE) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]  # click reads it from the instance


@final
class AuditCommand(click.Command):
    """A command whose exit code 2 means something else than bad usage."""

    def make_context(self, *args: Any, **more: Any) -> click.Context:
        try:
            return super().make_context(*args, **more)
        except click.UsageError as exc:
            raise Failure(exc.format_message()) from exc


@final
class AuditGroup(click.Group):
    """The group of those commands."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as exc:
            raise Failure(f"{exc.format_message()} See: sessionactors audit --help") from exc

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args:
            raise Failure("A command is missing. See: sessionactors audit --help")
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as exc:
            raise Failure(exc.format_message()) from exc


@contextmanager
def reported() -> Iterator[None]:
    """Turn every error of a log into a sentence and an exit code.

    Raises:
        Failure: 1 if something contradicts what was signed, 4 if a key does not
            fit or a rule forbids it, else 3.
    """
    from sessionactors.audit.errors import (  # noqa: PLC0415 - keeps --help quick
        AuditDamagedError,
        AuditError,
        AuditKeyError,
        AuditLockedError,
    )
    from supervisors.errors import SupervisorsError  # noqa: PLC0415 - only when called for

    try:
        yield
    except AuditError as exc:
        where = f" ({exc.path})" if exc.path is not None else ""
        code = EXIT_USAGE
        if isinstance(exc, AuditDamagedError):
            code = EXIT_TAMPERED
        elif isinstance(exc, AuditKeyError | AuditLockedError):
            code = EXIT_KEY
        raise Failure(f"{exc}{where}", code) from exc
    except SupervisorsError as exc:
        raise Failure(str(exc)) from exc


@contextmanager
def log_at(name: str) -> Iterator[str]:
    """Return the directory of a log to read; the packed file of a sealed one is unpacked for the time of the block.

    Raises:
        AuditError: it cannot be unpacked.
    """
    from sessionactors.audit.archives import is_archive, unpacked  # noqa: PLC0415 - only when called for

    if is_archive(Path(name)):
        with unpacked(Path(name)) as directory:
            yield str(directory)
    else:
        yield name


def ids_key_at(name: str | None) -> Pseudonyms | None:
    """Return the key for ids in a file that somebody named, if one was.

    Raises:
        AuditKeyError: the file holds none, or others can read it.
    """
    from sessionactors.audit.pseudonyms import load_ids_key  # noqa: PLC0415 - only when called for

    return None if name is None else load_ids_key(Path(name))


def opened_key(directory: str, public_key: str | None) -> Verifier:
    """Return the public key in a file, or that of a log's own directory.

    Raises:
        AuditKeyError: there is none.
        AuditReadError: there is no such directory.
    """
    from sessionactors.audit.errors import AuditReadError  # noqa: PLC0415 - only when called for
    from sessionactors.audit.files import LogPaths  # noqa: PLC0415 - only when called for
    from sessionactors.audit.keys import load_public_key  # noqa: PLC0415 - only when called for

    paths = LogPaths(Path(directory))
    if not paths.database.is_file():
        raise AuditReadError("audit log", "there is none here", "name a directory with audit.db in it", paths.directory)
    return load_public_key(paths.public_key if public_key is None else Path(public_key))


@contextmanager
def formed(name: str, role: str) -> Iterator[None]:
    """Say that a file is not what it should be.

    Raises:
        Failure: what it holds was refused.
    """
    from supervisors.errors import InvalidArgumentError  # noqa: PLC0415 - only when called for

    try:
        yield
    except InvalidArgumentError as exc:
        raise Failure(f"The file {name} is no {role}, which has {exc.allowed}.") from exc


def read_head(name: str) -> bytes:
    """Return the signed head in a file; its signature is not checked here.

    Raises:
        Failure: the file cannot be read, or holds something else.
    """
    from sessionactors.audit.checkpoint import NOTE_SIZE_MAX, signatures_of  # noqa: PLC0415 - only when called for

    note = read_file(name, "signed head", NOTE_SIZE_MAX)
    with formed(name, "signed head"):
        signatures_of(note)
    return note


def put(content: bytes) -> None:
    """Write bytes to the standard output as they are."""
    click.echo(content, nl=False)


def read_file(name: str, role: str, size_max: int) -> bytes:
    """Return the content of a file that somebody named.

    Raises:
        Failure: it cannot be read, or is too long to be what it should be.
    """
    try:
        with Path(name).open("rb") as file:
            content = file.read(size_max + 1)
    except OSError as exc:
        raise Failure(f"The {role} {name} cannot be read: {(exc.strerror or str(exc)).lower()}.") from exc
    if len(content) > size_max:
        raise Failure(f"The file {name} is too long to be a {role}: over {size_max} bytes.")
    return content
