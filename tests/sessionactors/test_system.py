import contextlib
import threading

import pytest

from sessionactors import Session, SessionSystem
from sessionactors.errors import (
    InvalidKind,
    InvalidOption,
    InvalidQuota,
    InvalidSessionId,
    InvalidTransition,
    InvalidValue,
    NotFound,
    QuotaExceeded,
    SessionExists,
    SessionRefusal,
    SessionTerminated,
)
from sessionactors.settings import Quota, SessionOptions
from supervisors import Actor, ActorSystem, VirtualClock
from supervisors.errors import InvalidArgumentError, UsageError
from supervisors.runtime.outcomes import AskTimeoutError
from tests.sessionactors.session_world import TRUSTED, ends, entries, names, start_active, virtual

SESSION_CALLS = {
    "init_session": (),
    "authenticate": (TRUSTED,),
    "activate": (),
    "deactivate": (),
    "suspend": (),
    "resume": (),
    "terminate": (),
    "touch": (),
    "update_resources": (),
    "set_quota": (Quota(),),
    "get_state": (),
    "get_info": (),
    "get_metrics": (),
    "get_history": (),
    "check_quota": (),
    "subscribe": (print,),
    "unsubscribe": (print,),
}


@pytest.fixture
def system():
    with virtual() as made:
        yield made


@pytest.fixture(params=["virtual", "real"])
def either(request):
    with virtual() if request.param == "virtual" else SessionSystem() as made:
        yield made


# --- The life of a session --------------------------------------------------------------------------------------------


def test_the_documented_scenario_holds_in_both_kinds_of_time(either):
    system = either
    options = {"idle_timeout": 300.0, "auth_timeout": 30.0, "persistent": True}
    assert system.start_session("session-1", options) == "session-1"
    assert system.init_session("session-1", {}) == "new"
    assert system.authenticate("session-1", {"authenticated": True, "user_id": "user-1"}) == "auth"
    assert system.activate("session-1") == "active"
    system.isolate("session-1", memory_limit=104_857_600, cpu_limit=80.0, isolated=True)
    system.set_rate_limit("session-1", {"capacity": 1000, "rate": 10.0})
    assert system.check_rate_limit("session-1", "requests", 1) == (True, 0.0)
    system.log_event("session-1", "state_transition", {"from_state": "new", "to_state": "active"})
    assert system.deactivate("session-1") == "idle"
    assert system.resume("session-1") == "active"
    assert system.get_info("session-1").user_id == "user-1"
    system.terminate("session-1")
    for name, arguments in SESSION_CALLS.items():
        with pytest.raises(SessionTerminated):
            getattr(system, name)("session-1", *arguments)
    with pytest.raises(SessionTerminated):
        system.check_rate_limit("session-1")
    with pytest.raises(NotFound):
        system.get_resource_usage("session-1")
    assert system.limiter_statistics().total_sessions == 0
    logged = [each for each in entries(system, "session-1") if each.data["event"] == "log_event"]
    assert [(each.data["from_state"], each.data["to_state"]) for each in logged] == [("new", "active")]


def test_what_a_caller_is_told_is_what_the_next_question_finds(either):
    start_active(either, "a")
    for operation in (either.deactivate, either.resume, either.suspend, either.resume):
        assert operation("a") == either.get_state("a")


def test_an_id_can_be_generated():
    with virtual() as one, virtual() as other:
        ids = [one.start_session() for _ in range(3)]
        assert len(set(ids)) == 3
        assert all(len(each) == 32 for each in ids)
        assert [other.start_session() for _ in range(3)] == ids


def test_an_id_in_bytes_is_the_same_id(system):
    assert system.start_session(b"a") == "a"
    assert system.get_state(b"a") == "new"
    with pytest.raises(SessionExists):
        system.start_session("a")


