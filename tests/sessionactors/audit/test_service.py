import gc
import subprocess
import sys
import textwrap
import threading
from collections import UserDict

import msgpack
import pytest

from sessionactors import SessionSystem
from sessionactors.audit.errors import AuditError, AuditWriteError
from sessionactors.audit.intake import COMMIT, Look
from sessionactors.audit.queries import AuditReader
from sessionactors.audit.service import open_log
from sessionactors.audit.verify import verify
from sessionactors.errors import CapacityExceeded, InvalidKind, InvalidSessionId, NotFound, UnknownRequest
from sessionactors.settings import AuditSettings
from supervisors.errors import InvalidArgumentError
from tests.sessionactors.session_world import ends, entries, kill, names, start_active, virtual


@pytest.fixture
def system():
    with virtual() as made:
        yield made


class Broken:
    """A log that cannot be written while `full` is set."""

    def __init__(self, log):
        self._log = log
        self.full = False
        self.attempts = 0

    def commit(self):
        self.attempts += 1
        if self.full:
            raise AuditWriteError("audit log", "the disk is full", "make room")
        return self._log.commit()

    def __getattr__(self, name):
        return getattr(self._log, name)


def _log_until_refused(system):
    for number in range(1_000):
        try:
            system.log_event(None, "lifecycle", {"n": number})
        except CapacityExceeded:
            return number
    raise AssertionError("never refused")


def break_log(system):
    log = system._ledger.log = Broken(system._ledger.log)
    log.full = True
    return log


def test_the_garbage_collector_has_nothing_to_look_at_in_what_waits(system):
    start_active(system, "a")
    system.commit_audit()
    system.deactivate("a")
    system.resume("a")
    system.suspend("a")
    system.log_event("a", "error", {"status": 500})
    system.terminate("a")
    gc.collect(0)
    waiting = system._ledger.intake.take()
    assert len(waiting) >= 5
    assert not [event for event in waiting if gc.is_tracked(event)]


def test_events_are_written_a_moment_after_they_happen(system):
    system.start_session("a")
    assert system._ledger.log.size == 0
    system.actors.advance(0.05)
    assert system._ledger.log.size == 1


def test_a_batch_is_written_at_once():
    with virtual(audit={"batch_max": 10, "queue_max": 10}) as system:
        for number in range(10):
            system.log_event(None, "lifecycle", {"n": number})
        system.actors.settle()
        assert system._ledger.log.size == 10


def test_events_are_counted_by_type_and_by_edge(system):
    start_active(system, "a")
    system.commit_audit()
    counts = system.audit_counts()
    assert counts.by_edge == {"new->auth": 1, "auth->active": 1}
    assert counts.by_type == {"lifecycle": 1, "auth": 2, "state_transition": 2}
    assert counts.lost == 0


def test_an_unknown_message_is_refused_and_the_actor_lives(system):
    audit = system.actors.whereis("audit")
    with pytest.raises(UnknownRequest):
        audit.ask("nonsense")
    assert system.actors.whereis("audit") is audit


# --- What the program logs --------------------------------------------------------------------------------------------


def test_an_event_of_the_program_can_be_read_back(system):
    system.log_event("a", "state_transition", {"from_state": "new", "to_state": "active"}, "warning")
    (found,) = entries(system, "a")
    assert (found.type, found.severity, found.actor) == ("state_transition", "warning", "program")
    assert found.data == {"event": "log_event", "from_state": "new", "to_state": "active"}


def test_what_the_program_does_to_its_data_afterwards_does_not_matter(system):
    data = {"list": [1]}
    system.log_event("a", "resource", data)
    data["list"].append(2)
    data["new"] = 1
    assert entries(system, "a")[0].data == {"event": "log_event", "list": [1]}


def test_equal_values_of_different_kinds_stay_different(system):
    for value in (1, True, 1.0):
        system.log_event("a", "resource", {"value": value})
    assert [type(each.data["value"]) for each in entries(system, "a")] == [int, bool, float]


class Hostile(UserDict):
    def keys(self):
        raise RuntimeError("no")


@pytest.mark.parametrize(
    "data", [Hostile(a=1), {1: 2}, {"x": object()}, {"x": float("nan")}, {"x": {"y": [set()]}}, {}]
)
def test_any_mapping_can_be_logged(system, data):
    system.log_event("a", "resource", data)
    assert len(entries(system, "a")) == 1


