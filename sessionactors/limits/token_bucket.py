"""The token bucket: a burst of `capacity`, then `rate` tokens a second.

The arithmetic is done in integers, so it is exact: in any stretch of time the
admitted cost is at most capacity + rate x time, to the last token, after any
number of operations. With floats each refill rounds, and who asks often enough
collects the rounding. Integers need no tolerance, cost about 0.1 us more than
floats here, and a Python integer of this size takes 36 bytes.

What is cut, and to what:

* time is rounded to whole nanoseconds (at most half of one),
* a rate is cut down to whole nanotokens a second, as the number is written in decimal,
* capacities are cut down and costs are rounded up to 10^-18 tokens.

So a unit is 10^-18 tokens: what a rate of one nanotoken a second produces in one
nanosecond. Everything behind these three steps is exact.

A bucket stores what is *missing* and since when, not what is there. A full bucket
then misses 0, and one that owes something misses more than its capacity. Time
that goes back neither refills nor takes away.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from math import inf
from typing import Final, TypeAlias

from sessionactors import bounds
from sessionactors.errors import InvalidKind, InvalidLimit, InvalidValue

__all__ = ["ADMITTED", "AMOUNT_MAX", "NEVER", "BucketLimits", "BucketUsage", "Decision", "TokenBucket", "check_both"]

Decision: TypeAlias = tuple[bool, float]
"""Whether the cost was admitted, and else the seconds to wait; infinite if it never can be."""

ADMITTED: Final[Decision] = (True, 0.0)
NEVER: Final[Decision] = (False, inf)

AMOUNT_MAX: Final = 10**15
"""The largest capacity, rate and cost."""

_UNITS: Final = 10**18
_RATE_MIN: Final = 1e-9
_COST: Final = f"a number above 0 up to {AMOUNT_MAX}"


@dataclass(frozen=True, slots=True)
class BucketLimits:
    """How much a bucket holds and how fast it fills; shared by all buckets that are alike.

    Attributes:
        capacity: tokens.
        rate: tokens per second, at least one nanotoken.
        full: the capacity in units.
        speed: the rate in units per nanosecond.
    """

    capacity: float = 1000.0
    rate: float = 10.0
    full: int = field(init=False, repr=False, compare=False)
    speed: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        bounds.number("capacity", self.capacity, most=AMOUNT_MAX, refuse=InvalidLimit)
        bounds.number("rate", self.rate, most=AMOUNT_MAX, refuse=InvalidLimit)
        if self.rate < _RATE_MIN:
            raise InvalidLimit("rate", self.rate, f"from {_RATE_MIN} to {AMOUNT_MAX} tokens per second")
        numerator, denominator = self.capacity.as_integer_ratio()
        full = numerator * _UNITS // denominator
        if not full:
            raise InvalidLimit("capacity", self.capacity, f"from 1e-18 to {AMOUNT_MAX} tokens")
        object.__setattr__(self, "full", full)
        # People write 0.29 and mean 0.29, not the float a little below it.
        object.__setattr__(self, "speed", int(Decimal(repr(self.rate)).scaleb(9)))


@dataclass(frozen=True, slots=True)
class BucketUsage:
    """What `get_usage` answers.

    Attributes:
        tokens_used: tokens missing, without the debt.
        tokens_remaining: tokens there, never below zero.
        capacity: tokens.
        utilization_pct: percent of the capacity that is missing, 0 to 100.
        debt: tokens owed on top of an empty bucket.
        rate: tokens per second.
        last_update: monotonic seconds of the last charge.
        window: seconds of the sliding window; None where none is counted.
        window_count: cost counted in the last window; None likewise.
    """

    tokens_used: float
    tokens_remaining: float
    capacity: float
    utilization_pct: float
    debt: float
    rate: float
    last_update: float
    window: float | None = None
    window_count: float | None = None


class TokenBucket:
    """The level of one bucket. A new one is full.

    Subclasses may add slots, so that a limiter's entry and its bucket are one object.

    Args:
        limits: capacity and rate.
        now: monotonic seconds.
        missing: tokens that are missing from the start, after a restart for instance.

    Attributes:
        limits: see above.
        units_missing: what was missing at the last change, in units of 10^-18 tokens.
        at: when that was, monotonic nanoseconds.
    """

    __slots__ = ("at", "limits", "units_missing")

    def __init__(self, limits: BucketLimits, now: float, missing: float = 0) -> None:
        self.limits = limits
        self.units_missing = _units(missing) if missing else 0
        self.at = int(now * 1e9 + 0.5)

    def check(self, cost: float, now: float) -> Decision:
        """Take the cost if it is there; else take nothing.

        Args:
            cost: tokens, above zero.
            now: monotonic seconds.

        Returns:
            `(True, 0.0)`, or `(False, wait)` with the seconds until the same
            check would succeed if nobody else took anything.

        Raises:
            InvalidKind, InvalidValue: the cost is no number above zero.
        """
        if type(cost) is not int or not 0 < cost <= AMOUNT_MAX:
            units = _units(cost)
        else:  # most costs are 1, and all buckets that miss nothing else share the number
            units = _UNITS if cost == 1 else cost * _UNITS
        limits = self.limits
        at = int(now * 1e9 + 0.5)
        elapsed = at - self.at
        wanted = self.units_missing
        if elapsed > 0:
            wanted -= elapsed * limits.speed
        wanted = wanted + units if wanted > 0 else units
        if wanted <= limits.full:
            self.units_missing = wanted
            if elapsed > 0:
                self.at = at
            return ADMITTED
        if units > limits.full:
            return NEVER
        wait = -((limits.full - wanted) // limits.speed)  # rounded up
        return (False, (wait if elapsed >= 0 else wait - elapsed) / 1e9)

    def wait_for(self, cost: float, now: float) -> float:
        """Return how many seconds `check` would ask to wait, without taking anything."""
        units = _units(cost)
        limits = self.limits
        if units > limits.full:
            return inf
        at = int(now * 1e9 + 0.5)
        short = self.units_missing_at(at) + units - limits.full
        if short <= 0:
            return 0.0
        return (-(-short // limits.speed) + max(0, self.at - at)) / 1e9

    def charge(self, cost: float, now: float) -> None:
        """Take a cost that has been incurred already, there or not; this may leave a debt."""
        units = _units(cost)
        at = int(now * 1e9 + 0.5)
        self.hold(self.units_missing_at(at) + units, at)

    def reset(self, now: float) -> None:
        """Fill the bucket, also out of debt."""
        self.hold(0, int(now * 1e9 + 0.5))

    def reconfigure(self, limits: BucketLimits, now: float) -> None:
        """Change capacity and rate without giving anything away.

        What is there is scaled with the capacity, so an empty bucket stays
        empty; a debt stays as large as it is.
        """
        at = int(now * 1e9 + 0.5)
        there = self.limits.full - self.units_missing_at(at)
        if there > 0:
            there = there * limits.full // self.limits.full
        self.hold(limits.full - there, at)
        self.limits = limits

    def is_full(self, now: float) -> bool:
        """Tell whether nothing is missing: then forgetting the bucket changes nothing."""
        return self.units_missing_at(int(now * 1e9 + 0.5)) == 0

    def missing(self, now: float) -> float:
        """Return the tokens that are missing; more than the capacity is a debt."""
        return self.units_missing_at(int(now * 1e9 + 0.5)) / _UNITS

    def level(self, now: float) -> float:
        """Return the tokens that are there; below zero is a debt."""
        return (self.limits.full - self.units_missing_at(int(now * 1e9 + 0.5))) / _UNITS

    def usage(self, now: float) -> BucketUsage:
        """Return the usage record as of a monotonic time; nothing is changed."""
        missing = self.units_missing_at(int(now * 1e9 + 0.5))
        full = self.limits.full
        used = min(missing, full)
        return BucketUsage(
            tokens_used=used / _UNITS,
            tokens_remaining=(full - used) / _UNITS,
            capacity=self.limits.capacity,
            utilization_pct=100 * used / full,
            debt=(missing - used) / _UNITS,
            rate=self.limits.rate,
            last_update=self.at / 1e9,
        )

    def units_missing_at(self, at: int) -> int:
        """Return what is missing at a time in nanoseconds, in units."""
        elapsed = at - self.at
        return max(0, self.units_missing - elapsed * self.limits.speed) if elapsed > 0 else self.units_missing

    def hold(self, units_missing: int, at: int) -> None:
        """Set what is missing at a time in nanoseconds, in units."""
        self.units_missing = units_missing
        self.at = max(self.at, at)  # the clock may have gone back, the bucket does not

    def __repr__(self) -> str:
        missing = self.units_missing / _UNITS
        return f"<TokenBucket {missing:g} of {self.limits.capacity:g} missing at {self.at / 1e9:.3f} s>"


def check_both(first: TokenBucket, second: TokenBucket, cost: float, now: float) -> Decision:
    """Take the cost from both buckets, or from neither.

    Returns:
        As `TokenBucket.check`; the wait is the longer one of the two.
    """
    wait = max(first.wait_for(cost, now), second.wait_for(cost, now))
    if wait:
        return (False, wait)
    first.charge(cost, now)
    second.charge(cost, now)
    return ADMITTED


def _units(cost: float) -> int:
    """Check a cost and write it in units, rounded up."""
    if type(cost) is int and 0 < cost <= AMOUNT_MAX:
        return cost * _UNITS
    try:
        numerator, denominator = _ratio(cost)
    except (InvalidKind, InvalidValue):
        raise
    except Exception:  # noqa: BLE001 - a number of a class of its own; who counts tokens must not crash of it
        raise InvalidKind("cost", cost, _COST) from None
    return -(-numerator * _UNITS // denominator)


def _ratio(cost: float) -> tuple[int, int]:
    if isinstance(cost, bool) or not isinstance(cost, (int, float)):
        raise InvalidKind("cost", cost, _COST)
    if not 0 < cost <= AMOUNT_MAX:  # NaN compares false as well
        raise InvalidValue("cost", cost, _COST)
    return cost.as_integer_ratio()
