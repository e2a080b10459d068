"""The project's own workloads under a fixed budget of seeds; found seeds get a test of their own here."""

from __future__ import annotations

from collections import Counter

import pytest

from supervisors.simulation import ALL_WITHIN_CONTRACT, FAULT_KINDS, run_twice, simulate
from supervisors.simulation.workloads import linked_actors, supervised_workers
from tests.simulation.day_workload import day
from tests.simulation.pool_workload import pools
from tests.simulation.process_workload import PROCESS_KINDS, pool_processes, processes
from tests.simulation.recovery_workload import recovery
from tests.simulation.sandbox_workload import sandboxes
from tests.simulation.session_workload import sessions


def test_supervised_workers_stand_every_fault_that_the_contract_allows():
    outcomes = simulate(supervised_workers, range(100))
    fired = Counter(kind for outcome in outcomes for kind, _ in outcome.recipe.faults)
    elsewhere = ("store", "fsync", "process", "process start")
    here = {kind for kind in ALL_WITHIN_CONTRACT if FAULT_KINDS[kind].point not in elsewhere}
    assert set(fired) == here, "a kind that never fires tests nothing"


def test_links_and_monitors_stay_exact_while_actors_end_in_every_way():
    outcomes = simulate(linked_actors, range(150))
    assert sum(len(outcome.recipe.faults) for outcome in outcomes) > 500


def test_sessions_stand_crashes_and_a_failing_disk():
    outcomes = simulate(sessions, range(25))
    fired = Counter(kind for outcome in outcomes for kind, _ in outcome.recipe.faults)
    assert len(fired) >= 20
    assert {FAULT_KINDS[kind].point for kind in fired} >= {"store", "fsync", "turn", "step", "send", "timer"}


def test_a_pool_stands_crashes_of_its_actor():
    outcomes = simulate(pools, range(40))
    assert len({kind for outcome in outcomes for kind, _ in outcome.recipe.faults}) >= 18


def test_a_process_that_dies_leaves_what_was_acknowledged_in_store_and_log():
    outcomes = simulate(recovery, range(4))
    assert sum(len(outcome.recipe.faults) for outcome in outcomes) > 100


def test_a_day_of_session_traffic_stands_what_may_go_wrong():
    outcomes = simulate(day, range(2))
    assert sum(outcome.virtual_seconds for outcome in outcomes) > 2 * 86_400.0
    assert sum(len(outcome.recipe.faults) for outcome in outcomes) > 100


@pytest.mark.parametrize("workload", [sessions, pools, recovery, day])
def test_a_run_of_them_repeats(workload):
    assert not run_twice(workload, 3).failed


@pytest.mark.parametrize("workload", [processes, pool_processes, sandboxes])
def test_processes_may_die_in_every_way(workload):
    outcomes = simulate(workload, range(40))
    fired = Counter(kind for outcome in outcomes for kind, _ in outcome.recipe.faults)
    assert set(PROCESS_KINDS) & set(ALL_WITHIN_CONTRACT) <= set(fired), "a kind that never fires tests nothing"
