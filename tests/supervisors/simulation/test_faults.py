from __future__ import annotations

import re

import pytest

from supervisors import (
    Actor,
    AskTimeoutError,
    ChildSpec,
    Entropy,
    InvalidArgumentError,
    InvalidTypeError,
    MailboxFullError,
    StartError,
    Supervisor,
    SupervisorsError,
)
from supervisors.simulation import ALL_WITHIN_CONTRACT, FAULT_KINDS, Simulation, SimulationOptions, run_seed
from supervisors.simulation.faults import FaultPlan
from supervisors.simulation.workloads import supervised_workers
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
    return run_seed_with(kind, workload, chance)


def run_seed_with(kind, workload, chance=1.0, **options):
    """Do the same with other options."""
    outcome = run_seed(workload, 1, SimulationOptions(faults={kind: chance}, **{**SPARE_NOBODY, **options}))
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


def test_crash_in_init_makes_the_start_fail_and_leaves_no_links():
    notes = Notes()

    class Parent(Actor):
        def on_receive(self, message):
            try:
                self.system.spawn(Child, (notes,), link=True, report=True)
            except StartError as error:
                notes.error = error
            return len(self.actor_ref.links or ())

    def workload(simulation):
        notes.links = simulation.system.start(Parent).ask("start one")

    options = SimulationOptions(faults={"crash_in_init": 1.0}, arming=1.0)
    outcome = run_seed(workload, 1, options)
    assert (outcome.verdict, outcome.recipe.faults) == ("ok", (("crash_in_init", 1),))
    assert "crash_in_init" in str(notes.error)
    assert notes.lines == []
    assert notes.links == 0


@pytest.mark.parametrize(("kind", "waiting", "at_last"), [("slow_start", [], ["started"])])
def test_a_slow_start_keeps_nobody_else_from_running(kind, waiting, at_last):
    notes = Notes()

    def workload(simulation):
        answer = simulation.client(simulation.system.start, Child, notes)
        simulation.system.settle()
        notes.meanwhile = list(notes.lines)
        answer.get(timeout=60)

    run_seed_with(kind, workload, spare=lambda ref: ref.actor_class is not Child)
    assert notes.meanwhile == waiting
    assert notes.lines[:1] == at_last


def test_a_slow_cleanup_ends_later():
    notes = Notes()

    def workload(simulation):
        ref = simulation.system.start(Child, notes)
        ref.stop(block=False)
        simulation.system.settle()
        notes.meanwhile = list(notes.lines)
        simulation.system.advance(10.0)

    run_with("slow_cleanup", workload)
    assert notes.meanwhile == ["started"]
    assert notes.lines == ["started", "stopped"]


def test_a_slow_reply_comes_after_everything_has_been_done():
    notes = Notes()

    def workload(simulation):
        ref = simulation.system.start(Child, notes)
        answer = ref.ask("now", block=False)
        simulation.system.settle()
        notes.meanwhile, notes.answered = notes.lines[-1], answer.is_done()
        simulation.system.advance(10.0)
        assert answer.is_done()

    run_with("slow_reply", workload)
    assert (notes.meanwhile, notes.answered) == ("done", False)


def test_a_hanging_turn_ends_when_it_is_killed():
    notes = Notes()

    def workload(simulation):
        ref = simulation.system.start(Child, notes)
        ref.tell("hang")
        simulation.system.advance(60.0)
        assert notes.lines == ["started"]
        ref.kill()
        simulation.system.settle()
        notes.reason = ref.exit_reason

    run_with("hang", workload)
    assert notes.reason == "killed"
    assert "done" not in notes.lines


def test_a_hanging_turn_goes_on_when_faults_are_over():
    notes = Notes()

    def workload(simulation):
        simulation.system.start(Child, notes).tell("hang")
        simulation.system.advance(60.0)

    run_with("hang", workload)
    assert notes.lines[2] == "done"


