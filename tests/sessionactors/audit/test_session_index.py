"""The index finds exactly the entries that a look at each of them would find."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionactors.audit.record import (
    EVENT_TYPES,
    KINDS,
    SEVERITIES,
    AuditEvent,
    encode_keyed,
    encode_many,
    kind_of,
    kinds_of,
)
from sessionactors.audit.session_index import (
    KEY_BITS,
    SEGMENT_SIZE,
    block_id,
    blocks_of,
    find_in_block,
    index_entries,
    key_of_kind,
    key_of_session,
    keys_of,
)


def _leaves(first, *named_kinds):
    return encode_many(first, [AuditEvent(0.0, 0.0, session, kind, "a", None) for session, kind in named_kinds])


def _index(first, leaves):
    return index_entries(first, keys_of(first, leaves), kinds_of(leaves))


def _find(blocks, segment, key):
    """Look a key up as a reader does: in the last block that does not begin behind it."""
    fitting = [block for identity, block in blocks if block_id(segment, 0) <= identity <= block_id(segment, key)]
    return find_in_block(fitting[-1], key) if fitting else []


SESSIONS = st.none() | st.sampled_from(["", "a", "b", "c" * 31, "d" * 32, "e" * 255, "ü" * 90, "f" * 400])


@given(
    st.lists(st.tuples(SESSIONS, st.sampled_from(sorted(KINDS))), max_size=80),
    st.sampled_from([0, 100, 250, 16_384 * 4 - 16_384, 2**32 - 16_384]),
)
def test_every_session_and_every_rare_kind_is_found(named_kinds, near):
    first = near - near % SEGMENT_SIZE
    segment = first // SEGMENT_SIZE
    blocks = blocks_of(segment, _index(first, _leaves(first, *named_kinds)))
    for session in {session for session, _ in named_kinds} - {"f" * 400}:
        # The empty id and no id share a key; readers compare the entry.
        same = {session, "", None} if not session else {session}
        expected = [place for place, (other, _) in enumerate(named_kinds) if other in same]
        assert _find(blocks, segment, key_of_session(session)) == expected
    for kind in {kind for _, kind in named_kinds}:
        key = key_of_kind(*KINDS[kind])
        if key is not None:
            assert _find(blocks, segment, key) == [at for at, (_, other) in enumerate(named_kinds) if other == kind]


@given(
    st.lists(st.tuples(SESSIONS, st.sampled_from(sorted(KINDS))), max_size=80),
    st.sampled_from([0, 100, 250, 2**16 - 40, 2**32 - 40]),
)
def test_the_writer_knows_the_keys_and_kinds_that_a_verifier_reads(named_kinds, first):
    events = [AuditEvent(0.0, 0.0, session, kind, "a", None) for session, kind in named_kinds]
    leaves, keys, kinds, _ = encode_keyed(first, events)
    assert keys == keys_of(first, leaves)
    assert kinds == kinds_of(leaves) == [kind for _, kind in named_kinds]


@pytest.mark.parametrize("border", [128, 256])  # the next ones lie between two segments
def test_sessions_are_found_where_the_sequence_number_gets_wider(border):
    first = border - 3
    leaves = _leaves(first, *((f"s{number % 3}", kind_of("auth")) for number in range(6)))
    at_once = _index(first, leaves)
    one_by_one = [entry for at, leaf in enumerate(leaves, first) for entry in _index(at, [leaf])]
    assert sorted(at_once) == sorted(one_by_one)
    keys = {key_of_session(f"s{number}") for number in range(3)}
    assert keys <= {entry // SEGMENT_SIZE for entry in at_once}


def test_what_comes_in_parts_makes_the_same_blocks():
    leaves = _leaves(0, *((f"s{number % 700}", number % 5) for number in range(SEGMENT_SIZE)))
    whole = _index(0, leaves)
    parts = [entry for start in range(0, SEGMENT_SIZE, 999) for entry in _index(start, leaves[start : start + 999])]
    assert blocks_of(0, whole) == blocks_of(0, parts)


def test_blocks_are_about_a_page_and_in_order():
    leaves = _leaves(0, *((f"s{number % 5_000}", 1) for number in range(SEGMENT_SIZE)))
    blocks = blocks_of(7, _index(7 * SEGMENT_SIZE, leaves))
    identities = [identity for identity, _ in blocks]
    assert identities == sorted(set(identities))
    assert {identity >> KEY_BITS for identity in identities} == {7}
    assert all(3_000 < len(block) < 4_200 for _, block in blocks[:-1])


def test_a_busy_session_stays_in_one_block():
    leaves = _leaves(0, *(("busy", 1) for _ in range(SEGMENT_SIZE)))
    blocks = blocks_of(0, _index(0, leaves))
    assert len(blocks) == 1
    assert _find(blocks, 0, key_of_session("busy")) == list(range(SEGMENT_SIZE))


def test_nobody_is_found_who_is_not_there():
    blocks = blocks_of(0, _index(0, _leaves(0, ("a", 1), ("b", 1))))
    assert _find(blocks, 0, key_of_session("c")) == []


def test_nothing_makes_no_block():
    assert blocks_of(0, []) == []


def test_the_key_is_a_published_checksum():
    assert key_of_session("alice-1") == zlib.crc32(b"alice-1")


def test_state_transitions_have_no_key_of_their_own_and_all_others_have():
    keys = {key_of_kind(event_type, severity) for event_type in EVENT_TYPES[1:] for severity in SEVERITIES}
    assert len(keys) == 30
    assert all(key is not None and 1 << 32 <= key < 1 << KEY_BITS for key in keys)
    assert {key_of_kind("state_transition", severity) for severity in SEVERITIES} == {None}


def test_blocks_are_written_the_same_on_every_machine():
    (block,) = blocks_of(0, _index(0, _leaves(0, (None, 1), ("a", kind_of("auth")))))
    entries = [int.from_bytes(block[1][at : at + 8], "little") for at in range(0, len(block[1]), 8)]
    assert entries == [0, zlib.crc32(b"a") << 14 | 1, (1 << 32 | kind_of("auth")) << 14 | 1]
