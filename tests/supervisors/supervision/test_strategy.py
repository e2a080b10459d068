from __future__ import annotations

from dataclasses import dataclass

import pytest

from supervisors import KILLED, NORMAL, SHUTDOWN, Shutdown
from supervisors.supervision.child_spec import ChildSpec
from supervisors.supervision.strategy import is_reported, is_restarted, restart_plan


@dataclass(eq=False)
class Child:
    spec: ChildSpec


def start():
    """Stand for a start function; nothing here calls it."""


def children(*temporary):
    return [
        Child(ChildSpec(number, start, restart="temporary" if number in temporary else "permanent"))
        for number in range(5)
    ]


def planned(strategy, group, failed):
    plan = restart_plan(strategy, group, group[failed])
    return [child.spec.id for child in plan.terminate], [child.spec.id for child in plan.start]


ORDERLY = [NORMAL, SHUTDOWN, Shutdown("bye")]
ABNORMAL = ["boom", KILLED, "noproc", None, ("shutdown", "x", "y")]


@pytest.mark.parametrize("reason", ORDERLY + ABNORMAL)
def test_sup_9_a_permanent_child_is_always_restarted_and_a_temporary_one_never(reason):
    assert is_restarted("permanent", reason)
    assert not is_restarted("temporary", reason)


@pytest.mark.parametrize("reason", ORDERLY)
def test_sup_9_a_transient_child_is_not_restarted_after_an_orderly_end(reason):
    assert not is_restarted("transient", reason)


@pytest.mark.parametrize("reason", ABNORMAL)
def test_sup_9_a_transient_child_is_restarted_after_an_abnormal_end(reason):
    assert is_restarted("transient", reason)


def test_sup_11_every_end_of_a_permanent_child_is_reported_and_only_abnormal_ones_of_others():
    for reason in ORDERLY:
        reported = [is_reported(restart, reason) for restart in ("permanent", "transient", "temporary")]
        assert reported == [True, False, False]
    for reason in ABNORMAL:
        assert all(is_reported(restart, reason) for restart in ("permanent", "transient", "temporary"))


@pytest.mark.parametrize("strategy", ["one_for_one", "simple_one_for_one"])
def test_sup_12_one_for_one_restarts_the_child_alone(strategy):
    assert planned(strategy, children(), 2) == ([], [2])


def test_sup_13_one_for_all_ends_the_others_in_reverse_and_starts_all_in_order():
    assert planned("one_for_all", children(), 2) == ([4, 3, 1, 0], [0, 1, 2, 3, 4])


def test_sup_14_rest_for_one_leaves_the_earlier_ones_alone():
    assert planned("rest_for_one", children(), 2) == ([4, 3], [2, 3, 4])


def test_sup_14_the_last_child_is_restarted_alone():
    assert planned("rest_for_one", children(), 4) == ([], [4])


def test_sup_16_temporary_children_of_the_group_are_ended_and_not_started():
    assert planned("one_for_all", children(0, 3), 2) == ([4, 3, 1, 0], [1, 2, 4])
    assert planned("rest_for_one", children(0, 3), 2) == ([4, 3], [2, 4])


def test_the_failed_child_is_found_by_identity():
    group = children()
    twin = Child(group[1].spec)
    plan = restart_plan("rest_for_one", [*group, twin], twin)
    assert plan.start == (twin,)


def test_a_failed_child_that_is_nobodys_is_an_error():
    with pytest.raises(ValueError, match="not among the children"):
        restart_plan("rest_for_one", children(), Child(ChildSpec("x", start)))
