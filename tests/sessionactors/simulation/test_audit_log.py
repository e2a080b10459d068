from __future__ import annotations

import pytest

from sessionactors import SessionSystem
from sessionactors.audit.contract import AuditStore
from sessionactors.audit.errors import AuditClosedError, AuditWriteError
from sessionactors.audit.log import AuditLog
from sessionactors.audit.record import kind_of
from sessionactors.audit.verify import verify
from sessionactors.errors import InvalidKind, InvalidValue
from sessionactors.simulation import SimulatedAuditLog
from supervisors.simulation import Simulation, SimulationOptions


@pytest.fixture
def simulated():
    """Make a log in a simulation in which one fault always strikes."""
    entered = []

    def make(kind, log=None):
        simulation = Simulation(0, SimulationOptions(faults={kind: 1.0}, arming=1.0)).__enter__()
        entered.append(simulation)
        return SimulatedAuditLog(simulation, log)

    yield make
    for simulation in entered:
        simulation.__exit__(None, None, None)


def events(count):
    return [
        (1.0, 1.0, f"session-{number}", kind_of("lifecycle"), "test", {"number": number}) for number in range(count)
    ]


@pytest.mark.parametrize("kind", ["store_error", "store_full", "fsync_error"])
def test_a_commit_that_fails_leaves_pending_what_was(simulated, kind):
    log = simulated(kind)
    log.append_many(events(3))
    with pytest.raises(AuditWriteError):
        log.commit()
    assert (log.size, log.pending) == (0, 3)
    log._simulation.recover()
    assert log.commit().size == 3


def test_a_commit_that_says_afterwards_that_it_failed_has_been_done(simulated):
    log = simulated("store_error_after")
    log.append_many(events(3))
    with pytest.raises(AuditWriteError):
        log.commit()
    assert (log.size, log.pending) == (3, 0)


def test_a_commit_that_is_lost_says_that_all_is_well(simulated):
    log = simulated("lost_write")
    log.append_many(events(3))
    log.commit()
    assert (log.size, log.pending) == (0, 0)


def test_a_slow_commit_takes_virtual_time(simulated):
    log = simulated("store_slow")
    clock = log._simulation.system.clock
    log.append_many(events(1))
    before = clock.monotonic()
    log.commit()
    assert 0.0 < clock.monotonic() - before <= 10.0


def test_a_commit_of_nothing_does_not_touch_the_disk(simulated):
    assert simulated("store_error").commit().size == 0


def test_a_crash_loses_what_is_pending(simulated):
    log = simulated("pause")
    log.append_many(events(2))
    log.commit()
    log.append_many(events(5))
    after = log.crash()
    assert (after.size, after.pending) == (2, 0)
    for call in (log.commit, lambda: log.append_many(events(1)), log.finish_erasures):
        with pytest.raises(AuditWriteError, match="has died"):
            call()


def test_a_crash_may_leave_the_first_part_of_what_was_pending(simulated):
    log = simulated("torn_write")
    log.append_many(events(20))
    after = log.crash()
    assert 0 < after.size < 20
    assert [event.data["number"] for event in after.events()] == list(range(after.size))


def test_one_on_disk_still_verifies_after_a_torn_write(simulated, tmp_path):
    log = simulated("torn_write", AuditLog(tmp_path / "log"))
    log.append_many(events(20))
    size = log.crash().size
    assert 0 < size < 20
    assert verify(tmp_path / "log").outcome == "valid"


def test_a_closed_log_takes_nothing(simulated):
    log = simulated("pause")
    log.append_many(events(1))
    log.close()
    log.close()
    assert log.is_closed
    assert log.size == 1
    with pytest.raises(AuditClosedError):
        log.append_many(events(1))


def test_it_is_what_a_session_system_takes_as_its_log():
    with Simulation(0) as simulation:
        log = SimulatedAuditLog(simulation)
        assert isinstance(log, AuditStore)
        with SessionSystem(actors=simulation.system, audit_log=log) as system:
            system.start_session("a")
            system.commit_audit()
            assert [event.session for event in log.events(session="a")] == ["a"]
        assert log.is_closed


def test_a_session_system_wants_a_log_or_a_directory_and_not_both(tmp_path):
    with pytest.raises(InvalidKind) as caught:
        SessionSystem(audit_log="log")
    assert caught.value.field == "audit_log"
    with pytest.raises(InvalidValue) as refused:
        SessionSystem(audit_log=SimulatedAuditLog(Simulation(0)), audit_dir=tmp_path)
    assert refused.value.field == "audit_dir"


def test_a_torn_write_leaves_nothing_twice_of_what_was_committed(simulated):
    log = simulated("torn_write")
    log.append_many(events(3))
    log.commit()
    log.append_many([(1.0, 1.0, "late", kind_of("lifecycle"), "test", {"number": 3})] * 20)
    numbers = [event.data["number"] for event in log.crash().events()]
    assert numbers[:3] == [0, 1, 2]
    assert set(numbers[3:]) == {3}


@pytest.mark.parametrize("kind", ["store_error", "store_full", "fsync_error"])
@pytest.mark.parametrize(
    "use",
    [
        lambda log: log.seal(2.0, 2.0, reason="age", actor="test"),
        lambda log: log.reopen(),
        lambda log: log.erase("ada", 2.0, 2.0, actor="test", reason="asked"),
    ],
)
def test_a_disk_that_fails_lets_nothing_else_be_done_to_the_log_either(simulated, kind, use, tmp_path):
    with AuditLog(tmp_path / "log") as disk:
        log = simulated(kind, disk)
        with pytest.raises(AuditWriteError, match=r"no space|cannot be written|made durable"):
            use(log)
        assert (log.size, log.is_closed) == (0, False)


def test_who_is_gone_has_nothing_to_close(simulated):
    log = simulated("store_error")
    log.append_many(events(1))
    log.crash()
    log.close()
    assert log.is_closed
