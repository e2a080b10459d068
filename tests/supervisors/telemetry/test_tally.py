from __future__ import annotations

import pytest

from supervisors import ActorSystem, Crashed, VirtualClock
from supervisors.errors import InvalidArgumentError
from supervisors.exits import Shutdown
from supervisors.supervision.child_spec import ChildSpec
from supervisors.supervision.reports import ChildSummary, ErrorReport, ProgressReport
from supervisors.telemetry.tally import OTHER, ChildTally, reason_label, supervisor_label


def started(child, supervisor="top", restart="permanent"):
    return ProgressReport(supervisor, ChildSummary(ChildSpec(child, print, restart=restart)))


def failed(child, reason="killed", context="child_terminated", restart="permanent", count=None):
    return ErrorReport("top", context, reason, ChildSummary(ChildSpec(child, print, restart=restart), count=count))


def counted(*reports, labels_max=200):
    tally = ChildTally(labels_max)
    for report in reports:
        tally.count(report)
    return tally.snapshot()


def test_the_first_start_is_no_restart():
    counts = counted(started("a"))
    assert counts.starts == {("top", "a"): 1}
    assert counts.restarts == {}


def test_a_start_after_a_failure_is_a_restart_of_that_child():
    counts = counted(started("a"), started("b"), failed("a"), started("a"))
    assert counts.starts == {("top", "a"): 2, ("top", "b"): 1}
    assert counts.restarts == {("top", "a"): 1}


def test_the_restart_of_a_child_whose_first_start_nobody_counted_is_one():
    assert counted(failed("a"), started("a")).restarts == {("top", "a"): 1}


def test_a_temporary_child_that_failed_is_not_restarted_by_the_next_of_its_kind():
    counts = counted(started("a", restart="temporary"), failed("a", restart="temporary"), started("a"))
    assert counts.restarts == {}


def test_a_child_that_was_given_up_owes_no_restart():
    reached = "reached_max_restart_intensity"
    counts = counted(started("a"), failed("a"), failed("a", reached, "shutdown"), started("a"))
    assert counts.restarts == {}
    assert counts.failures[("top", "a", "shutdown", reached)] == 1


def test_failures_are_counted_by_context_and_reason():
    counts = counted(failed("a", Crashed(KeyError("secret"))), failed("a", Crashed(KeyError("other"))))
    assert counts.failures == {("top", "a", "child_terminated", "KeyError"): 2}


def test_a_report_about_several_children_counts_them_all():
    counts = counted(failed("a", "killed", "shutdown_error", count=7))
    assert sum(counts.failures.values()) == 7


def test_beyond_the_bound_children_count_as_other_and_nothing_is_lost():
    counts = counted(*(started(f"child-{number}") for number in range(500)), labels_max=10)
    assert len(counts.starts) == 11
    assert counts.starts[(OTHER, OTHER)] == 490
    assert sum(counts.starts.values()) == 500
    assert counts.unlabelled == 490


def test_a_known_child_is_counted_by_name_also_beyond_the_bound():
    counts = counted(started("a"), started("b"), failed("a"), started("a"), labels_max=1)
    assert counts.starts == {("top", "a"): 2, (OTHER, OTHER): 1}


@pytest.mark.parametrize(
    ("reason", "label"),
    [
        ("normal", "normal"),
        ("session-4711 went wrong", OTHER),
        (Crashed(ValueError("x")), "ValueError"),
        (Shutdown("detail"), "shutdown"),
        (("a", "tuple"), "tuple"),
    ],
)
def test_a_reason_becomes_a_word_of_a_bounded_set(reason, label):
    assert reason_label(reason) == label


def test_a_supervisor_without_a_name_counts_under_its_class():
    assert supervisor_label("x" * 1000) == "x" * 60
    with ActorSystem(clock=VirtualClock()) as system:
        from supervisors import Actor

        assert supervisor_label(system.start(Actor)) == "Actor"


@pytest.mark.parametrize(
    ("child", "label"), [(7, "7"), (None, "None"), (1 << 100, OTHER), (("a", 1), "tuple"), (str, "str")]
)
def test_an_id_that_is_no_text_has_a_short_label(child, label):
    assert list(counted(started(child)).starts) == [("top", label)]


def test_what_is_no_report_is_ignored():
    assert counted("nonsense", None).starts == {}


@pytest.mark.parametrize("bad", [0, -1, True, 1.5, "10", None, 10_001])
def test_a_bad_bound_is_refused(bad):
    with pytest.raises(InvalidArgumentError) as refused:
        ChildTally(bad)
    assert refused.value.field == "labels_max"
