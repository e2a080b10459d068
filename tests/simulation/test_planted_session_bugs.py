"""What is demanded of sessions is shown the bug that it is there for, planted in the real classes."""

from __future__ import annotations

import copy

import pytest

from sessionactors.audit.intake import Intake
from sessionactors.directory import Directory
from sessionactors.limits.token_bucket import TokenBucket
from supervisors.simulation import SimulationFailedError, SimulationOptions, run_seed, simulate
from tests.simulation.session_workload import sessions, spare


def found_in(seeds, said, options=None):
    """Return the failure that some of the first seeds must have; it is repeated from what was recorded."""
    with pytest.raises(SimulationFailedError) as caught:
        simulate(sessions, range(seeds), options, shrink_runs=15)
    failure = caught.value
    assert said in failure.outcome.what
    assert run_seed(sessions, failure.outcome.seed, options, repeat=failure.shrunk.recipe).by == failure.outcome.by
    return failure


def test_a_write_that_is_acknowledged_before_it_is_durable_is_found():
    options = SimulationOptions(faults={"lost_write": 0.2, "kill": 0.01}, arming=1.0, spare=spare)
    found_in(20, "acknowledged", options)


def test_a_limiter_that_looks_without_taking_is_found(monkeypatch):
    proper = TokenBucket.check
    monkeypatch.setattr(TokenBucket, "check", lambda self, cost, now: proper(copy.copy(self), cost, now))
    found_in(5, "limiter never over")


def test_a_session_with_two_owners_is_found(monkeypatch):
    def add(self, session_id, ref, **how):
        self._live.pop(session_id, None)
        proper(self, session_id, ref, **how)

    proper = Directory.add
    monkeypatch.setattr(Directory, "add", add)
    monkeypatch.setattr("tests.simulation.session_workload.World.begins", lambda *given: True)
    monkeypatch.setattr("sessionactors.system.SessionSystem._gives_way", lambda *given: True)
    found_in(10, "one owner")


def test_a_gap_in_the_audit_log_is_found(monkeypatch):
    def take(self):
        return proper(self)[:-1]

    proper = Intake.take
    monkeypatch.setattr(Intake, "take", take)
    found_in(10, "transitions audited")
