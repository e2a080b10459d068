"""Services are killed again and again while threads use them; what they know survives, and nobody hangs.

`TORTURE_SECONDS` makes the kills many more (ten for each second, at least 100).
"""

from __future__ import annotations

import os
import threading
from collections import Counter

import pytest

from sessionactors import SessionSystem
from sessionactors.errors import NotFound, SessionRefusal
from sessionactors.surroundings import ISOLATION, RATE_LIMITER, REAPER
from tests.sessionactors.session_world import entries

KILLS = max(100, int(float(os.environ.get("TORTURE_SECONDS", "0")) * 10))
PATIENCE = 30.0  # seconds until what does not happen counts as a hang
CAPACITY = 10_000_000


class Load:
    """Threads that call as fast as they can, and count what they are told."""

    def __init__(self, *calls):
        self.counts = [Counter() for _ in calls]
        self.errors = []
        self._is_over = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=pair, daemon=True) for pair in zip(calls, self.counts, strict=True)
        ]

    def __enter__(self):
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_):
        self._is_over.set()
        for each in self._threads:
            each.join(PATIENCE)
        assert not any(each.is_alive() for each in self._threads), "a caller hangs"
        assert self.errors == []

    def _run(self, call, count):
        while not self._is_over.is_set():
            try:
                count[call()] += 1
            except SessionRefusal as refusal:
                count[refusal.code] += 1
            except Exception as error:  # noqa: BLE001 - any other error is what the test looks for
                self.errors.append(error)
                return

    def total(self, answer):
        return sum(count[answer] for count in self.counts)

    def wait_for(self, answer):
        """Wait until somebody has got an answer: on a slow machine each call so far may have met a kill."""
        for _ in range(int(PATIENCE / 0.001)):
            if self.total(answer):
                return
            self._is_over.wait(0.001)
        pytest.fail(f"nobody is told {answer!r}")


def kill_often(system, name):
    """Kill a service, wait for the next one, and so on."""
    pause = threading.Event()
    for _ in range(KILLS):
        ref = system.actors.whereis(name)
        ref.kill()
        for _ in range(int(PATIENCE / 0.001)):
            if system.actors.whereis(name) not in (None, ref):
                break
            pause.wait(0.001)
        else:
            pytest.fail(f"{name} did not come back")


@pytest.fixture
def system():
    with SessionSystem(
        session={"auth_required": False, "idle_timeout": None},
        limiter={"capacity": CAPACITY, "rate": 1e-9, "queue_max": 1_000_000, "signal_refusals": False},
        isolation={"sample_interval": 0.002, "max_messages": 10**12},
        reaper={"interval": 0.005, "idle_threshold": 3600.0, "termination_timeout": PATIENCE},
        max_restarts=KILLS,  # one more restart than kills, and the system would give up
        max_seconds=3600.0,
    ) as made:
        made.actors.ask_timeout = PATIENCE  # a machine that is busy otherwise is no hang
        yield made


def test_a_limiter_that_is_killed_forgets_no_token_and_leaves_nobody_waiting(system):
    def check():
        return system.check_rate_limit("a")[0]

    def record():
        system.record_request("a")
        return True

    def wait():
        # In a line of its own, for ten milliseconds or until the limiter is killed.
        system.check_rate_limit("b", cost=CAPACITY)
        system.acquire("b", cost=1e-11, deadline=PATIENCE)
        return "waited"

    with Load(check, check, record, wait) as load:
        system.apply_throttle("throttled", "reject")
        kill_often(system, RATE_LIMITER)
    used = CAPACITY - system.get_rate_limit("a").tokens
    assert load.total(True) == pytest.approx(used, abs=1e-3)
    assert load.total(False) == 0
    assert system.check_rate_limit("throttled")[0] is False
    assert system.limiter_statistics().waiting == 0
    assert system.acquire("b", cost=1e-11, deadline=PATIENCE) >= 0.0
    assert load.counts[-1].total() > 0
    assert set().union(*load.counts) <= {True, "waited", "not_found"}


def test_an_isolation_that_is_killed_forgets_no_usage(system):
    for each in "ab":
        system.start_session(each)
        system.activate(each)
        system.isolate(each, message_limit=None, measure_cpu=True)

    def record():
        system.record_usage("a", messages=1)
        return True

    def connect():
        if not system.try_acquire_connection("b"):
            return False
        while True:  # a connection is released whatever it takes
            try:
                system.release_connection("b")
            except NotFound:
                continue
            return None

    with Load(record, record, connect, lambda: system.touch("b")) as load:
        kill_often(system, ISOLATION)
    assert system.get_resource_usage("a").messages.used == load.total(True)
    assert system.get_resource_usage("b").connections.used == 0
    assert sorted(system.list_isolated()) == ["a", "b"]
    assert set().union(*load.counts) <= {True, False, None, "not_found"}
    system.terminate("a")
    assert system.list_isolated() == ["b"]


def test_a_reaper_that_is_killed_loses_no_count_and_no_session(system):
    numbers = iter(range(10**9))

    def live_and_go():
        session_id = f"s-{next(numbers)}"
        system.start_session(session_id)
        system.reap("all")
        return "swept"

    system.set_reap_policy("idle_timeout")
    with Load(live_and_go, lambda: bool(system.reaper_statistics())) as load:
        kill_often(system, REAPER)
        load.wait_for("swept")
    system.reap("all")
    assert system.live_sessions() == []
    reaped = [each.session for each in entries(system) if each.data["event"] == "session_reaped"]
    assert len(reaped) == len(set(reaped)) == system.directory.started
    # Killed between the end of a session and its count, the reaper has not counted it.
    assert 0 <= system.directory.started - system.reaper_statistics().total_reaped <= KILLS
    assert set().union(*load.counts) <= {"swept", True, "not_found"}
