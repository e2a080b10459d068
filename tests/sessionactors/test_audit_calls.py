"""What a program can do with the audit log of a session system."""

from __future__ import annotations

import csv
import io
import json
import logging

import pytest

from sessionactors.audit.archives import is_archive
from sessionactors.audit.errors import AuditError, AuditWriteError
from sessionactors.audit.queries import AuditReader
from sessionactors.audit.verify import verify
from sessionactors.errors import InvalidKind, InvalidValue, NotFound, UnsupportedFormat
from tests.sessionactors.audit.test_service import break_log
from tests.sessionactors.session_world import start_active, virtual


@pytest.fixture(params=["memory", "disk"])
def system(request, tmp_path):
    with virtual(audit_dir=None if request.param == "memory" else tmp_path / "log") as made:
        yield made


@pytest.fixture
def on_disk(tmp_path):
    with virtual(audit_dir=tmp_path / "log") as made:
        yield made


def last(system, **wanted):
    *_, record = system.get_events(**wanted)
    return record


class TestLogging:
    def test_a_transition_has_both_states(self, system):
        system.log_state_transition("s", "new", "active", {"why": "asked"})
        record = last(system)
        assert (record.type, record.severity, record.session) == ("state_transition", "info", "s")
        assert (record.data["from_state"], record.data["to_state"], record.data["why"]) == ("new", "active", "asked")

    def test_an_authentication_has_its_action_and_is_durable_at_once(self, on_disk):
        on_disk.log_auth_event("s", "granted", {"factor": "password"})
        with AuditReader(on_disk._ledger.log.directory) as reader:
            (record,) = reader.events()
        assert (record.type, record.data["auth_action"], record.data["factor"]) == ("auth", "granted", "password")

    @pytest.mark.parametrize(("event_type", "size"), [("auth", 1), ("security", 1), ("lifecycle", 0), ("resource", 0)])
    def test_what_is_about_security_is_acknowledged_when_it_is_on_the_disk(self, on_disk, event_type, size):
        on_disk.log_event("s", event_type)
        with AuditReader(on_disk._ledger.log.directory) as reader:
            assert reader.size == size

    def test_what_is_about_security_is_not_acknowledged_where_it_cannot_be_written(self, caplog):
        caplog.set_level(logging.CRITICAL, "sessionactors")
        with virtual() as system:
            log = break_log(system)
            with pytest.raises(AuditError):
                system.log_auth_event("s", "granted")
            system.log_event("s", "lifecycle")
            log.full = False

    def test_a_resource_has_its_kind(self, system):
        system.log_resource_event("s", "memory", {"used": 3})
        assert (last(system).type, last(system).data["resource_type"], last(system).data["used"]) == (
            "resource",
            "memory",
            3,
        )

    def test_an_error_has_its_message_and_severity(self, system):
        system.log_error("s", "it broke", ValueError("no"))
        record = last(system)
        assert (record.type, record.severity, record.data["error_message"]) == ("error", "error", "it broke")
        assert record.data["error"] == {"error": "ValueError", "message": "no"}

    def test_what_is_no_mapping_is_refused(self, system):
        with pytest.raises(InvalidKind, match="extra"):
            system.log_state_transition("s", "new", "active", ["no"])


