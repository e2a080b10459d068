from __future__ import annotations

import gc
import threading
import weakref

import pykka
import pytest

from supervisors import (
    Actor,
    ActorDeadError,
    ActorSystem,
    AskTimeoutError,
    Crashed,
    Exit,
    IgnoreStart,
    InvalidTypeError,
    MailboxFullError,
    NameTakenError,
    NoActorError,
    StartError,
    UsageError,
    VirtualClock,
)
from supervisors.simulation import Simulation
from tests.supervisors.actors import Doer, Echo, Recorder, SharedDoer, SharedEcho


def failing(error):
    class Failing(Echo):
        def on_start(self):
            raise error

    return Failing


def test_a_start_that_fails_is_a_start_error_with_the_reason(system):
    with pytest.raises(StartError) as caught:
        system.start(failing(ValueError("broken")))
    assert isinstance(caught.value.reason, Crashed)
    assert isinstance(caught.value.__cause__, ValueError)
    assert system.actors() == []


def test_a_start_that_fails_calls_on_failure(system):
    seen = []

    class Failing(Echo):
        def on_start(self):
            raise ValueError("broken")

        def on_failure(self, kind, error, trace):
            seen.append(kind)

    with pytest.raises(StartError):
        system.start(Failing)
    assert seen == [ValueError]


def test_a_start_that_exits_gives_its_reason(system):
    with pytest.raises(StartError) as caught:
        system.start(failing(Exit("no room")))
    assert caught.value.reason == "no room"


def test_a_start_that_declines_leaves_nothing(system):
    with pytest.raises(IgnoreStart):
        system.start(failing(IgnoreStart()))
    assert system.actors() == []


def test_a_failed_start_frees_the_name(system):
    with pytest.raises(StartError):
        system.start(failing(ValueError()), name="n")
    assert system.whereis("n") is None
    assert system.start(Echo, name="n").ask(1) == 1


def test_a_constructor_that_fails_is_a_start_error(system):
    class Failing(Echo):
        def __init__(self):
            raise ValueError("no")

    with pytest.raises(StartError, match="no"):
        system.start(Failing)


def test_a_constructor_that_forgets_super_is_told_so(system):
    class Forgetful(Echo):
        def __init__(self):
            pass

    with pytest.raises(UsageError, match="super"):
        system.start(Forgetful)


def test_a_constructor_may_start_others_before_it_calls_super(system):
    class Parent(Echo):
        def __init__(self):
            self.child = system.start(Echo)
            super().__init__()

    assert system.start(Parent).ask("x") == "x"


def test_a_taken_name_starts_nothing(system):
    first = system.start(Echo, name="n")
    with pytest.raises(NameTakenError) as caught:
        system.start(Echo, name="n")
    assert caught.value.owner is first
    assert system.actors() == [first]


def test_an_unknown_dispatch_is_refused(system):
    with pytest.raises(ValueError, match="dispatch"):
        system.spawn(Echo, link=False, report=True, dispatch="sideways")


def test_dispatch_can_be_chosen_at_the_start(real):
    ref = real.spawn(Doer, link=False, report=True, dispatch="shared")
    assert ref.ask(lambda _: threading.current_thread().name).startswith("supervisors-worker")


def test_an_actor_cannot_be_made_by_calling_its_class():
    with pytest.raises(UsageError, match="ActorSystem"):
        Echo()


def test_an_actor_of_a_bound_class_that_nobody_starts_is_dead(system):
    actor = system.bind(Echo)()
    assert not actor.actor_ref.is_alive()
    with pytest.raises(ActorDeadError):
        actor.actor_ref.ask("x")


def test_a_bound_class_starts_from_anywhere(system):
    assert system.bind(Echo).start().ask("x") == "x"


def test_an_unbound_class_needs_a_system():
    with pytest.raises(UsageError, match="bind"):
        Echo.start()


def test_start_link_needs_a_running_actor(system):
    with pytest.raises(NoActorError):
        system.bind(Echo).start_link()


