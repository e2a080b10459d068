"""The commands `sessionactors chaos ...`: experiments on a live system of actors."""

from __future__ import annotations

import os
import sys
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Final

import click

from sessionactors.cli.chaos_progress import ChaosProgress
from sessionactors.cli.program import EXIT_FAILED, InputError, RunError, reason_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from supervisors.chaos import ChaosReport

__all__ = ["EXIT_CODES", "chaos", "run"]

EXIT_CODES: Final = {"ok": 0, "error": EXIT_FAILED, "unsteady": 3, "violated": 4, "not recovered": 5}
"""Exit code of `chaos run` for each verdict; 2 is bad usage."""


@click.group()
def chaos() -> None:
    """Let faults loose on a live system, and see whether it stays well."""


@chaos.command(name="run")
@click.argument("plan", metavar="FILE", type=click.Path(dir_okay=False))
@click.option("--seed", type=int, help="Draw moments, victims and lengths from this number instead of the plan's.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object, and nothing else.")
@click.option("--junit", metavar="PATH", type=click.Path(dir_okay=False), help="Write the report for build servers.")
def run(plan: str, seed: int | None, as_json: bool, junit: str | None) -> int:
    """Carry out the experiment that FILE, in TOML, describes.

    The exit code tells the verdict: 0 ok, 3 the steady state did not hold before anything was
    done, 4 it was broken while faults happened, 5 the system did not recover, 1 the experiment
    itself went wrong, 2 bad usage.
    """
    from supervisors.chaos import Chaos, load_plan  # noqa: PLC0415 - keeps --help quick
    from supervisors.chaos.probes import loaded  # noqa: PLC0415 - as above
    from supervisors.errors import InvalidArgumentError, InvalidTypeError  # noqa: PLC0415 - as above

    # As `python -m` has it: what a plan names is found from where one stands.
    if os.getcwd() not in sys.path:  # noqa: PTH109 - an entry of the path is text
        sys.path.insert(0, os.getcwd())  # noqa: PTH109 - as above
    try:
        wanted = load_plan(plan)
        start = loaded("system.start", wanted.start or "")
    except OSError as error:
        raise InputError(f"{plan}: it cannot be read: {reason_of(error)}") from error
    except (InvalidArgumentError, InvalidTypeError) as error:
        mistakes = [str(error), *getattr(error, "__notes__", ())]
        raise InputError("\n".join(f"{plan}: {each}" for each in mistakes)) from error
    with _running(str(wanted.start), start) as system:
        try:
            experiment = Chaos(system, wanted, seed=seed)
        except (InvalidArgumentError, InvalidTypeError) as error:
            raise InputError(f"{plan}: {error}") from error
        with ChaosProgress(sys.stderr, experiment) as progress:
            report = experiment.run(progress.draw)
    if junit is not None:
        _write(junit, report.as_junit())
    click.echo(report.as_json() if as_json else _in_words(report), nl=False)
    return EXIT_CODES[report.verdict]


@contextmanager
def _running(name: str, start: Any) -> Iterator[Any]:
    """Start the system of a plan, and end it afterwards."""
    try:
        made = start()
    except Exception as error:
        raise RunError(f"{name} does not start: {type(error).__name__}: {error}") from error
    if hasattr(made, "__enter__"):
        with made as system:
            yield system
    elif hasattr(made, "stop"):
        try:
            yield made
        finally:
            made.stop()
    elif hasattr(made, "close"):
        with closing(made):
            yield made
    else:
        yield made


def _write(path: str, text: str) -> None:
    try:
        with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123 - a path as click gives it
            file.write(text)
    except OSError as error:
        raise RunError(f"{path}: the report cannot be written: {reason_of(error)}") from error


def _in_words(report: ChaosReport) -> str:
    lines = [str(report)]
    lines += [f"  {kind:<20} {count:>6}" for kind, count in report.struck]
    if report.missed or report.spared:
        lines.append(f"  {report.missed} faults were laid and had no occasion, {report.spared} found nobody to hit")
    for probe in report.probes:
        state = probe.failure or "passes"
        lines.append(f"  probe {probe.name!r}: {state} ({probe.failed_looks} of {probe.looks} looks failed)")
    return "\n".join(lines) + "\n"
