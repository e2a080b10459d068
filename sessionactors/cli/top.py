"""`sessionactors top`: watch the actors of a daemon."""

from __future__ import annotations

import json
import select
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import click

from sessionactors.cli.actors import info_lines
from sessionactors.cli.looking import connected, inspecting, put_json
from sessionactors.cli.program import InputError

if TYPE_CHECKING:
    from sessionactors.cli.top_screen import View
    from supervisors.inspection.client import InspectionClient

__all__ = ["top"]

_INNERMOST: Final = 8  # lines of a stack, which are four calls, for the first screen
_STATE_TIMEOUT: Final = 0.5  # seconds that an actor has to show its state, again and again
_ACTORS_MAX: Final = 200  # of one frame
_SIZE: Final = (80, 24)  # of a screen that is printed


@click.command(short_help="Watch the actors of a daemon.")
@inspecting
@click.option(
    "--sort",
    type=click.Choice(("mailbox", "busy", "memory", "restarts", "messages")),
    default="mailbox",
    show_default=True,
    help="Those with the most come first.",
)
@click.option("--match", default="", metavar="TEXT", help="Only those with this text in their name or class.")
@click.option("--interval", type=click.FloatRange(0.1, 10.0), default=1.0, show_default=True, help="Seconds.")
@click.option("--once", is_flag=True, help="Print one screen and exit; for scripts, and where there is no terminal.")
def top(socket: str, *, as_json: bool, sort: str, match: str, interval: float, once: bool) -> None:
    """Watch the actors of a daemon: who has long mailboxes, works, holds memory, was restarted.

    BUSY is the share of the time that an actor was at work, CPU time and calls that block; it
    is sampled. MEMORY is an estimate of its state. What is looked at is never asked, but
    for the state of the one actor that you open.
    """
    from sessionactors.cli.top_screen import View  # noqa: PLC0415 - keeps --help quick

    view = View(sort=sort, match=match)
    with connected(socket) as client:
        if once or as_json:
            _print(client, view, interval, as_json=as_json, once=once)
            return
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise InputError("top needs a terminal; --once prints one screen, --json prints frames")
        with connected(socket) as other:
            _watch(client, other, view, interval)


def _print(client: InspectionClient, view: View, interval: float, *, as_json: bool, once: bool) -> None:
    from sessionactors.cli.top_screen import screen  # noqa: PLC0415 - as above

    pid = client.call("hello")["pid"]
    while True:
        frame = client.call("top", **_wanted(view, interval))
        if as_json:
            put_json(frame)
        else:
            for text, _ in screen(view, frame, pid, *_SIZE)[:-1]:
                click.echo(text.rstrip())
        if once:
            return


def _watch(client: InspectionClient, other: InspectionClient, view: View, interval: float) -> None:
    from sessionactors.cli.terminal import Terminal  # noqa: PLC0415 - there are none elsewhere than on POSIX
    from sessionactors.cli.top_screen import pressed, screen  # noqa: PLC0415 - as above

    pid = client.call("hello")["pid"]
    frame: dict[str, Any] | None = None
    with Terminal(sys.stdin.fileno(), sys.stdout.fileno()) as terminal:
        # The first one at once, the others after their time.
        asked = client.ask("top", **_wanted(view, 0.0))
        is_outdated = False
        terminal.draw(screen(view, frame, pid, *terminal.size()))
        while True:
            ready, _, _ = select.select([sys.stdin, client], [], [], 1.0)
            if sys.stdin in ready:
                for key in terminal.read():
                    view, action = pressed(view, key, frame, terminal.size()[1])
                    if action == "quit":
                        return
                    if action == "open":
                        view = _opened(other, view)
                    is_outdated = is_outdated or action == "ask"
            if client in ready:
                frame = client.take(asked)
                # What was asked for before a key was pressed is shown, and the next one comes at once.
                asked = client.ask("top", **_wanted(view, 0.0 if is_outdated else interval))
                is_outdated = False
                if view.opened is not None:
                    view = _opened(other, view)
            terminal.draw(screen(view, frame, pid, *terminal.size()))


def _wanted(view: View, interval: float) -> dict[str, Any]:
    return {"seconds": interval, "sort": view.sort, "match": view.match, "limit": _ACTORS_MAX}


def _opened(client: InspectionClient, view: View) -> View:
    """Look at one actor closely."""
    from supervisors.inspection.client import InspectionRefusal  # noqa: PLC0415 - keeps --help quick

    try:
        found = client.call("info", ref=view.opened)
        # The stack is long, so it comes last; where it hangs is what one wants to know first.
        stack: list[str] = [] if found["stack"] is None else found["stack"].splitlines()
        lines = info_lines({**found, "stack": None})
        if stack:
            lines = [*lines, "now in", *stack[-_INNERMOST:]]
        lines.append("state")
        try:
            state = client.call("state", ref=view.opened, timeout=_STATE_TIMEOUT)
            lines += json.dumps(state, indent=2, ensure_ascii=True).splitlines()
        except InspectionRefusal as refused:
            lines.append(str(refused))
        if stack:
            lines += ["stack", *stack]
    except InspectionRefusal as refused:
        lines = [str(refused)]
    return replace(view, details=tuple(lines))
