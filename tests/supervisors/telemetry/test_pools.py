from __future__ import annotations

import shutil
import subprocess

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from supervisors.errors import InvalidArgumentError, InvalidTypeError
from supervisors.pools import PoolStoppedError, WorkerPool
from supervisors.telemetry import PoolCollector


@pytest.fixture
def pool():
    with WorkerPool(abs, 2) as pool:
        yield pool


@pytest.fixture
def registry(pool):
    registry = CollectorRegistry()
    registry.register(PoolCollector({"absolute": pool}))
    return registry


def test_workers_and_tasks_are_counted_by_what_they_do_and_how_they_ended(pool, registry):
    assert [pool.submit(number).result(10.0) for number in (-1, 2)] == [1, 2]
    with pytest.raises(TypeError):
        pool.submit("x").result(10.0)

    def value(name, **labels):
        return registry.get_sample_value(f"supervisors_pool_{name}", {"pool": "absolute", **labels})

    assert value("tasks_total", outcome="done") == 2
    assert value("tasks_total", outcome="failed") == 1
    assert value("tasks_total", outcome="expired") == 0
    assert value("submitted_total") == 3
    assert value("size") == 2
    assert sum(value("workers", state=state) for state in ("idle", "busy", "starting", "lent")) == 2
    assert value("oldest_age_seconds") == 0.0


def test_a_pool_that_says_nothing_is_left_out_and_the_others_are_shown(pool):
    class Gone:
        def statistics(self):
            raise PoolStoppedError("it has ended")

    registry = CollectorRegistry()
    registry.register(PoolCollector({"gone": Gone(), "absolute": pool}))
    assert registry.get_sample_value("supervisors_pool_size", {"pool": "gone"}) is None
    assert registry.get_sample_value("supervisors_pool_size", {"pool": "absolute"}) == 2


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (None, InvalidTypeError),
        ([], InvalidTypeError),
        ({}, InvalidArgumentError),
        ({"x": 1}, InvalidTypeError),
        ({"": None}, InvalidTypeError),
        ({1: None}, InvalidTypeError),
        (dict.fromkeys(map(str, range(51))), InvalidArgumentError),
    ],
)
def test_what_is_no_mapping_of_names_to_pools_is_refused(given, error):
    with pytest.raises(error, match="pools"):
        PoolCollector(given)


def test_promtool_finds_nothing_wrong(registry):
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    done = subprocess.run(
        [promtool, "check", "metrics"], input=generate_latest(registry), capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
