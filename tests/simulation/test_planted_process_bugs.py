"""Bugs in what keeps processes and coroutines, planted one at a time: each is found, and repeated from its seed."""

from __future__ import annotations

import pytest

from sessionactors.coroutines import LoopCoroutines
from sessionactors.sandbox.keeper import Sandbox
from supervisors.pools.process_workers import ProcessWorkers
from supervisors.process_actor import ProcessActor
from supervisors.simulation import SimulationFailedError, run_seed, simulate
from supervisors.simulation.threads import SimulatedLock
from tests.simulation.process_workload import pool_processes, processes
from tests.simulation.sandbox_workload import sandboxes


def found(workload, seeds=40):
    """Return what the first failure is, which some of the first seeds must have; it repeats from its number."""
    with pytest.raises(SimulationFailedError) as caught:
        simulate(workload, range(seeds), shrink_runs=60)
    failure = caught.value
    again = run_seed(workload, failure.outcome.seed)
    assert again.transcript_hash == failure.outcome.transcript_hash
    assert len(failure.shrunk.recipe) <= len(failure.outcome.recipe)
    return failure.outcome.what


def test_an_actor_that_does_not_hear_of_the_end_of_its_process_is_found(monkeypatch):
    monkeypatch.setattr(ProcessActor, "_tell_end", lambda self: None)
    assert "is dead (ProcessEnded" in found(processes)


def test_a_process_that_is_left_behind_by_its_actor_is_found(monkeypatch):
    monkeypatch.setattr(ProcessActor, "ended", lambda self: None)
    assert "for two actors" in found(processes)


def test_requests_that_come_between_a_request_and_its_answer_are_found(monkeypatch):
    monkeypatch.setattr(SimulatedLock, "acquire", lambda self, *, timeout=-1: True)
    monkeypatch.setattr(SimulatedLock, "release", lambda self: None)
    assert "is answered with" in found(sandboxes)


def test_a_sandbox_that_outlives_its_system_is_found(monkeypatch):
    monkeypatch.setattr(Sandbox, "kill", lambda self, reason="closed": None)
    assert "left" in found(sandboxes)


def test_a_coroutine_that_is_never_begun_is_found(monkeypatch):
    def start(self, owner, coroutine, timeout, tell):
        coroutine.close()
        return lambda: None

    monkeypatch.setattr(LoopCoroutines, "start", start)
    assert "AskTimeoutError" in found(sandboxes)


def test_a_pool_that_forgets_what_a_dead_process_was_at_is_found(monkeypatch):
    def ended(self, process):
        process.in_flight.clear()
        process.worker = None
        proper(self, process)

    proper = ProcessWorkers._ended
    monkeypatch.setattr(ProcessWorkers, "_ended", ended)
    assert "has no outcome" in found(pool_processes)
