"""What a start on the starter's own thread leaves behind, however it goes."""

from __future__ import annotations

import pytest

from supervisors import Actor, ActorDeadError, Crashed, Exit, IgnoreStart, StartError
from supervisors.runtime.ref import ActorRef
from supervisors.runtime.turn import thread_turn


class Starting(Actor):
    """Calls a function with itself when it starts."""

    dispatch = "inline"

    def __init__(self, act):
        super().__init__()
        self.act = act

    def on_start(self):
        self.act(self)

    def on_receive(self, message):
        return message


class Parent(Actor):
    """Starts others in its own turn."""

    dispatch = "inline"

    def on_receive(self, message):
        return Starting.start_link(message)


def crash(_self):
    raise ValueError("no")


def leave(_self):
    raise Exit("no")


def decline(_self):
    raise IgnoreStart


def interrupt(_self):
    raise KeyboardInterrupt


def nothing(_self):
    pass


@pytest.fixture
def made(system, monkeypatch):
    """Return the refs that are made, also those whose start returns none."""
    refs = []
    plain = ActorRef.__init__

    def noted(self, *args):
        plain(self, *args)
        refs.append(self)

    monkeypatch.setattr(ActorRef, "__init__", noted)
    return refs


def assert_idle(system):
    turn = thread_turn.turn
    assert (turn.current, turn.depth, list(turn.ready)) == (None, 0, [])
    assert not system.actors()


@pytest.mark.parametrize(
    ("act", "error", "reason"), [(crash, StartError, Crashed), (leave, StartError, str), (decline, IgnoreStart, str)]
)
def test_a_start_that_fails_leaves_the_thread_and_the_dead_as_they_should_be(system, made, act, error, reason):
    with pytest.raises(error) as caught:
        system.start(Starting, act)
    [ref] = made
    assert_idle(system)
    assert isinstance(ref.exit_reason, reason)
    assert isinstance(caught.value.__cause__, ValueError if act is crash else type(None))
    with pytest.raises(ActorDeadError):
        ref.ask("anybody there?")


def test_an_interrupt_in_a_start_ends_the_actor_and_goes_on(system, made):
    with pytest.raises(KeyboardInterrupt):
        system.start(Starting, interrupt)
    [ref] = made
    assert_idle(system)
    assert isinstance(ref.exit_reason, Crashed)
    with pytest.raises(ActorDeadError):
        ref.ask("anybody there?")


def test_an_interrupt_before_the_start_leaves_nobody_without_an_answer(system, made, monkeypatch):
    def interrupted(_self, _turn):
        raise KeyboardInterrupt

    monkeypatch.setattr(ActorRef, "come_up_here", interrupted)
    with pytest.raises(KeyboardInterrupt):
        system.start(Starting, nothing)
    [ref] = made
    assert_idle(system)
    with pytest.raises(ActorDeadError):
        ref.ask("anybody there?")


def test_whoever_asks_during_a_start_is_answered_after_it(system):
    asked = []
    ref = system.start(Starting, lambda self: asked.append(self.actor_ref.ask("later", block=False)))
    system.settle()
    assert asked[0].get() == "later"
    assert ref.ask("now") == "now"


def test_whoever_asks_an_actor_that_does_not_come_up_hears_of_its_end(system):
    asked = []

    def act(self):
        asked.append(self.actor_ref.ask("later", block=False))
        raise Exit("no")

    with pytest.raises(StartError):
        system.start(Starting, act)
    with pytest.raises(ActorDeadError):
        asked[0].get()


def test_a_start_that_waits_for_its_starter_is_refused(system):
    parent = system.start(Parent)
    with pytest.raises(StartError) as caught:
        parent.ask(lambda _self: parent.ask(nothing))
    assert type(caught.value.reason.error).__name__ == "DeadlockError"


def test_one_that_is_killed_in_its_start_ends_after_it(system):
    ref = system.start(Starting, lambda self: self.actor_ref.kill())
    system.settle()
    assert ref.exit_reason == "killed"


def test_one_that_is_suspended_in_its_start_holds_back_what_comes(system):
    ref = system.start(Starting, lambda self: self.actor_ref.suspend())
    system.settle()
    asked = ref.ask("later", block=False)
    system.settle()
    assert not asked.is_done()
    ref.resume()
    assert asked.get() == "later"


def test_starts_nest_beyond_the_limit_of_one_stack(system):
    depths = []

    def deeper(self):
        depths.append(thread_turn.turn.depth)
        if len(depths) < 60:
            type(self).start_link(deeper)

    assert system.start(Starting, deeper).is_alive()
    assert len(depths) == 60
    assert len(system.actors()) == 60
