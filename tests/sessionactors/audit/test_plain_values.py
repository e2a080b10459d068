"""Anything may be logged; what is kept is plain, the same every time, and no secret."""

from __future__ import annotations

import collections
import datetime as dt
import decimal
import enum
import hashlib
import ipaddress
import json
import math
import pathlib
import sys
import uuid
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionactors.audit.plain_values import (
    DEPTH_MAX,
    FORBIDDEN_KEYS,
    ITEMS_MAX,
    MESSAGE_MAX,
    REDACTED,
    forbidden_names,
    is_forbidden,
    plain,
)


class Hostile:
    """Raises whatever is done with it."""

    def __repr__(self):
        raise RuntimeError("no repr")

    def __str__(self):
        raise RuntimeError("no str")

    def __hash__(self):
        return 5


class Untouchable(Hostile):
    """Raises even when asked for its class, as `isinstance()` does."""

    def __getattribute__(self, name):
        raise RuntimeError("nothing")


class Unreadable(collections.abc.Mapping):
    def __len__(self):
        return 3

    def __iter__(self):
        raise RuntimeError("no items")

    def __getitem__(self, key):
        raise KeyError(key)


class Endless(collections.abc.Mapping):
    def __len__(self):
        return sys.maxsize

    def __iter__(self):
        return iter(range(sys.maxsize))

    def __getitem__(self, key):
        return key


class Colour(enum.Enum):
    RED = "red"


class Number(enum.IntEnum):
    ONE = 1


class Text(str):
    __slots__ = ()

    def __str__(self):
        return "something else"


@dataclass
class Login:
    user: str
    password: str
    attempts: int = 1
    salt: str = field(default="s", repr=False)


def _anything():
    atoms = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(st.characters(exclude_categories=())),
        st.binary(),
        st.builds(object),
        st.builds(Hostile),
        st.datetimes(),
        st.decimals(),
    )
    keys = st.one_of(st.text(max_size=8), st.integers(), st.none(), st.builds(Hostile), st.tuples(st.text(max_size=3)))
    return st.recursive(
        atoms,
        lambda inner: st.one_of(
            st.lists(inner, max_size=5), st.dictionaries(keys, inner, max_size=5), st.tuples(inner, inner)
        ),
        max_leaves=20,
    )


def _is_plain(value):
    match value:
        case None | bool():
            return True
        case int():
            return -(2**63) <= value < 2**64
        case float():
            return math.isfinite(value)
        case str():
            return value.encode() is not None
        case list():
            return all(map(_is_plain, value))
        case dict():
            return list(value) == sorted(value) and all(map(_is_plain, [*value, *value.values()]))
    return False


@given(_anything())
def test_whatever_comes_in_plain_values_come_out(value):
    assert _is_plain(plain(value))


@given(_anything())
def test_plain_values_are_plain_already(value):
    once = plain(value)
    assert plain(once) == once or "..." in json.dumps(once)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (5, 5),
        (2**64 - 1, 2**64 - 1),
        (2**64, "0x10000000000000000"),
        (-(2**63) - 1, "-0x8000000000000001"),
        (1 << 5000, "<integer of 5001 bits>"),
        (1.5, 1.5),
        (math.nan, "nan"),
        (math.inf, "inf"),
        (-math.inf, "-inf"),
        ("ü\n\x00", "ü\n\x00"),
        ("a\ud800b", "a\\ud800b"),
        (b"\x00\xff", "hex:00ff"),
        (bytearray(b"a"), "hex:61"),
        (memoryview(b"a"), "hex:61"),
        ((1, "a"), [1, "a"]),
        ({3, 1, 2}, [1, 2, 3]),
        (frozenset({"b", 1}), [1, "b"]),
        ({"b": 1, "a": 2}, {"a": 2, "b": 1}),
        ({2: "two", None: 0, (1, 2): 3}, {"2": "two", "<too deep>": 3, "None": 0}),
        (Colour.RED, "red"),
        (Number.ONE, 1),
        (Text("abc"), "abc"),
        (dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC), "2026-01-05T09:00:00+00:00"),
        (dt.date(2026, 1, 5), "2026-01-05"),
        (dt.time(9, 30), "09:30:00"),
        (dt.timedelta(seconds=90), 90.0),
        (decimal.Decimal("1.10"), "1.10"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (ipaddress.ip_address("10.0.0.1"), "10.0.0.1"),
        (pathlib.PurePosixPath("/a/b"), "/a/b"),
        (ValueError("no"), {"error": "ValueError", "message": "no"}),
        (ValueError, "<class ValueError>"),
        (Login, f"<class {__name__}.Login>"),
        (object(), "<object>"),
        (len, "<builtin_function_or_method>"),
    ],
)
def test_each_kind_has_its_form(value, expected):
    assert plain(value) == expected


def test_plain_integers_are_no_subclass():
    assert type(plain(Number.ONE)) is int
    assert type(plain(Text("a"))) is str


def test_a_dataclass_is_told_by_its_fields_without_those_it_hides():
    assert plain(Login("ann", "pw")) == {"attempts": 1, "password": REDACTED, "salt": REDACTED, "user": "ann"}


def test_long_bytes_are_told_by_hash_and_size():
    assert plain(bytes(2000)) == {"sha256": hashlib.sha256(bytes(2000)).hexdigest(), "size": 2000}


