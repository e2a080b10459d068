"""The daemon in a thread of this process; signals are tested with the command."""

from __future__ import annotations

import contextlib
import socket
import threading
import urllib.request

import pytest

from sessionactors import Session, SessionSystem
from sessionactors.daemon.client import FrontClient, FrontRefusal
from sessionactors.daemon.config import ConfigError, load
from sessionactors.daemon.service import EXIT_GAVE_UP, EXIT_KILLED, EXIT_UNWRITTEN, Daemon, DaemonError
from sessionactors.errors import NotFound, SessionRefusal
from sessionactors.storage.errors import StoreError
from supervisors.errors import SupervisorsError
from supervisors.inspection import InspectionClient
from supervisors.runtime.turn import all_turns


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
        self.config = config
        self.daemon = Daemon(config, environment, lambda: self.config)
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

    def begin(text=TEXT, before=None, **environment):
        path = tmp_path / "serve.toml"
        path.write_text(text.replace("DIR", str(tmp_path)))
        made.append(Running(load(path, environment), environment))
        if before is not None:
            before()
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
    assert running.daemon.killed[0].startswith("session 'hangs' (Stuck)")
    assert "session 'hangs' (Stuck) is still busy" in caplog.text


def test_several_that_never_return_are_all_named(start, tmp_path):
    running = start(TEXT.replace("shutdown_timeout = 5.0", "shutdown_timeout = 1.0"))
    system = running.system
    for name in ("first", "second"):
        system.start_session(name, session_class=Stuck)
    asking = [threading.Thread(target=_activated, args=(system, name)) for name in ("first", "second")]
    for each in asking:
        each.start()
    while sum(turn.current is not None for turn in all_turns() if turn.worker) < 2:
        Stuck.entered.wait(0.01)
    assert running.end() == EXIT_KILLED
    for each in asking:
        each.join(10.0)
    said = " ".join(running.daemon.killed)
    assert "session 'first' (Stuck)" in said
    assert "session 'second' (Stuck)" in said


def test_a_session_that_had_to_be_killed_before_anybody_saw_that_it_is_stuck_is_named_as_well(start, monkeypatch):
    monkeypatch.setattr("sessionactors.daemon.service.lookout", lambda *_: contextlib.nullcontext({}))
    running = start(TEXT.replace("shutdown_timeout = 5.0", "shutdown_timeout = 0.5"))
    running.system.start_session("hangs", session_class=Stuck)
    asking = threading.Thread(target=_activated, args=(running.system, "hangs"))
    asking.start()
    assert Stuck.entered.wait(10.0)
    assert running.end() == EXIT_KILLED
    asking.join(10.0)
    assert running.daemon.killed[0].startswith("session 'hangs' (Stuck)")


def test_of_very_many_that_had_to_be_killed_some_are_named_and_the_others_counted(start):
    daemon = start().daemon
    daemon._stuck = {70: "session 'hangs' (Stuck)"}
    named = daemon._in_words(range(100))
    assert named[:3] == ["session 'hangs' (Stuck)", "0", "1"]
    assert (len(named), named[-1]) == (22, "79 more")


def _activated(system, name):
    with pytest.raises((SessionRefusal, SupervisorsError)):
        system.activate(name)


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


def test_a_token_file_that_has_gone_since_it_was_checked_is_a_sentence(start, tmp_path):
    token = tmp_path / "token"
    token.write_text("a-token-of-enough-characters\n")
    running = start(TEXT + '[health]\nport = 0\ntoken_file = "DIR/token"\n', before=token.unlink)
    assert "token: no such file" in str(running.error)


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


MORE = (
    TEXT
    + """
[inspection]
socket = "DIR/look"
[health]
port = 0
"""
)


def reloaded(running, text, tmp_path, caplog):
    """Have a daemon take over another configuration; return what it says."""
    path = tmp_path / "other.toml"
    path.write_text(text.replace("DIR", str(tmp_path)))
    running.config = load(path, {})
    caplog.clear()
    running.daemon.reload()
    while "options changed" not in caplog.text:
        pass
    return caplog.text


def test_a_daemon_can_be_inspected_and_its_sessions_handled_from_outside(start, tmp_path):
    start(MORE)
    with FrontClient(tmp_path / "front") as front, InspectionClient(tmp_path / "look") as client:
        front.start("alice")
        front.call("activate", session="alice")
        assert [row["id"] for row in client.list("sessions")] == ["alice"]
        assert client.call("suspend", session="alice", reason="noise") == "suspended"
        assert front.state("alice") == "suspended"


