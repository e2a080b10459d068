import math

import pytest

from sessionactors import SessionSystem
from sessionactors.errors import CapacityExceeded, InvalidKind, InvalidValue, NotFound, RateLimited, SessionTerminated
from sessionactors.limits.waiting_line import Request
from sessionactors.waiting_room import after
from supervisors.clock import VirtualClock
from tests.sessionactors.session_world import kill, names, start_active, virtual

LIMITS = {"capacity": 2.0, "rate": 1.0, "queue_max": 5, "delay_max": 100.0, "age_after": 10.0}


@pytest.fixture
def system():
    with virtual(limiter=LIMITS) as made:
        yield made


def line_up(system, session_id="a", **request):
    return system.actors.whereis("rate_limiter").ask(("acquire", session_id, Request(**request)), block=False)


def drain(system, session_id="a"):
    assert system.check_rate_limit(session_id, cost=2)[0]


def outcome(future):
    if not future.is_done():
        return "waits"
    try:
        return future.get(timeout=0)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the outcome
        return type(error)


def outcomes(*futures):
    return [outcome(each) for each in futures]


# --- Turns ------------------------------------------------------------------------------------------------------------


def test_what_is_there_is_taken_at_once(system):
    assert [system.acquire("a"), system.acquire("a")] == [0.0, 0.0]
    assert system.get_rate_limit("a").tokens == 0.0


def test_who_waits_is_admitted_when_the_token_is_there_and_not_earlier(system):
    drain(system)
    waits = line_up(system)
    system.actors.advance(0.999)
    assert outcome(waits) == "waits"
    system.actors.advance(0.001)
    assert outcome(waits) == 1.0


def test_a_blocking_call_returns_how_long_it_has_waited(system):
    drain(system)
    assert system.acquire("a", cost=2) == 2.0
    assert system.limiter_statistics().admitted == 2


def test_the_line_is_served_one_by_one(system):
    drain(system)
    futures = [line_up(system) for _ in range(3)]
    seen = []
    for _ in range(3):
        system.actors.advance(1.0)
        seen.append(outcomes(*futures))
    assert seen == [[1.0, "waits", "waits"], [1.0, 2.0, "waits"], [1.0, 2.0, 3.0]]


def test_a_more_urgent_request_goes_first(system):
    drain(system)
    low, critical = line_up(system, priority="low"), line_up(system, priority="critical")
    system.actors.advance(1.0)
    assert outcomes(low, critical) == ["waits", 1.0]


def test_a_low_request_is_not_starved_by_a_stream_of_critical_ones(system):
    drain(system)
    low = line_up(system, priority="low")
    waited = 0
    while outcome(low) == "waits":
        line_up(system, priority="critical")
        system.actors.advance(1.0)
        waited += 1
    # Critical ones that arrive within 3 * age_after seconds go before it, and no others.
    assert 30 <= waited <= 32


def test_a_large_request_in_front_is_not_overtaken_by_small_ones(system):
    drain(system)
    large, small = line_up(system, cost=2), line_up(system, cost=1)
    system.actors.advance(1.0)
    assert outcomes(large, small) == ["waits", "waits"]
    system.actors.advance(2.0)
    assert outcomes(large, small) == [2.0, 3.0]


def test_a_check_does_not_overtake_who_waits(system):
    drain(system)
    line_up(system, cost=2)
    system.actors.advance(1.0)
    allowed, wait = system.check_rate_limit("a")
    assert (allowed, wait) == (False, 1.0)


def test_lines_of_other_sessions_and_types_do_not_matter(system):
    drain(system)
    line_up(system)
    assert system.acquire("b") == 0.0
    assert system.acquire("a", "bytes") == 0.0


def test_the_bucket_for_all_is_waited_for_too():
    limits = {**LIMITS, "global_quota_enabled": True, "global_capacity": 1.0, "global_rate": 0.5}
    with virtual(limiter=limits) as system:
        assert system.acquire("a") == 0.0
        assert system.acquire("b") == 2.0
        assert system.acquire("b", "bytes") == 0.0


def test_a_wait_that_is_lost_in_a_large_clock_still_ends():
    clock = VirtualClock(1.0e15, 1.0e15)  # an eighth of a second is the least that this clock can tell
    with SessionSystem(clock=clock, limiter={"capacity": 1.0, "rate": 1000.0}) as system:
        assert system.acquire("a") == 0.0
        assert system.acquire("a") == 0.125
    assert after(1.0e15, 1e-9) > 1.0e15


# --- Those who do not get in ------------------------------------------------------------------------------------------


def test_who_could_not_be_admitted_in_time_is_refused_at_once(system):
    drain(system)
    with pytest.raises(RateLimited) as refused:
        system.acquire("a", cost=2, deadline=1.5)
    assert refused.value.wait == 2.0
    assert system.actors.clock.monotonic() == 0.0


def test_what_can_never_be_admitted_is_refused_at_once(system):
    with pytest.raises(RateLimited) as refused:
        system.acquire("a", cost=3)
    assert refused.value.wait == math.inf