def test_two_threads_cannot_start_the_same_session():
    with SessionSystem() as system:
        ready = threading.Barrier(4)
        outcomes = []

        def start():
            ready.wait(10.0)
            for number in range(50):
                with contextlib.suppress(SessionExists):
                    outcomes.append(system.start_session(str(number)))

        threads = [threading.Thread(target=start) for _ in range(4)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert sorted(outcomes) == sorted(map(str, range(50)))
        assert [each.data["event"] for each in entries(system)] == ["session_started"] * 50


def test_options_differ_from_the_systems_defaults():
    with virtual(session={"idle_timeout": 10.0, "user_id": "bob"}) as system:
        start_active(system, "a", idle_timeout=20.0)
        start_active(system, "b")
        system.actors.advance(10.0)
        assert (system.get_state("a"), system.get_state("b")) == ("active", "idle")
        assert system.get_info("a").user_id == "bob"


def test_idle_sessions_go_idle_and_then_suspended(system):
    start_active(system, "a")
    system.actors.advance(300.0)
    assert system.get_state("a") == "idle"
    system.actors.advance(300.0)
    assert system.get_state("a") == "suspended"


def test_a_real_timer_ends_a_session_that_does_not_authenticate():
    ended = threading.Event()
    with SessionSystem(session={"auth_timeout": 0.01}) as system:
        system.start_session("a")
        system.subscribe("a", lambda event: ended.set() if event.event == "session_terminated" else None)
        system.authenticate("a", TRUSTED)
        assert ended.wait(10.0)
        assert ends(entries(system, "a")) == {"a": 1}


def test_a_quota_refuses_what_is_over_it_and_counts_nothing(system):
    start_active(system, "a")
    system.set_quota("a", {"max_requests": 10})
    system.update_resources("a", requests=5, bytes=100)
    with pytest.raises(QuotaExceeded):
        system.update_resources("a", requests=10)
    assert system.get_info("a").resources_used.requests == 5
    assert system.check_quota("a").has_quota
    system.override_quota("a", {"max_requests": 100}, admin="root")
    system.update_resources("a", requests=10)


def test_an_administrator_overrides_and_is_named_in_the_log(system):
    start_active(system, "a")
    system.start_session("b")
    assert system.force_suspend("a", admin="root") == "suspended"
    assert system.force_resume("a", admin="root", reason="again") == "active"
    system.lock("b", admin="root")
    with pytest.raises(SessionRefusal):
        system.authenticate("b", TRUSTED)
    system.unlock("b", admin="root")
    assert system.authenticate("b", TRUSTED) == "auth"
    system.force_terminate("a", admin="root")
    assert sum(each.type == "security" and each.data.get("admin") == "root" for each in entries(system)) == 5


def test_an_operation_that_does_not_fit_the_state_changes_nothing(system):
    system.start_session("a")
    with pytest.raises(InvalidTransition):
        system.resume("a")
    assert names(system, "a") == ["session_started"]


def test_history_and_metrics_can_be_asked_for(system):
    start_active(system, "a")
    assert [(each.from_state, each.to_state) for each in system.get_history("a")] == [
        ("new", "auth"),
        ("auth", "active"),
    ]
    system.actors.advance(7.0)
    assert system.get_metrics("a").session_age == 7.0


def test_the_state_of_any_id_can_be_asked_for(system):
    start_active(system, "a", "b")
    system.terminate("b")
    assert [system.state_of(each) for each in "abc"] == ["active", "terminated", None]
    assert system.live_sessions() == ["a"]


class Caller(Actor):
    """An actor that uses the session system in its own turn."""

    def __init__(self, system):
        super().__init__()
        self._sessions = system

    def on_receive(self, message):
        start_active(self._sessions, message)
        self._sessions.check_rate_limit(message)
        self._sessions.deactivate(message)
        return self._sessions.reap("all")


@pytest.mark.parametrize("dispatch", ["inline", "shared"])
def test_an_actor_may_use_the_system_in_its_own_turn(either, dispatch):
    caller = either.actors.spawn(Caller, (either,), link=False, report=True, dispatch=dispatch)
    assert caller.ask("a") == 1


# --- Bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SESSION_CALLS)
@pytest.mark.parametrize("given", [None, 5, [], object()])
def test_what_is_no_id_is_refused_by_every_function(system, name, given):
    with pytest.raises(InvalidKind) as refused:
        getattr(system, name)(given, *SESSION_CALLS[name])
    assert refused.value.field == "session_id"


@pytest.mark.parametrize("given", ["", "x" * 257, "a\nb", b"\xff"])
def test_a_session_cannot_start_under_what_is_no_id(system, given):
    with pytest.raises(InvalidSessionId):
        system.start_session(given)
    assert entries(system) == []


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda system: system.start_session("b", {"idle_timeout_ms": 5}), InvalidOption),
        (lambda system: system.start_session("b", {"idle_timeout": -1}), InvalidValue),
        (lambda system: system.start_session("b", 5), InvalidKind),
        (lambda system: system.start_session("b", session_class=dict), InvalidKind),
        (lambda system: system.suspend("a", []), InvalidKind),
        (lambda system: system.suspend("a", ""), InvalidValue),
        (lambda system: system.terminate("a", 5), InvalidKind),
        (lambda system: system.terminate("a", "two\nlines"), InvalidValue),
        (lambda system: system.update_resources("a", requests="1"), InvalidKind),
        (lambda system: system.update_resources("a", requests=True), InvalidKind),
        (lambda system: system.update_resources("a", bytes=-1), InvalidValue),
        (lambda system: system.set_quota("a", 5), InvalidQuota),
        (lambda system: system.set_quota("a", {"max_requests": -1}), InvalidQuota),
        (lambda system: system.override_quota("a", None, admin="root"), InvalidQuota),
        (lambda system: system.force_suspend("a", admin=""), InvalidValue),
        (lambda system: system.force_suspend("a", admin=None), InvalidKind),
        (lambda system: system.lock("a", admin="root", reason=5), InvalidKind),
    ],
)
def test_bad_input_is_refused_and_the_session_goes_on(system, call, error):
    start_active(system, "a")
    before = names(system, "a")
    with pytest.raises(error):
        call(system)
    assert names(system, "a") == before
    assert system.get_state("a") == "active"
    assert system.live_sessions() == ["a"]


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"session": 5}, "session"),
        ({"limiter": SessionOptions()}, "limiter"),
        ({"isolation": []}, "isolation"),
        ({"reaper": "x"}, "reaper"),
        ({"audit": True}, "audit"),
        ({"audit_dir": 5}, "audit_dir"),
        ({"authenticator": 5}, "authenticator"),
    ],
)
def test_a_system_refuses_settings_of_another_kind_and_leaves_no_thread(options, field):
    with pytest.raises(InvalidKind) as refused:
        SessionSystem(**options)
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"audit_dir": ""}, "audit_dir"),
        ({"path": ""}, "path"),
        ({"clock": 5}, "clock"),
        ({"entropy": 7}, "entropy"),
        ({"workers": 0}, "workers"),
        ({"shutdown_timeout": -1}, "shutdown_timeout"),
        ({"max_restarts": "x"}, "max_restarts"),
        ({"max_restarts": True}, "max_restarts"),
        ({"max_seconds": 0}, "max_seconds"),
        ({"max_seconds": float("nan")}, "max_seconds"),
    ],
)
def test_a_system_refuses_bad_values_by_name(options, field):
    with pytest.raises((ValueError, TypeError)) as refused:
        SessionSystem(**options)
    assert refused.value.field == field


