"""What simulated code finds in place of functions of the standard library."""

from __future__ import annotations

import concurrent.futures
import os
import queue
import signal
import threading
import time

import pykka
import pytest

from supervisors import AskTimeoutError
from supervisors.pools import WorkerPool
from supervisors.runtime.futures import ScheduledFuture
from supervisors.runtime.machine import Program
from supervisors.simulation import Simulation, run_seed
from tests.supervisors.pools import jobs

ORIGINALS = (os.getpid, os._exit, os.kill, signal.raise_signal, threading.Condition.wait, time.sleep)


def ok(workload, seed=1):
    outcome = run_seed(workload, seed)
    assert outcome.verdict == "ok", f"{outcome}\n{outcome.transcript}"
    return outcome


def later(simulation, do, *given):
    simulation.sleep(500.0)
    do(*given)


def now(simulation):
    return simulation.system.clock.monotonic()


def test_an_event_is_waited_for_in_virtual_time():
    def workload(simulation):
        event = threading.Event()
        simulation.client(later, simulation, event.set)
        assert event.wait()
        assert now(simulation) == 500.0
        assert not threading.Event().wait(250.0)
        assert now(simulation) == 750.0

    ok(workload)


@pytest.mark.parametrize("kind", [ScheduledFuture, pykka.ThreadingFuture])
def test_a_future_that_belongs_to_nobody_is_waited_for_in_virtual_time(kind):
    def workload(simulation):
        future = kind()
        simulation.client(later, simulation, future.set, "late")
        assert future.get() == "late"
        assert now(simulation) == 500.0

    ok(workload)


def test_a_future_that_never_has_an_outcome_is_given_up_in_virtual_time():
    def workload(simulation):
        with pytest.raises(AskTimeoutError):
            ScheduledFuture().get(timeout=250.0)
        assert now(simulation) == 250.0

    ok(workload)


def test_a_queue_is_waited_for_in_virtual_time():
    def workload(simulation):
        items = queue.Queue()
        simulation.client(later, simulation, items.put, "late")
        assert items.get() == "late"
        with pytest.raises(queue.Empty):
            items.get(timeout=250.0)
        assert now(simulation) == 750.0

    ok(workload)


def test_futures_of_the_standard_library_are_waited_for_in_virtual_time():
    def workload(simulation):
        with WorkerPool(None, 2, kind="process", system=simulation.system) as pool:
            futures = [pool.submit(time.sleep, seconds) for seconds in (300.0, 100.0)]
            assert list(concurrent.futures.as_completed(futures)) == [futures[1], futures[0]]
            assert concurrent.futures.wait(futures).not_done == set()

    assert ok(workload).virtual_seconds >= 300.0


def test_a_wait_without_end_is_no_progress():
    assert run_seed(lambda simulation: threading.Event().wait(), 1).verdict == "no progress"


def test_who_waits_without_the_lock_is_told():
    def workload(simulation):
        with pytest.raises(RuntimeError):
            threading.Condition().wait()

    ok(workload)


def test_an_actor_that_sleeps_is_reported_and_a_process_is_not():
    def workload(simulation):
        with WorkerPool(None, 1, kind="process", system=simulation.system) as pool:
            pool.submit(time.sleep, 1000.0).result()

    assert ok(workload).virtual_seconds >= 1000.0
    assert run_seed(lambda simulation: time.sleep(0.0), 1).by == "outside"


def test_a_process_can_be_signalled_by_its_number():
    def workload(simulation):
        process = simulation.system.machine.process(Program("tests.supervisors.machine_programs"))
        os.kill(process.pid, signal.SIGSTOP)
        assert process.is_stopped
        os.kill(process.pid, signal.SIGTERM)
        assert process.poll() == -signal.SIGTERM
        with pytest.raises(ProcessLookupError):
            os.kill(process.pid, signal.SIGTERM)

    ok(workload)


def test_code_in_a_process_that_looks_at_the_clock_is_reported_with_the_place():
    def workload(simulation):
        with WorkerPool(None, 1, kind="process", system=simulation.system) as pool:
            pool.submit(jobs.look_at_clock).result()

    outcome = run_seed(workload, 1)
    assert (outcome.verdict, outcome.by) == ("crash", "outside")
    assert "time.time() was called in look_at_clock" in outcome.what


def test_everything_is_put_back():
    with Simulation(1) as simulation:
        simulation.run(lambda _: None)
        assert threading.Condition.wait is not ORIGINALS[4]
    assert (os.getpid, os._exit, os.kill, signal.raise_signal, threading.Condition.wait, time.sleep) == ORIGINALS


def test_the_program_outside_is_the_process_that_it_is():
    own = os.getpid()
    ok(lambda simulation: os.getpid() == own or pytest.fail("another number"))
