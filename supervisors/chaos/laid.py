"""Faults that wait for their moment: the next turn, message or start of whom they are laid on."""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from supervisors.chaos.timetable import Occasion

__all__ = ["Laid", "LaidFaults"]


@final
@dataclass(frozen=True, slots=True, eq=False)
class Laid:
    """A fault that waits.

    Attributes:
        occasion: what is to happen.
        target: on whom, in words.
    """

    occasion: Occasion
    target: str

    @property
    def kind(self) -> str:
        """The kind of fault."""
        return self.occasion.fault.kind

    @property
    def seconds(self) -> float:
        """How long it takes."""
        return self.occasion.seconds


@final
class LaidFaults:
    """All that wait, by whom they are laid on.

    Thread: any. Each fault is taken once.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards the two below; only `is_for` of starts is called while it is held
        self._on: defaultdict[Any, list[Laid]] = defaultdict(list)
        self._starts: list[tuple[Callable[[Any], bool], Laid]] = []

    def __bool__(self) -> bool:
        """Tell whether anything waits; without a lock, so a moment old."""
        return bool(self._on) or bool(self._starts)

    def lay(self, key: object, laid: Laid) -> None:
        """Have a fault wait for somebody, or for something with a name."""
        with self._lock:
            self._on[key].append(laid)

    def lay_on_start(self, is_for: Callable[[Any], bool], laid: Laid) -> None:
        """Have a fault wait for the next start of whom it is for."""
        with self._lock:
            self._starts.append((is_for, laid))

    def take(self, key: object, kinds: Collection[str]) -> Laid | None:
        """Take the oldest fault of some kinds that waits for somebody."""
        if key not in self._on:
            return None
        with self._lock:
            return self._taken(key, kinds)

    def take_start(self, ref: Any, kinds: Collection[str]) -> Laid | None:
        """Take the oldest fault of some kinds that waits for the start of such an actor."""
        if not self._starts:
            return None
        with self._lock:
            for place, (is_for, laid) in enumerate(self._starts):
                if laid.kind in kinds and is_for(ref):
                    del self._starts[place]
                    return laid
        return None

    def clear(self) -> list[Laid]:
        """Take all that still wait."""
        with self._lock:
            left = [laid for waiting in self._on.values() for laid in waiting]
            left += [laid for _, laid in self._starts]
            self._on.clear()
            self._starts.clear()
        return left

    def _taken(self, key: object, kinds: Collection[str]) -> Laid | None:
        waiting = self._on.get(key, [])
        for place, laid in enumerate(waiting):
            if laid.kind in kinds:
                del waiting[place]
                if not waiting:
                    del self._on[key]
                return laid
        return None
