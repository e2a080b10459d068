from __future__ import annotations

import json
import socket
import stat
import threading

import pytest

from sessionactors import Session, SessionOptions, SessionSystem
from sessionactors.daemon.client import FrontClient, FrontRefusal
from sessionactors.daemon.front import Front
from sessionactors.errors import InvalidKind, InvalidValue
from supervisors.errors import InvalidArgumentError
from supervisors.inspection.local_socket import SocketTakenError


class Slow(Session):
    """Waits in its turn until a test lets it go on."""

    dispatch = "shared"
    entered = threading.Event()
    let_go = threading.Event()

    def on_activated(self):
        self.entered.set()
        self.let_go.wait(10.0)


@pytest.fixture
def system():
    with SessionSystem(session=SessionOptions(auth_required=False)) as system:
        yield system


@pytest.fixture
def path(tmp_path):
    return tmp_path / "front"


@pytest.fixture
def serve(system, path):
    made = []

    def start(**options):
        front = Front(system, path, classes={"Slow": Slow}, **options)
        front.start()
        made.append(front)
        return front

    yield start
    Slow.let_go.set()
    for front in made:
        assert front.stop() == 0
    Slow.let_go.clear()
    Slow.entered.clear()


def connected(path):
    peer = socket.socket(socket.AF_UNIX)
    peer.settimeout(10.0)
    peer.connect(str(path))
    return peer


def test_a_client_drives_a_session(serve, path):
    serve()
    with FrontClient(path) as client:
        assert client.start("alice", persistent=True) == "alice"
        assert client.call("activate", session="alice") == "active"
        assert client.state("alice") == "active"
        assert client.call("persist", session="alice") is None


def test_a_refusal_reaches_the_client_with_its_code_and_the_connection_goes_on(serve, path):
    serve()
    with FrontClient(path) as client:
        with pytest.raises(FrontRefusal) as refused:
            client.state("nobody")
        assert refused.value.code == "not_found"
        assert client.call("ping") == "pong"


def test_only_the_owner_may_connect(serve, path):
    serve()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_permissions_can_be_widened_to_a_group(serve, path):
    serve(mode=0o660)
    assert stat.S_IMODE(path.stat().st_mode) == 0o660


def test_a_line_too_long_is_refused_and_ends_the_connection(serve, path):
    serve(line_max=128)
    with FrontClient(path) as client:
        with pytest.raises(FrontRefusal) as refused:
            client.call("ping", more="x" * 200)
        assert refused.value.code == "too_long"
        with pytest.raises(ConnectionError):
            client.call("ping")


def test_a_line_as_long_as_may_be_is_answered(serve, path):
    serve(line_max=128)
    line = b'{"do":"ping"}'
    with connected(path) as peer:
        peer.sendall(line + b" " * (128 - len(line)) + b"\n")
        assert json.loads(peer.makefile("rb").readline())["value"] == "pong"


def test_silence_ends_the_connection(serve, path):
    serve(idle_timeout=0.05)
    with connected(path) as peer:
        assert json.loads(peer.makefile("rb").read())["code"] == "idle"


def test_a_client_too_many_is_told_so(serve, path):
    serve(connections_max=1)
    with FrontClient(path) as first:
        first.call("ping")
        with FrontClient(path) as second, pytest.raises(FrontRefusal) as refused:
            second.call("ping")
    assert refused.value.code == "busy"


