"""The daemon in a thread of this process; signals are tested with the command."""

from __future__ import annotations

import socket
import threading
import urllib.request

import pytest

from sessionactors import Session, SessionSystem
from sessionactors.daemon.client import FrontClient, FrontRefusal
from sessionactors.daemon.config import load
from sessionactors.daemon.service import EXIT_GAVE_UP, EXIT_KILLED, EXIT_UNWRITTEN, Daemon, DaemonError
from sessionactors.storage.errors import StoreError


class Stuck(Session):
    """Never comes back from being activated, until a test lets it."""

    dispatch = "shared"
    entered = threading.Event()
    let_go = threading.Event()

    def on_activated(self):
        self.entered.set()
        self.let_go.wait(30.0)


TEXT = f"""
[daemon]
path = "DIR/store"
audit_dir = "DIR/audit"
pid_file = "DIR/pid"
session_classes = ["{__name__}:Stuck"]
shutdown_timeout = 5.0
[front]
socket = "DIR/front"
[session]
auth_required = false
"""


class Running:
    """A daemon that runs, its system, and how it ended."""

    def __init__(self, config, environment):
        self.daemon = Daemon(config, environment)
        self.is_ready = threading.Event()
        self.thread = threading.Thread(target=self._run)
        self.code = self.error = self.system = None

    def _run(self):
        try:
            self.code = self.daemon.run(self._ready)
        except DaemonError as error:
            self.error = error
            self.is_ready.set()

    def _ready(self, system):
        self.system = system
        self.is_ready.set()

    def begin(self):
        self.thread.start()
        assert self.is_ready.wait(20.0)
        return self

    def end(self):
        self.daemon.stop()
        self.thread.join(30.0)
        assert not self.thread.is_alive()
        return self.code


@pytest.fixture
def start(tmp_path):
    made = []

    def begin(text=TEXT, **environment):
        path = tmp_path / "serve.toml"
        path.write_text(text.replace("DIR", str(tmp_path)))
        made.append(Running(load(path, environment), environment))
        return made[-1].begin()

    yield begin
    Stuck.let_go.set()
    for each in made:
        each.end()
    Stuck.let_go.clear()
    Stuck.entered.clear()


def test_it_ends_with_nothing_left_behind(start, tmp_path):
    running = start()
    assert (tmp_path / "pid").exists()
    assert running.end() == 0
    assert not (tmp_path / "pid").exists()
    assert not (tmp_path / "front").exists()


def test_what_is_persistent_is_there_again_after_a_restart(start, tmp_path):
    first = start()
    with FrontClient(tmp_path / "front") as client:
        for number in range(50):
            client.start(f"kept-{number}", persistent=True)
            client.call("activate", session=f"kept-{number}")
        client.start("lost")
    assert first.end() == 0
    start()
    with FrontClient(tmp_path / "front") as client:
        assert client.call("count") == 50
        assert client.state("kept-49") == "idle"  # whoever comes back has to be resumed


def test_a_handler_that_never_returns_is_killed_within_the_budget_and_named(start, tmp_path, caplog):
    running = start(TEXT.replace("shutdown_timeout = 5.0", "shutdown_timeout = 1.0"))
    clock = running.system.actors.clock
    with FrontClient(tmp_path / "front") as client:
        client.call("start", session="hangs", class_="Stuck")

        def ask():
            with pytest.raises((FrontRefusal, ConnectionError)):
                client.call("activate", session="hangs")

        asking = threading.Thread(target=ask)
        asking.start()
        assert Stuck.entered.wait(10.0)
        began = clock.monotonic()
        assert running.end() == EXIT_KILLED
        assert clock.monotonic() - began < 5.0
        asking.join(10.0)
    assert any("Stuck" in who for who in running.daemon.killed)
    assert "session 'hangs' (Stuck) is still busy" in caplog.text


def test_what_could_not_be_written_has_an_exit_code_of_its_own(start, monkeypatch):
    running = start()
    real = SessionSystem.stop

    def stop(self, timeout=None):
        real(self, timeout)
        raise StoreError("the disk is full", "make room")

    monkeypatch.setattr(SessionSystem, "stop", stop)
    assert running.end() == EXIT_UNWRITTEN
    assert "the disk is full" in running.daemon.unwritten[0]


def test_when_the_services_have_crashed_too_often_it_gives_up(start):
    running = start(TEXT.replace("[front]", "max_restarts = 0\n[front]"))
    running.system.actors.whereis("reaper").kill()
    running.thread.join(20.0)
    assert running.code == EXIT_GAVE_UP


def test_a_second_one_with_the_same_pid_file_is_refused_and_the_first_goes_on(start, tmp_path):
    start()
    second = start(TEXT)
    assert "is running" in str(second.error)
    with FrontClient(tmp_path / "front") as client:
        assert client.call("ping") == "pong"


def test_a_socket_that_cannot_be_had_is_a_sentence_and_nothing_is_left(start, tmp_path):
    (tmp_path / "front").write_text("precious")
    running = start()
    assert "is no socket" in str(running.error)
    assert not (tmp_path / "pid").exists()


def test_a_token_file_that_is_missing_is_a_sentence(start):
    running = start(TEXT + '[health]\nport = 0\ntoken_file = "DIR/absent"\n')
    assert "absent: no such file" in str(running.error)


def test_systemd_is_told_and_sees_signs_of_life(start, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.settimeout(10.0)
        heard.bind(str(tmp_path / "notify"))
        running = start(NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="200000")
        assert heard.recv(1000) == b"READY=1\nSTATUS=0 sessions"
        assert heard.recv(1000) == b"WATCHDOG=1"
        running.end()
        told = heard.recv(1000)
        while told == b"WATCHDOG=1":
            told = heard.recv(1000)
        assert told == b"STOPPING=1\nSTATUS=it stops"


def test_probes_and_figures_are_served(start, monkeypatch):
    from sessionactors.daemon import service

    made = []
    real = service.Endpoint

    def endpoint(*arguments, **options):
        made.append(real(*arguments, **options))
        return made[0]

    monkeypatch.setattr(service, "Endpoint", endpoint)
    running = start(TEXT + "[health]\nport = 0\n")
    running.system.start_session("alice")
    host, port = made[0].address
    with urllib.request.urlopen(f"http://{host}:{port}/metrics", timeout=10.0) as answer:
        assert b'sessionactors_sessions{state="new"} 1.0' in answer.read()
    with urllib.request.urlopen(f"http://{host}:{port}/ready", timeout=10.0) as answer:
        assert answer.read() == b"ok\n"
