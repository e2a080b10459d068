from __future__ import annotations

import math
from contextlib import suppress

import pytest

from sessionactors import bounds
from sessionactors.errors import InvalidKind, InvalidLimit, InvalidQuota, InvalidValue

NO_NUMBERS = [True, False, "5", b"5", None, [5], 1j]


@pytest.mark.parametrize(("given", "kept"), [(1, 1.0), (0.001, 0.001), (bounds.SECONDS_MAX, bounds.SECONDS_MAX)])
def test_durations_are_kept_as_floats(given, kept):
    seconds = bounds.seconds("timeout", given)
    assert seconds == kept
    assert type(seconds) is float


@pytest.mark.parametrize("value", [0, -1, -0.5, math.nan, math.inf, -math.inf, bounds.SECONDS_MAX * 1.01, 10**400])
def test_a_duration_out_of_bounds_names_the_field_and_the_unit(value):
    with pytest.raises(InvalidValue, match=r"timeout: .* seconds"):
        bounds.seconds("timeout", value)


@pytest.mark.parametrize("value", NO_NUMBERS)
def test_a_duration_of_another_kind_is_refused_without_being_shown(value):
    with pytest.raises(InvalidKind, match=f"timeout: a {type(value).__name__} is not allowed"):
        bounds.seconds("timeout", value)


def test_none_means_never():
    assert bounds.seconds_or_none("timeout", None) is None
    assert bounds.seconds_or_none("timeout", 2) == 2.0


def test_who_writes_infinity_is_told_to_write_none():
    with pytest.raises(InvalidValue, match="None for never"):
        bounds.seconds_or_none("timeout", math.inf)


@pytest.mark.parametrize("value", [1, 7, 10])
def test_counts_between_the_bounds_are_kept(value):
    assert bounds.count("size", value, least=1, most=10) == value


@pytest.mark.parametrize("value", [0, 11, -3, 10**100, pytest.param(10**10_000, id="huge")])
def test_a_count_out_of_bounds_tells_the_bounds(value):
    with pytest.raises(InvalidValue, match=r"size: .* from 1 to 10"):
        bounds.count("size", value, least=1, most=10)


@pytest.mark.parametrize("value", [*NO_NUMBERS, 1.0, math.nan])
def test_a_count_of_another_kind_is_refused(value):
    with pytest.raises(InvalidKind, match="size"):
        bounds.count("size", value)


def test_none_means_unlimited():
    assert bounds.count_or_none("size", None) is None
    assert bounds.count_or_none("size", 3) == 3


@pytest.mark.parametrize("value", [-1, "5", True])
def test_an_area_answers_with_its_own_code_whatever_is_wrong(value):
    with pytest.raises(InvalidQuota) as refused:
        bounds.count("max_requests", value, least=0, refuse=InvalidQuota)
    assert refused.value.code == "invalid_quota"
    with pytest.raises(InvalidLimit):
        bounds.number("rate", value, most=10, refuse=InvalidLimit)


@pytest.mark.parametrize("value", [0, 1, "yes", None])
def test_a_truthy_something_is_no_flag(value):
    with pytest.raises(InvalidKind, match="persistent"):
        bounds.flag("persistent", value)


def test_flags_are_kept():
    assert bounds.flag("persistent", True) is True
    assert bounds.flag("persistent", False) is False


@pytest.mark.parametrize("value", ["", "a\nb", "a\x00b", "\ud800", "x" * 1025, "é" * 513])
def test_text_is_printable_and_bounded(value):
    with pytest.raises(InvalidValue, match="user_id"):
        bounds.text("user_id", value)


@pytest.mark.parametrize("value", [b"ada", 7, None])
def test_text_of_another_kind_is_refused(value):
    with pytest.raises(InvalidKind, match="user_id"):
        bounds.text("user_id", value)


def test_text_may_be_missing_where_that_is_said():
    assert bounds.text_or_none("backend", None) is None
    assert bounds.text_or_none("backend", "sqlite") == "sqlite"


def test_a_choice_is_one_of_a_few_words():
    assert bounds.choice("policy", "all", ("all", "none")) == "all"


def test_a_wrong_choice_tells_the_right_ones():
    with pytest.raises(InvalidValue, match="one of all, none"):
        bounds.choice("policy", "some", ("all", "none"))


@pytest.mark.parametrize("value", [None, 1, ["all"]])
def test_a_choice_of_another_kind_is_refused(value):
    with pytest.raises(InvalidKind, match="policy"):
        bounds.choice("policy", value, ("all", "none"))


class TestNames:
    def test_are_kept_as_a_tuple(self):
        assert bounds.names("n", ["a", "b"]) == ("a", "b")
        assert bounds.names("n", ()) == ()

    @pytest.mark.parametrize("given", ["ab", 3, None, {"a"}])
    def test_that_are_no_list_are_refused(self, given):
        with pytest.raises(InvalidKind):
            bounds.names("n", given)

    def test_too_many_or_empty_ones_are_refused(self):
        with pytest.raises(InvalidValue):
            bounds.names("n", ["a"] * 257)
        with pytest.raises(InvalidValue):
            bounds.names("n", [""])


class TestAMoment:
    def test_may_lie_before_1970(self):
        assert bounds.moment("m", -1) == -1.0

    @pytest.mark.parametrize("given", [True, "now", None])
    def test_is_a_number(self, given):
        with pytest.raises(InvalidKind):
            bounds.moment("m", given)

    @pytest.mark.parametrize("given", [float("nan"), float("inf")])
    def test_is_finite(self, given):
        with pytest.raises(InvalidValue):
            bounds.moment("m", given)


class Odd:
    @property  # type: ignore[misc]  # that is what is odd
    def __class__(self):
        raise ZeroDivisionError


class OddNumber(int):
    def __le__(self, _):
        raise ZeroDivisionError

    __lt__ = __gt__ = __ge__ = __le__


class OddText(str):
    __slots__ = ()

    def __len__(self):
        raise ZeroDivisionError


@pytest.mark.parametrize("make", [Odd, lambda: OddNumber(1), lambda: OddText("a")], ids=["class", "number", "text"])
@pytest.mark.parametrize("check", [bounds.count, bounds.flag, bounds.moment, bounds.names, bounds.seconds, bounds.text])
def test_what_raises_when_it_is_looked_at_is_refused_or_kept_as_what_it_is(check, make):
    kept = []
    with suppress(InvalidKind, InvalidValue):
        kept.append(check("field", make()))
    assert {type(each) for each in kept} <= {int, float, str, tuple}


def test_text_of_a_class_of_its_own_is_kept_as_text():
    class Loud(str):
        __slots__ = ()

    assert type(bounds.text("field", Loud("a"))) is str
