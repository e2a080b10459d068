"""Shows a run as a picture: a Mermaid sequence diagram, or an SVG timeline.

`record()` runs a seed once more and notes who sends what to whom and when it is
handled; everything else is read off the transcript. In the timeline every actor has
a lane from top to bottom, a message is an arrow from where it was sent to where it
was handled, and faults are marked in red on the lane that they hit.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, final
from xml.sax.saxutils import escape

from supervisors.runtime.signals import Ask, Signal
from supervisors.runtime.turn import thread_turn
from supervisors.simulation.checkers import STOCK_CHECKERS
from supervisors.simulation.runner import options_of
from supervisors.simulation.simulation import Simulation
from supervisors.simulation.transcript import label_of, message_in_words

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisors.runtime.ref import ActorRef
    from supervisors.simulation.checkers import Checker
    from supervisors.simulation.options import SimulationOptions
    from supervisors.simulation.scheduler import SimulatedScheduler
    from supervisors.simulation.verdict import Outcome, Recipe
    from supervisors.system import ActorSystem

__all__ = ["Arrow", "Mark", "Recording", "mermaid", "record", "svg"]

ROWS_MAX: Final = 300
"""Events that a picture shows: the last ones, because a failure is at the end."""

LANE_WIDTH: Final = 150
ROW_HEIGHT: Final = 24
MARGIN: Final = 90
HEAD: Final = 60

_LINE: Final = re.compile(r" *(\d+) +([\d.]+) (\S+) +(.*)")


@final
@dataclass(frozen=True, slots=True)
class Arrow:
    """A message.

    Attributes:
        sender: who sent it; ``outside`` is the program outside and timers.
        receiver: whose mailbox it went into.
        what: the message in words.
        sent: row of the transcript at which it was sent.
        handled: row at which it was handled; None: never.
    """

    sender: str
    receiver: str
    what: str
    sent: int
    handled: int | None


@final
@dataclass(frozen=True, slots=True)
class Mark:
    """Something else that has happened to an actor.

    Attributes:
        row: of the transcript.
        who: the actor, or a part of the simulator.
        what: in words; a fault begins with ``FAULT``.
        at: virtual time, seconds.
    """

    row: int
    who: str
    what: str
    at: float


@final
@dataclass(frozen=True, slots=True)
class Recording:
    """A run, ready to be drawn.

    Attributes:
        outcome: of the run.
        arrows: messages in the order in which they were sent.
        marks: starts, ends, faults, notes and the verdict, in order.
    """

    outcome: Outcome
    arrows: tuple[Arrow, ...]
    marks: tuple[Mark, ...]


def record(
    workload: Callable[[Simulation], object],
    seed: int,
    options: SimulationOptions | None = None,
    *,
    repeat: Recipe | None = None,
) -> Recording:
    """Run a seed and return what can be drawn; arguments as those of `run_seed()`."""
    watch = _Watch()
    checkers: list[Callable[[], Checker]] = [lambda: watch, *STOCK_CHECKERS]
    with Simulation(seed, options_of(workload, options), repeat=repeat, checkers=checkers) as simulation:
        outcome = simulation.run(workload)
    marks = []
    for row, line in enumerate(outcome.transcript.splitlines()):
        match = _LINE.match(line)
        if match is not None and not match[4].startswith("handles "):
            marks.append(Mark(row, match[3], match[4], float(match[2])))
    return Recording(outcome, tuple(watch.arrows()), tuple(marks))


@final
class _Watch:
    """A checker that demands nothing and notes messages."""

    def attach(self, system: ActorSystem, scheduler: SimulatedScheduler) -> None:
        self._transcript = scheduler.transcript
        self._sent: list[tuple[str, str, str, int]] = []
        self._handled: dict[int, int] = {}
        # By identity; the item is kept, so that no other one can get its identity.
        self._waiting: dict[tuple[int, int], list[tuple[int, Any]]] = {}
        scheduler.sent = (*scheduler.sent, self._note_sent)
        scheduler.handled = (*scheduler.handled, self._note_handled)

    def _note_sent(self, ref: ActorRef[Any], item: Any) -> None:
        if isinstance(item, Signal):
            return
        number = len(self._sent)
        sender, row = label_of(thread_turn.turn.current), self._transcript.count
        self._sent.append((sender, label_of(ref), message_in_words(item), row))
        self._waiting.setdefault((ref.id, _identity(item)), []).append((number, item))

    def _note_handled(self, ref: ActorRef[Any], item: Any) -> None:
        waiting = self._waiting.get((ref.id, _identity(item)))
        if waiting:
            self._handled[waiting.pop(0)[0]] = self._transcript.count - 1

    def arrows(self) -> list[Arrow]:
        return [
            Arrow(sender, receiver, what, row, self._handled.get(number))
            for number, (sender, receiver, what, row) in enumerate(self._sent)
        ]

    def at_rest(self) -> None:
        """Demand nothing."""

    def at_end(self) -> None:
        """Demand nothing."""


def mermaid(recording: Recording) -> str:
    """Return a Mermaid sequence diagram: arrows where messages are handled, crosses where they never are."""
    first = _first_row(recording)
    arrows = [each for each in recording.arrows if (each.sent if each.handled is None else each.handled) >= first]
    marks = [each for each in recording.marks if each.row >= first]
    lines = ["sequenceDiagram"]
    names = _lanes(arrows, marks)
    lines += [f"    participant {_key(name)} as {name}" for name in names]
    events: list[tuple[int, str]] = []
    for arrow in arrows:
        row, kind = (arrow.sent, "-x") if arrow.handled is None else (arrow.handled, "->>")
        events.append((row, f"    {_key(arrow.sender)}{kind}{_key(arrow.receiver)}: {_plain(arrow.what)}"))
    events += [(mark.row, f"    Note over {_key(mark.who)}: {_plain(mark.what)}") for mark in marks]
    lines += [text for _, text in sorted(events, key=lambda each: each[0])]
    return "\n".join(lines) + "\n"


def svg(recording: Recording) -> str:
    """Return an SVG timeline: lanes from left to right in order of appearance, time from top to bottom."""
    first = _first_row(recording)
    arrows = [each for each in recording.arrows if (each.sent if each.handled is None else each.handled) >= first]
    marks = [each for each in recording.marks if each.row >= first]
    used = {max(each.sent, first) for each in arrows} | {each.handled for each in arrows if each.handled is not None}
    rows = {row: index for index, row in enumerate(sorted(used | {each.row for each in marks}))}
    lanes = {name: index for index, name in enumerate(_lanes(arrows, marks))}

    def x(name: str) -> int:
        return MARGIN + LANE_WIDTH // 2 + lanes[name] * LANE_WIDTH

    def y(row: int) -> int:
        return HEAD + ROW_HEIGHT + rows[max(row, first)] * ROW_HEIGHT

    width, height = MARGIN + LANE_WIDTH * len(lanes) + LANE_WIDTH, HEAD + ROW_HEIGHT * (len(rows) + 2)
    out = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif"'
            ' font-size="11">'
        ),
        (
            '<defs><marker id="head" viewBox="0 0 8 8" refX="8" refY="4" '
            'markerWidth="8" markerHeight="8" orient="auto">'
            '<path d="M0,0 L8,4 L0,8 z" fill="#345"/></marker></defs>'
        ),
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="10" y="18" font-size="13">{escape(str(recording.outcome).splitlines()[0])}</text>',
    ]
    for name in lanes:
        out.append(_text(x(name), HEAD - 12, name, "#000", anchor="middle", weight="bold"))
        out.append(f'<line x1="{x(name)}" y1="{HEAD}" x2="{x(name)}" y2="{height - 10}" stroke="#ccc"/>')
    before = ""
    for mark in marks:
        time = f"{mark.at:.3f} s"
        if time != before:
            out.append(_text(8, y(mark.row) + 4, time, "#777"))
            before = time
    for arrow in arrows:
        out += _drawn(arrow, x, y)
    for mark in marks:
        color = "#c00" if mark.what.startswith("FAULT") else "#060" if mark.what == "starts" else "#555"
        if mark.what.startswith(("verdict", "ends, crashed", "ends, killed")):
            color = "#900"
        left, top = x(mark.who), y(mark.row)
        out.append(f'<circle cx="{left}" cy="{top}" r="5" fill="{color}"/>')
        out.append(_text(left + 9, top + 4, mark.what, color, weight="bold" if color in ("#c00", "#900") else ""))
    out.append("</svg>")
    return "\n".join(out) + "\n"


def _drawn(arrow: Arrow, x: Callable[[str], int], y: Callable[[int], int]) -> list[str]:
    start, top = x(arrow.sender), y(arrow.sent)
    if arrow.handled is None:
        end, bottom, style = (start + x(arrow.receiver)) // 2, top + ROW_HEIGHT // 2, ' stroke-dasharray="4 3"'
    else:
        end, bottom, style = x(arrow.receiver), y(arrow.handled), ' marker-end="url(#head)"'
    line = f'<line x1="{start}" y1="{top}" x2="{end}" y2="{bottom}" stroke="#345"{style}/>'
    if arrow.sender == arrow.receiver:
        bend = start + LANE_WIDTH // 3
        line = (
            f'<path d="M{start},{top} C{bend},{top} {bend},{bottom} {end},{bottom}" stroke="#345" fill="none"{style}/>'
        )
    side = "start" if x(arrow.receiver) <= x(arrow.sender) else "end"
    beside = end + (9 if side == "start" else -9)
    return [line, _text(beside, bottom - 4, arrow.what, "#345", anchor=side)]


def _text(x: int, y: int, what: str, color: str, *, anchor: str = "start", weight: str = "") -> str:
    bold = f' font-weight="{weight}"' if weight else ""
    # A white rim keeps a text readable where lines cross it.
    return (
        f'<text x="{x}" y="{y}" fill="{color}" text-anchor="{anchor}" stroke="white" stroke-width="3"'
        f' paint-order="stroke"{bold}>{escape(what)}</text>'
    )


def _first_row(recording: Recording) -> int:
    rows = {each.row for each in recording.marks}
    rows |= {each.sent if each.handled is None else each.handled for each in recording.arrows}
    shown = sorted(rows)[-ROWS_MAX:]
    return shown[0] if shown else 0


def _lanes(arrows: list[Arrow], marks: list[Mark]) -> list[str]:
    seen = [(each.sent, name) for each in arrows for name in (each.sender, each.receiver)]
    seen += [(each.row, each.who) for each in marks]
    return list(dict.fromkeys(name for _, name in sorted(seen, key=lambda each: each[0])))


def _identity(item: Any) -> int:
    # An ask is one and the same object all the way; a bounded mailbox holds a ticket in its place.
    return id(item.message if item.__class__ is Ask else item)


def _key(name: str) -> str:
    return re.sub(r"\W", "_", name)


def _plain(what: str) -> str:
    return what.replace(";", ",").replace("#", "no. ")
