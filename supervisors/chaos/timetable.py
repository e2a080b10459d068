"""When which fault is to happen: drawn from the seed once, before anything happens. Pure.

The same plan and seed give the same moments and the same luck. Whom the luck hits, and
what runs just then, a live system decides.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from heapq import merge
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from supervisors.chaos.plan import Fault, Plan
    from supervisors.entropy import Entropy

__all__ = ["Occasion", "timetable"]


@final
@dataclass(frozen=True, slots=True)
class Occasion:
    """A fault that is to happen.

    Attributes:
        at: seconds after the beginning.
        number: of the fault in the plan, from 0.
        fault: what is to happen.
        whom: number from 0 to below 1 that chooses among those whom it may hit.
        seconds: how long it takes.
    """

    at: float
    number: int
    fault: Fault
    whom: float
    seconds: float


def timetable(plan: Plan, entropy: Entropy) -> tuple[Occasion, ...]:
    """Return what is to happen, in order; no more than the budget allows.

    Args:
        plan: what it is drawn for.
        entropy: each fault of the plan has a stream of its own in it, so that one more fault
            does not change another one's luck.
    """
    streams = [_occasions(plan, number, fault, entropy) for number, fault in enumerate(plan.faults)]
    drawn: list[Occasion] = []
    for occasion in merge(*streams, key=lambda each: (each.at, each.number)):
        if occasion.at >= plan.budget.seconds or len(drawn) >= plan.budget.faults:
            break
        drawn.append(occasion)
    return tuple(drawn)


def _occasions(plan: Plan, number: int, fault: Fault, entropy: Entropy) -> Iterator[Occasion]:
    random = entropy.stream(f"chaos {number} {fault.kind}").random
    moments = iter(fault.at) if fault.rate is None else _at_rate(fault.rate, random)
    for index, moment in enumerate(moments):
        if moment >= plan.budget.seconds or (fault.count is not None and index >= fault.count):
            return
        whom, length = random(), random()
        seconds = length * fault.seconds_max if fault.seconds is None else fault.seconds
        yield Occasion(moment, number, fault, whom, seconds)


def _at_rate(rate: float, random: object) -> Iterator[float]:
    assert callable(random)
    moment = 0.0
    while True:
        # 1 - x is never 0; gaps drawn so are those of events that know nothing of each other.
        moment -= math.log(1.0 - random()) / rate
        yield moment
