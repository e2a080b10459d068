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


def deposits_beside_others(simulation):
    """Two of the clients lose an update; the others have nothing to do with it."""
    account = simulation.system.start(Account)
    bystanders = [simulation.system.start(Echo) for _ in simulation.parts("bystanders", range(3))]
    clients = [simulation.client(bystander.ask, 0) for bystander in bystanders]
    made = [simulation.client(deposit, account) for _ in range(2)]
    clients += [simulation.client(bystander.ask, 1) for bystander in bystanders]
    for client in [*clients, *made]:
        client.get()
    assert account.ask(None) == 2


def test_parts_that_a_failure_does_not_need_are_left_out_of_it():
    failure = failure_of(deposits_beside_others)
    assert ("bystanders", "0-2") in failure.shrunk.recipe.without
    assert "without 3 of the bystanders" in str(failure)
    assert "Echo" not in failure.shrunk.transcript
    assert [name for name, _ in failure.shrunk.parts] == ["clients", "clients"]


class Ledger(Actor):
    """Tells whoever reads how often somebody has read since the last write."""

    readers = 0

    def on_receive(self, message):
        self.readers = self.readers + 1 if message == "read" else 0
        return self.readers


def read_and_write(ledger):
    if ledger.ask("read") > 1:
        raise ZeroDivisionError
    ledger.ask("write")


def test_clients_that_a_failure_does_not_need_are_left_out_where_all_is_well_without_them():
    def five(simulation):
        def later(seconds):
            simulation.sleep(seconds)
            read_and_write(ledger)

        ledger = simulation.system.start(Ledger)
        for answer in [simulation.client(later, float(number)) for number in range(5)]:
            answer.get()

    slow = SimulationOptions(
        faults={"slow_turn": 0.2}, arming=1.0, ask_timeout=None, spare=lambda ref: ref.actor_class is not Ledger
    )
    failure = failure_of(five, options=slow)
    assert failure.shrunk.by == "ZeroDivisionError"
    assert len(failure.shrunk.parts) == 2


def test_who_is_counted_on_is_not_left_out():
    def counts(simulation):
        account = simulation.system.start(Account)
        for answer in [simulation.client(deposit, account) for _ in range(3)]:
            answer.get()
        assert account.ask(None) == 3

    failure = failure_of(counts)
    assert failure.shrunk.recipe.without == ()
    assert len(failure.shrunk.parts) == 3


def test_where_nothing_is_ever_well_only_named_parts_are_left_out():
    def fails(simulation):
        echoes = simulation.parts("echoes", [simulation.system.start(Echo) for _ in range(3)])
        for answer in [simulation.client(echo.ask, 1) for echo in [*echoes, *echoes]]:
            answer.get()
        simulation.client(lambda: None).get()
        raise AssertionError("always")

    failure = failure_of(fails)
    assert ("echoes", "0-2") in failure.shrunk.recipe.without
    assert [name for name, _ in failure.shrunk.parts] == ["clients"]


def test_a_failure_that_does_not_repeat_is_shown_as_it_was_found():
    runs = []

    def fails_once(simulation):
        runs.append(simulation.client(lambda: None).get())
        assert len(runs) > 1

    failure = failure_of(fails_once)
    assert failure.shrunk == failure.outcome


def test_a_failure_of_very_many_steps_is_made_small_in_few_runs(monkeypatch):
    runs = []

    def long(simulation):
        runs.append(simulation.seed)
        lost_update(simulation)

    failure = failure_of(long)
    monkeypatch.setattr("supervisors.simulation.runner.STEPS_MAX", failure.outcome.steps * 3)
    runs.clear()
    with pytest.raises(SimulationFailedError):
        simulate(long, [failure.outcome.seed])
    assert len(runs) < 10
