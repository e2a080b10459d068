from __future__ import annotations

import re

import pytest

from supervisors.simulation.__main__ import main

OWN = "supervisors.simulation.workloads:supervised_workers"


def test_one_seed_prints_its_verdict_and_hash(capsys):
    assert main([OWN, "--seed", "3"]) == 0
    assert "seed 3: ok" in capsys.readouterr().out


def test_the_transcript_is_printed_on_request(capsys):
    main(["--seed", "3", "--transcript"])
    assert "Worker#" in capsys.readouterr().out


def test_many_seeds_print_their_sums(capsys):
    assert main(["--runs", "3"]) == 0
    assert "3 seeds" in capsys.readouterr().out


def test_several_workloads_run_under_the_same_seeds(capsys):
    assert main([OWN, "supervisors.simulation.workloads:linked_actors"]) == 0
    assert "1 seeds" in capsys.readouterr().out


def test_a_budget_prints_the_faults_by_kind(capsys):
    assert main(["--budget", "0.2"]) == 0
    shown = capsys.readouterr().out
    # On a busy machine the budget is over after one seed, and that may have any kinds.
    kinds = int(re.search(r"faults of (\d+) kinds, .* virtual days", shown)[1])
    assert len(re.findall(r"^  [a-z_]+ +\d+$", shown, re.MULTILINE)) == kinds > 0


@pytest.mark.parametrize("runs", ["1", "2"])
def test_a_failure_has_its_own_exit_code(capsys, monkeypatch, runs):
    monkeypatch.setattr("supervisors.simulation.workloads.supervised_workers", failing)
    assert main(["--runs", runs]) == 1
    assert "wrong result" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [["no_such_module:f"], ["supervisors:nothing"], [""], ["--runs", "0"], ["--budget", "0"]]
)
def test_bad_usage_has_its_own_exit_code(capsys, arguments):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "allowed" in capsys.readouterr().err


def failing(simulation):
    raise AssertionError("on purpose")
