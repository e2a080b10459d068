"""The examples of embedding serve clients, and end as they are told to."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from sessionactors.audit.queries import AuditReader
from sessionactors.audit.verify import verify

ROOT = Path(__file__).parents[2]


@contextmanager
def running(name, *arguments):
    """Run an example that serves; give the process and its port."""
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "examples" / name), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            port = process.stdout.readline().rpartition(" ")[2]
            yield process, int(port)
        finally:
            process.kill()


def talk(port, *lines):
    """Send lines in one go; return what comes back."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall("".join(f"{line}\n" for line in lines).encode())
        connection.shutdown(socket.SHUT_WR)
        return connection.makefile().read().splitlines()


def ended(process, number):
    process.send_signal(number)
    return process.wait(timeout=60)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_daemon_serves_clients_and_ends_on_a_signal(tmp_path, number):
    with running("embed_daemon.py", tmp_path) as (process, port):
        assert talk(port, 5, 7, "x", 1) == ["5", "12", "no: 'x' is no whole number", "13"]
        assert talk(port, 1) == ["1"]
        assert ended(process, number) == 0
    assert verify(tmp_path / "audit").outcome == "valid"


def test_the_daemon_audits_the_end_of_a_session_whose_client_is_connected(tmp_path):
    with (
        running("embed_daemon.py", tmp_path) as (process, port),
        socket.create_connection(("127.0.0.1", port), timeout=60) as connection,
    ):
        connection.sendall(b"1\n")
        assert connection.makefile().readline() == "1\n"
        assert ended(process, signal.SIGTERM) == 0
    with AuditReader(tmp_path / "audit") as log:
        ends = [each.data.get("to_state") for each in log.events() if each.data.get("to_state") == "terminated"]
    assert ends == ["terminated"]


def test_the_asyncio_service_serves_many_at_once_and_ends_on_a_signal():
    with running("embed_asyncio.py", "--seconds", 0.2) as (process, port):
        connections = [socket.create_connection(("127.0.0.1", port), timeout=60) for _ in range(5)]
        for number, connection in enumerate(connections):
            connection.sendall(f"{number}\n".encode())
        assert [each.makefile().readline() for each in connections] == ["0\n", "1\n", "2\n", "3\n", "4\n"]
        for connection in connections:
            connection.close()
        assert ended(process, signal.SIGTERM) == 0


def test_the_asyncio_service_says_when_it_is_asked_too_often():
    with running("embed_asyncio.py", "--seconds", 0) as (process, port):
        answers = talk(port, *range(60))
        assert answers[:20] == [str(number) for number in range(20)]
        assert any(answer.startswith("no: wait ") for answer in answers[20:])
        assert ended(process, signal.SIGTERM) == 0
