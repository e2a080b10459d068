"""What `top` shows, and what its keys do: pure, from a frame and a view to lines of text."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeAlias, final

from sessionactors.cli.looking import amount, label, span

__all__ = ["Action", "Line", "View", "pressed", "screen"]

Line: TypeAlias = tuple[str, bool]
"""A line, and whether it is shown in inverse."""

Action: TypeAlias = Literal["quit", "ask", "open"] | None
"""What follows from a key besides another view: end; ask for another frame; look at an actor closely."""

_SORTS: Final = {"m": "mailbox", "b": "busy", "c": "busy", "e": "memory", "r": "restarts", "h": "messages"}
_FILTER_MAX: Final = 60  # characters
_ABOVE: Final = 4  # lines above the first actor
_HELP: Final = "m mailbox  c busy  e memory  r restarts  h handled  / filter  enter open  q quit"
_HELP_ACTOR: Final = "up, down  scroll   esc  back to all actors   q  quit"
_COLUMNS: Final = (
    f"{'ID':>7} {'STATUS':<9} {'MAILBOX':>7} {'BUSY':>5} {'MEMORY':>7} {'RESTART':>7} {'HANDLED':>8}  ACTOR"
)


@final
@dataclass(frozen=True, slots=True)
class View:
    """What somebody looks at.

    Attributes:
        sort: what those have the most of that come first.
        match: what is in the names of those that are shown.
        typed: a filter that is being typed; None when none is.
        selected: which line of the frame is chosen, from 0.
        opened: the number of the actor that is looked at closely; None: all of them are.
        details: lines about that one.
        scrolled: how many of these are above the screen.
    """

    sort: str = "mailbox"
    match: str = ""
    typed: str | None = None
    selected: int = 0
    opened: int | None = None
    details: tuple[str, ...] = ()
    scrolled: int = 0


def pressed(view: View, key: str, frame: dict[str, Any] | None, rows: int) -> tuple[View, Action]:
    """Return what a key leads to.

    Args:
        view: before it.
        key: see `sessionactors.cli.terminal.Keys`.
        frame: what is shown; None before the first one.
        rows: of the screen.
    """
    if key == "quit":
        return view, "quit"
    if view.typed is not None:
        return _typed(view, key)
    if key == "q":
        return view, "quit"
    if view.opened is not None:
        return _in_details(view, key, rows)
    if key in _SORTS:
        return replace(view, sort=_SORTS[key], selected=0), "ask"
    if key == "/":
        return replace(view, typed=view.match), None
    if key == "escape" and view.match:
        return replace(view, match="", selected=0), "ask"
    count = 0 if frame is None else len(frame["rows"])
    if key == "enter" and frame is not None and view.selected < count:
        return replace(view, opened=frame["rows"][view.selected]["row"]["id"], details=(), scrolled=0), "open"
    step = {"up": -1, "k": -1, "down": 1, "j": 1, "page up": _ABOVE - rows, "page down": rows - _ABOVE}.get(key, 0)
    return replace(view, selected=min(max(view.selected + step, 0), max(count - 1, 0))), None


def _typed(view: View, key: str) -> tuple[View, Action]:
    assert view.typed is not None
    if key == "enter":
        return replace(view, match=view.typed, typed=None, selected=0), "ask"
    if key == "escape":
        return replace(view, typed=None), None
    if key == "backspace":
        return replace(view, typed=view.typed[:-1]), None
    if len(key) == 1 and len(view.typed) < _FILTER_MAX:
        return replace(view, typed=view.typed + key), None
    return view, None


def _in_details(view: View, key: str, rows: int) -> tuple[View, Action]:
    if key in ("escape", "backspace", "b"):
        return replace(view, opened=None, details=(), scrolled=0), None
    step = {"up": -1, "k": -1, "down": 1, "j": 1, "page up": 3 - rows, "page down": rows - 3}.get(key, 0)
    most = max(len(view.details) - (rows - 3), 0)
    return replace(view, scrolled=min(max(view.scrolled + step, 0), most)), None


def screen(view: View, frame: dict[str, Any] | None, pid: int, columns: int, rows: int) -> list[Line]:
    """Return the lines of a screen; at most as many as fit, none longer than fits.

    Args:
        view: what somebody looks at.
        frame: what is there; None before the first one.
        pid: of the daemon.
        columns: of the screen.
        rows: of the screen.
    """
    if frame is None:
        lines = [(f"sessionactors top   pid {pid}   looking ...", False)]
    elif view.opened is not None:
        lines = _details(view, frame, pid, rows)
    else:
        lines = _list(view, frame, pid, rows)
    return [(_fitting(text, columns), is_inverse) for text, is_inverse in lines[:rows]]


def _head(frame: dict[str, Any], pid: int) -> str:
    time = datetime.fromtimestamp(frame["time"], UTC).strftime("%H:%M:%S")
    return (
        f"sessionactors top  {time} UTC  pid {pid}  cpu {frame['cpu']:.0%}  "
        f"{frame['actors']:,} actors  {frame['waiting']:,} waiting"
    )


def _list(view: View, frame: dict[str, Any], pid: int, rows: int) -> list[Line]:
    counts = frame["counts"]
    facts = "  ".join(
        f"{name.replace('_', ' ')} {counts[name]:,}"
        for name in ("crashes", "dead_letters", "slow_turns", "timers")
        if name in counts
    )
    chosen = f"by {view.sort}"
    if view.typed is not None:
        chosen = f"filter: {view.typed}_"
    elif view.match:
        chosen += f", with {view.match!r}"
    room = max(rows - _ABOVE - 1, 0)
    top = max(view.selected - room + 1, 0)
    shown = frame["rows"][top : top + room]
    lines = [(_head(frame, pid), False), (facts, False), (chosen, False), (_COLUMNS, True)]
    lines += [(_row(each), number == view.selected and view.typed is None) for number, each in enumerate(shown, top)]
    lines += [("", False)] * (room - len(shown))
    return [*lines, ("enter apply  esc cancel" if view.typed is not None else _HELP, False)]


def _row(line: dict[str, Any]) -> str:
    row = line["row"]
    status = row["status"]
    if status == "hung" and row["seconds"] is not None:
        status = f"hung {span(row['seconds'])}"[:9]
    return (
        f"{row['id']:>7} {status:<9} {amount(row['mailbox']):>7} {line['busy']:>5.0%} {_size(line['memory']):>7} "
        f"{row['restarts']:>7} {amount(row['handled']):>8}  {label(row)}"
    )


def _details(view: View, frame: dict[str, Any], pid: int, rows: int) -> list[Line]:
    room = max(rows - 3, 0)
    shown = list(view.details[view.scrolled : view.scrolled + room]) or ["looking ..."]
    lines = [(_head(frame, pid), False), (f"actor #{view.opened}", True)]
    lines += [(text, False) for text in shown]
    lines += [("", False)] * (room - len(shown))
    return [*lines, (_HELP_ACTOR, False)]


def _size(size: int) -> str:
    if size < 10_000:
        return str(size)
    kilobytes = size / 1024
    return f"{kilobytes:.0f}K" if kilobytes < 10_000 else f"{kilobytes / 1024:.0f}M"


def _fitting(text: str, columns: int) -> str:
    """Return what fits of a line, without anything that a terminal would obey or show wider than one column."""
    return "".join(each if " " <= each <= "~" or each in "├└─│" else "?" for each in text[:columns])
