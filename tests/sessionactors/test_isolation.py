import math
from types import SimpleNamespace

import pytest

from sessionactors import Session, SessionSystem
from sessionactors.errors import (
    CapacityExceeded,
    CollectionFailed,
    InvalidKind,
    InvalidLimit,
    InvalidOption,
    InvalidValue,
    LimitExceedsGlobal,
    NoProcess,
    NotFound,
    RecordExists,
    SessionTerminated,
    UnknownRequest,
)
from sessionactors.isolation_ledger import IsolationEvent
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
    info = system.get_isolation_info("a")
    limits = (info.memory_limit, info.cpu_limit, info.message_limit, info.connection_limit)
    assert limits == (100 * 1024 * 1024, None, 10_000, 10)
    assert info.isolated
    assert info.ref is system.directory.get("a")


def test_a_record_takes_limits_of_its_own(system):
    system.isolate("a", memory_limit=5, cpu_limit=80, message_limit=math.inf, connection_limit=None, isolated=False)
    info = system.get_isolation_info("a")
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
    assert system.list_isolated() == ["a", "other"]
    system.destroy_isolation("other")
    assert system.list_isolated() == ["a"]
    with pytest.raises(NotFound):
        system.destroy_isolation("other")


def test_a_cleaned_record_keeps_its_connections_and_its_session(system):
    system.isolate("a")
    system.record_usage("a", memory=5, cpu=1, messages=3, connections=2)
    system.cleanup_isolation("a")
    usage = system.get_resource_usage("a")
    assert [each.used for each in (usage.memory, usage.cpu, usage.messages, usage.connections)] == [0, 0.0, 0, 2]
    system.terminate("a")
    assert system.list_isolated() == []


def test_the_death_of_the_accounted_actor_removes_its_record(system):
    heard = []
    other = system.actors.start(Listener)
    ask(system, "create_session", "job", {"ref": other})
    system.subscribe_isolation("job", heard.append)
    other.kill()
    system.actors.settle()
    assert system.list_isolated() == []
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


def test_messages_and_connections_are_counts(system):
    system.isolate("a")
    system.record_usage("a", connections=3)
    found = system.get_resource_usage("a")
    assert (found.connections.count, found.connections.limit, found.connections.percentage) == (3, 10, 30.0)


def test_reaching_a_limit_is_not_exceeding_it(system):
    system.isolate("a", memory_limit=10)
    assert system.record_usage("a", memory=10).within
    assert system.get_state("a") == "active"


def test_an_unlimited_resource_is_never_exceeded(system):
    system.isolate("a", memory_limit=None)
    assert system.record_usage("a", memory=2**29).within
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
    assert system.list_isolated() == []


def test_without_isolation_a_violation_is_only_told(system):
    heard = []
    system.isolate("a", memory_limit=10, isolated=False)
    system.subscribe_isolation("a", heard.append)
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
    system.unisolate_session("a")
    assert system.get_state("a") == "active"
    system.isolate_session("a")
    system.actors.settle()
    assert system.state_of("a") == "terminated"


def test_lowering_a_limit_below_the_usage_is_a_violation(system):
    system.isolate("a", memory_limit=10)
    system.record_usage("a", memory=5)
    system.set_memory_limit("a", 4)
    system.actors.settle()
    assert system.state_of("a") == "terminated"


def test_connections_are_refused_at_the_limit_and_kill_nobody(system):
    system.isolate("a", connection_limit=2)
    assert [system.try_acquire_connection("a") for _ in range(3)] == [True, True, False]
    system.release_connection("a")
    assert system.try_acquire_connection("a")
    system.record_usage("a", connections=5)
    assert system.get_state("a") == "active"


def test_all_connections_together_have_a_ceiling():
    with virtual(isolation={"max_connections": 3, "connection_limit": 2}) as system:
        for each in "ab":
            system.isolate(each)
        assert [system.try_acquire_connection(each) for each in "aabb"] == [True, True, True, False]


