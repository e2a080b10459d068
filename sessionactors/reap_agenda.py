"""Which sessions are looked at in which sweep: two places in a list for each session.

A sweep is a number, so a session belongs to the first sweep in which it could have to
go, and all that belong to one sweep share a list. With a million sessions an entry of
its own for each, with its moment, would be felt.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    from sessionactors.reap_jobs import Candidates
    from supervisors.runtime.ref import ActorRef

__all__ = ["ReapAgenda"]


@final
class ReapAgenda:
    """Sessions by the number of the sweep that looks at them next.

    Thread: the reaper's own turn.
    """

    __slots__ = ("_numbers", "_size", "_sweeps")

    def __init__(self) -> None:
        self._sweeps: dict[int, list[Any]] = {}  # id, ref, id, ref, ...
        self._numbers: list[int] = []  # heap; one entry a sweep
        self._size = 0

    def __len__(self) -> int:
        """Return how many entries there are."""
        return self._size

    @property
    def numbers(self) -> Sequence[int]:
        """The numbers of the sweeps that have anything to look at."""
        return self._numbers

    @property
    def first(self) -> int | None:
        """The number of the first sweep that has anything to look at."""
        return self._numbers[0] if self._numbers else None

    def enter(self, number: int, session_id: str, ref: ActorRef[Any]) -> None:
        """Have a session looked at in a sweep."""
        entries = self._sweeps.get(number)
        if entries is None:
            self._sweeps[number] = [session_id, ref]
            heapq.heappush(self._numbers, number)
        else:
            entries.append(session_id)
            entries.append(ref)
        self._size += 1

    def take(self, last: int) -> Candidates:
        """Take out what all sweeps up to this number are to look at, in order."""
        taken: Candidates = []
        while self._numbers and self._numbers[0] <= last:
            entries = self._sweeps.pop(heapq.heappop(self._numbers))
            taken += zip(entries[::2], entries[1::2], strict=True)
        self._size -= len(taken)
        return taken

    def renumbered(self, new: Callable[[int], int], live: Callable[[str], Any]) -> ReapAgenda:
        """Return another agenda, without those that have ended.

        Args:
            new: returns the new number of a sweep.
            live: returns who has an id now.
        """
        other = ReapAgenda()
        for number in sorted(self._numbers):
            entries = self._sweeps[number]
            target = new(number)
            for session_id, ref in zip(entries[::2], entries[1::2], strict=True):
                if live(session_id) is ref:
                    other.enter(target, session_id, ref)
        return other
