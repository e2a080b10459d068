"""A log on disk is looked after: sealed, packed, checked, and signed in silence."""

from __future__ import annotations

import logging

import pytest

from sessionactors.audit.errors import AuditLockedError, AuditWriteError
from sessionactors.audit.queries import AuditReader
from sessionactors.audit.upkeep import SWEEP
from sessionactors.audit.verify import verify
from tests.sessionactors.audit.conftest import alter
from tests.sessionactors.session_world import entries, kill, virtual

DAY = 86_400.0
QUIET = {"verify_interval": None, "idle_head_interval": None, "retention_days": None, "max_events": None}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "log"


def system_with(path, **settings):
    return virtual(audit_dir=path, audit={**QUIET, **settings})


def archived(path):
    folder = path / "archive"
    return sorted(each.name for each in folder.iterdir()) if folder.exists() else []


def events_of(system):
    return [each.data.get("event") for each in entries(system)]


class TestAge:
    def test_seals_the_log_at_the_first_sweep_after_it(self, path):
        with system_with(path, retention_days=2) as system:
            system.log_event(None, "lifecycle", durable=True)
            system.actors.advance(2 * DAY)
            assert (archived(path), system._ledger.log.size) == ([], 1)
            system.actors.advance(3600.0)
            assert (archived(path), system.audit_counts().seals) == (["00000001.tar.gz"], 1)
            (first,) = entries(system)
            assert (first.data["event"], first.data["reason"], first.actor) == (
                "log_continues",
                "retention_days",
                "audit",
            )

    def test_seals_nothing_if_nothing_has_happened_since(self, path):
        with system_with(path, retention_days=1) as system:
            system.log_event(None, "lifecycle", durable=True)
            system.actors.advance(9 * DAY)
            assert archived(path) == ["00000001.tar.gz"]

    def test_of_none_never_seals(self, path):
        with system_with(path, sweep_interval=DAY, idle_head_interval=None) as system:
            system.log_event(None, "lifecycle", durable=True)
            system.actors.advance(400 * DAY)
            assert archived(path) == []

    def test_is_looked_at_as_often_as_the_settings_say(self, path):
        with system_with(path, retention_days=1, sweep_interval=10 * DAY) as system:
            system.log_event(None, "lifecycle", durable=True)
            system.actors.advance(9 * DAY)
            assert archived(path) == []
            system.actors.advance(2 * DAY)
            assert archived(path) == ["00000001.tar.gz"]


class TestCount:
    def test_seals_the_log_when_it_is_reached(self, path):
        with system_with(path, max_events=5) as system:
            for number in range(4):
                system.log_event(None, "lifecycle", {"n": number}, durable=True)
            system.actors.settle()
            assert archived(path) == []
            system.log_event(None, "lifecycle", {"n": 4}, durable=True)
            system.actors.settle()
            assert (archived(path), events_of(system)) == (["00000001.tar.gz"], ["log_continues"])

    def test_loses_no_event_over_many_logs(self, path):
        with system_with(path, max_events=7) as system:
            for number in range(40):
                system.log_event(None, "lifecycle", {"n": number}, durable=True)
                system.actors.settle()
            assert system.audit_counts().lost == 0
        packed = sorted((path / "archive").iterdir())
        found = [verify(each) for each in [*packed, path]]
        assert {each.outcome for each in found} == {"valid"}
        # Each log after the first has one entry that continues the one before.
        assert sum(each.size for each in found) == 40 + len(packed)
        assert len(packed) == 6


def test_nothing_is_done_for_a_log_in_memory():
    with virtual(audit={"max_events": 2, "retention_days": 1}) as system:
        for number in range(5):
            system.log_event(None, "lifecycle", {"n": number})
        system.actors.advance(9 * DAY)
        assert [each.data["n"] for each in entries(system)] == [0, 1, 2, 3, 4]
        assert system.audit_counts()[2:] == (0, 0, 0, 0)


