"""Makes a recorded failure small: the fewest faults and switches that still show it.

Delta debugging: leave parts of the recipe out, keep what still fails in the same
way, and go on with smaller parts until no single one can be left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from supervisors.simulation.verdict import Recipe

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["shrink"]


def shrink(recipe: Recipe, fails: Callable[[Recipe], bool], *, runs_max: int = 300) -> Recipe:
    """Return a small recipe that still fails.

    Args:
        recipe: one that fails.
        fails: tells whether a recipe fails in the same way.
        runs_max: calls of `fails` at most; when they are used up, the best so far is returned.
    """
    items: list[tuple[str, Any]] = [("fault", each) for each in recipe.faults]
    items += [("switch", each) for each in recipe.deviations]
    runs = 0

    def still_fails(candidate: list[tuple[str, Any]]) -> bool:
        nonlocal runs
        runs += 1
        return fails(_recipe(candidate))

    parts = 1
    while items and runs < runs_max:
        size = -(-len(items) // parts)
        for start in range(0, len(items), size):
            if runs >= runs_max:
                break
            candidate = items[:start] + items[start + size :]
            if still_fails(candidate):
                items = candidate
                parts = max(parts - 1, 1)
                break
        else:
            if size == 1:
                break
            parts = min(parts * 2, len(items))
    return _recipe(items)


def _recipe(items: list[tuple[str, Any]]) -> Recipe:
    return Recipe(
        deviations=tuple(each for kind, each in items if kind == "switch"),
        faults=tuple(each for kind, each in items if kind == "fault"),
    )
