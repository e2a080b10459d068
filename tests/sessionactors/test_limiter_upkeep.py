"""Settings of the services that change while they work."""

import pytest

from sessionactors import limiter_upkeep
from sessionactors.errors import InvalidKind, InvalidLimit, InvalidOption, NotFound, SessionRefusal
from sessionactors.limits.waiting_line import Request
from sessionactors.settings import IsolationSettings, LimiterSettings
from tests.sessionactors.session_world import kill, start_active, virtual


@pytest.fixture
def system():
    with virtual(limiter={"capacity": 10.0, "rate": 1.0}) as made:
        yield made


def drain(system, session_id="a", cost=10):
    assert system.check_rate_limit(session_id, cost=cost)[0]


def test_new_defaults_count_for_buckets_that_are_there_and_refill_none(system):
    drain(system, cost=4)
    system.set_limiter_settings({"capacity": 5.0, "rate": 2.0})
    system.actors.settle()
    record = system.get_rate_limit("a")
    assert (record.capacity, record.rate) == (5.0, 2.0)
    assert record.tokens <= 5.0
    system.set_limiter_settings({"capacity": 100.0})
    system.actors.settle()
    assert system.get_rate_limit("a").tokens < 100.0
    drain(system, "new", 100)


def test_a_quota_of_its_own_stays(system):
    system.set_rate_limit("a", {"capacity": 10.0, "rate": 1.0})
    system.set_limiter_settings(LimiterSettings(capacity=3.0))
    system.actors.settle()
    assert system.get_rate_limit("a").capacity == 10.0
    assert not system.check_rate_limit("b", cost=4)[0]


def test_a_window_that_comes_counts_for_those_that_are_there(system):
    drain(system, cost=1)
    system.set_limiter_settings({"window_limit": 3})
    system.actors.settle()
    assert [system.check_rate_limit("a")[0] for _ in range(4)] == [True, True, True, False]
    system.set_limiter_settings({"window_limit": None})
    system.actors.settle()
    assert system.check_rate_limit("a")[0]
    assert system.get_rate_limit("a").window_limit is None


def test_many_buckets_are_renewed_in_portions_and_all_of_them(system, monkeypatch):
    monkeypatch.setattr(limiter_upkeep, "IN_ONE_TURN", 3)
    for number in range(10):
        drain(system, str(number), 1)
    system.set_limiter_settings({"capacity": 20.0})
    system.set_limiter_settings({"capacity": 30.0})  # before the first is done
    system.actors.settle()
    assert {system.get_rate_limit(str(number)).capacity for number in range(10)} == {30.0}
    assert system.parts.limiter.outdated == []


def test_a_limiter_that_is_killed_in_the_middle_is_followed_by_one_that_goes_on(system, monkeypatch):
    monkeypatch.setattr(limiter_upkeep, "IN_ONE_TURN", 1)
    for number in range(5):
        drain(system, str(number), 1)
    limiter = system.actors.whereis("rate_limiter")
    limiter.suspend()
    system.actors.settle()
    system.parts.limiter.configure(LimiterSettings(capacity=7.0), system.actors.clock.monotonic())
    kill(system, "rate_limiter")
    system.actors.settle()
    assert system.actors.whereis("rate_limiter") is not limiter
    assert {system.get_rate_limit(str(number)).capacity for number in range(5)} == {7.0}


def test_who_waits_is_served_when_the_new_limits_have_room(system):
    start_active(system, "a")
    drain(system)
    waiting = system.actors.whereis("rate_limiter").ask(
        ("acquire", "a", Request("requests", 5.0, deadline=30.0)), block=False
    )
    system.actors.settle()
    assert not waiting.is_done()
    system.set_limiter_settings({"rate": 1000.0})
    system.actors.advance(0.01)
    assert waiting.get(timeout=0) < 5.0


def test_blocks_for_abuse_can_be_switched_on(system):
    system.set_limiter_settings({"abuse_violations": 2, "signal_refusals": False})
    drain(system)
    for _ in range(3):
        assert not system.check_rate_limit("a", cost=2)[0]
    system.actors.advance(100.0)
    assert not system.check_rate_limit("a")[0]


def test_the_bucket_for_all_can_be_switched_on(system):
    drain(system, "a", 1)
    system.set_limiter_settings({"global_quota_enabled": True, "global_capacity": 2.0})
    assert [system.check_rate_limit(each)[0] for each in "abc"] == [True, True, False]


def test_sweeps_come_at_the_new_interval(system):
    drain(system, "a", 1)
    system.set_limiter_settings({"cleanup_interval": 1.0, "idle_after": 5.0})
    system.actors.advance(60.0)
    assert system.parts.limiter.size == 0


def test_a_ceiling_that_is_lowered_counts_at_once():
    with virtual(isolation={"max_connections": 10, "connection_limit": None}) as system:
        start_active(system, "a")
        system.isolate("a")
        assert system.try_acquire_connection("a")
        system.set_isolation_settings({"max_connections": 1})
        assert not system.try_acquire_connection("a")
        assert system.isolation_settings.max_connections == 1


def test_limits_of_single_sessions_count_for_accounts_that_are_opened_from_then_on():
    with virtual() as system:
        for name in "ab":
            start_active(system, name)
        system.isolate("a")
        system.set_isolation_settings(IsolationSettings(message_limit=7))
        system.isolate("b")
        assert [system.get_isolation_info(name).message_limit for name in "ab"] == [10_000, 7]


@pytest.mark.parametrize("method", ["set_limiter_settings", "set_isolation_settings"])
@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"capacty": 1.0, "max_memry": 1}, InvalidOption),
        (None, InvalidKind),
        ("capacity", InvalidKind),
        (LimiterSettings, InvalidKind),
        ({1: 2}, InvalidOption),
    ],
)
def test_bad_settings_are_refused_and_change_nothing(system, method, given, error):
    before = (system.parts.limiter.settings, system.parts.isolation.settings)
    with pytest.raises(error):
        getattr(system, method)(given)
    assert (system.parts.limiter.settings, system.parts.isolation.settings) == before


@pytest.mark.parametrize(
    ("method", "given"),
    [
        ("set_limiter_settings", {"capacity": -1.0}),
        ("set_limiter_settings", {"rate": float("nan")}),
        ("set_isolation_settings", {"max_memory": 0}),
    ],
)
def test_values_out_of_bounds_are_refused(system, method, given):
    with pytest.raises((InvalidLimit, InvalidKind)):
        getattr(system, method)(given)


@pytest.mark.parametrize("method", ["set_limiter_settings", "set_isolation_settings"])
def test_a_system_that_has_stopped_says_so(method):
    with virtual() as system:
        pass
    with pytest.raises((NotFound, SessionRefusal)):
        getattr(system, method)({})
