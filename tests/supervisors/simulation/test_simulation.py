from __future__ import annotations

import logging
from contextlib import suppress

import pytest

from supervisors import Actor, InvalidArgumentError, InvalidTypeError, SupervisorsError, UsageError
from supervisors.simulation import Simulation, SimulationOptions, run_seed
from tests.supervisors.actors import Echo, Recorder


class Trapper(Actor):
    """Does not end when it is asked to by an exit signal."""

    def on_start(self):
        self.trap_exit()

    def on_receive(self, message):
        pass


def outcome_of(workload, **options):
    return run_seed(workload, 1, SimulationOptions(**options))


def test_a_workload_that_finds_nothing_wrong_is_ok():
    outcome = outcome_of(lambda simulation: simulation.system.start(Echo).ask(1))
    assert (outcome.verdict, outcome.by, outcome.what) == ("ok", "", "")
    assert outcome.steps > 0


def test_an_assertion_is_a_wrong_result():
    def workload(simulation):
        assert simulation.system.start(Echo).ask(1) == 2, "one is not two"

    outcome = outcome_of(workload)
    assert outcome.verdict == "wrong result"
    assert "one is not two" in outcome.what


def test_another_exception_is_a_crash():
    outcome = outcome_of(lambda simulation: 1 // 0)
    assert (outcome.verdict, outcome.by) == ("crash", "ZeroDivisionError")


def test_an_invariant_is_looked_at_after_every_step():
    class Counter(Actor):
        count = 0

        def on_receive(self, message):
            Counter.count += message

    def workload(simulation):
        Counter.count = 0
        simulation.invariant("never two", lambda: Counter.count != 2)
        counter = simulation.system.start(Counter)
        for _ in range(3):
            counter.tell(1)
        simulation.system.settle()

    outcome = outcome_of(workload)
    assert (outcome.verdict, outcome.by) == ("wrong result", "never two")


def test_an_invariant_cannot_wait():
    def workload(simulation):
        echo = simulation.system.start(Echo)
        simulation.invariant("asks", lambda: echo.ask(1) == 1)
        echo.ask(1)

    outcome = outcome_of(workload)
    assert (outcome.verdict, outcome.by) == ("crash", "UsageError")
    assert "cannot wait" in outcome.what


def test_what_must_come_true_may_take_its_time():
    def workload(simulation):
        recorder = simulation.system.start(Recorder)
        simulation.system.timers.send_after(100.0, recorder, "late")
        clock = simulation.system.clock
        simulation.eventually("it came", lambda: clock.monotonic() >= 100.0 and not recorder.mailbox_length)

    assert outcome_of(workload).verdict == "ok"


def test_what_never_comes_true_is_no_progress():
    def workload(simulation):
        simulation.eventually("pigs fly", lambda: False, within=5.0)

    outcome = outcome_of(workload)
    assert (outcome.verdict, outcome.by) == ("no progress", "pigs fly")


class Looker:
    """Notes when it is called."""

    def __init__(self):
        self.calls = []

    def attach(self, system, scheduler):
        self.calls.append("attach")
        scheduler.sent = (*scheduler.sent, lambda ref, item: self.calls.append("sent"))

    def at_rest(self):
        self.calls.append("at rest")

    def at_end(self):
        self.calls.append("at end")


def test_a_checker_that_is_added_on_the_way_watches_from_there_on():
    def workload(simulation):
        echo = simulation.system.start(Echo)
        echo.ask(1)
        simulation.check(looker)
        echo.ask(2)

    looker = Looker()
    assert outcome_of(workload).verdict == "ok"
    assert looker.calls[:2] == ["attach", "sent"]
    assert looker.calls.count("at rest") == looker.calls.count("at end") == 1


def test_a_checker_is_added_inside_a_simulation():
    with pytest.raises(UsageError):
        Simulation(0).check(Looker())
    with pytest.raises(InvalidTypeError) as caught:
        Simulation(0).check("a checker")
    assert caught.value.field == "checker"


def test_clients_run_beside_each_other_and_give_their_answers():
    def workload(simulation):
        echo = simulation.system.start(Echo)
        answers = [simulation.client(echo.ask, number) for number in range(3)]
        assert [answer.get() for answer in answers] == [0, 1, 2]

    assert outcome_of(workload).verdict == "ok"


def test_sleep_lets_virtual_time_pass_for_one_client():
    def workload(simulation):
        def nap(seconds):
            simulation.sleep(seconds)
            return simulation.system.clock.monotonic()

        answers = [simulation.client(nap, seconds) for seconds in (3.0, 1.0)]
        assert [answer.get(timeout=None) for answer in answers] == [3.0, 1.0]

    assert outcome_of(workload).verdict == "ok"


def test_an_actor_that_traps_exits_is_stopped_all_the_same():
    assert outcome_of(lambda simulation: simulation.system.start(Trapper)).verdict == "ok"


def test_a_note_stands_in_the_transcript():
    outcome = outcome_of(lambda simulation: simulation.note("half way"))
    assert " workload " in outcome.transcript
    assert "half way" in outcome.transcript


def test_without_a_kept_transcript_there_is_its_hash():
    def workload(simulation):
        return simulation.system.start(Echo)

    kept, hashed = outcome_of(workload), outcome_of(workload, keep_transcript=False)
    assert hashed.transcript == ""
    assert kept.transcript_hash == hashed.transcript_hash


def test_the_log_is_as_it_was_afterwards():
    log = logging.getLogger("supervisors")
    before = log.level
    with Simulation(1) as simulation:
        assert log.level == logging.CRITICAL
        simulation.run(lambda simulation: None)
    assert log.level == before


def test_a_simulation_runs_once():
    with Simulation(1) as simulation:
        simulation.run(lambda simulation: None)
        with pytest.raises(UsageError, match="once"):
            simulation.run(lambda simulation: None)
    with pytest.raises(UsageError, match="once"):
        simulation.__enter__()


@pytest.mark.parametrize("seed", ["1", 1.0, True, None])
def test_a_seed_is_a_whole_number(seed):
    with pytest.raises(InvalidTypeError, match="seed"):
        Simulation(seed)


@pytest.mark.parametrize(
    "given",
    [{"schedule": "chaos"}, {"arming": 2.0}, {"arming": "1"}, {"steps_max": 0}, {"steps_max": 1.5}, {"calm": -1}],
)
def test_options_that_make_no_sense_are_refused(given):
    with pytest.raises((ValueError, TypeError), match=next(iter(given))):
        SimulationOptions(**given)


def test_parts_that_are_left_out_do_not_take_part():
    def workload(simulation):
        taken.append(simulation.parts("numbers", range(5)))
        taken.append([client.get() for client in [simulation.client(int) for _ in range(2)]])

    taken = []
    outcome = run_seed(workload, 1, without=[("numbers", 0), ("numbers", 3), ("clients", 1)])
    assert taken == [[1, 2, 4], [0, None]]
    assert outcome.recipe.without == (("numbers", "0, 3"), ("clients", "1"))
    assert outcome.parts == (("numbers", 1), ("numbers", 2), ("numbers", 4), ("clients", 0))
    taken.clear()
    assert run_seed(workload, 1, repeat=outcome.recipe).transcript == outcome.transcript
    assert taken == [[1, 2, 4], [0, None]]


def test_other_luck_is_another_run_of_the_same_workload():
    def workload(simulation):
        drawn.append(simulation.entropy.stream("data").random())
        for answer in [simulation.client(simulation.sleep, 1.0) for _ in range(9)]:
            answer.get()

    drawn = []
    one, other, again = (run_seed(workload, 1, SimulationOptions(schedule="random"), luck=luck) for luck in (0, 1, 1))
    assert drawn[0] == drawn[1] == drawn[2]
    assert one.transcript != other.transcript == again.transcript


@pytest.mark.parametrize("name", [3, "clients", "taken"])
def test_parts_need_a_name_of_their_own(name):
    with Simulation(1) as simulation:
        simulation.parts("taken", range(2))
        with pytest.raises((InvalidArgumentError, InvalidTypeError), match="name"):
            simulation.parts(name, range(2))


def test_what_a_condition_has_found_is_the_verdict_also_where_the_workload_suppresses_it():
    answers = iter([True, False])

    def workload(simulation):
        simulation.invariant("all is well", lambda: next(answers, True))
        with suppress(SupervisorsError):
            simulation.client(int).get(timeout=None)
        simulation.sleep(1.0)

    outcome = outcome_of(workload)
    assert (outcome.verdict, outcome.by) == ("wrong result", "all is well")