def test_a_deadline_that_passes_in_the_line_is_a_refusal(system):
    drain(system)
    first, second = line_up(system, cost=2), line_up(system, deadline=2.5)
    system.actors.advance(2.0)
    assert outcomes(first, second) == [2.0, "waits"]
    system.actors.advance(0.5)
    assert outcome(second) is RateLimited
    assert system.limiter_statistics().waiting == 0


def test_at_the_deadline_itself_a_token_that_is_there_is_given(system):
    drain(system)
    waits = line_up(system, deadline=1.0)
    system.actors.advance(1.0)
    assert outcome(waits) == 1.0


def test_a_line_is_bounded_and_says_so(system):
    start_active(system, "a")
    drain(system)
    for _ in range(5):
        line_up(system)
    for _ in range(3):
        assert outcome(line_up(system)) is CapacityExceeded
    assert names(system, "a").count("queue_overflow") == 1
    system.actors.advance(1.0)
    assert outcome(line_up(system)) == "waits"


def test_a_smaller_quota_refuses_who_can_never_be_admitted_any_more(system):
    drain(system)
    waits = line_up(system, cost=2)
    system.set_rate_limit("a", {"capacity": 1, "rate": 1.0})
    assert outcome(waits) is RateLimited


def test_a_reset_or_a_better_quota_serves_who_waits(system):
    drain(system)
    waits = line_up(system)
    system.set_rate_limit("a", {"capacity": 2, "rate": 10.0})
    system.actors.advance(0.1)
    assert outcome(waits) == 0.1
    drain(system, "b")
    waits = line_up(system, "b", cost=2)
    system.reset_rate_limit("b")
    assert outcome(waits) == 0.0


def test_the_end_of_a_session_answers_who_waits_for_it(system):
    start_active(system, "a")
    drain(system)
    waits = line_up(system)
    system.terminate("a")
    assert outcome(waits) is SessionTerminated
    assert system.limiter_statistics().waiting == 0


def test_a_crash_of_the_limiter_answers_who_waits(system):
    drain(system)
    waits = line_up(system)
    kill(system, "rate_limiter")
    system.actors.settle()
    assert waits.is_done()
    assert system.limiter_statistics().waiting == 0
    assert system.acquire("a") == 1.0


def test_a_caller_whose_limiter_is_away_gets_a_typed_error(system):
    services = system.actors.whereis("rate_limiter").parent
    services.suspend()
    kill(system, "rate_limiter")
    with pytest.raises(NotFound):
        system.acquire("a")
    services.resume()


def test_who_withdraws_takes_nothing_and_lets_the_others_go_on(system):
    drain(system)
    limiter = system.actors.whereis("rate_limiter")
    request = Request(cost=2)
    gone = limiter.ask(("acquire", "a", request), block=False)
    waits = line_up(system)
    for _ in range(2):
        limiter.send(("withdraw", "a", request))
    assert outcome(gone) is RateLimited
    system.actors.advance(1.0)
    assert outcome(waits) == 1.0


@pytest.mark.parametrize("request_", [None, 5, ("requests", 1)])
def test_something_else_than_a_request_is_refused_and_the_limiter_lives(system, request_):
    limiter = system.actors.whereis("rate_limiter")
    with pytest.raises(InvalidKind):
        limiter.ask(("acquire", "a", request_))
    assert limiter.is_alive()


@pytest.mark.parametrize("cost", [0, -1, math.nan, True, "1"])
def test_a_wrong_cost_waits_for_nothing(system, cost):
    drain(system)
    line_up(system)
    with pytest.raises((InvalidKind, InvalidValue)):
        system.acquire("a", cost=cost)
    assert system.limiter_statistics().waiting == 1


# --- Back-pressure ----------------------------------------------------------------------------------------------------


def heard_by(system, session_id="a"):
    heard = []
    system.subscribe_limits(session_id, lambda event: heard.append((event.event, dict(event.facts))))
    return heard


def test_back_pressure_is_told_at_80_percent_and_cleared_when_nobody_waits(system):
    start_active(system, "a")
    heard, session_heard = heard_by(system), []
    system.subscribe("a", session_heard.append)
    drain(system)
    for _ in range(3):
        line_up(system)
    assert heard == []
    line_up(system)
    line_up(system)
    facts = {"type": "requests", "waiting": 4, "utilization_pct": 80.0, "retry_after": 1.0}
    assert heard == [("back_pressure", facts)]
    system.actors.advance(4.0)
    assert len(heard) == 1
    system.actors.advance(1.0)
    assert heard[1:] == [("back_pressure_cleared", {"type": "requests"})]
    assert [each.event for each in session_heard] == ["back_pressure", "back_pressure_cleared"]
    assert "waiting=4" in session_heard[0].detail


def test_back_pressure_does_not_outlive_the_limiter_that_told_it(system):
    start_active(system, "a")
    heard = heard_by(system)
    drain(system)
    for _ in range(4):
        line_up(system)
    kill(system, "rate_limiter")
    system.actors.settle()
    assert [event for event, _ in heard] == ["back_pressure", "back_pressure_cleared"]


def test_no_timer_is_left_when_nobody_waits(system):
    before = system.actors.timers.pending()
    drain(system)
    for _ in range(3):
        line_up(system)
    system.actors.advance(3.0)
    assert system.actors.timers.pending() == before
