from __future__ import annotations

import pytest

from supervisors import Actor, ChildSpec, Entropy, InvalidArgumentError, InvalidTypeError, Supervisor
from supervisors.simulation import ALL_WITHIN_CONTRACT, FAULT_KINDS, SimulationOptions, run_seed
from supervisors.simulation.faults import FaultPlan
from tests.supervisors.actors import Recorder

SPARE_NOBODY = {"spare": lambda ref: False, "arming": 1.0, "schedule": "round robin"}


class Notes:
    """What one run of `Child` has done."""

    def __init__(self):
        self.lines = []


class Child(Actor):
    """Notes what happens to it."""

    def __init__(self, notes, other=None):
        super().__init__()
        self.notes = notes.lines
        self.other = other

    def on_start(self):
        self.notes.append("started")

    def on_receive(self, message):
        self.notes.append(f"got {message} at {self.system.clock.monotonic():.0f}")
        if self.other is not None:
            self.other.tell(message)
        self.notes.append("done")

    def on_stop(self):
        self.notes.append("stopped")


def run_with(kind, workload, chance=1.0):
    """Run a workload in which one kind of fault fires, at each point unless told otherwise."""
    outcome = run_seed(workload, 1, SimulationOptions(faults={kind: chance}, **SPARE_NOBODY))
    assert outcome.recipe.faults, "the fault has never fired"
    assert {name for name, _ in outcome.recipe.faults} == {kind}
    return outcome


def child_that_gets(notes, message="message"):
    def workload(simulation):
        ref = simulation.system.start(Child, notes)
        ref.tell(message)
        simulation.system.settle()
        notes.alive = ref.is_alive()
        notes.reason = ref.exit_reason

    return workload


def test_crash_before_keeps_the_handler_from_running():
    notes = Notes()
    run_with("crash_before", child_that_gets(notes))
    assert notes.lines == ["started"]
    assert not notes.alive


def test_crash_after_lets_the_handler_run_first():
    notes = Notes()
    run_with("crash_after", child_that_gets(notes))
    assert notes.lines == ["started", "got message at 0", "done"]
    assert not notes.alive


def test_crash_inside_fails_the_handler_where_it_sends():
    notes = Notes()

    def workload(simulation):
        recorder = simulation.system.start(Recorder)
        simulation.system.start(Child, notes, recorder).tell("message")
        simulation.system.settle()
        notes.sent = recorder.ask("seen")

    run_with("crash_inside", workload)
    assert notes.lines == ["started", "got message at 0"]
    assert notes.sent == []


def test_crash_in_start_makes_the_start_fail():
    notes = Notes()
    outcome = run_with("crash_in_start", child_that_gets(notes))
    assert outcome.by == "StartError"
    assert notes.lines == []


def test_crash_in_cleanup_becomes_the_reason():
    notes = Notes()

    def workload(simulation):
        ref = simulation.system.start(Child, notes)
        ref.stop()
        notes.reason = ref.exit_reason

    run_with("crash_in_cleanup", workload)
    assert "InjectedFaultError" in repr(notes.reason)
    assert notes.lines == ["started", "stopped"]


def test_kill_ends_an_actor_without_its_cleanup():
    notes = Notes()
    run_with("kill", child_that_gets(notes), chance=0.9)
    assert notes.reason == "killed"
    assert "stopped" not in notes.lines


def test_a_slow_turn_takes_time_while_others_run():
    notes, others = Notes(), Notes()

    def workload(simulation):
        simulation.system.start(Child, notes).tell("slow")
        simulation.system.settle()
        simulation.system.start(Child, others)
        notes.meanwhile = list(notes.lines)
        simulation.system.advance(20.0)

    run_with("slow_turn", workload)
    assert others.lines[0] == "started"
    assert notes.meanwhile == ["started"]
    assert notes.lines[2] == "done"


def test_a_pause_moves_time_before_anybody_runs():
    notes = Notes()
    run_with("pause", child_that_gets(notes))
    assert notes.lines[1] != "got message at 0"


