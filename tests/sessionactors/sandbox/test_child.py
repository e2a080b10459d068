"""Sandboxed sessions, with one test body for real processes and for simulated ones."""

from __future__ import annotations

import asyncio
import os
from contextlib import contextmanager

import pytest

from sessionactors import Session, SessionSystem
from sessionactors.errors import OperationFailed, ProcessDied
from supervisors.runtime.machine import KILL
from supervisors.simulation import run_seed
from tests.sessionactors.sandbox.handlers import Counter, Refusing, Worker
from tests.sessionactors.sandbox.movers import Movable
from tests.supervisors.simulation.outside_names import Reading
from tests.supervisors.worlds import in_both_worlds, in_simulation


class Awaiting(Session):
    """Answers after so many seconds."""

    async def handle_request(self, request):
        await asyncio.wait_for(asyncio.get_running_loop().create_future(), request)


@contextmanager
def sessions_in(system, session_class=Session):
    """A session system with one active session, `s`."""
    made = SessionSystem(actors=system, session={"auth_required": False, "idle_timeout": None})
    try:
        made.start_session("s", session_class=session_class)
        made.activate("s")
        yield made
    finally:
        made.stop()


def ended(system):
    """Wait until session `s` has ended."""
    ref = system.directory.get("s")
    if ref is not None:
        ref.join(timeout=20.0)
    return system.state_of("s") == "terminated"


@in_both_worlds
def test_requests_are_handled_one_by_one_in_a_process_that_keeps_its_state(run):
    def body(system):
        with sessions_in(system) as sessions:
            sessions.isolate("s", isolated="process", handler=Counter, arguments=[40])
            assert [sessions.call_isolated("s", number) for number in (1, 2)] == [41, 43]

    run(body)


@in_both_worlds
def test_what_a_handler_raises_is_told_and_it_goes_on(run):
    def body(system):
        with sessions_in(system) as sessions:
            sessions.isolate("s", isolated="process", handler=Worker)
            with pytest.raises(OperationFailed, match="ValueError: broken"):
                sessions.call_isolated("s", ["fail"])
            assert sessions.call_isolated("s", ["pid"]) != os.getpid()

    run(body)


@in_both_worlds
def test_a_handler_that_cannot_be_made_leaves_the_session_as_it_was(run):
    def body(system):
        with sessions_in(system) as sessions:
            with pytest.raises(OperationFailed, match="not today"):
                sessions.isolate("s", isolated="process", handler=Refusing)
            assert sessions.state_of("s") == "active"

    run(body)


@in_both_worlds
@pytest.mark.parametrize(
    ("request_", "why"), [(["leave", 3], "exit code 3"), (["crash"], "SIGSEGV"), (["leave", 86], "out_of_memory")]
)
def test_the_end_of_the_process_is_the_end_of_its_session(run, request_, why):
    def body(system):
        with sessions_in(system) as sessions:
            sessions.isolate("s", isolated="process", handler=Worker)
            with pytest.raises(ProcessDied, match=why):
                sessions.call_isolated("s", request_)
            assert ended(sessions)

    run(body)


@in_both_worlds
def test_a_request_beyond_its_deadline_is_killed_with_its_process(run):
    def body(system):
        with sessions_in(system) as sessions:
            sessions.isolate("s", isolated="process", handler=Worker)
            with pytest.raises(ProcessDied, match="deadline_exceeded"):
                sessions.call_isolated("s", ["hold", 1, 30.0], deadline=0.3)
            assert ended(sessions)

    run(body)


@in_both_worlds
def test_code_moves_into_a_process_and_back_with_its_state(run):
    def body(system):
        with sessions_in(system, Movable) as sessions:
            sessions.isolate("s")
            assert sessions.request("s", "one") == ["one"]
            sessions.isolate_session("s", process=True)
            assert sessions.request("s", "where") != os.getpid()
            assert sessions.request("s", "two") == ["one", "two"]
            sessions.unisolate_session("s")
            assert sessions.request("s", "where") == os.getpid()
            assert sessions.request("s", "three") == ["one", "two", "three"]

    run(body)


@in_both_worlds
def test_a_process_that_has_died_in_reserve_is_not_given_to_anybody(run):
    def body(system):
        with sessions_in(system) as sessions:
            sessions.isolate("s", isolated="process", handler=Counter)
            keeper = sessions.sandboxes
            with keeper._changed:
                assert keeper._changed.wait_for(keeper._has_warm, 20.0)
                spare = keeper._warm[0]._process
            spare.signal(KILL)
            assert spare.wait(20.0) is not None
            sessions.start_session("t")
            sessions.activate("t")
            sessions.isolate("t", isolated="process", handler=Counter)
            assert sessions.call_isolated("t", 1) == 1

    run(body)


@in_both_worlds
def test_a_machine_that_has_no_process_left_for_a_moment_is_asked_again(run, monkeypatch):
    def body(system):
        with sessions_in(system) as sessions:
            machine, refusals = sessions.sandboxes.machine, [1]
            proper = type(machine).process

            def process(self, program):
                if refusals:
                    refusals.pop()
                    raise BlockingIOError("no process left")
                return proper(self, program)

            monkeypatch.setattr(type(machine), "process", process)
            sessions.isolate("s", isolated="process", handler=Counter)
            assert sessions.call_isolated("s", 1) == 1
            monkeypatch.undo()

    run(body)


@in_both_worlds
def test_a_coroutine_that_takes_too_long_is_cancelled(run):
    def body(system):
        with sessions_in(system, Awaiting) as sessions:
            with pytest.raises(TimeoutError):
                sessions.request("s", 3000.0, timeout=0.1)
            assert sessions.state_of("s") == "active"

    run(body)


def test_ten_minutes_of_a_simulated_handler_take_no_time():
    def body(system):
        with sessions_in(system) as sessions:
            sessions.isolate("s", isolated="process", handler=Worker)
            assert sessions.call_isolated("s", ["hold", 1, 600.0], deadline=1200.0) == 1

    assert in_simulation(body).virtual_seconds >= 600.0


def test_a_simulated_handler_that_reads_the_clock_is_reported_with_the_place():
    def workload(simulation):
        with sessions_in(simulation.system) as sessions:
            sessions.isolate("s", isolated="process", handler=Reading)
            sessions.call_isolated("s", "look")

    outcome = run_seed(workload, 1)
    assert (outcome.verdict, outcome.by) == ("crash", "outside")
    assert "time.time() was called in wall_clock" in outcome.what