def test_the_inspection_is_gone_when_the_daemon_is(start, tmp_path):
    assert start(MORE).end() == 0
    assert not (tmp_path / "look").exists()


def test_what_can_be_reloaded_counts_at_once(start, tmp_path, caplog):
    running = start(MORE)
    changed = (
        MORE.replace("[front]", "[reaper]\ninterval = 5.0\n[front]\nline_max = 200")
        .replace("port = 0", "port = 0\nwatch_within = 5.0\ninterval = 0.5\nconnections_max = 2")
        .replace("auth_required = false", "auth_required = false\nidle_timeout = 77.0")
    )
    with FrontClient(tmp_path / "front") as client:
        said = reloaded(running, changed, tmp_path, caplog)
        assert "6 options changed" in said
        assert "needs a restart" not in said
        client.call("ping")  # read before the new limit
        with pytest.raises(FrontRefusal, match="at most 200 bytes"):
            client.call("ping", more="x" * 300)
    assert running.system.options.idle_timeout == 77.0
    assert running.system.reaper_statistics().interval == 5.0


def test_limits_of_the_services_can_be_reloaded(start, tmp_path, caplog):
    running = start(MORE)
    changed = MORE + (
        "[limiter]\ncapacity = 2.0\nrate = 0.001\n[isolation]\nmax_connections = 1\nspare_processes = 0\n"
        '[reaper]\npolicy = "expired"\nidle_threshold = 9.0\nbatch_size = 7\n'
    )
    with FrontClient(tmp_path / "front") as client:
        client.start("alice")
        client.call("check", session="alice")
        said = reloaded(running, changed, tmp_path, caplog)
        while running.system.get_rate_limit("alice").capacity != 2.0:
            pass  # existing buckets have their turn soon
        # How many of the two tokens are there depends on how much of the one came back at the old rate.
        admitted = [client.call("check", session="alice")["admitted"] for _ in range(4)]
    assert admitted in ([True, False, False, False], [True, True, False, False])
    assert "5 options changed" in said
    assert "needs a restart: isolation.spare_processes: 2 -> 0" in said
    assert "needs a restart: reaper.batch_size: 50 -> 7" in said
    assert running.system.isolation_settings.max_connections == 1
    assert running.system.isolation_settings.spare_processes == 2
    assert running.system.reaper_statistics().policy == "expired"


def test_a_service_that_cannot_be_told_keeps_what_it_has_until_the_next_reload(start, tmp_path, caplog, monkeypatch):
    running = start(MORE)
    changed = MORE + "[limiter]\ncapacity = 2.0\n[reaper]\ninterval = 5.0\n"

    def away(_settings):
        raise NotFound("rate_limiter", "running service")

    monkeypatch.setattr(running.system, "set_limiter_settings", away, raising=False)
    said = reloaded(running, changed, tmp_path, caplog)
    assert "not reloaded: limiter.capacity: 1000.0 -> 2.0: " in said
    assert "1 options changed" in said
    monkeypatch.undo()
    assert "1 options changed" in reloaded(running, changed, tmp_path, caplog)
    assert running.system.parts.limiter.settings.capacity == 2.0


def test_what_needs_a_restart_is_named_at_each_reload_and_stays_as_it_was(start, tmp_path, caplog):
    running = start(MORE)
    changed = MORE.replace("DIR/look", "DIR/elsewhere")
    for _ in range(2):
        assert "needs a restart: inspection.socket" in reloaded(running, changed, tmp_path, caplog)
    assert (tmp_path / "look").exists()
    assert not (tmp_path / "elsewhere").exists()


def test_a_wrong_configuration_changes_nothing_and_says_why(start, caplog):
    running = start(MORE)

    def wrong():
        raise ConfigError(["front.line_max: no"])

    running.daemon._read_again = wrong
    running.daemon.reload()
    while "nothing is reloaded: front.line_max: no" not in caplog.text:
        pass


def test_a_front_over_tcp_wants_the_token_of_its_file(start, tmp_path, caplog):
    (tmp_path / "token").write_text("a-token-of-enough-characters\n")
    caplog.set_level("INFO", "sessionactors.daemon")
    start(TEXT.replace("[front]", '[front]\nport = 0\ntoken_file = "DIR/token"'))
    host, _, port = caplog.text.partition("the front is at ")[2].split()[0].rpartition(":")
    with FrontClient((host, int(port)), token="a-token-of-enough-characters") as client:
        assert client.call("ping") == "pong"
