from __future__ import annotations

import math
import pickle
from collections.abc import Mapping

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionactors.errors import InvalidKind, InvalidValue
from sessionactors.metadata import DEPTH_MAX, NO_METADATA, SIZE_MAX_BYTES, check_metadata, copy_of, merge_metadata
from tests.sessionactors.session_world import virtual

leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(codec="utf-8"), max_size=20),
    st.binary(max_size=20),
)
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), inner, max_size=4),
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), values, max_size=5))
def test_what_passes_comes_back_equal_from_the_store(metadata):
    checked = check_metadata("metadata", metadata)
    stored = msgpack.packb(dict(checked))
    assert msgpack.unpackb(stored) == metadata
    assert len(stored) <= SIZE_MAX_BYTES


def test_later_changes_by_the_caller_do_not_get_in():
    given_by_caller = {"roles": ["reader"]}
    checked = check_metadata("metadata", given_by_caller)
    given_by_caller["roles"].append("admin")
    assert checked == {"roles": ["reader"]}


@pytest.mark.parametrize("value", [None, 7, "text", [("a", 1)]])
def test_only_a_mapping_is_metadata(value):
    with pytest.raises(InvalidKind, match="metadata"):
        check_metadata("metadata", value)


@pytest.mark.parametrize("value", [print, object(), {1, 2}, 1j, bytearray(b"x"), Exception("x")])
def test_what_cannot_be_stored_is_refused_with_its_place(value):
    with pytest.raises(InvalidKind, match=r"metadata\.outer\[1\]"):
        check_metadata("metadata", {"outer": [0, value]})


@pytest.mark.parametrize("key", [7, None, b"key", ("a",)])
def test_only_text_is_a_key(key):
    with pytest.raises(InvalidKind, match="a key of metadata"):
        check_metadata("metadata", {key: 1})


@pytest.mark.parametrize("value", [math.nan, math.inf, 2**64, -(2**63) - 1, 10**400, "\ud800"])
def test_what_would_not_come_back_equal_is_refused(value):
    with pytest.raises(InvalidValue, match=r"metadata\.a"):
        check_metadata("metadata", {"a": value})


@pytest.mark.parametrize(
    "value",
    ["x" * SIZE_MAX_BYTES, b"x" * SIZE_MAX_BYTES, ["x" * 1000] * 70, {str(n): "x" * 1000 for n in range(70)}],
)
def test_what_is_too_large_is_refused(value):
    with pytest.raises(InvalidValue, match=f"at most {SIZE_MAX_BYTES} bytes"):
        check_metadata("metadata", {"a": value})


def test_a_list_without_end_is_refused():
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(InvalidValue, match="levels deep"):
        check_metadata("metadata", {"a": endless})


def test_a_deep_value_within_the_limit_passes():
    value: object = 1
    for _ in range(DEPTH_MAX - 1):
        value = [value]
    check_metadata("metadata", {"a": value})
    with pytest.raises(InvalidValue, match="levels deep"):
        check_metadata("metadata", {"a": [value]})


def test_new_keys_win():
    assert merge_metadata({"a": 1, "b": 2}, {"b": 3}) == {"a": 1, "b": 3}


def test_a_copy_is_its_receivers_own_down_to_the_last_list():
    checked = check_metadata("metadata", {"k": 1, "list": [1, {"deep": [2]}]})
    copy = copy_of(checked)
    assert copy == checked
    copy["k"] = 2
    copy["list"][1]["deep"].append(3)
    assert checked == {"k": 1, "list": [1, {"deep": [2]}]}
    assert copy_of(NO_METADATA) is NO_METADATA


def test_merging_with_nothing_copies_nothing():
    old = {"a": 1}
    assert merge_metadata(old, NO_METADATA) is old
    assert merge_metadata(NO_METADATA, old) is old


def test_metadata_cannot_grow_past_the_limit_bit_by_bit():
    half = {"a": "x" * (SIZE_MAX_BYTES // 2)}
    with pytest.raises(InvalidValue):
        merge_metadata(half, {"b": "x" * (SIZE_MAX_BYTES // 2)})


def test_empty_metadata_is_one_object_that_stays_empty():
    assert check_metadata("metadata", {}) is NO_METADATA
    assert dict(NO_METADATA) == {}
    assert repr(NO_METADATA) == "{}"
    assert NO_METADATA.get("pre_authenticated") is None
    assert not hasattr(NO_METADATA, "__setitem__")
    assert pickle.loads(pickle.dumps(NO_METADATA)) is NO_METADATA


class Gone(Mapping):
    """A row of a database whose connection is gone, say."""

    def __getitem__(self, key):
        raise ConnectionError("gone")

    def __iter__(self):
        raise ConnectionError("gone")

    def __len__(self):
        raise ConnectionError("gone")


class Faceless:
    def __getattribute__(self, name):
        raise RuntimeError("no")


class Endless(str):
    __slots__ = ()

    def isascii(self):
        raise RuntimeError("no")


@pytest.mark.parametrize("kind", [Gone, Faceless, Endless])
@pytest.mark.parametrize("around", [lambda value: value, lambda value: {"k": value}, lambda value: {"k": [value]}])
def test_what_raises_when_it_is_looked_at_is_refused_and_crashes_no_session(kind, around):
    value = around(kind())
    with pytest.raises(InvalidKind, match="metadata"):
        check_metadata("metadata", value)
    with virtual() as system:
        system.start_session("a")
        with pytest.raises(InvalidKind):
            system.init_session("a", value)
        assert system.get_state("a") == "new"


class Unreadable(dict):
    def items(self):
        raise RuntimeError("dictionary changed size during iteration")


@pytest.mark.parametrize("metadata", [Unreadable(a=1), {"inner": Unreadable(a=1)}, {"list": [Unreadable(a=1)]}])
def test_what_cannot_be_read_is_refused_as_any_other_wrong_kind(metadata):
    with pytest.raises(InvalidKind, match="nobody changes meanwhile") as refused:
        check_metadata("metadata", metadata)
    assert refused.value.field.startswith("metadata")