class SlowToStart(Session):
    """Takes as long to start as somebody says."""

    entered, leave = threading.Event(), threading.Event()

    def on_start(self):
        self.entered.set()
        self.leave.wait(30.0)


def test_a_start_whose_asker_has_given_up_is_withdrawn():
    with SessionSystem() as system:
        slow = threading.Thread(target=system.start_session, args=("slow",), kwargs={"session_class": SlowToStart})
        slow.start()
        assert SlowToStart.entered.wait(10.0)
        system.actors.ask_timeout = 0.01
        with pytest.raises(AskTimeoutError):
            system.start_session("late")
        system.actors.ask_timeout = 30.0
        SlowToStart.leave.set()
        assert system.start_session("next") == "next"
        slow.join(10.0)
        assert sorted(system.live_sessions()) == ["next", "slow"]
        assert system.start_session("late") == "late"


# --- The end ----------------------------------------------------------------------------------------------------------


def test_after_the_stop_every_session_is_terminated_and_every_service_is_gone(either):
    system = either
    start_active(system, "a")
    assert system.stop() == []
    assert system.stop() == []
    assert system.state_of("a") == "terminated"
    with pytest.raises(SessionTerminated):
        system.deactivate("a")
    for call in (
        lambda: system.start_session("b"),
        lambda: system.check_rate_limit("b"),
        lambda: system.isolate("b"),
        lambda: system.reap(),
    ):
        with pytest.raises(NotFound):
            call()


