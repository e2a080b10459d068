from __future__ import annotations

import pytest

from sessionactors.errors import SessionActorsError
from sessionactors.simulation import SimulatedStore
from sessionactors.storage.codec import decode
from sessionactors.storage.errors import DamagedRecordError, StoreClosedError, StoreDiskError, StoreFullError
from sessionactors.storage.memory import MemoryStore
from supervisors.simulation import Simulation, SimulationOptions
from tests.sessionactors.storage.stored import record


@pytest.fixture
def simulated():
    """Make a store on a disk with some records already, in a simulation in which one fault always strikes."""
    entered = []

    def make(kind, *records):
        disk = MemoryStore()
        disk.write(disk.claim(), records)
        simulation = Simulation(0, SimulationOptions(faults={kind: 1.0}, arming=1.0)).__enter__()
        entered.append(simulation)
        return SimulatedStore(simulation, disk), disk

    yield make
    for simulation in entered:
        simulation.__exit__(None, None, None)


def requests_in(store, session_id="a"):
    found = store.read(session_id)
    return None if found is None else decode(found)["requests"]


@pytest.mark.parametrize(
    ("kind", "error"),
    [("store_error", StoreDiskError), ("fsync_error", StoreDiskError), ("store_full", StoreFullError)],
)
def test_a_write_that_fails_has_done_nothing(simulated, kind, error):
    store, disk = simulated(kind, record("a", requests=1))
    with pytest.raises(error):
        store.write(store.claim(), [record("a", requests=2), record("b")])
    assert requests_in(disk) == 1
    assert disk.count() == 1


def test_a_write_that_says_afterwards_that_it_failed_has_been_done(simulated):
    store, disk = simulated("store_error_after", record("a", requests=1))
    with pytest.raises(StoreDiskError):
        store.write(store.claim(), [record("a", requests=2)])
    assert requests_in(disk) == 2


def test_a_write_that_is_lost_leaves_what_was_there_before(simulated):
    store, disk = simulated("lost_write", record("a", requests=1))
    assert store.write(store.claim(), [record("a", requests=2), record("b")]) == {}
    assert requests_in(disk) == 1
    assert disk.count() == 1


def test_a_slow_write_takes_virtual_time(simulated):
    store, _ = simulated("store_slow")
    clock = store._simulation.system.clock
    before = clock.monotonic()
    store.write(store.claim(), [record("a")])
    assert 0.0 < clock.monotonic() - before <= 10.0


@pytest.mark.parametrize(
    "look", [lambda store: store.read("a"), lambda store: store.page(None, 1), lambda store: store.quarantine([], 0.0)]
)
def test_what_looks_at_the_disk_may_fail(simulated, look):
    store, _ = simulated("store_error")
    with pytest.raises(StoreDiskError):
        look(store)


def test_a_crash_may_leave_a_part_of_the_last_write(simulated):
    names = [f"session-{number}" for number in range(8)]
    store, disk = simulated("torn_write", *(record(name, requests=1) for name in names))
    store.write(store.claim(), [record(name, requests=2) for name in names])
    after = store.crash()
    found, torn = [], []
    for name in names:
        try:
            found.append(requests_in(after._disk, name))
        except DamagedRecordError:
            torn.append(len(found))
    assert len(torn) == 1
    assert found == [2] * torn[0] + [1] * (7 - torn[0])
    assert disk.count() == 8


def test_a_torn_record_of_one_that_was_never_there_is_damaged_and_not_another(simulated):
    store, disk = simulated("torn_write")
    store.write(store.claim(), [record("a")])
    store.crash()
    with pytest.raises(DamagedRecordError):
        decode(disk.read("a"))


def test_nothing_gets_to_the_disk_from_a_process_that_has_died(simulated):
    store, disk = simulated("pause")
    epoch = store.claim()
    after = store.crash()
    for call in (lambda: store.write(epoch, [record("a")]), lambda: store.read("a"), store.claim, store.count):
        with pytest.raises(StoreDiskError):
            call()
    assert disk.count() == 0
    assert after.claim() > epoch


def test_what_was_written_is_there_for_the_next_process_also_after_an_orderly_end(simulated):
    store, _ = simulated("pause")
    store.write(store.claim(), [record("a", requests=3)])
    store.close()
    with pytest.raises(StoreClosedError):
        store.count()
    assert requests_in(store.crash()) == 3


def test_its_errors_are_those_of_every_store():
    assert issubclass(StoreDiskError, SessionActorsError)
    assert "on <MemoryStore" in repr(SimulatedStore(Simulation(0)))


def test_a_slow_read_takes_virtual_time(simulated):
    store, _ = simulated("store_slow")
    clock = store._simulation.system.clock
    before = clock.monotonic()
    store.read("a")
    assert 0.0 < clock.monotonic() - before <= 10.0
