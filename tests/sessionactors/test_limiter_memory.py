"""What the limiter knows after the death of its process."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionactors import SessionSystem
from sessionactors.limiter_memory import recall, remember
from sessionactors.limiter_table import LimiterTable
from sessionactors.limits.guard import Throttle
from sessionactors.settings import LimiterSettings
from supervisors.clock import VirtualClock
from tests.sessionactors.session_world import start_active

LIMITS = {"capacity": 10.0, "rate": 1.0}


def table(now=100.0, **settings):
    return LimiterTable(LimiterSettings(**{**LIMITS, **settings}), now)


def owes(found, session_id="a", cost=15, quota_type="requests", now=100.0):
    found.add(session_id, quota_type, now, is_live=True)
    found.charge(session_id, quota_type, cost, now)


def passed_on(found, now, later, most=100, **settings):
    """Return a fresh table that has taken up what another one remembered."""
    memory = msgpack.unpackb(msgpack.packb(remember(found, now, most)))
    fresh = table(later, **settings)
    recall(fresh, memory, later)
    return fresh


def test_a_debt_is_as_large_as_it_was():
    first = table()
    owes(first)
    second = passed_on(first, 100.0, 100.0)
    assert second.get("a", "requests").level(100.0) == -5.0
    assert second.is_throttled("a", 100.0)


def test_a_debt_is_paid_off_by_the_time_between():
    first = table()
    owes(first)
    assert passed_on(first, 100.0, 103.0).get("a", "requests").level(103.0) == -2.0
    assert passed_on(first, 100.0, 105.0).get("a", "requests") is None


def test_a_clock_that_started_anew_pays_nothing_off():
    first = table()
    owes(first)
    assert passed_on(first, 100.0, 2.0).get("a", "requests").level(2.0) == -5.0


def test_limits_of_its_own_come_back_with_a_debt():
    first = table()
    owes(first)
    limits, _ = first.limits({"capacity": 20.0, "rate": 0.5})
    first.reconfigure("a", "requests", limits, None, 100.0)
    second = passed_on(first, 100.0, 102.0).get("a", "requests")
    assert (second.level(102.0), second.limits) == (-4.0, limits)


def test_tokens_that_are_merely_spent_are_not_remembered():
    first = table()
    first.add("a", "requests", 100.0, is_live=True).check(10, 100.0)
    assert passed_on(first, 100.0, 100.0).size == 0


def test_a_throttle_and_a_block_last_as_long_as_they_would_have():
    first = table()
    first.guard("a").throttle = Throttle("reject", 160.0)
    first.guard("b").blocked_until = 130.0
    first.guard("c").throttle = Throttle("drop")
    second = passed_on(first, 100.0, 120.0)
    assert second.guards["a"].throttle == Throttle("reject", 160.0)
    assert second.guards["b"].refusal(120.0) == (False, 10.0)
    assert second.guards["c"].throttle == Throttle("drop")
    assert list(passed_on(first, 100.0, 140.0).guards) == ["a", "c"]
    anew = passed_on(first, 100.0, 5.0)
    assert (anew.guards["a"].throttle.until, anew.guards["b"].blocked_until) == (65.0, 35.0)


def test_what_all_owe_together_comes_back():
    settings = {"global_quota_enabled": True, "global_capacity": 4.0, "global_rate": 1.0}
    first = table(**settings)
    owes(first, cost=9)
    second = passed_on(first, 100.0, 102.0, **settings)
    assert second.everybody.level(102.0) == -3.0


def test_guards_and_the_longest_debts_are_remembered_when_there_are_too_many():
    first = table()
    for number in range(10):
        owes(first, f"s{number}", cost=11 + number)
    first.guard("blocked").blocked_until = 200.0
    second = passed_on(first, 100.0, 100.0, most=3)
    assert list(second.guards) == ["blocked"]
    assert sorted(second.buckets["requests"]) == ["s8", "s9"]


@pytest.mark.parametrize(
    "memory",
    [
        None,
        7,
        [],
        {},
        {"at": "now"},
        {"at": 1.0, "guards": 5, "debts": {"a": 1}, "everybody": -1},
        {"at": 1.0, "guards": [["a", "explode", 1.0, 0.0], ["b", None, 0.0, "x"], ["c", "drop", float("nan"), 0.0]]},
        {"at": 1.0, "guards": [[b"\xff", "drop", 5.0, 0.0], ["d", None, 0.0, float("inf")]]},
        {"at": 1.0, "debts": [["a", "requests", "x", 10.0, 1.0], ["a", 7, "5", 10.0, 1.0], [1, 2, 3]]},
        {"at": 1.0, "debts": [["a", "requests", "9" * 200, 10.0, 1.0], ["a", "requests", "5", -1.0, 1.0]]},
        {"at": 1.0, "debts": [["", "requests", "9" * 30, 10.0, 1.0], ["b", "requests", "9" * 30, 10.0, float("nan")]]},
    ],
)
def test_an_entry_that_makes_no_sense_is_left_out(memory):
    fresh = table()
    assert recall(fresh, memory, 100.0) == 0
    assert (fresh.size, fresh.guards) == (0, {})


@given(st.floats(0.001, 1e6), st.floats(0, 1e5), st.floats(-1e5, 1e5))
def test_a_restart_never_forgives_more_than_the_clock_says(cost, before, between):
    first = table(0.0)
    owes(first, cost=10 + cost, now=0.0)
    expected = first.get("a", "requests").level(before + max(0.0, between))
    second = passed_on(first, before, before + between).get("a", "requests")
    found = 0.0 if second is None else second.level(before + between)
    assert found <= max(expected, 0.0) + 1e-6


# --- In a system ------------------------------------------------------------------------------------------------------


def stored(path, **limiter):
    return SessionSystem(path=path, limiter={**LIMITS, **limiter}, clock=VirtualClock())


def test_debts_throttles_and_blocks_outlive_a_system(tmp_path):
    with stored(tmp_path / "store") as system:
        system.record_request("somebody", cost=15)
        system.apply_throttle("10.0.0.1", "reject", 60.0)
    with stored(tmp_path / "store") as system:
        assert system.check_rate_limit("somebody") == (False, 6.0)
        assert system.check_throttle("somebody")
        assert system.check_rate_limit("10.0.0.1") == (False, 60.0)
        system.actors.advance(60.0)
        assert system.check_rate_limit("10.0.0.1") == (True, 0.0)
    with stored(tmp_path / "store") as system:
        assert not system.check_throttle("10.0.0.1")


def test_a_stored_session_owes_after_the_restart_what_it_owed_before(tmp_path):
    with stored(tmp_path / "store") as system:
        start_active(system, "a", persistent=True)
        system.record_request("a", cost=15)
        assert system.check_rate_limit("a")[0] is False
    with stored(tmp_path / "store") as system:
        assert system.live_sessions() == ["a"]
        assert system.check_rate_limit("a") == (False, 6.0)


def test_a_stored_session_that_crashes_owes_afterwards_what_it_owed_before(tmp_path):
    with stored(tmp_path / "store") as system:
        start_active(system, "a", persistent=True)
        system.persist("a")
        system.record_request("a", cost=15)
        system.directory.get("a").kill()
        system.actors.settle()
        assert system.live_sessions() == ["a"]
        assert system.check_rate_limit("a") == (False, 6.0)


def test_who_has_ended_owes_nothing_any_more(tmp_path):
    with stored(tmp_path / "store") as system:
        start_active(system, "a")
        system.record_request("a", cost=15)
        system.actors.advance(1.0)
        system.terminate("a")
    with stored(tmp_path / "store") as system:
        assert system.check_rate_limit("a") == (True, 0.0)


def test_a_store_in_memory_writes_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with SessionSystem(limiter=LIMITS, clock=VirtualClock()) as system:
        system.record_request("a", cost=15)
        system.actors.advance(5.0)
    assert list(tmp_path.iterdir()) == []


_CHILD = """
import sys, threading
from sessionactors import SessionSystem
system = SessionSystem(path=sys.argv[1], limiter={"capacity": 10.0, "rate": 0.001, "remember_delay": 0.01})
system.record_request("somebody", cost=15)
system.apply_throttle("10.0.0.1", "drop")
print("ready", flush=True)
threading.Event().wait()
"""


def test_debts_outlive_a_process_that_is_killed(tmp_path):
    path = tmp_path / "store"
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(path)], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    try:
        assert child.stdout.readline() == b"ready\n"
        limit = time.monotonic() + 20.0
        while not (tmp_path / "store.limits").exists() or b"10.0.0.1" not in (tmp_path / "store.limits").read_bytes():
            assert time.monotonic() < limit
            threading.Event().wait(0.01)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait(20.0)
        child.stdout.close()
    with SessionSystem(path=path, limiter={"capacity": 10.0, "rate": 0.001}) as system:
        assert system.get_rate_limit_usage("somebody").debt == pytest.approx(5.0, abs=0.1)
        assert system.check_rate_limit("10.0.0.1") == (False, float("inf"))
