import math

import pytest

from sessionactors.errors import (
    CapacityExceeded,
    InvalidAction,
    InvalidKind,
    InvalidLimit,
    InvalidQuota,
    InvalidValue,
    NotFound,
    RateLimited,
    RequestDropped,
    SessionTerminated,
    UnknownRequest,
)
from sessionactors.limits.waiting_line import Request
from supervisors import Actor
from tests.sessionactors.incomparable import Incomparable
from tests.sessionactors.session_world import entries, kill, names, start_active, virtual


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


def test_the_statistics_say_since_when_they_count(system):
    begun = system.limiter_statistics().window_start
    assert begun == system.actors.clock.monotonic()
    system.actors.advance(7.0)
    kill(system, "rate_limiter")
    system.actors.settle()
    assert system.limiter_statistics().window_start == begun


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


# --- Ids --------------------------------------------------------------------------------------------------------------


def test_an_id_that_no_session_has_gets_a_bucket_like_any_other(system):
    assert system.check_rate_limit("198.51.100.7") == (True, 0.0)
    system.start_session("198.51.100.7")
    assert system.get_rate_limit("198.51.100.7").tokens == 9.0


def test_an_id_may_come_as_bytes(system):
    drain(system)
    system.apply_throttle("b", "delay")
    for _ in range(2):
        assert not system.check_rate_limit(b"a")[0]
    assert system.check_throttle(b"a")
    assert system.check_throttle("a")


def test_the_last_tenth_of_the_table_is_for_live_sessions():
    with virtual(limiter={"keys_max": 20, "rate": 1.0}) as system:
        start_active(system, "a")
        for number in range(18):
            system.check_rate_limit(f"stranger-{number}", cost=1000)
        with pytest.raises(CapacityExceeded):
            system.check_rate_limit("one-more")
        assert system.check_rate_limit("a")[0]
        assert system.check_rate_limit("a", "bytes")[0]
        with pytest.raises(CapacityExceeded):
            system.check_rate_limit("a", "messages")


def test_a_table_that_is_full_is_swept_of_full_buckets_early_and_not_at_each_id():
    with virtual(limiter={"keys_max": 20, "rate": 1.0}) as system:
        for number in range(18):
            system.check_rate_limit(f"stranger-{number}", cost=1 if number % 2 else 1000)
        system.actors.advance(1.0)
        with pytest.raises(CapacityExceeded):
            system.check_rate_limit("one-more")
        assert system.limiter_statistics().total_sessions == 9
        for number in range(9):
            system.check_rate_limit(f"other-{number}")
        with pytest.raises(CapacityExceeded):
            system.check_rate_limit("one-more")
        system.actors.advance(1.0)
        with pytest.raises(CapacityExceeded):
            system.check_rate_limit("one-more")
        assert system.check_rate_limit("one-more")[0]


def test_a_refused_request_does_not_keep_its_bucket():
    with virtual(limiter={"capacity": 10.0, "rate": 0.02, "cleanup_interval": 60.0}) as system:
        system.check_rate_limit("a", cost=10)
        for _ in range(9):
            system.actors.advance(60.0)
            assert not system.check_rate_limit("a", cost=11)[0]
        assert system.get_rate_limit("a").last_update == 0.0
        system.actors.advance(120.0)
        assert system.limiter_statistics().total_sessions == 0


def test_a_large_table_is_swept_in_turns(system):
    for number in range(5000):
        system.check_rate_limit(f"s-{number}")
    before = system.actors.whereis("rate_limiter").messages_handled
    system.actors.advance(900.0)
    assert system.limiter_statistics().total_sessions == 0
    assert system.actors.whereis("rate_limiter").messages_handled - before >= 5000 / 2000 + 3


# --- Windows ----------------------------------------------------------------------------------------------------------


def test_a_window_limit_is_enforced_beside_the_bucket():
    with virtual(limiter={"window": 60.0, "window_limit": 5, "capacity": 100.0, "rate": 10.0}) as system:
        assert [system.check_rate_limit("a")[0] for _ in range(6)] == [True] * 5 + [False]
        assert system.get_rate_limit("a").tokens == 95.0
        usage = system.get_rate_limit_usage("a")
        assert (usage.window, usage.window_count) == (60.0, 5)
        system.actors.advance(66.0)
        assert system.check_rate_limit("a")[0]


