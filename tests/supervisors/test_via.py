from __future__ import annotations

import threading

import pytest

from supervisors import (
    ActorDeadError,
    AskTimeoutError,
    Down,
    InvalidArgumentError,
    InvalidTypeError,
    NameTakenError,
    SystemStoppedError,
)
from supervisors.names import Names
from supervisors.registry import Registry, wait_for_name
from supervisors.via import NameRegistry, Via
from tests.supervisors.actors import Doer, Echo, Recorder, SharedDoer, SharedEcho


def until_somebody_waits(system):
    for _ in range(10_000):
        if system._name_waits:
            return
        threading.Event().wait(0.001)
    pytest.fail("nobody waits for a name")


class Phonebook:
    """A registry of our own: an actor may have many names in it."""

    def __init__(self):
        self.names = {}

    def register(self, name, ref, /):
        if self.whereis(name) is not None:
            raise NameTakenError(name, self.names[name])
        self.names[name] = ref
        ref.when_ended().when_done(lambda: self.names.pop(name, None))

    def unregister(self, name, /):
        if self.names.pop(name, None) is None:
            raise ValueError(name)

    def whereis(self, name, /):
        return self.names.get(name)


@pytest.fixture
def book():
    return Phonebook()


def test_name_5_a_registry_of_ones_own_fulfils_the_contract(book):
    assert isinstance(book, NameRegistry)
    assert isinstance(Registry(), NameRegistry)


def test_name_5_an_actor_can_be_started_under_a_name_of_another_registry(system, book):
    ref = system.start(Echo, name=Via(book, "n"))
    assert book.whereis("n") is ref
    assert system.whereis(Via(book, "n")) is ref
    assert system.whereis("n") is None


def test_name_5_a_taken_name_of_another_registry_starts_nothing(system, book):
    system.start(Echo, name=Via(book, "n"))
    with pytest.raises(NameTakenError):
        system.start(Echo, name=Via(book, "n"))
    assert len(system.actors()) == 1


def test_name_5_it_can_be_registered_unregistered_and_sent_to(system, book):
    ref = system.start(Recorder)
    system.register(Via(book, "n"), ref)
    system.register(Via(book, "m"), ref)
    system.send(Via(book, "m"), "hello")
    assert ref.ask("seen") == ["hello"]
    system.unregister(Via(book, "n"))
    assert list(book.names) == ["m"]
    with pytest.raises(ValueError, match="registered name"):
        system.send(Via(book, "n"), "hello")


def test_name_5_it_can_be_monitored_and_the_message_has_it(system, book):
    ref, watcher = system.start(Echo, name=Via(book, "n")), system.start(Doer)
    monitor = watcher.ask(lambda self: self.monitor(Via(book, "n")))
    ref.stop()
    assert watcher.ask("seen") == [Down(monitor, Via(book, "n"), "normal")]


def test_timer_3_it_is_looked_up_when_a_timer_fires(system, book):
    system.timers.send_after(1.0, Via(book, "n"), "now")
    ref = system.start(Recorder, name=Via(book, "n"))
    system.advance(1.0)
    assert ref.ask("seen") == ["now"]


def test_reg_20_it_is_looked_up_anew_at_every_use(system):
    via = Via(system.registry, "n")
    first = system.start(Recorder, name="n")
    assert via.whereis() is first
    first.stop()
    second = system.start(Recorder, name="n")
    via.tell("told")
    assert via.send("sent") is True
    assert via.ask("seen") == ["told", "sent"]
    assert via.ref() is second


def test_ereg_11_nobody_there_is_none_an_error_or_nothing_by_the_verb(system):
    via = Via(system.registry, "n")
    assert via.whereis() is None
    assert via.send("hello") is False
    for verb in (via.tell, via.ask):
        with pytest.raises(ActorDeadError) as caught:
            verb("hello")
        assert caught.value.reason == "noproc"


def test_two_of_the_same_are_equal(system, book):
    assert Via(book, "n") == Via(book, "n")
    assert hash(Via(book, "n")) == hash(Via(book, "n"))
    assert Via(book, "n") != Via(book, "m")
    assert Via(book, "n") != Via(system.registry, "n")


@pytest.mark.parametrize(("registry", "name"), [(object(), "n"), (Phonebook(), None), (Phonebook(), [])])
def test_what_cannot_be_looked_up_is_refused(registry, name):
    with pytest.raises((TypeError, ValueError), match=r"registry|name"):
        Via(registry, name)


def test_reg_15_waiting_for_a_name_that_is_there_returns_at_once(system):
    ref = system.start(Echo, name="n")
    assert wait_for_name(system.registry, "n", 1.0, system.scheduler) is ref


