"""Every event has one encoding, and it can be read back."""

from __future__ import annotations

import hashlib
import math

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionactors.audit.plain_values import REDACTED
from sessionactors.audit.record import (
    DATA_SIZE_MAX,
    EVENT_TYPES,
    KINDS,
    LEAF_SIZE_MAX,
    NO_DATA,
    SEVERITIES,
    AuditEvent,
    AuditRecord,
    PackedData,
    decode,
    encode,
    encode_many,
    kind_of,
    kinds_of,
    pack_data,
    stored_name,
    transition_data,
)
from supervisors.errors import InvalidArgumentError, InvalidTypeError

FINITE = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e300, max_value=1e300)
NAMES = st.text(max_size=300)
EVENTS = st.builds(
    AuditEvent,
    FINITE,
    FINITE,
    st.none() | NAMES,
    st.sampled_from(sorted(KINDS)),
    NAMES,
    st.none() | st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=20) | st.floats(), max_size=4),
)


def _event(**changes):
    event = AuditEvent(1.5, 0.5, "alice-1", kind_of("auth"), "session", {"b": 1, "a": "x"})
    return event._replace(**changes)


def test_an_entry_is_an_array_of_nine():
    leaf = encode(7, _event())
    assert msgpack.unpackb(leaf) == [1, 1, 1, 7, 1.5, 0.5, "alice-1", "session", {"a": "x", "b": 1}]


def test_an_entry_has_these_bytes():
    # Written down by hand from the format: what is signed may never change.
    leaf = encode(
        300, AuditEvent(2.0, 1.0, "s", kind_of("state_transition"), "session", transition_data("new", "active"))
    )
    assert leaf.hex() == (
        "99"  # array of nine
        "01"  # version
        "00"  # state_transition
        "01"  # info
        "cd012c"  # 300
        "cb4000000000000000"
        "cb3ff0000000000000"
        "a173"
        "a773657373696f6e"
        "82aa66726f6d5f7374617465a36e6577a8746f5f7374617465a6616374697665"
    )


@pytest.mark.parametrize("sequence", [0, 127, 128, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, 2**63])
def test_sequence_numbers_take_the_shortest_form(sequence):
    leaf = encode(sequence, _event())
    assert decode(leaf).sequence == sequence
    assert leaf == msgpack.packb(msgpack.unpackb(leaf))


def test_numbers_change_their_width_within_a_batch():
    for border in (128, 256, 65_536, 2**32):
        leaves = encode_many(border - 2, [_event()] * 4)
        assert [decode(leaf).sequence for leaf in leaves] == [border - 2, border - 1, border, border + 1]


@given(st.integers(min_value=0, max_value=2**63), EVENTS)
def test_what_is_read_back_is_what_was_written(sequence, event):
    leaf = encode(sequence, event)
    record = decode(leaf)
    assert record.sequence == sequence
    assert (record.wall_time, record.monotonic_time) == (event.wall_time, event.monotonic_time)
    assert record.session == (None if event.session is None else stored_name(event.session))
    assert record.actor == stored_name(event.actor)
    assert (record.type, record.severity) == KINDS[event.kind]
    assert len(leaf) <= LEAF_SIZE_MAX
    assert leaf == msgpack.packb(msgpack.unpackb(leaf))


@given(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=20) | st.floats(), max_size=6))
def test_the_order_of_data_does_not_matter(data):
    backwards = dict(reversed(data.items()))
    assert pack_data(data) == pack_data(backwards)


def test_a_flat_mapping_is_packed_as_any_other_would_be():
    flat = {"reason": "requested", "count": 3, "share": 0.5, "is_last": True, "none": None}
    nested = {**flat, "more": []}
    unpacked = msgpack.unpackb(pack_data(nested))
    del unpacked["more"]
    assert msgpack.packb(unpacked) == pack_data(flat)


def test_many_are_encoded_like_each():
    events = [_event(session=f"s{number}") for number in range(5)]
    assert encode_many(3, events) == [encode(3 + number, event) for number, event in enumerate(events)]


def test_a_plain_tuple_does_as_well():
    assert encode_many(0, [tuple(_event())]) == [encode(0, _event())]


