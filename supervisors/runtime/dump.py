"""What an actor system is doing right now, as text for people."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

from supervisors.runtime.turn import all_turns
from supervisors.runtime.watchdog import stack_of

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["dump"]


def dump(system: Any, longest: int) -> str:
    """Describe busy actors with their stacks, waits-for edges and mailboxes."""
    return "\n".join(_lines(system, longest)) + "\n"


def _lines(system: Any, longest: int) -> Iterator[str]:
    yield repr(system)
    yield repr(system.scheduler)
    for name, count in system.statistics().items():
        yield f"  {name}: {count}"
    actors = system.actors()
    yield "busy:"
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    frames = sys._current_frames()  # noqa: SLF001 - there is no public way
    busy = 0
    for turn in all_turns():
        ref = turn.current
        if ref is None or ref.system is not system:
            continue
        busy += 1
        yield f"  {ref} on {names.get(turn.thread_id, turn.thread_id)}, {ref.messages_handled} messages handled"
        frame = frames.get(turn.thread_id)
        if frame is not None:
            yield from ("    " + line for line in stack_of(frame).splitlines())
    if not busy:
        yield "  nobody"
    yield "waiting for a reply:"
    edges = [(ref, ref.waits_for) for ref in actors]
    waiting = [f"  {ref} waits for {target}" for ref, target in edges if target is not None]
    yield from waiting or ["  nobody"]
    yield "longest mailboxes:"
    full = sorted(((ref.mailbox_length, ref) for ref in actors), key=lambda each: -each[0])[:longest]
    yield from [f"  {length} in that of {ref}" for length, ref in full if length] or ["  all are empty"]
