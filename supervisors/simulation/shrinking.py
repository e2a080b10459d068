"""Makes a recorded failure small: the fewest faults, parts and switches that still show it.

Delta debugging: leave some of it out, keep what still fails in the same way, and go on
with smaller pieces until no single one can be left out.

**Parts first.** A workload with fewer actors makes fewer choices and throws other dice, so what
was recorded of the larger one hardly ever fits: besides that, new luck is tried under the
same seed. What fails then brings a recording of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from supervisors.simulation.verdict import Part, Recipe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = ["LUCKS", "fewest_parts", "shrink"]

T = TypeVar("T")

LUCKS: Final = 8
"""How often other luck is tried for a workload without some of its parts."""


def fewest_parts(
    parts: Sequence[Part],
    recipe: Recipe,
    attempt: Callable[[Iterable[Part], int], Recipe | None],
    *,
    runs_max: int,
    lucks: Iterable[int] = range(1, LUCKS + 1),
) -> Recipe:
    """Return a recipe that fails in the same way, with as few parts as can be found.

    Args:
        parts: that took part in the run of the recipe, and may be left out.
        recipe: one that fails.
        attempt: runs the workload without some parts under some luck, from 1; returns
            the recording of a failure of the same kind, or None.
        runs_max: calls of `attempt` at most.
        lucks: that are tried for each smaller workload.
    """
    best = recipe
    runs = 0

    def fails_with(kept: list[Part]) -> bool:
        nonlocal best, runs
        without = recipe.left_out() + tuple(part for part in parts if part not in kept)
        for luck in lucks:
            if runs >= runs_max:
                return False
            runs += 1
            found = attempt(without, luck)
            if found is not None:
                best = found
                return True
        return False

    _fewest(list(parts), fails_with, lambda: runs < runs_max, pieces=2)
    return best


def shrink(
    recipe: Recipe, fails: Callable[[Recipe], bool], *, runs_max: int = 300, parts: Sequence[Part] = ()
) -> Recipe:
    """Return a small recipe that still fails.

    Args:
        recipe: one that fails.
        fails: tells whether a recipe fails in the same way.
        runs_max: calls of `fails` at most; when they are used up, the best so far is returned.
        parts: that took part in its run, and may be left out.
    """
    items: list[tuple[str, Any]] = [("part", each) for each in parts]
    items += [("fault", each) for each in recipe.faults]
    items += [("switch", each) for each in recipe.deviations]
    runs = 0

    def recipe_of(kept: list[tuple[str, Any]]) -> Recipe:
        left = set(kept)
        return Recipe.of(
            deviations=(each for each in recipe.deviations if ("switch", each) in left),
            faults=(each for each in recipe.faults if ("fault", each) in left),
            without=recipe.left_out() + tuple(each for each in parts if ("part", each) not in left),
        )

    def fails_with(kept: list[tuple[str, Any]]) -> bool:
        nonlocal runs
        runs += 1
        return fails(recipe_of(kept))

    return recipe_of(_fewest(items, fails_with, lambda: runs < runs_max))


def _fewest(
    items: list[T], fails_with: Callable[[list[T]], bool], may_go_on: Callable[[], bool], *, pieces: int = 1
) -> list[T]:
    """Return as few of the items as still fail, in their order."""
    while items and may_go_on():
        size = -(-len(items) // pieces)
        for start in range(0, len(items), size):
            if not may_go_on():
                break
            candidate = items[:start] + items[start + size :]
            if fails_with(candidate):
                items = candidate
                pieces = max(pieces - 1, 1)
                break
        else:
            if size == 1:
                break
            pieces = min(pieces * 2, len(items))
    return items
