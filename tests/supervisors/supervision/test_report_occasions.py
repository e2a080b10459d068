"""Which reports a running tree makes, and how an automatic shutdown goes up in it."""

from __future__ import annotations

import pytest

from supervisors.supervision.calls import restart_child, start_child, terminate_child
from supervisors.supervision.child_spec import ChildSpec
from supervisors.supervision.dynamic import DynamicSupervisor
from supervisors.supervision.requests import ChildStartFailed
from supervisors.supervision.supervisor import Supervisor
from tests.supervisors.supervision.children import Stubborn, Worker, crash, refs, worker


@pytest.fixture
def events():
    return []


@pytest.fixture
def told():
    """Failures that were reported: what happened, why, and to which child."""
    return []


@pytest.fixture
def start(system, told):
    class Telling(Supervisor):
        def on_report(self, report):
            if hasattr(report, "error_context"):
                told.append((report.error_context, report.reason, report.offender.spec.id))

    return lambda children, **flags: system.start(Telling, children, **flags)


@pytest.mark.parametrize(
    ("restart", "reason", "is_reported"),
    [
        ("permanent", "boom", True),
        ("permanent", "normal", True),
        ("transient", "boom", True),
        ("transient", "shutdown", False),
        ("temporary", "boom", True),
        ("temporary", "normal", False),
    ],
)
def test_rep_3_an_end_is_reported_with_its_reason(start, told, restart, reason, is_reported):
    made = start([worker([], "a", restart=restart)])
    crash(refs(made)["a"], reason)
    assert told == ([("child_terminated", reason, "a")] if is_reported else [])


def flaky(events, failures):
    """Return a specification whose start fails when the list says so, from its end on."""

    def begin():
        return "no" if failures and failures.pop() else Worker.start_link(events, "a")

    return ChildSpec("a", begin)


def test_rep_4_a_failing_restart_is_reported_each_time(start, told, events):
    failures = [True, True, False]
    made = start([flaky(events, failures)], max_restarts=5)
    crash(refs(made)["a"])
    assert told == [("child_terminated", "boom", "a"), ("start_error", "no", "a"), ("start_error", "no", "a")]


def test_rep_4_a_start_that_somebody_asked_for_is_not(start, told, events):
    made = start([worker(events, "b"), flaky(events, [True, False])])
    terminate_child(made, "a")
    with pytest.raises(ChildStartFailed):
        restart_child(made, "a")
    with pytest.raises(ChildStartFailed):
        start_child(made, ChildSpec("c", lambda: "no"))
    assert told == []


def test_rep_5_an_end_otherwise_than_told_is_reported(system, start, told, events):
    made = start([worker(events, "a", Stubborn, shutdown=1.0)])
    asked = made.stop(block=False)
    system.advance(1.0)
    assert asked.get() is True
    assert told == [("shutdown_error", "killed", "a")]


def test_rep_6_giving_up_is_reported_with_the_child_to_be_restarted(start, told, events):
    made = start([worker(events, "a"), worker(events, "b")], max_restarts=0)
    crash(refs(made)["b"])
    assert told == [("child_terminated", "boom", "b"), ("shutdown", "reached_max_restart_intensity", "b")]


def test_dyn_11_too_many_restarts_end_a_dynamic_supervisor_with_shutdown(system, events):
    made = system.start(DynamicSupervisor, max_restarts=0)
    crash(start_child(made, worker(events, "a")).ref)
    assert made.exit_reason == "shutdown"


def significant_tree(events, **flags):
    inner = [worker(events, "leaf", restart="transient", significant=True)]
    return ChildSpec(
        "inner",
        Supervisor,
        (inner,),
        {"auto_shutdown": "any_significant"},
        type="supervisor",
        restart="transient",
        significant=True,
        **flags,
    )


def test_sup_35_an_automatic_shutdown_goes_up_where_the_supervisor_is_significant(system, events):
    root = system.start(Supervisor, [significant_tree(events)], auto_shutdown="any_significant")
    crash(refs(refs(root)["inner"])["leaf"], "normal")
    assert root.exit_reason == "shutdown"


def test_sup_35_it_goes_no_further_where_another_significant_child_runs(system, events):
    other = worker(events, "other", restart="transient", significant=True)
    root = system.start(Supervisor, [significant_tree(events), other], auto_shutdown="all_significant")
    crash(refs(refs(root)["inner"])["leaf"], "normal")
    assert refs(root)["inner"] == "stopped"
    assert root.is_alive()
