"""A daemon under load from a second process, watched, scraped, and told to end.

SERVE_SESSIONS=100000 is the size that counts (`make serve-load`); a small one runs with
all other tests. With it, a real Prometheus scrapes as well, where one is installed.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from sessionactors.audit.verify import verify
from sessionactors.daemon.client import FrontClient, FrontRefusal
from sessionactors.daemon.service import EXIT_KILLED
from sessionactors.settings import StoreSettings
from sessionactors.storage.service import open_store
from supervisors.inspection import InspectionClient
from tests.docs.prometheus_server import RULES, Prometheus, is_installed
from tests.sessionactors.cli.terminal_screen import Program

ROOT = Path(__file__).parents[2]
SESSIONS = int(os.environ.get("SERVE_SESSIONS", "200"))
IS_LARGE = "SERVE_SESSIONS" in os.environ
SCRAPES = 80
BUDGET = 60.0 if IS_LARGE else 20.0

CONFIG = """
[daemon]
path = "DIR/store"
audit_dir = "DIR/audit"
log_level = "info"
shutdown_timeout = BUDGET
session_classes = ["tests.torture.stuck_session:NeverReturns"]
[health]
port = 0
[front]
socket = "DIR/front"
[inspection]
socket = "DIR/look"
[limiter]
rate = 1e9
capacity = 1e9
[session]
auth_required = false
idle_timeout = "none"
"""


class Daemon:
    """The command `serve`, and what it says."""

    def __init__(self, directory, budget=BUDGET):
        self.directory = directory
        path = directory / "serve.toml"
        path.write_text(CONFIG.replace("DIR", str(directory)).replace("BUDGET", f"{budget:g}"))
        self.said: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sessionactors", "serve", "--config", str(path)],
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        self._is_ready = threading.Event()
        self._reading = threading.Thread(target=self._read)
        self._reading.start()
        assert self._is_ready.wait(60.0), self.said
        found = re.search(r"at (http://127\.0\.0\.1:\d+)", "\n".join(self.said))
        self.url = found[1] + "/metrics"

    def _read(self):
        for line in self.process.stderr:
            self.said.append(line.rstrip())
            if line.endswith(": ready\n"):
                self._is_ready.set()
        self._is_ready.set()

    def end(self):
        """Tell it to end; return the exit code and the seconds that it took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(BUDGET + 30.0)
        self._reading.join(10.0)
        return code, time.monotonic() - began

    def close(self):
        self.process.kill()
        self.process.wait(10.0)
        self._reading.join(10.0)
        self.process.stderr.close()


@pytest.fixture
def serve(tmp_path):
    made = []

    def start(**options):
        made.append(Daemon(tmp_path, **options))
        return made[-1]

    yield start
    for daemon in made:
        daemon.close()


class Scrapes:
    """Reads the figures once a second."""

    def __init__(self, url):
        self.url = url
        self.seconds: list[float] = []
        self.failed: list[str] = []
        self.last = ""
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        while not self._end.wait(1.0 if self.seconds else 0.0):
            try:
                self.read()
            except OSError as error:
                self.failed.append(str(error))

    def read(self):
        began = time.monotonic()
        with urllib.request.urlopen(self.url, timeout=30.0) as answer:
            self.last = answer.read().decode()
        self.seconds.append(time.monotonic() - began)

    def stop(self):
        self._end.set()
        self._thread.join(60.0)


