"""Many seeds in a row, counted."""

from __future__ import annotations

import pytest

from supervisors.errors import InvalidArgumentError
from supervisors.simulation import SimulationFailedError, SimulationOptions, simulate, with_options
from supervisors.simulation.campaign import campaign
from supervisors.simulation.workloads import supervised_workers


@with_options(SimulationOptions(faults={"pause": 0.5}, arming=1.0))
def idle(simulation):
    simulation.sleep(43_200.0)


def test_a_campaign_counts_runs_time_and_faults():
    done = campaign(supervised_workers, runs=3)
    assert done.runs == 3
    assert done.steps > 0
    assert sum(fired for _, fired in done.faults) > 0
    assert str(done).startswith("3 seeds")


def test_virtual_days_are_told():
    assert "1.0 virtual days" in str(campaign(idle, runs=2))


def test_the_same_seeds_have_the_same_hash_and_others_have_not():
    one, again, other = (campaign(supervised_workers, first=first, runs=2).hash for first in (0, 0, 1))
    assert one == again
    assert one != other


def test_no_run_begins_after_the_budget():
    assert campaign(supervised_workers, budget=0.0).runs == 0
    assert campaign(supervised_workers, budget=1e-9).runs <= 1


def test_with_a_budget_alone_each_workload_has_its_share_of_the_time(monkeypatch):
    # Four seconds a run and one, on a clock that tells so.
    now = [0.0]

    class Clock:
        def monotonic(self):
            return now[0]

    def run(workload, seeds, **how):
        now[0] += 4.0 if workload is idle else 1.0
        return proper(workload, seeds, **how)

    def short(simulation):
        simulation.sleep(3600.0)

    proper = simulate
    monkeypatch.setattr("supervisors.simulation.campaign.SystemClock", Clock)
    monkeypatch.setattr("supervisors.simulation.campaign.simulate", run)
    done = campaign(idle, short, budget=40.0)
    slow, fast = done.shares
    assert (slow.workload, slow.runs, fast.runs) == ("idle", 5, 20)
    assert slow.virtual_seconds + fast.virtual_seconds == done.virtual_seconds
    assert dict(slow.faults) == dict(done.faults)
    assert "idle: 5 seeds" in str(done)


def test_with_a_number_of_runs_each_workload_has_each_seed():
    done = campaign(idle, supervised_workers, runs=2)
    assert [share.runs for share in done.shares] == [2, 2]


def test_without_a_workload_there_is_nothing_to_run():
    with pytest.raises(InvalidArgumentError, match="workloads"):
        campaign(budget=1.0)


def test_a_failure_ends_it():
    def fails(simulation):
        assert simulation.seed < 2

    with pytest.raises(SimulationFailedError) as caught:
        campaign(fails)
    assert caught.value.outcome.seed == 2


def test_a_bad_budget_is_refused():
    with pytest.raises(InvalidArgumentError):
        campaign(idle, budget=-1.0)
