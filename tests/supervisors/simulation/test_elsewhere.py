"""Seeds in this process and in another one, whose sets have another order."""

from __future__ import annotations

import pytest

from supervisors.simulation import SimulationFailedError
from supervisors.simulation.__main__ import main
from supervisors.simulation.elsewhere import ElsewhereError, simulate_elsewhere
from tests.supervisors.actors import Recorder

NAMES = {f"name {number}" for number in range(50)}


def in_order(simulation):
    recorder = simulation.system.start(Recorder)
    for name in sorted(NAMES):
        recorder.tell(name)


def as_it_comes(simulation):
    recorder = simulation.system.start(Recorder)
    for name in NAMES:
        recorder.tell(name)


def fails(simulation):
    raise AssertionError("on purpose")


def fails_elsewhere(simulation):
    assert IS_HERE


IS_HERE = False


def test_seeds_that_are_the_same_in_another_process_are_fine(capsys):
    assert main([f"{__name__}:in_order", "--runs", "2", "--elsewhere"]) == 0
    assert capsys.readouterr().out.startswith("2 seeds have the same transcripts")


def test_the_order_of_a_set_is_found_with_the_first_line_that_differs(capsys):
    assert main([f"{__name__}:as_it_comes", "--seed", "3", "--elsewhere"]) == 1
    outcome, said, here, there = capsys.readouterr().out.splitlines()
    assert outcome.startswith("seed 3: crash")
    assert "another hash seed" in said
    assert "Recorder#1" in here
    assert "handles 'name " in here
    assert here != there


def test_a_seed_that_fails_here_is_a_failure_as_ever():
    with pytest.raises(SimulationFailedError):
        simulate_elsewhere(f"{__name__}:fails", fails, 0, 1)


def test_another_process_that_fails_says_why(monkeypatch):
    monkeypatch.setattr(f"{__name__}.IS_HERE", True)
    with pytest.raises(ElsewhereError, match="wrong result"):
        simulate_elsewhere(f"{__name__}:fails_elsewhere", fails_elsewhere, 0, 1)


def test_hashes_are_printed_alone(capsys):
    assert main([f"{__name__}:in_order", "--runs", "3", "--hashes"]) == 0
    assert [len(line) for line in capsys.readouterr().out.splitlines()] == [64, 64, 64]


@pytest.mark.parametrize("option", ["--elsewhere", "--hashes"])
def test_a_budget_makes_no_sense_with_it(capsys, option):
    with pytest.raises(SystemExit):
        main([f"{__name__}:in_order", "--budget", "1", option])
    assert "allowed: one, with --runs" in capsys.readouterr().err
