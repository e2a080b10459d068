"""A small shop that `sessionactors chaos run examples/chaos_experiment.toml` experiments on.

Three clerks under a supervisor answer questions; the till counts what was sold, and a
customer keeps asking. A clerk that dies is replaced; no sale that was confirmed is lost.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from supervisors import Actor, ActorSystem, ChildSpec, SettableClock, Supervisor, SupervisorsError

CLERKS = ("clerk-1", "clerk-2", "clerk-3")

confirmed = 0
"""Sales that a customer has been told of."""


class Till(Actor):
    """Counts sales."""

    sold = 0

    def on_start(self) -> None:
        self.system.register("till", self.actor_ref)

    def on_receive(self, message: Any) -> Any:
        if message == "sale":
            self.sold += 1
        return self.sold


class Clerk(Actor):
    """Sells, and has the till count it before it says so."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def on_start(self) -> None:
        self.system.register(self._name, self.actor_ref)

    def on_receive(self, message: Any) -> Any:
        if message == "buy":
            till = self.system.whereis("till")
            if till is None:
                return "closed"
            till.ask("sale")
            return "sold"
        return message


@contextmanager
def shop() -> Iterator[ActorSystem]:
    """Open the shop, with a customer in it, and close it afterwards."""
    global confirmed  # noqa: PLW0603 - one shop a process
    confirmed = 0
    closed = threading.Event()
    with ActorSystem(clock=SettableClock()) as system:  # so that an experiment may set it
        system.start(Till)
        clerks = [ChildSpec(name, Clerk, (name,)) for name in CLERKS]
        system.start(Supervisor, clerks, max_restarts=1000, max_seconds=60)
        customer = threading.Thread(target=_buy, args=(system, closed), name="customer")
        customer.start()
        try:
            yield system
        finally:
            closed.set()
            customer.join()


def _buy(system: ActorSystem, closed: threading.Event) -> None:
    global confirmed  # noqa: PLW0603 - as above
    while not closed.wait(0.005):
        for name in CLERKS:
            clerk = system.whereis(name)
            if clerk is None:
                continue
            try:
                if clerk.ask("buy", timeout=1.0) == "sold":
                    confirmed += 1
            except SupervisorsError:
                continue  # the next clerk


def no_sale_is_lost(system: ActorSystem) -> bool:
    """Tell whether the till knows every sale that was confirmed."""
    told = confirmed
    till = system.whereis("till")
    return till is not None and till.ask("total") >= told
