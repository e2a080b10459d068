from sessionactors.storage.memory import MemoryStore
from tests.sessionactors.storage.stored import record


def test_two_stores_share_nothing():
    one, other = MemoryStore(), MemoryStore()
    one.write(one.claim(), [record("a")])
    assert (one.count(), other.count()) == (1, 0)


def test_says_how_much_it_holds():
    store = MemoryStore()
    store.write(store.claim(), [record("a")])
    assert (store.kind, repr(store)) == ("memory", "<MemoryStore of 1 sessions>")
