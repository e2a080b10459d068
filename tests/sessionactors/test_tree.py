import threading

import pytest

from sessionactors import SessionSystem
from sessionactors.audit.queries import AuditReader
from sessionactors.audit.verify import verify
from sessionactors.errors import NotFound, SessionRefusal, SessionTerminated
from sessionactors.surroundings import SERVICES
from supervisors.clock import VirtualClock
from supervisors.supervision.calls import supervision_tree, which_children
from tests.sessionactors.session_world import TRUSTED, ends, entries, imbalance, kill, start_active, virtual

KILLED = ("audit", "store", "rate_limiter", "isolation", "sessions", "recovery", "reaper")


def read(directory):
    reader = AuditReader(directory)
    try:
        return list(reader.events())
    finally:
        reader.close()


def use(system, number):
    """Do what a client does; who finds a session or a service gone comes back later."""
    name = f"s{number % 20}"
    if system.state_of(name) in (None, "terminated"):
        system.start_session(name)
        system.authenticate(name, TRUSTED)
        system.activate(name)
        system.isolate(name)
    system.check_rate_limit(name)
    system.record_usage(name, messages=1)
    system.update_resources(name, requests=1)
    if number % 3 == 0:
        system.deactivate(name)
        system.resume(name)
    if number % 17 == 0:
        system.terminate(name)


def test_the_tree_is_the_one_that_is_drawn():
    with virtual() as system:
        start_active(system, "a")
        root = supervision_tree(system.actors.whereis("root"))
        found = [(node.label.split()[0], len(node.children)) for node in root.children]
        assert found == [("audit", 0), ("services", 4), ("sessions", 1), ("recovery", 0), ("reaper", 0)]
        assert [node.label.split()[0] for node in root.children[1].children] == [
            "store",
            "rate_limiter",
            "isolation",
            "updates",
        ]


def test_the_tree_stops_from_its_end():
    with virtual() as system:
        start_active(system, "a")
        order = []
        refs = {name: system.actors.whereis(name) for name in KILLED} | {"a": system.directory.get("a")}
        for name, ref in refs.items():
            ref.when_ended().when_done(lambda name=name: order.append(name))
    assert order == ["reaper", "recovery", "a", "sessions", "isolation", "rate_limiter", "store", "audit"]


@pytest.mark.parametrize("name", KILLED)
def test_a_killed_service_comes_back_and_the_log_shows_it(name, tmp_path):
    with SessionSystem(audit_dir=tmp_path / "log", clock=VirtualClock()) as system:
        for number in range(200):
            use(system, number)
            if number % 50 == 49:
                killed = kill(system, name)
                system.actors.settle()
                assert system.actors.whereis(name) is not killed
                assert system.actors.whereis(name).is_alive()
        live = {session_id: system.get_state(session_id) for session_id in system.live_sessions()}
        assert not imbalance(entries_of(system), live)
    records = read(tmp_path / "log")
    assert verify(tmp_path / "log").outcome == "valid"
    assert not imbalance(records, {})
    reports = [each.data["child"] for each in records if each.data["event"] == "supervisor_report"]
    assert reports.count(name) == 4
    starts = [each.session for each in records if each.data["event"] == "session_started"]
    assert sum(ends(records).values()) == len(starts)


def entries_of(system):
    system.commit_audit()
    return list(system._ledger.log.events())


@pytest.mark.parametrize("name", ["rate_limiter", "isolation", "reaper"])
def test_sessions_outlive_the_crash_of_a_service_beside_them(name):
    with virtual() as system:
        start_active(system, "a")
        kill(system, name)
        system.actors.settle()
        assert system.get_state("a") == "active"


@pytest.mark.parametrize("name", ["audit", "sessions"])
def test_sessions_end_with_what_they_depend_on(name):
    with virtual() as system:
        start_active(system, "a")
        kill(system, name)
        system.actors.settle()
        assert system.state_of("a") == "terminated"
        start_active(system, "a")
        assert system.get_state("a") == "active"


def test_a_killed_session_is_in_the_log_as_a_crash():
    with virtual() as system:
        start_active(system, "a")
        kill(system, "a")
        system.actors.settle()
        records = entries(system, "a")
        assert [each.data["error"] for each in records if each.data["event"] == "session_crashed"] == ["killed"]
        assert records[-1].data["reason"] == "crashed"
        assert which_children(system.actors.whereis("sessions")) == ()


def test_too_many_crashes_end_everything_in_order_and_the_log_has_it(tmp_path):
    with SessionSystem(audit_dir=tmp_path / "log", clock=VirtualClock(), max_restarts=2) as system:
        start_active(system, "a")
        for _ in range(3):
            kill(system, "reaper")
            system.actors.settle()
        assert system.actors.whereis("root") is None
        with pytest.raises(SessionTerminated):
            system.get_state("a")
        with pytest.raises(NotFound):
            system.start_session("b")
        with pytest.raises(NotFound):
            system.check_rate_limit("a")
    assert verify(tmp_path / "log").outcome == "valid"
    assert ends(read(tmp_path / "log")) == {"a": 1}


@pytest.mark.parametrize("name", KILLED)
def test_a_service_that_is_killed_under_the_load_of_threads_is_back_and_nobody_hangs(name, tmp_path):
    faults, over = [], threading.Event()

    with SessionSystem(audit_dir=tmp_path / "log", max_restarts=1000) as system:

        def load(start):
            number = start
            while not over.is_set():
                number += 1
                try:
                    use(system, number)
                except SessionRefusal:
                    pass
                except BaseException as error:
                    faults.append(error)
                    raise

        threads = [threading.Thread(target=load, args=(number * 7,)) for number in range(3)]
        for thread in threads:
            thread.start()
        killed = 0
        while killed < 10:
            ref = system.actors.whereis(name)
            if ref is not None:
                ref.kill()
                assert ref.join(10.0) == "killed"
                killed += 1
        over.set()
        for thread in threads:
            thread.join(30.0)
            assert not thread.is_alive()
    assert not faults
    records = read(tmp_path / "log")
    assert verify(tmp_path / "log").outcome == "valid"
    assert not imbalance(records, {})
    starts = [each.session for each in records if each.data["event"] == "session_started"]
    assert sum(ends(records).values()) == len(starts)
    assert [each.data["child"] for each in records if each.data["event"] == "supervisor_report"].count(name) >= 10


def test_every_service_has_its_name():
    with virtual() as system:
        assert all(system.actors.whereis(name) is not None for name in SERVICES)
