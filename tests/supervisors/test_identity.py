from __future__ import annotations

import enum
from collections import OrderedDict, namedtuple
from dataclasses import dataclass, field
from typing import NamedTuple

import pytest

from supervisors.identity import DEPTH_MAX, PARTS_MAX, is_changeable, sameness
from supervisors.typed import Request


class Thing:
    """Is the same only as itself."""


class Hostile:
    """Runs no code of its own when it is looked at, or the test fails."""

    def __eq__(self, other):
        raise AssertionError("__eq__ was called")

    def __hash__(self):
        raise AssertionError("__hash__ was called")

    def __repr__(self):
        raise AssertionError("__repr__ was called")


class HostileMeta(type):
    def __eq__(cls, other):
        raise AssertionError("__eq__ was called")

    def __hash__(cls):
        raise AssertionError("__hash__ was called")

    def __getattribute__(cls, name):
        raise AssertionError("an attribute of the class was looked up")


@dataclass(frozen=True)
class Job:
    name: str
    payload: bytes = field(default=b"", repr=False, compare=False)


@dataclass(frozen=True)
class OtherJob:
    name: str
    payload: bytes = b""


@dataclass(frozen=True, slots=True)
class Slotted(Request[int]):
    number: int


@dataclass
class Changeable:
    name: str


class Child(Job):
    """Has a frozen dataclass as its base, and perhaps more state."""


@dataclass(frozen=True)
class InDict(dict):
    name: str


class Point(NamedTuple):
    x: int
    y: object = 0


Old = namedtuple("Old", "x y")  # noqa: PYI024 - the old way to make one, which has to work as well


class Color(enum.IntEnum):
    RED = 1


def copies():
    """Return messages that are equal, but not identical, at each call."""
    return [
        None,
        True,
        10**40,
        -(10**40),
        0.25,
        float("nan"),
        1j,
        "text \ud800",
        b"bytes",
        bytearray(b"array"),
        ("op", 1, ("nested",)),
        [1, [2]],
        {"a": [1], ("b",): {2}},
        frozenset({1, 2}),
        Job("x", b"payload"),
        Slotted(5),
        Point(1, "y"),
        Old(1, 2),
    ]


@pytest.mark.parametrize(("one", "other"), list(zip(copies(), copies(), strict=True)), ids=repr)
def test_plain_values_are_the_same_by_what_they_contain(one, other):
    assert sameness(one) == sameness(other)


def test_plain_values_that_differ_are_different():
    different = [
        *copies(),
        False,
        1,
        1.0,
        "1",
        b"1",
        -1,
        255,
        0.0,
        -0.0,
        (),
        [],
        {},
        set(),
        frozenset(),
        ("ab", "c"),
        ("a", "bc"),
        (("a",), "b"),
        ("a", ("b",)),
        ["a", "b"],
        {"a": "b"},
        {"b": "a"},
        {"a", "b"},
        Job("x", b"other"),
        OtherJob("x", b"payload"),
        ("x", b"payload"),
        (1, 2),
        Color.RED,
    ]
    digests = {sameness(each).digest for each in different}
    assert len(digests) == len(different)


def test_the_order_of_a_dict_does_not_matter():
    assert sameness({"a": 1, "b": 2}) == sameness({"b": 2, "a": 1})


@pytest.mark.parametrize(
    "make",
    [Thing, Hostile, lambda: Changeable("x"), lambda: Child("x"), lambda: InDict("x"), lambda: OrderedDict(a=1)],
)
def test_everything_else_is_the_same_only_as_itself(make):
    one, other = make(), make()
    assert sameness(one).digest == sameness(one).digest
    assert sameness(one).digest != sameness(other).digest
    assert sameness(one).kept[0] is one


def test_within_plain_values_too_an_object_is_the_same_only_as_itself():
    one, other = Hostile(), Hostile()
    assert sameness(("op", one)).digest == sameness(("op", one)).digest
    assert sameness(("op", one)).digest != sameness(("op", other)).digest
    assert sameness(("op", one)).kept[0] is one


def test_a_class_is_kept_as_long_as_what_was_made_of_it():
    assert sameness(Job("x")).kept == (Job,)


def test_no_code_of_a_class_runs():
    strange = type.__call__(HostileMeta, "Strange", (), {})()
    assert sameness(strange).kept[0] is strange


def test_a_message_that_contains_itself_is_the_same_only_as_itself():
    loop: list[object] = []
    loop.append(loop)
    assert sameness(loop).kept[0] is loop


@pytest.mark.parametrize("size", [PARTS_MAX, 50 * PARTS_MAX])
def test_what_is_too_large_is_the_same_only_as_itself(size):
    large = [0] * size
    assert sameness(large).kept[0] is large
    assert sameness([0] * (PARTS_MAX - 1)).kept == ()


def test_what_is_nested_too_deep_is_the_same_only_as_itself():
    deep: tuple[object, ...] = ()
    for _ in range(DEPTH_MAX):
        deep = (deep,)
    assert sameness(deep).kept == ()
    assert sameness((deep,)).kept[0][0] is deep


@pytest.mark.parametrize("message", ["x", 1, ("x", 1), Job("x"), Point(1), Thing(), Hostile(), Changeable("x")])
def test_what_cannot_become_another_message_is_known(message):
    assert not is_changeable(message)


@pytest.mark.parametrize(
    "message", [[], {}, set(), bytearray(), ("x", [1]), Point(1, {}), OtherJob("x", [])], ids=lambda each: repr(each)
)
def test_what_a_handler_can_change_is_known(message):
    assert is_changeable(message)


def test_what_is_the_same_only_as_itself_by_its_size_costs_no_look_at_all_of_it():
    nested: tuple[object, ...] = (1, 2)
    for _ in range(60):
        nested = (nested, nested)
    assert is_changeable(nested)
    assert sameness(nested).kept[0] is nested
