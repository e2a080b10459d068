"""What has happened in an experiment: one record for each fault, probe and step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, final

__all__ = ["EVENT_KINDS", "ChaosEvent", "EventKind"]

EventKind: TypeAlias = Literal["laid", "struck", "spared", "missed", "healed", "phase", "probe", "rollback"]

EVENT_KINDS: tuple[EventKind, ...] = ("laid", "struck", "spared", "missed", "healed", "phase", "probe", "rollback")
"""*laid*: a fault waits for its victim's next turn, message or start; *struck*: it has
happened; *spared*: nobody may be hit just then; *missed*: it was laid and has not
happened by the end; *healed*: what it did has been undone; *phase*: a part of the
experiment begins; *probe*: how a look at the steady state went; *rollback*: a step of it."""


@final
@dataclass(frozen=True, slots=True)
class ChaosEvent:
    """One line of the record.

    Attributes:
        at: seconds after the beginning.
        event: which sort.
        kind: of the fault, or the name of the phase, probe or step.
        target: who was hit; empty where nobody is.
        what: more in words; empty where there is nothing to say.
    """

    at: float
    event: EventKind
    kind: str
    target: str = ""
    what: str = ""

    def __str__(self) -> str:
        parts = [f"{self.at:>9.3f}", f"{self.event:<8}", self.kind]
        parts += [part for part in (self.target, self.what) if part]
        return "  ".join(parts)
