"""A session whose ttl is over: to whoever wants it, it has ended."""

from __future__ import annotations

import pytest

from sessionactors import Session
from sessionactors.errors import SessionTerminated
from sessionactors.session import PEEK
from tests.sessionactors.session_world import ends, entries, names, virtual


class Answers(Session):
    def handle_request(self, request):
        return request


USES = {
    "get_state": lambda system: system.get_state("a"),
    "get_info": lambda system: system.get_info("a"),
    "get_metrics": lambda system: system.get_metrics("a"),
    "get_history": lambda system: system.get_history("a"),
    "check_quota": lambda system: system.check_quota("a"),
    "get_connections": lambda system: system.get_connections("a"),
    "get_session_data": lambda system: system.get_session_data("a"),
    "subscribe": lambda system: system.subscribe("a", print),
    "unsubscribe": lambda system: system.unsubscribe("a", print),
    "touch": lambda system: system.touch("a"),
    "deactivate": lambda system: system.deactivate("a"),
    "suspend": lambda system: system.suspend("a"),
    "update_resources": lambda system: system.update_resources("a", requests=1),
    "request": lambda system: system.request("a", 1),
    "persist": lambda system: system.persist("a"),
    "migrate": lambda system: system.migrate("a", "elsewhere"),
    "load": lambda system: system.load("a", b""),
    "update_config": lambda system: system.update_config("a", {"ttl": None}),
    "set_quota": lambda system: system.set_quota("a", {}),
    "add_connection": lambda system: system.add_connection("a", "c"),
    "remove_connection": lambda system: system.remove_connection("a", "c"),
    "lock": lambda system: system.lock("a", admin="root"),
    "force_suspend": lambda system: system.force_suspend("a", admin="root"),
}


@pytest.fixture
def system():
    with virtual(session={"auth_required": False, "idle_timeout": None, "ttl": 10.0, "persistent": True}) as made:
        made.start_session("a", session_class=Answers)
        made.activate("a")
        yield made


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("form", ["awake", "asleep", "spilled"])
def test_an_expired_session_has_ended_for_all_who_want_it(system, use, form):
    if form != "awake":
        assert system.hibernate("a") is True
    if form == "spilled":
        assert system.spill("a") is True
    system.actors.advance(10.5)
    with pytest.raises(SessionTerminated):
        USES[use](system)
    assert system.state_of("a") == "terminated"
    assert "session_reaped" in names(system, "a")
    assert ends(entries(system)) == {"a": 1}
    assert system.start_session("a") == "a"


def test_one_is_there_for_as_long_as_its_ttl(system):
    system.actors.advance(10.0)
    assert system.get_state("a") == "active"
    system.actors.advance(0.5)
    with pytest.raises(SessionTerminated):
        system.get_state("a")


def test_an_expired_session_can_be_ended_as_any_other(system):
    system.actors.advance(11.0)
    system.terminate("a", "enough")
    assert "session_reaped" not in names(system, "a")
    assert ends(entries(system)) == {"a": 1}


def test_its_subscribers_hear_of_its_end_once(system):
    heard = []
    system.subscribe("a", heard.append)
    system.actors.advance(11.0)
    with pytest.raises(SessionTerminated):
        system.touch("a")
    system.actors.settle()
    assert [(each.event, each.detail) for each in heard] == [("session_terminated", "reaped")]


def test_who_merely_looks_for_the_expired_does_not_end_them(system):
    system.actors.advance(11.0)
    ref = system.directory.get("a")
    assert ref.ask(PEEK).idle == 11.0
    assert system.list_sessions() == []
    assert ref.is_alive()


def test_a_timer_of_an_expired_session_does_what_it_would_do_anyhow():
    with virtual(session={"auth_required": False, "idle_timeout": 20.0, "ttl": 10.0}) as system:
        system.start_session("a")
        system.activate("a")
        system.actors.advance(21.0)
        assert system.directory.get("a").ask(PEEK).state == "idle"


def test_a_session_without_a_ttl_never_expires():
    with virtual(session={"auth_required": False, "idle_timeout": None, "ttl": None}) as system:
        system.start_session("a")
        system.set_reap_policy("expired")
        system.actors.advance(1e6)
        assert system.get_state("a") == "new"
