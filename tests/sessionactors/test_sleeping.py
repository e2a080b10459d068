"""Sessions that sleep, in a system with all services."""

from __future__ import annotations

import threading

import pytest

from sessionactors import SessionSystem, SessionTerminated
from sessionactors.errors import AuthenticationFailed, InvalidValue, NotFound
from sessionactors.hibernation_ledger import HibernationStatistics
from sessionactors.lifecycle import UPDATE_CONFIG
from sessionactors.session import Session
from sessionactors.sleeping_session import SleepingSession
from supervisors.runtime.fence import Fence
from supervisors.runtime.outcomes import ActorDeadError
from tests.sessionactors.session_world import TRUSTED, ends, entries, names, start_active, virtual


@pytest.fixture
def system():
    with virtual() as made:
        yield made


def is_asleep(system, session_id="a"):
    inside = system.directory.get(session_id)._actor
    return isinstance(inside.actor if isinstance(inside, Fence) else inside, SleepingSession)


class Remembers(Session):
    """Has a packed form."""

    made = 0

    def __init__(self, *given):
        super().__init__(*given)
        type(self).made += 1
        self.said = []

    def handle_request(self, request):
        self.said.append(request)
        return list(self.said)

    def snapshot(self):
        return self.said

    def restore(self, state):
        if state == ["poison"]:
            raise ArithmeticError
        self.said = state


class Unpacked(Session):
    """Has none."""

    def handle_request(self, request):
        self.said = [*getattr(self, "said", []), request]
        return self.said


class SetsItselfUp(Remembers):
    def on_start(self):
        self.since_start = object()

    def handle_request(self, request):
        return self.since_start


# --- Asleep and awake again ------------------------------------------------------------------------------------------


def test_a_session_is_the_same_before_and_after(system):
    start_active(system, "a", metadata={"k": "v"}, user_id="ada")
    system.update_resources("a", requests=3, bytes=10)
    before = (system.get_info("a"), system.get_history("a"), system.get_metrics("a"))
    assert system.hibernate("a") is True
    assert is_asleep(system)
    assert (system.get_info("a"), system.get_history("a"), system.get_metrics("a")) == before
    system.touch("a")
    assert not is_asleep(system)
    assert (system.get_info("a"), system.get_history("a"), system.get_metrics("a")) == before


def test_its_ref_stays_the_same(system):
    start_active(system, "a")
    ref = system.directory.get("a")
    system.hibernate("a")
    system.suspend("a")
    assert system.directory.get("a") is ref
    assert ref.is_alive()


@pytest.mark.parametrize("question", ["get_state", "get_info", "get_metrics", "get_history", "check_quota"])
def test_a_question_wakes_nobody(system, question):
    start_active(system, "a")
    system.hibernate("a")
    getattr(system, question)("a")
    assert is_asleep(system)


def test_listing_and_sweeping_wake_nobody(system):
    start_active(system, "a", "b")
    system.hibernate("a")
    assert [each.id for each in system.list_sessions()] == ["a", "b"]
    assert system.count_sessions(lambda each: each.state == "active") == 2
    assert is_asleep(system)


def test_operations_wake_it_and_are_refused_as_ever(system):
    start_active(system, "a")
    system.suspend("a")
    system.hibernate("a")
    with pytest.raises(Exception, match="not possible in state 'suspended'") as refused:
        system.deactivate("a")
    assert refused.value.code == "invalid_transition"
    assert system.resume("a") == "active"


def test_timers_fire_on_time_while_it_sleeps(system):
    start_active(system, "a", idle_timeout=100.0)
    system.hibernate("a")
    system.actors.advance(99.9)
    assert system.get_state("a") == "active"
    assert is_asleep(system)
    system.actors.advance(0.2)
    assert system.get_state("a") == "idle"


def test_the_absolute_timeout_ends_it_in_its_sleep(system):
    start_active(system, "a", absolute_timeout=50.0)
    system.hibernate("a")
    system.actors.advance(51.0)
    assert system.state_of("a") == "terminated"
    assert ends(entries(system)) == {"a": 1}


def test_subscribers_hear_of_it_afterwards(system):
    start_active(system, "a")
    heard = []
    system.subscribe("a", heard.append)
    system.hibernate("a")
    system.suspend("a")
    system.terminate("a")
    assert [each.event for each in heard] == ["session_suspended", "session_terminated"]


