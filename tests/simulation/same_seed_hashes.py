"""Hashes of runs that must be the same in each process and on each Python: see `test_same_seed`."""

from __future__ import annotations

from supervisors.simulation import run_seed
from supervisors.simulation.workloads import supervised_workers
from tests.simulation.process_workload import pool_processes, processes

__all__ = ["all_hashes", "print_hashes"]

# Actors alone, actors in processes, pools of processes and of coroutines.
RUNS = ((supervised_workers, 20), (processes, 4), (pool_processes, 4))


def all_hashes():
    return [run_seed(workload, seed).transcript_hash for workload, seeds in RUNS for seed in range(seeds)]


def print_hashes():
    for each in all_hashes():
        print(each)  # noqa: T201 - that is how the other process answers
