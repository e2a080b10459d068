"""Whom the blast radius lets be hit, and how many at once."""

from __future__ import annotations

import pytest

from supervisors.chaos import BlastRadius
from supervisors.chaos.radius import Radius, matches


@pytest.mark.parametrize(
    ("pattern", "hits"),
    [
        ("*", True),
        ("front-*", True),
        ("back-*", False),
        ("Worker", True),
        ("shop.Worker", True),
        ("sh*.W*", True),
        ("name:front-1", True),
        ("name:Worker", False),
        ("class:Worker", True),
        ("class:front-1", False),
        ("worker", False),
    ],
)
def test_a_pattern_is_for_a_name_or_a_class(pattern, hits):
    assert matches((pattern,), name="front-1", class_name="Worker", module="shop") is hits


def test_who_has_no_name_is_found_by_class_only():
    assert not matches(("name:*",), name=None, class_name="Worker", module="shop")


def radius(healed=(), **limits):
    return Radius(BlastRadius(**limits), lambda who: who in healed)


def test_no_more_suffer_at_once_than_the_limit_says():
    limited = radius(at_once=2)
    for who in "ab":
        assert limited.choose("abc", 3, 0.0, 0.0) == who
        limited.hit(who, 0.0, 5.0)
    assert limited.choose("abc", 3, 0.0, 0.0) is None


def test_a_victim_counts_until_it_has_settled():
    limited = radius(at_once=1, settle=2.0)
    limited.hit("a", 10.0, 5.0)
    assert limited.choose("ab", 2, 0.0, 16.9) is None
    assert limited.choose("ab", 2, 0.0, 17.0) == "a"


def test_who_has_recovered_counts_no_more():
    healed = set()
    limited = radius(healed, at_once=1, settle=100.0)
    limited.hit("a", 0.0, 0.0)
    assert limited.suffering(1.0) == 1
    healed.add("a")
    assert limited.suffering(1.0) == 0


def test_a_share_of_many_may_suffer_and_one_of_few_always_may():
    limited = radius(at_once=100, share=0.5)
    limited.hit("a", 0.0, 5.0)
    assert limited.choose("abcd", 4, 0.0, 0.0) == "b"
    limited.hit("b", 0.0, 5.0)
    assert limited.choose("abcd", 4, 0.0, 0.0) is None
    assert radius(at_once=100, share=0.1).choose("a", 1, 0.0, 0.0) == "a"


def test_luck_chooses_among_those_who_do_not_suffer_yet():
    limited = radius(at_once=100)
    limited.hit("a", 0.0, 5.0)
    assert [limited.choose("abc", 3, luck, 0.0) for luck in (0.0, 0.49, 0.51, 0.99)] == ["b", "b", "c", "c"]


def test_nobody_is_chosen_of_nobody():
    assert radius().choose("", 0, 0.5, 0.0) is None
