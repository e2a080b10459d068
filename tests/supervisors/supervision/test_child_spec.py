from __future__ import annotations

import dataclasses
import math

import pytest

from supervisors import Refusal
from supervisors.supervision.child_spec import ChildSpec, InvalidChildSpec, check_child_spec, check_child_specs


def start():
    """Stand for a start function; nothing here calls it."""


def refused(given, auto_shutdown=None):
    with pytest.raises(InvalidChildSpec) as caught:
        check_child_spec(given, auto_shutdown)
    return caught.value


def test_spec_3_id_and_start_are_needed():
    assert refused({"start": start}).why == "missing_id"
    assert refused({"id": "a"}).why == "missing_start"


def test_spec_3_unknown_keys_are_ignored():
    assert check_child_spec({"id": "a", "start": start, "colour": "red"}) == ChildSpec("a", start)


@pytest.mark.parametrize("given", ["child", 7, [], None])
def test_spec_3_something_that_is_no_specification_is_named_as_such(given):
    error = refused(given)
    assert (error.field, error.why) == ("spec", ("invalid_child_spec", given))


def test_spec_4_defaults_depend_on_the_type():
    worker, supervisor = ChildSpec("a", start), ChildSpec("a", start, type="supervisor")
    assert (worker.restart, worker.type, worker.shutdown, worker.significant) == ("permanent", "worker", 5.0, False)
    assert supervisor.shutdown == "infinity"
    assert worker.modules == (__name__,)


def test_spec_4_a_given_shutdown_wins_over_the_default():
    assert ChildSpec("a", start, type="supervisor", shutdown=3).shutdown == 3.0
    assert ChildSpec("a", start, shutdown="infinity").shutdown == "infinity"


@pytest.mark.parametrize(
    ("field", "given", "tag"),
    [
        ("start", "notmfa", "invalid_mfa"),
        ("start", ("m", "f"), "invalid_mfa"),
        ("args", 5, "invalid_mfa"),
        ("args", "text", "invalid_mfa"),
        ("kwargs", [], "invalid_mfa"),
        ("kwargs", {1: 2}, "invalid_mfa"),
        ("restart", "prmanent", "invalid_restart_type"),
        ("restart", 5, "invalid_restart_type"),
        ("significant", "maybe", "invalid_significant"),
        ("significant", 1, "invalid_significant"),
        ("type", "wrker", "invalid_child_type"),
        ("shutdown", -1, "invalid_shutdown"),
        ("shutdown", "soon", "invalid_shutdown"),
        ("shutdown", True, "invalid_shutdown"),
        ("shutdown", math.inf, "invalid_shutdown"),
        ("shutdown", 1e300, "invalid_shutdown"),
        ("shutdown", 10**400, "invalid_shutdown"),
        ("shutdown", None, "invalid_shutdown"),
        ("modules", "dy", "invalid_modules"),
        ("modules", 5, "invalid_modules"),
    ],
)
def test_spec_5_each_field_has_its_own_error(field, given, tag):
    error = refused({"id": "a", "start": start, field: given})
    assert (error.field, error.why) == (field, (tag, given))
    assert field in str(error)


def test_spec_5_shutdown_cannot_be_not_a_number():
    assert refused({"id": "a", "start": start, "shutdown": math.nan}).field == "shutdown"


def test_spec_5_a_bad_module_is_named_alone():
    assert refused({"id": "a", "start": start, "modules": ["m", 2]}).why == ("invalid_module", 2)


def test_spec_5_an_id_must_be_hashable():
    assert refused({"id": [], "start": start}).field == "id"


def test_spec_5_the_first_fault_in_order_is_named():
    wrong = {
        "start": "s", "restart": "r", "significant": "g", "type": "t", "shutdown": "d", "modules": "m",
    }  # fmt: skip
    order = []
    given = {"id": "a", **wrong}
    good = {"start": start, "restart": "transient", "significant": False, "type": "worker", "shutdown": 0}
    while given.get("modules") == "m":
        field = refused(given).field
        order.append(field)
        given[field] = good.get(field, "dynamic")
    assert order == list(wrong)


