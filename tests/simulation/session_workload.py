"""Sessions with all their services under the simulation: clients, faults, disks that fail.

``make simulate WORKLOAD=tests.simulation.session_workload:sessions`` runs it. What must hold
is what `check_sessions()` demands of every session system.
"""

from __future__ import annotations

import logging
from contextlib import suppress

from sessionactors import SessionSystem
from sessionactors.errors import SessionActorsError
from sessionactors.simulation import SimulatedAuditLog, SimulatedStore, check_sessions
from supervisors import SupervisorsError
from supervisors.simulation import ALL_WITHIN_CONTRACT, FAULT_KINDS, SimulationOptions, with_options
from supervisors.simulation.simulation import Client

__all__ = ["World", "sessions", "spare"]

CAPACITY = 16
CLIENTS = 4
ROUNDS = 12
RESTARTS_MAX = 20
TRUSTED = {"authenticated": True}

# The root supervisor of a session system is nobody's child, as is the client; the rest is hit.
# An exit signal is left out: it tells a session to end, which then is not to come back.
OFTEN = {kind: FAULT_KINDS[kind].chance * 2 for kind in ALL_WITHIN_CONTRACT if kind != "exit_signal"}


def spare(ref):
    return ref.parent is None or ref.actor_class is Client


@with_options(SimulationOptions(faults=OFTEN, steps_max=50_000, spare=spare))
def sessions(simulation):
    """Let clients use sessions, each its own, while everything around them crashes."""
    log = logging.getLogger("sessionactors")
    level = log.level
    log.setLevel(logging.CRITICAL)  # crashes are what a simulation is for
    try:
        _run(simulation)
    finally:
        log.setLevel(level)


def _run(simulation):
    system = _start(simulation)
    try:
        checks = check_sessions(simulation, system)
        world = World(simulation, system)
        users = simulation.parts("users", [f"session-{number}" for number in range(CLIENTS)])
        answers = [simulation.client(world.use, user) for user in users]
        for answer in answers:
            answer.get(timeout=None)
        simulation.recover()
        checks.judge()
    finally:
        system.stop()


def _start(simulation):
    # A fault may hit the very first start; then somebody tries again.
    tries = 50
    while True:
        tries -= 1
        try:
            return SessionSystem(
                actors=simulation.system,
                store=SimulatedStore(simulation),
                audit_log=SimulatedAuditLog(simulation),
                session={"idle_timeout": None},
                limiter={"capacity": CAPACITY, "rate": 1e-9, "signal_refusals": False},
                # Faults of a run may well hit a service more often in a moment than the default
                # allows; far more would be a storm, which no retry of ours may be.
                storage={"max_restarts": RESTARTS_MAX},
                max_restarts=RESTARTS_MAX,
            )
        except (SupervisorsError, SessionActorsError):
            if not tries:
                raise
            simulation.sleep(1.0)


class World:
    """What clients do; what must hold is seen without their help."""

    def __init__(self, simulation, system):
        self.simulation = simulation
        self.system = system
        self.numbers = {}  # session -> the last number that somebody has tried to write

    def use(self, session_id):
        random = self.simulation.entropy.stream(session_id)
        for _ in self.simulation.parts(f"rounds of {session_id}", range(ROUNDS)):
            self.simulation.sleep(random.random() * 5.0)
            with suppress(SupervisorsError, SessionActorsError):
                self._one_round(session_id, random)

    def begins(self, session_id):
        """Tell whether a session is to be started: its client has never done so, or it has not come about."""
        return session_id not in self.numbers and self.system.directory.get(session_id) is None

    def _one_round(self, session_id, random):
        system = self.system
        if self.begins(session_id):
            system.start_session(session_id, {"persistent": True})
        if system.state_of(session_id) == "new":
            system.authenticate(session_id, TRUSTED)
        if system.state_of(session_id) == "auth":
            # Who stays here for half a minute is ended, as it should be.
            system.activate(session_id)
        dice = random.random()
        if dice < 0.6:
            number = self.numbers[session_id] = self.numbers.get(session_id, 0) + 1
            system.update_session(session_id, lambda metadata: {**metadata, "number": number})
            system.persist(session_id)
        elif dice < 0.8:
            system.suspend(session_id)
            system.resume(session_id)
        else:
            system.check_rate_limit("shared", cost=4)
