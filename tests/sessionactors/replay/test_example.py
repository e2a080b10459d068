"""The sample in examples/ is what its script writes, and has everything a sample should show."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from sessionactors.replay.events import AccessRequest
from sessionactors.replay.source import Log, read_log
from tests.sessionactors.replay.oracle import Options, expect

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.fixture(scope="module")
def log() -> Log:
    return read_log([str(EXAMPLES / "access.log")])


@pytest.fixture(scope="module")
def requests(log) -> list[AccessRequest]:
    return [event for event in log.events if isinstance(event, AccessRequest)]


def test_the_script_writes_the_committed_file_byte_for_byte(tmp_path):
    script = EXAMPLES / "generate_access_log.py"
    subprocess.run(
        [sys.executable, str(script), str(tmp_path / "access.log")],
        check=True,
        env={"PYTHONPATH": str(EXAMPLES.parent), "PYTHONHASHSEED": "7", "LC_ALL": "C"},
    )
    assert (tmp_path / "access.log").read_bytes() == (EXAMPLES / "access.log").read_bytes()


def test_it_has_an_afternoon_of_a_small_site(log, requests):
    assert log.format == "access"
    assert 3_000 <= len(requests) <= 4_000
    assert len({request.client for request in requests}) == pytest.approx(200, abs=20)
    assert requests[-1].time - requests[0].time == pytest.approx(5 * 3600, abs=600)


def test_it_has_a_few_lines_that_cannot_be_read(log):
    assert log.bad_lines == 4


def test_it_has_every_kind_of_answer(requests):
    statuses = Counter(request.status for request in requests)
    assert {200, 304, 400, 401, 403, 404, 408, 500, 503} == set(statuses)
    assert any(request.size == 0 for request in requests)


def test_it_has_every_kind_of_client(requests):
    clients = {request.client for request in requests}
    assert any(":" in client for client in clients)
    assert any(client.endswith("example.net") for client in clients)
    assert any(request.user != "-" for request in requests)
    assert any('"' in request.user_agent for request in requests)
    assert any(request.request == "-" for request in requests)


def test_it_is_a_little_out_of_order(log):
    lines = (EXAMPLES / "access.log").read_text().splitlines()
    stamps = [line.partition("[")[2][:26] for line in lines if "/Mar/2026" in line]
    assert stamps != sorted(stamps)


def test_its_sessions_take_every_way(log):
    found = expect((EXAMPLES / "access.log").read_text().splitlines(), Options())
    assert found.bad_lines == log.bad_lines
    assert found.sessions > found.clients
    assert found.rate_limited > 0
    assert set(found.transitions) == {
        "new->auth",
        "auth->active",
        "active->idle",
        "idle->active",
        "idle->suspended",
        "suspended->active",
        "suspended->terminated",
    }
