import math

import pytest

from sessionactors.errors import (
    InvalidKind,
    InvalidLimit,
    InvalidOption,
    InvalidValue,
    LimitExceedsGlobal,
    NotFound,
    RecordExists,
    SessionTerminated,
    UnknownRequest,
)
from sessionactors.isolation import IsolationEvent
from supervisors import Actor
from tests.sessionactors.session_world import edges, entries, kill, names, start_active, virtual


@pytest.fixture
def system():
    with virtual() as made:
        start_active(made, "a")
        yield made


def ask(system, *message):
    return system.actors.whereis("isolation").ask(message)


class Listener(Actor):
    def __init__(self):
        super().__init__()
        self.heard = []

    def on_receive(self, message):
        if message == "heard":
            return list(self.heard)
        self.heard.append(message)
        return None


# --- Records ----------------------------------------------------------------------------------------------------------


def test_a_record_has_the_default_limits(system):
    system.isolate("a")
    info = ask(system, "get_session_info", "a")
    limits = (info.memory_limit, info.cpu_limit, info.message_limit, info.connection_limit)
    assert limits == (100 * 1024 * 1024, None, 10_000, 10)
    assert info.isolated
    assert info.ref is system.directory.get("a")


def test_a_record_takes_limits_of_its_own(system):
    system.isolate("a", memory_limit=5, cpu_limit=80, message_limit=math.inf, connection_limit=None, isolated=False)
    info = ask(system, "get_session_info", "a")
    limits = (info.memory_limit, info.cpu_limit, info.message_limit, info.connection_limit, info.isolated)
    assert limits == (5, 80.0, None, None, False)


def test_creating_a_record_answers_with_the_accounted_actor(system):
    assert ask(system, "create_session", "a", {}) is system.directory.get("a")


def test_a_session_has_one_record(system):
    system.isolate("a")
    with pytest.raises(RecordExists):
        system.isolate("a")


def test_an_ended_session_gets_no_record(system):
    system.terminate("a")
    with pytest.raises(SessionTerminated):
        system.isolate("a")


def test_records_are_listed_and_destroyed(system):
    system.isolate("a")
    system.isolate("other")
    assert ask(system, "list_sessions") == ["a", "other"]
    ask(system, "destroy_session", "other")
    assert ask(system, "list_sessions") == ["a"]
    with pytest.raises(NotFound):
        ask(system, "destroy_session", "other")


def test_a_cleaned_record_keeps_its_connections_and_its_session(system):
    system.isolate("a")
    system.record_usage("a", memory=5, cpu=1, messages=3, connections=2)
    ask(system, "cleanup_session", "a")
    usage = system.get_resource_usage("a")
    assert [each.used for each in (usage.memory, usage.cpu, usage.messages, usage.connections)] == [0, 0.0, 0, 2]
    system.terminate("a")
    assert ask(system, "list_sessions") == []


def test_the_death_of_the_accounted_actor_removes_its_record(system):
    heard = []
    other = system.actors.start(Listener)
    ask(system, "create_session", "job", {"ref": other})
    ask(system, "subscribe", "job", heard.append)
    other.kill()
    system.actors.settle()
    assert ask(system, "list_sessions") == []
    assert heard == [IsolationEvent("job", "process_died", None)]


# --- Usage and limits -------------------------------------------------------------------------------------------------


def test_memory_and_cpu_are_set_and_messages_and_connections_are_added(system):
    system.isolate("a", cpu_limit=50)
    for _ in range(2):
        system.record_usage("a", memory=7, cpu=25, messages=3, connections=1)
    usage = system.get_resource_usage("a")
    assert [each.used for each in (usage.memory, usage.cpu, usage.messages, usage.connections)] == [7, 25.0, 6, 2]
    assert usage.cpu.percentage == 50.0
    system.record_usage("a", connections=-5)
    assert system.get_resource_usage("a").connections.used == 0


def test_reaching_a_limit_is_not_exceeding_it(system):
    system.isolate("a", memory_limit=10)
    assert system.record_usage("a", memory=10).within
    assert system.get_state("a") == "active"


def test_an_unlimited_resource_is_never_exceeded(system):
    system.isolate("a", memory_limit=None)
    assert system.record_usage("a", memory=2**50).within
    assert system.get_resource_usage("a").memory.percentage == math.inf


def test_a_hard_violation_ends_an_isolated_session(system):
    system.isolate("a", memory_limit=10)
    check = system.record_usage("a", memory=11)
    system.actors.settle()
    assert check.violations["memory_exceeded"]
    assert system.state_of("a") == "terminated"
    records = entries(system, "a")
    assert ("security", "hard_limit_violation") in [(each.type, each.data["event"]) for each in records]
    assert records[-1].data["reason"] == "resource_violation"
    assert edges(records)[-1] == ("a", "active", "terminated")
    assert ask(system, "list_sessions") == []