def test_spec_6_a_permanent_child_cannot_be_significant():
    error = refused({"id": "a", "start": start, "significant": True})
    assert error.why == ("bad_combination", [("restart", "permanent"), ("significant", True)])


def test_spec_6_without_auto_shutdown_no_child_can_be_significant():
    given = {"id": "a", "start": start, "significant": True, "restart": "transient"}
    error = refused(given, "never")
    assert error.why == ("bad_combination", [("auto_shutdown", "never"), ("significant", True)])
    assert refused(ChildSpec(**given), "never").why == error.why
    assert check_child_spec(given, "any_significant").significant


def test_spec_6_the_supervisor_is_blamed_before_the_restart_type():
    assert refused({"id": "a", "start": start, "significant": True}, "never").why[1][0] == ("auto_shutdown", "never")


def test_spec_6_fields_after_significant_are_looked_at_after_it():
    both = {"id": "a", "start": start, "significant": True, "type": "wrker"}
    assert refused(both, "never").field == "significant"
    assert refused(both | {"restart": "r"}, "never").field == "restart"
    assert refused(both | {"args": 5}, "never").field == "args"


def test_spec_7_ids_are_unique_in_a_list():
    with pytest.raises(InvalidChildSpec) as caught:
        check_child_specs([ChildSpec("a", start), ChildSpec("b", start), {"id": "a", "start": start}])
    assert caught.value.why == ("duplicate_child_name", "a")


def test_spec_9_a_list_is_wanted():
    for given in ("specs", 5, {"id": "a"}):
        with pytest.raises(InvalidChildSpec) as caught:
            check_child_specs(given)
        assert caught.value.why == ("badarg", given)


def test_spec_9_the_auto_shutdown_setting_is_checked():
    with pytest.raises(InvalidChildSpec) as caught:
        check_child_specs([], "sometimes")
    assert caught.value.why == ("badarg", "sometimes")


def test_spec_9_good_specifications_come_back_in_order():
    specs = [ChildSpec(name, start) for name in "cab"]
    assert check_child_specs(specs) == tuple(specs)


def test_an_invalid_specification_is_a_refusal_and_a_value_error():
    error = refused({"id": "a", "start": start, "type": "wrker"})
    assert isinstance(error, Refusal)
    assert isinstance(error, ValueError)
    assert error.code == "invalid_child_spec"
    assert "'worker', 'supervisor'" in error.allowed


def test_a_specification_cannot_be_changed():
    spec = ChildSpec("a", start, kwargs={"key": 1})
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.id = "b"  # type: ignore[misc]
    with pytest.raises(TypeError):
        spec.kwargs["key"] = 2  # type: ignore[index]


def test_keyword_arguments_are_a_copy():
    kwargs = {"key": 1}
    spec = ChildSpec("a", start, kwargs=kwargs)
    kwargs["key"] = 2
    assert spec.kwargs == {"key": 1}


def test_with_args_changes_nothing_else():
    spec = ChildSpec("a", start, (1,), {"key": 1}, restart="transient", shutdown=2, significant=True, modules=["m"])
    assert spec.with_args((2, 3)) == dataclasses.replace(spec, args=(2, 3))
    assert spec.args == (1,)


def test_specifications_made_from_one_without_arguments_share_it():
    template = ChildSpec("a", start, restart="temporary")
    made = template.with_args((1,))
    assert made.without_args() is template
    assert made.with_args((2, 3)).without_args() is template
    assert template.without_args() is template


def test_what_was_made_with_arguments_can_do_without():
    spec = ChildSpec("a", start, (1,), {"key": 1}, restart="transient")
    assert spec.without_args() == dataclasses.replace(spec, args=())
    assert spec.with_args((2,)).without_args() == dataclasses.replace(spec, args=())


def test_equal_specifications_hash_alike():
    assert hash(ChildSpec("a", start)) == hash(ChildSpec("a", start))
