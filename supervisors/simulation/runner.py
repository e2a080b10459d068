"""Runs a workload under many seeds, or under all orders there are, and reports the first failure.

Only a failure that can be repeated is worth reporting: the report has the seed,
the command or the call that repeats it, and a shrunk recipe with its transcript.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final

from supervisors.errors import SupervisorsError
from supervisors.simulation.options import SimulationOptions
from supervisors.simulation.schedules import Exhaustive
from supervisors.simulation.shrinking import LUCKS, fewest_parts, shrink
from supervisors.simulation.simulation import CLIENT, Simulation
from supervisors.simulation.verdict import Recipe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from supervisors.simulation.schedules import Schedule
    from supervisors.simulation.verdict import Outcome, Part

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

STEPS_MAX: Final = 10_000_000
"""Steps that are spent on making one failure small, about."""

TRANSCRIPT_LINES = 60
"""Lines of the transcript that a failure shows: the last ones."""


class SimulationFailedError(SupervisorsError, AssertionError):
    """A simulated run has failed.

    Attributes:
        outcome: the run as it was found.
        shrunk: the same failure with fewer parts, faults and switches.
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
                    f"  shrunk to {_told(shrunk.recipe)}:",
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
    without: Iterable[Part] = (),
    luck: int = 0,
) -> Outcome:
    """Run a workload under one seed and return the outcome.

    Args:
        workload: gets the simulation.
        seed: any whole number.
        options: by default the workload's own (`with_options()`), or the defaults.
        repeat: the recipe of an outcome, to run it again.
        schedule: chooses who runs next, instead of what the options draw.
        without: parts of the workload that are left out, see `Simulation.parts()`.
        luck: another number draws another order and other faults for the same workload.
    """
    with Simulation(
        seed, options_of(workload, options), repeat=repeat, schedule=schedule, without=without, luck=luck
    ) as simulation:
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
    shrink_runs: int = 500,
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
    runs_max: int = 500,
) -> Outcome:
    """Return the same failure with as few parts, faults and switches as can be found.

    Args:
        workload: that has failed.
        outcome: how.
        options: that it was run with.
        runs_max: runs at most. Long ones are made less often, so that a failure of a million
            steps is told within minutes.

    **Fair to the workload.** A part is left out only where the workload is well without it in
    the plain order and without faults. So no failure is taken for the one that was
    found only because somebody has not come. Where it is not well with all of them either,
    nothing can be told of clients, and only what `Simulation.parts()` has named is left out.
    """
    runs_max = min(runs_max, STEPS_MAX // max(outcome.steps, 1))
    runs_left = runs_max
    smallest = outcome
    well: dict[Recipe, bool] = {}

    def is_well_without(parts: Iterable[Part]) -> bool:
        nonlocal runs_left
        plain = Recipe.of((), (), parts)
        if plain not in well:
            runs_left -= 1
            well[plain] = not run_seed(workload, outcome.seed, options, repeat=plain).failed
        return well[plain]

    def fails(again: Outcome) -> bool:
        nonlocal runs_left
        runs_left -= 1
        if (again.verdict, again.by) != (outcome.verdict, outcome.by):
            return False
        without = again.recipe.left_out()
        return not without or not can_tell or is_well_without(without)

    def attempt(without: Iterable[Part], luck: int) -> Recipe | None:
        nonlocal smallest
        again = run_seed(workload, outcome.seed, options, without=without, luck=luck)
        if not fails(again):
            return None
        smallest = again
        return again.recipe

    def still_fails(recipe: Recipe) -> bool:
        return fails(run_seed(workload, outcome.seed, options, repeat=recipe))

    can_tell = bool(outcome.parts) and runs_max > 0 and is_well_without(())
    small = outcome.recipe
    for first in range(1, 3 * LUCKS, LUCKS):
        before = smallest
        for is_client in (False, True) if can_tell else (False,):
            some = [part for part in smallest.parts if (part[0] == CLIENT) is is_client]
            lucks = range(first, first + LUCKS)
            small = fewest_parts(some, small, attempt, runs_max=min(runs_max // 4, runs_left), lucks=lucks)
        if smallest is before and first > 1:
            break  # nothing has changed since it was shrunk
        parts = [part for part in smallest.parts if can_tell or part[0] != CLIENT]
        small = shrink(small, still_fails, runs_max=max(runs_left, 0), parts=parts)
        smallest = replace(smallest, parts=tuple(part for part in smallest.parts if part not in small.left_out()))
    again = run_seed(workload, outcome.seed, options, repeat=small)
    # One that does not repeat depends on something outside; then it is shown as it was found.
    return again if (again.verdict, again.by) == (outcome.verdict, outcome.by) else outcome


def _told(recipe: Recipe) -> str:
    """Say how much is in a recipe, and what it leaves out."""
    told = f"{len(recipe.faults)} faults and {len(recipe.deviations)} switches"
    counts = Counter(name for name, _ in recipe.left_out())
    without = ", ".join(f"{count} of the {name}" for name, count in counts.items())
    return f"{told}, without {without}" if without else told


def options_of(workload: Any, options: SimulationOptions | None) -> SimulationOptions:
    """Return the options given, or the workload's own, or the defaults."""
    if options is not None:
        return options
    own = getattr(workload, "simulation_options", None)
    return own if isinstance(own, SimulationOptions) else SimulationOptions()
