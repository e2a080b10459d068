"""`sessionactors ps | tree | info | state | trace | dump`: look into the actors of a daemon."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import chain
from typing import Any

import click

from sessionactors.cli.looking import (
    ACTOR_COLUMNS,
    actor_line,
    amount,
    connected,
    inspecting,
    label,
    put_json,
    span,
)

__all__ = ["dump", "info", "info_lines", "ps", "state", "trace", "tree"]

_REF = "REF is a number, a name or a URN, as `ps` shows them, or the id of a session."


@click.command(short_help="List the actors of a daemon.")
@inspecting
@click.option(
    "--sort",
    type=click.Choice(("id", "mailbox", "messages", "restarts")),
    default="id",
    show_default=True,
    help="In order of start, or those with the most first.",
)
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="Actors at most.")
@click.option("--all", "is_all", is_flag=True, help="All of them, as they come.")
@click.option("--after", type=click.IntRange(0), default=0, metavar="ID", help="Only those with a higher number.")
@click.option("--match", default="", metavar="TEXT", help="Only those with this text in their name or class.")
def ps(socket: str, *, as_json: bool, is_all: bool, limit: int, **wanted: Any) -> None:
    """List the actors of a daemon, without asking them.

    INHAND is how long an actor has been seen with the message that it handles.
    """
    with connected(socket) as client:
        if not as_json:
            click.echo(ACTOR_COLUMNS)
        rows = chain.from_iterable(client.stream("ps", limit=10_000_000 if is_all else limit, **wanted))
        for row in rows:
            put_json(row) if as_json else click.echo(actor_line(row))


@click.command(short_help="Draw the tree of actors of a daemon.")
@inspecting
@click.argument("ref", required=False)
@click.option("--children", type=click.IntRange(1, 10_000), default=8, show_default=True, help="Shown of one actor.")
def tree(socket: str, ref: str | None, *, as_json: bool, children: int) -> None:
    """Draw who has started whom, from REF on or all of them; nobody is asked, so nobody can hang it.

    REF is a number, a name or a URN, as `ps` shows them, or the id of a session.
    """
    from supervisors.inspection.branches import drawn  # noqa: PLC0415 - keeps --help quick

    with connected(socket) as client:
        branches = client.list("tree", ref=ref, children=children)
    if as_json:
        for branch in branches:
            put_json(branch)
        return
    for line in drawn((each["depth"], _node(each["row"]), each["hidden"]) for each in branches):
        click.echo(line)


def _node(row: dict[str, Any]) -> str:
    facts = [f"#{row['id']}"]
    if row["status"] != "idle":
        facts.append(row["status"])
    if row["mailbox"]:
        facts.append(f"{amount(row['mailbox'])} waiting")
    if row["restarts"]:
        facts.append(f"{row['restarts']} restarts")
    return f"{label(row)}  {', '.join(facts)}"


@click.command(short_help="Show one actor of a daemon closely.", epilog=_REF)
@inspecting
@click.argument("ref")
def info(socket: str, ref: str, *, as_json: bool) -> None:
    """Show everything about the actor REF that can be seen without asking it: what waits, links, and its stack."""
    with connected(socket) as client:
        found = client.call("info", ref=ref)
    if as_json:
        put_json(found)
        return
    for line in info_lines(found):
        click.echo(line)


def info_lines(found: dict[str, Any]) -> list[str]:
    """Return one actor as lines for people."""
    row = found["row"]
    links = ", ".join(f"#{each}" for each in found["links"][:8]) or "nobody"
    if found["link_count"] > 8:
        links += f" and {found['link_count'] - 8} more"
    facts = {
        "actor": f"#{row['id']}  {label(row)}",
        "class": f"{found['module']}.{row['actor_class']}, {row['dispatch']}",
        "status": row["status"] + ("" if row["seconds"] is None else f" for {span(row['seconds'])}"),
        "handled": f"{row['handled']} messages, {row['restarts']} restarts",
        "memory": f"about {found['memory']:,} bytes",
        "parent": "none" if row["parent"] is None else f"#{row['parent']}",
        "links": links + (", traps exits" if found["traps_exits"] else ""),
        "monitors": f"{found['monitors']}, monitored by {found['monitored_by']}",
        "mailbox": str(row["mailbox"]),
    }
    if row["waits_for"] is not None:
        facts["waits for"] = f"#{row['waits_for']}"
    lines = [f"{name:<10}{value}" for name, value in facts.items()]
    lines += [f"{number:>9} {message}" for number, message in enumerate(found["messages"], 1)]
    if found["stack"] is not None:
        lines += ["stack", *found["stack"].splitlines()]
    return lines


@click.command(short_help="Show the state of one actor of a daemon.", epilog=_REF)
@inspecting
@click.option(
    "--timeout", type=click.FloatRange(0.0, 60.0), default=2.0, show_default=True, help="Seconds that it has to answer."
)
@click.argument("ref")
def state(socket: str, ref: str, *, as_json: bool, timeout: float) -> None:
    """Show the state of the actor REF as JSON, without what is secret by its name.

    A server or state machine is asked between two of its messages; one that hangs is said to hang.
    """
    with connected(socket, timeout=timeout + 15.0) as client:
        found = client.call("state", ref=ref, timeout=timeout)
    if as_json:
        put_json(found)
    else:
        click.echo(json.dumps(found, indent=2, ensure_ascii=True))


@click.command(short_help="Show the messages that one actor of a daemon handles.", epilog=_REF)
@inspecting
@click.option(
    "--seconds", type=click.FloatRange(0.01, 3_600.0), default=10.0, show_default=True, help="How long at most."
)
@click.option("--rate", type=click.IntRange(1, 1_000), default=100, show_default=True, help="Messages in a second.")
@click.option("--count", type=click.IntRange(1, 1_000_000), default=1_000, show_default=True, help="Messages at most.")
@click.argument("ref")
def trace(socket: str, ref: str, *, as_json: bool, **limits: Any) -> None:
    """Show the messages that the actor REF handles: their kinds, how long each took, and what came of it.

    What is in them is not shown. No other actor notices; this one is a little slower meanwhile.
    """
    with connected(socket) as client:
        for events in client.stream("trace", ref=ref, **limits):
            for event in events:
                put_json(event) if as_json else click.echo(_event_line(event))


def _event_line(event: dict[str, Any]) -> str:
    time = datetime.fromtimestamp(event["time"], UTC).strftime("%H:%M:%S.%f")
    came = "" if event["raised"] is None else f"  raised {event['raised']}"
    left_out = f"  ({event['dropped']} left out before)" if event["dropped"] else ""
    return (
        f"{time}  {event['kind']:<4}  {event['seconds'] * 1_000:>9.3f} ms  {event['mailbox']:>6} waiting  "
        f"{event['message']}{came}{left_out}"
    )


@click.command(short_help="Show what a daemon does: who is busy, with stacks, and full mailboxes.")
@inspecting
@click.option("--longest", type=click.IntRange(1, 1_000), default=20, show_default=True, help="Mailboxes shown.")
def dump(socket: str, *, as_json: bool, longest: int) -> None:
    """Show who is busy with what, who waits for whom, and the longest mailboxes, as SIGUSR1 does."""
    with connected(socket) as client:
        text = client.call("dump", longest=longest)
    if as_json:
        put_json({"dump": text})
    else:
        click.echo(text, nl=False)