def test_a_lost_reply_leaves_the_asker_to_its_timeout():
    notes = Notes()

    def workload(simulation):
        with pytest.raises(AskTimeoutError):
            simulation.system.start(Child, notes).ask("question")

    run_with("lose_reply", workload)
    assert notes.lines[2] == "done"


def test_an_actor_is_killed_in_the_turn_that_waits():
    notes = Notes()

    class Napper(Actor):
        def on_receive(self, simulation):
            simulation.sleep(30.0)

    def workload(simulation):
        ref = simulation.system.start(Napper)
        ref.tell(simulation)
        recorder = simulation.system.start(Recorder)
        for number in range(3):
            recorder.tell(number)
        simulation.system.settle()
        notes.reason, notes.at = ref.exit_reason, simulation.system.clock.monotonic()

    run_seed_with("kill_waiting", workload, spare=lambda ref: ref.actor_class is not Napper)
    assert (notes.reason, notes.at) == ("killed", 0.0)


def test_the_supervisor_is_killed_and_no_other():
    def workload(simulation):
        with pytest.raises(SupervisorsError, match="killed"):
            simulation.system.start(Supervisor, [ChildSpec("one", Recorder)])
        simulation.system.start(Recorder).ask("seen")

    outcome = run_with("kill_supervisor", workload)
    assert not outcome.failed, outcome.what
    assert all(" Supervisor#1 " in line for line in outcome.transcript.splitlines() if "FAULT" in line)


def test_an_exit_signal_comes_from_nowhere():
    notes = Notes()
    run_with("exit_signal", child_that_gets(notes))
    assert notes.reason == "exit_signal"


def test_a_poison_message_is_none_that_the_actor_knows():
    notes = Notes()
    run_with("poison_message", child_that_gets(notes), chance=0.5)
    assert any("Poison object" in line for line in notes.lines)


def test_a_storm_crashes_starts_until_it_is_over():
    notes = Notes()

    def workload(simulation):
        spec = ChildSpec("one", Child, (notes,))
        tree = simulation.system.start(Supervisor, [spec], max_restarts=100)
        notes.is_up = True
        for _ in range(10):
            simulation.system.advance(60.0)
            simulation.system.start(Recorder).ask("seen")
        assert tree.is_alive()

    notes.is_up = False
    spare = lambda ref: ref.parent is None or not notes.is_up  # noqa: E731 - it is read once
    outcome = run_seed_with("restart_storm", workload, chance=0.3, spare=spare)
    crashes = [line for line in outcome.transcript.splitlines() if "in a restart_storm" in line]
    assert not outcome.failed, outcome
    assert 1 <= len(crashes) <= 8 * len(outcome.recipe.faults)


def test_a_name_is_lost_while_its_owner_lives():
    notes = Notes()

    def workload(simulation):
        ref = simulation.system.start(Recorder, name="found")
        ref.tell("message")
        simulation.system.settle()
        notes.found, notes.alive = simulation.system.whereis("found"), ref.is_alive()

    run_with("registry_loss", workload)
    assert (notes.found, notes.alive) == (None, True)


def test_an_early_timer_comes_before_its_time():
    notes = Notes()

    def workload(simulation):
        recorder = simulation.system.start(Recorder)
        simulation.system.timers.send_after(9.0, recorder, "due")
        recorder.tell("message")
        simulation.system.settle()
        notes.seen, notes.at = recorder.ask("seen"), simulation.system.clock.monotonic()

    run_with("timer_early", workload)
    assert (notes.seen, notes.at) == (["message", "due"], 0.0)


def test_a_lost_timer_never_comes():
    notes = Notes()

    def workload(simulation):
        recorder = simulation.system.start(Recorder)
        simulation.system.timers.send_after(1.0, recorder, "due")
        simulation.system.advance(60.0)
        notes.seen = recorder.ask("seen")

    run_with("timer_lost", workload)
    assert notes.seen == []


