from __future__ import annotations

import signal
import sys
import threading

import pytest

import supervisors.simulation.scheduler as scheduler_module
from supervisors import Actor, ActorDeadError, AskTimeoutError, DeadlockError, UsageError
from supervisors.simulation import (
    ForeignThreadError,
    NoProgressError,
    RoundRobin,
    Simulation,
    SimulationOptions,
    run_seed,
)
from tests.supervisors.actors import Echo, Recorder

PLAIN = SimulationOptions(schedule="round robin")


class Relay(Actor):
    """Asks whom it is told to."""

    def on_receive(self, message):
        ref, inner = message
        return ref.ask(inner)


class Gatekeeper(Actor):
    """Replies to the first ask when it is told to open."""

    waiting = None

    def on_receive(self, message):
        if message == "wait":
            self.waiting = self.defer_reply()
        else:
            self.waiting.set("opened")


@pytest.fixture
def simulation():
    with Simulation(1, PLAIN) as made:
        yield made


def test_a_send_never_runs_the_receiver_at_once(simulation):
    recorder = simulation.system.start(Recorder)
    recorder.tell("message")
    assert recorder.mailbox_length == 1
    assert recorder.ask("seen") == ["message"]


def test_an_ask_of_an_inline_actor_is_a_step_of_its_own(simulation):
    echo = simulation.system.start(Echo)
    before = simulation.system.scheduler.steps
    assert echo.ask("hello") == "hello"
    assert simulation.system.scheduler.steps > before


def test_every_message_is_a_step_of_its_own(simulation):
    first, second = simulation.system.start(Recorder), simulation.system.start(Recorder)
    for number in range(3):
        first.tell(number)
        second.tell(number)
    before = simulation.system.scheduler.steps
    simulation.system.settle()
    assert simulation.system.scheduler.steps - before == 6


def test_a_turn_that_waits_lets_others_run_and_goes_on_when_it_has_its_reply(simulation):
    echo = simulation.system.start(Echo)
    relay = simulation.system.start(Relay)
    assert relay.ask((echo, "through")) == "through"


def test_who_has_its_reply_goes_on_although_a_later_turn_still_waits(simulation):
    # With both turns on one stack, the first could not go on before the second had
    # ended; and the second waits for what the program does after the first.
    gate = simulation.system.start(Gatekeeper)
    echo = simulation.system.start(Echo)
    first, second = simulation.system.start(Relay), simulation.system.start(Relay)
    quick = first.ask((echo, "quick"), block=False)
    slow = second.ask((gate, "wait"), block=False)
    assert quick.get() == "quick"
    assert not slow.is_done()
    gate.tell("open")
    assert slow.get() == "opened"


def test_a_cycle_of_asks_is_refused_as_in_production(simulation):
    class Asker(Actor):
        def on_receive(self, message):
            return simulation.system.whereis(message).ask("mirror") if message != "mirror" else self.other.ask(0)

        @property
        def other(self):
            return simulation.system.whereis("first")

    simulation.system.start(Asker, name="first")
    simulation.system.start(Asker, name="second")
    with pytest.raises(DeadlockError):
        simulation.system.whereis("first").ask("second")


def test_an_ask_in_a_turn_times_out_at_its_virtual_time(simulation):
    gate, relay = simulation.system.start(Gatekeeper), simulation.system.start(Relay)
    with pytest.raises(AskTimeoutError):
        relay.ask((gate, "wait"), timeout=None)
    assert simulation.system.clock.monotonic() == 5.0


def test_time_jumps_to_the_next_timer_when_nothing_is_ready(simulation):
    recorder = simulation.system.start(Recorder)
    simulation.system.timers.send_after(86400.0, recorder, "tomorrow")
    assert simulation.system.advance(100_000.0) == 1
    assert simulation.system.clock.monotonic() == 100_000.0
    assert recorder.ask("seen") == ["tomorrow"]


def test_settling_lets_no_time_pass(simulation):
    recorder = simulation.system.start(Recorder)
    simulation.system.timers.send_after(1.0, recorder, "later")
    simulation.system.settle()
    assert simulation.system.clock.monotonic() == 0.0


def test_timers_of_one_moment_come_in_different_orders_under_different_seeds():
    orders = set()

    def workload(simulation):
        seen = []

        class Noter(Actor):
            def on_receive(self, message):
                seen.append(message)

        for number in range(3):
            simulation.system.timers.send_after(1.0, simulation.system.start(Noter), number)
        simulation.system.advance(2.0)
        orders.add(tuple(seen))

    for seed in range(30):
        assert not run_seed(workload, seed, SimulationOptions(schedule="random")).failed
    assert len(orders) > 1