def test_to_hibernate_twice_is_to_hibernate(system):
    start_active(system, "a")
    assert system.hibernate("a") is True
    assert system.hibernate("a") is True
    assert system.hibernation_statistics().hibernated == 1


def test_who_has_ended_does_not_sleep(system):
    start_active(system, "a")
    system.terminate("a")
    with pytest.raises(SessionTerminated):
        system.hibernate("a")
    with pytest.raises(NotFound):
        system.hibernate("nobody")


@pytest.mark.parametrize("state", ["new", "active", "idle", "suspended"])
def test_a_session_of_any_state_but_one_sleeps(system, state):
    system.start_session("a", {"auth_required": False})
    if state != "new":
        system.activate("a")
    if state == "idle":
        system.deactivate("a")
    if state == "suspended":
        system.suspend("a")
    assert system.hibernate("a") is True
    assert system.get_state("a") == state


def test_credentials_keep_a_session_awake():
    with virtual(authenticator=lambda context: context == "good") as system:
        system.start_session("a")
        system.authenticate("a", "bad")
        assert system.hibernate("a") is False
        with pytest.raises(AuthenticationFailed):
            system.activate("a")
        assert system.hibernate("a") is True
        system.authenticate("a", "good")
        assert system.activate("a") == "active"


def test_sleeping_leaves_no_trace_in_the_audit_log(system):
    start_active(system, "a")
    before = names(system, "a")
    system.hibernate("a")
    system.get_state("a")
    assert names(system, "a") == before


# --- Its end ---------------------------------------------------------------------------------------------------------


def test_one_that_is_killed_asleep_is_accounted_for_once(system):
    start_active(system, "a")
    system.hibernate("a")
    system.directory.get("a").kill()
    system.actors.settle()
    assert system.state_of("a") == "terminated"
    assert ends(entries(system)) == {"a": 1}
    assert system.hibernation_statistics().asleep == 0


def test_those_that_sleep_when_the_system_stops_end_like_all_others():
    system = virtual()
    start_active(system, "a", "b")
    ended = []
    system.subscribe("a", ended.append)
    system.hibernate("a")
    assert system.stop() == []
    assert [each.event for each in ended] == ["session_terminated"]


def test_the_reaper_ends_a_session_that_sleeps(system):
    start_active(system, "a", ttl=10.0)
    system.hibernate("a")
    system.actors.advance(11.0)
    assert system.reap("expired") == 1
    assert system.state_of("a") == "terminated"


def test_nobody_of_the_users_code_runs_when_it_is_killed_asleep(system):
    system.start_session("a", session_class=Remembers)
    Remembers.made = 0
    system.hibernate("a")
    system.directory.get("a").kill()
    system.actors.settle()
    assert Remembers.made == 0
    assert system.state_of("a") == "terminated"


# --- By itself -------------------------------------------------------------------------------------------------------


def test_by_default_nobody_sleeps_unasked(system):
    start_active(system, "a")
    system.actors.advance(250.0)
    assert not is_asleep(system)


def test_it_falls_asleep_after_its_time_without_activity(system):
    start_active(system, "a", hibernate_after=30.0)
    system.actors.advance(20.0)
    system.touch("a")
    system.actors.advance(29.0)
    assert not is_asleep(system)
    system.actors.advance(1.1)
    assert is_asleep(system)
    assert system.get_state("a") == "active"


def test_the_setting_of_the_system_is_that_of_its_sessions():
    with virtual(session={"hibernate_after": 5.0}) as system:
        start_active(system, "a")
        system.start_session("b")
        system.actors.advance(5.1)
        assert is_asleep(system)
        assert is_asleep(system, "b")


def test_it_falls_asleep_again_after_it_was_woken(system):
    start_active(system, "a", hibernate_after=30.0, idle_timeout=None)
    system.actors.advance(31.0)
    system.set_quota("a", {"max_requests": 5})  # this is no activity
    assert not is_asleep(system)
    system.actors.advance(31.0)
    assert is_asleep(system)
    assert system.check_quota("a").has_quota


def test_a_timer_that_wakes_it_does_its_work_and_lets_it_sleep_again(system):
    start_active(system, "a", hibernate_after=30.0, idle_timeout=100.0)
    system.actors.advance(131.0)
    assert system.get_state("a") == "idle"
    assert is_asleep(system)
    system.actors.advance(100.0)
    assert system.get_state("a") == "suspended"
    assert is_asleep(system)


