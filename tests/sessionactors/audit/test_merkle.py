"""The tree against published vectors, and against the definition written down word for word."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionactors.audit.merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_proof,
    inclusion_proof,
    is_consistent,
    is_included,
    leaf_hash,
    leaf_hashes,
    node_hash,
    subtree_root,
)
from supervisors.errors import InvalidArgumentError

# The entries, roots and proofs that implementations of RFC 6962 share.
ENTRIES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    bytes.fromhex(text)
    for text in (
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    )
]
INCLUSION = [
    (0, 1, ()),
    (
        0,
        8,
        (
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ),
    ),
    (
        5,
        8,
        (
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ),
    ),
    (2, 3, ("fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",)),
    (
        1,
        5,
        (
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ),
    ),
]
CONSISTENCY = [
    (1, 1, ()),
    (
        1,
        8,
        (
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ),
    ),
    (
        6,
        8,
        (
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ),
    ),
    (
        2,
        5,
        (
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ),
    ),
]

HASHES = leaf_hashes(ENTRIES)
SIZES = st.integers(min_value=1, max_value=200)


def _reader(hashes):
    return lambda start, stop: hashes[start:stop]


def _many(count):
    return leaf_hashes(str(number).encode() for number in range(count))


def _root_by_definition(hashes):
    """Follow RFC 9162, section 2.1.1, to the letter."""
    if not hashes:
        return sha256().digest()
    if len(hashes) == 1:
        return hashes[0]
    middle = 1
    while middle * 2 < len(hashes):
        middle *= 2
    left, right = _root_by_definition(hashes[:middle]), _root_by_definition(hashes[middle:])
    return sha256(b"\x01" + left + right).digest()


def test_leaf_and_node_have_their_prefixes():
    assert leaf_hash(b"x") == sha256(b"\x00x").digest()
    assert node_hash(b"l", b"r") == sha256(b"\x01lr").digest()


def test_hashing_many_leaves_is_hashing_each():
    assert leaf_hashes([b"", b"a", b"b" * 1000]) == [leaf_hash(b""), leaf_hash(b"a"), leaf_hash(b"b" * 1000)]


@pytest.mark.parametrize("size", range(9))
def test_published_roots(size):
    frontier = Frontier()
    frontier.extend(HASHES[:size])
    assert frontier.root() == ROOTS[size]


def test_the_empty_tree_has_the_hash_of_nothing():
    assert Frontier().root() == EMPTY_ROOT == ROOTS[0]


@pytest.mark.parametrize(("index", "size", "path"), INCLUSION)
def test_published_inclusion_proofs(index, size, path):
    proof = inclusion_proof(index, size, _reader(HASHES))
    assert [part.hex() for part in proof] == list(path)
    assert is_included(index, size, HASHES[index], ROOTS[size], proof)


@pytest.mark.parametrize(("first", "second", "path"), CONSISTENCY)
def test_published_consistency_proofs(first, second, path):
    proof = consistency_proof(first, second, _reader(HASHES))
    assert [part.hex() for part in proof] == list(path)
    assert is_consistent(first, second, ROOTS[first], ROOTS[second], proof)


@given(st.lists(st.integers(min_value=0, max_value=40), max_size=8))
def test_the_root_does_not_depend_on_how_the_leaves_came_in(sizes):
    hashes = _many(sum(sizes))
    frontier = Frontier()
    at = 0
    for size in sizes:
        frontier.extend(hashes[at : at + size])
        at += size
        assert frontier.root() == _root_by_definition(hashes[:at])
        assert frontier.size == at


@given(st.integers(min_value=0, max_value=300), st.integers(min_value=0, max_value=60))
def test_a_frontier_goes_on_after_it_was_stored(before, after):
    hashes = _many(before + after)
    frontier = Frontier()
    frontier.extend(hashes[:before])
    restored = Frontier.from_bytes(before, frontier.to_bytes())
    restored.extend(hashes[before:])
    assert restored.root() == _root_by_definition(hashes)


def test_a_copy_grows_by_itself():
    frontier = Frontier()
    frontier.extend(HASHES[:3])
    twin = frontier.copy()
    twin.extend(HASHES[3:])
    assert frontier.root() == ROOTS[3]
    assert twin.root() == ROOTS[8]


def test_extending_leaves_the_given_list_alone():
    given_hashes = list(HASHES)
    Frontier().extend(given_hashes)
    assert given_hashes == HASHES


@pytest.mark.parametrize(("size", "raw"), [(3, b"x" * 32), (0, b"x" * 32), (1, b""), (1, b"x" * 31)])
def test_a_stored_frontier_of_the_wrong_length_is_refused(size, raw):
    with pytest.raises(InvalidArgumentError) as caught:
        Frontier.from_bytes(size, raw)
    assert caught.value.field == "raw"


@pytest.mark.parametrize("size", [-1, True, 2**63])
def test_a_stored_frontier_of_an_impossible_size_is_refused(size):
    with pytest.raises(InvalidArgumentError) as caught:
        Frontier.from_bytes(size, b"")
    assert caught.value.field == "size"


@given(SIZES, st.data())
def test_every_leaf_can_be_proved(size, data):
    hashes = _many(size)
    index = data.draw(st.integers(min_value=0, max_value=size - 1))
    proof = inclusion_proof(index, size, _reader(hashes))
    root = _root_by_definition(hashes)
    assert is_included(index, size, hashes[index], root, proof)
    assert len(proof) <= (size - 1).bit_length()


@given(SIZES, st.data())
def test_an_inclusion_proof_holds_for_nothing_else(size, data):
    hashes = _many(size + 1)
    index = data.draw(st.integers(min_value=0, max_value=size - 1))
    proof = inclusion_proof(index, size, _reader(hashes))
    root = _root_by_definition(hashes[:size])
    assert not is_included(index, size, hashes[size], root, proof)
    assert not is_included(index, size, hashes[index], hashes[size], proof)
    assert not is_included(index, size, hashes[index], root, [*proof, hashes[0]])
    for at in range(len(proof)):
        assert not is_included(index, size, hashes[index], root, proof[:at] + proof[at + 1 :])
        assert not is_included(index, size, hashes[index], root, [*proof[:at], hashes[size], *proof[at + 1 :]])
    other = data.draw(st.integers(min_value=0, max_value=size - 1))
    assert is_included(other, size, hashes[index], root, proof) == (other == index)


@given(SIZES, st.data())
def test_every_earlier_tree_can_be_proved_to_be_the_beginning(second, data):
    hashes = _many(second)
    first = data.draw(st.integers(min_value=0, max_value=second))
    proof = consistency_proof(first, second, _reader(hashes))
    roots = _root_by_definition(hashes[:first]), _root_by_definition(hashes)
    assert is_consistent(first, second, *roots, proof)


@given(st.integers(min_value=2, max_value=200), st.data())
def test_a_consistency_proof_holds_for_nothing_else(second, data):
    hashes = _many(second + 1)
    first = data.draw(st.integers(min_value=1, max_value=second - 1))
    proof = consistency_proof(first, second, _reader(hashes))
    old, new = _root_by_definition(hashes[:first]), _root_by_definition(hashes[:second])
    wrong = hashes[second]
    assert not is_consistent(first, second, wrong, new, proof)
    assert not is_consistent(first, second, old, wrong, proof)
    assert not is_consistent(second, first, old, new, proof)
    assert not is_consistent(first, second, old, new, [*proof, wrong])
    for at in range(len(proof)):
        assert not is_consistent(first, second, old, new, proof[:at] + proof[at + 1 :])
        assert not is_consistent(first, second, old, new, [*proof[:at], wrong, *proof[at + 1 :]])


def test_the_empty_tree_is_the_beginning_of_every_tree():
    assert consistency_proof(0, 8, _reader(HASHES)) == []
    assert is_consistent(0, 8, EMPTY_ROOT, ROOTS[8], [])
    assert not is_consistent(0, 8, ROOTS[1], ROOTS[8], [])


def test_equal_trees_need_no_proof_and_accept_none():
    assert is_consistent(8, 8, ROOTS[8], ROOTS[8], [])
    assert not is_consistent(8, 8, ROOTS[8], ROOTS[7], [])
    assert not is_consistent(8, 8, ROOTS[8], ROOTS[8], [ROOTS[1]])


def test_an_empty_proof_of_a_larger_tree_is_not_accepted():
    assert not is_consistent(3, 8, ROOTS[3], ROOTS[8], [])


@pytest.mark.parametrize(("index", "size"), [(8, 8), (-1, 8), (0, 0), (True, 8)])
def test_a_proof_for_a_leaf_that_is_not_there_is_refused(index, size):
    with pytest.raises(InvalidArgumentError):
        inclusion_proof(index, size, _reader(HASHES))
    assert not is_included(index if index is not True else 9, size, HASHES[0], ROOTS[8], [])


@pytest.mark.parametrize(("first", "second"), [(9, 8), (-1, 8), (0, -1)])
def test_a_proof_between_impossible_sizes_is_refused(first, second):
    with pytest.raises(InvalidArgumentError):
        consistency_proof(first, second, _reader(HASHES))
    assert not is_consistent(first, second, ROOTS[0], ROOTS[8], [])


def test_a_subtree_is_read_in_blocks():
    hashes = _many(40_000)
    asked = []

    def read(start, stop):
        asked.append(stop - start)
        return hashes[start:stop]

    assert subtree_root(read, 0, len(hashes)) == _root_by_definition(hashes)
    assert max(asked) <= 1 << 14


def test_a_frontier_shows_its_size():
    frontier = Frontier()
    frontier.extend(HASHES)
    assert repr(frontier) == "<Frontier of 8 leaves>"
