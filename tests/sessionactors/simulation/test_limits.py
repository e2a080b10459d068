from __future__ import annotations

import pytest

from sessionactors import SessionSystem
from sessionactors.limits.token_bucket import TokenBucket
from sessionactors.settings import LimiterSettings
from sessionactors.simulation import LimiterNeverOver
from sessionactors.surroundings import RATE_LIMITER
from supervisors.simulation import run_seed


def watched(use, **limiter):
    """Run a workload with a session system whose limiter is watched; return the outcome and the checker."""
    seen = []

    def workload(simulation):
        with SessionSystem(actors=simulation.system, limiter={"capacity": 4, "rate": 1.0, **limiter}) as system:
            checker = LimiterNeverOver(system)
            seen.append(checker)
            simulation.check(checker)
            use(simulation, system)
            simulation.sleep(0.1)

    return run_seed(workload, 0), seen[0]


@pytest.fixture
def generous(monkeypatch):
    """Let every bucket give one token more than it has."""
    proper = TokenBucket.check

    def check(self, cost, now):
        decision = proper(self, cost, now)
        if not decision[0] and decision[1] <= 1.0 / 1.0:
            return (True, 0.0)
        return decision

    monkeypatch.setattr(TokenBucket, "check", check)


def empty(system, session_id="a", times=10, **how):
    return sum(system.check_rate_limit(session_id, **how)[0] for _ in range(times))


def test_a_limiter_that_does_its_work_is_well_and_has_been_looked_at():
    def use(simulation, system):
        assert empty(system) == 4
        simulation.sleep(2.5)
        assert empty(system) == 2
        assert system.acquire("a") > 0.0

    outcome, checker = watched(use)
    assert outcome.verdict == "ok", outcome
    assert checker.admitted == 7


def test_one_token_too_many_is_seen_and_the_bucket_named(generous):
    outcome, _ = watched(lambda simulation, system: empty(system))
    assert outcome.by == "limiter never over"
    assert "requests of 'a': 5 tokens admitted in 0 s, where there may be 4" in outcome.what


def test_what_flows_in_is_not_taken_for_too_much_and_more_is(generous):
    def use(simulation, system):
        empty(system, times=4)
        simulation.sleep(3.0)
        empty(system, times=3)
        simulation.sleep(0.001)
        empty(system, times=1)

    outcome, _ = watched(use)
    assert outcome.by == "limiter never over"
    assert "8 tokens admitted in 3.001 s" in outcome.what


def test_other_limits_of_a_bucket_count_from_then_on():
    def use(simulation, system):
        assert empty(system) == 4
        system.set_rate_limit("a", {"capacity": 100, "rate": 50})
        simulation.sleep(10.0)
        assert empty(system, times=200) == 100

    outcome, _ = watched(use)
    assert outcome.verdict == "ok", outcome


def test_too_much_under_other_limits_is_seen(generous):
    def use(simulation, system):
        system.set_rate_limit("a", {"capacity": 1, "rate": 1.0})
        empty(system)

    assert watched(use)[0].by == "limiter never over"


def test_a_bucket_that_is_filled_again_may_give_again():
    def use(simulation, system):
        assert empty(system) == 4
        system.reset_rate_limit("a")
        assert empty(system) == 4

    assert watched(use)[0].verdict == "ok"


def test_the_bucket_of_the_next_session_of_an_id_is_its_own():
    def use(simulation, system):
        for _ in range(2):
            system.start_session("a")
            assert empty(system) == 4
            system.terminate("a")
            simulation.sleep(0.01)

    def with_starts(simulation, system):
        from sessionactors.simulation import check_sessions

        check_sessions(simulation, system)
        use(simulation, system)

    def workload(simulation):
        with SessionSystem(actors=simulation.system, limiter={"capacity": 4, "rate": 0.001}) as system:
            with_starts(simulation, system)

    outcome = run_seed(workload, 0)
    assert outcome.verdict == "ok", outcome


def test_after_other_settings_of_all_nothing_is_said_that_is_not_known():
    def use(simulation, system):
        assert empty(system) == 4
        system.actors.whereis(RATE_LIMITER).ask(LimiterSettings(capacity=100, rate=50))
        simulation.sleep(10.0)
        assert empty(system, times=50) == 50

    assert watched(use)[0].verdict == "ok"


def test_an_id_in_bytes_is_the_same_bucket(generous):
    def use(simulation, system):
        empty(system, times=2)
        empty(system, session_id=b"a", times=3)

    outcome, _ = watched(use)
    assert outcome.by == "limiter never over"
    assert "'a': 5 tokens" in outcome.what


def test_too_much_out_of_a_bucket_that_was_filled_again_is_seen(generous):
    def use(simulation, system):
        system.check_rate_limit("a")
        system.reset_rate_limit("a")
        empty(system)

    assert watched(use)[0].by == "limiter never over"
