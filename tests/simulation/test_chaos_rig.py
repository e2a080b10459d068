"""The example `examples/chaos_rig` does what its README says."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples.chaos_rig.bank import better_transfers, transfers
from supervisors.simulation import SimulationFailedError, simulate
from supervisors.simulation.__main__ import main

README = (Path(__file__).parents[2] / "examples" / "chaos_rig" / "README.md").read_text()


@pytest.fixture(scope="module")
def failure():
    with pytest.raises(SimulationFailedError) as caught:
        simulate(transfers, range(100))
    return caught.value


def test_the_seed_of_the_readme_is_the_first_that_fails(failure):
    for line in str(failure.outcome).splitlines():
        assert line in README


def test_one_fault_is_left_of_it(failure):
    assert [kind for kind, _ in failure.shrunk.recipe.faults] == ["slow_turn"]


def test_the_picture_shows_what_the_readme_tells(tmp_path, capsys):
    path = tmp_path / "bank.svg"
    workload = "examples.chaos_rig.bank:transfers"
    assert main([workload, "--seed", "7", "--shrink", "--svg", str(path)]) == 1
    texts = [part.partition("<")[0] for part in path.read_text().split(">") if part.partition("<")[0].strip()]
    story = ["ask ('read', None)", "FAULT slow_turn, 9.207951 s", "ask ('set', 86)", "ask ('set', 75)"]
    assert set(story) <= set(texts)


def test_the_fix_stands_what_the_bug_did_not():
    simulate(better_transfers, range(100))