def test_one_that_is_busy_when_its_time_comes_tries_again(system):
    system.start_session("a", {"hibernate_after": 5.0, "auth_timeout": 100.0})
    system.authenticate("a", TRUSTED)
    system.actors.advance(6.0)
    assert not is_asleep(system)
    system.activate("a")
    system.actors.advance(5.1)
    assert is_asleep(system)


def test_a_changed_setting_counts_from_now_on(system):
    start_active(system, "a", hibernate_after=30.0)
    system.directory.get("a").ask((UPDATE_CONFIG, system.options.updated({"hibernate_after": None})))
    system.actors.advance(200.0)
    assert not is_asleep(system)


def test_idle_ones_sleep_together(system):
    start_active(system, "a", "b", "c")
    system.actors.advance(40.0)
    system.touch("c")
    assert system.hibernate_idle_sessions() == 2
    assert [is_asleep(system, each) for each in "abc"] == [True, True, False]
    assert system.hibernate_idle_sessions(0.0001) == 2


@pytest.mark.parametrize("idle", [-1, float("nan"), float("inf"), 0])
def test_how_long_is_a_positive_number_of_seconds(system, idle):
    with pytest.raises(InvalidValue):
        system.hibernate_idle_sessions(idle)


# --- User code -------------------------------------------------------------------------------------------------------


def test_the_users_own_state_goes_through_snapshot_and_restore(system):
    system.start_session("a", {"auth_required": False}, session_class=Remembers)
    system.activate("a")
    system.request("a", "one")
    old = system.directory.get("a")._actor_weakref()
    assert system.hibernate("a") is True
    assert system.request("a", "two") == ["one", "two"]
    assert system.directory.get("a")._actor_weakref() is not old


@pytest.mark.parametrize("kind", [Unpacked, SetsItselfUp])
def test_an_object_that_cannot_be_made_again_stays(system, kind):
    system.start_session("a", {"auth_required": False}, session_class=kind)
    system.activate("a")
    first = system.request("a", "one")
    assert system.hibernate("a") is True
    assert is_asleep(system)
    second = system.request("a", "two")
    assert second is first or second == ["one", "two"]


def test_an_own_state_that_is_no_plain_data_keeps_the_object(system, caplog):
    system.start_session("a", {"auth_required": False}, session_class=Remembers)
    system.activate("a")
    thing = object()
    system.request("a", thing)
    assert system.hibernate("a") is True
    assert "has no plain data" in caplog.text
    assert system.request("a", 2) == [thing, 2]


def test_a_state_that_cannot_be_taken_up_again_is_a_crash_of_that_session(system):
    system.start_session("a", {"auth_required": False}, session_class=Remembers)
    start_active(system, "b")
    system.activate("a")
    system.request("a", "poison")
    system.hibernate("a")
    with pytest.raises(ArithmeticError):
        system.request("a", "more")
    assert system.state_of("a") == "terminated"
    assert "session_crashed" in names(system, "a")
    assert system.get_state("b") == "active"


def test_an_object_that_cannot_be_made_again_after_all_is_a_crash_of_that_session(system):
    class Once(Remembers):
        def __init__(self, *given):
            if type(self).made:
                raise LookupError
            super().__init__(*given)

    Once.made = 0
    system.start_session("a", session_class=Once)
    system.hibernate("a")
    with pytest.raises(LookupError):
        system.touch("a")
    assert system.state_of("a") == "terminated"
    assert "session_crashed" in names(system, "a")
    assert system.hibernation_statistics() == HibernationStatistics(0, 1, 1, 0, 0)


def test_one_that_is_killed_while_it_wakes_has_woken_once():
    arrived, go_on = threading.Event(), threading.Event()

    class Hangs(Remembers):
        def __init__(self, *given):
            super().__init__(*given)
            if type(self).made > 1:
                arrived.set()
                go_on.wait(10.0)

    Hangs.made = 0
    with SessionSystem(session={"auth_required": False}) as system:
        system.start_session("a", session_class=Hangs)
        system.activate("a")
        assert system.hibernate("a") is True
        ref = system.directory.get("a")
        asked = ref.ask("get_connections", block=False)
        assert arrived.wait(10.0)
        ref.kill()
        with pytest.raises(ActorDeadError):
            asked.get(timeout=10.0)
        go_on.set()
        assert system.state_of("a") == "terminated"
    assert system.hibernation_statistics() == HibernationStatistics(0, 1, 1, 0, 0)


def test_attributes_that_somebody_has_given_a_plain_session_stay(system):
    start_active(system, "a")
    system.directory.get("a")._actor.note = "mine"
    system.hibernate("a")
    system.touch("a")
    assert system.directory.get("a")._actor.note == "mine"