class TestReading:
    def test_finds_all_of_a_session(self, system):
        start_active(system, "a", "b")
        assert {record.session for record in system.get_session_events("a")} == {"a"}
        found = [(record.session, record.data["to_state"]) for record in system.query_events("a", "state_transition")]
        assert found == [("a", "auth"), ("a", "active")]

    def test_is_never_cut_silently(self, system):
        for number in range(1500):
            system.log_event("s", "lifecycle", {"n": number})
        trail = system.get_session_events("s")
        assert [record.data["n"] for record in trail] == list(range(1500))
        assert (trail.is_cut, trail.sealed, trail.forgotten) == (False, 0, 0)

    def test_says_that_a_limit_has_cut(self, system):
        for number in range(5):
            system.log_event("s", "lifecycle", {"n": number})
        trail = system.query_events("s", "lifecycle", 3)
        assert [record.data["n"] for record in trail] == [0, 1, 2]
        assert trail.is_cut
        trail = system.query_events("s", "lifecycle", 5)
        assert len(list(trail)) == 5
        assert not trail.is_cut

    def test_finds_by_severity_time_and_actor(self, system):
        system.log_error("s", "early")
        system.actors.advance(10.0)
        system.log_error("s", "late")
        system.log_event("s", "lifecycle")
        found = system.get_events(severity="error", since=5.0, actor="program")
        assert [record.data["error_message"] for record in found] == ["late"]
        assert [record.data["error_message"] for record in system.get_events_by_type("error")] == ["early", "late"]

    def test_finds_what_happened_by_its_text(self, system):
        system.log_error("s", "The disk is full", {"where": ["here", "There"]})
        system.log_error("s", "something else")
        for text in ("DISK", "there", "error_MESSAGE"):
            found = [record.data["error_message"] for record in system.get_events(text=text)]
            assert found[0] == "The disk is full"
        assert len(list(system.get_events(text="disk"))) == 1

    def test_can_be_given_back_half_read(self, system):
        for _ in range(5):
            system.log_event("s", "lifecycle")
        with system.get_events() as trail:
            next(trail)
        assert list(trail) == []

    def test_says_what_a_log_in_memory_has_forgotten(self):
        with virtual() as system:
            log = system._ledger.log
            log._recent = type(log._recent)(3)
            for number in range(5):
                system.log_event("s", "lifecycle", {"n": number})
            trail = system.get_events()
            assert [record.data["n"] for record in trail] == [2, 3, 4]
            assert trail.forgotten == 2

    def test_says_how_many_sealed_logs_it_left_out_and_reads_them_if_asked(self, tmp_path):
        with virtual(audit_dir=tmp_path / "log", audit={"max_events": 4}) as system:
            for number in range(6):
                system.log_event("s", "lifecycle", {"n": number})
                system.commit_audit()
                system.actors.advance(1.0)
            assert any(is_archive(path) for path in (tmp_path / "log" / "archive").iterdir())
            trail = system.get_session_events("s")
            assert trail.sealed == 1
            assert [record.data["n"] for record in trail] == [4, 5]
            every = system.get_events(session_id="s", with_sealed=True)
            assert [record.data["n"] for record in every] == list(range(6))
            assert every.sealed == 0

    def test_finds_sessions_under_a_keyed_hash_by_their_ids(self, tmp_path):
        for directory in (tmp_path / "log", None):
            with virtual(audit_dir=directory, audit={"redact_ids": True}) as system:
                start_active(system, "alice", "bob")
                found = list(system.get_session_events("alice"))
                assert found
                assert {record.session for record in found}.isdisjoint({"alice", None})
        assert b"alice" not in (tmp_path / "log" / "audit.db").read_bytes()

    @pytest.mark.parametrize(
        "wanted", [{"event_type": "no"}, {"severity": "no"}, {"limit": 0}, {"since": float("nan")}, {"actor": ""}]
    )
    def test_refuses_what_does_not_exist(self, system, wanted):
        with pytest.raises(InvalidValue):
            system.get_events(**wanted)

    def test_refuses_once_the_system_has_stopped(self, tmp_path):
        with virtual(audit_dir=tmp_path / "log") as system:
            pass
        with pytest.raises(NotFound):
            system.get_events()