def test_a_delayed_message_keeps_its_place_among_those_of_its_sender():
    notes = Notes()

    class Sender(Actor):
        def on_receive(self, ref):
            ref.tell("first")
            ref.tell("second")

    def workload(simulation):
        recorder = simulation.system.start(Recorder)
        simulation.system.start(Sender).tell(recorder)
        simulation.system.settle()
        notes.before = recorder.ask("seen")
        simulation.system.advance(30.0)
        notes.after = recorder.ask("seen")

    run_with("delay_message", workload)
    assert notes.before == []
    assert notes.after == ["first", "second"]


def test_a_late_timer_comes_after_its_time():
    notes = Notes()

    def workload(simulation):
        recorder = simulation.system.start(Recorder)
        simulation.system.timers.send_after(1.0, recorder, "due")
        simulation.system.advance(1.0)
        notes.before = recorder.ask("seen")
        simulation.system.advance(10.0)
        notes.after = recorder.ask("seen")

    run_with("timer_late", workload)
    assert (notes.before, notes.after) == ([], ["due"])


@pytest.mark.parametrize(("kind", "seen"), [("drop_message", []), ("duplicate_message", ["message", "message"])])
def test_beyond_the_contract_a_message_comes_never_or_twice(kind, seen):
    notes = Notes()

    def workload(simulation):
        recorder = simulation.system.start(Recorder)
        simulation.system.start(Child, Notes(), recorder).tell("message")
        simulation.system.settle()
        notes.seen = recorder.ask("seen")

    run_with(kind, workload)
    assert notes.seen == seen


def test_roots_are_spared_unless_somebody_says_otherwise():
    def workload(simulation):
        ref = simulation.system.start(Recorder)
        ref.tell("message")
        assert ref.ask("seen") == ["message"]

    outcome = run_seed(workload, 1, SimulationOptions(faults={"crash_before": 1.0}, arming=1.0))
    assert (outcome.verdict, outcome.recipe.faults) == ("ok", ())


def test_nothing_fires_once_the_run_has_calmed_down():
    def workload(simulation):
        simulation.system.start(Supervisor, [ChildSpec("one", Recorder)], max_restarts=10)

    outcome = run_seed(workload, 1, SimulationOptions(faults={"crash_in_cleanup": 1.0}, arming=1.0))
    assert outcome.recipe.faults == ()


def test_each_kind_is_armed_in_some_runs_only():
    armed = [FaultPlan(Entropy(seed), {"kill": 1.0}, 0.5).armed for seed in range(50)]
    assert frozenset() in armed
    assert frozenset({"kill"}) in armed


def test_one_kinds_luck_does_not_depend_on_another_kind():
    alone = FaultPlan(Entropy(3), {"kill": 0.5}, 1.0)
    both = FaultPlan(Entropy(3), {"kill": 0.5, "pause": 0.5}, 1.0)
    for _ in range(50):
        both.fires("pause")
    assert [alone.fires("kill") for _ in range(50)] == [both.fires("kill") for _ in range(50)]


def test_a_plan_that_repeats_fires_what_was_recorded_and_nothing_else():
    plan = FaultPlan(Entropy(3), {"kill": 1.0, "pause": 1.0}, 1.0, [("kill", 2)])
    assert [plan.fires("kill") for _ in range(3)] == [False, True, False]
    assert not plan.fires("pause")


def test_plain_names_get_their_usual_chance():
    assert SimulationOptions(faults=["kill"]).faults == {"kill": FAULT_KINDS["kill"].chance}


def test_what_the_contract_does_not_allow_is_used_on_request_only():
    assert not {"drop_message", "duplicate_message"} & set(ALL_WITHIN_CONTRACT)


@pytest.mark.parametrize(
    ("faults", "error"),
    [
        ({"earthquake": 0.1}, InvalidArgumentError),
        ({"kill": 1.5}, InvalidArgumentError),
        ({"kill": float("nan")}, InvalidArgumentError),
        ({"kill": -1.0}, InvalidArgumentError),
        ({"kill": True}, InvalidTypeError),
        ("kill", InvalidTypeError),
    ],
)
def test_faults_that_make_no_sense_are_refused(faults, error):
    with pytest.raises(error, match="faults"):
        SimulationOptions(faults=faults)