def test_stop_ends_all_actors_the_last_started_first():
    order = []

    class Noting(Echo):
        def __init__(self, number):
            super().__init__()
            self.number = number

        def on_stop(self):
            order.append(self.number)

    system = ActorSystem(clock=VirtualClock())
    for number in range(3):
        system.start(Noting, number)
    assert system.stop() == []
    assert order == [2, 1, 0]


def test_stopping_twice_does_nothing_the_second_time():
    system = ActorSystem(clock=VirtualClock())
    system.stop()
    assert system.stop() == []


def test_nothing_starts_in_a_stopped_system():
    system = ActorSystem(clock=VirtualClock())
    system.stop()
    with pytest.raises(UsageError, match="stopped"):
        system.start(Echo)


def test_an_actor_cannot_stop_its_own_system(system):
    with pytest.raises(UsageError, match="from outside"):
        system.start(Doer).ask(lambda self: self.system.stop())


def test_an_actor_started_by_another_ones_cleanup_is_refused():
    refused = []

    class Late(Echo):
        def on_stop(self):
            try:
                self.system.start(Echo)
            except UsageError:
                refused.append(True)

    with ActorSystem(clock=VirtualClock()) as system:
        system.start(Late)
    assert refused == [True]
    assert system.actors() == []


def test_a_constructor_that_outlives_the_stop_leaves_no_actor():
    class Slow(Echo):
        def __init__(self):
            super().__init__()
            system.stop()

    system = ActorSystem(clock=VirtualClock())
    with pytest.raises(UsageError, match="stopped"):
        system.start(Slow)
    assert system.actors() == []


def test_stop_reports_and_kills_those_that_do_not_end_in_time():
    gate, entered = threading.Event(), threading.Event()
    system = ActorSystem(workers=1)
    ref = system.start(SharedDoer)

    def block(_):
        entered.set()
        gate.wait(10)

    ref.tell(block)
    entered.wait(10)
    assert system.stop(timeout=0.05) == [ref]
    gate.set()
    ref.join(timeout=10)


def test_several_systems_live_side_by_side():
    with ActorSystem(clock=VirtualClock()) as one, ActorSystem(clock=VirtualClock()) as two:
        one.start(Echo, name="n")
        assert two.whereis("n") is None
        assert two.start(Echo, name="n").actor_urn != one.whereis("n").actor_urn


def test_a_stopped_system_can_be_collected():
    system = ActorSystem(clock=VirtualClock())
    system.start(Echo).ask("x")
    system.stop()
    gone = weakref.ref(system)
    del system
    gc.collect()
    assert gone() is None


def test_pykkas_registry_sees_our_actors_of_all_living_systems(system):
    ref = system.start(Recorder)
    assert ref in pykka.ActorRegistry.get_all()
    assert pykka.ActorRegistry.get_by_class(Recorder) == [ref]
    assert pykka.ActorRegistry.get_by_urn(ref.actor_urn) is ref
    pykka.ActorRegistry.broadcast("hello", Recorder)
    assert ref.ask("seen") == ["hello"]
    ref.stop()
    assert ref not in pykka.ActorRegistry.get_all()


@pytest.mark.parametrize("target", [None, Recorder, "Recorder"])
def test_pykkas_broadcast_reaches_all_though_one_is_full_and_then_says_so(system, target):
    class Full(Recorder):
        mailbox_capacity = 1

    Full.__name__ = "Recorder"
    first, full, last = (system.start(each) for each in (Recorder, Full, Recorder))
    full.suspend()
    full.tell("fills it")
    with pytest.raises(MailboxFullError):
        pykka.ActorRegistry.broadcast("hello", target)
    assert first.ask("seen") == last.ask("seen") == ["hello"]


def test_pykkas_registry_stops_our_actors_too(real):
    refs = [real.start(SharedEcho), real.start(Echo)]
    pykka.ActorRegistry.stop_all()
    assert not any(ref.is_alive() for ref in refs)


def test_one_of_pykkas_own_actors_is_still_registered(system):
    class Stock(pykka.ThreadingActor):
        pass

    ref = Stock.start()
    try:
        assert ref in pykka.ActorRegistry.get_all()
    finally:
        ref.stop()
    assert ref not in pykka.ActorRegistry.get_all()


