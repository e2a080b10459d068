from __future__ import annotations

import shutil
import subprocess

import pytest
from prometheus_client import CollectorRegistry

from sessionactors import Session, SessionOptions, SessionSystem
from sessionactors.daemon.metrics import SessionCollector
from sessionactors.states import EDGES
from supervisors.clock import VirtualClock
from supervisors.telemetry import Telemetry


@pytest.fixture
def system():
    with SessionSystem(
        session=SessionOptions(auth_required=False), limiter={"capacity": 2.0, "rate": 0.001}, clock=VirtualClock()
    ) as system:
        yield system


@pytest.fixture
def registry(system):
    registry = CollectorRegistry()
    registry.register(SessionCollector(system))
    return registry


def sessions(registry, state):
    return registry.get_sample_value("sessionactors_sessions", {"state": state})


def test_live_sessions_are_counted_by_state(system, registry):
    for name in ("one", "two", "three"):
        system.start_session(name)
    system.activate("one")
    system.activate("two")
    system.suspend("two")
    assert [sessions(registry, state) for state in ("new", "active", "suspended", "idle")] == [1, 1, 1, 0]


def test_a_session_on_the_worker_pool_is_counted_too(system, registry):
    class Shared(Session):
        dispatch = "shared"

    system.start_session("shared", session_class=Shared)
    assert sessions(registry, "new") == 1


def test_reading_the_figures_is_no_activity(system, registry):
    system.start_session("one")
    system.actors.advance(10.0)
    registry.get_sample_value("sessionactors_sessions", {"state": "new"})
    (entry,) = system.list_sessions()
    assert entry.idle == 10.0


def test_transitions_are_counted_and_those_that_never_happened_have_a_zero(system, registry):
    system.start_session("one")
    system.activate("one")
    system.deactivate("one")
    system.commit_audit()
    for edge, count in ((("new", "active"), 1), (("active", "idle"), 1), (("idle", "suspended"), 0)):
        labels = dict(zip(("from", "to"), edge, strict=True))
        assert registry.get_sample_value("sessionactors_session_transitions_total", labels) == count


def test_decisions_of_the_limiter_are_counted(system, registry):
    system.start_session("one")
    for _ in range(3):
        system.check_rate_limit("one")
    name = "sessionactors_limiter_decisions_total"
    assert registry.get_sample_value(name, {"decision": "admitted"}) == 2
    assert registry.get_sample_value(name, {"decision": "refused"}) == 1
    assert registry.get_sample_value("sessionactors_limiter_buckets") == 1


def test_sessions_that_the_reaper_ended_are_counted(system, registry):
    system.start_session("one")
    system.reap("all")
    assert registry.get_sample_value("sessionactors_reaped_total") == 1


def test_what_waits_for_the_audit_and_what_it_took_are_told(system, registry):
    system.commit_audit()
    before = registry.get_sample_value("sessionactors_audit_events_total", {"type": "compliance"}) or 0
    system.log_event(None, "compliance", {"a": 1})
    system.commit_audit()
    assert registry.get_sample_value("sessionactors_audit_events_total", {"type": "compliance"}) == before + 1
    assert registry.get_sample_value("sessionactors_audit_pending") == 0
    assert registry.get_sample_value("sessionactors_audit_lost_total") == 0


def test_snapshots_that_were_stored_are_counted(system, registry):
    system.start_session("kept", {"persistent": True})
    system.persist("kept")
    assert registry.get_sample_value("sessionactors_store_saved_total") >= 1
    assert registry.get_sample_value("sessionactors_store_pending") == 0


def test_a_start_that_was_withdrawn_does_not_count_backwards(system, registry):
    system.start_session("one")
    name = "sessionactors_sessions_started_total"
    assert registry.get_sample_value(name) == 1
    system.directory.withdraw("one", system.directory.get("one"))
    assert registry.get_sample_value(name) == 1


def test_a_thousand_sessions_make_as_many_lines_as_one(system, registry):
    def lines():
        return sum(len(family.samples) for family in registry.collect())

    system.start_session("first")
    system.commit_audit()
    before = lines()
    for number in range(1000):
        system.start_session(f"session-{number}")
    system.commit_audit()
    assert lines() == before


def test_every_possible_transition_is_a_line(registry):
    (family,) = [each for each in registry.collect() if each.name == "sessionactors_session_transitions"]
    assert len(family.samples) == sum(len(targets) for targets in EDGES.values())


def test_a_stopped_system_can_still_be_read(system, registry):
    system.start_session("one")
    system.stop()
    assert sessions(registry, "new") == 0


def test_promtool_finds_nothing_wrong(system):
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool here (Debian package prometheus)")
    telemetry = Telemetry(system.actors)
    telemetry.add(SessionCollector(system))
    system.start_session("one")
    system.activate("one")
    text, _ = telemetry.exposition()
    checked = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, check=False, timeout=30)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")


def test_limits_that_were_passed_are_counted_by_resource_and_by_whose_they_were(system, registry):
    system.start_session("one")
    system.isolate("one", message_limit=10, isolated=False)

    def passed(resource, limit):
        return registry.get_sample_value(
            "sessionactors_isolation_violations_total", {"resource": resource, "limit": limit}
        )

    assert passed("messages", "session_soft") == 0
    system.record_usage("one", messages=9)
    assert (passed("messages", "session_soft"), passed("messages", "session_hard")) == (1, 0)
    system.record_usage("one", messages=100_000)
    assert (passed("messages", "session_hard"), passed("messages", "all_hard")) == (1, 1)
    assert passed("memory", "session_soft") == 0


def test_the_lag_of_the_audit_is_the_age_of_the_oldest_event_that_waits(system, registry):
    system.commit_audit()
    assert registry.get_sample_value("sessionactors_audit_lag_seconds") == 0.0
    now = system.actors.clock.monotonic()
    system.parts.audit.intake._queue.append((now - 3.0, None, 0, b"", "test"))
    try:
        assert registry.get_sample_value("sessionactors_audit_lag_seconds") == pytest.approx(3.0)
    finally:
        system.parts.audit.intake._queue.pop()
