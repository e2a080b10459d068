"""Sessions whose code is in processes that die, and sessions whose handlers are coroutines, under the simulation.

``make simulate WORKLOAD=tests.simulation.sandbox_workload:sandboxes`` runs it. What must hold: every
request gets its own answer or an error, and a handler gets requests one by one, in order, also
when two clients ask at once; whose process has died ends; when all is over, no process is left.
"""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import suppress

from sessionactors import Session, SessionSystem
from sessionactors.errors import SessionActorsError
from supervisors import SupervisorsError
from supervisors.simulation import SimulationOptions, with_options
from tests.simulation.process_workload import OFTEN, in_the_end, spare

__all__ = ["Counter", "Slow", "sandboxes"]

ROUNDS = 8
CLIENTS = 6


class Counter:
    """The handler of a sandbox."""

    def __init__(self):
        self._count = 0

    def handle_request(self, request):
        self._count += 1
        return [request, self._count, os.getpid()]


class Slow(Session):
    """Answers after a while, on the loop of the session system."""

    async def handle_request(self, request):
        await asyncio.sleep(0.25)
        return request


@with_options(SimulationOptions(faults=OFTEN, steps_max=100_000, spare=spare))
def sandboxes(simulation):
    """Ask sessions whose code is in processes, and others whose handlers are coroutines."""
    log = logging.getLogger("sessionactors")
    level = log.level
    log.setLevel(logging.CRITICAL)  # crashes are what a simulation is for
    try:
        system = in_the_end(
            simulation,
            lambda: SessionSystem(
                actors=simulation.system,
                session={"idle_timeout": None, "auth_required": False},
                max_restarts=100,
                limiter={"signal_refusals": False},
            ),
            SupervisorsError,
            SessionActorsError,
        )
        try:
            _use_sandboxes(simulation, system)
        finally:
            system.stop()
        running = [process for process in simulation.system.machine.processes if process.poll() is None]
        assert not running, f"left: {running}"
    finally:
        log.setLevel(level)


def _use_sandboxes(simulation, system):
    def use(number):
        name, is_slow = f"s{number // 2}", number < 2
        random = simulation.entropy.stream(f"client {number}")
        asked = {}
        for each in range(ROUNDS):
            simulation.sleep(random.random() * 3.0)
            with suppress(SupervisorsError, SessionActorsError):
                if system.directory.get(name) is None:
                    system.start_session(name, session_class=Slow if is_slow else Session)
                    system.activate(name)
                    if not is_slow:
                        system.isolate(name, isolated="process", handler=Counter)
                if is_slow:
                    question = (number, each)
                    answer = system.request(name, question, timeout=20.0)
                    assert answer == question, f"{question} is answered with {answer}"
                else:
                    question = f"{number}-{each}"
                    answer, count, pid = system.call_isolated(name, question, deadline=20.0)
                    assert answer == question, f"{question} is answered with {answer}"
                    assert count > asked.get(pid, 0), f"request {count} of process {pid} comes after a later one"
                    asked[pid] = count

    answers = [simulation.client(use, number) for number in range(CLIENTS)]
    for answer in answers:
        answer.get(timeout=None)
    simulation.recover()
    if system.directory.get("s0") is None:
        system.start_session("s0", session_class=Slow)
    if system.state_of("s0") == "new":  # or whoever started it was cut off before it could activate it
        system.activate("s0")
    for question in ("one", "two"):
        assert system.request("s0", question, timeout=20.0) == question
