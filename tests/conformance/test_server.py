from __future__ import annotations

import copy
import json

import pytest

from tests.conformance import server
from tests.conformance.otp_traces import lines_of

COUNTER = {
    "id": "made-here",
    "timed": True,
    "fuel": 9,
    "trap": True,
    "rows": [
        [
            "call:e0",
            [{"ret": "reply", "pre": [["send_self", "e1"]], "value": 5, "data": 1, "next": ["continue", "k0"]}],
        ],
        ["continue:k0", [{"ret": "noreply", "pre": [], "data": 2, "next": None}]],
        ["info:e1", [{"ret": "noreply", "pre": [], "data": 3, "next": 60}]],
        ["timeout", [{"ret": "raise", "pre": [], "class": "error", "reason": "boom"}]],
    ],
    "init": {"ret": "ok", "next": None},
    "start": {"result": "ok", "log": [], "data": 0},
    "groups": [
        {
            "events": [["call", "e0", "c1"], ["exit_signal", "x"]],
            "log": [
                ["cb", "handle_call", ["call", "c1", "e0"], 0],
                ["reply", "c1", 5],
                ["cb", "handle_continue", "k0", 1],
                ["cb", "handle_info", {"EXIT": "x"}, 2],
                ["cb", "handle_info", "e1", 2],
            ],
            "data": 3,
        },
        {
            "events": [["wait", 100]],
            "log": [["cb", "handle_info", "timeout", 3], ["terminate", {"t": ["boom", "*"]}, 3]],
            "exit": {"t": ["boom", "*"]},
        },
    ],
}


@pytest.mark.parametrize("kind", [server.Replayed, server.InlineReplayed])
def test_every_recorded_server_goes_as_in_erlang(shared_path, kind):
    recorded = shared_path / "otp-traces" / "server.jsonl"
    if not recorded.is_file():
        pytest.skip("no recordings of servers in the shared folder")
    records = [json.loads(line) for _, line in lines_of(recorded)]
    replayed = [(record["id"], server.replay(record, kind)) for record in records]
    assert [f"{name}: {difference}" for name, difference in replayed if difference] == []
    assert len(replayed) >= 300


def test_a_recording_that_agrees_passes():
    assert server.matches(COUNTER)
    assert server.replay(COUNTER) is None


@pytest.mark.parametrize(
    ("path", "wrong", "step"),
    [
        (("start", "result"), "ignore", "start, result"),
        (("start", "data"), 1, "start, data"),
        (("groups", 0, "log", 1, 2), 8, "group 1, log"),
        (("groups", 0, "log"), [], "group 1, log"),
        (("groups", 0, "data"), 2, "group 1, data"),
        (("groups", 1, "events", 0, 1), 59, "group 2, data"),
        (("groups", 1, "exit"), "boom", "group 2, exit"),
    ],
)
def test_a_recording_that_says_otherwise_differs_at_that_step(path, wrong, step):
    record = copy.deepcopy(COUNTER)
    *way, last = path
    inner: object = record
    for key in way:
        inner = inner[key]  # type: ignore[index]
    inner[last] = wrong  # type: ignore[index]
    difference = server.replay(record)
    assert difference is not None
    assert difference.step == step


@pytest.mark.parametrize("events", [[["dance", "e0"]], [["cast", "e0"], ["stop", "normal"]]])
def test_a_burst_that_the_schema_does_not_know_is_no_pass(events):
    record = COUNTER | {"groups": [{"events": events, "log": [], "data": 0}]}
    with pytest.raises(ValueError, match="unknown event"):
        server.replay(record)