@pytest.fixture
def load(tmp_path):
    """Start the second process: its sessions are started, activated, and driven until the daemon stops."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.torture.serve_load", tmp_path / "front", str(SESSIONS), tmp_path / "ids"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    yield process
    process.kill()
    process.wait(10.0)
    process.stdout.close()


def test_under_load_it_can_be_watched_and_ends_in_order_with_everything_on_disk(serve, request, tmp_path):
    daemon = serve()
    load = request.getfixturevalue("load")
    scrapes = Scrapes(daemon.url)
    top = Program("top", "--interval", "0.2", "--sort", "messages", "--socket", str(tmp_path / "look"))
    prometheus = None
    try:
        if IS_LARGE and is_installed():
            prometheus = Prometheus(tmp_path, daemon.url.removeprefix("http://").removesuffix("/metrics"), [RULES])
        up = load.stdout.readline()
        screen = top.until(lambda screen: "Session" in str(screen))
        assert (screen.wrapped, screen.scrolled) == (0, 0)
        looked = _looked(tmp_path / "look")
        if IS_LARGE:
            top.until(lambda _: len(scrapes.seconds) >= SCRAPES, 120.0)  # under load
        if prometheus is not None:
            assert prometheus.value("up") == 1.0
            assert prometheus.value("sum(sessionactors_sessions)") == SESSIONS
            assert prometheus.alerts() == []
        top.press("q")
        assert top.end(60.0) == 0
        assert top.is_as_before()
        scrapes.stop()
        scrapes.read()
        assert re.search(
            rf"sessionactors_sessions_started_total {re.escape(repr(float(SESSIONS)))}$", scrapes.last, re.MULTILINE
        )
        code, seconds = daemon.end()
        done, _ = load.communicate(timeout=60)
    finally:
        scrapes.stop()
        top.close()
        if prometheus is not None:
            prometheus.close()
    assert code == 0, daemon.said[-20:]
    assert seconds < BUDGET
    assert scrapes.failed == []
    _assert_everything_is_on_disk(tmp_path)
    longest = max(scrapes.seconds)
    _report(
        f"{SESSIONS} sessions; {up.strip()} s; {done.strip()}",
        f"exit code {code} after {seconds:.1f} s of {BUDGET:g}",
        f"{len(scrapes.seconds)} scrapes, the longest {longest:.2f} s; looked: {looked}",
    )


@pytest.mark.skipif(not IS_LARGE, reason="SERVE_SESSIONS=100000 runs it; a small one is below")
def test_under_load_a_handler_that_never_returns_is_named_and_the_others_are_on_disk(serve, request, tmp_path):
    daemon = serve()
    load = request.getfixturevalue("load")
    up = load.stdout.readline()
    with FrontClient(tmp_path / "front") as client, FrontClient(tmp_path / "front", timeout=2 * BUDGET) as other:
        client.call("start", session="hangs", class_="NeverReturns")
        activating = threading.Thread(target=_refused, args=(other,))
        activating.start()
        _wait_until_it_hangs(tmp_path)
        code, seconds = daemon.end()
        activating.join(60.0)
    done, _ = load.communicate(timeout=60)
    named = [line for line in daemon.said if line.startswith("sessionactors: had to be killed")]
    assert code == EXIT_KILLED, daemon.said[-20:]
    assert seconds < BUDGET
    assert len(named) == 1
    assert "session 'hangs' (NeverReturns)" in named[0]
    _assert_everything_is_on_disk(tmp_path)
    _report(
        f"{SESSIONS} sessions and one that hangs; {up.strip()} s; {done.strip()}",
        f"exit code {code} after {seconds:.1f} s of {BUDGET:g}; {named[0]}",
    )


def test_with_a_handler_that_never_returns_it_ends_within_its_budget_and_names_it(serve, tmp_path):
    daemon = serve(budget=1.0)
    with FrontClient(tmp_path / "front") as client, FrontClient(tmp_path / "front", timeout=60.0) as other:
        client.start("kept", persistent=True)
        client.call("activate", session="kept")
        client.call("start", session="hangs", class_="NeverReturns")
        activating = threading.Thread(target=_refused, args=(other,))
        activating.start()
        _wait_until_it_hangs(tmp_path)
        code, seconds = daemon.end()
        activating.join(60.0)
    assert code == EXIT_KILLED
    assert seconds < 1.0 + 4.0  # the budget, and the end of the process
    said = "\n".join(daemon.said)
    assert "session 'hangs' (NeverReturns) is still busy" in said
    assert re.search(r"had to be killed: .*NeverReturns", said)
    store = open_store(tmp_path / "store", StoreSettings())
    try:
        assert store.count() == 1
    finally:
        store.close()


def _refused(client):
    with pytest.raises((FrontRefusal, ConnectionError)):
        client.call("activate", session="hangs")


def _looked(path):
    """Return how long the commands take, in seconds."""
    taken = {}
    with InspectionClient(path, timeout=60.0) as client:
        for do, arguments in (("ps", {}), ("tree", {}), ("sessions", {}), ("limits", {}), ("dump", {}), ("audit", {})):
            began = time.monotonic()
            if do in ("ps", "tree", "sessions", "audit"):
                client.list(do, **arguments)
            else:
                client.call(do, **arguments)
            taken[do] = round(time.monotonic() - began, 3)
    return taken


def _wait_until_it_hangs(directory):
    with InspectionClient(directory / "look") as look:
        while not any(row["status"] in ("running", "hung") for row in look.list("ps", match="NeverReturns")):
            pass


def _assert_everything_is_on_disk(directory):
    """Compare the store with what the second process was told, and verify the audit log."""
    acknowledged = set((directory / "ids").read_text().split())
    assert len(acknowledged) == SESSIONS
    store = open_store(directory / "store", StoreSettings())
    try:
        stored, after = set(), None
        while page := store.page(after, 1_000):
            stored |= {found.session_id.decode() for found in page}
            after = page[-1].key
        assert stored == acknowledged
    finally:
        store.close()
    assert verify(directory / "audit").exit_code == 0


def _report(*lines):
    if IS_LARGE:
        sys.stdout.write("\n" + "\n".join(lines) + "\n")
