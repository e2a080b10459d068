"""A line on the terminal that tells how far it has got; nothing where there is no terminal."""

from __future__ import annotations

import sys
from collections.abc import Sized
from typing import Final, TextIO, final

from supervisors.clock import Clock

__all__ = ["REFRESH_SECONDS", "ProgressBar"]

REFRESH_SECONDS: Final = 0.1
"""How often the line is written anew at most."""

WIDTH: Final = 30

_SMOOTHING: Final = 0.3


@final
class ProgressBar:
    """Shows how many are done, how many that are a second, and how long the rest will take.

    Args:
        items: what there is to do; one that has a length gives a bar, others a count.
        clock: tells the time.
        stream: where the line goes, if that is a terminal; None: standard error.
    """

    def __init__(self, items: object, clock: Clock, stream: TextIO | None = None) -> None:
        self._total = len(items) if isinstance(items, Sized) else None
        self._now = clock.monotonic
        self._stream = sys.stderr if stream is None else stream
        self._shows = self._stream.isatty()
        self._done = 0
        self._begun = self._now()
        self._shown_at = self._begun
        self._shown_done = 0
        self._rate = 0.0
        self._is_closed = False

    def advance(self) -> None:
        """Note that one more is done."""
        self._done += 1
        if not self._shows:
            return
        now = self._now()
        if now - self._shown_at >= REFRESH_SECONDS:
            self._show(now)

    def close(self) -> None:
        """Write the last line."""
        if self._shows and not self._is_closed:
            self._is_closed = True
            self._show(self._now())
            self._stream.write("\n")
            self._stream.flush()

    def _show(self, now: float) -> None:
        passed = now - self._shown_at
        if passed > 0.0:
            latest = (self._done - self._shown_done) / passed
            self._rate = latest if not self._rate else self._rate + _SMOOTHING * (latest - self._rate)
        self._shown_at, self._shown_done = now, self._done
        self._stream.write(f"\r{self.line(now)}\x1b[K")
        self._stream.flush()

    def line(self, now: float) -> str:
        """Return what is shown at a reading of the clock."""
        spent = _clock(now - self._begun)
        if not self._total:
            return f"{self._done:,} done, {self._rate:,.1f}/s, {spent}"
        share = min(self._done / self._total, 1.0)
        filled = int(share * WIDTH)
        bar = "#" * filled + "." * (WIDTH - filled)
        left = _clock((self._total - self._done) / self._rate) if self._rate and self._done < self._total else "0:00"
        return f"[{bar}] {share:4.0%} {self._done:,}/{self._total:,} {self._rate:,.1f}/s, {spent} spent, {left} left"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(max(seconds, 0.0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