@pytest.mark.parametrize(
    ("arguments", "error", "field"),
    [
        (([], "auth"), InvalidKind, "session_id"),
        ((5, "auth"), InvalidKind, "session_id"),
        (("", "auth"), InvalidSessionId, "session_id"),
        (("a", "nonsense"), InvalidArgumentError, "event_type"),
        (("a", []), InvalidKind, "event_type"),
        (("a", "auth", None, "loud"), InvalidArgumentError, "severity"),
        (("a", "auth", None, None), InvalidKind, "severity"),
        (("a", "auth", [1]), InvalidKind, "data"),
        (("a", "auth", "text"), InvalidKind, "data"),
    ],
)
def test_an_event_that_cannot_be_one_is_refused_where_it_comes_from(system, arguments, error, field):
    with pytest.raises(error) as refused:
        system.log_event(*arguments)
    assert refused.value.field == field
    assert entries(system) == []


# --- When it cannot be written ----------------------------------------------------------------------------------------


def test_a_full_disk_ends_nobody_and_loses_nothing(system):
    start_active(system, "a")
    audit = system.actors.whereis("audit")
    log = break_log(system)
    with pytest.raises(AuditError):
        system.commit_audit()
    system.deactivate("a")
    system.actors.advance(10.0)
    assert system.get_state("a") == "idle"
    assert system.actors.whereis("audit") is audit
    log.full = False
    assert names(system, "a")[-2:] == ["auth_success", "deactivated"]
    assert system.audit_counts().lost == 0


def test_a_log_that_can_be_written_again_is_written_without_being_asked(system):
    log = break_log(system)
    system.start_session("a")
    system.actors.advance(5.0)
    assert log.size == 0
    log.full = False
    system.actors.advance(1.0)
    assert log.size == 1


def test_a_full_disk_is_tried_once_a_second_whatever_happens(system):
    log = break_log(system)
    for number in range(1_000):
        system.log_event(None, "lifecycle", {"n": number})
        system.actors.advance(0.01)
    assert 10 <= log.attempts <= 12
    log.full = False


def test_what_does_not_fit_any_more_is_refused_and_counted():
    with virtual(audit={"batch_max": 10, "queue_max": 10}) as system:
        log = break_log(system)
        taken = _log_until_refused(system)
        assert taken < 100
        assert system.audit_counts().lost == 1
        log.full = False
        records = entries(system)
        assert [each.data["n"] for each in records[:-1]] == list(range(taken))
        assert records[-1].data == {"event": "events_lost", "count": 1}


def test_sessions_go_on_when_their_events_are_lost():
    with virtual(audit={"batch_max": 10, "queue_max": 10, "fail_closed": False}) as system:
        start_active(system, "a")
        log = break_log(system)
        for _ in range(50):
            system.deactivate("a")
            system.resume("a")
        lost = system.audit_counts().lost
        assert lost > 50
        log.full = False
        system.actors.advance(1.0)
        system.terminate("a")
        records = entries(system)
        assert [each.data["count"] for each in records if each.data["event"] == "events_lost"] == [lost]
        assert records[-1].data["event"] == "session_terminated"


class Choosy(Broken):
    """A log that takes no batch with a certain event while `full` is set, and else every one."""

    refused = msgpack.packb({"n": 600})[1:]

    def commit(self):
        return self._log.commit()

    def append_many(self, events):
        events = list(events)
        if self.full and any(self.refused in data for *_, data in events):
            raise AuditWriteError("audit log", "the disk is full", "make room")
        return self._log.append_many(events)


def test_what_is_taken_in_pieces_stays_in_order_when_a_piece_fails(tmp_path):
    with virtual(audit_dir=tmp_path / "audit") as system:
        system.commit_audit()
        log = system._ledger.log = Choosy(system._ledger.log)
        first = log.size
        log.full = True
        for number in range(1_000):
            system.log_event(None, "lifecycle", {"n": number})
        with pytest.raises(AuditError):
            system.commit_audit()
        assert log.pending == 512
        log.full = False
        system.commit_audit()
        assert [each.data["n"] for each in log.events(start=first)] == list(range(1_000))
        assert system.audit_counts().by_type["lifecycle"] == 1_000


