from __future__ import annotations

import copy
import json

import pytest

from tests.conformance import links
from tests.conformance.otp_traces import lines_of, replay_line

SPAWN = {
    "id": "made-here",
    "procs": [{"id": "p1", "trap": True}],
    "ops": [
        {
            "op": "run",
            "proc": "p1",
            "acts": [["spawn", "p2", "link", False], ["settle"], ["exit_signal", "p2", "boom"], ["settle"]],
            "results": ["ok", "ok", True, "ok"],
            "deaths": [["p2", "boom"]],
            "received": {"p1": {"p2": [["EXIT", "p2", "boom"]]}},
            "alive": ["p1"],
        }
    ],
    "final": {"alive": ["p1"], "links": {"p1": []}, "names": {"n1": None, "n2": None}},
}


def test_every_recorded_graph_of_processes_goes_as_in_erlang(shared_path):
    recorded = shared_path / "otp-traces" / "links.jsonl"
    if not recorded.is_file():
        pytest.skip("no recordings of links in the shared folder")
    replayed = [(number, *replay_line(line)) for number, line in lines_of(recorded)]
    assert [f"{number}: {name}: {difference}" for number, name, difference in replayed if difference] == []
    assert len(replayed) > 600


def test_a_recording_that_agrees_passes():
    assert links.matches(SPAWN)
    assert links.replay(SPAWN) is None


@pytest.mark.parametrize(
    ("path", "wrong", "step"),
    [
        (("ops", 0, "results", 2), False, "op 0 (run), results"),
        (("ops", 0, "deaths", 0, 1), "oops", "op 0 (run), deaths"),
        (("ops", 0, "received", "p1", "p2", 0, 2), "oops", "op 0 (run), received"),
        (("ops", 0, "received"), {}, "op 0 (run), received"),
        (("ops", 0, "alive"), ["p1", "p2"], "op 0 (run), alive"),
        (("final", "alive"), [], "final, alive"),
        (("final", "links", "p1"), ["p2"], "final, links"),
        (("final", "names", "n1"), "p1", "final, names"),
    ],
)
def test_a_recording_that_says_otherwise_differs_at_that_step(path, wrong, step):
    record = copy.deepcopy(SPAWN)
    *way, last = path
    inner = record
    for key in way:
        inner = inner[key]
    inner[last] = wrong
    difference = links.replay(record)
    assert difference is not None
    assert difference.step == step


def test_neighbouring_ends_may_come_in_any_order_but_not_across_a_message():
    record = copy.deepcopy(SPAWN)
    record["ops"][0]["acts"].insert(0, ["trap", True])
    record["ops"][0]["results"].insert(0, True)
    record["ops"][0]["acts"].insert(2, ["monitor", "p2", "m1"])
    record["ops"][0]["results"].insert(2, "m1")
    both = [["EXIT", "p2", "boom"], ["DOWN", "m1", "p2", "boom"]]
    for order in (both, both[::-1]):
        record["ops"][0]["received"] = {"p1": {"p2": order}}
        assert links.replay(json.loads(json.dumps(record))) is None
    record["ops"][0]["received"] = {"p1": {"p2": [both[0], ["msg", 1], both[1]]}}
    assert links.replay(record) is not None
