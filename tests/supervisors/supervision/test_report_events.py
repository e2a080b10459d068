"""Supervisor reports as events, beside the log (REP-1 to REP-8)."""

from __future__ import annotations

from supervisors import ChildSpec, Supervisor, which_children
from supervisors.supervision.reports import ErrorReport, ProgressReport
from tests.supervisors.actors import Doer


def crash_first(root):
    which_children(root)[0].ref.send(("exit", "boom"))


def test_a_restart_is_three_events_in_order(system):
    seen = []
    system.on_report(seen.append)
    root = system.start(Supervisor, [ChildSpec("one", Doer)])
    crash_first(root)
    assert [type(report) for report in seen] == [ProgressReport, ErrorReport, ProgressReport]
    assert seen[1].fields()["reason"] == "boom"
    assert seen[1].offender.spec.id == "one"


def test_a_subscription_can_be_ended(system):
    seen = []
    end = system.on_report(seen.append)
    end()
    system.start(Supervisor, [ChildSpec("one", Doer)])
    assert seen == []


def test_a_listener_that_raises_disturbs_nobody(system):
    seen = []

    def fail(report):
        raise ValueError(report)

    system.on_report(fail)
    system.on_report(seen.append)
    root = system.start(Supervisor, [ChildSpec("one", Doer)])
    assert root.is_alive()
    assert len(seen) == 1
