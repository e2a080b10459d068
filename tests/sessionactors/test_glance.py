"""Lists of sessions of which some are busy: with real threads, because only those can be in the middle of a turn."""

from __future__ import annotations

import threading
from contextlib import contextmanager

import pytest

from sessionactors import Session, SessionSystem
from sessionactors.glance import Glance

TRUSTING = {"auth_required": False, "user_id": "ada"}


class Slow(Session):
    def handle_request(self, request):
        entered, gate = request
        entered.set()
        gate.wait(30.0)


class SlowOnThreadOfAsker(Slow):
    dispatch = "inline"


@contextmanager
def busy(system, session_id):
    """Keep a session in a turn."""
    entered, gate = threading.Event(), threading.Event()
    asking = threading.Thread(target=system.request, args=(session_id, (entered, gate)), kwargs={"timeout": 60.0})
    asking.start()
    assert entered.wait(30.0)
    try:
        yield
    finally:
        gate.set()
        asking.join(30.0)


@pytest.fixture
def system():
    with SessionSystem(session_classes=[Slow], session=TRUSTING) as made:
        yield made


@pytest.mark.parametrize("cls", [Slow, SlowOnThreadOfAsker])
def test_one_that_is_busy_is_listed_with_what_is_known_of_it(system, cls):
    system.start_session("a")
    system.start_session("busy", {"metadata": {"k": "v"}}, session_class=cls)
    system.activate("busy")
    with busy(system, "busy"):
        for listed in (system.list_sessions(), system.list_user("ada")):
            assert [(each.id, each.state, each.is_alive) for each in listed] == [
                ("a", "new", True),
                ("busy", "active", True),
            ]
            assert listed[1].metadata == {"k": "v"}
        assert system.count_sessions(lambda each: each.state == "active") == 1
        assert not system.directory.get("busy").mailbox_length


def test_one_that_is_busy_with_its_end_is_not_listed(system):
    entered, gate = threading.Event(), threading.Event()

    class Lingers(Session):
        def on_stop(self):
            entered.set()
            gate.wait(30.0)

    system.start_session("a", session_class=Lingers)
    ending = threading.Thread(target=system.terminate, args=("a",))
    ending.start()
    assert entered.wait(30.0)
    ref, glance = system.directory.get("a"), Glance(lambda: 0.0, 5.0)
    assert system.list_sessions() == []
    assert ref is None or glance.at("a", ref) is None
    gate.set()
    ending.join(30.0)


def test_one_that_is_busy_with_waking_is_listed(system):
    entered, gate = threading.Event(), threading.Event()

    class SlowToWake(Slow):
        def snapshot(self):
            return []

        def restore(self, state):
            entered.set()
            gate.wait(30.0)

    system.start_session("a", {"metadata": {"k": 1}}, session_class=SlowToWake)
    system.activate("a")
    system.hibernate("a")
    waking = threading.Thread(target=system.touch, args=("a",))
    waking.start()
    assert entered.wait(30.0)
    assert [(each.id, each.metadata) for each in system.list_sessions()] == [("a", {"k": 1})]
    gate.set()
    waking.join(30.0)


def test_one_that_sleeps_is_listed_and_sleeps_on(system):
    system.start_session("a", {"metadata": {"k": 1}})
    system.hibernate("a")
    assert [each.metadata for each in system.list_sessions()] == [{"k": 1}]
    assert system.hibernation_statistics().asleep == 1


def test_many_for_whom_no_thread_is_free_keep_a_list_waiting_once():
    with SessionSystem(session_classes=[Slow], session=TRUSTING, workers=1) as system:
        for each in range(20):
            system.start_session(str(each), session_class=Slow)
            system.activate(str(each))
        with busy(system, "0"):
            glance = Glance(system.actors.clock.monotonic, 5.0)
            entries = [glance.at(each, system.directory.get(each)) for each in system.live_sessions()]
        assert [each.id for each in entries] == [str(each) for each in range(20)]
        assert not glance.unread