def test_no_session_is_nil_and_an_empty_one_is_not():
    assert decode(encode(0, _event(session=None))).session is None
    assert decode(encode(0, _event(session=""))).session == ""


def test_no_data_are_nil_and_read_as_an_empty_mapping():
    assert msgpack.unpackb(encode(0, _event(data=None)))[8] is None
    assert encode(0, _event(data=None)) == encode(0, _event(data=NO_DATA))
    assert decode(encode(0, _event(data=None))).data == {}


@pytest.mark.parametrize("data", [5, "text", ["list"], object()])
def test_data_that_are_no_mapping_are_kept_under_a_name(data):
    assert list(decode(encode(0, _event(data=data))).data) == ["value"]


@pytest.mark.parametrize(
    "data",
    [
        {"password": "hunter2"},
        {"outer": {"Api-Key": "hunter2"}},
        {"headers": [("Cookie", "hunter2")]},
        {f"filler{number}": number for number in range(20)} | {"token": "hunter2"},
    ],
)
def test_secrets_do_not_get_in(data):
    leaf = encode(0, _event(data=data))
    assert b"hunter2" not in leaf
    assert REDACTED.encode() in leaf


@pytest.mark.parametrize(
    "data",
    [
        {"n": math.nan, "i": math.inf, "h": 10**400, "s": "\ud800", "b": b"x", 5: "five"},
        {"huge": 2**64},
        {"lone": "\udfff"},
        {"not": math.nan},
    ],
)
def test_values_that_msgpack_cannot_carry_are_made_plain(data):
    assert set(decode(encode(0, _event(data=data))).data) == {str(key) for key in data}


def test_data_that_are_too_large_are_replaced_by_hash_and_size():
    data = {"texts": ["x" * 16_000] * 5}
    record = decode(encode(0, _event(data=data)))
    raw = msgpack.packb(data)
    assert record.data == {"$sha256": hashlib.sha256(raw).hexdigest(), "$size": len(raw)}


@pytest.mark.parametrize("more", [{}, {"nested": []}])
def test_a_long_text_is_replaced_by_hash_and_size_and_the_rest_is_kept(more):
    record = decode(encode(0, _event(data={"text": "x" * 10_000_000, "reason": "r", **more})))
    digest = hashlib.sha256(b"x" * 10_000_000).hexdigest()
    assert record.data == {"reason": "r", "text": {"sha256": digest, "size": 10_000_000}, **more}


def test_the_largest_entry_fits_exactly():
    texts = ["x" * 16_000] * 4
    room = DATA_SIZE_MAX - len(msgpack.packb({"t": texts, "u": ""})) - 2  # a longer text has a head of two bytes more
    data = {"t": texts, "u": "y" * room}
    assert len(pack_data(data)) == DATA_SIZE_MAX
    leaf = encode(2**40, _event(session="s" * 255, actor="a" * 255, data=data))
    assert len(leaf) == LEAF_SIZE_MAX
    assert decode(leaf).data == data
    assert "$size" in decode(encode(0, _event(data={"t": texts, "u": "y" * (room + 1)}))).data


class TestNames:
    def test_short_ones_are_kept(self):
        assert stored_name("alice-1") == "alice-1"

    def test_long_ones_are_cut_and_told_apart(self):
        one, other = stored_name("a" * 1000), stored_name("a" * 1001)
        assert one != other
        assert len(one.encode()) == len(other.encode()) == 255

    def test_long_ones_are_not_cut_within_a_character(self):
        assert len(stored_name("ü" * 200).encode()) <= 255

    def test_lone_surrogates_become_visible(self):
        assert decode(encode(0, _event(session="a\ud800"))).session == "a\\ud800"

    def test_are_stable(self):
        name = "x" * 500
        assert stored_name(stored_name(name)) == stored_name(name)


class TestKinds:
    def test_every_pair_has_one(self):
        numbers = {kind_of(event_type, severity) for event_type in EVENT_TYPES for severity in SEVERITIES}
        assert numbers == set(KINDS)
        assert len(numbers) == 35

    def test_positions_never_change(self):
        # They are in every log that was ever written.
        assert EVENT_TYPES == ("state_transition", "auth", "resource", "error", "security", "compliance", "lifecycle")
        assert SEVERITIES == ("debug", "info", "warning", "error", "critical")

    @pytest.mark.parametrize(
        ("event_type", "severity", "field"), [("login", "info", "event_type"), ("auth", "bad", "severity")]
    )
    def test_unknown_ones_are_refused(self, event_type, severity, field):
        with pytest.raises(InvalidArgumentError) as caught:
            kind_of(event_type, severity)
        assert caught.value.field == field
        assert "|" in caught.value.allowed


