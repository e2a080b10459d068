"""What a run has shown, and what repeats it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, final

from supervisors.errors import SupervisorsError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Outcome", "Part", "Recipe", "Verdict", "ViolationError"]

Verdict: TypeAlias = Literal["ok", "crash", "wrong result", "no progress", "leak"]
"""How a run ended: *crash*: an exception that nobody expected; *wrong result*: a checker,
an invariant or an assertion says no (safety); *no progress*: something that must come
has not come (liveness); *leak*: something is left that must be gone."""


Part: TypeAlias = tuple[str, int]
"""Something that a workload can do without: its name, and its place among those of that name, from 0."""


class ViolationError(SupervisorsError):
    """A checker has found what must not be.

    Attributes:
        by: the name of the checker or condition.
        verdict: what kind of failure it is.
    """

    def __init__(self, by: str, what: str, verdict: Verdict = "wrong result") -> None:
        self.by = by
        self.verdict: Verdict = verdict
        super().__init__(f"{by}: {what}")


@final
@dataclass(frozen=True, slots=True)
class Recipe:
    """What repeats a run, together with its seed.

    Attributes:
        deviations: number of the choice from 0, and what was chosen instead of 0.
        faults: kind, and number of the throw of that kind's die from 1.
        without: parts of the workload that are left out: their name, and the places, such
            as ``"0-6, 9"``; see `Simulation.parts()`.
    """

    deviations: tuple[tuple[int, int], ...] = ()
    faults: tuple[tuple[str, int], ...] = ()
    without: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(
        cls, deviations: Iterable[tuple[int, int]], faults: Iterable[tuple[str, int]], without: Iterable[Part]
    ) -> Recipe:
        """Make one of parts as they are counted."""
        places: dict[str, list[int]] = {}
        for name, place in without:
            places.setdefault(name, []).append(place)
        packed = tuple((name, _in_runs(sorted(each))) for name, each in places.items())
        return cls(tuple(deviations), tuple(faults), packed)

    def left_out(self) -> tuple[Part, ...]:
        """Return the parts that are left out, one by one."""
        parts: list[Part] = []
        for name, places in self.without:
            for run in places.split(", "):
                first, _, last = run.partition("-")
                parts += [(name, place) for place in range(int(first), int(last or first) + 1)]
        return tuple(parts)

    def __len__(self) -> int:
        """Return how many switches and faults there are."""
        return len(self.deviations) + len(self.faults)


@final
@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one run.

    Attributes:
        seed: what everything was drawn from.
        verdict: how it ended.
        by: who says so: a checker, a condition, or the type of an exception; empty if all is well.
        what: the failure in words; empty if all is well.
        steps: units that were run.
        virtual_seconds: how much virtual time has passed.
        transcript_hash: SHA-256 over all lines.
        transcript: all lines, if they were kept.
        recipe: what repeats the run.
        parts: of the workload that took part, in order: name, and place from 0.
    """

    seed: int
    verdict: Verdict
    by: str
    what: str
    steps: int
    virtual_seconds: float
    transcript_hash: str
    transcript: str
    recipe: Recipe
    parts: tuple[Part, ...] = ()

    @property
    def failed(self) -> bool:
        """Tell whether anything was wrong."""
        return self.verdict != "ok"

    def __str__(self) -> str:
        text = f"seed {self.seed}: {self.verdict}, {self.steps} steps, {self.virtual_seconds:.3f} virtual seconds, "
        text += f"{len(self.recipe.faults)} faults, transcript {self.transcript_hash[:16]}"
        return f"{text}\n  {self.what}" if self.what else text


def _in_runs(places: list[int]) -> str:
    """Return numbers in order as text, with their runs told by the ends."""
    runs: list[list[int]] = []
    for place in places:
        if runs and runs[-1][1] == place - 1:
            runs[-1][1] = place
        else:
            runs.append([place, place])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)
