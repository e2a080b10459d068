"""A count over the last `window` seconds, in bounded memory.

The window is cut into ten parts. A part is counted as long as any moment of it
may still lie inside the window, so the count is never too low: in *any* stretch
of `window` seconds, admitted cost is at most the limit. The price is that cost
leaves the count up to a tenth of a window late. The usual alternative, two
counters with interpolation, is smaller but admits up to twice the limit when
requests bunch around the border; a list of single requests grows with the limit.

Only parts in which something happened are stored, so an unused counter is one
empty tuple, and a busy one is eleven pairs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import Final, final

from sessionactors import bounds
from sessionactors.errors import InvalidKind, InvalidLimit, InvalidValue
from sessionactors.limits.token_bucket import ADMITTED, AMOUNT_MAX, Decision

__all__ = ["PARTS", "SlidingWindow", "WindowLimits"]

PARTS: Final = 10


@dataclass(frozen=True, slots=True)
class WindowLimits:
    """How long a window is and how much fits into it; shared by all counters that are alike.

    Attributes:
        window: seconds.
        limit: cost admitted in any window; None only counts.
        width: nanoseconds of one part, rounded up so that ten parts cover the window.
    """

    window: float = 60.0
    limit: int | None = None
    width: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        window = bounds.number("window", self.window, most=bounds.SECONDS_MAX, unit=" seconds", refuse=InvalidLimit)
        bounds.count_or_none("window_limit", self.limit, refuse=InvalidLimit)
        object.__setattr__(self, "width", -(-int(window * 1e9 + 0.5) // PARTS) or 1)


@final
class SlidingWindow:
    """What was counted in the last window. A new one has counted nothing.

    Whole costs are counted exactly, fractional ones with the precision of floats.
    """

    __slots__ = ("_parts", "limits")

    def __init__(self, limits: WindowLimits) -> None:
        self.limits = limits
        self._parts: tuple[float, ...] = ()  # number of a part, its count, oldest first

    def check(self, cost: float, now: float) -> Decision:
        """Count the cost if it fits; else count nothing.

        Args:
            cost: above zero.
            now: monotonic seconds; time that goes back counts for the newest part.

        Returns:
            `(True, 0.0)`, or `(False, wait)` with the seconds until it would fit
            if nothing else were counted.

        Raises:
            InvalidKind, InvalidValue: the cost is no number above zero.
        """
        _check_cost(cost)
        limits = self.limits
        number = int(now * 1e9 + 0.5) // limits.width
        parts = self._recent(number)
        if limits.limit is not None and sum(parts[1::2]) + cost > limits.limit:
            return (False, self.wait_for(cost, now))
        self._parts = _added(parts, number, cost)
        return ADMITTED

    def record(self, cost: float, now: float) -> None:
        """Count a cost that has been incurred already, whether it fits or not."""
        _check_cost(cost)
        number = int(now * 1e9 + 0.5) // self.limits.width
        self._parts = _added(self._recent(number), number, cost)

    def wait_for(self, cost: float, now: float) -> float:
        """Return how many seconds `check` would ask to wait, without counting anything."""
        _check_cost(cost)
        limit = self.limits.limit
        if limit is None:
            return 0.0
        if cost > limit:
            return inf
        width = self.limits.width
        at = int(now * 1e9 + 0.5)
        parts = self._recent(at // width)
        leaves = at
        for first in range(0, len(parts), 2):
            if sum(parts[first + 1 :: 2]) + cost <= limit:
                break
            leaves = (int(parts[first]) + PARTS + 1) * width
        return (leaves - at) / 1e9

    def count(self, now: float) -> float:
        """Return what is counted for the window that ends now."""
        return sum(self._recent(int(now * 1e9 + 0.5) // self.limits.width)[1::2])

    def is_empty(self, now: float) -> bool:
        """Tell whether nothing is counted: then forgetting the counter changes nothing."""
        return not self._recent(int(now * 1e9 + 0.5) // self.limits.width)

    def changed(self, limits: WindowLimits, now: float) -> SlidingWindow:
        """Return a counter with other limits that has counted the same.

        When the length differs, what counts now is counted as of now: a change of
        the window must not let anybody forget early.
        """
        changed = SlidingWindow(limits)
        if limits.width == self.limits.width:
            changed._parts = self._parts
        else:
            count = self.count(now)
            changed._parts = (int(now * 1e9 + 0.5) // limits.width, count) if count else ()
        return changed

    def _recent(self, number: int) -> tuple[float, ...]:
        """Return the parts that still count while a part is the current one."""
        parts = self._parts
        oldest = number - PARTS
        first = 0
        while first < len(parts) and parts[first] < oldest:
            first += 2
        return parts[first:] if first else parts

    def __repr__(self) -> str:
        limit = "no limit" if self.limits.limit is None else f"limit {self.limits.limit}"
        return f"<SlidingWindow of {self.limits.window:g} s, {limit}, {len(self._parts) // 2} parts>"


def _added(parts: tuple[float, ...], number: int, cost: float) -> tuple[float, ...]:
    if parts and parts[-2] >= number:
        return (*parts[:-1], parts[-1] + cost)
    return (*parts, number, cost)


def _check_cost(cost: float) -> None:
    if type(cost) is int and 0 < cost <= AMOUNT_MAX:
        return
    allowed = f"a number above 0 up to {AMOUNT_MAX}"
    if isinstance(cost, bool) or not isinstance(cost, (int, float)):
        raise InvalidKind("cost", cost, allowed)
    if not 0 < cost <= AMOUNT_MAX:
        raise InvalidValue("cost", cost, allowed)