class TestRefused:
    @pytest.mark.parametrize("field", ["wall_time", "monotonic_time"])
    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    def test_times_that_are_not_finite(self, field, value):
        with pytest.raises(InvalidArgumentError) as caught:
            encode(0, _event(**{field: value}))
        assert caught.value.field == field

    @pytest.mark.parametrize("field", ["wall_time", "monotonic_time"])
    @pytest.mark.parametrize("value", [None, "1", [1]])
    def test_times_that_are_no_numbers(self, field, value):
        with pytest.raises(InvalidTypeError) as caught:
            encode(0, _event(**{field: value}))
        assert caught.value.field == field

    @pytest.mark.parametrize("kind", [-1, 5, 99, None, "auth", [1]])
    def test_unknown_kinds(self, kind):
        with pytest.raises(InvalidArgumentError) as caught:
            encode(0, _event(kind=kind))
        assert caught.value.field == "kind"

    @pytest.mark.parametrize(("field", "value"), [("session", 5), ("session", b"s"), ("actor", None), ("actor", 5)])
    def test_names_that_are_no_text(self, field, value):
        with pytest.raises(InvalidTypeError) as caught:
            encode(0, _event(**{field: value}))
        assert caught.value.field == field

    @pytest.mark.parametrize("event", [None, 5, (1, 2), "abcdef", {}])
    def test_what_is_no_event(self, event):
        with pytest.raises(InvalidTypeError) as caught:
            encode_many(0, [event])
        assert caught.value.field == "event"

    def test_positions_beyond_all_bounds(self):
        with pytest.raises(InvalidArgumentError):
            encode(2**64, _event())

    @pytest.mark.parametrize(
        "leaf",
        [
            b"",
            b"\x00",
            b"\x99",
            msgpack.packb([1, 2, 3]),
            msgpack.packb([1, 9, 9, 0, 0.0, 0.0, None, "a", None]),
            msgpack.packb([2, 0, 1, 0, 0.0, 0.0, None, "a", None]),
            msgpack.packb([1, "x", 1, 0, 0.0, 0.0, None, "a", None]),
            encode(0, AuditEvent(0.0, 0.0, None, 1, "a", None)) + b"\x00",
        ],
    )
    def test_bytes_that_are_no_entry(self, leaf):
        with pytest.raises(InvalidArgumentError) as caught:
            decode(leaf)
        assert caught.value.field == "leaf"


def test_the_data_of_an_edge_are_packed_once():
    assert transition_data("new", "auth") is transition_data("new", "auth")
    assert isinstance(transition_data("new", "auth"), PackedData)


@given(st.lists(st.sampled_from(sorted(KINDS)), max_size=60))
def test_kinds_are_read_back(kinds):
    assert kinds_of(encode_many(0, [_event(kind=kind) for kind in kinds])) == kinds


def test_a_record_has_plain_fields():
    record = decode(encode(4, _event()))
    assert record == AuditRecord(4, 1.5, 0.5, "alice-1", "auth", "info", "session", {"a": "x", "b": 1})


class Liar(str):
    """Text that claims to be the actor that was before it."""

    __slots__ = ()

    def __eq__(self, other):
        return True

    def __hash__(self):
        return hash("session")


class Unhashable(str):
    """Text that raises when somebody wants its hash."""

    __slots__ = ()

    def __hash__(self):
        raise ValueError("no hash")


@pytest.mark.parametrize("odd", [Liar, Unhashable])
def test_an_actor_is_written_as_its_text_whatever_its_class_says(odd):
    events = [(1.0, 2.0, "s", kind_of("auth"), actor, None) for actor in ("session", odd("mallory"), "session")]
    assert [decode(leaf).actor for leaf in encode_many(0, events)] == ["session", "mallory", "session"]
