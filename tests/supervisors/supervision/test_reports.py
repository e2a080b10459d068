from __future__ import annotations

import logging

import pytest

from supervisors import Crashed
from supervisors.supervision.child_spec import ChildSpec
from supervisors.supervision.reports import ChildSummary, ErrorReport, ProgressReport, log_report


def start():
    """Stand for a start function; nothing here calls it."""


CHILD = ChildSpec("a", start, restart="transient", shutdown=2, significant=True)
LOGGER = "supervisors.reports"


@pytest.fixture
def logged(caplog):
    caplog.set_level(logging.INFO, LOGGER)
    return lambda: [record for record in caplog.records if record.name == LOGGER]


def test_rep_1_failures_are_errors_with_fixed_keys(logged):
    log_report(ErrorReport("sup", "child_terminated", "boom", ChildSummary(CHILD, "a1")))
    [record] = logged()
    assert record.levelno == logging.ERROR
    assert (record.supervisor, record.error_context, record.reason) == ("sup", "child_terminated", "boom")
    assert record.offender["ref"] == "a1"
    assert record.getMessage() == "child 'a' (a1) of sup has ended: boom"


def test_rep_1_progress_is_information_with_fixed_keys(logged):
    log_report(ProgressReport("sup", ChildSummary(CHILD, "a1")))
    [record] = logged()
    assert record.levelno == logging.INFO
    assert (record.supervisor, record.started["id"]) == ("sup", "a")
    assert record.getMessage() == "sup started child 'a' (a1)"


def test_rep_2_a_child_is_shown_with_its_settings():
    assert ChildSummary(CHILD, "a1").fields() == {
        "ref": "a1",
        "id": "a",
        "start": start,
        "restart": "transient",
        "significant": True,
        "shutdown": 2.0,
        "type": "worker",
    }


def test_rep_2_several_children_are_shown_with_their_number(logged):
    summary = ChildSummary(CHILD, None, 7)
    assert summary.fields()["nb_children"] == 7
    assert "ref" not in summary.fields()
    log_report(ErrorReport("sup", "shutdown_error", "killed", summary))
    assert "'a' (7 of them)" in logged()[0].getMessage()


def test_a_child_without_a_process_is_shown_by_its_id(logged):
    log_report(ErrorReport("sup", "start_error", "why", ChildSummary(CHILD)))
    assert logged()[0].getMessage() == "child 'a' of sup did not start: why"


def test_a_crash_brings_its_traceback_along(logged):
    error = ValueError("x")
    log_report(ErrorReport("sup", "child_terminated", Crashed(error), ChildSummary(CHILD, "a1")))
    [record] = logged()
    assert record.exc_info[1] is error


def test_nothing_is_made_of_a_report_that_nobody_wants(caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger(LOGGER), "disabled", False)
    caplog.set_level(logging.CRITICAL, LOGGER)
    log_report(ErrorReport("sup", "start_error", "why", ChildSummary(CHILD)))
    log_report(ProgressReport("sup", ChildSummary(CHILD)))
    assert caplog.records == []


def test_every_kind_of_failure_can_be_logged(logged):
    for context in ("child_terminated", "start_error", "shutdown_error", "shutdown"):
        log_report(ErrorReport("sup", context, "why", ChildSummary(CHILD)))
    assert [record.error_context for record in logged()] == [
        "child_terminated",
        "start_error",
        "shutdown_error",
        "shutdown",
    ]
