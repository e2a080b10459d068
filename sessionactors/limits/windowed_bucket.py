"""A token bucket with a sliding window beside it: both must admit, or neither takes.

Only buckets whose quota asks for a window are of this class, so all others pay
nothing for it.
"""

from __future__ import annotations

from typing import final

from sessionactors.limits.sliding_window import SlidingWindow, WindowLimits
from sessionactors.limits.token_bucket import ADMITTED, BucketLimits, BucketUsage, Decision, TokenBucket

__all__ = ["WindowedBucket"]


@final
class WindowedBucket(TokenBucket):
    """A bucket that also counts over a window, and refuses beyond the window's limit if there is one.

    Args:
        limits: capacity and rate.
        window: length of the window, and how much fits into it.
        now: monotonic seconds.

    Attributes:
        window: what has been counted.
    """

    __slots__ = ("window",)

    def __init__(self, limits: BucketLimits, window: WindowLimits, now: float) -> None:
        super().__init__(limits, now)
        self.window = SlidingWindow(window)

    def check(self, cost: float, now: float) -> Decision:
        """Take the cost if tokens and window have room for it; else take nothing."""
        wait = self.wait_for(cost, now)
        if wait:
            return (False, wait)
        self.charge(cost, now)
        return ADMITTED

    def wait_for(self, cost: float, now: float) -> float:
        """Return the longer one of the two waits, without taking anything."""
        return max(super().wait_for(cost, now), self.window.wait_for(cost, now))

    def charge(self, cost: float, now: float) -> None:
        """Take tokens and count in the window, whether there is room or not."""
        super().charge(cost, now)
        self.window.record(cost, now)

    def reset(self, now: float) -> None:
        """Fill the bucket, and count nothing any more."""
        super().reset(now)
        self.window = SlidingWindow(self.window.limits)

    def is_full(self, now: float) -> bool:
        """Tell whether no token is missing and nothing is counted."""
        return super().is_full(now) and self.window.is_empty(now)

    def usage(self, now: float) -> BucketUsage:
        """Return the usage record with the window's count in it."""
        plain = super().usage(now)
        return BucketUsage(
            plain.tokens_used,
            plain.tokens_remaining,
            plain.capacity,
            plain.utilization_pct,
            plain.debt,
            plain.rate,
            plain.last_update,
            self.window.limits.window,
            self.window.count(now),
        )
