"""Restart backoff: wait before each restart, longer and longer (beyond OTP, off by default).

OTP restarts at once and gives up when that happens too often. That is right for a
fault of the child's own, and wrong for one outside it, such as a database that is
away for a minute: there, waiting helps and giving up does not. A restart that waits
is a restart like any other: it counts towards the intensity when it is tried.

Time and chance come in as arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final, final

from supervisors.errors import InvalidArgumentError
from supervisors.timers.service import SECONDS_MAX

__all__ = ["FACTOR_MAX", "Backoff", "RestartDelays"]

FACTOR_MAX: Final = 1_000_000.0
"""The largest factor of a backoff; the second wait is the longest one by then."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """How long to wait before a child is restarted.

    Attributes:
        min_seconds: before the first restart, more than 0.
        max_seconds: the longest wait before jitter, not less than `min_seconds`.
        factor: each wait is so many times the one before, 1 or more.
        jitter: share by which a wait is made longer or shorter at random, 0 to 1, so
            that a thousand children that fell together do not rise together.
        reset_after: a child that has run for so many seconds starts anew with
            `min_seconds`; None: `max_seconds`.

    Raises:
        InvalidArgumentError: on creation, for the first field at fault.
    """

    min_seconds: float = 0.1
    max_seconds: float = 30.0
    factor: float = 2.0
    jitter: float = 0.0
    reset_after: float | None = None

    def __post_init__(self) -> None:
        """Validate the fields and turn numbers into floats."""
        self._check("min_seconds", lambda value: 0 < value <= SECONDS_MAX, "seconds, more than 0, to a hundred years")
        self._check(
            "max_seconds",
            lambda value: self.min_seconds <= value <= SECONDS_MAX,
            "seconds, min_seconds to a hundred years",
        )
        self._check("factor", lambda value: 1 <= value <= FACTOR_MAX, "a number, 1 to 1,000,000")
        self._check("jitter", lambda value: 0 <= value <= 1, "a number, 0 to 1")
        if self.reset_after is None:
            object.__setattr__(self, "reset_after", self.max_seconds)
        self._check("reset_after", lambda value: 0 <= value <= SECONDS_MAX, "seconds, 0 to a hundred years; None")

    def delay(self, restarts: int, draw: float) -> float:
        """Return how many seconds to wait.

        Args:
            restarts: restarts in a row before this one.
            draw: a random number, 0 to 1; without jitter it does not matter.
        """
        try:
            wanted = min(self.min_seconds * self.factor**restarts, self.max_seconds)
        except OverflowError:
            wanted = self.max_seconds
        return wanted * (1.0 + self.jitter * (2.0 * draw - 1.0))

    def _check(self, field: str, is_allowed: Callable[[float], bool], allowed: str) -> None:
        value = getattr(self, field)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not is_allowed(value):
            raise InvalidArgumentError(field, value, allowed)
        object.__setattr__(self, field, float(value))


@final
class RestartDelays:
    """The waits of one supervisor's children; only those that have failed take space.

    Args:
        backoff: the settings.
        draw: returns a random number, 0 to 1.
    """

    __slots__ = ("_backoff", "_draw", "_history")

    def __init__(self, backoff: Backoff, draw: Callable[[], float]) -> None:
        self._backoff = backoff
        self._draw = draw
        # Restarts in a row by child, and since when (monotonic) it has been up again.
        self._history: dict[Hashable, tuple[int, float | None]] = {}

    def next(self, child: Hashable, now: float) -> float:
        """Return the seconds to wait before the restart of a child that has ended or did not start."""
        restarts, since = self._history.get(child, (0, None))
        reset_after = self._backoff.reset_after
        if since is not None and reset_after is not None and now - since >= reset_after:
            restarts = 0
        self._history[child] = (restarts + 1, None)
        return self._backoff.delay(restarts, self._draw())

    def started(self, child: Hashable, now: float, before: Hashable = None) -> None:
        """Note that a child is up; `before` is what it was called, if that has changed."""
        known = self._history.pop(child if before is None else before, None)
        if known is not None:
            self._history[child] = (known[0], now)

    def forget(self, child: Hashable) -> None:
        """Note that a child is gone for good, or in somebody else's hands."""
        self._history.pop(child, None)

    def __len__(self) -> int:
        """Return how many children are remembered."""
        return len(self._history)

    def __repr__(self) -> str:
        return f"<RestartDelays of {len(self._history)} children, {self._backoff}>"