@pytest.mark.parametrize("text", ["ü" * 20_000, Text("x" * 20_000)])
def test_long_text_is_told_by_hash_and_size(text):
    raw = str.encode(text)
    assert plain([text, "short"]) == [{"sha256": hashlib.sha256(raw).hexdigest(), "size": len(raw)}, "short"]


def test_a_long_text_in_many_places_is_hashed_once(monkeypatch):
    hashed = []
    right = hashlib.sha256

    def watched(raw):
        hashed.append(raw)
        return right(raw)

    monkeypatch.setattr(hashlib, "sha256", watched)
    plain(["x" * 20_000] * 100)
    assert len(hashed) == 1


def test_long_texts_that_come_and_go_are_not_mixed_up():
    class Fleeting(collections.abc.Mapping):
        def __len__(self):
            return 20

        def __iter__(self):
            return iter(range(20))

        def __getitem__(self, key):
            return str(key) * 20_000

    assert plain(Fleeting()) == {
        str(key): {"sha256": hashlib.sha256(str(key).encode() * 20_000).hexdigest(), "size": len(str(key)) * 20_000}
        for key in range(20)
    }


def test_a_long_message_of_an_exception_is_cut():
    assert plain(ValueError("x" * 10_000)) == {"error": "ValueError", "message": "x" * MESSAGE_MAX}


@pytest.mark.parametrize(
    "value",
    [Hostile(), [Hostile()], {"a": Hostile()}, {Hostile(): 1}, Unreadable(), ValueError(Hostile()), {1: Unreadable()}],
)
def test_objects_that_raise_are_named_by_their_class(value):
    assert "Hostile" in str(plain(value)) or "cannot be read" in str(plain(value))


def test_objects_that_cannot_even_be_looked_at_are_named_by_their_class():
    assert "Untouchable" in str(plain([Untouchable()]))


def test_an_unknown_object_is_not_asked_for_its_repr():
    class Talkative:
        def __repr__(self):
            return "hunter2"

    assert "hunter2" not in str(plain([Talkative()]))


def test_a_cycle_ends():
    loop: list[object] = [1]
    loop.append({"again": loop})
    assert plain(loop) == [1, {"again": "<cycle>"}]


def test_the_same_object_twice_is_no_cycle():
    shared = [1]
    assert plain([shared, shared]) == [[1], [1]]


def test_depth_has_an_end():
    deep: object = "bottom"
    for _ in range(100_000):
        deep = [deep]
    told = json.dumps(plain(deep))
    assert told.count("[") == DEPTH_MAX
    assert "<too deep>" in told


def test_breadth_has_an_end():
    told = plain(list(range(ITEMS_MAX * 3)))
    assert len(told) <= ITEMS_MAX + 1
    assert told[-1].endswith(" more>")


def test_a_mapping_that_never_ends_has_an_end():
    assert len(plain(Endless())) <= ITEMS_MAX + 1


def test_structures_that_grow_by_sharing_have_an_end():
    shared: object = "x"
    for _ in range(11):
        shared = [shared] * 10
    assert len(json.dumps(plain(shared))) < 200_000


def test_a_set_that_is_too_large_is_not_shown_in_part():
    assert plain(set(range(ITEMS_MAX + 5))) == f"<set of {ITEMS_MAX + 5} items>"


def test_different_keys_that_read_alike_are_both_kept():
    assert plain({1: "a", "1": "b"}) == {"1": "a", "1#2": "b"}


def test_long_keys_are_cut_and_told_apart():
    told = plain({"k" * 1000: 1, "k" * 1001: 2})
    assert sorted(told.values()) == [1, 2]
    assert max(map(len, told)) < 400


class TestForbiddenKeys:
    @pytest.mark.parametrize(
        "key",
        [
            "password",
            "PASSWORD",
            "userPassword",
            "user_password",
            "passwordHash",
            "token",
            "access_token",
            "authToken",
            "client-secret",
            "Authorization",
            "Set-Cookie",
            "cookies",
            "api_key",
            "X-Api-Key",
            "apiKey",
            "credentials",
            "private key",
            "Bearer",
            "pass\u00adword",
        ],
    )
    def test_are_found(self, key):
        assert is_forbidden(key)

    @pytest.mark.parametrize("key", ["tokens", "tokens_left", "user", "from_state", "key", "pass", "author", ""])
    def test_are_not_found_where_there_are_none(self, key):
        assert not is_forbidden(key)

    @pytest.mark.parametrize("name", sorted(FORBIDDEN_KEYS))
    def test_have_no_value_at_any_depth(self, name):
        told = json.dumps(plain({"a": [{name.upper(): "hunter2", "rest": ({f"x_{name}": "hunter2"},)}]}))
        assert "hunter2" not in told
        assert told.count(REDACTED) == 2

    def test_have_no_value_in_pairs_either(self):
        assert plain([("Authorization", "hunter2"), ["Host", "x"]]) == [["Authorization", REDACTED], ["Host", "x"]]

    def test_can_be_ones_own(self):
        names = forbidden_names(["Salary", "date-of-birth", "!"])
        assert plain({"salary": 1, "dateOfBirth": 2, "password": 3}, names) == {
            "salary": REDACTED,
            "dateOfBirth": REDACTED,
            "password": 3,
        }

    def test_of_mappings_are_not_hidden_by_another_kind_of_key(self):
        assert plain({b"password": 1, Text("password"): 2}) == {"hex:70617373776f7264": 1, "password": REDACTED}
