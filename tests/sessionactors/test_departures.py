from __future__ import annotations

import pytest

from sessionactors import LimiterSettings, SessionOptions, SessionSystem, SessionTerminated
from sessionactors.departures import DEPARTED, Departures
from sessionactors.limits.waiting_line import Request
from supervisors.clock import VirtualClock
from tests.sessionactors.test_arrivals import Told

QUIET = SessionOptions(auth_required=False, idle_timeout=None)


@pytest.fixture
def limiter():
    return Told()


@pytest.fixture
def departures(limiter):
    return Departures(lambda: limiter)


@pytest.fixture
def system():
    with SessionSystem(session=QUIET, limiter=LimiterSettings(capacity=2.0, rate=0.001), clock=VirtualClock()) as made:
        yield made


def table(system):
    return system.actors.whereis("rate_limiter")._actor._table


def use_up(system, session_id):
    system.start_session(session_id)
    assert [system.check_rate_limit(session_id)[0] for _ in range(3)] == [True, True, False]


def test_some_wait_in_silence_and_many_are_told(departures, limiter):
    for number in range(63):
        departures.put(f"s{number}")
    assert limiter.messages == []
    departures.put("one more")
    assert limiter.messages == [DEPARTED]


def test_urgent_ones_are_told_at_once(departures, limiter):
    departures.is_urgent = True
    departures.put("a")
    assert limiter.messages == [DEPARTED]


def test_they_are_taken_in_order_and_once(departures):
    departures.put("a")
    departures.put("b")
    assert departures.take() == ["a", "b"]
    assert departures.take() == []


def test_whoever_gets_the_id_next_has_a_full_bucket(system):
    use_up(system, "a")
    system.terminate("a")
    use_up(system, "a")


def test_nobody_sees_an_entry_of_a_session_that_has_ended(system):
    use_up(system, "a")
    system.terminate("a")
    system.limiter_statistics()  # any message does
    assert table(system).size == 0
    with pytest.raises(SessionTerminated):
        system.check_rate_limit("a")


def test_all_that_was_kept_of_several_is_forgotten_at_once(system):
    for number in range(100):
        use_up(system, f"s{number}")
        system.check_rate_limit(f"s{number}", "bytes")
    system.terminate_sessions([f"s{number}" for number in range(100)])
    system.check_rate_limit("somebody")
    kept = table(system)
    assert (kept.size, list(kept.buckets.get("requests", ())), kept.refused_until) == (1, ["somebody"], {})


def test_debts_of_those_that_have_ended_are_forgotten(system):
    system.start_session("a")
    system.record_request("a", "requests", 10.0)
    assert table(system).debtors == {"a"}
    system.terminate("a")
    system.check_rate_limit("somebody")
    assert table(system).debtors == set()


def test_a_limiter_that_was_killed_forgets_who_has_ended_meanwhile(system):
    use_up(system, "a")
    limiter = system.actors.whereis("rate_limiter")
    limiter.parent.suspend()
    limiter.kill()
    system.actors.settle()
    system.terminate("a")
    limiter.parent.resume()
    system.actors.settle()
    use_up(system, "a")


def test_who_waits_for_the_turn_of_a_session_hears_of_its_end_at_once(system):
    use_up(system, "a")
    limiter = system.actors.whereis("rate_limiter")
    waiting = limiter.ask(("acquire", "a", Request("requests", 1.0, deadline=5000.0)), block=False)
    assert not waiting.is_done()
    system.terminate("a")
    with pytest.raises(SessionTerminated):
        waiting.get(timeout=0)