def test_a_stop_with_a_wrong_timeout_stops_nothing(system):
    start_active(system, "a")
    for timeout in (-1, float("nan"), "5"):
        with pytest.raises((InvalidArgumentError, TypeError)):
            system.stop(timeout)
    assert system.get_state("a") == "active"


def test_a_stop_from_an_actors_turn_is_refused_and_stops_nothing(system):
    errors = []

    def stops(event):
        try:
            system.stop()
        except UsageError as error:
            errors.append(error)

    start_active(system, "a")
    system.subscribe("a", stops)
    system.deactivate("a")
    assert len(errors) == 1
    assert system.get_state("a") == "idle"


def test_calls_during_a_stop_are_answered_or_refused():
    faults = []
    system = SessionSystem()
    start_active(system, *map(str, range(50)))
    begun = threading.Event()

    def use():
        for number in range(100_000):
            begun.set()
            try:
                system.check_rate_limit(str(number % 50))
                system.deactivate(str(number % 50))
                system.resume(str(number % 50))
            except (InvalidTransition, NotFound, SessionTerminated):
                if system.actors.whereis("root") is None:
                    return
            except BaseException as error:
                faults.append(error)
                raise

    threads = [threading.Thread(target=use) for _ in range(2)]
    for each in threads:
        each.start()
    assert begun.wait(10.0)
    assert system.stop() == []
    for each in threads:
        each.join(10.0)
    assert not faults
    assert sum(ends(list(system._ledger.log.events())).values()) == 50


def test_a_system_shows_how_it_is(system):
    start_active(system, "a")
    assert repr(system) == "<SessionSystem running: 1 live sessions, 1 started>"


def test_a_subscriber_that_starts_a_session_while_the_system_stops_is_refused():
    outcomes = []

    def start_another(event):
        try:
            system.start_session("b")
        except NotFound as error:
            outcomes.append(error.code)

    system = SessionSystem(shutdown_timeout=5.0)
    system.start_session("a")
    system.subscribe("a", start_another)
    assert system.stop() == []
    assert outcomes == ["not_found"]


def test_it_lives_in_an_actor_system_that_is_there_already():
    with ActorSystem(clock=VirtualClock()) as actors:
        with SessionSystem(actors=actors) as system:
            system.start_session("alice")
            assert system.actors is actors
        assert actors.actors() == []
        assert not actors.is_stopped


@pytest.mark.parametrize("given", [{"clock": VirtualClock()}, {"workers": 2}])
def test_an_actor_system_brings_its_own_surroundings(given):
    with ActorSystem(clock=VirtualClock()) as actors, pytest.raises(InvalidValue, match=next(iter(given))):
        SessionSystem(actors=actors, **given)


def test_only_an_actor_system_is_one():
    with pytest.raises(InvalidKind, match="actors"):
        SessionSystem(actors="threads")
