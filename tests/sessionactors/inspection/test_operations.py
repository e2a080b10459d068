from __future__ import annotations

import getpass

import pytest

from sessionactors import SessionSystem
from sessionactors.inspection import SessionInspector, session_operations
from sessionactors.inspection import operations as operations_module
from supervisors.inspection import InspectionClient, InspectionDoor, InspectionRefusal


@pytest.fixture
def system():
    with SessionSystem(session={"auth_required": False}) as system:
        yield system


@pytest.fixture
def client(system, tmp_path):
    with SessionInspector(system) as inspector:
        door = InspectionDoor(tmp_path / "look", session_operations(inspector), clock=system.actors.clock)
        door.start()
        try:
            with InspectionClient(tmp_path / "look") as client:
                yield client
        finally:
            assert door.stop() == 0


def test_a_session_id_is_a_reference_to_an_actor(system, client):
    system.start_session("alice")
    row = client.call("info", ref="alice")["row"]
    assert row["actor_class"] == "Session"
    assert client.list("tree", ref="alice")[0]["row"]["id"] == row["id"]


def test_many_sessions_come_in_lines(system, client, monkeypatch):
    monkeypatch.setattr(operations_module, "ROWS_MAX", 250)
    system.start_sessions(520)
    assert [len(line) for line in client.stream("sessions", limit=510)] == [200, 200, 50, 60]


def test_who_did_it_is_the_user_at_the_other_end(system, client):
    system.start_session("alice")
    assert client.call("terminate", session="alice", reason="noise") == "terminated"
    system.commit_audit()
    assert getpass.getuser() in str(client.list("audit"))


def test_whoever_follows_the_log_gets_what_comes(system, client, monkeypatch):
    monkeypatch.setattr(operations_module, "_FOLLOW", 0.01)
    system.log_event(None, "security", {"number": 1}, durable=True)
    lines = client.stream("audit", count=1, follow=True)
    assert next(lines)[0]["data"]["number"] == 1
    system.log_event(None, "security", {"number": 2}, durable=True)
    assert next(lines)[0]["data"]["number"] == 2
    lines.close()


def test_refusals_of_sessions_keep_their_codes(client):
    for do, arguments, code in (
        ("session", {"session": "nobody"}, "not_found"),
        ("suspend", {"session": "nobody"}, "not_found"),
        ("sessions", {"limit": 0}, "invalid_value"),
        ("audit", {"count": 0}, "invalid_value"),
        ("audit", {"follow": 1}, "invalid_type"),
    ):
        with pytest.raises(InspectionRefusal) as refused:
            client.call(do, **arguments)
        assert refused.value.code == code, do


def test_what_can_be_asked_is_told(client):
    assert {"ps", "sessions", "limits", "audit"} <= set(client.call("hello")["operations"])
    assert client.call("limits")["sessions"] == 0
