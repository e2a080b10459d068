"""Each planted bug is found within its number of seeds, made small enough to read, and repeated from its number."""

from __future__ import annotations

import pytest

from supervisors.simulation import SimulationFailedError, run_seed, simulate
from tests.simulation.planted_bugs import BUGS, main


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_found_made_small_and_repeated(name, monkeypatch):
    bug = BUGS[name]
    bug.plant(monkeypatch)
    with pytest.raises(SimulationFailedError) as caught:
        simulate(bug.workload, range(bug.seeds), bug.options, shrink_runs=120)
    found, small = caught.value.outcome, caught.value.shrunk
    assert bug.said in found.what
    assert len(small.transcript.splitlines()) <= bug.lines
    assert run_seed(bug.workload, found.seed, bug.options) == found
    assert run_seed(bug.workload, found.seed, bug.options, repeat=small.recipe) == small
    assert (small.verdict, small.by) == (found.verdict, found.by)
    monkeypatch.undo()
    if bug.options is None:
        assert not run_seed(bug.workload, found.seed).failed, "without the bug, all is well"


def test_there_are_the_classic_fifteen():
    assert len(BUGS) >= 15
    assert len({bug.plant for bug in BUGS.values()}) == len(BUGS)


def test_a_bug_is_switched_on_by_its_name(capsys):
    assert main([]) == 0
    assert capsys.readouterr().out.splitlines() == list(BUGS)
    assert main(["deadlock"]) == 1
    assert "no progress" in capsys.readouterr().out