def test_reg_15_waiting_ends_when_the_name_is_registered(real):
    def register_later(self):
        self.send_after(0.01, lambda self: self.system.register("n", self.actor_ref))

    ref = real.start(Doer)
    ref.tell(register_later)
    assert wait_for_name(real.registry, "n", 5.0) is ref


def test_reg_15_waiting_gives_up_in_time_and_leaves_nothing(system):
    with pytest.raises(AskTimeoutError):
        wait_for_name(system.registry, "n", 2.0, system.scheduler)
    assert system.clock.monotonic() == 2.0
    assert system.registry._waiting == {}


def test_reg_15_a_system_waits_for_a_name(real):
    ref = real.start(Doer)
    ref.tell(lambda self: self.send_after(0.01, lambda self: self.system.register("n", self.actor_ref)))
    assert real.wait_for_name("n") is ref


def test_reg_15_an_actor_that_waits_lets_virtual_time_pass(system):
    late = system.start(Doer)
    late.tell(lambda self: self.send_after(3.0, lambda self: self.system.register("n", self.actor_ref)))
    waiting = system.start(Doer)
    assert waiting.ask(lambda self: self.system.wait_for_name("n", 10.0)) is late
    assert system.clock.monotonic() == 3.0


def test_reg_15_a_system_gives_up_after_five_seconds_and_says_for_whom_it_waited(system):
    with pytest.raises(AskTimeoutError, match="anybody with the name 'n'"):
        system.wait_for_name("n")
    assert system.clock.monotonic() == 5.0


@pytest.mark.parametrize("via", [False, True])
def test_reg_15_who_waits_for_a_name_hears_at_once_that_the_system_stops(real, via):
    name = Via(Names(), "n") if via else "n"
    failures = []

    def wait():
        try:
            real.wait_for_name(name, None)
        except SystemStoppedError as error:
            failures.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    until_somebody_waits(real)
    real.stop()
    waiting.join(10)
    assert len(failures) == 1
    assert real._name_waits == set()


def test_reg_15_an_actor_that_waits_for_a_name_keeps_no_system_from_stopping(real):
    waiting = real.start(SharedDoer)
    answer = waiting.ask(lambda self: self.system.wait_for_name("n", None), block=False)
    until_somebody_waits(real)
    assert real.stop() == []
    with pytest.raises(SystemStoppedError):
        answer.get(timeout=10)


def test_reg_15_nobody_waits_for_a_name_in_a_system_that_is_stopped(real):
    real.stop()
    with pytest.raises(SystemStoppedError):
        real.wait_for_name("n", None)


def test_reg_15_a_via_is_waited_for_in_its_own_registry(system):
    names = Names()
    waiting, ref = system.start(Doer, name="waiting"), system.start(Echo)
    found = waiting.ask(lambda self: self.send_after(1.0, lambda _self: names.register("n", ref)))
    assert system.wait_for_name(Via(names, "n"), 2.0) is ref
    assert found is not None


def test_reg_15_a_registry_that_tells_of_no_names_cannot_be_waited_for(system, book):
    with pytest.raises(InvalidTypeError, match="when_registered"):
        system.wait_for_name(Via(book, "n"))


@pytest.mark.parametrize("timeout", [-1, float("nan"), "soon", True])
def test_reg_15_a_wait_that_is_no_time_is_refused(system, timeout):
    with pytest.raises((InvalidArgumentError, InvalidTypeError), match="timeout"):
        system.wait_for_name("n", timeout)


def test_an_ask_by_name_can_be_left_for_later(system):
    system.start(SharedEcho, name="n")
    future = Via(system.registry, "n").ask("hello", block=False)
    assert not future.is_done()
    assert future.get() == "hello"


def test_an_ask_by_a_name_that_nobody_has_fails_at_once_also_without_waiting(system):
    with pytest.raises(ActorDeadError):
        Via(system.registry, "n").ask("hello", block=False)


def test_reg_15_whoever_waits_can_be_told_by_a_message(system):
    waiting = system.start(Doer)
    waiting.ask(lambda self: self.system.registry.when_registered("n", lambda ref: self.actor_ref.send(("is", ref))))
    ref = system.start(SharedEcho, name="n")
    assert waiting.ask("seen") == [("is", ref)]
    ref.stop()
    system.start(Echo, name="n")
    assert len(waiting.ask("seen")) == 1


def test_reg_15_a_wish_can_be_taken_back(system):
    told: list[object] = []
    cancel = system.registry.when_registered("n", told.append)
    kept = system.registry.when_registered("n", lambda ref: told.append("kept"))
    cancel()
    cancel()
    system.start(Echo, name="n")
    kept()
    assert told == ["kept"]
