"""Sessions whose code moves between this process and one of its own."""

from __future__ import annotations

import os
import threading

import psutil
import pytest

from sessionactors import SessionSystem
from sessionactors.errors import (
    InvalidKind,
    InvalidOption,
    NoProcess,
    NotFound,
    OperationFailed,
    ProcessDied,
    SessionTerminated,
)
from sessionactors.tiers import ForeignCodeError, RefusedThere
from supervisors.runtime.outcomes import ActorDeadError
from tests.sessionactors.sandbox.movers import DiesOnArrival, Movable, Rambling, Unpacked, Unrestorable, Waiting
from tests.sessionactors.sandbox.test_keeper import eventually, is_gone
from tests.sessionactors.session_world import entries, kill, virtual

HERE = os.getpid()


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with SessionSystem(
        path=tmp_path_factory.mktemp("tiers") / "store",
        session={"auth_required": False},
        isolation={"sample_interval": 0.05},
        max_restarts=100,
        session_classes=[Movable],
    ) as made:
        yield made


@pytest.fixture
def system(shared):
    """A system in which a session `s` ends after each test."""
    yield shared
    if shared.directory.get("s") is not None:
        shared.terminate("s")
    eventually(lambda: "s" not in shared.list_isolated())


def start(system, session_class=Movable, **options):
    system.start_session("s", options or None, session_class=session_class)
    system.activate("s")
    system.isolate("s", cpu_limit=None)


def story(system):
    """Return what the log says about the last session of that name."""
    found = [each.data for each in entries(system, "s")]
    begun = max(place for place, data in enumerate(found) if data.get("event") == "session_started")
    return found[begun:]


def move(system):
    """Move the session out, and return the number of its process."""
    system.isolate_session("s", process=True, deadline=20.0)
    return system.request("s", "where")


def test_the_state_goes_along_both_ways(system):
    start(system)
    system.request("s", "a")
    assert move(system) != HERE
    assert system.request("s", "b") == ["a", "b"]
    system.unisolate_session("s")
    assert system.request("s", "where") == HERE
    assert system.request("s", "c") == ["a", "b", "c"]


def test_the_process_that_was_left_is_gone(system):
    start(system)
    pid = move(system)
    system.unisolate_session("s")
    eventually(lambda: is_gone(pid))
    assert system.get_state("s") == "active"
    assert "process_ended" not in [each.get("event") for each in story(system)]


def test_hooks_are_called_where_the_state_is(system):
    start(system)
    move(system)
    system.suspend("s")
    system.resume("s")
    assert system.request("s", "b") == ["suspended", "b"]


def test_doing_it_twice_changes_nothing(system):
    start(system)
    pid = move(system)
    system.isolate_session("s", process=True)
    assert system.request("s", "where") == pid
    system.unisolate_session("s")
    system.unisolate_session("s")
    assert system.request("s", "where") == HERE


def test_no_request_is_lost_or_overtaken_while_it_moves_to_and_fro(system):
    start(system)
    ref = system.directory.get("s")
    answers = []
    has_moved = threading.Event()

    def ask():
        while not has_moved.is_set() and len(answers) < 900:
            asked = [system._admitted("s", len(answers) + more, 0, 1e-9, 30.0)[1] for more in range(4)]
            answers.extend([ref.ask(each, block=False) for each in asked])
            answers[-1].get(timeout=30.0)

    asking = threading.Thread(target=ask)
    asking.start()
    system.isolate_session("s", process=True)
    system.unisolate_session("s")
    has_moved.set()
    asking.join()
    assert [each.get(timeout=30.0)[-1] for each in answers] == list(range(len(answers)))
    assert answers[-1].get(timeout=0) == list(range(len(answers)))


def test_a_move_waits_for_the_request_in_hand(system):
    start(system)
    ref = system.directory.get("s")
    first = ref.ask(system._admitted("s", 0.2, 0, 1, 10.0)[1], block=False)
    assert move(system) != HERE
    assert first.get(timeout=0) == [0.2]
    assert system.request("s", "b") == [0.2, "b"]


def test_what_is_stored_is_the_state_over_there(system):
    start(system, persistent=True)
    move(system)
    system.request("s", "b")
    system.persist("s")
    first = system.directory.get("s")
    first.kill()
    eventually(lambda: system.directory.get("s") not in (None, first))
    assert system.request("s", "c") == ["b", "c"]
    assert system.request("s", "where") == HERE


def test_a_session_whose_code_is_in_a_process_keeps_it_while_it_sleeps(system):
    start(system)
    pid = move(system)
    assert system.request("s", "a") == ["a"]
    system.hibernate("s")
    assert system.request("s", "b") == ["a", "b"]
    assert system.request("s", "where") == pid


def test_a_refusal_over_there_is_a_refusal(system):
    start(system)
    move(system)
    with pytest.raises(RefusedThere, match="no"):
        system.request("s", "refuse")
    assert system.request("s", "b") == ["b"]


def test_code_that_raises_over_there_crashes_its_session(system):
    start(system)
    pid = move(system)
    with pytest.raises(ForeignCodeError, match="broken"):
        system.request("s", "raise")
    eventually(lambda: system.state_of("s") == "terminated")
    eventually(lambda: is_gone(pid))


def test_a_process_that_dies_ends_its_session(system):
    start(system)
    move(system)
    with pytest.raises((ProcessDied, SessionTerminated)):
        system.request("s", "die")
    eventually(lambda: system.state_of("s") == "terminated")
    assert "process_ended" in [each.get("event") for each in story(system)]


