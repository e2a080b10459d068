"""One test body for both machines: the one that this process runs on, and a simulated one."""

from __future__ import annotations

import pytest

from supervisors import ActorSystem
from supervisors.simulation import Simulation, SimulationOptions

__all__ = ["in_both_worlds", "in_own_world", "in_simulation"]


def in_own_world(body):
    """Run a body with an actor system in real time."""
    with ActorSystem(workers=4) as system:
        body(system)


def in_simulation(body, seed=1, **options):
    """Run a body with a simulated actor system; return the outcome."""
    with Simulation(seed, SimulationOptions(**options)) as simulation:
        outcome = simulation.run(lambda simulation: body(simulation.system))
    assert outcome.verdict == "ok", f"{outcome}\n{outcome.transcript}"
    return outcome


in_both_worlds = pytest.mark.parametrize("run", [in_own_world, in_simulation])
