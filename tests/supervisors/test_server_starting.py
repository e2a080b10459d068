"""What of PROC-1 to PROC-8 a server shows: how it starts."""

from __future__ import annotations

import threading

import pytest

from supervisors import Exit, IgnoreStart, Shutdown, StartError
from supervisors.callbacks import BadReturnError
from supervisors.links import links_of
from supervisors.server import IGNORE, Reply, Server, Stop, stop
from tests.supervisors.actors import Doer
from tests.supervisors.servers import Log


@pytest.fixture
def log():
    return []


class Nothing(Server):
    dispatch = "inline"

    def init(self):
        return IGNORE


def test_proc_1_start_returns_when_init_has_returned(real):
    go_on, steps = threading.Event(), []

    class Slow(Server):
        dispatch = "shared"

        def init(self):
            assert go_on.wait(5)
            steps.append("init has returned")

    def start():
        real.start(Slow)
        steps.append("start has returned")

    starter = threading.Thread(target=start)
    starter.start()
    starter.join(0.02)
    assert starter.is_alive()
    go_on.set()
    starter.join(5)
    assert steps == ["init has returned", "start has returned"]


def test_proc_1_init_runs_in_the_new_actor_linked_to_its_parent(system):
    seen = []

    class Looks(Server):
        def init(self):
            seen.append((self.actor_ref, self.actor_ref.parent, links_of(self.actor_ref)))

    parent = system.start(Doer)
    made = parent.ask(lambda _: Looks.start_link())
    assert seen == [(made, parent, (parent,))]


def test_proc_3_ignore_starts_nothing(system):
    with pytest.raises(IgnoreStart):
        system.start(Nothing, name="nobody")
    assert system.whereis("nobody") is None


@pytest.mark.parametrize(("trap", "seen"), [(True, ["normal"]), (False, [])])
def test_proc_3_a_parent_sees_a_normal_exit_of_who_ignores_if_it_traps(system, trap, seen):
    def try_it(_):
        with pytest.raises(IgnoreStart):
            Nothing.start_link()

    parent = system.start(Doer, trap=trap)
    parent.ask(try_it)
    assert [message.reason for message in parent.ask("seen")] == seen
    assert parent.is_alive()


@pytest.mark.parametrize("reason", ["boom", "normal"])
def test_proc_4_stop_from_init_is_a_start_error(system, log, reason):
    with pytest.raises(StartError) as caught:
        system.start(Log, log, then=Stop(reason))
    assert caught.value.reason == reason
    assert log == []


def test_proc_4_a_parent_that_traps_sees_the_exit(system):
    class Stops(Server):
        def init(self):
            return Stop("boom")

    def try_it(actor):
        with pytest.raises(StartError):
            Stops.start_link()

    parent = system.start(Doer, trap=True)
    parent.ask(try_it)
    assert [message.reason for message in parent.ask("seen")] == ["boom"]


@pytest.mark.parametrize(("reason", "is_hit"), [("boom", True), (Shutdown("done"), True), ("normal", False)])
def test_proc_4_a_parent_that_does_not_trap_gets_the_signal_too(system, reason, is_hit):
    class Stops(Server):
        def init(self):
            return Stop(reason)

    def try_it(_):
        with pytest.raises(StartError):
            Stops.start_link()

    parent = system.start(Doer)
    parent.tell(try_it)
    assert parent.is_alive() is not is_hit
    assert parent.exit_reason == (reason if is_hit else None)


def test_proc_5_an_exit_in_init_gives_its_bare_reason(system, log):
    class Leaves(Log):
        def init(self, *args, **kwargs):
            super().init(*args)
            raise Exit("boom")

    with pytest.raises(StartError) as caught:
        system.start(Leaves, log)
    assert caught.value.reason == "boom"
    assert log == []  # no terminate


def test_proc_5_an_error_in_init_is_a_start_error(system, log):
    class Fails(Log):
        def init(self, *args, **kwargs):
            super().init(*args)
            raise KeyError

    with pytest.raises(StartError) as caught:
        system.start(Fails, log)
    assert isinstance(caught.value.reason.error, KeyError)
    assert log == []  # no terminate


@pytest.mark.parametrize("value", ["nonsense", Reply(1), -1])
def test_proc_6_any_other_return_of_init_is_a_start_error(system, value):
    class Odd(Server):
        def init(self):
            return value

    with pytest.raises(StartError) as caught:
        system.start(Odd)
    assert isinstance(caught.value.reason.error, BadReturnError)


def test_proc_8_messages_to_the_name_wait_until_init_is_done(system, log):
    class Early(Log):
        def init(self, *args, **kwargs):
            self.system.send("early", "to myself")
            return super().init(*args)

    system.start(Early, log, name="early")
    system.settle()
    assert log == [("info", "to myself")]


def test_what_a_server_was_started_with_is_not_kept(system):
    ref = system.start(Log, ["large"])
    assert not hasattr(ref._actor, "_arguments")


def test_the_timer_of_a_dead_server_is_gone(system):
    ref = system.start(Log, then=5.0)
    assert system.statistics()["timers"] == 1
    stop(ref)
    assert system.statistics()["timers"] == 0