def test_who_fills_a_batch_of_a_log_in_memory_writes_it(system):
    system.commit_audit()
    for number in range(511):
        system.log_event(None, "lifecycle", {"n": number})
    assert system._ledger.log.size == 0
    system.log_event(None, "lifecycle", {"n": 511})
    assert system._ledger.log.size == 512


def test_what_comes_after_a_batch_is_written_a_moment_later(system):
    for number in range(515):
        system.log_event(None, "lifecycle", {"n": number})
    system.actors.advance(0.05)
    assert system._ledger.log.size == 515


def test_a_batch_that_comes_while_another_is_written_waits_for_the_actor(system):
    with system._ledger._writing:
        for number in range(600):
            system.log_event(None, "lifecycle", {"n": number})
        assert system._ledger.log.size == 0
    system.actors.advance(0.05)
    assert [each.data["n"] for each in entries(system)] == list(range(600))


def test_a_fault_of_a_log_in_memory_is_not_the_senders(system, monkeypatch):
    log = system._ledger.log
    fresh = type(log).append_many

    def fail(*_):
        monkeypatch.setattr(type(log), "append_many", fresh)
        raise ValueError

    monkeypatch.setattr(type(log), "append_many", fail)
    for number in range(512):
        system.log_event(None, "lifecycle", {"n": number})
    assert log.size == 0
    system.actors.advance(0.05)
    assert [each.data["n"] for each in entries(system)] == list(range(512))


def test_who_writes_a_full_queue_does_not_wait_for_room_in_it(monkeypatch):
    with SessionSystem(audit={"batch_max": 3, "queue_max": 3}) as system:
        log = system._ledger.log
        fresh = type(log).append_many

        def append_many(log, events):
            monkeypatch.setattr(type(log), "append_many", fresh)
            for number in range(3, 8):  # as what is freed at this moment may
                system.log_event(None, "lifecycle", {"n": number})
            return fresh(log, events)

        monkeypatch.setattr(type(log), "append_many", append_many)
        for number in range(3):
            system.log_event(None, "lifecycle", {"n": number})
        system.commit_audit()
        assert [each.data["n"] for each in log.events()] == list(range(8))
        assert system.audit_counts().lost == 0


def test_nobody_writes_a_log_in_memory_while_it_is_looked_at(system):
    def sizes(log):
        before = log.size
        for _ in range(600):
            system.log_event(None, "lifecycle")
        return before, log.size

    assert system._ask_log(Look(sizes)) == (0, 0)
    assert len(entries(system)) == 600


def test_a_mass_end_at_the_bound_loses_nothing(tmp_path):
    with virtual(audit_dir=tmp_path / "audit", audit={"batch_max": 100, "queue_max": 100}) as system:
        for number in range(1_000):
            system.start_session(f"s-{number}")
        system.actors.settle()
    with AuditReader(tmp_path / "audit") as reader:
        ended = [each.session for each in reader.events() if each.data["event"] == "session_terminated"]
    assert len(ended) == 1_000
    assert set(ended) == {f"s-{number}" for number in range(1_000)}
    assert system.audit_counts().lost == 0


def test_a_stop_over_a_full_disk_says_so_and_stops():
    system = virtual()
    system.start_session("a")
    break_log(system)
    with pytest.raises(AuditError):
        system.stop()
    assert system.actors.actors() == []


def test_an_interrupted_write_neither_loses_nor_doubles(system):
    class Interrupted(Broken):
        def append_many(self, events):
            found = self._log.append_many(events)
            if self.full:
                self.full = False
                raise KeyboardInterrupt
            return found

    log = system._ledger.log = Interrupted(system._ledger.log)
    system.log_event("a", "resource", {"n": 1})
    log.full = True
    with pytest.raises(KeyboardInterrupt):
        system._ledger.write()
    system.log_event("a", "resource", {"n": 2})
    assert [each.data["n"] for each in entries(system, "a")] == [1, 2]


# --- Crashes and the end ----------------------------------------------------------------------------------------------


def test_what_waits_outlives_the_actor(system):
    system.log_event("a", "resource", {"n": 1})
    kill(system, "audit")
    system.actors.settle()
    assert [each.data["n"] for each in entries(system, "a")] == [1]


def test_a_poke_that_died_with_the_actor_wakes_its_successor(system):
    # The queue says that the actor knows of it, and the message is gone.
    system._intake._is_poked = True
    kill(system, "audit")
    system.actors.settle()
    system.log_event("a", "resource", {"n": 1})
    system.actors.advance(0.05)
    assert [each.data["n"] for each in system._ledger.log.events(session="a")] == [1]


