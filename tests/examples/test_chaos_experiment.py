"""The experiment in `examples/chaos_experiment.toml` is one that its system stands."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from examples.chaos_system import shop
from supervisors.chaos import Budget, Chaos, load_plan

PLAN = Path(__file__).parents[2] / "examples" / "chaos_experiment.toml"


def test_the_shop_goes_on_selling_while_clerks_come_and_go():
    plan = dataclasses.replace(load_plan(PLAN), budget=Budget(seconds=0.8))
    with shop() as system:
        report = Chaos(system, plan).run()
    assert report.verdict == "ok", str(report)
    assert dict(report.struck).get("kill", 0) + dict(report.struck).get("slow_turn", 0) >= 1
