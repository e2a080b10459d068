"""The command `serve`, run as its users run it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from sessionactors import SessionSystem
from sessionactors.daemon.client import FrontClient, FrontRefusal
from tests.sessionactors.cli.signalling import Signalling

ROOT = Path(__file__).parents[3]
COMMAND = [sys.executable, "-m", "sessionactors", "serve", "--config"]


@pytest.fixture
def write(tmp_path):
    def text(text):
        path = tmp_path / "serve.toml"
        path.write_text(text.replace("DIR", str(tmp_path)))
        return path

    return text


def serve(path, *options, **environment):
    return subprocess.run(
        [*COMMAND, str(path), *options],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | environment,
        check=False,
        timeout=60,
    )


def test_a_good_configuration_is_said_to_be_good(write):
    done = serve(write("[front]\nline_max = 4096"), "--check-config")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("serve.toml: good\n")


def test_every_mistake_is_a_line_of_its_own_and_the_exit_code_is_2(write):
    done = serve(write("[front]\nline_max = 0\nmode = 'x'"), "--check-config")
    assert (done.returncode, done.stdout) == (2, "")
    assert [line.split(" ")[1] for line in done.stderr.splitlines()] == ["front.mode", "front.line_max"]


def test_the_configuration_is_printed_with_its_sources(write):
    done = serve(write("[front]\nline_max = 4096"), "--print-config", SESSIONACTORS_FRONT__MODE='"660"')
    assert done.returncode == 0
    assert "line_max = 4096  # serve.toml\n" in done.stdout
    assert 'mode = "660"  # SESSIONACTORS_FRONT__MODE\n' in done.stdout


def test_a_file_that_is_not_there_is_bad_usage(tmp_path):
    done = serve(tmp_path / "absent.toml")
    assert done.returncode == 2
    assert "no such file" in done.stderr


def test_what_cannot_be_started_is_one_sentence(write, tmp_path):
    (tmp_path / "front").write_text("precious")
    done = serve(write('[front]\nsocket = "DIR/front"'))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith("is there and is no socket")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_in_order_and_a_dump_comes_before(write, tmp_path, number):
    path = write(
        '[daemon]\npath = "DIR/store"\naudit_dir = "DIR/audit"\npid_file = "DIR/pid"\n'
        '[front]\nsocket = "DIR/front"\n[session]\nauth_required = false\npersistent = true\n'
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.settimeout(60.0)
        heard.bind(str(tmp_path / "notify"))
        daemon = subprocess.Popen(
            [*COMMAND, str(path)],
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=os.environ | {"NOTIFY_SOCKET": str(tmp_path / "notify")},
        )
        try:
            assert heard.recv(1000).startswith(b"READY=1")
            assert int((tmp_path / "pid").read_text()) == daemon.pid
            with FrontClient(tmp_path / "front") as client:
                client.start("alice")
                client.call("activate", session="alice")
            daemon.send_signal(signal.SIGUSR1)
            dump = daemon.stderr.readline()
            daemon.send_signal(number)
            _, rest = daemon.communicate(timeout=60)
        finally:
            daemon.kill()
            daemon.wait()
    assert daemon.returncode == 0, rest
    assert dump.startswith("<ActorSystem running")
    verified = subprocess.run(
        [sys.executable, "-m", "sessionactors", "audit", "verify", str(tmp_path / "audit")],
        capture_output=True,
        cwd=ROOT,
        check=False,
        timeout=60,
    )
    assert verified.returncode == 0, verified.stderr


@pytest.fixture
def stored(write, tmp_path):
    """Return the configuration of a daemon that has a stored session, which sends signals when it comes back."""
    path = write(
        '[daemon]\npath = "DIR/store"\nlog_level = "info"\n'
        'session_classes = ["tests.sessionactors.cli.signalling:Signalling"]\n'
    )
    with SessionSystem(
        path=tmp_path / "store", session_classes=[Signalling], session={"auth_required": False, "persistent": True}
    ) as system:
        system.start_session("kept", session_class=Signalling)
        system.activate("kept")
        system.persist("kept")
    return path


@pytest.mark.parametrize("more", ["", signal.SIGHUP])
def test_a_signal_while_it_comes_up_waits_until_it_is_up(stored, more):
    done = serve(stored, SIGNALS=f"{int(more or 0) or ''} {int(signal.SIGTERM)}")
    assert done.returncode == 0, done.stderr
    assert done.stderr.index(": ready") < done.stderr.index("it stops: SIGTERM")
    assert ("0 options changed" in done.stderr) is bool(more)


def test_a_signal_while_the_process_ends_takes_no_exit_code_away(stored):
    done = serve(stored, SIGNALS=str(int(signal.SIGTERM)), LATE="1")
    assert done.returncode == 0, done.stderr


def test_a_hangup_reloads_and_a_wrong_configuration_changes_nothing(write, tmp_path):
    path = write('[front]\nsocket = "DIR/front"')
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.settimeout(60.0)
        heard.bind(str(tmp_path / "notify"))
        daemon = subprocess.Popen(
            [*COMMAND, str(path)],
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=os.environ | {"NOTIFY_SOCKET": str(tmp_path / "notify")},
        )
        try:
            assert heard.recv(1000).startswith(b"READY=1")
            write('[front]\nsocket = "DIR/front"\nline_max = 200\n[daemon]\nlog_level = "info"\nworkers = 3')
            daemon.send_signal(signal.SIGHUP)
            said = [daemon.stderr.readline() for _ in range(2)]
            assert heard.recv(1000).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
            assert heard.recv(1000).startswith(b"READY=1")
            assert any("needs a restart: daemon.workers" in line for line in said)
            assert any("2 options changed" in line for line in said)
            write("[front]\nline_max = 0")
            daemon.send_signal(signal.SIGHUP)
            assert "nothing is reloaded: front.line_max" in daemon.stderr.readline()
            with FrontClient(tmp_path / "front") as client, pytest.raises(FrontRefusal, match="at most 200"):
                client.call("ping", more="x" * 200)
            daemon.send_signal(signal.SIGTERM)
            _, rest = daemon.communicate(timeout=60)
        finally:
            daemon.kill()
            daemon.wait()
    assert daemon.returncode == 0, rest


def test_the_environment_overrides_the_file_and_its_mistakes_name_the_variable(write):
    done = serve(write("[front]\nline_max = 4096"), "--check-config", SESSIONACTORS_FRONT__LINE_MAX="0")
    assert done.returncode == 2
    assert "front.line_max (SESSIONACTORS_FRONT__LINE_MAX)" in done.stderr