def test_code_that_never_returns_is_killed_at_its_deadline(system):
    start(system)
    system.isolate_session("s", process=True, deadline=0.3)
    with pytest.raises((ProcessDied, SessionTerminated, ActorDeadError)):
        system.request("s", "spin", timeout=20.0)
    eventually(lambda: system.state_of("s") == "terminated")
    found = [each["reason"] for each in story(system) if each.get("event") == "process_ended"]
    assert found == ["deadline_exceeded"]


def test_a_process_that_dies_on_the_way_leaves_the_session_as_it_was(system):
    start(system, DiesOnArrival)
    system.request("s", HERE)
    with pytest.raises(ProcessDied):
        system.isolate_session("s", process=True)
    assert system.request("s", "where") == HERE
    assert system.request("s", "b") == [HERE, "b"]
    assert "process_ended" not in [each.get("event") for each in story(system)]


def test_a_state_that_cannot_be_taken_up_over_there_stays(system):
    start(system, Unrestorable)
    system.request("s", "a")
    with pytest.raises(OperationFailed, match="ArithmeticError"):
        system.isolate_session("s", process=True)
    assert system.request("s", "b") == ["a", "b"]


def test_a_state_that_cannot_be_taken_up_here_stays_over_there(system, monkeypatch):
    start(system)
    pid = move(system)
    system.request("s", "poison")
    monkeypatch.setenv("TIERS_POISON", str(HERE))
    with pytest.raises(OperationFailed, match="ArithmeticError"):
        system.unisolate_session("s")
    assert system.request("s", "where") == pid
    monkeypatch.delenv("TIERS_POISON")
    system.unisolate_session("s")
    assert system.request("s", "b") == ["poison", "b"]


def test_a_state_that_is_not_plain_stays(system):
    start(system, Rambling)
    with pytest.raises(InvalidKind):
        system.isolate_session("s", process=True)
    assert system.request("s", "where") == HERE


@pytest.mark.parametrize("session_class", [Unpacked, Waiting, type("<locals>.X", (Movable,), {})])
def test_a_class_that_cannot_move_says_why(system, session_class):
    start(system, session_class)
    with pytest.raises(InvalidOption, match="process"):
        system.isolate_session("s", process=True)
    assert system.get_state("s") == "active"


def test_who_has_no_account_cannot_move(system):
    system.start_session("s", session_class=Movable)
    with pytest.raises(NotFound):
        system.isolate_session("s", process=True)


@pytest.mark.parametrize("wrong", [{"process": 1}, {"process": None}, {"process": True, "deadline": 0}])
def test_wrong_arguments_change_nothing(system, wrong):
    start(system)
    with pytest.raises((InvalidKind, ValueError)):
        system.isolate_session("s", **wrong)
    assert system.request("s", "where") == HERE


def test_nothing_moves_in_virtual_time():
    with virtual(session={"auth_required": False}) as system:
        start(system)
        with pytest.raises(InvalidOption, match="virtual"):
            system.isolate_session("s", process=True)


def test_nobody_else_asks_the_code_of_a_session(system):
    start(system)
    move(system)
    with pytest.raises(NoProcess):
        system.call_isolated("s", "where")


def test_limits_go_along_and_come_back(system):
    start(system)
    system.set_cpu_limit("s", 50.0)
    move(system)
    assert system.get_isolation_info("s").cpu_limit is None
    system.unisolate_session("s")
    assert system.get_isolation_info("s").cpu_limit == 50.0


def test_an_account_that_is_closed_lets_the_code_come_back(system):
    start(system)
    pid = move(system)
    system.request("s", "a")
    system.destroy_isolation("s")
    assert system.request("s", "where") == HERE
    assert system.request("s", "b") == ["a", "b"]
    eventually(lambda: is_gone(pid))


def test_a_restart_of_isolation_harms_no_session_that_has_moved(system):
    start(system)
    pid = move(system)
    before = system.actors.whereis("isolation")
    kill(system, "isolation")
    eventually(lambda: system.actors.whereis("isolation") not in (None, before))
    assert system.request("s", "where") == pid
    system.unisolate_session("s")
    assert system.request("s", "where") == HERE


def test_the_process_ends_with_the_session(system):
    start(system)
    pid = move(system)
    system.terminate("s")
    eventually(lambda: is_gone(pid))


def test_a_system_that_stops_takes_the_processes_along(tmp_path):
    children = set(psutil.Process().children())
    with SessionSystem(path=tmp_path / "store", session={"auth_required": False, "persistent": True}) as system:
        start(system)
        pid = move(system)
        system.request("s", "a")
    assert is_gone(pid)
    eventually(lambda: set(psutil.Process().children()) <= children)
    with SessionSystem(
        path=tmp_path / "store", session={"auth_required": False, "persistent": True}, session_classes=[Movable]
    ) as system:
        assert system.request("s", "b") == ["a", "b"]
        assert system.request("s", "where") == HERE


def test_a_stopped_system_moves_nobody(tmp_path):
    system = SessionSystem(session={"auth_required": False})
    start(system)
    system.sandboxes.stop()
    with pytest.raises(OperationFailed, match="stopped"):
        system.isolate_session("s", process=True)
    assert system.request("s", "where") == HERE
    system.stop()
