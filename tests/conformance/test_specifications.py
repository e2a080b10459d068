from __future__ import annotations

import copy

import pytest

from tests.conformance import specifications
from tests.conformance.otp_traces import lines_of, replay_line

SPEC = {"id": "c1", "start": "ok", "restart": "transient", "shutdown": 1000}

RECORD = {
    "id": "made-here",
    "specs": [SPEC],
    "check_childspecs": "ok",
    "check_childspecs_auto": {"never": "ok", "sometimes": {"t": ["error", {"t": ["badarg", "sometimes"]}]}},
    "init": {"flags": {"intensity": 3}, "specs": [SPEC]},
    "start_link": "ok",
    "start_child": [{"ok": {"restart": "transient", "shutdown": 1000, "type": "worker", "significant": False}}],
}


def test_spec_1_to_spec_12_every_recorded_answer_is_given_as_by_erlang(shared_path):
    recorded = shared_path / "otp-traces" / "childspec.jsonl"
    if not recorded.is_file():
        pytest.skip("no recordings of child specifications in the shared folder")
    replayed = [(number, *replay_line(line)) for number, line in lines_of(recorded)]
    assert [f"{number}: {name}: {difference}" for number, name, difference in replayed if difference] == []
    assert len(replayed) > 200


def test_a_recording_that_agrees_passes():
    assert specifications.matches(RECORD)
    assert specifications.replay(RECORD) is None


@pytest.mark.parametrize(
    ("path", "wrong", "step"),
    [
        (("check_childspecs",), "no", "check_childspecs"),
        (("check_childspecs_auto", "never"), "no", "check_childspecs_auto"),
        (("start_link",), "ignore", "start_link"),
        (("init", "flags", "intensity"), -1, "start_link"),
        (("start_child", 0, "ok", "shutdown"), 1001, "start_child"),
        (("specs", 0), {"bad": "child"}, "check_childspecs"),
    ],
)
def test_a_recording_that_says_otherwise_differs_at_that_step(path, wrong, step):
    record = copy.deepcopy(RECORD)
    *way, last = path
    inner = record
    for key in way:
        inner = inner[key]
    inner[last] = wrong
    difference = specifications.replay(record)
    assert difference is not None
    assert difference.step == step


@pytest.mark.parametrize("shutdown", [True, False])
def test_a_recorded_shutdown_that_is_a_boolean_is_handed_on_as_it_is(shutdown):
    refusal = {"t": ["error", {"t": ["invalid_shutdown", shutdown]}]}
    spec = SPEC | {"shutdown": shutdown}
    record = RECORD | {
        "specs": [spec],
        "check_childspecs": refusal,
        "check_childspecs_auto": {"never": refusal},
        "init": {"returns": "ignore"},
        "start_link": "ignore",
        "start_child": [refusal],
    }
    assert specifications.replay(record) is None
