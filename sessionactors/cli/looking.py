"""What the commands share that look into a daemon: its socket, errors as sentences, and columns."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from sessionactors.cli.program import InputError, RunError, reason_of

if TYPE_CHECKING:
    from supervisors.inspection.client import InspectionClient

__all__ = ["ACTOR_COLUMNS", "actor_line", "amount", "connected", "inspecting", "label", "put_json", "span"]

_Command = TypeVar("_Command", bound=Callable[..., Any])

ACTOR_COLUMNS: Final = f"{'ID':>7} {'STATUS':<9} {'MAILBOX':>7} {'HANDLED':>8} {'INHAND':>6} {'RESTART':>7}  ACTOR"
"""What stands above the lines of `actor_line()`."""


def inspecting(command: _Command) -> _Command:
    """Add the options that each of these commands has."""
    command = click.option(
        "--json", "as_json", is_flag=True, help="Print JSON: one object, or one a line where there are several."
    )(command)
    return click.option(
        "--socket",
        envvar="SESSIONACTORS_INSPECTION__SOCKET",
        required=True,
        metavar="PATH",
        help="The daemon's socket, as `[inspection] socket` of its configuration names it; "
        "SESSIONACTORS_INSPECTION__SOCKET in the environment stands for it.",
    )(command)


@contextmanager
def connected(path: str, *, timeout: float = 15.0) -> Iterator[InspectionClient]:
    """Connect to a daemon, and turn what goes wrong into a sentence.

    Raises:
        InputError: nobody listens there, or it is not for this user.
        RunError: the daemon says no, or has gone.
    """
    from supervisors.inspection.client import InspectionClient, InspectionRefusal  # noqa: PLC0415 - keeps --help quick

    try:
        client = InspectionClient(path, timeout=timeout)
    except OSError as error:
        raise InputError(f"{path}: no daemon can be reached there: {reason_of(error)}") from error
    with client:
        try:
            yield client
        except InspectionRefusal as refused:
            raise RunError(str(refused)) from refused
        except TimeoutError as error:
            raise RunError(f"the daemon has not answered within {timeout:g} s") from error
        except ConnectionError as error:
            raise RunError(f"the daemon at {path} has gone") from error


def put_json(value: object) -> None:
    """Print a value as one line of JSON."""
    click.echo(json.dumps(value, ensure_ascii=True))


def actor_line(row: dict[str, Any]) -> str:
    """Return one actor as a line under `ACTOR_COLUMNS`."""
    hand = "" if row["seconds"] is None else span(row["seconds"])
    return (
        f"{row['id']:>7} {row['status']:<9} {amount(row['mailbox']):>7} {amount(row['handled']):>8} "
        f"{hand:>6} {amount(row['restarts']):>7}  {label(row)}"
    )


def label(row: dict[str, Any]) -> str:
    """Return what an actor is called: its name and class, or its class alone."""
    name, kind = row["name"], row["actor_class"]
    return kind if name is None else f"{name} ({kind})"


def amount(number: float) -> str:
    """Return a number in at most seven characters: 9999999, 12.3M."""
    if number < 10_000_000:
        return f"{number:.0f}"
    for unit in ("M", "G", "T", "P"):
        number /= 1_000_000 if unit == "M" else 1_000
        if number < 1_000:
            return f"{number:.1f}{unit}"
    return f"{number:.0e}"


def span(seconds: float) -> str:
    """Return a duration in at most seven characters: 0.05s, 12s, 3m20s, 5h12m, 4d03h."""
    if seconds < 10:
        return f"{seconds:.2f}s"
    whole = int(seconds)
    if whole < 100:
        return f"{whole}s"
    minutes, hours, days = whole // 60, whole // 3600, whole // 86_400
    if hours < 1:
        return f"{minutes}m{whole % 60:02}s"
    return f"{hours}h{minutes % 60:02}m" if days < 1 else f"{days}d{hours % 24:02}h"
