from __future__ import annotations

from supervisors.simulation import Recipe
from supervisors.simulation.shrinking import shrink

LONG = Recipe(
    deviations=tuple((number, 1 + number % 3) for number in range(40)),
    faults=tuple(("kill", number) for number in range(1, 10)),
)


def test_what_is_not_needed_is_left_out():
    def fails(recipe):
        return {(7, 2), (31, 2)} <= set(recipe.deviations) and ("kill", 4) in recipe.faults

    assert shrink(LONG, fails) == Recipe(((7, 2), (31, 2)), (("kill", 4),))


def test_a_failure_that_needs_nothing_shrinks_to_nothing():
    assert shrink(LONG, lambda recipe: True) == Recipe()


def test_a_failure_that_needs_everything_stays():
    assert shrink(LONG, lambda recipe: recipe == LONG) == LONG


def test_the_runs_are_bounded_and_the_best_so_far_is_kept():
    runs = []

    def fails(recipe):
        runs.append(recipe)
        return (7, 2) in recipe.deviations

    small = shrink(LONG, fails, runs_max=5)
    assert len(runs) == 5
    assert (7, 2) in small.deviations
    assert len(small) < len(LONG)


def test_without_runs_nothing_changes():
    assert shrink(LONG, lambda recipe: True, runs_max=0) == LONG
