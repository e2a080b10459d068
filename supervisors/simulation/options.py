"""How a simulation is run: everything that the seed does not decide."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, final, get_args

from supervisors.errors import InvalidArgumentError, InvalidTypeError
from supervisors.runtime.ref import ActorRef
from supervisors.simulation.faults import checked_chances
from supervisors.simulation.schedules import Pct, RandomOrder, RoundRobin
from supervisors.timers.service import checked_delay

if TYPE_CHECKING:
    from supervisors.entropy import Entropy
    from supervisors.simulation.schedules import Schedule

__all__ = ["ScheduleName", "SimulationOptions", "spare_roots"]

ScheduleName: TypeAlias = Literal["mixed", "random", "round robin", "pct"]


def spare_roots(ref: ActorRef[Any]) -> bool:
    """Tell whether an actor has no parent: nobody would start it again."""
    return ref.parent is None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationOptions:
    """Settings of a simulation; the defaults inject no faults.

    Attributes:
        schedule: how the next unit is chosen. `"mixed"` draws from the seed, run by
            run: random order, or PCT with a depth of 2 to 5.
        pct_depth: ordering decisions of `"pct"`.
        pct_steps: choices among which they fall.
        faults: kinds of `FAULT_KINDS`, or a mapping of kinds to the chance that one
            fires at a point.
        arming: chance of each kind that it is armed in a run, 0 to 1.
        spare: tells which actors faults leave alone, together with their processes; by
            default those without a parent. Processes of pools and sandboxes are hit.
        ask_timeout: of the system, virtual seconds; None: without end.
        steps_max: a run with more steps makes no progress.
        calm: virtual seconds without faults, after the workload and before the checks.
        watch_outside: a program that reads a real clock, draws from `random` or starts a
            thread fails, with the place: its runs cannot be repeated.
        keep_transcript: whether the outcome has all lines or their hash only.
    """

    schedule: ScheduleName = "mixed"
    pct_depth: int = 3
    pct_steps: int = 1000
    faults: Mapping[str, float] | Iterable[str] = ()
    arming: float = 0.5
    spare: Callable[[ActorRef[Any]], bool] = spare_roots
    ask_timeout: float | None = 5.0
    steps_max: int = 1_000_000
    calm: float = 60.0
    watch_outside: bool = True
    keep_transcript: bool = True

    def __post_init__(self) -> None:
        if self.schedule not in get_args(ScheduleName):
            raise InvalidArgumentError("schedule", self.schedule, ", ".join(get_args(ScheduleName)))
        object.__setattr__(self, "faults", checked_chances("faults", self.faults))
        if isinstance(self.arming, bool) or not isinstance(self.arming, (int, float)):
            raise InvalidTypeError("arming", self.arming, "a chance from 0 to 1")
        if not 0.0 <= self.arming <= 1.0:
            raise InvalidArgumentError("arming", self.arming, "a chance from 0 to 1")
        if isinstance(self.steps_max, bool) or not isinstance(self.steps_max, int):
            raise InvalidTypeError("steps_max", self.steps_max, "a whole number of steps")
        if self.steps_max < 1:
            raise InvalidArgumentError("steps_max", self.steps_max, "at least 1")
        checked_delay("calm", self.calm)

    def make_schedule(self, entropy: Entropy, luck: int = 0) -> Schedule:
        """Draw the schedule of one run; another number for luck gives another one under the same seed."""
        stream = entropy.stream(f"schedule, luck {luck}" if luck else "schedule")
        kind, depth = self.schedule, self.pct_depth
        if kind == "mixed":
            kind = "random" if stream.random() < 0.6 else "pct"
            depth = 2 + int(stream.random() * 4)
        if kind == "random":
            return RandomOrder(stream.random)
        if kind == "pct":
            return Pct(stream.random, depth, self.pct_steps)
        return RoundRobin()
