"""Who may be hit now: the blast radius, as arithmetic. Pure: time comes as an argument."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Generic, TypeVar, final

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence

    from supervisors.chaos.plan import BlastRadius

__all__ = ["Radius", "matches"]

V = TypeVar("V", bound="Hashable")


def matches(patterns: Iterable[str], *, name: object, class_name: str, module: str) -> bool:
    """Tell whether any pattern is for an actor.

    Args:
        patterns: as in `Fault.targets`.
        name: the registered name, or None.
        class_name: of the actor's class.
        module: of the actor's class.
    """
    known = None if name is None else str(name)
    for pattern in patterns:
        kind, colon, rest = pattern.partition(":")
        is_named = bool(colon) and kind in ("name", "class")
        wanted = rest if is_named else pattern
        if (not is_named or kind == "name") and known is not None and fnmatchcase(known, wanted):
            return True
        if (not is_named or kind == "class") and (
            fnmatchcase(class_name, wanted) or fnmatchcase(f"{module}.{class_name}", wanted)
        ):
            return True
    return False


@final
class Radius(Generic[V]):
    """Keeps count of who suffers, and says who may be hit next.

    Args:
        limits: as planned.
        has_recovered: tells whether a victim is well again before its time is up.
    """

    def __init__(self, limits: BlastRadius, has_recovered: Callable[[V], bool]) -> None:
        self._limits = limits
        self._has_recovered = has_recovered
        self._suffering: dict[V, float] = {}

    def suffering(self, now: float) -> int:
        """Return how many suffer at this moment, clock seconds."""
        over = [who for who, until in self._suffering.items() if until <= now or self._has_recovered(who)]
        for who in over:
            del self._suffering[who]
        return len(self._suffering)

    def choose(self, among: Sequence[V], within: int, whom: float, now: float) -> V | None:
        """Return who is hit, or None when nobody may be.

        Args:
            among: who matches the fault, in a fixed order.
            within: how many are inside the radius altogether, for the share.
            whom: number from 0 to below 1.
            now: clock seconds.
        """
        allowed = min(self._limits.at_once, max(1, int(self._limits.share * within)))
        if self.suffering(now) >= allowed:
            return None
        free = [each for each in among if each not in self._suffering]
        return free[int(whom * len(free))] if free else None

    def hit(self, who: V, now: float, seconds: float) -> None:
        """Note that somebody suffers for so many seconds, and then until it has settled."""
        until = now + seconds + self._limits.settle
        self._suffering[who] = max(until, self._suffering.get(who, until))
