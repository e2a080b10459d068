from __future__ import annotations

import copy
import json

import pytest

from tests.conformance import statem
from tests.conformance.otp_traces import lines_of

DOOR = {
    "id": "made-here",
    "timed": True,
    "fuel": 9,
    "modules": {
        "a": {
            "callback_mode": "state_functions",
            "state_enter": True,
            "rows": [
                ["s0", "event:e0", [{"ret": "next_state", "state": "s1", "data": 1, "actions": [["reply", "cur", 7]]}]],
                ["s1", "enter", [{"ret": "keep_state_and_data", "actions": [["state_timeout", 40, "x0"]]}]],
                ["s1", "state_timeout", [{"ret": "stop", "reason": {"t": ["shutdown", "x"]}}]],
            ],
        }
    },
    "init": {"state": "s0", "data": 0, "actions": []},
    "start": {"log": [["cb", "a", "s0", "enter", "s0", 0]], "state": "s0", "data": 0},
    "groups": [
        {
            "events": [["call", "e0", "c1"]],
            "log": [
                ["cb", "a", "s0", ["call", "c1"], "e0", 0],
                ["reply", "c1", 7],
                ["cb", "a", "s1", "enter", "s0", 1],
            ],
            "state": "s1",
            "data": 1,
        },
        {
            "events": [["wait", 60]],
            "log": [
                ["cb", "a", "s1", "state_timeout", "x0", 1],
                ["terminate", "a", {"t": ["shutdown", "x"]}, "s1", 1],
            ],
            "exit": {"t": ["shutdown", "x"]},
        },
    ],
}


@pytest.mark.parametrize("machine", [statem.Machine, statem.InlineMachine])
def test_every_recorded_state_machine_goes_as_in_erlang(shared_path, machine):
    recorded = shared_path / "otp-traces" / "statem.jsonl"
    if not recorded.is_file():
        pytest.skip("no recordings of state machines in the shared folder")
    records = [json.loads(line) for _, line in lines_of(recorded)]
    replayed = [(record["id"], statem.replay(record, machine)) for record in records]
    assert [f"{name}: {difference}" for name, difference in replayed if difference] == []
    assert len(replayed) > 1200


def test_a_recording_that_agrees_passes():
    assert statem.matches(DOOR)
    assert statem.replay(DOOR) is None


@pytest.mark.parametrize(
    ("path", "wrong", "step"),
    [
        (("start", "log"), [], "start, log"),
        (("start", "state"), "s1", "start, state"),
        (("groups", 0, "log", 1, 2), 8, "group 1, log"),
        (("groups", 0, "log"), DOOR["groups"][0]["log"][::-1], "group 1, log"),  # type: ignore[index]
        (("groups", 0, "data"), 2, "group 1, data"),
        (("groups", 1, "events", 0, 1), 39, "group 2, data"),
        (("groups", 1, "exit"), "shutdown", "group 2, exit"),
    ],
)
def test_a_recording_that_says_otherwise_differs_at_that_step(path, wrong, step):
    record = copy.deepcopy(DOOR)
    *way, last = path
    inner: object = record
    for key in way:
        inner = inner[key]  # type: ignore[index]
    inner[last] = wrong  # type: ignore[index]
    difference = statem.replay(record)
    assert difference is not None
    assert difference.step == step
