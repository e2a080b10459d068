import math

import pytest

from sessionactors.errors import (
    CapacityExceeded,
    InvalidKind,
    InvalidLimit,
    InvalidQuota,
    InvalidValue,
    NotFound,
    SessionTerminated,
    UnknownRequest,
)
from tests.sessionactors.session_world import kill, start_active, virtual


@pytest.fixture
def system():
    with virtual(limiter={"capacity": 10.0, "rate": 1.0}) as made:
        yield made


def drain(system, session_id="a"):
    system.check_rate_limit(session_id, cost=10)


def test_a_burst_of_the_capacity_is_admitted_and_then_one_a_second(system):
    assert [system.check_rate_limit("a") for _ in range(10)] == [(True, 0.0)] * 10
    assert system.check_rate_limit("a") == (False, 1.0)
    system.actors.advance(1.0)
    assert system.check_rate_limit("a") == (True, 0.0)


def test_sessions_and_types_have_buckets_of_their_own(system):
    drain(system)
    assert system.check_rate_limit("b").__class__ is tuple
    assert system.check_rate_limit("b")[0]
    assert system.check_rate_limit("a", "bytes")[0]
    assert not system.check_rate_limit("a")[0]


def test_a_record_charges_without_asking_and_may_leave_a_debt(system):
    system.record_request("a", "bytes", 25)
    usage = system.get_rate_limit_usage("a", "bytes")
    assert (usage.tokens_remaining, usage.debt) == (0.0, 15.0)
    assert system.get_rate_limit("a", "bytes").tokens == -15.0


def test_a_changed_quota_gives_nothing_away(system):
    drain(system)
    system.set_rate_limit("a", {"capacity": 100, "rate": 2})
    assert system.check_rate_limit("a") == (False, 0.5)
    record = system.get_rate_limit("a")
    assert (record.tokens, record.capacity, record.rate) == (0.0, 100, 2)


def test_a_quota_can_be_a_capacity_alone(system):
    system.set_rate_limit("a", 3)
    assert (system.get_rate_limit("a").capacity, system.get_rate_limit("a").rate) == (3, 1.0)


def test_a_reset_fills_one_bucket_or_all(system):
    drain(system)
    system.check_rate_limit("a", "bytes", 10)
    system.reset_rate_limit("a", "bytes")
    assert system.get_rate_limit("a", "bytes").tokens == 10.0
    assert system.get_rate_limit("a").tokens == 0.0
    system.reset_rate_limit("a")
    assert system.get_rate_limit("a").tokens == 10.0
    system.reset_rate_limit("nobody")


def test_all_sessions_together_can_have_one_bucket():
    with virtual(limiter={"global_quota_enabled": True, "global_capacity": 3.0, "global_rate": 1.0}) as system:
        assert [system.check_rate_limit(each)[0] for each in "abcd"] == [True, True, True, False]
        assert system.get_rate_limit_usage("d").tokens_used == 0
        assert system.limiter_statistics().global_quota


def test_whoever_was_refused_is_throttled_until_the_wait_is_over(system):
    drain(system)
    assert not system.check_throttle("a")
    system.check_rate_limit("a", cost=2)
    assert system.check_throttle("a")
    system.actors.advance(2.0)
    assert not system.check_throttle("a")


def test_whoever_is_admitted_again_is_not_throttled_any_more(system):
    system.check_rate_limit("a", cost=9)
    assert not system.check_rate_limit("a", cost=2)[0]
    assert system.check_rate_limit("a", cost=1)[0]
    assert not system.check_throttle("a")


def test_a_cost_that_can_never_be_admitted_throttles_nobody(system):
    assert system.check_rate_limit("a", cost=11) == (False, math.inf)
    assert not system.check_throttle("a")
    assert system.actors.whereis("rate_limiter")._actor._table.refused_until == {}


def test_a_debt_throttles(system):
    system.record_request("a", cost=11)
    assert system.check_throttle("a")
    system.actors.advance(1.0)
    assert not system.check_throttle("a")


def test_an_unknown_session_is_not_throttled(system):
    assert not system.check_throttle("nobody")


def test_the_statistics_count_sessions_and_decisions(system):
    drain(system)
    system.check_rate_limit("a")
    system.check_rate_limit("b", "bytes")
    found = system.limiter_statistics()
    assert (found.total_sessions, found.throttled_sessions, found.admitted, found.refused) == (2, 1, 2, 1)


def test_an_ended_session_is_forgotten_and_not_known_again(system):
    start_active(system, "a")
    drain(system)
    system.check_rate_limit("a", "bytes", 11)
    system.check_rate_limit("a")
    system.terminate("a")
    assert system.limiter_statistics().total_sessions == 0
    for use in (system.check_rate_limit, system.record_request):
        with pytest.raises(SessionTerminated):
            use("a")
    with pytest.raises(NotFound):
        system.get_rate_limit_usage("a")
    assert not system.check_throttle("a")
    assert system.limiter_statistics().total_sessions == 0


