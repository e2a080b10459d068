from __future__ import annotations

import json

import pytest

from sessionactors import Session, SessionOptions, SessionSystem
from sessionactors.daemon.requests import LIST_MAX, OPERATIONS, answer
from supervisors.clock import VirtualClock


class Mine(Session):
    """Asked for by name."""


@pytest.fixture
def system():
    with SessionSystem(
        session=SessionOptions(auth_required=False), limiter={"capacity": 1.0, "rate": 0.001}, clock=VirtualClock()
    ) as system:
        yield system


@pytest.fixture
def ask(system):
    def ask(line=None, /, **request):
        text = json.dumps(request).encode() if line is None else line
        return json.loads(answer(text, system, {"Mine": Mine}))

    return ask


def test_a_session_is_driven_through_its_life(ask):
    said = [
        ask(do="start", session="alice"),
        ask(do="init", session="alice", metadata={"user_id": "al"}),
        ask(do="activate", session="alice"),
        ask(do="touch", session="alice"),
        ask(do="deactivate", session="alice"),
        ask(do="resume", session="alice"),
        ask(do="suspend", session="alice", reason="lunch"),
        ask(do="state", session="alice"),
        ask(do="terminate", session="alice"),
    ]
    assert [each["value"] for each in said] == [
        "alice", "new", "active", None, "idle", "active", "suspended", "suspended", None,
    ]  # fmt: skip


def test_the_answer_has_the_id_of_its_request(ask):
    assert ask(id=7, do="ping") == {"id": 7, "ok": True, "value": "pong"}
    assert ask(id="x", do="nope")["id"] == "x"
    assert ask(do="ping")["id"] is None


def test_a_session_without_a_name_gets_one(ask):
    assert len(ask(do="start")["value"]) == 32


def test_a_class_is_asked_for_by_name(ask, system):
    ask(do="start", session="alice", **{"class": "Mine"})
    assert system.directory.get("alice").actor_class is Mine
    assert ask(do="start", **{"class": "os"})["code"] == "invalid_value"
    assert ask(do="start", **{"class": []})["code"] == "invalid_value"


def test_information_is_plain_json(ask):
    ask(do="start", session="alice", options={"metadata": {"a": [1, {"b": None}]}})
    info = ask(do="info", session="alice")["value"]
    assert info["metadata"] == {"a": [1, {"b": None}]}
    assert info["quota"]["max_requests"] == 1000
    assert info["resources_used"]["requests"] == 0


def test_ids_are_listed_page_by_page(ask):
    for name in ("c", "a", "b"):
        ask(do="start", session=name)
    assert ask(do="count")["value"] == 3
    assert ask(do="list", limit=2)["value"] == ["a", "b"]
    assert ask(do="list", after="b")["value"] == ["c"]
    assert ask(do="list", after="c")["value"] == []


def test_the_limiter_says_whether_and_how_long_to_wait(ask):
    ask(do="start", session="alice")
    assert ask(do="check", session="alice")["value"] == {"admitted": True, "wait": 0.0}
    refused = ask(do="check", session="alice")["value"]
    assert refused["admitted"] is False
    assert refused["wait"] > 900.0


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"do": "state", "session": "nobody"}, "not_found"),
        ({"do": "state", "session": "\0"}, "invalid_session_id"),
        ({"do": "state", "session": 7}, "invalid_type"),
        ({"do": "state", "session": ["x"]}, "invalid_type"),
        ({"do": "state"}, "invalid_value"),
        ({"do": "state", "session": "x", "more": 1}, "invalid_value"),
        ({"do": "nope"}, "invalid_value"),
        ({"do": ["ping"]}, "invalid_value"),
        ({}, "invalid_value"),
        ({"id": 1.5, "do": "ping"}, "invalid_type"),
        ({"id": True, "do": "ping"}, "invalid_type"),
        ({"id": [1], "do": "ping"}, "invalid_type"),
        ({"do": "start", "options": {"idle_timeuot": 1}}, "invalid_option"),
        ({"do": "start", "options": [1]}, "invalid_type"),
        ({"do": "start", "options": {"idle_timeout": -1}}, "invalid_value"),
        ({"do": "list", "limit": 0}, "invalid_value"),
        ({"do": "list", "limit": LIST_MAX + 1}, "invalid_value"),
        ({"do": "list", "limit": True}, "invalid_type"),
        ({"do": "list", "after": 7}, "invalid_type"),
        ({"do": "_start"}, "invalid_value"),
    ],
)
def test_bad_input_is_refused_and_nothing_happens(ask, system, request_, code):
    said = ask(**request_)
    assert (said["ok"], said["code"]) == (False, code)
    assert len(system.directory) == 0


@pytest.mark.parametrize(
    "line",
    [
        b"x",
        b"{",
        b"[]",
        b"7",
        b"null",
        b'"ping"',
        b"\xff",
        b'{"do":"list","limit":NaN}',
        b"[" * 100_000,
        b'{"id":' + b"9" * 5000 + b"}",
        b'{"do":"ping","do":"count"}',
        b'{"do":"init","session":"a","metadata":{"user_id":"a","user_id":"b"}}',
        '{"do":"ping"}'.encode("utf-16"),
        '{"do":"ping"}'.encode("utf-32-le"),
        b"\xef\xbb\xbf" + b'{"do":"ping"}',
    ],
)
def test_what_is_no_object_is_refused(ask, line):
    said = ask(line)
    assert said["ok"] is False
    assert said["code"] in ("invalid_value", "invalid_type")
    assert said["id"] is None


def test_every_operation_is_in_the_documentation():
    from sessionactors.daemon import requests

    assert all(f"``{name}``" in requests.__doc__ for name in OPERATIONS)


def test_what_goes_wrong_inside_is_not_told_to_the_peer(ask, monkeypatch, caplog):
    monkeypatch.setattr(SessionSystem, "get_state", lambda *_: 1 / 0)
    said = ask(do="state", session="alice")
    assert said["code"] == "internal"
    assert "ZeroDivisionError" in caplog.text
    assert "Zero" not in said["message"]


def test_when_the_system_has_stopped_nothing_is_found(ask, system):
    system.stop()
    assert ask(do="start", session="alice")["code"] == "not_found"
