"""Tells what actors spend their time on, by looking at all threads many times a second.

Turns themselves do nothing for it, not even read a clock; and while nobody wants to
know, nobody looks. What is counted is how often an actor was seen with a message in
hand while it waited for nobody's reply. That is CPU time, and time in calls that
block: a look from outside cannot tell them apart. Very short turns are seen rarely,
and each for many.
"""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING, Final, final

from supervisors.runtime.turn import all_turns

if TYPE_CHECKING:
    from supervisors.runtime.cell import Cell
    from supervisors.system import ActorSystem

__all__ = ["LOOK_INTERVAL", "Sampler"]

LOOK_INTERVAL: Final = 0.02
"""Seconds between two looks."""


@final
class Sampler:
    """Counts who is at work.

    Args:
        system: whose actors.

    Attributes:
        looks: how often it has looked.

    Thread: one at a time.
    """

    __slots__ = ("_seen", "_system", "looks")

    def __init__(self, system: ActorSystem) -> None:
        self._system = system
        self._seen: Counter[Cell] = Counter()
        self.looks = 0

    def look(self) -> None:
        """Look once."""
        self.looks += 1
        me = threading.get_ident()
        for turn in all_turns():
            ref = turn.current
            if ref is not None and ref.system is self._system and ref.waits_for is None and turn.thread_id != me:
                self._seen[ref] += 1

    def busy(self) -> dict[Cell, float]:
        """Return the share of looks at which each actor was at work, 0 to 1; who was not is left out."""
        return {ref: min(count / self.looks, 1.0) for ref, count in self._seen.items()} if self.looks else {}
