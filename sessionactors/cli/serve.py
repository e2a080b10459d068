"""`sessionactors serve`: run a session system as a daemon."""

from __future__ import annotations

import logging
import os
import signal
import sys
from pathlib import Path

import click

from sessionactors.cli.program import EXIT_USAGE, RunError, complain

__all__ = ["serve"]


@click.command(short_help="Run a session system as a daemon.")
@click.option(
    "--config",
    "path",
    required=True,
    metavar="FILE.toml",
    type=click.Path(path_type=Path),
    help="The configuration. SESSIONACTORS_SECTION__OPTION in the environment overrides it.",
)
@click.option("--check-config", is_flag=True, help="Check the configuration, name every mistake, and exit.")
@click.option("--print-config", is_flag=True, help="Print every option with the source of its value, and exit.")
def serve(path: Path, *, check_config: bool, print_config: bool) -> int:
    """Run a session system as a daemon.

    SIGTERM and Ctrl-C stop it in order, within the budget `shutdown_timeout`; SIGHUP reads the
    configuration again and takes over what needs no restart; SIGUSR1 writes what it is doing to
    standard error.

    Exit codes: 0 stopped in order; 1 not started; 2 the configuration is wrong; 3 stopped, and
    something had to be killed; 4 stopped, and not everything could be written; 5 it gave up,
    because its services crashed too often.
    """
    from sessionactors.daemon.config import ConfigError, load, shown  # noqa: PLC0415 - see the program

    # Classes are named by import path, and are looked for beside the command as `python -m` does.
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        config = load(path, os.environ)
    except ConfigError as error:
        for problem in error.problems:
            complain(problem)
        return EXIT_USAGE
    if print_config:
        click.echo(shown(config), nl=False)
        return 0
    if check_config:
        click.echo(f"{path}: good")
        return 0
    logging.basicConfig(
        level=config.get("daemon", "log_level").upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    from sessionactors.daemon.service import Daemon, DaemonError  # noqa: PLC0415 - loads the actors

    daemon = Daemon(config, os.environ, lambda: load(path, os.environ))
    # What the daemon puts back when it has ended: one signal more must not take its exit code away.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    try:
        code = daemon.run()
    except DaemonError as error:
        raise RunError(str(error)) from error
    for who in daemon.killed:
        complain(f"had to be killed: {who}")
    for what in daemon.unwritten:
        complain(f"could not be written: {what}")
    return code