def test_each_change_of_a_limit_is_told(system):
    heard = []
    system.isolate("a")
    system.subscribe_isolation("a", heard.append)
    system.set_memory_limit("a", 1000)
    system.set_cpu_limit("a", 50)
    system.set_message_limit("a", math.inf)
    system.set_connection_limit("a", 3)
    system.unisolate_session("a")
    system.isolate_session("a")
    system.cleanup_isolation("a")
    system.destroy_isolation("a")
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


# --- Measuring --------------------------------------------------------------------------------------------------------

MIB = 1024 * 1024


class Hoarder(Session):
    """A session that keeps what it is given, and gives back a cache when asked."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.hoard = []
        self.cache = []

    def receive_ask(self, message):
        if isinstance(message, int):
            self.hoard.append(bytes(message))
            return None
        return super().receive_ask(message)

    def on_memory_pressure(self):
        self.cache.clear()


def hoarder(system, session_id="h", **options):
    system.start_session(session_id, session_class=Hoarder)
    system.isolate(session_id, **options)
    return system.directory.get(session_id)


def test_what_a_session_holds_is_measured(system):
    ref = hoarder(system)
    system.actors.advance(1.0)
    before = system.get_resource_usage("h")
    assert 900 < before.memory.used < 5000
    assert before.memory_method == "state + mailbox + reported"
    ref.ask(3 * MIB)
    system.actors.advance(1.0)
    assert 3 * MIB < system.get_resource_usage("h").memory.used - before.memory.used < 3 * MIB + 1000
    system.record_usage("h", memory=MIB)
    assert 4 * MIB < system.get_resource_usage("h").memory.used < 4 * MIB + 5000


def test_real_growth_crosses_the_soft_limit_and_then_the_hard_one(system):
    heard = []
    ref = hoarder(system, memory_limit=10 * MIB)
    system.subscribe_isolation("h", lambda event: heard.append((event.event, system.actors.clock.monotonic())))
    for _ in range(20):
        if system.state_of("h") == "terminated":
            break
        ref.ask(MIB)
        system.actors.advance(1.0)
    assert heard == [
        ("soft_limit_warning", 8.0),
        ("hard_limit_violation", 10.0),
        ("enforcement_taken", 10.0),
        ("session_destroyed", 10.0),
    ]
    assert [each.type for each in entries(system, "h") if each.data["event"] == "hard_limit_violation"] == ["security"]


def test_messages_that_wait_count_as_memory(system):
    ref = hoarder(system)
    system.actors.advance(1.0)
    before = system.get_resource_usage("h").memory.used
    ref.suspend()
    for _ in range(100):
        ref.send(5)
    assert system.get_resource_usage("h").memory.used - before >= 100 * 256
    ref.resume()


def test_messages_that_the_session_handles_are_counted_and_ours_are_not(system):
    system.isolate("a")
    for _ in range(7):
        system.touch("a")
    system.record_usage("a", messages=2)
    system.actors.advance(5.0)
    assert system.get_resource_usage("a").messages.used == 9
    system.cleanup_isolation("a")
    system.actors.advance(5.0)
    assert system.get_resource_usage("a").messages.used == 0


def test_a_flood_of_messages_ends_the_session(system):
    system.isolate("a", message_limit=50)
    for _ in range(51):
        system.touch("a")
    assert system.get_state("a") == "active"
    system.actors.advance(1.0)
    assert system.state_of("a") == "terminated"


@pytest.fixture
def cpu():
    """CPU seconds of the thread, as the meters read them: each reading adds what a turn costs."""
    return SimpleNamespace(seconds=0.0, a_turn=0.0)


@pytest.fixture
def metered(cpu):
    def read():
        cpu.seconds += cpu.a_turn / 2
        return cpu.seconds

    with virtual(isolation={"cpu_window": 10.0}) as made:
        made.actors.whereis("isolation")._actor._ledger.read_cpu = read
        start_active(made, "a")
        yield made


def burn(system, cpu, seconds, session_id="a"):
    """Have the session use so many CPU seconds in one turn."""
    cpu.a_turn = seconds * 2
    system.touch(session_id)
    cpu.a_turn = 0.0


def test_cpu_is_the_time_of_the_turns_averaged_over_the_window(metered, cpu):
    metered.isolate("a", cpu_limit=50)
    for _ in range(3):
        burn(metered, cpu, 1.0)
        metered.actors.advance(1.0)
    usage = metered.get_resource_usage("a")
    assert usage.cpu_measured
    assert usage.cpu.used == pytest.approx(30.0)
    metered.actors.advance(20.0)
    assert metered.get_resource_usage("a").cpu.used == 0.0


def test_a_session_that_is_busy_for_a_moment_is_not_ended_and_one_that_stays_busy_is(metered, cpu):
    metered.isolate("a", cpu_limit=50)
    burn(metered, cpu, 4.9)
    metered.actors.advance(1.0)
    assert metered.get_resource_usage("a").cpu.used == pytest.approx(49.0)
    metered.actors.advance(30.0)
    for _ in range(5):
        burn(metered, cpu, 1.0)
        metered.actors.advance(1.0)
    assert metered.get_state("a") == "active"
    burn(metered, cpu, 1.0)
    metered.actors.advance(1.0)
    assert metered.state_of("a") == "terminated"


def test_without_a_cpu_limit_no_turn_is_metered(metered, cpu):
    metered.isolate("a")
    burn(metered, cpu, 5.0)
    metered.actors.advance(1.0)
    usage = metered.get_resource_usage("a")
    assert (usage.cpu.used, usage.cpu_measured, cpu.seconds) == (0.0, False, 0.0)
    assert "receive_ask" not in vars(metered.directory.get("a")._actor)


def test_a_cpu_limit_that_is_set_later_starts_the_meter_and_the_end_of_the_account_stops_it(metered, cpu):
    metered.isolate("a")
    metered.set_cpu_limit("a", 50)
    burn(metered, cpu, 1.0)
    metered.actors.advance(1.0)
    assert metered.get_resource_usage("a").cpu.used == pytest.approx(10.0)
    metered.destroy_isolation("a")
    assert "receive_ask" not in vars(metered.directory.get("a")._actor)
    assert metered.touch("a") is None


def test_meters_go_on_when_isolation_crashes(metered, cpu):
    metered.isolate("a", measure_cpu=True)
    burn(metered, cpu, 1.0)
    kill(metered, "isolation")
    metered.actors.settle()
    burn(metered, cpu, 1.0)
    metered.actors.advance(1.0)
    assert metered.get_resource_usage("a").cpu.used == pytest.approx(20.0)


def test_the_real_time_of_a_turn_is_measured():
    with SessionSystem(isolation={"sample_interval": 0.01, "cpu_window": 1.0}) as system:
        system.start_session("h", session_class=Spinner)
        system.isolate("h", measure_cpu=True)
        while system.get_resource_usage("h").cpu.used < 5.0:
            system.directory.get("h").ask("spin")
        assert system.get_resource_usage("h").cpu.used < 200.0


class Spinner(Session):
    def receive_ask(self, message):
        return sum(range(100_000)) if message == "spin" else super().receive_ask(message)


def test_each_look_is_at_a_few_and_everybody_has_a_turn():
    with virtual(isolation={"sample_batch": 3}) as system:
        for number in range(8):
            system.start_session(f"s-{number}")
            system.isolate(f"s-{number}")
        measured = []
        for _ in range(3):
            system.actors.advance(1.0)
            measured.append(sum(system.get_resource_usage(each).memory.used > 0 for each in system.list_isolated()))
        assert measured == [3, 6, 8]


def test_no_timer_runs_where_nobody_is_accounted_for(system):
    before = system.actors.timers.pending()
    system.isolate("a")
    assert system.actors.timers.pending() == before + 1
    system.destroy_isolation("a")
    system.actors.advance(2.0)
    assert system.actors.timers.pending() <= before


def test_an_account_that_was_opened_early_finds_its_session(system):
    system.isolate("later")
    system.start_session("later")
    system.actors.advance(61.0)
    assert system.get_isolation_info("later").ref is system.directory.get("later")
    system.terminate("later")
    assert "later" not in system.list_isolated()


def test_an_account_whose_session_came_and_went_is_swept(system):
    system.isolate("later")
    isolation = system.actors.whereis("isolation").parent
    isolation.suspend()
    kill(system, "isolation")
    system.start_session("later")
    system.terminate("later")
    isolation.resume()
    system.actors.settle()
    assert system.list_isolated() == ["later"]
    system.actors.advance(61.0)
    assert system.list_isolated() == []


# --- Collection -------------------------------------------------------------------------------------------------------


def test_a_session_is_asked_to_release_what_it_can_at_the_soft_limit(system):
    ref = hoarder(system, memory_limit=10 * MIB)
    ref._actor.cache.append(bytes(9 * MIB))
    system.actors.advance(2.0)
    assert ref._actor.cache == []
    assert system.get_resource_usage("h").memory.used < MIB
    assert system.state_of("h") == "new"


def test_collection_can_be_asked_for(system):
    ref = hoarder(system)
    ref._actor.cache.append(1)
    assert system.garbage_collect("h") >= 0
    assert ref._actor.cache == []


def test_a_hook_that_raises_is_a_failed_collection_and_the_session_lives(system):
    ref = hoarder(system)
    ref._actor.cache = None
    with pytest.raises(CollectionFailed):
        system.garbage_collect("h")
    assert system.get_state("h") == "new"


def test_collection_needs_a_session(system):
    with pytest.raises(NotFound):
        system.garbage_collect("a")
    system.isolate("nobody")
    with pytest.raises(NoProcess):
        system.garbage_collect("nobody")
    other = system.actors.start(Listener)
    system.isolate("job", ref=other)
    with pytest.raises(CollectionFailed):
        system.garbage_collect("job")


# --- Throttling -------------------------------------------------------------------------------------------------------


def test_over_a_soft_limit_the_limiter_counts_the_session_as_throttled(system):
    heard = []
    system.isolate("a", memory_limit=10 * MIB)
    system.subscribe_isolation("a", lambda event: heard.append(event.event))
    system.record_usage("a", memory=9 * MIB)
    assert system.check_throttle("a")
    assert system.check_rate_limit("a")[0]
    system.record_usage("a", memory=MIB)
    assert not system.check_throttle("a")
    assert heard == ["soft_limit_warning", "soft_limit_cleared"]


def test_a_throttle_ends_with_the_account(system):
    system.isolate("a", memory_limit=10 * MIB)
    system.record_usage("a", memory=9 * MIB)
    system.destroy_isolation("a")
    assert not system.check_throttle("a")


# --- Ceilings ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def crowd():
    with virtual(isolation={"max_memory": 10 * MIB, "memory_limit": 9 * MIB, "message_limit": None}) as made:
        start_active(made, "a", "b", "c")
        for each in "abc":
            made.isolate(each)
        yield made


def test_beyond_a_ceiling_the_one_who_uses_most_is_ended(crowd):
    for each, used in (("a", 3), ("b", 4), ("c", 2)):
        crowd.record_usage(each, memory=used * MIB)
    crowd.record_usage("c", memory=3 * MIB + MIB // 2)
    crowd.actors.settle()
    assert [crowd.state_of(each) for each in "abc"] == ["active", "terminated", "active"]
    events = [
        (each.session, each.type, each.data["event"]) for each in entries(crowd) if "ceiling" in each.data["event"]
    ]
    assert events == [
        (None, "resource", "ceiling_warning"),
        (None, "security", "ceiling_violation"),
        ("b", "security", "ceiling_enforced"),
    ]


def test_as_many_are_ended_as_it_takes(crowd):
    crowd.unisolate_session("c")
    for each, used in (("a", 1), ("b", 2), ("c", 7)):
        crowd.record_usage(each, memory=used * MIB)
    crowd.record_usage("c", memory=8 * MIB + MIB // 2)
    crowd.actors.settle()
    assert [crowd.state_of(each) for each in "abc"] == ["active", "terminated", "active"]
    crowd.record_usage("a", memory=2 * MIB)
    crowd.actors.settle()
    assert crowd.state_of("a") == "terminated"


def test_without_isolated_sessions_a_ceiling_is_only_told(crowd):
    for each in "abc":
        crowd.unisolate_session(each)
        crowd.record_usage(each, memory=4 * MIB)
    crowd.actors.settle()
    assert [crowd.state_of(each) for each in "abc"] == ["active"] * 3
    crowd.isolate_session("b")
    crowd.actors.advance(1.0)
    assert crowd.state_of("b") == "terminated"


def test_what_an_ended_session_used_is_free_again(crowd):
    crowd.record_usage("a", memory=8 * MIB)
    crowd.terminate("a")
    crowd.record_usage("b", memory=7 * MIB)
    crowd.actors.settle()
    assert crowd.get_state("b") == "active"
    ledger = crowd.actors.whereis("isolation")._actor._ledger
    assert ledger.totals == [sum(each.used[place] for each in ledger.records.values()) for place in range(4)]


def test_accounts_are_bounded():
    with virtual(isolation={"records_max": 2}) as system:
        for each in "ab":
            system.isolate(each)
        with pytest.raises(CapacityExceeded):
            system.isolate("c")


def test_the_sessions_own_memory_limit_counts_where_it_is_lower(system):
    system.start_session("small", {"memory_limit": MIB})
    system.isolate("small")
    assert system.get_isolation_info("small").memory_limit == MIB
    system.start_session("large", {"memory_limit": None})
    system.isolate("large")
    assert system.get_isolation_info("large").memory_limit == 100 * MIB


# --- Subscribers ------------------------------------------------------------------------------------------------------


def test_a_bound_method_can_unsubscribe(system):
    heard = []
    system.isolate("a")
    system.subscribe_isolation("a", heard.append)
    system.unsubscribe_isolation("a", heard.append)
    system.cleanup_isolation("a")
    assert heard == []


def test_a_subscriber_that_raises_is_dropped_and_audited(system):
    calls = []

    def raises(event):
        calls.append(event)
        raise RuntimeError

    system.isolate("a")
    system.subscribe_isolation("a", raises)
    for _ in range(2):
        system.cleanup_isolation("a")
    assert len(calls) == 1
    assert names(system, "a").count("subscriber_dropped") == 1


def test_a_subscriber_that_has_died_is_dropped(system):
    listener = system.actors.start(Listener)
    system.isolate("a")
    system.subscribe_isolation("a", listener)
    listener.stop()
    system.actors.settle()
    isolation = system.actors.whereis("isolation")._actor
    assert isolation._ledger.subscriptions.of("a") == []
    assert len(isolation._watched) == 1


def test_nobody_is_watched_for_a_record_that_is_gone(system):
    listener = system.actors.start(Listener)
    for each in ("a", "b"):
        system.isolate(each)
        system.subscribe_isolation(each, listener)
    system.unsubscribe_isolation("b", listener)
    for each in ("a", "b"):
        system.destroy_isolation(each)
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
    assert system.list_isolated() == []


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
        system.subscribe_isolation("a", each)
    kill(system, "isolation")
    system.actors.settle()
    system.cleanup_isolation("a")
    assert [each.event for each in listener.ask("heard")] == [each.event for each in heard] == ["session_cleaned"]
    listener.stop()
    system.actors.settle()
    assert system.actors.whereis("isolation")._actor._ledger.subscriptions.of("a") == [heard.append]


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
    assert system.list_isolated() == []
