from __future__ import annotations

import hypothesis
import pytest
from hypothesis import strategies as st

from supervisors import Actor, ChildSpec, InvalidArgumentError, InvalidTypeError, Supervisor
from supervisors.simulation.strategies import fault_plans, schedules, simulate, simulated, workloads
from tests.supervisors.actors import Recorder

FEW = hypothesis.settings(max_examples=30, derandomize=True, database=None, deadline=None)


class Account(Actor):
    """Holds an amount; whoever wants to change it reads it first."""

    amount = 0

    def on_receive(self, message):
        if message == "read":
            return self.amount
        self.amount = message
        return None


@FEW
@simulated(numbers=st.lists(st.integers(), max_size=5))
def test_a_workload_gets_what_is_drawn(simulation, numbers):
    recorder = simulation.system.start(Recorder)
    for number in numbers:
        recorder.tell(number)
    assert recorder.ask("seen") == numbers


@FEW
@simulated(faults=fault_plans(["kill", "crash_before"], chance_max=0.05))
def test_a_tree_stands_what_is_drawn(simulation):
    tree = simulation.system.start(Supervisor, [ChildSpec("one", Recorder)], max_restarts=1000)
    simulation.sleep(1.0)
    assert tree.is_alive()


def test_a_failure_is_shrunk_to_the_least_data():
    seen = []

    @FEW
    @simulated(deposits=st.integers(1, 20))
    def race(simulation, deposits):
        account = simulation.system.start(Account)
        add = lambda: account.ask(account.ask("read") + 1)  # noqa: E731 - called beside others
        for answer in [simulation.client(add) for _ in range(deposits)]:
            answer.get()
        seen.append(deposits)
        assert account.ask("read") == deposits

    with pytest.raises(AssertionError, match="seed 0: wrong result"):
        race()
    assert seen[-1] <= 3


def test_a_plan_may_be_without_faults():
    assert hypothesis.find(fault_plans(), lambda plan: True, settings=FEW) == {}
    assert hypothesis.find(fault_plans([]), lambda plan: True, settings=FEW) == {}


def test_the_simplest_schedule_is_round_robin():
    assert hypothesis.find(schedules(), lambda name: True, settings=FEW) == "round robin"


@pytest.mark.parametrize("chance", [0.0, 1.5, float("nan")])
def test_a_chance_that_makes_no_sense_is_refused(chance):
    with pytest.raises(InvalidArgumentError, match="chance_max"):
        fault_plans(chance_max=chance)


def test_only_kinds_that_there_are_can_be_drawn():
    with pytest.raises(InvalidArgumentError, match="kinds"):
        fault_plans(["earthquake"])


def test_what_clients_do_is_drawn_and_shrunk_to_what_the_failure_needs():
    seen = []

    @FEW
    @simulate(clients=workloads(st.sampled_from(["read", "deposit"]), clients_max=3, steps_max=4))
    def race(simulation, clients):
        def use(steps):
            for step in steps:
                amount = account.ask("read")
                if step == "deposit":
                    account.ask(amount + 1)

        account = simulation.system.start(Account)
        for answer in [simulation.client(use, steps) for steps in clients]:
            answer.get()
        seen.append(clients)
        assert account.ask("read") == sum(steps.count("deposit") for steps in clients)

    with pytest.raises(AssertionError, match="wrong result"):
        race()
    assert len(seen[-1]) == 2
    assert sum(map(len, seen[-1])) <= 3


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"clients_max": 0}, InvalidArgumentError),
        ({"steps_max": -1}, InvalidArgumentError),
        ({"steps_max": True}, InvalidTypeError),
    ],
)
def test_how_much_clients_do_is_bounded_by_whole_numbers(given, kind):
    with pytest.raises(kind, match=next(iter(given))):
        workloads(st.just("read"), **given)