class TestAReport:
    def test_has_all_entries_of_the_session(self, on_disk):
        start_active(on_disk, "a", "b")
        found = json.loads(on_disk.generate_report("a"))
        assert found["session_id"] == "a"
        assert found["event_count"] == len(found["events"]) > 3
        assert {each["session"] for each in found["events"]} == {"a"}
        assert found["verification"]["outcome"] == "valid"

    def test_of_a_log_in_memory_says_that_nobody_signed_it(self):
        with virtual() as system:
            start_active(system, "a")
            found = json.loads(system.generate_report("a"))
        assert found["event_count"] > 3
        assert (found["status"], found["verification"]["exit_code"]) == ("not verified", 3)

    def test_finds_the_session_where_the_log_does_not_tell_ids(self, tmp_path):
        for directory in (tmp_path / "log", None):
            with virtual(audit_dir=directory, audit={"redact_ids": True}) as system:
                start_active(system, "a", "b")
                assert json.loads(system.generate_report("a"))["event_count"] > 3

    def test_leaves_data_out_if_wanted(self, on_disk):
        start_active(on_disk, "a")
        found = json.loads(on_disk.generate_report("a", include_data=False))
        assert {str(each["data"]) for each in found["events"]} == {"{}"}

    def test_can_be_csv(self, system):
        start_active(system, "a")
        rows = list(csv.reader(io.StringIO(system.generate_report("a", "csv").decode())))
        assert ["session_id", "a"] in rows

    def test_in_another_format_is_refused(self, system):
        with pytest.raises(UnsupportedFormat):
            system.generate_report("a", "pdf")


class TestAnExport:
    def test_has_all_entries_and_is_itself_logged(self, system, tmp_path):
        start_active(system, "a")
        count = system.export_events(None, tmp_path / "out.jsonl", "jsonl", actor="admin:eve")
        lines = (tmp_path / "out.jsonl").read_text().splitlines()
        assert len(lines) == count > 3
        assert (last(system).type, last(system).data["action"], last(system).data["by"]) == (
            "compliance",
            "export",
            "admin:eve",
        )

    def test_replaces_no_file(self, system, tmp_path):
        (tmp_path / "out").write_text("mine")
        with pytest.raises(AuditWriteError):
            system.export_events("a", tmp_path / "out")
        assert (tmp_path / "out").read_text() == "mine"
        assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".part")] == []

    def test_in_another_format_is_refused_and_not_logged(self, system, tmp_path):
        with pytest.raises(UnsupportedFormat):
            system.export_events("a", tmp_path / "out", "pdf")
        assert list(system.get_events(event_type="compliance")) == []


class TestLookingAfterIt:
    def test_retention_takes_effect_with_the_next_sweep_and_is_logged(self, on_disk):
        on_disk.log_event("s", "lifecycle")
        on_disk.commit_audit()
        on_disk.set_retention(1)
        assert last(on_disk).data["retention_days"] == 1
        on_disk.actors.advance(2 * 86_400.0)
        assert on_disk.audit_counts().seals == 1

    def test_a_retention_that_makes_no_sense_is_refused_and_not_logged(self, system):
        for days in (0, -1, True, "30"):
            with pytest.raises((InvalidValue, InvalidKind)):
                system.set_retention(days)
        assert list(system.get_events(event_type="compliance")) == []

    def test_figures_are_those_of_the_log(self, system):
        system.log_error("s", "no")
        system.commit_audit()
        system.log_event("s", "lifecycle")
        found = system.get_stats()
        assert (found.total_events, found.events_by_type, found.waiting, found.lost) == (1, {"error": 1}, 1, 0)
        assert (found.retention_days, found.max_events) == (30, 1_000_000)

    def test_one_person_is_erased(self, on_disk):
        on_disk.start_session("s", {"user_id": "alice"})
        on_disk.authenticate("s", {"authenticated": True})
        on_disk.activate("s")
        assert [each.data["user_id"] for each in on_disk.get_events() if "user_id" in each.data] == ["alice"]
        erasure = on_disk.erase_subject("alice", actor="admin:eve", reason="article 17")
        assert erasure.commitments == 1
        assert [each.data["user_id"] for each in on_disk.get_events() if "user_id" in each.data] == []
        assert last(on_disk).data["event"] == "subject_erased"
        assert verify(on_disk._ledger.log.directory).outcome == "valid"
        assert on_disk.erase_subject("alice", actor="admin:eve") is None

    def test_nobody_is_erased_from_memory(self):
        with virtual() as system, pytest.raises(AuditWriteError):
            system.erase_subject("alice", actor="admin:eve")