def test_a_quota_can_have_a_window_of_its_own_and_keeps_what_was_used(system):
    system.check_rate_limit("a", cost=4)
    system.set_rate_limit("a", {"capacity": 10.0, "rate": 1.0, "window": 30.0, "window_limit": 3})
    record = system.get_rate_limit("a")
    assert (record.tokens, record.window, record.window_limit) == (6.0, 30.0, 3)
    assert [system.check_rate_limit("a")[0] for _ in range(4)] == [True] * 3 + [False]
    system.set_rate_limit("a", {"window": 30.0, "window_limit": 5})
    assert [system.check_rate_limit("a")[0] for _ in range(3)] == [True, True, False]
    assert system.get_rate_limit("a").window_limit == 5


def test_buckets_without_a_window_say_so(system):
    system.check_rate_limit("a")
    assert system.get_rate_limit("a").window is None
    assert system.get_rate_limit_usage("a").window_count is None


def test_a_windowed_bucket_with_a_count_is_not_swept():
    settings = {"window": 3000.0, "window_limit": 5, "cleanup_interval": 60.0, "idle_after": 60.0}
    with virtual(limiter=settings) as system:
        system.check_rate_limit("a", cost=5)
        system.actors.advance(1200.0)
        assert not system.check_rate_limit("a")[0]
        system.actors.advance(3600.0)
        assert system.limiter_statistics().total_sessions == 0


@pytest.mark.parametrize(
    "quota", [{"window": 0}, {"window": math.nan}, {"window_limit": 0}, {"window_limit": 1.5}, {"window": "60"}]
)
def test_a_window_out_of_bounds_is_refused_and_changes_nothing(system, quota):
    drain(system)
    with pytest.raises((InvalidQuota, InvalidLimit)):
        system.set_rate_limit("a", quota)
    assert system.get_rate_limit("a").window is None
    with pytest.raises((InvalidQuota, InvalidLimit)):
        system.set_rate_limit("b", quota)
    with pytest.raises(NotFound):
        system.get_rate_limit("b")


# --- The bucket for all -----------------------------------------------------------------------------------------------


def test_what_is_charged_later_counts_for_all_as_well():
    with virtual(limiter={"global_quota_enabled": True, "global_capacity": 3.0, "global_rate": 1.0}) as system:
        system.record_request("a", cost=5)
        assert system.check_rate_limit("b") == (False, 3.0)
        system.record_request("a", "bytes", cost=50)
        assert system.check_rate_limit("b", "bytes")[0]


# --- Throttles --------------------------------------------------------------------------------------------------------


def test_reject_refuses_with_the_rest_of_its_time_and_takes_nothing(system):
    system.apply_throttle("a", "reject", 10.0)
    assert system.check_rate_limit("a") == (False, 10.0)
    system.actors.advance(4.0)
    assert system.check_rate_limit("a") == (False, 6.0)
    with pytest.raises(RateLimited) as refused:
        system.acquire("a")
    assert refused.value.wait == 6.0
    assert system.get_rate_limit("a").tokens == 10.0
    system.actors.advance(6.0)
    assert system.check_rate_limit("a") == (True, 0.0)


def test_drop_gives_no_hint_and_counts(system):
    system.apply_throttle("a", "drop")
    assert system.check_rate_limit("a") == (False, math.inf)
    with pytest.raises(RequestDropped) as refused:
        system.acquire("a")
    assert refused.value.code == "request_dropped"
    found = system.limiter_statistics()
    assert (found.dropped, found.refused) == (2, 2)


def test_delay_waits_but_not_for_longer_than_its_bound():
    with virtual(limiter={"capacity": 10.0, "rate": 1.0, "delay_max": 5.0}) as system:
        drain(system)
        assert system.acquire("a", cost=8, deadline=60.0) == 8.0
        system.apply_throttle("a", "delay")
        with pytest.raises(RateLimited):
            system.acquire("a", cost=8, deadline=60.0)
        assert system.acquire("a", cost=5, deadline=60.0) == 5.0


