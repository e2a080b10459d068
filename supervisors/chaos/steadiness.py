"""Looks at the probes of a plan, and keeps count."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, final

from supervisors.chaos.report import ProbeResult

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisors.chaos.probes import Probe
    from supervisors.clock import Clock
    from supervisors.system import ActorSystem

__all__ = ["Steadiness"]


@final
class Steadiness:
    """The steady state of one experiment.

    Args:
        probes: what says that all is well.
        system: what they ask.
        clock: real time.

    Thread: one looks at a time.
    """

    def __init__(self, probes: tuple[Probe, ...], system: ActorSystem, clock: Clock) -> None:
        self._clock = clock
        self._looks: dict[str, Callable[[], str | None]] = {probe.name: probe.begin(system) for probe in probes}
        self._counts: dict[str, list[int]] = {name: [0, 0] for name in self._looks}
        self._failures: dict[str, str] = dict.fromkeys(self._looks, "")
        self._since: dict[str, float] = {}

    def look(self) -> dict[str, str]:
        """Look at every probe once; return what is wrong, by the name of the probe."""
        wrong: dict[str, str] = {}
        for name, look in self._looks.items():
            try:
                failure = look()
            except Exception as error:  # noqa: BLE001 - a probe that breaks has found something
                failure = f"{type(error).__name__}: {error}"[:300]
            counts = self._counts[name]
            counts[0] += 1
            self._failures[name] = failure or ""
            if failure is None:
                self._since.pop(name, None)
            else:
                counts[1] += 1
                wrong[name] = failure
                self._since.setdefault(name, self._clock.monotonic())
        return wrong

    def broken_for(self) -> float:
        """Return for how many seconds the probe has failed that has done so for longest; 0: none does."""
        return self._clock.monotonic() - min(self._since.values()) if self._since else 0.0

    def wait(self, within: float, every: float, stop: threading.Event) -> float | None:
        """Look until all is well; return how many seconds that took, or None if it was not in time.

        Args:
            within: seconds.
            every: seconds between two looks.
            stop: ends the wait when it is set.
        """
        begun = self._clock.monotonic()
        while self.look():
            left = begun + within - self._clock.monotonic()
            if left <= 0 or stop.wait(min(every, left)):
                return None
        return self._clock.monotonic() - begun

    def results(self) -> tuple[ProbeResult, ...]:
        """Return what became of each probe."""
        return tuple(ProbeResult(name, self._failures[name], *self._counts[name]) for name in self._looks)
