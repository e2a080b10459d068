"""A small bank: accounts, transfers between them, and a bug that only some orders show.

Run it under a seed from the folder of the project:

    python -m supervisors.simulation examples.chaos_rig.bank:transfers --seed 0 --runs 100
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from supervisors import Actor, ActorRef
from supervisors.simulation import SimulationOptions, with_options

if TYPE_CHECKING:
    from supervisors.simulation import Simulation

ACCOUNTS = 2
PEOPLE = 2
MONEY = 100


# Turns of accounts take long at times; the people's own do not.
OPTIONS = SimulationOptions(faults={"slow_turn": 0.2}, spare=lambda ref: ref.actor_class is not Account)


class Account(Actor):
    """Holds money. It asks before it gives: is there enough?"""

    dispatch = "inline"

    def __init__(self, balance: int) -> None:
        super().__init__()
        self.balance = balance

    def on_receive(self, message: Any) -> Any:
        verb, amount = message
        if verb == "set":
            self.balance = amount
        elif verb == "add":
            self.balance += amount
        elif verb == "take":
            if amount > self.balance:
                return False
            self.balance -= amount
            return True
        return self.balance


def transfer(source: ActorRef[Account], target: ActorRef[Account], amount: int) -> bool:
    """Move money: read what the source has, write what is left, add it to the target."""
    balance = source.ask(("read", None), timeout=None)
    if balance < amount:
        return False
    source.ask(("set", balance - amount), timeout=None)
    target.ask(("add", amount), timeout=None)
    return True


def better_transfer(source: ActorRef[Account], target: ActorRef[Account], amount: int) -> bool:
    """Move money: the source itself looks and takes, in one turn."""
    if not source.ask(("take", amount), timeout=None):
        return False
    target.ask(("add", amount), timeout=None)
    return True


def run(simulation: Simulation, move: Any) -> None:
    """Let people move money at the same time; none may come or go."""
    accounts = [simulation.system.start(Account, MONEY) for _ in range(ACCOUNTS)]

    def person(number: int) -> None:
        random = simulation.entropy.stream(f"person {number}")
        for _ in simulation.parts(f"transfers of person {number}", range(2)):  # a failure is shown without some
            simulation.sleep(random.random() * 60.0)
            source, target = random.sample(accounts, 2)
            move(source, target, 1 + int(random.random() * 40))

    for answer in [simulation.client(person, number) for number in range(PEOPLE)]:
        answer.get(timeout=None)
    total = sum(account.ask(("read", None), timeout=None) for account in accounts)
    assert total == ACCOUNTS * MONEY, f"{total} in the bank, which began with {ACCOUNTS * MONEY}"


@with_options(OPTIONS)
def transfers(simulation: Simulation) -> None:
    """Use the transfer with the bug."""
    run(simulation, transfer)


@with_options(OPTIONS)
def better_transfers(simulation: Simulation) -> None:
    """Use the other one."""
    run(simulation, better_transfer)
