"""What other processes can ask of an inspector, by name.

=========  ============================================  ===========================================
``do``     arguments (all but ref may be left out)       value
=========  ============================================  ===========================================
``hello``  none                                          versions, process number, operations
``ps``     sort, limit, after, match                     lines of up to 200 actors each
``tree``   ref, children                                 lines of up to 200 actors each
``top``    seconds, sort, limit, match                   a frame, after so many seconds
``info``   ref                                           an actor
``state``  ref, timeout                                  its state
``trace``  ref, seconds, rate, count                     lines of events, until it is over
``dump``   longest                                       text
=========  ============================================  ===========================================
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from supervisors.errors import InvalidArgumentError, InvalidTypeError
from supervisors.inspection.branches import NODES_MAX
from supervisors.inspection.door import Caller, Operation
from supervisors.inspection.inspector import CHILDREN_MAX, PAGE_ROWS, ROWS_MAX, STATE_TIMEOUT, Inspector, checked_count
from supervisors.inspection.live import Live
from supervisors.inspection.sampler import LOOK_INTERVAL
from supervisors.inspection.wire import VERSION
from supervisors.timers.service import checked_delay

__all__ = ["PS_MAX", "actor_operations", "checked_text", "in_lines"]

if TYPE_CHECKING:
    from supervisors.inspection.trace import Trace

PS_MAX: Final = 10_000_000
"""Actors in all lines of an answer of `ps`."""

_TOP_MAX: Final = 10.0  # seconds of one frame
_EVENTS_MAX: Final = 1_000_000  # of one trace
_BEAT: Final = 1.0  # seconds between two signs of life of a trace in which nothing happens


def actor_operations(inspector: Inspector) -> dict[str, Operation]:
    """Return what can be asked of an inspector."""
    operations: dict[str, Operation] = {}

    def hello(_caller: Caller) -> object:
        return {"v": VERSION, "pid": os.getpid(), "operations": sorted(operations)}

    def ps(_caller: Caller, sort: str = "id", limit: int = 100, after: int = 0, match: str = "") -> Iterator[list[Any]]:
        checked_count("limit", limit, PS_MAX)
        return _pages(inspector, checked_text("sort", sort), limit, after, checked_text("match", match))

    def tree(_caller: Caller, ref: str | int | None = None, children: int = CHILDREN_MAX) -> Iterator[object]:
        checked_count("children", children, NODES_MAX)
        return in_lines(inspector.tree(ref, children=children))

    def top(caller: Caller, seconds: float = 1.0, sort: str = "mailbox", limit: int = 50, match: str = "") -> object:
        return _frame(inspector, caller, seconds, sort=sort, limit=limit, match=checked_text("match", match))

    def trace(
        caller: Caller, ref: str | int, seconds: float = 10.0, rate: int = 100, count: int = 1_000
    ) -> Iterator[object]:
        checked_count("count", count, _EVENTS_MAX)
        begun = inspector.trace(ref, seconds=seconds, rate=rate)
        begun.start()  # here, so that a refusal is the answer and not the first line of one
        return _events(begun, caller, count)

    operations.update(
        {
            "hello": Operation(hello),
            "ps": Operation(ps, (), ("sort", "limit", "after", "match")),
            "tree": Operation(tree, (), ("ref", "children")),
            "top": Operation(top, (), ("seconds", "sort", "limit", "match")),
            "info": Operation(lambda _caller, ref: inspector.info(ref), ("ref",)),
            "state": Operation(
                lambda _caller, ref, timeout=STATE_TIMEOUT: inspector.state(ref, timeout=timeout),
                ("ref",),
                ("timeout",),
            ),
            "trace": Operation(trace, ("ref",), ("seconds", "rate", "count")),
            "dump": Operation(lambda _caller, longest=20: inspector.dump(longest), (), ("longest",)),
        }
    )
    return operations


def in_lines(items: Sequence[Any]) -> Iterator[list[Any]]:
    """Cut an answer into lines."""
    for begin in range(0, len(items), PAGE_ROWS):
        yield list(items[begin : begin + PAGE_ROWS])


def checked_text(field: str, given: object, most: int = 200) -> str:
    """Return a text of at most so many characters, or raise what names the field."""
    if not isinstance(given, str):
        raise InvalidTypeError(field, given, "text")
    if len(given) > most:
        raise InvalidArgumentError(field, given, f"at most {most} characters")
    return given


def _pages(inspector: Inspector, sort: str, limit: int, after: int, match: str) -> Iterator[list[Any]]:
    if sort == "id":
        return inspector.pages(limit=limit, after=after, match=match)
    # What is sorted by something that changes cannot be taken up again where it ended.
    return in_lines(inspector.ps(sort=sort, limit=min(limit, ROWS_MAX), after=after, match=match))


def _frame(inspector: Inspector, caller: Caller, seconds: float, **wanted: Any) -> object:
    seconds = checked_delay("seconds", seconds)
    if seconds > _TOP_MAX:
        raise InvalidArgumentError("seconds", seconds, f"at most {_TOP_MAX:g}")
    live: Live | None = caller.notes.get("live")
    if live is None:
        live = caller.notes["live"] = Live(inspector)
    for _ in range(max(round(seconds / LOOK_INTERVAL), 1)):
        live.look()
        if seconds and caller.pause(LOOK_INTERVAL):
            break
    return live.frame(**wanted)


def _events(trace: Trace, caller: Caller, count: int) -> Iterator[object]:
    try:
        while count > 0:
            events = trace.take(_BEAT)[:count]
            count -= len(events)
            yield events or None
            if not events and (trace.is_over or caller.pause(0.0)):
                return
    finally:
        trace.stop()
