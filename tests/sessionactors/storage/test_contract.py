"""What every store does, in one body; a new store is one more line in `STORES`."""

import pytest

from sessionactors.simulation import SimulatedStore
from sessionactors.storage.codec import SCHEMA, deletion
from sessionactors.storage.errors import StoreClosedError, StoreFencedError
from sessionactors.storage.memory import MemoryStore
from sessionactors.storage.sqlite import SqliteStore
from supervisors.simulation import Simulation
from tests.sessionactors.storage.stored import all_ids, record, requests

STORES = {
    "memory": lambda path: MemoryStore(),
    "sqlite": lambda path: SqliteStore(path / "sessions.db"),
    "sqlite-os": lambda path: SqliteStore(path / "sessions.db", synchronous=False),
    "simulated": lambda path: SimulatedStore(Simulation(0)),
}


@pytest.fixture(params=STORES)
def store(request, tmp_path):
    store = STORES[request.param](tmp_path)
    yield store
    store.close()


def write(store, *records, epoch=None):
    """Write as the owner of an epoch, by default as the next owner."""
    return store.write(store.claim() if epoch is None else epoch, records)


def test_a_written_record_is_read_back_as_it_was(store):
    written = record("a", requests=7)
    assert write(store, written) == {}
    found = store.read("a")
    assert found[1:] == (b"a", 1, SCHEMA, written.checksum, written.snapshot)


def test_what_was_never_written_is_not_there(store):
    assert store.read("a") is None


def test_the_last_write_counts(store):
    write(store, record(requests=1))
    write(store, record(requests=2))
    assert requests(store) == 2


def test_a_replaced_record_keeps_its_place(store):
    write(store, record("a"), record("b"))
    write(store, record("a", requests=1))
    assert all_ids(store) == ["a", "b"]


@pytest.mark.parametrize("session_id", ["z" * 256, "Zoë", "会话", "a' OR '1'='1", "🙂"])
def test_an_id_may_be_any_text_that_is_one(store, session_id):
    write(store, record(session_id, requests=3))
    assert requests(store, session_id) == 3


def test_ids_that_differ_in_case_differ(store):
    write(store, record("a", requests=1), record("A", requests=2))
    assert (requests(store, "a"), requests(store, "A")) == (1, 2)


def test_a_deleted_record_is_gone(store):
    write(store, record("a"), record("b"))
    assert write(store, deletion("a")) == {}
    assert all_ids(store) == ["b"]


def test_deleting_what_is_not_there_is_no_refusal(store):
    assert write(store, deletion("a")) == {}


def test_one_write_stores_and_deletes(store):
    write(store, record("a"))
    write(store, deletion("a"), record("b"))
    assert all_ids(store) == ["b"]


def test_a_write_of_very_many_records_stores_all(store):
    records = [record(f"s{number}") for number in range(1000)]
    write(store, *records)
    assert store.count() == 1000
    assert all_ids(store) == [f"s{number}" for number in range(1000)]


def test_writing_nothing_changes_nothing(store):
    assert write(store) == {}
    assert store.count() == 0


class TestPages:
    def test_follow_each_other_without_gap_or_overlap(self, store):
        write(store, *(record(f"s{number}") for number in range(10)))
        seen, after = [], None
        while page := store.page(after, 3):
            seen += [each.session_id.decode() for each in page]
            after = page[-1].key
        assert seen == [f"s{number}" for number in range(10)]

    def test_go_on_behind_what_was_deleted(self, store):
        write(store, *(record(f"s{number}") for number in range(4)))
        after = store.page(None, 2)[-1].key
        write(store, deletion("s1"), deletion("s2"))
        assert [each.session_id for each in store.page(after, 9)] == [b"s3"]

    def test_of_an_empty_store_are_empty(self, store):
        assert list(store.page(None, 9)) == []