def test_queue_admits_through_the_line_only(system):
    system.apply_throttle("a", "queue", 10.0)
    assert system.check_rate_limit("a") == (False, 10.0)
    assert system.acquire("a") == 0.0


def test_a_full_line_is_a_refusal_under_the_throttle_queue():
    with virtual(limiter={"capacity": 1.0, "rate": 1.0, "queue_max": 1}) as system:
        system.apply_throttle("a", "queue")
        limiter = system.actors.whereis("rate_limiter")
        assert system.acquire("a") == 0.0
        limiter.ask(("acquire", "a", Request()), block=False)
        with pytest.raises(RateLimited) as refused:
            system.acquire("a")
        assert refused.value.wait == 1.0


@pytest.mark.parametrize("action", ["reject", "drop"])
def test_who_waits_is_turned_away_by_a_throttle(system, action):
    drain(system)
    waits = system.actors.whereis("rate_limiter").ask(("acquire", "a", Request()), block=False)
    system.apply_throttle("a", action, 7.0)
    with pytest.raises(RateLimited) as refused:
        waits.get(timeout=0)
    assert refused.value.wait == (7.0 if action == "reject" else math.inf)


@pytest.mark.parametrize("action", ["reject", "drop", "delay", "queue"])
def test_a_throttle_in_force_shows_until_it_is_cleared(system, action):
    system.apply_throttle("a", action)
    assert system.check_throttle("a")
    assert system.limiter_statistics().throttled_sessions == 1
    system.actors.advance(1e6)
    assert system.check_throttle("a")
    assert system.clear_throttle("a")
    assert not system.clear_throttle("a")
    assert not system.check_throttle("a")
    assert system.actors.whereis("rate_limiter")._actor._table.guards == {}


def test_a_later_throttle_replaces_the_earlier_one(system):
    system.apply_throttle("a", "drop", 5.0)
    system.apply_throttle("a", "reject", 50.0)
    system.actors.advance(10.0)
    assert system.check_rate_limit("a") == (False, 40.0)


def test_start_and_end_of_a_throttle_are_audited_and_told(system):
    start_active(system, "a")
    heard = []
    system.subscribe_limits("a", heard.append)
    system.apply_throttle("a", "delay", 5.0)
    system.actors.advance(5.0)
    assert [(each.event, dict(each.facts)) for each in heard] == [
        ("throttle_started", {"action": "delay", "duration": 5.0}),
        ("throttle_cleared", {}),
    ]
    found = [(each.type, each.data["event"]) for each in entries(system, "a")]
    assert found[-2:] == [("security", "throttle_started"), ("security", "throttle_cleared")]


def test_a_throttle_and_its_end_outlive_the_limiter(system):
    system.apply_throttle("a", "reject", 10.0)
    kill(system, "rate_limiter")
    system.actors.settle()
    assert not system.check_rate_limit("a")[0]
    kill(system, "rate_limiter")
    system.actors.settle()
    system.actors.advance(10.0)
    assert system.check_rate_limit("a")[0]
    assert names(system, "a")[-1] == "throttle_cleared"


def test_a_throttle_of_an_unknown_id_counts_no_session(system):
    system.apply_throttle("nobody", "reject", 5.0)
    assert system.limiter_statistics().total_sessions == 0
    assert not system.check_rate_limit("nobody")[0]


def test_an_ended_session_cannot_be_throttled_and_loses_its_throttle(system):
    start_active(system, "a")
    before = system.actors.timers.pending()
    system.apply_throttle("a", "reject", 1000.0)
    system.terminate("a")
    assert system.actors.whereis("rate_limiter")._actor._table.guards == {}
    assert system.actors.timers.pending() <= before
    with pytest.raises(SessionTerminated):
        system.apply_throttle("a", "reject")


def test_throttles_are_bounded_as_buckets_are():
    with virtual(limiter={"keys_max": 3}) as system:
        for each in "abc":
            system.apply_throttle(each, "drop")
        with pytest.raises(CapacityExceeded):
            system.apply_throttle("d", "drop")
        system.apply_throttle("a", "reject")


