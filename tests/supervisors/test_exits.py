from __future__ import annotations

import pytest

from supervisors import ActorDeadError, Crashed, Down, Exited, Shutdown, is_abnormal
from supervisors.exits import describe
from supervisors.links import links_of
from tests.supervisors.actors import Doer, Echo, SharedDoer


def watch(system, target):
    """Start an actor that is linked to the target and monitors it."""
    watcher = system.start(Doer, trap=True)
    watcher.ask(lambda self: (self.link(target), self.monitor(target)))
    return watcher


def reasons_seen(watcher):
    return [each.reason for each in watcher.ask("seen")]


@pytest.mark.parametrize("reason", ["boom", Shutdown("x"), None, 7, ("any", ["value"])])
def test_exit_1_links_and_monitors_see_the_one_reason_whatever_it_is(system, reason):
    ref = system.start(Doer)
    watcher = watch(system, ref)
    ref.tell(("exit", reason))
    assert ref.exit_reason == reason
    assert reasons_seen(watcher) == [reason, reason]


def test_exit_2_an_actor_that_is_stopped_ends_with_normal(system):
    ref = system.start(Doer)
    ref.stop()
    assert ref.exit_reason == "normal"


def test_exit_3_an_exit_of_ones_own_keeps_its_reason_also_kill(system):
    ref = system.start(Doer)
    watcher = watch(system, ref)
    ref.tell(("exit", "kill"))
    assert ref.exit_reason == "kill"
    assert reasons_seen(watcher) == ["kill", "kill"]


def test_exit_4_an_uncaught_error_is_the_reason_with_its_traceback(system):
    ref = system.start(Doer)
    error = LookupError("nothing there")

    def fail(self):
        raise error

    ref.tell(fail)
    assert ref.exit_reason == Crashed(error)
    assert error.__traceback__ is not None


@pytest.mark.parametrize(
    ("reason", "abnormal"),
    [
        ("normal", False),
        ("shutdown", False),
        (Shutdown("x"), False),
        ("kill", True),
        ("killed", True),
        ("noproc", True),
        ("boom", True),
        (None, True),
        (Crashed(ValueError()), True),
    ],
)
def test_exit_6_normal_and_shutdown_are_orderly_everything_else_is_not(reason, abnormal):
    assert is_abnormal(reason) is abnormal


def test_exit_8_kill_over_a_link_can_be_trapped(system):
    ref = system.start(Doer)
    watcher = system.start(Doer, trap=True)
    watcher.ask(lambda self: self.link(ref))
    ref.tell(("exit", "kill"))
    assert watcher.ask("seen") == [Exited(ref, "kill")]


def test_exit_9_who_links_monitors_or_asks_the_dead_sees_noproc_or_its_reason(system):
    ref = system.start(Doer)
    ref.stop()
    watcher = watch(system, ref)
    assert reasons_seen(watcher) == ["noproc", "noproc"]
    with pytest.raises(ActorDeadError) as caught:
        ref.ask("hello")
    assert caught.value.reason == "normal"


def test_exit_10_whoever_handles_the_end_finds_neither_the_name_nor_life(real):
    # With real threads: the watcher may run as soon as the first signal is out.
    for number in range(100):
        found: list[tuple[object, bool]] = []
        ref = real.start(SharedDoer, name="short-lived")
        watcher = real.start(LooksAround, ref, found)
        ref.tell(("exit", number))
        watcher.join(timeout=5)
        assert found == [(None, False)]


class LooksAround(SharedDoer):
    """Notes what is left of an actor whose end it hears of."""

    def __init__(self, other, found):
        super().__init__()
        self.other = other
        self.found = found

    def on_start(self):
        self.monitor(self.other)

    def on_receive(self, message):
        assert isinstance(message, Down)
        self.found.append((self.system.whereis("short-lived"), self.other.is_alive()))
        self.stop()


def test_exit_11_nothing_remains_of_an_actor_that_has_ended(system):
    ref, other = system.start(Doer), system.start(Doer, trap=True)
    dead_letters = []
    system.on_dead_letter(lambda receiver, message: dead_letters.append((receiver, message)))

    def entangle_and_end(self):
        self.link(other)
        self.monitor(other)
        self.send_after(1.0, "too late")
        self.actor_ref.send("never handled")
        self.actor_ref.exit("boom")
        return self.alias()

    other.ask(lambda self: self.monitor(ref))
    alias = ref.ask(entangle_and_end)
    assert dead_letters == [(ref, "never handled")]
    assert links_of(ref) == links_of(other) == ()
    assert other.watchers is None
    assert ref.watchers is ref.monitors is None
    alias.send("to nobody")
    assert dead_letters[1:] == [(ref, "to nobody")]
    assert system.advance(2.0) == 1
    assert dead_letters[2:] == []


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("boom", "boom"),
        (Shutdown("x"), "shutdown: x"),
        (7, "7"),
        (Crashed(ValueError("no")), "ValueError: no"),
    ],
)
def test_a_reason_is_described_in_one_line(reason, text):
    assert describe(reason) == text


def test_a_reason_that_cannot_be_shown_is_described_by_its_kind():
    class Broken:
        def __repr__(self):
            raise ValueError

    assert describe(Broken()) == "<Broken that cannot be shown>"


def test_an_echo_that_is_dead_answers_nothing(system):
    ref = system.start(Echo)
    ref.stop()
    with pytest.raises(ActorDeadError):
        ref.tell("hello")
