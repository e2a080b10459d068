"""A day of session traffic under the simulation: people come, use a session, forget about it, and come back.

``make simulate WORKLOAD=tests.simulation.day_workload:day`` runs it. What must hold: whoever
comes back in time finds that nobody has ended the session for idleness, and what people have
forgotten is gone in the end, however many crashes there were.
"""

from __future__ import annotations

import logging
from contextlib import suppress

from sessionactors import SessionSystem
from sessionactors.errors import SessionActorsError
from sessionactors.simulation import check_sessions
from supervisors import SupervisorsError
from supervisors.simulation import ALL_WITHIN_CONTRACT, FAULT_KINDS, SimulationOptions, with_options
from tests.simulation.session_workload import RESTARTS_MAX, TRUSTED, spare

__all__ = ["World", "day"]

DAY = 86_400.0
PEOPLE = 8
IDLE = 1800.0
SWEEP = 60.0
USES_MAX = 8
VISITS_MAX = 40
PAUSE_MAX = 1500.0  # between two uses; less than it takes to be idle
AWAY_MAX = 4 * 3600.0

# The age of a session is measured on the monotonic clock, so the wall clock may jump as it likes.
OFTEN = {kind: FAULT_KINDS[kind].chance for kind in ALL_WITHIN_CONTRACT}


@with_options(SimulationOptions(faults=OFTEN, steps_max=200_000, spare=spare))
def day(simulation):
    """Let people use sessions for a day, while everything around them crashes now and then."""
    log = logging.getLogger("sessionactors")
    level = log.level
    log.setLevel(logging.CRITICAL)  # crashes are what a simulation is for
    try:
        _run(simulation)
    finally:
        log.setLevel(level)


def _run(simulation):
    with _start(simulation) as system:
        checks = check_sessions(simulation, system)
        world = World(simulation, system)
        people = simulation.parts("people", range(PEOPLE))
        for answer in [simulation.client(world.live, number) for number in people]:
            answer.get(timeout=None)
        simulation.recover()
        simulation.sleep(IDLE + 10 * SWEEP)
        world.judge()
        checks.judge()


def _start(simulation):
    # A fault may hit the very first start; then somebody tries again.
    tries = 50
    while True:
        tries -= 1
        try:
            return SessionSystem(
                actors=simulation.system,
                session={"idle_timeout": IDLE},
                reaper={"interval": SWEEP, "idle_threshold": IDLE},
                max_restarts=RESTARTS_MAX,
            )
        except (SupervisorsError, SessionActorsError):
            if not tries:
                raise
            simulation.sleep(1.0)


class World:
    """What people know of their sessions."""

    def __init__(self, simulation, system):
        self.simulation = simulation
        self.system = system
        self.used_at = {}  # session -> virtual seconds, before its last use that was acknowledged

    def now(self):
        return self.simulation.system.clock.monotonic()

    def live(self, number):
        random = self.simulation.entropy.stream(f"person {number}")
        for visit in self.simulation.parts(f"visits of person {number}", range(VISITS_MAX)):
            if self.now() >= DAY:
                break
            self.simulation.sleep(random.random() * AWAY_MAX)
            with suppress(SupervisorsError, SessionActorsError):
                self._visit(f"session-{number}-{visit}", random)

    def _visit(self, session_id, random):
        system = self.system
        system.start_session(session_id)
        system.authenticate(session_id, TRUSTED)
        system.activate(session_id)
        for _ in range(1 + int(random.random() * USES_MAX)):
            self.simulation.sleep(random.random() * PAUSE_MAX)
            began = self.now()
            system.update_session(session_id, lambda metadata: {**metadata, "uses": metadata.get("uses", 0) + 1})
            self.used_at[session_id] = began
        if random.random() < 0.3:
            system.terminate(session_id)

    def judge(self):
        left = len(self.system.directory)
        assert left == 0, f"{left} sessions live on that nobody has used for {IDLE:g} seconds"
        self.system.commit_audit()
        for event in self.system._ledger.log.events():
            if event.data and event.data.get("event") == "session_reaped" and event.session in self.used_at:
                idle = event.monotonic_time - self.used_at[event.session]
                assert idle >= IDLE, f"{event.session} was reaped {idle:g} seconds after it had been used"