@pytest.mark.parametrize("action", ["", "block", None, 5, ["drop"]])
def test_an_unknown_action_is_refused_and_changes_nothing(system, action):
    with pytest.raises(InvalidAction):
        system.apply_throttle("a", action)
    assert not system.check_throttle("a")


@pytest.mark.parametrize("duration", [0, -1, math.nan, math.inf, True, "5"])
def test_a_wrong_duration_is_refused_and_changes_nothing(system, duration):
    with pytest.raises((InvalidKind, InvalidValue)):
        system.apply_throttle("a", "drop", duration)
    assert not system.check_throttle("a")


@pytest.mark.parametrize("cost", [0, -1, math.nan, True, None])
def test_a_wrong_cost_is_refused_under_a_throttle_as_well(system, cost):
    system.apply_throttle("a", "drop")
    with pytest.raises((InvalidKind, InvalidValue)):
        system.check_rate_limit("a", cost=cost)
    assert system.limiter_statistics().dropped == 0


# --- Refusals and abuse -----------------------------------------------------------------------------------------------


def test_a_refusal_is_told_once_until_its_wait_is_over(system):
    start_active(system, "a")
    drain(system)
    for _ in range(5):
        system.check_rate_limit("a")
    assert names(system, "a").count("rate_limited") == 1
    system.actors.advance(1.0)
    system.check_rate_limit("a")
    for _ in range(5):
        system.check_rate_limit("a")
    assert names(system, "a").count("rate_limited") == 2


def test_refusals_can_be_kept_out_of_the_log():
    with virtual(limiter={"capacity": 1.0, "signal_refusals": False}) as system:
        start_active(system, "a")
        for _ in range(3):
            system.check_rate_limit("a")
        assert "rate_limited" not in names(system, "a")


def abused(**options):
    settings = {"capacity": 1.0, "rate": 1.0, "abuse_violations": 3, "abuse_window": 60.0, "abuse_block": 300.0}
    return virtual(limiter={**settings, **options})


def test_too_many_refusals_in_the_window_block_for_a_time():
    with abused() as system:
        start_active(system, "a")
        waits = [system.check_rate_limit("a")[1] for _ in range(5)]
        assert waits == [0.0, 1.0, 1.0, 1.0, 300.0]
        system.actors.advance(299.0)
        assert system.check_rate_limit("a") == (False, 1.0)
        with pytest.raises(RateLimited):
            system.acquire("a")
        assert system.check_throttle("a")
        system.actors.advance(1.0)
        assert system.check_rate_limit("a") == (True, 0.0)
        told = [(each.type, each.data["event"]) for each in entries(system, "a") if "abuse" in each.data["event"]]
        assert told == [("security", "abuse_blocked"), ("security", "abuse_unblocked")]


def test_a_blocked_session_does_not_prolong_its_block_by_trying():
    with abused() as system:
        for _ in range(4):
            system.check_rate_limit("a")
        for _ in range(100):
            system.check_rate_limit("a")
            system.actors.advance(3.0)
        assert system.check_rate_limit("a")[0]


def test_others_are_not_blocked_along():
    with abused() as system:
        for _ in range(10):
            system.check_rate_limit("a")
        assert system.check_rate_limit("b")[0]


def test_refusals_that_lie_far_apart_block_nobody():
    with abused(rate=1e-6) as system:
        for _ in range(10):
            system.actors.advance(40.0)
            assert system.check_rate_limit("a")[1] != 300.0


def test_a_block_outlives_the_limiter_and_can_be_lifted():
    with abused() as system:
        for _ in range(4):
            system.check_rate_limit("a")
        kill(system, "rate_limiter")
        system.actors.settle()
        assert system.check_rate_limit("a") == (False, 300.0)
        assert system.clear_throttle("a")
        system.actors.advance(1.0)
        assert system.check_rate_limit("a")[0]


# --- Subscribers ------------------------------------------------------------------------------------------------------


class Listener(Actor):
    def __init__(self):
        super().__init__()
        self.heard = []

    def on_receive(self, message):
        if message == "heard":
            return list(self.heard)
        self.heard.append(message.event)
        return None


