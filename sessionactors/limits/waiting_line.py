"""Requests that wait their turn: four classes of priority, first come first served in each.

Ageing: an entry's place is the moment of its arrival plus so many seconds for
each class below the first. So a low request that has waited longer than the
classes between are worth goes before a critical one that comes now, and nobody
is overtaken by anybody who arrives more than `3 * age_after` seconds later.
A place never changes, so a heap keeps the order.

Entries leave in any order (served, late, withdrawn). One that has left is only
marked; the two heaps are made anew when more than half of what they hold has left.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from math import inf
from typing import Any, Final, final

from sessionactors import bounds

__all__ = ["PRIORITIES", "Request", "Waiting", "WaitingLine"]

PRIORITIES: Final = ("critical", "high", "normal", "low")
"""The classes, most urgent first."""

_LEFT_MIN: Final = 64


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """What somebody wants and how long they wait for it; also what it can be withdrawn by.

    Attributes:
        quota_type: which of the session's buckets.
        cost: tokens; the bucket checks it.
        priority: one of `PRIORITIES`.
        deadline: seconds to wait at most; None is the limiter's `delay_max`.
    """

    quota_type: str = "requests"
    cost: float = 1
    priority: str = "normal"
    deadline: float | None = None

    def __post_init__(self) -> None:
        bounds.text("type", self.quota_type)
        bounds.choice("priority", self.priority, PRIORITIES)
        if self.deadline is not None:
            bounds.seconds("deadline", self.deadline)


@final
class Waiting:
    """One request that waits.

    Attributes:
        request: what it wants.
        since: monotonic seconds of its arrival.
        deadline: monotonic seconds after which it is given up.
        reply: who is to be told.
        has_left: it waits no more.
    """

    __slots__ = ("deadline", "has_left", "reply", "request", "since")

    def __init__(self, request: Request, since: float, deadline: float, reply: Any) -> None:
        self.request = request
        self.since = since
        self.deadline = deadline
        self.reply = reply
        self.has_left = False


@final
class WaitingLine:
    """Everybody who waits for the same bucket.

    Args:
        age_after: seconds of waiting that outweigh one class of priority.

    Attributes:
        is_pressed: back-pressure has been signalled and not been cleared.
        has_overflowed: somebody was turned away since the line was last empty.
    """

    __slots__ = ("_age_after", "_by_deadline", "_by_place", "_entered", "_live", "has_overflowed", "is_pressed")

    def __init__(self, age_after: float) -> None:
        self._age_after = age_after
        self._by_place: list[tuple[float, int, Waiting]] = []
        self._by_deadline: list[tuple[float, int, Waiting]] = []
        self._entered = 0
        self._live = 0
        self.is_pressed = False
        self.has_overflowed = False

    def add(self, waiting: Waiting) -> None:
        """Let somebody wait."""
        self._entered += 1
        place = waiting.since + PRIORITIES.index(waiting.request.priority) * self._age_after
        heapq.heappush(self._by_place, (place, self._entered, waiting))
        heapq.heappush(self._by_deadline, (waiting.deadline, self._entered, waiting))
        self._live += 1

    def first(self) -> Waiting | None:
        """Return whose turn it is, or None when nobody waits."""
        places = self._by_place
        while places and places[0][2].has_left:
            heapq.heappop(places)
        return places[0][2] if places else None

    def remove(self, waiting: Waiting) -> None:
        """Let an entry leave; nothing happens when it has left already."""
        if waiting.has_left:
            return
        waiting.has_left = True
        self._live -= 1
        if len(self._by_place) + len(self._by_deadline) > 4 * self._live + _LEFT_MIN:
            self._by_place = [each for each in self._by_place if not each[2].has_left]
            self._by_deadline = [each for each in self._by_deadline if not each[2].has_left]
            heapq.heapify(self._by_place)
            heapq.heapify(self._by_deadline)

    def late(self, now: float) -> list[Waiting]:
        """Take out whoever's deadline has passed, the earliest one first."""
        gone = []
        while self.next_deadline() < now:
            waiting = self._by_deadline[0][2]
            self.remove(waiting)
            gone.append(waiting)
        return gone

    def next_deadline(self) -> float:
        """Return the earliest deadline, infinite when nobody waits."""
        deadlines = self._by_deadline
        while deadlines and deadlines[0][2].has_left:
            heapq.heappop(deadlines)
        return deadlines[0][0] if deadlines else inf

    def find(self, request: Request) -> Waiting | None:
        """Return the entry of this very request, or None."""
        return next((each for each in self if each.request is request), None)

    def __iter__(self) -> Iterator[Waiting]:
        """Go through those who wait, in the order of their turns."""
        return iter([each for _, _, each in sorted(self._by_place, key=_place) if not each.has_left])

    def __len__(self) -> int:
        """Return how many wait."""
        return self._live

    def __repr__(self) -> str:
        return f"<WaitingLine of {self._live}>"


def _place(entry: tuple[float, int, Waiting]) -> tuple[float, int]:
    return entry[:2]
