from __future__ import annotations

from supervisors.simulation import Recipe
from supervisors.simulation.shrinking import fewest_parts, shrink

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


PARTS = tuple(("users", place) for place in range(6))


def test_parts_that_are_not_needed_are_left_out_with_the_rest():
    def fails(recipe):
        return ("users", 4) not in recipe.left_out() and (7, 2) in recipe.deviations

    assert shrink(LONG, fails, parts=PARTS) == Recipe(((7, 2),), (), (("users", "0-3, 5"),))


def test_what_is_left_out_already_stays_so():
    left_out = Recipe(without=(("rounds", "3"),))
    assert shrink(left_out, lambda recipe: True, parts=PARTS).without == (("rounds", "3"), ("users", "0-5"))


def test_a_smaller_workload_is_tried_under_other_luck_and_brings_its_own_recording():
    def attempt(without, luck):
        # What was recorded fits no other workload; the third luck finds the failure again.
        return None if luck < 3 or ("users", 2) in without else Recipe.of(((luck, 1),), (), without)

    assert fewest_parts(PARTS, LONG, attempt, runs_max=200) == Recipe(((3, 1),), (), (("users", "0-1, 3-5"),))


def test_the_attempts_at_smaller_workloads_are_bounded():
    attempts = []
    assert fewest_parts(PARTS, LONG, lambda without, luck: attempts.append(luck), runs_max=10) == LONG
    assert len(attempts) == 10


def test_what_a_recipe_leaves_out_is_told_in_runs():
    parts = (("users", 0), ("users", 2), ("users", 3), ("rounds", 9), ("users", 1))
    recipe = Recipe.of((), (), parts)
    assert recipe.without == (("users", "0-3"), ("rounds", "9"))
    assert sorted(recipe.left_out()) == sorted(parts)
