from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from supervisors import Actor, ChildSpec, Supervisor
from supervisors.simulation import SimulationOptions, run_seed
from supervisors.simulation.__main__ import main
from supervisors.simulation.pictures import Arrow, mermaid, record, svg
from supervisors.simulation.workloads import supervised_workers


class Relay(Actor):
    """Sends on what it gets."""

    def __init__(self, other=None):
        super().__init__()
        self.other = other

    def on_receive(self, message):
        if self.other is not None:
            self.other.tell(message)


def two_hops(simulation):
    last = simulation.system.start(Relay)
    simulation.system.start(Relay, last).tell("a < b & c")
    simulation.system.settle()


def crash(simulation):
    simulation.system.start(Supervisor, [ChildSpec("one", Relay)], max_restarts=1000)
    simulation.sleep(1.0)


@pytest.fixture(scope="module")
def recording():
    return record(two_hops, 1, SimulationOptions(schedule="round robin"))


def test_a_message_is_an_arrow_from_where_it_was_sent_to_where_it_was_handled(recording):
    first, second = recording.arrows[:2]
    assert (first.sender, first.receiver, first.what) == ("outside", "Relay#2", "'a < b & c'")
    assert (second.sender, second.receiver) == ("Relay#2", "Relay#1")
    assert first.sent <= first.handled < second.sent + 1 <= second.handled + 1
    lines = recording.outcome.transcript.splitlines()
    assert "Relay#1" in lines[second.handled]
    assert "handles 'a < b & c'" in lines[second.handled]


def test_a_recorded_run_is_the_run_itself(recording):
    assert recording.outcome == run_seed(two_hops, 1, SimulationOptions(schedule="round robin"))


def test_starts_ends_and_the_verdict_are_marked(recording):
    marks = [(mark.who, mark.what) for mark in recording.marks]
    assert ("Relay#1", "starts") in marks
    assert ("Relay#2", "ends, shutdown") in marks
    assert marks[-1] == ("simulation", "verdict ok")


def test_a_sequence_diagram_names_each_actor_and_each_message(recording):
    lines = mermaid(recording).splitlines()
    assert lines[0] == "sequenceDiagram"
    assert "    participant Relay_1 as Relay#1" in lines
    assert "    Relay_2->>Relay_1: 'a < b & c'" in lines
    assert "    Note over simulation: verdict ok" in lines


def test_a_message_that_nobody_handles_is_a_cross(recording):
    lost = Arrow("Relay#2", "Relay#1", "lost", 5, None)
    text = mermaid(type(recording)(recording.outcome, (lost,), recording.marks))
    assert "    Relay_2-xRelay_1: lost" in text


def test_a_timeline_is_well_formed_and_has_a_lane_for_each_actor(recording):
    root = ET.fromstring(svg(recording))
    texts = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"Relay#1", "Relay#2", "outside", "simulation", "'a < b & c'", "verdict ok"} <= set(texts)


def test_faults_are_red():
    recording = record(crash, 1, SimulationOptions(faults={"kill": 0.5}, arming=1.0))
    faults = [mark for mark in recording.marks if mark.what.startswith("FAULT")]
    root = ET.fromstring(svg(recording))
    red = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text") if each.get("fill") == "#c00"]
    assert len(faults) == len(red) > 0


def test_long_runs_show_their_end(monkeypatch):
    recording = record(supervised_workers, 3)
    monkeypatch.setattr("supervisors.simulation.pictures.ROWS_MAX", 10)
    text = svg(recording)
    assert "verdict ok" in text
    assert text.count("<text") < 60


def test_both_are_written_by_the_command(tmp_path):
    paths = [tmp_path / "run.mmd", tmp_path / "run.svg"]
    assert main(["--seed", "3", "--mermaid", str(paths[0]), "--svg", str(paths[1])]) == 0
    assert paths[0].read_text().startswith("sequenceDiagram")
    assert paths[1].read_text().startswith("<svg")