# --- Bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cost", [0, -1, math.nan, math.inf, 10**40, True, "1", None, []])
def test_a_cost_that_is_no_number_above_zero_is_refused_and_takes_nothing(system, cost):
    limiter = system.actors.whereis("rate_limiter")
    for use in (system.check_rate_limit, system.record_request):
        with pytest.raises((InvalidKind, InvalidValue)) as refused:
            use("a", cost=cost)
        assert refused.value.field == "cost"
    assert system.get_rate_limit("a").tokens == 10.0
    assert system.actors.whereis("rate_limiter") is limiter


@pytest.mark.parametrize("quota_type", [None, 5, [], "", "a\nb", "x" * 2000])
def test_a_type_that_is_no_name_is_refused_and_the_limiter_lives(system, quota_type):
    limiter = system.actors.whereis("rate_limiter")
    for use in (system.check_rate_limit, system.record_request, system.get_rate_limit, system.get_rate_limit_usage):
        with pytest.raises((InvalidKind, InvalidValue)) as refused:
            use("a", quota_type)
        assert refused.value.field == "type"
    assert system.actors.whereis("rate_limiter") is limiter
    assert system.limiter_statistics().total_sessions == 0


@pytest.mark.parametrize("session_id", [None, 5, [], {}, "", b"\xff"])
def test_an_id_that_is_none_is_refused_and_the_limiter_lives(system, session_id):
    limiter = system.actors.whereis("rate_limiter")
    for use in (
        system.check_rate_limit,
        system.record_request,
        system.get_rate_limit,
        system.get_rate_limit_usage,
        system.reset_rate_limit,
        system.check_throttle,
        lambda given: system.set_rate_limit(given, 5),
    ):
        with pytest.raises((InvalidKind, InvalidValue)) as refused:
            use(session_id)
        assert refused.value.field == "session_id"
    assert system.actors.whereis("rate_limiter") is limiter


@pytest.mark.parametrize(
    "quota", [0, -1, math.nan, True, None, "10", {"capacity": 0}, {"rate": -1}, {"burst": 1}, {5: 1}]
)
def test_a_quota_out_of_bounds_is_refused_and_changes_nothing(system, quota):
    drain(system)
    with pytest.raises((InvalidQuota, InvalidLimit)):
        system.set_rate_limit("a", quota)
    assert system.get_rate_limit("a").capacity == 10.0
    assert system.get_rate_limit("a").tokens == 0.0


def test_an_unknown_message_is_refused_and_the_limiter_lives(system):
    limiter = system.actors.whereis("rate_limiter")
    for message in ((), ("nonsense",), "nonsense", None):
        with pytest.raises(UnknownRequest):
            limiter.ask(message)
    assert limiter.is_alive()


def test_ids_cannot_be_sprayed_without_end():
    with virtual(limiter={"keys_max": 3}) as system:
        for each in "abc":
            system.check_rate_limit(each)
        with pytest.raises(CapacityExceeded):
            system.check_rate_limit("d")
        assert system.check_rate_limit("a")[0]


# --- Memory and crashes -----------------------------------------------------------------------------------------------


def test_full_buckets_that_nobody_uses_are_forgotten(system):
    system.check_rate_limit("a")
    system.check_rate_limit("a", "bytes")
    system.check_rate_limit("a", "bytes", 10)
    system.record_request("b", cost=5_000)
    system.set_rate_limit("c", 5)
    system.actors.advance(1200.0)
    table = system.actors.whereis("rate_limiter")._actor._table
    assert {name: set(buckets) for name, buckets in table.buckets.items()} == {"requests": {"b", "c"}}
    assert table.refused_until == {}


def test_a_crash_of_the_limiter_fills_no_bucket(system):
    drain(system)
    kill(system, "rate_limiter")
    system.actors.settle()
    assert not system.check_rate_limit("a")[0]
    assert system.check_throttle("a")
    assert system.limiter_statistics().refused == 1


def test_a_crash_leaves_one_cleanup_timer(system):
    before = system.actors.timers.pending()
    for _ in range(3):
        kill(system, "rate_limiter")
        system.actors.settle()
    system.commit_audit()
    assert system.actors.timers.pending() == before


def test_who_ended_while_there_was_no_limiter_is_forgotten_by_the_next_one(system):
    start_active(system, "a")
    drain(system)
    services = system.actors.whereis("rate_limiter").parent
    services.suspend()
    kill(system, "rate_limiter")
    system.terminate("a")
    services.resume()
    system.actors.settle()
    assert system.limiter_statistics().total_sessions == 0


def test_a_check_while_the_limiter_is_away_is_refused(system):
    services = system.actors.whereis("rate_limiter").parent
    services.suspend()
    kill(system, "rate_limiter")
    with pytest.raises(NotFound) as refused:
        system.check_rate_limit("a")
    assert refused.value.key == "rate_limiter"
    services.resume()
    system.actors.settle()
    assert system.check_rate_limit("a")[0]
