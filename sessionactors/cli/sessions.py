"""`sessionactors sessions | limits`: the sessions of a daemon, and an operator's hand on them."""

from __future__ import annotations

import json
from itertools import chain
from typing import Any

import click

from sessionactors.cli.looking import amount, connected, inspecting, put_json, span

__all__ = ["limits", "sessions"]

_STATES = ("new", "auth", "active", "idle", "suspended")


@click.group(short_help="List, show, suspend, resume and terminate sessions of a daemon.")
def sessions() -> None:
    """List, show, suspend, resume and terminate sessions of a daemon.

    What is done to a session is audited under the name of the user who does it.
    """


@sessions.command("list", short_help="List sessions, without touching them.")
@inspecting
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="Sessions at most.")
@click.option("--all", "is_all", is_flag=True, help="All of them, as they come.")
@click.option("--after", type=click.IntRange(0), default=0, metavar="NUMBER", help="Only those with a higher number.")
@click.option("--state", type=click.Choice(_STATES), help="Only those in this state.")
@click.option("--match", default="", metavar="TEXT", help="Only those with this text in their id or user.")
def _list(socket: str, *, as_json: bool, is_all: bool, limit: int, **wanted: Any) -> None:
    """List live sessions in order of their start. None is asked or touched, so one that hangs is listed too."""
    with connected(socket) as client:
        if not as_json:
            click.echo(f"{'NUMBER':>7} {'STATE':<10} {'AGE':>7} {'IDLE':>7} {'MAILBOX':>7}  SESSION")
        for row in chain.from_iterable(client.stream("sessions", limit=10_000_000 if is_all else limit, **wanted)):
            put_json(row) if as_json else click.echo(_line(row))


def _line(row: dict[str, Any]) -> str:
    marks = [mark for mark, is_set in (("stored", row["persistent"]), ("asleep", row["asleep"])) if is_set]
    facts = [row["user_id"], *([] if row["session_class"] == "Session" else [row["session_class"]]), *marks]
    return (
        f"{row['number']:>7} {row['state']:<10} {span(row['age']):>7} {span(row['idle']):>7} "
        f"{amount(row['mailbox']):>7}  {row['id']} ({', '.join(facts)})"
    )


@sessions.command("show", short_help="Show one session.")
@inspecting
@click.argument("session")
def _show(socket: str, session: str, *, as_json: bool) -> None:
    """Show everything that SESSION tells about itself, as JSON, without secrets; this is no activity."""
    with connected(socket) as client:
        found = client.call("session", session=session)
    put_json(found) if as_json else click.echo(json.dumps(found, indent=2, ensure_ascii=True))


def _act(action: str, socket: str, session: str, reason: str, *, as_json: bool) -> None:
    with connected(socket) as client:
        state = client.call(action, session=session, reason=reason)
    put_json({"session": session, "state": state}) if as_json else click.echo(f"{session}: {state}")


_reason = click.option("--reason", default="", metavar="TEXT", help="Why, for the audit log.")


@sessions.command("suspend", short_help="Suspend a session.")
@inspecting
@_reason
@click.argument("session")
def _suspend(socket: str, session: str, reason: str, *, as_json: bool) -> None:
    """Suspend SESSION, whatever its guards say."""
    _act("suspend", socket, session, reason, as_json=as_json)


@sessions.command("resume", short_help="Resume a session.")
@inspecting
@_reason
@click.argument("session")
def _resume(socket: str, session: str, reason: str, *, as_json: bool) -> None:
    """Resume SESSION, whatever its guards say."""
    _act("resume", socket, session, reason, as_json=as_json)


@sessions.command("terminate", short_help="End a session for good.")
@inspecting
@_reason
@click.argument("session")
def _terminate(socket: str, session: str, reason: str, *, as_json: bool) -> None:
    """End SESSION for good, its stored copy included."""
    _act("terminate", socket, session, reason, as_json=as_json)


@click.command(short_help="Show the limits of a daemon, or of one session, and how far they are used.")
@inspecting
@click.argument("session", required=False)
def limits(socket: str, session: str | None, *, as_json: bool) -> None:
    """Show the limits that are in force and how far they are used, of all together or of SESSION, as JSON."""
    with connected(socket) as client:
        found = client.call("limits", session=session)
    put_json(found) if as_json else click.echo(json.dumps(found, indent=2, ensure_ascii=True))
