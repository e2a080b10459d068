from __future__ import annotations

import threading

import pytest

from supervisors import Actor, ActorSystem, ChildSpec, Supervisor, SupervisorFlags, VirtualClock, start_named
from supervisors.errors import InvalidArgumentError, InvalidTypeError, UsageError
from supervisors.health.health import Health


class Worker(Actor):
    dispatch = "shared"

    def on_receive(self, message):
        if callable(message):
            message()


class Top(Supervisor):
    def init(self):
        return SupervisorFlags(), [ChildSpec("worker", start_named, ("worker", Worker))]


@pytest.fixture
def system():
    with ActorSystem(clock=VirtualClock()) as system:
        yield system


def held_up(system, health):
    """Start a worker for which a message waits that nobody runs; return its ref."""
    ref = system.start(Worker, name="worker")
    health.watch("worker", within=10.0)
    ref.tell("waits")
    health.look()
    system.clock.move_to(system.clock.monotonic() + 10.0)
    return ref


def test_an_actor_that_works_is_live(system):
    health = Health(system)
    system.start(Worker, name="worker")
    health.watch("worker", within=10.0)
    assert health.look() == ()
    assert health.live() == (True, ())


def test_an_actor_without_progress_is_found_and_makes_the_system_not_live(system):
    health = Health(system)
    held_up(system, health)
    (stuck,) = health.look()
    assert stuck.label == "worker"
    assert health.live().is_good is False
    assert "worker has made no progress for 10.0 s" in health.live().reasons[0]


def test_when_it_has_worked_again_the_system_is_live_again(system):
    health = Health(system)
    held_up(system, health)
    health.look()
    system.settle()
    health.look()
    assert health.live().is_good


def test_a_ref_can_be_watched_too(system):
    health = Health(system)
    ref = system.start(Worker)
    health.watch(ref, within=1.0, label="mine")
    ref.stop()
    health.look()
    system.clock.move_to(1.0)
    (stuck,) = health.look()
    assert stuck.is_absent
    assert stuck.label == "mine"


def test_a_program_is_ready_only_when_it_says_so(system):
    health = Health(system)
    assert health.ready().is_good is False
    health.set_ready()
    assert health.ready() == (True, ())
    health.set_unready("it stops")
    assert health.ready().reasons == ("it stops",)


def test_who_is_not_live_is_not_ready_either(system):
    health = Health(system)
    held_up(system, health)
    health.set_ready()
    health.look()
    assert health.ready().is_good is False


def test_who_is_not_watched_any_more_is_not_stuck_any_more(system):
    health = Health(system)
    held_up(system, health)
    health.look()
    health.unwatch("worker")
    assert health.live().is_good
    assert health.look() == ()


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"target": "x", "within": 0}, "within"),
        ({"target": "x", "within": -1.0}, "within"),
        ({"target": "x", "within": float("nan")}, "within"),
        ({"target": "x", "within": True}, "within"),
        ({"target": "x", "within": "5"}, "within"),
        ({"target": "x", "within": 1.0, "restart": 1}, "restart"),
        ({"target": "x", "within": 1.0, "label": 7}, "label"),
        ({"target": "taken", "within": 1.0}, "label"),
    ],
)
def test_bad_input_is_refused_and_changes_nothing(system, arguments, field):
    health = Health(system)
    health.watch("taken", within=1.0)
    with pytest.raises((InvalidArgumentError, InvalidTypeError)) as refused:
        health.watch(**arguments)
    assert refused.value.field == field
    assert repr(health) == "<Health: 1 watched, 0 stuck>"


def test_an_actor_of_another_system_cannot_be_watched(system):
    with ActorSystem(clock=VirtualClock()) as other, pytest.raises(InvalidArgumentError) as refused:
        Health(system).watch(other.start(Worker), within=1.0)
    assert refused.value.field == "target"


@pytest.mark.parametrize("interval", [0, -1, float("inf"), True, "1"])
def test_a_bad_interval_is_refused(system, interval):
    with pytest.raises((InvalidArgumentError, InvalidTypeError)) as refused:
        Health(system, interval=interval)
    assert refused.value.field == "interval"


def test_in_virtual_time_there_is_no_looking_thread(system):
    with pytest.raises(UsageError):
        Health(system).start()


def test_a_handler_that_never_returns_is_killed_and_its_supervisor_starts_another_one():
    let_go = threading.Event()
    entered = threading.Event()
    with ActorSystem() as system:
        looked = threading.Event()

        def saw(is_live):
            if not is_live:
                looked.set()

        health = Health(system, interval=0.01, on_look=saw)
        system.start(Top)
        first = system.whereis("worker")
        health.watch("worker", within=0.1, restart=True)
        health.start()

        def hang():
            entered.set()
            let_go.wait(10.0)

        first.tell(hang)
        assert entered.wait(10.0)
        assert looked.wait(10.0)
        first.when_ended().settle(10.0)
        second = system.wait_for_name("worker", 10.0)
        assert second is not first
        health.stop()
        let_go.set()


def test_nobody_who_looks_is_a_reason_not_to_be_live():
    stop = threading.Event()
    stuck = threading.Event()

    def hang(_):
        stuck.set()
        stop.wait(10.0)

    clock = SkippingClock()
    with ActorSystem(clock=clock) as system:
        health = Health(system, interval=0.01, on_look=hang)
        health.start()
        assert stuck.wait(10.0)
        assert health.live().is_good
        clock.ahead = 60.0
        assert "nobody has looked" in health.live().reasons[0]
        clock.ahead = 0.0
        stop.set()
        health.stop()


def test_a_health_that_was_started_is_not_started_again():
    with ActorSystem() as system:
        health = Health(system)
        health.start()
        with pytest.raises(UsageError):
            health.start()
        health.stop()
        health.stop()


class SkippingClock:
    """The real clock, which a test can put ahead."""

    ahead = 0.0

    def __init__(self):
        from supervisors import SystemClock

        self._real = SystemClock()

    def monotonic(self):
        return self._real.monotonic() + self.ahead

    def time(self):
        return self._real.time()