class TestASealThatCannotBe:
    def test_done_now_is_done_by_a_later_sweep(self, path, caplog):
        with system_with(path, max_events=3) as system:
            with AuditReader(path), caplog.at_level(logging.CRITICAL, "sessionactors.audit"):
                for number in range(4):
                    system.log_event(None, "lifecycle", {"n": number}, durable=True)
                system.actors.settle()
                assert archived(path) == []
            system.log_event(None, "lifecycle", {"n": 4}, durable=True)
            system.actors.advance(3600.0)
            assert archived(path) == ["00000001.tar.gz"]

    def test_completed_is_completed_by_the_next_write(self, path, monkeypatch, caplog):
        with system_with(path, max_events=3) as system:
            from sessionactors.audit import sealing

            def full(_):
                raise AuditWriteError("audit log", "the disk is full", "make room")

            with monkeypatch.context() as patch, caplog.at_level(logging.CRITICAL, "sessionactors"):
                patch.setattr(sealing, "finish", full)
                for number in range(3):
                    system.log_event(None, "lifecycle", {"n": number}, durable=True)
                system.actors.settle()
                system.log_event("a", "lifecycle", {"n": 3})
                with pytest.raises(AuditWriteError):
                    system.commit_audit()
            assert [each.data.get("n") for each in entries(system)] == [None, 3]

    def test_tried_while_somebody_reads_does_not_stop_the_actor(self, path, caplog):
        with system_with(path, max_events=2) as system:
            audit = system.actors.whereis("audit")
            with AuditReader(path), caplog.at_level(logging.CRITICAL, "sessionactors.audit"):
                system.log_event(None, "lifecycle", durable=True)
                system.log_event(None, "lifecycle", durable=True)
                audit.send(SWEEP)
                system.actors.settle()
                with pytest.raises(AuditLockedError):
                    system._ledger.sweep()
            assert system.actors.whereis("audit") is audit


class TestACheck:
    def test_finds_what_was_written(self, path):
        with system_with(path, verify_interval=300.0) as system:
            system.log_event(None, "lifecycle", durable=True)
            system.actors.advance(950.0)
            assert system.audit_counts()[3:5] == (3, 0)

    def test_reports_what_was_altered(self, path, caplog):
        with system_with(path, verify_interval=300.0) as system:
            for number in range(5):
                system.log_event(None, "lifecycle", {"n": number}, durable=True)
            alter(path, "UPDATE entries SET leaf = (SELECT leaf FROM entries WHERE sequence = 3) WHERE sequence = 2")
            with caplog.at_level(logging.ERROR, "sessionactors.audit"):
                system.actors.advance(301.0)
            assert "looking after the audit log failed" in caplog.text
            assert system.audit_counts()[3:5] == (1, 1)
            last = entries(system)[-1]
            assert (last.type, last.severity, last.data["event"]) == ("security", "critical", "verification_failed")

    def test_does_not_keep_a_log_from_being_sealed(self, path):
        with system_with(path, verify_interval=3600.0, retention_days=1, sweep_interval=3600.0) as system:
            system.log_event(None, "lifecycle", durable=True)
            system.actors.advance(3 * DAY)
            assert archived(path) == ["00000001.tar.gz"]

    def test_can_be_turned_off(self, path):
        with system_with(path) as system:
            system.actors.advance(9000.0)
            assert system.audit_counts().checks == 0


class TestSilence:
    def test_is_signed(self, path):
        with system_with(path, idle_head_interval=60.0) as system:
            system.log_event(None, "lifecycle", durable=True)
            before = system._ledger.log.head()
            system.actors.advance(185.0)
            after = system._ledger.log.head()
            assert (before.size, after.size) == (1, 4)
            assert events_of(system)[1:] == ["log_alive"] * 3
        assert verify(path).outcome == "valid"

    def test_is_not_what_there_is_while_events_come(self, path):
        with system_with(path, idle_head_interval=60.0) as system:
            for _ in range(10):
                system.log_event(None, "lifecycle", durable=True)
                system.actors.advance(50.0)
            assert "log_alive" not in events_of(system)

    def test_is_not_signed_where_the_settings_say_so(self, path):
        with system_with(path) as system:
            system.actors.advance(9000.0)
            assert system._ledger.log.size == 0


def test_a_new_actor_packs_what_the_one_before_has_left(path):
    with system_with(path, max_events=5) as system:
        for number in range(5):
            system.log_event(None, "lifecycle", {"n": number})
        system._ledger.write()
        assert system._ledger.sweep() is not None
        assert archived(path) == ["00000001"]
        kill(system, "audit")
        system.actors.settle()
        assert archived(path) == ["00000001.tar.gz"]
