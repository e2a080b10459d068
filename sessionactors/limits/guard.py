"""What keeps one session from being admitted, besides its buckets.

A *throttle* is put on from outside, for a time or until it is cleared. A *block*
follows too many refusals in a window. *Pressure* is told by isolation while the
session is over a soft limit; it refuses nothing.

=========  ===============================================  ======================================
throttle   a check                                          a request that may wait
=========  ===============================================  ======================================
`reject`   refused; the wait is the rest of the throttle    refused at once, likewise
`drop`     refused without a hint (an infinite wait)        refused at once, likewise, and counted
`delay`    as always                                        waits, but for `delay_max` at most
`queue`    refused: only the queue admits                   waits its turn; no room is a refusal
=========  ===============================================  ======================================
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Final, final

from sessionactors import bounds
from sessionactors.errors import InvalidAction
from sessionactors.limits.sliding_window import SlidingWindow, WindowLimits
from sessionactors.limits.token_bucket import NEVER, Decision

__all__ = ["DELAY", "DROP", "QUEUE", "REJECT", "THROTTLE_ACTIONS", "Guard", "Throttle"]

DROP: Final = "drop"
DELAY: Final = "delay"
QUEUE: Final = "queue"
REJECT: Final = "reject"

THROTTLE_ACTIONS: Final = (DROP, DELAY, QUEUE, REJECT)


@dataclass(frozen=True, slots=True)
class Throttle:
    """An action and how long it is in force.

    Attributes:
        action: one of `THROTTLE_ACTIONS`.
        until: monotonic seconds; infinite: until it is cleared.
    """

    action: str
    until: float = inf

    def __post_init__(self) -> None:
        bounds.choice("action", self.action, THROTTLE_ACTIONS, refuse=InvalidAction)


@final
class Guard:
    """The restraints of one session.

    Attributes:
        throttle: the action in force, or None.
        blocked_until: monotonic seconds; in the past when the session is not blocked.
        is_pressed: isolation says that it is over a soft limit.
    """

    __slots__ = ("_violations", "blocked_until", "is_pressed", "throttle")

    def __init__(self) -> None:
        self.throttle: Throttle | None = None
        self.blocked_until = -inf
        self.is_pressed = False
        self._violations: SlidingWindow | None = None

    def action(self, now: float) -> str | None:
        """Return the throttle's action while it is in force."""
        throttle = self.throttle
        return throttle.action if throttle is not None and throttle.until > now else None

    def refusal(self, now: float) -> Decision | None:
        """Return the refusal that everything meets, buckets aside; None when there is none."""
        if self.blocked_until > now:
            return (False, self.blocked_until - now)
        action = self.action(now)
        if action == REJECT and self.throttle is not None:
            return (False, self.throttle.until - now)
        return NEVER if action == DROP else None

    def count_violation(self, now: float, limits: WindowLimits, block: float) -> bool:
        """Count a refusal; True when it was one too many and the session is blocked from now on."""
        if self._violations is None:
            self._violations = SlidingWindow(limits)
        if self._violations.check(1, now)[0] and self._violations.wait_for(1, now) == 0.0:
            return False
        self._violations = None
        self.blocked_until = now + block
        return True

    def reconfigure(self, limits: WindowLimits, now: float) -> None:
        """Count refusals by other limits from now on; those that were counted stay so."""
        if self._violations is not None:
            self._violations = self._violations.changed(limits, now)

    def end(self, now: float) -> list[str]:
        """Take off what is over, and return what it was: `"throttle"`, `"block"`."""
        over = []
        if self.throttle is not None and self.throttle.until <= now:
            self.throttle = None
            over.append("throttle")
        if -inf < self.blocked_until <= now:
            self.blocked_until = -inf
            over.append("block")
        return over

    def is_in_force(self, now: float) -> bool:
        """Tell whether anything restrains the session now."""
        return self.is_pressed or self.blocked_until > now or self.action(now) is not None

    def is_idle(self, now: float) -> bool:
        """Tell whether there is nothing to guard, nor an end that has still to be told."""
        if self.is_pressed or self.throttle is not None or self.blocked_until > -inf:
            return False
        return self._violations is None or self._violations.is_empty(now)

    def next_end(self) -> float:
        """Return when the next restraint ends by itself, perhaps in the past; infinite when none does."""
        ends = [self.blocked_until] if self.blocked_until > -inf else []
        if self.throttle is not None:
            ends.append(self.throttle.until)
        return min(ends, default=inf)
