"""What an acknowledgement means, and what is refused when none can be given."""

from __future__ import annotations

import logging

import pytest

from sessionactors.audit.errors import AuditError, AuditWriteError
from sessionactors.audit.log import AuditLog
from sessionactors.audit.queries import AuditReader
from sessionactors.audit.verify import verify
from sessionactors.errors import AuditUnavailable, AuthenticationFailed
from sessionactors.session import Session
from tests.sessionactors.audit.conftest import some_events
from tests.sessionactors.audit.test_service import Broken, break_log
from tests.sessionactors.session_world import TRUSTED, entries, start_active, virtual


@pytest.fixture(autouse=True)
def quiet(caplog):
    caplog.set_level(logging.CRITICAL, "sessionactors")


class Echo(Session):
    def handle_request(self, request):
        return request


class TestADurableEvent:
    def test_is_on_the_disk_when_the_call_returns(self, tmp_path):
        with virtual(audit_dir=tmp_path / "log") as system:
            system.log_event("a", "security", {"n": 1}, durable=True)
            with AuditReader(tmp_path / "log") as reader:
                assert [each.data["n"] for each in reader.events()] == [1]

    def test_is_refused_with_the_reason_and_written_later(self):
        with virtual() as system:
            log = break_log(system)
            with pytest.raises(AuditWriteError):
                system.log_event("a", "auth", {"n": 1}, durable=True)
            log.full = False
            assert [each.data["n"] for each in entries(system, "a")] == [1]


class TestEach:
    def test_event_has_a_head_of_its_own(self, tmp_path):
        with virtual(audit_dir=tmp_path / "log", audit={"durability": "each"}) as system:
            for number in range(5):
                system.log_event(None, "lifecycle", {"n": number})
            system.commit_audit()
        found = verify(tmp_path / "log")
        assert (found.outcome, found.size, found.heads) == ("valid", 5, 6)

    @pytest.mark.parametrize("failing_at", range(1, 7))
    def test_event_is_written_once_whichever_commit_fails(self, failing_at):
        with virtual(audit={"durability": "each"}) as system:
            log = system._ledger.log = FailsAt(system._ledger.log, failing_at)
            for number in range(4):
                system.log_event("a", "lifecycle", {"n": number})
            if failing_at <= 5:
                with pytest.raises(AuditError):
                    system.commit_audit()
            assert [each.data["n"] for each in entries(system, "a")] == [0, 1, 2, 3]
            assert log.attempts > 4


class FailsAt(Broken):
    """A log of which one commit fails."""

    def __init__(self, log, number):
        super().__init__(log)
        self._number = number

    def commit(self):
        self.full = self.attempts + 1 == self._number
        return super().commit()


class TestOs:
    def test_waits_for_no_disk(self, tmp_path, monkeypatch):
        synced = []
        with AuditLog(tmp_path / "log", is_synced=False) as log:
            monkeypatch.setattr("os.fdatasync", synced.append)
            log.append_many(some_events(3))
            log.commit()
            assert synced == []
        assert verify(tmp_path / "log").outcome == "valid"

    def test_is_what_the_settings_ask_for(self, tmp_path):
        with virtual(audit_dir=tmp_path / "log", audit={"durability": "os"}) as system:
            assert system._ledger.log._is_synced is False
        with virtual(audit_dir=tmp_path / "log") as system:
            assert system._ledger.log._is_synced is True


def failing(system):
    """Have the log fail, and the audit actor notice."""
    log = break_log(system)
    system.log_event(None, "lifecycle")
    with pytest.raises(AuditError):
        system.commit_audit()
    return log


GRANTING = {
    "authenticate": ("new", lambda system: system.authenticate("new", TRUSTED)),
    "activate": ("auth", lambda system: system.activate("auth")),
    "resume": ("idle", lambda system: system.resume("idle")),
    "force_resume": ("idle", lambda system: system.force_resume("idle", admin="alice")),
    "unlock": ("new", lambda system: system.unlock("new", admin="alice")),
}
TAKING = {
    "deactivate": ("active", lambda system: system.deactivate("active")),
    "suspend": ("active", lambda system: system.suspend("active")),
    "terminate": ("active", lambda system: system.terminate("active")),
    "force_terminate": ("active", lambda system: system.force_terminate("active", admin="alice")),
    "lock": ("active", lambda system: system.lock("active", admin="alice")),
}


def with_sessions(**settings):
    system = virtual(audit=settings)
    start_active(system, "active", "idle")
    system.deactivate("idle")
    for session_id in ("new", "auth"):
        system.start_session(session_id)
    system.authenticate("auth", TRUSTED)
    return system


class TestALogThatCannotBeWritten:
    @pytest.mark.parametrize("name", GRANTING)
    def test_lets_nothing_be_granted(self, name):
        session, operation = GRANTING[name]
        with with_sessions() as system:
            log = failing(system)
            before = system.state_of(session)
            with pytest.raises(AuditUnavailable) as caught:
                operation(system)
            assert (caught.value.operation, caught.value.code) == (name, "audit_unavailable")
            assert system.state_of(session) == before
            log.full = False
            system.actors.advance(2.0)
            operation(system)

    @pytest.mark.parametrize("name", TAKING)
    def test_keeps_nothing_from_being_taken(self, name):
        _, operation = TAKING[name]
        with with_sessions() as system:
            log = failing(system)
            operation(system)
            log.full = False

    def test_holds_back_a_verdict_that_was_asked_for_before(self):
        with virtual(authenticator=lambda _: True) as system:
            system.start_session("a")
            system.authenticate("a", {"password": "right"})
            activation = system.directory.get("a").ask(("activate", None), block=False)
            log = failing(system)
            system.actors.advance(0.0)
            with pytest.raises(AuditUnavailable):
                activation.get(timeout=1.0)
            assert system.state_of("a") == "auth"
            log.full = False
            system.actors.advance(2.0)
            assert system.activate("a") == "active"  # the same attempt: nobody has failed
            assert system.get_metrics("a").auth_attempts == 1

    def test_does_not_hold_back_a_verdict_that_refuses(self):
        with virtual(authenticator=lambda _: False) as system:
            system.start_session("a")
            system.authenticate("a", {"password": "wrong"})
            activation = system.directory.get("a").ask(("activate", None), block=False)
            log = failing(system)
            system.actors.advance(0.0)
            with pytest.raises(AuthenticationFailed):
                activation.get(timeout=1.0)
            log.full = False

    def test_wakes_no_idle_session_with_a_request(self):
        with virtual() as system:
            system.start_session("a", session_class=Echo)
            system.authenticate("a", TRUSTED)
            system.activate("a")
            system.deactivate("a")
            log = failing(system)
            with pytest.raises(AuditUnavailable):
                system.request("a", "hello")
            assert system.state_of("a") == "idle"
            log.full = False

    def test_lets_no_session_come_from_elsewhere(self):
        with virtual(session={"migration_allowed": True}) as system:
            start_active(system, "a")
            snapshot = system.migrate("a", "node-2").state_data
            with virtual() as other:
                other.start_session("a")
                log = failing(other)
                with pytest.raises(AuditUnavailable):
                    other.load("a", snapshot)
                assert other.state_of("a") == "new"
                log.full = False
                other.actors.advance(2.0)
                assert other.load("a", snapshot) == "idle"

    def test_lets_everything_pass_where_the_settings_say_so(self):
        with with_sessions(fail_closed=False) as system:
            log = failing(system)
            system.activate("auth")
            log.full = False