def test_a_request_in_hand_keeps_a_session_awake():
    arrived, go_on = threading.Event(), threading.Event()

    class Slow(Session):
        async def handle_request(self, request):
            import asyncio

            arrived.set()
            await asyncio.to_thread(go_on.wait, 10.0)
            return request

        def snapshot(self):
            return None

    with SessionSystem(session={"auth_required": False}) as system:
        system.start_session("a", session_class=Slow)
        system.activate("a")
        answers = []
        asker = threading.Thread(target=lambda: answers.append(system.request("a", "hello", timeout=10.0)))
        asker.start()
        assert arrived.wait(10.0)
        assert system.hibernate("a") is False
        go_on.set()
        asker.join(10.0)
        assert answers == ["hello"]
        assert system.hibernate("a") is True
        assert system.request("a", "again") == "again"


# --- Stored ones, and isolation --------------------------------------------------------------------------------------


def test_a_stored_session_that_crashes_after_sleeping_comes_back():
    with virtual() as system:
        start_active(system, "a", persistent=True)
        system.persist("a")
        system.hibernate("a")
        assert is_asleep(system)
        system.directory.get("a").kill()
        system.actors.settle()
        assert system.get_state("a") == "idle"


def test_one_that_sleeps_can_be_made_durable(system):
    start_active(system, "a", persistent=True)
    system.update_resources("a", requests=7)
    system.hibernate("a")
    system.persist("a")
    assert system.stored_session("a")["requests"] == 7


def test_isolation_weighs_a_session_without_waking_it(system):
    start_active(system, "a")
    system.isolate("a")
    system.actors.advance(1.0)
    awake = system.get_resource_usage("a").memory.used
    system.hibernate("a")
    system.actors.advance(5.0)
    assert is_asleep(system)
    assert system.get_resource_usage("a").memory.used < awake


# --- Figures ---------------------------------------------------------------------------------------------------------


def test_figures_tell_what_it_saves(system):
    start_active(system, "a", "b")
    assert system.hibernation_statistics() == HibernationStatistics(0, 0, 0, 0, 0)
    system.hibernate("a")
    system.hibernate("b")
    asleep = system.hibernation_statistics()
    assert (asleep.asleep, asleep.hibernated, asleep.woken) == (2, 2, 0)
    assert 0 < asleep.bytes_after < asleep.bytes_before / 2
    system.touch("a")
    system.terminate("b")
    awake = system.hibernation_statistics()
    assert awake == HibernationStatistics(0, 2, 2, 0, 0)


def test_a_session_that_is_looked_at_by_the_reaper_and_goes_on_sleeps_on(system):
    start_active(system, "a", ttl=100.0)
    system.hibernate("a")
    assert is_asleep(system)
    assert system.reap("expired") == 0
    assert system.reap("idle_timeout") == 0
    assert is_asleep(system)


# --- Its limits ------------------------------------------------------------------------------------------------------


def test_a_full_bucket_goes_and_nobody_can_tell(system):
    start_active(system, "a")
    system.check_rate_limit("a")
    system.actors.advance(1.0)
    usage = system.get_rate_limit_usage("a")
    system.hibernate("a")
    assert system.limiter_statistics().total_sessions == 0
    after = system.get_rate_limit_usage("a")
    assert (after.tokens_remaining, after.capacity, after.rate) == (
        usage.tokens_remaining,
        usage.capacity,
        usage.rate,
    )
    assert is_asleep(system)
    assert system.check_rate_limit("a")[0]
    assert system.get_rate_limit_usage("a").tokens_used == 1


def test_what_it_has_used_and_owes_is_not_forgiven_in_its_sleep(system):
    start_active(system, "a")
    system.record_request("a", "bytes", 5000)
    system.check_rate_limit("a", "requests", 900)
    system.hibernate("a")
    assert system.get_rate_limit_usage("a").tokens_used == 900
    assert system.get_rate_limit_usage("a", "bytes").debt == 4000
    assert system.check_throttle("a")


def test_limits_of_its_own_stay(system):
    start_active(system, "a")
    system.set_rate_limit("a", 7)
    system.hibernate("a")
    assert system.get_rate_limit("a").capacity == 7


def test_a_throttle_stays(system):
    start_active(system, "a")
    system.apply_throttle("a", "delay")
    system.hibernate("a")
    assert system.check_throttle("a")
