"""The rules that we ship are valid, speak of figures that there are, and fire when they should."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from sessionactors import SessionSystem
from sessionactors.daemon.metrics import SessionCollector
from supervisors import Actor, ActorSystem, VirtualClock
from supervisors.health import Health, HealthCollector
from supervisors.telemetry import Telemetry

RULES = Path(__file__).parents[2] / "docs" / "prometheus" / "rules.yml"


@pytest.fixture(scope="module")
def promtool():
    """Return a function that runs promtool and returns what it says when it finds nothing wrong."""
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("no promtool here (Debian package prometheus)")

    def run(*arguments):
        done = subprocess.run([found, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def test_the_rules_are_valid(promtool):
    assert "SUCCESS" in promtool("check", "rules", RULES)


def test_the_rules_speak_of_figures_that_there_are():
    with SessionSystem() as system:
        telemetry = Telemetry(system.actors)
        telemetry.add(SessionCollector(system))
        telemetry.add(HealthCollector(Health(system.actors)))
        text = telemetry.exposition()[0].decode()
    exposed = set(re.findall(r"^# TYPE (\S+) ", text, re.MULTILINE))
    spoken_of = set(re.findall(r"(?<![:\w])(?:supervisors|sessionactors)_\w+", RULES.read_text(encoding="utf-8")))
    assert spoken_of
    assert not spoken_of - exposed


def test_an_actor_that_is_stuck_makes_the_alert_fire(promtool, tmp_path):
    with ActorSystem(clock=VirtualClock()) as system:
        health = Health(system)
        telemetry = Telemetry(system, with_process=False)
        telemetry.add(HealthCollector(health))
        health.watch("absent", within=5.0)
        scraped = []
        for _ in range(5):  # a scrape a minute; the first finds nobody stuck yet
            health.look()
            scraped.append(telemetry.registry.get_sample_value("supervisors_stuck_actors"))
            system.clock.move_to(system.clock.monotonic() + 60.0)
    assert scraped[0] == 0
    values = " ".join(f"{value:.0f}" for value in scraped)
    case = tmp_path / "case.yml"
    case.write_text(
        f"""
rule_files: [{RULES}]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - series: supervisors_stuck_actors{{instance="here"}}
        values: {values}
    alert_rule_test:
      - eval_time: 1m
        alertname: ActorStuck
        exp_alerts: []
      - eval_time: 3m
        alertname: ActorStuck
        exp_alerts:
          - exp_labels: {{severity: critical, instance: here}}
            exp_annotations:
              summary: 1 watched actors of here make no progress
              description: /live names them. SIGUSR1 writes what they are doing to standard error.
"""
    )
    assert "SUCCESS" in promtool("test", "rules", case)


def test_the_first_time_that_a_supervisor_gives_up_makes_the_alert_fire_and_later_end(promtool, tmp_path):
    series = (
        'supervisors_child_failures_total{instance="here",supervisor="top",child="w",context="shutdown",reason="x"}'
    )
    fires = """
        exp_alerts:
          - exp_labels: {severity: critical, instance: here, supervisor: top, child: w}
            exp_annotations:
              summary: top of here gave up on w
              description: It was restarted more often than its supervisor allows."""
    case = tmp_path / "case.yml"
    case.write_text(
        f"""
rule_files: [{RULES}]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - series: {series}
        values: _ _ _ 1x20 2x20
    alert_rule_test:
      - eval_time: 2m
        alertname: SupervisorGaveUp
        exp_alerts: []
      - eval_time: 4m
        alertname: SupervisorGaveUp{fires}
      - eval_time: 20m
        alertname: SupervisorGaveUp
        exp_alerts: []
      - eval_time: 26m
        alertname: SupervisorGaveUp{fires}
"""
    )
    assert "SUCCESS" in promtool("test", "rules", case)


def test_a_message_that_nobody_comes_to_makes_the_alert_fire(promtool, tmp_path):
    with ActorSystem(clock=VirtualClock()) as system:
        telemetry = Telemetry(system, with_process=False)
        ref = system.start(Actor)
        ref.suspend()
        ref.tell("waits")
        scraped = []
        for _ in range(5):  # a scrape a minute; the first does not know since when it waits
            scraped.append(telemetry.registry.get_sample_value("supervisors_mailbox_oldest_seconds"))
            system.clock.move_to(system.clock.monotonic() + 60.0)
        ref.resume()
        system.settle()
    assert scraped == [0.0, 60.0, 120.0, 180.0, 240.0]
    case = tmp_path / "case.yml"
    case.write_text(
        f"""
rule_files: [{RULES}]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - series: supervisors_mailbox_oldest_seconds{{instance="here"}}
        values: {" ".join(f"{value:.0f}" for value in scraped)}
    alert_rule_test:
      - eval_time: 2m
        alertname: OldMessages
        exp_alerts: []
      - eval_time: 3m
        alertname: OldMessages
        exp_alerts:
          - exp_labels: {{severity: warning, instance: here}}
            exp_annotations:
              summary: A message of here has waited for 3m 0s at least
              description: An actor does not come to it; `sessionactors ps --sort mailbox` shows which.
"""
    )
    assert "SUCCESS" in promtool("test", "rules", case)
