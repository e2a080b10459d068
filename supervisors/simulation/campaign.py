"""Runs seeds for as long as a budget lasts, and counts: virtual days, faults by kind, steps.

A campaign that finds a failure ends there, with its seed; see `simulate()`.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, final

from supervisors.clock import SystemClock
from supervisors.simulation.runner import simulate
from supervisors.timers.service import checked_delay

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisors.simulation.simulation import Simulation
    from supervisors.simulation.verdict import Outcome

__all__ = ["Campaign", "campaign"]

DAY = 86_400.0


@final
@dataclass(frozen=True, slots=True)
class Campaign:
    """What many runs have done.

    Attributes:
        runs: how many seeds.
        steps: of all together.
        virtual_seconds: of all together.
        seconds: real ones.
        faults: how often each kind has fired, most often first.
        hash: over the transcript hashes of all runs, in order: what two processes must agree on.
    """

    runs: int
    steps: int
    virtual_seconds: float
    seconds: float
    faults: tuple[tuple[str, int], ...]
    hash: str

    def __str__(self) -> str:
        total = sum(fired for _, fired in self.faults)
        lines = [
            (
                f"{self.runs} seeds, {self.steps} steps, {total} faults of {len(self.faults)} kinds, "
                f"{self.virtual_seconds / DAY:.1f} virtual days in {self.seconds:.0f} s: all well"
            ),
            f"transcripts {self.hash}",
        ]
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

    Args:
        *workloads: each gets the simulation; their own options count.
        first: the first seed.
        runs: how many seeds at most; None: as many as the budget allows.
        budget: real seconds, after which no further seed begins; None: without end.
        twice: run each seed twice and demand the same transcript.

    Raises:
        SimulationFailedError: for the first seed that fails.
    """
    clock = SystemClock()
    begun = clock.monotonic()
    limit = None if budget is None else checked_delay("budget", budget)
    digest = hashlib.sha256()
    faults: Counter[str] = Counter()
    done = steps = 0
    virtual = 0.0
    for seed in count(first):
        over = limit is not None and clock.monotonic() - begun >= limit
        if over or (runs is not None and done >= runs):
            break
        for workload in workloads:
            outcome: Outcome = simulate(workload, [seed], twice=twice)[0]
            digest.update(outcome.transcript_hash.encode())
            faults.update(kind for kind, _ in outcome.recipe.faults)
            steps += outcome.steps
            virtual += outcome.virtual_seconds
        done += 1
    by_kind = tuple(sorted(faults.items(), key=lambda each: (-each[1], each[0])))
    return Campaign(done, steps, virtual, clock.monotonic() - begun, by_kind, digest.hexdigest())
