from __future__ import annotations

import shutil
import subprocess

import prometheus_client
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from supervisors import ActorSystem, ChildSpec, Supervisor, SupervisorFlags, VirtualClock
from supervisors.errors import InvalidTypeError
from supervisors.telemetry import Telemetry
from tests.supervisors.telemetry.test_metrics import Idle


class Top(Supervisor):
    def init(self):
        return SupervisorFlags(), [ChildSpec("worker", Idle)]


@pytest.fixture
def system():
    with ActorSystem(clock=VirtualClock()) as system:
        yield system


def test_the_text_is_prometheus_own_by_default(system):
    text, content_type = Telemetry(system).exposition()
    assert content_type.startswith("text/plain")
    assert {"supervisors_actors", "process_cpu_seconds"} <= {each.name for each in read_text(text.decode())}


def test_a_scraper_that_asks_for_openmetrics_gets_it(system):
    text, content_type = Telemetry(system).exposition("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert "supervisors_crashes" in {each.name for each in read_openmetrics(text.decode())}


def test_the_global_registry_stays_untouched(system):
    before = set(prometheus_client.REGISTRY._collector_to_names)
    Telemetry(system)
    assert set(prometheus_client.REGISTRY._collector_to_names) == before


def test_two_systems_have_figures_of_their_own(system):
    with ActorSystem(clock=VirtualClock()) as other:
        other.start(Idle)
        assert Telemetry(system).registry.get_sample_value("supervisors_actors") == 0
        assert Telemetry(other).registry.get_sample_value("supervisors_actors") == 1


def test_reports_are_counted_until_it_is_closed(system):
    telemetry = Telemetry(system, with_process=False)
    system.start(Top, name="one")
    telemetry.close()
    system.start(Top, name="two")
    assert set(telemetry.tally.snapshot().starts) == {("one", "worker")}


def test_what_has_nothing_to_collect_is_refused(system):
    with pytest.raises(InvalidTypeError) as refused:
        Telemetry(system).add("figures")
    assert refused.value.field == "collector"


def test_promtool_finds_nothing_wrong(system):
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool here (Debian package prometheus)")
    telemetry = Telemetry(system)
    system.start(Top, name="top")
    next(ref for ref in system.actors() if ref.actor_class is Idle).tell("crash")
    system.settle()
    text, _ = telemetry.exposition()
    checked = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, check=False, timeout=30)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")
