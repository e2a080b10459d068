from __future__ import annotations

import json
import os
import socket
import stat
import threading

import pytest

from supervisors.inspection import InspectionClient, InspectionDoor, InspectionRefusal, Inspector
from supervisors.inspection import door as door_module
from supervisors.inspection.local_socket import SocketTakenError
from supervisors.inspection.operations import actor_operations
from supervisors.inspection.wire import REQUEST_MAX
from tests.supervisors.inspection.watched import Counter, HeldServer, Quick


@pytest.fixture
def path(tmp_path):
    return tmp_path / "look"


@pytest.fixture
def open_door(system, inspector, path):
    made = []

    def start(**options):
        door = InspectionDoor(path, actor_operations(inspector), clock=system.clock, **options)
        door.start()
        made.append(door)
        return door

    yield start
    for door in made:
        assert door.stop() == 0


@pytest.fixture
def client(open_door, path):
    open_door()
    with InspectionClient(path) as client:
        yield client


def raw(path):
    peer = socket.socket(socket.AF_UNIX)
    peer.settimeout(10.0)
    peer.connect(str(path))
    return peer


def test_everything_that_an_inspector_shows_can_be_asked_for(system, client):
    ref = system.start(Counter, 4, name="counter")
    assert client.list("ps")[0]["name"] == "counter"
    assert client.list("tree")[0]["row"]["id"] == ref.id
    assert client.call("info", ref="counter")["row"]["actor_class"] == "Counter"
    assert client.call("state", ref=ref.id)["count"] == 4
    assert client.call("top", seconds=0)["actors"] == 1
    assert "busy:" in client.call("dump")
    assert client.call("hello")["v"] == 1


def test_a_long_list_comes_in_lines(system, client):
    for _ in range(450):
        system.start(Quick)
    assert [len(line) for line in client.stream("ps", limit=410)] == [200, 200, 10]
    assert len(client.list("ps", sort="mailbox", limit=300)) == 300


def test_a_trace_is_streamed_and_ends_with_its_count(system, client):
    ref = system.start(Counter, name="counter")
    lines = client.stream("trace", ref="counter", count=2, seconds=30)
    first = []

    def feed():
        while not first:
            ref.send("note")

    sending = threading.Thread(target=feed)
    sending.start()
    first.append(next(lines))
    sending.join(10.0)
    events = [*first[0], *(event for line in lines for event in line)]
    assert len(events) == 2
    assert events[0]["message"] == "str"
    assert type(ref._actor.actor) is Counter


def test_a_trace_ends_when_who_wanted_it_has_gone(system, open_door, path, monkeypatch):
    monkeypatch.setattr("supervisors.inspection.operations._BEAT", 0.01)
    open_door()
    ref = system.start(Quick, name="quick")
    with raw(path) as peer:
        peer.sendall(b'{"do": "trace", "ref": "quick", "seconds": 3600}\n')
        peer.makefile("rb").readline()
        assert type(ref._actor) is not Quick
    while type(ref._actor) is not Quick:
        pass


def test_refusals_have_codes_and_the_connection_goes_on(client):
    for request, code in (
        (("info", {"ref": "nobody"}), "no_actor"),
        (("ps", {"limit": 0}), "invalid"),
        (("ps", {"limit": "x"}), "invalid"),
        (("ps", {"match": 5}), "invalid"),
        (("ps", {"more": 1}), "invalid"),
        (("info", {}), "invalid"),
        (("absent", {}), "invalid"),
        (("top", {"seconds": 60}), "invalid"),
    ):
        with pytest.raises(InspectionRefusal) as refused:
            client.call(request[0], **request[1])
        assert refused.value.code == code, request
    assert client.call("hello")["v"] == 1


def test_another_version_is_refused_by_its_number(open_door, path):
    open_door()
    with raw(path) as peer:
        peer.sendall(b'{"v": 2, "do": "hello"}\n')
        assert "v: 2 is not allowed; allowed: 1" in json.loads(peer.makefile("rb").readline())["message"]


def test_an_actor_that_hangs_is_a_refusal(system, client, let_go):
    entered = threading.Event()
    ref = system.start(HeldServer, entered, let_go, name="held")
    sending = threading.Thread(target=ref.tell, args=("stay",))
    sending.start()
    assert entered.wait(10.0)
    with pytest.raises(InspectionRefusal) as refused:
        client.call("state", ref="held", timeout=0.01)
    assert refused.value.code == "hangs"
    let_go.set()
    sending.join(10.0)


