"""A process that dies and is started again, over one store and one durable audit log, under the simulation.

``make simulate WORKLOAD=tests.simulation.recovery_workload:recovery`` runs it. In each generation
clients use sessions until the process dies: all of its actors at once, in the middle of whatever
they do, on a disk that fails now and then. The next one starts from what was on the disk at
that moment. What must hold: what `persist()` has acknowledged is there in every later
generation; every transition that was told before a commit of the audit log is in the log;
the log of every generation verifies.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from sessionactors import SessionSystem
from sessionactors.audit.verify import verify
from sessionactors.errors import SessionActorsError
from sessionactors.simulation import SimulatedStore, check_sessions
from supervisors import SupervisorsError
from supervisors.simulation import SimulationOptions, with_options
from supervisors.simulation.simulation import Client
from tests.simulation.session_workload import OFTEN, TRUSTED, spare

__all__ = ["World", "recovery"]

GENERATIONS = 3
CLIENTS = 3
ROUNDS = 8
LIFE_MAX = 40.0  # virtual seconds

# The disk of the audit log is a real one, with keys of its own: nothing that the seed decides
# depends on them, and nothing of them is in the transcript.
# The wall clock does not jump: a new process has nothing else to tell the age of a session by,
# and rightly ends one that seems not to have been used for hours.
KINDS = {kind: chance for kind, chance in OFTEN.items() if kind != "clock_jump"}
OPTIONS = SimulationOptions(faults=KINDS, steps_max=50_000, spare=spare, watch_outside=False)


@with_options(OPTIONS)
def recovery(simulation):
    """Let the process die again and again, and look at what the last one finds."""
    log = logging.getLogger("sessionactors")
    level = log.level
    log.setLevel(logging.CRITICAL)  # crashes are what a simulation is for
    with tempfile.TemporaryDirectory() as directory:
        try:
            world = World(simulation, Path(directory))
            for generation in range(GENERATIONS):
                world.live(generation)
            simulation.recover()
            world.judge()
        finally:
            log.setLevel(level)


class World:
    """What outlives a process: the disk, and what its users know."""

    def __init__(self, simulation, directory):
        self.simulation = simulation
        self.directory = directory
        self.log = directory / "log-0"
        self.disk = SimulatedStore(simulation)
        self.checks = None
        self.generation = 0
        self.numbers = {}

    def live(self, generation):
        """Start a process on the disk, let clients use it, and have it die."""
        self.generation = generation
        system = self._start()
        answers = [self.simulation.client(self._use, system, number, generation) for number in range(CLIENTS)]
        self.simulation.sleep(self.simulation.entropy.stream(f"life {generation}").random() * LIFE_MAX)
        self._die(system)
        for answer in answers:
            answer.get(timeout=None)

    def judge(self):
        system = self._start()
        try:
            self.checks.judge()
        finally:
            system.stop()
        verified = verify(self.log)
        assert verified.outcome == "valid", f"the log does not verify: {verified}"

    def _start(self):
        tries = 50
        while True:
            tries -= 1
            try:
                system = SessionSystem(
                    actors=self.simulation.system, store=self.disk, audit_dir=self.log, session={"idle_timeout": None}
                )
            except (SupervisorsError, SessionActorsError):
                if not tries:
                    raise
                # Who could not start has let go of the disk; the next one has a way of its own to it.
                self.disk = self.disk.crash()
                self.simulation.sleep(1.0)
            else:
                break
        if self.checks is None:
            self.checks = check_sessions(self.simulation, system)
        else:
            self.checks.follow(system)
        return system

    def _die(self, system):
        """Keep what is on the disk now; what the process would still do does not get there."""
        self.checks.died()
        self.disk = self.disk.crash()
        log = self.directory / f"log-{self.generation + 1}"
        shutil.copytree(self.log, log)
        self.log = log
        self.generation += 1
        for ref in self.simulation.system.actors():
            if ref.actor_class is not Client:
                ref.kill()
        self.simulation.sleep(1.0)
        with suppress(SupervisorsError, SessionActorsError):
            system.stop()  # gives back what a process that ends gives back: files and locks

    def _use(self, system, number, generation):
        session_id = f"session-{number}"
        random = self.simulation.entropy.stream(f"{session_id} in {generation}")
        for _ in self.simulation.parts(f"rounds of {session_id} in {generation}", range(ROUNDS)):
            self.simulation.sleep(random.random() * 5.0)
            if self.generation != generation:
                return
            with suppress(SupervisorsError, SessionActorsError):
                self._one_round(system, session_id, random.random())

    def _one_round(self, system, session_id, dice):
        if session_id not in self.numbers and system.directory.get(session_id) is None:
            system.start_session(session_id, {"persistent": True})
        if system.state_of(session_id) == "new":
            system.authenticate(session_id, TRUSTED)
        if system.state_of(session_id) == "auth":
            system.activate(session_id)
        if dice < 0.6:
            number = self.numbers[session_id] = self.numbers.get(session_id, 0) + 1
            system.update_session(session_id, lambda metadata: {**metadata, "number": number})
            system.persist(session_id)
        else:
            system.suspend(session_id)
            system.resume(session_id)
            system.commit_audit()
