"""An actor that is really stuck makes the alerts that we ship fire, in a real Prometheus."""

from __future__ import annotations

import os
import threading

import pytest

from supervisors import Actor, ActorSystem, ChildSpec, Supervisor, SystemClock, start_named
from supervisors.health import Endpoint, Health, HealthCollector
from supervisors.telemetry import Telemetry
from tests.docs.prometheus_server import MISSING, RULES, Prometheus, is_installed, quick

pytestmark = [
    pytest.mark.skipif(not is_installed(), reason=MISSING),
    # Prometheus looks five seconds after its start for what it is to scrape, and that cannot be changed.
    pytest.mark.skipif("ALERTS" not in os.environ, reason="takes eight seconds; ALERTS=1 or `make alerts` runs it"),
]


class Hangs(Actor):
    """Never comes back from a message, until somebody lets it."""

    def __init__(self, released):
        super().__init__()
        self.released = released

    def on_receive(self, message):
        self.released.wait()


@pytest.fixture
def world():
    """Return a system with an actor that is stuck, the health that watches it, and where it can be scraped."""
    released = threading.Event()
    with ActorSystem(shutdown_timeout=5.0) as system:
        system.start(Supervisor, [ChildSpec("worker", start_named, ("worker", Hangs, released))])
        health = Health(system, interval=0.05)
        telemetry = Telemetry(system, with_process=False)
        telemetry.add(HealthCollector(health))
        endpoint = Endpoint(health, telemetry, clock=SystemClock())
        endpoint.start()
        health.start()
        worker = system.whereis("worker")
        try:
            yield health, worker, "{}:{}".format(*endpoint.address)
        finally:
            released.set()
            health.stop()
            endpoint.stop()
            telemetry.close()


def test_a_stuck_actor_makes_the_alert_fire_and_its_end_ends_the_alert(world, tmp_path):
    health, worker, target = world
    soon = tmp_path / "soon.yml"
    soon.write_text(quick(RULES.read_text(encoding="utf-8"), "1s"))
    with Prometheus(tmp_path, target, [RULES, soon], every="200ms") as prometheus:
        prometheus.until(lambda: prometheus.value("supervisors_stuck_actors"), lambda value: value == 0)
        assert prometheus.alerts() == []
        health.watch("worker", within=0.1)
        worker.tell("hang")
        worker.tell("waits")
        # The rules as they are want it to be so for a minute; the copy, which differs in nothing else, for a second.
        stuck = prometheus.until(prometheus.alerts, lambda found: "firing" in [each.state for each in found])
        worker.kill()  # another one works in its place; the thread is left alone, and that is an alert, too
        left = prometheus.until(prometheus.alerts, lambda found: {each.name for each in found} == {"WorkersAbandoned"})
    assert [(each.name, each.state, each.severity) for each in stuck] == [
        ("ActorStuck", "firing", "critical"),
        ("ActorStuck", "pending", "critical"),
    ]
    assert stuck[0].summary == f"1 watched actors of {target} make no progress"
    assert {each.state for each in left} == {"firing"}