def test_a_fault_of_ours_is_told_without_ending_the_connection(open_door, path, monkeypatch, caplog):
    monkeypatch.setattr(Inspector, "dump", lambda *_: 1 / 0)
    open_door()
    with InspectionClient(path) as client:
        with pytest.raises(InspectionRefusal) as refused:
            client.call("dump")
        assert refused.value.code == "internal"
        assert client.call("hello")["v"] == 1
    assert "ZeroDivisionError" in caplog.text


def test_the_file_is_for_its_owner_alone_and_goes_with_the_door(open_door, path):
    door = open_door()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    door.stop()
    assert not path.exists()


def test_another_user_is_sent_away(open_door, path, monkeypatch):
    monkeypatch.setattr(door_module.os, "geteuid", lambda: os.getuid() + 1)
    monkeypatch.setattr(door_module.Connection, "peer_user", lambda self: os.getuid() + 2)
    open_door()
    with InspectionClient(path) as client, pytest.raises(InspectionRefusal) as refused:
        client.call("hello")
    assert refused.value.code == "forbidden"


def test_a_socket_that_a_crash_has_left_is_replaced(open_door, path):
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    open_door()
    with InspectionClient(path) as client:
        assert client.call("hello")["v"] == 1


def test_a_file_that_is_no_socket_is_not_touched(open_door, path):
    path.write_text("precious")
    with pytest.raises(SocketTakenError, match="is no socket"):
        open_door()
    assert path.read_text() == "precious"


def test_a_socket_at_which_somebody_listens_is_not_taken(open_door, path):
    open_door()
    with pytest.raises(SocketTakenError, match="listens"):
        open_door()


@pytest.mark.parametrize("mode", [0o666, 0o611, True, "600"])
def test_permissions_for_others_are_refused(open_door, mode):
    with pytest.raises((ValueError, TypeError)):
        open_door(mode=mode)


def test_a_line_too_long_is_refused_and_ends_the_connection(client):
    with pytest.raises(InspectionRefusal) as refused:
        client.call("ps", match="x" * REQUEST_MAX)
    assert refused.value.code == "too_long"
    with pytest.raises(ConnectionError):
        client.call("hello")


def test_what_is_no_json_is_refused(open_door, path):
    open_door()
    with raw(path) as peer:
        answers = peer.makefile("rb")
        for line in (b"x\n", b"[]\n", b'{"do": 1}\n', b'{"id": true, "do": "hello"}\n', b'{"x": NaN}\n'):
            peer.sendall(line)
            assert json.loads(answers.readline())["code"] == "invalid"


def test_silence_ends_the_connection(open_door, path):
    open_door(idle_timeout=0.05)
    with raw(path) as peer:
        assert json.loads(peer.makefile("rb").read())["code"] == "idle"


def test_one_too_many_is_told_so(open_door, path):
    open_door(connections_max=1)
    with InspectionClient(path) as first:
        first.call("hello")
        with InspectionClient(path) as second, pytest.raises(InspectionRefusal) as refused:
            second.call("hello")
    assert refused.value.code == "busy"


def test_an_answer_that_is_too_large_is_a_refusal(client, monkeypatch):
    monkeypatch.setattr("supervisors.inspection.wire.ANSWER_MAX", 100)
    with pytest.raises(InspectionRefusal) as refused:
        client.call("hello")
    assert refused.value.code == "too_large"


def test_whoever_does_not_take_a_whole_stream_closes_the_connection(system, client):
    for _ in range(450):
        system.start(Quick)
    lines = client.stream("ps", limit=450)
    next(lines)
    lines.close()
    with pytest.raises(ConnectionError):
        client.call("hello")


def test_a_door_that_closes_ends_those_that_stream(system, open_door, path, monkeypatch):
    monkeypatch.setattr("supervisors.inspection.operations._BEAT", 0.01)
    door = open_door()
    system.start(Quick, name="quick")
    with raw(path) as peer:
        peer.sendall(b'{"do": "trace", "ref": "quick", "seconds": 3600}\n')
        peer.makefile("rb").readline()
        assert door.stop(5.0) == 0
