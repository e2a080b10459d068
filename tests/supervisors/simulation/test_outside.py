from __future__ import annotations

import _thread
import concurrent.futures
import datetime as dt
import logging
import queue
import random
import subprocess
import threading
import time
import uuid
from datetime import datetime
from random import randint
from time import monotonic

import pytest

from supervisors import Actor
from supervisors.simulation import SimulationOptions, run_seed


class Doer(Actor):
    """Calls what it gets."""

    def on_receive(self, message):
        message()


def watched_now():
    clocks = (time.time, monotonic, dt.datetime, datetime, time.localtime)
    return (*clocks, random.random, random.Random.seed, uuid.uuid1, threading.Thread.start, subprocess.Popen.__init__)


def submit():
    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        executor.submit(int).result()


def start_thread():
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()


def outcome_of(touch, **options):
    return run_seed(lambda simulation: simulation.system.start(Doer).ask(touch), 1, SimulationOptions(**options))


@pytest.mark.parametrize(
    ("touch", "name"),
    [
        (lambda: time.time(), "time.time"),
        (lambda: time.perf_counter(), "time.perf_counter"),
        (lambda: time.monotonic_ns(), "time.monotonic_ns"),
        (lambda: monotonic(), "time.monotonic"),
        (lambda: datetime.now(), "datetime.now"),  # noqa: DTZ005 - it is about the call
        (lambda: dt.datetime.now(dt.UTC), "datetime.now"),
        (lambda: random.random(), "random.random"),
        (lambda: randint(1, 6), "random.randint"),
        (lambda: uuid.uuid4(), "os.urandom"),
        (lambda: uuid.uuid1(), "uuid.uuid1"),
        (lambda: random.Random().random(), "random.Random"),
        (lambda: random.SystemRandom().random(), "os.urandom"),
        (lambda: random.seed(), "random.seed"),
        (lambda: random.lognormvariate(0, 1), "random.lognormvariate"),
        (lambda: time.localtime(), "time.localtime"),
        (lambda: time.strftime("%H"), "time.strftime"),
        (lambda: time.process_time(), "time.process_time"),
        (lambda: subprocess.run(["true"], check=False), "subprocess.Popen"),
        (lambda: _thread.start_new_thread(int, ()), "_thread.start_new_thread"),
        (submit, "Thread.start"),
        (start_thread, "Thread.start"),
    ],
)
def test_what_no_seed_decides_is_found_with_its_place(touch, name):
    outcome = outcome_of(touch)
    assert (outcome.verdict, outcome.by) == ("crash", "outside")
    assert f"{name}() was called in " in outcome.what
    assert f"{__file__}:{touch.__code__.co_firstlineno}"[:-1] in outcome.what
    assert "outside" in outcome.transcript


def test_the_workload_is_watched_too():
    assert run_seed(lambda simulation: random.random(), 1).by == "outside"


@pytest.mark.parametrize(
    "touch",
    [
        lambda: random.Random(7).random(),
        lambda: random.seed(7),
        lambda: time.strftime("%H", time.gmtime(0.0)),
        lambda: datetime(2026, 1, 1),  # noqa: DTZ001 - it is about the call
        lambda: logging.getLogger("outside").critical("a record has a time"),
        lambda: isinstance(dt.datetime(2026, 1, 1), datetime) or 1 // 0,  # noqa: DTZ001 - as above
    ],
)
def test_what_repeats_is_fine(touch):
    assert not outcome_of(touch).failed


def test_who_wants_to_may():
    assert not outcome_of(lambda: time.time(), watch_outside=False).failed


def test_afterwards_everything_is_as_it_was():
    before = watched_now()
    outcome_of(lambda: time.time())
    assert watched_now() == before


def test_other_threads_are_not_the_simulated_program():
    asked, answered = queue.SimpleQueue(), queue.SimpleQueue()

    def look():
        asked.get(timeout=10)
        time.time()
        answered.put(None)

    thread = threading.Thread(target=look)
    thread.start()

    def touch():
        asked.put(None)
        answered.get(timeout=10)  # in real time: it is no condition variable

    assert not outcome_of(touch).failed
    thread.join()
