"""One screen of `top`: who is busy, whose mailbox is long, who holds memory, who was restarted.

Only those are read closely that are shown. What the others cost: one look whether the
mailbox is empty; and the estimate of memory goes through all of them in turn, a few
hundred at each frame.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, final

from supervisors.clock import process_seconds
from supervisors.errors import InvalidArgumentError
from supervisors.inspection.inspector import Inspector, checked_count, matches
from supervisors.inspection.rows import ActorRow, row_of
from supervisors.inspection.sampler import Sampler
from supervisors.inspection.weight import weight_of

if TYPE_CHECKING:
    from supervisors.runtime.cell import Cell
    from supervisors.runtime.ref import ActorRef

__all__ = ["FRAME_MAX", "SORTS", "Frame", "Live", "LiveRow"]

FRAME_MAX: Final = 500
"""Actors in one frame."""

SORTS: Final = ("mailbox", "busy", "memory", "restarts", "messages")

_WEIGHED_MAX: Final = 300  # actors whose memory is estimated for one frame, besides those that are shown
_HEAVIEST_MAX: Final = 1_000  # actors whose memory is remembered


@final
@dataclass(frozen=True, slots=True)
class LiveRow:
    """One actor of a frame.

    Attributes:
        row: what `ps()` shows of it.
        busy: the share of time that it was at work since the last frame, 0 to 1: CPU
            time and calls that block; sampled.
        memory: estimated bytes of its state.
    """

    row: ActorRow
    busy: float
    memory: int


@final
@dataclass(frozen=True, slots=True)
class Frame:
    """One screen.

    Attributes:
        time: UTC seconds.
        seconds: what it is about: the time since the last frame.
        cpu: CPU seconds of the whole process in a second.
        actors: how many live.
        waiting: messages in all mailboxes.
        counts: figures of the system by name, see `ActorSystem.statistics()`.
        rows: those with the most of what was wanted, the first one first.
    """

    time: float
    seconds: float
    cpu: float
    actors: int
    waiting: int
    counts: Mapping[str, int]
    rows: tuple[LiveRow, ...]


@final
class Live:
    """Makes one frame after the other, for one who watches.

    Args:
        inspector: of the actor system.

    Thread: one at a time.
    """

    def __init__(self, inspector: Inspector) -> None:
        self._inspector = inspector
        self._system = inspector.system
        self._began = self._system.clock.monotonic()
        self._cpu = process_seconds()
        self._sampler = Sampler(self._system)
        self._heaviest: dict[Cell, int] = {}  # estimates
        self._weighed_to = 0  # the number of the last actor whose memory was estimated

    def look(self) -> None:
        """Look who is at work; call this many times between two frames."""
        self._sampler.look()

    def frame(self, *, sort: str = "mailbox", limit: int = 50, match: str = "") -> Frame:
        """Return what was seen since the last frame, and begin the next one.

        Args:
            sort: those with the most come first: `"mailbox"`, `"busy"`, `"memory"`,
                `"restarts"` or `"messages"`.
            limit: actors in the frame, 1 to 500.
            match: only those in whose name or class this text is; case does not count.

        Raises:
            InvalidArgumentError: one of these is not allowed.
            InspectorBusyError: others are looking, and it takes too long.
        """
        if sort not in SORTS:
            raise InvalidArgumentError("sort", sort, f"one of {', '.join(SORTS)}")
        checked_count("limit", limit, FRAME_MAX)
        sampler, self._sampler = self._sampler, Sampler(self._system)
        busy = sampler.busy()
        with self._inspector.walk() as living:
            if sort == "memory":
                self._weigh(living)
            # Most mailboxes are empty, and asking each for its length would take most of the time.
            lengths = {ref.id: ref.mailbox_length for ref in living if ref._outer or ref._inner}  # noqa: SLF001 - see above
            restarts = self._inspector.restarts.counts()
            wanted = [ref for ref in living if matches(ref, match)] if match else living
            tables: dict[str, Callable[[ActorRef[Any]], float]] = {
                "busy": lambda ref: busy.get(ref, 0.0),
                "mailbox": lambda ref: lengths.get(ref.id, 0),
                "memory": self.memory,
                "messages": lambda ref: ref.messages_handled,
                "restarts": lambda ref: restarts.get(ref.id, 0),
            }
            most = tables[sort]
            if sort in ("busy", "mailbox", "memory", "restarts"):
                # Nearly all have nothing of it, and comparing them would take most of the time.
                some: dict[str, set[int]] = {
                    "busy": {ref.id for ref in busy},
                    "mailbox": set(lengths),
                    "memory": {ref.id for ref in self._heaviest},
                    "restarts": set(restarts),
                }
                wanted = _with_something(wanted, some[sort], limit)
            # Among equals those that are at work, then the oldest, as nlargest() leaves them.
            found = heapq.nlargest(limit, wanted, key=lambda ref: (most(ref), busy.get(ref, 0.0)))
            in_hand = self._inspector.in_hand()
            rows = tuple(self._row(row_of(ref, in_hand, restarts), ref, busy) for ref in found)
        clock, now, cpu = self._system.clock, self._system.clock.monotonic(), process_seconds()
        seconds, used = max(now - self._began, 1e-6), cpu - self._cpu
        self._began, self._cpu = now, cpu
        counts = self._system.statistics()
        return Frame(clock.time(), seconds, used / seconds, len(living), sum(lengths.values()), counts, rows)

    def memory(self, ref: Cell) -> int:
        """Return the memory that was last estimated, 0 if that was not done yet or was not much."""
        return self._heaviest.get(ref, 0)

    def _row(self, row: ActorRow, ref: ActorRef[Any], busy: Mapping[Cell, float]) -> LiveRow:
        memory = self._heaviest[ref] = weight_of(ref)
        return LiveRow(row, busy.get(ref, 0.0), memory)

    def _weigh(self, living: list[ActorRef[Any]]) -> None:
        """Estimate the memory of the next few hundred, and forget those that hold little."""
        # In order of start is in order of number; two that start at once may have changed places, which does no harm.
        first = bisect_right(living, self._weighed_to, key=_number)
        after = living[first : first + _WEIGHED_MAX]
        after += living[: _WEIGHED_MAX - len(after)]
        for ref in after:
            self._heaviest[ref] = weight_of(ref)
        self._weighed_to = after[-1].id if after else 0
        kept = heapq.nlargest(_HEAVIEST_MAX, self._heaviest.items(), key=lambda each: each[1])
        self._heaviest = {ref: size for ref, size in kept if ref.is_alive()}


_number = attrgetter("id")


def _with_something(refs: list[ActorRef[Any]], ids: set[int], least: int) -> list[ActorRef[Any]]:
    """Return those with these numbers, and as many others as it takes to have enough, the oldest ones."""
    found = [ref for ref in refs if ref.id in ids]
    if len(found) < least:
        found += islice((ref for ref in refs if ref.id not in ids), least - len(found))
    return found
