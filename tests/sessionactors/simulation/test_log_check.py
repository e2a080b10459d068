from __future__ import annotations

import pytest

from sessionactors.audit.log import AuditLog
from sessionactors.audit.memory import MemoryAuditLog
from sessionactors.audit.recent import Run
from sessionactors.audit.record import encode, kind_of
from sessionactors.simulation.log_check import fault_of


def events(count):
    return [
        (1.0, 1.0, f"session-{number}", kind_of("lifecycle"), "test", {"number": number}) for number in range(count)
    ]


def leaf_at(number):
    return encode(number, events(number + 1)[number])


@pytest.mark.parametrize("count", [0, 1, 7])
def test_a_log_in_memory_that_is_whole_has_no_fault(count):
    log = MemoryAuditLog()
    log.append_many(events(count))
    log.commit()
    assert fault_of(log) is None


def test_one_that_has_forgotten_its_oldest_entries_has_none_either():
    log = MemoryAuditLog(recent_max=3)
    log.append_many(events(7))
    log.commit()
    assert fault_of(log) is None


def test_an_entry_that_was_altered_is_told():
    log = MemoryAuditLog()
    log.append_many(events(3))
    [run] = log._pending[0].runs
    log._pending[0].runs[:] = [run._replace(raw=run.raw.replace(b"session-1", b"session-9"))]
    log.commit()
    assert "not those that were committed" in str(fault_of(log))


def test_a_gap_is_told():
    log = MemoryAuditLog()
    log.append_many(events(3))
    log._pending[0].runs[:] = [Run(0, 3, leaf_at(0) + leaf_at(2) + leaf_at(2))]
    log.commit()
    assert fault_of(log) == "where entry 1 should be is entry 2"


def test_a_log_on_disk_is_verified_while_it_is_open(tmp_path):
    log = AuditLog(tmp_path / "log")
    log.append_many(events(3))
    log.commit()
    assert fault_of(log) is None
    log.close()
    for path in (tmp_path / "log").iterdir():
        if b"session-1" in path.read_bytes():
            path.write_bytes(path.read_bytes().replace(b"session-1", b"session-9"))
    assert fault_of(log) is not None