def test_without_isolation_a_violation_is_only_told(system):
    heard = []
    system.isolate("a", memory_limit=10, isolated=False)
    ask(system, "subscribe", "a", heard.append)
    for _ in range(3):
        assert not system.record_usage("a", memory=11).within
    assert system.get_state("a") == "active"
    assert [each.event for each in heard] == ["soft_limit_warning", "hard_limit_violation"]
    assert names(system, "a").count("hard_limit_violation") == 1
    assert not system.check_resource_limits("a").within


def test_a_soft_limit_warns_once_until_usage_has_fallen(system):
    system.isolate("a", memory_limit=10)
    for used in (8, 9, 9, 1, 9):
        system.record_usage("a", memory=used)
    assert names(system, "a").count("soft_limit_warning") == 2


def test_isolating_a_session_that_exceeds_a_limit_ends_it(system):
    system.isolate("a", memory_limit=10, isolated=False)
    system.record_usage("a", memory=11)
    ask(system, "unisolate_session", "a")
    assert system.get_state("a") == "active"
    ask(system, "isolate_session", "a")
    system.actors.settle()
    assert system.state_of("a") == "terminated"


def test_lowering_a_limit_below_the_usage_is_a_violation(system):
    system.isolate("a", memory_limit=10)
    system.record_usage("a", memory=5)
    ask(system, "set_memory_limit", "a", 4)
    system.actors.settle()
    assert system.state_of("a") == "terminated"


def test_connections_are_refused_at_the_limit_and_kill_nobody(system):
    system.isolate("a", connection_limit=2)
    assert [ask(system, "try_acquire_connection", "a") for _ in range(3)] == [True, True, False]
    ask(system, "release_connection", "a")
    assert ask(system, "try_acquire_connection", "a")
    system.record_usage("a", connections=5)
    assert system.get_state("a") == "active"


def test_all_connections_together_have_a_ceiling():
    with virtual(isolation={"max_connections": 3, "connection_limit": 2}) as system:
        for each in "ab":
            system.isolate(each)
        assert [ask(system, "try_acquire_connection", each) for each in "aabb"] == [True, True, True, False]


def test_each_change_of_a_limit_is_told(system):
    heard = []
    system.isolate("a")
    ask(system, "subscribe", "a", heard.append)
    ask(system, "set_memory_limit", "a", 1000)
    ask(system, "set_cpu_limit", "a", 50)
    ask(system, "set_message_limit", "a", math.inf)
    ask(system, "set_connection_limit", "a", 3)
    ask(system, "unisolate_session", "a")
    ask(system, "isolate_session", "a")
    ask(system, "cleanup_session", "a")
    ask(system, "destroy_session", "a")
    assert [(each.event, each.value) for each in heard] == [
        ("memory_limit_changed", 1000),
        ("cpu_limit_changed", 50.0),
        ("message_limit_changed", None),
        ("connection_limit_changed", 3),
        ("session_unisolated", None),
        ("session_isolated", None),
        ("session_cleaned", None),
        ("session_destroyed", None),
    ]


# --- Subscribers ------------------------------------------------------------------------------------------------------


def test_a_bound_method_can_unsubscribe(system):
    heard = []
    system.isolate("a")
    ask(system, "subscribe", "a", heard.append)
    ask(system, "unsubscribe", "a", heard.append)
    ask(system, "cleanup_session", "a")
    assert heard == []


def test_a_subscriber_that_raises_is_dropped_and_audited(system):
    calls = []

    def raises(event):
        calls.append(event)
        raise RuntimeError

    system.isolate("a")
    ask(system, "subscribe", "a", raises)
    for _ in range(2):
        ask(system, "cleanup_session", "a")
    assert len(calls) == 1
    assert names(system, "a").count("subscriber_dropped") == 1


def test_a_subscriber_that_has_died_is_dropped(system):
    listener = system.actors.start(Listener)
    system.isolate("a")
    ask(system, "subscribe", "a", listener)
    listener.stop()
    system.actors.settle()
    isolation = system.actors.whereis("isolation")._actor
    assert isolation._records["a"].subscribers == {}
    assert len(isolation._watched) == 1


