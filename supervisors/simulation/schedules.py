"""Who runs next: ways to choose among the units that are ready.

A unit is a mailbox with something in it, a turn that has waited and can go on, or
time itself when something is due. Choice 0 is the unit that has been ready for
longest, so a list of zeros is the plain order, and every other number is a
deviation from it. A run is repeated by its deviations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol, final

from supervisors.errors import InvalidArgumentError, InvalidTypeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Exhaustive", "Pct", "RandomOrder", "Replay", "RoundRobin", "Schedule"]

PATIENCE: Final = 1000
"""Choices in a row that one unit may win while others wait, under `Pct`: it is not a fair schedule."""


class Schedule(Protocol):
    """Chooses among units that are ready."""

    def choose(self, ready: Sequence[Any]) -> int:
        """Return the index of the unit that runs; called with two or more, oldest first.

        Each unit has an `id`: an actor's number, 0 for the program outside, -1 for time.
        """
        ...


@final
class RandomOrder:
    """Every unit has the same chance.

    Args:
        random: draws a number from 0 to below 1, such as a stream's `random`.
    """

    __slots__ = ("_random",)

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random

    def choose(self, ready: Sequence[Any]) -> int:
        """Choose one of them, each with the same chance."""
        return int(self._random() * len(ready))


@final
class RoundRobin:
    """Units take turns by their numbers."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last = -1

    def choose(self, ready: Sequence[Any]) -> int:
        """Choose the next one by number, and begin anew after the last."""
        last = self._last
        later = [(unit.id, index) for index, unit in enumerate(ready) if unit.id > last]
        number, index = min(later or [(unit.id, index) for index, unit in enumerate(ready)])
        self._last = number
        return index


@final
class Pct:
    """Random priorities that change at few random moments (probabilistic concurrency testing).

    A bug that needs `depth` ordering decisions to go wrong is found with a chance of
    at least 1 / (units * steps ** (depth - 1)) a run, whatever the rest looks like.

    Args:
        random: draws a number from 0 to below 1, such as a stream's `random`.
        depth: ordering decisions, 1 to 100.
        steps: choices among which the moments are drawn; about the length of a run.
    """

    __slots__ = ("_changes", "_in_a_row", "_last", "_lowest", "_priorities", "_random", "_step")

    def __init__(self, random: Callable[[], float], depth: int = 3, steps: int = 1000) -> None:
        _check_count("depth", depth, 100)
        _check_count("steps", steps, 1 << 40)
        self._random = random
        self._changes = {int(self._random() * steps) + 1 for _ in range(depth - 1)}
        self._priorities: dict[int, float] = {}
        self._lowest = 0.0
        self._step = 0
        self._last: object = None
        self._in_a_row = 0

    def choose(self, ready: Sequence[Any]) -> int:
        """Choose the one with the highest priority."""
        self._step += 1
        best = self._best(ready)
        self._in_a_row = self._in_a_row + 1 if ready[best].id == self._last else 0
        if self._step in self._changes or self._in_a_row >= PATIENCE:
            self._lowest -= 1.0
            self._in_a_row = 0
            self._priorities[ready[best].id] = self._lowest
            best = self._best(ready)
        self._last = ready[best].id
        return best

    def _best(self, ready: Sequence[Any]) -> int:
        priorities = self._priorities
        best, highest = 0, float("-inf")
        for index, unit in enumerate(ready):
            priority = priorities.get(unit.id)
            if priority is None:
                priority = priorities[unit.id] = self._random()
            if priority > highest:
                best, highest = index, priority
        return best


@final
class Replay:
    """Repeats recorded deviations from the plain order.

    Args:
        deviations: number of the choice, from 0, -> what was chosen; all others are 0.
    """

    __slots__ = ("_count", "_deviations")

    def __init__(self, deviations: Mapping[int, int]) -> None:
        self._deviations = deviations
        self._count = -1

    def choose(self, ready: Sequence[Any]) -> int:
        """Choose what was chosen then."""
        self._count = count = self._count + 1
        # While a run is being shrunk, a choice may be left of which there are fewer now.
        return self._deviations.get(count, 0) % len(ready)


@final
class Exhaustive:
    """Tries all choices, depth first, one run after the other: for small systems.

    Call `next_run()` after each run; it returns False when all have been tried.

    Args:
        depth: choices from the start that are varied; later ones are 0.
    """

    __slots__ = ("_depth", "_path", "_position", "runs")

    def __init__(self, depth: int = 20) -> None:
        _check_count("depth", depth, 10_000)
        self._depth = depth
        self._path: list[tuple[int, int]] = []  # (chosen, out of how many)
        self._position = 0
        self.runs = 0

    def choose(self, ready: Sequence[Any]) -> int:
        """Choose the next one that has not been tried here."""
        position = self._position
        if position >= self._depth:
            return 0
        self._position = position + 1
        if position < len(self._path):
            return self._path[position][0]
        self._path.append((0, len(ready)))
        return 0

    def next_run(self) -> bool:
        """Go on to the next run; False when every choice has been tried."""
        self.runs += 1
        path = self._path
        del path[self._position :]
        self._position = 0
        while path:
            chosen, count = path.pop()
            if chosen + 1 < count:
                path.append((chosen + 1, count))
                return True
        return False


def _check_count(field: str, value: object, highest: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidTypeError(field, value, "a whole number")
    if not 1 <= value <= highest:
        raise InvalidArgumentError(field, value, f"1 to {highest}")
