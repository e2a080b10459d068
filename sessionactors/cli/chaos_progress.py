"""One line on a terminal that tells how far an experiment is."""

from __future__ import annotations

import shutil
from typing import IO, TYPE_CHECKING, Final, Self, final

if TYPE_CHECKING:
    from types import TracebackType

    from supervisors.chaos import Chaos

__all__ = ["ChaosProgress"]

_BAR: Final = 20


@final
class ChaosProgress:
    """Draws time, faults, and how many suffer; writes nothing unless the stream is a terminal.

    Args:
        stream: where to draw.
        experiment: whose progress.
    """

    def __init__(self, stream: IO[str], experiment: Chaos) -> None:
        self._stream = stream
        self._experiment = experiment
        self._is_drawn = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_drawn:
            self._stream.write("\r" + " " * (shutil.get_terminal_size().columns - 1) + "\r")
            self._stream.flush()

    def draw(self) -> None:
        """Draw the line anew."""
        if not self._stream.isatty():
            return
        seconds, struck, suffering = self._experiment.progress()
        budget = self._experiment.plan.budget.seconds
        done = round(min(seconds / budget, 1.0) * _BAR)
        line = f"chaos  [{'#' * done:-<{_BAR}}]  {seconds:.0f} of {budget:g} s, {struck} faults, {suffering} suffer now"
        columns = shutil.get_terminal_size().columns
        self._stream.write(f"\r{line[: columns - 1]:<{columns - 1}}")
        self._stream.flush()
        self._is_drawn = True
