"""Pools under everything at once: the books balance, and nothing is left behind.

A second for each kind in the normal suite; TORTURE_SECONDS says for how long otherwise.
Tasks work, raise, hang, run out of memory and kill their process, while workers are
killed, stopped and resized from outside, futures are cancelled, and the pool's own actor
is killed now and then. The seed is drawn anew
for each long run, and told.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter

import psutil
import pytest

from supervisors.pools import Backlog, PoolFullError, Retry, TaskError, WorkerPool
from supervisors.supervision.backoff import Backoff
from tests.supervisors.pools.waiting import until
from tests.torture import pool_jobs

SECONDS = float(os.environ.get("TORTURE_SECONDS", "1.0"))
SEED = random.SystemRandom().randrange(1 << 32) if "TORTURE_SECONDS" in os.environ else 7

KILL_SECONDS = max(2.5, SECONDS / 10)
"""How often the pool's actor is killed; more than three times in five seconds would be the end of the pool."""

RETRIES = [Retry(), Retry(times=2, on=("died", "timeout"), backoff=Backoff(min_seconds=0.001, max_seconds=0.01))]

FATES = {
    "thread": ["work"] * 20 + ["raise", "hang", "nap"],
    "process": ["work"] * 40 + ["raise", "hang", "nap", "exit", "sigkill", "sigsegv", "memory", "big"],
    "asyncio": ["work"] * 20 + ["raise", "hang", "nap"],
    "plain": ["work"] * 60 + ["raise", "nap", "nap"],
}
"""By kind; `plain` is threads whose tasks mostly need no decision, so that they go through the lane."""


def resources():
    me = psutil.Process()
    return me.num_fds(), sum(1 for each in threading.enumerate() if each.name.startswith("supervisors-"))


def workers_of(pool):
    """Processes that live below this one, spares included."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if any("child.py" in each for each in process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.mark.parametrize("kind", ["thread", "process", "asyncio", "plain"])
def test_every_task_is_accounted_for_whatever_happens(kind):
    print(f"{kind}: seed {SEED}")  # noqa: T201 - needed to repeat a failure
    before = resources()
    numbers = random.Random(f"{kind} {SEED}")
    worker = pool_jobs.live_in_a_loop if kind == "asyncio" else pool_jobs.live
    options = {"kind": "thread"} if kind == "plain" else {"kind": kind, "max_overflow": 1, "timeout": 0.4}
    # A spare that was stopped from outside never comes up; nobody is to wait a minute for it.
    pool = WorkerPool(worker, 2, backlog=Backlog(count_max=300), start_timeout=5.0, stop_timeout=2.0, **options)
    futures, refused = [], 0
    begun = time.monotonic()
    kills = 0
    while (passed := time.monotonic() - begun) < SECONDS:
        if passed > (kills + 0.2) * KILL_SECONDS:
            kills += 1
            pool.ref.kill()
        dice = numbers.random()
        if dice < 0.9:
            try:
                futures.append(submit(pool, kind, numbers))
            except PoolFullError:
                refused += 1
                until(lambda: pool.statistics().queued < 200)
        elif dice < 0.97:
            if futures:
                numbers.choice(futures).cancel()
        elif dice < 0.98:
            pool.resize(numbers.randrange(1, 4), 0 if kind == "plain" else numbers.randrange(0, 2))
        elif kind == "process" and numbers.random() < 0.3:
            hurt(pool, numbers)
    report = pool.close(drain_timeout=numbers.choice([0.0, 2.0]))
    kinds = Counter(outcome(future) for future in futures)
    facts = pool.statistics()
    print(kind, facts.submitted, "tasks,", refused, "refused,", dict(kinds))  # noqa: T201 - `make torture` shows it
    assert report.submitted == len(futures)
    assert report.submitted == report.done + report.failed + len(report.returned)
    assert facts.pending == 0
    assert facts.pool_restarts == kills
    assert kinds["TaskReturnedError"] == len(report.returned)
    assert kinds["done"] == report.done
    assert kinds["wrong"] == 0
    assert kinds["none"] == 0
    # The threads of tasks that hang end when these do, a second later at most.
    until(lambda: resources()[1] <= before[1])
    until(lambda: not workers_of(pool))
    assert resources()[0] <= before[0]


def submit(pool, kind, numbers):
    number = numbers.randrange(1_000_000)
    if kind == "plain" and numbers.random() < 0.95:
        future = pool.submit(numbers.choice(FATES[kind]), number)
        future.expected = 2 * number
        return future
    future = pool.submit(
        numbers.choice(FATES[kind]),
        number,
        priority=numbers.choice([0, 0, 0, 5]),
        key=numbers.choice([None, None, None, "a", "b"]),
        deadline=numbers.choice([None, None, 3.0]),
        retry=numbers.choice(RETRIES),
    )
    future.expected = 2 * number
    return future


def hurt(pool, numbers):
    """Do something to a worker from outside."""
    alive = workers_of(pool)
    if alive:
        how = numbers.choice([signal.SIGKILL, signal.SIGSTOP, signal.SIGSEGV, signal.SIGTERM])
        try:
            numbers.choice(alive).send_signal(how)
        except psutil.NoSuchProcess:
            return


def outcome(future):
    if not future.done():
        return "none"
    if future.cancelled():
        return "cancelled"
    error = future.exception(timeout=0)
    if error is None:
        return "done" if future.result(timeout=0) == future.expected else "wrong"
    return type(error).__name__ if isinstance(error, (TaskError, ValueError, MemoryError)) else f"unexpected {error!r}"
