from __future__ import annotations

import socket
import threading

import pytest

from supervisors.clock import SystemClock
from supervisors.errors import InvalidArgumentError, UsageError
from supervisors.health.listener import Connection, Listener, TooLongError


@pytest.fixture
def listen():
    """Return a function that starts a listener and returns it with a function that connects."""
    made = []

    def start(serve, **options):
        listening = socket.socket()
        listening.bind(("127.0.0.1", 0))
        address = listening.getsockname()
        listener = Listener(listening, serve, clock=SystemClock(), **options)
        listener.start()
        made.append(listener)
        return listener, lambda: socket.create_connection(address, timeout=10.0)

    yield start
    for listener in made:
        assert listener.stop() == 0


def echo(connection):
    while True:
        connection.send(connection.read_until(b"\n", 100, 10.0) + b"\n", 10.0)


def test_a_peer_is_served_line_by_line(listen):
    _, connect = listen(echo)
    with connect() as peer, peer.makefile("rwb") as lines:
        for line in (b"one\n", b"two\n"):
            lines.write(line)
            lines.flush()
            assert lines.readline() == line


def test_several_lines_that_come_at_once_are_read_one_by_one(listen):
    _, connect = listen(echo)
    with connect() as peer, peer.makefile("rb") as lines:
        peer.sendall(b"one\ntwo\nthree\n")
        assert [lines.readline() for _ in range(3)] == [b"one\n", b"two\n", b"three\n"]


def test_peers_at_the_same_time_do_not_wait_for_each_other(listen):
    _, connect = listen(echo)
    with connect(), connect() as second, second.makefile("rb") as lines:
        second.sendall(b"hello\n")
        assert lines.readline() == b"hello\n"


def test_a_peer_too_many_is_told_so_and_sent_away(listen):
    listener, connect = listen(echo, connections_max=1, busy=b"busy\n")
    with connect() as first, first.makefile("rb") as lines:
        first.sendall(b"x\n")
        assert lines.readline() == b"x\n"
        with connect() as second:
            assert second.makefile("rb").read() == b"busy\n"
        assert listener.turned_away == 1


def test_when_a_peer_has_gone_there_is_room_again(listen):
    ended = threading.Event()

    def serve(connection):
        try:
            echo(connection)
        finally:
            ended.set()

    listener, connect = listen(serve, connections_max=1)
    connect().close()
    assert ended.wait(10.0)
    for thread in list(listener._open.values()):
        thread.join(10.0)
    with connect() as peer, peer.makefile("rb") as lines:
        peer.sendall(b"x\n")
        assert lines.readline() == b"x\n"


def test_what_serving_raises_ends_that_connection_alone(listen, caplog):
    def serve(connection):
        if connection.read_until(b"\n", 100, 10.0) == b"bad":
            raise KeyError
        connection.send(b"good", 10.0)

    _, connect = listen(serve)
    for sent, answer in ((b"bad\n", b""), (b"ok\n", b"good")):
        with connect() as peer:
            peer.sendall(sent)
            assert peer.makefile("rb").read() == answer
    assert "serving a connection went wrong" in caplog.text


def test_stopping_ends_those_who_wait(listen):
    entered = threading.Event()

    def serve(connection):
        entered.set()
        connection.read_until(b"\n", 100, 60.0)

    listener, connect = listen(serve)
    with connect() as peer:
        assert entered.wait(10.0)
        assert listener.stop(10.0) == 0
        assert peer.recv(1) == b""


def test_who_does_not_end_in_time_is_counted(listen):
    entered, let_go = threading.Event(), threading.Event()

    def serve(_):
        entered.set()
        let_go.wait(10.0)

    listener, connect = listen(serve)
    with connect():
        assert entered.wait(10.0)
        assert listener.stop(0.01) == 1
        let_go.set()


def test_a_listener_is_started_once(listen):
    listener, _ = listen(echo)
    with pytest.raises(UsageError):
        listener.start()


@pytest.mark.parametrize("bad", [0, -1, True, 1.0, 1025, None])
def test_a_bad_number_of_connections_is_refused(bad):
    with socket.socket() as listening, pytest.raises(InvalidArgumentError) as refused:
        Listener(listening, echo, clock=SystemClock(), connections_max=bad)
    assert refused.value.field == "connections_max"


@pytest.fixture
def pair():
    """A connection, and the socket of its peer."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Connection(ours, SystemClock()), theirs


def test_a_line_as_long_as_may_be_is_read(pair):
    connection, peer = pair
    peer.sendall(b"x" * 10 + b"\r\n")
    assert connection.read_until(b"\r\n", 10, 5.0) == b"x" * 10
    assert connection.is_between


def test_a_line_too_long_is_refused_before_its_end(pair):
    connection, peer = pair
    peer.sendall(b"x" * 12)
    with pytest.raises(TooLongError):
        connection.read_until(b"\r\n", 10, 5.0)


def test_a_mark_in_two_pieces_is_found(pair):
    connection, peer = pair
    reading = threading.Thread(target=lambda: found.append(connection.read_until(b"\r\n", 10, 5.0)))
    found = []
    peer.sendall(b"abc\r")
    reading.start()
    peer.sendall(b"\n")
    reading.join(10.0)
    assert found == [b"abc"]


def test_a_byte_now_and_then_buys_no_time(pair):
    connection, peer = pair
    readings = iter([0.0, 1.0, 6.0])

    class Clock:
        def monotonic(self):
            return next(readings)

    connection._clock = Clock()
    peer.sendall(b"a")
    with pytest.raises(TimeoutError):
        connection.read_until(b"\n", 10, 5.0)


def test_a_peer_that_goes_in_the_middle_is_the_end(pair):
    connection, peer = pair
    peer.sendall(b"half")
    peer.close()
    with pytest.raises(EOFError):
        connection.read_until(b"\n", 10, 5.0)


def test_a_peer_that_does_not_read_is_given_up(pair):
    connection, _ = pair
    with pytest.raises(TimeoutError):
        connection.send(b"x" * 10_000_000, 0.01)
