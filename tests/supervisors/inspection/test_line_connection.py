from __future__ import annotations

import json
import socket
import threading

import pytest

from supervisors.inspection.line_connection import LineConnection


class No(Exception):  # noqa: N818 - what a client makes of an answer that says no
    pass


@pytest.fixture
def peers(tmp_path):
    """Return a function that connects, and gives the connection and the other end of it."""
    made = []
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        listening.listen()

        def connect(timeout=10.0, answer_max=1_000):
            connection = LineConnection(tmp_path / "socket", timeout=timeout, answer_max=answer_max)
            made.append(connection)
            other, _ = listening.accept()
            made.append(other)
            return connection, other

        yield connect
        for each in made:
            each.close()


def line(**answer):
    return json.dumps(answer).encode() + b"\n"


def test_answers_come_in_the_order_of_their_requests(peers):
    connection, other = peers()
    connection.send(b"one\n")
    other.sendall(line(id=1, ok=True, value="a") + line(id=2, ok=True, value="b"))
    assert other.recv(100) == b"one\n"
    assert [connection.answer(number, No)["value"] for number in (1, 2)] == ["a", "b"]


def test_a_refusal_is_what_the_client_makes_of_it_and_the_connection_goes_on(peers):
    connection, other = peers()
    other.sendall(line(id=1, ok=False, code="no_actor", message="nobody") + line(id=2, ok=True))
    with pytest.raises(No) as caught:
        connection.answer(1, No)
    assert caught.value.args == ("no_actor", "nobody")
    assert connection.answer(2, No)["ok"]


def test_a_refusal_of_the_connection_itself_ends_it(peers):
    connection, other = peers()
    other.sendall(line(id=None, ok=False, code="busy", message="too many"))
    with pytest.raises(No):
        connection.answer(1, No)
    assert connection.is_closed
    with pytest.raises(ConnectionError, match="was closed"):
        connection.send(b"x\n")


@pytest.mark.parametrize(
    "said", [b"[]\n", b"7\n", b"hello\n", b"\xff\n", b"\n", b"[" * 500 + b"\n", line(id=2, ok=True, value="another's")]
)
def test_what_is_no_answer_to_the_request_ends_the_connection(peers, said):
    connection, other = peers()
    other.sendall(said)
    with pytest.raises(ConnectionError, match="no answer"):
        connection.answer(1, No)
    assert connection.is_closed


def test_an_answer_without_end_is_not_read_for_ever(peers):
    connection, other = peers(answer_max=100)
    other.sendall(b"x" * 1_000)
    with pytest.raises(ConnectionError, match="more than 100 bytes"):
        connection.answer(1, No)


def test_a_byte_now_and_then_does_not_buy_more_time(peers):
    connection, other = peers(timeout=0.2)
    is_over = threading.Event()

    def drip():
        while not is_over.wait(0.02):
            other.sendall(b" ")

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        with pytest.raises(TimeoutError):
            connection.answer(1, No)
    finally:
        is_over.set()
        thread.join()
    assert connection.is_closed


def test_closing_lets_go_who_waits_for_an_answer(peers):
    connection, _ = peers()
    timer = threading.Timer(0.05, connection.close)
    timer.start()
    with pytest.raises(ConnectionError, match="gone"):
        connection.answer(1, No)
    timer.join()


def test_a_peer_that_has_gone_is_told(peers):
    connection, other = peers()
    other.close()
    connection.send(b"x\n")
    with pytest.raises(ConnectionError, match="gone"):
        connection.answer(1, No)


def test_where_nobody_listens_nothing_is_left_open(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        LineConnection(tmp_path / "nobody", timeout=1.0, answer_max=10)
