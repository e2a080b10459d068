"""A daemon under load from a second process, watched, scraped, and told to end.

SERVE_SESSIONS=100000 is the size that counts; a small one runs with all other tests.
With it, a real Prometheus scrapes as well, where one is installed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from sessionactors.daemon.client import FrontClient, FrontRefusal
from sessionactors.daemon.service import EXIT_KILLED
from sessionactors.settings import StoreSettings
from sessionactors.storage.service import open_store
from supervisors.inspection import InspectionClient
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
        self.last = ""
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        while not self._end.wait(1.0 if self.seconds else 0.0):
            self.read()

    def read(self):
        began = time.monotonic()
        with urllib.request.urlopen(self.url, timeout=30.0) as answer:
            self.last = answer.read().decode()
        self.seconds.append(time.monotonic() - began)

    def stop(self):
        self._end.set()
        self._thread.join(60.0)


def test_under_load_it_can_be_watched_and_ends_in_order_with_everything_on_disk(serve, tmp_path):
    daemon = serve()
    load = subprocess.Popen(
        [sys.executable, "-m", "tests.torture.serve_load", tmp_path / "front", str(SESSIONS), tmp_path / "ids"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    scrapes = Scrapes(daemon.url)
    prometheus = _prometheus(tmp_path, daemon.url) if IS_LARGE and shutil.which("prometheus") else None
    top = Program("top", "--interval", "0.2", "--sort", "messages", "--socket", str(tmp_path / "look"))
    try:
        up = load.stdout.readline()
        screen = top.until(lambda screen: "Session" in str(screen))
        assert (screen.wrapped, screen.scrolled) == (0, 0)
        looked = _looked(tmp_path / "look")
        if IS_LARGE:
            top.until(lambda _: len(scrapes.seconds) >= SCRAPES, 120.0)  # under load
        if prometheus is not None:
            assert _asked(prometheus, "up") == 1.0
            assert _asked(prometheus, "sum(sessionactors_sessions)") == SESSIONS
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
        load.kill()
        load.wait(10.0)
        load.stdout.close()
        if prometheus is not None:
            prometheus[0].kill()
            prometheus[0].wait(10.0)
    assert code == 0, daemon.said[-20:]
    assert seconds < BUDGET
    acknowledged = set((tmp_path / "ids").read_text().split())
    assert len(acknowledged) == SESSIONS
    store = open_store(tmp_path / "store", StoreSettings())
    try:
        assert store.count() == SESSIONS
    finally:
        store.close()
    if IS_LARGE:
        longest = max(scrapes.seconds)
        report = [f"{SESSIONS} sessions; {up.strip()} s; {done.strip()}; ended in {seconds:.1f} s of {BUDGET:g}"]
        report.append(f"{len(scrapes.seconds)} scrapes, the longest {longest:.2f} s; looked: {looked}")
        sys.stdout.write("\n" + "\n".join(report) + "\n")


def test_with_a_handler_that_never_returns_it_ends_within_its_budget_and_names_it(serve, tmp_path):
    daemon = serve(budget=1.0)
    with FrontClient(tmp_path / "front") as client, FrontClient(tmp_path / "front", timeout=60.0) as other:
        client.start("kept", persistent=True)
        client.call("activate", session="kept")
        client.call("start", session="hangs", class_="NeverReturns")
        activating = threading.Thread(target=_refused, args=(other,))
        activating.start()
        with InspectionClient(tmp_path / "look") as look:
            while not any(row["status"] in ("running", "hung") for row in look.list("ps", match="NeverReturns")):
                pass
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


def _prometheus(directory, url):
    """Start a real Prometheus that scrapes each second; return it and its address."""
    target = url.removeprefix("http://").removesuffix("/metrics")
    config = directory / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 1s, evaluation_interval: 1s}\n"
        f"rule_files: ['{ROOT / 'docs/prometheus/rules.yml'}']\n"
        "scrape_configs: [{job_name: sessionactors, scrape_timeout: 1s, "
        f"static_configs: [{{targets: ['{target}']}}]}}]\n"
    )
    process = subprocess.Popen(
        [
            "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={directory / 'tsdb'}",
            "--web.listen-address=127.0.0.1:19590",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return process, "http://127.0.0.1:19590"


def _asked(prometheus, query):
    """Ask for a figure until it is there."""
    from urllib.parse import quote

    deadline = time.monotonic() + 30.0
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{prometheus[1]}/api/v1/query?query={quote(query)}", timeout=5.0) as answer:
                found = json.load(answer)["data"]["result"]
        except OSError:
            found = []
        if found:
            return float(found[0]["value"][1])
    raise AssertionError(f"no answer to {query}")
