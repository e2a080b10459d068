"""When a process has to pause, so that it uses no more of a core than it may.

It earns CPU seconds as time passes and spends them as it runs. What it has not
spent it may save up to a burst; when it owes some, it is stopped until it has earned
them. So over any stretch of time it uses at most the limit's share and one burst,
and what it can run over between two looks.
"""

from __future__ import annotations

from typing import final

__all__ = ["DutyCycle"]


@final
class DutyCycle:
    """The account of CPU seconds of one process.

    Args:
        limit: percent of one core.
        burst: seconds of CPU that may be saved.
        now: monotonic seconds.

    Attributes:
        may_run: what was decided last.
    """

    __slots__ = ("_at", "_burst", "_saved", "_seconds", "_share", "may_run")

    def __init__(self, limit: float, burst: float, now: float) -> None:
        self._share = limit / 100.0
        self._burst = burst
        self._saved = burst
        self._at = now
        self._seconds = 0.0
        self.may_run = True

    def step(self, now: float, seconds: float) -> bool:
        """Take a reading; tell whether the process may run until the next one.

        Args:
            now: monotonic seconds.
            seconds: CPU seconds that the process has used since it started.
        """
        earned = max(0.0, now - self._at) * self._share
        self._saved = min(self._burst, self._saved + earned) - max(0.0, seconds - self._seconds)
        self._at, self._seconds = max(now, self._at), seconds
        # A process that was stopped goes on only with something in hand: else it would be
        # started and stopped at every look.
        self.may_run = self._saved > (0.0 if self.may_run else self._burst / 4)
        return self.may_run

    def __repr__(self) -> str:
        state = "runs" if self.may_run else "pauses"
        return f"<DutyCycle of {100 * self._share:g} percent: {state}, {self._saved:.3f} s in hand>"