class TestEpochs:
    def test_rise_with_each_claim(self, store):
        assert [store.claim(), store.claim(), store.claim()] == [1, 2, 3]

    def test_stand_in_every_record(self, store):
        store.claim()
        write(store, record("a"), epoch=store.claim())
        assert store.read("a").epoch == 2

    def test_an_owner_before_the_last_one_writes_nothing(self, store):
        old = store.claim()
        write(store, record(requests=1), epoch=store.claim())
        with pytest.raises(StoreFencedError, match="claimed"):
            write(store, record(requests=2), record("b"), epoch=old)
        assert (requests(store), requests(store, "b")) == (1, None)

    def test_an_owner_before_the_last_one_deletes_nothing(self, store):
        old = store.claim()
        write(store, record(), epoch=store.claim())
        with pytest.raises(StoreFencedError):
            write(store, deletion("a"), epoch=old)
        assert requests(store) == 0

    def test_a_fenced_owner_does_not_keep_the_next_one_from_writing(self, store):
        old, new = store.claim(), store.claim()
        with pytest.raises(StoreFencedError):
            write(store, record(), epoch=old)
        assert write(store, record(requests=5), epoch=new) == {}
        assert requests(store) == 5

    def test_a_record_of_a_newer_epoch_is_left_alone_and_the_others_are_written(self, store):
        write(store, record("a", requests=1), epoch=9)
        refused = write(store, *(record(each, requests=2) for each in "xaz"), epoch=4)
        assert list(refused) == ["a"]
        assert "epoch 9" in refused["a"]
        assert [requests(store, each) for each in "xaz"] == [2, 1, 2]

    def test_a_record_of_a_newer_epoch_is_found_among_very_many(self, store):
        write(store, record("s50", requests=1), epoch=9)
        refused = write(store, *(record(f"s{number}", requests=2) for number in range(200)), epoch=4)
        assert list(refused) == ["s50"]
        assert requests(store, "s50") == 1
        assert store.count() == 200

    def test_a_record_of_a_newer_epoch_is_not_deleted(self, store):
        write(store, record("a"), epoch=9)
        assert "epoch 9" in write(store, deletion("a"), epoch=4)["a"]
        assert requests(store) == 0


class TestSchemas:
    def test_a_record_of_a_newer_schema_is_not_replaced(self, store):
        newer = record("a", requests=1)._replace(schema=SCHEMA + 1)
        write(store, newer)
        assert "newer program" in write(store, record("a", requests=2))["a"]
        assert store.read("a").snapshot == newer.snapshot

    def test_a_record_of_a_newer_schema_is_not_deleted(self, store):
        write(store, record("a")._replace(schema=SCHEMA + 1))
        assert "newer program" in write(store, deletion("a"))["a"]
        assert store.count() == 1


class TestQuarantine:
    def test_a_record_that_was_moved_aside_is_no_record_any_more(self, store):
        write(store, record("a"), record("b"))
        store.quarantine([(store.read("a"), "it smells")], 12.5)
        assert (store.read("a"), all_ids(store), store.count()) == (None, ["b"], 1)

    def test_keeps_whose_it_was_and_why(self, store):
        spoiled = record("a")._replace(checksum=b"no")
        write(store, spoiled)
        store.quarantine([(store.read("a"), "it smells")], 12.5)
        (found,) = store.quarantined()
        assert (found.session_id, found.reason, found.found_at) == ("a", "it smells", 12.5)
        assert found.size == len(spoiled.snapshot)

    def test_what_is_gone_by_now_is_not_moved(self, store):
        write(store, record("a"))
        found = store.read("a")
        write(store, deletion("a"))
        store.quarantine([(found, "it smells")], 12.5)
        assert list(store.quarantined()) == []

    def test_the_same_id_can_be_stored_again_and_moved_again(self, store):
        for moment in (1.0, 2.0):
            write(store, record("a"))
            store.quarantine([(store.read("a"), "again")], moment)
        assert [each.found_at for each in store.quarantined()] == [1.0, 2.0]


@pytest.mark.parametrize(
    "call",
    [
        lambda store: store.claim(),
        lambda store: store.write(1, [record()]),
        lambda store: store.read("a"),
        lambda store: store.page(None, 1),
        lambda store: store.count(),
        lambda store: store.quarantine([], 0.0),
        lambda store: store.quarantined(),
    ],
)
def test_a_closed_store_says_so(store, call):
    store.close()
    with pytest.raises(StoreClosedError):
        call(store)


def test_closing_twice_is_fine(store):
    store.close()
    store.close()