def test_the_wall_clock_jumps_and_the_other_does_not():
    notes = Notes()

    def workload(simulation):
        clock = simulation.system.clock
        simulation.system.start(Recorder)
        notes.wall, notes.monotonic = clock.time(), clock.monotonic()

    run_with("clock_jump", workload)
    assert notes.wall != 0.0
    assert notes.monotonic == 0.0


@pytest.mark.parametrize(("kind", "seen"), [("partition", ["first", "second"]), ("netsplit", [])])
def test_groups_that_are_parted_hear_each_other_late_or_never(kind, seen):
    notes = Notes()

    class Sender(Actor):
        def on_receive(self, ref):
            ref.tell("first")
            ref.tell("second")

    def workload(simulation):
        senders = [simulation.system.start(Sender) for _ in range(8)]
        recorders = [simulation.system.start(Recorder) for _ in senders]
        for sender, recorder in zip(senders, recorders, strict=True):
            sender.tell(recorder)
        simulation.system.settle()
        notes.before = [list(recorder.ask("seen")) for recorder in recorders]
        simulation.system.advance(60.0)
        notes.after = [list(recorder.ask("seen")) for recorder in recorders]

    run_with(kind, workload)
    assert [] in notes.before
    assert ["first", "second"] in notes.before
    assert notes.after[notes.before.index([])] == seen


def test_a_reordered_message_overtakes_those_that_wait():
    notes = Notes()

    class Sender(Actor):
        def on_receive(self, ref):
            ref.tell("first")
            ref.tell("second")

    def workload(simulation):
        recorder = simulation.system.start(Recorder)
        simulation.system.start(Sender).tell(recorder)
        simulation.system.settle()
        notes.seen = recorder.ask("seen")

    outcome = run_with("reorder_message", workload)
    assert notes.seen == ["second", "first"]
    assert len(outcome.recipe.faults) == 1, "the first has nobody to overtake"


def test_a_bounded_mailbox_has_no_room():
    class Small(Recorder):
        mailbox_capacity = 10

    def workload(simulation):
        small = simulation.system.start(Small)
        with pytest.raises(MailboxFullError):
            small.tell("message")
        small.stop()

    run_with("mailbox_full", workload)


@pytest.mark.parametrize("kind", [kind for kind, each in FAULT_KINDS.items() if each.point in ("store", "fsync")])
def test_faults_of_a_disk_fire_where_the_workload_asks_for_them(kind):
    notes = Notes()

    def workload(simulation):
        notes.numbers = [simulation.strikes(kind), simulation.strikes("kill")]

    outcome = run_with(kind, workload)
    assert 0.0 <= notes.numbers[0] < 1.0
    assert notes.numbers[1] is None
    assert f"FAULT {kind}" in outcome.transcript


def test_there_are_no_points_for_kinds_that_nobody_knows():
    with Simulation(1) as simulation, pytest.raises(InvalidArgumentError, match="kind"):
        simulation.strikes("earthquake")


def test_a_fault_that_finds_nobody_has_not_happened():
    def workload(simulation):
        simulation.system.start(Recorder).tell("message")

    outcome = run_seed(workload, 1, SimulationOptions(faults={"kill_supervisor": 1.0}, **SPARE_NOBODY))
    assert outcome.recipe.faults == ()


def test_every_fault_that_fires_stands_in_the_transcript_and_repeats():
    options = SimulationOptions(faults=dict.fromkeys(FAULT_KINDS, 0.003), arming=1.0)
    for seed in range(5):
        outcome = run_seed(supervised_workers, seed, options)
        lines = [line.split("FAULT ")[1] for line in outcome.transcript.splitlines() if "FAULT " in line]
        noted = sorted(re.match(r"\w+", line).group() for line in lines)
        assert noted == sorted(kind for kind, _ in outcome.recipe.faults)
        assert noted
        repeated = run_seed(supervised_workers, seed, options, repeat=outcome.recipe)
        assert repeated.transcript_hash == outcome.transcript_hash


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
