"""Runs seeds for as long as a budget lasts, and counts: virtual days, faults by kind, steps.

A campaign that finds a failure ends there, with its seed; see `simulate()`.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from supervisors.clock import SystemClock
from supervisors.errors import InvalidArgumentError
from supervisors.simulation.runner import simulate
from supervisors.timers.service import checked_delay

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisors.simulation.simulation import Simulation
    from supervisors.simulation.verdict import Outcome

__all__ = ["Campaign", "Share", "campaign"]

DAY = 86_400.0


@final
@dataclass(frozen=True, slots=True)
class Share:
    """What one workload has had of a campaign.

    Attributes:
        workload: its name.
        runs: how many seeds.
        steps: of all together.
        virtual_seconds: of all together.
        faults: how often each kind has fired, most often first.
    """

    workload: str
    runs: int
    steps: int
    virtual_seconds: float
    faults: tuple[tuple[str, int], ...]

    def __str__(self) -> str:
        return _told(self.runs, self.steps, self.faults, self.virtual_seconds)


@final
@dataclass(frozen=True, slots=True)
class Campaign:
    """What many runs have done.

    Attributes:
        runs: how many seeds; with several workloads, those of the one that had most.
        steps: of all together.
        virtual_seconds: of all together.
        seconds: real ones.
        faults: how often each kind has fired, most often first.
        hash: over the transcript hashes of all runs, in order: what two processes must agree on.
        shares: what each workload has had, in the order in which they were given.
    """

    runs: int
    steps: int
    virtual_seconds: float
    seconds: float
    faults: tuple[tuple[str, int], ...]
    hash: str
    shares: tuple[Share, ...] = ()

    def __str__(self) -> str:
        told = _told(self.runs, self.steps, self.faults, self.virtual_seconds)
        lines = [f"{told} in {self.seconds:.0f} s: all well", f"transcripts {self.hash}"]
        if len(self.shares) > 1:
            lines += [f"  {share.workload}: {share}" for share in self.shares]
        lines += [f"  {kind:<20} {fired:>8}" for kind, fired in self.faults]
        return "\n".join(lines)


def campaign(
    *workloads: Callable[[Simulation], object],
    first: int = 0,
    runs: int | None = None,
    budget: float | None = None,
    twice: bool = False,
) -> Campaign:
    """Run one seed after the other, each under every workload.

    With nothing but a budget, each workload has the same share of the time instead, whatever
    one of its runs takes; so the slow ones do not starve the others, and a slow machine
    runs fewer seeds.

    Args:
        *workloads: each gets the simulation; their own options count.
        first: the first seed.
        runs: how many seeds at most; None: as many as the budget allows.
        budget: real seconds, after which no further run begins; None: without end.
        twice: run each seed twice and demand the same transcript.

    Raises:
        InvalidArgumentError: there is no workload, or a number makes no sense.
        SimulationFailedError: for the first seed that fails.
    """
    if not workloads:
        raise InvalidArgumentError("workloads", "nothing", "at least one function of a Simulation")
    clock = SystemClock()
    begun = clock.monotonic()
    limit = None if budget is None else checked_delay("budget", budget)
    digest = hashlib.sha256()
    tallies = [_Tally(workload) for workload in workloads]
    while limit is None or clock.monotonic() - begun < limit:
        if runs is None:
            tally = min(tallies, key=lambda each: each.seconds)
        else:
            tally = min(tallies, key=lambda each: each.runs)
            if tally.runs >= runs:
                break
        began = clock.monotonic()
        outcome: Outcome = simulate(tally.workload, [first + tally.runs], twice=twice)[0]
        digest.update(outcome.transcript_hash.encode())
        tally.add(outcome, clock.monotonic() - began)
    shares = tuple(tally.share() for tally in tallies)
    faults: Counter[str] = Counter()
    for share in shares:
        faults.update(dict(share.faults))
    return Campaign(
        max(share.runs for share in shares),
        sum(share.steps for share in shares),
        sum(share.virtual_seconds for share in shares),
        clock.monotonic() - begun,
        _by_number(faults),
        digest.hexdigest(),
        shares,
    )


class _Tally:
    """Counts the runs of one workload."""

    def __init__(self, workload: Callable[[Simulation], object]) -> None:
        self.workload = workload
        self.runs = self.steps = 0
        self.seconds = self.virtual_seconds = 0.0
        self.faults: Counter[str] = Counter()

    def add(self, outcome: Outcome, seconds: float) -> None:
        self.runs += 1
        self.seconds += seconds
        self.steps += outcome.steps
        self.virtual_seconds += outcome.virtual_seconds
        self.faults.update(kind for kind, _ in outcome.recipe.faults)

    def share(self) -> Share:
        name = getattr(self.workload, "__qualname__", repr(self.workload))
        return Share(name, self.runs, self.steps, self.virtual_seconds, _by_number(self.faults))


def _by_number(faults: Counter[str]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(faults.items(), key=lambda each: (-each[1], each[0])))


def _told(runs: int, steps: int, faults: tuple[tuple[str, int], ...], virtual_seconds: float) -> str:
    total = sum(fired for _, fired in faults)
    days = virtual_seconds / DAY
    return f"{runs} seeds, {steps} steps, {total} faults of {len(faults)} kinds, {days:.1f} virtual days"
