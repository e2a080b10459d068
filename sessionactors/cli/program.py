"""The program `sessionactors`: finds the command, and turns every error into one sentence.

Commands are imported when they are called for, and import what they drive only
once their arguments are good. So `--help` and mistakes in usage answer at once.

Exit codes: 0 for success, 1 when a command's answer is no or a run fails, 2 for
bad usage and unreadable input, 130 after Ctrl-C.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import os
import sys
from typing import TYPE_CHECKING, Final, final

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "EXIT_FAILED",
    "EXIT_INTERRUPTED",
    "EXIT_USAGE",
    "InputError",
    "LazyGroup",
    "RunError",
    "complain",
    "main",
    "program",
    "reason_of",
]

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_INTERRUPTED: Final = 130

_COMMANDS: Final = {
    "audit": "Verify, prove, read and export audit logs.",
    "chaos": "Let faults loose on a live system, and see whether it stays well.",
    "dump": "Show what a daemon does: who is busy, with stacks, and full mailboxes.",
    "info": "Show one actor of a daemon closely.",
    "limits": "Show the limits of a daemon, or of one session, and how far they are used.",
    "ps": "List the actors of a daemon.",
    "replay": "Drive supervised sessions with a recorded log.",
    "serve": "Run a session system as a daemon.",
    "sessions": "List, show, suspend, resume and terminate sessions of a daemon.",
    "state": "Show the state of one actor of a daemon.",
    "top": "Watch the actors of a daemon.",
    "trace": "Show the messages that one actor of a daemon handles.",
    "tree": "Draw the tree of actors of a daemon.",
}
"""Name and short help; the command stands under its name in a module of the same name, or in that of `_HOMES`."""

_HOMES: Final = {
    **dict.fromkeys(("dump", "info", "ps", "state", "trace", "tree"), "actors"),
    "limits": "sessions",
}


@final
class InputError(click.ClickException):
    """What the arguments name cannot be used; the message is one sentence."""

    exit_code = EXIT_USAGE


@final
class RunError(click.ClickException):
    """The command went wrong half-way; the message is one sentence."""

    exit_code = EXIT_FAILED


@final
class LazyGroup(click.Group):
    """A group whose commands are imported one by one, when they are named or listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command = getattr(importlib.import_module(f"sessionactors.cli.{_HOMES.get(cmd_name, cmd_name)}"), cmd_name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        # What click does here would import every command to ask it for its help.
        with formatter.section("Commands"):
            formatter.write_dl(sorted(_COMMANDS.items()))


def _show_version(ctx: click.Context, _: click.Parameter, is_wanted: bool) -> None:
    if is_wanted and not ctx.resilient_parsing:
        try:
            version = importlib.metadata.version("sessionactors")
        except importlib.metadata.PackageNotFoundError:
            version = "(version unknown: it runs from a source tree that is not installed)"
        click.echo(f"sessionactors {version}")
        ctx.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_show_version,
    help="Show the version and exit.",
)
def program() -> None:
    """Sessions as supervised actors: run a daemon and look into it, replay real logs, verify what was audited."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program.

    Args:
        argv: the arguments after the program's name; None takes the process's own.

    Returns:
        The exit code; see the module.
    """
    try:
        code = program.main(args=None if argv is None else list(argv), prog_name="sessionactors", standalone_mode=False)
    except click.ClickException as exc:
        complain(exc.format_message())
        return exc.exit_code
    except SystemExit as exc:  # click's answer when nobody reads the output any more
        return exc.code if isinstance(exc.code, int) else EXIT_FAILED
    except click.Abort:
        complain("interrupted")
        return EXIT_INTERRUPTED
    except OSError as exc:
        # What the commands read and write themselves they answer for; left is the output.
        _give_up_output()
        complain(f"cannot write the output: {reason_of(exc)}")
        return EXIT_FAILED
    return code if isinstance(code, int) else 0


def _give_up_output() -> None:
    """Let what is left in the buffer go nowhere: at its end Python would try to write it once more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        with contextlib.suppress(OSError, ValueError):  # when it is no file at all
            os.dup2(nowhere, sys.stdout.fileno())
    finally:
        os.close(nowhere)


def complain(message: str) -> None:
    """Write one line to standard error; characters that a terminal would obey are shown as escapes."""
    line = " ".join(f"sessionactors: {message}".split())
    click.echo("".join(c if c.isprintable() else ascii(c)[1:-1] for c in line), err=True)


def reason_of(exc: Exception) -> str:
    """Say what went wrong without numbers, names of classes, and paths that stand in the sentence already."""
    return exc.strerror.lower() if isinstance(exc, OSError) and exc.strerror else str(exc)