def test_a_commit_while_the_actor_is_away_is_refused(system):
    system.actors.whereis("root").suspend()
    kill(system, "audit")
    system.actors.settle()
    with pytest.raises(NotFound) as refused:
        system.commit_audit()
    assert refused.value.key == "audit"
    system.log_event("a", "resource")
    system.actors.whereis("root").resume()
    system.actors.settle()
    assert system.commit_audit().size > 0


def test_a_commit_that_its_actor_does_not_survive_is_refused(system):
    audit = system.actors.whereis("audit")
    audit.suspend()
    asked = audit.ask(COMMIT, block=False)
    audit.kill()
    system.actors.settle()
    with pytest.raises(Exception, match="not found"):
        asked.get()
    assert system.commit_audit() is not None


def test_after_the_stop_nothing_is_logged_silently(system):
    system.stop()
    with pytest.raises(NotFound):
        system.log_event("a", "auth")
    with pytest.raises(NotFound):
        system.commit_audit()


def test_a_durable_log_holds_everything_after_the_stop(tmp_path):
    with virtual(audit_dir=tmp_path / "log") as system:
        start_active(system, "a", "b")
        system.terminate("a")
    verified = verify(tmp_path / "log")
    assert verified.outcome == "valid"
    reader = AuditReader(tmp_path / "log")
    try:
        assert ends(reader.events()) == {"a": 1, "b": 1}
    finally:
        reader.close()


def test_a_second_system_cannot_write_the_same_log_and_leaves_no_thread(tmp_path):
    with SessionSystem(audit_dir=tmp_path), pytest.raises(AuditError):
        SessionSystem(audit_dir=tmp_path)


def test_a_log_in_memory_needs_no_directory():
    log = open_log(None, AuditSettings())
    assert log.commit().size == 0


def test_a_file_size_limit_is_a_typed_error_and_the_log_stays_whole(tmp_path):
    program = textwrap.dedent(
        """
        import logging, resource, signal, sys
        from sessionactors import SessionSystem
        from sessionactors.audit.errors import AuditError

        logging.disable()
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        system = SessionSystem(audit_dir=sys.argv[1])
        system.start_session("a")
        written = system.commit_audit().size
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
        refused = 0
        for _ in range(3):
            for number in range(2000):
                system.log_event("a", "resource", {"n": number, "text": "x" * 100})
            try:
                system.commit_audit()
            except AuditError:
                refused += 1
        assert refused == 3, refused
        assert system.get_state("a") == "new"
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert system.commit_audit().size == written + 6000
        assert system.audit_counts().lost == 0
        system.stop()
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "log")], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert verify(tmp_path / "log").outcome == "valid"


class Slow(Broken):
    """A log whose next commit takes until it is let go."""

    def __init__(self, log):
        super().__init__(log)
        self.entered, self.leave = threading.Event(), threading.Event()
        self.writers = 0
        self.writers_max = 0

    def commit(self):
        self.writers += 1
        self.writers_max = max(self.writers_max, self.writers)
        self.entered.set()
        self.leave.wait(10.0)
        try:
            return self._log.commit()
        finally:
            self.writers -= 1


def test_an_actor_that_is_killed_while_it_writes_and_its_successor_never_write_together(tmp_path):
    with SessionSystem(audit_dir=tmp_path / "audit") as system:
        log = system._ledger.log = Slow(system._ledger.log)
        system.log_event("a", "resource", {"n": 1})
        assert log.entered.wait(10.0)
        kill(system, "audit").join(10.0)
        system.log_event("a", "resource", {"n": 2})
        log.leave.set()
        system.actors.wait_for_name("audit", 10.0)
        assert [each.data["n"] for each in entries(system, "a") if "n" in each.data] == [1, 2]
        assert log.writers_max == 1


def test_a_stop_does_not_wait_for_a_write_that_never_ends(tmp_path):
    system = SessionSystem(audit_dir=tmp_path / "audit", shutdown_timeout=0.2)
    log = system._ledger.log = Slow(system._ledger.log)
    system.log_event("a", "resource", {"n": 1})
    assert log.entered.wait(10.0)
    with pytest.raises(AuditError):
        system.stop()
    log.leave.set()
