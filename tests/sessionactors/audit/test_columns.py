"""Batches that are encoded column by column."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionactors.audit.columns import PIECE, EventColumns, _in_columns, encode_batch
from sessionactors.audit.record import KINDS, PackedData, encode_keyed, kind_of, pack_data
from supervisors.errors import SupervisorsError

KIND = kind_of("lifecycle")
DATA = pack_data({"event": "something"})


class Shouting(str):
    """A text of a class of its own."""

    __slots__ = ()


def event(number=0, **changes):
    fields = {"wall": 1.7e9 + number, "moment": float(number), "session": f"s-{number}", "kind": KIND, "actor": "me"}
    fields |= {"data": DATA, **changes}
    return tuple(fields.values())


def columns(events):
    return EventColumns(zip(*events, strict=True))


def outcome(encode, first, events):
    try:
        return encode(first, events)
    except SupervisorsError as error:
        return type(error), error.field


TIMES = st.floats() | st.integers(-(2**70), 2**70) | st.booleans() | st.just("now")
NAMES = st.text(max_size=5) | st.sampled_from(["é" * 127, "x" * 255, "x" * 256, "\ud800", Shouting("a")])
EVENTS = st.tuples(
    st.floats(0, 2e9),
    st.floats(0, 1e6),
    NAMES,
    st.sampled_from(sorted(KINDS)),
    NAMES,
    st.sampled_from([DATA, PackedData(b"\xc0")]),
)
ODD = st.tuples(
    TIMES,
    TIMES,
    NAMES | st.none() | st.just(5),
    st.sampled_from([KIND, 99, -1, True, None, []]),
    NAMES | st.none(),
    st.sampled_from([DATA, b"bytes", None, {"n": 1}, object]),
)


@given(st.sampled_from([0, 120, 127, 128, 250, 255, 65_530, 2**32 - 2, 2**63]), st.lists(EVENTS, max_size=12))
def test_a_batch_is_what_its_events_are_one_by_one(first, events):
    assert encode_batch(first, events) == encode_keyed(first, events)


@given(st.sampled_from([0, 126, 70_000]), st.lists(EVENTS | ODD, min_size=1, max_size=6))
def test_columns_are_what_their_events_are_one_by_one(first, events):
    assert outcome(encode_batch, first, columns(events)) == outcome(encode_keyed, first, events)


@given(st.sampled_from([0, 126, 70_000]), st.lists(EVENTS | ODD | st.just(()) | st.just("abcdef"), max_size=6))
def test_what_is_odd_is_encoded_or_refused_as_one_by_one(first, events):
    assert outcome(encode_batch, first, events) == outcome(encode_keyed, first, events)


@pytest.mark.parametrize("count", [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE])
def test_pieces_are_put_together(count):
    events = [event(number) for number in range(count)]
    assert encode_batch(100_000, iter(events)) == encode_keyed(100_000, events)


def test_ordinary_events_go_by_columns():
    rows = [event(number) for number in range(10)]
    assert _in_columns(1_000, columns(rows)) == encode_keyed(1_000, rows)


@pytest.mark.parametrize(
    "changes",
    [
        {"session": None},
        {"session": Shouting("a")},
        {"session": "x" * 256},
        {"actor": Shouting("a")},
        {"data": {"n": 1}},
        {"data": b"bytes"},
        {"wall": math.nan},
        {"moment": -math.inf},
        {"moment": Decimal(1)},
        {"kind": 99},
        {"kind": []},
    ],
    ids=repr,
)
def test_others_do_not(changes):
    assert _in_columns(1_000, columns([event(1), event(2, **changes)])) is None


@pytest.mark.parametrize("wider", [128, 256, 65_536, 2**32])
def test_where_numbers_become_wider_they_do_not(wider):
    rows = [event(1), event(2)]
    assert _in_columns(wider - 1, columns(rows)) is None
    assert encode_batch(wider - 1, rows) == encode_keyed(wider - 1, rows)
    assert _in_columns(wider - 2, columns(rows)) == encode_keyed(wider - 2, rows)


def test_sessions_with_other_names_in_the_log_do_not():
    rows = [event(1)]
    assert encode_batch(0, rows, pseudonym=str.upper) == encode_keyed(0, rows, pseudonym=str.upper)


def test_columns_are_events_again_to_whoever_goes_through_them():
    rows = [event(1), event(2)]
    assert len(columns(rows)) == 2
    assert list(columns(rows)) == list(columns(rows)) == rows
    assert encode_batch(0, columns(rows), pseudonym=str.upper) == encode_keyed(0, rows, pseudonym=str.upper)


def test_columns_of_other_fields_are_refused():
    with pytest.raises(ValueError, match="not enough values"):
        EventColumns([[1.0], [2.0]])


def test_columns_that_are_not_as_long_as_each_other_are_refused():
    with pytest.raises(ValueError, match="shorter"):
        encode_batch(0, EventColumns(([1.0], [1.0], ["a"], [], ["me"], [DATA])))
