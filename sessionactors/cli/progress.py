"""One line on a terminal that tells how far a command is."""

from __future__ import annotations

import shutil
from types import TracebackType
from typing import IO, TYPE_CHECKING, Final, Self, final

if TYPE_CHECKING:
    from supervisors.clock import Clock

__all__ = ["Progress"]

REDRAW_SECONDS: Final = 0.1
"""The line is not drawn more often than this, so that drawing costs nothing worth a name."""

_BAR_MAX: Final = 30


@final
class Progress:
    """Draws a bar, the rate and the time left; writes nothing unless the stream is a terminal.

    Args:
        stream: where to draw.
        clock: real time.
        label: what is being done, at most a dozen characters.
        total: how many steps there are; None draws a count without a bar.

    Thread: one thread at a time.
    """

    def __init__(self, stream: IO[str], clock: Clock, *, label: str, total: int | None = None) -> None:
        self._stream = stream
        self._clock = clock
        self._label = label
        self._total = total
        self._is_drawn = False
        self._begun = clock.monotonic()
        self._due = self._begun + REDRAW_SECONDS if stream.isatty() else float("inf")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.erase()

    def update(self, done: int) -> None:
        """Draw the line anew if the last time is long enough ago."""
        now = self._clock.monotonic()
        if now < self._due:
            return
        self._due = now + REDRAW_SECONDS
        columns = shutil.get_terminal_size().columns
        line = self._line(done, now - self._begun, columns)[: columns - 1]
        self._stream.write(f"\r{line:<{columns - 1}}")
        self._stream.flush()
        self._is_drawn = True

    def erase(self) -> None:
        """Take the line away, if there is one."""
        if self._is_drawn:
            self._is_drawn = False
            self._stream.write("\r" + " " * (shutil.get_terminal_size().columns - 1) + "\r")
            self._stream.flush()

    def _line(self, done: int, elapsed: float, columns: int) -> str:
        rate = done / elapsed if elapsed > 0 else 0.0
        if self._total is None:
            return f"{self._label}  {done:,}"
        share = min(done / self._total, 1.0) if self._total else 1.0
        left = _clock_face((self._total - done) / rate) if rate > 0 else "-:--"
        facts = f"{share:4.0%}  {rate:,.0f}/s  {left} left"
        width = min(_BAR_MAX, columns - len(self._label) - len(facts) - 8)
        bar = f"[{'#' * round(share * width):-<{width}}]  " if width > 0 else ""
        return f"{self._label}  {bar}{facts}"


def _clock_face(seconds: float) -> str:
    """Write a duration as hours, minutes and seconds: `1:02:03`, or `2:03` within the hour."""
    minutes, second = divmod(max(0, round(seconds)), 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour}:{minute:02}:{second:02}" if hour else f"{minute}:{second:02}"