def test_nobody_is_watched_for_a_record_that_is_gone(system):
    listener = system.actors.start(Listener)
    for each in ("a", "b"):
        system.isolate(each)
        ask(system, "subscribe", each, listener)
    ask(system, "unsubscribe", "b", listener)
    for each in ("a", "b"):
        ask(system, "destroy_session", each)
    assert system.actors.whereis("isolation")._actor._watched == {}
    assert [each.event for each in listener.ask("heard")] == ["session_destroyed"]


# --- Bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("usage", "error"),
    [
        ({"memory": -1}, InvalidValue),
        ({"memory": 1.5}, InvalidKind),
        ({"memory": True}, InvalidKind),
        ({"memory": 2**80}, InvalidValue),
        ({"cpu": -1}, InvalidValue),
        ({"cpu": math.nan}, InvalidValue),
        ({"cpu": False}, InvalidKind),
        ({"cpu": "0"}, InvalidKind),
        ({"messages": None}, InvalidKind),
        ({"threads": 1}, InvalidOption),
    ],
)
def test_a_wrong_report_is_refused_and_counts_nothing(system, usage, error):
    system.isolate("a")
    isolation = system.actors.whereis("isolation")
    with pytest.raises(error):
        system.record_usage("a", **{"messages": 5, "connections": 1, **usage})
    found = system.get_resource_usage("a")
    assert (found.messages.used, found.connections.used, found.memory.used) == (0, 0, 0)
    assert system.actors.whereis("isolation") is isolation


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"memory_limit": -1}, InvalidLimit),
        ({"memory_limit": "5"}, InvalidLimit),
        ({"cpu_limit": 0}, InvalidLimit),
        ({"cpu_limit": math.nan}, InvalidLimit),
        ({"cpu_limit": 81.0}, LimitExceedsGlobal),
        ({"memory_limit": 2**40}, LimitExceedsGlobal),
        ({"connection_limit": 1001}, LimitExceedsGlobal),
        ({"isolated": 1}, InvalidKind),
        ({"ref": 5}, InvalidKind),
        ({"memroy_limit": 5}, InvalidOption),
    ],
)
def test_a_wrong_option_is_refused_and_no_record_is_made(system, options, error):
    with pytest.raises(error):
        system.isolate("a", **options)
    assert ask(system, "list_sessions") == []


@pytest.mark.parametrize("session_id", [None, 5, [], "", b"\xff"])
def test_an_id_that_is_none_is_refused_and_isolation_lives(system, session_id):
    isolation = system.actors.whereis("isolation")
    for use in (system.isolate, system.record_usage, system.get_resource_usage, system.check_resource_limits):
        with pytest.raises((InvalidKind, InvalidValue)) as refused:
            use(session_id)
        assert refused.value.field == "session_id"
    assert system.actors.whereis("isolation") is isolation


def test_a_session_without_a_record_is_not_found(system):
    for use in (system.record_usage, system.get_resource_usage, system.check_resource_limits):
        with pytest.raises(NotFound):
            use("a")


def test_an_unknown_message_is_refused_and_isolation_lives(system):
    isolation = system.actors.whereis("isolation")
    for message in ((), ("nonsense",), "nonsense", None):
        with pytest.raises(UnknownRequest):
            isolation.ask(message)
    assert isolation.is_alive()


# --- Crashes ----------------------------------------------------------------------------------------------------------


def test_a_crash_of_isolation_sets_nobody_free(system):
    system.isolate("a", memory_limit=10)
    system.record_usage("a", memory=5, messages=3)
    kill(system, "isolation")
    system.actors.settle()
    assert system.get_resource_usage("a").messages.used == 3
    system.record_usage("a", memory=11)
    system.actors.settle()
    assert system.state_of("a") == "terminated"


def test_subscribers_outlive_a_crash_and_are_watched_again(system):
    listener = system.actors.start(Listener)
    heard = []
    system.isolate("a")
    for each in (listener, heard.append):
        ask(system, "subscribe", "a", each)
    kill(system, "isolation")
    system.actors.settle()
    ask(system, "cleanup_session", "a")
    assert [each.event for each in listener.ask("heard")] == [each.event for each in heard] == ["session_cleaned"]
    listener.stop()
    system.actors.settle()
    assert list(system.actors.whereis("isolation")._actor._records["a"].subscribers) == [heard.append]


def test_who_ended_while_isolation_was_away_has_no_record_afterwards(system):
    system.isolate("a")
    services = system.actors.whereis("isolation").parent
    services.suspend()
    kill(system, "isolation")
    system.terminate("a")
    with pytest.raises(NotFound) as refused:
        system.get_resource_usage("a")
    assert refused.value.key == "isolation"
    services.resume()
    system.actors.settle()
    assert ask(system, "list_sessions") == []
