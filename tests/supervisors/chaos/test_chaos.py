"""An experiment from its beginning to its verdict."""

from __future__ import annotations

import threading
from contextlib import suppress

import pytest

from supervisors import ActorSystem, VirtualClock
from supervisors.chaos import Chaos, ChaosFailedError, Plan
from supervisors.errors import InvalidArgumentError, InvalidTypeError, UsageError
from tests.supervisors.chaos.shop import experiment, opened

NOTHING = {"kind": "kill", "at": [0.0], "targets": ["nobody"]}
ANSWERS = {"kind": "answers", "name": "clerk answers", "target": "clerk", "within": 0.5}
QUICK = {"every": 0.01, "patience": 0.0}
world: dict[str, object] = {}


def healthy():
    return world.get("healthy", False)


def repair():
    world["healthy"] = True


def repair_badly():
    raise ZeroDivisionError


def probe(name="healthy"):
    return {"kind": "call", "name": name, "function": f"{__name__}:healthy"}


def undone(function="repair"):
    return {"name": "repair", "call": f"{__name__}:{function}"}


def broken_for_a_while(chaos):
    """What the block of a `with` does; the verdict is in the report."""
    with suppress(ChaosFailedError), chaos:
        world["healthy"] = False
        chaos.wait(10)
        world["healthy"] = True


@pytest.fixture(autouse=True)
def well():
    world["healthy"] = True


@pytest.fixture
def system():
    with ActorSystem() as system:
        yield system


def test_a_system_that_stands_it_is_ok(system):
    opened(system, "clerk")
    report = experiment(system, {"kind": "kill", "targets": ["clerk"]}, steady=[ANSWERS]).run()
    assert report.verdict == "ok"
    assert report.struck == (("kill", 1),)
    assert report.recovery_seconds is not None


def test_nothing_is_done_to_a_system_that_is_not_well(system):
    clerk = opened(system, "clerk")
    world["healthy"] = False
    report = experiment(system, {"kind": "kill"}, steady=[probe()]).run()
    assert report.verdict == "unsteady"
    assert "healthy returns False" in report.what
    assert clerk.is_alive()
    assert report.struck == ()


def test_a_steady_state_that_breaks_ends_the_faults_at_once(system):
    opened(system, "clerk")
    chaos = experiment(system, {"kind": "kill", "at": [3600.0]}, steady=[probe()], stop=QUICK, budget={"seconds": 4e3})
    broken_for_a_while(chaos)
    assert chaos.report.verdict == "violated"
    assert chaos.report.struck == ()


def test_a_short_break_is_borne(system):
    patient = {"every": 0.01, "patience": 3600.0}
    chaos = experiment(system, {**NOTHING, "at": [3600.0]}, steady=[probe()], stop=patient, budget={"seconds": 4e3})
    with chaos:
        world["healthy"] = False
        while not any(each.event == "probe" for each in chaos._events):
            threading.Event().wait(0.005)
        world["healthy"] = True
    assert chaos.report.verdict == "ok"
    assert chaos.report.probes[0].failed_looks > 0


def test_a_system_that_does_not_come_back_in_time_has_not_recovered(system):
    chaos = experiment(system, NOTHING, steady=[probe()], recovery={"within": 0.02, "every": 0.01})
    with pytest.raises(ChaosFailedError) as caught, chaos:
        world["healthy"] = False
    assert caught.value.report.verdict == "not recovered"
    assert caught.value.report.recovery_seconds is None


def test_rollback_is_done_before_recovery_is_judged(system):
    chaos = experiment(system, NOTHING, steady=[probe()], rollback=[undone()])
    with chaos:
        world["healthy"] = False
    assert chaos.report.verdict == "ok"


def test_rollback_that_fails_is_told_and_the_other_steps_are_done(system):
    steps = [undone("repair_badly"), undone()]
    chaos = experiment(system, NOTHING, steady=[probe()], rollback=steps)
    with pytest.raises(ChaosFailedError, match="ZeroDivisionError"), chaos:
        world["healthy"] = False
    assert world["healthy"] is True


def test_what_the_block_raises_goes_before_the_verdict(system):
    chaos = experiment(system, NOTHING, steady=[probe()], recovery={"within": 0.0})
    with pytest.raises(KeyError), chaos:
        raise KeyError(world.pop("healthy"))
    assert chaos.report.verdict == "not recovered"


def test_the_method_is_over_when_its_budget_is(system):
    opened(system, "clerk")
    with experiment(system, {"kind": "kill", "at": [], "rate": 0.001}, budget={"seconds": 0.01}) as chaos:
        assert chaos.wait(10)


def test_the_same_seed_makes_the_same_plan_and_the_report_tells_it(system):
    plan = {"method": [{"kind": "kill", "rate": 5.0}], "seed": 11}
    assert Chaos(system, plan)._occasions == Chaos(system, plan)._occasions
    assert Chaos(system, plan, seed=12)._occasions != Chaos(system, plan)._occasions
    report = Chaos(system, {"method": [NOTHING]}, seed=12).run()
    assert report.seed == 12


def test_no_thread_of_ours_is_left(system):
    experiment(system, NOTHING).run()
    assert not [each for each in threading.enumerate() if each.name.startswith("supervisors-chaos")]


def test_an_experiment_is_carried_out_once(system):
    chaos = experiment(system, NOTHING)
    chaos.run()
    with pytest.raises(UsageError, match="once"):
        chaos.run()


def test_two_experiments_at_once_are_refused(system):
    with experiment(system, {"kind": "slow_turn"}), pytest.raises(UsageError, match="one at a time"):
        experiment(system, {"kind": "slow_turn"}).run()


def test_a_system_in_virtual_time_is_for_the_simulator():
    with ActorSystem(clock=VirtualClock()) as system, pytest.raises(UsageError, match="simulation"):
        Chaos(system, {"method": [NOTHING]})


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"system": 3}, "system"),
        ({"plan": 3}, "plan"),
        ({"seed": True}, "seed"),
        ({"on_event": 3}, "on_event"),
    ],
)
def test_bad_input_is_named(system, given, field):
    arguments = {"system": system, "plan": Plan(), **given}
    with pytest.raises(InvalidTypeError) as caught:
        Chaos(arguments.pop("system"), arguments.pop("plan"), **arguments)
    assert caught.value.field == field


def test_what_cannot_be_imported_is_told_before_anything_is_done(system):
    with pytest.raises(InvalidArgumentError) as caught:
        experiment(system, NOTHING, rollback=[{"name": "r", "call": "no.such:thing"}])
    assert caught.value.field == "rollback.call"


def test_a_kind_that_no_disk_knows_is_refused(system):
    with pytest.raises(InvalidArgumentError):
        experiment(system, NOTHING).strikes("kill")
