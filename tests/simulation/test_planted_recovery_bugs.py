"""What is demanded of a new process is shown the bug that it is there for."""

from __future__ import annotations

import pytest

from supervisors.simulation import SimulationFailedError, SimulationOptions, simulate
from tests.simulation.recovery_workload import recovery
from tests.simulation.session_workload import spare


def said_by(workload, seeds, options=None):
    """Return what the first failure is, which some of the first seeds must have."""
    with pytest.raises(SimulationFailedError) as caught:
        simulate(workload, range(seeds), options, shrink_runs=0)
    return caught.value.outcome.what


def test_a_disk_that_loses_what_it_said_was_durable_is_found_by_the_next_process():
    options = SimulationOptions(faults={"lost_write": 0.3}, arming=1.0, spare=spare, watch_outside=False)
    assert "no acknowledged persist lost" in said_by(recovery, 10, options)


def test_a_disk_that_keeps_a_part_of_a_write_is_found_by_the_next_process():
    options = SimulationOptions(faults={"torn_write": 1.0}, arming=1.0, spare=spare, watch_outside=False)
    assert "no acknowledged persist lost" in said_by(recovery, 3, options)
