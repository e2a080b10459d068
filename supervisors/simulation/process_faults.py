"""Faults of processes: at their start, and whenever one writes to the other.

What happens to a process happens at once or up to ten seconds later, so that idle ones
are hit as well.
"""

from __future__ import annotations

import errno
import signal
from typing import TYPE_CHECKING, Any, Final, final

from supervisors.simulation.faults import DELAY_MAX

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisors.simulation.faults import FaultPlan
    from supervisors.simulation.machine import SimulatedProcess
    from supervisors.simulation.scheduler import SimulatedScheduler

__all__ = ["ProcessFaults"]

HANG_SECONDS: Final = 3600.0
EXIT_CODES: Final = 127


@final
class ProcessFaults:
    """What goes wrong with the processes of one run.

    Args:
        scheduler: of the simulation.
        faults: the dice.
        spare: tells which actors' processes are left alone.
    """

    __slots__ = ("_faults", "_kinds", "_scheduler", "_spare")

    def __init__(self, scheduler: SimulatedScheduler, faults: FaultPlan, spare: Callable[[Any], bool]) -> None:
        self._scheduler = scheduler
        self._faults = faults
        self._spare = spare
        kinds: dict[str, Callable[[SimulatedProcess, float], None]] = {
            "process_kill": lambda process, _: process.signal(signal.SIGKILL),
            "process_crash": lambda process, _: process.signal(signal.SIGSEGV),
            "process_exit": lambda process, luck: process.die(1 + int(luck * EXIT_CODES)),
            "process_memory": lambda process, _: process.starve(),
            "process_stop": lambda process, luck: self._stop(process, luck * DELAY_MAX),
            "process_hang": lambda process, _: self._stop(process, HANG_SECONDS),
        }
        self._kinds = [(kind, strike) for kind, strike in kinds.items() if kind in faults.armed]

    def of_start(self, process: SimulatedProcess) -> float:
        """Throw the dice of a start; return how many virtual seconds it takes longer.

        Raises:
            OSError: the machine has no process left.
        """
        faults = self._faults
        if not faults.active or process.is_spared(self._spare):
            return 0.0
        if faults.fires("process_refused"):
            self._note(process, "process_refused")
            raise BlockingIOError(errno.EAGAIN, "the simulated machine has no process left")
        if not faults.fires("process_slow_start"):
            return 0.0
        seconds = faults.delay("process_slow_start")
        self._note(process, f"process_slow_start, {seconds:.6f} s")
        return seconds

    def of_frame(self, process: SimulatedProcess) -> None:
        """Throw the dice of a write to or by a process."""
        faults = self._faults
        if not self._kinds or not faults.active or process.poll() is not None or process.is_spared(self._spare):
            return
        for kind, strike in self._kinds:
            if faults.fires(kind):
                self._strike(process, kind, strike)
                return

    def _strike(self, process: SimulatedProcess, kind: str, strike: Callable[[SimulatedProcess, float], None]) -> None:
        luck = self._faults.draw(kind)
        if luck < 0.5:
            self._note(process, kind)
            strike(process, luck * 2.0)
            return
        seconds = (luck - 0.5) * 2.0 * DELAY_MAX
        self._note(process, f"{kind}, in {seconds:.6f} s")

        def late() -> None:
            if self._faults.active and process.poll() is None:
                strike(process, luck)

        self._scheduler.later(seconds, late)

    def _stop(self, process: SimulatedProcess, seconds: float) -> None:
        if process.is_stopped:
            return
        process.signal(signal.SIGSTOP)
        self._scheduler.later(seconds, lambda: process.signal(signal.SIGCONT))

    def _note(self, process: SimulatedProcess, fault: str) -> None:
        self._scheduler.note(process.name, "FAULT " + fault)
