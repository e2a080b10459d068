"""Runs a workload under many seeds, or under all orders there are, and reports the first failure.

Only a failure that can be repeated is worth reporting: the report has the seed,
the command or the call that repeats it, and a shrunk recipe with its transcript.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from supervisors.errors import SupervisorsError
from supervisors.simulation.options import SimulationOptions
from supervisors.simulation.schedules import Exhaustive
from supervisors.simulation.shrinking import shrink
from supervisors.simulation.simulation import Simulation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from supervisors.simulation.schedules import Schedule
    from supervisors.simulation.verdict import Outcome, Recipe

__all__ = [
    "SimulationFailedError",
    "explore",
    "options_of",
    "run_seed",
    "run_twice",
    "shrunk",
    "simulate",
    "with_options",
]

NOT_REPEATABLE = "not repeatable"

TRANSCRIPT_LINES = 60
"""Lines of the transcript that a failure shows: the last ones."""


class SimulationFailedError(SupervisorsError, AssertionError):
    """A simulated run has failed.

    Attributes:
        outcome: the run as it was found.
        shrunk: the same failure with fewer faults and switches.
    """

    def __init__(
        self,
        workload: Callable[..., Any],
        outcome: Outcome,
        shrunk: Outcome,
        command: Callable[[int], str] | None = None,
    ) -> None:
        self.outcome = outcome
        self.shrunk = shrunk
        if command is None:
            where = f"{workload.__module__}:{workload.__qualname__}"
            again = f"python -m supervisors.simulation {where} --seed {outcome.seed}"
        else:
            again = command(outcome.seed)
        lines = shrunk.transcript.splitlines()
        shown = lines[-TRANSCRIPT_LINES:]
        left_out = len(lines) - len(shown)
        super().__init__(
            "\n".join(
                [
                    str(outcome),
                    f"  again: {again}",
                    f"     or: run_seed({workload.__name__}, {outcome.seed}, options)",
                    f"  shrunk to {len(shrunk.recipe.faults)} faults and {len(shrunk.recipe.deviations)} switches:",
                    f"         run_seed({workload.__name__}, {outcome.seed}, options, repeat={shrunk.recipe})",
                    *([f"  ({left_out} lines before)"] if left_out else []),
                    *shown,
                ]
            )
        )


def with_options(options: SimulationOptions) -> Callable[[Any], Any]:
    """Decorate a workload with the options that it is run with unless others are given."""

    def decorate(workload: Any) -> Any:
        workload.simulation_options = options
        return workload

    return decorate


def run_seed(
    workload: Callable[[Simulation], object],
    seed: int,
    options: SimulationOptions | None = None,
    *,
    repeat: Recipe | None = None,
    schedule: Schedule | None = None,
) -> Outcome:
    """Run a workload under one seed and return the outcome.

    Args:
        workload: gets the simulation.
        seed: any whole number.
        options: by default the workload's own (`with_options()`), or the defaults.
        repeat: the recipe of an outcome, to run it again.
        schedule: chooses who runs next, instead of what the options draw.
    """
    with Simulation(seed, options_of(workload, options), repeat=repeat, schedule=schedule) as simulation:
        return simulation.run(workload)


def run_twice(workload: Callable[[Simulation], object], seed: int, options: SimulationOptions | None = None) -> Outcome:
    """Run a seed twice; when the transcripts differ, that is the failure, with the first line that does.

    They differ when something comes from outside the simulation: the wall clock, a
    source of randomness of one's own, the order of a set, state that is left from
    the run before.
    """
    first, second = run_seed(workload, seed, options), run_seed(workload, seed, options)
    if first.transcript_hash == second.transcript_hash:
        return first
    lines = zip_longest(first.transcript.splitlines(), second.transcript.splitlines(), fillvalue="(the end)")
    what = "two runs of one seed differ"
    for one, other in lines:
        if one != other:
            what += f", first here:\n  {one}\n  {other}"
            break
    return replace(first, verdict="crash", by=NOT_REPEATABLE, what=what)


def simulate(
    workload: Callable[[Simulation], object],
    seeds: Iterable[int] = range(100),
    options: SimulationOptions | None = None,
    *,
    shrink_runs: int = 300,
    twice: bool = False,
    command: Callable[[int], str] | None = None,
) -> list[Outcome]:
    """Run a workload under many seeds and return the outcomes.

    Args:
        workload: gets the simulation.
        seeds: whole numbers.
        options: by default the workload's own (`with_options()`), or the defaults.
        shrink_runs: runs at most to make a failure small; 0: leave it as it is.
        twice: run each seed twice and demand the same transcript, see `run_twice()`.
        command: returns the command that runs a seed again, for the report; by default
            that of this module.

    Raises:
        SimulationFailedError: for the first seed that fails.
    """
    outcomes = []
    for seed in seeds:
        outcome = run_twice(workload, seed, options) if twice else run_seed(workload, seed, options)
        if outcome.by == NOT_REPEATABLE:
            raise SimulationFailedError(workload, outcome, outcome, command)
        if outcome.failed:
            small = shrunk(workload, outcome, options, runs_max=shrink_runs)
            raise SimulationFailedError(workload, outcome, small, command)
        outcomes.append(outcome)
    return outcomes


def explore(
    workload: Callable[[Simulation], object],
    options: SimulationOptions | None = None,
    *,
    depth: int = 20,
    runs_max: int = 10_000,
    seed: int = 0,
) -> tuple[int, bool]:
    """Run a small workload in all orders of its first choices, depth first.

    Args:
        workload: gets the simulation.
        options: their schedule is not used.
        depth: choices from the start that are varied.
        runs_max: runs at most.
        seed: decides everything but the order.

    Returns:
        How many runs there were, and whether these were all.

    Raises:
        SimulationFailedError: for the first order that fails.
    """
    schedule = Exhaustive(depth)
    while True:
        outcome = run_seed(workload, seed, options, schedule=schedule)
        if outcome.failed:
            raise SimulationFailedError(workload, outcome, shrunk(workload, outcome, options))
        more = schedule.next_run()
        if not more or schedule.runs >= runs_max:
            return schedule.runs, not more


def shrunk(
    workload: Callable[[Simulation], object],
    outcome: Outcome,
    options: SimulationOptions | None = None,
    *,
    runs_max: int = 300,
) -> Outcome:
    """Return the same failure with as few faults and switches as can be found in so many runs."""

    def fails(recipe: Recipe) -> bool:
        again = run_seed(workload, outcome.seed, options, repeat=recipe)
        return (again.verdict, again.by) == (outcome.verdict, outcome.by)

    small = shrink(outcome.recipe, fails, runs_max=runs_max)
    return run_seed(workload, outcome.seed, options, repeat=small)


def options_of(workload: Any, options: SimulationOptions | None) -> SimulationOptions:
    """Return the options given, or the workload's own, or the defaults."""
    if options is not None:
        return options
    own = getattr(workload, "simulation_options", None)
    return own if isinstance(own, SimulationOptions) else SimulationOptions()
