from __future__ import annotations

import pytest

from supervisors import Actor
from supervisors.simulation import (
    SimulationFailedError,
    SimulationOptions,
    explore,
    run_seed,
    run_twice,
    simulate,
    with_options,
)
from supervisors.simulation.workloads import supervised_workers
from tests.supervisors.actors import Echo


class Account(Actor):
    """Holds an amount, which others read and write."""

    amount = 0

    def on_receive(self, message):
        if message is None:
            return self.amount
        self.amount = message
        return None


def deposit(account):
    account.ask(account.ask(None) + 1)


def lost_update(simulation):
    """Read, then write: right only if nobody else writes in between."""
    account = simulation.system.start(Account)
    for answer in [simulation.client(deposit, account) for _ in range(2)]:
        answer.get()
    assert account.ask(None) == 2


def harmless(simulation):
    echo = simulation.system.start(Echo)
    answers = [simulation.client(echo.ask, number) for number in range(2)]
    assert sorted(answer.get() for answer in answers) == [0, 1]


def failure_of(workload, **how):
    with pytest.raises(SimulationFailedError) as caught:
        simulate(workload, range(200), **how)
    return caught.value


@pytest.mark.parametrize("schedule", ["mixed", "random", "pct"])
def test_a_lost_update_is_found_by_seeds(schedule):
    failure = failure_of(lost_update, options=SimulationOptions(schedule=schedule))
    assert failure.outcome.verdict == "wrong result"
    assert failure.outcome.seed < 50


def test_a_failure_says_what_repeats_it():
    failure = failure_of(lost_update)
    assert f"--seed {failure.outcome.seed}" in str(failure)
    assert "test_runner:lost_update" in str(failure)
    assert f"run_seed(lost_update, {failure.outcome.seed}, options" in str(failure)


def test_the_seed_repeats_the_failure_to_the_bit():
    failure = failure_of(lost_update)
    assert run_seed(lost_update, failure.outcome.seed) == failure.outcome


def test_the_shrunk_recipe_fails_in_the_same_way_and_is_no_longer():
    failure = failure_of(lost_update, options=SimulationOptions(schedule="random"))
    again = run_seed(lost_update, failure.outcome.seed, repeat=failure.shrunk.recipe)
    assert (again.verdict, again.by) == (failure.outcome.verdict, failure.outcome.by)
    assert again.transcript_hash == failure.shrunk.transcript_hash
    assert len(failure.shrunk.recipe) <= len(failure.outcome.recipe)


def test_the_recipe_of_a_run_with_faults_repeats_it_to_the_bit():
    for seed in range(5):
        outcome = run_seed(supervised_workers, seed)
        assert run_seed(supervised_workers, seed, repeat=outcome.recipe) == outcome


def test_all_orders_of_a_small_system_are_tried():
    runs, complete = explore(harmless, depth=6)
    assert complete
    assert runs > 10


def test_trying_all_orders_finds_what_one_order_shows():
    with pytest.raises(SimulationFailedError, match="wrong result"):
        explore(lost_update, depth=20)


def test_trying_all_orders_ends_at_the_bound():
    assert explore(harmless, depth=20, runs_max=3) == (3, False)


def test_seeds_that_pass_give_their_outcomes():
    outcomes = simulate(harmless, range(3))
    assert [outcome.seed for outcome in outcomes] == [0, 1, 2]
    assert not any(outcome.failed for outcome in outcomes)


def test_a_workload_brings_its_own_options():
    @with_options(SimulationOptions(steps_max=1))
    def workload(simulation):
        return simulation.system.start(Echo).ask(1)

    assert run_seed(workload, 1).verdict == "no progress"
    assert run_seed(workload, 1, SimulationOptions()).verdict == "ok"


def test_a_schedule_can_be_given_by_hand():
    chosen = []

    class First:
        def choose(self, ready):
            chosen.append(len(ready))
            return 0

    run_seed(harmless, 1, schedule=First())
    assert chosen


def test_what_does_not_come_from_the_seed_is_found_by_running_it_twice():
    outside = iter(range(100))

    def workload(simulation):
        simulation.system.start(Echo).ask(next(outside))

    outcome = run_twice(workload, 1)
    assert (outcome.verdict, outcome.by) == ("crash", "not repeatable")
    assert "ask 0" in outcome.what
    assert "ask 1" in outcome.what
    with pytest.raises(SimulationFailedError, match="two runs of one seed differ"):
        simulate(workload, range(1), twice=True)


def test_a_seed_that_repeats_is_judged_as_usual():
    assert run_twice(harmless, 1) == run_seed(harmless, 1)
    assert run_twice(lambda simulation: 1 // 0, 1).by == "ZeroDivisionError"
