"""What the simulated disks of the store and of the audit log have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from supervisors.clock import VirtualClock
    from supervisors.simulation import Simulation

__all__ = ["slow_down"]

SLOWEST: Final = 10.0
"""The longest that an operation takes, virtual seconds."""


def slow_down(simulation: Simulation) -> None:
    """Let an operation take its time, if the fault `store_slow` strikes."""
    part = simulation.strikes("store_slow")
    if part is not None:
        # The caller holds a lock of threads, so nobody else may run meanwhile: time passes for all at once.
        clock = cast("VirtualClock", simulation.system.clock)
        clock.move_to(clock.monotonic() + part * SLOWEST)