def test_a_wait_for_what_can_never_come_ends_with_the_reason(simulation):
    gate = simulation.system.start(Gatekeeper)
    with pytest.raises(NoProgressError, match="can never come"):
        gate.ask("wait", timeout=None)


def test_a_run_that_never_ends_is_ended():
    class Perpetual(Actor):
        def on_receive(self, message):
            self.actor_ref.tell(message)

    def workload(simulation):
        simulation.system.start(Perpetual).tell("again")
        simulation.system.settle()

    outcome = run_seed(workload, 1, SimulationOptions(steps_max=500))
    assert (outcome.verdict, outcome.by) == ("no progress", "NoProgressError")


def test_a_killed_turn_that_waits_is_over_at_once(simulation):
    gate, relay = simulation.system.start(Gatekeeper), simulation.system.start(Relay)
    reply = relay.ask((gate, "wait"), block=False)
    simulation.system.settle()
    relay.kill()
    with pytest.raises(ActorDeadError):
        reply.get(timeout=0)
    assert not relay.is_alive()


def test_settle_inside_a_turn_is_refused(simulation):
    class Settler(Actor):
        def on_receive(self, message):
            self.system.settle()

    settler, echo = simulation.system.start(Settler), simulation.system.start(Echo)
    echo.tell("something is ready")
    with pytest.raises(UsageError, match="program outside"):
        settler.ask("settle")


def test_a_message_from_a_strange_thread_fails_the_run_and_names_the_place():
    def workload(simulation):
        recorder = simulation.system.start(Recorder)

        def smuggle():
            with pytest.raises(ForeignThreadError):
                recorder.tell("smuggled")

        thread = threading.Thread(target=smuggle, name="smuggler")
        thread.start()
        thread.join()

    outcome = run_seed(workload, 1)
    assert (outcome.verdict, outcome.by) == ("crash", "ForeignThreadError")
    assert "smuggler" in outcome.what
    assert "test_scheduler.py" in outcome.what


def test_bounded_mailboxes_keep_their_bound(simulation):
    class Small(Recorder):
        mailbox_capacity = 2
        mailbox_policy = "drop_oldest"

    small = simulation.system.start(Small)
    for number in range(5):
        small.tell(number)
    simulation.system.settle()
    assert small.ask("seen") == [3, 4]


def test_no_thread_is_left_after_the_end_even_if_a_turn_waits_for_ever():
    with Simulation(1, schedule=RoundRobin()) as simulation:
        gate, relay = simulation.system.start(Gatekeeper), simulation.system.start(Relay)
        relay.tell((gate, "wait"))
        simulation.system.settle()
    assert not [each for each in threading.enumerate() if each.name.startswith("supervisors-simulation")]


def test_ctrl_c_while_an_actor_runs_ends_the_run_and_leaves_no_thread():
    class Impatient(Actor):
        def on_receive(self, message):
            if message == "once":
                signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            self.actor_ref.tell("again")

    def workload(simulation):
        simulation.system.start(Impatient).tell("once")
        simulation.system.settle()

    with pytest.raises(KeyboardInterrupt):
        run_seed(workload, 1)
    assert not [each for each in threading.enumerate() if each.name.startswith("supervisors-simulation")]


def interrupted_at(line):
    """Run actors, with a Ctrl-C before the nth line of the scheduler in this thread; tell whether there are so many."""
    left = line

    def local(frame, event, arg):
        nonlocal left
        if event == "line":
            left -= 1
            if left == 0:
                raise KeyboardInterrupt
        return local

    def calls(frame, event, arg):
        return local if frame.f_code.co_filename == scheduler_module.__file__ and left > 0 else None

    class Echoing(Actor):
        def on_receive(self, message):
            return message

    def workload(simulation):
        sys.settrace(calls)
        try:
            echoes = [simulation.system.start(Echoing) for _ in range(2)]
            for echo in echoes:
                echo.tell("hello")
            echoes[0].ask("hello")
        finally:
            sys.settrace(before)

    before = sys.gettrace()
    try:
        run_seed(workload, 1)
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


def test_ctrl_c_at_any_line_of_the_scheduler_ends_the_run_and_leaves_no_thread():
    line = 0
    while interrupted_at(line := line + 1):
        left = [each for each in threading.enumerate() if each.name.startswith("supervisors-simulation")]
        assert not left, f"line {line} of the run"
    assert line > 50, "the scheduler has more lines than that on this way"