def test_several_clients_at_once_get_their_own_answers(serve, path):
    serve()
    wrong = []

    def drive(number):
        with FrontClient(path) as client:
            for count in range(50):
                name = f"session-{number}-{count}"
                if client.start(name) != name or client.state(name) != "new":
                    wrong.append(name)

    threads = [threading.Thread(target=drive, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30.0)
    assert wrong == []
    with FrontClient(path) as client:
        assert client.call("count") == 200


def test_draining_waits_for_the_request_that_is_being_answered(serve, path, system):
    front = serve()
    answers = []

    def activate():
        with FrontClient(path) as client:
            client.call("start", session="slow", class_="Slow")
            answers.append(client.call("activate", session="slow"))

    thread = threading.Thread(target=activate)
    thread.start()
    assert Slow.entered.wait(10.0)
    assert front.drain(0.01) == 1
    Slow.let_go.set()
    assert front.drain(10.0) == 0
    thread.join(10.0)
    assert answers == ["active"]


def test_a_request_that_comes_while_it_drains_is_refused_and_nothing_is_done(serve, path, system):
    front = serve()
    with FrontClient(path) as client:
        client.call("ping")
        front.drain(1.0)
        with pytest.raises(FrontRefusal) as refused:
            client.start("late")
    assert refused.value.code == "stopping"
    assert len(system.directory) == 0


def test_a_socket_that_a_crash_has_left_is_replaced(serve, path):
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    serve()
    with FrontClient(path) as client:
        assert client.call("ping") == "pong"


def test_a_socket_at_which_somebody_listens_is_left_alone(serve, system, path):
    serve()
    with pytest.raises(SocketTakenError, match="another process listens"):
        Front(system, path)
    with FrontClient(path) as client:
        assert client.call("ping") == "pong"


def test_what_is_no_socket_is_left_alone(system, path):
    path.write_text("precious")
    with pytest.raises(SocketTakenError, match="is no socket"):
        Front(system, path)
    assert path.read_text() == "precious"


def test_the_socket_is_removed_at_the_end(system, path):
    front = Front(system, path)
    front.start()
    front.stop()
    assert not path.exists()


def test_a_socket_that_somebody_else_has_put_there_meanwhile_stays(system, path):
    front = Front(system, path)
    front.start()
    path.unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        front.stop()
        assert path.exists()


def test_a_path_too_long_is_refused(system, tmp_path):
    with pytest.raises(InvalidArgumentError) as refused:
        Front(system, tmp_path / ("x" * 200))
    assert refused.value.field == "socket"


def test_a_client_without_a_daemon_says_so(path):
    with pytest.raises(OSError, match="No such file"):
        FrontClient(path)


def test_a_client_that_was_closed_says_so(serve, path):
    serve()
    client = FrontClient(path)
    client.close()
    client.close()
    with pytest.raises(ConnectionError):
        client.call("ping")


def test_a_client_whose_answer_does_not_come_in_time_ends_its_connection(serve, path):
    serve()
    with FrontClient(path, timeout=0.2) as client:
        client.call("start", session="slow", class_="Slow")
        with pytest.raises(TimeoutError):
            client.call("activate", session="slow")
        with pytest.raises(ConnectionError):
            client.call("ping")


def test_a_refusal_can_travel():
    import pickle

    again = pickle.loads(pickle.dumps(FrontRefusal("not_found", "nobody")))
    assert (again.code, str(again)) == ("not_found", "nobody")


TOKEN = "a-token-of-enough-characters"


@pytest.fixture
def over_tcp(system):
    made = []

    def start(host="127.0.0.1", **options):
        front = Front(system, (host, 0), **{"token": TOKEN, **options})
        front.start()
        made.append(front)
        return front.address

    yield start
    for front in made:
        assert front.stop() == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_over_tcp_a_client_with_the_token_drives_a_session(over_tcp, host):
    with FrontClient(over_tcp(host), token=TOKEN) as client:
        assert client.start("alice") == "alice"
        assert client.call("count") == 1


@pytest.mark.parametrize("token", ["wrong", "", TOKEN + "x", "ä" * 20])
def test_over_tcp_a_wrong_token_ends_the_connection(over_tcp, token):
    with pytest.raises(FrontRefusal) as refused:
        FrontClient(over_tcp(), token=token)
    assert refused.value.code == "forbidden"
    assert TOKEN not in str(refused.value)


@pytest.mark.parametrize("line", [b'{"do":"ping"}', b"x", b"[]", b'{"do":"login"}', b'{"do":"login","token":5}'])
def test_over_tcp_nothing_is_answered_before_the_token(over_tcp, line):
    with socket.create_connection(over_tcp(), 10.0) as peer:
        peer.sendall(line + b"\n" + b'{"do":"ping"}\n')
        answers = peer.makefile("rb").read().splitlines()
    assert [json.loads(each)["code"] for each in answers] == ["forbidden"]


def test_over_tcp_silence_before_the_token_ends_the_connection(over_tcp):
    with socket.create_connection(over_tcp(idle_timeout=0.05), 10.0) as peer:
        assert json.loads(peer.makefile("rb").read())["code"] == "idle"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "localhost", ""])
def test_an_address_that_others_can_reach_is_refused(system, host):
    with pytest.raises(InvalidValue, match="host"):
        Front(system, (host, 0), token=TOKEN)


def test_an_address_that_others_can_reach_needs_a_setting_of_its_own(over_tcp):
    assert over_tcp("0.0.0.0", allow_remote=True)[1] > 0


@pytest.mark.parametrize("token", [None, "short", "x" * 15])
def test_over_tcp_there_is_no_front_without_a_token_that_nobody_guesses(system, token):
    with pytest.raises(InvalidValue, match="token") as refused:
        Front(system, ("127.0.0.1", 0), token=token)
    assert "short" not in str(refused.value)


def test_a_token_that_is_no_text_is_refused(system):
    with pytest.raises(InvalidKind, match="token"):
        Front(system, ("127.0.0.1", 0), token=5)


def test_limits_can_be_changed_while_clients_are_there(serve, path):
    front = serve()
    with FrontClient(path) as client:
        client.call("ping")
        front.limit(line_max=128, connections_max=1)
        client.call("ping")
        with pytest.raises(FrontRefusal) as refused:
            client.call("ping", more="x" * 200)
        assert refused.value.code == "too_long"
