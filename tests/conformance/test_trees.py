from __future__ import annotations

import copy

import pytest

from tests.conformance import trees
from tests.conformance.otp_traces import lines_of, replay_line


def worker(label, **fields):
    return {"id": label, "type": "worker", "trap": False, "on_shutdown": "obey", **fields}


def step(**fields):
    return {"log": [], "detached": [], "reports": [], "root": "alive", **fields}


def progress(supervisor, *labels):
    return [["progress", supervisor, None, label, None] for label in labels]


def down(label, reason="boom"):
    return ["child_terminated", "root", reason, label, None]


RECORD = {
    "id": "made-here",
    "root": {
        "id": "root",
        "type": "supervisor",
        "strategy": "one_for_all",
        "intensity": 2,
        "period": 3600,
        "children": [worker("w1"), worker("w2", shutdown="brutal_kill")],
    },
    "init": step(
        result={"t": ["ok", {"pid": "root"}]},
        log=[
            ["sup_init", "root"],
            ["start", "w1", "ok"],
            ["start", "w2", "ok"],
            ["sup_started", "root", "ok"],
        ],
        reports=progress("root", "w1", "w2"),
        alive=["root", "w1", "w2"],
    ),
    "ops": [
        step(
            op="tell",
            id="w1",
            reason="boom",
            log=[
                ["exit", "w1", "boom"],
                ["exit", "w2", "killed"],
                ["start", "w1", "ok"],
                ["start", "w2", "ok"],
            ],
            reports=[down("w1"), *progress("root", "w1", "w2")],
            alive=["root", "w1", "w2"],
        ),
        step(
            op="count_children",
            sup="root",
            result={"specs": 2, "active": 2, "supervisors": 0, "workers": 2},
            alive=["root", "w1", "w2"],
        ),
        step(
            op="signal",
            id="root",
            reason="kill",
            log=[["exit", "root", "killed"]],
            detached=[[["exit", "w1", "killed"]], [["exit", "w2", "killed"]]],
            root={"exit": "killed"},
            alive=[],
        ),
    ],
    "final": {},
}


def test_sup_1_to_sup_71_every_recorded_tree_goes_as_in_erlang(shared_path):
    recorded = shared_path / "otp-traces" / "supervisor.jsonl"
    if not recorded.is_file():
        pytest.skip("no recordings of supervisors in the shared folder")
    replayed = [(number, *replay_line(line)) for number, line in lines_of(recorded)]
    assert [f"{number}: {name}: {difference}" for number, name, difference in replayed if difference] == []
    assert len(replayed) > 900


def test_a_recording_that_agrees_passes():
    assert trees.matches(RECORD)
    assert trees.replay(RECORD) is None


@pytest.mark.parametrize(
    ("path", "wrong", "where"),
    [
        (("init", "result"), "ignore", "init, result"),
        (("init", "log", 1, 1), "w2", "init, log"),
        (("init", "reports"), [], "init, reports"),
        (("root", "strategy"), "one_for_one", "op 0 (tell), log"),
        (("root", "intensity"), 0, "op 0 (tell), log"),
        (("ops", 0, "log", 1, 2), "shutdown", "op 0 (tell), log"),
        (("ops", 0, "log"), [], "op 0 (tell), log"),
        (("ops", 0, "reports", 0, 2), "oops", "op 0 (tell), reports"),
        (("ops", 0, "alive"), ["root"], "op 0 (tell), alive"),
        (("ops", 1, "result", "active"), 1, "op 1 (count_children), result"),
        (("ops", 2, "detached"), [], "op 2 (signal), detached"),
        (("ops", 2, "detached", 1, 0, 1), "w1", "op 2 (signal), detached"),
        (("ops", 2, "root"), "alive", "op 2 (signal), root"),
        (("final",), {"root": {}}, "final"),
    ],
)
def test_a_recording_that_says_otherwise_differs_at_that_step(path, wrong, where):
    record = copy.deepcopy(RECORD)
    *way, last = path
    inner = record
    for key in way:
        inner = inner[key]
    inner[last] = wrong
    difference = trees.replay(record)
    assert difference is not None
    assert difference.step == where


def test_parallel_ends_are_in_no_order_but_all_there_and_before_the_next():
    several = ["par", [["exit", "a", 1], ["exit", "b", 2]]]
    after = ["exit", "s", 3]
    assert trees.agrees([several, after], [["exit", "b", 2], ["exit", "a", 1], after])
    assert not trees.agrees([several, after], [["exit", "a", 1], after, ["exit", "b", 2]])
    assert not trees.agrees([several, after], [["exit", "a", 1], after])
    assert not trees.agrees([several], [["exit", "a", 1], ["exit", "b", 2], after])


def test_detached_ends_are_in_no_order_but_each_there_once():
    assert trees.match_all([[["exit", "a", 1]], [["exit", "b", 2]]], [[["exit", "b", 2]], [["exit", "a", 1]]])
    assert not trees.match_all([[["exit", "a", 1]]], [[["exit", "a", 1]], [["exit", "a", 1]]])
    assert not trees.match_all([[["exit", "a", 1]], [["exit", "a", 1]]], [[["exit", "a", 1]]])
