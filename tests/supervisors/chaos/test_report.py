"""Reports, for programs and for build servers."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

from supervisors.chaos import ChaosEvent, ChaosFailedError, ChaosReport, ProbeResult


def report(**changed):
    values = {
        "title": 'a <title> & "more"',
        "seed": 7,
        "verdict": "violated",
        "what": "up: <nobody> answers\x1b[2J",
        "seconds": 1.25,
        "recovery_seconds": None,
        "struck": (("kill", 3),),
        "missed": 1,
        "spared": 2,
        "probes": (ProbeResult("up", "<nobody> answers", 5, 2), ProbeResult("other", "", 5, 0)),
        "events": (ChaosEvent(0.5, "struck", "kill", "Clerk#3", ""),),
    }
    return ChaosReport(**{**values, **changed})


def test_json_has_all_of_it():
    told = json.loads(report().as_json())
    assert told["verdict"] == "violated"
    assert told["struck"] == {"kill": 3}
    assert told["probes"][0] == {"name": "up", "failure": "<nobody> answers", "looks": 5, "failed_looks": 2}
    assert told["events"] == [{"at": 0.5, "event": "struck", "kind": "kill", "target": "Clerk#3", "what": ""}]


def test_junit_counts_each_probe_and_the_verdict():
    suite = ET.fromstring(report().as_junit())
    assert (suite.get("tests"), suite.get("failures")) == ("3", "2")
    failed = [case.get("name") for case in suite.iter("testcase") if case.find("failure") is not None]
    assert failed == ["up", "verdict"]
    assert suite.get("name") == 'a <title> & "more"'


def test_a_report_without_failure_has_none_in_junit():
    good = report(verdict="ok", what="", probes=(ProbeResult("up", "", 1, 0),))
    assert ET.fromstring(good.as_junit()).get("failures") == "0"
    assert not good.failed


def test_an_error_tells_verdict_seed_and_what_has_happened():
    text = str(ChaosFailedError(report()))
    assert "violated" in text
    assert "seed 7" in text
    assert "Clerk#3" in text
