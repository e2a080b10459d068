"""Faults of processes: they fire, hit whom they may, and are repeated."""

from __future__ import annotations

import pytest

from supervisors import Actor, ActorDeadError, SupervisorsError
from supervisors.process_actor import ProcessEnded
from supervisors.runtime.machine import Program
from supervisors.simulation import FAULT_KINDS, Simulation, SimulationFailedError, SimulationOptions, run_seed, simulate
from tests.supervisors.process_workers import Worker

KINDS = tuple(kind for kind in FAULT_KINDS if FAULT_KINDS[kind].point.startswith("process"))
ENDS = ("process_kill", "process_crash", "process_exit", "process_memory")


def spare_nobody(ref):
    return False


def options(*kinds, spare=spare_nobody, **more):
    chances = {kind: 0.8 if FAULT_KINDS[kind].point == "process start" else 0.3 for kind in kinds}
    return SimulationOptions(faults=chances, arming=1.0, spare=spare, **more)


def use_worker(simulation):
    """Ask an actor in a process a few times; whatever becomes of it is all right."""
    simulation.ends = []
    for _ in range(3):
        try:
            worker = simulation.system.start(Worker)
            for number in range(4):
                worker.ask(number, timeout=60.0)
                simulation.sleep(5.0)
        except ActorDeadError as error:
            simulation.ends.append(error.reason)
        except (SupervisorsError, OSError):
            continue


def outcome_and_ends(seed, *kinds, **more):
    with Simulation(seed, options(*kinds, **more)) as simulation:
        outcome = simulation.run(use_worker)
    assert outcome.verdict == "ok", outcome.what
    return outcome, simulation.ends


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_fires_alone_and_repeats_from_its_seed_and_from_its_recipe(kind):
    outcome, _ = outcome_and_ends(1, kind)
    assert {fired for fired, _ in outcome.recipe.faults} == {kind}
    assert f"FAULT {kind}" in outcome.transcript
    assert run_seed(use_worker, 1, options(kind)) == outcome
    again = run_seed(use_worker, 1, options(kind), repeat=outcome.recipe)
    assert again.transcript_hash == outcome.transcript_hash


@pytest.mark.parametrize(
    ("kind", "is_it"),
    [
        ("process_kill", lambda end: end == ProcessEnded(None, "SIGKILL")),
        ("process_crash", lambda end: end == ProcessEnded(None, "SIGSEGV")),
        ("process_exit", lambda end: end.exit_code > 0 and end.signal_name is None),
        ("process_memory", lambda end: end == ProcessEnded(None, "SIGKILL", out_of_memory=True)),
    ],
)
def test_how_a_process_has_ended_is_told_as_it_is_of_a_real_one(kind, is_it):
    ends = [end for seed in range(5) for end in outcome_and_ends(seed, kind)[1]]
    assert ends
    assert all(is_it(end) for end in ends), ends


def test_one_that_is_stopped_answers_after_a_while():
    outcome, ends = outcome_and_ends(1, "process_stop")
    assert not ends
    assert "gets SIGSTOP" in outcome.transcript
    assert "gets SIGCONT" in outcome.transcript


def test_processes_of_actors_that_are_spared_are_left_alone():
    assert not outcome_and_ends(1, *KINDS, spare=lambda ref: ref.parent is None)[0].recipe.faults


def test_idle_processes_die_as_well():
    assert any("process_kill, in " in outcome_and_ends(seed, "process_kill")[0].transcript for seed in range(10))


class Trusting(Actor):
    """Believes that its process lives for ever."""

    def on_receive(self, message):
        worker = Worker.start_link()
        return [worker.ask(1, timeout=60.0) for _ in range(5)]


def test_a_failure_is_shrunk_to_the_one_death_that_it_takes():
    def workload(simulation):
        simulation.system.start(Trusting).ask("go", timeout=None)

    with pytest.raises(SimulationFailedError) as caught:
        simulate(workload, range(20), options(*ENDS, "process_slow_start"))
    assert len(caught.value.shrunk.recipe.faults) == 1
    assert caught.value.shrunk.recipe.faults[0][0] in ENDS


def test_a_process_that_nobody_ends_is_a_leak():
    program = Program("tests.supervisors.machine_programs")
    outcome = run_seed(lambda simulation: simulation.system.machine.process(program), 1)
    assert (outcome.verdict, outcome.by) == ("leak", "NothingLeft")
    assert "process-1" in outcome.what