def test_an_actor_can_listen_through_a_crash_until_it_ends(system):
    start_active(system, "a")
    listener = system.actors.start(Listener)
    system.subscribe_limits("a", listener)
    system.subscribe_limits("a", listener)
    kill(system, "rate_limiter")
    system.actors.settle()
    system.apply_throttle("a", "delay")
    assert listener.ask("heard") == ["throttle_started"]
    listener.stop()
    system.actors.settle()
    assert system.actors.whereis("rate_limiter")._actor._table.subscriptions.of("a") == []


def test_a_subscriber_that_raises_is_dropped_and_audited(system):
    start_active(system, "a")
    calls = []

    def raises(event):
        calls.append(event)
        raise RuntimeError

    system.subscribe_limits("a", raises)
    for _ in range(2):
        system.apply_throttle("a", "delay")
    assert len(calls) == 1
    assert names(system, "a").count("subscriber_dropped") == 1


def test_who_asks_the_limiter_back_from_its_own_turn_is_dropped_and_nothing_hangs(system):
    start_active(system, "a")
    system.subscribe_limits("a", lambda event: system.check_rate_limit(event.session_id))
    system.apply_throttle("a", "delay")
    assert names(system, "a").count("subscriber_dropped") == 1


def test_only_live_sessions_have_subscribers(system):
    with pytest.raises(NotFound):
        system.subscribe_limits("nobody", print)
    start_active(system, "a")
    system.subscribe_limits("a", print)
    system.terminate("a")
    with pytest.raises(SessionTerminated):
        system.subscribe_limits("a", print)
    assert system.actors.whereis("rate_limiter")._actor._table.subscriptions.of("a") == []


@pytest.mark.parametrize("who", [None, 5, "name"])
def test_what_cannot_be_told_cannot_subscribe(system, who):
    start_active(system, "a")
    for use in (system.subscribe_limits, system.unsubscribe_limits):
        with pytest.raises(InvalidKind):
            use("a", who)


def test_who_unsubscribes_hears_nothing_more(system):
    start_active(system, "a")
    heard = []
    system.subscribe_limits("a", heard.append)
    system.unsubscribe_limits("a", heard.append)
    system.unsubscribe_limits("a", heard.append)
    system.apply_throttle("a", "delay")
    assert heard == []


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


def test_who_cannot_be_told_apart_from_another_is_refused_and_the_limiter_lives(system):
    system.start_session("a")
    limiter = system.actors.whereis("rate_limiter")
    first = Incomparable()
    system.subscribe_limits("a", first)
    for verb in (system.subscribe_limits, system.unsubscribe_limits):
        with pytest.raises(InvalidKind) as refused:
            verb("a", Incomparable())
        assert refused.value.field == "subscriber"
    assert limiter._actor._table.subscriptions.of("a") == [first]


def test_a_subscriber_that_wants_to_end_the_limiter_is_dropped(system):
    def raises(event):
        raise SystemExit

    system.start_session("a")
    limiter = system.actors.whereis("rate_limiter")
    system.subscribe_limits("a", raises)
    system.apply_throttle("a", "reject")
    assert system.actors.whereis("rate_limiter") is limiter
    assert limiter._actor._table.subscriptions.of("a") == []


class Moody(float):
    __slots__ = ()

    def __lt__(self, other):
        raise RuntimeError("no")

    __gt__ = __le__ = __ge__ = __lt__


class Faceless:
    def __getattribute__(self, name):
        raise RuntimeError("no")


@pytest.mark.parametrize("kind", [Moody, Faceless])
def test_a_cost_that_raises_when_it_is_looked_at_is_refused_and_crashes_nobody(kind):
    cost = kind()
    with virtual() as system:
        system.start_session("a")
        limiter = system.actors.whereis("rate_limiter")
        for call in (system.check_rate_limit, system.record_request, system.acquire):
            with pytest.raises(InvalidKind, match="cost"):
                call("a", "requests", cost)
        assert system.actors.whereis("rate_limiter") is limiter
        assert limiter.is_alive()