def test_one_actors_system_exit_stops_all_only_on_request():
    def leave(_):
        raise SystemExit

    for stop_all in (False, True):
        with ActorSystem(clock=VirtualClock(), stop_all_on_base_exception=stop_all) as system:
            victim, bystander = system.start(Doer), system.start(Echo)
            victim.tell(leave)
            assert not victim.is_alive()
            assert bystander.is_alive() is not stop_all


def test_a_listener_that_raises_stays_and_harms_nobody(system, caplog):
    heard = []

    def listen(ref, message):
        heard.append(message)
        raise ValueError

    system.on_dead_letter(listen)
    ref = system.start(Echo)
    ref.stop()
    ref.send(1)
    ref.send(2)
    assert heard == [1, 2]
    assert "listener raised" in caplog.text


def test_a_crash_is_published_once_with_its_reason(system):
    heard = []
    system.on_crash(lambda ref, reason: heard.append((ref, str(reason))))
    ref = system.start(Doer)
    ref.tell(lambda _: 1 / 0)
    assert heard == [(ref, "ZeroDivisionError: division by zero")]
    assert system.statistics()["crashes"] == 1


def test_advance_counts_the_timers_that_fired(system):
    ref = system.start(Recorder)
    for delay in (1, 2, 3):
        system.timers.send_after(delay, ref, delay)
    assert system.advance(2) == 2
    assert ref.ask("seen") == [1, 2]


@pytest.mark.parametrize("seconds", [-1, float("nan"), True, "1"])
def test_only_a_number_of_seconds_can_pass(system, seconds):
    with pytest.raises((TypeError, ValueError), match="seconds"):
        system.advance(seconds)


def test_it_reads_as_a_status_line(system):
    system.start(Actor)
    assert repr(system) == "<ActorSystem running: 1 actors, 0 timers>"


@pytest.mark.parametrize("options", [{"clock": 5}, {"clock": "now"}, {"entropy": 7}, {"entropy": b"seed"}])
def test_a_clock_or_entropy_of_another_kind_is_refused_by_name(options):
    with pytest.raises(InvalidTypeError) as refused:
        ActorSystem(**options)
    assert refused.value.field in options


@pytest.mark.parametrize("option", ["workers", "workers_max"])
def test_a_system_on_a_virtual_clock_has_no_number_of_workers(option):
    with pytest.raises(ValueError, match="virtual clock") as refused:
        ActorSystem(clock=VirtualClock(), **{option: 4})
    assert refused.value.field == option


@pytest.mark.parametrize("most", [0, 3, 5000])
def test_workers_max_is_at_least_as_many_as_workers(most):
    with pytest.raises(ValueError, match="workers_max"):
        ActorSystem(workers=4, workers_max=most)


def test_as_many_workers_may_wait_for_each_other_as_workers_max_says(caplog):
    def chain(rest, timeout):
        return lambda _: rest[0].ask(chain(rest[1:], timeout), timeout=timeout) if rest else "end"

    with ActorSystem(workers=1, workers_max=3) as system:
        refs = [system.start(SharedDoer) for _ in range(4)]
        assert refs[0].ask(chain(refs[1:3], 10), timeout=10) == "end"
        assert "workers_max" not in caplog.text
        with pytest.raises(AskTimeoutError):
            refs[0].ask(chain(refs[1:], 0.05), timeout=10)
        assert "workers_max" in caplog.text
        assert system.scheduler.statistics()["peak"] == 3


def test_an_actor_may_stop_another_system_and_not_its_own(real):
    class Stopping(Actor):
        def on_receive(self, system):
            return system.stop()

    other = ActorSystem()
    stopping = real.start(Stopping)
    assert stopping.ask(other) == []
    assert other.is_stopped
    with pytest.raises(UsageError):
        stopping.ask(real)


def test_processes_are_to_be_had_in_real_time_and_in_a_simulation(real, system):
    assert real.has_processes
    assert not system.has_processes
    with Simulation(1) as simulation:
        assert simulation.system.has_processes
