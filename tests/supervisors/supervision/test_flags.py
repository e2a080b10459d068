from __future__ import annotations

import math

import pytest

from supervisors.supervision.flags import DynamicFlags, InvalidFlags, SupervisorFlags, check_flags


def refused(given):
    with pytest.raises(InvalidFlags) as caught:
        check_flags(given)
    return caught.value


def test_spec_1_the_defaults_are_those_of_otp():
    assert check_flags({}) == SupervisorFlags()
    flags = SupervisorFlags()
    assert (flags.strategy, flags.max_restarts, flags.max_seconds) == ("one_for_one", 1, 5.0)
    assert flags.auto_shutdown == "never"


def test_spec_1_unknown_keys_are_ignored():
    assert check_flags({"colour": "red", "max_restarts": 7}) == SupervisorFlags(max_restarts=7)


@pytest.mark.parametrize(
    ("field", "given", "tag"),
    [
        ("strategy", "one_for_two", "invalid_strategy"),
        ("strategy", 3, "invalid_strategy"),
        ("max_restarts", -1, "invalid_intensity"),
        ("max_restarts", 1.0, "invalid_intensity"),
        ("max_restarts", True, "invalid_intensity"),
        ("max_restarts", "many", "invalid_intensity"),
        ("max_seconds", 0, "invalid_period"),
        ("max_seconds", -1.5, "invalid_period"),
        ("max_seconds", "long", "invalid_period"),
        ("max_seconds", True, "invalid_period"),
        ("max_seconds", math.inf, "invalid_period"),
        ("max_seconds", 10**400, "invalid_period"),
        ("auto_shutdown", True, "invalid_auto_shutdown"),
        ("auto_shutdown", "sometimes", "invalid_auto_shutdown"),
    ],
)
def test_spec_2_each_flag_has_its_own_error(field, given, tag):
    error = refused({field: given})
    assert (error.field, error.why) == (field, (tag, given))


def test_spec_2_max_seconds_cannot_be_not_a_number():
    assert refused({"max_seconds": math.nan}).field == "max_seconds"


def test_spec_2_the_first_fault_in_order_is_named():
    wrong = {"strategy": "s", "max_restarts": -1, "max_seconds": 0, "auto_shutdown": "a"}
    order = []
    for _ in wrong.copy():
        order.append(refused(wrong).field)
        del wrong[order[-1]]
    assert order == ["strategy", "max_restarts", "max_seconds", "auto_shutdown"]


def test_spec_2_flags_that_are_no_mapping_are_named_as_such():
    assert refused("flags").why == ("invalid_type", "flags")


def test_max_seconds_may_be_a_fraction_and_becomes_a_float():
    assert SupervisorFlags(max_seconds=0.25).max_seconds == 0.25
    assert isinstance(SupervisorFlags(max_seconds=3).max_seconds, float)


def test_flags_that_were_made_pass_as_they_are():
    flags = SupervisorFlags(strategy="one_for_all")
    assert check_flags(flags) is flags


def test_dyn_1_the_defaults_of_dynamic_supervisors_are_those_of_elixir():
    flags = DynamicFlags()
    assert (flags.max_restarts, flags.max_seconds, flags.max_children, flags.extra_arguments) == (3, 5.0, None, ())


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("max_restarts", -1),
        ("max_seconds", 0),
        ("max_children", -1),
        ("max_children", 1.5),
        ("max_children", True),
        ("extra_arguments", "text"),
        ("extra_arguments", 5),
    ],
)
def test_dyn_1_each_flag_of_a_dynamic_supervisor_is_checked(field, given):
    with pytest.raises(InvalidFlags) as caught:
        DynamicFlags(**{field: given})
    assert caught.value.field == field
